/* fn_misc.c - quantities, semantic versions, named formats. */
#include <ctype.h>

#include "cel/cel-internal.h"
#include "cel/cost.h"
#include "cel/named.h"

/* --- quantities --- */

static struct cel_val quantity_in(struct arena *a, struct quantity q)
{
    struct cel_opaque *o;
    struct cel_val v = val_opaque(a, CEL_QUANTITY, &o);
    if (o) {
        o->nano_high = (int64_t)(q.nano >> 64);
        o->nano_low = (uint64_t)q.nano;
        o->q_format = q.format;
    }
    return v;
}

static struct cel_val of_quantity(struct cel_ctx *c, struct quantity q)
{
    return quantity_in(c->arena, q);
}

struct cel_val val_quantity_text(struct arena *a, struct str s)
{
    struct quantity q;
    return s.len && quantity_parse(s, &q) ? quantity_in(a, q) :
           cel_error(a, "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

static struct cel_val fn_quantity(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return val_quantity_text(c->arena, v[0].s);
}

static struct cel_val fn_is_quantity(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct quantity q;
    (void)c;
    (void)n;
    return val_bool(quantity_parse(v[0].s, &q));
}

static int sign_of(struct quantity q)
{
    return (q.nano > 0) - (q.nano < 0);
}

static struct cel_val fn_sign(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_int(sign_of(opaque_quantity(v[0].opaque)));
}

static int order(const struct cel_val *v)
{
    return quantity_cmp(opaque_quantity(v[0].opaque), opaque_quantity(v[1].opaque));
}

static struct cel_val fn_q_greater(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_bool(order(v) > 0);
}

static struct cel_val fn_q_less(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_bool(order(v) < 0);
}

static struct cel_val fn_q_compare(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    int o = order(v);
    (void)c;
    (void)n;
    return val_int((o > 0) - (o < 0));
}

static struct cel_val fn_as_float(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return (struct cel_val){ .kind = CEL_DOUBLE, .d = (double)opaque_quantity(v[0].opaque).nano / 1e9 };
}

static bool whole(struct quantity q)
{
    return q.nano % 1000000000 == 0;
}

static struct cel_val fn_is_integer(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_bool(whole(opaque_quantity(v[0].opaque)));
}

static struct cel_val fn_as_integer(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return whole(opaque_quantity(v[0].opaque)) ? val_int((int64_t)(opaque_quantity(v[0].opaque).nano / 1000000000)) :
                                          cel_error(c->arena, "cannot convert value to integer");
}

static struct quantity other(const struct cel_val *v)
{
    return v[1].kind == CEL_INT ? quantity_of(v[1].i, QUANTITY_EXPONENT) : opaque_quantity(v[1].opaque);
}

static struct cel_val fn_q_add(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return of_quantity(c, quantity_add(opaque_quantity(v[0].opaque), other(v)));
}

static struct cel_val fn_q_sub(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return of_quantity(c, quantity_sub(opaque_quantity(v[0].opaque), other(v)));
}

/* --- semantic versions --- */

static bool id_char(char c)
{
    return isalnum((unsigned char)c) || c == '-';
}

static bool is_number(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!isdigit((unsigned char)s.at[i]))
            return false;
    return s.len > 0;
}

/* Dotted parts, none empty; numbers of a prerelease have no leading zeroes. */
static const char *bad_ids(struct arena *a, struct str s, bool build)
{
    while (s.at) {
        struct str part = str_cut(&s, '.');
        if (!part.len)
            return build ? "Build meta data is empty" : "Prerelease is empty";
        for (size_t i = 0; i < part.len; i++)
            if (!id_char(part.at[i]))
                return arena_printf(a, "Invalid character(s) found in %s \"" STR_FMT "\"", build ? "build meta data" : "prerelease", STR_ARG(part));
        if (!build && part.len > 1 && part.at[0] == '0' && is_number(part))
            return arena_printf(a, "Numeric PreRelease version must not contain leading zeroes \"" STR_FMT "\"", STR_ARG(part));
    }
    return NULL;
}

static const char *read_semver(struct arena *a, struct str s, struct cel_opaque *o)
{
    struct str parts[3], rest = s;
    unsigned n = 0;
    if (!s.len)
        return "Version string empty";
    for (; rest.at && n < 2; n++)
        parts[n] = str_cut(&rest, '.');
    if (n == 2 && rest.at)
        parts[n++] = rest;
    if (n < 3)
        return "No Major.Minor.Patch elements found";
    long plus = str_find(parts[2], '+');
    struct str build = plus >= 0 ? str_skip(parts[2], (size_t)plus + 1) : STR_NONE;
    if (plus >= 0)
        parts[2].len = (size_t)plus;
    long dash = str_find(parts[2], '-');
    o->pre = dash >= 0 ? str_skip(parts[2], (size_t)dash + 1) : STR_NONE;
    if (dash >= 0)
        parts[2].len = (size_t)dash;
    static const char *const names[] = { "major", "minor", "patch" }, *const capitals[] = { "Major", "Minor", "Patch" };
    for (unsigned i = 0; i < 3; i++) {
        if (!is_number(parts[i]))
            return arena_printf(a, "Invalid character(s) found in %s number \"" STR_FMT "\"", names[i], STR_ARG(parts[i]));
        if (parts[i].len > 1 && parts[i].at[0] == '0')
            return arena_printf(a, "%s number must not contain leading zeroes \"" STR_FMT "\"", capitals[i], STR_ARG(parts[i]));
        if (!parse_uint(parts[i], &o->number[i]))
            return "value out of range";
    }
    const char *why = dash >= 0 ? bad_ids(a, o->pre, false) : NULL;
    return why ? why : plus >= 0 ? bad_ids(a, build, true) : NULL;
}

/* "v1.02" -> "1.2.0" */
static struct str normal(struct arena *a, struct str s)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    struct str parts[3], rest;
    unsigned n = 0;
    if (str_starts(s, STR("v")))
        s = str_skip(s, 1);
    for (rest = s; rest.at && n < 2; n++)
        parts[n] = str_cut(&rest, '.');
    if (n == 2 && rest.at)
        parts[n++] = rest;
    for (unsigned i = 0; i < n; i++) {
        while (parts[i].len > 1 && parts[i].at[0] == '0' && isdigit((unsigned char)parts[i].at[1]))
            parts[i] = str_skip(parts[i], 1);
        buf_printf(&b, "%s" STR_FMT, i ? "." : "", STR_ARG(parts[i]));
    }
    for (; n < 3 && n && !memchr(parts[n - 1].at, '-', parts[n - 1].len) && !memchr(parts[n - 1].at, '+', parts[n - 1].len); n++) {
        buf_lit(&b, ".0");
        parts[n] = STR("0");
    }
    return arena_str(a, buf_str(&b));
}

