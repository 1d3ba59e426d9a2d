/* fn_core.c - operators, and what every list, map and text has. Those that eval.c takes care of itself have rows here for the checker. */
#include <math.h>

#include "cel/cel-internal.h"
#include "cel/cost.h"

static struct cel_val overflow(struct cel_ctx *c, const char *what)
{
    return cel_error(c->arena, "%s overflow", what);
}

/* --- times --- */

static struct cel_val time_plus(struct cel_ctx *c, struct cel_val t, int64_t ns)
{
    int64_t nanos = t.nanos + ns % 1000000000, s = t.seconds + ns / 1000000000 + (nanos >= 1000000000) - (nanos < 0);
    nanos += nanos < 0 ? 1000000000 : nanos >= 1000000000 ? -1000000000 : 0;
    if (!timestamp_in_range(s))
        return overflow(c, "timestamp");
    return (struct cel_val){ .kind = CEL_TIMESTAMP, .seconds = s, .nanos = (int32_t)nanos };
}

static struct cel_val time_minus(struct cel_ctx *c, struct cel_val a, struct cel_val b)
{
    int64_t s = a.seconds - b.seconds, ns;
    if (__builtin_mul_overflow(s, (int64_t)1000000000, &ns) || __builtin_add_overflow(ns, (int64_t)a.nanos - b.nanos, &ns))
        return overflow(c, "timestamp");
    return (struct cel_val){ .kind = CEL_DURATION, .i = ns };
}

/* --- addition --- */

static struct cel_val joined(struct cel_ctx *c, struct cel_val a, struct cel_val b)
{
    char *at = arena_raw(c->arena, a.s.len + b.s.len + 1);
    if (!at)
        return no_memory();
    if (a.s.len)
        memcpy(at, a.s.at, a.s.len);
    if (b.s.len)
        memcpy(at + a.s.len, b.s.at, b.s.len);
    return (struct cel_val){ .kind = a.kind, .s = str_n(at, a.s.len + b.s.len) };
}

/* Same members of the key; no keys: the same value. */
static bool same_item(struct cel_ctx *c, const struct val *keys, struct cel_val x, struct cel_val y)
{
    struct cel_val p, q;
    if (!keys)
        return cel_equal(c, x, y);
    if (x.kind != CEL_MAP || y.kind != CEL_MAP)
        return false;
    val_each(k, keys) {
        bool hx = map_lookup(c, &x, val_text(val_str(k)), &p), hy = map_lookup(c, &y, val_text(val_str(k)), &q);
        if (hx != hy || (hx && !cel_equal(c, p, q)))
            return false;
    }
    return true;
}

/* Sets take what is new; maps replace what has the same key. */
static struct cel_val merged(struct cel_ctx *c, struct cel_val a, struct cel_val b)
{
    const struct val *keys = a.json_type->keys;
    struct cel_val out = list_new(c, (uint32_t)cel_size(&a)), x;
    struct walk w = { 0 };
    while (!is_error(out) && walk_next(c, &a, &w, NULL, &x))
        if (!list_push(c, &out, x))
            return no_memory();
    w = (struct walk){ 0 };
    while (!is_error(out) && walk_next(c, &b, &w, NULL, &x)) {
        uint32_t i = 0;
        while (i < out.n_items && eval_tick(c) && !same_item(c, keys, out.items->at[i], x))
            i++;
        if (i < out.n_items)
            out.items->at[i] = keys ? x : out.items->at[i];
        else if (!list_push(c, &out, x))
            return no_memory();
    }
    return out;
}

static struct cel_val appended(struct cel_ctx *c, struct cel_val a, struct cel_val b)
{
    struct cel_val out = a, x;
    struct walk w = { 0 };
    if (a.form == CEL_JSON && a.json_type && a.json_type->any_order)
        return merged(c, a, b);
    if (a.form != CEL_BUILT) {
        out = list_new(c, (uint32_t)(cel_size(&a) + cel_size(&b)));
        while (!is_error(out) && walk_next(c, &a, &w, NULL, &x))
            if (!list_push(c, &out, x))
                return no_memory();
    }
    w = (struct walk){ 0 };
    while (!is_error(out) && walk_next(c, &b, &w, NULL, &x))
        if (!list_push(c, &out, x))
            return no_memory();
    return out;
}

