/* statefulset.c - pods with names and storage of their own, made in order, given up in reverse, updated from the last to the first. */
#include "statefulset.h"

#include <stdlib.h>

/* --- reading --- */

static int descending(const void *a, const void *b, void *ctx)
{
    int64_t x = ordinal_of(ctx, *(struct val *const *)a), y = ordinal_of(ctx, *(struct val *const *)b);
    return x > y ? -1 : x < y;
}

static int read_pods(struct stateful *s)
{
    struct arena *a = s->r->arena;
    struct ctl_list l;
    int rc = claim(s->r, s->h.owner, json_path(s->h.owner, "spec.selector"), PODS, &l);
    if (rc < 0)
        return rc;
    s->at = arena_alloc(a, ((size_t)s->n + 1) * sizeof *s->at);
    s->condemned = arena_alloc(a, (l.n + 1) * sizeof *s->condemned);
    if (!s->at || !s->condemned)
        return ctl_no_memory(s->r);
    for (uint32_t i = 0; i < l.n; i++) {
        int64_t n = ordinal_of(s, l.at[i]);
        if (n >= s->start && n < s->start + s->n)
            s->at[n - s->start] = l.at[i];
        else if (n >= 0)
            s->condemned[s->n_condemned++] = l.at[i];
    }
    qsort_r(s->condemned, s->n_condemned, sizeof *s->condemned, descending, s);
    return 0;
}

/* --- the order --- */

static int64_t partition_of(const struct stateful *s)
{
    return s->start + json_int(s->h.owner, "spec.updateStrategy.rollingUpdate.partition", 0);
}

static bool rolling(const struct stateful *s)
{
    return str_is(json_str(s->h.owner, "spec.updateStrategy.type"), "RollingUpdate");
}

/* 1: wait for what was begun. */
static int keep_one(struct stateful *s, int64_t ordinal)
{
    struct val *pod = s->at[ordinal - s->start];
    int rc = 0;
    if (!pod) {
        bool old = rolling(s) && ordinal < partition_of(s);
        rc = make_pod(s, ordinal, old ? s->current : s->h.newest);
        return rc < 0 ? rc : s->ordered;
    }
    if (pod_finished(pod)) {
        rc = meta_deleting(pod) ? 0 : drop_pod(s, pod);
        return rc < 0 ? rc : s->ordered;
    }
    if (str_is(json_str(pod, "status.phase"), "Pending"))
        rc = make_claims(s, ordinal, pod);
    if (rc < 0 || (s->ordered && !sound(s, pod)))
        return rc < 0 ? rc : 1;
    return meta_deleting(pod) ? 0 : keep_pod(s, ordinal, pod);
}

static const struct val *first_unsound(struct stateful *s)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->at[i] && !sound(s, s->at[i]))
            return s->at[i];
    for (uint32_t i = s->n_condemned; i-- > 0;)
        if (!sound(s, s->condemned[i]))
            return s->condemned[i];
    return NULL;
}

static int give_up(struct stateful *s)
{
    const struct val *weak = first_unsound(s);
    for (uint32_t i = 0; i < s->n_condemned; i++) {
        struct val *pod = s->condemned[i];
        if (meta_deleting(pod)) {
            if (s->ordered)
                return 1;
            continue;
        }
        if (s->ordered && !sound(s, pod) && pod != weak)
            return 1;
        int rc = own_claims(s, ordinal_of(s, pod), pod);
        if (rc >= 0)
            rc = drop_pod(s, pod);
        if (rc < 0 || s->ordered)
            return rc < 0 ? rc : 1;
    }
    return 0;
}

/* One pod at a time, the last first; nothing more while one is not sound. */
static int update(struct stateful *s)
{
    if (!rolling(s))
        return 0;
    for (int64_t i = s->n; i-- > 0 && s->start + i >= partition_of(s);) {
        struct val *pod = s->at[i];
        if (pod && !of_revision(s, pod, s->h.newest) && !meta_deleting(pod))
            return drop_pod(s, pod);
        if (!sound(s, pod))
            return 0;
    }
    return 0;
}

static int work(struct stateful *s)
{
    int rc = 0;
    for (int64_t i = 0; i < s->n && rc == 0; i++)
        rc = keep_one(s, s->start + i);
    if (rc == 0)
        rc = give_up(s);
    if (rc == 0)
        rc = update(s);
    return rc < 0 ? rc : 0;
}

