/* buf.h - text or bytes that grow, up to a limit given at the start. A failed addition marks the buffer `failed` and
 * later ones do nothing, so that callers check once, at the end. Always zero-terminated behind len.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

struct buf {
    char *at;
    size_t len, cap, max;               /* max 0: no limit; cap is never more than max + 1 */
    bool failed;
};

#define BUF_INIT(most) { .max = (most) }

void buf_free(struct buf *b);                           /* also clears; usable again */
void buf_clear(struct buf *b);                          /* keeps the memory */
char *buf_room(struct buf *b, size_t n);                /* room for n more bytes at the end; NULL: failed. Then b->len += used */
void buf_add_slow(struct buf *b, const void *at, size_t n);
void buf_add_z(struct buf *b, const char *z);
void buf_add_int(struct buf *b, int64_t v);
void buf_add_uint(struct buf *b, uint64_t v);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *fmt, ...);
#define buf_lit(b, lit) buf_add((b), "" lit, sizeof(lit) - 1)

/* buf_room without a call when there is room. */
static inline char *buf_at(struct buf *b, size_t n)
{
    return b->failed || n >= b->cap - b->len ? buf_room(b, n) : b->at + b->len;
}

/* What there is room for is added in place: texts are built of many small pieces. */
static inline void buf_add(struct buf *b, const void *at, size_t n)
{
    if (b->failed || n >= b->cap - b->len) {
        buf_add_slow(b, at, n);
        return;
    }
    if (n)
        memcpy(b->at + b->len, at, n);
    b->len += n;
    b->at[b->len] = '\0';
}

static inline void buf_add_c(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

static inline void buf_add_str(struct buf *b, struct str s)
{
    buf_add(b, s.at, s.len);
}

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){ b->at ? b->at : "", b->len };
}

/* Hands the memory over (free with mem_free); *b is empty then. NULL when it failed. */
char *buf_take(struct buf *b, size_t *ret_len);

#endif
