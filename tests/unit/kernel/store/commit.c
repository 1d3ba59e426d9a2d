/* commit.c - commits: checked against head, durable in batches, rolled back together, and what the write path and readers see meanwhile. */
#include "rig.h"

#define PODS "/pods"

Test(commit, head_sees_at_once_readers_when_it_lasts)
{
    struct rig r = { 0 };
    rig_open(&r, (struct store_conf){ 0 });
    cr_assert_eq(rig_create(&r, PODS, "a", 1), 0);
    cr_assert_eq(rig_number(&r, PODS, "a", true), 1);
    cr_assert_eq(rig_number(&r, PODS, "a", false), 0);
    cr_assert_eq(store_revision(r.store), 0);
    rig_run(&r);
    cr_assert_eq(rig_number(&r, PODS, "a", false), 1);
    cr_assert_eq(store_revision(r.store), 1);
    cr_assert_eq(r.answered, 1);
    cr_assert_eq(store_count(r.store, STR(PODS)), 1);
    rig_close(&r);
}

Test(commit, is_checked_against_what_will_be)
{
    struct rig r = { 0 };
    rig_open(&r, (struct store_conf){ 0 });
    cr_assert_eq(rig_update(&r, PODS, "a", 1, 0), -KL_NOT_FOUND);
    cr_assert_eq(rig_delete(&r, PODS, "a"), -KL_NOT_FOUND);
    cr_assert_eq(rig_create(&r, PODS, "a", 1), 0);
    cr_assert_eq(rig_create(&r, PODS, "a", 2), -KL_ALREADY_EXISTS);
    cr_assert_eq(rig_update(&r, PODS, "a", 3, 1), 0);
    cr_assert_eq(rig_update(&r, PODS, "a", 4, 1), -KL_CONFLICT);
    cr_assert_eq(rig_update(&r, PODS, "a", 5, 2), 0);
    cr_assert_eq(rig_delete(&r, PODS, "a"), 0);
    cr_assert_eq(rig_delete(&r, PODS, "a"), -KL_NOT_FOUND);
    cr_assert_eq(rig_create(&r, PODS, "a", 6), 0);
    rig_run(&r);
    cr_assert_eq(rig_number(&r, PODS, "a", false), 6);
    cr_assert_eq(r.answered, 5);
    cr_assert_eq(store_revision(r.store), 5);
    rig_close(&r);
}

Test(commit, one_turn_is_one_batch)
{
    struct rig r = { 0 };
    char name[16];
    rig_open(&r, (struct store_conf){ 0 });
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "p%d", i);
        cr_assert_eq(rig_create(&r, PODS, name, i + 1), 0);
    }
    rig_run(&r);
    cr_assert_eq(r.provider.appends, 1);
    cr_assert_eq(r.provider.largest, 100);
    cr_assert_eq(r.answered, 100);
    rig_close(&r);
}

/* Several operations: all or none. */
Test(commit, is_atomic)
{
    struct rig r = { 0 };
    rig_open(&r, (struct store_conf){ 0 });
    cr_assert_eq(rig_create(&r, PODS, "there", 1), 0);
    struct store_op ops[2] = { { .type = STORE_CREATE, .resource = STR(PODS), .ns = STR("ns"), .name = STR("new"), .json = STR("{\"n\":2}") },
                               { .type = STORE_CREATE, .resource = STR(PODS), .ns = STR("ns"), .name = STR("there"), .json = STR("{\"n\":3}") } };
    cr_assert_eq(store_commit(r.store, ops, 2, NULL, NULL, NULL, &r.err), -KL_ALREADY_EXISTS);
    cr_assert_eq(rig_number(&r, PODS, "new", true), 0);
    ops[1].type = STORE_UPDATE;
    struct store_object *made[2];
    cr_assert_eq(store_commit(r.store, ops, 2, NULL, NULL, made, &r.err), 0);
    cr_assert(str_is(store_object_name(made[0]), "new") && str_is(store_object_name(made[1]), "there"));
    cr_assert_eq(store_object_revision(made[0]), store_object_revision(made[1]));
    rig_run(&r);
    cr_assert_eq(rig_number(&r, PODS, "new", false), 2);
    cr_assert_eq(rig_number(&r, PODS, "there", false), 3);
    rig_close(&r);
}

/* What could not be made durable never happened, nor what was built on it; revisions are not used again. */
Test(commit, rolls_back)
{
    struct rig r = { 0 };
    rig_open(&r, (struct store_conf){ 0 });
    cr_assert_eq(rig_create(&r, PODS, "a", 1), 0);
    cr_assert_eq(rig_create(&r, PODS, "gone", 1), 0);
    rig_run(&r);
    r.provider.fail = KL_STORAGE_FULL;
    cr_assert_eq(rig_update(&r, PODS, "a", 2, 0), 0);
    cr_assert_eq(rig_update(&r, PODS, "a", 3, 0), 0);
    cr_assert_eq(rig_create(&r, PODS, "b", 1), 0);
    cr_assert_eq(rig_delete(&r, PODS, "gone"), 0);
    cr_assert_eq(rig_create(&r, PODS, "gone", 7), 0);
    rig_run(&r);
    cr_assert_eq(r.refused, 5);
    cr_assert_eq(rig_number(&r, PODS, "a", true), 1);
    cr_assert_eq(rig_number(&r, PODS, "a", false), 1);
    cr_assert_eq(rig_number(&r, PODS, "gone", true), 1);
    cr_assert_eq(rig_number(&r, PODS, "b", true), 0);
    cr_assert(store_trouble(r.store) != NULL);
    cr_assert_eq(store_revision(r.store), 2);
    struct store_object *o = store_by_uid(r.store, STR("uid-gone"), NULL);
    cr_assert(o && store_object_revision(o) == 2);
    /* Deletions are let through; others wait a second for the disk. */
    cr_assert_eq(rig_update(&r, PODS, "a", 4, 0), -KL_STORAGE_FULL);
    r.provider.fail = 0;
    cr_assert_eq(rig_delete(&r, PODS, "gone"), 0);
    rig_run(&r);
    cr_assert_null(store_trouble(r.store));
    cr_assert_eq(rig_update(&r, PODS, "a", 5, 1), 0);
    rig_run(&r);
    cr_assert_eq(rig_number(&r, PODS, "a", false), 5);
    cr_assert_gt(store_revision(r.store), 7);
    rig_close(&r);
}

