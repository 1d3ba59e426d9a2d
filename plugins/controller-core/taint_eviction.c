/* taint_eviction.c - pods leave a node whose NoExecute taints they do not bear, or no longer. The key is the node's name. */
#include "base/json_scan.h"
#include "nodes.h"

static int evict(struct ctl_run *r, struct val *pod)
{
    int rc = pod_set_condition(r, &pod, "DisruptionTarget", "True", "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint");
    if (rc < 0)
        return rc;
    ctl_event(r, pod, "Normal", "TaintManagerEviction", "Marking for deletion Pod " STR_FMT "/" STR_FMT, STR_ARG(meta_ns(pod)), STR_ARG(meta_name(pod)));
    return ctl_delete(r, PODS, pod, NULL);
}

static bool any_no_execute(const struct val *taints)
{
    if (val_is(taints, VAL_ARR))
        val_each(t, taints)
            if (str_is(json_str(t, "effect"), "NoExecute"))
                return true;
    return false;
}

static int run(struct ctl_run *r, struct str none, struct str name)
{
    struct val *node, *taints;
    struct ctl_list pods;
    (void)none;
    int rc = ctl_get(r, NODES, STR(""), name, &node);
    taints = rc == 0 ? json_path(node, "spec.taints") : NULL;
    if (rc < 0 || !any_no_execute(taints))
        return rc;
    rc = pods_on_node(r, name, &pods);
    for (uint32_t i = 0; rc == 0 && i < pods.n; i++) {
        int64_t until = pod_bears_until(pods.at[i], taints);
        if (meta_deleting(pods.at[i]) || until == INT64_MAX)
            continue;
        if (until > r->now_ns)
            ctl_again(r, until - r->now_ns);
        else
            rc = evict(r, pods.at[i]);
    }
    return rc;
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    static const char *const parts[] = { "spec.nodeName", "spec.tolerations" };
    if (r->call->flags & KL_CALL_DELETED)
        return 0;
    if (strcmp(resource, NODES) == 0) {
        if (!old.len || !str_eq(json_scan_path(old, "spec.taints"), json_scan_path(obj, "spec.taints")))
            ctl_key_add(keys, STR(""), json_scan_text(json_scan_path(obj, "metadata.name")));
        return 0;
    }
    struct str was[2], is[2], node = ctl_node(r);
    if (!node.len)
        return 0;
    json_scan_paths(obj, parts, 2, is);
    json_scan_paths(old, parts, 2, was);
    if (!old.len || !str_eq(was[0], is[0]) || !str_eq(was[1], is[1]))
        ctl_key_add(keys, STR(""), node);
    return 0;
}

CTL_RUN(taint_eviction, run)
CTL_MAP(taint_eviction, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), NODES, NULL, "map" },
    { sizeof(struct kl_watch), PODS, NULL, "map" },
};
CTL_TABLE(taint_eviction, watches, taint_eviction_map);
