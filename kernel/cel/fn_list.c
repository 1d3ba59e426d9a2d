/* fn_list.c - functions of lists and of sets. */
#include <stdlib.h>

#include "cel/cel-internal.h"
#include "cel/cost.h"

#define MOST_ITEMS 10000000

/* --- of all items --- */

static struct cel_val fn_is_sorted(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct walk w = { 0 };
    struct cel_val x, before = { .kind = CEL_NULL };
    (void)n;
    for (bool first = true; walk_next(c, &v[0], &w, NULL, &x); first = false, before = x)
        if (!first && cel_compare(before, x) == 1)
            return val_bool(false);
    return val_bool(true);
}

static struct cel_val sum_from(struct cel_ctx *c, struct cel_val *v, struct cel_val sum)
{
    const struct sig *add = sig_find(STR("_+_"));
    struct walk w = { 0 };
    struct cel_val x;
    while (add && walk_next(c, &v[0], &w, NULL, &x)) {
        struct cel_val two[2] = { sum, x };
        if (x.kind != sum.kind)
            return no_overload();
        sum = add->fn->run(c, two, 2);
        if (is_error(sum))
            break;
    }
    return sum;
}

#define SUM(name, of) \
    static struct cel_val name(struct cel_ctx *c, struct cel_val *v, unsigned n) \
    { \
        (void)n; \
        return sum_from(c, v, (struct cel_val){ .kind = of }); \
    }
SUM(fn_sum_int, CEL_INT)
SUM(fn_sum_uint, CEL_UINT)
SUM(fn_sum_double, CEL_DOUBLE)
SUM(fn_sum_duration, CEL_DURATION)

static struct cel_val extreme(struct cel_ctx *c, struct cel_val *v, const char *name, int wins)
{
    struct walk w = { 0 };
    struct cel_val x, best = { .kind = CEL_DYN };
    while (walk_next(c, &v[0], &w, NULL, &x)) {
        int o = best.kind == CEL_DYN ? wins : cel_compare(x, best);
        if (o == wins)
            best = x;
    }
    return best.kind == CEL_DYN ? cel_error(c->arena, "%s called on empty list", name) : best;
}

static struct cel_val fn_max(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return extreme(c, v, "max", 1);
}

static struct cel_val fn_min(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return extreme(c, v, "min", -1);
}

/* --- places --- */

static struct cel_val place(struct cel_ctx *c, struct cel_val *v, bool last)
{
    struct walk w = { 0 };
    struct cel_val x;
    int64_t i = 0, found = -1;
    for (; (last || found < 0) && eval_tick(c) && walk_next(c, &v[0], &w, NULL, &x); i++)
        if (cel_equal(c, x, v[1]))
            found = i;
    return val_int(found);
}

static struct cel_val fn_index_of(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return place(c, v, false);
}

static struct cel_val fn_last_index_of(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return place(c, v, true);
}

/* --- new lists --- */

static struct cel_val fn_slice(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    long long from = v[1].i, to = v[2].i, len = cel_size(&v[0]);
    struct walk w = { 0 };
    struct cel_val x, list;
    (void)n;
    if (from < 0 || to < 0)
        return cel_error(c->arena, "cannot slice(%lld, %lld), negative indexes not supported", from, to);
    if (from > to)
        return cel_error(c->arena, "cannot slice(%lld, %lld), start index must be less than or equal to end index", from, to);
    if (len < to)
        return cel_error(c->arena, "cannot slice(%lld, %lld), list is length %lld", from, to, len);
    list = list_new(c, (uint32_t)(to - from));
    for (int64_t i = 0; !is_error(list) && i < to && walk_next(c, &v[0], &w, NULL, &x); i++)
        if (i >= from && !list_push(c, &list, x))
            return no_memory();
    return list;
}

