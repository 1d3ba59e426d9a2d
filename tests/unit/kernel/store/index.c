/* index.c - the index against a sorted array: insertions, removals and searches in all orders. */
#include "rig.h"

#include <stdlib.h>

#include "store/store-internal.h"

#define N 3000

static struct store_object *make(unsigned i)
{
    char name[16], ns[8];
    snprintf(name, sizeof name, "n%u", i / 7);
    snprintf(ns, sizeof ns, "s%u", i % 7);
    struct store_op op = { .ns = str_of(ns), .name = str_of(name), .json = STR("{}") };
    return object_new(&op, i + 1);
}

static void put(struct index *x, struct store_object *o)
{
    struct place p;
    cr_assert_not(index_find(x, store_object_ns(o), store_object_name(o), &p));
    struct entry *e = index_insert(x, p);
    cr_assert(e != NULL);
    e->cur = e->head = o;
    x->count++;
}

static void check(struct index *x, unsigned want)
{
    struct place p = { 0, 0 };
    const struct store_object *before = NULL;
    unsigned n = 0;
    for (struct entry *e; (e = index_at(x, p)); index_next(x, &p), n++) {
        if (before)
            cr_assert_lt(key_cmp(before, store_object_ns(e->cur), store_object_name(e->cur)), 0);
        before = e->cur;
    }
    cr_assert_eq(n, want);
}

static void fill_and_empty(unsigned step)
{
    struct index x = { 0 };
    struct place p;
    for (unsigned i = 0; i < N; i++)
        put(&x, make(i * step % N));
    check(&x, N);
    for (unsigned i = 0; i < N; i++) {
        struct store_object *o = make(i);
        cr_assert(index_find(&x, store_object_ns(o), store_object_name(o), &p));
        cr_assert_eq(store_object_revision(index_at(&x, p)->cur), i + 1);
        store_object_unref(o);
    }
    for (unsigned i = 0; i < N; i++) {
        struct store_object *o = make(i * step % N);
        cr_assert(index_find(&x, store_object_ns(o), store_object_name(o), &p));
        store_object_unref(index_at(&x, p)->cur);
        index_remove(&x, p);
        store_object_unref(o);
        if (i % 500 == 0)
            check(&x, N - 1 - i);
    }
    cr_assert_null(index_at(&x, (struct place){ 0, 0 }));
    index_free(&x);
}

Test(index, rising)
{
    fill_and_empty(1);
}

Test(index, falling)
{
    fill_and_empty(N - 1);
}

Test(index, mixed)
{
    fill_and_empty(1303);
}

struct page {
    unsigned n;
    struct str last_ns, last_name;
};

static bool take_seven(void *ctx, struct store_object *o)
{
    struct page *p = ctx;
    p->last_ns = store_object_ns(o);
    p->last_name = store_object_name(o);
    return ++p->n % 7 != 0;
}

Test(index, pages_go_on_where_the_last_one_ended)
{
    struct rig r = { 0 };
    char name[16];
    rig_open(&r, (struct store_conf){ 0 });
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "p%d", i * 7 % 1000);
        cr_assert_eq(rig_create(&r, "/pods", name, 1), 0);
    }
    rig_run(&r);
    struct page p = { 0 };
    struct store_range range = { .resource = STR("/pods"), .ns = STR("ns") };
    for (unsigned before = 1; p.n != before;) {
        before = p.n;
        store_list(r.store, &range, take_seven, &p);
        range.after_ns = p.last_ns;
        range.after_name = p.last_name;
    }
    cr_assert_eq(p.n, 1000);
    range = (struct store_range){ .resource = STR("/pods"), .ns = STR("other") };
    p.n = 0;
    store_list(r.store, &range, take_seven, &p);
    cr_assert_eq(p.n, 0);
    rig_close(&r);
}
