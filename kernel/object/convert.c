/* convert.c - an object from one form to another, for `keelson convert`. */
#include "object-internal.h"

static const struct schema_type *type_of(const struct val *v)
{
    struct str gv = json_str(v, "apiVersion"), group = STR("");
    if (str_find(gv, '/') >= 0)
        group = str_cut(&gv, '/');
    return schema_type_find(group, gv, json_str(v, "kind"));
}

int object_convert(const char *from, const char *to, struct str text, struct buf *ret, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct val *v = NULL;
    if (!a)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (strcmp(from, "protobuf") == 0)
        v = object_decode_protobuf(a, NULL, text, NULL, err);
    else
        v = strcmp(from, "yaml") == 0 ? object_parse_yaml(a, text, err) : json_parse(a, text, err);
    if (!v)
        return -(err->code ? err->code : KL_BAD_REQUEST);
    const struct schema_type *t = type_of(v);
    if (t && strcmp(from, "protobuf") != 0 && object_conform(a, t, v, NULL, err) < 0)
        return -err->code;
    if (strcmp(to, "protobuf") == 0) {
        if (!t)
            return kl_err_set(err, KL_BAD_REQUEST, "kind '" STR_FMT "' of '" STR_FMT "' has no protobuf form", STR_ARG(json_str(v, "kind")),
                              STR_ARG(json_str(v, "apiVersion")));
        return object_encode_protobuf(ret, t, v, err);
    }
    _cleanup_buf_ struct buf json = BUF_INIT(0);
    if (t) {
        object_encode_json(&json, t, v);
        v = json_parse(a, buf_str(&json), err);
        if (!v)
            return -err->code;
    }
    if (strcmp(to, "yaml") == 0) {
        object_write_yaml(ret, v);
    } else {
        json_write_pretty(ret, v);
        buf_add_c(ret, '\n');
    }
    return ret->failed ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : 0;
}
