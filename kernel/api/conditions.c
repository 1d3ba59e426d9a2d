/* conditions.c - matchConditions of webhooks and policies when they are written. */
#include "policy.h"

#include "object/validate.h"

#define MOST 64

static void check_expression(causes c, const struct path *p, const struct val *condition, const struct cel_var *vars)
{
    const char *why = NULL;
    struct str text = str_trim(json_str(condition, "expression"));
    if (!text.len)
        say_required(c, IN(p, "expression"), NULL);
    else if (!cel_admission_compile(c->arena, text, vars, 0, CEL_BOOL, &why))
        say_invalid(c, IN(p, "expression"), text, why ? why : "out of memory");
}

void policy_check_conditions(causes c, const struct path *p, const struct val *list, const struct cel_var *vars)
{
    _cleanup_met_ struct met names = { 0 };
    long i = 0;
    if (!val_is(list, VAL_ARR))
        return;
    if (list->n > MOST)
        say_too_many(c, p, list->n, MOST, "s");
    val_each(v, list) {
        const struct path *at = ITEM(p, i++);
        struct str name = json_str(v, "name");
        check_expression(c, at, v, vars);
        if (!name.len)
            say_required(c, IN(at, "name"), NULL);
        else
            check_name(c, IN(at, "name"), name, G_QUALIFIED);
        if (name.len && met_again(&names, name))
            say_duplicate(c, IN(at, "name"), name);
    }
}

/* An update that touches no condition is not refused for them. */
static bool unchanged(const struct val *now, const struct val *old)
{
    if (!val_is(now, VAL_ARR) || !val_is(old, VAL_ARR) || now->n != old->n)
        return false;
    for (const struct val *a = now->first, *b = old->first; a && b; a = a->next, b = b->next) {
        const struct val *x = json_get(a, STR("matchConditions")), *y = json_get(b, STR("matchConditions"));
        if (x != y && (!x || !y || !val_equal(x, y)))
            return false;
    }
    return true;
}

void policy_check_webhooks(struct api_op *op, const struct val *v, const struct val *old, causes c)
{
    static const char *const members[] = { "", "matchConditions", "admissionReviewVersions", NULL };
    static const struct cause_section order[] = { { "webhooks", members }, { NULL, NULL } };
    const struct val *hooks = json_get(v, STR("webhooks"));
    struct cel_var *vars = arena_alloc(op->arena, CEL_ADMISSION_VARS * sizeof *vars);
    long i = 0;
    if (!vars || !val_is(hooks, VAL_ARR) || (old && unchanged(hooks, json_get(old, STR("webhooks")))))
        return;
    cel_admission_vars(vars, CEL_WITH_AUTHORIZER, NULL);
    val_each(h, hooks)
        policy_check_conditions(c, IN(ITEM(IN(NULL, "webhooks"), i++), "matchConditions"), json_get(h, STR("matchConditions")), vars);
    causes_order(c, order);
}
