/* protobuf_write.c - typed tree to protobuf, by rows: what gogo's generated code writes (scalars and structs by value always, maps with
 * sorted keys). */
#include <stdlib.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/varint.h"
#include "object-internal.h"

/* --- writing: into a buffer, lengths first by measuring the nested message in a scratch buffer --- */

static int put_message(struct buf *b, const struct schema_type *t, const struct val *v, struct kl_err *err);

static void put_tag(struct buf *b, unsigned tag, unsigned wire)
{
    varint_put(b, (uint64_t)tag << 3 | wire);
}

static void put_bytes(struct buf *b, unsigned tag, struct str s)
{
    put_tag(b, tag, 2);
    varint_put(b, s.len);
    buf_add_str(b, s);
}

/* Begins a nested message: reserves one length byte, which message_end widens when one is not enough. */
static size_t message_begin(struct buf *b, unsigned tag)
{
    put_tag(b, tag, 2);
    buf_add_c(b, '\0');
    return b->len;
}

static void message_end(struct buf *b, size_t from)
{
    if (b->failed)
        return;
    size_t n = b->len - from, extra = 0;
    for (size_t v = n; v >= 0x80; v >>= 7)
        extra++;
    if (extra && !buf_room(b, extra))
        return;
    if (extra) {
        memmove(b->at + from + extra, b->at + from, n);
        b->len += extra;
    }
    char *at = b->at + from - 1;
    for (; n >= 0x80; n >>= 7)
        *at++ = (char)(n | 0x80);
    *at = (char)n;
}

static void put_time(struct buf *b, unsigned tag, const struct val *v)
{
    int64_t s, frac;
    size_t at = message_begin(b, tag);
    if (v && clock_parse_parts(val_str(v), &s, &frac)) {
        put_tag(b, 1, 0);
        varint_put(b, (uint64_t)s);
        put_tag(b, 2, 0);
        varint_put(b, (uint64_t)frac);
    }
    message_end(b, at);
}

static void put_int_or_string(struct buf *b, unsigned tag, const struct val *v)
{
    size_t at = message_begin(b, tag);
    bool text = val_is(v, VAL_STR);
    put_tag(b, 1, 0);
    varint_put(b, text);
    put_tag(b, 2, 0);
    varint_put(b, !text && v ? (uint64_t)v->i : 0);
    put_bytes(b, 3, text ? val_str(v) : STR(""));
    message_end(b, at);
}

static void put_double(struct buf *b, unsigned tag, const struct val *v)
{
    double d = 0;
    if (val_is(v, VAL_INT)) {
        d = (double)v->i;
    } else if (v) {
        char text[64];
        snprintf(text, sizeof text, "%.*s", (int)(v->n < 63 ? v->n : 63), v->s);
        d = strtod(text, NULL);
    }
    put_tag(b, tag, 1);
    buf_add(b, &d, 8);
}

/* Go's time.Duration text ("1h2m3.5s") in ns. */
static int64_t duration_parse(struct str s)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = { { "h", 3600e9 }, { "ms", 1e6 }, { "us", 1e3 }, { "ns", 1 }, { "m", 60e9 }, { "s", 1e9 } };
    bool minus = s.len && s.at[0] == '-';
    double total = 0;
    if (minus)
        s = str_skip(s, 1);
    while (s.len) {
        char text[32], *end;
        snprintf(text, sizeof text, "%.*s", (int)(s.len < 31 ? s.len : 31), s.at);
        double v = strtod(text, &end);
        if (end == text)
            break;
        s = str_skip(s, (size_t)(end - text));
        for (size_t i = 0; i < 6; i++)
            if (str_starts(s, str_of(units[i].unit))) {
                total += v * units[i].ns;
                s = str_skip(s, strlen(units[i].unit));
                break;
            }
    }
    return (int64_t)(minus ? -total : total);
}

static void put_raw(struct buf *b, unsigned tag, const struct val *v)
{
    size_t at = message_begin(b, tag);
    if (v) {
        size_t inner = message_begin(b, 1);
        json_write(b, v);
        message_end(b, inner);
    }
    message_end(b, at);
}

static void put_string_list(struct buf *b, unsigned tag, const struct val *v)
{
    if (!v)
        return;
    val_each(item, v)
        put_bytes(b, tag, val_str(item));
}

static const struct schema_type *schema_props(void)
{
    return schema_type_by_name(STR("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"));
}

static int put_nested(struct buf *b, unsigned tag, const struct schema_type *t, const struct val *v, struct kl_err *err)
{
    size_t at = message_begin(b, tag);
    int rc = put_message(b, t, v, err);
    message_end(b, at);
    return rc;
}

