/* value.c - values: made of JSON where they stand, compared, measured. */
#include <math.h>
#include <stdarg.h>

#include "cel/cel-internal.h"

/* --- making --- */

struct cel_val cel_of_str(struct str s)
{
    return val_text(s.at ? s : STR(""));
}

struct cel_val cel_of_bool(bool b)
{
    return val_bool(b);
}

struct cel_val cel_of_int(int64_t i)
{
    return val_int(i);
}

struct cel_val cel_of_lazy(const struct cel_lazy *l)
{
    return (struct cel_val){ .kind = CEL_MAP, .form = CEL_LAZY, .lazy = l };
}

struct cel_val no_memory(void)
{
    return (struct cel_val){ .kind = CEL_ERROR, .s = STR("out of memory") };
}

struct cel_val no_overload(void)
{
    return (struct cel_val){ .kind = CEL_ERROR, .s = STR("no such overload") };
}

struct cel_val cel_error(struct arena *a, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct str s = arena_str(a, str_of(text));
    return s.at ? (struct cel_val){ .kind = CEL_ERROR, .s = s } : no_memory();
}

struct cel_val val_some(struct arena *a, struct cel_val v)
{
    struct cel_val *some = arena_raw(a, sizeof *some);
    if (!some)
        return no_memory();
    *some = v;
    return (struct cel_val){ .kind = CEL_OPTIONAL, .some = some };
}

struct cel_val cel_of_optional(struct arena *a, struct cel_val v)
{
    return v.kind == CEL_DYN ? (struct cel_val){ .kind = CEL_OPTIONAL } : val_some(a, v);
}

struct cel_val val_opaque(struct arena *a, enum cel_kind kind, struct cel_opaque **ret)
{
    *ret = arena_alloc(a, sizeof **ret);
    return *ret ? (struct cel_val){ .kind = (uint8_t)kind, .opaque = *ret } : no_memory();
}

/* Base64 stays what it is until somebody looks (val_ripe). */
static struct cel_val of_text(struct str s, const struct cel_type *t)
{
    struct cel_val v = val_text(s);
    if (!t || t->kind == CEL_STRING || t->kind == CEL_DYN)
        return v;
    if (t->kind == CEL_BYTES) {
        v.kind = CEL_BYTES;
        v.form = CEL_JSON;
    } else if (t->kind == CEL_TIMESTAMP) {
        v = (struct cel_val){ .kind = CEL_TIMESTAMP };
        if (!timestamp_parse(s, &v.seconds, &v.nanos))
            v = (struct cel_val){ .kind = CEL_ERROR, .s = STR("invalid date-time") };
    } else if (t->kind == CEL_DURATION) {
        v = (struct cel_val){ .kind = CEL_DURATION };
        if (!duration_parse(s, &v.i))
            v = (struct cel_val){ .kind = CEL_ERROR, .s = STR("invalid duration") };
    }
    return v;
}

static double json_double(const struct val *v)
{
    double d = 0;
    parse_double(str_n(v->s, v->n), &d);
    return d;
}

static struct str unbase64(struct arena *a, struct str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = arena_raw(a, s.len + 1);
    size_t n = 0, bits = 0;
    uint32_t w = 0;
    for (size_t i = 0; out && i < s.len; i++) {
        const char *d = s.at[i] ? strchr(digits, s.at[i]) : NULL;
        if (!d)
            continue;
        w = w << 6 | (uint32_t)(d - digits);
        bits += 6;
        if (bits >= 8)
            out[n++] = (char)(w >> (bits -= 8));
    }
    return str_n(out ? out : "", n);
}

struct cel_val val_ripe(struct cel_ctx *c, struct cel_val v)
{
    if (v.kind == CEL_BYTES && v.form == CEL_JSON && c)
        return (struct cel_val){ .kind = CEL_BYTES, .s = unbase64(c->arena, v.s) };
    return v;
}

struct cel_val cel_of_json(const struct val *v, const struct cel_type *t)
{
    switch (v ? v->type : VAL_NULL) {
    case VAL_BOOL: return val_bool(v->i != 0);
    case VAL_INT: return t && t->kind == CEL_DOUBLE ? (struct cel_val){ .kind = CEL_DOUBLE, .d = (double)v->i } : val_int(v->i);
    case VAL_NUM: {
        double d = json_double(v);
        if (t && t->kind == CEL_INT && d == floor(d) && fabs(d) < 9e18)
            return val_int((int64_t)d);
        return (struct cel_val){ .kind = CEL_DOUBLE, .d = d };
    }
    case VAL_STR: return of_text(str_n(v->s, v->n), t);
    case VAL_ARR: return (struct cel_val){ .kind = CEL_LIST, .form = CEL_JSON, .json = v, .json_type = t };
    case VAL_OBJ: return (struct cel_val){ .kind = CEL_MAP, .form = CEL_JSON, .json = v, .json_type = t };
    default: return (struct cel_val){ .kind = CEL_NULL };
    }
}