struct cel_val val_semver_text(struct arena *a, struct str s)
{
    struct cel_opaque *o;
    struct cel_val version = val_opaque(a, CEL_SEMVER, &o);
    const char *why = o ? read_semver(a, s, o) : NULL;
    return why ? cel_error(a, "%s", why) : version;
}

static struct cel_val fn_semver(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    return val_semver_text(c->arena, n == 2 && v[1].b ? normal(c->arena, v[0].s) : v[0].s);
}

static struct cel_val fn_is_semver(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    return val_bool(!is_error(fn_semver(c, v, n)));
}

static int compare_ids(struct str a, struct str b)
{
    while (a.at && b.at) {
        struct str x = str_cut(&a, '.'), y = str_cut(&b, '.');
        bool nx = is_number(x), ny = is_number(y);
        int o = nx && ny && x.len != y.len ? (x.len < y.len ? -1 : 1) : nx != ny ? (nx ? -1 : 1) : str_cmp(x, y);
        if (o)
            return o < 0 ? -1 : 1;
    }
    return a.at ? 1 : b.at ? -1 : 0;
}

static int semver_order(const struct cel_val *v)
{
    const struct cel_opaque *a = v[0].opaque, *b = v[1].opaque;
    for (int i = 0; i < 3; i++)
        if (a->number[i] != b->number[i])
            return a->number[i] < b->number[i] ? -1 : 1;
    if (!a->pre.at || !b->pre.at)
        return a->pre.at ? -1 : b->pre.at ? 1 : 0;
    return compare_ids(a->pre, b->pre);
}

static struct cel_val fn_v_greater(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_bool(semver_order(v) > 0);
}

static struct cel_val fn_v_less(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_bool(semver_order(v) < 0);
}

static struct cel_val fn_v_compare(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_int(semver_order(v));
}

#define PART(name, i_) \
    static struct cel_val name(struct cel_ctx *c, struct cel_val *v, unsigned n) \
    { \
        (void)c; \
        (void)n; \
        return val_int((int64_t)v[0].opaque->number[i_]); \
    }
PART(fn_major, 0)
PART(fn_minor, 1)
PART(fn_patch, 2)

/* --- named formats --- */

static struct cel_val of_format(struct cel_ctx *c, const struct named_format *f)
{
    struct cel_opaque *o;
    struct cel_val v = val_opaque(c->arena, CEL_FORMAT, &o);
    if (o)
        o->format = f;
    return v;
}

static struct cel_val fn_named(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    const struct named_format *f = named_format(v[0].s);
    (void)n;
    if (!f)
        return (struct cel_val){ .kind = CEL_OPTIONAL };
    struct cel_val format = of_format(c, f);
    return is_error(format) ? format : val_some(c->arena, format);
}

