/* fn_string.c - functions of texts. Places in texts are counted in code points. */
#include "cel/cel-internal.h"
#include "cel/cost.h"

static struct cel_val out_of_range(struct cel_ctx *c, int64_t i)
{
    return cel_error(c->arena, "index out of range: %lld", (long long)i);
}

/* Byte offset of the i-th code point. */
static size_t offset_of(struct str s, int64_t i)
{
    size_t at = 0;
    for (; at < s.len && i > 0; i--)
        for (at++; at < s.len && ((unsigned char)s.at[at] & 0xc0) == 0x80; at++) {
        }
    return at;
}

static struct str slice(struct str s, int64_t from, int64_t to)
{
    size_t a = offset_of(s, from);
    struct str rest = str_skip(s, a);
    return str_n(rest.at, offset_of(rest, to - from));
}

static bool found_at(struct str s, size_t at, struct str what)
{
    return at + what.len <= s.len && memcmp(s.at + at, what.at ? what.at : "", what.len) == 0;
}

static struct cel_val taken(struct cel_ctx *c, struct buf *b)
{
    struct str s = arena_str(c->arena, buf_str(b));
    bool failed = b->failed;
    buf_free(b);
    return failed || !s.at ? no_memory() : val_text(s);
}

/* --- tests --- */

static struct cel_val fn_contains(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_bool(!v[1].s.len || memmem(v[0].s.at ? v[0].s.at : "", v[0].s.len, v[1].s.at, v[1].s.len) != NULL);
}

static struct cel_val fn_starts(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_bool(str_starts(v[0].s, v[1].s));
}

static struct cel_val fn_ends(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)c;
    (void)n;
    return val_bool(str_ends(v[0].s, v[1].s));
}

/* --- places --- */

static struct cel_val fn_char_at(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    int64_t len = runes(v[0].s), i = v[1].i;
    (void)n;
    if (i < 0 || i > len)
        return out_of_range(c, i);
    return val_text(i == len ? STR("") : slice(v[0].s, i, i + 1));
}

static struct cel_val fn_index_of(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    int64_t from = n == 3 ? v[2].i : 0, i = from;
    struct str s = v[0].s, what = v[1].s;
    if (!what.len)
        return val_int(from);
    if (from < 0)
        return out_of_range(c, from);
    for (size_t at = offset_of(s, from); at < s.len; at += offset_of(str_skip(s, at), 1), i++)
        if (found_at(s, at, what))
            return val_int(i);
    return val_int(-1);
}

static struct cel_val fn_last_index_of(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct str s = v[0].s, what = v[1].s;
    int64_t len = runes(s), most = n == 3 ? v[2].i : len, last = -1, i = 0;
    if (!what.len)
        return val_int(most);
    if (n == 3 && most < 0)
        return out_of_range(c, most);
    if (n == 3 && most >= len)
        return val_int(-1);
    for (size_t at = 0; at < s.len && i <= most; at += offset_of(str_skip(s, at), 1), i++)
        if (found_at(s, at, what))
            last = i;
    return val_int(last);
}

static struct cel_val fn_substring(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    int64_t len = runes(v[0].s), from = v[1].i, to = n == 3 ? v[2].i : len;
    if (n == 3 && from > to)
        return cel_error(c->arena, "invalid substring range. start: %lld, end: %lld", (long long)from, (long long)to);
    if (from < 0 || from > len)
        return out_of_range(c, from);
    return to < 0 || to > len ? out_of_range(c, to) : val_text(slice(v[0].s, from, to));
}

/* --- changed texts --- */

static struct cel_val cased(struct cel_ctx *c, struct str s, char from, int by)
{
    char *at = arena_dup(c->arena, s);
    if (!at)
        return no_memory();
    for (size_t i = 0; i < s.len; i++)
        if (at[i] >= from && at[i] < from + 26)
            at[i] = (char)(at[i] + by);
    return val_text(str_n(at, s.len));
}

static struct cel_val fn_lower(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return cased(c, v[0].s, 'A', 32);
}

static struct cel_val fn_upper(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return cased(c, v[0].s, 'a', -32);
}

/* White space as Unicode has it. */
static size_t space_at(struct str s, size_t at)
{
    static const char *const wide[] = { "\xc2\x85", "\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
                                        "\xe3\x80\x80" };
    if (at < s.len && (s.at[at] == ' ' || (s.at[at] >= '\t' && s.at[at] <= '\r')))
        return 1;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (found_at(s, at, str_of(wide[i])))
            return strlen(wide[i]);
    bool quad = found_at(s, at, STR("\xe2\x80")) && at + 2 < s.len && (unsigned char)s.at[at + 2] >= 0x80 && (unsigned char)s.at[at + 2] <= 0x8a;
    return quad ? 3 : 0;
}

static struct cel_val fn_trim(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct str s = v[0].s;
    size_t skip, end = 0;
    (void)c;
    (void)n;
    while ((skip = space_at(s, 0)))
        s = str_skip(s, skip);
    for (size_t at = 0; at < s.len;) {
        skip = space_at(s, at);
        at += skip ? skip : offset_of(str_skip(s, at), 1);
        if (!skip)
            end = at;
    }
    return val_text(str_n(s.at ? s.at : "", end));
}

