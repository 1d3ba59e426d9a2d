/* cronjob.c - a Job whenever the schedule says so. */
#include <stdlib.h>

#include "cron.h"
#include "workloads.h"

#define CRONJOBS "batch/cronjobs"
#define JOBS     "batch/jobs"
#define MISSED_MOST 100
#define SCHEDULED "batch.kubernetes.io/cronjob-scheduled-timestamp"

struct cronjob {
    struct ctl_run *r;
    struct val *v, *now, *st;
    struct ctl_list jobs;               /* that it controls */
    struct cron cron;
    struct zone *zone;
};

static bool finished(const struct val *job)
{
    return cond_is(job, "Complete", "True") || cond_is(job, "Failed", "True");
}

/* --- what became of its Jobs --- */

static struct val *job_of(const struct cronjob *c, struct str uid)
{
    for (uint32_t i = 0; i < c->jobs.n; i++)
        if (str_eq(meta_uid(c->jobs.at[i]), uid))
            return c->jobs.at[i];
    return NULL;
}

static void note_success(struct cronjob *c, const struct val *job)
{
    struct str when = json_str(job, "status.completionTime"), last = json_str(c->st, "lastSuccessfulTime");
    if (cond_is(job, "Complete", "True") && when.len && (!last.len || str_cmp(last, when) < 0))
        json_set_str(c->r->arena, c->st, STR("lastSuccessfulTime"), when);
}

static struct val *reference(struct arena *a, const struct val *job)
{
    struct val *ref = val_new(a, VAL_OBJ);
    json_set_str(a, ref, STR("kind"), STR("Job"));
    json_set_str(a, ref, STR("namespace"), meta_ns(job));
    json_set_str(a, ref, STR("name"), meta_name(job));
    json_set_str(a, ref, STR("uid"), meta_uid(job));
    json_set_str(a, ref, STR("apiVersion"), STR("batch/v1"));
    json_set_str(a, ref, STR("resourceVersion"), json_str(job, "metadata.resourceVersion"));
    return ref;
}

static void check_active(struct cronjob *c)
{
    struct arena *a = c->r->arena;
    struct val *list = json_arr(a, c->st, STR("active"));
    for (struct val *ref = list->first, *next; ref; ref = next) {
        struct val *job = job_of(c, json_str(ref, "uid"));
        struct str name = json_str(ref, "name");
        next = ref->next;
        if (job && !finished(job))
            continue;
        if (job)
            ctl_event(c->r, c->v, "Normal", "SawCompletedJob", "Saw completed job: " STR_FMT ", condition: %s", STR_ARG(name),
                      cond_is(job, "Complete", "True") ? "Complete" : "Failed");
        else
            ctl_event(c->r, c->v, "Normal", "MissingJob", "Active job went missing: " STR_FMT, STR_ARG(name));
        val_unlink(list, ref);
    }
    for (uint32_t i = 0; i < c->jobs.n; i++) {
        bool there = false;
        note_success(c, c->jobs.at[i]);
        if (finished(c->jobs.at[i]) || meta_deleting(c->jobs.at[i]))
            continue;
        val_each(ref, list) there |= str_eq(json_str(ref, "uid"), meta_uid(c->jobs.at[i]));
        if (!there && meta_annotation(c->jobs.at[i], SCHEDULED).len)    /* begun before we were stopped */
            val_push(list, reference(a, c->jobs.at[i]));
        else if (!there)                /* `kubectl create job --from`: it stands in nobody's way */
            ctl_event(c->r, c->v, "Warning", "UnexpectedJob", "Saw a job that the controller did not create or forgot: " STR_FMT,
                      STR_ARG(meta_name(c->jobs.at[i])));
    }
    if (!list->n)
        json_del(c->st, STR("active"));
}

static int by_start(const void *a, const void *b)
{
    return meta_cmp_created(*(struct val *const *)a, *(struct val *const *)b);
}

static int forget(struct cronjob *c, const char *condition, int64_t limit)
{
    struct val **at = arena_alloc(c->r->arena, (c->jobs.n + 1) * sizeof *at);
    int64_t n = 0;
    int rc = 0;
    if (!at)
        return ctl_no_memory(c->r);
    for (uint32_t i = 0; i < c->jobs.n; i++)
        if (cond_is(c->jobs.at[i], condition, "True") && !meta_deleting(c->jobs.at[i]))
            at[n++] = c->jobs.at[i];
    qsort(at, (size_t)n, sizeof *at, by_start);
    for (int64_t i = 0; i < n - limit && rc == 0; i++) {
        rc = ctl_delete(c->r, JOBS, at[i], "Background");
        if (rc == 0)
            ctl_event(c->r, c->v, "Normal", "SuccessfulDelete", "Deleted job " STR_FMT, STR_ARG(meta_name(at[i])));
    }
    return rc;
}

