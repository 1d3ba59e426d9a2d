/* The garbage collector's look at one object, against a host in memory. */
#include <criterion/criterion.h>

#include "core.h"
#include "fake.h"

FAKE_SUITE(gc);

/* A ConfigMap; owner NULL: none; more: further members of its metadata. */
static void map(const char *name, const char *owner, const char *owner_uid, const char *more)
{
    char *refs = owner ? arena_printf(f->arena, ",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"%s\",\"uid\":\"%s\",\"blockOwnerDeletion\":true}]",
                                      owner, owner_uid) : arena_printf(f->arena, "%s", "");
    fake_put(f, "/configmaps", arena_printf(f->arena, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"namespace\":\"d\",\"name\":\"%s\",\"uid\":\"%s\"%s%s}}", name,
                                             name, refs, more));
}

static void look(const char *name)
{
    char key[100];
    snprintf(key, sizeof key, "item /configmaps d %s", name);
    cr_assert_eq(fake_reconcile(f, &garbage_collector_controller, key, NULL), 0, "%s", f->call.err.msg);
}

static struct val *there(const char *name)
{
    return fake_get(f, "/configmaps", "d", name);
}

#define DYING(FINALIZER) ",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\",\"finalizers\":[\"" FINALIZER "\"]"

Test(gc, it_stays_while_its_owner_is_there)
{
    map("owner", NULL, NULL, "");
    map("child", "owner", "owner", "");
    look("child");
    cr_expect_not_null(there("child"));
    cr_expect_eq(f->updates, 0);
}

Test(gc, it_goes_with_its_owner)
{
    map("child", "owner", "owner", "");
    look("child");
    cr_expect_null(there("child"));
    cr_expect_str_eq(f->last_propagation, "Background");
}

Test(gc, another_object_of_the_owners_name_is_not_its_owner)
{
    map("owner", NULL, NULL, "");
    map("child", "owner", "an-older-one", "");
    look("child");
    cr_expect_null(there("child"));
}

Test(gc, an_orphaning_owner_lets_go)
{
    map("owner", NULL, NULL, DYING("orphan"));
    map("child", "owner", "owner", "");
    look("owner");
    cr_expect_null(json_path(there("child"), "metadata.ownerReferences"));
    cr_expect_null(json_path(there("owner"), "metadata.finalizers"));
}

Test(gc, in_the_foreground_the_owner_waits)
{
    map("owner", NULL, NULL, DYING("foregroundDeletion"));
    map("child", "owner", "owner", "");
    look("owner");
    cr_expect_not_null(json_path(there("owner"), "metadata.finalizers"));
    cr_expect_eq(f->keys, 1, "the child is looked at");
    look("child");
    cr_expect_null(there("child"));
    look("owner");
    cr_expect_null(json_path(there("owner"), "metadata.finalizers"));
}

Test(gc, a_ring_is_broken)
{
    map("a", "b", "b", DYING("foregroundDeletion"));
    map("b", "a", "a", "");
    look("b");
    cr_expect_null(there("b"));
    cr_expect_str_eq(f->last_propagation, "Foreground");
    look("a");
    cr_expect_null(json_path(there("a"), "metadata.finalizers"));
}

Test(gc, a_cluster_object_cannot_be_owned_by_a_namespaced_one)
{
    fake_put(f, "/nodes", "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\","
                           "\"name\":\"x\",\"uid\":\"x\"}]}}");
    cr_assert_eq(fake_reconcile(f, &garbage_collector_controller, "refs /nodes  n", NULL), 0);
    cr_expect_eq(f->events, 0, "there is no such owner anywhere");
    map("x", NULL, NULL, "");
    cr_assert_eq(fake_reconcile(f, &garbage_collector_controller, "refs /nodes  n", NULL), 0);
    cr_expect_not_null(fake_get(f, "/nodes", "", "n"));
    cr_expect_str_eq(f->last_event, "OwnerRefInvalidNamespace: ownerRef [v1/ConfigMap, namespace: , name: x, uid: x] does not exist in namespace \"\"");
}

Test(gc, an_owner_in_another_namespace_is_told_once_and_does_not_count)
{
    fake_put(f, "/configmaps", "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"namespace\":\"far\",\"name\":\"x\",\"uid\":\"x\"}}");
    map("child", "x", "x", DYING("example.org/f"));
    cr_assert_eq(fake_reconcile(f, &garbage_collector_controller, "refs /configmaps d child", NULL), 0);
    cr_expect_eq(f->events, 0, "it is going already");
    map("young", "x", "x", "");
    cr_assert_eq(fake_reconcile(f, &garbage_collector_controller, "refs /configmaps d young", NULL), 0);
    cr_expect_str_eq(f->last_event, "OwnerRefInvalidNamespace: ownerRef [v1/ConfigMap, namespace: d, name: x, uid: x] does not exist in namespace \"d\"");
    cr_expect_null(there("young"));
    map("other", "x", "x", "");
    look("other");
    cr_expect_eq(f->events, 1, "only when the owner was named");
    cr_expect_null(there("other"));
}

Test(gc, dependents_of_what_has_gone_are_looked_at)
{
    map("one", "owner", "owner", "");
    map("two", "owner", "owner", "");
    cr_assert_eq(fake_reconcile(f, &garbage_collector_controller, "owner owner", NULL), 0);
    cr_expect_eq(f->keys, 2);
}
