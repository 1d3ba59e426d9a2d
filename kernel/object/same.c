/* same.c - is a part of an object what it was? As upstream compares specs: what is absent equals what is empty, unless that is asked for exactly. */
#include "object-internal.h"

bool object_is_nothing(const struct val *v)
{
    return !v || v->type == VAL_NULL || (v->type >= VAL_ARR && !v->n);
}

static bool same_one(const struct schema_type *t, const struct val *x, const struct val *y, bool exact);

static bool same_map(const struct schema_type *t, const struct val *x, const struct val *y, bool exact)
{
    val_each(m, x) {
        const struct val *other = json_get(y, val_key(m));
        if (!other || !same_one(t, m, other, exact))
            return false;
    }
    return true;
}

static bool same_list(const struct schema_type *t, const struct val *x, const struct val *y, bool exact)
{
    for (x = x->first, y = y->first; x; x = x->next, y = y->next)
        if (!same_one(t, x, y, exact))
            return false;
    return true;
}

static bool same_field(const struct schema_field *f, const struct val *x, const struct val *y, bool exact)
{
    if (f->shape != SHAPE_ONE || f->type->kind == T_BYTES || f->type->kind == T_STRINGS) {
        if (object_is_nothing(x) || object_is_nothing(y))
            return object_is_nothing(x) && object_is_nothing(y) && !(exact && x && x->type != VAL_NULL && !y);
        if (f->shape == SHAPE_ONE || x->type != y->type || x->n != y->n)
            return val_equal(x, y);
        return (f->shape == SHAPE_MAP ? same_map : same_list)(f->type, x, y, exact);
    }
    if (f->flags & F_POINTER && !x != !y)
        return false;
    if (f->type->kind == T_STRUCT)
        return same_one(f->type, x, y, exact);
    const struct val *one = x ? x : y;
    return x && y ? val_equal(x, y) : !one || object_leaves_out(f, one) || is_plain_zero(f->type, one);
}

static bool same_one(const struct schema_type *t, const struct val *x, const struct val *y, bool exact)
{
    struct val *of_x[OBJECT_FIELDS], *of_y[OBJECT_FIELDS];
    if (t->kind != T_STRUCT)
        return val_equal(x, y);
    object_members(t, x, of_x);
    object_members(t, y, of_y);
    for (unsigned i = 0; i < t->n_flat; i++)
        if ((of_x[i] || of_y[i]) && !same_field(t->flat[i], of_x[i], of_y[i], exact))
            return false;
    return true;
}

bool object_same(const struct schema_field *f, const struct val *now, const struct val *old, bool exact)
{
    return (now && old && !exact && val_equal(now, old)) || same_field(f, now, old, exact);
}