static bool flatten(struct cel_ctx *c, struct cel_val *into, const struct cel_val *from, int64_t depth)
{
    struct walk w = { 0 };
    struct cel_val x;
    while (eval_tick(c) && walk_next(c, from, &w, NULL, &x))
        if (!(x.kind == CEL_LIST && depth > 0 ? flatten(c, into, &x, depth - 1) : list_push(c, into, x)))
            return false;
    return true;
}

static struct cel_val fn_flatten(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    int64_t depth = n == 2 ? v[1].i : 1;
    struct cel_val list = list_new(c, 8);
    if (depth < 0)
        return cel_error(c->arena, "level must be non-negative");
    return is_error(list) || flatten(c, &list, &v[0], depth) ? list : no_memory();
}

static struct cel_val fn_range(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val list = list_new(c, 8);
    (void)n;
    if (v[0].i > MOST_ITEMS)
        return cel_error(c->arena, "lists.range(%lld) is too long", (long long)v[0].i);
    for (int64_t i = 0; !is_error(list) && i < v[0].i && eval_tick(c); i++)
        if (!list_push(c, &list, val_int(i)))
            return no_memory();
    return list;
}

static struct cel_val fn_reverse(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    int64_t len = cel_size(&v[0]);
    struct cel_val list = list_new(c, (uint32_t)len), x;
    (void)n;
    while (!is_error(list) && len-- > 0)
        if (!list_get(c, &v[0], len, &x) || !list_push(c, &list, x))
            return no_memory();
    return list;
}

static struct cel_val fn_distinct(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val list = list_new(c, 8), x;
    struct walk w = { 0 };
    (void)n;
    while (!is_error(list) && walk_next(c, &v[0], &w, NULL, &x)) {
        uint32_t i = 0;
        while (i < list.n_items && eval_tick(c) && !cel_equal(c, list.items->at[i], x))
            i++;
        if (i == list.n_items && !list_push(c, &list, x))
            return no_memory();
    }
    return list;
}

/* --- sorting --- */

struct keyed {
    struct cel_val key, value;
    uint32_t place;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int o = cel_compare(x->key, y->key);
    return o == -1 || o == 1 ? o : (x->place > y->place) - (x->place < y->place);
}

static struct cel_val sorted(struct cel_ctx *c, struct cel_val *list, struct cel_val *keys)
{
    int64_t n = cel_size(list), n_keys = cel_size(keys);
    struct walk wl = { 0 }, wk = { 0 };
    if (n != n_keys)
        return cel_error(c->arena, "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got %lld and %lld "
                         "elements respectively", (long long)n, (long long)n_keys);
    struct keyed *at = arena_alloc(c->arena, ((size_t)n + 1) * sizeof *at);
    struct cel_val out = list_new(c, (uint32_t)n);
    if (!at || is_error(out))
        return no_memory();
    for (int64_t i = 0; i < n && walk_next(c, list, &wl, NULL, &at[i].value) && walk_next(c, keys, &wk, NULL, &at[i].key); i++) {
        at[i].place = (uint32_t)i;
        if (at[i].key.kind != at[0].key.kind)
            return cel_error(c->arena, "list elements must have the same type");
        if (cel_compare(at[i].key, at[i].key) == 2)
            return cel_error(c->arena, "list elements must be comparable");
    }
    if (n > 1)
        qsort(at, (size_t)n, sizeof *at, by_key);
    for (int64_t i = 0; i < n; i++)
        if (!list_push(c, &out, at[i].value))
            return no_memory();
    return out;
}

static struct cel_val fn_sort(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return sorted(c, &v[0], &v[0]);
}

static struct cel_val fn_sort_by(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return sorted(c, &v[0], &v[1]);
}

/* --- sets --- */

static bool contains(struct cel_ctx *c, const struct cel_val *list, struct cel_val x)
{
    struct walk w = { 0 };
    struct cel_val y;
    while (eval_tick(c) && walk_next(c, list, &w, NULL, &y))
        if (cel_equal(c, x, y))
            return true;
    return false;
}

