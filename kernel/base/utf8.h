/* utf8.h - what is a character of UTF-8, as Unicode and Go have it: no surrogates, nothing longer than need be, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

#include "base/str.h"

/* Bytes of the character that s begins with (s < end); 0: it begins with none. */
static inline size_t utf8_len(const char *s, const char *end)
{
    const unsigned char *x = (const unsigned char *)s;
    size_t n = x[0] < 0x80 ? 1 : x[0] >= 0xc2 && x[0] <= 0xdf ? 2 : (x[0] & 0xf0) == 0xe0 ? 3 : x[0] >= 0xf0 && x[0] <= 0xf4 ? 4 : 0;
    if ((size_t)(end - s) < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((x[i] & 0xc0) != 0x80)
            return 0;
    if ((x[0] == 0xe0 && x[1] < 0xa0) || (x[0] == 0xed && x[1] > 0x9f) || (x[0] == 0xf0 && x[1] < 0x90) || (x[0] == 0xf4 && x[1] > 0x8f))
        return 0;
    return n;
}

static inline bool utf8_valid(struct str s)
{
    const char *end = s.at + s.len;
    for (size_t n; s.at < end; s.at += n)
        if (!(n = utf8_len(s.at, end)))
            return false;
    return true;
}

#endif
