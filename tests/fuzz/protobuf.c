/* protobuf.c - bytes to a typed tree: with the envelope, or bare for a type that the first byte picks. What is decoded can be encoded in both
 * forms, and then stays the same. */
#include "fuzz.h"
#include "object/object.h"

FUZZ(data)
{
    _cleanup_arena_ struct arena *a = arena_new(FUZZ_ARENA);
    _cleanup_buf_ struct buf pb = BUF_INIT(0), second = BUF_INIT(0), json = BUF_INIT(0), wrapped = BUF_INIT(0);
    struct kl_err err;
    const struct schema_type *t = NULL;
    kl_err_init(&err);
    struct val *v = object_decode_protobuf(a, NULL, data, &t, &err);
    if (!v && data.len > 1 && data.at[0] != 'k') {
        const struct schema_kind *k = schema_kind_at((unsigned char)data.at[0] % schema_n_kinds());
        struct str bare = str_skip(data, 1);
        /* The envelope: Unknown{typeMeta=1, raw=2}. */
        buf_add(&wrapped, "k8s\0\x12", 5);
        for (size_t n = bare.len; ; n >>= 7) {
            buf_add_c(&wrapped, (char)((n & 0x7f) | (n > 0x7f ? 0x80 : 0)));
            if (n <= 0x7f)
                break;
        }
        buf_add_str(&wrapped, bare);
        kl_err_init(&err);
        t = k->type;
        v = object_decode_protobuf(a, t, buf_str(&wrapped), NULL, &err);
    }
    if (!v) {
        fuzz_failed(&err);
        return;
    }
    must(t);
    object_encode_json(&json, t, v);
    if (object_encode_message(&pb, t, v, &err) < 0)
        return;
    struct val *from_json = object_decode_json(a, t, buf_str(&json), NULL, &err);
    if (!from_json)
        return;                         /* a value that JSON has no form for was told so */
    must(object_encode_message(&second, t, from_json, &err) == 0);
}
