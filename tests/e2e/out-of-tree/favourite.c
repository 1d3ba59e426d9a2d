/* favourite.c - a scheduler that prefers the nodes whose names begin with a configured text. */
#include <keelson/iface/scheduler.h>
#include <stdlib.h>

struct conf {
    const char *prefix;
    int64_t score;
};

static int favourite_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    const struct conf **mine = malloc(sizeof *mine);
    if (!mine)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *mine = conf;
    *self = mine;
    kl_log(h, KL_INFO, "nodes that begin with '%s' score %lld", (*mine)->prefix, (long long)(*mine)->score);
    return 0;
}

static void favourite_close(void *self)
{
    free(self);
}

static int favourite_score(void *self, struct kl_call *c, void *cycle, const struct kl_pod_view *pod, const struct kl_node_view *node)
{
    const struct conf *conf = *(const struct conf **)self;
    (void)c;
    (void)cycle;
    (void)pod;
    return strncmp(node->name, conf->prefix, strlen(conf->prefix)) == 0 ? (int)conf->score : 0;
}

static const struct kl_scheduler table = {
    .size = sizeof table,
    .life = { .open = favourite_open, .close = favourite_close },
    .score = favourite_score,
};

static const struct kl_provider provides[] = { { KL_SCHEDULER_0, "favourite", 0, &table } };

static const struct kl_conf_field fields[] = {
    { .key = "prefix", .type = KL_CONF_STR, .offset = offsetof(struct conf, prefix), .flags = KL_CONF_REQUIRED, .doc = "how the names of good nodes begin" },
    { .key = "score", .type = KL_CONF_INT, .offset = offsetof(struct conf, score), .fallback = "100", .min = 1, .max = 100, .doc = "what a good node scores" },
};

KL_PLUGIN_DEFINE("com.acme.favourite", "1.2.3", "keelson.scheduler/0:favourite", "", .summary = "prefers nodes by name", .license = "MIT",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
