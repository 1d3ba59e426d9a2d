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
    budget("\"maxUnavailable\":1");
    cr_expect_str_eq(f->last_event, "CalculateExpectedPodCountFailed: Failed to calculate the number of expected pods: jobs.batch does not implement the scale subresource");
    const struct val *status = json_get(fake_get(f, BUDGETS, "d", "b"), STR("status")), *c = cond_find(json_get(status, STR("conditions")), "DisruptionAllowed");
    cr_expect(str_is(json_str(c, "reason"), "SyncFailed"));
    cr_expect(str_is(json_str(c, "message"), "jobs.batch does not implement the scale subresource"));
    cr_expect_eq(json_int(status, "disruptionsAllowed", -1), 0);
    cr_expect_null(json_get(status, STR("expectedPods")), "nothing else is said");
}
