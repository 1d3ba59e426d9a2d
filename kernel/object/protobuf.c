/* protobuf.c - typed tree to protobuf and back, by rows. Writes what gogo's generated code writes: scalars and structs by value always,
 * maps with sorted keys; reads anything that is well-formed, unknown numbers skipped. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/quantity.h"
#include "object-internal.h"

#define DEPTH 100

/* --- writing: into a buffer, lengths first by measuring the nested message in a scratch buffer --- */

static int put_message(struct buf *b, const struct schema_type *t, const struct val *v, struct kl_err *err);

static void put_varint(struct buf *b, uint64_t v)
{
    char tmp[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        tmp[n++] = (char)(v | 0x80);
    tmp[n++] = (char)v;
    buf_add(b, tmp, n);
}

static void put_tag(struct buf *b, unsigned tag, unsigned wire)
{
    put_varint(b, (uint64_t)tag << 3 | wire);
}

static void put_bytes(struct buf *b, unsigned tag, struct str s)
{
    put_tag(b, tag, 2);
    put_varint(b, s.len);
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
    int64_t ns = 0;
    size_t at = message_begin(b, tag);
    if (v && clock_parse(val_str(v), &ns)) {
        int64_t s = ns / NS_PER_S, frac = ns % NS_PER_S;
        if (frac < 0)
            frac += NS_PER_S, s--;
        put_tag(b, 1, 0);
        put_varint(b, (uint64_t)s);
        put_tag(b, 2, 0);
        put_varint(b, (uint64_t)frac);
    }
    message_end(b, at);
}

static void put_int_or_string(struct buf *b, unsigned tag, const struct val *v)
{
    size_t at = message_begin(b, tag);
    bool text = val_is(v, VAL_STR);
    put_tag(b, 1, 0);
    put_varint(b, text);
    put_tag(b, 2, 0);
    put_varint(b, !text && v ? (uint64_t)v->i : 0);
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
        put_varint(b, v->type != VAL_BOOL || v->i);
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
        put_varint(b, v ? (uint64_t)v->i : 0);
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
        put_varint(b, (uint64_t)duration_parse(val_str(v)));
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

static int by_key(const void *a, const void *b)
{
    const struct val *const *x = a, *const *y = b;
    return str_cmp(val_key(*x), val_key(*y));
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
    qsort(at, n, sizeof *at, by_key);
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

/* --- reading --- */

struct reader {
    struct arena *arena;
    struct kl_err *err;
    unsigned depth, nodes;
};

struct wire {
    uint32_t tag;
    unsigned type;
    uint64_t number;
    struct str bytes;
};

static int bad(struct reader *r, const char *what)
{
    return kl_err_set(r->err, KL_BAD_REQUEST, "proto: %s", what);
}

static bool get_varint(struct str *s, uint64_t *ret)
{
    *ret = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (!s->len)
            return false;
        unsigned char c = (unsigned char)s->at[0];
        *s = str_skip(*s, 1);
        *ret |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return true;
    }
    return false;
}

/* 1 a field, 0 the end, < 0 malformed. */
static int next_wire(struct reader *r, struct str *s, struct wire *w)
{
    uint64_t head, n;
    if (!s->len)
        return 0;
    if (!get_varint(s, &head) || head >> 3 == 0 || head >> 3 > 0x1fffffff)
        return bad(r, "illegal tag");
    w->tag = (uint32_t)(head >> 3);
    w->type = head & 7;
    w->bytes = STR_NONE;
    switch (w->type) {
    case 0: return get_varint(s, &w->number) ? 1 : bad(r, "integer overflow or unexpected end");
    case 1: case 5: n = w->type == 1 ? 8 : 4; break;
    case 2:
        if (!get_varint(s, &n))
            return bad(r, "unexpected end");
        break;
    default: return bad(r, "illegal wireType");
    }
    if (n > s->len)
        return bad(r, "unexpected EOF");
    w->bytes = str_n(s->at, (size_t)n);
    *s = str_skip(*s, (size_t)n);
    return 1;
}

static struct val *get_message(struct reader *r, const struct schema_type *t, struct str s, struct val *into);

static struct val *new_val(struct reader *r, enum val_type t)
{
    if (++r->nodes > JSON_NODES) {
        kl_err_set(r->err, KL_TOO_LARGE, "an object may hold at most %d values", JSON_NODES);
        return NULL;
    }
    struct val *v = val_new(r->arena, t);
    if (!v)
        kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
    return v;
}

static struct val *new_str(struct reader *r, struct str s)
{
    struct val *v = new_val(r, VAL_STR);
    if (v) {
        v->s = s.at ? s.at : "";
        v->n = (uint32_t)s.len;
    }
    return v;
}

static struct val *new_int(struct reader *r, int64_t i, enum val_type t)
{
    struct val *v = new_val(r, t);
    if (v)
        v->i = i;
    return v;
}

/* Collects up to four numbered parts of a small message. */
static int small(struct reader *r, struct str s, uint64_t num[4], struct str text[4])
{
    struct wire w;
    int rc;
    while ((rc = next_wire(r, &s, &w)) > 0)
        if (w.tag < 4) {
            num[w.tag] = w.number;
            text[w.tag] = w.bytes;
        }
    return rc;
}

static struct val *get_time(struct reader *r, struct str s, bool micro)
{
    uint64_t num[4] = { 0 };
    struct str text[4] = { STR_NONE };
    char out[CLOCK_TEXT];
    if (small(r, s, num, text) < 0)
        return NULL;
    if (!s.len)
        return new_val(r, VAL_NULL);
    int64_t sec = (int64_t)num[1], frac = (int64_t)num[2];
    if (sec > INT64_MAX / NS_PER_S - 1 || sec < INT64_MIN / NS_PER_S + 1 || frac < 0 || frac >= NS_PER_S)
        return bad(r, "time out of range"), NULL;
    (micro ? clock_format_micro : clock_format)(sec * NS_PER_S + frac, out);
    return new_str(r, arena_str(r->arena, str_of(out)));
}

static struct val *get_int_or_string(struct reader *r, struct str s)
{
    uint64_t num[4] = { 0 };
    struct str text[4] = { STR_NONE };
    if (small(r, s, num, text) < 0)
        return NULL;
    return num[1] == 1 ? new_str(r, text[3]) : new_int(r, (int32_t)num[2], VAL_INT);
}

static struct val *get_double(struct reader *r, const struct wire *w)
{
    double d;
    char text[40];
    if (w->bytes.len != 8)
        return bad(r, "wrong wireType for a double"), NULL;
    memcpy(&d, w->bytes.at, 8);
    if (d == (double)(int64_t)d && d < 9e15 && d > -9e15)
        return new_int(r, (int64_t)d, VAL_INT);
    snprintf(text, sizeof text, "%.17g", d);
    for (int p = 1; p < 17; p++) {      /* the shortest that reads back the same */
        char shorter[40];
        snprintf(shorter, sizeof shorter, "%.*g", p, d);
        if (strtod(shorter, NULL) == d) {
            memcpy(text, shorter, sizeof text);
            break;
        }
    }
    if (d != d || d - d != 0)
        return bad(r, "a double is not a number"), NULL;
    struct val *v = new_str(r, arena_str(r->arena, str_of(text)));
    if (v)
        v->type = VAL_NUM;
    return v;
}

static struct val *get_raw(struct reader *r, struct str s)
{
    uint64_t num[4] = { 0 };
    struct str text[4] = { STR_NONE };
    if (small(r, s, num, text) < 0)
        return NULL;
    if (!text[1].len)
        return new_val(r, VAL_NULL);
    return json_parse(r->arena, text[1], r->err);
}

static struct val *get_strings(struct reader *r, struct str s, unsigned tag)
{
    struct val *v = new_val(r, VAL_ARR);
    struct wire w;
    int rc = 0;
    while (v && (rc = next_wire(r, &s, &w)) > 0)
        if (w.tag == tag && !val_push(v, new_str(r, w.bytes)))
            return NULL;
    return rc < 0 ? NULL : v;
}

static struct val *get_duration(struct reader *r, struct str s)
{
    uint64_t num[4] = { 0 };
    struct str text[4] = { STR_NONE };
    _cleanup_buf_ struct buf b = BUF_INIT(64);
    if (small(r, s, num, text) < 0)
        return NULL;
    int64_t ns = (int64_t)num[1];
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (ns < 0)
        buf_add_c(&b, '-');
    uint64_t h = u / 3600000000000ULL, m = u / 60000000000ULL % 60;
    if (u && u < 1000000000ULL) {
        static const char *const units[] = { "ns", "\xc2\xb5s", "ms" };
        int i = u < 1000 ? 0 : u < 1000000 ? 1 : 2;
        double v = (double)u / (i == 0 ? 1 : i == 1 ? 1e3 : 1e6);
        buf_printf(&b, "%.9g%s", v, units[i]);
    } else {
        if (h)
            buf_printf(&b, "%lluh", (unsigned long long)h);
        if (h || m)
            buf_printf(&b, "%llum", (unsigned long long)m);
        buf_printf(&b, "%.9gs", (double)(u % 60000000000ULL) / 1e9);
    }
    return new_str(r, arena_str(r->arena, buf_str(&b)));
}

static struct val *get_union(struct reader *r, const struct schema_type *t, struct str s)
{
    struct wire w;
    struct val *v = NULL, *item;
    bool allows = false;
    int rc;
    while ((rc = next_wire(r, &s, &w)) > 0) {
        bool list = w.tag == 2 && t->kind != T_JSON_SCHEMA_OR_BOOL;
        if (w.tag == 1 && w.type == 0) {
            allows = w.number != 0;
            continue;
        }
        if (w.type != 2)
            continue;
        item = list && t->kind == T_JSON_SCHEMA_OR_STRINGS ? new_str(r, w.bytes) : get_message(r, schema_props(), w.bytes, NULL);
        if (!item)
            return NULL;
        if (!list) {
            v = item;
            continue;
        }
        if (!v && !(v = new_val(r, VAL_ARR)))
            return NULL;
        val_push(v, item);
    }
    if (rc < 0)
        return NULL;
    return v ? v : t->kind == T_JSON_SCHEMA_OR_BOOL ? new_int(r, allows, VAL_BOOL) : new_val(r, VAL_ARR);
}

static struct val *get_bytes(struct reader *r, struct str s)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    base64_encode(&b, s);
    struct str text = arena_str(r->arena, buf_str(&b));
    return text.at && !b.failed ? new_str(r, text) : NULL;
}

static struct val *get_one(struct reader *r, const struct schema_type *t, const struct wire *w)
{
    bool number = t->kind == T_BOOL || t->kind == T_INT32 || t->kind == T_INT64;
    if (w->type != (number ? 0u : t->kind == T_DOUBLE ? 1u : 2u))
        return bad(r, "wrong wireType"), NULL;
    switch (t->kind) {
    case T_STRUCT: return get_message(r, t, w->bytes, NULL);
    case T_STRING: return new_str(r, w->bytes);
    case T_BOOL: return new_int(r, w->number != 0, VAL_BOOL);
    case T_INT32: return new_int(r, (int32_t)w->number, VAL_INT);
    case T_INT64: return new_int(r, (int64_t)w->number, VAL_INT);
    case T_DOUBLE: return get_double(r, w);
    case T_BYTES: return get_bytes(r, w->bytes);
    case T_TIME: return get_time(r, w->bytes, false);
    case T_MICROTIME: return get_time(r, w->bytes, true);
    case T_DURATION: return get_duration(r, w->bytes);
    case T_QUANTITY: {
        struct val *list = get_strings(r, w->bytes, 1);
        return !list ? NULL : list->last ? list->last : new_str(r, STR("0"));
    }
    case T_INT_OR_STRING: return get_int_or_string(r, w->bytes);
    case T_RAW: case T_JSON: return get_raw(r, w->bytes);
    case T_STRINGS: return get_strings(r, w->bytes, 1);
    default: return get_union(r, t, w->bytes);
    }
}

static int get_map_entry(struct reader *r, const struct schema_field *f, struct str s, struct val *map)
{
    struct wire w, value = { .type = 2 };
    struct str key = STR("");
    bool has = false;
    int rc;
    while ((rc = next_wire(r, &s, &w)) > 0) {
        if (w.tag == 1)
            key = w.bytes;
        if (w.tag == 2)
            value = w, has = true;
    }
    if (rc < 0)
        return rc;
    if (!has && f->type->kind != T_STRING && f->type->kind != T_BYTES && f->type->kind != T_STRUCT)
        return bad(r, "a map entry has no value");
    struct val *v = get_one(r, f->type, &value);
    if (!v)
        return -KL_BAD_REQUEST;
    v->key = key.at ? key.at : "";
    v->key_len = (uint32_t)key.len;
    return val_push(map, v) ? 0 : -KL_NO_MEMORY;
}

static struct val *member(struct reader *r, struct val *obj, const struct schema_field *f, enum val_type t)
{
    struct val *v = json_get(obj, str_n(f->json, f->json_len));
    if (!v && (v = new_val(r, t)))
        json_set(r->arena, obj, str_n(f->json, f->json_len), v);
    return v;
}

static int get_field(struct reader *r, const struct schema_field *f, const struct wire *w, struct val *obj)
{
    if (f->flags & F_INLINE_STRUCT)
        return w->type == 2 && get_message(r, f->type, w->bytes, obj) ? 0 : -KL_BAD_REQUEST;
    if (f->shape == SHAPE_MAP) {
        struct val *map = member(r, obj, f, VAL_OBJ);
        return map ? get_map_entry(r, f, w->bytes, map) : -KL_NO_MEMORY;
    }
    struct val *list = f->shape == SHAPE_LIST ? member(r, obj, f, VAL_ARR) : NULL;
    struct val *v = get_one(r, f->type, w);
    if (!v)
        return -KL_BAD_REQUEST;
    if (f->shape == SHAPE_LIST)
        return val_push(list, v) ? 0 : -KL_NO_MEMORY;
    if (v->type == VAL_NULL && f->type->kind != T_JSON)
        return 0;
    json_set(r->arena, obj, str_n(f->json, f->json_len), v);
    return 0;
}

static struct val *get_message(struct reader *r, const struct schema_type *t, struct str s, struct val *into)
{
    struct val *obj = into ? into : new_val(r, VAL_OBJ);
    struct wire w;
    int rc = 0;
    if (r->depth++ > DEPTH)
        return bad(r, "nested too deeply"), NULL;
    while (obj && (rc = next_wire(r, &s, &w)) > 0) {
        const struct schema_field *f = schema_field_by_tag(t, w.tag);
        if (f && get_field(r, f, &w, obj) < 0)
            return NULL;
    }
    r->depth--;
    return rc < 0 ? NULL : obj;
}

static int read_envelope(struct reader *r, struct str s, struct str type[3], struct str *raw)
{
    struct wire w;
    int rc;
    if (!str_starts(s, STR("k8s\0")))
        return bad(r, "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
    s = str_skip(s, 4);
    *raw = STR("");
    while ((rc = next_wire(r, &s, &w)) > 0) {
        uint64_t num[4] = { 0 };
        struct str text[4] = { STR_NONE, STR_NONE, STR_NONE, STR_NONE };
        if (w.tag == 1 && w.type == 2) {
            if (small(r, w.bytes, num, text) < 0)
                return -KL_BAD_REQUEST;
            type[1] = text[1];
            type[2] = text[2];
        }
        if (w.tag == 2 && w.type == 2)
            *raw = w.bytes;
    }
    return rc;
}

struct val *object_decode_protobuf(struct arena *a, const struct schema_type *type, struct str bytes,
                                   const struct schema_type **ret_type, struct kl_err *err)
{
    struct reader r = { .arena = a, .err = err };
    struct str meta[3] = { STR_NONE, STR_NONE, STR_NONE }, raw, group = STR("");
    if (read_envelope(&r, bytes, meta, &raw) < 0)
        return NULL;
    struct str version = meta[1];
    if (str_find(version, '/') >= 0)
        group = str_cut(&version, '/');
    if (!type)
        type = schema_type_find(group, version, meta[2]);
    if (!type) {
        kl_err_set(err, KL_BAD_REQUEST, "no kind \"" STR_FMT "\" is registered for version \"" STR_FMT "\"", STR_ARG(meta[2]),
                   STR_ARG(meta[1]));
        return NULL;
    }
    struct val *v = val_new(a, VAL_OBJ);
    if (meta[2].len)
        json_set_str(a, v, STR("kind"), meta[2]);
    if (meta[1].len)
        json_set_str(a, v, STR("apiVersion"), meta[1]);
    if (!v || !get_message(&r, type, raw, v))
        return NULL;
    if (ret_type)
        *ret_type = type;
    return object_conform(a, type, v, NULL, err) == 0 ? v : NULL;
}
