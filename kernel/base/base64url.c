/* base64url.c - six bits to a letter. */
#include "base/base64url.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(struct buf *b, const void *at, size_t n)
{
    const unsigned char *p = at;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16;
        v |= i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0;
        v |= i + 2 < n ? p[i + 2] : 0u;
        buf_add_c(b, digits[v >> 18]);
        buf_add_c(b, digits[v >> 12 & 63]);
        if (i + 1 < n)
            buf_add_c(b, digits[v >> 6 & 63]);
        if (i + 2 < n)
            buf_add_c(b, digits[v & 63]);
    }
}

struct str base64url_decode(struct arena *a, struct str s)
{
    char *out = arena_raw(a, s.len / 4 * 3 + 4), *o = out;
    uint32_t v = 0;
    int bits = 0;
    if (!out || s.len % 4 == 1)
        return STR_NONE;
    for (size_t i = 0; i < s.len; i++) {
        const char *p = s.at[i] ? strchr(digits, s.at[i]) : NULL;
        if (!p)
            return STR_NONE;
        v = v << 6 | (uint32_t)(p - digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *o++ = (char)(v >> bits);
        }
    }
    *o = '\0';
    return str_n(out, (size_t)(o - out));
}
