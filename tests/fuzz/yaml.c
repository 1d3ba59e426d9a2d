/* yaml.c - a document to a tree; what is written reads back as the same. */
#include "fuzz.h"
#include "object/object.h"

FUZZ(data)
{
    _cleanup_arena_ struct arena *a = arena_new(FUZZ_ARENA);
    _cleanup_buf_ struct buf b = BUF_INIT(0), again = BUF_INIT(0);
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = object_parse_yaml(a, data, &err);
    if (!v) {
        if (err.code)
            fuzz_failed(&err);
        return;
    }
    object_write_yaml(&b, v);
    must(!b.failed);
    struct val *second = object_parse_yaml(a, buf_str(&b), &err);
    must(second && val_equal(v, second));
    object_write_yaml(&again, second);
    must(str_eq(buf_str(&b), buf_str(&again)));
}
