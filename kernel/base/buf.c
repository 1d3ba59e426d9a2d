/* buf.c - see buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

void buf_free(struct buf *b)
{
    mem_free(b->at);
    *b = (struct buf){ .max = b->max };
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

char *buf_room(struct buf *b, size_t n)
{
    if (b->failed || n > SIZE_MAX / 4 || (b->max && b->len + n > b->max)) {
        b->failed = true;
        return NULL;
    }
    if (b->len + n + 1 > b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 256;
        while (cap < b->len + n + 1)
            cap *= 2;
        if (b->max && cap > b->max + 1)
            cap = b->max + 1;
        char *at = mem_resize(b->at, cap);
        if (!at) {
            b->failed = true;
            return NULL;
        }
        b->at = at;
        b->cap = cap;
    }
    return b->at + b->len;
}

void buf_add_slow(struct buf *b, const void *at, size_t n)
{
    char *p = buf_room(b, n);
    if (!p)
        return;
    if (n)
        memcpy(p, at, n);
    b->len += n;
    b->at[b->len] = '\0';
}

void buf_add_z(struct buf *b, const char *z)
{
    buf_add(b, z, strlen(z));
}

void buf_add_uint(struct buf *b, uint64_t v)
{
    char tmp[20], *p = tmp + sizeof tmp;
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    buf_add(b, p, (size_t)(tmp + sizeof tmp - p));
}

void buf_add_int(struct buf *b, int64_t v)
{
    if (v < 0)
        buf_add_c(b, '-');
    buf_add_uint(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : buf_room(b, (size_t)n);
    if (p) {
        vsnprintf(p, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    } else {
        b->failed = true;
    }
    va_end(again);
}

char *buf_take(struct buf *b, size_t *ret_len)
{
    if (b->failed || !buf_room(b, 0)) {
        buf_free(b);
        return NULL;
    }
    char *at = b->at;
    at[b->len] = '\0';
    if (ret_len)
        *ret_len = b->len;
    *b = (struct buf){ .max = b->max };
    return at;
}
