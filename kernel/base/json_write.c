/* json_write.c - tree to text, compact and pretty. */
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/plain.h"
#include "base/utf8.h"

/* 0 plain; 1 an escape; 2 no ASCII. The escapes are those of Go's encoder, so that texts equal upstream's. */
static const uint8_t escaped[256] = {
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,         1,          1,         1,         1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ['"'] = 1, ['\\'] = 1, ['<'] = 1, ['>'] = 1, ['&'] = 1, [0x80 ... 0xff] = 2,
};

static void write_escape(struct buf *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '"': buf_lit(b, "\\\""); return;
    case '\\': buf_lit(b, "\\\\"); return;
    case '\n': buf_lit(b, "\\n"); return;
    case '\r': buf_lit(b, "\\r"); return;
    case '\t': buf_lit(b, "\\t"); return;
    case '\b': buf_lit(b, "\\b"); return;
    case '\f': buf_lit(b, "\\f"); return;
    default: buf_add(b, (char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
    }
}

/* From at on the first byte that may need an escape, or the end. */
static inline const char *plain_run(const char *at, const char *end)
{
    at = plain_skip_write(at, end);
    while (at < end && !escaped[(unsigned char)*at])
        at++;
    return at;
}

/* What is written for the character (n bytes; 0: it is none) that is no ASCII; NULL: itself. */
static const char *instead(const char *at, size_t n)
{
    if (n == 3 && memcmp(at, "\xe2\x80", 2) == 0 && ((unsigned char)at[2] & 0xfe) == 0xa8)       /* ends of lines and of paragraphs */
        return (unsigned char)at[2] == 0xa8 ? "\\u2028" : "\\u2029";
    return n ? NULL : "\\ufffd";
}

/* From the first byte that needs care on. */
static void write_careful(struct buf *b, struct str s)
{
    const char *from = s.at, *end = s.at + s.len;
    for (const char *at = s.at; (at = plain_run(at, end)) < end;) {
        unsigned char c = (unsigned char)*at;
        size_t n = utf8_len(at, end);
        const char *other = escaped[c] == 2 ? instead(at, n) : NULL;
        if (escaped[c] == 2 && !other) {
            at += n;
            continue;
        }
        buf_add(b, from, (size_t)(at - from));
        if (other)
            buf_add_z(b, other);
        else
            write_escape(b, c);
        from = at += n ? n : 1;
    }
    buf_add(b, from, (size_t)(end - from));
}

void json_write_str(struct buf *b, struct str s)
{
    if (!s.len) {
        buf_lit(b, "\"\"");
        return;
    }
    const char *at = s.at, *end = s.at + s.len;
    at = plain_run(at, end);
    char *out = buf_at(b, s.len + 2);
    if (!out)
        return;
    size_t plain = (size_t)(at - s.at);
    *out++ = '"';
    str_copy(out, s.at, plain);
    if (at == end) {
        out[plain] = '"';
        out[plain + 1] = '\0';
        b->len += plain + 2;
        return;
    }
    b->len += plain + 1;
    write_careful(b, str_n(at, (size_t)(end - at)));
    buf_add_c(b, '"');
}

static void write_scalar(struct buf *b, const struct val *v)
{
    switch (v->type) {
    case VAL_NULL: buf_lit(b, "null"); break;
    case VAL_BOOL: buf_add_z(b, v->i ? "true" : "false"); break;
    case VAL_INT: buf_add_int(b, v->i); break;
    case VAL_NUM: buf_add(b, v->s, v->n); break;
    default: json_write_str(b, str_n(v->s, v->n)); break;
    }
}

static void line(struct buf *b, int indent)
{
    if (indent < 0)
        return;
    buf_add_c(b, '\n');
    for (int i = 0; i < indent; i++)
        buf_lit(b, "  ");
}

/* indent < 0: compact. Depth is bounded by JSON_DEPTH for parsed trees and small for built ones. */
static void write_val(struct buf *b, const struct val *v, int indent)
{
    if (v->type < VAL_ARR) {
        write_scalar(b, v);
        return;
    }
    bool obj = v->type == VAL_OBJ;
    int inner = indent < 0 ? -1 : indent + 1;
    buf_add_c(b, obj ? '{' : '[');
    val_each(kid, v)
    {
        if (kid != v->first)
            buf_add_c(b, ',');
        line(b, inner);
        if (obj) {
            json_write_str(b, val_key(kid));
            buf_add_c(b, ':');
            if (inner >= 0)
                buf_add_c(b, ' ');
        }
        write_val(b, kid, inner);
    }
    if (v->first)
        line(b, indent);
    buf_add_c(b, obj ? '}' : ']');
}

void json_write(struct buf *b, const struct val *v)
{
    if (!v)
        b->failed = true;
    else if (v->type == VAL_STR)
        json_write_str(b, str_n(v->s, v->n));
    else
        write_val(b, v, -1);
}

void json_write_pretty(struct buf *b, const struct val *v)
{
    if (v)
        write_val(b, v, 0);
    else
        b->failed = true;
}

static void write_member(struct buf *b, const struct val *m, bool first)
{
    if (!first)
        buf_add_c(b, ',');
    json_write_str(b, val_key(m));
    buf_add_c(b, ':');
    json_write_sorted(b, m);
}

/* Mostly they stand by name already. */
static void write_members(struct buf *b, const struct val *v)
{
    if (json_is_sorted(v)) {
        val_each(m, v) write_member(b, m, m == v->first);
        return;
    }
    const struct val **all = mem_alloc(v->n * sizeof *all);
    unsigned n = 0;
    b->failed |= !all;
    if (!all)
        return;
    val_each(m, v) all[n++] = m;
    qsort(all, n, sizeof *all, val_by_key);
    for (unsigned i = 0; i < n; i++)
        write_member(b, all[i], i == 0);
    mem_free(all);
}

void json_write_sorted(struct buf *b, const struct val *v)
{
    if (!v || v->type < VAL_ARR) {
        json_write(b, v);
        return;
    }
    buf_add_c(b, v->type == VAL_OBJ ? '{' : '[');
    if (v->type == VAL_OBJ)
        write_members(b, v);
    else
        val_each(item, v)
        {
            if (item != v->first)
                buf_add_c(b, ',');
            json_write_sorted(b, item);
        }
    buf_add_c(b, v->type == VAL_OBJ ? '}' : ']');
}
