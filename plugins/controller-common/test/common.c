/* Selectors, owners, readiness and the order in which pods are given up. */
#include "meta.h"
#include "pods.h"
#include "tree.h"

TestSuite(common, .init = tree_begin, .fini = tree_end);

Test(common, selectors)
{
    struct val *s = tree("{\"matchLabels\":{\"app\":\"web\"},\"matchExpressions\":[{\"key\":\"tier\",\"operator\":\"In\",\"values\":[\"a\",\"b\"]},"
                         "{\"key\":\"old\",\"operator\":\"DoesNotExist\"},{\"key\":\"z\",\"operator\":\"NotIn\",\"values\":[\"1\"]}]}");
    cr_expect(sel_matches(s, tree("{\"app\":\"web\",\"tier\":\"b\"}")));
    cr_expect_not(sel_matches(s, tree("{\"app\":\"web\",\"tier\":\"c\"}")));
    cr_expect_not(sel_matches(s, tree("{\"app\":\"web\",\"tier\":\"a\",\"old\":\"\"}")));
    cr_expect_not(sel_matches(s, tree("{\"app\":\"web\",\"tier\":\"a\",\"z\":\"1\"}")));
    cr_expect_not(sel_matches(s, NULL));
    cr_expect(sel_matches(tree("{}"), NULL));
    cr_expect_not(sel_matches(NULL, tree("{}")));
    cr_expect_str_eq(sel_text(a, s), "app=web,tier in (a,b),!old,z notin (1)");
    cr_expect_not(sel_map_matches(tree("{}"), tree("{\"app\":\"web\"}")));
}

Test(common, owners)
{
    struct val *owner = tree("{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"metadata\":{\"name\":\"r\",\"uid\":\"u\"}}"), *v = tree("{\"metadata\":{}}");
    val_push(json_arr(a, json_get(v, STR("metadata")), STR("ownerReferences")), meta_owner_ref(a, owner));
    cr_expect(meta_controlled_by(v, STR("u")));
    cr_expect_not(meta_controlled_by(v, STR("x")));
    meta_drop_owner(v, STR("u"));
    cr_expect_null(json_path(v, "metadata.ownerReferences"));
}

Test(common, availability_waits_for_min_ready_seconds)
{
    struct val *pod = tree("{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":\"1970-01-01T00:01:40Z\"}]}}");
    int64_t wait = 0;
    cr_expect(pod_available(pod, 0, 100 * NS_S, &wait));
    cr_expect_eq(wait, 0);
    cr_expect_not(pod_available(pod, 10, 104 * NS_S, &wait));
    cr_expect_eq(wait, 6 * NS_S);
    cr_expect(pod_available(pod, 10, 110 * NS_S, &wait));
}

static struct val *pod(const char *uid, const char *node, const char *phase, bool ready, const char *since, const char *cost, int restarts)
{
    return tree(arena_printf(a, "{\"metadata\":{\"uid\":\"%s\",\"creationTimestamp\":\"%s\",\"annotations\":{%s%s%s}},\"spec\":{%s%s%s},\"status\":{\"phase\":\"%s\","
                                "\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\",\"lastTransitionTime\":\"%s\"}],\"containerStatuses\":[{\"restartCount\":%d}]}}",
                             uid, since, cost ? "\"controller.kubernetes.io/pod-deletion-cost\":\"" : "", cost ? cost : "", cost ? "\"" : "",
                             node ? "\"nodeName\":\"" : "", node ? node : "", node ? "\"" : "", phase, ready ? "True" : "False", since, restarts));
}

Test(common, pods_are_given_up_in_order)
{
    const char *old = "2026-01-01T00:00:00Z", *young = "2026-01-30T00:00:00Z";
    struct val *at[] = { pod("steady", "n", "Running", true, old, NULL, 0),      pod("restarted", "n", "Running", true, old, NULL, 4),
                         pod("young", "n", "Running", true, young, NULL, 0),     pod("crowded", "n", "Running", true, old, NULL, 0),
                         pod("cheap", "n", "Running", true, old, "-1", 0),       pod("unready", "n", "Running", false, old, NULL, 0),
                         pod("unknown", "n", "Unknown", false, old, NULL, 0),    pod("pending", "n", "Pending", false, old, NULL, 0),
                         pod("unplaced", NULL, "Pending", false, old, NULL, 0) };
    static const char *const want[] = { "unplaced", "pending", "unknown", "unready", "cheap", "crowded", "young", "restarted", "steady" };
    const int64_t rank[9] = { 0, 0, 0, 3 };
    int64_t now;
    cr_assert(clock_parse(STR("2026-02-01T00:00:00Z"), &now));
    struct pod_rank ranks[9];
    for (int i = 0; i < 9; i++) {
        ranks[i] = pod_rank(at[i]);
        ranks[i].whose = at[i];
        ranks[i].crowded = rank[i];
    }
    pod_ranks_sort(ranks, 9, now);
    for (int i = 0; i < 9; i++)
        at[i] = ranks[i].whose;
    for (int i = 0; i < 9; i++)
        cr_expect(str_is(meta_uid(at[i]), want[i]), "%d: " STR_FMT " stands where %s should", i, STR_ARG(meta_uid(at[i])), want[i]);
}

Test(common, percentages)
{
    cr_expect_eq(int_or_percent(tree("\"25%\""), 10, true, -1), 3);
    cr_expect_eq(int_or_percent(tree("\"25%\""), 10, false, -1), 2);
    cr_expect_eq(int_or_percent(tree("7"), 10, false, -1), 7);
    cr_expect_eq(int_or_percent(tree("\"x\""), 10, false, -1), -1);
    cr_expect_eq(int_or_percent(NULL, 10, false, 1), 1);
}
