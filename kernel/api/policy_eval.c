/* policy_eval.c - expressions of one policy: their variables, computed when they are first asked for, and what they may cost together. */
#include "policy.h"

#include "base/env.h"

#define DEADLINE_NS (5 * NS_PER_S)

static bool variable(void *ctx, struct str name, struct cel_val *ret);

/* --- who may what --- */

static const char *zero(struct arena *a, struct str s)
{
    const char *z = s.len ? arena_dup(a, s) : "";
    return z ? z : "";
}

static void authorize(void *ctx, const struct cel_ask *ask, struct cel_answer *ret)
{
    struct policy_run *r = ctx;
    struct arena *a = r->w->arena;
    struct api *api = r->w->op->api;
    const char *groups[] = { "system:serviceaccounts", NULL, "system:authenticated", NULL };
    struct kl_user account = { .size = sizeof account, .uid = "", .groups = groups };
    const struct kl_user *user = r->w->op->user;
    struct kl_request q = { .size = sizeof q, .is_resource = !ask->path.len, .path = zero(a, ask->path), .group = zero(a, ask->group),
                            .version = "*", .resource = zero(a, ask->resource), .subresource = zero(a, ask->subresource), .ns = zero(a, ask->ns),
                            .name = zero(a, ask->name), .verb = zero(a, ask->verb), .field_selector = zero(a, ask->field_selector),
                            .label_selector = zero(a, ask->label_selector) };
    struct kl_call c;
    if (ask->service_account.len) {
        account.name = arena_printf(a, "system:serviceaccount:" STR_FMT ":" STR_FMT, STR_ARG(ask->service_account_ns), STR_ARG(ask->service_account));
        groups[1] = arena_printf(a, "system:serviceaccounts:" STR_FMT, STR_ARG(ask->service_account_ns));
        user = &account;
    }
    api_call_init(&c, a, user ? user->name : NULL);
    c.request = r->w->op->request;
    int rc = user && api->hooks.authorize ? api->hooks.authorize(api->hooks.ctx, &c, user, &q) : 0;
    r->w->pending |= rc == -KL_PENDING;
    ret->allowed = rc == 1;
    ret->reason = c.err.msg[0] ? arena_dup(a, str_of(c.err.msg)) : NULL;
}

/* --- values --- */

void policy_begin(struct policy_run *r, struct walk_policies *w, const struct policy *p, const struct val *params)
{
    const struct schema_kind *k = w->op->kind;
    struct cel_ask ask = { .group = str_of(k->group), .resource = str_of(k->plural), .subresource = str_of(w->op->subresource), .ns = w->op->ns,
                           .name = api_asked_name(w->op) };
    *r = (struct policy_run){ .w = w, .policy = p, .params = params, .budget = CEL_TOTAL_LIMIT };
    r->values = arena_alloc(w->arena, (p->n_variables + 1) * sizeof *r->values);
    r->known = arena_alloc(w->arena, p->n_variables + 1);
    r->lazy = (struct cel_lazy){ .get = variable, .ctx = r };
    r->vars[CEL_VAR_OBJECT] = cel_of_json(w->shown, NULL);
    r->vars[CEL_VAR_OLD_OBJECT] = cel_of_json(w->shown_old, NULL);
    r->vars[CEL_VAR_REQUEST] = cel_of_request(w->request);
    r->vars[CEL_VAR_NAMESPACE] = cel_of_json(policy_namespace(w), NULL);
    r->vars[CEL_VAR_PARAMS] = cel_of_json(params, NULL);
    r->vars[CEL_VAR_AUTHORIZER] = cel_of_authorizer(w->arena);
    r->vars[CEL_VAR_REQUEST_RESOURCE] = cel_of_resource_check(w->arena, &ask);
    r->vars[CEL_VAR_VARIABLES] = cel_of_lazy(&r->lazy);
    r->run = (struct cel_run){ .arena = w->arena, .vars = r->vars, .limit = CEL_CALL_LIMIT, .deadline_ns = env_mono_ns() + DEADLINE_NS,
                               .authorize = authorize, .authorize_ctx = r };
}

/* False: the budget is spent, *ret is the error. */
static bool spend(struct policy_run *r, uint64_t cost, struct cel_val *ret)
{
    r->budget -= cost > INT64_MAX ? INT64_MAX : (int64_t)cost;
    if (r->budget >= 0)
        return true;
    *ret = (struct cel_val){ .kind = CEL_ERROR, .s = STR("validation failed due to running out of cost budget, no further validation rules will be run") };
    return false;
}

static bool variable(void *ctx, struct str name, struct cel_val *ret)
{
    struct policy_run *r = ctx;
    const struct policy *p = r->policy;
    unsigned i = 0;
    while (i < p->n_variables && !str_eq(p->variables[i].name, name))
        i++;
    if (i == p->n_variables || !r->known || !r->values)
        return false;
    if (!r->known[i]) {
        struct cel_run run = r->run;
        struct cel_val v = p->variables[i].program ? cel_eval(p->variables[i].program, &run) : cel_error(r->w->arena, "%s", p->variables[i].why);
        if (v.kind == CEL_ERROR)
            v = cel_error(r->w->arena, "composited variable \"" STR_FMT "\" fails to evaluate: " STR_FMT, STR_ARG(name), STR_ARG(v.s));
        spend(r, run.cost, &v);
        r->values[i] = v;
        r->known[i] = true;
    }
    *ret = r->values[i];
    return true;
}

struct cel_val policy_value(struct policy_run *r, const struct expression *e, const struct cel_program *p)
{
    if (!p)
        return cel_error(r->w->arena, "compilation error: %s", e->why ? e->why : "there is no expression");
    struct cel_run run = r->run;
    struct cel_val v = cel_eval(p, &run);
    if (!spend(r, run.cost, &v) || v.kind != CEL_ERROR)
        return v;
    if (str_is(v.s, CEL_OVER_LIMIT))
        v.s = STR("operation cancelled: actual cost limit exceeded");
    return cel_error(r->w->arena, "expression '" STR_FMT "' resulted in error: " STR_FMT, STR_ARG(e->text), STR_ARG(v.s));
}

int policy_conditions(struct policy_run *r, const char **ret_why)
{
    const char *first = NULL;
    int64_t budget = r->budget;
    r->budget = CEL_MATCH_LIMIT;
    for (unsigned i = 0; i < r->policy->n_conditions; i++) {
        struct cel_val v = policy_value(r, &r->policy->conditions[i], r->policy->conditions[i].program);
        if (v.kind == CEL_BOOL && !v.b) {
            r->budget = budget;
            return 0;
        }
        if (v.kind == CEL_ERROR && !first)
            first = arena_dup(r->w->arena, v.s);
    }
    r->budget = budget;
    *ret_why = first;
    return first ? -1 : 1;
}
