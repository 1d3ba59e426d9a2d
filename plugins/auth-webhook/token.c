/* token.c - keelson.authn/0: a server elsewhere says who bears a token. */
#include "webhook.h"

struct authn {
    const struct conf *conf;
    struct hook hook;
};

static int authn_open(const struct kl_host *h, const void *conf, void **ret, struct kl_call *c)
{
    struct authn *x = mem_alloc(sizeof *x);
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    x->conf = conf;
    if (!x->conf->kubeconfig) {
        mem_free(x);
        return kl_fail(c, KL_INVALID, "setting 'kubeconfig' is needed");
    }
    int rc = hook_open(&x->hook, h, x->conf->kubeconfig, x->conf->timeout_ns, &c->err);
    if (rc < 0) {
        hook_close(&x->hook);
        mem_free(x);
        return rc;
    }
    *ret = x;
    return 0;
}

static void authn_close(void *self)
{
    struct authn *x = self;
    hook_close(&x->hook);
    mem_free(x);
}

static int64_t ttl(const void *ctx, const struct val *answer)
{
    const struct authn *x = ctx;
    return str_is(json_str(answer, "kind"), "TokenReview") ? x->conf->cache_ttl_ns : -1;
}

static const char *copy(struct kl_call *c, struct str s)
{
    return s.at && memchr(s.at, '\0', s.len) ? NULL : kl_dup(c, s.at ? s.at : "", s.len);
}

static const char *const *texts(struct kl_call *c, const struct val *list, const char *more)
{
    unsigned n = 0, most = val_is(list, VAL_ARR) ? list->n : 0;
    const char **out = kl_alloc(c, (most + 2) * sizeof *out);
    for (const struct val *v = most ? list->first : NULL; v && out; v = v->next) {
        if (!val_is(v, VAL_STR) || !(out[n++] = copy(c, val_str(v))))
            return NULL;
        if (more && (strcmp(out[n - 1], "system:authenticated") == 0 || strcmp(out[n - 1], "system:unauthenticated") == 0))
            more = NULL;
    }
    if (out && more)
        out[n] = more;
    return out;
}

static const char *const *extras(struct kl_call *c, const struct val *extra)
{
    unsigned n = 0, most = 0;
    if (val_is(extra, VAL_OBJ))
        val_each(m, extra)
            most += val_is(m, VAL_ARR) ? m->n : 0;
    const char **out = kl_alloc(c, (2 * (size_t)most + 1) * sizeof *out);
    for (const struct val *m = most ? extra->first : NULL; m && out; m = m->next)
        for (const struct val *v = val_is(m, VAL_ARR) ? m->first : NULL; v; v = v->next)
            if (!(out[n++] = copy(c, val_key(m))) || !(out[n++] = copy(c, val_str(v))))
                return NULL;
    return out;
}

/* Those of the audiences that were asked for that it answers for. */
static const char *const *common(struct kl_call *c, const char *const *asked, const struct val *got)
{
    unsigned n = 0, m = 0;
    while (asked[n])
        n++;
    const char **out = kl_alloc(c, (n + 1) * sizeof *out);
    for (unsigned i = 0; i < n && out; i++)
        val_each(v, got)
            if (str_is(val_str(v), asked[i])) {
                out[m++] = asked[i];
                break;
            }
    return m ? out : NULL;
}

/* Whoever looks at a token before says that it is none of his. */
static int refused(struct kl_call *c, const char *why)
{
    return kl_fail(c, KL_UNAUTHORIZED, "[invalid bearer token, %.300s]", why ? why : "out of memory");
}

static int take(struct kl_call *c, struct arena *a, const struct val *st, const char *const *asked, bool own, struct kl_user *ret)
{
    const struct val *user = json_get(st, STR("user")), *audiences = json_get(st, STR("audiences"));
    const char *const *both = val_is(audiences, VAL_ARR) && audiences->n ? common(c, asked, audiences) : own ? asked : NULL;
    struct str error = json_str(st, "error");
    if (!json_bool(st, "authenticated", false))
        return error.len ? refused(c, arena_printf(a, STR_FMT, STR_ARG(error))) : 0;
    if (!both)
        return 0;
    *ret = (struct kl_user){ .size = sizeof *ret, .name = copy(c, json_str(user, "username")), .uid = copy(c, json_str(user, "uid")),
                             .groups = texts(c, json_get(user, STR("groups")), "system:authenticated"), .extra = extras(c, json_get(user, STR("extra"))) };
    if (!ret->name || !ret->name[0] || !ret->uid || !ret->groups || !ret->extra)
        return kl_fail(c, KL_UNAUTHORIZED, "the webhook's user makes no sense");
    if (own && !(both = texts(c, NULL, asked[0])))
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    ret->audiences = both;
    return 1;
}

static int authenticate(void *self, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    struct authn *x = self;
    const char *const own[] = { x->conf->issuer, NULL };
    const char *const *asked = cred->audiences ? cred->audiences : own;
    if (!cred->bearer || !*cred->bearer)
        return 0;
    _cleanup_arena_ struct arena *a = arena_new(4 << 20);
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct val *v;
    if (a)
        review_token(&b, a, x->conf->version, cred->bearer, asked);
    if (!a || b.failed || arena_exhausted(a))
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int rc = hook_ask(&x->hook, c, a, buf_str(&b), ttl, x, &v);
    if (rc == -KL_PENDING)
        return rc;
    if (rc < 0)
        return refused(c, arena_dup(a, str_of(c->err.msg)));
    return take(c, a, json_get(v, STR("status")), asked, cred->audiences == NULL, ret);
}

const struct kl_authn webhook_authn = { .size = sizeof webhook_authn, .life = { .open = authn_open, .close = authn_close }, .authenticate = authenticate };
