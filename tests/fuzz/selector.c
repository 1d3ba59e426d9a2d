/* selector.c - a selector, a NUL, an object: what is parsed is written and parsed again; bytes and tree give the same answer. */
#include "fuzz.h"
#include "object/object.h"

FUZZ(data)
{
    _cleanup_arena_ struct arena *a = arena_new(FUZZ_ARENA);
    _cleanup_buf_ struct buf b = BUF_INIT(0), again = BUF_INIT(0), text = BUF_INIT(0);
    struct kl_err err;
    kl_err_init(&err);
    bool fields = fuzz_pick(&data, 2);
    const struct schema_kind *pod = schema_kind_find(STR(""), STR("v1"), STR("Pod"));
    struct str term = str_cut(&data, '\0');
    struct selector *s = fields ? selector_parse_fields(a, pod, term, &err) : selector_parse_labels(a, term, &err, NULL);
    if (!s) {
        fuzz_failed(&err);
        return;
    }
    selector_write(&b, s);
    selector_exact(s, "metadata.name");
    if (!fields) {
        struct selector *second = selector_parse_labels(a, buf_str(&b), &err, NULL);
        must(second);
        selector_write(&again, second);
        must(str_eq(buf_str(&b), buf_str(&again)));
        must(selector_empty(s) == selector_empty(second));
    }
    struct val *v = data.at ? object_decode_json(a, pod->type, data, NULL, &err) : NULL;
    if (!v)
        return;
    object_encode_json(&text, pod->type, v);
    bool tree = fields ? selector_matches_fields(s, v) : selector_matches_labels(s, json_path(v, "metadata.labels"));
    must(selector_matches_text(s, buf_str(&text)) == tree);
}
