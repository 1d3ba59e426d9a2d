/* replicaset.c - as many pods as were asked for; ReplicaSets and ReplicationControllers.
 *
 * Pods are made in rounds that double (as many again as there are): a template that cannot be created fails once, not a thousand times, and
 * the loop is not held for long. Of each pod so much is kept as the status counts and as decides which go first; only those that have changed are read again, and all of them
 * when some have to be adopted or let go.
 */
#include "base/hash.h"
#include "base/json_scan.h"
#include "crowd.h"
#include "workloads.h"

#define ROUND_MOST 64                   /* pods made or removed in one call */

struct kind {
    const char *resource;
    bool plain;                         /* spec.selector is a map of labels */
};

struct set_pod {
    struct crowd_pod pod;
    bool active, terminating, labeled;
    uint64_t node;                      /* digest; 0: on none */
    struct pod_rank rank;
};

struct state {
    struct ctl_run *r;
    const struct kind *kind;
    struct val *set;
    struct val *selector;
    struct crowd *crowd;
    int64_t have;                       /* active ones */
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

static uint64_t node_digest(struct str name)
{
    static const uint64_t seed[2] = { 0x6e6f, 0x6465 };
    return name.len ? hash_sip(seed, name.at, name.len) : 0;
}

static int look_at(struct state *s, const struct val *pod)
{
    struct set_pod *p = crowd_put(s->crowd, meta_name(pod));
    struct val *labels = json_path(s->set, "spec.template.metadata.labels");
    if (!p)
        return ctl_no_memory(s->r);
    p->active = pod_active(pod);
    p->terminating = meta_deleting(pod) && !pod_finished(pod);
    p->node = node_digest(json_str(pod, "spec.nodeName"));
    p->rank = pod_rank(pod);
    p->labeled = !labels || !labels->n || sel_map_matches(labels, json_path(pod, "metadata.labels"));
    return 0;
}

static int make(struct state *s, int64_t n)
{
    struct ctl_run *r = s->r;
    struct val *pod;
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
        if ((rc = look_at(s, pod)) < 0)
            return rc;
    }
    return 0;
}

/* --- which ones go --- */

static int count_node(struct ctl_run *r, const uint64_t *node, struct map *nodes)
{
    struct str key = str_n((const char *)node, sizeof *node);
    int64_t *n = map_get(nodes, key);
    if (!n && (!(n = arena_alloc(r->arena, sizeof *n)) || !map_put(nodes, key, n)))
        return ctl_no_memory(r);
    ++*n;
    return 0;
}

static int count_known(struct ctl_run *r, const struct crowd *c, struct map *nodes)
{
    size_t at = 0;
    void *v;
    int rc = 0;
    while (rc == 0 && map_next(&c->pods, &at, NULL, &v)) {
        const struct set_pod *p = v;
        if (crowd_has(c, &p->pod) && p->active && p->node)
            rc = count_node(r, &p->node, nodes);
    }
    return rc;
}

/* A sibling that this instance has not looked at yet: in its pods' texts. */
static int count_unknown(struct ctl_run *r, const struct val *set, struct map *nodes)
{
    static const char *const paths[] = { "spec.nodeName", "status.phase", "metadata.deletionTimestamp" };
    struct kl_object_list l = { .size = sizeof l };
    struct kl_list_options o = { .size = sizeof o, .resource = PODS, .ns = arena_dup(r->arena, meta_ns(set)), .owner_uid = arena_dup(r->arena, meta_uid(set)) };
    int rc = r->ctl->objects->list(r->ctl->host, r->call, &o, &l);
    for (uint32_t i = 0; rc == 0 && i < l.n; i++) {
        struct str at[3];
        json_scan_paths(str_n(l.at[i].at, l.at[i].len), paths, 3, at);
        struct str phase = json_scan_text(at[1]);
        uint64_t *node = arena_alloc(r->arena, sizeof *node);
        if (!node)
            return ctl_no_memory(r);
        *node = node_digest(json_scan_text(at[0]));
        if (*node && !at[2].at && !str_is(phase, "Succeeded") && !str_is(phase, "Failed"))
            rc = count_node(r, node, nodes);
    }
    return rc;
}

