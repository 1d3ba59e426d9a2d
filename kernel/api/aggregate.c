/* aggregate.c - which groups are remote: follows the APIServices, and the Services and slices that lead to their servers. */
#include "aggregate.h"

#include "base/env.h"
#include "base/log.h"
#include "object/base64.h"

#define SOON_NS  (200 * NS_PER_MS)      /* changes of endpoints come in swarms */
#define SWEEP_NS (30 * NS_PER_S)

static void on_look(void *ctx);
static void on_services(void *ctx);
static void on_slices(void *ctx);

struct aggregated *aggregate_find(struct api *api, struct str group, struct str version)
{
    char key[600];
    struct aggregates *x = api->aggregates;
    int n = !x || !x->remote.n ? 0 : snprintf(key, sizeof key, STR_FMT "/" STR_FMT, STR_ARG(group), STR_ARG(version));
    return n > 0 && n < (int)sizeof key ? map_get(&x->remote, str_n(key, (size_t)n)) : NULL;
}

/* --- one of them --- */

static void aggregated_free(struct aggregated *g)
{
    loop_timer_stop(&g->timer);
    aggregate_probe_end(g);
    aggregate_retire(g->of, g->client);
    mem_free(g->url);
    mem_free(g->resources);
    mem_free(g->openapi);
    arena_free(g->arena);
    mem_free(g);
}

static struct str decoded(struct arena *a, struct str base64)
{
    char *at = base64.len && base64_valid(base64) ? arena_alloc(a, base64_decoded(base64) + 1) : NULL;
    return at ? str_n(at, base64_decode(base64, at)) : STR_NONE;
}

static struct aggregated *aggregated_new(struct aggregates *x, struct store_object *o)
{
    struct arena *a = arena_new(4u << 20);
    struct aggregated *g = a ? mem_alloc(sizeof *g) : NULL;
    struct val *v = g ? json_parse(a, arena_str(a, store_object_json(o)), NULL) : NULL, *spec = json_get(v, STR("spec"));
    if (!v) {
        arena_free(a);
        mem_free(g);
        return NULL;
    }
    g->of = x;
    g->arena = a;
    g->name = arena_dup(a, store_object_name(o));
    g->group = arena_dup(a, json_str(spec, "group"));
    g->version = arena_dup(a, json_str(spec, "version"));
    g->key = arena_printf(a, "%s/%s", g->group, g->version);
    g->ns = arena_dup(a, json_str(spec, "service.namespace"));
    g->service = arena_dup(a, json_str(spec, "service.name"));
    g->port = json_int(spec, "service.port", 443);
    g->server_name = arena_printf(a, "%s.%s.svc", g->service, g->ns);
    g->insecure = json_bool(spec, "insecureSkipTLSVerify", false);
    g->ca = decoded(a, json_str(spec, "caBundle"));
    g->group_priority = json_int(spec, "groupPriorityMinimum", 0);
    g->version_priority = json_int(spec, "versionPriority", 0);
    g->body = (struct buf)BUF_INIT(4u << 20);
    if (arena_exhausted(a)) {
        arena_free(a);
        mem_free(g);
        return NULL;
    }
    return g;
}

static bool same_place(const struct aggregated *a, const struct aggregated *b)
{
    return strcmp(a->key, b->key) == 0 && strcmp(a->server_name, b->server_name) == 0 && a->port == b->port && a->insecure == b->insecure &&
           a->ca.len == b->ca.len && (!a->ca.len || memcmp(a->ca.at, b->ca.at, a->ca.len) == 0) && a->group_priority == b->group_priority &&
           a->version_priority == b->version_priority;
}

static struct aggregated *by_name(struct aggregates *x, struct str name)
{
    size_t at = 0;
    void *v;
    while (map_next(&x->remote, &at, NULL, &v))
        if (str_is(name, ((struct aggregated *)v)->name))
            return v;
    return NULL;
}

static void forget(struct aggregates *x, struct aggregated *g)
{
    map_del(&x->remote, str_of(g->key));
    aggregated_free(g);
}

static void follow(struct aggregates *x, struct store_object *o)
{
    struct aggregated *was = by_name(x, store_object_name(o)), *g = aggregated_new(x, o);
    if (!g)
        return;
    if (was && g->service[0] && same_place(was, g)) {
        aggregated_free(g);
        return;
    }
    if (was)
        forget(x, was);
    if (!g->service[0]) {
        aggregated_free(g);
        aggregate_say(x->api, store_object_name(o), true, "Local", "Local APIServices are always available");
        return;
    }
    if (!map_put(&x->remote, str_of(g->key), g)) {
        aggregated_free(g);
        return;
    }
    aggregate_probe(g);
}

static bool follow_listed(void *ctx, struct store_object *o)
{
    follow(ctx, o);
    return true;
}

/* --- changes of what leads there --- */

static void look_soon(struct aggregates *x, int64_t ns)
{
    if (!x->looking || ns == SOON_NS)
        loop_timer_start(x->api->loop, &x->look, ns, on_look, x);
    x->looking = true;
}

