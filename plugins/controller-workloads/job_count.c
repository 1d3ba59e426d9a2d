/* job_count.c - what the pods of a Job amount to.
 *
 * A finished pod is counted once, also if we are killed in between: its uid goes into status.uncountedTerminatedPods, then its finalizer is
 * dropped, and a uid whose pod has no finalizer any more moves into the count.
 */
#include "job.h"

#include "base/cleanup.h"

/* --- indexes --- */

int64_t pod_index(const struct val *pod)
{
    int64_t n;
    return str_int(meta_annotation(pod, INDEX), &n) && n >= 0 ? n : -1;
}

const char *indexes_text(struct arena *a, const bool *set, int64_t n)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    for (int64_t i = 0; i < n; i++) {
        int64_t end = i;
        if (!set[i])
            continue;
        while (end + 1 < n && set[end + 1])
            end++;
        buf_printf(&b, "%s%lld", b.len ? "," : "", (long long)i);
        if (end > i)
            buf_printf(&b, "%c%lld", end > i + 1 ? '-' : ',', (long long)end);
        i = end;
    }
    return arena_dup(a, buf_str(&b));
}

void indexes_parse(struct str text, bool *set, int64_t n)
{
    while (text.at && text.len) {
        struct str part = str_cut(&text, ','), first = str_cut(&part, '-');
        int64_t from, to;
        if (!str_int(first, &from))
            continue;
        if (!part.at || !str_int(part, &to))
            to = from;
        for (int64_t i = from; i >= 0 && i <= to && i < n; i++)
            set[i] = true;
    }
}

/* --- failure policy --- */

bool job_pod_failed(const struct job *j, const struct val *pod)
{
    struct str phase = json_str(pod, "status.phase");
    if (str_is(phase, "Failed"))
        return true;
    /* A pod that is being deleted may never get to say that it failed. */
    return !str_is(json_str(j->v, "spec.podReplacementPolicy"), "Failed") && meta_deleting(pod) && !str_is(phase, "Succeeded");
}

static bool has_value(const struct val *values, int64_t n)
{
    if (val_is(values, VAL_ARR))
        val_each(v, values)
            if (val_is(v, VAL_INT) && v->i == n)
                return true;
    return false;
}

static const struct val *exit_match(const struct val *pod, const struct val *on)
{
    static const char *const lists[] = { "status.containerStatuses", "status.initContainerStatuses" };
    struct str only = json_str(on, "containerName");
    bool in = str_is(json_str(on, "operator"), "In");
    for (int i = 0; i < 2; i++) {
        struct val *list = json_path(pod, lists[i]);
        if (!val_is(list, VAL_ARR))
            continue;
        val_each(c, list) {
            int64_t code = json_int(c, "state.terminated.exitCode", 0);
            if (code && (!only.len || str_eq(only, json_str(c, "name"))) && has_value(json_get(on, STR("values")), code) == in)
                return c;
        }
    }
    return NULL;
}

static const struct val *condition_match(const struct val *pod, const struct val *patterns)
{
    struct val *list = json_path(pod, "status.conditions");
    if (val_is(patterns, VAL_ARR) && val_is(list, VAL_ARR))
        val_each(p, patterns)
            val_each(c, list) {
                struct str want = json_str(p, "status");
                if (str_eq(json_str(c, "type"), json_str(p, "type")) && str_eq(json_str(c, "status"), want.len ? want : STR("True")))
                    return c;
            }
    return NULL;
}

