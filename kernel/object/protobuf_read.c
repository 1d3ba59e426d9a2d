/* protobuf_read.c - protobuf to typed tree, by rows. Reads anything that is well-formed, unknown numbers skipped; depth and nodes are bounded. */
#include <ctype.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/varint.h"
#include "object-internal.h"

#define DEPTH 100

static const struct schema_type *schema_props(void)
{
    return schema_type_by_name(STR("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"));
}

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

static bool is_wire_type(const struct wire *w)
{
    return w->type <= 2 || w->type == 5;
}

/* 1 a field, of whatever type, 0 the end, < 0 malformed. */
static int next_any(struct reader *r, struct str *s, struct wire *w)
{
    uint64_t head, n;
    if (!s->len)
        return 0;
    if (!varint_take(s, &head) || head >> 3 == 0 || head >> 3 > 0x1fffffff)
        return bad(r, "illegal tag");
    w->tag = (uint32_t)(head >> 3);
    w->type = head & 7;
    w->bytes = STR_NONE;
    w->number = 0;
    switch (w->type) {
    case 0: return varint_take(s, &w->number) ? 1 : bad(r, "integer overflow or unexpected end");
    case 1: case 5: n = w->type == 1 ? 8 : 4; break;
    case 2:
        if (!varint_take(s, &n))
            return bad(r, "unexpected end");
        break;
    default: return 1;
    }
    if (n > s->len)
        return bad(r, "unexpected EOF");
    w->bytes = str_n(s->at, (size_t)n);
    *s = str_skip(*s, (size_t)n);
    return 1;
}

static int illegal_type(struct reader *r, const struct wire *w)
{
    return kl_err_set(r->err, KL_BAD_REQUEST, "proto: illegal wireType %u", w->type);
}

static int next_wire(struct reader *r, struct str *s, struct wire *w)
{
    int rc = next_any(r, s, w);
    return rc == 1 && !is_wire_type(w) ? illegal_type(r, w) : rc;
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

/* Seconds since 1970; JSON has no words for years beyond. */
#define YEAR_0     (-62167219200)
#define YEAR_1     (-62135596800)
#define YEAR_10000 253402300800

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
    if (sec == YEAR_1 && !frac)
        return new_val(r, VAL_NULL);        /* Go's zero */
    if (sec < YEAR_0 || sec >= YEAR_10000 || frac < 0 || frac >= NS_PER_S)
        return bad(r, "time out of range"), NULL;
    clock_format_parts(sec, frac, micro ? 6 : 0, out);
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
    if (d < 9e15 && d > -9e15 && d == (double)(int64_t)d)
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
    if (text.at && !b.failed)
        return new_str(r, text);
    kl_err_set(r->err, KL_NO_MEMORY, "out of memory");
    return NULL;
}

/* As upstream's Go calls it: the name in JSON with another beginning, but for words that are all capitals there. */
static int wrong_type(struct reader *r, const struct schema_field *f, const struct wire *w)
{
    static const char *const rows[][2] = { { "metadata", "ObjectMeta" }, { "uid", "UID" }, { "apiVersion", "APIVersion" }, { "apiGroup", "APIGroup" }, { "ip", "IP" }, { "fsType", "FSType" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_is(str_n(f->json, f->json_len), rows[i][0]))
            return kl_err_set(r->err, KL_BAD_REQUEST, "proto: wrong wireType = %u for field %s", w->type, rows[i][1]);
    return kl_err_set(r->err, KL_BAD_REQUEST, "proto: wrong wireType = %u for field %c%.*s", w->type, toupper((unsigned char)f->json[0]), (int)f->json_len - 1, f->json + 1);
}

static bool fits(const struct schema_type *t, const struct wire *w)
{
    bool number = t->kind == T_BOOL || t->kind == T_INT32 || t->kind == T_INT64;
    return w->type == (number ? 0u : t->kind == T_DOUBLE ? 1u : 2u);
}

static struct val *get_one(struct reader *r, const struct schema_type *t, const struct wire *w)
{
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
    if (!fits(f->type, &value))
        return bad(r, "wrong wireType");
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
    if (f->flags & F_INLINE_STRUCT || f->shape == SHAPE_MAP ? w->type != 2 : !fits(f->type, w))
        return wrong_type(r, f, w);
    if (f->flags & F_INLINE_STRUCT)
        return get_message(r, f->type, w->bytes, obj) ? 0 : -KL_BAD_REQUEST;
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
    while (obj && (rc = next_any(r, &s, &w)) > 0) {
        const struct schema_field *f = schema_field_by_tag(t, w.tag);
        if (f && get_field(r, f, &w, obj) < 0)
            return NULL;
        if (!f && !is_wire_type(&w))
            return illegal_type(r, &w), NULL;
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
    struct val *v = new_val(&r, VAL_OBJ);
    if (meta[2].len)
        json_set_str(a, v, STR("kind"), meta[2]);
    if (meta[1].len)
        json_set_str(a, v, STR("apiVersion"), meta[1]);
    if (!v || !get_message(&r, type, raw, v))
        return NULL;
    if (ret_type)
        *ret_type = type;
    if (arena_exhausted(a)) {
        kl_err_set(err, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    return object_conform(a, type, v, NULL, err) == 0 ? v : NULL;
}
