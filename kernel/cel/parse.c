/* parse.c - tokens to a tree, by recursive descent. The first mistake ends it; the words are those of upstream's generated parser. */
#include <stdarg.h>

#include "cel/parse.h"

#define ITEMS_FIRST 4

#define WANT_OPERAND "'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"

struct node *node_new(struct arena *a, enum node_kind kind, uint32_t at)
{
    struct node *n = arena_alloc(a, sizeof *n);
    if (n) {
        n->kind = (uint8_t)kind;
        n->at = at;
        n->slot = -1;
    }
    return n;
}

struct node *node_call(struct arena *a, uint32_t at, const char *name, struct node *of, unsigned n, ...)
{
    struct node *call = node_new(a, N_CALL, at);
    struct node **args = arena_alloc(a, (n + 1) * sizeof *args);
    va_list ap;
    if (!call || !args)
        return NULL;
    va_start(ap, n);
    for (unsigned i = 0; i < n; i++)
        args[i] = va_arg(ap, struct node *);
    va_end(ap);
    call->name = str_of(name);
    call->of = of;
    call->args = args;
    call->n = n;
    return call;
}

struct node *parse_fail(struct parser *p)
{
    p->failed = true;
    return NULL;
}

bool parse_push(struct parser *p, struct nodes *list, struct node *n)
{
    if (list->n == list->cap) {
        unsigned cap = list->cap ? 2 * list->cap : ITEMS_FIRST;
        struct node **at = arena_alloc(p->arena, cap * sizeof *at);
        if (!at)
            return p->failed = true, false;
        if (list->n)
            memcpy(at, list->at, list->n * sizeof *at);
        list->at = at;
        list->cap = cap;
    }
    list->at[list->n++] = n;
    return n != NULL;
}

struct node *parse_node(struct parser *p, enum node_kind kind, uint32_t at)
{
    struct node *n = node_new(p->arena, kind, at);
    return n ? n : parse_fail(p);
}

static struct node *call(struct parser *p, uint32_t at, const char *name, struct node *a, struct node *b)
{
    struct node *n = a ? node_call(p->arena, at, name, NULL, b ? 2 : 1, a, b) : NULL;
    return n ? n : parse_fail(p);
}

/* --- mistakes --- */

bool parse_begins_operand(enum token t)
{
    switch (t) {
    case TOK_LBRACKET: case TOK_LBRACE: case TOK_LPAREN: case TOK_DOT: case TOK_MINUS: case TOK_NOT: case TOK_TRUE: case TOK_FALSE:
    case TOK_NULL: case TOK_INT: case TOK_UINT: case TOK_DOUBLE: case TOK_STRING: case TOK_BYTES: case TOK_IDENT: return true;
    default: return false;
    }
}

/* A token that cannot begin an operand: extra when the one behind it can, else in place of one. */
struct node *parse_no_operand(struct parser *p, const char *want)
{
    struct lexer ahead = p->lex;
    struct troubles ignored = { .arena = p->arena };
    ahead.troubles = &ignored;
    if (p->lex.token != TOK_END)
        lex_next(&ahead);
    bool extra = p->lex.token != TOK_END && (parse_begins_operand(ahead.token) || (strstr(want, "')'") && ahead.token == TOK_RPAREN));
    trouble(p->troubles, p->lex.at, "Syntax error: %s input '" STR_FMT "' expecting %s" WANT_OPERAND, extra ? "extraneous" : "mismatched",
            STR_ARG(p->lex.word), want);
    bool closes = p->lex.token == TOK_RPAREN || p->lex.token == TOK_RBRACKET || p->lex.token == TOK_RBRACE || p->lex.token == TOK_ESCAPED;
    if (p->lex.token != TOK_END && ahead.token == TOK_END && !closes)
        trouble(p->troubles, ahead.at, "Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', " WANT_OPERAND);
    return parse_fail(p);
}

bool parse_expect(struct parser *p, enum token t, const char *sign)
{
    if (p->failed)
        return false;
    if (p->lex.token != t) {
        trouble(p->troubles, p->lex.at, "Syntax error: missing '%s' at '" STR_FMT "'", sign, STR_ARG(p->lex.word));
        return p->failed = true, false;
    }
    lex_next(&p->lex);
    return true;
}

