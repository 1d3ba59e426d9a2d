/* varint.h - numbers as protobuf writes them: seven bits a byte, the least first. [any] */
#ifndef BASE_VARINT_H
#define BASE_VARINT_H

#include "base/buf.h"

static inline void varint_put(struct buf *b, uint64_t v)
{
    char tmp[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        tmp[n++] = (char)(v | 0x80);
    tmp[n++] = (char)v;
    buf_add(b, tmp, n);
}

/* Takes one off the front. False: it is cut short, or longer than 64 bits. */
static inline bool varint_take(struct str *s, uint64_t *ret)
{
    *ret = 0;
    for (unsigned shift = 0; s->len && shift < 64; shift += 7) {
        unsigned char c = (unsigned char)s->at[0];
        *s = str_skip(*s, 1);
        *ret |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return true;
    }
    return false;
}

#endif
