/* world.h - what the tests of this folder stand on: a loop whose time they move, a store, and a ledger over it for those who want one. */
#include <criterion/criterion.h>

#include "reconcile/ledger.h"

struct world {
    struct loop *loop;
    struct store *store;
    struct arena *arena;
    struct ledger *ledger;
};

static inline void world_ignore(void *ctx)
{
    (void)ctx;
}

static inline struct world world_begin(bool with_ledger)
{
    struct world w = { .loop = loop_new_sim(1000, 0), .arena = arena_new(0) };
    struct store_conf conf = { .history = 512 };
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_eq(store_open(w.loop, &conf, &w.store, &err), 0, "%s", err.msg);
    if (with_ledger)
        cr_assert_eq(ledger_new(w.store, world_ignore, NULL, &w.ledger, &err), 0, "%s", err.msg);
    return w;
}

static inline void world_end(struct world *w)
{
    ledger_free(w->ledger);
    store_close(w->store);
    loop_free(w->loop);
    arena_free(w->arena);
}

/* An object as it would be stored: metadata and rest are more members of each (",\"labels\":{}"). */
static inline void world_commit(struct world *w, enum store_op_type type, const char *resource, const char *ns, const char *name, const char *metadata, const char *rest)
{
    struct kl_err err;
    kl_err_init(&err);
    const char *json = arena_printf(w->arena, "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\",\"uid\":\"uid-%s\",\"resourceVersion\":\"7\"%s}%s}", name, ns, name, metadata, rest);
    struct store_op op = { .type = type, .resource = str_of(resource), .ns = str_of(ns), .name = str_of(name), .json = str_of(json) };
    cr_assert_eq(store_commit(w->store, &op, 1, NULL, NULL, NULL, &err), 0, "%s", err.msg);
    loop_run_until(w->loop, loop_now(w->loop) + 1);
}
