/* json.c - values as JSON: what mutations and audit annotations are made of. */
#include <math.h>

#include "cel/cel-internal.h"

#define DEEP 100

static struct val *text(struct arena *a, struct buf *b)
{
    struct str s = arena_str(a, buf_str(b));
    struct val *v = b->failed || !s.at ? NULL : val_of_str(a, s);
    buf_free(b);
    return v;
}

static struct val *number(struct arena *a, double d)
{
    struct buf b = BUF_INIT(64);
    struct val *v;
    if (isnan(d) || isinf(d))
        return NULL;
    if (d == floor(d) && fabs(d) < 1e15)
        return val_of_int(a, (int64_t)d);
    double_text(&b, d);
    v = text(a, &b);
    if (v)
        v->type = VAL_NUM;
    return v;
}

static struct val *base64(struct arena *a, struct str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct buf b = BUF_INIT(0);
    for (size_t i = 0; i < s.len; i += 3) {
        uint32_t w = (uint32_t)(unsigned char)s.at[i] << 16;
        w |= i + 1 < s.len ? (uint32_t)(unsigned char)s.at[i + 1] << 8 : 0;
        w |= i + 2 < s.len ? (unsigned char)s.at[i + 2] : 0u;
        char four[4] = { digits[w >> 18], digits[w >> 12 & 63], i + 1 < s.len ? digits[w >> 6 & 63] : '=', i + 2 < s.len ? digits[w & 63] : '=' };
        buf_add(&b, four, 4);
    }
    return text(a, &b);
}

static struct val *to_json(struct arena *a, struct cel_val v, unsigned depth);

static struct val *container(struct arena *a, struct cel_val v, unsigned depth)
{
    struct val *made = val_new(a, v.kind == CEL_LIST ? VAL_ARR : VAL_OBJ);
    struct walk w = { 0 };
    struct cel_val key, item;
    if (v.form == CEL_LAZY)
        return NULL;
    if (v.form == CEL_JSON)
        return val_copy(a, v.json);
    while (made && walk_next(NULL, &v, &w, &key, &item)) {
        struct val *j = to_json(a, item, depth + 1);
        if (!j || (v.kind == CEL_MAP && key.kind != CEL_STRING))
            return NULL;
        if (v.kind == CEL_LIST)
            val_push(made, j);
        else
            json_set(a, made, key.s, j);
    }
    return made;
}

static struct val *to_json(struct arena *a, struct cel_val v, unsigned depth)
{
    struct buf b = BUF_INIT(256);
    if (depth > DEEP)
        return NULL;
    switch (v.kind) {
    case CEL_NULL: return val_new(a, VAL_NULL);
    case CEL_BOOL: return val_of_bool(a, v.b);
    case CEL_INT: return val_of_int(a, v.i);
    case CEL_UINT:
        if (v.u <= INT64_MAX)
            return val_of_int(a, (int64_t)v.u);
        buf_add_uint(&b, v.u);
        return text(a, &b);
    case CEL_DOUBLE: return number(a, v.d);
    case CEL_STRING: return val_of_str(a, v.s);
    case CEL_BYTES: return v.form == CEL_JSON ? val_of_str(a, v.s) : base64(a, v.s);
    case CEL_TIMESTAMP:
        timestamp_text(&b, v.seconds, v.nanos);
        return text(a, &b);
    case CEL_DURATION:
        duration_text(&b, v.i);
        return text(a, &b);
    case CEL_LIST: case CEL_MAP: return container(a, v, depth);
    case CEL_OPTIONAL: return v.some ? to_json(a, *v.some, depth + 1) : val_new(a, VAL_NULL);
    default: return NULL;
    }
}

struct val *cel_to_json(struct arena *a, struct cel_val v)
{
    return to_json(a, v, 0);
}
