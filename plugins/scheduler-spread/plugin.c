/* plugin.c - scheduler-spread: as upstream's default profile scores, the emptiest and most evenly used node, after what the pod prefers. The default scheduler. */
#include <keelson/iface/scheduler.h>

struct conf {
    int64_t owner_weight;
};

/* Weights of upstream's default profile. */
enum { TAINTS = 3, AFFINITY = 2, SPREAD = 2, NEIGHBOURS = 2, ROOM = 1, BALANCE = 1, IMAGES = 1, ALL = 12 };

static int spread_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)h;
    (void)c;
    *self = (void *)conf;               /* lives as long as the instance */
    return 0;
}

/* What is left of `all` when the pod is there too, in 0..100. */
static int64_t share_left(int64_t all, int64_t used)
{
    int64_t left = all - used;
    return left <= 0 ? 0 : left < INT64_MAX / 100 ? left * 100 / all : left / (all / 100);
}

/* Of those that the node has. */
static int64_t room(const struct kl_pod_view *pod, const struct kl_node_view *n)
{
    int64_t sum = 0, kinds = (n->mcpu > 0) + (n->memory > 0);
    if (n->mcpu > 0)
        sum += share_left(n->mcpu, n->guess_mcpu + pod->guess_mcpu);
    if (n->memory > 0)
        sum += share_left(n->memory, n->guess_memory + pod->guess_memory);
    return kinds ? sum / kinds : 0;
}

/* 100: cpu and memory are used to equal parts. */
static int64_t evenness(const struct kl_node_view *n, int64_t mcpu, int64_t memory)
{
    if (n->mcpu <= 0 || n->memory <= 0)
        return 100;
    double cpu = (double)mcpu / (double)n->mcpu, mem = (double)memory / (double)n->memory;
    cpu = cpu > 1 ? 1 : cpu;
    mem = mem > 1 ? 1 : mem;
    double apart = cpu > mem ? (cpu - mem) / 2 : (mem - cpu) / 2;
    return (int64_t)((1 - apart) * 100);
}

/* Does the pod make the node's use more even? 75: neither. Pods that ask for nothing have no say. */
static int64_t balance(const struct kl_pod_view *pod, const struct kl_node_view *n)
{
    if (!pod->mcpu && !pod->memory)
        return 0;
    int64_t with = evenness(n, n->used_mcpu + pod->mcpu, n->used_memory + pod->memory), without = evenness(n, n->used_mcpu, n->used_memory);
    return 50 + (50 + with - without) / 2;
}

static int spread_score(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *n)
{
    const struct conf *conf = self;
    (void)c;
    (void)cycle;
    int64_t profile = TAINTS * (int64_t)n->taints + AFFINITY * (int64_t)n->affinity + SPREAD * ((int64_t)n->spread + n->unasked_spread) + NEIGHBOURS * (int64_t)n->neighbours +
                      ROOM * room(pod, n) + BALANCE * balance(pod, n) + IMAGES * (int64_t)n->images;
    if (!conf->owner_weight)
        return (int)profile;
    int64_t alone = ALL * 100 / (1 + (int64_t)n->matching_pods);
    return (int)((profile * (100 - conf->owner_weight) + alone * conf->owner_weight) / 100);
}

static const struct kl_scheduler table = {
    .size = sizeof table,
    .life = { .open = spread_open },
    .score = spread_score,
};

static const struct kl_provider provides[] = { { KL_SCHEDULER_0, "spread", 10, &table } };

static const struct kl_conf_field fields[] = {
    { .key = "owner_weight", .type = KL_CONF_INT, .offset = offsetof(struct conf, owner_weight), .fallback = "0", .min = 0, .max = 100,
      .doc = "percent that pods of the same owner, whoever it is, count; the rest is upstream's profile" },
};

KL_PLUGIN_DEFINE("dev.keelson.scheduler-spread", "0.1.0", "keelson.scheduler/0:spread", "", .summary = "the emptiest node, as upstream scores",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