Test(commit, close_waits_for_what_was_accepted)
{
    struct rig r = { 0 };
    rig_open(&r, (struct store_conf){ 0 });
    for (int i = 0; i < 10; i++)
        cr_assert_eq(i ? rig_update(&r, PODS, "a", i + 1, 0) : rig_create(&r, PODS, "a", 1), 0);
    rig_close(&r);
    cr_assert_eq(r.provider.commits, 10);
    cr_assert_eq(r.answered, 10);
}

/* The same with a real loop, whose worker is in the middle of an append. */
Test(commit, close_waits_for_the_worker)
{
    struct rig r = { 0 };
    struct store_conf c = { .provider = &rig_table, .self = &r.provider };
    kl_err_init(&r.err);
    r.loop = loop_new();
    cr_assert_eq(store_open(r.loop, &c, &r.store, &r.err), 0);
    cr_assert_eq(rig_create(&r, PODS, "a", 1), 0);
    loop_post(r.loop, (loop_fn)loop_stop, r.loop);
    loop_run(r.loop);
    cr_assert_eq(rig_update(&r, PODS, "a", 2, 0), 0);
    rig_close(&r);
    cr_assert_eq(r.provider.commits, 2);
    cr_assert_eq(r.answered, 2);
}

Test(commit, checkpoint_comes_in_parts_between_appends)
{
    struct rig r = { 0 };
    char name[16];
    rig_open(&r, (struct store_conf){ 0 });
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "p%d", i);
        cr_assert_eq(rig_create(&r, i % 2 ? PODS : "apps/deployments", name, i + 1), 0);
    }
    rig_run(&r);
    r.provider.wants = true;
    cr_assert_eq(rig_create(&r, PODS, "last", 1), 0);
    rig_run(&r);
    cr_assert_eq(r.provider.whole, 1);
    cr_assert_geq(r.provider.parts, 2);
    cr_assert_geq(r.provider.in_parts, 5000);
    cr_assert_geq(r.provider.checkpoint_revision, 5000);
    rig_close(&r);
}

Test(commit, comes_back_from_the_provider)
{
    static struct kl_store_record records[2500];
    static char keys[2500][40];
    struct rig r = { 0 };
    for (unsigned i = 0; i < 2500; i++) {
        snprintf(keys[i], sizeof keys[i], "/pods/ns/p%04u", i);
        records[i] = (struct kl_store_record){ sizeof records[i], { keys[i], strlen(keys[i]) }, { "{\"n\":7}", 7 }, i + 1 };
    }
    r.provider = (struct provider){ .records = records, .n = 2500, .revision = 2600 };
    rig_open(&r, (struct store_conf){ 0 });
    cr_assert_eq(store_count(r.store, STR(PODS)), 2500);
    cr_assert_eq(store_revision(r.store), 2600);
    cr_assert_eq(store_next_revision(r.store), 2601);
    cr_assert_eq(rig_number(&r, PODS, "p2499", false), 7);
    cr_assert_eq(store_oldest(r.store), 2600);
    rig_close(&r);
}

static bool count(void *ctx, struct str res, struct store_object *o)
{
    cr_assert(str_is(res, PODS) && str_is(store_object_name(o), "kid"));
    ++*(unsigned *)ctx;
    return true;
}

Test(commit, owners_and_uids)
{
    struct rig r = { 0 };
    rig_open(&r, (struct store_conf){ 0 });
    struct store_op op = { .type = STORE_CREATE, .resource = STR(PODS), .ns = STR("ns"), .name = STR("kid"),
                           .json = STR("{\"metadata\":{\"uid\":\"k\",\"ownerReferences\":[{\"uid\":\"one\"},{\"uid\":\"two\"}]}}") };
    cr_assert_eq(store_commit(r.store, &op, 1, NULL, NULL, NULL, &r.err), 0);
    struct str resource;
    cr_assert(store_by_uid(r.store, STR("k"), &resource) && str_is(resource, PODS));
    unsigned n = 0;
    store_owned(r.store, STR("two"), count, &n);
    cr_assert_eq(n, 1);
    op.type = STORE_UPDATE;
    op.json = STR("{\"metadata\":{\"uid\":\"k\",\"ownerReferences\":[{\"uid\":\"one\"}]}}");
    cr_assert_eq(store_commit(r.store, &op, 1, NULL, NULL, NULL, &r.err), 0);
    store_owned(r.store, STR("two"), count, &n);
    cr_assert_eq(n, 1);
    store_owned(r.store, STR("one"), count, &n);
    cr_assert_eq(n, 2);
    op.type = STORE_DELETE;
    cr_assert_eq(store_commit(r.store, &op, 1, NULL, NULL, NULL, &r.err), 0);
    store_owned(r.store, STR("one"), count, &n);
    cr_assert_eq(n, 2);
    cr_assert_null(store_by_uid(r.store, STR("k"), NULL));
    rig_run(&r);
    rig_close(&r);
}
