/* access.c - keelson.authz/0: the authorizers of an AuthorizationConfiguration, in its order. The first that has an opinion decides. */
#include "webhook.h"

#include <stdatomic.h>

struct authz {
    const struct kl_host *host;
    const struct kl_host_plugins *plugins;
    const struct kl_host_cel *cel;
    struct steps *now;                  /* the loop's */
    _Atomic(struct steps *) next;       /* read anew, on a worker; NULL: nothing */
};

static void end_steps(const struct authz *x, struct steps *all)
{
    for (unsigned i = 0; all && i < all->n; i++) {
        struct step *s = &all->at[i];
        for (unsigned k = 0; k < s->n_conditions; k++)
            x->cel->drop(x->host, s->programs[k]);
        if (s->type == AUTH_HOOK)
            hook_close(&s->hook);
    }
    if (all)
        arena_free(all->arena);
    mem_free(all);
}

static void authz_close(void *self)
{
    struct authz *x = self;
    end_steps(x, x->next);
    end_steps(x, x->now);
    mem_free(x);
}

static int compile(const struct authz *x, struct step *s, unsigned nth, struct kl_call *c)
{
    static const char *const variables[] = { "request", "dyn", NULL };
    for (unsigned i = 0; i < s->n_conditions; i++)
        if (x->cel->compile(x->host, c, s->conditions[i], variables, &s->programs[i]) < 0)
            return kl_err_wrap(&c->err, "authorizers[%u].matchConditions[%u].expression: Invalid value: \"%.60s\": compilation failed", nth, i, s->conditions[i]);
    return 0;
}

static int load(const struct authz *x, const struct conf *f, struct steps *all, struct kl_call *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    _cleanup_file_ FILE *in = f->file ? fopen(f->file, "re") : NULL;
    char part[4096];
    if (!in)
        return kl_fail(c, KL_INVALID, f->file ? "file '%s' cannot be read" : "setting 'file' is needed%s", f->file ? f->file : "");
    for (size_t n; (n = fread(part, 1, sizeof part, in)) > 0;)
        buf_add(&b, part, n);
    int rc = b.failed ? kl_fail(c, KL_INVALID, "larger than 1 MiB") : steps_read(all, buf_str(&b), &c->err);
    for (unsigned i = 0; i < all->n && rc == 0; i++) {
        struct step *s = &all->at[i];
        if (s->type == AUTH_HOOK && (rc = compile(x, s, i, c)) == 0)
            rc = hook_open(&s->hook, x->host, s->kubeconfig, s->timeout_ns, &c->err);
    }
    return rc < 0 ? kl_err_wrap(&c->err, "%s", f->file) : 0;
}

static int reconfigure(void *self, const void *conf, struct kl_call *c)
{
    struct authz *x = self;
    struct steps *all = mem_alloc(sizeof *all);
    if (all)
        all->arena = arena_new(8 << 20);
    int rc = all && all->arena ? load(x, conf, all, c) : kl_fail(c, KL_NO_MEMORY, "out of memory");
    end_steps(x, rc < 0 ? all : atomic_exchange(&x->next, all));
    return rc;
}

/* What was read anew takes the place of what was before; who waits for an answer asks again. */
static struct steps *current(struct authz *x)
{
    struct steps *next = atomic_load_explicit(&x->next, memory_order_relaxed) ? atomic_exchange(&x->next, NULL) : NULL;
    if (next) {
        end_steps(x, x->now);
        x->now = next;
    }
    return x->now;
}

static int authz_open(const struct kl_host *h, const void *conf, void **ret, struct kl_call *c)
{
    struct authz *x = mem_alloc(sizeof *x);
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    x->host = h;
    x->plugins = h->service(h, KL_HOST_PLUGINS_0);
    x->cel = h->service(h, KL_HOST_CEL_0);
    int rc = reconfigure(x, conf, c);
    if (rc < 0) {
        authz_close(x);
        return rc;
    }
    *ret = x;
    return 0;
}

/* --- one step --- */

static int64_t ttl(const void *ctx, const struct val *answer)
{
    const struct step *s = ctx;
    const struct val *st = json_get(answer, STR("status"));
    return !str_is(json_str(answer, "kind"), "SubjectAccessReview") ? -1 : json_bool(st, "allowed", false) ? s->yes_ttl_ns : s->no_ttl_ns;
}

