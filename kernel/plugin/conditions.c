/* conditions.c - keelson.host.cel/0: match conditions of admission, over what is written, the request and the chain of authorizers. */
#include "base/env.h"
#include "cel/admission.h"
#include "host-internal.h"

#define CONDITIONS_MOST (16u << 20)
#define RUN_MOST        (64u << 20)
#define DEADLINE_NS     (5 * NS_PER_S)

struct condition {
    struct str text;
    struct cel_program *program;        /* NULL: why */
    const char *why;
};

struct conditions {                     /* begins as all that drop frees */
    struct arena *arena;
    struct condition *at;
    unsigned n;
};

int host_conditions(const struct kl_host *h, struct kl_call *c, const char *const *texts, void **ret)
{
    struct arena *a = arena_new(CONDITIONS_MOST);
    struct conditions *x = a ? arena_alloc(a, sizeof *x) : NULL;
    struct cel_var *vars = x ? arena_alloc(a, CEL_ADMISSION_VARS * sizeof *vars) : NULL;
    unsigned n = 0;
    (void)h;
    while (texts[n])
        n++;
    if (vars && (x->at = arena_alloc(a, (n + 1) * sizeof *x->at))) {
        x->arena = a;
        cel_admission_vars(vars, CEL_WITH_AUTHORIZER, NULL);
        for (; x->n < n; x->n++) {
            struct condition *k = &x->at[x->n];
            k->text = arena_str(a, str_of(texts[x->n]));
            k->program = k->text.at ? cel_admission_compile(a, k->text, vars, 0, CEL_BOOL, &k->why) : NULL;
        }
    }
    if (!vars || !x->at || arena_exhausted(a)) {
        arena_free(a);
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    }
    *ret = x;
    return 0;
}

/* --- who may what --- */

struct asker {
    const struct kl_host *host;
    const struct kl_call *call;
    struct arena *arena;
    const struct kl_user *user;
    bool pending;
};

static const char *zero(struct arena *a, struct str s)
{
    const char *z = s.len ? arena_dup(a, s) : "";
    return z ? z : "";
}

static void authorize(void *ctx, const struct cel_ask *ask, struct cel_answer *ret)
{
    struct asker *x = ctx;
    struct arena *a = x->arena;
    const struct plugin_instance *me = x->host->ctx;
    const char *groups[] = { "system:serviceaccounts", NULL, "system:authenticated", NULL };
    struct kl_user account = { .size = sizeof account, .uid = "", .groups = groups };
    const struct kl_user *user = x->user;
    struct kl_request q = { .size = sizeof q, .is_resource = !ask->path.len, .path = zero(a, ask->path), .group = zero(a, ask->group), .version = "*",
                            .resource = zero(a, ask->resource), .subresource = zero(a, ask->subresource), .ns = zero(a, ask->ns),
                            .name = zero(a, ask->name), .verb = zero(a, ask->verb), .field_selector = zero(a, ask->field_selector),
                            .label_selector = zero(a, ask->label_selector) };
    struct kl_call c = *x->call;
    if (ask->service_account.len) {
        account.name = arena_printf(a, "system:serviceaccount:" STR_FMT ":" STR_FMT, STR_ARG(ask->service_account_ns), STR_ARG(ask->service_account));
        groups[1] = arena_printf(a, "system:serviceaccounts:" STR_FMT, STR_ARG(ask->service_account_ns));
        user = &account;
    }
    kl_err_init(&c.err);
    int rc = user && user->name ? host_authorize(me->owner, &c, user, &q) : 0;
    x->pending |= rc == -KL_PENDING;
    ret->allowed = rc == 1;
    ret->reason = c.err.msg[0] ? arena_dup(a, str_of(c.err.msg)) : NULL;
}

/* --- evaluation --- */

static bool used(const struct conditions *x, const char *variable)
{
    for (unsigned i = 0; i < x->n; i++)
        if (x->at[i].program && cel_uses(x->at[i].program, variable))
            return true;
    return false;
}

