/* plugin.c - admission-eventratelimit: how many events of the core group may be written, as upstream limits no others. Behind the webhooks in the chain: a request that they made wait is not charged twice. */
#include <keelson/iface/auth.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "limits.h"

struct conf {
    const char *limits;
};

struct limiter {
    const struct kl_host *host;
    const struct kl_host_env *env;
    struct arena *arena;
    struct limit *at;
    unsigned n;
};

static int open_it(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    const struct conf *f = conf;
    struct arena *a = arena_new(1 << 20);
    struct limiter *x = a ? arena_alloc(a, sizeof *x) : NULL;
    struct str text = x && f->limits ? arena_str(a, str_of(f->limits)) : STR_NONE;
    struct val *list = text.at ? json_parse(a, text, &c->err) : NULL;
    int rc = !x ? kl_fail(c, KL_NO_MEMORY, "out of memory") : text.at && !list ? -c->err.code : limits_read(a, list, &x->at, &x->n, &c->err);
    if (rc < 0) {
        arena_free(a);
        return rc;
    }
    x->host = h;
    x->env = h->service(h, KL_HOST_ENV_0);
    x->arena = a;
    *self = x;
    return 0;
}

static void close_it(void *self)
{
    struct limiter *x = self;
    limits_free(x->at, x->n);
    arena_free(x->arena);               /* x lives in it */
}

static struct str key_of(const struct limit *l, struct arena *a, const struct kl_admission_review *r)
{
    switch (l->type) {
    case LIMIT_NAMESPACE: return str_of(r->request->ns);
    case LIMIT_USER: return str_of(r->user ? r->user->name : "");
    case LIMIT_SOURCE_AND_OBJECT: return limit_event_key(a, json_parse(a, str_n(r->object.at, r->object.len), NULL));
    default: return STR("");
    }
}

/* Each limit has its say, so all that are reached are told. */
static int review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    struct limiter *x = self;
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    unsigned n = 0;
    if (c->flags & KL_CALL_DRY_RUN)
        return 0;
    if (!a)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    for (unsigned i = 0; i < x->n; i++) {
        struct limit *l = &x->at[i];
        struct str key = key_of(l, a, r);
        if (limit_take(l, key, x->env->mono_ns(x->host)))
            continue;
        if (l->type == LIMIT_SERVER)
            key = STR("<nil>");
        buf_printf(&b, "%slimit reached on type %s for key " STR_FMT, n++ ? ", " : "", limit_types[l->type], STR_ARG(key));
    }
    if (!n)
        return 0;
    char *text = arena_printf(a, n > 1 ? "Too many requests: [" STR_FMT "]" : "Too many requests: " STR_FMT, STR_ARG(buf_str(&b)));
    ret->refusal = text ? kl_dup(c, text, strlen(text)) : NULL;
    return kl_fail(c, KL_TOO_MANY_REQUESTS, "%.240s", text ? text : "Too many requests");
}

static const char *const resources[] = { "/events", NULL };
static const struct kl_admission table = { .size = sizeof table, .life = { .open = open_it, .close = close_it }, .resources = resources,
                                           .operations = "CREATE,UPDATE", .review = review };

static const struct kl_provider provides[] = { { KL_ADMISSION_0, "event-rate-limit", 0, &table } };
static const struct kl_need needs[] = { { KL_HOST_ENV_0, 0 } };
static const struct kl_conf_field conf[] = {
    { .key = "limits", .type = KL_CONF_GROUPS, .offset = offsetof(struct conf, limits), .flags = KL_CONF_REQUIRED,
      .doc = "groups of type (Server, Namespace, User, SourceAndObject), qps, burst and, for all but Server, cache_size (keys that are remembered)" },
};

KL_PLUGIN_DEFINE("dev.keelson.admission-eventratelimit", "0.1.0", "keelson.admission/0:event-rate-limit", "keelson.host.env/0",
                 .summary = "limits of how many events are written", .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs),
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(conf), .conf_size = sizeof(struct conf));