static bool deeper(struct parser *p)
{
    if (p->depth < CEL_DEPTH) {
        p->depth++;
        return true;
    }
    if (!p->failed)
        trouble(p->troubles, p->lex.at, "expression recursion limit exceeded: %d", CEL_DEPTH);
    return p->failed = true, false;
}

/* --- operands --- */

/* Arguments behind the parenthesis, which is the present token. */
static bool arguments(struct parser *p, struct node *n)
{
    struct nodes items = { 0 };
    lex_next(&p->lex);
    if (p->lex.token != TOK_RPAREN) {
        if (!parse_begins_operand(p->lex.token))
            return parse_no_operand(p, "{'[', '{', '(', ')', '.', '-', '!', "), false;
        do {
            struct node *arg = parse_expr(p);
            if (!arg || !parse_push(p, &items, arg))
                return p->failed = true, false;
            if (p->lex.token != TOK_COMMA)
                break;
            lex_next(&p->lex);
        } while (true);
    }
    if (!parse_expect(p, TOK_RPAREN, ")"))
        return false;
    n->args = items.at;
    n->n = items.n;
    return true;
}

static struct node *finish_call(struct parser *p, struct node *n)
{
    if (!n || !arguments(p, n))
        return parse_fail(p);
    struct node *made = macro_expand(p, n);
    return p->failed ? NULL : made ? made : n;
}

/* Does "a.b.c{" follow? Then all of it is the name of a type. */
static bool type_name_ahead(const struct parser *p, struct lexer *ret_after, struct str *ret)
{
    struct lexer l = p->lex;
    struct troubles ignored = { .arena = p->arena };
    l.troubles = &ignored;
    size_t from = l.at;
    for (;;) {
        if (l.token != TOK_IDENT)
            return false;
        size_t end = l.pos;
        lex_next(&l);
        if (l.token == TOK_LBRACE) {
            *ret = str_n(l.text.at + from, end - from);
            l.troubles = p->troubles;
            *ret_after = l;
            return true;
        }
        if (l.token != TOK_DOT)
            return false;
        lex_next(&l);
    }
}

static struct node *name_or_call(struct parser *p, bool dot)
{
    struct lexer after;
    struct str name, whole;
    uint32_t at = p->lex.at;
    if (p->lex.token != TOK_IDENT)
        return parse_no_operand(p, "{'[', '{', '(', '.', '-', '!', ");
    if (type_name_ahead(p, &after, &whole)) {
        p->lex = after;
        return parse_struct(p, whole);
    }
    name = p->lex.word;
    if (cel_reserved(name)) {
        trouble(p->troubles, at, "reserved identifier: " STR_FMT, STR_ARG(name));
        return parse_fail(p);
    }
    if (dot)
        name = str_of(arena_printf(p->arena, "." STR_FMT, STR_ARG(name)));
    lex_next(&p->lex);
    struct node *n = parse_node(p, p->lex.token == TOK_LPAREN ? N_CALL : N_IDENT, p->lex.token == TOK_LPAREN ? p->lex.at : at);
    if (!n)
        return NULL;
    n->name = name;
    return n->kind == N_CALL ? finish_call(p, n) : n;
}

/* A minus that belongs to the number behind it. */
static bool negative_number(const struct parser *p)
{
    struct lexer ahead = p->lex;
    struct troubles ignored = { .arena = p->arena };
    ahead.troubles = &ignored;
    lex_next(&ahead);
    return ahead.token == TOK_INT || ahead.token == TOK_DOUBLE;
}

