/* restore.c - a strategic patch as upstream sees it: maps and lists of Go, made an object by its converter, which knows other rules than a decoder of JSON:
 * whole numbers may be written with a point or be too large, and it says in other words what does not fit. Asked only when an object would be refused. */
#include "base/mem.h"
#include "object-internal.h"

#include <math.h>
#include <stdlib.h>

/* --- a value as Go prints it --- */

static double number(const struct val *v)
{
    char text[64];
    if (v->type == VAL_INT)
        return (double)v->i;
    size_t n = v->n < sizeof text ? v->n : sizeof text - 1;
    memcpy(text, v->s, n);
    text[n] = '\0';
    return strtod(text, NULL);
}

/* The fewest digits that read back as the same; with an exponent from a million on. */
static void write_float(struct buf *b, double x)
{
    char text[40];
    int digits = 1, exponent = 0;
    do
        snprintf(text, sizeof text, "%.*e", digits - 1, x);
    while (digits++ < 17 && strtod(text, NULL) != x);
    const char *e = strchr(text, 'e');
    exponent = e ? (int)strtol(e + 1, NULL, 10) : 0;
    digits--;
    if (exponent < -4 || exponent >= 6)
        buf_add_z(b, text);
    else
        buf_printf(b, "%.*f", digits - 1 - exponent > 0 ? digits - 1 - exponent : 0, x);
}

static int by_key(const void *a, const void *b)
{
    return val_by_key(a, b);
}

static void write_map(struct buf *b, const struct val *v)
{
    struct val **at = v->n ? mem_alloc(v->n * sizeof *at) : NULL;
    unsigned n = 0;
    if (v->n && !at) {
        b->failed = true;
        return;
    }
    if (at) {
        val_each(m, v)
            at[n++] = m;
        qsort(at, n, sizeof *at, by_key);
    }
    buf_add_z(b, "map[");
    for (unsigned i = 0; i < n; i++) {
        buf_printf(b, "%s" STR_FMT ":", i ? " " : "", STR_ARG(val_key(at[i])));
        object_write_go(b, at[i]);
    }
    buf_add_c(b, ']');
    mem_free(at);
}

void object_write_go(struct buf *b, const struct val *v)
{
    switch (v->type) {
    case VAL_BOOL: buf_add_z(b, v->i ? "true" : "false"); break;
    case VAL_INT: buf_printf(b, "%lld", (long long)v->i); break;
    case VAL_NUM: write_float(b, number(v)); break;
    case VAL_STR: buf_printf(b, STR_FMT, STR_ARG(val_str(v))); break;
    case VAL_OBJ: write_map(b, v); break;
    case VAL_ARR:
        buf_add_c(b, '[');
        val_each(item, v) {
            buf_add_z(b, item == v->first ? "" : " ");
            object_write_go(b, item);
        }
        buf_add_c(b, ']');
        break;
    default: buf_add_z(b, "<nil>");
    }
}

size_t object_unseen(struct str s, unsigned *ret)
{
    static const unsigned ranges[][2] = { { 0, 0x1f }, { 0x7f, 0xa0 }, { 0xad, 0xad }, { 0x1680, 0x1680 }, { 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f }, { 0x3000, 0x3000 },
                                          { 0xe000, 0xf8ff }, { 0xfeff, 0xfeff } };
    const unsigned char *x = (const unsigned char *)s.at;
    size_t n = x[0] < 0x80 ? 1 : s.len > 1 && (x[0] & 0xe0) == 0xc0 ? 2 : s.len > 2 && (x[0] & 0xf0) == 0xe0 ? 3 : 0;
    *ret = n == 1 ? x[0] : n == 2 ? (x[0] & 0x1fu) << 6 | (x[1] & 0x3fu) : n == 3 ? (x[0] & 0xfu) << 12 | (x[1] & 0x3fu) << 6 | (x[2] & 0x3fu) : 0;
    for (size_t i = 0; n && i < sizeof ranges / sizeof *ranges; i++)
        if (*ret >= ranges[i][0] && *ret <= ranges[i][1])
            return n;
    return 0;
}

void object_write_quoted(struct buf *b, struct str s)
{
    static const char plain[] = "\a\b\f\n\r\t\v\"\\", letters[] = "abfnrtv\"\\";
    buf_add_c(b, '"');
    while (s.len) {
        unsigned code;
        unsigned char x = (unsigned char)s.at[0];
        const char *found = x ? strchr(plain, x) : NULL;
        size_t n = object_unseen(s, &code);
        if (found)
            buf_printf(b, "\\%c", letters[found - plain]);
        else if (n)
            buf_printf(b, n == 1 ? "\\x%02x" : "\\u%04x", code);
        else
            buf_add_c(b, s.at[0]);
        s = str_skip(s, n ? n : 1);
    }
    buf_add_c(b, '"');
}

