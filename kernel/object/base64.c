/* base64.c - standard alphabet, padded, line breaks allowed on input (as Go's decoder does). */
#include "object-internal.h"

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_valid(struct str s)
{
    size_t n = 0, pad = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (c == '\n' || c == '\r')
            continue;
        if (c == '=') {
            pad++;
            continue;
        }
        if (pad || digit(c) < 0)
            return false;
        n++;
    }
    return pad <= 2 && (n + pad) % 4 == 0 && n % 4 != 1;
}

/* The first character that cannot stand there; of a text that ends too early, the beginning of its last four. */
size_t base64_wrong_at(struct str s)
{
    size_t n = 0, four = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (c == '\n' || c == '\r')
            continue;
        if (n % 4 == 0)
            four = i;
        if (c == '=' ? n % 4 < 2 : digit(c) < 0)
            return i;
        if (c == '=')                   /* the rest of it, and nothing behind */
            return n % 4 == 3 || i + 1 >= s.len ? i + 1 : s.at[i + 1] != '=' ? i : i + 2;
        n++;
    }
    return four;
}

size_t base64_decoded(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += digit(s.at[i]) >= 0;
    return n * 3 / 4;
}

size_t base64_decode(struct str s, char *ret)
{
    uint32_t v = 0;
    int bits = 0;
    char *o = ret;
    for (size_t i = 0; i < s.len; i++) {
        int d = digit(s.at[i]);
        if (d < 0)
            continue;
        v = v << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *o++ = (char)(v >> bits);
        }
    }
    return (size_t)(o - ret);
}

void base64_encode(struct buf *b, struct str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)s.at;
    char *o = buf_room(b, (s.len + 2) / 3 * 4);
    if (!o)
        return;
    char *start = o;
    for (size_t i = 0; i < s.len; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < s.len ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < s.len ? p[i + 2] : 0);
        *o++ = digits[v >> 18];
        *o++ = digits[v >> 12 & 63];
        *o++ = i + 1 < s.len ? digits[v >> 6 & 63] : '=';
        *o++ = i + 2 < s.len ? digits[v & 63] : '=';
    }
    b->len += (size_t)(o - start);
    b->at[b->len] = '\0';
}
