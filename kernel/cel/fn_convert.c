/* fn_convert.c - int(), string() and the other conversions. Of constants they are evaluated when a program is compiled. */
#include <math.h>

#include "cel/cel-internal.h"
#include "cel/cost.h"
#include "base/utf8.h"

static struct cel_val failed(struct cel_ctx *c, const char *from, const char *to)
{
    return cel_error(c->arena, "type conversion error from '%s' to '%s'", from, to);
}

static struct cel_val same(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return v[0];
}

static struct cel_val to_type(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return (struct cel_val){ .kind = CEL_TYPE, .type = cel_type_of(v[0]) };
}

static struct cel_val to_bool(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" }, *const no[] = { "0", "f", "F", "FALSE", "false", "False" };
    (void)n;
    if (v[0].kind == CEL_BOOL)
        return v[0];
    for (size_t i = 0; i < 6; i++) {
        if (str_is(v[0].s, yes[i]))
            return val_bool(true);
        if (str_is(v[0].s, no[i]))
            return val_bool(false);
    }
    return failed(c, "string", "bool");
}

static struct cel_val to_bytes(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return (struct cel_val){ .kind = CEL_BYTES, .s = v[0].s };
}

static struct cel_val to_double(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val r = { .kind = CEL_DOUBLE };
    (void)n;
    switch (v[0].kind) {
    case CEL_INT: r.d = (double)v[0].i; return r;
    case CEL_UINT: r.d = (double)v[0].u; return r;
    case CEL_DOUBLE: return v[0];
    default: return parse_double(v[0].s, &r.d) ? r : failed(c, "string", "double");
    }
}

static struct cel_val to_int(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val r = val_int(0);
    (void)n;
    switch (v[0].kind) {
    case CEL_INT: return v[0];
    case CEL_UINT: return v[0].u > INT64_MAX ? cel_error(c->arena, "integer overflow") : val_int((int64_t)v[0].u);
    case CEL_DOUBLE:
        if (!(v[0].d > -9223372036854775808.0 && v[0].d < 9223372036854775808.0))
            return cel_error(c->arena, "integer overflow");
        return val_int((int64_t)v[0].d);
    case CEL_DURATION: return val_int(v[0].i);
    case CEL_TIMESTAMP: return val_int(v[0].seconds);
    default:
        if (str_starts(v[0].s, STR("0x")) || str_starts(v[0].s, STR("-0x")) || !parse_int(v[0].s, &r.i))
            return failed(c, "string", "int");
        return r;
    }
}

static struct cel_val to_uint(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val r = { .kind = CEL_UINT };
    (void)n;
    switch (v[0].kind) {
    case CEL_UINT: return v[0];
    case CEL_INT:
        r.u = (uint64_t)v[0].i;
        return v[0].i < 0 ? cel_error(c->arena, "unsigned integer overflow") : r;
    case CEL_DOUBLE:
        if (!(v[0].d >= 0 && v[0].d < 18446744073709551616.0))
            return cel_error(c->arena, "unsigned integer overflow");
        r.u = (uint64_t)v[0].d;
        return r;
    default: return !str_starts(v[0].s, STR("0x")) && parse_uint(v[0].s, &r.u) ? r : failed(c, "string", "uint");
    }
}

static struct cel_val to_string(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    (void)n;
    switch (v[0].kind) {
    case CEL_STRING: return v[0];
    case CEL_BYTES: return utf8_valid(v[0].s) ? val_text(v[0].s) : cel_error(c->arena, "invalid UTF-8 in bytes, cannot convert to string");
    case CEL_BOOL: return val_text(v[0].b ? STR("true") : STR("false"));
    case CEL_INT: buf_add_int(&b, v[0].i); break;
    case CEL_UINT: buf_add_uint(&b, v[0].u); break;
    case CEL_DOUBLE: double_text(&b, v[0].d); break;
    case CEL_DURATION: duration_text(&b, v[0].i); break;
    default: timestamp_text(&b, v[0].seconds, v[0].nanos); break;
    }
    struct str s = arena_str(c->arena, buf_str(&b));
    return s.at && !b.failed ? val_text(s) : no_memory();
}

static struct cel_val to_duration(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val r = { .kind = CEL_DURATION };
    (void)n;
    if (v[0].kind == CEL_DURATION)
        return v[0];
    if (v[0].kind == CEL_INT) {
        r.i = v[0].i;
        return r;
    }
    return duration_parse(v[0].s, &r.i) ? r : failed(c, "string", "google.protobuf.Duration");
}

static struct cel_val to_timestamp(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct cel_val r = { .kind = CEL_TIMESTAMP };
    (void)n;
    if (v[0].kind == CEL_TIMESTAMP)
        return v[0];
    if (v[0].kind == CEL_INT)
        r.seconds = v[0].i;
    else if (v[0].s.len <= 10 || !timestamp_parse(v[0].s, &r.seconds, &r.nanos))
        return failed(c, "string", "google.protobuf.Timestamp");
    return timestamp_in_range(r.seconds) ? r : cel_error(c->arena, "timestamp overflow");
}

const struct fn fns_convert[] = {
    { "type", "(A)type(A)", to_type, NULL, NULL, FN_FOLDS },
    { "bool", "(bool)bool|(string)bool", to_bool, NULL, NULL, FN_FOLDS },
    { "bytes", "(bytes)bytes", same, NULL, NULL, FN_FOLDS },
    { "bytes", "(string)bytes", to_bytes, cost_tenth, est_to_bytes, FN_FOLDS },
    { "double", "(double)double|(int)double|(string)double|(uint)double", to_double, NULL, NULL, FN_FOLDS },
    { "duration", "(duration)duration|(int)duration|(string)duration", to_duration, NULL, NULL, FN_FOLDS },
    { "dyn", "(A)dyn", same, NULL, NULL, FN_FOLDS },
    { "int", "(int)int|(double)int|(duration)int|(string)int|(time)int|(uint)int", to_int, NULL, NULL, FN_FOLDS },
    { "string", "(string)string|(bool)string", to_string, NULL, NULL, FN_FOLDS },
    { "string", "(bytes)string", to_string, cost_tenth, est_to_string, FN_FOLDS },
    { "string", "(double)string|(duration)string|(int)string|(time)string|(uint)string", to_string, NULL, NULL, FN_FOLDS },
    { "timestamp", "(time)time|(int)time|(string)time", to_timestamp, NULL, NULL, FN_FOLDS },
    { "uint", "(uint)uint|(double)uint|(int)uint|(string)uint", to_uint, NULL, NULL, FN_FOLDS },
    { NULL, NULL, NULL, NULL, NULL, 0 },
};
