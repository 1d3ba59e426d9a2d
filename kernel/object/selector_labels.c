/* selector_labels.c - label selectors as text. Tokens and rules are upstream's parser's, since its complaints name them. */
#include <errno.h>
#include <stdlib.h>

#include "object/validate.h"
#include "selector-internal.h"

enum token { T_END = 1, T_WORD, T_IN, T_NOT_IN, T_EQUAL, T_DOUBLE_EQUAL, T_NOT_EQUAL, T_NOT, T_ABOVE, T_BELOW, T_OPEN, T_CLOSE, T_COMMA };

struct parser {
    struct str rest;
    enum token tok;                     /* the one that comes next, and its text */
    struct str text;
    struct arena *arena;
    struct selector *selector;
    const char *why;                    /* what is wrong */
};

static bool special(char c)
{
    return c && strchr("=!(),><", c);
}

static bool space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum token special_token(struct str rest, size_t *ret_len)
{
    static const struct {
        const char *text;
        enum token tok;
    } rows[] = { { "==", T_DOUBLE_EQUAL }, { "!=", T_NOT_EQUAL }, { "=", T_EQUAL }, { "!", T_NOT }, { ">", T_ABOVE }, { "<", T_BELOW }, { "(", T_OPEN }, { ")", T_CLOSE }, { ",", T_COMMA } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_starts(rest, str_of(rows[i].text))) {
            *ret_len = strlen(rows[i].text);
            return rows[i].tok;
        }
    return T_END;
}

/* What follows, in p->tok and p->text. */
static void next(struct parser *p)
{
    size_t n = 0;
    while (p->rest.len && space(p->rest.at[0]))
        p->rest = str_skip(p->rest, 1);
    if (!p->rest.len || !p->rest.at[0]) {
        p->tok = T_END;
        p->text = STR("");
        return;
    }
    if (special(p->rest.at[0])) {
        p->tok = special_token(p->rest, &n);
    } else {
        while (n < p->rest.len && p->rest.at[n] && !special(p->rest.at[n]) && !space(p->rest.at[n]))
            n++;
        struct str word = str_n(p->rest.at, n);
        p->tok = str_is(word, "in") ? T_IN : str_is(word, "notin") ? T_NOT_IN : T_WORD;
    }
    p->text = str_n(p->rest.at, n);
    p->rest = str_skip(p->rest, n);
}

/* Where no operator is expected, "in" and "notin" are words like others. */
static bool at_word(const struct parser *p)
{
    return p->tok == T_WORD || p->tok == T_IN || p->tok == T_NOT_IN;
}

static int found(struct parser *p, bool within, const char *expected)
{
    p->why = arena_printf(p->arena, "%sfound '" STR_FMT "'%s", within ? "unable to parse requirement: " : "", STR_ARG(p->text), expected);
    return -1;
}

/* "a; b" of all that is wrong with a name; NULL: nothing. */
static const char *wrong(struct parser *p, struct str name, enum grammar g)
{
    const char *why[4], *text = NULL;
    unsigned n = name_errors(p->arena, name, g, why, 4);
    for (unsigned i = 0; i < n; i++)
        text = i ? arena_printf(p->arena, "%s; %s", text, why[i]) : why[i];
    return text;
}

static int check_key(struct parser *p, struct str key)
{
    const char *why = wrong(p, key, G_QUALIFIED);
    if (!why)
        return 0;
    p->why = arena_printf(p->arena, "unable to parse requirement: <nil>: Invalid value: \"" STR_FMT "\": %s", STR_ARG(key), why);
    return -1;
}

static bool is_integer(struct str s)
{
    int64_t ignored;
    return s.len && str_int(s, &ignored);
}

static int by_text(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static int check_values(struct parser *p, struct requirement *r)
{
    const char *complaints = NULL;
    unsigned shown = 0;
    qsort(r->values, r->n, sizeof *r->values, by_text);
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < r->n; i++) {
            bool number = r->op == OP_ABOVE || r->op == OP_BELOW;
            const char *why = pass ? wrong(p, r->values[i], G_LABEL_VALUE) : number && !is_integer(r->values[i]) ? "for 'Gt', 'Lt' operators, the value must be an integer" : NULL;
            struct str key = pass ? r->key : STR("");
            if (!why)
                continue;
            complaints = arena_printf(p->arena, "%s%svalues[%u]%s" STR_FMT "%s: Invalid value: \"" STR_FMT "\": %s", shown ? complaints : "", shown ? ", " : "", i, pass ? "[" : "",
                                      STR_ARG(key), pass ? "]" : "", STR_ARG(r->values[i]), why);
            shown++;
        }
    if (!shown)
        return 0;
    p->why = arena_printf(p->arena, "unable to parse requirement: %s%s%s", shown > 1 ? "[" : "", complaints, shown > 1 ? "]" : "");
    return -1;
}

