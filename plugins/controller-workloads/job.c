/* job.c - pods that run to their end, as many times as asked for. */
#include "base/json_scan.h"
#include "job.h"

static void set_condition(struct job *j, const char *type, const char *status, const char *reason, const char *message)
{
    struct arena *a = j->r->arena;
    struct val *list = json_arr(a, j->st, STR("conditions")), *c = cond_find(list, type);
    if (c && str_is(json_str(c, "status"), status))
        return;
    if (!c) {
        c = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, c, STR("type"), str_of(type));
    }
    json_set_str(a, c, STR("status"), str_of(status));
    json_set_str(a, c, STR("lastProbeTime"), ctl_now(j->r));
    json_set_str(a, c, STR("lastTransitionTime"), ctl_now(j->r));
    json_set_str(a, c, STR("reason"), str_of(reason));
    json_set_str(a, c, STR("message"), str_of(message));
}

static bool has(const struct val *job, const char *type)
{
    return cond_is(job, type, "True");
}

/* --- the end --- */

/* The verdict first, with it all pods stop; the last word when none of them runs or is uncounted. */
static int finish(struct job *j)
{
    struct arena *a = j->r->arena;
    set_condition(j, j->success ? "SuccessCriteriaMet" : "FailureTarget", "True", j->reason, j->message);
    int rc = job_delete_active(j, 0, false);
    if (rc < 0 || j->uncounted || j->terminating || j->n_active)
        return rc;
    for (uint32_t i = 0; i < j->pods.n; i++)
        if (meta_has_finalizer(j->pods.at[i], TRACKING))
            return 0;
    set_condition(j, j->success ? "Complete" : "Failed", "True", j->reason, j->message);
    if (j->success)
        json_set_str(a, j->st, STR("completionTime"), ctl_now(j->r));
    if (j->success)
        ctl_event(j->r, j->v, "Normal", "Completed", "Job completed");
    else
        ctl_event(j->r, j->v, "Warning", j->reason, "%s", j->message);
    return 0;
}

/* A verdict that was written down before stays, whatever the pods look like now. */
static void old_verdict(struct job *j)
{
    struct arena *a = j->r->arena;
    struct val *list = json_get(j->st, STR("conditions"));
    bool ok = has(j->now, "SuccessCriteriaMet");
    struct val *c = cond_find(list, ok ? "SuccessCriteriaMet" : "FailureTarget");
    if (!ok && !has(j->now, "FailureTarget"))
        return;
    j->success = ok;
    j->reason = arena_dup(a, json_str(c, "reason"));
    j->message = arena_dup(a, json_str(c, "message"));
}

/* --- suspension --- */

static int suspend(struct job *j)
{
    int rc = job_delete_active(j, 0, true);
    if (rc < 0)
        return rc;
    json_del(j->st, STR("startTime"));
    if (has(j->now, "Suspended"))
        return 0;
    set_condition(j, "Suspended", "True", "JobSuspended", "Job suspended");
    ctl_event(j->r, j->v, "Normal", "Suspended", "Job suspended");
    return 0;
}

static void resume(struct job *j)
{
    if (!json_get(j->st, STR("startTime")))
        json_set_str(j->r->arena, j->st, STR("startTime"), ctl_now(j->r));
    if (!has(j->now, "Suspended"))
        return;
    set_condition(j, "Suspended", "False", "JobResumed", "Job resumed");
    ctl_event(j->r, j->v, "Normal", "Resumed", "Job resumed");
}

/* --- reconcile --- */

/* Pods that no Job counts any more (it is gone, or let them go) must not be held by its finalizer. */
static int release_orphans(struct ctl_run *r, struct str ns, struct str name, const struct val *job)
{
    struct kl_object_list l = { .size = sizeof l };
    struct kl_list_options o = { .size = sizeof o, .resource = PODS, .ns = arena_dup(r->arena, ns),
                                 .label_selector = arena_printf(r->arena, "batch.kubernetes.io/job-name=" STR_FMT, STR_ARG(name)) };
    int rc = r->ctl->objects->list(r->ctl->host, r->call, &o, &l);
    for (uint32_t i = 0; rc == 0 && i < l.n; i++) {
        struct str text = str_n(l.at[i].at, l.at[i].len), ref = meta_controller_text(text);
        if (ref.at && (!str_is(json_scan_text(json_scan_member(ref, STR("kind"))), "Job") || str_eq(json_scan_text(json_scan_member(ref, STR("uid"))), meta_uid(job))))
            continue;                   /* as nearly all: no tree is made of it */
        struct val *pod = json_parse(r->arena, text, &r->call->err);
        struct job j = { .r = r, .v = (struct val *)job, .pods = { &pod, 1 } };
        if (!pod)
            return -r->call->err.code;
        if (meta_has_finalizer(pod, TRACKING))
            rc = job_release(&j, true);
    }
    return rc;
}