/* What the policy says of a failed pod; "Count" when it says nothing. */
static struct str policy(struct job *j, const struct val *pod)
{
    struct arena *a = j->r->arena;
    struct val *rules = json_path(j->v, "spec.podFailurePolicy.rules");
    int i = 0;
    if (!val_is(rules, VAL_ARR) || !str_is(json_str(pod, "status.phase"), "Failed"))
        return STR("Count");
    val_each(rule, rules) {
        struct str action = json_str(rule, "action");
        const struct val *on = json_get(rule, STR("onExitCodes")), *c = on ? exit_match(pod, on) : NULL;
        const struct val *cond = on ? NULL : condition_match(pod, json_get(rule, STR("onPodConditions")));
        if (c && str_is(action, "FailJob"))
            j->message = arena_printf(a, "Container " STR_FMT " for pod " STR_FMT "/" STR_FMT " failed with exit code %lld matching FailJob rule at index %d",
                                      STR_ARG(json_str(c, "name")), STR_ARG(meta_ns(pod)), STR_ARG(meta_name(pod)),
                                      (long long)json_int(c, "state.terminated.exitCode", 0), i);
        else if (cond && str_is(action, "FailJob"))
            j->message = arena_printf(a, "Pod " STR_FMT "/" STR_FMT " has condition " STR_FMT " matching FailJob rule at index %d", STR_ARG(meta_ns(pod)),
                                      STR_ARG(meta_name(pod)), STR_ARG(json_str(cond, "type")), i);
        if (c || cond)
            return action;
        i++;
    }
    return STR("Count");
}

static void mark_failed_index(struct job *j, int64_t i)
{
    if (i >= 0 && i < j->completions && !j->failed_index[i] && !j->done[i]) {
        j->failed_index[i] = true;
        j->n_failed_indexes++;
    }
}

/* --- counting --- */

/* Those whose finalizer is still there, by uid. */
static bool find_tracked(const struct job *j, const struct val *uncounted, struct map *ret)
{
    bool ok = true;
    for (uint32_t i = 0; ok && uncounted->n && i < j->pods.n; i++)
        if (meta_has_finalizer(j->pods.at[i], TRACKING))
            ok = map_put(ret, meta_uid(j->pods.at[i]), j->pods.at[i]);
    return ok;
}

/* From the list of uids into the count, as far as their pods have let go. */
static void settle(struct job *j, const struct map *tracked, struct val *uncounted, struct str member)
{
    struct val *list = json_get(uncounted, member);
    int64_t n = 0;
    if (!val_is(list, VAL_ARR))
        return;
    for (struct val *v = list->first, *next; v; v = next) {
        next = v->next;
        if (map_get(tracked, val_str(v)))
            continue;
        val_unlink(list, v);
        n++;
    }
    char *key = arena_dup(j->r->arena, member);
    meta_set_count(j->r->arena, j->st, member, key ? json_int(j->st, key, 0) + n : 0);
    if (!list->n)
        json_del(uncounted, member);
}

static bool settle_all(struct job *j, struct val *uncounted)
{
    struct map tracked = { 0 };
    bool ok = find_tracked(j, uncounted, &tracked);
    if (ok)
        settle(j, &tracked, uncounted, STR("succeeded"));
    if (ok)
        settle(j, &tracked, uncounted, STR("failed"));
    map_free(&tracked);
    return ok;
}

/* What a failed pod means to its index, or to the whole Job. */
static void judge_failed(struct job *j, const struct val *pod)
{
    struct val *limit = json_path(j->v, "spec.backoffLimitPerIndex");
    struct str action = policy(j, pod);
    int64_t before = 0;
    if (str_is(action, "FailJob"))
        j->reason = "PodFailurePolicy";
    if (!str_int(meta_annotation(pod, INDEX_FAILS), &before))
        before = 0;
    if (j->indexed && limit && (str_is(action, "FailIndex") || before >= limit->i))
        mark_failed_index(j, pod_index(pod));
}

static void count_failed(struct job *j, struct val *uncounted, const struct val *pod)
{
    if (json_lists(json_get(uncounted, STR("failed")), meta_uid(pod)) || str_is(policy(j, pod), "Ignore"))
        return;
    val_push(json_arr(j->r->arena, uncounted, STR("failed")), val_of_str(j->r->arena, meta_uid(pod)));
}

static void count_succeeded(struct job *j, struct val *uncounted, const struct val *pod)
{
    int64_t i = pod_index(pod);
    if (j->indexed && i >= 0 && i < j->completions)
        j->done[i] = true;
    else if (!j->indexed && !json_lists(json_get(uncounted, STR("succeeded")), meta_uid(pod)))
        val_push(json_arr(j->r->arena, uncounted, STR("succeeded")), val_of_str(j->r->arena, meta_uid(pod)));
}

bool job_over(const struct job *j)
{
    return cond_is(j->v, "FailureTarget", "True") || cond_is(j->v, "SuccessCriteriaMet", "True");
}

