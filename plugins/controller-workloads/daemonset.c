/* daemonset.c - one pod on each node that fits, replaced node by node when the template changes. */
#include "daemonset.h"

#include <stdlib.h>

#include "base/json_scan.h"
#include "base/map.h"
#include "base/mem.h"

#define WAIT_FIRST (1 * NS_S)           /* between the first two times that a failed pod is replaced, then twice as long each time */
#define WAIT_MOST  (900 * NS_S)

struct place {
    struct val *node;                   /* NULL: gone */
    struct fit fit;
    struct val *old, *new;              /* pods that are not on their way out, of an older and of the present template */
    struct val *first;                  /* the oldest of all that are there, those that have a node before the others: the status is about these */
    struct val *extra[8];               /* too many */
    unsigned n_extra;
    bool leaving;                       /* a pod is on its way out */
};

struct daemons {
    struct ctl_run *r;
    struct history h;                   /* owner: the set */
    struct place *at;
    uint32_t n;
    struct map by_node;
    int64_t desired, min_ready;
};

/* --- reading --- */

static struct place *place_of(struct daemons *d, struct str node)
{
    struct place *p = node.len ? map_get(&d->by_node, node) : NULL;
    return p;
}

static bool updated(const struct daemons *d, const struct val *pod)
{
    return str_eq(meta_label(pod, REVISION_HASH), history_label(&d->h, d->h.newest));
}

static bool available(const struct daemons *d, const struct val *pod)
{
    int64_t wait = 0;
    bool ok = pod && pod_available(pod, d->min_ready, d->r->now_ns, &wait);
    if (wait)
        ctl_again(d->r, wait);
    return ok;
}

static void stand(struct place *p, struct val *pod)
{
    bool placed = json_str(pod, "spec.nodeName").len, was = json_str(p->first, "spec.nodeName").len;
    if (meta_deleting(pod) && pod_finished(pod))
        return;
    if (!p->first || placed > was || (placed == was && meta_cmp_created(pod, p->first) < 0))
        p->first = pod;
}

/* The older one of two pods of one kind stays. */
static void seat(struct place *p, struct val **seat_, struct val *pod)
{
    struct val *loser = *seat_;
    if (!*seat_ || meta_cmp_created(pod, *seat_) < 0)
        *seat_ = pod;
    else
        loser = pod;
    if (loser && p->n_extra < sizeof p->extra / sizeof *p->extra)
        p->extra[p->n_extra++] = loser;
}

static int drop(struct daemons *d, const struct val *pod)
{
    int rc = ctl_delete(d->r, PODS, pod, NULL);
    if (rc == 0)
        ctl_event(d->r, d->h.owner, "Normal", "SuccessfulDelete", "Deleted pod: " STR_FMT, STR_ARG(meta_name(pod)));
    return rc;
}

/* --- failures --- */

/* When the failed pod of a set, in its present form, on that node was replaced: perhaps the node refuses it each time. */
struct failure {
    int64_t at_ns, wait_ns;
    char key[];
};

static bool forgotten(const struct daemons *d, const struct failure *f)
{
    return d->r->now_ns - f->at_ns > 2 * WAIT_MOST;
}

static void forget_old(struct daemons *d)
{
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&d->r->ctl->memory, &at, &key, &value))
        if (forgotten(d, value)) {
            mem_free(map_del(&d->r->ctl->memory, key));
            at = 0;
        }
}

