/* job_pods.c - makes and removes the pods of a Job. */
#include "job.h"

#include <stdlib.h>

#define ROUND_MOST 64                   /* pods made in one call */

/* --- finalizers --- */

static int drop_finalizer(struct job *j, struct val **pod)
{
    struct val *now = val_copy(j->r->arena, *pod);
    if (!meta_has_finalizer(*pod, TRACKING))
        return 0;
    meta_set_finalizer(j->r->arena, now, TRACKING, false);
    int rc = ctl_update(j->r, PODS, NULL, *pod, now, pod);
    if (rc != -KL_NOT_FOUND)
        return rc;
    kl_err_init(&j->r->call->err);
    return 0;
}

int job_release(struct job *j, bool all)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < j->pods.n; i++)
        if (all || (job_counts(j, j->pods.at[i]) && !job_held(j, j->pods.at[i])))
            rc = drop_finalizer(j, &j->pods.at[i]);
    return rc;
}

/* --- removing --- */

/* uncount: the pod has not failed, it was only too many. */
int job_delete_active(struct job *j, int64_t from, bool uncount)
{
    int rc = 0;
    for (int64_t i = from; rc == 0 && i < j->n_active; i++) {
        struct str name = meta_name(j->active[i]);
        j->terminating += json_str(j->active[i], "spec.nodeName").len > 0;
        if (uncount)
            rc = drop_finalizer(j, &j->active[i]);
        if (rc == 0)
            rc = ctl_delete(j->r, PODS, j->active[i], NULL);
        if (rc == 0)
            ctl_event(j->r, j->v, "Normal", "SuccessfulDelete", "Deleted pod: " STR_FMT, STR_ARG(name));
    }
    if (rc == 0 && from < j->n_active)
        j->n_active = from;
    return rc;
}

/* --- making --- */

static void add_env(struct arena *a, struct val *containers)
{
    if (!val_is(containers, VAL_ARR))
        return;
    val_each(c, containers) {
        struct val *list = json_arr(a, c, STR("env"));
        bool there = false;
        val_each(e, list) there |= str_is(json_str(e, "name"), "JOB_COMPLETION_INDEX");
        if (there)
            continue;
        struct val *e = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, e, STR("name"), STR("JOB_COMPLETION_INDEX"));
        json_set_str(a, json_obj(a, json_obj(a, e, STR("valueFrom")), STR("fieldRef")), STR("fieldPath"), STR("metadata.labels['" INDEX "']"));
    }
}

static int64_t failures_of(const struct job *j, int64_t index)
{
    int64_t most = 0, n;
    for (uint32_t i = 0; i < j->pods.n; i++)
        if (pod_index(j->pods.at[i]) == index && job_pod_failed(j, j->pods.at[i])) {
            n = str_int(meta_annotation(j->pods.at[i], INDEX_FAILS), &n) ? n + 1 : 1;
            most = n > most ? n : most;
        }
    return most;
}

static struct val *new_pod(struct job *j, int64_t index)
{
    struct arena *a = j->r->arena;
    struct val *pod = pod_of_template(j->r, j->v, json_path(j->v, "spec.template"), STR_NONE), *spec = json_get(pod, STR("spec"));
    meta_set_finalizer(a, pod, TRACKING, true);
    if (index < 0)
        return pod;
    char *n = arena_printf(a, "%lld", (long long)index), *host = arena_printf(a, STR_FMT "-%s", STR_ARG(meta_name(j->v)), n ? n : "");
    char *base = arena_printf(a, "%s-", host ? host : "");
    json_set_str(a, json_get(pod, STR("metadata")), STR("generateName"), str_of(base));
    meta_set_annotation(a, pod, INDEX, str_of(n));
    meta_set_label(a, pod, INDEX, str_of(n));
    if (json_path(j->v, "spec.backoffLimitPerIndex"))
        meta_set_annotation(a, pod, INDEX_FAILS, str_of(arena_printf(a, "%lld", (long long)failures_of(j, index))));
    if (!json_get(spec, STR("hostname")))
        json_set_str(a, spec, STR("hostname"), str_of(host));
    add_env(a, json_get(spec, STR("containers")));
    add_env(a, json_get(spec, STR("initContainers")));
    return pod;
}

