/* Pods of nodes that are tainted, out of service or gone. */
#include <criterion/criterion.h>

#include "fake.h"
#include "nodes.h"

FAKE_SUITE(node_pods);

#define NODE(TAINTS, READY) "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n\"},\"spec\":{\"taints\":[" TAINTS "]}," \
                            "\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"" READY "\"}]}}"
#define OUT "{\"key\":\"out\",\"effect\":\"NoExecute\"}"

static void put_pod(const char *name, const char *meta, const char *spec)
{
    fake_put(f, PODS, arena_printf(f->arena, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"d\"%s},"
                                   "\"spec\":{\"nodeName\":\"n\"%s},\"status\":{\"phase\":\"Running\"}}", name, meta, spec));
}

static bool there(const char *name)
{
    return fake_get(f, PODS, "d", name);
}

/* `kubectl taint` says no time: what counts is when it was seen. */
Test(node_pods, a_taint_without_a_time_counts_from_when_it_is_seen)
{
    int64_t again = 0;
    fake_put(f, NODES, NODE(OUT, "True"));
    put_pod("leaves", "", "");
    put_pod("later", "", ",\"tolerations\":[{\"key\":\"out\",\"operator\":\"Exists\",\"tolerationSeconds\":10}]");
    cr_assert_eq(fake_reconcile(f, &taint_eviction_controller, "n", &again), 0);
    cr_expect(!there("leaves"));
    cr_expect(there("later"));
    cr_expect(again > 0 && again <= 11 * NS_S);
    f->now_ns += 5 * NS_S;
    cr_assert_eq(fake_reconcile(f, &taint_eviction_controller, "n", &again), 0);
    cr_expect(there("later"), "seen again it is no newer");
    f->now_ns += 6 * NS_S;
    cr_assert_eq(fake_reconcile(f, &taint_eviction_controller, "n", &again), 0);
    cr_expect(!there("later"));
}

Test(node_pods, who_stays_after_all_is_told)
{
    struct val *node = fake_put(f, NODES, NODE(OUT, "True"));
    put_pod("p", "", ",\"tolerations\":[{\"key\":\"out\",\"operator\":\"Exists\",\"tolerationSeconds\":10}]");
    put_pod("q", "", ",\"tolerations\":[{\"key\":\"out\",\"operator\":\"Exists\"}]");
    cr_assert_eq(fake_reconcile(f, &taint_eviction_controller, "n", NULL), 0);
    cr_expect_eq(f->events, 0);
    json_del(json_get(node, STR("spec")), STR("taints"));
    cr_assert_eq(fake_reconcile(f, &taint_eviction_controller, "n", NULL), 0);
    cr_expect_eq(f->events, 1);
    cr_expect_str_eq(f->last_event, "TaintManagerEviction: Cancelling deletion of Pod d/p");
    cr_assert_eq(fake_reconcile(f, &taint_eviction_controller, "n", NULL), 0);
    cr_expect_eq(f->events, 1, "once");
}

/* Who waits is looked up among the pods, not searched: that took all the memory of a run, and minutes. */
Test(node_pods, thousands_of_a_node_may_wait)
{
    struct val *node = fake_put(f, NODES, NODE(OUT, "True"));
    char name[16];
    for (int i = 0; i < 2500; i++) {
        snprintf(name, sizeof name, "p%d", i);
        put_pod(name, "", ",\"tolerations\":[{\"key\":\"out\",\"operator\":\"Exists\",\"tolerationSeconds\":10}]");
    }
    cr_assert_eq(fake_reconcile(f, &taint_eviction_controller, "n", NULL), 0, "%s", f->call.err.msg);
    for (uint32_t i = 1; i <= 1000; i++)
        f->at[i].v = NULL;
    cr_assert_eq(fake_reconcile(f, &taint_eviction_controller, "n", NULL), 0, "%s", f->call.err.msg);
    json_del(json_get(node, STR("spec")), STR("taints"));
    cr_assert_eq(fake_reconcile(f, &taint_eviction_controller, "n", NULL), 0, "%s", f->call.err.msg);
    cr_expect_eq(f->events, 1500, "those that have gone are forgotten");
}

Test(node_pods, a_taint_that_went_and_came_back_is_new)
{
    struct val *node = fake_put(f, NODES, NODE(OUT, "True"));
    put_pod("p", "", ",\"tolerations\":[{\"key\":\"out\",\"operator\":\"Exists\",\"tolerationSeconds\":10}]");
    cr_assert_eq(fake_reconcile(f, &taint_eviction_controller, "n", NULL), 0);
    json_del(json_get(node, STR("spec")), STR("taints"));
    f->now_ns += 8 * NS_S;
    cr_assert_eq(fake_reconcile(f, &taint_eviction_controller, "n", NULL), 0);
    json_set(f->arena, json_get(node, STR("spec")), STR("taints"), json_parse(f->arena, STR("[" OUT "]"), &f->call.err));
    cr_assert_eq(fake_reconcile(f, &taint_eviction_controller, "n", NULL), 0);
    f->now_ns += 5 * NS_S;
    cr_assert_eq(fake_reconcile(f, &taint_eviction_controller, "n", NULL), 0);
    cr_expect(there("p"));
}

