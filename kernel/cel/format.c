/* format.c - "%d".format([...]): the clauses and their complaints. Numbers are written as in English: 1,234.500000, 1.500000x10^00. */
#include <math.h>
#include <stdlib.h>

#include "cel/cel-internal.h"

#define MOST_PRECISION 100

struct clause {
    char verb;
    int precision;                      /* -1: not said */
};

/* --- numbers --- */

static void grouped(struct buf *b, const char *text)
{
    size_t whole = strcspn(text, "."), from = text[0] == '-';
    buf_add(b, text, from);
    for (size_t i = from; i < whole; i++) {
        buf_add_c(b, text[i]);
        if ((whole - i - 1) % 3 == 0 && i + 1 < whole)
            buf_add_c(b, ',');
    }
    buf_add_z(b, text + whole);
}

static bool not_a_number(struct buf *b, double d)
{
    if (isnan(d))
        buf_lit(b, "NaN");
    else if (isinf(d))
        buf_add_z(b, d > 0 ? "\xe2\x88\x9e" : "-\xe2\x88\x9e");
    return isnan(d) || isinf(d);
}

static void fixed(struct buf *b, double d, int precision)
{
    char text[512];
    if (not_a_number(b, d))
        return;
    snprintf(text, sizeof text, "%.*f", precision < 0 ? 6 : precision, d);
    grouped(b, text);
}

/* The exponent in raised digits, two at least. */
static void scientific(struct buf *b, double d)
{
    static const char *const raised[] = { "\xe2\x81\xb0", "\xc2\xb9", "\xc2\xb2", "\xc2\xb3", "\xe2\x81\xb4",
                                          "\xe2\x81\xb5", "\xe2\x81\xb6", "\xe2\x81\xb7", "\xe2\x81\xb8", "\xe2\x81\xb9" };
    char text[64];
    if (not_a_number(b, d))
        return;
    snprintf(text, sizeof text, "%.6e", d);
    char *e = strchr(text, 'e');
    buf_add(b, text, (size_t)(e - text));
    buf_lit(b, "\xc3\x97"
               "10");
    if (e[1] == '-')
        buf_lit(b, "\xe2\x81\xbb");
    for (char *p = e + 2; *p; p++)
        buf_add_z(b, raised[*p - '0']);
}

static void in_base(struct buf *b, struct cel_val v, unsigned base, bool upper)
{
    char text[80];
    size_t at = sizeof text - 1;
    uint64_t u = v.kind == CEL_INT && v.i < 0 ? 0 - v.u : v.kind == CEL_BOOL ? v.b : v.u;
    text[at] = '\0';
    do
        text[--at] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[u % base];
    while (u /= base);
    if (v.kind == CEL_INT && v.i < 0)
        buf_add_c(b, '-');
    buf_add_z(b, text + at);
}

static void hex(struct buf *b, struct str s, bool upper)
{
    for (size_t i = 0; i < s.len; i++)
        buf_printf(b, upper ? "%02X" : "%02x", (unsigned char)s.at[i]);
}

/* --- %s --- */

static bool text_of(struct cel_ctx *c, struct buf *b, struct cel_val v, bool inside);

static bool texts_of(struct cel_ctx *c, struct buf *b, struct cel_val v)
{
    struct walk w = { 0 };
    struct cel_val key, x;
    bool first = true, fine = true;
    buf_add_c(b, v.kind == CEL_LIST ? '[' : '{');
    while (fine && eval_tick(c) && walk_next(c, &v, &w, &key, &x)) {
        if (!first)
            buf_lit(b, ", ");
        first = false;
        if (v.kind == CEL_MAP) {
            fine = text_of(c, b, key, true);
            buf_add_c(b, ':');
        }
        fine = fine && text_of(c, b, x, true);
    }
    buf_add_c(b, v.kind == CEL_LIST ? ']' : '}');
    return fine;
}

static bool text_of(struct cel_ctx *c, struct buf *b, struct cel_val v, bool inside)
{
    switch (v.kind) {
    case CEL_STRING: case CEL_BYTES:
        if (inside)
            buf_add_z(b, v.kind == CEL_BYTES ? "b\"" : "\"");
        buf_add_str(b, v.s);
        if (inside)
            buf_add_c(b, '"');
        return true;
    case CEL_NULL: buf_lit(b, "null"); return true;
    case CEL_BOOL: buf_add_z(b, v.b ? "true" : "false"); return true;
    case CEL_INT: buf_add_int(b, v.i); return true;
    case CEL_UINT: buf_add_uint(b, v.u); return true;
    case CEL_DOUBLE:
        if (inside && !isnan(v.d) && !isinf(v.d))
            buf_printf(b, "%.6f", v.d);
        else
            double_text(b, v.d);
        return true;
    case CEL_TYPE: buf_add_z(b, type_name(v.type)); return true;
    case CEL_DURATION: case CEL_TIMESTAMP:
        if (inside)
            buf_add_z(b, v.kind == CEL_DURATION ? "duration(\"" : "timestamp(\"");
        if (v.kind == CEL_DURATION)
            duration_text(b, v.i);
        else
            timestamp_text(b, v.seconds, v.nanos);
        if (inside)
            buf_lit(b, "\")");
        return true;
    case CEL_LIST: case CEL_MAP: return v.form != CEL_LAZY && texts_of(c, b, v);
    default: return false;
    }
}

/* --- clauses --- */