/* --- when --- */

/* Missed times since the last one: the newest, how many (counted to MISSED_MOST + 1), and the next to come. */
static int64_t newest_missed(struct cronjob *c, int64_t now_s, int64_t *ret_next, int *ret_n)
{
    int64_t deadline = json_int(c->v, "spec.startingDeadlineSeconds", -1), last = meta_time(c->v, "status.lastScheduleTime") / NS_S, t, found = 0;
    if (!last)
        last = meta_time(c->v, "metadata.creationTimestamp") / NS_S;
    if (deadline >= 0 && now_s - deadline > last)
        last = now_s - deadline;
    *ret_n = 0;
    for (t = cron_next(&c->cron, c->zone, last); t && t <= now_s; t = cron_next(&c->cron, c->zone, t)) {
        found = t;
        if (++*ret_n > MISSED_MOST) {   /* however long ago: only the newest counts, near now */
            last = now_s - 60;
            for (int64_t u = cron_next(&c->cron, c->zone, last); u && u <= now_s; u = cron_next(&c->cron, c->zone, u))
                found = u;
            t = cron_next(&c->cron, c->zone, now_s);
            break;
        }
    }
    *ret_next = t;
    return found;
}

static int read_schedule(struct cronjob *c)
{
    struct str text = json_str(c->v, "spec.schedule"), zone = json_str(c->v, "spec.timeZone");
    const char *why;
    if (!cron_parse(text, &c->cron, &why)) {
        ctl_event(c->r, c->v, "Warning", "UnparseableSchedule", "unparseable schedule: \"" STR_FMT "\" : %s", STR_ARG(text), why);
        return 1;
    }
    if (zone.len && !(c->zone = zone_read(c->r->arena, zone))) {
        ctl_event(c->r, c->v, "Warning", "UnknownTimeZone", "invalid timeZone: \"" STR_FMT "\": unknown time zone " STR_FMT, STR_ARG(zone), STR_ARG(zone));
        return 1;
    }
    return 0;
}

/* --- a new Job --- */

/* In the schedule's time zone: "2026-01-02T03:04:00+01:00". */
static struct str local_time(const struct cronjob *c, int64_t at_s)
{
    char text[CLOCK_TEXT];
    int32_t east = c->zone ? zone_offset(c->zone, at_s) : 0, away = east < 0 ? -east : east;
    clock_format((at_s + east) * NS_S, text);
    if (!east)
        return arena_str(c->r->arena, str_of(text));
    return str_of(arena_printf(c->r->arena, "%.19s%c%02d:%02d", text, east < 0 ? '-' : '+', away / 3600, away / 60 % 60));
}

static struct val *new_job(struct cronjob *c, int64_t at_s)
{
    static const char *const kept[] = { "labels", "annotations" };
    struct arena *a = c->r->arena;
    struct val *job = val_new(a, VAL_OBJ), *meta = json_obj(a, job, STR("metadata")), *t = json_path(c->v, "spec.jobTemplate");
    for (size_t i = 0; i < 2; i++) {
        struct val *v = json_get(json_get(t, STR("metadata")), str_of(kept[i]));
        if (v)
            json_set(a, meta, str_of(kept[i]), val_copy(a, v));
    }
    char *name = arena_printf(a, STR_FMT "-%lld", STR_ARG(meta_name(c->v)), (long long)(at_s / 60));
    json_set_str(a, meta, STR("name"), str_of(name));
    meta_set_annotation(a, job, SCHEDULED, local_time(c, at_s));
    val_push(json_arr(a, meta, STR("ownerReferences")), meta_owner_ref(a, c->v));
    json_set(a, job, STR("spec"), val_copy(a, json_get(t, STR("spec"))));
    return job;
}

static int stop_active(struct cronjob *c)
{
    int rc = 0;
    for (uint32_t i = 0; i < c->jobs.n && rc == 0; i++)
        if (!finished(c->jobs.at[i]) && !meta_deleting(c->jobs.at[i])) {
            rc = ctl_delete(c->r, JOBS, c->jobs.at[i], "Background");
            if (rc == 0)
                ctl_event(c->r, c->v, "Normal", "SuccessfulDelete", "Deleted job " STR_FMT, STR_ARG(meta_name(c->jobs.at[i])));
        }
    if (rc == 0)
        json_del(c->st, STR("active"));
    return rc;
}