bool job_counts(const struct job *j, const struct val *pod)
{
    return str_is(json_str(pod, "status.phase"), "Succeeded") || job_pod_failed(j, pod) || (job_over(j) && meta_deleting(pod));
}

bool job_held(const struct job *j, const struct val *pod)
{
    int64_t i = pod_index(pod);
    return j->in_work && i >= 0 && i < j->completions && !job_over(j) && job_pod_failed(j, pod) && !j->done[i] && !j->failed_index[i] && !j->in_work[i];
}

/* Indexes first: whether a failed pod is counted now depends on what becomes of its index. */
static void read_indexes(struct job *j)
{
    for (uint32_t k = 0; k < j->pods.n; k++) {
        struct val *pod = j->pods.at[k];
        int64_t i = pod_index(pod);
        bool in = j->indexed && i >= 0 && i < j->completions, ok = str_is(json_str(pod, "status.phase"), "Succeeded");
        if (in && j->in_work && pod_active(pod))
            j->in_work[i] = true;
        if (!meta_has_finalizer(pod, TRACKING))
            continue;
        if (ok && in)
            j->done[i] = true;
        else if (!ok && job_pod_failed(j, pod) && !job_over(j))
            judge_failed(j, pod);
    }
}

static void count_pods(struct job *j, struct val *uncounted)
{
    bool well = cond_is(j->v, "SuccessCriteriaMet", "True");
    read_indexes(j);
    for (uint32_t i = 0; i < j->pods.n; i++) {
        struct val *pod = j->pods.at[i];
        struct str phase = json_str(pod, "status.phase");
        j->terminating += meta_deleting(pod) && !pod_finished(pod);
        if (pod_active(pod)) {
            j->active[j->n_active++] = pod;
            j->ready += pod_ready(pod);
        }
        if (!meta_has_finalizer(pod, TRACKING) || !job_counts(j, pod))
            continue;
        if (job_held(j, pod)) {
            j->n_held++;
            continue;
        }
        j->uncounted = true;
        if (str_is(phase, "Succeeded"))
            count_succeeded(j, uncounted, pod);
        else if (!well || str_is(phase, "Failed"))      /* what a success stops has not failed */
            count_failed(j, uncounted, pod);
    }
}

static int64_t length(const struct val *uncounted, struct str member)
{
    struct val *list = json_get(uncounted, member);
    return val_is(list, VAL_ARR) ? list->n : 0;
}

static void count_indexes(struct job *j)
{
    struct arena *a = j->r->arena;
    for (int64_t i = 0; i < j->completions; i++)
        j->succeeded += j->done[i];
    const char *done = indexes_text(a, j->done, j->completions), *failed = indexes_text(a, j->failed_index, j->completions);
    if (done && *done)
        json_set_str(a, j->st, STR("completedIndexes"), str_of(done));
    else
        json_del(j->st, STR("completedIndexes"));       /* fewer are asked for now */
    if (json_path(j->v, "spec.backoffLimitPerIndex"))
        json_set_str(a, j->st, STR("failedIndexes"), str_of(failed));
    meta_set_count(a, j->st, STR("succeeded"), j->succeeded);
}

int job_count(struct job *j)
{
    struct arena *a = j->r->arena;
    struct val *uncounted = json_obj(a, j->st, STR("uncountedTerminatedPods"));
    j->active = arena_alloc(a, (j->pods.n + 1) * sizeof *j->active);
    if (j->indexed && j->completions > INDEXES_MOST)
        return kl_fail(j->r->call, KL_INVALID, "an indexed Job may have %d completions at most", INDEXES_MOST);
    bool per_index = j->indexed && json_path(j->v, "spec.backoffLimitPerIndex");
    if (j->indexed) {
        j->done = arena_alloc(a, (size_t)j->completions + 1);
        j->failed_index = arena_alloc(a, (size_t)j->completions + 1);
    }
    if (per_index)
        j->in_work = arena_alloc(a, (size_t)j->completions + 1);
    if (!j->active || !uncounted || (j->indexed && (!j->done || !j->failed_index)) || (per_index && !j->in_work))
        return ctl_no_memory(j->r);
    if (j->indexed) {
        indexes_parse(json_str(j->st, "completedIndexes"), j->done, j->completions);
        indexes_parse(json_str(j->st, "failedIndexes"), j->failed_index, j->completions);
        for (int64_t i = 0; i < j->completions; i++)
            j->n_failed_indexes += j->failed_index[i];
    }
    if (!settle_all(j, uncounted))
        return ctl_no_memory(j->r);
    count_pods(j, uncounted);
    if (j->indexed)
        count_indexes(j);
    else
        j->succeeded = json_int(j->st, "succeeded", 0) + length(uncounted, STR("succeeded"));
    j->failed = json_int(j->st, "failed", 0) + length(uncounted, STR("failed")) + j->n_held;
    j->uncounted |= uncounted->n > 0;
    return 0;
}