static bool is_one_of(uint8_t kind, const char *kinds)
{
    static const char letters[CEL_KINDS] = { [CEL_BOOL] = 'b', [CEL_INT] = 'i', [CEL_UINT] = 'u', [CEL_DOUBLE] = 'd', [CEL_STRING] = 's',
                                             [CEL_BYTES] = 'y', [CEL_DYN] = '*' };
    return letters[kind] && (letters[kind] == '*' || strchr(kinds, letters[kind]));
}

static const struct {
    char verb;
    const char *kinds;                  /* those it takes; NULL: what has a text */
    const char *only;
} clauses[] = {
    { 's', NULL, "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps" },
    { 'd', "iu", "decimal clause can only be used on integers" },
    { 'f', "ds", "fixed-point clause can only be used on doubles" },
    { 'e', "ds", "scientific clause can only be used on doubles" },
    { 'b', "iub", "only integers and bools can be formatted as binary" },
    { 'x', "iusy", "only integers, byte buffers, and strings can be formatted as hex" },
    { 'X', "iusy", "only integers, byte buffers, and strings can be formatted as hex" },
    { 'o', "iu", "octal clause can only be used on integers" },
};

static bool has_text(uint8_t kind)
{
    return kind <= CEL_TYPE || kind == CEL_LIST || kind == CEL_MAP || kind == CEL_PARAM;
}

/* NULL: the clause takes values of that kind. */
static const char *refusal(struct arena *a, char verb, uint8_t kind, const char *name)
{
    for (size_t i = 0; i < sizeof clauses / sizeof *clauses; i++)
        if (clauses[i].verb == verb && !(clauses[i].kinds ? is_one_of(kind, clauses[i].kinds) : has_text(kind)))
            return arena_printf(a, "error during formatting: %s, was given %s", clauses[i].only, name);
    return NULL;
}

/* The clause at the front of *s, behind its '%'. NULL: fine. */
static const char *read_clause(struct arena *a, struct str *s, struct clause *ret)
{
    *ret = (struct clause){ .precision = -1 };
    if (s->len && s->at[0] == '.') {
        ret->precision = 0;
        for (*s = str_skip(*s, 1); s->len && s->at[0] >= '0' && s->at[0] <= '9'; *s = str_skip(*s, 1))
            ret->precision = ret->precision < MOST_PRECISION ? ret->precision * 10 + (s->at[0] - '0') : ret->precision;
        if (ret->precision > MOST_PRECISION)
            ret->precision = MOST_PRECISION;
    }
    if (!s->len)
        return "unexpected end of string";
    ret->verb = s->at[0];
    *s = str_skip(*s, 1);
    if (!strchr("sdfebxXo", ret->verb))
        return arena_printf(a, "could not parse formatting clause: unrecognized formatting clause \"%c\"", ret->verb);
    return NULL;
}

static void write_clause(struct cel_ctx *c, struct buf *b, struct clause k, struct cel_val v)
{
    double d = v.d;
    switch (k.verb) {
    case 's': text_of(c, b, v, false); break;
    case 'd': v.kind == CEL_INT ? buf_add_int(b, v.i) : buf_add_uint(b, v.u); break;
    case 'f': case 'e':
        if (v.kind == CEL_STRING && !parse_double(v.s, &d))
            d = NAN;
        k.verb == 'f' ? fixed(b, d, k.precision) : scientific(b, d);
        break;
    case 'b': in_base(b, v, 2, false); break;
    case 'o': in_base(b, v, 8, false); break;
    default:
        if (v.kind == CEL_STRING || v.kind == CEL_BYTES)
            hex(b, v.s, k.verb == 'X');
        else
            in_base(b, v, 16, k.verb == 'X');
    }
}

struct cel_val cel_format(struct cel_ctx *c, struct str format, const struct cel_val *args)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64u << 20);
    int64_t i = 0;
    struct cel_val v;
    struct clause k;
    buf_add(&b, "", 0);
    while (format.len) {
        char ch = format.at[0];
        format = str_skip(format, 1);
        if (ch != '%' || (format.len && format.at[0] == '%')) {
            if (ch == '%')
                format = str_skip(format, 1);
            buf_add_c(&b, ch);
            continue;
        }
        const char *why = read_clause(c->arena, &format, &k);
        if (!why && !list_get(c, args, i, &v))
            why = arena_printf(c->arena, "index %lld out of range", (long long)i);
        if (!why)
            why = refusal(c->arena, k.verb, v.kind, type_name(cel_type_of(v)));
        if (why)
            return cel_error(c->arena, "%s", why);
        write_clause(c, &b, k, v);
        i++;
    }
    struct str s = arena_str(c->arena, buf_str(&b));
    return b.failed || !s.at ? no_memory() : val_text(s);
}

const char *format_check(struct arena *a, struct str format, const struct node *list, int *ret_arg)
{
    unsigned i = 0;
    struct clause k;
    *ret_arg = -1;
    while (format.len) {
        char ch = format.at[0];
        format = str_skip(format, 1);
        if (ch != '%')
            continue;
        if (format.len && format.at[0] == '%') {
            format = str_skip(format, 1);
            continue;
        }
        const char *why = read_clause(a, &format, &k);
        if (!why && i >= list->n)
            why = arena_printf(a, "index %u out of range", i);
        if (why)
            return why;
        const struct cel_type *t = list->args[i]->type;
        why = refusal(a, k.verb, t->kind == CEL_STRUCT ? CEL_MAP : t->kind, type_name(t));
        *ret_arg = (int)i++;
        if (why)
            return why;
        *ret_arg = -1;
    }
    return i < list->n ? arena_printf(a, "too many arguments supplied to string.format (expected %u, got %u)", i, list->n) : NULL;
}