/* --- measuring --- */

int64_t runes(struct str s)
{
    int64_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.at[i] & 0xc0) != 0x80;
    return n;
}

static int64_t json_members(const struct cel_val *v)
{
    int64_t n = 0;
    if (!v->json_type || v->json_type->kind != CEL_STRUCT || v->json_type->rows)
        return v->json->n;
    val_each(m, v->json)
        for (unsigned i = 0; i < v->json_type->n_fields; i++)
            if (m->type != VAL_NULL && str_is(val_key(m), v->json_type->fields[i].member)) {
                n++;
                break;
            }
    return n;
}

int64_t cel_size(const struct cel_val *of)
{
    struct cel_val whole = val_whole(*of), *v = &whole;
    switch (v->kind) {
    case CEL_STRING: return runes(v->s);
    case CEL_BYTES: return (int64_t)v->s.len;
    case CEL_LIST: return v->form == CEL_JSON ? v->json->n : v->n_items;
    case CEL_MAP: return v->form == CEL_JSON ? json_members(v) : v->form == CEL_LAZY ? 0 : v->n_entries;
    default: return -1;
    }
}

uint64_t cost_size(const struct cel_val *v)
{
    if (v->kind == CEL_OPTIONAL && v->some)
        return cost_size(v->some);
    if (v->kind == CEL_IP || v->kind == CEL_CIDR)
        return v->opaque->size;
    int64_t n = cel_size(v);
    return n < 0 ? 1 : (uint64_t)n;
}

bool cel_is_zero(struct cel_val v)
{
    switch (v.kind) {
    case CEL_NULL: return true;
    case CEL_BOOL: return !v.b;
    case CEL_INT: case CEL_DURATION: return v.i == 0;
    case CEL_UINT: return v.u == 0;
    case CEL_DOUBLE: return v.d == 0;
    case CEL_TIMESTAMP: return v.seconds == -62135596800 && v.nanos == 0;
    case CEL_STRING: case CEL_BYTES: return v.s.len == 0;
    case CEL_LIST: case CEL_MAP: return cel_size(&v) == 0;
    case CEL_OPTIONAL: return !v.some;
    default: return false;
    }
}

const struct cel_type *cel_type_of(struct cel_val v)
{
    return v.kind == CEL_TYPE ? cel_type(CEL_TYPE) : cel_type(v.kind);
}

/* --- comparing --- */

static bool is_number(uint8_t kind)
{
    return kind == CEL_INT || kind == CEL_UINT || kind == CEL_DOUBLE;
}

static int cmp_double(double a, double b)
{
    return isnan(a) || isnan(b) ? 3 : (a > b) - (a < b);
}

/* Exact, though one is a double. */
static int cmp_int_double(int64_t i, double d)
{
    if (isnan(d))
        return 3;
    if (d < -9223372036854775808.0)
        return 1;
    if (d >= 9223372036854775808.0)
        return -1;
    int64_t whole = (int64_t)d;
    return i != whole ? (i > whole) - (i < whole) : ((double)whole > d) - ((double)whole < d);
}

static int cmp_uint_double(uint64_t u, double d)
{
    if (isnan(d))
        return 3;
    if (d < 0)
        return 1;
    if (d >= 18446744073709551616.0)
        return -1;
    uint64_t whole = (uint64_t)d;
    return u != whole ? (u > whole) - (u < whole) : ((double)whole > d) - ((double)whole < d);
}

static int reversed(int c)
{
    return c == 1 ? -1 : c == -1 ? 1 : c;
}

static int cmp_number(struct cel_val a, struct cel_val b)
{
    if (a.kind == CEL_DOUBLE && b.kind == CEL_DOUBLE)
        return cmp_double(a.d, b.d);
    if (a.kind == CEL_DOUBLE)
        return reversed(cmp_number(b, a));
    if (b.kind == CEL_DOUBLE)
        return a.kind == CEL_INT ? cmp_int_double(a.i, b.d) : cmp_uint_double(a.u, b.d);
    if (a.kind == b.kind)
        return a.kind == CEL_INT ? (a.i > b.i) - (a.i < b.i) : (a.u > b.u) - (a.u < b.u);
    if (a.kind == CEL_INT)
        return a.i < 0 ? -1 : ((uint64_t)a.i > b.u) - ((uint64_t)a.i < b.u);
    return reversed(cmp_number(b, a));
}

