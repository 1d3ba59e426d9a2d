/* plugin.c - service-proxy: one key, one whole state, one apply. */
#include "proxy.h"

struct service_proxy {
    const struct kl_host *host;
    const struct kl_host_objects *objects;
    const struct kl_host_plugins *plugins;
    const struct kl_host_env *env;
    const struct conf *conf;
    uint64_t generation;
    int64_t last_ns;                    /* of the last apply */
};

static int proxy_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct service_proxy *x = mem_alloc(sizeof *x);
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    x->host = h;
    x->conf = conf;
    x->objects = h->service(h, KL_HOST_OBJECTS_0);
    x->plugins = h->service(h, KL_HOST_PLUGINS_0);
    x->env = h->service(h, KL_HOST_ENV_0);
    *self = x;
    return 0;
}

static void proxy_close(void *self)
{
    mem_free(self);
}

/* Everything concerns the one key. */
static int proxy_map(void *self, struct kl_call *c, const char *resource, struct kl_bytes old, struct kl_bytes obj, struct kl_bytes *ret)
{
    (void)self;
    (void)c;
    (void)resource;
    (void)old;
    (void)obj;
    *ret = (struct kl_bytes){ "all", 3 };
    return 0;
}

static int gather(struct service_proxy *x, struct kl_call *c, struct arena *a, struct kl_bytes *ret)
{
    struct kl_object_list services = { .size = sizeof services }, slices = { .size = sizeof slices };
    struct kl_list_options o = { .size = sizeof o, .resource = "/services" };
    struct kl_object_key k = { sizeof k, "/nodes", "", x->conf->node, NULL };
    struct kl_bytes node = { NULL, 0 };
    _cleanup_buf_ struct buf b = BUF_INIT(256 << 20);
    int rc = x->objects->list(x->host, c, &o, &services);
    o.resource = "discovery.k8s.io/endpointslices";
    if (rc == 0)
        rc = x->objects->list(x->host, c, &o, &slices);
    if (rc < 0)
        return rc;
    rc = x->objects->get(x->host, c, &k, &node);
    if (rc < 0 && rc != -KL_NOT_FOUND)
        return rc;
    kl_err_init(&c->err);
    struct val *v = state_build(a, x->conf, &services, &slices, rc == 0 ? json_parse(a, str_n(node.at, node.len), &c->err) : NULL, &c->err);
    if (!v)
        return c->err.code ? -c->err.code : kl_fail(c, KL_NO_MEMORY, "out of memory");
    json_write(&b, v);
    char *text = b.failed ? NULL : arena_dup(a, buf_str(&b));
    *ret = (struct kl_bytes){ text, b.len };
    return text ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int proxy_reconcile(void *self, struct kl_call *c, const char *key, int64_t *again_ns)
{
    struct service_proxy *x = self;
    _cleanup_arena_ struct arena *a = arena_new((size_t)512 << 20);
    struct kl_instance proxy = { .size = sizeof proxy };
    struct kl_bytes state;
    (void)key;
    int64_t since = x->env->mono_ns(x->host) - x->last_ns;
    if (x->last_ns && since < x->conf->min_interval) {
        *again_ns = x->conf->min_interval - since;
        return 0;
    }
    int rc = a ? x->plugins->find(x->host, c, KL_PROXY_0, x->conf->proxy, &proxy) : kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (rc == 0)
        rc = gather(x, c, a, &state);
    if (rc < 0)
        return rc;
    x->last_ns = x->env->mono_ns(x->host);
    return ((const struct kl_proxy *)proxy.table)->apply(proxy.self, c, ++x->generation, state);
}

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), "/services", NULL, "map" },
    { sizeof(struct kl_watch), "discovery.k8s.io/endpointslices", NULL, "map" },
    { sizeof(struct kl_watch), "/nodes", "metadata.name=$(node)", "map" },
};

static const struct kl_controller table = {
    .size = sizeof table,
    .life = { .open = proxy_open, .close = proxy_close },
    .flags = KL_CONTROLLER_BLOCKING,
    .workers = 1,
    .watches = KL_ARRAY_OF(watches),
    .map = proxy_map,
    .reconcile = proxy_reconcile,
};

static const struct kl_provider provides[] = { { KL_CONTROLLER_0, "service-proxy", 0, &table } };

static const struct kl_need needs[] = {
    { KL_HOST_ENV_0, 0 },
    { KL_HOST_OBJECTS_0, 0 },
    { KL_HOST_PLUGINS_0, 0 },
    { KL_PROXY_0, 0 },
};

static const struct kl_conf_field fields[] = {
    { .key = "node", .type = KL_CONF_STR, .offset = offsetof(struct conf, node), .flags = KL_CONF_REQUIRED, .doc = "name of this node" },
    { .key = "proxy", .type = KL_CONF_STR, .offset = offsetof(struct conf, proxy), .doc = "instance of keelson.proxy; unset: the default one" },
    { .key = "cluster_cidr", .type = KL_CONF_STR, .offset = offsetof(struct conf, cluster_cidr), .doc = "addresses of all pods" },
    { .key = "min_interval", .type = KL_CONF_DURATION, .offset = offsetof(struct conf, min_interval), .fallback = "20ms", .min = 0,
      .max = 60000000000LL, .doc = "shortest time between two applies" },
};

KL_PLUGIN_DEFINE("dev.keelson.service-proxy", "0.1.0", "keelson.controller/0:service-proxy",
                 "keelson.host.env/0 keelson.host.objects/0 keelson.host.plugins/0 keelson.proxy/0",
                 .summary = "keeps a node's proxy in step with Services", .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs),
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