static struct val *tree(struct arena *a, const struct conditions *x, const char *variable, struct kl_bytes text)
{
    return text.len && used(x, variable) ? json_parse(a, str_n(text.at, text.len), NULL) : NULL;
}

static void set_request(struct arena *a, struct cel_val vars[CEL_ADMISSION_VARS], struct kl_bytes text)
{
    const struct val *r = json_parse(a, str_n(text.at, text.len), NULL);
    struct cel_ask ask = { .group = json_str(r, "resource.group"), .resource = json_str(r, "resource.resource"), .subresource = json_str(r, "subResource"),
                           .ns = json_str(r, "namespace"), .name = json_str(r, "name") };
    vars[CEL_VAR_REQUEST] = cel_of_request(r);
    vars[CEL_VAR_AUTHORIZER] = cel_of_authorizer(a);
    vars[CEL_VAR_REQUEST_RESOURCE] = cel_of_resource_check(a, &ask);
}

/* CEL_NOTHING: it is true. */
static struct cel_val run_one(const struct condition *k, struct cel_run *run, int64_t *budget)
{
    struct arena *a = run->arena;
    if (!k->program)
        return cel_error(a, "compilation error: %s", k->why ? k->why : "out of memory");
    struct cel_val v = cel_eval(k->program, run);
    *budget -= run->cost > INT64_MAX ? INT64_MAX : (int64_t)run->cost;
    if (*budget < 0)
        return cel_error(a, "validation failed due to running out of cost budget, no further validation rules will be run");
    if (v.kind != CEL_ERROR)
        return v.kind == CEL_BOOL && v.b ? CEL_NOTHING : v;
    return str_is(v.s, CEL_OVER_LIMIT) ?
           cel_error(a, "no further validation rules will be run due to call cost exceeds limit for expression: " STR_FMT, STR_ARG(k->text)) :
           cel_error(a, "expression '" STR_FMT "' resulted in error: " STR_FMT, STR_ARG(k->text), STR_ARG(v.s));
}

int host_match(const struct kl_host *h, struct kl_call *c, void *conditions, const struct kl_user *user, struct kl_bytes request, struct kl_bytes object,
               struct kl_bytes old, const char **ret_why)
{
    const struct conditions *x = conditions;
    _cleanup_arena_ struct arena *a = arena_new(RUN_MOST);
    _cleanup_buf_ struct buf why = BUF_INIT(64 << 10);
    struct asker asker = { h, c, a, user, false };
    struct cel_val *vars = a ? arena_alloc(a, CEL_ADMISSION_VARS * sizeof *vars) : NULL;
    int64_t budget = CEL_MATCH_LIMIT;
    unsigned n = 0;
    if (!vars)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    for (int i = 0; i < CEL_ADMISSION_VARS; i++)
        vars[i] = cel_of_json(NULL, NULL);
    vars[CEL_VAR_OBJECT] = cel_of_json(tree(a, x, "object", object), NULL);
    vars[CEL_VAR_OLD_OBJECT] = cel_of_json(tree(a, x, "oldObject", old), NULL);
    set_request(a, vars, request);
    struct cel_run run = { .arena = a, .vars = vars, .limit = CEL_CALL_LIMIT, .deadline_ns = env_mono_ns() + DEADLINE_NS, .authorize = authorize,
                           .authorize_ctx = &asker };
    for (unsigned i = 0; i < x->n; i++) {
        struct cel_val v = run_one(&x->at[i], &run, &budget);
        if (asker.pending)
            return kl_fail(c, KL_PENDING, "a decision about the request is pending");
        if (v.kind == CEL_BOOL)
            return 0;
        if (v.kind == CEL_ERROR)
            buf_printf(&why, "%s" STR_FMT, n++ ? ", " : "", STR_ARG(v.s));
    }
    if (!n)
        return 1;
    char *text = kl_alloc(c, why.len + 3);
    if (!text)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    snprintf(text, why.len + 3, n > 1 ? "[%.*s]" : "%.*s", (int)why.len, why.len ? why.at : "");
    *ret_why = text;
    return kl_fail(c, KL_INVALID, "%.200s", text);
}
