/* custom_scale.c - the numbers that a custom kind's scale shows: where its definition says they are. */
#include "object/custom-internal.h"

static const char *accessor_error(struct arena *a, struct str path, const struct val *v, const char *wanted)
{
    static const char *const types[] = { "<nil>", "<nil>", "bool", "int64", "float64", "string", "[]interface {}", "map[string]interface {}" };
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    if (v->type == VAL_NULL)
        buf_lit(&b, "<nil>");
    else
        object_write_go(&b, v);
    return arena_printf(a, STR_FMT " accessor error: " STR_FMT " is of the type %s, expected %s", STR_ARG(path), STR_ARG(buf_str(&b)), types[v->type], wanted);
}

const struct val *custom_scale_at(struct arena *a, const struct val *v, const char *path, const char **ret_why)
{
    struct str rest = str_skip(str_of(path), path[0] == '.');
    *ret_why = NULL;
    while (v && rest.at) {
        struct str part = str_cut(&rest, '.');
        if (v->type == VAL_NULL)
            return NULL;
        if (v->type != VAL_OBJ) {
            *ret_why = accessor_error(a, str_n(path, (size_t)(part.at + part.len - path)), v, "map[string]interface{}");
            return NULL;
        }
        v = json_get(v, part);
    }
    if (v && v->type != VAL_INT) {
        *ret_why = accessor_error(a, str_of(path), v, "int64");
        return NULL;
    }
    return v;
}

static void check_count(struct object_causes *c, const struct val *v, const char *path)
{
    const char *why = NULL;
    const struct val *n = custom_scale_at(c->arena, v, path, &why);
    long long i = n ? (long long)n->i : 0;
    if (!why && i < 0)
        why = "should be a non-negative integer";
    else if (!why && i > INT32_MAX)
        why = "should be less than or equal to 2147483647";
    if (why)
        object_cause_add(c, "FieldValueInvalid", path, "Invalid value: %lld: %s", i, why);
}

void custom_validate_scale(const struct schema_kind *k, struct object_causes *c, const struct val *v, bool status)
{
    if (!(k->flags & K_SCALE) || !k->scale_spec || !k->scale_status)
        return;
    if (!status)
        check_count(c, v, k->scale_spec);
    check_count(c, v, k->scale_status);
}
