/* plugin.c - dns-cluster: keeps the zone in step with Services and EndpointSlices, and the name server where pods look for it. */
#include <arpa/inet.h>

#include "base/json_scan.h"
#include "dns.h"

#define SERVICE_NAME "kubernetes.io/service-name"
#define OTHER_PROXY  "service.kubernetes.io/service-proxy-name"
#define OWN_NS       "kube-system"
#define OWN_NAME     "kube-dns"
#define OWN_PLACE    10                 /* in the range of Services */

struct dns {
    const struct kl_host *host;
    const struct kl_host_objects *objects;
    const struct conf *conf;
    struct zone zone;
    struct server *server;
    uint32_t address;
};

static int dns_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct dns *d = mem_alloc(sizeof *d);
    if (!d)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    d->host = h;
    d->conf = conf;
    d->objects = h->service(h, KL_HOST_OBJECTS_0);
    zone_init(&d->zone, conf);
    d->address = d->zone.service_range.first + OWN_PLACE;
    if (!d->zone.service_range.first || !range_has(d->zone.service_range, d->address)) {
        zone_free(&d->zone);
        mem_free(d);
        return kl_fail(c, KL_INVALID, "the range of Services has no place for the name server");
    }
    *self = d;
    return 0;
}

static void stop(struct dns *d)
{
    if (!d->server)
        return;
    server_stop(d->server);
    d->server = NULL;
    if (!server_elsewhere(d->address, DNS_PORT))    /* another process goes on with it */
        address_remove(d->address);
}

static void dns_close(void *self)
{
    struct dns *d = self;
    stop(d);
    zone_free(&d->zone);
    mem_free(d);
}

/* --- on the loop --- */

static struct str service_of(struct str slice)
{
    return json_scan_text(json_scan_member(json_scan_path(slice, "metadata.labels"), STR(SERVICE_NAME)));
}

