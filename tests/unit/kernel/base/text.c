/* Texts, maps, rings, hashes and times. */
#include "base/clock.h"
#include "base/env.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

Test(str, cut_walks_every_part)
{
    static const struct {
        const char *text;
        unsigned parts;
    } rows[] = { { "", 1 }, { "a", 1 }, { "a,b", 2 }, { ",", 2 }, { "a,,b", 3 }, { ",a,", 3 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str s = str_of(rows[i].text);
        unsigned n = 0;
        while (s.at) {
            str_cut(&s, ',');
            n++;
        }
        cr_expect_eq(n, rows[i].parts, "'%s'", rows[i].text);
    }
    struct str none = STR_NONE;
    cr_expect_null(str_cut(&none, ',').at);
}

Test(str, integers)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } rows[] = {
        { "0", true, 0 }, { "-0", true, 0 }, { "007", true, 7 }, { "9223372036854775807", true, INT64_MAX }, { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775808", false, 0 }, { "-9223372036854775809", false, 0 }, { "99999999999999999999", false, 0 }, { "", false, 0 }, { "-", false, 0 },
        { " 1", false, 0 }, { "1 ", false, 0 }, { "1.0", false, 0 }, { "0x1", false, 0 }, { "--1", false, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t v = 42;
        cr_expect_eq(str_int(str_of(rows[i].text), &v), rows[i].ok, "'%s'", rows[i].text);
        if (rows[i].ok)
            cr_expect_eq(v, rows[i].value, "'%s'", rows[i].text);
    }
}

Test(str, compares_and_trims)
{
    cr_expect_lt(str_cmp(STR("a"), STR("ab")), 0);
    cr_expect_lt(str_cmp(STR("ab"), STR("b")), 0);
    cr_expect_gt(str_cmp(STR("\xff"), STR("a")), 0, "bytes are unsigned");
    cr_expect_eq(str_cmp(STR_NONE, STR("")), 0);
    cr_expect(str_eq(str_trim(STR(" \t a b\r\n")), STR("a b")));
    cr_expect_eq(str_trim(STR("   ")).len, 0);
    cr_expect(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    cr_expect_not(str_eq_nocase(STR("a["), STR("A{")), "only letters have a case");
    cr_expect_eq(str_find(STR("abc"), 'c'), 2);
    cr_expect_eq(str_find(STR(""), 'c'), -1);
    cr_expect(str_starts(STR("ab"), STR("")) && str_ends(STR("ab"), STR("b")) && !str_ends(STR("b"), STR("ab")));
    cr_expect_eq(str_skip(STR("ab"), 5).len, 0);
}

/* Keys of every kind, many deletions in between: what is there is found, what is not is not. */
Test(map, holds_what_was_put_through_deletions)
{
    enum { N = 3000 };
    static char keys[N][8];
    static bool there[N];
    struct map m = { 0 };
    uint32_t state = 1;
    for (int i = 0; i < N; i++)
        snprintf(keys[i], sizeof keys[i], "k%d", i);
    for (int step = 0; step < 30000; step++) {
        state = state * 1664525u + 1013904223u;
        unsigned i = (state >> 8) % N;
        if (state & 0x80000000u) {
            cr_assert(map_put(&m, str_of(keys[i]), keys[i]));
            there[i] = true;
        } else {
            cr_assert_eq(map_del(&m, str_of(keys[i])), there[i] ? keys[i] : NULL);
            there[i] = false;
        }
    }
    size_t n = 0, seen = 0, at = 0;
    for (int i = 0; i < N; i++) {
        cr_assert_eq(map_get(&m, str_of(keys[i])), there[i] ? keys[i] : NULL);
        n += there[i];
    }
    struct str key;
    void *value;
    while (map_next(&m, &at, &key, &value)) {
        cr_assert(str_is(key, value));
        seen++;
    }
    cr_expect_eq(m.n, n);
    cr_expect_eq(seen, n);
    map_free(&m);
    cr_expect_null(map_get(&m, STR("k1")));
}

/* Few entries are kept in another way than many. */
Test(map, few_entries)
{
    static const char *const keys[] = { "a", "", "bc", "bd", "a-longer-key-than-others", "e", "f", "g", "h", "i" };
    enum { N = sizeof keys / sizeof *keys };
    for (size_t n = 1; n <= N; n++) {
        struct map m = { 0 };
        for (size_t i = 0; i < n; i++)
            cr_assert(map_put(&m, str_of(keys[i]), (void *)&keys[i]));
        cr_assert(map_put(&m, str_of(keys[0]), (void *)&keys[N - 1]));
        cr_expect_eq(m.n, n);
        cr_expect_eq(map_get(&m, str_of(keys[0])), (void *)&keys[N - 1]);
        size_t at = 0, seen = 0;
        while (map_next(&m, &at, NULL, NULL))
            seen++;
        cr_expect_eq(seen, n);
        for (size_t i = 0; i < n; i++) {
            cr_expect_null(map_get(&m, STR("b")));
            cr_expect_eq(map_del(&m, str_of(keys[i])), i ? (void *)&keys[i] : (void *)&keys[N - 1]);
            cr_expect_null(map_get(&m, str_of(keys[i])));
            cr_expect_null(map_del(&m, str_of(keys[i])));
            cr_expect(i + 1 == n || map_get(&m, str_of(keys[n - 1])) == (void *)&keys[n - 1]);
        }
        cr_expect_eq(m.n, 0);
        map_free(&m);
    }
}

Test(map, empty_keys_and_replacement)
{
    struct map m = { 0 };
    cr_expect_null(map_get(&m, STR("x")));
    cr_expect_null(map_del(&m, STR("x")));
    cr_assert(map_put(&m, STR_NONE, "none") && map_put(&m, STR("a"), "1") && map_put(&m, STR("a"), "2"));
    cr_expect_str_eq(map_get(&m, STR("")), "none");
    cr_expect_str_eq(map_get(&m, STR("a")), "2");
    cr_expect_eq(m.n, 2);
    map_free(&m);
}

struct item {
    int n;
    struct list link;
};

Test(list, items_may_go_while_it_is_walked)
{
    struct list head = LIST_INIT(head);
    struct item items[6];
    char text[16] = "";
    cr_expect_null(list_pop(&head));
    for (int i = 0; i < 6; i++) {
        items[i].n = i;
        i % 2 ? list_push(&head, &items[i].link) : list_push_front(&head, &items[i].link);
    }
    list_each(node, &head)
    {
        struct item *i = list_item(node, struct item, link);
        snprintf(text + strlen(text), 4, "%d", i->n);
        if (i->n > 2) {
            list_remove(&i->link);
            list_remove(&i->link);      /* twice is fine */
        }
    }
    cr_expect_str_eq(text, "420135");
    text[0] = '\0';
    for (struct list *n; (n = list_pop(&head));)
        snprintf(text + strlen(text), 4, "%d", list_item(n, struct item, link)->n);
    cr_expect_str_eq(text, "201");
    cr_expect(list_empty(&head));
}

/* The vectors of the algorithms' own authors. */
Test(hash, known_answers)
{
    static const uint64_t key[2] = { 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL };
    unsigned char in[64];
    for (unsigned i = 0; i < sizeof in; i++)
        in[i] = (unsigned char)i;
    cr_expect_eq(hash_sip(key, in, 0), 0x726fdb47dd0e0e31ULL);
    cr_expect_eq(hash_sip(key, in, 1), 0x74f839c593dc67fdULL);
    cr_expect_eq(hash_sip(key, in, 15), 0xa129ca6149be45e5ULL);
    cr_expect_eq(hash_crc32c(0, "123456789", 9), 0xe3069283u);
    cr_expect_eq(hash_crc32c(0, "", 0), 0);
    cr_expect_eq(hash_crc32c(hash_crc32c(0, "1234", 4), "56789", 5), 0xe3069283u, "in parts as at once");
    cr_expect_eq(hash_fnv32a(STR("")), 0x811c9dc5u);
    cr_expect_eq(hash_fnv32a(STR("foobar")), 0xbf9cf968u);
}

Test(clock, formats_and_parses)
{
    char text[CLOCK_TEXT];
    int64_t ns;
    clock_format_nano(1767323045678901234LL, text);
    cr_expect_str_eq(text, "2026-01-02T03:04:05.678901234Z");
    clock_format(1767323045678901234LL, text);
    cr_expect_str_eq(text, "2026-01-02T03:04:05Z");
    clock_format_ms(1767323045678901234LL, text);
    cr_expect_str_eq(text, "2026-01-02T03:04:05.678Z");
    clock_format(-1, text);
    cr_expect_str_eq(text, "1969-12-31T23:59:59Z");
    static const struct {
        const char *text;
        bool ok;
        int64_t seconds;
    } rows[] = {
        { "1970-01-01T00:00:00Z", true, 0 }, { "1970-01-01T01:00:00+01:00", true, 0 }, { "1969-12-31T23:30:00-00:30", true, 0 }, { "2024-02-29T00:00:00Z", true, 1709164800 },
        { "2023-02-29T00:00:00Z", false, 0 }, { "1900-02-29T00:00:00Z", false, 0 }, { "2000-02-29T00:00:00Z", true, 951782400 }, { "2026-13-01T00:00:00Z", false, 0 },
        { "2026-00-01T00:00:00Z", false, 0 }, { "2026-04-31T00:00:00Z", false, 0 }, { "2026-01-01T24:00:00Z", false, 0 }, { "2026-01-01T00:60:00Z", false, 0 },
        { "2026-01-01T00:00:60Z", false, 0 }, { "2026-01-01T00:00:00", false, 0 }, { "2026-01-01T00:00:00.Z", false, 0 }, { "2026-01-01", false, 0 }, { "", false, 0 },
        { "2026-01-01T00:00:00ZZ", false, 0 }, { "2026-01-01 00:00:00Z", false, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(clock_parse(str_of(rows[i].text), &ns), rows[i].ok, "%s", rows[i].text);
        if (rows[i].ok)
            cr_expect_eq(ns, rows[i].seconds * NS_PER_S, "%s", rows[i].text);
    }
}

Test(clock, any_year)
{
    static const char *const rows[] = { "0001-01-01T00:00:02.000000Z", "0000-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z", "1677-01-01T00:00:00.000001Z" };
    char text[CLOCK_TEXT];
    int64_t seconds, ns, wall;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert(clock_parse_parts(str_of(rows[i]), &seconds, &ns), "%s", rows[i]);
        clock_format_parts(seconds, ns, 6, text);
        cr_expect_str_eq(text, rows[i]);
        cr_expect(clock_parse(str_of(rows[i]), &wall));
        cr_expect_eq(wall, i == 2 ? INT64_MAX / 2 : INT64_MIN / 2, "what fits no number of nanoseconds is far away");
    }
    cr_expect_not(clock_parse_parts(STR("2026-01-01"), &seconds, &ns));
}

/* Another environment passes through, and the real one comes back. */
static int64_t fixed(void *ctx)
{
    return *(const int64_t *)ctx;
}

Test(env, can_be_replaced)
{
    static int64_t now = 42;
    struct env_ops ops = *env_real();
    ops.mono_ns = ops.wall_ns = fixed;
    ops.ctx = &now;
    env_set(&ops);
    cr_expect_eq(env_mono_ns(), 42);
    cr_expect_eq(env_wall_ns(), 42);
    env_set(NULL);
    cr_expect_gt(env_wall_ns(), 1700000000 * NS_PER_S);
    unsigned char a[32] = { 0 }, b[32] = { 0 };
    env_random(a, sizeof a);
    env_random(b, sizeof b);
    cr_expect_neq(memcmp(a, b, sizeof a), 0);
}

Test(env, disk_calls_tell_errors_as_numbers)
{
    const struct env_ops *e = env_real();
    char path[] = "/tmp/keelson-env-XXXXXX", text[16] = "";
    int made = mkstemp(path);
    cr_assert_geq(made, 0);
    close(made);
    cr_expect_lt(e->open(e->ctx, "/nowhere/file", O_RDONLY, 0), 0);
    int fd = e->open(e->ctx, path, O_RDWR, 0);
    cr_assert_geq(fd, 0);
    cr_expect_eq(e->pwrite_all(e->ctx, fd, "hello", 5, 3), 5);
    cr_expect_eq(e->pread(e->ctx, fd, text, sizeof text, 0), 8);
    cr_expect_str_eq(text + 3, "hello");
    cr_expect_eq(e->fdatasync(e->ctx, fd), 0);
    cr_expect_eq(e->ftruncate(e->ctx, fd, 4), 0);
    cr_expect_eq(e->pread(e->ctx, fd, text, sizeof text, 0), 4);
    cr_expect_eq(e->close(e->ctx, fd), 0);
    cr_expect_lt(e->fsync(e->ctx, fd), 0, "a closed descriptor");
    cr_expect_eq(e->unlink(e->ctx, path), 0);
    cr_expect_lt(e->unlink(e->ctx, path), 0);
}