/* --- status --- */

struct counts {
    int64_t replicas, ready, available, current, updated;
};

static void count(struct stateful *s, const struct val *pod, struct counts *c)
{
    int64_t wait = 0;
    if (!pod || pod_finished(pod))
        return;
    bool running = str_is(json_str(pod, "status.phase"), "Running");
    c->replicas++;
    c->ready += running && pod_ready(pod);
    c->available += running && pod_available(pod, s->min_ready, s->r->now_ns, &wait);
    if (meta_deleting(pod))
        return;
    c->current += of_revision(s, pod, s->current);
    c->updated += of_revision(s, pod, s->h.newest);
}

static int write_status(struct stateful *s)
{
    struct arena *a = s->r->arena;
    struct val *set = s->h.owner, *now = val_copy(a, set), *st = json_obj(a, now, STR("status"));
    struct counts c = { 0 };
    for (int64_t i = 0; i < s->n; i++)
        count(s, s->at[i], &c);
    for (uint32_t i = 0; i < s->n_condemned; i++)
        count(s, s->condemned[i], &c);
    if (rolling(s) && c.updated == s->n && c.ready == s->n && c.replicas == s->n) {
        s->current = s->h.newest;
        c.current = c.updated;
    }
    meta_set_count(a, st, STR("observedGeneration"), json_int(set, "metadata.generation", 0));
    json_set_int(a, st, STR("replicas"), c.replicas);
    meta_set_count(a, st, STR("readyReplicas"), c.ready);
    json_set_int(a, st, STR("availableReplicas"), c.available);
    meta_set_count(a, st, STR("currentReplicas"), c.current);
    meta_set_count(a, st, STR("updatedReplicas"), c.updated);
    json_set_str(a, st, STR("currentRevision"), meta_name(s->current));
    json_set_str(a, st, STR("updateRevision"), meta_name(s->h.newest));
    json_set_int(a, st, STR("collisionCount"), json_int(set, "status.collisionCount", 0));
    return ctl_update(s->r, STATEFULSETS, "status", set, now, &s->h.owner);
}

static bool used(void *ctx, const struct val *revision)
{
    struct stateful *s = ctx;
    bool any = revision == s->current;
    for (int64_t i = 0; i < s->n; i++)
        any |= of_revision(s, s->at[i], revision);
    for (uint32_t i = 0; i < s->n_condemned; i++)
        any |= of_revision(s, s->condemned[i], revision);
    return any;
}

/* --- reconcile --- */

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct stateful s = { .r = r, .h = { .r = r, .resource = STATEFULSETS } };
    int rc = ctl_get(r, STATEFULSETS, ns, name, &s.h.owner);
    if (rc < 0 || !s.h.owner || sel_empty(json_path(s.h.owner, "spec.selector")))
        return rc;
    s.start = json_int(s.h.owner, "spec.ordinals.start", 0);
    s.n = json_int(s.h.owner, "spec.replicas", 1);
    s.ordered = !str_is(json_str(s.h.owner, "spec.podManagementPolicy"), "Parallel");
    s.min_ready = json_int(s.h.owner, "spec.minReadySeconds", 0);
    rc = meta_deleting(s.h.owner) ? 1 : history_sync(&s.h);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    s.current = history_named(&s.h, json_str(s.h.owner, "status.currentRevision"));
    if (!s.current)
        s.current = s.h.newest;
    rc = read_pods(&s);
    if (rc < 0)
        return rc;
    int failure = work(&s);
    char why[sizeof r->call->err.msg];
    memcpy(why, r->call->err.msg, sizeof why);
    rc = write_status(&s);
    if (rc == 0 && failure == 0)
        rc = history_clean_up(&s.h, used, &s);
    return failure < 0 && rc == 0 ? kl_fail(r->call, -failure, "%s", why) : rc;
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)resource;
    return keys_of_dependent(r, "StatefulSet", STATEFULSETS, old, obj, false, keys);
}

CTL_RUN(statefulset, run)
CTL_MAP(statefulset, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), STATEFULSETS, NULL, NULL },
    { sizeof(struct kl_watch), PODS, NULL, "map" },
    { sizeof(struct kl_watch), REVISIONS, NULL, "map" },
};
CTL_TABLE(statefulset, watches, statefulset_map);
