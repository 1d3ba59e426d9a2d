/* zone.c - Services by name and by address. */
#include <arpa/inet.h>

#include "dns.h"

struct space {
    uint32_t services;
    char name[];
};

struct owner {
    const struct dns_service *service;
    const struct dns_endpoint *endpoint;
    char ip[INET_ADDRSTRLEN];
};

bool range_read(struct str text, struct range *ret)
{
    struct str bits = text, ip = str_cut(&bits, '/');
    char z[INET_ADDRSTRLEN];
    struct in_addr at;
    int64_t n;
    if (snprintf(z, sizeof z, STR_FMT, STR_ARG(ip)) >= (int)sizeof z || inet_pton(AF_INET, z, &at) != 1 || !str_int(bits, &n) || n < 0 || n > 32)
        return false;
    uint32_t rest = (uint32_t)((1ULL << (32 - n)) - 1);
    ret->first = ntohl(at.s_addr) & ~rest;
    ret->last = ret->first | rest;
    return true;
}

/* --- one Service --- */

static const char *protocol_of(struct str s)
{
    return str_is(s, "UDP") ? "udp" : str_is(s, "SCTP") ? "sctp" : "tcp";
}

static struct dns_port *read_ports(struct arena *a, const struct val *list, uint32_t *ret_n)
{
    struct dns_port *ports = arena_alloc(a, ((val_is(list, VAL_ARR) ? list->n : 0) + 1) * sizeof *ports);
    *ret_n = 0;
    if (!ports || !val_is(list, VAL_ARR))
        return ports;
    val_each(p, list) {
        struct dns_port *to = &ports[*ret_n];
        to->protocol = protocol_of(json_str(p, "protocol"));
        to->port = (uint16_t)json_int(p, "port", 0);
        snprintf(to->name, sizeof to->name, STR_FMT, STR_ARG(json_str(p, "name")));
        *ret_n += to->port != 0;
    }
    return ports;
}

static bool read_ip(struct str s, uint32_t *ret)
{
    struct range r;
    char z[32];
    snprintf(z, sizeof z, STR_FMT "/32", STR_ARG(s));
    bool ok = s.len && s.len < INET_ADDRSTRLEN && range_read(str_of(z), &r);
    *ret = ok ? r.first : 0;
    return ok;
}

static void host_of(const struct val *endpoint, struct dns_endpoint *e)
{
    struct str name = json_str(endpoint, "hostname");
    e->named = name.len > 0 && name.len < sizeof e->host;
    if (e->named)
        snprintf(e->host, sizeof e->host, STR_FMT, STR_ARG(name));
    else
        snprintf(e->host, sizeof e->host, "%u-%u-%u-%u", e->ip >> 24, e->ip >> 16 & 255, e->ip >> 8 & 255, e->ip & 255);
}

static void read_slice(struct dns_service *s, const struct val *slice)
{
    uint32_t n_ports;
    struct dns_port *ports = read_ports(s->arena, json_get(slice, STR("ports")), &n_ports);
    const struct val *endpoints = json_get(slice, STR("endpoints"));
    if (!str_is(json_str(slice, "addressType"), "IPv4") || !val_is(endpoints, VAL_ARR))
        return;
    val_each(x, endpoints) {
        const struct val *addresses = json_get(x, STR("addresses"));
        struct dns_endpoint *e = &s->endpoints[s->n_endpoints];
        if (!json_bool(x, "conditions.ready", true) || !val_is(addresses, VAL_ARR) || !addresses->n || !read_ip(val_str(addresses->first), &e->ip))
            continue;
        host_of(x, e);
        e->ports = ports;
        e->n_ports = n_ports;
        s->n_endpoints++;
    }
}

static void read_slices(struct dns_service *s, const struct val *const *slices, unsigned n)
{
    uint32_t most = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct val *endpoints = json_get(slices[i], STR("endpoints"));
        most += val_is(endpoints, VAL_ARR) ? endpoints->n : 0;
    }
    s->endpoints = arena_alloc(s->arena, (most + 1) * sizeof *s->endpoints);
    for (unsigned i = 0; i < n && s->endpoints; i++)
        read_slice(s, slices[i]);
}

