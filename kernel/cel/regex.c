/* regex.c - expressions in RE2's dialect, matched by PCRE2. What RE2 refuses (references back, looking around, possessive repetition) is
 * refused here too; matching is bounded, so that no expression holds the loop. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "cel/cel-internal.h"
#include "cel/cost.h"

#include <pcre2.h>

#define STEPS 1000000                   /* most backtracking of one match */

struct regex {
    pcre2_code *code;
};

/* --- compiling --- */

/* Go's words for what RE2 does not have. */
static const char *foreign(struct arena *a, struct str p)
{
    bool class = false;
    for (size_t i = 0; i < p.len; i++) {
        char c = p.at[i], next = i + 1 < p.len ? p.at[i + 1] : '\0';
        if (c == '\\') {
            if ((next >= '1' && next <= '9') || next == 'Z' || next == 'G' || next == 'K' || next == 'R' || next == 'X' || next == 'h' || next == 'H' ||
                next == 'k' || next == 'g')
                return arena_printf(a, "invalid escape sequence: `\\%c`", next);
            if (next == 'Q') {
                const char *end = memmem(p.at + i, p.len - i, "\\E", 2);
                i = end ? (size_t)(end - p.at) : p.len;
            }
            i++;
        } else if (class) {
            class = c != ']';
        } else if (c == '[') {
            class = true;
            i += next == '^' ? (i + 2 < p.len && p.at[i + 2] == ']' ? 2 : 1) : next == ']';
        } else if (c == '(' && next == '?' && i + 2 < p.len && strchr("=!>|#&+", p.at[i + 2])) {
            return arena_printf(a, "invalid or unsupported Perl syntax: `(?%c`", p.at[i + 2]);
        } else if (c == '(' && next == '?' && i + 3 < p.len && p.at[i + 2] == '<' && strchr("=!", p.at[i + 3])) {
            return arena_printf(a, "invalid or unsupported Perl syntax: `(?<`");
        } else if ((c == '*' || c == '+' || c == '?' || c == '}') && (next == '+' || next == '*') && c != '}') {
            return arena_printf(a, "invalid nested repetition operator: `%c%c`", c, next);
        }
    }
    return NULL;
}

/* The mistakes that people make, in Go's words; others in PCRE2's. */
static const char *mistake(struct arena *a, struct str p, int code, size_t at)
{
    unsigned char why[160];
    struct str rest = str_skip(p, at < p.len ? at : p.len);
    const char *open = p.len ? memrchr(p.at, '[', p.len) : NULL;
    switch (code) {
    case PCRE2_ERROR_MISSING_SQUARE_BRACKET:
        return open ? arena_printf(a, "missing closing ]: `%.*s`", (int)(p.at + p.len - open), open) : NULL;
    case PCRE2_ERROR_MISSING_CLOSING_PARENTHESIS: return arena_printf(a, "missing closing ): `" STR_FMT "`", STR_ARG(p));
    case PCRE2_ERROR_UNMATCHED_CLOSING_PARENTHESIS: return arena_printf(a, "unexpected ): `" STR_FMT "`", STR_ARG(p));
    case PCRE2_ERROR_QUANTIFIER_INVALID:
        return arena_printf(a, "missing argument to repetition operator: `%.*s`", p.len ? 1 : 0, p.len ? p.at + (at ? at - 1 : 0) : "");
    case PCRE2_ERROR_QUANTIFIER_OUT_OF_ORDER: case PCRE2_ERROR_QUANTIFIER_TOO_BIG:
        open = p.len ? memrchr(p.at, '{', at < p.len ? at : p.len) : NULL;
        return arena_printf(a, "invalid repeat count: `%.*s`", open ? (int)(p.at + at - open) + 1 : 0, open ? open : "");
    case PCRE2_ERROR_END_BACKSLASH: return arena_dup(a, STR("trailing backslash at end of expression: ``"));
    default:
        pcre2_get_error_message(code, why, sizeof why);
        return arena_printf(a, "%s: `" STR_FMT "`", (char *)why, STR_ARG(rest));
    }
}

static pcre2_code *compile(struct arena *a, struct str p, const char **ret_why)
{
    int code = 0;
    size_t at = 0;
    *ret_why = foreign(a, p);
    if (*ret_why)
        return NULL;
    pcre2_compile_context *c = pcre2_compile_context_create(NULL);
    if (!c)
        return NULL;
    pcre2_set_newline(c, PCRE2_NEWLINE_LF);
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)(p.at ? p.at : ""), p.len, PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &code, &at, c);
    pcre2_compile_context_free(c);
    if (!re)
        *ret_why = mistake(a, p, code, at);
    return re;
}

static void release(void *code)
{
    pcre2_code_free(code);
}

