/* plugin.c - service-proxy: one key. What changed since the last time goes to the proxy, or, at the start and after any doubt, everything. */
#include "base/json_scan.h"
#include "proxy.h"

#define KEY "all"

struct service_proxy {
    const struct kl_host *host;
    const struct kl_host_objects *objects;
    const struct kl_host_plugins *plugins;
    const struct kl_host_env *env;
    const struct conf *conf;
    struct changes *changes;
    struct health *health;
    uint64_t generation;
    int64_t last_ns, synced_ns;         /* of the last apply; of the last whole state, 0: the next is whole */
    char here[512];                     /* the node as last applied: addresses, zone */
    bool doubt;                         /* set on the loop, read on the thread */
};

static void proxy_close(void *self)
{
    struct service_proxy *x = self;
    if (x) {
        changes_free(x->changes);
        health_free(x->health);
    }
    mem_free(x);
}

static int proxy_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct service_proxy *x = mem_alloc(sizeof *x);
    if (x) {
        x->changes = changes_new();
        x->health = health_new(h, &((const struct conf *)conf)->ports);
    }
    if (!x || !x->changes || !x->health) {
        proxy_close(x);
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    }
    x->host = h;
    x->conf = conf;
    x->objects = h->service(h, KL_HOST_OBJECTS_0);
    x->plugins = h->service(h, KL_HOST_PLUGINS_0);
    x->env = h->service(h, KL_HOST_ENV_0);
    *self = x;
    return 0;
}

/* --- on the loop: what changed --- */

static struct str member(struct str obj, const char *path)
{
    return json_scan_text(json_scan_path(obj, path));
}

static struct str service_of(struct str slice)
{
    return json_scan_text(json_scan_member(json_scan_path(slice, "metadata.labels"), STR(SERVICE_NAME)));
}

static bool note_slice(struct service_proxy *x, struct str old, struct str obj, bool gone)
{
    struct str ns = member(obj, "metadata.namespace"), name = member(obj, "metadata.name"), before = service_of(old), now = service_of(obj);
    bool ok = true;
    if (before.len && !str_eq(before, now))
        ok = changes_note_slice(x->changes, ns, name, before, true);
    return ok && (!now.len || changes_note_slice(x->changes, ns, name, now, gone));
}

static int proxy_map(void *self, struct kl_call *c, const char *resource, struct kl_bytes old_bytes, struct kl_bytes bytes, struct kl_bytes *ret)
{
    struct service_proxy *x = self;
    struct str old = str_n(old_bytes.at, old_bytes.len), obj = str_n(bytes.at, bytes.len);
    bool ok = true;
    if (strcmp(resource, "/services") == 0)
        ok = changes_note_service(x->changes, member(obj, "metadata.namespace"), member(obj, "metadata.name"));
    else if (strcmp(resource, "/nodes") != 0)
        ok = note_slice(x, old, obj, c->flags & KL_CALL_DELETED);
    if (!ok)
        __atomic_store_n(&x->doubt, true, __ATOMIC_RELEASE);
    *ret = (struct kl_bytes){ KEY, sizeof KEY - 1 };
    return 0;
}

/* --- on the thread: states --- */

static int no_memory(struct kl_call *c)
{
    return kl_fail(c, KL_NO_MEMORY, "out of memory");
}

/* *ret NULL: there is none. */
static int get(struct service_proxy *x, struct kl_call *c, struct arena *a, const char *resource, struct str ns, struct str name, struct val **ret)
{
    struct kl_object_key k = { sizeof k, resource, arena_dup(a, ns), arena_dup(a, name), NULL };
    struct kl_bytes bytes = { NULL, 0 };
    int rc = k.ns && k.name ? x->objects->get(x->host, c, &k, &bytes) : no_memory(c);
    *ret = NULL;
    if (rc < 0 && rc != -KL_NOT_FOUND)
        return rc;
    kl_err_init(&c->err);
    if (rc == 0 && !(*ret = json_parse(a, str_n(bytes.at, bytes.len), &c->err)))
        return -c->err.code;
    return 0;
}