static struct cel_val fn_add(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val r = v[0];
    (void)n;
    switch (v[0].kind) {
    case CEL_INT: return __builtin_add_overflow(v[0].i, v[1].i, &r.i) ? overflow(c, "integer") : r;
    case CEL_UINT: return __builtin_add_overflow(v[0].u, v[1].u, &r.u) ? overflow(c, "unsigned integer") : r;
    case CEL_DOUBLE: r.d += v[1].d; return r;
    case CEL_STRING: case CEL_BYTES: return joined(c, v[0], v[1]);
    case CEL_LIST: return appended(c, v[0], v[1]);
    case CEL_TIMESTAMP: return time_plus(c, v[0], v[1].i);
    default:
        if (v[1].kind == CEL_TIMESTAMP)
            return time_plus(c, v[1], v[0].i);
        return __builtin_add_overflow(v[0].i, v[1].i, &r.i) ? overflow(c, "duration") : r;
    }
}

static struct cel_val fn_subtract(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val r = v[0];
    (void)n;
    switch (v[0].kind) {
    case CEL_INT: return __builtin_sub_overflow(v[0].i, v[1].i, &r.i) ? overflow(c, "integer") : r;
    case CEL_UINT: return __builtin_sub_overflow(v[0].u, v[1].u, &r.u) ? overflow(c, "unsigned integer") : r;
    case CEL_DOUBLE: r.d -= v[1].d; return r;
    case CEL_TIMESTAMP:
        if (v[1].kind == CEL_TIMESTAMP)
            return time_minus(c, v[0], v[1]);
        return v[1].i == INT64_MIN ? overflow(c, "timestamp") : time_plus(c, v[0], -v[1].i);
    default: return __builtin_sub_overflow(v[0].i, v[1].i, &r.i) ? overflow(c, "duration") : r;
    }
}

/* --- products --- */

static struct cel_val fn_multiply(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val r = v[0];
    (void)n;
    if (r.kind == CEL_INT)
        return __builtin_mul_overflow(v[0].i, v[1].i, &r.i) ? overflow(c, "integer") : r;
    if (r.kind == CEL_UINT)
        return __builtin_mul_overflow(v[0].u, v[1].u, &r.u) ? overflow(c, "unsigned integer") : r;
    r.d *= v[1].d;
    return r;
}

static struct cel_val fn_divide(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val r = v[0];
    (void)n;
    if (r.kind == CEL_DOUBLE) {
        r.d = v[1].d == 0 ? (v[0].d == 0 || isnan(v[0].d) ? NAN : copysign(INFINITY, v[0].d) * copysign(1, v[1].d)) : v[0].d / v[1].d;
        return r;
    }
    if (v[1].i == 0)
        return cel_error(c->arena, "division by zero");
    if (r.kind == CEL_UINT)
        r.u /= v[1].u;
    else if (v[0].i == INT64_MIN && v[1].i == -1)
        return overflow(c, "integer");
    else
        r.i /= v[1].i;
    return r;
}

static struct cel_val fn_modulo(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val r = v[0];
    (void)n;
    if (v[1].i == 0)
        return cel_error(c->arena, "modulus by zero");
    if (r.kind == CEL_UINT)
        r.u %= v[1].u;
    else if (v[0].i == INT64_MIN && v[1].i == -1)
        return overflow(c, "integer");
    else
        r.i %= v[1].i;
    return r;
}

static struct cel_val fn_negate(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val r = v[0];
    (void)n;
    if (r.kind == CEL_DOUBLE)
        r.d = -r.d;
    else if (r.i == INT64_MIN)
        return overflow(c, "integer");
    else
        r.i = -r.i;
    return r;
}

static struct cel_val fn_not(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_bool(!v[0].b);
}

/* --- order --- */

static struct cel_val ordered(struct cel_ctx *c, struct cel_val *v, bool less, bool equal)
{
    int o = cel_compare(v[0], v[1]);
    if (o == 3)
        return cel_error(c->arena, "NaN values cannot be ordered");
    return o == 2 ? no_overload() : val_bool(o == 0 ? equal : less == (o < 0));
}

static struct cel_val fn_less(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return ordered(c, v, true, false);
}
static struct cel_val fn_less_equal(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return ordered(c, v, true, true);
}
static struct cel_val fn_greater(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return ordered(c, v, false, false);
}
static struct cel_val fn_greater_equal(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return ordered(c, v, false, true);
}

