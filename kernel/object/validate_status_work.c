/* validate_status_work.c - what a write of the status of workloads may say: counts of kinds that keep replicas, and which states of a Job follow which. */
#include "object/validate.h"

/* --- counts --- */

static const struct counts {
    const char *group, *kind;
    const char *not_negative[10];
    const char *within[5];              /* at most status.replicas */
    const char *ready;                  /* availableReplicas are at most the ready ones, which are called so; NULL: nobody asks */
} counted[] = {
    { "", "ReplicationController", { "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration" },
      { "fullyLabeledReplicas", "readyReplicas", "availableReplicas" }, "readyReplicas" },
    { "apps", "ReplicaSet", { "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration", "terminatingReplicas" },
      { "fullyLabeledReplicas", "readyReplicas", "availableReplicas" }, "readyReplicas" },
    { "apps", "Deployment", { "observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas", "terminatingReplicas", "collisionCount" },
      { "updatedReplicas", "readyReplicas", "availableReplicas" }, "readyReplicas" },
    { "apps", "StatefulSet", { "replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas", "observedGeneration", "collisionCount" },
      { "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas" }, "status.readyReplicas" },
    { "apps", "DaemonSet", { "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "observedGeneration", "updatedNumberScheduled", "numberAvailable",
      "numberUnavailable", "collisionCount" }, { NULL }, NULL },
    { "autoscaling", "HorizontalPodAutoscaler", { "currentReplicas", "desiredReplicas" }, { NULL }, NULL },
};

void check_counts(const struct schema_kind *k, const struct val *v, const struct val *old, causes c)
{
    const struct path *p = IN(NULL, "status");
    const struct val *status = json_get(v, STR("status"));
    const struct counts *x = NULL;
    for (size_t i = 0; i < sizeof counted / sizeof *counted && !x; i++)
        if (strcmp(counted[i].kind, k->kind) == 0 && strcmp(counted[i].group, k->group) == 0)
            x = &counted[i];
    if (!x)
        return;
    for (const char *const *m = x->not_negative; *m; m++)
        check_nonnegative(c, p, status, *m);
    for (const char *const *m = x->within; *m; m++)
        if (json_int(status, *m, 0) > json_int(status, "replicas", 0))
            say_invalid_int(c, IN(p, *m), json_int(status, *m, 0), "cannot be greater than status.replicas");
    int64_t available = json_int(status, "availableReplicas", 0), collisions = json_int(status, "collisionCount", 0);
    if (x->ready && available > json_int(status, "readyReplicas", 0))
        say_invalid_int(c, IN(p, "availableReplicas"), available, words(c, "cannot be greater than %s", x->ready));
    if (json_path(old, "status.collisionCount") && (!json_get(status, STR("collisionCount")) || collisions < json_int(old, "status.collisionCount", 0)))
        say_invalid_int(c, IN(p, "collisionCount"), collisions, "cannot be decremented");
}

/* --- jobs --- */

enum { COMPLETE, FAILED, FAILURE_TARGET, SUCCESS_MET, SUSPENDED, N_CONDITIONS };
static const char *const conditions[] = { "Complete", "Failed", "FailureTarget", "SuccessCriteriaMet", "Suspended" };

/* A Job's status as the rules look at it. */
struct job {
    const struct val *spec, *status;
    bool is[N_CONDITIONS], finished, resumed;
};

static struct job job_of(const struct val *v)
{
    struct job j = { .spec = json_get(v, STR("spec")), .status = json_get(v, STR("status")) };
    LIST_EACH (x, at, json_get(j.status, STR("conditions")))
        for (int i = 0; i < N_CONDITIONS; i++)
            if (str_is(json_str(x, "type"), conditions[i])) {
                j.is[i] |= str_is(json_str(x, "status"), "True");
                j.resumed |= i == SUSPENDED && str_is(json_str(x, "status"), "False");
            }
    j.finished = j.is[COMPLETE] || j.is[FAILED];
    return j;
}