static struct cel_val fn_replace(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct buf b = BUF_INIT(64u << 20);
    struct str s = v[0].s, old = v[1].s, new = v[2].s;
    int64_t left = n == 4 ? v[3].i : -1;
    size_t at = 0;
    buf_add(&b, "", 0);
    while (left != 0 && (old.len ? at < s.len : at <= s.len) && eval_tick(c) && !b.failed) {
        if (old.len && !found_at(s, at, old)) {
            buf_add_c(&b, s.at[at++]);
            continue;
        }
        buf_add_str(&b, new);
        left--;
        if (old.len) {
            at += old.len;
            continue;
        }
        size_t one = offset_of(str_skip(s, at), 1);
        buf_add(&b, s.at + at, one);
        at += one;
        if (!one)
            break;
    }
    if (at < s.len)
        buf_add(&b, s.at + at, s.len - at);
    return taken(c, &b);
}

static struct cel_val fn_split(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct str s = v[0].s, sep = v[1].s;
    int64_t left = n == 3 ? v[2].i : -1;
    struct cel_val list = list_new(c, 4);
    if (left == 0 || is_error(list))
        return list;
    while (left != 1 && eval_tick(c)) {
        const char *hit = sep.len ? memmem(s.at ? s.at : "", s.len, sep.at, sep.len) : NULL;
        size_t end = sep.len ? (hit ? (size_t)(hit - s.at) : s.len) : offset_of(s, 1);
        if (sep.len ? !hit : end >= s.len)
            break;
        if (!list_push(c, &list, val_text(str_n(s.at, end))))
            return no_memory();
        s = str_skip(s, end + sep.len);
        left--;
    }
    if (!sep.len && !s.len)
        return list;
    return list_push(c, &list, val_text(s.at ? s : STR(""))) ? list : no_memory();
}

static struct cel_val fn_join(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct buf b = BUF_INIT(64u << 20);
    struct walk w = { 0 };
    struct cel_val x;
    bool first = true;
    buf_add(&b, "", 0);
    while (walk_next(c, &v[0], &w, NULL, &x)) {
        if (x.kind != CEL_STRING) {
            buf_free(&b);
            return cel_error(c->arena, "join: invalid input: %s", value_text(c->arena, x));
        }
        if (!first && n == 2)
            buf_add_str(&b, v[1].s);
        buf_add_str(&b, x.s);
        first = false;
    }
    return taken(c, &b);
}

static struct cel_val fn_quote(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";
    struct buf b = BUF_INIT(64u << 20);
    (void)n;
    buf_add_c(&b, '"');
    for (size_t i = 0; i < v[0].s.len; i++) {
        const char *special = v[0].s.at[i] ? strchr(from, v[0].s.at[i]) : NULL;
        if (special)
            buf_add_c(&b, '\\');
        buf_add_c(&b, special ? to[special - from] : v[0].s.at[i]);
    }
    buf_add_c(&b, '"');
    return taken(c, &b);
}

static struct cel_val fn_format(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    (void)n;
    return cel_format(c, v[0].s, &v[1]);
}

/* "~" and "/" as JSON pointers write them. */
static struct cel_val fn_escape_key(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    struct buf b = BUF_INIT(64u << 20);
    (void)n;
    buf_add(&b, "", 0);
    for (size_t i = 0; i < v[0].s.len; i++) {
        char ch = v[0].s.at[i];
        if (ch == '~' || ch == '/')
            buf_add_z(&b, ch == '~' ? "~0" : "~1");
        else
            buf_add_c(&b, ch);
    }
    return taken(c, &b);
}

const struct fn fns_string[] = {
    { "contains", "string.(string)bool", fn_contains, cost_contains, est_contains, 0 },
    { "endsWith", "string.(string)bool", fn_ends, cost_tenth, est_affix, 0 },
    { "startsWith", "string.(string)bool", fn_starts, cost_tenth, est_affix, 0 },
    { "charAt", "string.(int)string", fn_char_at, NULL, NULL, 0 },
    { "indexOf", "string.(string)int|string.(string,int)int", fn_index_of, cost_traverse, est_traverse, FN_BY_NAME },
    { "lastIndexOf", "string.(string)int|string.(string,int)int", fn_last_index_of, cost_traverse, est_traverse, FN_BY_NAME },
    { "lowerAscii", "string.()string", fn_lower, cost_tenth, est_same_text, FN_BY_NAME },
    { "replace", "string.(string,string)string|string.(string,string,int)string", fn_replace, cost_fifth, est_replace, FN_BY_NAME },
    { "split", "string.(string)list(string)|string.(string,int)list(string)", fn_split, cost_fifth, est_split, FN_BY_NAME },
    { "substring", "string.(int)string|string.(int,int)string", fn_substring, cost_tenth, est_same_text, FN_BY_NAME },
    { "trim", "string.()string", fn_trim, cost_tenth, est_same_text, FN_BY_NAME },
    { "upperAscii", "string.()string", fn_upper, cost_tenth, est_same_text, FN_BY_NAME },
    { "format", "string.(list(dyn))string", fn_format, cost_tenth, est_format, 0 },
    { "strings.quote", "(string)string", fn_quote, cost_tenth, est_quote, 0 },
    { "join", "list(string).()string|list(string).(string)string", fn_join, cost_join, est_join, FN_BY_NAME },
    { "jsonpatch.escapeKey", "(string)string", fn_escape_key, cost_tenth, est_tenth, FN_BY_NAME | FN_PATCH },
    { NULL, NULL, NULL, NULL, NULL, 0 },
};
