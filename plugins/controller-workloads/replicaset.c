/* replicaset.c - as many pods as were asked for; ReplicaSets and ReplicationControllers.
 *
 * Pods are made in rounds that double (as many again as there are): a template that cannot be created fails once, not a thousand times, and
 * the loop is not held for long. What the round before made is seen by the next one's read, so nothing is remembered in between.
 */
#include "workloads.h"

#define ROUND_MOST 64                   /* pods made or removed in one call */

struct kind {
    const char *resource;
    bool plain;                         /* spec.selector is a map of labels */
};

struct state {
    struct ctl_run *r;
    const struct kind *kind;
    struct val *set;
    struct val *selector;
    struct ctl_list active;
    int64_t terminating;
    bool more;                          /* another round follows at once */
    const char *failed;                 /* reason of the condition, or NULL */
    const char *message;
};

/* --- pods --- */

/* Pods of a namespace that is going away cannot be made: the set is going too. */
static bool namespace_going(const struct ctl_run *r, int rc)
{
    return rc == -KL_FORBIDDEN && strstr(r->call->err.msg, "because it is being terminated");
}

static int failed(struct state *s, const char *reason, const char *event, const char *what, int rc)
{
    struct ctl_run *r = s->r;
    if (rc == -KL_PENDING)
        return rc;
    s->failed = reason;
    s->message = arena_dup(r->arena, str_of(r->call->err.msg));
    ctl_event(r, s->set, "Warning", event, "Error %s: %s", what, r->call->err.msg);
    return rc;
}

static int make(struct state *s, int64_t n)
{
    struct ctl_run *r = s->r;
    struct val **at = arena_alloc(r->arena, (s->active.n + (size_t)n + 1) * sizeof *at), *pod;
    if (!at)
        return ctl_no_memory(r);
    for (uint32_t i = 0; i < s->active.n; i++)
        at[i] = s->active.at[i];
    s->active.at = at;
    struct val *wanted = pod_of_template(r, s->set, json_path(s->set, "spec.template"), STR_NONE);
    for (int64_t i = 0; i < n; i++) {
        int rc = ctl_create(r, PODS, meta_ns(s->set), wanted, &pod);
        if (namespace_going(r, rc)) {
            kl_err_init(&r->call->err);
            s->more = false;
            return 0;
        }
        if (rc < 0)
            return failed(s, "FailedCreate", "FailedCreate", "creating", rc);
        ctl_event(r, s->set, "Normal", "SuccessfulCreate", "Created pod: " STR_FMT, STR_ARG(meta_name(pod)));
        at[s->active.n++] = pod;
    }
    return 0;
}

/* How many active pods of sibling sets (those of the same controller) share each pod's node. */
static int rank_nodes(struct state *s, int64_t *rank)
{
    struct ctl_run *r = s->r;
    struct val *owner = meta_controller(s->set);
    struct ctl_list sets = { .at = &s->set, .n = 1 }, pods;
    int rc = 0;
    if (owner)
        rc = ctl_list(r, (struct kl_list_options){ .resource = s->kind->resource, .ns = arena_dup(r->arena, meta_ns(s->set)),
                                                   .owner_uid = arena_dup(r->arena, json_str(owner, "uid")) }, &sets);
    for (uint32_t i = 0; rc == 0 && i < sets.n; i++) {
        rc = ctl_list(r, (struct kl_list_options){ .resource = PODS, .ns = arena_dup(r->arena, meta_ns(s->set)),
                                                   .owner_uid = arena_dup(r->arena, meta_uid(sets.at[i])) }, &pods);
        for (uint32_t k = 0; rc == 0 && k < pods.n; k++) {
            struct str node = json_str(pods.at[k], "spec.nodeName");
            if (!node.len || !pod_active(pods.at[k]))
                continue;
            for (uint32_t j = 0; j < s->active.n; j++)
                rank[j] += str_eq(node, json_str(s->active.at[j], "spec.nodeName"));
        }
    }
    return rc;
}

static int drop(struct state *s, int64_t n)
{
    struct ctl_run *r = s->r;
    int64_t *rank = arena_alloc(r->arena, (s->active.n + 1) * sizeof *rank);
    if (!rank)
        return ctl_no_memory(r);
    if (n < s->active.n) {
        int rc = rank_nodes(s, rank);
        if (rc < 0)
            return rc;
        pods_rank(s->active.at, rank, s->active.n, r->now_ns);
    }
    for (int64_t i = 0; i < n; i++) {
        struct val *pod = s->active.at[0];
        int rc = ctl_delete(r, PODS, pod, NULL);
        if (rc < 0)
            return failed(s, "FailedDelete", "FailedDelete", "deleting", rc);
        ctl_event(r, s->set, "Normal", "SuccessfulDelete", "Deleted pod: " STR_FMT, STR_ARG(meta_name(pod)));
        s->terminating += json_str(pod, "spec.nodeName").len > 0;
        s->active.at++;
        s->active.n--;
    }
    return 0;
}

static int manage(struct state *s)
{
    int64_t wanted = json_int(s->set, "spec.replicas", 1), have = s->active.n, n = wanted > have ? wanted - have : have - wanted, most;
    if (n == 0)
        return 0;
    most = wanted > have && have < ROUND_MOST ? (have ? have : 1) : ROUND_MOST;
    s->more = n > most;
    return wanted > have ? make(s, s->more ? most : n) : drop(s, s->more ? most : n);
}

/* --- status --- */