struct regex *regex_compile(struct arena *a, struct str pattern, const char **ret_why)
{
    struct regex *r = arena_alloc(a, sizeof *r);
    if (!r)
        return NULL;
    r->code = compile(a, pattern, ret_why);
    if (!r->code)
        return NULL;
    if (arena_cleanup(a, release, r->code))
        return r;
    pcre2_code_free(r->code);
    return NULL;
}

const char *regex_check(struct arena *a, struct str pattern)
{
    const char *why = NULL;
    pcre2_code *code = compile(a, pattern, &why);
    pcre2_code_free(code);
    return code ? NULL : why ? why : "out of memory";
}

/* --- matching --- */

/* From `from` on; > 0: found, and where. 0: not; -1: it takes too long. */
static int match(const pcre2_code *code, struct str s, size_t from, size_t *ret_at, size_t *ret_end)
{
    pcre2_match_context *c = pcre2_match_context_create(NULL);
    pcre2_match_data *data = c ? pcre2_match_data_create(1, NULL) : NULL;
    int rc = PCRE2_ERROR_NOMEMORY;
    if (data) {
        pcre2_set_match_limit(c, STEPS);
        rc = pcre2_match(code, (PCRE2_SPTR)(s.at ? s.at : ""), s.len, from, 0, data, c);
        size_t *where = pcre2_get_ovector_pointer(data);
        if (rc >= 0) {
            *ret_at = where[0];
            *ret_end = where[1];
        }
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(c);
    return rc >= 0 ? 1 : rc == PCRE2_ERROR_NOMATCH ? 0 : -1;
}

bool regex_match(const struct regex *r, struct str s, bool *ret_too_long)
{
    size_t at, end;
    int found = match(r->code, s, 0, &at, &end);
    *ret_too_long = found < 0;
    return found > 0;
}

static struct cel_val bad_pattern(struct cel_ctx *c, const char *why)
{
    return cel_error(c->arena, "error parsing regexp: %s", why ? why : "out of memory");
}

static struct cel_val too_long(struct cel_ctx *c)
{
    return cel_error(c->arena, "the expression takes too long to match");
}

static struct cel_val fn_matches(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    const char *why = NULL;
    size_t at, end;
    (void)n;
    pcre2_code *code = compile(c->arena, v[1].s, &why);
    if (!code)
        return bad_pattern(c, why);
    int found = match(code, v[0].s, 0, &at, &end);
    pcre2_code_free(code);
    return found < 0 ? too_long(c) : val_bool(found > 0);
}

static struct cel_val fn_find(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    const char *why = NULL;
    size_t at, end;
    (void)n;
    pcre2_code *code = compile(c->arena, v[1].s, &why);
    if (!code)
        return cel_error(c->arena, "error parsing regexp: %s", why ? why : "out of memory");
    int found = match(code, v[0].s, 0, &at, &end);
    pcre2_code_free(code);
    return found < 0 ? too_long(c) : val_text(found ? str_n(v[0].s.at + at, end - at) : STR(""));
}

/* An empty match moves on by a code point. */
static size_t behind(struct str s, size_t at, size_t end)
{
    if (end > at)
        return end;
    for (end++; end < s.len && ((unsigned char)s.at[end] & 0xc0) == 0x80; end++) {
    }
    return end;
}

static struct cel_val fn_find_all(struct cel_ctx *c, struct cel_val *v, unsigned n)
{
    const char *why = NULL;
    int64_t left = n == 3 ? v[2].i : -1;
    size_t at = 0, end = 0, last_end = SIZE_MAX;
    struct cel_val list = list_new(c, 4);
    pcre2_code *code = compile(c->arena, v[1].s, &why);
    if (!code)
        return cel_error(c->arena, "error parsing regexp: %s", why ? why : "out of memory");
    int found = 1;
    for (size_t from = 0; left != 0 && from <= v[0].s.len && eval_tick(c) && (found = match(code, v[0].s, from, &at, &end)) > 0; left--) {
        from = behind(v[0].s, at, end);
        if (at == end && at == last_end) {              /* right behind a match an empty one does not count */
            left++;
            continue;
        }
        last_end = end;
        if (!list_push(c, &list, val_text(str_n(v[0].s.at ? v[0].s.at + at : "", end - at))))
            break;
    }
    pcre2_code_free(code);
    return found < 0 ? too_long(c) : list;
}

const struct fn fns_regex[] = {
    { "matches", "(string,string)bool", fn_matches, NULL, NULL, 0 },
    { "matches", "string.(string)bool", fn_matches, cost_matches, est_matches, 0 },
    { "find", "string.(string)string", fn_find, cost_matches, est_find, FN_BY_NAME },
    { "findAll", "string.(string)list(string)|string.(string,int)list(string)", fn_find_all, cost_matches, est_find, FN_BY_NAME },
    { NULL, NULL, NULL, NULL, NULL, 0 },
};