static struct node *primary(struct parser *p)
{
    struct node *n;
    uint32_t at = p->lex.at;
    switch (p->lex.token) {
    case TOK_MINUS:
        if (!negative_number(p))
            return parse_no_operand(p, "{'[', '{', '(', '.', '-', '!', ");
        lex_next(&p->lex);
        return parse_number(p, true, at);
    case TOK_LPAREN:
        lex_next(&p->lex);
        n = parse_expr(p);
        return n && parse_expect(p, TOK_RPAREN, ")") ? n : parse_fail(p);
    case TOK_LBRACKET: return parse_list(p);
    case TOK_LBRACE: return parse_map(p);
    case TOK_INT: case TOK_UINT: case TOK_DOUBLE: return parse_number(p, false, p->lex.at);
    case TOK_STRING: case TOK_BYTES: return parse_string(p);
    case TOK_TRUE: case TOK_FALSE: case TOK_NULL: return parse_word(p);
    case TOK_DOT:
        lex_next(&p->lex);
        return name_or_call(p, true);
    case TOK_IDENT: return name_or_call(p, false);
    default: return parse_no_operand(p, "{'[', '{', '(', '.', '-', '!', ");
    }
}

static struct node *select_or_call(struct parser *p, struct node *of)
{
    uint32_t dot = p->lex.at, end = p->lex.pos;
    lex_next(&p->lex);
    bool optional = parse_question(p);
    struct str name = p->lex.word;
    uint32_t at = p->lex.at;
    if (p->lex.token == TOK_ESCAPED) {
        trouble(p->troubles, at, "unsupported syntax: '`'");
        return parse_fail(p);
    }
    if (p->lex.token != TOK_IDENT) {
        size_t n = p->lex.token == TOK_END ? 1 : p->lex.pos - dot;
        uint32_t where = p->lex.token == TOK_END ? (uint32_t)p->lex.text.len : at;
        trouble(p->troubles, where > end ? where : end, "Syntax error: no viable alternative at input '" STR_FMT "'", (int)n, p->lex.text.at + dot);
        return parse_fail(p);
    }
    lex_next(&p->lex);
    if (!optional && p->lex.token == TOK_LPAREN) {
        struct node *n = parse_node(p, N_CALL, p->lex.at);
        if (!n)
            return NULL;
        n->of = of;
        n->name = name;
        return finish_call(p, n);
    }
    struct node *n = parse_node(p, N_SELECT, dot);
    if (n) {
        n->of = of;
        n->name = name;
    }
    if (!n || !optional)
        return n;
    struct node *field = parse_node(p, N_LITERAL, at);
    if (field)
        field->value = val_text(name);
    return field ? call(p, dot, "_?._", of, field) : NULL;
}

static struct node *subscript(struct parser *p, struct node *of)
{
    uint32_t at = p->lex.at;
    lex_next(&p->lex);
    bool optional = parse_question(p);
    if (!optional && !parse_begins_operand(p->lex.token))
        return parse_no_operand(p, "{'[', '{', '(', '.', '-', '!', '?', ");
    struct node *index = parse_expr(p);
    return index && parse_expect(p, TOK_RBRACKET, "]") ? call(p, at, optional ? "_[?_]" : "_[_]", of, index) : parse_fail(p);
}

static struct node *member(struct parser *p)
{
    unsigned depth = p->depth;
    struct node *n = primary(p);
    while (n && !p->failed && (p->lex.token == TOK_DOT || p->lex.token == TOK_LBRACKET)) {
        if (!deeper(p))
            return NULL;
        n = p->lex.token == TOK_DOT ? select_or_call(p, n) : subscript(p, n);
    }
    p->depth = depth;
    return p->failed ? NULL : n;
}

/* --- operators --- */

static struct node *unary(struct parser *p)
{
    enum token sign = p->lex.token;
    uint32_t at = p->lex.at;
    unsigned n = 0;
    if (sign != TOK_NOT && sign != TOK_MINUS)
        return member(p);
    if (sign == TOK_MINUS && negative_number(p))
        return member(p);
    for (; p->lex.token == sign; n++)
        lex_next(&p->lex);
    struct node *of = member(p);
    return !of ? parse_fail(p) : n % 2 ? call(p, at, sign == TOK_NOT ? "!_" : "-_", of, NULL) : of;
}

