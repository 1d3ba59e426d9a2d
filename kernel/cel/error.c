/* error.c - what is wrong with an expression, shown as upstream shows it: message, the line, a mark below the place. */
#include "cel/cel-internal.h"

#include <stdarg.h>
#include <stdlib.h>

#define MOST_TROUBLES 100
#define MOST_SNIPPET  16384

void trouble(struct troubles *t, uint32_t at, const char *fmt, ...)
{
    char small[512];
    va_list ap, again;
    if (t->n == MOST_TROUBLES)
        return;
    if (t->n == t->cap) {
        unsigned cap = t->cap ? 2 * t->cap : 4;
        struct trouble *list = arena_alloc(t->arena, cap * sizeof *list);
        if (!list)
            return;
        if (t->n)
            memcpy(list, t->list, t->n * sizeof *list);
        t->list = list;
        t->cap = cap;
    }
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    char *text = n < 0 ? NULL : arena_raw(t->arena, (size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    t->list[t->n++] = (struct trouble){ at, text ? text : "" };
}

static int by_place(const void *a, const void *b)
{
    const struct trouble *x = a, *y = b;
    return x->at != y->at ? (x->at > y->at) - (x->at < y->at) : (x > y) - (x < y);
}

/* The code points of s, ASCII as '.', wider ones as a wide dot. */
static void dots(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.at[i] & 0xc0) != 0x80)
            buf_add_z(b, (unsigned char)s.at[i] < 0x80 ? "." : "\xef\xbc\x8e");
}

static void write_one(struct buf *b, struct str text, const struct trouble *one)
{
    size_t at = one->at < text.len ? one->at : text.len, from = at, to = at, line = 1;
    while (from > 0 && text.at[from - 1] != '\n')
        from--;
    while (to < text.len && text.at[to] != '\n')
        to++;
    for (size_t i = 0; i < from; i++)
        line += text.at[i] == '\n';
    buf_printf(b, "ERROR: <input>:%zu:%lld: %s", line, (long long)runes(str_n(text.at + from, at - from)) + (text.len != 0), one->text);
    if (!text.len || to - from > MOST_SNIPPET)
        return;
    buf_lit(b, "\n | ");
    for (size_t i = from; i < to; i++)
        buf_add_c(b, text.at[i] == '\t' ? ' ' : text.at[i]);
    buf_lit(b, "\n | ");
    dots(b, str_n(text.at + from, at - from));
    buf_add_z(b, at < to && (unsigned char)text.at[at] >= 0x80 ? "\xef\xbc\xbe" : "^");
}

const char *troubles_text(struct troubles *t)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4 << 20);
    if (t->n > 1)
        qsort(t->list, t->n, sizeof *t->list, by_place);
    for (unsigned i = 0; i < t->n; i++) {
        if (i)
            buf_add_c(&b, '\n');
        write_one(&b, t->text, &t->list[i]);
    }
    const char *text = b.failed ? NULL : arena_dup(t->arena, buf_str(&b));
    return text ? text : "out of memory";
}
