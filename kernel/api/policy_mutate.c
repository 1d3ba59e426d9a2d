/* policy_mutate.c - mutations: a JSON patch, or an object to merge as an apply would, each an expression's value. */
#include "policy.h"

static const char *failed(struct policy_run *r, const struct kl_err *err)
{
    const char *text = arena_printf(r->w->arena, "%s", err->msg);
    return text ? text : "out of memory";
}

static struct val *conform(struct policy_run *r, struct val *v, const char **ret_why)
{
    struct kl_err err;
    kl_err_init(&err);
    if (!v)
        return NULL;
    if (object_conform(r->w->arena, r->w->op->kind->type, v, NULL, &err) < 0 || object_default(r->w->arena, r->w->op->kind, v) < 0) {
        *ret_why = failed(r, &err);
        return NULL;
    }
    return v;
}

/* Does the kind know all that the object to apply says? */
static bool known(struct policy_run *r, const struct val *patch, const char **ret_why)
{
    struct arena *a = r->w->arena;
    struct object_strict strict = { .arena = a };
    struct kl_err err;
    kl_err_init(&err);
    if (object_conform(a, r->w->op->kind->type, val_copy(a, patch), &strict, &err) < 0) {
        *ret_why = arena_printf(a, "error applying patch: failed to convert patch object to typed object: %s", err.msg);
        return false;
    }
    if (!strict.n)
        return true;
    struct str what = str_of(strict.at[0]), name = what;
    str_cut(&name, '"');
    name = name.at ? str_cut(&name, '"') : what;
    *ret_why = arena_printf(a, "error applying patch: failed to convert patch object to typed object: ." STR_FMT ": field not declared in schema",
                            STR_ARG(name));
    return false;
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
    if (!json_patch && !known(r, patch, ret_why))
        return NULL;
    struct val *now = json_patch ? object_patch_json(a, v, patch, &err) : object_patch_strategic(a, r->w->op->kind->type, v, patch, &err);
    if (!now)
        *ret_why = failed(r, &err);
    return conform(r, now, ret_why);
}

struct val *policy_mutate(struct policy_run *r, struct val *v, const char **ret_why)
{
    for (unsigned i = 0; v && i < r->policy->n_rules; i++) {
        r->vars[CEL_VAR_OBJECT] = cel_of_json(v, NULL);
        v = one(r, &r->policy->rules[i], v, ret_why);
    }
    return v;
}