static int put_union(struct buf *b, unsigned tag, const struct schema_type *t, const struct val *v, struct kl_err *err)
{
    size_t at = message_begin(b, tag);
    int rc = 0;
    if (t->kind == T_JSON_SCHEMA_OR_BOOL) {
        put_tag(b, 1, 0);
        varint_put(b, v->type != VAL_BOOL || v->i);
    }
    if (v->type == VAL_OBJ)
        rc = put_nested(b, t->kind == T_JSON_SCHEMA_OR_BOOL ? 2 : 1, schema_props(), v, err);
    if (v->type == VAL_ARR && t->kind == T_JSON_SCHEMA_OR_STRINGS)
        put_string_list(b, 2, v);
    if (v->type == VAL_ARR && t->kind == T_JSON_SCHEMA_OR_ARRAY)
        val_each(item, v)
            if (rc == 0)
                rc = put_nested(b, 2, schema_props(), item, err);
    message_end(b, at);
    return rc;
}

/* One value under a tag; v NULL: the zero value. */
static int put_one(struct buf *b, unsigned tag, const struct schema_type *t, const struct val *v, struct kl_err *err)
{
    size_t at;
    switch (t->kind) {
    case T_STRUCT: return put_nested(b, tag, t, v, err);
    case T_STRING: put_bytes(b, tag, v ? val_str(v) : STR("")); break;
    case T_BOOL: case T_INT32: case T_INT64:
        put_tag(b, tag, 0);
        varint_put(b, v ? (uint64_t)v->i : 0);
        break;
    case T_DOUBLE: put_double(b, tag, v); break;
    case T_BYTES:
        at = message_begin(b, tag);
        if (v && v->n) {
            char *room = buf_room(b, base64_decoded(val_str(v)));
            if (room)
                b->len += base64_decode(val_str(v), room);
        }
        message_end(b, at);
        break;
    case T_TIME: case T_MICROTIME: put_time(b, tag, v); break;
    case T_DURATION:
        at = message_begin(b, tag);
        put_tag(b, 1, 0);
        varint_put(b, (uint64_t)duration_parse(val_str(v)));
        message_end(b, at);
        break;
    case T_QUANTITY:
        at = message_begin(b, tag);
        put_bytes(b, 1, v ? val_str(v) : STR("0"));
        message_end(b, at);
        break;
    case T_INT_OR_STRING: put_int_or_string(b, tag, v); break;
    case T_RAW: case T_JSON: put_raw(b, tag, v); break;
    case T_STRINGS:
        at = message_begin(b, tag);
        put_string_list(b, 1, v);
        message_end(b, at);
        break;
    default:
        return v ? put_union(b, tag, t, v, err) : 0;
    }
    return 0;
}

static int put_map(struct buf *b, const struct schema_field *f, const struct val *v, struct kl_err *err)
{
    struct val *few[64], **at = v->n <= 64 ? few : mem_alloc(v->n * sizeof *at);
    unsigned n = 0;
    int rc = 0;
    if (!at)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    val_each(m, v)
        at[n++] = m;
    qsort(at, n, sizeof *at, val_by_key);
    for (unsigned i = 0; i < n && rc == 0; i++) {
        size_t from = message_begin(b, f->tag);
        put_bytes(b, 1, val_key(at[i]));
        rc = put_one(b, 2, f->type, at[i], err);
        message_end(b, from);
    }
    if (at != few)
        mem_free(at);
    return rc;
}

static int put_field(struct buf *b, const struct schema_field *f, const struct val *parent, struct kl_err *err)
{
    if (!f->tag)
        return 0;
    if (f->flags & F_INLINE_STRUCT)
        return put_nested(b, f->tag, f->type, parent, err);
    const struct val *v = json_get(parent, str_n(f->json, f->json_len));
    if (v && v->type == VAL_NULL && f->type->kind != T_JSON)
        v = NULL;
    if (f->shape == SHAPE_ONE) {
        bool always = !(f->flags & F_POINTER) && f->type->kind != T_BYTES;
        return v || always ? put_one(b, f->tag, f->type, v, err) : 0;
    }
    if (!v)
        return 0;
    if (f->shape == SHAPE_MAP)
        return put_map(b, f, v, err);
    val_each(item, v)
        if (put_one(b, f->tag, f->type, item, err) < 0)
            return -1;
    return 0;
}

static int put_message(struct buf *b, const struct schema_type *t, const struct val *v, struct kl_err *err)
{
    for (unsigned i = 0; i < t->n_fields; i++)
        if (put_field(b, &t->fields[i], v, err) < 0)
            return -KL_INTERNAL;
    return b->failed ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : 0;
}

int object_encode_message(struct buf *b, const struct schema_type *t, const struct val *v, struct kl_err *err)
{
    return put_message(b, t, v, err);
}

int object_encode_protobuf(struct buf *b, const struct schema_type *t, const struct val *v, struct kl_err *err)
{
    buf_add(b, "k8s\0", 4);
    size_t at = message_begin(b, 1);
    put_bytes(b, 1, json_str(v, "apiVersion"));
    put_bytes(b, 2, json_str(v, "kind"));
    message_end(b, at);
    at = message_begin(b, 2);
    int rc = put_message(b, t, v, err);
    message_end(b, at);
    put_bytes(b, 3, STR(""));
    put_bytes(b, 4, STR(""));
    return b->failed ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : rc;
}
