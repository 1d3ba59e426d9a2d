/* DaemonSets against a host in memory: the labels of their pods and revisions, and pods that have ended. */
#include <criterion/criterion.h>

#include "daemonset.h"
#include "fake.h"

static struct fake f;

static void setup(void)
{
    fake_init(&f);
    fake_put(&f, NODES, "{\"metadata\":{\"name\":\"n\"}}");
    fake_put(&f, DAEMONSETS, "{\"apiVersion\":\"apps/v1\",\"kind\":\"DaemonSet\",\"metadata\":{\"name\":\"s\",\"namespace\":\"d\",\"generation\":7,\"annotations\":"
                             "{\"deprecated.daemonset.template.generation\":\"7\",\"note\":\"x\"}},\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"s\"}},"
                             "\"template\":{\"metadata\":{\"labels\":{\"app\":\"s\"}},\"spec\":{}},\"updateStrategy\":{\"type\":\"RollingUpdate\"}}}");
}

static void teardown(void)
{
    fake_done(&f);
}

TestSuite(daemonset, .init = setup, .fini = teardown);

static struct val *only(const char *resource)
{
    struct val *found = NULL;
    for (uint32_t i = 0; i < f.n; i++)
        if (f.at[i].v && strcmp(f.at[i].resource, resource) == 0)
            found = f.at[i].v;
    cr_assert_not_null(found);
    return found;
}

static void reconcile(void)
{
    cr_assert_eq(fake_reconcile(&f, &daemonset_controller, "d/s", NULL), 0, "%s", f.call.err.msg);
}

static void end(const char *phase)
{
    reconcile();
    struct val *pod = only(PODS);
    struct str name = meta_name(pod);
    json_set_str(f.arena, json_obj(f.arena, pod, STR("status")), STR("phase"), str_of(phase));
    f.now_ns += 60 * NS_S;
    uint32_t events = f.events;
    reconcile();
    cr_expect_eq(f.events, events + 2, "that it was found, that it was deleted");
    cr_expect_eq(fake_count(&f, PODS), 0);
    cr_expect_str_eq(f.last_event, arena_printf(f.arena, "SuccessfulDelete: Deleted pod: " STR_FMT, STR_ARG(name)));
    reconcile();
    cr_expect_eq(fake_count(&f, PODS), 1);
}

Test(daemonset, pods_and_revisions_carry_the_generation_of_the_template)
{
    reconcile();
    cr_expect(str_is(meta_label(only(PODS), "pod-template-generation"), "7"));
    cr_expect(str_is(meta_annotation(only(REVISIONS), "deprecated.daemonset.template.generation"), "7"));
    cr_expect(str_is(meta_annotation(only(REVISIONS), "note"), "x"));
}

Test(daemonset, failed_pods_are_replaced)
{
    end("Failed");
}

Test(daemonset, succeeded_pods_are_replaced)
{
    end("Succeeded");
}

/* The only pod fails; is it replaced, and if not, when? */
static int64_t fails(void)
{
    int64_t again = 0;
    json_set_str(f.arena, json_obj(f.arena, only(PODS), STR("status")), STR("phase"), STR("Failed"));
    cr_assert_eq(fake_reconcile(&f, &daemonset_controller, "d/s", &again), 0);
    if (fake_count(&f, PODS))
        return again;
    reconcile();
    return 0;
}

Test(daemonset, a_node_that_refuses_again_is_asked_less_and_less)
{
    reconcile();
    cr_expect_eq(fails(), 0, "the first time at once");
    cr_expect_eq(fails(), NS_S);
    f.now_ns += NS_S;
    cr_expect_eq(fails(), 0);
    cr_expect_eq(fails(), 2 * NS_S);
    f.now_ns += 3 * NS_S;
    cr_expect_eq(fails(), 0);
    cr_expect_eq(fails(), 4 * NS_S);
    for (int i = 0; i < 12; i++) {
        f.now_ns += 900 * NS_S;
        cr_expect_eq(fails(), 0);
    }
    cr_expect_eq(fails(), 900 * NS_S, "but never forgotten for longer than that");
    f.now_ns += 1801 * NS_S;
    cr_expect_eq(fails(), 0);
    cr_expect_eq(fails(), NS_S, "long ago is forgotten");
}

Test(daemonset, another_template_is_another_matter)
{
    reconcile();
    cr_expect_eq(fails(), 0);
    json_set_int(f.arena, json_get(only(DAEMONSETS), STR("metadata")), STR("generation"), 8);
    reconcile();
    cr_expect_eq(fails(), 0);
}

Test(daemonset, the_status_is_about_the_oldest_pod_of_a_node)
{
    json_set(f.arena, json_get(only(DAEMONSETS), STR("spec")), STR("updateStrategy"),
             json_parse(f.arena, STR("{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":1,\"maxUnavailable\":0}}"), NULL));
    reconcile();
    struct val *old = only(PODS);
    json_set_str(f.arena, json_get(old, STR("metadata")), STR("creationTimestamp"), STR("2020-01-01T00:00:00Z"));
    json_set_str(f.arena, json_get(old, STR("spec")), STR("nodeName"), STR("n"));
    json_set(f.arena, json_obj(f.arena, old, STR("status")), STR("conditions"), json_parse(f.arena, STR("[{\"type\":\"Ready\",\"status\":\"True\"}]"), NULL));
    reconcile();
    cr_expect_eq(json_int(only(DAEMONSETS), "status.updatedNumberScheduled", 0), 1);
    json_set_str(f.arena, json_path(only(DAEMONSETS), "spec.template.metadata.labels"), STR("more"), STR("x"));
    reconcile();
    cr_expect_eq(fake_count(&f, PODS), 2, "one beside the other");
    reconcile();
    cr_expect_eq(json_int(only(DAEMONSETS), "status.updatedNumberScheduled", 0), 0, "as long as the old one is there");
    cr_expect_eq(json_int(only(DAEMONSETS), "status.numberReady", 0), 1);
}