/* How many active pods of sibling sets (those of the same controller) are on each node. */
static int count_nodes(struct state *s, struct map *nodes)
{
    struct ctl_run *r = s->r;
    struct val *owner = meta_controller(s->set);
    struct ctl_list sets = { .at = &s->set, .n = 1 };
    int rc = 0;
    if (owner)
        rc = ctl_list(r, (struct kl_list_options){ .resource = s->kind->resource, .ns = arena_dup(r->arena, meta_ns(s->set)),
                                                   .owner_uid = arena_dup(r->arena, json_str(owner, "uid")) }, &sets);
    for (uint32_t i = 0; rc == 0 && i < sets.n; i++) {
        const struct crowd *c = crowd_of(r->ctl, str_of(arena_printf(r->arena, STR_FMT "/" STR_FMT, STR_ARG(meta_ns(sets.at[i])), STR_ARG(meta_name(sets.at[i])))));
        rc = c && (c == s->crowd || (c->known && !c->whole)) ? count_known(r, c, nodes) : count_unknown(r, sets.at[i], nodes);
    }
    return rc;
}

static int rank_all(struct state *s, struct pod_rank *at, uint32_t *ret_n)
{
    struct map nodes = { 0 };
    size_t i = 0;
    void *v;
    int rc = count_nodes(s, &nodes);
    while (map_next(&s->crowd->pods, &i, NULL, &v)) {
        struct set_pod *p = v;
        if (!crowd_has(s->crowd, &p->pod) || !p->active)
            continue;
        int64_t *n = p->node ? map_get(&nodes, str_n((const char *)&p->node, sizeof p->node)) : NULL;
        at[*ret_n] = p->rank;
        at[*ret_n].crowded = n ? *n : 0;
        at[(*ret_n)++].whose = p;
    }
    map_free(&nodes);
    return rc;
}

/* One that has gone by itself counts as given up. */
static int drop_one(struct state *s, struct set_pod *p)
{
    struct ctl_run *r = s->r;
    struct val *pod;
    int rc = ctl_get(r, PODS, meta_ns(s->set), p->pod.name, &pod);
    if (rc == 0 && pod)
        rc = ctl_delete(r, PODS, pod, NULL);
    if (rc < 0)
        return failed(s, "FailedDelete", "FailedDelete", "deleting", rc);
    if (pod)
        ctl_event(r, s->set, "Normal", "SuccessfulDelete", "Deleted pod: " STR_FMT, STR_ARG(meta_name(pod)));
    p->active = false;
    p->terminating = json_str(pod, "spec.nodeName").len > 0;
    return 0;
}

static int drop(struct state *s, int64_t n)
{
    struct pod_rank *at = arena_alloc(s->r->arena, (s->crowd->pods.n + 1) * sizeof *at);
    uint32_t n_at = 0;
    int rc = at ? rank_all(s, at, &n_at) : ctl_no_memory(s->r);
    if (rc < 0)
        return rc;
    pod_ranks_sort(at, n_at, s->r->now_ns);
    for (int64_t i = 0; rc == 0 && i < n && i < n_at; i++)
        rc = drop_one(s, at[i].whose);
    return rc;
}

/* --- as many as wanted --- */

