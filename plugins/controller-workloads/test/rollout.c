/* The arithmetic of rolling updates against hand-made sets. */
#include "rollout.h"
#include "tree.h"

TestSuite(rollout, .init = tree_begin, .fini = tree_end);

static struct val *deployment(int replicas, const char *surge, const char *unavailable)
{
    return tree(arena_printf(a, "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"replicas\":%d,\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":"
                                "{\"maxSurge\":%s,\"maxUnavailable\":%s}}}}", replicas, surge, unavailable));
}

static struct val *set(const char *name, int wanted, int have, int available)
{
    return tree(arena_printf(a, "{\"metadata\":{\"name\":\"%s\",\"creationTimestamp\":\"2026-01-01T00:00:00Z\"},\"spec\":{\"replicas\":%d},"
                                "\"status\":{\"replicas\":%d,\"availableReplicas\":%d}}", name, wanted, have, available));
}

Test(rollout, surge_rounds_up_and_unavailable_down)
{
    static const struct {
        int n;
        const char *surge, *unavailable;
        int64_t want_surge, want_unavailable;
    } rows[] = { { 10, "\"25%\"", "\"25%\"", 3, 2 }, { 4, "\"25%\"", "\"25%\"", 1, 1 }, { 3, "\"25%\"", "\"25%\"", 1, 0 },
                 { 1, "\"25%\"", "\"25%\"", 1, 0 },  { 10, "0", "0", 0, 1 },           { 10, "0", "\"1%\"", 0, 1 },
                 { 3, "2", "5", 2, 3 },              { 0, "\"25%\"", "\"25%\"", 0, 0 }, { 10, "\"100%\"", "0", 10, 0 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct limits l = rollout_limits(deployment(rows[i].n, rows[i].surge, rows[i].unavailable));
        cr_expect_eq(l.surge, rows[i].want_surge, "row %zu: surge %lld", i, (long long)l.surge);
        cr_expect_eq(l.unavailable, rows[i].want_unavailable, "row %zu: unavailable %lld", i, (long long)l.unavailable);
    }
    cr_expect_eq(rollout_limits(tree("{\"spec\":{\"replicas\":5,\"strategy\":{\"type\":\"Recreate\"}}}")).surge, 0);
}

Test(rollout, the_newest_grows_into_the_surge_only)
{
    struct val *sets[] = { set("old", 10, 10, 10), set("new", 0, 0, 0) };
    struct rollout x = { .d = deployment(10, "\"25%\"", "0"), .sets = { sets, 2 }, .newest = 1 };
    cr_expect_eq(rollout_grow(&x), 3);
    sets[0] = set("old", 8, 10, 10);    /* scaled down, but its pods still live: no room for more */
    sets[1] = set("new", 3, 3, 3);
    cr_expect_eq(rollout_grow(&x), 3);
    sets[0] = set("old", 8, 8, 8);
    cr_expect_eq(rollout_grow(&x), 5);
    sets[0] = set("old", 0, 0, 0);
    cr_expect_eq(rollout_grow(&x), 10);
}

Test(rollout, old_pods_leave_only_above_the_floor)
{
    struct val *sets[] = { set("old", 10, 10, 10), set("new", 3, 3, 0) };
    struct rollout x = { .d = deployment(10, "3", "2"), .sets = { sets, 2 }, .newest = 1 };
    cr_expect_eq(rollout_room_unhealthy(&x), 2);
    cr_expect_eq(rollout_room(&x), 2);
    sets[1] = set("new", 3, 3, 3);
    cr_expect_eq(rollout_room(&x), 5);
    sets[0] = set("old", 5, 10, 10);    /* those five are on their way out already */
    cr_expect_eq(rollout_room(&x), 0);
    sets[0] = set("old", 10, 10, 4);
    sets[1] = set("new", 3, 3, 0);
    cr_expect_eq(rollout_room(&x), 0);
}

Test(rollout, scaling_is_shared_by_size)
{
    struct val *sets[] = { set("old", 5, 5, 5), set("new", 8, 8, 8) };
    int64_t size[2];
    struct rollout x = { .d = deployment(20, "3", "2"), .sets = { sets, 2 }, .newest = 1 };
    json_set_int(a, json_obj(a, x.d, STR("status")), STR("replicas"), 13);
    rollout_proportional(&x, size);
    cr_expect_eq(size[0] + size[1], 23, "%lld + %lld", (long long)size[0], (long long)size[1]);
    cr_expect_eq(size[0], 9);
    x.d = deployment(5, "3", "2");
    json_set_int(a, json_obj(a, x.d, STR("status")), STR("replicas"), 13);
    rollout_proportional(&x, size);
    cr_expect_eq(size[0] + size[1], 8);
    x.d = deployment(0, "3", "2");
    rollout_proportional(&x, size);
    cr_expect_eq(size[0] + size[1], 0);
}

Test(rollout, a_template_is_the_same_but_for_its_hash)
{
    struct val *x = tree("{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}"), *y = val_copy(a, x);
    struct ctl_run r = { .arena = a };
    cr_expect_str_eq(template_hash(&r, x, 0), template_hash(&r, y, 0));
    cr_expect_str_neq(template_hash(&r, x, 0), template_hash(&r, y, 1));
    json_set_str(a, json_path(y, "metadata.labels"), STR(HASH_LABEL), STR("abc"));
    cr_expect(same_template(a, x, y));
    json_set_str(a, json_path(y, "metadata.labels"), STR("other"), STR("abc"));
    cr_expect_not(same_template(a, x, y));
}

Test(rollout, complete_when_all_are_updated_and_available)
{
    struct val *d = tree("{\"metadata\":{\"generation\":2},\"spec\":{\"replicas\":2}}");
    cr_expect(rollout_complete(d, tree("{\"observedGeneration\":2,\"replicas\":2,\"updatedReplicas\":2,\"availableReplicas\":2}")));
    cr_expect_not(rollout_complete(d, tree("{\"observedGeneration\":1,\"replicas\":2,\"updatedReplicas\":2,\"availableReplicas\":2}")));
    cr_expect_not(rollout_complete(d, tree("{\"observedGeneration\":2,\"replicas\":3,\"updatedReplicas\":2,\"availableReplicas\":2}")));
}