static const struct {
    enum token token;
    unsigned level;
    const char *name;
} operators[] = {
    { TOK_LT, 1, "_<_" }, { TOK_LE, 1, "_<=_" }, { TOK_GE, 1, "_>=_" }, { TOK_GT, 1, "_>_" }, { TOK_EQ, 1, "_==_" }, { TOK_NE, 1, "_!=_" },
    { TOK_IN, 1, "@in" }, { TOK_PLUS, 2, "_+_" }, { TOK_MINUS, 2, "_-_" }, { TOK_STAR, 3, "_*_" }, { TOK_SLASH, 3, "_/_" },
    { TOK_PERCENT, 3, "_%_" },
};

static const char *operator_at(enum token t, unsigned level)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (operators[i].token == t && operators[i].level == level)
            return operators[i].name;
    return NULL;
}

static struct node *binary(struct parser *p, unsigned level)
{
    unsigned depth = p->depth;
    struct node *left = level == 3 ? unary(p) : binary(p, level + 1);
    for (const char *name; left && !p->failed && (name = operator_at(p->lex.token, level));) {
        uint32_t at = p->lex.at;
        if (!deeper(p))
            return NULL;
        lex_next(&p->lex);
        struct node *right = level == 3 ? unary(p) : binary(p, level + 1);
        left = right ? call(p, at, name, left, right) : parse_fail(p);
    }
    p->depth = depth;
    return p->failed ? NULL : left;
}

/* A chain of && or || as a tree of little depth. */
static struct node *balance(struct parser *p, const char *name, struct node **terms, const uint32_t *ops, unsigned low, unsigned high)
{
    unsigned mid = (low + high + 1) / 2;
    struct node *left = mid == low ? terms[mid] : balance(p, name, terms, ops, low, mid - 1);
    struct node *right = mid == high ? terms[mid + 1] : balance(p, name, terms, ops, mid + 1, high);
    return left && right ? call(p, ops[mid], name, left, right) : parse_fail(p);
}

static struct node *logic(struct parser *p, bool or)
{
    struct nodes terms = { 0 }, ops = { 0 };
    enum token sign = or ? TOK_OR : TOK_AND;
    struct node *first = or ? logic(p, false) : binary(p, 1);
    if (!first || p->lex.token != sign)
        return first;
    parse_push(p, &terms, first);
    while (!p->failed && p->lex.token == sign) {
        parse_push(p, &ops, node_new(p->arena, N_CALL, p->lex.at));
        lex_next(&p->lex);
        struct node *next = or ? logic(p, false) : binary(p, 1);
        if (!next || !parse_push(p, &terms, next))
            return parse_fail(p);
    }
    uint32_t *at = p->failed ? NULL : arena_alloc(p->arena, ops.n * sizeof *at);
    for (unsigned i = 0; at && i < ops.n; i++)
        at[i] = ops.at[i]->at;
    return at ? balance(p, or ? "_||_" : "_&&_", terms.at, at, 0, ops.n - 1) : parse_fail(p);
}

struct node *parse_expr(struct parser *p)
{
    if (p->failed || !deeper(p))
        return NULL;
    struct node *n = logic(p, true);
    if (n && p->lex.token == TOK_QUESTION) {
        uint32_t at = p->lex.at;
        lex_next(&p->lex);
        struct node *yes = logic(p, true);
        if (yes && p->lex.token != TOK_COLON) {
            trouble(p->troubles, p->lex.at, "Syntax error: mismatched input '" STR_FMT "' expecting ':'", STR_ARG(p->lex.word));
            return parse_fail(p);
        }
        lex_next(&p->lex);
        struct node *no = yes ? parse_expr(p) : NULL;
        n = no ? node_call(p->arena, at, "_?_:_", NULL, 3, n, yes, no) : parse_fail(p);
    }
    p->depth--;
    return n ? n : parse_fail(p);
}

struct node *parse(struct parser *p)
{
    lex_next(&p->lex);
    struct node *n = parse_expr(p);
    if (!n)
        return NULL;
    if (p->lex.token != TOK_END) {
        struct str word = p->lex.word;
        uint32_t at = p->lex.at;
        lex_next(&p->lex);
        trouble(p->troubles, at, "Syntax error: %s input '" STR_FMT "' expecting <EOF>", p->lex.token == TOK_END ? "extraneous" : "mismatched",
                STR_ARG(word));
        return NULL;
    }
    return p->troubles->n ? NULL : n;
}
