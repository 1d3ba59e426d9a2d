/* cel.c - a line of JSON, then an expression over it: compiled with and without a schema, estimated, evaluated within limits. What is said of a
 * text that is no expression has a place in it. */
#include "fuzz.h"

#include "cel/cel.h"

static const char schema_text[] =
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\",\"maxLength\":10},\"c\":{\"type\":\"array\",\"items\":"
    "{\"type\":\"string\"},\"x-kubernetes-list-type\":\"set\"},\"d\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"number\"}},"
    "\"e\":{\"type\":\"string\",\"format\":\"date-time\"},\"f\":{\"type\":\"string\",\"format\":\"byte\"},\"g\":{\"x-kubernetes-int-or-string\":true}}}";

static void run(struct arena *a, struct str text, const struct cel_type *type, const struct val *v)
{
    struct cel_var vars[2] = { { "self", type }, { "oldSelf", cel_optional_of(a, type) } };
    struct cel_val values[2] = { cel_of_json(v, type), cel_of_optional(a, cel_of_json(v, type)) };
    const char *why;
    struct cel_program *p = cel_compile(a, text, vars, 2, text.len % 2 ? CEL_PATCH : 0, &why);
    if (!p) {
        must(why && why[0]);
        return;
    }
    struct cel_size size = cel_estimate(p);
    struct cel_run r = { .arena = a, .vars = values, .limit = 20000 };
    struct cel_val result = cel_eval(p, &r);
    must(result.kind != CEL_ERROR || result.s.len);
    must(cel_type_text(a, cel_result(p))[0]);
    (void)size;
    cel_to_json(a, result);
}

FUZZ(data)
{
    _cleanup_arena_ struct arena *a = arena_new(FUZZ_ARENA);
    struct kl_err err;
    kl_err_init(&err);
    struct str line = str_cut(&data, '\n');
    const struct val *v = json_parse(a, line, &err), *schema = json_parse(a, str_of(schema_text), &err);
    if (!data.at)
        return;
    run(a, data, cel_type(CEL_DYN), v);
    if (val_is(v, VAL_OBJ))
        run(a, data, cel_type_of_schema(a, schema, true), v);
}
