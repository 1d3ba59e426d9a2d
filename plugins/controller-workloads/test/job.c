/* Counting the pods of a Job, and its verdicts. */
#include "fake.h"
#include "job.h"
#include "tree.h"

static struct kl_call call;
static struct ctl_run run;

static void setup(void)
{
    tree_begin();
    kl_err_init(&call.err);
    run = (struct ctl_run){ .call = &call, .arena = a, .now_ns = 1000 * NS_S };
}

TestSuite(job, .init = setup, .fini = tree_end);

static struct val *pod(const char *uid, int index, const char *phase, bool tracked, int ended_s)
{
    char when[CLOCK_TEXT];
    clock_format(ended_s * NS_S, when);
    return tree(arena_printf(a, "{\"metadata\":{\"uid\":\"%s\",\"annotations\":{\"" INDEX "\":\"%d\"}%s},\"status\":{\"phase\":\"%s\","
                                "\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"terminated\":{\"exitCode\":42,\"finishedAt\":\"%s\"}}}]}}",
                             uid, index, tracked ? ",\"finalizers\":[\"" TRACKING "\"]" : "", phase, when));
}

static struct job job(const char *spec, struct val **pods, uint32_t n)
{
    struct job j = { .r = &run, .v = tree(arena_printf(a, "{\"metadata\":{\"name\":\"j\"},\"spec\":%s,\"status\":{}}", spec)) };
    j.now = val_copy(a, j.v);
    j.st = json_get(j.now, STR("status"));
    j.indexed = str_is(json_str(j.v, "spec.completionMode"), "Indexed");
    j.parallelism = json_int(j.v, "spec.parallelism", 1);
    j.completions = json_int(j.v, "spec.completions", -1);
    j.pods = (struct ctl_list){ pods, n };
    return j;
}

Test(job, indexes_are_intervals)
{
    bool set[10] = { 0 };
    indexes_parse(STR("0,2-4,7,8,99"), set, 10);
    cr_expect_str_eq(indexes_text(a, set, 10), "0,2-4,7,8");
    set[1] = true;
    cr_expect_str_eq(indexes_text(a, set, 10), "0-4,7,8");
    cr_expect_str_eq(indexes_text(a, set, 0), "");
}

Test(job, a_pod_is_counted_once)
{
    struct val *pods[] = { pod("a", 0, "Succeeded", true, 1), pod("b", 0, "Failed", true, 1), pod("c", 0, "Running", true, 1) };
    struct job j = job("{\"completions\":2,\"backoffLimit\":6}", pods, 3);
    cr_assert_eq(job_count(&j), 0);
    cr_expect_eq(j.succeeded, 1);
    cr_expect_eq(j.failed, 1);
    cr_expect_eq(j.n_active, 1);
    cr_expect_eq(json_int(j.st, "succeeded", 0), 0, "not before its finalizer is gone");
    json_del(json_get(pods[0], STR("metadata")), STR("finalizers"));
    struct job next = job("{\"completions\":2,\"backoffLimit\":6}", pods, 3);
    next.st = j.st;
    cr_assert_eq(job_count(&next), 0);
    cr_expect_eq(next.succeeded, 1);
    cr_expect_eq(json_int(next.st, "succeeded", 0), 1);
    cr_expect_eq(next.failed, 1);
}

