/* parse_literal.c - literals, and what stands between brackets and braces. */
#include "cel/parse.h"

/* --- literals --- */

struct node *parse_number(struct parser *p, bool minus, uint32_t at)
{
    struct node *n = parse_node(p, N_LITERAL, at);
    struct str word = p->lex.word;
    char text[128];
    bool done = false;
    if (!n)
        return NULL;
    snprintf(text, sizeof text, "%s" STR_FMT, minus ? "-" : "", STR_ARG(word));
    if (p->lex.token == TOK_INT) {
        n->value = val_int(0);
        done = word.len < 100 && parse_int(str_of(text), &n->value.i);
    } else if (p->lex.token == TOK_UINT) {
        n->value = (struct cel_val){ .kind = CEL_UINT };
        done = word.len < 100 && parse_uint(str_n(word.at, word.len - 1), &n->value.u);
    } else {
        n->value = (struct cel_val){ .kind = CEL_DOUBLE };
        done = word.len < 100 && parse_double(str_of(text), &n->value.d);
    }
    if (!done) {
        trouble(p->troubles, at, "invalid %s literal", p->lex.token == TOK_INT ? "int" : p->lex.token == TOK_UINT ? "uint" : "double");
        return parse_fail(p);
    }
    lex_next(&p->lex);
    return n;
}

struct node *parse_string(struct parser *p)
{
    struct node *n = parse_node(p, N_LITERAL, p->lex.at);
    bool bytes = p->lex.token == TOK_BYTES;
    if (!n)
        return NULL;
    n->value.kind = bytes ? CEL_BYTES : CEL_STRING;
    const char *why = lex_unquote(p->arena, p->lex.word, bytes, &n->value.s);
    if (why) {
        trouble(p->troubles, p->lex.at, "%s", why);
        return parse_fail(p);
    }
    lex_next(&p->lex);
    return n;
}

struct node *parse_word(struct parser *p)
{
    struct node *n = parse_node(p, N_LITERAL, p->lex.at);
    if (n)
        n->value = p->lex.token == TOK_NULL ? (struct cel_val){ .kind = CEL_NULL } : val_bool(p->lex.token == TOK_TRUE);
    lex_next(&p->lex);
    return n;
}

/* --- aggregates --- */

bool parse_question(struct parser *p)
{
    if (p->lex.token != TOK_QUESTION)
        return false;
    lex_next(&p->lex);
    return true;
}

/* What closes a list or a map, a comma before it or not. */
static struct node *end_items(struct parser *p, struct node *n, const struct nodes *items, enum token close, const char *text)
{
    if (p->lex.token == TOK_COMMA)
        lex_next(&p->lex);
    if (p->failed || !n)
        return NULL;
    if (p->lex.token != close) {
        trouble(p->troubles, p->lex.at, "Syntax error: mismatched input '" STR_FMT "' expecting {'%s', ','}", STR_ARG(p->lex.word), text);
        return parse_fail(p);
    }
    lex_next(&p->lex);
    n->args = items->at;
    n->n = items->n;
    return n;
}

struct node *parse_list(struct parser *p)
{
    struct node *n = parse_node(p, N_LIST, p->lex.at);
    struct nodes items = { 0 };
    lex_next(&p->lex);
    while (!p->failed && p->lex.token != TOK_RBRACKET && !(p->lex.token == TOK_COMMA && !items.n)) {
        bool optional = parse_question(p);
        struct node *item = parse_expr(p);
        if (!item || !parse_push(p, &items, item))
            return parse_fail(p);
        item->optional = optional;
        if (p->lex.token != TOK_COMMA)
            break;
        lex_next(&p->lex);
    }
    return end_items(p, n, &items, TOK_RBRACKET, "]");
}

struct node *parse_map(struct parser *p)
{
    struct node *n = parse_node(p, N_MAP, p->lex.at);
    struct nodes items = { 0 };
    lex_next(&p->lex);
    while (!p->failed && p->lex.token != TOK_RBRACE && !(p->lex.token == TOK_COMMA && !items.n)) {
        bool optional = parse_question(p);
        if (!optional && !items.n && !parse_begins_operand(p->lex.token))
            return parse_no_operand(p, "{'[', '{', '}', '(', '.', ',', '-', '!', '?', ");
        struct node *key = parse_expr(p);
        if (!key || !parse_push(p, &items, key) || !parse_expect(p, TOK_COLON, ":"))
            return parse_fail(p);
        struct node *value = parse_expr(p);
        if (!value || !parse_push(p, &items, value))
            return parse_fail(p);
        key->optional = optional;
        if (p->lex.token != TOK_COMMA)
            break;
        lex_next(&p->lex);
    }
    return end_items(p, n, &items, TOK_RBRACE, "}");
}

/* name{field: value, ...}; the present token is the brace. */
struct node *parse_struct(struct parser *p, struct str name)
{
    struct node *n = parse_node(p, N_STRUCT, p->lex.at);
    struct nodes items = { 0 };
    struct str *names = arena_alloc(p->arena, CEL_DEPTH * sizeof *names);
    lex_next(&p->lex);
    while (!p->failed && p->lex.token != TOK_RBRACE && names && n && items.n < CEL_DEPTH) {
        bool optional = parse_question(p);
        names[items.n] = p->lex.word;
        if (p->lex.token != TOK_IDENT)
            trouble(p->troubles, p->lex.at, "Syntax error: mismatched input '" STR_FMT "' expecting {'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}",
                    STR_ARG(p->lex.word));
        if (p->lex.token != TOK_IDENT)
            return parse_fail(p);
        lex_next(&p->lex);
        if (!parse_expect(p, TOK_COLON, ":"))
            return NULL;
        struct node *value = parse_expr(p);
        if (!value || !parse_push(p, &items, value))
            return parse_fail(p);
        value->optional = optional;
        if (p->lex.token != TOK_COMMA)
            break;
        lex_next(&p->lex);
    }
    if (!n || !names || !parse_expect(p, TOK_RBRACE, "}"))
        return parse_fail(p);
    n->name = name;
    n->names = names;
    n->args = items.at;
    n->n = items.n;
    return n;
}
