/* progress.c - a Deployment's status: counts, and the conditions Available, Progressing and ReplicaFailure. */
#include "rollout.h"

bool has_deadline(const struct val *d)
{
    struct val *v = json_path(d, "spec.progressDeadlineSeconds");
    return val_is(v, VAL_INT) && v->i != INT32_MAX;
}

struct val *progress_new(struct rollout *x, const char *type, const char *status, const char *reason, const char *message)
{
    struct arena *a = x->r->arena;
    struct val *c = val_new(a, VAL_OBJ);
    json_set_str(a, c, STR("type"), str_of(type));
    json_set_str(a, c, STR("status"), str_of(status));
    json_set_str(a, c, STR("lastUpdateTime"), ctl_now(x->r));
    json_set_str(a, c, STR("lastTransitionTime"), ctl_now(x->r));
    json_set_str(a, c, STR("reason"), str_of(reason));
    json_set_str(a, c, STR("message"), str_of(message));
    return c;
}

/* One of equal status and reason stays as it is; one of equal status keeps its time of transition. */
void progress_set(struct arena *a, struct val *status, struct val *condition)
{
    struct val *list = json_arr(a, status, STR("conditions")), *old = cond_find(list, arena_dup(a, json_str(condition, "type")));
    bool same = old && str_eq(json_str(old, "status"), json_str(condition, "status"));
    if (same && str_eq(json_str(old, "reason"), json_str(condition, "reason")))
        return;
    if (same)
        json_set_str(a, condition, STR("lastTransitionTime"), json_str(old, "lastTransitionTime"));
    if (old)
        val_unlink(list, old);
    val_push(list, condition);
}

int progress_condition(struct rollout *x, const char *status, const char *reason, const char *message)
{
    struct arena *a = x->r->arena;
    struct val *now = val_copy(a, x->d);
    progress_set(a, json_obj(a, now, STR("status")), progress_new(x, "Progressing", status, reason, message));
    return ctl_update(x->r, DEPLOYMENTS, "status", x->d, now, &x->d);
}

/* A pause stops the clock of progressDeadlineSeconds; resuming starts it anew. */
int progress_paused(struct rollout *x)
{
    struct str reason = json_str(cond_find(json_path(x->d, "status.conditions"), "Progressing"), "reason");
    bool paused = json_bool(x->d, "spec.paused", false), told = str_is(reason, "DeploymentPaused");
    if (!has_deadline(x->d) || str_is(reason, "ProgressDeadlineExceeded") || paused == told)
        return 0;
    return paused ? progress_condition(x, "Unknown", "DeploymentPaused", "Deployment is paused")
                  : progress_condition(x, "Unknown", "DeploymentResumed", "Deployment is resumed");
}

/* --- counts --- */

static int64_t sum(const struct rollout *x, const char *member)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < x->sets.n; i++)
        n += set_count(x->sets.at[i], member);
    return n;
}

