/* scheduler.c - as of release 0.1: a scheduler that prefers nodes with room, and among those the ones whose names begin with a configured text. */
#include <keelson/iface/scheduler.h>
#include <stdlib.h>

struct conf {                           /* the settings, as the host binds them */
    const char *prefix;
    int64_t bonus;
};

struct scheduler {                      /* one instance */
    const struct kl_host *host;
    const struct conf *conf;            /* valid until close, or the next successful reconfigure */
};

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct scheduler *s = calloc(1, sizeof *s);
    if (!s)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    s->host = h;
    s->conf = conf;
    *self = s;
    kl_log(h, KL_INFO, "nodes that begin with '%s' are preferred by %lld", s->conf->prefix, (long long)s->conf->bonus);
    return 0;
}

static int reconfigure(void *self, const void *conf, struct kl_call *c)
{
    (void)c;
    ((struct scheduler *)self)->conf = conf;
    return 0;
}

static int probe(void *self, struct kl_call *c)
{
    (void)self;
    (void)c;
    return 0;
}

static void close_(void *self)
{
    free(self);
}

/* Asked about each node where the pod's requests fit. */
static int fit(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *node)
{
    (void)self;
    (void)c;
    (void)cycle;
    (void)pod;
    return node->pods > 0 && node->used_pods >= node->pods ? KL_FIT_NO : KL_FIT_YES;
}

/* 0..100: the share of the node's cores that is free, and the bonus. */
static int score(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *node)
{
    const struct scheduler *s = self;
    int64_t free_mcpu = node->mcpu - node->used_mcpu - pod->mcpu, points = node->mcpu > 0 && free_mcpu > 0 ? free_mcpu * 100 / node->mcpu : 0;
    (void)c;
    (void)cycle;
    if (strncmp(node->name, s->conf->prefix, strlen(s->conf->prefix)) == 0)
        points += s->conf->bonus;
    return (int)(points > 100 ? 100 : points);
}

static const struct kl_scheduler table = {
    .size = sizeof table,
    .life = { .open = open_, .reconfigure = reconfigure, .probe = probe, .close = close_ },
    .fit = fit,
    .score = score,
};
static const struct kl_provider provides[] = { { KL_SCHEDULER_0, "old-scheduler", 0, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "prefix", .type = KL_CONF_STR, .offset = offsetof(struct conf, prefix), .flags = KL_CONF_LIVE, .fallback = "", .doc = "how the names of preferred nodes begin" },
    { .key = "bonus", .type = KL_CONF_INT, .offset = offsetof(struct conf, bonus), .flags = KL_CONF_LIVE, .fallback = "20", .min = 0, .max = 100, .doc = "by how much, of 100" },
};

KL_PLUGIN_DEFINE("org.example.old-scheduler", "0.1.0", "keelson.scheduler/0:old-scheduler", "", .summary = "prefers nodes with room", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
