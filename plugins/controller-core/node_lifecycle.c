/* node_lifecycle.c - a node that is not heard of is Unknown; what is wrong with a node becomes taints; its pods serve no more. */
#include "base/mem.h"
#include "nodes.h"

#define LEASES "coordination.k8s.io/leases"
#define LEASE_NS "kube-node-lease"
#define NEVER "Kubelet never posted node status."
#define STOPPED "Kubelet stopped posting node status."

/* When the node was last heard of; not before this process could have heard. */
static int heard(struct ctl_run *r, const struct val *node, int64_t *ret)
{
    struct val *lease;
    int rc = ctl_get(r, LEASES, STR(LEASE_NS), meta_name(node), &lease);
    int64_t seen[] = { r->ctl->opened_ns, meta_time(node, "metadata.creationTimestamp"), rc == 0 ? meta_time(lease, "spec.renewTime") : 0,
                       meta_time(cond_find(json_path(node, "status.conditions"), "Ready"), "lastHeartbeatTime") };
    *ret = 0;
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
        *ret = seen[i] > *ret ? seen[i] : *ret;
    return rc;
}

static void make_unknown(struct ctl_run *r, struct val *node)
{
    static const char *const types[] = { "Ready", "MemoryPressure", "DiskPressure", "PIDPressure" };
    struct arena *a = r->arena;
    struct val *list = json_arr(a, json_obj(a, node, STR("status")), STR("conditions"));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct val *c = cond_find(list, types[i]);
        bool never = !c;
        if (c && str_is(json_str(c, "status"), "Unknown"))
            continue;
        if (never) {
            c = val_push(list, val_new(a, VAL_OBJ));
            json_set_str(a, c, STR("type"), str_of(types[i]));
            json_set_str(a, c, STR("lastHeartbeatTime"), json_str(node, "metadata.creationTimestamp"));
        }
        json_set_str(a, c, STR("status"), STR("Unknown"));
        json_set_str(a, c, STR("reason"), never ? STR("NodeStatusNeverUpdated") : STR("NodeStatusUnknown"));
        json_set_str(a, c, STR("message"), never ? STR(NEVER) : STR(STOPPED));
        json_set_str(a, c, STR("lastTransitionTime"), ctl_now(r));
    }
}

/* Its pods are still to be told: a note that outlives a run that fails. */
static void note_pods(struct ctl_run *r, struct str node)
{
    char *note = map_get(&r->ctl->memory, node) ? NULL : mem_dup(node.at, node.len);
    if (note && !map_put(&r->ctl->memory, str_n(note, node.len), note))
        mem_free(note);
}

static int judge(struct ctl_run *r, struct val **node)
{
    const struct core_conf *conf = r->ctl->conf;
    int64_t last, grace = conf->node_grace;
    int rc = heard(r, *node, &last);
    if (rc < 0)
        return rc;
    if (!cond_find(json_path(*node, "status.conditions"), "Ready"))
        grace += grace / 5;             /* one that begins: 60 s where the others have 50, as upstream */
    if (last + grace > r->now_ns) {
        ctl_again(r, last + grace - r->now_ns);
        return 0;
    }
    bool was_ready = cond_is(*node, "Ready", "True");
    struct val *now = val_copy(r->arena, *node);
    make_unknown(r, now);
    rc = ctl_update(r, NODES, "status", *node, now, node);
    if (rc == 0 && was_ready)
        note_pods(r, meta_name(*node));
    if (rc == 0 && was_ready)
        ctl_event(r, *node, "Normal", "NodeNotReady", "Node " STR_FMT " status is now: NodeNotReady", STR_ARG(meta_name(*node)));
    return rc;
}

static int set_taints(struct ctl_run *r, struct val **node)
{
    struct arena *a = r->arena;
    struct val *now = val_copy(a, *node), *spec = json_obj(a, now, STR("spec")), *taints = node_taints(a, *node, ctl_now(r));
    if (taints && taints->n)
        json_set(a, spec, STR("taints"), taints);
    else
        json_del(spec, STR("taints"));
    return ctl_update(r, NODES, NULL, *node, now, node);
}

/* Nobody else can say of these pods that they do not serve. (Of a node that says itself that it is not ready, its agent can.) */
static int stop_pods(struct ctl_run *r, const struct val *node)
{
    struct ctl_list pods;
    int rc = pods_on_node(r, meta_name(node), &pods);
    for (uint32_t i = 0; rc == 0 && i < pods.n; i++) {
        if (!pod_ready(pods.at[i]))
            continue;
        rc = pod_set_condition(r, &pods.at[i], "Ready", "False", NULL, NULL);
        if (rc == 0)
            ctl_event(r, pods.at[i], "Warning", "NodeNotReady", "Node is not ready");
    }
    return rc;
}

static int run(struct ctl_run *r, struct str none, struct str name)
{
    struct val *node;
    (void)none;
    int rc = ctl_get(r, NODES, STR(""), name, &node);
    if (rc < 0 || !node)
        return rc;
    rc = judge(r, &node);
    if (rc == 0)
        rc = set_taints(r, &node);
    if (rc == 0 && map_get(&r->ctl->memory, name) && !cond_is(node, "Ready", "True"))
        rc = stop_pods(r, node);
    if (rc == 0)
        mem_free(map_del(&r->ctl->memory, name));
    return rc;
}

CTL_RUN(node_lifecycle, run)

static const struct kl_watch watches[] = { { sizeof(struct kl_watch), NODES, NULL, NULL } };
CTL_TABLE(node_lifecycle, watches, NULL);
