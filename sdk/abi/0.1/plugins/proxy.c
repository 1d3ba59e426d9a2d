/* proxy.c - as of release 0.1: a service proxy that writes the wanted state into a file, for a data plane that reads it there. The file is replaced as a whole. */
#include <errno.h>
#include <fcntl.h>
#include <keelson/iface/proxy.h>
#include <stdlib.h>
#include <unistd.h>

struct conf {
    const char *path;
};

struct proxy {
    const struct conf *conf;
    uint64_t generation;
};

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct proxy *p = calloc(1, sizeof *p);
    (void)h;
    if (!p)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    p->conf = conf;
    *self = p;
    return 0;
}

static void close_(void *self)
{
    free(self);
}

/* A kill at any time leaves the old or the new file. */
static int replace(const char *path, struct kl_bytes text, struct kl_call *c)
{
    char next[4096];
    int n = snprintf(next, sizeof next, "%s.new", path), fd = n > 0 && (size_t)n < sizeof next ? open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    int ok = fd >= 0 && write(fd, text.at, text.len) == (ssize_t)text.len;
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    if (!ok || rename(next, path) < 0)
        return kl_fail(c, KL_UNAVAILABLE, "'%s' cannot be written: %s", path, strerror(errno));
    return 0;
}

static int apply(void *self, struct kl_call *c, uint64_t generation, struct kl_bytes state)
{
    struct proxy *p = self;
    if (generation < p->generation)
        return 0;                       /* what is newer is there already */
    int rc = replace(p->conf->path, state, c);
    if (rc == 0)
        p->generation = generation;
    return rc;
}

static int teardown(void *self, struct kl_call *c)
{
    struct proxy *p = self;
    if (unlink(p->conf->path) < 0 && errno != ENOENT)
        return kl_fail(c, KL_UNAVAILABLE, "'%s' cannot be removed: %s", p->conf->path, strerror(errno));
    return 0;
}

static const struct kl_proxy table = { .size = sizeof table, .life = { .open = open_, .close = close_ }, .apply = apply, .teardown = teardown };
static const struct kl_provider provides[] = { { KL_PROXY_0, "old-proxy", 0, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "path", .type = KL_CONF_STR, .offset = offsetof(struct conf, path), .flags = KL_CONF_REQUIRED, .doc = "the file" },
};

KL_PLUGIN_DEFINE("org.example.old-proxy", "0.1.0", "keelson.proxy/0:old-proxy", "", .summary = "Services as a file", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