static bool contains_all(struct cel_ctx *c, const struct cel_val *list, const struct cel_val *part, bool one_will_do)
{
    struct walk w = { 0 };
    struct cel_val x;
    while (walk_next(c, part, &w, NULL, &x))
        if (contains(c, list, x) == one_will_do)
            return one_will_do;
    return !one_will_do;
}

static struct cel_val fn_sets_contains(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return val_bool(contains_all(c, &v[0], &v[1], false));
}

static struct cel_val fn_sets_equivalent(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return val_bool(contains_all(c, &v[0], &v[1], false) && contains_all(c, &v[1], &v[0], false));
}

static struct cel_val fn_sets_intersects(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return val_bool(contains_all(c, &v[1], &v[0], true));
}

#define OF_COMPARABLE(head, tail) \
    head "(int)" tail "|" head "(uint)" tail "|" head "(double)" tail "|" head "(bool)" tail "|" head "(duration)" tail "|" head "(time)" tail "|" \
    head "(string)" tail "|" head "(bytes)" tail
#define SAME_ITEM \
    "list(int).()int|list(uint).()uint|list(double).()double|list(bool).()bool|list(duration).()duration|list(time).()time|" \
    "list(string).()string|list(bytes).()bytes"
#define SAME_LIST \
    "list(int).()list(int)|list(uint).()list(uint)|list(double).()list(double)|list(bool).()list(bool)|list(duration).()list(duration)|" \
    "list(time).()list(time)|list(string).()list(string)|list(bytes).()list(bytes)"

const struct fn fns_list[] = {
    { "isSorted", OF_COMPARABLE("list", ".()bool"), fn_is_sorted, cost_traverse, est_traverse, FN_BY_NAME },
    { "sum", "list(int).()int", fn_sum_int, cost_traverse, est_traverse, FN_BY_NAME },
    { "sum", "list(uint).()uint", fn_sum_uint, cost_traverse, est_traverse, FN_BY_NAME },
    { "sum", "list(double).()double", fn_sum_double, cost_traverse, est_traverse, FN_BY_NAME },
    { "sum", "list(duration).()duration", fn_sum_duration, cost_traverse, est_traverse, FN_BY_NAME },
    { "max", SAME_ITEM, fn_max, cost_traverse, est_traverse, FN_BY_NAME },
    { "min", SAME_ITEM, fn_min, cost_traverse, est_traverse, FN_BY_NAME },
    { "indexOf", "list(A).(A)int", fn_index_of, cost_traverse, est_traverse, FN_BY_NAME },
    { "lastIndexOf", "list(A).(A)int", fn_last_index_of, cost_traverse, est_traverse, FN_BY_NAME },
    { "slice", "list(A).(int,int)list(A)", fn_slice, cost_output, est_slice, 0 },
    { "flatten", "list(list(A)).()list(A)|list(dyn).(int)list(dyn)", fn_flatten, cost_flatten, est_flatten, 0 },
    { "lists.range", "(int)list(int)", fn_range, cost_output, est_range, 0 },
    { "reverse", "list(A).()list(A)", fn_reverse, cost_output, est_reverse, 0 },
    { "distinct", "list(A).()list(A)", fn_distinct, cost_self_compare, est_self_compare, 0 },
    { "sort", SAME_LIST, fn_sort, cost_self_compare, est_self_compare, 0 },
    { "@sortByAssociatedKeys", OF_COMPARABLE("list(A).(list", ")list(A)"), fn_sort_by, cost_keys_compare, est_keys_compare, 0 },
    { "sets.contains", "(list(A),list(A))bool", fn_sets_contains, cost_sets, est_sets, 0 },
    { "sets.equivalent", "(list(A),list(A))bool", fn_sets_equivalent, cost_sets_twice, est_sets, 0 },
    { "sets.intersects", "(list(A),list(A))bool", fn_sets_intersects, cost_sets, est_sets, 0 },
    { NULL, NULL, NULL, NULL, NULL, 0 },
};