/* ns to wait until it may be replaced; 0: now, and the next time is later. */
static int64_t failure_wait(struct daemons *d, const struct place *p)
{
    struct arena *a = d->r->arena;
    struct str key = str_of(arena_printf(a, STR_FMT "/%lld/" STR_FMT, STR_ARG(meta_uid(d->h.owner)), (long long)json_int(d->h.owner, "status.observedGeneration", 0),
                                         STR_ARG(meta_name(p->node))));
    struct failure *f = map_get(&d->r->ctl->memory, key);
    if (f && !forgotten(d, f)) {
        if (d->r->now_ns - f->at_ns < f->wait_ns)
            return f->wait_ns - (d->r->now_ns - f->at_ns);
        f->wait_ns = f->wait_ns < WAIT_MOST / 2 ? 2 * f->wait_ns : WAIT_MOST;
        f->at_ns = d->r->now_ns;
        return 0;
    }
    forget_old(d);
    if (!key.len || !(f = mem_alloc(sizeof *f + key.len)))
        return 0;
    *f = (struct failure){ .at_ns = d->r->now_ns, .wait_ns = WAIT_FIRST };
    memcpy(f->key, key.at, key.len);
    if (!map_put(&d->r->ctl->memory, str_n(f->key, key.len), f))
        mem_free(f);
    return 0;
}

static int take_finished(struct daemons *d, struct place *p, struct val *pod)
{
    bool failed = str_is(json_str(pod, "status.phase"), "Failed");
    int64_t left = failed ? failure_wait(d, p) : 0;
    p->leaving = true;
    if (left > 0) {
        ctl_again(d->r, left);
        return 0;
    }
    ctl_event(d->r, d->h.owner, failed ? "Warning" : "Normal", failed ? "FailedDaemonPod" : "SucceededDaemonPod",
              "Found %s daemon pod " STR_FMT "/" STR_FMT " on node " STR_FMT ", will try to %s it", failed ? "failed" : "succeeded", STR_ARG(meta_ns(pod)),
              STR_ARG(meta_name(pod)), STR_ARG(meta_name(p->node)), failed ? "kill" : "delete");
    return drop(d, pod);
}

static int take_pod(struct daemons *d, struct val *pod)
{
    struct str node = daemon_node(pod);
    struct place *p = place_of(d, node);
    if (!p)                             /* its node has gone: pod-gc's, once it has been there */
        return json_str(pod, "spec.nodeName").len || meta_deleting(pod) ? 0 : drop(d, pod);
    stand(p, pod);
    if (meta_deleting(pod)) {
        p->leaving = true;
        return 0;
    }
    if (pod_finished(pod))
        return take_finished(d, p, pod);
    seat(p, updated(d, pod) ? &p->new : &p->old, pod);
    return 0;
}

static int read(struct daemons *d)
{
    struct arena *a = d->r->arena;
    struct ctl_list nodes, pods;
    int rc = ctl_list(d->r, (struct kl_list_options){ .resource = NODES }, &nodes);
    if (rc == 0)
        rc = claim(d->r, d->h.owner, json_path(d->h.owner, "spec.selector"), PODS, &pods);
    if (rc < 0)
        return rc;
    d->at = arena_alloc(a, (nodes.n + 1) * sizeof *d->at);
    if (!d->at)
        return ctl_no_memory(d->r);
    for (uint32_t i = 0; i < nodes.n; i++) {
        struct place *p = &d->at[d->n++];
        p->node = nodes.at[i];
        p->fit = daemon_fit(a, json_path(d->h.owner, "spec.template"), p->node);
        d->desired += p->fit.run;
        if (!map_put(&d->by_node, meta_name(p->node), p))
            return ctl_no_memory(d->r);
    }
    for (uint32_t i = 0; i < pods.n && rc == 0; i++)
        rc = take_pod(d, pods.at[i]);
    return rc;
}

/* --- one pod each --- */

