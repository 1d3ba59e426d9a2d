/* plugin.c - authn-jwt: who bears a token of one of the issuers in a file. */
#include <keelson/iface/auth.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "keys.h"

#define FILE_MOST (1u << 20)

struct conf {
    const char *file, *own_issuer;
};

/* One file as it was read. */
struct state {
    struct config config;
    struct keys *keys;                  /* of config.issuers */
};

struct self {
    const struct kl_host *host;
    const struct kl_host_env *env;
    struct evaluator evaluator;
    struct state *now;                  /* the loop's */
    _Atomic(struct state *) next;       /* read anew, on a worker; NULL: nothing */
};

static int read_file(const char *path, struct buf *b, struct kl_err *err)
{
    _cleanup_file_ FILE *f = fopen(path, "re");
    char chunk[8192];
    if (!f)
        return kl_err_set(err, KL_INVALID, "file '%s' cannot be read", path);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        buf_add(b, chunk, n);
    return b->failed ? kl_err_set(err, KL_INVALID, "file '%s' is larger than %u bytes", path, FILE_MOST) : 0;
}

static void end_state(const struct self *s, struct state *x)
{
    if (!x)
        return;
    for (unsigned i = 0; x->keys && i < x->config.n; i++)
        keys_free(&x->keys[i]);
    for (unsigned i = 0; i < x->config.n; i++)
        for (unsigned k = 0; k < x->config.issuers[i].n_expressions; k++)
            s->evaluator.cel->drop(s->host, x->config.issuers[i].expressions[k].program);
    mem_free(x->keys);
    config_free(&x->config);
    mem_free(x);
}

static void close_(void *self)
{
    struct self *s = self;
    end_state(s, s->next);
    end_state(s, s->now);
    mem_free(s);
}

static int compile(const struct self *s, struct issuer *x, struct kl_call *c)
{
    static const char *const claims[] = { "claims", "map", NULL }, *const user[] = { "user", "io.k8s.api.authentication.v1.UserInfo", NULL };
    for (unsigned i = 0; i < x->n_expressions; i++) {
        struct expression *e = &x->expressions[i];
        if (s->evaluator.cel->compile(s->host, c, e->text, e->use == USE_USER_RULE ? user : claims, &e->program) < 0)
            return kl_err_wrap(&c->err, "%s: Invalid value: \"%.60s\": compilation failed", e->path, e->text);
    }
    return 0;
}

static int load(const struct self *s, const struct conf *f, struct state *x, struct kl_call *c)
{
    const struct kl_host *h = s->host;
    _cleanup_buf_ struct buf b = BUF_INIT(FILE_MOST);
    int rc = read_file(f->file, &b, &c->err);
    if (rc == 0 && (rc = config_read(&x->config, buf_str(&b), f->own_issuer, &c->err)) < 0)
        return kl_err_wrap(&c->err, "%s", f->file);
    if (rc == 0 && !(x->keys = mem_alloc((x->config.n + 1) * sizeof *x->keys)))
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    for (unsigned i = 0; rc == 0 && i < x->config.n; i++)
        x->keys[i] = (struct keys){ .by = &x->config.issuers[i], .host = h, .http = h->service(h, KL_HOST_HTTP_0) };
    for (unsigned i = 0; rc == 0 && i < x->config.n; i++)
        if ((rc = compile(s, &x->config.issuers[i], c)) < 0)
            return kl_err_wrap(&c->err, "%s", f->file);
    return rc;
}

static int reconfigure(void *self, const void *conf, struct kl_call *c)
{
    struct self *s = self;
    struct state *x = mem_alloc(sizeof *x);
    int rc = x ? load(s, conf, x, c) : kl_fail(c, KL_NO_MEMORY, "out of memory");
    end_state(s, rc < 0 ? x : atomic_exchange(&s->next, x));
    return rc;
}

static int open_(const struct kl_host *h, const void *conf, void **ret, struct kl_call *c)
{
    struct self *s = mem_alloc(sizeof *s);
    if (!s)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    s->host = h;
    s->env = h->service(h, KL_HOST_ENV_0);
    s->evaluator = (struct evaluator){ h, h->service(h, KL_HOST_CEL_0) };
    int rc = reconfigure(s, conf, c);
    if (rc < 0) {
        close_(s);
        return rc;
    }
    *ret = s;
    return 0;
}

/* What was read anew takes the place of what was before; who waits for keys of an issuer asks again. */
static struct state *current(struct self *s)
{
    struct state *next = atomic_load_explicit(&s->next, memory_order_relaxed) ? atomic_exchange(&s->next, NULL) : NULL;
    if (next) {
        end_state(s, s->now);
        s->now = next;
    }
    return s->now;
}

static struct keys *keys_of(const struct state *x, struct str issuer)
{
    if (str_is(issuer, "accounts.google.com"))
        issuer = STR("https://accounts.google.com");
    for (unsigned i = 0; i < x->config.n; i++)
        if (str_is(issuer, x->config.issuers[i].url))
            return &x->keys[i];
    return NULL;
}

static int authenticate(void *self, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    struct self *s = self;
    const struct state *x = current(s);
    struct jwt t;
    if (!cred->bearer) {
        bool shows_nothing = !cred->cert_cn && !cred->cert_shown.len && cred->path;
        return shows_nothing && !config_anonymous(&x->config, cred->path) ? kl_fail(c, KL_UNAUTHORIZED, "anonymous requests are not allowed here") : 0;
    }
    _cleanup_arena_ struct arena *a = arena_new(1 << 20);
    if (!a || !jwt_parse(a, str_of(cred->bearer), &t))
        return 0;
    struct keys *k = keys_of(x, json_str(t.payload, "iss"));
    if (!k)
        return 0;                       /* not one of ours: another may know it */
    int rc = keys_verify(k, c, &t, s->env->mono_ns(s->host));
    if (rc != 1)
        return rc < 0 ? rc : -KL_UNAUTHORIZED;
    return claims_user(c, a, &s->evaluator, k->by, t.payload, s->env->wall_ns(s->host) / 1000000000LL, ret);
}

static const struct kl_authn table = { .size = sizeof table, .life = { .open = open_, .reconfigure = reconfigure, .close = close_ }, .authenticate = authenticate };
static const struct kl_provider provides[] = { { KL_AUTHN_0, "jwt", 0, &table } };
static const struct kl_need needs[] = { { KL_HOST_ENV_0, false }, { KL_HOST_HTTP_0, false }, { KL_HOST_CEL_0, false } };
static const struct kl_conf_field fields[] = {
    { .key = "file", .type = KL_CONF_STR, .offset = offsetof(struct conf, file), .flags = KL_CONF_REQUIRED | KL_CONF_FILE,
      .doc = "YAML of the kind AuthenticationConfiguration (apiserver.config.k8s.io/v1)" },
    { .key = "own_issuer", .type = KL_CONF_STR, .offset = offsetof(struct conf, own_issuer), .fallback = "https://kubernetes.default.svc.cluster.local",
      .doc = "the issuer of service account tokens, whose tokens are not judged here" },
};

KL_PLUGIN_DEFINE("dev.keelson.authn-jwt", "0.1.0", "keelson.authn/0:jwt", "keelson.host.env/0 keelson.host.http/0 keelson.host.cel/0", .summary = "users by tokens of OIDC issuers",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides), .needs = KL_ARRAY_OF(needs), .conf = KL_ARRAY_OF(fields),
                 .conf_size = sizeof(struct conf));