static void count(struct rollout *x, struct val *st)
{
    struct arena *a = x->r->arena;
    int64_t wanted = 0, available = sum(x, "availableReplicas");
    for (uint32_t i = 0; i < x->sets.n; i++)
        wanted += set_wanted(x->sets.at[i]);
    meta_set_count(a, st, STR("observedGeneration"), json_int(x->d, "metadata.generation", 0));
    meta_set_count(a, st, STR("replicas"), sum(x, "replicas"));
    meta_set_count(a, st, STR("updatedReplicas"), x->newest < 0 ? 0 : set_count(x->sets.at[x->newest], "replicas"));
    meta_set_count(a, st, STR("readyReplicas"), sum(x, "readyReplicas"));
    meta_set_count(a, st, STR("availableReplicas"), available);
    meta_set_count(a, st, STR("unavailableReplicas"), wanted > available ? wanted - available : 0);
    json_set_int(a, st, STR("terminatingReplicas"), sum(x, "terminatingReplicas"));
    if (available >= json_int(x->d, "spec.replicas", 1) - rollout_limits(x->d).unavailable)
        progress_set(a, st, progress_new(x, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability."));
    else
        progress_set(a, st, progress_new(x, "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."));
}

/* --- progress --- */

static bool moved(const struct val *old, const struct val *now)
{
    int64_t updated = json_int(now, "updatedReplicas", 0), before = json_int(old, "updatedReplicas", 0);
    return updated > before || json_int(now, "replicas", 0) - updated < json_int(old, "replicas", 0) - before ||
           json_int(now, "readyReplicas", 0) > json_int(old, "readyReplicas", 0) ||
           json_int(now, "availableReplicas", 0) > json_int(old, "availableReplicas", 0);
}

static int64_t left_ns(const struct rollout *x, const struct val *condition)
{
    return meta_time(condition, "lastUpdateTime") + json_int(x->d, "spec.progressDeadlineSeconds", 0) * NS_S - x->r->now_ns;
}

static bool timed_out(const struct rollout *x, const struct val *status)
{
    struct val *c = cond_find(json_get(status, STR("conditions")), "Progressing");
    struct str reason = json_str(c, "reason");
    if (!c || str_is(reason, "NewReplicaSetAvailable"))
        return false;
    return str_is(reason, "ProgressDeadlineExceeded") || left_ns(x, c) < 0;
}

static void judge(struct rollout *x, struct val *st)
{
    struct arena *a = x->r->arena;
    struct val *list = json_get(st, STR("conditions")), *now = cond_find(list, "Progressing"), *old = json_get(x->d, STR("status"));
    struct str name = x->newest < 0 ? meta_name(x->d) : meta_name(x->sets.at[x->newest]);
    char *who = arena_printf(a, "%s \"" STR_FMT "\"", x->newest < 0 ? "Deployment" : "ReplicaSet", STR_ARG(name));
    bool settled = json_int(st, "replicas", 0) == json_int(st, "updatedReplicas", 0) && str_is(json_str(now, "reason"), "NewReplicaSetAvailable");
    if (settled)
        return;
    if (rollout_complete(x->d, st)) {
        progress_set(a, st, progress_new(x, "Progressing", "True", "NewReplicaSetAvailable", arena_printf(a, "%s has successfully progressed.", who)));
    } else if (moved(old, st)) {
        struct val *c = progress_new(x, "Progressing", "True", "ReplicaSetUpdated", arena_printf(a, "%s is progressing.", who));
        if (str_is(json_str(now, "status"), "True"))
            json_set_str(a, c, STR("lastTransitionTime"), json_str(now, "lastTransitionTime"));
        if (now)
            val_unlink(list, now);
        progress_set(a, st, c);
    } else if (timed_out(x, st)) {
        progress_set(a, st, progress_new(x, "Progressing", "False", "ProgressDeadlineExceeded", arena_printf(a, "%s has timed out progressing.", who)));
    }
}

/* The first set that cannot make pods speaks for the Deployment, the newest before others. */
static void lift_failure(struct rollout *x, struct val *st)
{
    struct arena *a = x->r->arena;
    struct val *c = x->newest < 0 ? NULL : cond_find(json_path(x->sets.at[x->newest], "status.conditions"), "ReplicaFailure");
    for (uint32_t i = 0; !c && i < x->sets.n; i++)
        c = cond_find(json_path(x->sets.at[i], "status.conditions"), "ReplicaFailure");
    if (!c) {
        cond_drop(json_get(st, STR("conditions")), "ReplicaFailure");
        return;
    }
    c = val_copy(a, c);
    json_set_str(a, c, STR("lastUpdateTime"), json_str(c, "lastTransitionTime"));
    progress_set(a, st, c);
}

/* Progress that does not come makes no event: look again when the deadline is over. */
static void look_again(struct rollout *x)
{
    struct val *c = cond_find(json_path(x->d, "status.conditions"), "Progressing");
    if (!has_deadline(x->d) || !c || json_bool(x->d, "spec.paused", false) || rollout_complete(x->d, json_get(x->d, STR("status"))) ||
        str_is(json_str(c, "reason"), "ProgressDeadlineExceeded") || str_is(json_str(c, "reason"), "NewReplicaSetAvailable"))
        return;
    int64_t left = left_ns(x, c);
    ctl_again(x->r, (left > 0 ? left : 0) + NS_S);
}

int progress_write(struct rollout *x, bool rolling)
{
    struct val *now = val_copy(x->r->arena, x->d), *st = json_obj(x->r->arena, now, STR("status"));
    count(x, st);
    if (rolling && !has_deadline(x->d))
        cond_drop(json_get(st, STR("conditions")), "Progressing");
    else if (rolling)
        judge(x, st);
    if (rolling)
        lift_failure(x, st);
    int rc = ctl_update(x->r, DEPLOYMENTS, "status", x->d, now, &x->d);
    if (rc == 0 && rolling)
        look_again(x);
    return rc;
}