static int write_text(struct kl_call *c, struct arena *a, const struct val *v, struct kl_bytes *ret)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 30);
    json_write(&b, v);
    char *text = b.failed || arena_exhausted(a) ? NULL : arena_dup(a, buf_str(&b));
    *ret = (struct kl_bytes){ text, b.len };
    return text ? 0 : no_memory(c);
}

static int whole_state(struct service_proxy *x, struct kl_call *c, struct arena *a, const struct here *here, struct kl_bytes *ret)
{
    struct kl_object_list services = { .size = sizeof services }, slices = { .size = sizeof slices };
    struct kl_list_options o = { .size = sizeof o, .resource = "/services" };
    int rc = x->objects->list(x->host, c, &o, &services);
    o.resource = "discovery.k8s.io/endpointslices";
    if (rc == 0)
        rc = x->objects->list(x->host, c, &o, &slices);
    if (rc < 0)
        return rc;
    struct val *v = state_build(a, here, x->conf->cluster_cidr, &services, &slices, &c->err);
    if (!v)
        return c->err.code ? -c->err.code : no_memory(c);
    health_take(x->health, json_get(v, STR("services")), NULL, true);
    return write_text(c, a, v, ret);
}

static int add_changed(struct service_proxy *x, struct kl_call *c, struct arena *a, const struct here *here, const struct changed *one,
                       struct val *services, struct val *removed)
{
    struct val *svc, *slice;
    struct slices *all = NULL;
    int rc = get(x, c, a, "/services", one->ns, one->name, &svc);
    for (uint32_t i = 0; svc && rc == 0 && i < one->n_slices; i++) {
        rc = get(x, c, a, "discovery.k8s.io/endpointslices", one->ns, one->slices[i], &slice);
        struct slices *s = slice ? arena_alloc(a, sizeof *s) : NULL;
        if (s) {
            *s = (struct slices){ slice, all };
            all = s;
        }
    }
    if (rc < 0)
        return rc;
    struct val *v = svc ? state_service(a, here, svc, all) : NULL;
    if (v) {
        val_push(services, v);
        return 0;
    }
    v = val_push(removed, val_new(a, VAL_OBJ));
    json_set_str(a, v, STR("namespace"), one->ns);
    json_set_str(a, v, STR("name"), one->name);
    return 0;
}

static int changed_state(struct service_proxy *x, struct kl_call *c, struct arena *a, const struct here *here, struct kl_bytes *ret)
{
    struct changed *first;
    struct val *v = val_new(a, VAL_OBJ), *services = json_arr(a, v, STR("services")), *removed = json_arr(a, v, STR("removed"));
    int rc = changes_take(x->changes, a, &first) ? 0 : no_memory(c);
    for (; rc == 0 && first; first = first->next)
        rc = add_changed(x, c, a, here, first, services, removed);
    if (rc == 0)
        health_take(x->health, services, removed, false);
    return rc < 0 ? rc : write_text(c, a, v, ret);
}

/* --- on the thread: applying --- */

static int apply_whole(struct service_proxy *x, struct kl_call *c, struct arena *a, const struct kl_proxy *p, void *self, const struct here *here)
{
    struct kl_bytes state;
    changes_drop(x->changes);           /* what changes from here on is noted again */
    int rc = whole_state(x, c, a, here, &state);
    if (rc == 0)
        rc = p->apply(self, c, ++x->generation, state);
    x->synced_ns = rc == 0 ? x->env->mono_ns(x->host) : 0;
    return rc;
}

static int apply_changes(struct service_proxy *x, struct kl_call *c, struct arena *a, const struct kl_proxy *p, void *self, const struct here *here)
{
    struct kl_bytes state;
    int rc = changed_state(x, c, a, here, &state);
    if (rc == 0)
        rc = p->update(self, c, x->generation + 1, state);
    if (rc == 0) {
        x->generation++;
        return 0;
    }
    x->synced_ns = 0;                   /* what was taken out of `changes` is not known any more */
    if (rc != -KL_CONFLICT)
        return rc;
    kl_err_init(&c->err);
    return apply_whole(x, c, a, p, self, here);
}