static int dns_map(void *self, struct kl_call *c, const char *resource, struct kl_bytes old, struct kl_bytes obj, struct kl_bytes *ret)
{
    struct str ns = json_scan_text(json_scan_path(str_n(obj.at, obj.len), "metadata.namespace"));
    struct str before = service_of(str_n(old.at, old.len)), now = service_of(str_n(obj.at, obj.len));
    char text[1200];
    int n = 0;
    (void)self;
    if (strcmp(resource, "/namespaces") == 0)
        n = snprintf(text, sizeof text, OWN_NS "/" OWN_NAME);
    else if (now.len && before.len && !str_eq(now, before))
        n = snprintf(text, sizeof text, STR_FMT "/" STR_FMT "\n" STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(now), STR_ARG(ns), STR_ARG(before));
    else if (now.len || before.len)
        n = snprintf(text, sizeof text, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(now.len ? now : before));
    *ret = (struct kl_bytes){ n >= 0 && (size_t)n < sizeof text ? kl_dup(c, text, (size_t)n) : NULL, (size_t)n };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

/* --- on a thread --- */

static int get_service(struct dns *d, struct kl_call *c, struct arena *a, struct str ns, struct str name, struct val **ret)
{
    struct kl_object_key k = { sizeof k, "/services", arena_dup(a, ns), arena_dup(a, name), NULL };
    struct kl_bytes bytes;
    *ret = NULL;
    int rc = k.ns && k.name ? d->objects->get(d->host, c, &k, &bytes) : kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (rc == -KL_NOT_FOUND) {
        kl_err_init(&c->err);
        return 0;
    }
    if (rc == 0 && !(*ret = json_parse(a, str_n(bytes.at, bytes.len), &c->err)))
        rc = -c->err.code;
    return rc;
}

/* The slices of a headless Service; other Services need none. */
static int list_slices(struct dns *d, struct kl_call *c, struct arena *a, struct str ns, struct str name, const struct val ***ret, unsigned *ret_n)
{
    struct kl_list_options o = { .size = sizeof o, .resource = "discovery.k8s.io/endpointslices", .ns = arena_dup(a, ns),
                                 .label_selector = arena_printf(a, SERVICE_NAME "=" STR_FMT, STR_ARG(name)) };
    struct kl_object_list l = { .size = sizeof l };
    int rc = o.ns && o.label_selector ? d->objects->list(d->host, c, &o, &l) : kl_fail(c, KL_NO_MEMORY, "out of memory");
    *ret = rc == 0 ? arena_alloc(a, (l.n + 1) * sizeof **ret) : NULL;
    *ret_n = 0;
    for (uint32_t i = 0; *ret && i < l.n; i++) {
        const struct val *v = json_parse(a, str_n(l.at[i].at, l.at[i].len), &c->err);
        if (!v)
            return -c->err.code;
        (*ret)[(*ret_n)++] = v;
    }
    return rc < 0 || *ret ? rc : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int put(struct dns *d, struct kl_call *c, struct arena *a, struct str ns, struct str name, const struct val *service)
{
    const struct val **slices = NULL;
    unsigned n = 0;
    int rc = str_is(json_str(service, "spec.clusterIP"), "None") ? list_slices(d, c, a, ns, name, &slices, &n) : 0;
    struct dns_service *s = rc == 0 && service ? service_new(service, slices, n, &c->err) : NULL;
    if (rc < 0 || (service && !s && c->err.code))
        return rc < 0 ? rc : -c->err.code;
    return zone_put(&d->zone, ns, name, s) ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int make_own_service(struct dns *d, struct kl_call *c)
{
    char text[900], ip[INET_ADDRSTRLEN];
    struct in_addr at = { htonl(d->address) };
    inet_ntop(AF_INET, &at, ip, sizeof ip);
    int n = snprintf(text, sizeof text,
                     "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"" OWN_NAME "\",\"namespace\":\"" OWN_NS "\",\"labels\":{\"k8s-app\":\"kube-dns\","
                     "\"kubernetes.io/cluster-service\":\"true\",\"kubernetes.io/name\":\"KubeDNS\",\"" OTHER_PROXY "\":\"dns-cluster\"}},\"spec\":{\"clusterIP\":\"%s\",\"ports\":["
                     "{\"name\":\"dns\",\"protocol\":\"UDP\",\"port\":53},{\"name\":\"dns-tcp\",\"protocol\":\"TCP\",\"port\":53}]}}",
                     ip);
    struct kl_object_key k = { sizeof k, "/services", OWN_NS, OWN_NAME, NULL };
    int rc = d->objects->create(d->host, c, &k, (struct kl_bytes){ text, (size_t)n }, NULL);
    return rc == -KL_ALREADY_EXISTS || rc == -KL_FORBIDDEN ? 0 : rc;      /* a node may not make it; the server's process does */
}

/* Serves, unless somebody else's name server has the Service (without our label). */
static int serve(struct dns *d, struct kl_call *c, const struct val *own)
{
    const struct val *label = json_get(json_path(own, "metadata.labels"), STR(OTHER_PROXY));
    if (own && !str_is(val_str(label), "dns-cluster")) {
        stop(d);
        return 0;
    }
    int rc = own ? 0 : make_own_service(d, c);
    if (d->server || rc < 0)
        return rc;
    kl_err_init(&c->err);
    rc = address_add(d->address, &c->err);
    if (rc == 0)
        rc = server_start(&d->zone, d->host, d->address, DNS_PORT, d->conf->resolv_conf, &d->server, &c->err);
    return rc;
}

static int dns_reconcile(void *self, struct kl_call *c, const char *key, int64_t *again_ns)
{
    struct dns *d = self;
    struct str name = str_of(key), ns = str_cut(&name, '/');
    _cleanup_arena_ struct arena *a = arena_new((size_t)256 << 20);
    struct val *service;
    (void)again_ns;
    if (!a)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int rc = get_service(d, c, a, ns, name, &service);
    if (rc == 0)
        rc = put(d, c, a, ns, name, service);
    if (rc == 0 && str_is(ns, OWN_NS) && str_is(name, OWN_NAME))
        rc = serve(d, c, service);
    return rc;
}

/* --- descriptor --- */

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), "/services", NULL, NULL },
    { sizeof(struct kl_watch), "discovery.k8s.io/endpointslices", NULL, "map" },
    { sizeof(struct kl_watch), "/namespaces", "metadata.name=" OWN_NS, "map" },
};

static const struct kl_controller table = {
    .size = sizeof table,
    .life = { .open = dns_open, .close = dns_close },
    .flags = KL_CONTROLLER_BLOCKING,
    .workers = 1,
    .watches = KL_ARRAY_OF(watches),
    .map = dns_map,
    .reconcile = dns_reconcile,
};

static const struct kl_provider provides[] = { { KL_CONTROLLER_0, "dns-cluster", 0, &table } };

static const struct kl_need needs[] = { { KL_HOST_OBJECTS_0, 0 } };

#define FIELD(name, fallback_text, text) \
    { .key = #name, .type = KL_CONF_STR, .offset = offsetof(struct conf, name), .fallback = fallback_text, .doc = text }

static const struct kl_conf_field fields[] = {
    FIELD(service_cidr, "10.96.0.0/12", "addresses of Services; the name server has the tenth"),
    FIELD(cluster_cidr, "10.244.0.0/16", "addresses of pods, who may ask"),
    FIELD(domain, "cluster.local", "the cluster's zone"),
    FIELD(resolv_conf, "/etc/resolv.conf", "names who is asked for all else"),
};

KL_PLUGIN_DEFINE("dev.keelson.dns-cluster", "0.1.0", "keelson.controller/0:dns-cluster", "keelson.host.objects/0",
                 .summary = "names of Services and pods", .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides),
                 .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
