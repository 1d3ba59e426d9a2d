/* endpoint.c - what a pod is to a Service: address, ports, conditions. */
#include "base/cleanup.h"
#include "base/json_scan.h"
#include "slices.h"

const char *address_family(struct str address)
{
    return str_find(address, ':') >= 0 ? "IPv6" : "IPv4";
}

bool pod_serves(const struct val *pod)
{
    struct val *ips = json_path(pod, "status.podIPs");
    return !pod_finished(pod) && ((val_is(ips, VAL_ARR) && ips->n) || json_str(pod, "status.podIP").len);
}

static bool tolerates_unready(const struct val *service)
{
    return json_bool(service, "spec.publishNotReadyAddresses", false) ||
           str_is(meta_annotation(service, "service.alpha.kubernetes.io/tolerate-unready-endpoints"), "true");
}

/* --- ports --- */

static int64_t named_in(const struct val *containers, struct str name, struct str protocol, bool only_restartable)
{
    if (!val_is(containers, VAL_ARR))
        return 0;
    val_each(c, containers) {
        struct val *ports = json_get(c, STR("ports"));
        if (!val_is(ports, VAL_ARR) || (only_restartable && !str_is(json_str(c, "restartPolicy"), "Always")))
            continue;
        val_each(p, ports)
            if (str_eq(json_str(p, "name"), name) && str_eq(json_str(p, "protocol"), protocol))
                return json_int(p, "containerPort", 0);
    }
    return 0;
}

static int64_t target_port(const struct val *service_port, const struct val *pod)
{
    struct val *target = json_get(service_port, STR("targetPort"));
    struct str name = val_str(target), protocol = json_str(service_port, "protocol");
    if (val_is(target, VAL_INT))
        return target->i ? target->i : json_int(service_port, "port", 0);
    if (!name.len)
        return json_int(service_port, "port", 0);
    int64_t n = named_in(json_path(pod, "spec.containers"), name, protocol, false);
    return n ? n : named_in(json_path(pod, "spec.initContainers"), name, protocol, true);
}

struct val *pod_ports(struct arena *a, const struct val *service, const struct val *pod)
{
    struct val *out = val_new(a, VAL_ARR), *ports = json_path(service, "spec.ports");
    if (!val_is(ports, VAL_ARR))
        return out;
    val_each(sp, ports) {
        int64_t n = target_port(sp, pod);
        if (!n)                         /* this pod has no port of that name */
            continue;
        struct val *p = val_push(out, val_new(a, VAL_OBJ));
        json_set_str(a, p, STR("name"), json_str(sp, "name").at ? json_str(sp, "name") : STR(""));
        json_set_str(a, p, STR("protocol"), json_str(sp, "protocol"));
        json_set_int(a, p, STR("port"), n);
        if (json_str(sp, "appProtocol").len)
            json_set_str(a, p, STR("appProtocol"), json_str(sp, "appProtocol"));
    }
    return out;
}

/* --- endpoints --- */

void endpoint_hint(struct arena *a, struct val *endpoint, const char *list, struct str name)
{
    struct val *names = json_set(a, json_obj(a, endpoint, STR("hints")), str_of(list), val_new(a, VAL_ARR));
    json_set_str(a, val_push(names, val_new(a, VAL_OBJ)), STR("name"), name);
}

static void add_hints(struct arena *a, const struct val *service, struct val *e, struct str node, struct str zone)
{
    struct str distribution = json_str(service, "spec.trafficDistribution");
    if (!distribution.len || topology_auto(service) || !json_bool(e, "conditions.ready", false))
        return;
    if (zone.len)
        endpoint_hint(a, e, "forZones", zone);
    if (str_is(distribution, "PreferSameNode") && node.len)
        endpoint_hint(a, e, "forNodes", node);
}