static int make(struct daemons *d, struct place *p)
{
    struct ctl_run *r = d->r;
    struct val *t = daemon_template(r->arena, json_path(d->h.owner, "spec.template"), meta_name(p->node));
    struct val *pod = pod_of_template(r, d->h.owner, t, STR_NONE);
    struct str generation = meta_annotation(d->h.owner, "deprecated.daemonset.template.generation");
    if (generation.len)
        meta_set_label(r->arena, pod, "pod-template-generation", generation);
    meta_set_label(r->arena, pod, REVISION_HASH, history_label(&d->h, d->h.newest));
    int rc = ctl_create(r, PODS, meta_ns(d->h.owner), pod, &p->new);
    if (rc == -KL_FORBIDDEN && strstr(r->call->err.msg, "because it is being terminated")) {
        kl_err_init(&r->call->err);
        return 0;
    }
    if (rc < 0)
        ctl_event(r, d->h.owner, "Warning", "FailedCreate", "Error creating: %s", r->call->err.msg);
    else
        ctl_event(r, d->h.owner, "Normal", "SuccessfulCreate", "Created pod: " STR_FMT, STR_ARG(meta_name(p->new)));
    return rc;
}

static int keep(struct daemons *d)
{
    int rc = 0;
    for (uint32_t i = 0; i < d->n && rc == 0; i++) {
        struct place *p = &d->at[i];
        for (unsigned k = 0; k < p->n_extra && rc == 0; k++)
            rc = drop(d, p->extra[k]);
        if (!p->fit.stay) {
            if (rc == 0 && p->old)
                rc = drop(d, p->old);
            if (rc == 0 && p->new)
                rc = drop(d, p->new);
            p->old = p->new = NULL;
        } else if (rc == 0 && p->fit.run && !p->old && !p->new && !p->leaving) {
            rc = make(d, p);
        }
    }
    return rc;
}

/* --- update --- */

struct limits_of {
    int64_t surge, unavailable;
};

static struct limits_of limits(const struct daemons *d)
{
    struct val *rolling = json_path(d->h.owner, "spec.updateStrategy.rollingUpdate");
    struct limits_of l = { int_or_percent(json_get(rolling, STR("maxSurge")), d->desired, true, 0),
                           int_or_percent(json_get(rolling, STR("maxUnavailable")), d->desired, true, 1) };
    if (!l.surge && !l.unavailable)
        l.unavailable = 1;
    return l;
}

/* Old pods go as far as enough others serve; those that do not serve go at once. */
static int replace_in_place(struct daemons *d, int64_t room)
{
    int rc = 0;
    for (uint32_t i = 0; i < d->n; i++)
        room -= d->at[i].fit.run && !available(d, d->at[i].new) && !available(d, d->at[i].old);
    for (uint32_t i = 0; i < d->n && rc == 0; i++) {
        struct place *p = &d->at[i];
        bool serves = available(d, p->old);
        if (!p->old || p->new || (serves && room <= 0))
            continue;
        room -= serves;
        rc = drop(d, p->old);
        p->old = NULL;
        p->leaving = true;
    }
    return rc;
}

/* New pods come beside old ones, which go when the new ones serve. */
static int replace_by_surge(struct daemons *d, int64_t room)
{
    int rc = 0;
    for (uint32_t i = 0; i < d->n; i++)
        room -= d->at[i].old && d->at[i].new && available(d, d->at[i].old) && !available(d, d->at[i].new);
    for (uint32_t i = 0; i < d->n && rc == 0; i++) {
        struct place *p = &d->at[i];
        bool serves = available(d, p->old);
        if (!p->old)
            continue;
        if (p->new && available(d, p->new)) {
            rc = drop(d, p->old);
            p->old = NULL;
        } else if (!p->new && p->fit.run && (!serves || room > 0)) {
            room -= serves;
            rc = make(d, p);
        }
    }
    return rc;
}

static int update(struct daemons *d)
{
    struct limits_of l = limits(d);
    if (!str_is(json_str(d->h.owner, "spec.updateStrategy.type"), "RollingUpdate"))
        return 0;
    return l.surge ? replace_by_surge(d, l.surge) : replace_in_place(d, l.unavailable);
}

/* --- status --- */

