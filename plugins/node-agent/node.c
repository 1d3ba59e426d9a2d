/* node.c - registers the Node object, keeps its status true and renews its Lease. One key, so never two at a time. */
#include "counts.h"
#include "evict.h"
#include "node.h"
#include "status.h"

#define LEASE_NS  (10 * NS_PER_S)
#define STATUS_NS (300 * NS_PER_S)          /* an unchanged status is written again after that time */
#define SLACK_NS  (100 * NS_PER_MS)

/* --- the object --- */

static void set_labels(const struct agent *a, struct arena *ar, struct val *labels)
{
    set_z(ar, labels, "kubernetes.io/hostname", a->node);
    set_z(ar, labels, "kubernetes.io/os", "linux");
    set_z(ar, labels, "kubernetes.io/arch", machine_arch());
    set_z(ar, labels, "beta.kubernetes.io/os", "linux");
    set_z(ar, labels, "beta.kubernetes.io/arch", machine_arch());
}

static void set_cidrs(struct arena *ar, struct val *spec, const char *cidr)
{
    set_z(ar, spec, "podCIDR", cidr);
    val_push(json_arr(ar, spec, STR("podCIDRs")), val_of_str(ar, str_of(cidr)));
}

/* The Lease of an earlier Node of this name belongs to that one and goes with it: it must not be renewed. */
static void drop_lease(struct agent *a, struct kl_call *c)
{
    struct kl_call sub = *c;
    struct kl_object_key k = agent_key("coordination.k8s.io/leases", AGENT_LEASES, a->node, NULL);
    struct kl_delete_options o = { .size = sizeof o, .grace_seconds = -1 };
    kl_err_init(&sub.err);
    a->objects->remove(a->host, &sub, &k, &o);
    a->lease_ns = 0;
}

static int create(struct agent *a, struct kl_call *c, struct arena *ar, struct val **ret)
{
    struct val *o = val_new(ar, VAL_OBJ), *meta = json_obj(ar, o, STR("metadata"));
    struct kl_bytes got = { NULL, 0 };
    set_z(ar, meta, "name", a->node);
    set_labels(a, ar, json_obj(ar, meta, STR("labels")));
    set_z(ar, json_obj(ar, meta, STR("annotations")), "volumes.kubernetes.io/controller-managed-attach-detach", "true");
    if (a->conf->pod_cidr && a->conf->pod_cidr[0])
        set_cidrs(ar, json_obj(ar, o, STR("spec")), a->conf->pod_cidr);
    struct kl_bytes text = agent_text(ar, o);
    struct kl_object_key k = agent_key("/nodes", "", a->node, NULL);
    int rc = text.at ? a->objects->create(a->host, c, &k, text, &got) : kl_fail(c, KL_NO_MEMORY, "no memory");
    if (rc < 0)
        return kl_err_wrap(&c->err, "registering node '%s'", a->node);
    kl_log(a->host, KL_INFO, "registered node '%s' (%s)", a->node, a->ip);
    drop_lease(a, c);
    *ret = agent_parse(ar, c, got);
    return *ret ? 0 : -c->err.code;
}

/* Labels that this agent vouches for, and the pod range that the settings give it. */
static int repair(struct agent *a, struct kl_call *c, struct arena *ar, const struct val *node)
{
    struct val *want = val_new(ar, VAL_OBJ), *patch = val_new(ar, VAL_OBJ);
    const struct val *labels = json_path(node, "metadata.labels");
    set_labels(a, ar, want);
    val_each(l, want)
        if (!str_eq(val_str(json_get(labels, val_key(l))), val_str(l)))
            json_set_str(ar, json_obj(ar, json_obj(ar, patch, STR("metadata")), STR("labels")), val_key(l), val_str(l));
    if (!json_str(node, "spec.podCIDR").len && a->conf->pod_cidr && a->conf->pod_cidr[0])
        set_cidrs(ar, json_obj(ar, patch, STR("spec")), a->conf->pod_cidr);
    if (!patch->n)
        return 0;
    struct kl_bytes text = agent_text(ar, patch);
    struct kl_object_key k = agent_key("/nodes", "", a->node, NULL);
    return text.at ? a->objects->patch(a->host, c, &k, KL_PATCH_MERGE, text, NULL) : kl_fail(c, KL_NO_MEMORY, "no memory");
}

/* --- status --- */

static void tell_changes(struct agent *a, const struct val *was, const struct val *is)
{
    const struct val *old = condition_find(json_path(was, "status.conditions"), STR("Ready"));
    bool ready = str_is(json_str(condition_find(json_get(is, STR("conditions")), STR("Ready")), "status"), "True");
    if (str_is(json_str(old, "status"), "True") != ready)
        event_node(a, ready ? "NodeReady" : "NodeNotReady", "Node %s status is now: %s", a->node, ready ? "NodeReady" : "NodeNotReady");
}

