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
