/* deployment.c - ReplicaSets of a Deployment: one per template, rolled from the old to the new. */
#include "rollout.h"

#include <stdlib.h>

/* --- RollingUpdate --- */

static int grow_newest(struct rollout *x, bool *scaled)
{
    int64_t wanted = json_int(x->d, "spec.replicas", 1), now = set_wanted(x->sets.at[x->newest]);
    if (now == wanted)
        return 0;
    return set_scale(x, x->newest, now > wanted ? wanted : rollout_grow(x), scaled);
}

/* Old pods that do not serve go first: they protect nothing. */
static int shrink_unhealthy(struct rollout *x, int64_t room, bool *scaled)
{
    int rc = 0;
    for (uint32_t i = 0; i < x->sets.n && room > 0 && rc == 0; i++) {
        int64_t size = set_wanted(x->sets.at[i]), idle = size - set_available(x->sets.at[i]);
        if ((int)i == x->newest || !size || idle <= 0)
            continue;
        idle = idle < room ? idle : room;
        room -= idle;
        rc = set_scale(x, (int)i, size - idle, scaled);
    }
    return rc;
}

static int shrink_old(struct rollout *x, bool *scaled)
{
    int64_t old = 0, room = rollout_room_unhealthy(x);
    for (uint32_t i = 0; i < x->sets.n; i++)
        old += (int)i == x->newest ? 0 : set_wanted(x->sets.at[i]);
    if (!old || !room)
        return 0;
    int rc = shrink_unhealthy(x, room, scaled);
    room = rollout_room(x);
    for (uint32_t i = 0; i < x->sets.n && room > 0 && rc == 0; i++) {
        int64_t size = set_wanted(x->sets.at[i]), part = size < room ? size : room;
        if ((int)i == x->newest || !size)
            continue;
        room -= part;
        rc = set_scale(x, (int)i, size - part, scaled);
    }
    return rc;
}

static int settle(struct rollout *x)
{
    int rc = rollout_complete(x->d, json_get(x->d, STR("status"))) ? sets_clean_up(x) : 0;
    return rc < 0 ? rc : progress_write(x, true);
}

static int rolling_update(struct rollout *x)
{
    bool scaled = false;
    int rc = sets_sync_newest(x, true);
    if (rc == 0)
        rc = grow_newest(x, &scaled);
    if (rc == 0 && !scaled)
        rc = shrink_old(x, &scaled);
    if (rc < 0 || rc == 1)
        return rc;
    return scaled ? progress_write(x, true) : settle(x);
}

/* --- Recreate --- */

static int old_pods_left(struct rollout *x, bool *left)
{
    int rc = 0;
    for (uint32_t i = 0; i < x->sets.n && rc == 0 && !*left; i++) {
        struct ctl_list pods;
        if ((int)i == x->newest)
            continue;
        rc = ctl_list(x->r, (struct kl_list_options){ .resource = PODS, .ns = arena_dup(x->r->arena, meta_ns(x->d)),
                                                      .owner_uid = arena_dup(x->r->arena, meta_uid(x->sets.at[i])) }, &pods);
        for (uint32_t k = 0; k < pods.n; k++)
            *left |= !pod_finished(pods.at[k]);
    }
    return rc;
}

static int recreate(struct rollout *x)
{
    bool scaled = false, left = false;
    int rc = sets_sync_newest(x, false);
    for (uint32_t i = 0; i < x->sets.n && rc == 0; i++)
        if ((int)i != x->newest && set_wanted(x->sets.at[i]))
            rc = set_scale(x, (int)i, 0, &scaled);
    if (rc == 0 && !scaled)
        rc = old_pods_left(x, &left);
    if (rc != 0)
        return rc;
    if (scaled || left)
        return progress_write(x, true);
    if (x->newest < 0)
        rc = sets_sync_newest(x, true);
    if (rc == 0 && set_wanted(x->sets.at[x->newest]) != json_int(x->d, "spec.replicas", 1))
        rc = set_scale(x, x->newest, json_int(x->d, "spec.replicas", 1), &scaled);
    return rc ? rc : settle(x);
}

