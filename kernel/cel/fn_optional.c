/* fn_optional.c - values that may not be there. */
#include "cel/cel-internal.h"
#include "cel/cost.h"

static struct cel_val fn_of(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return val_some(c->arena, v[0]);
}

static struct cel_val fn_of_non_zero(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return cel_is_zero(v[0]) ? (struct cel_val){ .kind = CEL_OPTIONAL } : val_some(c->arena, v[0]);
}

static struct cel_val fn_none(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)v;
    (void)n;
    return (struct cel_val){ .kind = CEL_OPTIONAL };
}

static struct cel_val fn_value(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return v[0].some ? *v[0].some : cel_error(c->arena, "optional.none() dereference");
}

static struct cel_val fn_has_value(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_bool(v[0].some != NULL);
}

static struct cel_val at_end(struct cel_ctx *c, struct cel_val *v, int64_t i)
{
    struct cel_val x;
    return list_get(c, &v[0], i, &x) ? val_some(c->arena, x) : (struct cel_val){ .kind = CEL_OPTIONAL };
}

static struct cel_val fn_first(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return at_end(c, v, 0);
}

static struct cel_val fn_last(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return at_end(c, v, cel_size(&v[0]) - 1);
}

static struct cel_val fn_unwrap(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val list = list_new(c, 4), x;
    struct walk w = { 0 };
    (void)n;
    while (!is_error(list) && walk_next(c, &v[0], &w, NULL, &x)) {
        if (x.kind != CEL_OPTIONAL)
            return cel_error(c->arena, "value %s is not optional", value_text(c->arena, x));
        if (x.some && !list_push(c, &list, *x.some))
            return no_memory();
    }
    return list;
}

const struct fn fns_optional[] = {
    { "optional.of", "(A)optional(A)", fn_of, NULL, NULL, 0 },
    { "optional.ofNonZeroValue", "(A)optional(A)", fn_of_non_zero, NULL, NULL, 0 },
    { "optional.none", "()optional(A)", fn_none, NULL, NULL, 0 },
    { "value", "optional(A).()A", fn_value, NULL, NULL, 0 },
    { "hasValue", "optional(A).()bool", fn_has_value, NULL, NULL, 0 },
    { "or", "optional(A).(optional(A))optional(A)", NULL, NULL, NULL, 0 },
    { "orValue", "optional(A).(A)A", NULL, NULL, NULL, 0 },
    { "first", "list(A).()optional(A)", fn_first, NULL, NULL, 0 },
    { "last", "list(A).()optional(A)", fn_last, NULL, NULL, 0 },
    { "optional.unwrap", "(list(optional(A)))list(A)", fn_unwrap, NULL, NULL, 0 },
    { "unwrapOpt", "list(optional(A)).()list(A)", fn_unwrap, NULL, NULL, 0 },
    { NULL, NULL, NULL, NULL, NULL, 0 },
};
