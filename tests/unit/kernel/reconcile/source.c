/* What a map is told when its watch fell behind the history: everything as added, and that something was missed. */
#include "reconcile/source.h"

#include <criterion/criterion.h>

#include "object/object.h"

#define MAPS "/configmaps"

static struct {
    struct loop *loop;
    struct store *store;
    struct source *source;
    unsigned added, changed, missed;
} w;

static int map(void *self, struct kl_call *c, const char *resource, struct kl_bytes old, struct kl_bytes obj, struct kl_bytes *ret)
{
    (void)self;
    (void)resource;
    (void)obj;
    (void)ret;
    w.added += !old.len;
    w.changed += old.len > 0;
    w.missed += (c->flags & KL_CALL_MISSED) != 0;
    return 0;
}

static void key(void *ctx, struct str name)
{
    (void)ctx;
    (void)name;
}

static void put(enum store_op_type type, const char *name, int n)
{
    struct kl_err err;
    char json[200];
    kl_err_init(&err);
    snprintf(json, sizeof json, "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"d\",\"uid\":\"u-%s\"},\"data\":{\"n\":\"%d\"}}", name, name, n);
    struct store_op op = { .type = type, .resource = STR(MAPS), .ns = STR("d"), .name = str_of(name), .json = str_of(json) };
    cr_assert_eq(store_commit(w.store, &op, 1, NULL, NULL, NULL, &err), 0, "%s", err.msg);
}

static void turn(void)
{
    loop_run_until(w.loop, loop_now(w.loop) + 1);
    w.added = w.changed = w.missed = 0;
}

static void setup(void)
{
    static const struct kl_watch watch = { sizeof watch, MAPS, NULL, "map" };
    static const struct kl_controller table = { .size = sizeof table, .map = map };
    struct store_conf conf = { .history = 16 };
    struct kl_err err;
    kl_err_init(&err);
    w.loop = loop_new_sim(1000, 0);
    cr_assert_eq(store_open(w.loop, &conf, &w.store, &err), 0, "%s", err.msg);
    struct source_conf sc = { .loop = w.loop, .whole = true, .watch = &watch, .table = &table, .name = "test", .key = key };
    cr_assert_eq(source_start(w.store, &sc, &w.source, &err), 0, "%s", err.msg);
}

static void teardown(void)
{
    source_free(w.source);
    store_close(w.store);
    loop_free(w.loop);
}

TestSuite(source, .init = setup, .fini = teardown);

Test(source, changes_are_told_one_by_one)
{
    put(STORE_CREATE, "a", 0);
    put(STORE_UPDATE, "a", 1);
    loop_run_until(w.loop, loop_now(w.loop) + 1);
    cr_expect_eq(w.added, 1);
    cr_expect_eq(w.changed, 1);
    cr_expect_eq(w.missed, 0);
}

Test(source, what_was_missed_is_said)
{
    put(STORE_CREATE, "a", 0);
    put(STORE_CREATE, "b", 0);
    turn();
    for (int i = 0; i < 100; i++)
        put(STORE_UPDATE, "a", i);
    loop_run_until(w.loop, loop_now(w.loop) + 1);
    cr_expect_eq(w.added, 2);
    cr_expect_eq(w.missed, 2);
    turn();
    put(STORE_UPDATE, "b", 1);
    loop_run_until(w.loop, loop_now(w.loop) + 1);
    cr_expect_eq(w.changed, 1);
    cr_expect_eq(w.missed, 0, "it has caught up");
}