static int write_status(struct daemons *d)
{
    struct arena *a = d->r->arena;
    struct val *set = d->h.owner, *now = val_copy(a, set), *st = json_obj(a, now, STR("status"));
    int64_t current = 0, wrong = 0, ready = 0, serving = 0, fresh = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        const struct place *p = &d->at[i];
        const struct val *pod = p->first ? p->first : p->new;
        if (!p->fit.run) {
            wrong += pod != NULL;
            continue;
        }
        current += pod != NULL;
        ready += pod && pod_ready(pod);
        serving += available(d, pod);
        fresh += pod && updated(d, pod);
    }
    json_set_int(a, st, STR("currentNumberScheduled"), current);
    json_set_int(a, st, STR("numberMisscheduled"), wrong);
    json_set_int(a, st, STR("desiredNumberScheduled"), d->desired);
    json_set_int(a, st, STR("numberReady"), ready);
    meta_set_count(a, st, STR("observedGeneration"), json_int(set, "metadata.generation", 0));
    meta_set_count(a, st, STR("updatedNumberScheduled"), fresh);
    meta_set_count(a, st, STR("numberAvailable"), serving);
    meta_set_count(a, st, STR("numberUnavailable"), d->desired - serving);
    return ctl_update(d->r, DAEMONSETS, "status", set, now, &d->h.owner);
}

static bool used(void *ctx, const struct val *revision)
{
    struct daemons *d = ctx;
    struct str label = history_label(&d->h, revision);
    for (uint32_t i = 0; i < d->n; i++)
        if ((d->at[i].old && str_eq(meta_label(d->at[i].old, REVISION_HASH), label)) || (d->at[i].new && revision == d->h.newest))
            return true;
    return false;
}

/* --- reconcile --- */

static int work(struct daemons *d)
{
    int rc = read(d);
    if (rc < 0)
        return rc;
    int failure = keep(d);
    if (failure == 0)
        failure = update(d);
    char why[sizeof d->r->call->err.msg];
    memcpy(why, d->r->call->err.msg, sizeof why);
    rc = write_status(d);
    if (rc == 0 && failure == 0)
        rc = history_clean_up(&d->h, used, d);
    return failure < 0 && rc == 0 ? kl_fail(d->r->call, -failure, "%s", why) : rc;
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct daemons d = { .r = r, .h = { .r = r, .resource = DAEMONSETS, .hash_label = true } };
    int rc = ctl_get(r, DAEMONSETS, ns, name, &d.h.owner);
    if (rc < 0 || !d.h.owner || meta_deleting(d.h.owner) || sel_empty(json_path(d.h.owner, "spec.selector")))
        return rc;
    d.min_ready = json_int(d.h.owner, "spec.minReadySeconds", 0);
    rc = history_sync(&d.h);
    if (rc == 0)
        rc = work(&d);
    map_free(&d.by_node);
    return rc < 0 ? rc : 0;
}

/* Heartbeats of nodes change nothing here. */
static bool node_matters(struct str old, struct str obj)
{
    return !old.len || !str_eq(json_scan_path(old, "metadata.labels"), json_scan_path(obj, "metadata.labels")) ||
           !str_eq(json_scan_path(old, "spec.taints"), json_scan_path(obj, "spec.taints"));
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    struct ctl_list l;
    if (strcmp(resource, NODES) != 0)
        return keys_of_dependent(r, "DaemonSet", DAEMONSETS, old, obj, false, keys);
    if (!(r->call->flags & KL_CALL_DELETED) && !node_matters(old, obj))
        return 0;
    int rc = ctl_list(r, (struct kl_list_options){ .resource = DAEMONSETS }, &l);
    for (uint32_t i = 0; rc == 0 && i < l.n; i++)
        ctl_key_add(keys, meta_ns(l.at[i]), meta_name(l.at[i]));
    return rc;
}

CTL_RUN(daemonset, run)
CTL_MAP(daemonset, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), DAEMONSETS, NULL, NULL },
    { sizeof(struct kl_watch), PODS, NULL, "map" },
    { sizeof(struct kl_watch), NODES, NULL, "map" },
    { sizeof(struct kl_watch), REVISIONS, NULL, "map" },
};
CTL_TABLE(daemonset, watches, daemonset_map);