static int write_status(struct agent *a, struct kl_call *c, struct arena *ar, const struct val *node, const char *trouble)
{
    struct val *fresh = node_status(a, c, ar, node, trouble);
    if (!fresh)
        return kl_fail(c, KL_NO_MEMORY, "no memory for the status of node '%s'", a->node);
    bool same = node_status_same(ar, fresh, json_get(node, STR("status")));
    int64_t now = agent_mono(a);
    if (same && a->status_ns && now - a->status_ns < STATUS_NS)
        return 0;
    struct val *patch = val_new(ar, VAL_OBJ);
    set_z(ar, val_push(json_get(fresh, STR("addresses")), val_new(ar, VAL_OBJ)), "$patch", "replace");
    set_v(ar, patch, "status", fresh);
    struct kl_bytes text = agent_text(ar, patch);
    struct kl_object_key k = agent_key("/nodes", "", a->node, "status");
    int rc = text.at ? a->objects->patch(a->host, c, &k, KL_PATCH_STRATEGIC, text, NULL) : kl_fail(c, KL_NO_MEMORY, "no memory");
    if (rc < 0)
        return kl_err_wrap(&c->err, "status of node '%s'", a->node);
    a->status_ns = now;
    tell_changes(a, node, fresh);
    return 0;
}

/* --- lease --- */

static struct val *lease_spec(struct agent *a, struct arena *ar)
{
    char now[CLOCK_TEXT];
    struct val *o = val_new(ar, VAL_OBJ), *spec = json_obj(ar, o, STR("spec"));
    clock_format_micro(agent_wall(a), now);
    set_z(ar, spec, "holderIdentity", a->node);
    set_i(ar, spec, "leaseDurationSeconds", 40);
    set_s(ar, spec, "renewTime", arena_str(ar, str_of(now)));
    return o;
}

static struct val *lease_object(struct agent *a, struct arena *ar, const struct val *node)
{
    struct val *o = lease_spec(a, ar), *meta = json_obj(ar, o, STR("metadata"));
    struct val *owner = val_push(json_arr(ar, meta, STR("ownerReferences")), val_new(ar, VAL_OBJ));
    set_z(ar, meta, "name", a->node);
    set_z(ar, meta, "namespace", AGENT_LEASES);
    set_z(ar, owner, "apiVersion", "v1");
    set_z(ar, owner, "kind", "Node");
    set_z(ar, owner, "name", a->node);
    set_s(ar, owner, "uid", json_str(node, "metadata.uid"));
    return o;
}

static int renew_lease(struct agent *a, struct kl_call *c, struct arena *ar, const struct val *node)
{
    int64_t now = agent_mono(a);
    if (a->lease_ns && now - a->lease_ns < LEASE_NS - SLACK_NS)
        return 0;
    struct kl_object_key k = agent_key("coordination.k8s.io/leases", AGENT_LEASES, a->node, NULL);
    struct kl_bytes text = agent_text(ar, lease_spec(a, ar));
    if (!text.at)
        return kl_fail(c, KL_NO_MEMORY, "no memory");
    int rc = a->objects->patch(a->host, c, &k, KL_PATCH_MERGE, text, NULL);
    if (rc == -KL_NOT_FOUND) {
        text = agent_text(ar, lease_object(a, ar, node));
        rc = text.at ? a->objects->create(a->host, c, &k, text, NULL) : kl_fail(c, KL_NO_MEMORY, "no memory");
    }
    if (rc < 0)
        return kl_err_wrap(&c->err, "lease of node '%s'", a->node);
    a->lease_ns = now;
    return 0;
}

int node_sync(struct agent *a, struct kl_call *c, int64_t *again_ns)
{
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    struct kl_object_key k = agent_key("/nodes", "", a->node, NULL);
    struct val *node = NULL;
    char trouble[sizeof c->err.msg + 128];
    if (!ar)
        return kl_fail(c, KL_NO_MEMORY, "no memory");
    int64_t soon = 0;
    agent_trouble(a, c, trouble, sizeof trouble);
    evict_sync(a, c, &soon);
    count_beat(agent_mono(a));
    int rc = agent_get(a, c, ar, &k, &node);
    if (rc == -KL_NOT_FOUND)
        rc = create(a, c, ar, &node);
    else if (rc == 0)
        rc = repair(a, c, ar, node);
    if (rc == 0)
        rc = write_status(a, c, ar, node, trouble);
    if (rc == 0)
        rc = renew_lease(a, c, ar, node);
    int64_t left = a->lease_ns + LEASE_NS - agent_mono(a);
    *again_ns = left > 0 ? left : NS_PER_S;
    if (soon)
        plan_sooner(again_ns, soon);
    return rc;
}
