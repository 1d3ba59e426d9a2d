/* job_backoff.c - how long new pods of a Job wait after failures: 10 s, 20 s, 40 s, ... after the last one. What has failed since the last success is remembered,
 * because the pods themselves may be gone by then. */
#include "base/mem.h"
#include "job.h"

#define WAIT_FIRST (10 * NS_S)
#define WAIT_MOST  (600 * NS_S)

/* --- when a pod has ended --- */

static bool is_sidecar(const struct val *pod, struct str name)
{
    const struct val *list = json_path(pod, "spec.initContainers");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_eq(json_str(c, "name"), name))
                return str_is(json_str(c, "restartPolicy"), "Always");
    return false;
}

/* When the last of them ended; 0: some have not. */
static int64_t all_ended(const struct val *pod, const char *path, bool sidecars)
{
    const struct val *list = json_path(pod, path);
    int64_t last = 0;
    if (val_is(list, VAL_ARR))
        val_each(c, list) {
            int64_t t = meta_time(c, "state.terminated.finishedAt");
            if (sidecars && !is_sidecar(pod, json_str(c, "name")))
                continue;
            if (!t)
                return 0;
            last = t > last ? t : last;
        }
    return last;
}

static int64_t ended(const struct val *pod)
{
    int64_t last = all_ended(pod, "status.containerStatuses", false), beside = all_ended(pod, "status.initContainerStatuses", true);
    const struct val *ready = cond_find(json_path(pod, "status.conditions"), "Ready");
    if (last)
        return beside > last ? beside : last;
    if (ready && str_is(json_str(ready, "status"), "False") && (last = meta_time(ready, "lastTransitionTime")))
        return last;
    if ((last = meta_time(pod, "metadata.deletionTimestamp")))
        return last - json_int(pod, "metadata.deletionGracePeriodSeconds", 0) * NS_S;
    return meta_time(pod, "metadata.creationTimestamp");
}

/* --- what is remembered --- */

struct memory {
    char uid[64];
    struct job_failures failures;
    char key[];                         /* NAMESPACE/NAME */
};

static struct str key_of(struct ctl_run *r, struct str ns, struct str name)
{
    return str_of(arena_printf(r->arena, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name)));
}

static struct memory *remembered(const struct job *j)
{
    struct memory *m = map_get(&j->r->ctl->memory, key_of(j->r, meta_ns(j->v), meta_name(j->v)));
    return m && str_is(meta_uid(j->v), m->uid) ? m : NULL;
}

/* It has ended, and no run before this one has seen that. */
static bool is_new(const struct job *j, const struct val *pod)
{
    return meta_has_finalizer(pod, TRACKING) && job_counts(j, pod) && !json_lists(json_path(j->v, "status.uncountedTerminatedPods.failed"), meta_uid(pod)) &&
           !json_lists(json_path(j->v, "status.uncountedTerminatedPods.succeeded"), meta_uid(pod));
}

void job_backoff_read(struct job *j)
{
    const struct memory *m = remembered(j);
    struct job_failures f = m ? m->failures : (struct job_failures){ 0, 0 };
    int64_t good = 0;
    for (uint32_t i = 0; i < j->pods.n; i++)
        if (str_is(json_str(j->pods.at[i], "status.phase"), "Succeeded") && is_new(j, j->pods.at[i]) && ended(j->pods.at[i]) > good)
            good = ended(j->pods.at[i]);
    if (good)
        f = (struct job_failures){ 0, 0 };
    int64_t before = f.n;
    for (uint32_t i = 0; i < j->pods.n; i++) {
        const struct val *pod = j->pods.at[i];
        int64_t t = job_pod_failed(j, pod) && is_new(j, pod) ? ended(pod) : 0;
        if (!t || t <= good)
            continue;
        f.last_ns = f.n++ == before || t > f.last_ns ? t : f.last_ns;
    }
    j->failures = f;
}

void job_backoff_keep(const struct job *j)
{
    struct memory *m = remembered(j);
    struct str key = key_of(j->r, meta_ns(j->v), meta_name(j->v));
    if (!m && j->failures.n && key.len) {
        mem_free(map_del(&j->r->ctl->memory, key));
        if (!(m = mem_alloc(sizeof *m + key.len)))
            return;
        snprintf(m->uid, sizeof m->uid, STR_FMT, STR_ARG(meta_uid(j->v)));
        memcpy(m->key, key.at, key.len);
        if (!map_put(&j->r->ctl->memory, str_n(m->key, key.len), m)) {
            mem_free(m);
            return;
        }
    }
    if (m)
        m->failures = j->failures;
}

void job_backoff_forget(struct ctl_run *r, struct str ns, struct str name)
{
    mem_free(map_del(&r->ctl->memory, key_of(r, ns, name)));
}

/* --- how long --- */

static int64_t left_of(const struct job *j, int64_t n, int64_t last)
{
    int64_t wait = WAIT_FIRST;
    for (int64_t i = 1; i < n && wait < WAIT_MOST; i++)
        wait *= 2;
    wait = wait < WAIT_MOST ? wait : WAIT_MOST;
    return n && last + wait > j->r->now_ns ? last + wait - j->r->now_ns : 0;
}

int64_t job_backoff_ns(const struct job *j)
{
    return left_of(j, j->failures.n, j->failures.last_ns);
}

int64_t job_index_backoff_ns(const struct job *j, const struct val *pod)
{
    int64_t n;
    return left_of(j, str_int(meta_annotation(pod, INDEX_FAILS), &n) ? n + 1 : 1, ended(pod));
}
