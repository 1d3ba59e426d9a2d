/* validate_say.c - complaints in upstream's words, and checks of single values. */
#include "object/validate.h"

#include <arpa/inet.h>

static void add(causes c, const char *reason, const struct path *p, const char *text)
{
    const char *at = path_text(c->arena, p);
    if (c->n == c->cap) {
        unsigned cap = c->cap ? c->cap * 2 : 4;
        struct object_cause *more = cap > 256 ? NULL : arena_alloc(c->arena, cap * sizeof *more);
        if (!more)
            return;
        if (c->n)
            memcpy(more, c->at, c->n * sizeof *more);
        c->at = more;
        c->cap = cap;
    }
    c->at[c->n++] = (struct object_cause){ reason, at, text ? text : "" };
}

void object_cause_add(struct object_causes *c, const char *reason, const char *field, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    add(c, reason, IN(NULL, arena_dup(c->arena, str_of(field))), arena_dup(c->arena, str_of(text)));
}

const char *words(causes c, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = n < 0 ? NULL : arena_alloc(c->arena, (size_t)n + 1);
    if (s)
        vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    return s ? s : "";
}

void say_with(causes c, const char *reason, const struct path *p, const char *head, const char *detail)
{
    add(c, reason, p, detail && detail[0] ? words(c, "%s: %s", head, detail) : head);
}

static const char *quoted(causes c, const char *head, struct str s)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    object_write_quoted(&b, s);
    return words(c, "%s: %s", head, b.failed ? "\"...\"" : b.at);
}

static const char *as_json(causes c, const char *head, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    if (v)
        json_write(&b, v);
    return words(c, "%s: %s", head, v && !b.failed ? b.at : "null");
}

void say_required(causes c, const struct path *p, const char *detail)
{
    say_with(c, "FieldValueRequired", p, "Required value", detail);
}

void say_invalid(causes c, const struct path *p, struct str value, const char *detail)
{
    say_with(c, "FieldValueInvalid", p, quoted(c, "Invalid value", value), detail);
}

void say_invalid_int(causes c, const struct path *p, int64_t value, const char *detail)
{
    say_with(c, "FieldValueInvalid", p, words(c, "Invalid value: %lld", (long long)value), detail);
}

void say_invalid_val(causes c, const struct path *p, const struct val *v, const char *detail)
{
    say_with(c, "FieldValueInvalid", p, as_json(c, "Invalid value", v), detail);
}

void say_forbidden(causes c, const struct path *p, const char *detail)
{
    say_with(c, "FieldValueForbidden", p, "Forbidden", detail);
}

void say_unsupported_val(causes c, const struct path *p, const struct val *v, const char *const *choices)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    for (const char *const *x = choices; *x; x++)
        buf_printf(&b, "%s\"%s\"", x == choices ? "" : ", ", *x);
    say_with(c, "FieldValueNotSupported", p, as_json(c, "Unsupported value", v), words(c, "supported values: %s", b.at ? b.at : ""));
}

void say_duplicate(causes c, const struct path *p, struct str value)
{
    say_with(c, "FieldValueDuplicate", p, quoted(c, "Duplicate value", value), NULL);
}

void say_duplicate_val(causes c, const struct path *p, const struct val *v, const char *detail)
{
    say_with(c, "FieldValueDuplicate", p, as_json(c, "Duplicate value", v), detail);
}

void say_not_found(causes c, const struct path *p, struct str value)
{
    say_with(c, "FieldValueNotFound", p, quoted(c, "Not found", value), NULL);
}

void say_too_long(causes c, const struct path *p, size_t most, const char *unit)
{
    say_with(c, "FieldValueTooLong", p, "Too long", words(c, "may not be more than %zu %s", most, unit));
}

void say_too_many(causes c, const struct path *p, long n, long most, const char *what)
{
    say_with(c, "FieldValueTooMany", p, words(c, "Too many: %ld", n), words(c, "must have at most %ld item%s", most, what));
}

void say_unsupported(causes c, const struct path *p, struct str value, const char *const *choices)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    for (const char *const *x = choices; *x; x++)
        buf_printf(&b, "%s\"%s\"", x == choices ? "" : ", ", *x);
    say_with(c, "FieldValueNotSupported", p, quoted(c, "Unsupported value", value), words(c, "supported values: %s", b.at ? b.at : ""));
}

void say_immutable(causes c, const struct path *p, const struct val *now)
{
    say_invalid_val(c, p, now, "field is immutable");
}

/* --- checks --- */

bool check_choice(causes c, const struct path *p, struct str value, const char *const *choices)
{
    for (const char *const *x = choices; *x; x++)
        if (str_is(value, *x))
            return true;
    say_unsupported(c, p, value, choices);
    return false;
}

bool check_required_str(causes c, const struct path *p, struct str value)
{
    if (!value.len)
        say_required(c, p, NULL);
    return value.len != 0;
}