Test(job, verdicts)
{
    struct val *ok[] = { pod("a", 0, "Succeeded", true, 1), pod("b", 1, "Succeeded", true, 1) }, *bad[] = { pod("c", 0, "Failed", true, 1) };
    struct job j = job("{\"completions\":2,\"completionMode\":\"Indexed\"}", ok, 2);
    cr_assert_eq(job_count(&j), 0);
    job_judge(&j);
    cr_expect(j.success);
    cr_expect_str_eq(j.reason, "CompletionsReached");
    cr_expect(str_is(json_str(j.st, "completedIndexes"), "0,1"));
    j = job("{\"completions\":1,\"backoffLimit\":0}", bad, 1);
    cr_assert_eq(job_count(&j), 0);
    job_judge(&j);
    cr_expect_str_eq(j.reason, "BackoffLimitExceeded");
    j = job("{\"completions\":3,\"completionMode\":\"Indexed\",\"successPolicy\":{\"rules\":[{\"succeededIndexes\":\"1\"}]}}", ok, 2);
    cr_assert_eq(job_count(&j), 0);
    job_judge(&j);
    cr_expect_str_eq(j.reason, "SuccessPolicy");
    j = job("{\"completions\":1,\"backoffLimit\":6,\"podFailurePolicy\":{\"rules\":[{\"action\":\"Ignore\",\"onExitCodes\":{\"operator\":\"In\",\"values\":[42]}}]}}",
            bad, 1);
    cr_assert_eq(job_count(&j), 0);
    cr_expect_eq(j.failed, 0);
}

static struct ctl memory;

static int64_t waits(struct val **pods, uint32_t n)
{
    struct job j = job("{}", pods, n);
    run.ctl = &memory;
    job_backoff_read(&j);
    job_backoff_keep(&j);
    return job_backoff_ns(&j);
}

Test(job, failures_cost_time)
{
    struct val *one[] = { pod("a", 0, "Failed", true, 990) }, *two[] = { pod("b", 0, "Failed", true, 995) }, *good[] = { pod("c", 0, "Succeeded", true, 996) };
    cr_expect_eq(waits(one, 1), 0, "the ten seconds are over");
    cr_expect_eq(waits(NULL, 0), 0);
    cr_expect_eq(waits(two, 1), 15 * NS_S, "the first one is remembered");
    cr_expect_eq(waits(NULL, 0), 15 * NS_S, "although it has gone");
    cr_expect_eq(waits(good, 1), 0, "a success makes up for it");
    cr_expect_eq(waits(two, 1), 5 * NS_S);
    struct val *both[] = { pod("d", 0, "Failed", true, 998), pod("e", 0, "Succeeded", true, 997), pod("g", 0, "Failed", true, 996) };
    cr_expect_eq(waits(both, 3), 8 * NS_S, "only what failed after it counts");
    ctl_forget(&memory);
}

Test(job, a_pod_that_is_deleted_has_failed_and_costs_time)
{
    struct val *gone[] = { tree("{\"metadata\":{\"uid\":\"x\",\"finalizers\":[\"" TRACKING "\"],\"deletionTimestamp\":\"1970-01-01T00:17:10Z\",\"deletionGracePeriodSeconds\":30},"
                                "\"status\":{\"phase\":\"Running\"}}") };
    cr_expect_eq(waits(gone, 1), 10 * NS_S, "since it was told to go, at 1000 s");
    ctl_forget(&memory);
}

Test(job, what_has_been_seen_is_not_new)
{
    struct val *pods[] = { pod("a", 0, "Failed", true, 995), pod("b", 0, "Failed", false, 999) };
    struct job j = job("{}", pods, 2);
    json_set(a, j.v, STR("status"), tree("{\"uncountedTerminatedPods\":{\"failed\":[\"a\"]}}"));
    run.ctl = &memory;
    job_backoff_read(&j);
    cr_expect_eq(job_backoff_ns(&j), 0);
}

Test(job, indexes_that_failed_for_good_are_not_waited_for)
{
    static struct fake f;
    int64_t again;
    fake_init(&f);
    fake_put(&f, JOBS, "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"j\",\"namespace\":\"d\"},\"spec\":{\"completions\":4,\"parallelism\":4,"
                       "\"completionMode\":\"Indexed\",\"backoffLimitPerIndex\":0,\"selector\":{\"matchLabels\":{\"j\":\"j\"}},\"template\":{\"metadata\":{\"labels\":{"
                       "\"j\":\"j\"}},\"spec\":{\"containers\":[{\"name\":\"c\"}]}}},\"status\":{\"failedIndexes\":\"1-3\"}}");
    for (int i = 0; i < 2; i++)
        cr_assert_eq(fake_reconcile(&f, &job_controller, "d/j", &again), 0, "%s", f.call.err.msg);
    cr_expect_eq(fake_count(&f, PODS), 1);
    cr_expect_eq(again, 0, "it comes back at once, for ever");
    fake_done(&f);
}