static int manage(struct state *s)
{
    int64_t wanted = json_int(s->set, "spec.replicas", 1), n = wanted > s->have ? wanted - s->have : s->have - wanted, most;
    if (n == 0)
        return 0;
    most = wanted > s->have && s->have < ROUND_MOST ? (s->have ? s->have : 1) : ROUND_MOST;
    s->more = n > most;
    return wanted > s->have ? make(s, s->more ? most : n) : drop(s, s->more ? most : n);
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
    struct val *now = val_copy(a, s->set), *st = json_obj(a, now, STR("status"));
    int64_t replicas = 0, terminating = 0, labeled = 0, ready = 0, available = 0, wait = 0, min_ready = json_int(s->set, "spec.minReadySeconds", 0);
    size_t at = 0;
    void *v;
    while (map_next(&s->crowd->pods, &at, NULL, &v)) {
        const struct set_pod *p = v;
        bool here = crowd_has(s->crowd, &p->pod), active = here && p->active;
        replicas += active;
        terminating += here && p->terminating;
        labeled += active && p->labeled;
        ready += active && p->rank.ready;
        available += active && p->rank.ready && ready_for(p->rank.ready_ns, min_ready, r->now_ns, &wait);
    }
    json_set_int(a, st, STR("replicas"), replicas);
    meta_set_count(a, st, STR("fullyLabeledReplicas"), labeled);
    meta_set_count(a, st, STR("readyReplicas"), ready);
    meta_set_count(a, st, STR("availableReplicas"), available);
    if (!s->kind->plain)
        json_set_int(a, st, STR("terminatingReplicas"), terminating);
    meta_set_count(a, st, STR("observedGeneration"), json_int(s->set, "metadata.generation", 0));
    set_condition(s, st);
    if (wait)
        ctl_again(r, wait);
    return ctl_update(r, s->kind->resource, "status", s->set, now, NULL);
}

/* --- reconcile --- */

static int read_all(struct state *s)
{
    struct ctl_list all;
    int rc = claim(s->r, s->set, s->selector, PODS, &all);
    for (uint32_t i = 0; rc == 0 && i < all.n; i++)
        rc = look_at(s, all.at[i]);
    return rc;
}

/* One that has to be adopted or let go makes it a matter of all. */
static int read_changed(struct state *s)
{
    struct val *pod;
    int rc = 0;
    for (struct crowd_pod *c = s->crowd->changed; c && rc == 0; c = c->next) {
        rc = ctl_get(s->r, PODS, meta_ns(s->set), c->name, &pod);
        bool ours = pod && meta_controlled_by(pod, meta_uid(s->set)), matches = pod && sel_matches(s->selector, json_path(pod, "metadata.labels"));
        s->crowd->whole |= ours != matches && (ours || (!meta_controller(pod) && !meta_deleting(pod)));
        c->gone = !ours || !matches;
        rc = rc < 0 || c->gone ? rc : look_at(s, pod);
    }
    return rc;
}

static void count_active(struct state *s)
{
    size_t at = 0;
    void *v;
    s->have = 0;
    while (map_next(&s->crowd->pods, &at, NULL, &v))
        s->have += crowd_has(s->crowd, v) && ((struct set_pod *)v)->active;
}

static int read_pods(struct state *s)
{
    char *version = arena_printf(s->r->arena, STR_FMT "/%lld", STR_ARG(meta_uid(s->set)), (long long)json_int(s->set, "metadata.generation", 0));
    s->crowd = crowd_open(s->r, meta_ns(s->set), meta_name(s->set), str_of(version), sizeof(struct set_pod));
    if (!s->crowd)
        return ctl_no_memory(s->r);
    int rc = s->crowd->whole ? 0 : read_changed(s);
    if (rc == 0 && s->crowd->whole)
        rc = read_all(s);
    if (rc == 0)
        count_active(s);
    return rc;
}

static int run(struct ctl_run *r, const struct kind *kind, struct str ns, struct str name)
{
    struct state s = { .r = r, .kind = kind };
    int rc = ctl_get(r, kind->resource, ns, name, &s.set), failure = 0;
    if (rc == 0 && !s.set)
        crowd_forget(r->ctl, ns, name);
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
    crowd_close(s.crowd);
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

static int map_pod(struct ctl_run *r, int rc, struct buf *keys)
{
    if (rc == 0)
        crowd_note(r, json_scan_text(json_scan_member(ctl_meta(r), STR("name"))), keys);
    return rc;
}

static int map_set(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)resource;
    return map_pod(r, keys_of_dependent(r, "ReplicaSet", sets.resource, old, obj, false, keys), keys);
}

static int map_controller(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)resource;
    return map_pod(r, keys_of_dependent(r, "ReplicationController", controllers.resource, old, obj, true, keys), keys);
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
