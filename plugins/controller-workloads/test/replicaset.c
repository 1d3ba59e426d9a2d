/* ReplicaSets against a host in memory. */
#include <criterion/criterion.h>

#include "fake.h"
#include "workloads.h"

FAKE_SUITE(replicaset);

static struct val *set(int replicas)
{
    return fake_put(f, REPLICASETS, arena_printf(f->arena, "{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"metadata\":{\"name\":\"r\",\"namespace\":\"d\",\"generation\":1},"
                                                  "\"spec\":{\"replicas\":%d,\"selector\":{\"matchLabels\":{\"app\":\"r\"}},\"template\":{\"metadata\":{\"labels\":{\"app\":\"r\"}},"
                                                  "\"spec\":{}}}}", replicas));
}

/* Until it wants nothing more at once; returns the number of calls. */
static int settle(void)
{
    int64_t again = 1;
    int n = 0;
    for (; again && n < 100; n++)
        cr_assert_eq(fake_reconcile(f, &replicaset_controller, "d/r", &again), 0, "%s", f->call.err.msg);
    return n;
}

static int64_t status(const char *member)
{
    return json_int(json_get(fake_get(f, REPLICASETS, "d", "r"), STR("status")), member, 0);
}

Test(replicaset, rounds_double)
{
    set(100);
    cr_expect_eq(settle(), 8, "1 1 2 4 8 16 32 and the rest");
    cr_expect_eq(fake_count(f, PODS), 100);
    cr_expect_eq(status("replicas"), 100);
    cr_expect_eq(status("observedGeneration"), 1);
    uint32_t writes = f->creates + f->updates;
    settle();
    cr_expect_eq(f->creates + f->updates, writes, "at rest nothing is written");
}

Test(replicaset, a_refusal_costs_one_try_and_is_told)
{
    struct val *s = set(100);
    f->refuse = "exceeded quota";
    cr_expect_eq(fake_reconcile(f, &replicaset_controller, "d/r", NULL), -KL_FORBIDDEN);
    cr_expect_eq(f->events, 1);
    cr_expect_str_eq(f->last_event, "FailedCreate: Error creating: exceeded quota");
    s = fake_get(f, REPLICASETS, "d", "r");
    cr_expect(cond_is(s, "ReplicaFailure", "True"));
    f->refuse = NULL;
    settle();
    cr_expect_not(cond_is(fake_get(f, REPLICASETS, "d", "r"), "ReplicaFailure", "True"));
    cr_expect_eq(status("replicas"), 100);
}

Test(replicaset, orphans_are_adopted_and_strangers_let_go)
{
    set(2);
    fake_put(f, PODS, "{\"metadata\":{\"name\":\"orphan\",\"namespace\":\"d\",\"labels\":{\"app\":\"r\"}}}");
    fake_put(f, PODS, "{\"metadata\":{\"name\":\"other\",\"namespace\":\"d\",\"labels\":{\"app\":\"x\"},\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"r\","
                       "\"uid\":\"uid-0\",\"controller\":true}]}}");
    settle();
    cr_expect(meta_controlled_by(fake_get(f, PODS, "d", "orphan"), STR("uid-0")));
    cr_expect_null(meta_controller(fake_get(f, PODS, "d", "other")));
    cr_expect_eq(f->creates, 1);
}

Test(replicaset, only_what_has_changed_is_read_again)
{
    set(100);
    settle();
    settle();
    f->listed = 0;
    for (uint32_t i = 0, n = 0; i < f->n; i++)
        if (strcmp(f->at[i].resource, PODS) == 0 && n++ < 10)
            json_set(f->arena, json_obj(f->arena, f->at[i].v, STR("status")), STR("conditions"),
                     json_parse(f->arena, STR("[{\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"}]"), NULL));
        else if (strcmp(f->at[i].resource, PODS) == 0 && n == 50)
            f->at[i].v = NULL;
    settle();
    cr_expect_eq(status("readyReplicas"), 10);
    cr_expect_eq(status("replicas"), 100);
    cr_expect_eq(fake_count(f, PODS), 100);
    cr_expect_eq(f->listed, 0);
}

Test(replicaset, scaled_down_it_removes_and_waits_for_nobody)
{
    struct val *s = set(5);
    settle();
    s = fake_get(f, REPLICASETS, "d", "r");
    json_set_int(f->arena, json_get(s, STR("spec")), STR("replicas"), 2);
    settle();
    cr_expect_eq(fake_count(f, PODS), 2);
    cr_expect_eq(status("replicas"), 2);
}

Test(replicaset, a_finished_pod_is_replaced_and_one_in_deletion_does_not_count)
{
    set(2);
    settle();
    int n = 0;
    for (uint32_t i = 0; i < f->n; i++)
        if (strcmp(f->at[i].resource, PODS) == 0 && n++ == 0)
            json_set_str(f->arena, json_obj(f->arena, f->at[i].v, STR("status")), STR("phase"), STR("Failed"));
        else if (strcmp(f->at[i].resource, PODS) == 0)
            json_set_str(f->arena, json_get(f->at[i].v, STR("metadata")), STR("deletionTimestamp"), STR("2027-01-01T00:00:00Z"));
    settle();
    cr_expect_eq(fake_count(f, PODS), 4);
    cr_expect_eq(status("replicas"), 2);
    cr_expect_eq(status("terminatingReplicas"), 1);
}
