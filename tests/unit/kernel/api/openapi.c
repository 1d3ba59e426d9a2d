/* A swagger document as openapi.v2.Document: known bytes of a small one, and every definition of a large one found again. */
#include <criterion/criterion.h>

#include "api/openapi-internal.h"

static void gnostic(struct buf *b, const char *json)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct val *v = json_parse(a, str_of(json), NULL);
    cr_assert(v);
    openapi_write_gnostic(b, v);
    cr_assert(!b->failed);
}

Test(openapi, gnostic_bytes)
{
    static const struct {
        const char *json, *bytes;
        size_t n;
    } rows[] = {
#define ROW(json, bytes) { json, bytes, sizeof(bytes) - 1 }
        ROW("{\"swagger\":\"2.0\"}", "\x0a\x03" "2.0"),
        ROW("{\"info\":{\"title\":\"K\",\"version\":\"v\"}}", "\x12\x06\x0a\x01K\x12\x01v"),
        /* definitions 9 { additional_properties 1 { name 1, value 2 { type 22 { value 1 } } } } */
        ROW("{\"definitions\":{\"X\":{\"type\":\"o\"}}}", "\x4a\x0d\x0a\x0b\x0a\x01X\x12\x06\xb2\x01\x03\x0a\x01o"),
        /* items 23 { schema 1 { _ref 1 } } */
        ROW("{\"definitions\":{\"X\":{\"items\":{\"$ref\":\"r\"}}}}", "\x4a\x0f\x0a\x0d\x0a\x01X\x12\x08\xba\x01\x05\x0a\x03\x0a\x01r"),
        /* vendor_extension 31 { name 1, value 2 { yaml 2 } } */
        ROW("{\"definitions\":{\"X\":{\"x-k\":\"m\"}}}", "\x4a\x16\x0a\x14\x0a\x01X\x12\x0f\xfa\x01\x0c\x0a\x03x-k\x12\x05\x12\x03\"m\""),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(0);
        gnostic(&b, rows[i].json);
        cr_expect(b.len == rows[i].n && memcmp(b.at, rows[i].bytes, b.len) == 0, "row %zu: %zu bytes", i, b.len);
    }
}

Test(openapi, parameters_by_place)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    gnostic(&b, "{\"paths\":{\"/a\":{\"patch\":{\"parameters\":[{\"name\":\"dryRun\",\"in\":\"query\"}]}}}}");
    /* parameters 8 { parameter 1 { non_body 2 { query 3 { in 2, name 4 } } } } */
    static const char want[] = "\x42\x15\x0a\x13\x12\x11\x1a\x0f\x22\x06" "dryRun" "\x12\x05query";
    cr_expect(memmem(b.at, b.len, want, sizeof want - 1) != NULL);
}

Test(openapi, both_forms_hold_every_kind)
{
    for (int form = 2; form <= 3; form++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct openapi d = { .a = a, .form = form, .paths = val_new(a, VAL_OBJ), .schemas = val_new(a, VAL_OBJ) };
        for (size_t i = 0; i < schema_n_kinds(); i++)
            openapi_add_kind(&d, schema_kind_at(i));
        for (size_t i = 0; i < schema_n_kinds(); i++) {
            const struct schema_kind *k = schema_kind_at(i);
            struct val *s = json_get(d.schemas, str_of(k->type->name));
            cr_expect(s && val_is(json_get(s, STR("x-kubernetes-group-version-kind")), VAL_ARR), "%s", k->type->name);
            struct val *path = json_get(d.paths, str_of(arena_printf(a, "/apis/%s/%s/%s", k->group, k->version, k->plural)));
            cr_expect(path || !k->group[0] || !(k->flags & K_STORED), "%s has no path", k->plural);
        }
        val_each(s, d.schemas) cr_expect(!json_get(s, STR("properties")) || json_get(s, STR("properties"))->n, STR_FMT ": empty properties", STR_ARG(val_key(s)));
        map_free(&d.done);
    }
}