static bool differs(const struct job *j, const struct job *was, const char *member)
{
    const struct val *x = json_get(j->status, str_of(member)), *y = json_get(was->status, str_of(member));
    return x && y ? !val_equal(x, y) : x != y && !object_is_nothing(x ? x : y);
}

/* Of pointers: nothing and zero are not the same. */
static bool differs_at_all(const struct job *j, const struct job *was, const char *member)
{
    const struct val *x = json_get(j->status, str_of(member)), *y = json_get(was->status, str_of(member));
    return x && y ? !val_equal(x, y) : x != y;
}

static void say_conditions(causes c, const struct path *p, const char *why)
{
    say_with(c, "FieldValueInvalid", IN(p, "conditions"), "Invalid value", why);
}

static void check_uncounted(causes c, const struct path *p, const struct val *pods)
{
    static const char *const lists[] = { "succeeded", "failed" };
    _cleanup_met_ struct met seen = { 0 };
    for (int l = 0; l < 2; l++)
        LIST_EACH (x, at, json_get(pods, str_of(lists[l]))) {
            if (!x->n)
                say_invalid(c, ITEM(IN(p, lists[l]), at.i), STR(""), "must not be empty");
            else if (met_again(&seen, val_str(x)))
                say_duplicate(c, ITEM(IN(p, lists[l]), at.i), val_str(x));
        }
}

/* "3" or "1-4", below completions. NULL: good. */
static const char *interval(causes c, struct str text, int64_t completions, int64_t ret[2])
{
    struct str rest = text, parts[2] = { str_cut(&rest, '-'), STR_NONE };
    if (rest.at)
        parts[1] = str_cut(&rest, '-');
    if (rest.at)
        return words(c, "the fragment \"" STR_FMT "\" violates the requirement that an index interval can have at most two parts separated by '-'", STR_ARG(text));
    for (int i = 0; i < 2; i++) {
        if (i && !parts[1].at)
            ret[1] = ret[0];
        else if (!str_int(parts[i], &ret[i]))
            return words(c, "cannot convert string to integer for index: \"" STR_FMT "\"", STR_ARG(parts[i]));
        else if (ret[i] >= completions)
            return words(c, "too large index: \"" STR_FMT "\"", STR_ARG(parts[i]));
    }
    return parts[1].at && ret[0] >= ret[1] ? words(c, "non-increasing order, previous: %lld, current: %lld", (long long)ret[0], (long long)ret[1]) : NULL;
}

static void check_indexes(causes c, const struct path *up, const struct job *j, const char *member)
{
    struct str text = json_str(j->status, member), rest = text;
    int64_t last = 0, at[2];
    const char *why = NULL;
    for (bool first = true; rest.len && !why; first = false) {
        why = interval(c, str_cut(&rest, ','), json_int(j->spec, "completions", 0), at);
        if (!why && !first && last >= at[0])
            why = words(c, "non-increasing order, previous: %lld, current: %lld", (long long)last, (long long)at[0]);
        last = at[1];
    }
    if (why)
        say_invalid(c, IN(up, member), text, words(c, "error parsing %s: %s", member, why));
}

/* The next that can be read; false: there is none. */
static bool next_interval(causes c, struct str *rest, int64_t completions, int64_t ret[2])
{
    while (rest->len)
        if (!interval(c, str_cut(rest, ','), completions, ret))
            return true;
    return false;
}

static void check_overlap(causes c, const struct path *p, const struct job *j)
{
    struct str failed = json_str(j->status, "failedIndexes"), rest = failed, done = json_str(j->status, "completedIndexes");
    int64_t n = json_int(j->spec, "completions", 0), x[2], y[2];
    bool more = next_interval(c, &done, n, x) && next_interval(c, &rest, n, y);
    while (more) {
        if (x[0] <= y[1] && y[0] <= x[1]) {
            say_invalid(c, IN(p, "failedIndexes"), failed, words(c, "failedIndexes and completedIndexes overlap at index: %lld", (long long)(x[0] > y[0] ? x[0] : y[0])));
            return;
        }
        more = x[0] <= y[0] ? next_interval(c, &done, n, x) : next_interval(c, &rest, n, y);
    }
}