/* --- verdict --- */

static int64_t restarts(const struct job *j)
{
    static const char *const lists[] = { "status.containerStatuses", "status.initContainerStatuses" };
    int64_t n = 0;
    for (int64_t i = 0; i < j->n_active; i++)
        for (int k = 0; k < 2; k++) {
            struct val *list = json_path(j->active[i], lists[k]);
            if (val_is(list, VAL_ARR))
                val_each(c, list) n += json_int(c, "restartCount", 0);
        }
    return n;
}

static bool past_limit(const struct job *j)
{
    struct val *v = json_path(j->v, "spec.backoffLimit");
    int64_t limit = val_is(v, VAL_INT) ? v->i : json_path(j->v, "spec.backoffLimitPerIndex") ? INT32_MAX : 6;
    int64_t n = str_is(json_str(j->v, "spec.template.spec.restartPolicy"), "OnFailure") ? restarts(j) : 0;
    return j->failed > limit || (n && n >= limit);
}

static bool policy_met(struct job *j)
{
    struct val *rules = json_path(j->v, "spec.successPolicy.rules");
    struct arena *a = j->r->arena;
    int i = 0;
    if (!j->indexed || !val_is(rules, VAL_ARR))
        return false;
    val_each(rule, rules) {
        struct str only = json_str(rule, "succeededIndexes");
        bool *wanted = arena_alloc(a, (size_t)j->completions + 1);
        int64_t of = 0, have = 0, enough;
        if (!wanted)
            return false;
        indexes_parse(only, wanted, j->completions);
        for (int64_t k = 0; k < j->completions; k++) {
            bool in = !only.len || wanted[k];
            of += in;
            have += in && j->done[k];
        }
        enough = json_int(rule, "succeededCount", of);
        if (have >= enough) {
            j->reason = "SuccessPolicy";
            j->message = arena_printf(a, "Matched rules at index %d", i);
            return true;
        }
        i++;
    }
    return false;
}

static void verdict(struct job *j, const char *reason, const char *message)
{
    j->reason = reason;
    j->message = message;
}

void job_judge(struct job *j)
{
    struct val *deadline = json_path(j->v, "spec.activeDeadlineSeconds"), *most = json_path(j->v, "spec.maxFailedIndexes");
    int64_t start = meta_time(j->now, "status.startTime");
    bool suspended = json_bool(j->v, "spec.suspend", false);
    if (j->reason)                      /* the failure policy has spoken */
        return;
    if (policy_met(j)) {
        j->success = true;
        return;
    }
    if (past_limit(j))
        verdict(j, "BackoffLimitExceeded", "Job has reached the specified backoff limit");
    else if (deadline && start && !suspended && start + deadline->i * NS_S <= j->r->now_ns)
        verdict(j, "DeadlineExceeded", "Job was active longer than specified deadline");
    else if (j->indexed && most && j->n_failed_indexes > most->i)
        verdict(j, "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes");
    else if (j->indexed && j->n_failed_indexes && j->succeeded + j->n_failed_indexes >= j->completions)
        verdict(j, "FailedIndexes", "Job has failed indexes");
    if (j->reason)
        return;
    if (deadline && start && !suspended)
        ctl_again(j->r, start + deadline->i * NS_S - j->r->now_ns);
    if (j->completions < 0 ? j->succeeded > 0 && !j->n_active : j->succeeded >= j->completions) {
        j->success = true;
        verdict(j, "CompletionsReached", "Reached expected number of succeeded pods");
    }
}