static struct cel_val fn_validate(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    const char *why[8];
    unsigned n_why = named_format_errors(c->arena, v[0].opaque->format, v[1].s, why, 8);
    struct cel_val list = list_new(c, n_why);
    (void)n;
    for (unsigned i = 0; i < n_why && !is_error(list); i++)
        if (!list_push(c, &list, val_text(str_of(why[i]))))
            return no_memory();
    return is_error(list) ? list : n_why ? val_some(c->arena, list) : (struct cel_val){ .kind = CEL_OPTIONAL };
}

#define FORMAT(name) \
    static struct cel_val fn_format_##name(struct cel_ctx *c, struct cel_val *v, unsigned n) \
    { \
        (void)v; \
        (void)n; \
        return of_format(c, named_format(STR(#name))); \
    }
FORMAT(dns1123Label)
FORMAT(dns1123Subdomain)
FORMAT(dns1035Label)
FORMAT(qualifiedName)
FORMAT(dns1123LabelPrefix)
FORMAT(dns1123SubdomainPrefix)
FORMAT(dns1035LabelPrefix)
FORMAT(labelValue)
FORMAT(uri)
FORMAT(uuid)
FORMAT(byte)
FORMAT(date)
FORMAT(datetime)
#define FORMAT_ROW(name) { "format." #name, "()format", fn_format_##name, NULL, NULL, 0 }

const struct fn fns_misc[] = {
    { "quantity", "(string)quantity", fn_quantity, cost_tenth, est_tenth, FN_BY_NAME },
    { "isQuantity", "(string)bool", fn_is_quantity, cost_tenth, est_tenth, FN_BY_NAME },
    { "sign", "(quantity)int", fn_sign, cost_one, NULL, FN_BY_NAME },
    { "isGreaterThan", "quantity.(quantity)bool", fn_q_greater, cost_one, NULL, FN_BY_NAME },
    { "isLessThan", "quantity.(quantity)bool", fn_q_less, cost_one, NULL, FN_BY_NAME },
    { "compareTo", "quantity.(quantity)int", fn_q_compare, cost_one, NULL, FN_BY_NAME },
    { "asApproximateFloat", "quantity.()double", fn_as_float, cost_one, NULL, FN_BY_NAME },
    { "asInteger", "quantity.()int", fn_as_integer, cost_one, NULL, FN_BY_NAME },
    { "isInteger", "quantity.()bool", fn_is_integer, cost_one, NULL, FN_BY_NAME },
    { "add", "quantity.(quantity)quantity|quantity.(int)quantity", fn_q_add, cost_one, NULL, FN_BY_NAME },
    { "sub", "quantity.(quantity)quantity|quantity.(int)quantity", fn_q_sub, cost_one, NULL, FN_BY_NAME },
    { "semver", "(string)semver|(string,bool)semver", fn_semver, cost_tenth, est_tenth, FN_BY_NAME },
    { "isSemver", "(string)bool|(string,bool)bool", fn_is_semver, cost_tenth, est_tenth, FN_BY_NAME },
    { "isGreaterThan", "semver.(semver)bool", fn_v_greater, cost_one, NULL, FN_BY_NAME },
    { "isLessThan", "semver.(semver)bool", fn_v_less, cost_one, NULL, FN_BY_NAME },
    { "compareTo", "semver.(semver)int", fn_v_compare, cost_one, NULL, FN_BY_NAME },
    { "major", "semver.()int", fn_major, cost_one, NULL, FN_BY_NAME },
    { "minor", "semver.()int", fn_minor, cost_one, NULL, FN_BY_NAME },
    { "patch", "semver.()int", fn_patch, cost_one, NULL, FN_BY_NAME },
    { "format.named", "(string)optional(format)", fn_named, cost_one, NULL, FN_BY_NAME },
    { "validate", "format.(string)optional(list(string))", fn_validate, cost_validate, est_validate, FN_BY_NAME },
    FORMAT_ROW(dns1123Label),
    FORMAT_ROW(dns1123Subdomain),
    FORMAT_ROW(dns1035Label),
    FORMAT_ROW(qualifiedName),
    FORMAT_ROW(dns1123LabelPrefix),
    FORMAT_ROW(dns1123SubdomainPrefix),
    FORMAT_ROW(dns1035LabelPrefix),
    FORMAT_ROW(labelValue),
    FORMAT_ROW(uri),
    FORMAT_ROW(uuid),
    FORMAT_ROW(byte),
    FORMAT_ROW(date),
    FORMAT_ROW(datetime),
    { NULL, NULL, NULL, NULL, NULL, 0 },
};
