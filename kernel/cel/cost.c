/* cost.c - what a call has cost, from the sizes of its arguments and its result. A text costs a tenth of its length, an expression a quarter. */
#include "cel/cost.h"

#include "cel/named.h"

#define CHECK 350000                    /* two authorizations for one expression, no more */

static uint64_t tenth(uint64_t n)
{
    return n / 10 + (n % 10 != 0);
}

static uint64_t quarter(uint64_t n)
{
    return n / 4 + (n % 4 != 0);
}

static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t r;
    return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}

#define COST(name) uint64_t name(const struct cel_val *a, unsigned n, const struct cel_val *r)
#define UNUSED ((void)a, (void)n, (void)r)

COST(cost_tenth)
{
    UNUSED;
    return tenth(cost_size(&a[0]));
}

COST(cost_fifth)
{
    UNUSED;
    return tenth(2 * cost_size(&a[0]));
}

COST(cost_one)
{
    UNUSED;
    return 1;
}

COST(cost_least)
{
    uint64_t x = cost_size(&a[0]), y = cost_size(&a[1]);
    UNUSED;
    return tenth(x < y ? x : y);
}

COST(cost_order)
{
    return a[0].kind == CEL_STRING || a[0].kind == CEL_BYTES ? cost_least(a, n, r) : 1;
}

COST(cost_add)
{
    UNUSED;
    return a[0].kind == CEL_STRING || a[0].kind == CEL_BYTES ? tenth(cost_size(&a[0]) + cost_size(&a[1])) : 1;
}

COST(cost_in)
{
    UNUSED;
    return a[1].kind == CEL_LIST ? cost_size(&a[1]) : 1;
}

COST(cost_matches)
{
    UNUSED;
    return times(tenth(1 + cost_size(&a[0])), quarter(cost_size(&a[1])));
}

COST(cost_contains)
{
    UNUSED;
    return times(tenth(cost_size(&a[0])), tenth(cost_size(&a[1])));
}

COST(cost_join)
{
    UNUSED;
    return tenth(2 * cost_size(r));
}

/* Upstream rounds each text down here. */
static uint64_t all_of(const struct cel_val *v, unsigned depth)
{
    struct walk w = { 0 };
    struct cel_val key, x;
    uint64_t sum = 0;
    if (v->kind == CEL_STRING || v->kind == CEL_BYTES)
        return v->s.len / 10;
    if ((v->kind != CEL_LIST && v->kind != CEL_MAP) || depth > 100)
        return 1;
    while (walk_next(NULL, v, &w, &key, &x))
        sum += (v->kind == CEL_MAP ? all_of(&key, depth + 1) : 0) + all_of(&x, depth + 1);
    return sum;
}

COST(cost_traverse)
{
    UNUSED;
    return all_of(&a[0], 0);
}

COST(cost_check)
{
    UNUSED;
    return CHECK;
}

COST(cost_selector)
{
    uint64_t len = cost_size(&a[1]);
    UNUSED;
    return 10 + tenth(len) + times((len + 1) / 2, 50);
}

COST(cost_contains_ip)
{
    UNUSED;
    return tenth(2 * cost_size(&a[0])) + (n > 1 && a[1].kind == CEL_STRING ? tenth(cost_size(&a[1])) : 0);
}

COST(cost_contains_cidr)
{
    uint64_t size = cost_size(&a[0]);
    UNUSED;
    return tenth(2 * size) + tenth(size) + 1 + (n > 1 && a[1].kind == CEL_STRING ? tenth(cost_size(&a[1])) : 0);
}

COST(cost_validate)
{
    UNUSED;
    return times(tenth(1 + cost_size(&a[1])), quarter(named_format_regex(a[0].opaque->format)));
}

static uint64_t allocating(double factor, uint64_t size)
{
    double cost = (double)size * factor;
    return cost > 1e18 ? UINT64_MAX : (uint64_t)cost + 11;
}

COST(cost_output)
{
    UNUSED;
    return allocating(1, cost_size(r));
}

COST(cost_flatten)
{
    UNUSED;
    return allocating(n == 2 && a[1].kind == CEL_INT && a[1].i > 0 ? (double)a[1].i : n == 2 ? 0 : 1, cost_size(&a[0]));
}

static uint64_t self_compare(const struct cel_val *list)
{
    struct walk w = { 0 };
    struct cel_val first;
    bool text = walk_next(NULL, list, &w, NULL, &first) && (first.kind == CEL_STRING || first.kind == CEL_BYTES);
    uint64_t n = cost_size(list);
    return allocating(text ? 2.1 : 2, times(n, n));
}

COST(cost_self_compare)
{
    UNUSED;
    return self_compare(&a[0]);
}

COST(cost_keys_compare)
{
    UNUSED;
    return self_compare(&a[1]);
}

COST(cost_sets)
{
    UNUSED;
    return 1 + times(cost_size(&a[0]), cost_size(&a[1]));
}

COST(cost_sets_twice)
{
    UNUSED;
    return 1 + times(2, times(cost_size(&a[0]), cost_size(&a[1])));
}