/* Did the node's addresses or its zone change? Its status is written often, for other reasons. */
static bool moved(struct service_proxy *x, const struct here *here)
{
    _cleanup_buf_ struct buf b = BUF_INIT(sizeof x->here - 1);
    json_write(&b, here->ips);
    buf_add_str(&b, here->zone);
    bool changed = b.failed || !str_is(buf_str(&b), x->here);
    snprintf(x->here, sizeof x->here, STR_FMT, STR_ARG(buf_str(&b)));
    return changed;
}

static bool must_be_whole(struct service_proxy *x, const struct kl_proxy *p, const struct here *here, int64_t now)
{
    bool is_new = moved(x, here), doubt = __atomic_exchange_n(&x->doubt, false, __ATOMIC_ACQUIRE);
    return is_new || doubt || !x->synced_ns || now - x->synced_ns >= x->conf->sync_period || !KL_HAS(p, update);
}

/* A node that goes gets no new connections from load balancers. */
static bool stays(const struct val *node)
{
    struct val *taints = json_path(node, "spec.taints");
    if (!node || json_path(node, "metadata.deletionTimestamp"))
        return false;
    if (val_is(taints, VAL_ARR))
        val_each(t, taints)
            if (str_is(json_str(t, "key"), "ToBeDeletedByClusterAutoscaler"))
                return false;
    return true;
}

static int reconcile(struct service_proxy *x, struct kl_call *c, struct arena *a)
{
    struct kl_instance proxy = { .size = sizeof proxy };
    struct val *node = NULL;
    int rc = x->plugins->find(x->host, c, KL_PROXY_0, x->conf->proxy, &proxy);
    if (rc == 0)
        rc = get(x, c, a, "/nodes", STR(""), str_of(x->conf->node), &node);
    const struct kl_proxy *p = proxy.table;
    if (rc == 0) {
        struct here here = state_here(a, x->conf->node, node);
        rc = must_be_whole(x, p, &here, x->env->mono_ns(x->host)) ? apply_whole(x, c, a, p, proxy.self, &here) : apply_changes(x, c, a, p, proxy.self, &here);
    }
    health_proxy(x->health, rc == 0, stays(node), proxy.name);
    return rc;
}

static int proxy_reconcile(void *self, struct kl_call *c, const char *key, int64_t *again_ns)
{
    struct service_proxy *x = self;
    _cleanup_arena_ struct arena *a = arena_new((size_t)1 << 30);
    int64_t now = x->env->mono_ns(x->host), since = now - x->last_ns;
    (void)key;
    if (x->last_ns && since < x->conf->min_interval) {
        *again_ns = x->conf->min_interval - since;
        return 0;
    }
    x->last_ns = now;
    *again_ns = x->conf->check_period;
    int rc = a ? reconcile(x, c, a) : no_memory(c);
    if (rc < 0)
        x->synced_ns = 0;
    return rc;
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
    { .key = "check_period", .type = KL_CONF_DURATION, .offset = offsetof(struct conf, check_period), .fallback = "30s", .min = 1000000000LL,
      .max = 3600000000000LL, .doc = "time without changes after which the proxy looks whether its rules are still there" },
    { .key = "sync_period", .type = KL_CONF_DURATION, .offset = offsetof(struct conf, sync_period), .fallback = "10m", .min = 1000000000LL,
      .max = 86400000000000LL, .doc = "longest time between two whole states" },
    { .key = "health_port", .type = KL_CONF_INT, .offset = offsetof(struct conf, ports.health), .fallback = "10256", .min = 0, .max = 65535,
      .doc = "where load balancers ask whether this node's proxy is well (/healthz); 0: nowhere" },
    { .key = "status_port", .type = KL_CONF_INT, .offset = offsetof(struct conf, ports.status), .fallback = "10249", .min = 0, .max = 65535,
      .doc = "of 127.0.0.1, where the node's own people ask for the proxy's mode (/proxyMode); 0: nowhere" },
};

KL_PLUGIN_DEFINE("dev.keelson.service-proxy", "0.1.0", "keelson.controller/0:service-proxy",
                 "keelson.host.env/0 keelson.host.objects/0 keelson.host.plugins/0 keelson.proxy/0",
                 .summary = "keeps a node's proxy in step with Services", .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs),
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
