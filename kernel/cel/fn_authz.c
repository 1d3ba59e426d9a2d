/* fn_authz.c - authorizer.group('').resource('pods').check('get').allowed(): what is asked is gathered, and asked of whoever evaluates. */
#include "cel/cel-internal.h"
#include "cel/cost.h"

/* A copy of the first argument's question as another kind of value. */
static struct cel_ask *next(struct cel_ctx *c, const struct cel_val *v, enum cel_kind kind, struct cel_val *ret)
{
    struct cel_opaque *o;
    *ret = val_opaque(c->arena, kind, &o);
    if (o && v->opaque)
        o->ask = v->opaque->ask;
    return o ? &o->ask : NULL;
}

#define STEP(name, kind, assign) \
    static struct cel_val name(struct cel_ctx *c, struct cel_val *v, unsigned n) \
    { \
        struct cel_val r; \
        struct cel_ask *ask = next(c, &v[0], kind, &r); \
        (void)n; \
        if (ask) { \
            assign; \
        } \
        return r; \
    }
STEP(fn_group, CEL_GROUP_CHECK, ask->group = v[1].s)
STEP(fn_resource, CEL_RESOURCE_CHECK, ask->resource = v[1].s)
STEP(fn_subresource, CEL_RESOURCE_CHECK, ask->subresource = v[1].s)
STEP(fn_namespace, CEL_RESOURCE_CHECK, ask->ns = v[1].s)
STEP(fn_name, CEL_RESOURCE_CHECK, ask->name = v[1].s)
STEP(fn_field_selector, CEL_RESOURCE_CHECK, ask->field_selector = v[1].s)
STEP(fn_label_selector, CEL_RESOURCE_CHECK, ask->label_selector = v[1].s)
STEP(add_path, CEL_PATH_CHECK, ask->path = v[1].s)
STEP(add_account, CEL_AUTHORIZER, (ask->service_account_ns = v[1].s, ask->service_account = v[2].s))

static struct cel_val fn_path(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    return v[1].s.len ? add_path(c, v, n) : cel_error(c->arena, "path must not be empty");
}

static struct cel_val fn_account(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    if (!v[1].s.len || !v[2].s.len)
        return cel_error(c->arena, "invalid service account %s", v[1].s.len ? "name" : "namespace");
    return add_account(c, v, n);
}

static struct cel_val fn_check(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_opaque *o;
    struct cel_val r = val_opaque(c->arena, CEL_DECISION, &o);
    struct cel_ask ask = v[0].opaque->ask;
    (void)n;
    if (!o)
        return r;
    ask.verb = v[1].s;
    if (c->run->authorize)
        c->run->authorize(c->run->authorize_ctx, &ask, &o->answer);
    else
        o->answer = (struct cel_answer){ .error = "there is nobody to ask" };
    return r;
}

static struct cel_val fn_errored(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_bool(v[0].opaque->answer.error != NULL);
}

static struct cel_val fn_error(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return cel_of_str(str_of(v[0].opaque->answer.error));
}

static struct cel_val fn_allowed(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_bool(v[0].opaque->answer.allowed);
}

static struct cel_val fn_reason(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return cel_of_str(str_of(v[0].opaque->answer.reason));
}

const struct fn fns_authz[] = {
    { "path", "authorizer.(string)path", fn_path, cost_one, NULL, FN_BY_NAME },
    { "group", "authorizer.(string)group", fn_group, cost_one, NULL, FN_BY_NAME },
    { "serviceAccount", "authorizer.(string,string)authorizer", fn_account, cost_one, NULL, FN_BY_NAME },
    { "resource", "group.(string)resource", fn_resource, cost_one, NULL, FN_BY_NAME },
    { "subresource", "resource.(string)resource", fn_subresource, cost_one, NULL, FN_BY_NAME },
    { "namespace", "resource.(string)resource", fn_namespace, cost_one, NULL, FN_BY_NAME },
    { "name", "resource.(string)resource", fn_name, cost_one, NULL, FN_BY_NAME },
    { "fieldSelector", "resource.(string)resource", fn_field_selector, cost_selector, est_selector, FN_BY_NAME },
    { "labelSelector", "resource.(string)resource", fn_label_selector, cost_selector, est_selector, FN_BY_NAME },
    { "check", "path.(string)decision|resource.(string)decision", fn_check, cost_check, est_check, FN_BY_NAME },
    { "errored", "decision.()bool", fn_errored, cost_one, NULL, FN_BY_NAME },
    { "error", "decision.()string", fn_error, cost_one, NULL, FN_BY_NAME },
    { "allowed", "decision.()bool", fn_allowed, cost_one, NULL, FN_BY_NAME },
    { "reason", "decision.()string", fn_reason, cost_one, NULL, FN_BY_NAME },
    { NULL, NULL, NULL, NULL, NULL, 0 },
};