static void check_job_indexes(causes c, const struct path *p, const struct job *j, const struct job *was)
{
    bool done = differs(j, was, "completedIndexes"), failed = differs_at_all(j, was, "failedIndexes"), some_failed = json_get(j->status, STR("failedIndexes")) != NULL;
    bool counts = json_get(j->spec, STR("completions")) != NULL, by_index = json_get(j->spec, STR("backoffLimitPerIndex")) != NULL;
    struct str text = json_str(j->status, "completedIndexes"), of_failed = json_str(j->status, "failedIndexes");
    if (done && counts)
        check_indexes(c, p, j, "completedIndexes");
    if (failed && counts && by_index && some_failed)
        check_indexes(c, p, j, "failedIndexes");
    if (done && text.len && !str_is(json_str(j->spec, "completionMode"), "Indexed"))
        say_invalid(c, IN(p, "completedIndexes"), text, "cannot set non-empty completedIndexes when non-indexed completion mode");
    if (failed && !by_index && some_failed)
        say_invalid(c, IN(p, "failedIndexes"), of_failed, "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
    if ((done || failed) && counts && text.len && of_failed.len)
        check_overlap(c, p, j);
}

static void check_job_times(causes c, const struct path *p, const struct job *j)
{
    struct str start = json_str(j->status, "startTime"), end = json_str(j->status, "completionTime");
    if (start.len && end.len && str_cmp(end, start) < 0)
        say_invalid(c, IN(p, "completionTime"), end, "must be equal to or after `startTime`");
}

/* What a status says of itself, as far as it says anything new. */
static void check_job_state(causes c, const struct path *p, const struct job *j, const struct job *was)
{
    bool turned[N_CONDITIONS], finished = j->finished != was->finished, start = differs(j, was, "startTime"), end = differs(j, was, "completionTime"), ends = json_str(j->status, "completionTime").len;
    const struct val *pods = json_get(j->status, STR("uncountedTerminatedPods"));
    int64_t active = json_int(j->status, "active", 0), ready = json_int(j->status, "ready", 0), terminating = json_int(j->status, "terminating", 0);
    bool idle = json_bool(j->spec, "suspend", false) && json_get(j->spec, STR("completions")) && !json_int(j->spec, "completions", 1);
    bool busy = !object_is_nothing(json_get(pods, STR("failed"))) || !object_is_nothing(json_get(pods, STR("succeeded")));
    for (int i = 0; i < N_CONDITIONS; i++)
        turned[i] = j->is[i] != was->is[i];
    if ((turned[COMPLETE] || turned[FAILED]) && j->is[COMPLETE] && j->is[FAILED])
        say_conditions(c, p, "cannot set Complete=True and Failed=true conditions");
    if ((turned[COMPLETE] || turned[FAILURE_TARGET]) && j->is[COMPLETE] && j->is[FAILURE_TARGET])
        say_conditions(c, p, "cannot set Complete=True and FailureTarget=true conditions");
    if ((turned[COMPLETE] || end) && ends && !j->is[COMPLETE])
        say_invalid(c, IN(p, "completionTime"), json_str(j->status, "completionTime"), "cannot set completionTime when there is no Complete=True condition");
    if ((turned[COMPLETE] || end) && !ends && j->is[COMPLETE])
        say_required(c, IN(p, "completionTime"), "completionTime is required for Complete jobs");
    if (start || end)
        check_job_times(c, p, j);
    if ((turned[FAILED] || differs_at_all(j, was, "failedIndexes")) && j->is[FAILED] && !j->is[FAILURE_TARGET])
        say_conditions(c, p, "cannot set Failed=True condition without the FailureTarget=true condition");
    if ((turned[COMPLETE] || turned[SUCCESS_MET]) && j->is[COMPLETE] && !j->is[SUCCESS_MET])
        say_conditions(c, p, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition");
    if ((finished || differs(j, was, "active")) && active > 0 && j->finished)
        say_invalid_int(c, IN(p, "active"), active, "active>0 is invalid for finished job");
    if ((finished || start) && !idle && !json_str(j->status, "startTime").len && j->finished)
        say_required(c, IN(p, "startTime"), "startTime is required for finished job");
    if ((finished || differs(j, was, "uncountedTerminatedPods")) && j->finished && busy)
        say_invalid_as(c, IN(p, "uncountedTerminatedPods"), "io.k8s.api.batch.v1.UncountedTerminatedPods", pods, "must be empty for finished job");
    check_job_indexes(c, p, j, was);
    if ((finished || differs_at_all(j, was, "terminating")) && terminating > 0 && j->finished)
        say_invalid_int(c, IN(p, "terminating"), terminating, "terminating>0 is invalid for finished job");
    if ((differs_at_all(j, was, "ready") || differs(j, was, "active")) && ready > active)
        say_invalid_int(c, IN(p, "ready"), ready, "cannot set more ready pods than active");
    if (j->is[SUCCESS_MET] && j->is[FAILED])
        say_conditions(c, p, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
    if (j->is[SUCCESS_MET] && j->is[FAILURE_TARGET])
        say_conditions(c, p, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
    if (json_get(j->spec, STR("successPolicy")) && !j->is[SUCCESS_MET] && j->is[COMPLETE])
        say_conditions(c, p, "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True");
}

/* What was said is not taken back. */
static void check_job_change(causes c, const struct path *p, const struct job *j, const struct job *was)
{
    static const int terminal[] = { FAILED, COMPLETE, FAILURE_TARGET };
    struct str end = json_str(j->status, "completionTime"), before = json_str(was->status, "completionTime");
    bool indexed = str_is(json_str(j->spec, "completionMode"), "Indexed"), scaled = indexed && val_equal(json_get(j->spec, STR("completions")), json_get(j->spec, STR("parallelism")));
    for (int i = 0; i < 3; i++)
        if (was->is[terminal[i]] && !j->is[terminal[i]])
            say_conditions(c, p, words(c, "cannot disable the terminal %s=True condition", conditions[terminal[i]]));
    static const char *const counters[] = { "failed", "succeeded" };
    for (int i = 0; i < 2; i++)
        if (!(i && scaled) && json_int(j->status, counters[i], 0) < json_int(was->status, counters[i], 0))
            say_invalid_int(c, IN(p, counters[i]), json_int(j->status, counters[i], 0), words(c, "cannot decrease the %s counter", counters[i]));
    if (end.len && before.len && !str_eq(end, before))
        say_invalid(c, IN(p, "completionTime"), end, "field is immutable");
    if (differs(j, was, "startTime") && json_str(was->status, "startTime").len && !(was->is[SUSPENDED] && j->resumed) && !json_bool(j->spec, "suspend", false))
        say_invalid_val(c, IN(p, "startTime"), json_get(j->status, STR("startTime")), "field is immutable for unsuspended job once set");
    if (was->is[SUCCESS_MET] && !j->is[SUCCESS_MET])
        say_conditions(c, p, "cannot disable the SuccessCriteriaMet=True condition");
    if (was->is[COMPLETE] && !was->is[SUCCESS_MET] && j->is[SUCCESS_MET])
        say_conditions(c, p, "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions");
}

KIND_RULES(status_job)
{
    static const char *const numbers[] = { "active", "succeeded", "failed", "ready", "terminating" };
    const struct path *p = IN(NULL, "status");
    struct job j = job_of(v), was = job_of(old);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        check_nonnegative(c, p, j.status, numbers[i]);
    check_uncounted(c, IN(p, "uncountedTerminatedPods"), json_get(j.status, STR("uncountedTerminatedPods")));
    check_job_state(c, p, &j, &was);
    check_job_change(c, p, &j, &was);
}
