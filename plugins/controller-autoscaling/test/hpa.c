/* How many replicas usage asks for, and how fast they may come and go. */
#include "hpa.h"
#include "tree.h"

TestSuite(hpa, .init = tree_begin, .fini = tree_end);

#define NOW (1000000 * NS_S)
static const struct hpa_conf conf = { .period = 15 * NS_S, .downscale_window = 300 * NS_S, .cpu_start = 300 * NS_S, .readiness_delay = 30 * NS_S, .tolerance = 10 };

/* A running pod p<i> that asks for a core; unready: since it began. */
static struct val *pod(int i, bool unready, const char *request)
{
    char start[CLOCK_TEXT];
    clock_format(NOW - 3600 * NS_S, start);
    return tree(arena_printf(a, "{\"metadata\":{\"name\":\"p%d\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{%s}}}]},\"status\":{\"phase\":\"%s\","
                             "\"startTime\":\"%s\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":\"%s\"}]}}",
                             i, request, unready ? "Pending" : "Running", start, start));
}

struct level {
    int use;                            /* thousandths; -1: not told */
    bool unready;
};

static struct hpa_answer ask(const struct level *levels, int n, int64_t current, int64_t target, bool average)
{
    struct hpa_ask q = { .conf = &conf, .arena = a, .now_ns = NOW, .current = current, .tolerance = { 0.1, 0.1 }, .resource = STR("cpu"), .container = STR(""),
                         .target = target, .pods = arena_alloc(a, 20 * sizeof *q.pods), .samples = arena_alloc(a, 20 * sizeof *q.samples) };
    struct hpa_answer x;
    for (int i = 0; i < n; i++) {
        q.pods[q.n_pods++] = pod(i, levels[i].unready, "\"cpu\":\"1\"");
        if (levels[i].use >= 0)
            q.samples[q.n_samples++] = (struct hpa_sample){ str_of(arena_printf(a, "p%d", i)), levels[i].use, NOW, 60 * NS_S, false };
    }
    cr_expect((average ? hpa_by_average : hpa_by_utilization)(&q, &x), "%s", x.why);
    return x;
}

