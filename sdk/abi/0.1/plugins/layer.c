/* layer.c - as of release 0.1: a layer before schedulers that says which calls took long. An instance names it: layers = [ "old-layer" ]. */
#include <keelson/iface/layer.h>
#include <keelson/iface/scheduler.h>
#include <stdlib.h>

struct conf {
    int64_t slow_ns;
};

struct layer {
    const struct kl_host *host;
    const struct kl_host_env *env;
    const struct conf *conf;
};

struct wrapped {                        /* one instance behind it; its table is what the host calls */
    struct kl_scheduler table;
    const struct layer *layer;
    const struct kl_scheduler *inner;
    void *self;
    char instance[64];
};

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct layer *l = calloc(1, sizeof *l);
    if (!l)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *l = (struct layer){ h, h->service(h, KL_HOST_ENV_0), conf };
    *self = l;
    return 0;
}

static void close_(void *self)
{
    free(self);
}

/* --- what stands before the inner functions --- */

static int begin(void *self, struct kl_call *c, const struct kl_pod_view *pod, void **cycle)
{
    struct wrapped *w = self;
    return w->inner->begin(w->self, c, pod, cycle);
}

static int fit(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *node)
{
    struct wrapped *w = self;
    return w->inner->fit(w->self, c, cycle, pod, node);
}

static int score(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *node)
{
    struct wrapped *w = self;
    const struct layer *l = w->layer;
    int64_t from = l->env->mono_ns(l->host);
    int rc = w->inner->score(w->self, c, cycle, pod, node);
    int64_t took = l->env->mono_ns(l->host) - from;
    if (took > l->conf->slow_ns)
        kl_log(l->host, KL_WARN, "score of '%s' for node '%.100s' took %lld us", w->instance, node->name, (long long)(took / 1000));
    return rc;
}

static void end(void *self, void *cycle)
{
    struct wrapped *w = self;
    w->inner->end(w->self, cycle);
}

static void wrapped_close(void *self)
{
    struct wrapped *w = self;
    if (w->inner->life.close)
        w->inner->life.close(w->self);
    free(w);
}

/* --- wrapping --- */

static int wrap(void *self, struct kl_call *c, const struct kl_layered *inner, struct kl_layered *ret)
{
    if (strcmp(inner->iface, KL_SCHEDULER_0) != 0)
        return kl_fail(c, KL_UNSUPPORTED, "'%s' is no scheduler", inner->instance);
    struct wrapped *w = calloc(1, sizeof *w);
    if (!w)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    w->layer = self;
    w->inner = inner->table;
    w->self = inner->self;
    snprintf(w->instance, sizeof w->instance, "%s", inner->instance);
    /* What the inner table lacks is left out here too. Probe and reconfigure go to the inner instance by functions of their own, if they are wanted. */
    w->table = (struct kl_scheduler){ .size = sizeof w->table, .life = { .open = w->inner->life.open, .close = wrapped_close }, .score = score };
    w->table.begin = KL_HAS(w->inner, begin) ? begin : NULL;
    w->table.fit = KL_HAS(w->inner, fit) ? fit : NULL;
    w->table.end = KL_HAS(w->inner, end) ? end : NULL;
    *ret = (struct kl_layered){ sizeof *ret, inner->iface, w->instance, &w->table, w };
    return 0;
}

static const struct kl_layer table = { .size = sizeof table, .life = { .open = open_, .close = close_ }, .wrap = wrap };
static const struct kl_provider provides[] = { { KL_LAYER_0, "old-layer", 0, &table } };
static const struct kl_need needs[] = { { KL_HOST_ENV_0, 0 } };
static const struct kl_conf_field fields[] = {
    { .key = "slow", .type = KL_CONF_DURATION, .offset = offsetof(struct conf, slow_ns), .fallback = "1ms", .min = 0, .max = 60000000000, .doc = "what is called slow" },
};

KL_PLUGIN_DEFINE("org.example.old-layer", "0.1.0", "keelson.layer/0:old-layer", "keelson.host.env/0", .summary = "says which schedulers are slow", .license = "Apache-2.0",
                 .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