static void set_condition(struct state *s, struct val *status)
{
    struct arena *a = s->r->arena;
    struct val *list = json_get(status, STR("conditions")), *c = cond_find(list, "ReplicaFailure");
    if (!s->failed) {
        if (cond_drop(list, "ReplicaFailure") && !list->n)
            json_del(status, STR("conditions"));
        return;
    }
    if (c && str_is(json_str(c, "status"), "True") && str_is(json_str(c, "reason"), s->failed))
        return;
    c = val_push(json_arr(a, status, STR("conditions")), val_new(a, VAL_OBJ));
    json_set_str(a, c, STR("type"), STR("ReplicaFailure"));
    json_set_str(a, c, STR("status"), STR("True"));
    json_set_str(a, c, STR("lastTransitionTime"), ctl_now(s->r));
    json_set_str(a, c, STR("reason"), str_of(s->failed));
    json_set_str(a, c, STR("message"), str_of(s->message));
}

static int write_status(struct state *s)
{
    struct ctl_run *r = s->r;
    struct arena *a = r->arena;
    struct val *now = val_copy(a, s->set), *st = json_obj(a, now, STR("status")), *labels = json_path(s->set, "spec.template.metadata.labels");
    int64_t labeled = 0, ready = 0, available = 0, wait = 0, min_ready = json_int(s->set, "spec.minReadySeconds", 0);
    for (uint32_t i = 0; i < s->active.n; i++) {
        struct val *pod = s->active.at[i];
        labeled += !labels || !labels->n || sel_map_matches(labels, json_path(pod, "metadata.labels"));
        ready += pod_ready(pod);
        available += pod_available(pod, min_ready, r->now_ns, &wait);
    }
    json_set_int(a, st, STR("replicas"), s->active.n);
    meta_set_count(a, st, STR("fullyLabeledReplicas"), labeled);
    meta_set_count(a, st, STR("readyReplicas"), ready);
    meta_set_count(a, st, STR("availableReplicas"), available);
    if (!s->kind->plain)
        json_set_int(a, st, STR("terminatingReplicas"), s->terminating);
    meta_set_count(a, st, STR("observedGeneration"), json_int(s->set, "metadata.generation", 0));
    set_condition(s, st);
    if (wait)
        ctl_again(r, wait);
    return ctl_update(r, s->kind->resource, "status", s->set, now, NULL);
}

/* --- reconcile --- */

static int read_pods(struct state *s)
{
    struct ctl_list all;
    int rc = claim(s->r, s->set, s->selector, PODS, &all);
    s->active = (struct ctl_list){ .at = all.at };
    for (uint32_t i = 0; rc == 0 && i < all.n; i++) {
        struct val *pod = all.at[i];
        s->terminating += meta_deleting(pod) && !pod_finished(pod);
        if (pod_active(pod))
            s->active.at[s->active.n++] = pod;
    }
    return rc;
}

static int run(struct ctl_run *r, const struct kind *kind, struct str ns, struct str name)
{
    struct state s = { .r = r, .kind = kind };
    int rc = ctl_get(r, kind->resource, ns, name, &s.set), failure = 0;
    if (rc < 0 || !s.set)
        return rc;
    s.selector = json_path(s.set, "spec.selector");
    if (kind->plain) {
        struct val *wrap = val_new(r->arena, VAL_OBJ);
        if (s.selector)
            json_set(r->arena, wrap, STR("matchLabels"), val_copy(r->arena, s.selector));
        s.selector = wrap;
    }
    rc = read_pods(&s);
    if (rc == 0 && !meta_deleting(s.set))
        failure = manage(&s);
    if (rc < 0 || (failure < 0 && !s.failed))
        return rc < 0 ? rc : failure;
    char why[sizeof r->call->err.msg];
    memcpy(why, r->call->err.msg, sizeof why);
    if (!s.more || failure < 0)
        rc = write_status(&s);
    if (rc < 0)
        return rc;
    if (failure < 0)
        return kl_fail(r->call, -failure, "%s", why);
    if (s.more)
        ctl_again(r, 1);
    return 0;
}

/* --- tables --- */

static const struct kind sets = { REPLICASETS, false }, controllers = { "/replicationcontrollers", true };

static int run_set(struct ctl_run *r, struct str ns, struct str name)
{
    return run(r, &sets, ns, name);
}

static int run_controller(struct ctl_run *r, struct str ns, struct str name)
{
    return run(r, &controllers, ns, name);
}

static int map_set(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)resource;
    return keys_of_dependent(r, "ReplicaSet", sets.resource, old, obj, false, keys);
}

static int map_controller(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)resource;
    return keys_of_dependent(r, "ReplicationController", controllers.resource, old, obj, true, keys);
}

CTL_RUN(replicaset, run_set)
CTL_MAP(replicaset, map_set)
CTL_RUN(replicationcontroller, run_controller)
CTL_MAP(replicationcontroller, map_controller)

static const struct kl_watch set_watches[] = {
    { sizeof(struct kl_watch), REPLICASETS, NULL, NULL },
    { sizeof(struct kl_watch), PODS, NULL, "map" },
};
static const struct kl_watch controller_watches[] = {
    { sizeof(struct kl_watch), "/replicationcontrollers", NULL, NULL },
    { sizeof(struct kl_watch), PODS, NULL, "map" },
};
CTL_TABLE(replicaset, set_watches, replicaset_map);
CTL_TABLE(replicationcontroller, controller_watches, replicationcontroller_map);
