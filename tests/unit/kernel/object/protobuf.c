/* Protobuf that is not what an encoder writes: every refusal has a reason. */
#include "base/cleanup.h"
#include "object/object.h"

#include <criterion/criterion.h>

#define POD_HEAD "k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod"
#define BYTES(lit) str_n(lit, sizeof(lit) - 1)

Test(protobuf, refuses_with_a_reason)
{
    const struct {
        struct str bytes;
        const char *why;
    } rows[] = {
        { BYTES(""), "expected prefix" }, { BYTES("k8s"), "expected prefix" }, { BYTES("k8s\0\x0a\xff"), "unexpected" },
        { BYTES("k8s\0\x0a\x03\x0a\x01v"), "no kind" },
        { BYTES(POD_HEAD "\x12\x02\x08\x01"), "proto: wrong wireType = 0 for field ObjectMeta" },
        { BYTES(POD_HEAD "\x12\x01\x0f"), "proto: wrong wireType = 7 for field ObjectMeta" },
        { BYTES(POD_HEAD "\x12\x07\x0a\x05\x2d" "abcd"), "proto: wrong wireType = 5 for field UID" },
        { BYTES(POD_HEAD "\x12\x02\xfa\x01"), "unexpected" },
        { BYTES(POD_HEAD "\x12\x03\xff\x01\x00"), "proto: illegal wireType 7" },
        { BYTES(POD_HEAD "\x12\x03\x0a\x05x"), "unexpected EOF" },              /* longer than what is there */
        { BYTES(POD_HEAD "\x12\x01\x07"), "illegal" },                          /* wire type 7 */
        { BYTES(POD_HEAD "\x12\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "illegal tag" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena *a = arena_new(0);
        struct kl_err err;
        kl_err_init(&err);
        cr_expect_null(object_decode_protobuf(a, NULL, rows[i].bytes, NULL, &err), "row %zu", i);
        cr_expect(err.code == KL_BAD_REQUEST && strstr(err.msg, rows[i].why), "row %zu: %s", i, err.msg);
        arena_free(a);
    }
}

/* Inline structs have a number of their own in protobuf: another wire type there has a reason too. */
Test(protobuf, inline_struct_of_wrong_wire_type)
{
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_type *t = schema_kind_at(i)->type;
        for (unsigned f = 0; f < t->n_fields; f++) {
            if (!(t->fields[f].flags & F_INLINE_STRUCT) || !t->fields[f].tag || t->fields[f].tag > 15)
                continue;
            struct arena *a = arena_new(0);
            struct kl_err err;
            kl_err_init(&err);
            char bytes[] = { 'k', '8', 's', 0, 0x12, 2, (char)(t->fields[f].tag << 3), 1 };
            cr_expect_null(object_decode_protobuf(a, t, str_n(bytes, sizeof bytes), NULL, &err));
            cr_expect(strstr(err.msg, "wrong wireType"), "%s: %s", t->name, err.msg);
            arena_free(a);
        }
    }
}

/* Unknown numbers of every wire type are skipped; a scalar given twice counts once, the last. */
Test(protobuf, skips_what_it_does_not_know)
{
    struct arena *a = arena_new(0);
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = object_decode_protobuf(a, NULL, BYTES(POD_HEAD "\x12\x1f\xb8\x3e\x05\xb9\x3e" "12345678" "\xbd\x3e" "1234" "\xba\x3e\x01x" "\x0a\x06\x0a\x01" "a" "\x0a\x01" "b"), NULL, &err);
    cr_assert(v, "%s", err.msg);
    cr_expect(str_is(json_str(v, "metadata.name"), "b"));
    arena_free(a);
}

/* Go's times are of any year; a test of upstream's writes seconds after its zero. */
Test(protobuf, times_of_any_year)
{
    static const char json[] = "{\"kind\":\"Lease\",\"apiVersion\":\"coordination.k8s.io/v1\",\"metadata\":{\"name\":\"l\",\"creationTimestamp\":\"9999-12-31T23:59:59Z\"},"
                               "\"spec\":{\"acquireTime\":\"0001-01-01T00:00:02.000000Z\"}}";
    struct arena *a = arena_new(0);
    struct kl_err err;
    kl_err_init(&err);
    const struct schema_type *t = schema_type_find(STR("coordination.k8s.io"), STR("v1"), STR("Lease"));
    struct val *v = json_parse(a, str_of(json), &err);
    cr_assert(v && object_conform(a, t, v, NULL, &err) == 0, "%s", err.msg);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    cr_assert_eq(object_encode_protobuf(&b, t, v, &err), 0);
    struct val *back = object_decode_protobuf(a, t, buf_str(&b), NULL, &err);
    cr_assert(back, "%s", err.msg);
    cr_expect(str_is(json_str(back, "spec.acquireTime"), "0001-01-01T00:00:02.000000Z"));
    cr_expect(str_is(json_str(back, "metadata.creationTimestamp"), "9999-12-31T23:59:59Z"));
    arena_free(a);
}
