/* plugin.c - @NAME@: a node as the API server asks it. This one runs no pods: it says so of each that it is asked about. */
#include <keelson/iface/node.h>

struct conf {
    const char *name;
};

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)h;
    (void)c;
    *self = (void *)conf;
    return 0;
}

static const char *name(void *self)
{
    return ((const struct conf *)self)->name;
}

static int no_pod(struct kl_call *c, const char *ns, const char *pod)
{
    return kl_fail(c, KL_NOT_FOUND, "pod '%s/%.120s' does not run here", ns, pod);
}

static int logs(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const struct kl_log_options *o, int32_t fd)
{
    (void)self;
    (void)container;
    (void)o;
    (void)fd;                           /* the caller's: written to, never closed */
    return no_pod(c, ns, pod);
}

static int exec(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const char *const *argv,
                const struct kl_runtime_io *io, int32_t *exit_code)
{
    (void)self;
    (void)container;
    (void)argv;
    (void)io;
    (void)exit_code;
    return no_pod(c, ns, pod);
}

static int attach(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const struct kl_runtime_io *io)
{
    (void)self;
    (void)container;
    (void)io;
    return no_pod(c, ns, pod);
}

static int dial(void *self, struct kl_call *c, const char *ns, const char *pod, int32_t port, int32_t *ret_fd)
{
    (void)self;
    (void)port;
    (void)ret_fd;
    return no_pod(c, ns, pod);
}

static int stats(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    static const char text[] = "{\"node\":{},\"pods\":[]}";
    (void)self;
    *ret = (struct kl_bytes){ kl_dup(c, text, sizeof text - 1), sizeof text - 1 };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int page(void *self, struct kl_call *c, const char *path, struct kl_bytes *ret)
{
    (void)self;
    (void)ret;
    return kl_fail(c, KL_NOT_FOUND, "there is no page '%.120s'", path);
}

static const struct kl_node table = {
    .size = sizeof table,
    .life = { .open = open_ },
    .name = name,
    .logs = logs,
    .exec = exec,
    .attach = attach,
    .dial = dial,
    .stats = stats,
    .page = page,
};
static const struct kl_provider provides[] = { { KL_NODE_0, "@NAME@", 0, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "node", .type = KL_CONF_STR, .offset = offsetof(struct conf, name), .flags = KL_CONF_REQUIRED, .doc = "name of the Node object" },
};

KL_PLUGIN_DEFINE("@ID@", "0.1.0", "keelson.node/0:@NAME@", "", .summary = "a node without pods", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
