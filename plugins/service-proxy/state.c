/* state.c - Services and EndpointSlices to the state that a proxy applies. */
#include "proxy.h"

static bool has_label(const struct val *v, struct str label)
{
    return json_get(json_path(v, "metadata.labels"), label) != NULL;
}

/* Another proxy's, or nobody's though there is an address: this one leaves them alone. */
static bool is_others(const struct val *v)
{
    return has_label(v, STR(OTHER_PROXY)) || has_label(v, STR(HEADLESS));
}

/* "ns/service" -> its slices. */
static int index_slices(struct arena *a, const struct kl_object_list *list, struct map *ret, struct kl_err *err)
{
    for (uint32_t i = 0; i < list->n; i++) {
        struct val *v = json_parse(a, str_n(list->at[i].at, list->at[i].len), err);
        struct str service = val_str(json_get(json_path(v, "metadata.labels"), STR(SERVICE_NAME)));
        struct slices *s = arena_alloc(a, sizeof *s);
        if (!v || !s)
            return -KL_NO_MEMORY;
        if (!service.len)
            continue;
        struct str key = str_of(arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(json_str(v, "metadata.namespace")), STR_ARG(service)));
        s->slice = v;
        s->next = map_get(ret, key);
        if (!key.at || !map_put(ret, key, s))
            return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    return 0;
}

enum readiness { WHEN_READY, WHEN_SERVING };

static bool usable(const struct val *endpoint, enum readiness r)
{
    struct val *c = json_get(endpoint, STR("conditions"));
    bool ready = json_bool(c, "ready", true);
    if (r == WHEN_READY)
        return ready;
    return json_bool(c, "serving", ready) && json_bool(c, "terminating", false);
}

static int64_t port_number(const struct val *slice, struct str name, struct str protocol)
{
    struct val *ports = json_get(slice, STR("ports"));
    if (val_is(ports, VAL_ARR))
        val_each(p, ports) {
            struct str proto = json_str(p, "protocol");
            if (str_eq(json_str(p, "name"), name) && str_eq(proto.len ? proto : STR("TCP"), protocol))
                return json_int(p, "port", 0);
        }
    return 0;
}

static void add_endpoints(struct arena *a, const struct conf *conf, const struct slices *all, struct val *port, enum readiness r,
                          struct val *out)
{
    for (const struct slices *s = all; s; s = s->next) {
        if (!str_is(json_str(s->slice, "addressType"), "IPv4") || is_others(s->slice))
            continue;
        int64_t number = port_number(s->slice, json_str(port, "name"), json_str(port, "protocol"));
        struct val *endpoints = json_get(s->slice, STR("endpoints"));
        if (!number || !val_is(endpoints, VAL_ARR))
            continue;
        val_each(e, endpoints) {
            struct val *addresses = json_get(e, STR("addresses"));
            if (!usable(e, r) || !val_is(addresses, VAL_ARR) || !addresses->n)
                continue;
            struct val *one = val_push(out, val_new(a, VAL_OBJ));
            json_set_str(a, one, STR("ip"), val_str(addresses->first));
            json_set_int(a, one, STR("port"), number);
            json_set_bool(a, one, STR("local"), str_is(json_str(e, "nodeName"), conf->node));
        }
    }
}

static struct val *port_of(struct arena *a, const struct conf *conf, const struct slices *all, const struct val *sp)
{
    struct str protocol = json_str(sp, "protocol");
    struct val *p = val_new(a, VAL_OBJ);
    json_set_str(a, p, STR("name"), json_str(sp, "name").at ? json_str(sp, "name") : STR(""));
    json_set_str(a, p, STR("protocol"), protocol.len ? protocol : STR("TCP"));
    json_set_int(a, p, STR("port"), json_int(sp, "port", 0));
    json_set_int(a, p, STR("nodePort"), json_int(sp, "nodePort", 0));
    struct val *out = json_arr(a, p, STR("endpoints"));
    add_endpoints(a, conf, all, p, WHEN_READY, out);
    if (out && !out->n)
        add_endpoints(a, conf, all, p, WHEN_SERVING, out);
    return p;
}

static struct val *copy_or_empty(struct arena *a, const struct val *v)
{
    return val_is(v, VAL_ARR) ? val_copy(a, v) : val_new(a, VAL_ARR);
}

