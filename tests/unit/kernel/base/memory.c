/* Arenas and buffers: caps, reuse, clean-ups, failure that is seen once at the end. */
#include "base/cleanup.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(arena, hands_out_aligned_zeroed_pieces_that_stay)
{
    struct arena *a = arena_new(0);
    char *at[500];
    for (size_t i = 0; i < 500; i++) {
        size_t n = i * 37 % 3000 + 1;
        at[i] = arena_alloc(a, n);
        cr_assert(at[i]);
        cr_assert_eq((uintptr_t)at[i] % 8, 0);
        for (size_t k = 0; k < n; k++)
            cr_assert_eq(at[i][k], 0);
        memset(at[i], (int)(i % 256), n);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t k = 0, n = i * 37 % 3000 + 1; k < n; k++)
            cr_assert_eq((unsigned char)at[i][k], i % 256, "piece %zu was written to by another", i);
    cr_expect_not(arena_exhausted(a));
    arena_free(a);
}

Test(arena, a_cap_is_kept_and_remembered)
{
    struct arena *a = arena_new(10000);
    size_t got = 0;
    while (arena_alloc(a, 512))
        got += 512;
    cr_expect_leq(got, 10000);
    cr_expect_geq(got, 8192, "the cap is used: %zu", got);
    cr_expect(arena_exhausted(a));
    cr_expect_leq(arena_used(a), 10000);
    cr_expect_null(arena_alloc(a, SIZE_MAX - 4));
    cr_expect_null(arena_alloc(a, SIZE_MAX / 2 + 1));
    arena_reset(a);
    cr_expect_not(arena_exhausted(a));
    cr_expect_eq(arena_used(a), 0);
    cr_expect(arena_alloc(a, 512));
    arena_free(a);
    cr_expect_null(arena_free(NULL));
}

Test(arena, big_pieces_leave_the_present_chunk_in_use)
{
    struct arena *a = arena_new(0);
    char *first = arena_raw(a, 64);
    cr_assert(arena_raw(a, 1 << 20));
    char *second = arena_raw(a, 64);
    cr_expect_eq(second, first + 64);
    arena_free(a);
}

static char order[8];

static void note(void *ctx)
{
    size_t n = strlen(order);
    order[n] = *(const char *)ctx;
}

Test(arena, cleanups_run_newest_first_once)
{
    struct arena *a = arena_new(0);
    memset(order, 0, sizeof order);
    cr_assert(arena_cleanup(a, note, "a") && arena_cleanup(a, note, "b") && arena_cleanup(a, note, "c"));
    arena_reset(a);
    cr_expect_str_eq(order, "cba");
    arena_cleanup(a, note, "d");
    arena_free(a);
    cr_expect_str_eq(order, "cbad");
}

Test(arena, texts)
{
    struct arena *a = arena_new(0);
    cr_expect_str_eq(arena_dup(a, str_n("abc", 2)), "ab");
    cr_expect_str_eq(arena_dup(a, STR_NONE), "");
    cr_expect_str_eq(arena_printf(a, "%s-%d", "x", 7), "x-7");
    struct str s = arena_str(a, STR(""));
    cr_expect(s.at && s.len == 0);
    struct arena *small = arena_new(8);
    cr_expect_null(arena_str(small, STR("longer than that")).at);
    cr_expect_null(arena_printf(small, "%100d", 1));
    arena_free(small);
    arena_free(a);
}

Test(buf, grows_and_stays_terminated)
{
    struct buf b = BUF_INIT(0);
    cr_expect(buf_str(&b).at && buf_str(&b).len == 0);
    for (int i = 0; i < 1000; i++) {
        buf_add_int(&b, i);
        cr_assert_eq(b.at[b.len], '\0');
    }
    cr_expect_eq(b.len, 2890);
    buf_clear(&b);
    buf_add_int(&b, INT64_MIN);
    buf_add_c(&b, ' ');
    buf_add_uint(&b, UINT64_MAX);
    buf_printf(&b, " %s %5d", "x", 3);
    buf_lit(&b, "!");
    buf_add_str(&b, STR_NONE);
    buf_add_z(&b, "");
    cr_expect_str_eq(b.at, "-9223372036854775808 18446744073709551615 x     3!");
    size_t n;
    char *taken = buf_take(&b, &n);
    cr_expect_eq(n, strlen(taken));
    cr_expect_eq(b.len, 0);
    mem_free(taken);
    buf_free(&b);
    buf_add_z(&b, "again");
    cr_expect_str_eq(b.at, "again");
    buf_free(&b);
}

Test(buf, past_its_limit_it_fails_and_stays_failed)
{
    struct buf b = BUF_INIT(10);
    size_t n;
    buf_add_z(&b, "0123456789");
    cr_expect_not(b.failed);
    buf_add_c(&b, 'x');
    cr_expect(b.failed);
    buf_clear(&b);
    cr_expect_not(b.failed);
    buf_printf(&b, "%20d", 1);
    cr_expect(b.failed);
    buf_add_c(&b, 'y');
    cr_expect_eq(b.len, 0, "nothing is added behind a failure");
    cr_expect_null(buf_take(&b, &n));
    cr_expect_null(buf_room(&b, SIZE_MAX / 2));
    buf_free(&b);
}

static void *never(void *ctx, void *at, size_t n)
{
    (void)ctx;
    if (!n)
        free(at);
    return NULL;
}

Test(mem, without_memory_everything_says_so)
{
    static const struct mem_allocator m = { never, NULL };
    struct buf b = BUF_INIT(0);
    mem_set_allocator(&m);
    cr_expect_null(arena_new(0));
    cr_expect_null(mem_alloc(1));
    cr_expect_null(mem_dup("x", 1));
    buf_add_z(&b, "x");
    cr_expect(b.failed);
    mem_set_allocator(NULL);
    char *p = mem_dup("abc", 3);
    cr_expect_str_eq(p, "abc");
    mem_free(p);
    mem_free(NULL);
    buf_free(&b);
}

/* --- arenas that are kept --- */

static void end_inner(void *ctx)
{
    arena_free(ctx);
}

Test(arena, one_that_ends_within_anothers_end_is_kept_within_bounds)
{
    arena_keep(1);
    struct arena *outer = arena_new(0), *inner = arena_new(0);
    cr_assert(arena_cleanup(outer, end_inner, inner));
    arena_free(outer);
    struct arena *a = arena_new(0), *b = arena_new(0), *c = arena_new(0);
    cr_expect(a && b && c && a != b && b != c && a != c);
    arena_free(a);
    arena_free(b);
    arena_free(c);
    arena_keep(0);
}