static void drain(struct aggregates *x, struct store_watch **w, const char *resource, loop_fn fn)
{
    struct store_event e;
    struct kl_err err;
    bool expired = false;
    kl_err_init(&err);
    while (*w && store_watch_next(*w, &e, &expired))
        ;
    if (!expired)
        return;
    store_watch_free(*w);
    *w = NULL;
    if (store_watch_new(x->api->store, str_of(resource), STR_NONE, store_revision(x->api->store), fn, x, w, &err) < 0)
        log_error("api", "aggregation: %s", err.msg);
}

static void on_services(void *ctx)
{
    struct aggregates *x = ctx;
    drain(x, &x->services, "/services", on_services);
    look_soon(x, SOON_NS);
}

static void on_slices(void *ctx)
{
    struct aggregates *x = ctx;
    drain(x, &x->slices, "discovery.k8s.io/endpointslices", on_slices);
    look_soon(x, SOON_NS);
}

static void on_look(void *ctx)
{
    struct aggregates *x = ctx;
    size_t at = 0;
    void *v;
    x->looking = false;
    while (map_next(&x->remote, &at, NULL, &v))
        if (aggregate_resolve(v))
            aggregate_probe(v);
    aggregate_sweep(x, false);
    if (x->register_wanted)
        aggregate_register(x->api, false);
    x->register_wanted = false;
    if (!list_empty(&x->retired))
        look_soon(x, SWEEP_NS);
}

/* Nobody remote: nobody need be watched. */
static void watch_places(struct aggregates *x)
{
    struct kl_err err;
    kl_err_init(&err);
    uint64_t now = store_revision(x->api->store);
    if (!x->remote.n) {
        store_watch_free(x->services);
        store_watch_free(x->slices);
        x->services = x->slices = NULL;
        return;
    }
    if (!x->services && store_watch_new(x->api->store, STR("/services"), STR_NONE, now, on_services, x, &x->services, &err) < 0)
        log_error("api", "aggregation: %s", err.msg);
    if (!x->slices &&
        store_watch_new(x->api->store, STR("discovery.k8s.io/endpointslices"), STR_NONE, now, on_slices, x, &x->slices, &err) < 0)
        log_error("api", "aggregation: %s", err.msg);
}

/* --- the APIServices --- */

static void on_wake(void *ctx)
{
    struct aggregates *x = ctx;
    struct store_event e;
    struct kl_err err;
    bool expired = false;
    kl_err_init(&err);
    while (store_watch_next(x->watch, &e, &expired)) {
        struct aggregated *g = e.type == STORE_DELETED ? by_name(x, store_object_name(e.object)) : NULL;
        if (g)
            forget(x, g);
        else if (e.type != STORE_DELETED)
            follow(x, e.object);
    }
    if (expired) {
        store_watch_free(x->watch);
        x->watch = NULL;
        struct store_range all = { .resource = STR(APISERVICES) };
        if (store_watch_new(x->api->store, all.resource, STR_NONE, store_revision(x->api->store), on_wake, x, &x->watch, &err) < 0)
            log_error("api", "aggregation: %s", err.msg);
        store_list(x->api->store, &all, follow_listed, x);
    }
    watch_places(x);
    if (!list_empty(&x->retired))
        look_soon(x, SWEEP_NS);
}

/* --- life --- */

int api_aggregates_new(struct api *api, struct kl_err *err)
{
    struct aggregates *x = mem_alloc(sizeof *x);
    struct store_range all = { .resource = STR(APISERVICES), .head = true };
    if (!x)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    x->api = api;
    list_init(&x->reads);
    list_init(&x->retired);
    api->aggregates = x;
    int rc = aggregate_register(api, true);
    if (rc < 0)
        return kl_err_set(err, KL_INTERNAL, "the APIServices cannot be written");
    rc = store_watch_new(api->store, all.resource, STR_NONE, store_revision(api->store), on_wake, x, &x->watch, err);
    if (rc < 0)
        return rc;
    store_list(api->store, &all, follow_listed, x);
    watch_places(x);
    return 0;
}

void api_aggregates_kinds_changed(struct api *api)
{
    if (!api->aggregates)
        return;
    api->aggregates->register_wanted = true;
    look_soon(api->aggregates, SOON_NS);
}

void api_aggregates_stop(struct aggregates *x)
{
    size_t at = 0;
    void *v;
    if (!x)
        return;
    loop_timer_stop(&x->look);
    aggregate_reads_stop(x);
    while (map_next(&x->remote, &at, NULL, &v)) {
        struct aggregated *g = v;
        loop_timer_stop(&g->timer);
        aggregate_probe_end(g);
    }
    store_watch_free(x->watch);
    store_watch_free(x->services);
    store_watch_free(x->slices);
    x->watch = x->services = x->slices = NULL;
}

void api_aggregates_free(struct aggregates *x)
{
    size_t at = 0;
    void *v;
    if (!x)
        return;
    api_aggregates_stop(x);
    while (map_next(&x->remote, &at, NULL, &v))
        aggregated_free(v);
    map_free(&x->remote);
    aggregate_sweep(x, true);
    mem_free(x);
}