/* Addresses that a load balancer in front of the cluster gave; mode Proxy says that traffic to them must reach it. */
static void add_ingress_ips(struct arena *a, const struct val *svc, struct val *out)
{
    struct val *ingress = json_path(svc, "status.loadBalancer.ingress");
    if (val_is(ingress, VAL_ARR))
        val_each(i, ingress)
            if (json_str(i, "ip").len && !str_is(json_str(i, "ipMode"), "Proxy"))
                val_push(out, val_of_str(a, json_str(i, "ip")));
}

struct val *state_service(struct arena *a, const struct conf *conf, const struct val *svc, const struct slices *slices)
{
    struct val *spec = json_get(svc, STR("spec")), *ports = json_get(spec, STR("ports")), *ips = json_get(spec, STR("clusterIPs"));
    struct str ip = json_str(spec, "clusterIP");
    if (!ip.len || str_is(ip, "None") || str_is(json_str(spec, "type"), "ExternalName") || !val_is(ports, VAL_ARR) ||
        is_others(svc))
        return NULL;
    struct val *s = val_new(a, VAL_OBJ);
    json_set_str(a, s, STR("namespace"), json_str(svc, "metadata.namespace"));
    json_set_str(a, s, STR("name"), json_str(svc, "metadata.name"));
    json_set(a, s, STR("clusterIPs"), copy_or_empty(a, ips));
    if (!val_is(ips, VAL_ARR) || !ips->n)
        val_push(json_get(s, STR("clusterIPs")), val_of_str(a, ip));
    add_ingress_ips(a, svc, json_set(a, s, STR("externalIPs"), copy_or_empty(a, json_get(spec, STR("externalIPs")))));
    json_set_int(a, s, STR("sessionAffinitySeconds"),
                 str_is(json_str(spec, "sessionAffinity"), "ClientIP") ? json_int(spec, "sessionAffinityConfig.clientIP.timeoutSeconds", 10800) : 0);
    json_set_bool(a, s, STR("externalLocal"), str_is(json_str(spec, "externalTrafficPolicy"), "Local"));
    json_set_bool(a, s, STR("internalLocal"), str_is(json_str(spec, "internalTrafficPolicy"), "Local"));
    struct val *list = json_arr(a, s, STR("ports"));
    val_each(sp, ports) val_push(list, port_of(a, conf, slices, sp));
    return s;
}

struct val *state_node_ips(struct arena *a, const struct val *node)
{
    struct val *ips = val_new(a, VAL_ARR), *addresses = json_path(node, "status.addresses");
    if (val_is(addresses, VAL_ARR))
        val_each(x, addresses)
            if (str_is(json_str(x, "type"), "InternalIP"))
                val_push(ips, val_of_str(a, json_str(x, "address")));
    return ips;
}

static void add_node(struct arena *a, const struct conf *conf, const struct val *node, struct val *out)
{
    json_set_str(a, out, STR("node"), str_of(conf->node));
    json_set(a, out, STR("nodeIPs"), state_node_ips(a, node));
    struct val *cidrs = json_arr(a, out, STR("podCIDRs"));
    if (conf->cluster_cidr && conf->cluster_cidr[0])
        val_push(cidrs, val_of_str(a, str_of(conf->cluster_cidr)));
}

struct val *state_build(struct arena *a, const struct conf *conf, const struct kl_object_list *services, const struct kl_object_list *slices,
                        const struct val *node, struct kl_err *err)
{
    struct map by_service = { 0 };
    struct val *out = val_new(a, VAL_OBJ);
    int rc = index_slices(a, slices, &by_service, err);
    add_node(a, conf, node, out);
    struct val *list = json_arr(a, out, STR("services"));
    for (uint32_t i = 0; rc == 0 && i < services->n; i++) {
        struct val *svc = json_parse(a, str_n(services->at[i].at, services->at[i].len), err);
        char *key = arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(json_str(svc, "metadata.namespace")), STR_ARG(json_str(svc, "metadata.name")));
        struct val *one = svc && key ? state_service(a, conf, svc, map_get(&by_service, str_of(key))) : NULL;
        if (one)
            val_push(list, one);
    }
    map_free(&by_service);
    if (rc == 0 && arena_exhausted(a))
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    return rc < 0 ? NULL : out;
}
