/* scan.c - looking into text finds what the tree of the same text holds, at every member, whatever the strings look like. */
#include "base/json_scan.h"

#include <criterion/criterion.h>

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"

static unsigned dice = 7;

static unsigned roll(unsigned n)
{
    dice = dice * 1664525u + 1013904223u;
    return (dice >> 10) % n;
}

/* Strings of all lengths around a word, with what could be taken for structure in them. */
static void put_string(struct buf *b)
{
    static const char *const parts[] = { "a", "bcdefgh", "{", "}", "[", "]", ",", ":", "\\\"", "\\\\", "\\n", " ", "\xc3\xa9" };
    buf_add_c(b, '"');
    for (unsigned n = roll(12); n; n--)
        buf_add_z(b, parts[roll(13)]);
    buf_add_c(b, '"');
}

static void put_value(struct buf *b, unsigned depth)
{
    unsigned kind = roll(depth ? 6 : 4), n = roll(6);
    switch (kind) {
    case 0: buf_add_int(b, (int64_t)roll(100000) - 50000); return;
    case 1: buf_add_z(b, roll(2) ? "true" : "null"); return;
    case 2: case 3: put_string(b); return;
    }
    buf_add_c(b, kind == 4 ? '{' : '[');
    for (unsigned i = 0; i < n; i++) {
        buf_add_z(b, i ? roll(3) ? "," : " , " : "");
        if (kind == 4)
            buf_printf(b, "\"k%u\"%s:", i, roll(4) ? "" : " ");
        put_value(b, depth - 1);
    }
    buf_add_c(b, kind == 4 ? '}' : ']');
}

static void compare(struct arena *a, struct str text, const struct val *v)
{
    struct str at = text, key, value;
    if (v->type == VAL_OBJ) {
        val_each(m, v) {
            cr_assert(json_scan_next(&at, &key, &value), "in " STR_FMT, STR_ARG(text));
            cr_assert(str_eq(key, val_key(m)));
            cr_assert(str_eq(json_scan_member(text, key), value));
            cr_assert(val_equal(json_parse(a, value, NULL), m), STR_FMT, STR_ARG(value));
            compare(a, value, m);
        }
        cr_assert_not(json_scan_next(&at, &key, &value));
        cr_assert_null(json_scan_member(text, STR("absent")).at);
    } else if (v->type == VAL_ARR) {
        val_each(m, v) {
            cr_assert(json_scan_item(&at, &value));
            compare(a, value, m);
        }
        cr_assert_not(json_scan_item(&at, &value));
    }
}

Test(scan, as_the_tree)
{
    struct arena *a = arena_new(0);
    for (int i = 0; i < 3000; i++) {
        struct buf b = BUF_INIT(0);
        buf_add_c(&b, '{');
        for (unsigned k = 0; k < 4; k++) {
            buf_printf(&b, "%s\"k%u\":", k ? "," : "", k);
            put_value(&b, 4);
        }
        buf_add_c(&b, '}');
        struct val *v = json_parse(a, buf_str(&b), NULL);
        cr_assert(v != NULL, "%s", b.at);
        compare(a, buf_str(&b), v);
        for (const char *const *p = (const char *const[]){ "k0.k1", "k3.k0.k2", "k2.absent", NULL }; *p; p++) {
            struct val *want = json_path(v, *p);
            struct str got = json_scan_path(buf_str(&b), *p);
            cr_assert(!want == !got.at, "%s in %s", *p, b.at);
            cr_assert(!want || val_equal(json_parse(a, got, NULL), want), "%s in %s", *p, b.at);
        }
        static const char *const several[] = { "k1.k0", "k0", "k3.k1", "k0.k1", "k2.absent", "absent", "k3", "k1.k2", "k" };
        struct str all[9];
        json_scan_paths(buf_str(&b), several, 9, all);
        for (int s = 0; s < 9; s++) {
            struct str one = json_scan_path(buf_str(&b), several[s]);
            cr_assert(all[s].at == one.at && all[s].len == one.len, "%s in %s", several[s], b.at);
        }
        /* Every text that ends early: no read behind its end (AddressSanitizer), an answer or none. */
        for (size_t n = 0; i % 100 == 0 && n < b.len; n++) {
            char *part = mem_dup(b.at, n);
            char *exact = realloc(part, n ? n : 1);
            json_scan_path(str_n(exact, n), "k3.k0.k1");
            json_scan_paths(str_n(exact, n), several, 9, all);
            free(exact);
        }
        buf_free(&b);
        arena_reset(a);
    }
    arena_free(a);
}
