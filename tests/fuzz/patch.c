/* patch.c - old object, a NUL, a patch: applied as JSON patch, merge patch and strategic merge patch of the kind that the first byte picks. The old
 * object stays as it was. */
#include "fuzz.h"
#include "object/object.h"

static const char *const types[] = { "io.k8s.api.core.v1.Pod", "io.k8s.api.apps.v1.Deployment", "io.k8s.api.core.v1.Service",
                                     "io.k8s.api.core.v1.Node", "io.k8s.api.core.v1.ConfigMap", "io.k8s.api.core.v1.ServiceAccount" };

FUZZ(data)
{
    _cleanup_arena_ struct arena *a = arena_new(FUZZ_ARENA);
    _cleanup_buf_ struct buf before = BUF_INIT(0), after = BUF_INIT(0), typed_text = BUF_INIT(0);
    struct kl_err err;
    kl_err_init(&err);
    const struct schema_type *t = schema_type_by_name(str_of(types[fuzz_pick(&data, sizeof types / sizeof *types)]));
    struct str old_text = str_cut(&data, '\0');
    struct val *old = json_parse(a, old_text, &err), *patch = data.at ? json_parse(a, data, &err) : NULL;
    must(t);
    if (!old || !patch)
        return;
    json_write(&before, old);
    for (int i = 0; i < 3; i++) {
        kl_err_init(&err);
        struct val *now = i == 0 ? object_patch_json(a, old, patch, &err) : i == 1 ? object_patch_merge(a, old, patch, &err) :
                          object_patch_strategic(a, t, old, patch, &err);
        if (!now) {
            fuzz_failed(&err);
            continue;
        }
        buf_clear(&after);
        json_write(&after, now);
        must(json_parse(a, buf_str(&after), &err));
        struct val *typed = object_decode_json(a, t, buf_str(&after), NULL, &err);
        buf_clear(&typed_text);
        if (typed)
            object_encode_json(&typed_text, t, typed);
    }
    buf_clear(&after);
    json_write(&after, old);
    must(str_eq(buf_str(&before), buf_str(&after)));
}