/* --- collections --- */

static struct cel_val fn_size(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_int(cel_size(&v[0]));
}

static struct cel_val fn_map_insert(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val map = v[0], key, value;
    struct walk w = { 0 };
    bool there = false;
    if (n == 3) {
        if (!map_add(c, &map, v[1], v[2], &there))
            return no_memory();
        return there ? cel_error(c->arena, "insert failed: key %s already exists", value_text(c->arena, v[1])) : map;
    }
    while (walk_next(c, &v[1], &w, &key, &value)) {
        if (!map_add(c, &map, key, value, &there))
            return no_memory();
        if (there)
            return cel_error(c->arena, "insert failed: key %s already exists", value_text(c->arena, key));
    }
    return map;
}

#define ORDER \
    "(bool,bool)bool|(int,int)bool|(int,double)bool|(int,uint)bool|(uint,uint)bool|(uint,double)bool|(uint,int)bool|(double,double)bool|" \
    "(double,int)bool|(double,uint)bool|(string,string)bool|(bytes,bytes)bool|(time,time)bool|(duration,duration)bool"

const struct fn fns_core[] = {
    { "_?_:_", "(bool,A,A)A", NULL, NULL, est_choice, 0 },
    { "_&&_", "(bool,bool)bool", NULL, NULL, est_logic, 0 },
    { "_||_", "(bool,bool)bool", NULL, NULL, est_logic, 0 },
    { "!_", "(bool)bool", fn_not, NULL, NULL, 0 },
    { "@not_strictly_false", "(bool)bool", NULL, NULL, NULL, 0 },
    { "_==_", "(A,A)bool", NULL, cost_least, est_equal, 0 },
    { "_!=_", "(A,A)bool", NULL, cost_least, est_least, 0 },
    { "_+_", "(bytes,bytes)bytes|(double,double)double|(duration,duration)duration|(duration,time)time|(time,duration)time|(int,int)int|"
             "(list(A),list(A))list(A)|(string,string)string|(uint,uint)uint", fn_add, cost_add, est_add, 0 },
    { "_-_", "(double,double)double|(duration,duration)duration|(int,int)int|(time,duration)time|(time,time)duration|(uint,uint)uint", fn_subtract,
      NULL, NULL, 0 },
    { "_*_", "(double,double)double|(int,int)int|(uint,uint)uint", fn_multiply, NULL, NULL, 0 },
    { "_/_", "(double,double)double|(int,int)int|(uint,uint)uint", fn_divide, NULL, NULL, 0 },
    { "_%_", "(int,int)int|(uint,uint)uint", fn_modulo, NULL, NULL, 0 },
    { "-_", "(double)double|(int)int", fn_negate, NULL, NULL, 0 },
    { "_<_", ORDER, fn_less, cost_order, est_order, 0 },
    { "_<=_", ORDER, fn_less_equal, cost_order, est_order, 0 },
    { "_>_", ORDER, fn_greater, cost_order, est_order, 0 },
    { "_>=_", ORDER, fn_greater_equal, cost_order, est_order, 0 },
    { "_[_]", "(list(A),int)A|(map(A,B),A)B|(optional(list(A)),int)optional(A)|(optional(map(A,B)),A)optional(B)", NULL, NULL, est_index, 0 },
    { "_[?_]", "(list(A),int)optional(A)|(optional(list(A)),int)optional(A)|(map(A,B),A)optional(B)|(optional(map(A,B)),A)optional(B)", NULL, NULL,
      NULL, 0 },
    { "_?._", "(dyn,string)optional(A)", NULL, NULL, NULL, 0 },
    { "@in", "(A,list(A))bool|(A,map(A,B))bool", NULL, cost_in, est_in, 0 },
    { "size", "(bytes)int|bytes.()int|(list(A))int|list(A).()int|(map(A,B))int|map(A,B).()int|(string)int|string.()int", fn_size, NULL, NULL, 0 },
    { "cel.@mapInsert", "(map(A,B),map(A,B))map(A,B)|(map(A,B),A,B)map(A,B)", fn_map_insert, NULL, NULL, 0 },
    { NULL, NULL, NULL, NULL, NULL, 0 },
};
