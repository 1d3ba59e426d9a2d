/* endpointslice.c - slices of the Services that select pods. */
#include "base/json_scan.h"
#include "slices.h"

#define MANAGER "endpointslice-controller.k8s.io"

struct node_zones {                     /* nodes seen in this run */
    struct str node[64], zone[64];
    unsigned n;
};

static int zone_of(struct ctl_run *r, struct node_zones *z, struct str node, struct str *ret)
{
    struct val *v = NULL;
    *ret = STR_NONE;
    if (!node.len)
        return 0;
    for (unsigned i = 0; i < z->n; i++)
        if (str_eq(z->node[i], node)) {
            *ret = z->zone[i];
            return 0;
        }
    int rc = ctl_get(r, NODES, STR(""), node, &v);
    if (rc < 0)
        return rc;
    *ret = meta_label(v, "topology.kubernetes.io/zone");
    if (z->n < 64) {
        z->node[z->n] = node;
        z->zone[z->n++] = *ret;
    }
    return 0;
}

static int want_pod(struct slice_plan *p, const struct val *service, struct val *pod, struct node_zones *z)
{
    struct val *ips = json_path(pod, "status.podIPs"), *families = json_path(service, "spec.ipFamilies");
    struct str zone;
    if (!pod_serves(pod) || !val_is(ips, VAL_ARR))
        return 0;
    int rc = zone_of(p->r, z, json_str(pod, "spec.nodeName"), &zone);
    struct val *ports = pod_ports(p->r->arena, service, pod);
    const char *done = "";
    val_each(ip, ips) {
        struct str address = json_str(ip, "ip");
        const char *family = address_family(address);
        bool wanted = !families || !families->n || service_headless(service);
        if (families)
            val_each(f, families) wanted |= str_is(val_str(f), family);
        if (!wanted || strcmp(done, family) == 0)
            continue;
        done = family;
        if (rc == 0 && !slices_want(p, family, ports, pod_endpoint(p->r, service, pod, address, zone)))
            return kl_fail(p->r->call, KL_NO_MEMORY, "out of memory, or more than 32 different sets of ports");
    }
    return rc;
}

static int read_slices(struct ctl_run *r, struct str ns, struct str service, struct ctl_list *ret)
{
    return ctl_list(r, (struct kl_list_options){ .resource = SLICES, .ns = arena_dup(r->arena, ns),
                                                 .label_selector = arena_printf(r->arena, SERVICE_NAME "=" STR_FMT "," MANAGED_BY "=" MANAGER,
                                                                                STR_ARG(service)) }, ret);
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct val *service;
    struct ctl_list pods, slices;
    struct node_zones z = { .n = 0 };
    int rc = ctl_get(r, SERVICES, ns, name, &service);
    if (rc == 0 && !service)
        trigger_forget(r, ns, name);
    if (rc < 0 || !service || meta_deleting(service) || !service_selects(service))
        return rc;
    struct slice_plan *p = arena_alloc(r->arena, sizeof *p);
    if (!p)
        return ctl_no_memory(r);
    *p = (struct slice_plan){ .r = r, .owner = service, .ns = ns, .service = name, .placeholder = true, .labels = service_labels(r->arena, service) };
    json_set_str(r->arena, p->labels, STR(SERVICE_NAME), name);
    json_set_str(r->arena, p->labels, STR(MANAGED_BY), STR(MANAGER));
    rc = service_pods(r, service, &pods);
    if (rc == 0)
        rc = read_slices(r, ns, name, &slices);
    if (rc < 0)
        return rc;
    p->trigger = trigger_time(r, service, &pods);
    for (uint32_t i = 0; rc == 0 && i < pods.n; i++)
        rc = want_pod(p, service, pods.at[i], &z);
    if (rc == 0 && topology_auto(service))
        rc = topology_hints(p, &slices);
    return rc < 0 ? rc : slices_write(p, &slices);
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    if (strcmp(resource, PODS) == 0)
        return keys_of_pod(r, old, obj, keys);
    struct str labels = json_scan_path(obj, "metadata.labels");
    if (str_is(json_scan_text(json_scan_member(labels, STR(MANAGED_BY))), MANAGER))
        ctl_key_add(keys, json_scan_text(json_scan_path(obj, "metadata.namespace")), json_scan_text(json_scan_member(labels, STR(SERVICE_NAME))));
    return 0;
}

CTL_RUN(endpointslice, run)
CTL_MAP(endpointslice, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), SERVICES, NULL, NULL },
    { sizeof(struct kl_watch), PODS, NULL, "map" },
    { sizeof(struct kl_watch), SLICES, NULL, "map" },
};
CTL_TABLE(endpointslice, watches, endpointslice_map);