struct val *pod_endpoint(struct ctl_run *r, const struct val *service, const struct val *pod, struct str address, struct str zone)
{
    struct arena *a = r->arena;
    struct str host = json_str(pod, "spec.hostname"), node = json_str(pod, "spec.nodeName");
    bool serving = pod_ready(pod), terminating = meta_deleting(pod);
    struct val *e = val_new(a, VAL_OBJ), *c, *ref;
    val_push(json_arr(a, e, STR("addresses")), val_of_str(a, address));
    c = json_obj(a, e, STR("conditions"));
    json_set_bool(a, c, STR("ready"), tolerates_unready(service) || (serving && !terminating));
    json_set_bool(a, c, STR("serving"), serving);
    json_set_bool(a, c, STR("terminating"), terminating);
    if (host.len && str_eq(json_str(pod, "spec.subdomain"), meta_name(service)))
        json_set_str(a, e, STR("hostname"), host);
    ref = json_obj(a, e, STR("targetRef"));
    json_set_str(a, ref, STR("kind"), STR("Pod"));
    json_set_str(a, ref, STR("namespace"), meta_ns(pod));
    json_set_str(a, ref, STR("name"), meta_name(pod));
    json_set_str(a, ref, STR("uid"), meta_uid(pod));
    if (node.len)
        json_set_str(a, e, STR("nodeName"), node);
    if (zone.len)
        json_set_str(a, e, STR("zone"), zone);
    add_hints(a, service, e, node, zone);
    return e;
}

/* --- services --- */

bool service_selects(const struct val *service)
{
    struct val *s = json_path(service, "spec.selector");
    return s && s->n && !str_is(json_str(service, "spec.type"), "ExternalName");
}

bool service_headless(const struct val *service)
{
    struct str ip = json_str(service, "spec.clusterIP");
    return !ip.len || str_is(ip, "None");
}

int service_pods(struct ctl_run *r, const struct val *service, struct ctl_list *ret)
{
    return ctl_list(r, (struct kl_list_options){ .resource = PODS, .ns = arena_dup(r->arena, meta_ns(service)),
                                                 .label_selector = sel_map_text(r->arena, json_path(service, "spec.selector")) }, ret);
}

struct val *service_labels(struct arena *a, const struct val *service)
{
    static const char *const reserved[] = { SERVICE_NAME, MANAGED_BY, HEADLESS, "endpoints.kubernetes.io/managed-by" };
    struct val *labels = json_path(service, "metadata.labels");
    struct val *out = labels ? val_copy(a, labels) : val_new(a, VAL_OBJ);
    for (size_t i = 0; out && i < sizeof reserved / sizeof *reserved; i++)
        json_del(out, str_of(reserved[i]));
    if (service_headless(service))
        json_set_str(a, out, STR(HEADLESS), STR(""));
    return out;
}

/* --- from a pod to its services --- */

/* Most changes of a pod (a probe's time, a container's restart) are nothing to endpoints. */
static bool matters(struct str old, struct str obj)
{
    static const char *const parts[] = { "status.conditions", "metadata.labels", "metadata.deletionTimestamp", "status.podIPs", "status.podIP", "status.phase",
                                         "spec.nodeName", "spec.hostname", "spec.subdomain" };
    enum { N = sizeof parts / sizeof *parts };
    struct str was[N], is[N], ready[2] = { STR_NONE, STR_NONE }, c;
    json_scan_paths(old, parts, N, was);
    json_scan_paths(obj, parts, N, is);
    for (int i = 1; i < N; i++)
        if (!str_eq(was[i], is[i]))
            return true;
    struct str list[2] = { was[0], is[0] };
    for (int i = 0; i < 2; i++)
        while (list[i].at && json_scan_item(&list[i], &c))
            if (str_is(json_scan_text(json_scan_member(c, STR("type"))), "Ready"))
                ready[i] = json_scan_member(c, STR("status"));
    return !str_eq(ready[0], ready[1]);
}

int keys_of_pod(struct ctl_run *r, struct str old, struct str obj, struct buf *keys)
{
    if (old.len && !(r->call->flags & KL_CALL_DELETED) && !matters(old, obj))
        return 0;
    if (!old.len && !json_scan_member(ctl_part(r, CTL_STATUS), STR("podIP")).at)
        return 0;                       /* a new pod without an address is behind no service yet */
    int rc = keys_by_selector(r, SERVICES, old, obj, true, keys);
    crowd_note(r, json_scan_text(json_scan_member(ctl_meta(r), STR("name"))), keys);
    return rc;
}