/* --- scaling, and while paused --- */

/* The one active set, or the latest when none is; -1: several, or none at all. */
static int only_active(const struct rollout *x)
{
    int found = -1, n = 0;
    for (uint32_t i = 0; i < x->sets.n; i++)
        if (set_wanted(x->sets.at[i])) {
            found = (int)i;
            n++;
        }
    if (n == 0)
        return x->newest >= 0 ? x->newest : (int)x->sets.n - 1;
    return n == 1 ? found : -1;
}

static bool saturated(const struct rollout *x)
{
    int64_t wanted = json_int(x->d, "spec.replicas", 1), desired;
    struct val *set = x->newest < 0 ? NULL : x->sets.at[x->newest];
    return set && str_int(meta_annotation(set, "deployment.kubernetes.io/desired-replicas"), &desired) && desired == wanted &&
           set_wanted(set) == wanted && set_count(set, "availableReplicas") == wanted;
}

static int scale_all(struct rollout *x)
{
    bool scaled = false;
    int only = only_active(x), rc = 0;
    if (only >= 0)
        return set_scale(x, only, json_int(x->d, "spec.replicas", 1), &scaled);
    bool rolling = str_is(json_str(x->d, "spec.strategy.type"), "RollingUpdate"), full = saturated(x);
    int64_t *size = arena_alloc(x->r->arena, (x->sets.n + 1) * sizeof *size);
    if (!size)
        return ctl_no_memory(x->r);
    if (!full && !rolling)
        return 0;
    rollout_proportional(x, size);
    for (uint32_t i = 0; i < x->sets.n && rc == 0; i++) {
        if (!set_wanted(x->sets.at[i]) || (full && (int)i == x->newest))
            continue;
        rc = set_scale(x, (int)i, full ? 0 : size[i], &scaled);
    }
    return rc;
}

static int scale_only(struct rollout *x)
{
    int rc = sets_sync_newest(x, false);
    if (rc == 0)
        rc = scale_all(x);
    if (rc == 0 && json_bool(x->d, "spec.paused", false))
        rc = sets_clean_up(x);
    return rc ? rc : progress_write(x, false);
}

/* --- reconcile --- */

static int selects_all(struct rollout *x)
{
    struct arena *a = x->r->arena;
    struct val *now = val_copy(a, x->d);
    ctl_event(x->r, x->d, "Warning", "SelectingAll", "This deployment is selecting all pods. A non-empty selector is required.");
    json_set_int(a, json_obj(a, now, STR("status")), STR("observedGeneration"), json_int(x->d, "metadata.generation", 0));
    return ctl_update(x->r, DEPLOYMENTS, "status", x->d, now, NULL);
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct rollout x = { .r = r };
    int rc = ctl_get(r, DEPLOYMENTS, ns, name, &x.d);
    if (rc < 0 || !x.d)
        return rc;
    if (sel_empty(json_path(x.d, "spec.selector")))
        return selects_all(&x);
    rc = sets_read(&x);
    if (rc < 0)
        return rc;
    if (meta_deleting(x.d))
        return progress_write(&x, false);
    rc = progress_paused(&x);
    if (rc == 0) {
        if (json_bool(x.d, "spec.paused", false) || sets_scaling_event(&x))
            rc = scale_only(&x);
        else if (str_is(json_str(x.d, "spec.strategy.type"), "Recreate"))
            rc = recreate(&x);
        else
            rc = rolling_update(&x);
    }
    return rc < 0 ? rc : 0;
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)resource;
    return keys_of_dependent(r, "Deployment", DEPLOYMENTS, old, obj, false, keys);
}

CTL_RUN(deployment, run)
CTL_MAP(deployment, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), DEPLOYMENTS, NULL, NULL },
    { sizeof(struct kl_watch), REPLICASETS, NULL, "map" },
};
CTL_TABLE(deployment, watches, deployment_map);
