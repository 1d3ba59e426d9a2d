/* plugin.c - scheduler-binpack: the fullest node that still has room, so that other nodes stay empty. */
#include <keelson/iface/scheduler.h>

static int binpack_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)h;
    (void)conf;
    (void)self;
    (void)c;
    return 0;
}

static int64_t share_used(int64_t all, int64_t used, int64_t more)
{
    int64_t share = all > 0 ? (int64_t)(((__int128)used + more) * 100 / all) : 0;
    return share > 100 ? 100 : share;
}

static int binpack_score(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *n)
{
    (void)self;
    (void)c;
    (void)cycle;
    int64_t cpu = share_used(n->mcpu, n->used_mcpu, pod->mcpu), memory = share_used(n->memory, n->used_memory, pod->memory);
    int64_t pods = share_used(n->pods, n->used_pods, 1);
    /* Pods without requests are packed by their number. */
    int64_t full = pod->mcpu || pod->memory ? (cpu * 2 + memory * 2 + pods) / 5 : (cpu + memory + pods * 3) / 5;
    /* Beside what the pod prefers, by upstream's weights, as its profile has it when it scores by MostAllocated. To be spread unasked is what packing is not. */
    return (int)(3 * (int64_t)n->taints + 2 * (int64_t)n->affinity + 2 * (int64_t)n->spread + 2 * (int64_t)n->neighbours + full + (int64_t)n->images);
}

/* The fullest is not found among some. */
static int binpack_percent(void *self, struct kl_call *c)
{
    (void)self;
    (void)c;
    return 100;
}

static const struct kl_scheduler table = {
    .size = sizeof table,
    .life = { .open = binpack_open },
    .score = binpack_score,
    .percent_of_nodes = binpack_percent,
};

static const struct kl_provider provides[] = { { KL_SCHEDULER_0, "binpack", 0, &table } };

KL_PLUGIN_DEFINE("dev.keelson.scheduler-binpack", "0.1.0", "keelson.scheduler/0:binpack", "", .summary = "the fullest node that has room",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides));
