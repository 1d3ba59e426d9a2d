/* Budgets against a host in memory: what is told of pods that are not there, or that nobody controls. */
#include <criterion/criterion.h>

#include "fake.h"
#include "workloads.h"

FAKE_SUITE(disruption);

#define BUDGETS "policy/poddisruptionbudgets"

static void budget(const char *spec)
{
    fake_put(f, BUDGETS, arena_printf(f->arena, "{\"apiVersion\":\"policy/v1\",\"kind\":\"PodDisruptionBudget\",\"metadata\":{\"name\":\"b\",\"namespace\":\"d\",\"generation\":1},"
                                       "\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"p\"},\"matchExpressions\":[{\"key\":\"k\",\"operator\":\"NotIn\",\"values\":[\"x\",\"y\"]}]},%s}}", spec));
    cr_assert_eq(fake_reconcile(f, &disruption_controller, "d/b", NULL), 0);
}

Test(disruption, no_pods_are_told)
{
    budget("\"minAvailable\":1");
    cr_expect_str_eq(f->last_event, "NoPods: No matching pods found");
}

Test(disruption, pods_that_nobody_controls_are_told_when_their_scale_matters)
{
    fake_put(f, PODS, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\",\"labels\":{\"app\":\"p\"}}}");
    budget("\"minAvailable\":1");
    cr_expect_eq(f->events, 0, "an integer counts pods");
    f->n--;
    budget("\"maxUnavailable\":1");
    static const char begin[] = "UnmanagedPods: Pods selected by this PodDisruptionBudget (selector: &LabelSelector{MatchLabels:map[string]string{app: p,},"
                                "MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:k,Operator:NotIn,Values:[x y],},},})";
    cr_expect(strncmp(f->last_event, begin, sizeof begin - 1) == 0, "%s", f->last_event);
}

Test(disruption, a_controller_without_a_scale_is_told_and_allows_nothing)
{
    fake_put(f, PODS, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\",\"labels\":{\"app\":\"p\"},\"ownerReferences\":[{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"name\":\"j\",\"uid\":\"u\",\"controller\":true}]}}");
    fake_put(f, "batch/jobs", "{\"metadata\":{\"name\":\"j\",\"namespace\":\"d\"},\"spec\":{}}");
    budget("\"maxUnavailable\":1");
    cr_expect_str_eq(f->last_event, "CalculateExpectedPodCountFailed: Failed to calculate the number of expected pods: jobs.batch does not implement the scale subresource");
    const struct val *status = json_get(fake_get(f, BUDGETS, "d", "b"), STR("status")), *c = cond_find(json_get(status, STR("conditions")), "DisruptionAllowed");
    cr_expect(str_is(json_str(c, "reason"), "SyncFailed"));
    cr_expect(str_is(json_str(c, "message"), "jobs.batch does not implement the scale subresource"));
    cr_expect_eq(json_int(status, "disruptionsAllowed", -1), 0);
    cr_expect_null(json_get(status, STR("expectedPods")), "nothing else is said");
}

Test(disruption, changes_are_counted_without_a_look_at_all)
{
    struct val *p[30];
    for (int i = 0; i < 30; i++)
        p[i] = fake_put(f, PODS, arena_printf(f->arena, "{\"metadata\":{\"name\":\"p%d\",\"namespace\":\"d\",\"labels\":{\"app\":\"p\"}},\"status\":{\"conditions\":["
                                              "{\"type\":\"Ready\",\"status\":\"True\"}]}}", i));
    budget("\"minAvailable\":10");
    const struct val *status = json_get(fake_get(f, BUDGETS, "d", "b"), STR("status"));
    cr_expect_eq(json_int(status, "currentHealthy", -1), 30);
    json_set_str(f->arena, json_path(p[3], "status.conditions")->first, STR("status"), STR("False"));
    json_set_str(f->arena, json_path(p[4], "metadata.labels"), STR("app"), STR("other"));
    f->listed = 0;
    cr_assert_eq(fake_reconcile(f, &disruption_controller, "d/b", NULL), 0);
    status = json_get(fake_get(f, BUDGETS, "d", "b"), STR("status"));
    cr_expect_eq(json_int(status, "currentHealthy", -1), 28);
    cr_expect_eq(json_int(status, "expectedPods", -1), 29);
    cr_expect_leq(f->listed, 2, "budgets, for the keys of two pods");
}

static void owned(const char *pod, const char *version, const char *kind, const char *name, const char *uid)
{
    fake_put(f, PODS, arena_printf(f->arena, "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"d\",\"labels\":{\"app\":\"p\"},\"ownerReferences\":"
                                   "[{\"apiVersion\":\"%s\",\"kind\":\"%s\",\"name\":\"%s\",\"uid\":\"%s\",\"controller\":true}]}}", pod, version, kind, name, uid));
}

Test(disruption, any_kind_with_a_scale_says_how_many_there_should_be)
{
    struct val *set = fake_put(f, "shop.example/clonesets", "{\"metadata\":{\"name\":\"c\",\"namespace\":\"d\"},\"spec\":{\"replicas\":5}}");
    const char *uid = arena_dup(f->arena, meta_uid(set));
    owned("p", "shop.example/v1", "CloneSet", "c", uid);
    owned("q", "shop.example/v1", "CloneSet", "c", uid);
    budget("\"minAvailable\":\"50%\"");
    const struct val *status = json_get(fake_get(f, BUDGETS, "d", "b"), STR("status"));
    cr_expect_eq(json_int(status, "expectedPods", -1), 5);
    cr_expect_eq(json_int(status, "desiredHealthy", -1), 3);
}

Test(disruption, a_controller_that_has_gone_or_is_another_by_now_is_told)
{
    fake_put(f, REPLICASETS, "{\"metadata\":{\"name\":\"r\",\"namespace\":\"d\"},\"spec\":{\"replicas\":5}}");
    owned("p", "apps/v1", "ReplicaSet", "r", "of-yesterday");
    budget("\"minAvailable\":\"50%\"");
    cr_expect_str_eq(f->last_event, "CalculateExpectedPodCountFailed: Failed to calculate the number of expected pods: found no controllers for pod \"p\"");
}

Test(disruption, a_pod_of_several_budgets_is_told)
{
    static const char pod[] = "{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\",\"uid\":\"u\",\"labels\":{\"app\":\"p\"}}}";
    struct kl_bytes ret;
    budget("\"minAvailable\":1");
    uint32_t before = f->events;
    cr_assert_eq(disruption_controller.map(&f->ctl, &f->call, PODS, (struct kl_bytes){ NULL, 0 }, (struct kl_bytes){ pod, sizeof pod - 1 }, &ret), 0);
    cr_expect_eq(f->events, before);
    fake_put(f, BUDGETS, "{\"metadata\":{\"name\":\"also\",\"namespace\":\"d\"},\"spec\":{\"selector\":{},\"minAvailable\":1}}");
    cr_assert_eq(disruption_controller.map(&f->ctl, &f->call, PODS, (struct kl_bytes){ NULL, 0 }, (struct kl_bytes){ pod, sizeof pod - 1 }, &ret), 0);
    cr_expect_str_eq(f->last_event, "MultiplePodDisruptionBudgets: Pod \"d\"/\"p\" matches multiple PodDisruptionBudgets.  Chose \"b\" arbitrarily.");
}
