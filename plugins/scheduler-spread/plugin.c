/* plugin.c - scheduler-spread: the emptiest node, and few pods of one owner together. The default scheduler. */
#include <keelson/iface/scheduler.h>


struct conf {
    int64_t owner_weight;
};

static int spread_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)h;
    (void)c;
    *self = (void *)conf;               /* lives as long as the instance */
    return 0;
}

/* What is left of `all` when the pod is there too, in 0..100. */
static int64_t share_left(int64_t all, int64_t used, int64_t more)
{
    int64_t left = all - used - more;
    return all > 0 && left > 0 ? left * 100 / all : 0;
}

static int spread_score(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *n)
{
    const struct conf *conf = self;
    (void)c;
    (void)cycle;
    int64_t room = (share_left(n->mcpu, n->used_mcpu, pod->mcpu) + share_left(n->memory, n->used_memory, pod->memory) +
                    share_left(n->pods, n->used_pods, 1)) / 3;
    int64_t alone = 100 / (1 + (int64_t)n->matching_pods);
    return (int)((room * (100 - conf->owner_weight) + alone * conf->owner_weight) / 100);
}

static const struct kl_scheduler table = {
    .size = sizeof table,
    .life = { .open = spread_open },
    .score = spread_score,
};

static const struct kl_provider provides[] = { { KL_SCHEDULER_0, "spread", 10, &table } };

static const struct kl_conf_field fields[] = {
    { .key = "owner_weight", .type = KL_CONF_INT, .offset = offsetof(struct conf, owner_weight), .fallback = "60", .min = 0, .max = 100,
      .doc = "percent that pods of the same owner count; the rest is free room" },
};

KL_PLUGIN_DEFINE("dev.keelson.scheduler-spread", "0.1.0", "keelson.scheduler/0:spread", "", .summary = "the emptiest node; owners' pods apart",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
