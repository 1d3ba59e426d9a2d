/* newer.c - a scheduler for a newer host: its headers have members at the ends that this host does not fill. */
#include <keelson/iface/scheduler.h>
#include <stdlib.h>

struct newer {
    const struct kl_host *host;
    const struct kl_host_env *env;
    const struct kl_host_objects *objects;
};

static int newer_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct newer *n = calloc(1, sizeof *n);
    (void)conf;
    if (!n)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *n = (struct newer){ h, h->service(h, KL_HOST_ENV_0), h->service(h, "keelson.host.tomorrow/0") };
    *self = n;
    kl_log(h, KL_INFO, "this host tells %s", KL_HAS(n->env, cpu_ns) ? "cpu time" : "no cpu time");
    return 0;
}

static void newer_close(void *self)
{
    free(self);
}

static int newer_score(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *node)
{
    const struct newer *n = self;
    (void)c;
    (void)cycle;
    (void)pod;
    if (KL_HAS(n->env, cpu_ns) || n->objects)
        return (int)(n->env->cpu_ns(n->host) % 100);
    /* A number that is not there counts as 0. */
    int64_t devices = node->size >= offsetof(struct kl_node_view, devices) + sizeof node->devices ? node->devices : 0;
    return devices ? (int)(devices % 100) : 42;
}

static int newer_tomorrow(void *self, struct kl_call *c)
{
    (void)self;
    (void)c;
    return 0;
}

static const struct kl_scheduler table = {
    .size = sizeof table, .life = { .open = newer_open, .close = newer_close }, .score = newer_score, .tomorrow = newer_tomorrow,
};
static const struct kl_provider provides[] = { { KL_SCHEDULER_0, "newer", 0, &table } };
static const struct kl_need needs[] = { { KL_HOST_ENV_0, 0 }, { "keelson.host.tomorrow/0", 1 } };
KL_PLUGIN_DEFINE("org.example.newer", "9.0.0", "keelson.scheduler/0:newer", "keelson.host.env/0 keelson.host.tomorrow/0", .needs = KL_ARRAY_OF(needs),
                 .providers = KL_ARRAY_OF(provides));