static void add_value(struct requirement *r, struct str v)
{
    for (unsigned i = 0; i < r->n; i++)
        if (str_eq(r->values[i], v))
            return;
    r->values[r->n++] = v;
}

/* The values of a list: behind the '('. */
static int value_list(struct parser *p, struct requirement *r)
{
    if (p->tok == T_CLOSE) {
        next(p);
        return 0;
    }
    if (!at_word(p) && p->tok != T_COMMA)
        return found(p, true, ", expected: ',', ')' or identifier");
    for (bool first = true;; first = false) {
        if (at_word(p)) {
            add_value(r, p->text);
            next(p);
            if (p->tok == T_CLOSE)
                break;
            if (p->tok != T_COMMA)
                return found(p, true, ", expected: ',' or ')'");
            continue;
        }
        if (p->tok != T_COMMA)
            return found(p, true, ", expected: ',', or identifier");
        if (first)
            add_value(r, STR(""));
        next(p);
        if (p->tok == T_CLOSE || p->tok == T_COMMA)
            add_value(r, STR(""));
        if (p->tok == T_CLOSE)
            break;
        if (p->tok == T_COMMA)
            next(p);
    }
    next(p);
    return 0;
}

static enum operator operator_of(enum token tok)
{
    static const enum operator ops[] = { [T_IN] = OP_IN, [T_NOT_IN] = OP_NOT_IN, [T_EQUAL] = OP_IN, [T_DOUBLE_EQUAL] = OP_IN, [T_NOT_EQUAL] = OP_NOT_IN, [T_ABOVE] = OP_ABOVE, [T_BELOW] = OP_BELOW, [T_COMMA] = 0 };
    return ops[tok];
}

/* Behind the key: an operator and what it is given. */
static int condition(struct parser *p, struct str key)
{
    enum token tok = p->tok;
    unsigned room = 3;                  /* commas may stand for empty values on both sides */
    if (!operator_of(tok))
        return found(p, true, ", expected: in, notin, =, ==, !=, gt, lt");
    for (size_t i = 0; i < p->rest.len && (tok == T_IN || tok == T_NOT_IN); i++)
        room += p->rest.at[i] == ',';
    struct requirement *r = selector_add(p->arena, p->selector, key, operator_of(tok), room);
    if (!r)
        return -1;
    next(p);
    if (tok == T_IN || tok == T_NOT_IN) {
        if (p->tok != T_OPEN)
            return found(p, true, " expected: '('");
        next(p);
        return value_list(p, r) < 0 ? -1 : check_values(p, r);
    }
    if (p->tok != T_END && p->tok != T_COMMA && !at_word(p))
        return found(p, true, ", expected: identifier");
    add_value(r, at_word(p) ? p->text : STR(""));
    if (at_word(p))
        next(p);
    return check_values(p, r);
}

static int requirement(struct parser *p)
{
    bool absent = p->tok == T_NOT;
    if (absent)
        next(p);
    if (!at_word(p))
        return found(p, true, ", expected: identifier");
    struct str key = p->text;
    if (check_key(p, key) < 0)
        return -1;
    next(p);
    if (!absent && p->tok != T_END && p->tok != T_COMMA)
        return condition(p, key);
    return selector_add(p->arena, p->selector, key, absent ? OP_ABSENT : OP_EXISTS, 0) ? 0 : -1;
}

static int selector(struct parser *p)
{
    next(p);
    if (p->tok == T_END)
        return 0;
    if (!at_word(p) && p->tok != T_NOT)
        return found(p, false, ", expected: !, identifier, or 'end of string'");
    for (;;) {
        if (requirement(p) < 0)
            return -1;
        if (p->tok == T_END)
            return 0;
        if (p->tok != T_COMMA)
            return found(p, false, ", expected: ',' or 'end of string'");
        next(p);
        if (!at_word(p) && p->tok != T_NOT)
            return found(p, false, ", expected: identifier after ','");
    }
}

struct selector *selector_parse_labels(struct arena *a, struct str text, struct kl_err *err, const char **ret_why)
{
    struct selector *s = arena_alloc(a, sizeof *s);
    struct parser p = { .rest = text, .arena = a, .selector = s };
    if (s && selector(&p) == 0 && !arena_exhausted(a))
        return s;
    if (p.why && !arena_exhausted(a))
        kl_err_set(err, KL_BAD_REQUEST, "%s", p.why);
    else
        kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (ret_why)
        *ret_why = err->code == KL_BAD_REQUEST ? p.why : NULL;
    return NULL;
}
