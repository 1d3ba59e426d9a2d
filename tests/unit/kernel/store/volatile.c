/* volatile.c - a store without a provider: what is committed is there at once for the write path, at the end of the turn for everybody. */
#include <criterion/criterion.h>

#include "store/store.h"

struct seen {
    struct store *store;
    struct store_watch *watch;
    unsigned added, modified, deleted, answered;
};

static void wake(void *ctx)
{
    struct seen *x = ctx;
    struct store_event e;
    bool expired;
    while (store_watch_next(x->watch, &e, &expired)) {
        x->added += e.type == STORE_ADDED;
        x->modified += e.type == STORE_MODIFIED;
        x->deleted += e.type == STORE_DELETED;
    }
}

static void answered(void *ctx, int rc, const struct kl_err *err)
{
    struct seen *x = ctx;
    cr_assert(rc == 0 && err == NULL);
    x->answered++;
}

static int commit(struct seen *x, enum store_op_type type, const char *name)
{
    struct kl_err err;
    kl_err_init(&err);
    struct store_op op = { .type = type, .resource = STR("/pods"), .ns = STR("default"), .name = str_of(name), .json = STR("{\"metadata\":{}}") };
    return store_commit(x->store, &op, 1, answered, x, NULL, &err);
}

static bool there(struct seen *x, const char *name, bool head)
{
    return (head ? store_head : store_get)(x->store, STR("/pods"), STR("default"), str_of(name)) != NULL;
}

Test(volatile_store, shows_what_was_committed)
{
    struct loop *l = loop_new_sim(1000, 0);
    struct store_conf c = { .history = 16 };
    struct seen x = { 0 };
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_eq(store_open(l, &c, &x.store, &err), 0);
    cr_assert_eq(store_watch_new(x.store, STR("/pods"), STR_NONE, store_revision(x.store), wake, &x, &x.watch, &err), 0);
    cr_assert_eq(commit(&x, STORE_CREATE, "a"), 0);
    cr_assert_eq(commit(&x, STORE_CREATE, "b"), 0);
    cr_assert_eq(commit(&x, STORE_CREATE, "a"), -KL_ALREADY_EXISTS);
    cr_assert(there(&x, "a", true) && !there(&x, "a", false) && x.answered == 0);
    loop_run(l);
    cr_assert(there(&x, "a", false) && x.added == 2 && x.answered == 2);
    cr_assert_eq(store_revision(x.store), 2);
    cr_assert_eq(commit(&x, STORE_UPDATE, "a"), 0);
    cr_assert_eq(commit(&x, STORE_DELETE, "b"), 0);
    cr_assert_eq(commit(&x, STORE_DELETE, "c"), -KL_NOT_FOUND);
    cr_assert(!there(&x, "b", true) && there(&x, "b", false));
    loop_run(l);
    cr_assert(!there(&x, "b", false) && x.modified == 1 && x.deleted == 1 && x.answered == 4);
    store_watch_free(x.watch);
    cr_assert_eq(commit(&x, STORE_CREATE, "last"), 0);
    store_close(x.store);               /* with a commit that nobody has seen */
    loop_free(l);
}