/* Of indexed jobs: the lowest index that is neither done, nor failed for good, nor in work. */
static int64_t next_index(struct job *j, bool *busy)
{
    for (int64_t i = 0; i < j->completions; i++)
        if (!busy[i] && !j->done[i] && !j->failed_index[i]) {
            busy[i] = true;
            return i;
        }
    return -1;
}

/* In work, or not to be tried again yet. */
static bool *busy_indexes(struct job *j)
{
    int64_t soonest = 0;
    bool *busy = arena_alloc(j->r->arena, (size_t)j->completions + 1), replaced = !str_is(json_str(j->v, "spec.podReplacementPolicy"), "Failed");
    for (uint32_t i = 0; busy && i < j->pods.n; i++) {
        int64_t n = pod_index(j->pods.at[i]);
        if (n >= 0 && n < j->completions && !pod_finished(j->pods.at[i]) && (!replaced || !meta_deleting(j->pods.at[i])))
            busy[n] = true;
        int64_t wait = busy && j->n_held && job_held(j, j->pods.at[i]) ? job_index_backoff_ns(j, j->pods.at[i]) : 0;
        if (!wait)
            continue;
        busy[n] = true;
        soonest = !soonest || wait < soonest ? wait : soonest;
    }
    if (soonest)
        ctl_again(j->r, soonest);
    return busy;
}

static int make(struct job *j, int64_t n)
{
    struct ctl_run *r = j->r;
    bool *busy = j->indexed ? busy_indexes(j) : NULL;
    struct val *pod;
    if (j->indexed && !busy)
        return ctl_no_memory(r);
    for (int64_t i = 0; i < n; i++) {
        int64_t index = j->indexed ? next_index(j, busy) : -1;
        if (j->indexed && index < 0) {  /* all that are left are in work, or have failed for good */
            j->more = false;
            return 0;
        }
        int rc = ctl_create(r, PODS, meta_ns(j->v), new_pod(j, index), &pod);
        if (rc == -KL_FORBIDDEN && strstr(r->call->err.msg, "because it is being terminated")) {
            kl_err_init(&r->call->err);
            return 0;
        }
        if (rc < 0) {
            ctl_event(r, j->v, "Warning", "FailedCreate", "Error creating: %s", r->call->err.msg);
            return rc;
        }
        ctl_event(r, j->v, "Normal", "SuccessfulCreate", "Created pod: " STR_FMT, STR_ARG(meta_name(pod)));
        j->n_active++;
    }
    return 0;
}

/* --- as many as there should be --- */

static int by_index(const void *a, const void *b)
{
    int64_t x = pod_index(*(struct val *const *)a), y = pod_index(*(struct val *const *)b);
    return x < y ? -1 : x > y;
}

/* Those to keep stand first: for indexed jobs the lower indexes, each once. */
static void sort_active(struct job *j)
{
    if (j->indexed) {
        qsort(j->active, (size_t)j->n_active, sizeof *j->active, by_index);
        return;
    }
    pods_rank(j->active, (uint32_t)j->n_active, j->r->now_ns);
    for (int64_t i = 0, k = j->n_active - 1; i < k; i++, k--) {
        struct val *v = j->active[i];
        j->active[i] = j->active[k];
        j->active[k] = v;
    }
}

int job_manage(struct job *j)
{
    int64_t wanted = j->parallelism, have = j->n_active;
    if (j->completions < 0 && j->succeeded > 0)
        wanted = have;
    else if (j->completions >= 0 && j->completions - j->succeeded < wanted)
        wanted = j->completions - j->succeeded;
    if (wanted < have) {
        sort_active(j);
        return job_delete_active(j, wanted < 0 ? 0 : wanted, true);
    }
    if (str_is(json_str(j->v, "spec.podReplacementPolicy"), "Failed"))
        have += j->terminating;
    if (wanted <= have)
        return 0;
    int64_t wait = j->in_work ? 0 : job_backoff_ns(j), most = have ? have : 1;
    if (wait) {
        ctl_again(j->r, wait);
        return 0;
    }
    most = most < ROUND_MOST ? most : ROUND_MOST;
    j->more = wanted - have > most;
    return make(j, j->more ? most : wanted - have);
}