Test(hpa, usage_against_its_target)
{
    static const struct {
        struct level levels[5];
        int n, target, wanted, utilization;
    } rows[] = {
        { { { 300, 0 }, { 500, 0 }, { 700, 0 } }, 3, 30, 5, 50 },
        { { { 300, 0 }, { 500, 0 }, { 700, 0 } }, 3, 46, 3, 50 },               /* within the tolerance */
        { { { 100, 0 }, { 300, 0 }, { 500, 0 }, { 250, 0 }, { 250, 0 } }, 5, 50, 3, 28 },
        { { { 100, 1 }, { 500, 0 }, { 700, 0 } }, 3, 30, 4, 60 },               /* one that is not ready counts as idle */
        { { { 400, 0 }, { 500, 1 }, { 700, 1 } }, 3, 30, 3, 40 },               /* ... and cannot turn the direction */
        { { { 1000, 0 }, { -1, 0 } }, 2, 100, 2, 100 },
        { { { 1900, 0 }, { -1, 0 } }, 2, 100, 2, 190 },                         /* a silent one counts as idle on the way up */
        { { { 600, 0 }, { -1, 0 } }, 2, 100, 2, 60 },                           /* and as busy on the way down */
        { { { 100, 0 }, { 100, 0 }, { 100, 0 }, { 100, 0 }, { -1, 0 } }, 5, 50, 3, 10 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hpa_answer x = ask(rows[i].levels, rows[i].n, rows[i].n, rows[i].target, false);
        cr_expect_eq(x.replicas, rows[i].wanted, "row %zu: %lld", i, (long long)x.replicas);
        cr_expect_eq(x.utilization, rows[i].utilization, "row %zu: %lld%%", i, (long long)x.utilization);
    }
}

Test(hpa, averages_and_single_values)
{
    const struct level levels[] = { { 20000, 0 }, { 10000, 0 }, { 30000, 0 } };
    struct hpa_answer x = ask(levels, 3, 3, 15000, true);
    cr_expect_eq(x.replicas, 4);
    cr_expect_eq(x.usage, 20000);
    struct val *pods[] = { pod(0, false, ""), pod(1, false, "") };
    struct hpa_ask q = { .conf = &conf, .arena = a, .now_ns = NOW, .current = 2, .tolerance = { 0.1, 0.1 }, .pods = pods, .n_pods = 2, .target = 1000 };
    cr_expect(hpa_by_value(&q, 2500, &x));
    cr_expect_eq(x.replicas, 5);
    hpa_by_value_per_pod(&q, 4100, 4, &x);
    cr_expect_eq(x.replicas, 4);
    hpa_by_value_per_pod(&q, 8600, 4, &x);
    cr_expect_eq(x.replicas, 9);
}

Test(hpa, what_cannot_be_calculated_says_why)
{
    struct hpa_answer x;
    struct hpa_ask q = { .conf = &conf, .arena = a, .now_ns = NOW, .current = 1, .resource = STR("cpu"), .container = STR(""), .target = 50 };
    cr_expect_not(hpa_by_utilization(&q, &x));
    cr_expect_str_eq(x.why, "no pods returned by selector while calculating replica count");
    struct val *pods[] = { pod(0, false, "") };
    struct hpa_sample s = { STR("p0"), 100, NOW, 60 * NS_S, false };
    q.pods = pods;
    q.n_pods = 1;
    q.samples = &s;
    q.n_samples = 1;
    cr_expect_not(hpa_by_utilization(&q, &x));
    cr_expect_str_eq(x.why, "missing request for cpu in container c of Pod p0");
    s.dropped = true;
    cr_expect_not(hpa_by_utilization(&q, &x));
    cr_expect_str_eq(x.why, "did not receive metrics for targeted pods (pods might be unready)");
}

Test(hpa, requests_of_a_pod_as_a_whole_come_first)
{
    struct hpa_answer x;
    struct val *pods[] = { pod(0, false, "\"cpu\":\"1\",\"memory\":\"1Gi\"") };
    struct hpa_sample s = { STR("p0"), 100, NOW, 60 * NS_S, false };
    struct hpa_ask q = { .conf = &conf, .arena = a, .now_ns = NOW, .current = 1, .resource = STR("cpu"), .container = STR(""), .target = 50, .pods = pods, .n_pods = 1,
                         .samples = &s, .n_samples = 1 };
    json_set(a, json_path(pods[0], "spec"), STR("resources"), tree("{\"requests\":{\"cpu\":\"200m\"}}"));
    cr_assert(hpa_by_utilization(&q, &x), "%s", x.why);
    cr_expect_eq(x.utilization, 50);
    q.container = STR("c");
    cr_assert(hpa_by_utilization(&q, &x));
    cr_expect_eq(x.utilization, 10);
    q.container = STR("");
    json_set(a, json_path(pods[0], "spec"), STR("resources"), tree("{\"requests\":{\"memory\":\"1Gi\"}}"));
    cr_assert(hpa_by_utilization(&q, &x), "%s", x.why);
    cr_expect_eq(x.utilization, 10);
    pods[0] = pod(0, false, "");
    json_set(a, json_path(pods[0], "spec"), STR("resources"), tree("{\"requests\":{\"memory\":\"1Gi\"}}"));
    cr_expect_not(hpa_by_utilization(&q, &x));
    cr_expect_str_eq(x.why, "missing pod-level request for cpu in Pod p0");
}

static struct hpa_verdict limit(struct hpa_memory *m, int64_t second, int64_t current, int64_t desired, const char *behavior)
{
    struct hpa_wish w = { NOW + second * NS_S, current, desired, 1, 100, behavior ? tree(behavior) : NULL, conf.downscale_window };
    struct hpa_verdict v = hpa_limit(m, &w);
    hpa_scaled(m, w.behavior, w.now_ns, current, v.replicas);
    return v;
}

Test(hpa, the_old_rules_double_at_most_and_wait_on_the_way_down)
{
    struct hpa_memory m = { 0 };
    hpa_remember(&m, NOW, 3);
    struct hpa_verdict v = limit(&m, 0, 3, 20, NULL);
    cr_expect_eq(v.replicas, 6);
    cr_expect_str_eq(v.reason, "ScaleUpLimit");
    v = limit(&m, 100, 6, 2, NULL);
    cr_expect_eq(v.replicas, 12);       /* 20 were recommended within the window: it goes on upwards */
    cr_expect_str_eq(v.able_reason, "ScaleDownStabilized");
    v = limit(&m, 301, 12, 2, NULL);
    cr_expect_eq(v.replicas, 2);
    cr_expect_str_eq(v.able_reason, "ReadyForNewScale");
    cr_expect_not(v.limited);
    hpa_memory_done(&m);
}

#define POLICY(T, V, S) "{\"type\":\"" T "\",\"value\":" #V ",\"periodSeconds\":" #S "}"

Test(hpa, policies_count_what_was_done_within_their_period)
{
    static const char behavior[] = "{\"scaleUp\":{\"stabilizationWindowSeconds\":0,\"selectPolicy\":\"Max\",\"policies\":[" POLICY("Pods", 2, 60) "," POLICY("Percent", 50, 60)
                                   "]},\"scaleDown\":{\"stabilizationWindowSeconds\":0,\"selectPolicy\":\"Min\",\"policies\":[" POLICY("Pods", 1, 60) "," POLICY("Percent", 50, 60) "]}}";
    struct hpa_memory m = { 0 };
    cr_expect_eq(limit(&m, 0, 10, 50, behavior).replicas, 15);          /* half more beats two */
    cr_expect_eq(limit(&m, 10, 15, 50, behavior).replicas, 15);         /* the period's share is used up */
    cr_expect_str_eq(limit(&m, 20, 15, 50, behavior).reason, "ScaleUpLimit");
    cr_expect_eq(limit(&m, 61, 15, 50, behavior).replicas, 23);
    cr_expect_eq(limit(&m, 200, 23, 5, behavior).replicas, 22);         /* the smaller step */
    cr_expect_eq(limit(&m, 210, 22, 5, behavior).replicas, 22);
    cr_expect_eq(limit(&m, 261, 22, 5, behavior).replicas, 21);
    hpa_memory_done(&m);
}

Test(hpa, windows_and_a_policy_that_says_no)
{
    static const char slow[] = "{\"scaleUp\":{\"stabilizationWindowSeconds\":60,\"policies\":[" POLICY("Percent", 1000, 15) "]},\"scaleDown\":{\"selectPolicy\":\"Disabled\"}}";
    struct hpa_memory m = { 0 };
    hpa_remember(&m, NOW, 2);
    struct hpa_verdict v = limit(&m, 10, 2, 8, slow);
    cr_expect_eq(v.replicas, 2);
    cr_expect_str_eq(v.able_reason, "ScaleUpStabilized");
    v = limit(&m, 65, 2, 9, slow);
    cr_expect_eq(v.replicas, 8);        /* the least within the window */
    v = limit(&m, 1000, 8, 3, slow);
    cr_expect_eq(v.replicas, 8);
    cr_expect_str_eq(v.reason, "ScaleDownLimit");
    hpa_memory_done(&m);
}