/* 1: it is to be asked; 0: one of the conditions is false; < 0: none is, and one has no answer. */
static int matches(const struct authz *x, const struct step *s, struct kl_call *c, struct arena *a, const struct kl_user *user, const struct kl_request *r)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20), spec = BUF_INIT(1 << 20);
    int ret = 1;
    if (!s->n_conditions)
        return 1;
    review_access(&b, a, "v1", user, r);
    struct val *v = b.failed ? NULL : json_parse(a, buf_str(&b), NULL);
    struct val *request = json_get(v, STR("spec"));
    json_arr(a, request, STR("groups"));        /* these are always there to be asked about */
    json_obj(a, request, STR("extra"));
    if (!json_get(request, STR("uid")))
        json_set_str(a, request, STR("uid"), STR(""));
    json_write(&spec, request);
    struct kl_bytes value = { spec.at, spec.len }, out;
    for (unsigned i = 0; i < s->n_conditions; i++) {
        int rc = v && !spec.failed ? x->cel->eval(x->host, c, s->programs[i], &value, 1, &out) : kl_fail(c, KL_NO_MEMORY, "out of memory");
        if (rc == 0 && str_is(str_n(out.at, out.len), "false"))
            return 0;
        if (rc < 0 || !str_is(str_n(out.at, out.len), "true"))
            ret = -KL_INVALID;
    }
    return ret;
}

static int ask(const struct authz *x, struct step *s, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    _cleanup_arena_ struct arena *a = arena_new(4 << 20);
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct val *v = NULL;
    int rc = a ? matches(x, s, c, a, user, r) : -KL_NO_MEMORY;
    if (rc == 0)
        return 0;
    if (rc > 0)
        review_access(&b, a, s->version, user, r);
    if (rc > 0)
        rc = b.failed || arena_exhausted(a) ? kl_fail(c, KL_NO_MEMORY, "out of memory") : hook_ask(&s->hook, c, a, buf_str(&b), ttl, s, &v);
    if (rc == -KL_PENDING)
        return rc;
    if (rc < 0 && s->deny_on_failure)
        return kl_fail(c, KL_FORBIDDEN, "authorizer '%s' cannot be asked", s->name);
    if (rc < 0) {                       /* where nobody else allows it, that it could not be told is what is told */
        c->err.code = KL_INTERNAL;
        return 0;
    }
    kl_err_init(&c->err);
    const struct val *st = json_get(v, STR("status"));
    struct str reason = json_str(st, "reason");
    snprintf(c->err.msg, sizeof c->err.msg, STR_FMT, STR_ARG(reason));
    if (json_bool(st, "denied", false) && json_bool(st, "allowed", false)) {
        kl_fail(c, KL_INTERNAL, "webhook subject access review returned both allow and deny response");
        return 0;
    }
    if (json_bool(st, "denied", false)) {
        c->err.code = KL_FORBIDDEN;
        return -KL_FORBIDDEN;
    }
    return json_bool(st, "allowed", false);
}

static const struct kl_authz *delegate(struct authz *x, struct step *s, struct kl_call *c)
{
    struct kl_instance i = { .size = sizeof i };
    if (!s->found.table && x->plugins->find(x->host, c, KL_AUTHZ_0, s->instance, &i) == 0)
        s->found = i;
    return s->found.table;
}

static int step(struct authz *x, struct step *s, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    const struct kl_authz *t;
    switch (s->type) {
    case AUTH_ALLOW: return 1;
    case AUTH_DENY: return 0;
    case AUTH_HOOK: return ask(x, s, c, user, r);
    case AUTH_INSTANCE: t = delegate(x, s, c); return t ? t->authorize(s->found.self, c, user, r) : 0;
    }
    return 0;
}

static int authorize(void *self, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    struct authz *x = self;
    const struct steps *all = current(x);
    for (unsigned i = 0; i < all->n; i++) {
        int rc = step(x, &all->at[i], c, user, r);
        if (rc != 0)
            return rc;
    }
    return 0;
}

const struct kl_authz webhook_authz = { .size = sizeof webhook_authz, .life = { .open = authz_open, .reconfigure = reconfigure, .close = authz_close }, .authorize = authorize };
