/* object.c - JSON to a typed tree by the rows: defaults, validation, table cells; JSON and protobuf forms agree. */
#include "fuzz.h"
#include "object/object.h"

static void round_trip(struct arena *a, const struct schema_type *t, struct val *v)
{
    _cleanup_buf_ struct buf json = BUF_INIT(0), pb = BUF_INIT(0), pb2 = BUF_INIT(0), back = BUF_INIT(0), second = BUF_INIT(0);
    struct kl_err err;
    kl_err_init(&err);
    object_encode_json(&json, t, v);
    struct val *again = object_decode_json(a, t, buf_str(&json), NULL, &err);
    must(again);
    object_encode_json(&second, t, again);
    must(str_eq(buf_str(&json), buf_str(&second)));
    if (object_encode_protobuf(&pb, t, v, &err) < 0)
        return;
    struct val *from_pb = object_decode_protobuf(a, t, buf_str(&pb), NULL, &err);
    must(from_pb);
    object_encode_json(&back, t, from_pb);
    must(object_encode_protobuf(&pb2, t, from_pb, &err) == 0);
}

FUZZ(data)
{
    _cleanup_arena_ struct arena *a = arena_new(FUZZ_ARENA);
    struct object_strict strict = { .arena = a };
    struct object_causes causes = { .arena = a };
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = object_decode_json(a, NULL, data, &strict, &err);
    if (!v) {
        fuzz_failed(&err);
        return;
    }
    struct str version = json_str(v, "apiVersion"), group = str_cut(&version, '/');
    if (!version.at) {
        version = group;
        group = STR("");
    }
    const struct schema_type *t = schema_type_find(group, version, json_str(v, "kind"));
    const struct schema_kind *k = schema_kind_find(group, version, json_str(v, "kind"));
    if (!t)
        return;
    round_trip(a, t, v);
    if (!k || k->type != t)
        return;
    must(object_default(a, k, v) == 0 || arena_exhausted(a));
    round_trip(a, t, v);
    object_validate(k, NULL, v, NULL, &causes);
    object_validate(k, NULL, v, v, &causes);
    object_validate(k, "status", v, v, &causes);
    for (unsigned i = 0; i < causes.n; i++)
        must(causes.at[i].field && causes.at[i].message);
    struct val *columns = object_table_columns(a, k), *cells = object_table_cells(a, k, v, 1700000000000000000LL);
    must(columns && cells && columns->n == cells->n);
}
