/* str.h - text with a length, by value, borrowed. What is built grows in a struct buf (buf.h). */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *at;
    size_t len;
};

#define STR(lit)  ((struct str){ "" lit, sizeof(lit) - 1 })
#define STR_NONE  ((struct str){ NULL, 0 })
#define STR_FMT   "%.*s"
#define STR_ARG(s) (int)(s).len, (s).at ? (s).at : ""

/* memcpy of what is mostly a few bytes (names, short values): without a call up to 32, by pieces that may overlap. */
static inline void str_copy(char *to, const char *from, size_t n)
{
    if (n > 32) {
        memcpy(to, from, n);
    } else if (n > 15) {
        memcpy(to + n - 16, from + n - 16, 16);
        memcpy(to, from, 16);
    } else if (n > 7) {
        memcpy(to + n - 8, from + n - 8, 8);
        memcpy(to, from, 8);
    } else if (n > 3) {
        memcpy(to + n - 4, from + n - 4, 4);
        memcpy(to, from, 4);
    } else if (n) {
        to[n - 1] = from[n - 1];
        to[n / 2] = from[n / 2];
        to[0] = from[0];
    }
}

/* memcmp(...) == 0 likewise. Both for loops that many go through: in place they are long. */
static inline bool str_same(const char *a, const char *b, size_t n)
{
    uint64_t x, y, v, w;
    if (n > 16)
        return memcmp(a, b, n) == 0;
    if (n > 7) {
        memcpy(&x, a, 8), memcpy(&y, b, 8), memcpy(&v, a + n - 8, 8), memcpy(&w, b + n - 8, 8);
        return x == y && v == w;
    }
    uint32_t p, q, r, s;
    if (n > 3) {
        memcpy(&p, a, 4), memcpy(&q, b, 4), memcpy(&r, a + n - 4, 4), memcpy(&s, b + n - 4, 4);
        return p == q && r == s;
    }
    return !n || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1]);
}

static inline struct str str_of(const char *z)
{
    return (struct str){ z, z ? strlen(z) : 0 };
}

static inline struct str str_n(const char *at, size_t len)
{
    return (struct str){ at, len };
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool str_is(struct str a, const char *z)
{
    return str_eq(a, str_of(z));
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.at, prefix.at, prefix.len) == 0);
}

static inline bool str_ends(struct str s, struct str tail)
{
    return s.len >= tail.len && (tail.len == 0 || memcmp(s.at + s.len - tail.len, tail.at, tail.len) == 0);
}

static inline struct str str_skip(struct str s, size_t n)
{
    return n >= s.len ? (struct str){ s.at + s.len, 0 } : (struct str){ s.at + n, s.len - n };
}

/* Byte order, the shorter first when one is a prefix. */
int str_cmp(struct str a, struct str b);
/* Position of c, or -1. */
long str_find(struct str s, char c);
/* Cuts *s at the first c: returns what stands before, *s becomes what stands behind. Without c: all of it, *s empty
 * with at == NULL. So: while (s.at) { part = str_cut(&s, ','); ... } */
struct str str_cut(struct str *s, char c);
/* Without white space at both ends. */
struct str str_trim(struct str s);
/* Whole text as a decimal integer. False: not one, or out of range. */
bool str_int(struct str s, int64_t *ret);
/* ASCII letters without case. */
bool str_eq_nocase(struct str a, struct str b);

#endif