bool check_at_least(causes c, const struct path *p, int64_t n, int64_t least)
{
    if (n < least)
        say_invalid_int(c, p, n, words(c, "must be greater than or equal to %lld", (long long)least));
    return n >= least;
}

bool check_positive(causes c, const struct path *p, int64_t n)
{
    if (n <= 0)
        say_invalid_int(c, p, n, "must be greater than 0");
    return n > 0;
}

bool check_between(causes c, const struct path *p, int64_t n, int64_t least, int64_t most)
{
    if (n < least || n > most)
        say_invalid_int(c, p, n, words(c, "must be between %lld and %lld, inclusive", (long long)least, (long long)most));
    return n >= least && n <= most;
}

bool check_port(causes c, const struct path *p, int64_t n)
{
    return check_between(c, p, n, 1, 65535);
}

bool check_nonnegative(causes c, const struct path *up, const struct val *v, const char *member)
{
    return check_at_least(c, IN(up, member), json_int(v, member, 0), 0);
}

bool check_immutable(causes c, const struct path *up, const struct val *now, const struct val *old, const char *member)
{
    const struct val *x = json_get(now, str_of(member)), *y = json_get(old, str_of(member));
    bool same = val_equal(x, y) || (!x && !y) || (!x && y->type >= VAL_ARR && !y->n) || (!y && x && x->type >= VAL_ARR && !x->n);
    if (!same)
        say_immutable(c, IN(up, member), x);
    return same;
}

bool check_immutable_str(causes c, const struct path *up, const struct val *now, const struct val *old, const char *member)
{
    struct str x = json_str(now, member);
    bool same = str_eq(x, json_str(old, member));
    if (!same)
        say_invalid(c, IN(up, member), x, "field is immutable");
    return same;
}

/* --- what was met --- */

bool met(const struct met *s, struct str key)
{
    return map_get(&s->m, key.at ? key : STR("")) != NULL;
}

bool met_again(struct met *s, struct str key)
{
    static char some;
    if (met(s, key))
        return true;
    map_put(&s->m, key.at ? key : STR(""), &some);
    return false;
}

void met_all(struct met *s, const struct val *list, const char *member)
{
    LIST_EACH (x, at, list)
        met_again(s, json_str(x, member));
}

void met_end(struct met *s)
{
    map_free(&s->m);
}

/* --- addresses --- */

bool is_ip(struct str s, bool *v6)
{
    unsigned char room[16];
    char text[64];
    if (!s.len || s.len >= sizeof text)
        return false;
    memcpy(text, s.at, s.len);
    text[s.len] = '\0';
    bool six = str_find(s, ':') >= 0;
    if (v6)
        *v6 = six;
    return inet_pton(six ? AF_INET6 : AF_INET, text, room) == 1;
}

bool is_cidr(struct str s, bool *v6)
{
    struct str rest = s, ip = str_cut(&rest, '/');
    int64_t bits;
    bool six = false;
    if (!rest.at || !is_ip(ip, &six) || !str_int(rest, &bits) || (rest.len > 1 && rest.at[0] == '0'))
        return false;
    if (v6)
        *v6 = six;
    return bits >= 0 && bits <= (six ? 128 : 32);
}

size_t ip_without_zeros(struct str s, char ret[64])
{
    size_t n = 0;
    for (size_t i = 0; i < s.len && n < 63; i++) {
        bool first = i == 0 || s.at[i - 1] == '.' || (n == 0 || ret[n - 1] == '.');
        if (!(first && s.at[i] == '0' && i + 1 < s.len && s.at[i + 1] != '.'))
            ret[n++] = s.at[i];
    }
    ret[n] = '\0';
    return n;
}

bool is_ip_of_old(struct str s, bool *ret_v6)
{
    char text[64];
    return is_ip(s, ret_v6) || (s.len < sizeof text && is_ip(str_n(text, ip_without_zeros(s, text)), ret_v6));
}

static bool has_leading_zeros(struct str s)
{
    char text[64];
    size_t n = ip_without_zeros(s, text);
    return n < s.len && is_ip(str_n(text, n), NULL);
}

static bool is_mapped(struct str s)
{
    unsigned char room[16];
    char text[64];
    static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    memcpy(text, s.at, s.len);
    text[s.len] = '\0';
    return inet_pton(AF_INET6, text, room) == 1 && memcmp(room, mapped, sizeof mapped) == 0;
}

bool check_ip(causes c, const struct path *p, struct str s)
{
    bool v6 = false;
    const char *why = NULL;
    if (!is_ip(s, &v6))
        why = !v6 && s.len < 32 && has_leading_zeros(s) ? "must not have leading 0s" : "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    else if (v6 && is_mapped(s))
        why = "must not be an IPv4-mapped IPv6 address";
    if (why)
        say_invalid(c, p, s, why);
    return !why;
}

bool check_cidr(causes c, const struct path *p, struct str s)
{
    bool ok = is_cidr(s, NULL);
    if (!ok)
        say_invalid(c, p, s, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    return ok;
}
