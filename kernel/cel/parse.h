/* parse.h - what parse.c and parse_literal.c share. Nodes are NULL, and the parser has failed, where something is wrong. */
#ifndef CEL_PARSE_H
#define CEL_PARSE_H

#include "cel/cel-internal.h"

struct nodes {
    struct node **at;
    unsigned n, cap;
};

struct node *parse_fail(struct parser *p);
struct node *parse_node(struct parser *p, enum node_kind kind, uint32_t at);
bool parse_push(struct parser *p, struct nodes *list, struct node *n);
bool parse_begins_operand(enum token t);
/* A token that cannot begin an operand: the complaint, with what might have stood there. */
struct node *parse_no_operand(struct parser *p, const char *want);
bool parse_expect(struct parser *p, enum token t, const char *sign);
struct node *parse_expr(struct parser *p);

/* parse_literal.c */
struct node *parse_number(struct parser *p, bool minus, uint32_t at);
struct node *parse_string(struct parser *p);
struct node *parse_word(struct parser *p);                              /* true, false, null */
struct node *parse_list(struct parser *p);
struct node *parse_map(struct parser *p);
struct node *parse_struct(struct parser *p, struct str name);           /* the present token is the brace */
bool parse_question(struct parser *p);                                  /* takes a question mark, if there is one */

#endif