static int sign_of(int c)
{
    return (c > 0) - (c < 0);
}

int cel_compare(struct cel_val a, struct cel_val b)
{
    if (is_number(a.kind) && is_number(b.kind))
        return cmp_number(a, b);
    if (a.kind != b.kind)
        return 2;
    switch (a.kind) {
    case CEL_BOOL: return (int)a.b - (int)b.b;
    case CEL_STRING: case CEL_BYTES: return sign_of(str_cmp(a.s, b.s));
    case CEL_DURATION: return (a.i > b.i) - (a.i < b.i);
    case CEL_TIMESTAMP:
        return a.seconds != b.seconds ? (a.seconds > b.seconds) - (a.seconds < b.seconds) : (a.nanos > b.nanos) - (a.nanos < b.nanos);
    default: return 2;
    }
}

/* --- equality --- */

static bool lists_equal(struct cel_ctx *c, struct cel_val a, struct cel_val b)
{
    struct walk wa = { 0 }, wb = { 0 };
    struct cel_val x, y;
    if (cel_size(&a) != cel_size(&b))
        return false;
    while (walk_next(c, &a, &wa, NULL, &x) && walk_next(c, &b, &wb, NULL, &y))
        if (!cel_equal(c, x, y))
            return false;
    return true;
}

/* Lists of a schema that are sets or maps are equal in any order: upstream's rule for CRDs. */
static bool any_order(const struct cel_val *v)
{
    return v->form == CEL_JSON && v->json_type && v->json_type->any_order;
}

static bool lists_equal_any_order(struct cel_ctx *c, struct cel_val a, struct cel_val b)
{
    struct walk wa = { 0 };
    struct cel_val x, y;
    if (cel_size(&a) != cel_size(&b))
        return false;
    while (walk_next(c, &a, &wa, NULL, &x)) {
        struct walk wb = { 0 };
        bool found = false;
        while (!found && eval_tick(c) && walk_next(c, &b, &wb, NULL, &y))
            found = cel_equal(c, x, y);
        if (!found)
            return false;
    }
    return true;
}

static bool maps_equal(struct cel_ctx *c, struct cel_val a, struct cel_val b)
{
    struct walk w = { 0 };
    struct cel_val key, x, y;
    if (cel_size(&a) != cel_size(&b))
        return false;
    while (walk_next(c, &a, &w, &key, &x))
        if (!map_lookup(c, &b, key, &y) || !cel_equal(c, x, y))
            return false;
    return true;
}

static bool opaque_equal(uint8_t kind, const struct cel_opaque *a, const struct cel_opaque *b)
{
    switch (kind) {
    case CEL_QUANTITY: return quantity_cmp(opaque_quantity(a), opaque_quantity(b)) == 0;
    case CEL_IP: case CEL_CIDR: return a->size == b->size && a->bits == b->bits && memcmp(a->addr, b->addr, a->size) == 0;
    case CEL_SEMVER: return memcmp(a->number, b->number, sizeof a->number) == 0 && str_eq(a->pre, b->pre);
    case CEL_URL: return str_eq(a->text, b->text);
    case CEL_FORMAT: return a->format == b->format;
    default: return a == b;
    }
}

bool cel_equal(struct cel_ctx *c, struct cel_val a, struct cel_val b)
{
    if (is_number(a.kind) && is_number(b.kind))
        return cmp_number(a, b) == 0;
    if (a.kind != b.kind || !eval_tick(c))
        return false;
    switch (a.kind) {
    case CEL_NULL: return true;
    case CEL_BOOL: case CEL_STRING: case CEL_BYTES: case CEL_TIMESTAMP: case CEL_DURATION: return cel_compare(a, b) == 0;
    case CEL_TYPE: return strcmp(type_name(a.type), type_name(b.type)) == 0;
    case CEL_LIST: return any_order(&a) ? lists_equal_any_order(c, a, b) : lists_equal(c, a, b);
    case CEL_MAP: return maps_equal(c, a, b);
    case CEL_OPTIONAL: return !a.some || !b.some ? a.some == b.some : cel_equal(c, *a.some, *b.some);
    case CEL_ERROR: case CEL_DYN: return false;
    default: return opaque_equal(a.kind, a.opaque, b.opaque);
    }
}
