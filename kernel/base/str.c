/* str.c - see str.h. */
#include "base/str.h"

int str_cmp(struct str a, struct str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int rc = n ? memcmp(a.at, b.at, n) : 0;
    return rc ? rc : (a.len > b.len) - (a.len < b.len);
}

long str_find(struct str s, char c)
{
    const char *p = s.len ? memchr(s.at, c, s.len) : NULL;
    return p ? p - s.at : -1;
}

struct str str_cut(struct str *s, char c)
{
    long i = str_find(*s, c);
    struct str part = *s;
    if (i < 0) {
        *s = STR_NONE;
        return part;
    }
    part.len = (size_t)i;
    *s = (struct str){ s->at + i + 1, s->len - (size_t)i - 1 };
    return part;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
    while (s.len && is_space(s.at[0]))
        s.at++, s.len--;
    while (s.len && is_space(s.at[s.len - 1]))
        s.len--;
    return s;
}

bool str_int(struct str s, int64_t *ret)
{
    bool minus = s.len && s.at[0] == '-';
    size_t i = minus;
    uint64_t v = 0, limit = minus ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    if (i == s.len)
        return false;
    for (; i < s.len; i++) {
        unsigned d = (unsigned)(unsigned char)s.at[i] - '0';
        if (d > 9 || v > (limit - d) / 10)
            return false;
        v = v * 10 + d;
    }
    *ret = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    return true;
}
