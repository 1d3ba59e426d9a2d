/* service_type.c - a Service is updated: what was given to it stays when it is left out, and when it becomes one of another type, what only the old type has, and the writer did not touch, goes, so that it need not be taken out by hand
 * (upstream: dropTypeDependentFields). What the writer changed stays, for validation to refuse. */
#include "api-internal.h"

static bool is(const struct val *spec, const char *type)
{
    return str_is(json_str(spec, "type"), type);
}

static bool has_cluster_ip(const struct val *spec)
{
    return !is(spec, "ExternalName");
}

static bool has_node_ports(const struct val *spec)
{
    return is(spec, "NodePort") || is(spec, "LoadBalancer");
}

static bool is_balancer(const struct val *spec)
{
    return is(spec, "LoadBalancer");
}

/* In this order: the health port is looked at while the policy still stands. */
static const struct {
    bool (*has)(const struct val *spec);
    const char *members[2];             /* go together */
} rows[] = {
    { has_cluster_ip, { "clusterIP", "clusterIPs" } },
    { has_cluster_ip, { "ipFamilies", NULL } },
    { has_cluster_ip, { "ipFamilyPolicy", NULL } },
    { has_cluster_ip, { "internalTrafficPolicy", NULL } },
    { object_service_health_port, { "healthCheckNodePort", NULL } },
    { is_balancer, { "allocateLoadBalancerNodePorts", NULL } },
    { is_balancer, { "loadBalancerClass", NULL } },
    { object_service_external, { "externalTrafficPolicy", NULL } },
};

static bool is_same(const struct val *spec, const struct val *was, const char *member)
{
    return !member || val_equal(json_get(spec, str_of(member)), json_get(was, str_of(member)));
}

static bool had_port(const struct val *ports, int64_t number)
{
    if (val_is(ports, VAL_ARR))
        val_each(p, ports)
            if (json_int(p, "nodePort", 0) == number)
                return true;
    return false;
}

/* Unless one of them is new. */
static void drop_node_ports(struct val *ports, const struct val *were)
{
    if (!val_is(ports, VAL_ARR))
        return;
    val_each(p, ports)
        if (json_int(p, "nodePort", 0) && !had_port(were, json_int(p, "nodePort", 0)))
            return;
    val_each(p, ports)
        json_del(p, STR("nodePort"));
}

/* Who leaves out what was given to the Service keeps it. A type without addresses has none of both, if only one was cleared. */
static void keep_given(struct arena *a, struct val *spec, const struct val *was)
{
    struct val *ips = json_get(spec, STR("clusterIPs")), *were = json_get(was, STR("clusterIPs"));
    struct str ip = json_str(was, "clusterIP");
    bool cleared = ip.len && !json_str(spec, "clusterIP").len, both = has_cluster_ip(was) && has_cluster_ip(spec);
    if (both && cleared)
        json_set_str(a, spec, STR("clusterIP"), ip);
    if (both && were && (!val_is(ips, VAL_ARR) || !ips->n))
        json_set(a, spec, STR("clusterIPs"), val_copy(a, were));
    if (!both && cleared && ips && is_same(spec, was, "clusterIPs"))
        json_del(spec, STR("clusterIPs"));
    if (object_service_health_port(was) && object_service_health_port(spec) && !json_int(spec, "healthCheckNodePort", 0) && json_int(was, "healthCheckNodePort", 0))
        json_set_int(a, spec, STR("healthCheckNodePort"), json_int(was, "healthCheckNodePort", 0));
}

void api_service_update(struct api_op *op, struct val *v, const struct val *old, bool status)
{
    struct val *spec = json_get(v, STR("spec")), *was = json_get(old, STR("spec"));
    if (status || !val_is(spec, VAL_OBJ))
        return;
    keep_given(op->arena, spec, was);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const *m = rows[i].members;
        if (!rows[i].has(was) || rows[i].has(spec) || !is_same(spec, was, m[0]) || !is_same(spec, was, m[1]))
            continue;
        json_del(spec, str_of(m[0]));
        if (m[1])
            json_del(spec, str_of(m[1]));
    }
    if (has_node_ports(was) && !has_node_ports(spec))
        drop_node_ports(json_get(spec, STR("ports")), json_get(was, STR("ports")));
    struct val *st = json_get(v, STR("status"));
    if (!is_balancer(spec) && json_get(st, STR("loadBalancer")))
        json_set(op->arena, st, STR("loadBalancer"), val_new(op->arena, VAL_OBJ));
}