static int start_job(struct cronjob *c, int64_t at_s)
{
    struct ctl_run *r = c->r;
    struct val *job, *wanted = new_job(c, at_s);
    char when[CLOCK_TEXT];
    int rc = ctl_create(r, JOBS, meta_ns(c->v), wanted, &job);
    if (rc == -KL_ALREADY_EXISTS) {     /* begun before we were stopped, or another's of that name */
        kl_err_init(&r->call->err);
        job = NULL;
    } else if (rc == -KL_FORBIDDEN && strstr(r->call->err.msg, "because it is being terminated")) {
        kl_err_init(&r->call->err);
        return 0;
    } else if (rc < 0) {
        ctl_event(r, c->v, "Warning", "FailedCreate", "Error creating job: %s", r->call->err.msg);
        return rc;
    }
    if (job) {
        ctl_event(r, c->v, "Normal", "SuccessfulCreate", "Created job " STR_FMT, STR_ARG(meta_name(job)));
        val_push(json_arr(r->arena, c->st, STR("active")), reference(r->arena, job));
    }
    clock_format(at_s * NS_S, when);
    json_set_str(r->arena, c->st, STR("lastScheduleTime"), arena_str(r->arena, str_of(when)));
    return 0;
}

static int keep_time(struct cronjob *c)
{
    struct str policy = json_str(c->v, "spec.concurrencyPolicy");
    int64_t now_s = c->r->now_ns / NS_S, next, at = 0, deadline = json_int(c->v, "spec.startingDeadlineSeconds", -1);
    int n;
    at = newest_missed(c, now_s, &next, &n);
    if (next)
        ctl_again(c->r, next * NS_S - c->r->now_ns);
    else if (!n)                        /* 31 February: upstream's words */
        ctl_event(c->r, c->v, "Warning", "InvalidSchedule", "invalid schedule: " STR_FMT " : time difference between two schedules is less than 1 second",
                  STR_ARG(json_str(c->v, "spec.schedule")));
    if (n > MISSED_MOST)
        ctl_event(c->r, c->v, "Warning", "TooManyMissedTimes",
                  "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew");
    if (!at || at * NS_S <= meta_time(c->v, "status.lastScheduleTime"))
        return 0;
    if (deadline >= 0 && at + deadline < now_s) {
        ctl_event(c->r, c->v, "Warning", "MissSchedule", "Missed scheduled time to start a job");
        return 0;
    }
    struct val *active = json_get(c->st, STR("active"));
    if (str_is(policy, "Forbid") && active && active->n) {
        ctl_event(c->r, c->v, "Normal", "JobAlreadyActive",
                  "Not starting job because prior execution is running and concurrency policy is Forbid");
        return 0;
    }
    int rc = str_is(policy, "Replace") ? stop_active(c) : 0;
    return rc < 0 ? rc : start_job(c, at);
}

/* --- reconcile --- */

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct cronjob c = { .r = r };
    int rc = ctl_get(r, CRONJOBS, ns, name, &c.v);
    if (rc < 0 || !c.v)
        return rc;
    rc = ctl_list(r, (struct kl_list_options){ .resource = JOBS, .ns = arena_dup(r->arena, ns), .owner_uid = arena_dup(r->arena, meta_uid(c.v)) }, &c.jobs);
    if (rc < 0)
        return rc;
    c.now = val_copy(r->arena, c.v);
    c.st = json_obj(r->arena, c.now, STR("status"));
    check_active(&c);
    rc = forget(&c, "Complete", json_int(c.v, "spec.successfulJobsHistoryLimit", 3));
    if (rc == 0)
        rc = forget(&c, "Failed", json_int(c.v, "spec.failedJobsHistoryLimit", 1));
    if (rc == 0 && !meta_deleting(c.v) && !json_bool(c.v, "spec.suspend", false) && read_schedule(&c) == 0)
        rc = keep_time(&c);
    return rc < 0 ? rc : ctl_update(r, CRONJOBS, "status", c.v, c.now, NULL);
}

CTL_RUN(cronjob, run)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), CRONJOBS, NULL, NULL },
    { sizeof(struct kl_watch), JOBS, NULL, "owner:CronJob" },
};
CTL_TABLE(cronjob, watches, NULL);