/* --- what is counted when --- */

#define PER_INDEX "{\"completions\":3,\"parallelism\":3,\"completionMode\":\"Indexed\",\"backoffLimitPerIndex\":1,\"podReplacementPolicy\":\"Failed\"}"

static void going(struct val *pod)
{
    json_set_str(a, json_get(pod, STR("metadata")), STR("deletionTimestamp"), STR("2027-01-01T00:00:00Z"));
}

static void decided(struct job *j, const char *type)
{
    json_set(a, json_get(j->v, STR("status")), STR("conditions"), tree(arena_printf(a, "[{\"type\":\"%s\",\"status\":\"True\",\"reason\":\"R\"}]", type)));
    j->now = val_copy(a, j->v);
    j->st = json_get(j->now, STR("status"));
}

Test(job, an_index_that_is_tried_again_holds_its_pod)
{
    struct val *pods[] = { pod("a", 0, "Failed", true, 995), pod("b", 1, "Running", true, 1), pod("c", 0, "Running", true, 1) };
    struct job j = job(PER_INDEX, pods, 2);
    cr_assert_eq(job_count(&j), 0);
    cr_expect(job_held(&j, pods[0]));
    cr_expect_null(json_path(j.st, "uncountedTerminatedPods.failed"));
    cr_expect_eq(j.failed, 1, "the limit of the whole Job knows it");
    cr_expect_eq(job_index_backoff_ns(&j, pods[0]), 5 * NS_S);
    j = job(PER_INDEX, pods, 3);
    cr_assert_eq(job_count(&j), 0);
    cr_expect_not(job_held(&j, pods[0]), "the next one is there");
    cr_expect_eq(json_path(j.st, "uncountedTerminatedPods.failed")->n, 1u);
    json_set_str(a, json_path(pods[0], "metadata.annotations"), STR(INDEX_FAILS), STR("1"));
    j = job(PER_INDEX, pods, 2);
    cr_assert_eq(job_count(&j), 0);
    cr_expect_not(job_held(&j, pods[0]), "its index is not tried again");
    cr_expect(str_is(json_str(j.st, "failedIndexes"), "0"));
}

/* Pods that a verdict stops may be gone without a word: they hold nothing up, fail no index, and have only failed if the Job has. */
Test(job, what_a_verdict_stops)
{
    struct val *pods[] = { pod("a", 0, "Running", true, 1), pod("b", 1, "Running", true, 1) };
    going(pods[0]);
    struct job j = job(PER_INDEX, pods, 2);
    cr_assert_eq(job_count(&j), 0);
    cr_expect_not(job_counts(&j, pods[0]), "as long as nothing is decided, it is to say how it ended");
    j = job(PER_INDEX, pods, 2);
    decided(&j, "FailureTarget");
    cr_assert_eq(job_count(&j), 0);
    cr_expect(job_counts(&j, pods[0]));
    cr_expect_not(job_counts(&j, pods[1]));
    cr_expect_eq(json_path(j.st, "uncountedTerminatedPods.failed")->n, 1u);
    cr_expect(str_is(json_str(j.st, "failedIndexes"), ""));
    j = job(PER_INDEX, pods, 2);
    decided(&j, "SuccessCriteriaMet");
    cr_assert_eq(job_count(&j), 0);
    cr_expect(job_counts(&j, pods[0]));
    cr_expect_null(json_path(j.st, "uncountedTerminatedPods.failed"));
}

Test(job, indexes_past_the_completions_are_forgotten)
{
    struct job j = job("{\"completions\":2,\"completionMode\":\"Indexed\"}", NULL, 0);
    json_set_str(a, j.st, STR("completedIndexes"), STR("3"));
    cr_assert_eq(job_count(&j), 0);
    cr_expect_null(json_get(j.st, STR("completedIndexes")));
}
