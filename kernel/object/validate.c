/* validate.c - is an object what its kind allows? Metadata by validate_meta.c, then the kind's own rules (validate_kinds.c); a kind without
 * rules of its own is held to what the rows say: required members and enums.
 */
#include "object/custom.h"
#include "object/validate.h"

static void walk(causes c, const struct schema_type *t, const struct val *v, const struct path *up);

static void walk_field(causes c, const struct schema_field *f, const struct val *m, const struct path *p)
{
    long i = 0;
    if (f->shape == SHAPE_ONE) {
        if (f->choices && !(f->flags & F_LISTED) && m->type == VAL_STR && m->n)
            check_choice(c, p, val_str(m), f->choices);
        if (f->type->kind == T_STRUCT && m->type == VAL_OBJ)
            walk(c, f->type, m, p);
        return;
    }
    if (f->type->kind != T_STRUCT || m->type < VAL_ARR)
        return;
    val_each(item, m) {
        struct path here = { p, f->shape == SHAPE_MAP ? val_key(item) : STR_NONE, f->shape == SHAPE_MAP ? PATH_KEY : i++ };
        if (item->type == VAL_OBJ)
            walk(c, f->type, item, &here);
    }
}

#define CONDITION "io.k8s.apimachinery.pkg.apis.meta.v1.Condition"

/* Marked as required upstream, but there only as a word: empty is fine, and absent is the same to Go. */
static bool may_be_empty(const struct schema_type *t, const struct schema_field *f)
{
    return strcmp(f->json, "message") == 0 && strcmp(t->name, CONDITION) == 0;
}

static void walk(causes c, const struct schema_type *t, const struct val *v, const struct path *up)
{
    struct val *members[OBJECT_FIELDS];
    object_members(t, v, members);
    for (unsigned i = 0; i < t->n_flat; i++) {
        const struct schema_field *f = t->flat[i];
        struct path here = { up, str_n(f->json, f->json_len), 0 };
        if (members[i])
            walk_field(c, f, members[i], &here);
        else if (f->flags & F_REQUIRED && !may_be_empty(t, f))
            say_required(c, &here, NULL);
    }
}

static void walk_kind(causes c, const struct schema_kind *k, const struct val *v, bool status_too)
{
    for (unsigned i = 0; i < k->type->n_flat; i++) {
        const struct schema_field *f = k->type->flat[i];
        struct path here = { NULL, str_n(f->json, f->json_len), 0 };
        const struct val *m = json_get(v, here.name);
        if (m && !str_is(here.name, "metadata") && (status_too || !str_is(here.name, "status")))
            walk_field(c, f, m, &here);
    }
}

void object_validate(const struct schema_kind *k, const char *subresource, const struct val *v, const struct val *old,
                     struct object_causes *ret)
{
    bool status = subresource && strcmp(subresource, "status") == 0;
    check_metadata(ret, k, status, v, old);
    if (k->flags & K_CUSTOM) {
        if (status)
            custom_validate_status(k->type->custom, ret, v, old);
        else
            custom_validate(k->type->custom, ret, v, old, NULL);
        custom_validate_scale(k, ret, v, status);
        return;
    }
    if (status)
        validate_status(k, v, old, ret);
    if (subresource && old && validate_part(k, subresource, v, old, ret))
        return;
    if (!status && validate_kind(k, v, old, ret))
        return;
    if (!status)
        walk_kind(ret, k, v, subresource != NULL);
}