static int work(struct job *j)
{
    int rc = job_count(j);
    if (rc < 0)
        return rc;
    if (json_bool(j->v, "spec.suspend", false) && !has(j->now, "FailureTarget") && !has(j->now, "SuccessCriteriaMet"))
        return suspend(j);
    resume(j);
    old_verdict(j);
    job_judge(j);
    return j->reason ? finish(j) : job_manage(j);
}

static int write_status(struct job *j)
{
    struct arena *a = j->r->arena;
    meta_set_count(a, j->st, STR("active"), j->n_active);
    json_set_int(a, j->st, STR("ready"), j->ready < j->n_active ? j->ready : j->n_active);
    json_set_int(a, j->st, STR("terminating"), j->terminating);
    return ctl_update(j->r, JOBS, "status", j->v, j->now, NULL);
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct job j = { .r = r };
    int rc = ctl_get(r, JOBS, ns, name, &j.v);
    if (rc == 0)
        rc = release_orphans(r, ns, name, j.v);
    struct str by = json_str(j.v, "spec.managedBy");
    if (rc == 0 && !j.v)
        job_backoff_forget(r, ns, name);
    if (rc < 0 || !j.v || (by.len && !str_is(by, "kubernetes.io/job-controller")))
        return rc;
    rc = claim(r, j.v, json_path(j.v, "spec.selector"), PODS, &j.pods);
    if (meta_deleting(j.v) || has(j.v, "Complete") || has(j.v, "Failed"))
        job_backoff_forget(r, ns, name);
    if (rc == 0 && (meta_deleting(j.v) || has(j.v, "Complete") || has(j.v, "Failed")))
        return job_release(&j, true);
    if (rc < 0)
        return rc;
    j.now = val_copy(r->arena, j.v);
    j.st = json_obj(r->arena, j.now, STR("status"));
    j.indexed = str_is(json_str(j.v, "spec.completionMode"), "Indexed");
    j.parallelism = json_int(j.v, "spec.parallelism", 1);
    j.completions = json_int(j.v, "spec.completions", -1);
    job_backoff_read(&j);
    int failure = work(&j);
    char why[sizeof r->call->err.msg];
    memcpy(why, r->call->err.msg, sizeof why);
    rc = j.active ? write_status(&j) : 0;
    if (rc == 0)
        job_backoff_keep(&j);
    if (rc == 0)
        rc = job_release(&j, false);
    if (rc == 0 && j.more)
        ctl_again(r, 1);
    return rc < 0 || failure == 0 ? rc : kl_fail(r->call, -failure, "%s", why);
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)resource;
    struct str name = json_scan_text(json_scan_member(ctl_part(r, CTL_LABELS), STR("batch.kubernetes.io/job-name")));
    if (!name.len)
        return keys_of_dependent(r, "Job", JOBS, old, obj, false, keys);
    ctl_key_add(keys, json_scan_text(json_scan_path(obj, "metadata.namespace")), name);
    return 0;
}

CTL_RUN(job, run)
CTL_MAP(job, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), JOBS, NULL, NULL },
    { sizeof(struct kl_watch), PODS, NULL, "map" },
};
CTL_TABLE(job, watches, job_map);

/* --- ttl-after-finished --- */

static int run_ttl(struct ctl_run *r, struct str ns, struct str name)
{
    struct val *job;
    int rc = ctl_get(r, JOBS, ns, name, &job);
    struct val *ttl = json_path(job, "spec.ttlSecondsAfterFinished"), *list = json_path(job, "status.conditions");
    if (rc < 0 || !val_is(ttl, VAL_INT) || meta_deleting(job) || !(has(job, "Complete") || has(job, "Failed")))
        return rc;
    int64_t left = meta_time(cond_find(list, has(job, "Complete") ? "Complete" : "Failed"), "lastTransitionTime") + ttl->i * NS_S - r->now_ns;
    if (left <= 0)
        return ctl_delete(r, JOBS, job, "Foreground");
    ctl_again(r, left);
    return 0;
}

CTL_RUN(job_ttl, run_ttl)

static const struct kl_watch ttl_watches[] = { { sizeof(struct kl_watch), JOBS, NULL, NULL } };
CTL_TABLE(job_ttl, ttl_watches, NULL);
