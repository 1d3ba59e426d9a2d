/* pod_gc.c - pods that nobody ends: those of a node that is gone for good, those on their way out of one that is out of service, and the oldest
 * finished ones above a number. Keys: "node NAME" and "finished". */
#include <stdlib.h>

#include "base/json_scan.h"
#include "nodes.h"

#define QUARANTINE_NS (40 * NS_S)       /* a node may come back under its name */
#define OUT_OF_SERVICE "node.kubernetes.io/out-of-service"
#define COUNT_NS      (20 * NS_S)       /* finished pods are counted this long after one finished */

static int force_delete(struct ctl_run *r, struct val *pod)
{
    struct kl_object_key k = { sizeof k, PODS, arena_dup(r->arena, meta_ns(pod)), arena_dup(r->arena, meta_name(pod)), NULL };
    struct kl_delete_options o = { sizeof o, arena_dup(r->arena, meta_uid(pod)), NULL, 0, 0 };
    if (!k.ns || !k.name || !o.uid)
        return ctl_no_memory(r);
    int rc = r->ctl->objects->remove(r->ctl->host, r->call, &k, &o);
    if (rc != -KL_NOT_FOUND)
        return rc;
    kl_err_init(&r->call->err);
    return 0;
}

/* Nobody else says that it has ended. reason may be NULL. */
static int end_pod(struct ctl_run *r, struct val *pod, const char *reason, const char *message)
{
    struct val *now = val_copy(r->arena, pod);
    int rc = 0;
    if (!pod_finished(pod)) {
        json_set_str(r->arena, json_obj(r->arena, now, STR("status")), STR("phase"), STR("Failed"));
        rc = ctl_update(r, PODS, "status", pod, now, &pod);
        if (rc == 0 && reason)
            rc = pod_set_condition(r, &pod, "DisruptionTarget", "True", reason, message);
    }
    return rc < 0 ? rc : force_delete(r, pod);
}

static bool out_of_service(const struct val *node)
{
    struct val *taints = json_path(node, "spec.taints");
    if (val_is(taints, VAL_ARR) && !cond_is(node, "Ready", "True"))
        val_each(t, taints)
            if (str_is(json_str(t, "key"), OUT_OF_SERVICE))
                return true;
    return false;
}

static int run_node(struct ctl_run *r, struct str name)
{
    struct val *node;
    struct ctl_list pods;
    int rc = ctl_get(r, NODES, STR(""), name, &node);
    if (rc < 0 || (node && !out_of_service(node)))
        return rc;
    rc = pods_on_node(r, name, &pods);
    for (uint32_t i = 0; rc == 0 && i < pods.n; i++) {
        if (!node)
            rc = end_pod(r, pods.at[i], "DeletionByPodGC", "PodGC: node no longer exists");
        else if (meta_deleting(pods.at[i]))
            rc = end_pod(r, pods.at[i], NULL, NULL);
    }
    return rc;
}

struct finished {
    struct str json;
    int64_t created;
};

static int by_age(const void *a, const void *b)
{
    const struct finished *x = a, *y = b;
    return x->created < y->created ? -1 : x->created > y->created;
}

static int run_finished(struct ctl_run *r)
{
    const struct core_conf *conf = r->ctl->conf;
    struct kl_object_list l = { .size = sizeof l };
    struct kl_list_options o = { .size = sizeof o, .resource = PODS };
    uint32_t n = 0;
    int rc = r->ctl->objects->list(r->ctl->host, r->call, &o, &l);
    struct finished *at = rc == 0 ? arena_alloc(r->arena, (l.n + 1) * sizeof *at) : NULL;
    if (!at)
        return rc < 0 ? rc : ctl_no_memory(r);
    for (uint32_t i = 0; i < l.n; i++) {
        struct str json = str_n(l.at[i].at, l.at[i].len), phase = json_scan_text(json_scan_path(json, "status.phase"));
        if (!str_is(phase, "Succeeded") && !str_is(phase, "Failed"))
            continue;
        clock_parse(json_scan_text(json_scan_path(json, "metadata.creationTimestamp")), &at[n].created);
        at[n++].json = json;
    }
    qsort(at, n, sizeof *at, by_age);
    for (uint32_t i = 0; rc == 0 && i + conf->terminated_pods < n; i++) {
        struct val *pod = json_parse(r->arena, at[i].json, &r->call->err);
        rc = pod ? force_delete(r, pod) : -r->call->err.code;
    }
    return rc;
}

static int run(struct ctl_run *r, struct str none, struct str name)
{
    (void)none;
    if (str_starts(name, STR("node ")))
        return run_node(r, str_skip(name, 5));
    return run_finished(r);
}

static void later(struct ctl_run *r, struct str node, int64_t delay_ns)
{
    char *key = arena_printf(r->arena, "node " STR_FMT, STR_ARG(node));
    if (key)
        r->ctl->queue->add(r->ctl->host, key, delay_ns);
}

static void map_node(struct ctl_run *r, struct str obj)
{
    struct str name = json_scan_text(json_scan_path(obj, "metadata.name")), taints = json_scan_path(obj, "spec.taints");
    if (r->call->flags & KL_CALL_DELETED)
        later(r, name, QUARANTINE_NS);
    else if (taints.at && memmem(taints.at, taints.len, OUT_OF_SERVICE, strlen(OUT_OF_SERVICE)))
        later(r, name, 0);
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    struct kl_bytes b;
    (void)keys;
    if (strcmp(resource, NODES) == 0) {
        map_node(r, obj);
        return 0;
    }
    struct str phase = json_scan_text(json_scan_member(ctl_part(r, CTL_STATUS), STR("phase")));
    struct str node = ctl_node(r);
    if ((str_is(phase, "Succeeded") || str_is(phase, "Failed")) && (!old.len || !str_eq(json_scan_text(json_scan_path(old, "status.phase")), phase)))
        r->ctl->queue->add(r->ctl->host, "finished", COUNT_NS);
    bool placed = node.len && (!old.len || !json_scan_text(json_scan_path(old, "spec.nodeName")).len);
    bool going = node.len && json_scan_member(ctl_meta(r), STR("deletionTimestamp")).at && !(r->call->flags & KL_CALL_DELETED);
    if (!placed && !going)
        return 0;
    struct kl_object_key k = { sizeof k, NODES, "", arena_dup(r->arena, node), NULL };
    int rc = k.name ? r->ctl->objects->get(r->ctl->host, r->call, &k, &b) : 0;
    if (rc == -KL_NOT_FOUND) {
        kl_err_init(&r->call->err);
        later(r, node, QUARANTINE_NS);
    } else if (rc == 0 && k.name && going) {
        map_node(r, str_n(b.at, b.len));
    }
    return 0;
}

CTL_RUN(pod_gc, run)
CTL_MAP(pod_gc, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), NODES, NULL, "map" },
    { sizeof(struct kl_watch), PODS, NULL, "map" },
};
CTL_TABLE(pod_gc, watches, pod_gc_map);