/* --- the converter --- */

static const char *const go_kinds[] = { "", "", "bool", "int64", "float64", "string", "slice", "map" };
static const char *const json_kinds[] = { "", "null", "bool", "number", "number", "string", "array", "object" };

static const char *restore_type(struct arena *a, const struct schema_type *t, struct val *v);

static const char *restore_int(struct arena *a, struct val *v, bool small)
{
    const char *name = small ? "int32" : "int64";
    if (v->type == VAL_NUM) {
        double x = number(v);
        if (x != trunc(x))
            return arena_printf(a, "cannot convert float64 to %s", name);
        v->type = VAL_INT;
        v->i = fabs(x) < 0x1p63 ? (int64_t)x : INT64_MIN;
    }
    if (v->type != VAL_INT)
        return arena_printf(a, "unrecognized type: %s", name);
    if (small)
        v->i = (int32_t)(uint32_t)v->i;
    return NULL;
}

/* These have decoders of their own, which are given the value as JSON. */
static const char *decode(struct arena *a, const struct schema_type *t, struct val *v)
{
    struct kl_err err;
    kl_err_init(&err);
    if (t->kind == T_INT_OR_STRING && v->type != VAL_STR) {
        bool fits = v->type == VAL_INT && v->i >= INT32_MIN && v->i <= INT32_MAX;
        _cleanup_buf_ struct buf b = BUF_INIT(64);
        if (v->type == VAL_INT || v->type == VAL_NUM) {
            buf_add_c(&b, ' ');
            json_write(&b, v);
        }
        return fits ? NULL : arena_printf(a, "json: cannot unmarshal %s%s into Go value of type int32", json_kinds[v->type], b.len ? b.at : "");
    }
    if ((t->kind == T_TIME || t->kind == T_MICROTIME || t->kind == T_DURATION) && v->type != VAL_STR)
        return arena_printf(a, "json: cannot unmarshal %s into Go value of type string", json_kinds[v->type]);
    return object_conform(a, t, v, NULL, &err) < 0 ? arena_printf(a, "%s%s", t->kind == T_BYTES ? "error decoding from json: " : "", err.msg) : NULL;
}

static const char *restore_scalar(struct arena *a, const struct schema_type *t, struct val *v)
{
    switch (t->kind) {
    case T_STRING: return v->type == VAL_STR ? NULL : v->type == VAL_INT ? "cannot convert int64 to string" : "unrecognized type: string";
    case T_BOOL: return v->type == VAL_BOOL ? NULL : "unrecognized type: bool";
    case T_INT32: return restore_int(a, v, true);
    case T_INT64: return restore_int(a, v, false);
    case T_DOUBLE: return v->type == VAL_INT || v->type == VAL_NUM ? NULL : "unrecognized type: float64";
    case T_BYTES: return v->type == VAL_STR ? decode(a, t, v) : arena_printf(a, "cannot restore slice from %s", go_kinds[v->type]);
    case T_TIME: case T_MICROTIME: case T_DURATION: case T_QUANTITY: case T_INT_OR_STRING: return decode(a, t, v);
    default: return NULL;               /* any JSON */
    }
}

static const char *restore_field(struct arena *a, const struct schema_field *f, struct val *v)
{
    const char *why;
    if (f->shape == SHAPE_ONE)
        return restore_type(a, f->type, v);
    if (v->type != (f->shape == SHAPE_LIST ? VAL_ARR : VAL_OBJ))
        return arena_printf(a, "cannot restore %s from %s", f->shape == SHAPE_LIST ? "slice" : "map", go_kinds[v->type]);
    val_each(kid, v)
        if (kid->type != VAL_NULL && (why = restore_type(a, f->type, kid)))
            return why;
    return NULL;
}

static const char *restore_type(struct arena *a, const struct schema_type *t, struct val *v)
{
    if (t->kind != T_STRUCT)
        return restore_scalar(a, t, v);
    if (v->type != VAL_OBJ)
        return arena_printf(a, "cannot restore struct from: %s", go_kinds[v->type]);
    for (unsigned i = 0; i < t->n_flat; i++) {
        struct val *m = json_get(v, str_n(t->flat[i]->json, t->flat[i]->json_len));
        const char *why = m && m->type != VAL_NULL ? restore_field(a, t->flat[i], m) : NULL;
        if (why)
            return why;
    }
    return NULL;
}

const char *object_restore(struct arena *a, const struct schema_type *t, struct val *v)
{
    return restore_type(a, t, v);
}
