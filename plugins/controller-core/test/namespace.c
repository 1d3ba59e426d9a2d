/* What a namespace says while its pods end. */
#include <criterion/criterion.h>

#include "core.h"
#include "fake.h"

FAKE_SUITE(namespace);

static void world(const char *meta, int64_t age_s)
{
    char when[CLOCK_TEXT];
    clock_format(f->now_ns - age_s * NS_S, when);
    fake_put(f, NAMESPACES, arena_printf(f->arena, "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"d\",\"deletionTimestamp\":\"%s\"},\"spec\":{\"finalizers\":"
                                         "[\"kubernetes\"]}}", when));
    fake_put(f, PODS, arena_printf(f->arena, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\",\"deletionTimestamp\":\"%s\"%s},\"spec\":{\"terminationGracePeriodSeconds\":30},"
                                   "\"status\":{\"phase\":\"Running\"}}", when, meta));
}

static const char *says(const char *type)
{
    const struct val *c = cond_find(json_path(fake_get(f, NAMESPACES, "", "d"), "status.conditions"), type);
    return arena_printf(f->arena, STR_FMT " " STR_FMT ": " STR_FMT, STR_ARG(json_str(c, "status")), STR_ARG(json_str(c, "reason")), STR_ARG(json_str(c, "message")));
}

static int64_t reconcile(void)
{
    int64_t again = 0;
    cr_assert_eq(fake_reconcile(f, &namespace_controller, "d", &again), 0, "%s", f->call.err.msg);
    return again;
}

Test(namespace, pods_have_the_time_that_they_ask_for)
{
    world("", 10);
    int64_t again = reconcile();
    cr_expect(again > 19 * NS_S && again <= 21 * NS_S);
    cr_expect_str_eq(says("NamespaceDeletionContentFailure"), "False ContentDeleted: All content successfully deleted, may be waiting on finalization");
    cr_expect_str_eq(says("NamespaceContentRemaining"), "False ContentRemoved: All content successfully removed");
    f->now_ns += 21 * NS_S;
    reconcile();
    cr_expect_str_eq(says("NamespaceDeletionContentFailure"), "True ContentDeletionFailed: Failed to delete all resource types, 1 remaining: unexpected items still remain in "
                     "namespace: d for gvr: /v1, Resource=pods");
    cr_expect(json_path(fake_get(f, NAMESPACES, "", "d"), "spec.finalizers")->n == 1, "it is not let go");
}

Test(namespace, a_pod_with_a_finalizer_is_no_surprise)
{
    world(",\"finalizers\":[\"example.org/x\"]", 60);
    reconcile();
    cr_expect_str_eq(says("NamespaceDeletionContentFailure"), "False ContentDeleted: All content successfully deleted, may be waiting on finalization");
    cr_expect_str_eq(says("NamespaceFinalizersRemaining"), "False ContentHasNoFinalizers: All content-preserving finalizers finished");
}
