/* json.c - what is parsed and written can be parsed again and is the same; a scan sees what the tree has. */
#include "base/json_scan.h"
#include "fuzz.h"

FUZZ(data)
{
    _cleanup_arena_ struct arena *a = arena_new(FUZZ_ARENA);
    _cleanup_buf_ struct buf b = BUF_INIT(0), pretty = BUF_INIT(0), again = BUF_INIT(0);
    struct kl_err err;
    struct str rest = data, key, value;
    kl_err_init(&err);
    /* Text that is not well formed: never a read past the end. */
    json_scan_member(data, STR("a"));
    json_scan_path(data, "metadata.name");
    while (json_scan_next(&rest, &key, &value)) { }
    for (rest = data; json_scan_item(&rest, &value);) { }
    struct val *v = json_parse(a, data, &err);
    if (!v) {
        fuzz_failed(&err);
        return;
    }
    json_write(&b, v);
    json_write_pretty(&pretty, v);
    struct val *second = json_parse(a, buf_str(&b), &err), *third = json_parse(a, buf_str(&pretty), &err);
    must(second && third);
    json_write(&again, second);
    must(str_eq(buf_str(&b), buf_str(&again)));
    must(val_equal(second, third));
    if (v->type == VAL_OBJ || v->type == VAL_ARR) {
        struct str at = buf_str(&b);
        uint32_t n = 0;
        while (v->type == VAL_OBJ ? json_scan_next(&at, &key, &value) : json_scan_item(&at, &value))
            n++;
        must(n == v->n);
    }
}