static bool serves(void)
{
    return pod_ready(fake_get(f, PODS, "d", "p"));
}

static void lifecycle(void)
{
    static const struct core_conf conf = { .node_grace = 50 * NS_S };
    f->ctl.conf = &conf;
    cr_assert_eq(fake_reconcile(f, &node_lifecycle_controller, "n", NULL), 0, "%s", f->call.err.msg);
}

static void node_and_pod(const char *ready)
{
    char now[CLOCK_TEXT];
    clock_format(f->now_ns, now);
    fake_put(f, NODES, arena_printf(f->arena, "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n\",\"creationTimestamp\":\"%s\"},\"status\":{\"conditions\":[{\"type\":\"Ready\","
                                    "\"status\":\"%s\",\"lastHeartbeatTime\":\"%s\"}]}}", now, ready, now));
    fake_put(f, PODS, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"d\"},\"spec\":{\"nodeName\":\"n\"},"
                      "\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}");
}

Test(node_pods, of_a_node_that_is_not_heard_of_serve_no_more)
{
    node_and_pod("True");
    f->now_ns += 49 * NS_S;
    lifecycle();
    cr_expect(serves());
    f->now_ns += 2 * NS_S;
    lifecycle();
    cr_expect_not(serves());
    cr_expect(cond_is(fake_get(f, NODES, "", "n"), "Ready", "Unknown"));
}

Test(node_pods, of_a_node_that_says_itself_that_it_is_not_ready_are_its_agents)
{
    node_and_pod("False");
    lifecycle();
    cr_expect(serves());
    f->now_ns += 51 * NS_S;
    lifecycle();
    cr_expect(cond_is(fake_get(f, NODES, "", "n"), "Ready", "Unknown"));
    cr_expect(serves(), "it was not ready before");
}

#define GOING ",\"deletionTimestamp\":\"2027-01-01T00:00:00Z\""

Test(node_pods, out_of_service_ends_what_is_on_its_way_out)
{
    struct val *node = fake_put(f, NODES, NODE("{\"key\":\"node.kubernetes.io/out-of-service\",\"effect\":\"NoExecute\"}", "True"));
    put_pod("stays", "", "");
    put_pod("goes", GOING, "");
    cr_assert_eq(fake_reconcile(f, &pod_gc_controller, "node n", NULL), 0);
    cr_expect(there("goes"), "a node that is ready is in service");
    json_set(f->arena, json_get(node, STR("status")), STR("conditions"), json_parse(f->arena, STR("[{\"type\":\"Ready\",\"status\":\"Unknown\"}]"), &f->call.err));
    cr_assert_eq(fake_reconcile(f, &pod_gc_controller, "node n", NULL), 0);
    cr_expect(!there("goes"));
    cr_expect(there("stays"));
}

Test(node_pods, a_node_that_is_gone_takes_its_pods_along)
{
    put_pod("p", "", "");
    cr_assert_eq(fake_reconcile(f, &pod_gc_controller, "node n", NULL), 0);
    cr_expect(!there("p"));
}

Test(node_pods, the_time_to_keep_things_grows_with_the_cluster)
{
    fake_put(f, NODES, "{\"metadata\":{\"name\":\"n\"}}");
    cr_assert_eq(fake_reconcile(f, &node_ttl_controller, "n", NULL), 0);
    cr_expect(str_is(meta_annotation(fake_get(f, NODES, "", "n"), "node.alpha.kubernetes.io/ttl"), "0"));
    for (int i = 0; i < 94; i++)
        fake_put(f, NODES, arena_printf(f->arena, "{\"metadata\":{\"name\":\"m%d\"}}", i));
    cr_assert_eq(fake_reconcile(f, &node_ttl_controller, "n", NULL), 0);
    cr_expect(str_is(meta_annotation(fake_get(f, NODES, "", "n"), "node.alpha.kubernetes.io/ttl"), "0"), "between two steps it stays");
    for (int i = 94; i < 120; i++)
        fake_put(f, NODES, arena_printf(f->arena, "{\"metadata\":{\"name\":\"m%d\"}}", i));
    cr_assert_eq(fake_reconcile(f, &node_ttl_controller, "n", NULL), 0);
    cr_expect(str_is(meta_annotation(fake_get(f, NODES, "", "n"), "node.alpha.kubernetes.io/ttl"), "15"));
}
