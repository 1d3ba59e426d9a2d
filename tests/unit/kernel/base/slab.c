/* slab.c - pieces keep what was written into them, do not overlap, and their memory comes back. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "base/slab.h"

#define PIECES 4000

struct piece {
    unsigned char *at, mark;
    size_t n;
};

static uint64_t dice = 7;

static unsigned roll(unsigned n)
{
    dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(dice >> 33) % n;
}

static void make(struct piece *p, size_t n)
{
    *p = (struct piece){ slab_alloc(n), (unsigned char)roll(256), n };
    cr_assert_not_null(p->at);
    cr_assert_eq((uintptr_t)p->at % 16, 0);
    memset(p->at, p->mark, n);
}

static void check_and_free(struct piece *p)
{
    for (size_t i = 0; i < p->n; i++)
        cr_assert_eq(p->at[i], p->mark, "byte %zu of %zu", i, p->n);
    slab_free(p->at, p->n);
    p->at = NULL;
}

Test(slab, pieces_keep_their_bytes)
{
    static struct piece all[PIECES];
    for (int round = 0; round < 60000; round++) {
        struct piece *p = &all[roll(PIECES)];
        if (p->at)
            check_and_free(p);
        else
            make(p, 1 + roll(roll(4) ? 9000 : 70000));
    }
    for (int i = 0; i < PIECES; i++)
        if (all[i].at)
            check_and_free(&all[i]);
}

/* Much more than is kept at hand: slabs go back one by one. */
Test(slab, much)
{
    enum { N = 40000 };
    static char *all[N];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++) {
            cr_assert(all[i] = slab_alloc(2000 + (size_t)i % 7000));
            memcpy(all[i], &i, sizeof i);
            memcpy(all[i] + 2000 + i % 7000 - sizeof i, &i, sizeof i);
        }
        for (int i = 0, n = i * 7919 % N; i < N; i++, n = (int)((int64_t)i * 7919 % N)) {
            cr_assert(memcmp(all[n], &n, sizeof n) == 0 && memcmp(all[n] + 2000 + n % 7000 - sizeof n, &n, sizeof n) == 0, "piece %d", n);
            slab_free(all[n], 2000 + (size_t)n % 7000);
        }
    }
    cr_expect_lt(slab_held(), (size_t)64 << 20);
}

Test(slab, every_size)
{
    struct piece two[2];
    for (size_t n = 0; n < 40000; n += n < 1200 ? 1 : 97) {
        make(&two[0], n);
        make(&two[1], n);
        check_and_free(&two[0]);
        check_and_free(&two[1]);
    }
}

/* A sixteenth more than asked for, and what a slab's end leaves over; nothing much once all is free. */
Test(slab, memory_is_what_was_asked_for)
{
    static struct piece all[PIECES];
    size_t before = slab_held(), asked = 0;
    for (int i = 0; i < PIECES; i++) {
        make(&all[i], 6900 + roll(100));
        asked += all[i].n;
    }
    cr_assert_leq(slab_held() - before, asked + asked / 8 + 524288);
    for (int i = 0; i < PIECES; i++)
        check_and_free(&all[(i * 7) % PIECES]);
    cr_assert_leq(slab_held() - before, 10 * 262144);
    slab_trim();
    cr_assert_leq(slab_held() - before, 2 * 262144);
}
