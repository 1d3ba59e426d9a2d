/* policy_mutate.c - mutations: a JSON patch, or an object to merge as an apply would, each an expression's value. */
#include "policy.h"

#include "object/fields.h"
#include "object/object-internal.h"

static const char *failed(struct policy_run *r, const struct kl_err *err)
{
    static const char head[] = "json patch: ";
    bool patch = strncmp(err->msg, head, sizeof head - 1) == 0;
    const char *text = arena_printf(r->w->arena, "%s%s", patch ? "JSON Patch: " : "", err->msg + (patch ? sizeof head - 1 : 0));
    return text ? text : "out of memory";
}

static struct val *conform(struct policy_run *r, struct val *v, const char **ret_why)
{
    struct kl_err err;
    kl_err_init(&err);
    if (!v)
        return NULL;
    if (object_conform(r->w->arena, policy_kind(r->w)->type, v, NULL, &err) < 0 || object_default(r->w->arena, policy_kind(r->w), v) < 0) {
        *ret_why = failed(r, &err);
        return NULL;
    }
    return v;
}

/* Does the kind know all that the object to apply says? */
static bool known(struct policy_run *r, const struct merge_type *t, const struct val *patch, const char **ret_why)
{
    const char *why = merge_check(r->w->arena, t, patch, true);
    if (why)
        *ret_why = arena_printf(r->w->arena, "error applying patch: failed to convert patch object to typed object: %s", why);
    return !why;
}

/* --- what an apply replaces as a whole: it may not be applied --- */

static void note(struct buf *b, const struct path *p)
{
    _cleanup_buf_ struct buf path = BUF_INIT(1 << 16);
    path_write(&path, p);
    buf_printf(b, "%s.%s", b->len ? ", " : "", path.at ? path.at : "");
}

static void atomics_of_schema(struct buf *b, const struct val *schema, const struct val *v, const struct path *p)
{
    const struct val *props = json_get(schema, STR("properties")), *values = json_get(schema, STR("additionalProperties"));
    struct str list = json_str(schema, "x-kubernetes-list-type");
    long i = 0;
    if (v->type == VAL_ARR) {
        if (!str_is(list, "set") && !str_is(list, "map"))
            note(b, p);
        val_each(x, v)
            atomics_of_schema(b, json_get(schema, STR("items")), x, &(struct path){ p, STR_NONE, i++ });
    } else if (v->type == VAL_OBJ) {
        if (str_is(json_str(schema, "x-kubernetes-map-type"), "atomic"))
            note(b, p);
        val_each(m, v) {
            const struct val *s = json_get(props, val_key(m));
            atomics_of_schema(b, s ? s : values, m, &(struct path){ p, val_key(m), 0 });
        }
    }
}

static void atomics(struct buf *b, const struct schema_type *t, const struct val *v, const struct path *p);

static void atomics_of_field(struct buf *b, const struct schema_field *f, const struct val *v, const struct path *p)
{
    bool whole = f->shape == SHAPE_LIST ? !(f->flags & (F_LIST_SET | F_LIST_MAP)) : (f->flags & (F_STRUCT_ATOMIC | F_LIST_ATOMIC)) != 0;
    long i = 0;
    if (whole && (v->type == VAL_ARR || v->type == VAL_OBJ))
        note(b, p);
    if (f->shape == SHAPE_LIST && v->type == VAL_ARR)
        val_each(x, v)
            atomics(b, f->type, x, &(struct path){ p, STR_NONE, i++ });
    else if (f->shape == SHAPE_MAP && v->type == VAL_OBJ)
        val_each(x, v)
            atomics(b, f->type, x, &(struct path){ p, val_key(x), 0 });
    else if (f->shape == SHAPE_ONE)
        atomics(b, f->type, v, p);
}

static void atomics(struct buf *b, const struct schema_type *t, const struct val *v, const struct path *p)
{
    if (t->kind == T_CUSTOM) {
        atomics_of_schema(b, custom_schema_tree(t->custom), v, p);
        return;
    }
    if (t->kind != T_STRUCT || v->type != VAL_OBJ)
        return;
    if (p && t->flags & F_STRUCT_ATOMIC)
        note(b, p);
    val_each(m, v) {
        const struct schema_field *f = schema_field_find(t, val_key(m));
        if (f)
            atomics_of_field(b, f, m, &(struct path){ p, val_key(m), 0 });
    }
}

static bool whole_parts(struct policy_run *r, const struct val *patch, const char **ret_why)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    atomics(&b, policy_kind(r->w)->type, patch, NULL);
    if (b.len)
        *ret_why = arena_printf(r->w->arena, "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: %s", b.at);
    return b.len > 0;
}

static struct val *one(struct policy_run *r, const struct expression *e, struct val *v, const char **ret_why)
{
    struct arena *a = r->w->arena;
    struct cel_val value = policy_value(r, e, e->program);
    struct kl_err err;
    kl_err_init(&err);
    if (value.kind == CEL_ERROR) {
        *ret_why = arena_dup(a, value.s);
        return NULL;
    }
    struct val *patch = cel_to_json(a, value);
    bool json_patch = str_is(json_str(e->source, "patchType"), "JSONPatch");
    if (!patch || (json_patch ? patch->type != VAL_ARR : patch->type != VAL_OBJ)) {
        *ret_why = json_patch ? "the expression gives no list of JSONPatch" : "the expression gives no Object";
        return NULL;
    }
    if (json_patch) {
        struct val *now = object_patch_json(a, v, patch, &err);
        if (!now && strncmp(err.msg, "json patch: testing ", 20) == 0)
            return v;                   /* a test that fails: nothing is changed */
        if (!now)
            *ret_why = failed(r, &err);
        return conform(r, now, ret_why);
    }
    struct merge_type t = merge_type_of(policy_kind(r->w)->type);
    t.bare = true;
    if (!known(r, &t, patch, ret_why) || whole_parts(r, patch, ret_why))
        return NULL;
    return conform(r, val_copy(a, merge_apply(a, &t, v, patch)), ret_why);
}

struct val *policy_mutate(struct policy_run *r, struct val *v, const char **ret_why)
{
    for (unsigned i = 0; v && i < r->policy->n_rules; i++) {
        r->vars[CEL_VAR_OBJECT] = cel_of_json(v, NULL);
        v = one(r, &r->policy->rules[i], v, ret_why);
    }
    return v;
}
