/* fair.c: seats, what may be borrowed, and who of those that wait runs next. */
#include "api/fair.h"

#include <criterion/criterion.h>

#define MANY 600

static struct fair f;
static struct fair_level levels[4];
static struct fair_item items[MANY];

static struct fair_level *level(unsigned i, unsigned shares, unsigned lendable)
{
    struct fair_level *l = &levels[i];
    fair_level_init(l);
    l->shares = shares;
    l->lendable = lendable;
    l->n_queues = 64;
    l->hand = 6;
    l->length = 50;
    fair_level_add(&f, l);
    return l;
}

static enum fair_verdict offer(struct fair_level *l, unsigned i, unsigned seats, uint64_t flow, bool time)
{
    items[i] = (struct fair_item){ 0 };
    list_init(&items[i].link);
    return fair_offer(&f, l, &items[i], seats, flow, time, 1000 + i);
}

/* How many of n run at once. */
static unsigned fill(struct fair_level *l, unsigned first, unsigned n)
{
    unsigned ran = 0;
    for (unsigned i = first; i < first + n; i++)
        ran += offer(l, i, 1, i * 7919, true) == FAIR_RUN;
    return ran;
}

static void end(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (items[i].level)
            fair_leave(&f, &items[i]);
    list_each(k, &f.levels)
        fair_level_end(&f, list_item(k, struct fair_level, link));
    cr_assert_eq(f.queued, 0);
}

Test(fair, seats_by_shares)
{
    static const unsigned shares[] = { 30, 40, 10, 40 }, lendable[] = { 33, 25, 0, 50 }, nominal[] = { 75, 100, 25, 100 }, least[] = { 50, 75, 25, 50 };
    fair_init(&f, 300);
    for (unsigned i = 0; i < 4; i++)
        level(i, shares[i], lendable[i]);
    levels[3].borrowing = 10;
    fair_share_out(&f);
    for (unsigned i = 0; i < 4; i++)
        cr_expect(levels[i].nominal == nominal[i] && levels[i].least == least[i], "level %u: %u %u", i, levels[i].nominal, levels[i].least);
    cr_expect_eq(levels[0].most, 300);
    cr_expect_eq(levels[3].most, 110);
    end(0);
}

Test(fair, what_is_not_lent_is_there)
{
    fair_init(&f, 100);
    struct fair_level *a = level(0, 50, 100), *b = level(1, 50, 40);
    fair_share_out(&f);
    cr_assert_eq(fill(a, 0, 100), 70);  /* all but what b keeps */
    cr_assert_eq(a->queued, 30);
    cr_assert_eq(fill(b, 100, 60), 30);
    for (unsigned i = 0; i < 5; i++)
        fair_leave(&f, &items[i]);
    unsigned next = 0;
    while (fair_next(&f))
        next++;
    cr_assert_eq(next, 5);              /* both wait for what comes back */
    cr_assert_eq(a->used + b->used, 100);
    end(160);
}

Test(fair, a_level_that_rejects)
{
    fair_init(&f, 10);
    struct fair_level *a = level(0, 50, 0);
    level(1, 50, 0);
    a->rejects = true;
    fair_share_out(&f);
    cr_assert_eq(fill(a, 0, 5), 5);
    cr_assert_eq(offer(a, 6, 1, 0, true), FAIR_NO_SEAT);
    fair_leave(&f, &items[0]);
    cr_assert_eq(offer(a, 0, 1, 0, false), FAIR_RUN);
    end(7);
}

Test(fair, the_wide_run_alone)
{
    fair_init(&f, 10);
    struct fair_level *a = level(0, 10, 0);
    a->borrowing = 0;
    fair_share_out(&f);
    cr_assert_eq(offer(a, 0, 50, 1, true), FAIR_RUN);
    cr_assert_eq(offer(a, 1, 1, 1, true), FAIR_WAIT);
    fair_leave(&f, &items[0]);
    cr_assert_eq(fair_next(&f), &items[1]);
    end(2);
}

/* One flow has many waiting, others come with one: each is next but the one under way. */
Test(fair, the_quiet_pass_the_noisy)
{
    fair_init(&f, 100);
    struct fair_level *a = level(0, 10, 0);
    a->length = 400;
    fair_share_out(&f);
    for (unsigned i = 0; i < 400; i++)
        cr_assert_eq(offer(a, i, 1, 12345, false), FAIR_WAIT);
    for (unsigned round = 0; round < 50; round++) {
        struct fair_item *noisy = fair_next(&f);
        cr_assert_lt(noisy - items, 400);
        fair_charge(a, noisy->queue, 1000000);
        fair_leave(&f, noisy);
        if (round < 12)
            continue;                   /* every queue of the hand has had its first */
        cr_assert_eq(offer(a, 500, 1, 99999 + round * 104729ull, false), FAIR_WAIT);
        unsigned before = 0;
        struct fair_item *i;
        while ((i = fair_next(&f)) && i != &items[500]) {
            fair_charge(a, i->queue, 1000000);
            fair_leave(&f, i);
            before++;
        }
        cr_assert_eq(i, &items[500]);
        cr_assert_leq(before, 8, "round %u: %u went before", round, before);
        fair_charge(a, i->queue, 1000);
        fair_leave(&f, i);
        list_init(&i->link);
    }
    end(400);
}

Test(fair, levels_by_their_shares)
{
    unsigned ran[2] = { 0 };
    fair_init(&f, 100);
    struct fair_level *a = level(0, 10, 0), *b = level(1, 30, 0);
    a->length = b->length = 300;
    fair_share_out(&f);
    for (unsigned i = 0; i < 300; i++) {
        offer(a, i, 1, i % 3, false);
        offer(b, 300 + i, 1, i % 3, false);
    }
    for (unsigned i = 0; i < 200; i++) {
        struct fair_item *x = fair_next(&f);
        ran[x->level == b]++;
        fair_charge(x->level, x->queue, 1000000);
        fair_leave(&f, x);
    }
    cr_assert(ran[0] >= 48 && ran[0] <= 52, "%u of 200", ran[0]);
    end(600);
}

Test(fair, queues_are_full_and_items_leave)
{
    fair_init(&f, 4);
    struct fair_level *a = level(0, 10, 0);
    a->n_queues = 1;
    a->hand = 1;
    a->length = 3;
    fair_share_out(&f);
    cr_assert_eq(fill(a, 0, 7), 4);
    cr_assert_eq(a->queued, 3);
    cr_assert_eq(offer(a, 8, 1, 0, true), FAIR_FULL);
    fair_leave(&f, &items[5]);          /* a client that left */
    cr_assert_eq(offer(a, 8, 1, 0, true), FAIR_WAIT);
    cr_assert_null(fair_late(&f, 1004));
    cr_assert_eq(fair_late(&f, 1005), &items[4]);
    cr_assert_null(fair_next(&f));
    fair_leave(&f, &items[0]);
    cr_assert_eq(fair_next(&f), &items[4]);
    end(9);
}

Test(fair, exempt_ones_never_wait)
{
    fair_init(&f, 2);
    struct fair_level *a = level(0, 0, 0);
    a->exempt = true;
    level(1, 10, 0);
    fair_share_out(&f);
    for (unsigned i = 0; i < 100; i++)
        cr_assert_eq(offer(a, i, 1, 0, false), FAIR_RUN);
    cr_assert_eq(offer(&levels[1], 100, 1, 0, true), FAIR_RUN);
    end(101);
}
