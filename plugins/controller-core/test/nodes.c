/* Taints of nodes, what pods bear of them, blocks of addresses. */
#include "nodes.h"
#include "tree.h"

TestSuite(nodes, .init = tree_begin, .fini = tree_end);

static struct val *taint(const struct val *list, const char *key, const char *effect)
{
    val_each(t, list)
        if (str_is(json_str(t, "key"), key) && str_is(json_str(t, "effect"), effect))
            return t;
    return NULL;
}

Test(nodes, conditions_become_taints)
{
    struct val *v = node_taints(a, tree("{\"spec\":{\"unschedulable\":true,\"taints\":[{\"key\":\"mine\",\"effect\":\"NoSchedule\"}]},"
                                        "\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"Unknown\"},{\"type\":\"DiskPressure\",\"status\":\"True\"}]}}"), STR("now"));
    cr_expect_eq(v->n, 5);
    cr_expect(str_is(json_str(v->first, "key"), "mine"));
    cr_expect_not_null(taint(v, UNREACHABLE, "NoExecute"));
    cr_expect_not_null(taint(v, UNREACHABLE, "NoSchedule"));
    cr_expect_not_null(taint(v, "node.kubernetes.io/disk-pressure", "NoSchedule"));
    cr_expect_not_null(taint(v, "node.kubernetes.io/unschedulable", "NoSchedule"));
    cr_expect_null(taint(v, NOT_READY, "NoExecute"));
}

Test(nodes, taints_go_with_their_reason_and_keep_their_time)
{
    struct val *node = tree("{\"spec\":{\"taints\":[{\"key\":\"" UNREACHABLE "\",\"effect\":\"NoExecute\",\"timeAdded\":\"2026-01-01T00:00:00Z\"}]},"
                            "\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"Unknown\"}]}}");
    struct val *v = node_taints(a, node, STR("now"));
    cr_expect(str_is(json_str(taint(v, UNREACHABLE, "NoExecute"), "timeAdded"), "2026-01-01T00:00:00Z"));
    json_set_str(a, json_path(node, "status.conditions")->first, STR("status"), STR("True"));
    cr_expect_eq(node_taints(a, node, STR("now"))->n, 0);
}

Test(nodes, a_pod_bears_a_taint_as_long_as_it_says)
{
    struct val *taints = tree("[{\"key\":\"k\",\"effect\":\"NoExecute\",\"timeAdded\":\"1970-01-01T00:01:40Z\"},{\"key\":\"x\",\"effect\":\"NoSchedule\"}]");
    cr_expect_eq(pod_bears_until(tree("{\"spec\":{}}"), taints), 0);
    cr_expect_eq(pod_bears_until(tree("{\"spec\":{\"tolerations\":[{\"key\":\"k\",\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":20}]}}"),
                                 taints), 120 * NS_S);
    cr_expect_eq(pod_bears_until(tree("{\"spec\":{\"tolerations\":[{\"operator\":\"Exists\"}]}}"), taints), INT64_MAX);
    cr_expect_eq(pod_bears_until(tree("{\"spec\":{\"tolerations\":[{\"key\":\"k\",\"value\":\"other\"}]}}"), taints), 0);
    cr_expect_eq(pod_bears_until(tree("{\"spec\":{}}"), NULL), INT64_MAX);
}

Test(nodes, blocks_are_given_once)
{
    struct str used[] = { STR("10.244.0.0/24"), STR("10.244.2.0/24"), STR(""), STR("192.168.0.0/24") };
    cr_expect_str_eq(cidr_allocate(a, "10.244.0.0/16", 24, used, 4), "10.244.1.0/24");
    cr_expect_str_eq(cidr_allocate(a, "10.244.0.0/16", 24, NULL, 0), "10.244.0.0/24");
    used[1] = STR("10.244.0.0/17");
    cr_expect_str_eq(cidr_allocate(a, "10.244.0.0/16", 24, used, 2), "10.244.128.0/24");
    cr_expect_null(cidr_allocate(a, "10.244.0.0/24", 24, used, 1));
    cr_expect_null(cidr_allocate(a, "", 24, NULL, 0));
    cr_expect_null(cidr_allocate(a, "10.244.0.0/16", 8, NULL, 0));
}