struct dns_service *service_new(const struct val *service, const struct val *const *slices, unsigned n, struct kl_err *err)
{
    struct str ip = json_str(service, "spec.clusterIP"), external = json_str(service, "spec.externalName");
    struct arena *a = arena_new((size_t)64 << 20);
    struct dns_service *s = a ? arena_alloc(a, sizeof *s) : NULL;
    bool is_external = str_is(json_str(service, "spec.type"), "ExternalName");
    if (!s) {
        arena_free(a);
        kl_err_set(err, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    s->arena = a;
    s->ns = arena_dup(a, json_str(service, "metadata.namespace"));
    s->name = arena_dup(a, json_str(service, "metadata.name"));
    s->external = is_external ? arena_dup(a, external) : NULL;
    s->kind = is_external ? DNS_EXTERNAL : str_is(ip, "None") ? DNS_HEADLESS : DNS_CLUSTER_IP;
    s->ports = read_ports(a, json_path(service, "spec.ports"), &s->n_ports);
    if (s->kind == DNS_HEADLESS)
        read_slices(s, slices, n);
    bool nothing = (s->kind == DNS_CLUSTER_IP && !read_ip(ip, &s->ip)) || (is_external && !external.len);
    if (!nothing && !arena_exhausted(a))
        return s;
    if (!nothing)
        kl_err_set(err, KL_NO_MEMORY, "out of memory");
    arena_free(a);
    return NULL;
}

void service_free(struct dns_service *s)
{
    if (s)
        arena_free(s->arena);
}

/* --- all of them --- */

void zone_init(struct zone *z, const struct conf *c)
{
    *z = (struct zone){ .domain = c->domain };
    pthread_rwlock_init(&z->lock, NULL);
    range_read(str_of(c->service_cidr), &z->service_range);
    range_read(str_of(c->cluster_cidr), &z->pod_range);
}

static bool count_namespace(struct zone *z, struct str ns, int by)
{
    struct space *s = map_get(&z->namespaces, ns);
    if (!s) {
        s = mem_alloc(sizeof *s + ns.len + 1);
        if (!s)
            return false;
        memcpy(s->name, ns.at, ns.len);
        if (!map_put(&z->namespaces, str_of(s->name), s)) {
            mem_free(s);
            return false;
        }
    }
    s->services += (uint32_t)by;
    if (!s->services) {
        map_del(&z->namespaces, ns);
        mem_free(s);
    }
    return true;
}

static void ip_text(uint32_t ip, char ret[INET_ADDRSTRLEN])
{
    struct in_addr at = { htonl(ip) };
    inet_ntop(AF_INET, &at, ret, INET_ADDRSTRLEN);
}

static void own(struct zone *z, uint32_t ip, const struct dns_service *s, const struct dns_endpoint *e)
{
    char text[INET_ADDRSTRLEN];
    ip_text(ip, text);
    if (map_get(&z->owners, str_of(text)))
        return;                         /* the first that has it answers for it */
    struct owner *o = mem_alloc(sizeof *o);
    if (!o)
        return;
    *o = (struct owner){ .service = s, .endpoint = e };
    snprintf(o->ip, sizeof o->ip, "%s", text);
    if (!map_put(&z->owners, str_of(o->ip), o))
        mem_free(o);
}

static void disown(struct zone *z, uint32_t ip, const struct dns_service *s)
{
    char text[INET_ADDRSTRLEN];
    ip_text(ip, text);
    struct owner *o = map_get(&z->owners, str_of(text));
    if (o && o->service == s) {
        map_del(&z->owners, str_of(text));
        mem_free(o);
    }
}

static void drop(struct zone *z, struct str key)
{
    struct dns_service *s = map_del(&z->services, key);
    if (!s)
        return;
    if (s->kind == DNS_CLUSTER_IP)
        disown(z, s->ip, s);
    for (uint32_t i = 0; i < s->n_endpoints; i++)
        disown(z, s->endpoints[i].ip, s);
    count_namespace(z, str_of(s->ns), -1);
    service_free(s);
}

static bool add(struct zone *z, struct dns_service *s)
{
    char *key = arena_printf(s->arena, "%s/%s", s->ns, s->name);
    if (!key || !count_namespace(z, str_of(s->ns), 1))
        return false;
    if (!map_put(&z->services, str_of(key), s)) {
        count_namespace(z, str_of(s->ns), -1);
        return false;
    }
    if (s->kind == DNS_CLUSTER_IP)
        own(z, s->ip, s, NULL);
    for (uint32_t i = 0; i < s->n_endpoints; i++)
        if (s->endpoints[i].named)
            own(z, s->endpoints[i].ip, s, &s->endpoints[i]);
    return true;
}

bool zone_put(struct zone *z, struct str ns, struct str name, struct dns_service *s)
{
    char key[600];
    int n = snprintf(key, sizeof key, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
    pthread_rwlock_wrlock(&z->lock);
    if (n > 0 && (size_t)n < sizeof key)
        drop(z, str_n(key, (size_t)n));
    bool ok = !s || add(z, s);
    pthread_rwlock_unlock(&z->lock);
    if (!ok)
        service_free(s);
    return ok;
}

const struct dns_service *zone_find(const struct zone *z, struct str ns, struct str name)
{
    char key[600];
    int n = snprintf(key, sizeof key, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
    return n > 0 && (size_t)n < sizeof key ? map_get(&z->services, str_n(key, (size_t)n)) : NULL;
}

bool zone_has_namespace(const struct zone *z, struct str ns)
{
    return map_get(&z->namespaces, ns) != NULL;
}

const struct dns_service *zone_by_ip(const struct zone *z, uint32_t ip, const struct dns_endpoint **ret)
{
    char text[INET_ADDRSTRLEN];
    ip_text(ip, text);
    const struct owner *o = map_get(&z->owners, str_of(text));
    *ret = o ? o->endpoint : NULL;
    return o ? o->service : NULL;
}

void zone_free(struct zone *z)
{
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&z->services, &at, &key, &value))
        service_free(value);
    at = 0;
    while (map_next(&z->namespaces, &at, &key, &value))
        mem_free(value);
    at = 0;
    while (map_next(&z->owners, &at, &key, &value))
        mem_free(value);
    map_free(&z->services);
    map_free(&z->namespaces);
    map_free(&z->owners);
    pthread_rwlock_destroy(&z->lock);
}
