/* plugin.c - store-memory: keeps nothing. The kernel holds all objects itself; with this provider they end with the process. For tests
 * and for nodes that start from nothing each time. */
#include <keelson/iface/store.h>
#include <stdlib.h>

struct memory {
    uint64_t revision;
};

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)h;
    (void)conf;
    struct memory *m = calloc(1, sizeof *m);
    if (!m)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *self = m;
    return 0;
}

static void close_(void *self)
{
    free(self);
}

static uint64_t revision(void *self)
{
    return ((struct memory *)self)->revision;
}

static int range(void *self, struct kl_call *c, struct kl_bytes after, uint32_t max, const struct kl_store_record **ret, uint32_t *ret_n)
{
    (void)self;
    (void)c;
    (void)after;
    (void)max;
    *ret = NULL;
    *ret_n = 0;
    return 0;
}

static int append(void *self, struct kl_call *c, const struct kl_store_commit *commits, uint32_t n)
{
    struct memory *m = self;
    if (n && commits[0].revision <= m->revision)
        return kl_fail(c, KL_INVALID, "revision %llu is not above %llu", (unsigned long long)commits[0].revision, (unsigned long long)m->revision);
    if (n)
        m->revision = commits[n - 1].revision;
    return 0;
}

static const struct kl_store table = {
    .size = sizeof table, .life = { .open = open_, .close = close_ }, .revision = revision, .range = range, .append = append,
};
static const struct kl_provider provides[] = { { KL_STORE_0, "memory", -1, &table } };

KL_PLUGIN_DEFINE("dev.keelson.store-memory", "0.1.0", "keelson.store/0:memory", "", .summary = "objects end with the process",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides));
