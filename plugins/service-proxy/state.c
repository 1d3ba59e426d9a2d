/* state.c - Services and EndpointSlices to the state that a proxy applies. */
#include "proxy.h"

static bool has_label(const struct val *v, struct str label)
{
    return json_get(json_path(v, "metadata.labels"), label) != NULL;
}

/* Another proxy's, or nobody's though there is an address: this one leaves them alone. */
bool state_is_others(const struct val *v)
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

static struct val *port_of(struct arena *a, const struct here *here, const struct slices *all, const struct val *sp, bool some_local)
{
    struct str protocol = json_str(sp, "protocol");
    struct val *p = val_new(a, VAL_OBJ);
    json_set_str(a, p, STR("name"), json_str(sp, "name").at ? json_str(sp, "name") : STR(""));
    json_set_str(a, p, STR("protocol"), protocol.len ? protocol : STR("TCP"));
    json_set_int(a, p, STR("port"), json_int(sp, "port", 0));
    json_set_int(a, p, STR("nodePort"), json_int(sp, "nodePort", 0));
    endpoints_add(a, here, all, p, some_local, json_arr(a, p, STR("endpoints")));
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

/* What asks this node whether it has endpoints: a load balancer in front of the nodes. */
static void add_health_check(struct arena *a, const struct here *here, const struct val *spec, const struct slices *slices, const struct val *ports, struct val *out)
{
    int64_t port = json_int(spec, "healthCheckNodePort", 0);
    if (!port)
        return;
    struct val *check = json_obj(a, out, STR("healthCheck"));
    json_set_int(a, check, STR("port"), port);
    json_set_int(a, check, STR("endpoints"), endpoints_ready_here(a, here, slices, ports));
}

struct val *state_service(struct arena *a, const struct here *here, const struct val *svc, const struct slices *slices)
{
    struct val *spec = json_get(svc, STR("spec")), *ports = json_get(spec, STR("ports")), *ips = json_get(spec, STR("clusterIPs"));
    struct str ip = json_str(spec, "clusterIP");
    if (!ip.len || str_is(ip, "None") || str_is(json_str(spec, "type"), "ExternalName") || !val_is(ports, VAL_ARR) ||
        state_is_others(svc))
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
    bool outer_local = str_is(json_str(spec, "externalTrafficPolicy"), "Local"), inner_local = str_is(json_str(spec, "internalTrafficPolicy"), "Local");
    json_set_bool(a, s, STR("externalLocal"), outer_local);
    json_set_bool(a, s, STR("internalLocal"), inner_local);
    struct val *list = json_arr(a, s, STR("ports"));
    val_each(sp, ports) val_push(list, port_of(a, here, slices, sp, outer_local || inner_local));
    add_health_check(a, here, spec, slices, list, s);
    return s;
}

struct here state_here(struct arena *a, const char *name, const struct val *node)
{
    struct here here = { str_of(name), val_str(json_get(json_path(node, "metadata.labels"), STR(ZONE))), val_new(a, VAL_ARR) };
    struct val *addresses = json_path(node, "status.addresses");
    if (val_is(addresses, VAL_ARR))
        val_each(x, addresses)
            if (str_is(json_str(x, "type"), "InternalIP"))
                val_push(here.ips, val_of_str(a, json_str(x, "address")));
    return here;
}

static void add_node(struct arena *a, const struct here *here, const char *cluster_cidr, struct val *out)
{
    json_set_str(a, out, STR("node"), here->node);
    json_set(a, out, STR("nodeIPs"), here->ips);
    struct val *cidrs = json_arr(a, out, STR("podCIDRs"));
    if (cluster_cidr && cluster_cidr[0])
        val_push(cidrs, val_of_str(a, str_of(cluster_cidr)));
}

struct val *state_build(struct arena *a, const struct here *here, const char *cluster_cidr, const struct kl_object_list *services,
                        const struct kl_object_list *slices, struct kl_err *err)
{
    struct map by_service = { 0 };
    struct val *out = val_new(a, VAL_OBJ);
    int rc = index_slices(a, slices, &by_service, err);
    add_node(a, here, cluster_cidr, out);
    struct val *list = json_arr(a, out, STR("services"));
    for (uint32_t i = 0; rc == 0 && i < services->n; i++) {
        struct val *svc = json_parse(a, str_n(services->at[i].at, services->at[i].len), err);
        char *key = arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(json_str(svc, "metadata.namespace")), STR_ARG(json_str(svc, "metadata.name")));
        struct val *one = svc && key ? state_service(a, here, svc, map_get(&by_service, str_of(key))) : NULL;
        if (one)
            val_push(list, one);
    }
    map_free(&by_service);
    if (rc == 0 && arena_exhausted(a))
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    return rc < 0 ? NULL : out;
}
