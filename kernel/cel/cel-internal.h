/* cel-internal.h - what the files of kernel/cel share. */
#ifndef CEL_INTERNAL_H
#define CEL_INTERNAL_H

#include "base/duration.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "cel/cel.h"

#define CEL_DEPTH 250                   /* of nesting, as upstream */
#define CEL_POINTS 100000               /* code points of an expression */

/* --- the tree --- */
enum node_kind { N_LITERAL = 1, N_IDENT, N_SELECT, N_CALL, N_LIST, N_MAP, N_STRUCT, N_FOLD };
/* What the evaluator does with a call: most are functions, whose arguments come first. */
enum node_op { OP_FUNCTION = 0, OP_AND, OP_OR, OP_CHOICE, OP_INDEX, OP_OPTIONAL_INDEX, OP_OPTIONAL_SELECT, OP_EQUAL, OP_NOT_EQUAL, OP_IN, OP_NOT_FALSE,
               OP_OR_OPTIONAL, OP_OR_VALUE };

struct fn;
struct sig;
struct regex;

struct node {
    uint8_t kind;
    uint8_t op;                         /* CALL: enum node_op, from check.c */
    bool has;                           /* SELECT: has(x.y) */
    bool optional;                      /* an item of a list, the key of a map, the value of a field: there when it has a value */
    bool constant;                      /* a list, map or conversion of constants: it was evaluated when it was compiled */
    uint32_t at;                        /* place in the text: bytes */
    const struct cel_type *type;
    struct cel_val value;               /* LITERAL, and what is constant */
    struct str name;                    /* IDENT, SELECT (field), CALL (function), STRUCT (type) */
    int slot;                           /* IDENT: < n_vars a variable, else a local; -1: a type's name */
    struct node *of;                    /* SELECT, CALL: operand or receiver; NULL: a global function */
    struct node **args;                 /* CALL: arguments; LIST: items; MAP: keys and values in turn; STRUCT: values */
    struct str *names;                  /* STRUCT: fields */
    unsigned n;                         /* of args (MAP: twice the entries) */
    const struct sig **sigs;            /* CALL: what may be meant */
    unsigned n_sigs;
    struct regex *regex;                /* CALL: a constant pattern, compiled */
    /* FOLD */
    struct node *range, *init, *cond, *step, *result;
    struct str iter, iter2, accu;       /* iter2.at NULL: one variable */
    int slot_iter, slot_iter2, slot_accu;
    /* of sizes and costs, estimate.c */
    struct estimate *known;
};

struct cel_program {
    struct arena *arena;
    struct str text;
    const struct cel_var *vars;
    unsigned n_vars, n_slots;
    struct node *root;
    bool *used;                         /* by variable */
    unsigned flags;
};

/* --- errors of an expression, error.c --- */
struct trouble {
    uint32_t at;
    const char *text;
};
struct troubles {
    struct arena *arena;
    struct str text;
    struct trouble *list;
    unsigned n, cap;
};
__attribute__((format(printf, 3, 4))) void trouble(struct troubles *t, uint32_t at, const char *fmt, ...);
const char *troubles_text(struct troubles *t);

/* --- lex.c --- */
enum token {
    TOK_END = 0, TOK_IDENT, TOK_ESCAPED, TOK_INT, TOK_UINT, TOK_DOUBLE, TOK_STRING, TOK_BYTES, TOK_TRUE, TOK_FALSE, TOK_NULL, TOK_IN,
    TOK_EQ, TOK_NE, TOK_LT, TOK_LE, TOK_GE, TOK_GT, TOK_AND, TOK_OR, TOK_LBRACKET, TOK_RBRACKET, TOK_LBRACE, TOK_RBRACE, TOK_LPAREN,
    TOK_RPAREN, TOK_DOT, TOK_COMMA, TOK_MINUS, TOK_NOT, TOK_QUESTION, TOK_COLON, TOK_PLUS, TOK_STAR, TOK_SLASH, TOK_PERCENT
};
struct lexer {
    struct str text;
    struct troubles *troubles;
    uint32_t pos;
    enum token token;                   /* the present one */
    struct str word;                    /* its text */
    uint32_t at;
};
void lex_next(struct lexer *l);
/* The value of a TOK_STRING or TOK_BYTES. NULL: fine, else what is wrong. */
const char *lex_unquote(struct arena *a, struct str word, bool bytes, struct str *ret);

/* --- parse.c, macro.c --- */
struct parser {
    struct lexer lex;
    struct arena *arena;
    struct troubles *troubles;
    unsigned depth;
    bool failed;
    bool binds;                         /* CEL_BIND */
};
struct node *parse(struct parser *p);
struct node *node_new(struct arena *a, enum node_kind kind, uint32_t at);
struct node *node_call(struct arena *a, uint32_t at, const char *name, struct node *of, unsigned n, ...);
/* The call as what the macro of that name makes of it; NULL: there is none (p->failed: it is wrong). */
struct node *macro_expand(struct parser *p, struct node *call);

/* --- the functions, table.c --- */
struct cel_ctx;                         /* an evaluation under way */
struct est_call;
struct fn {
    const char *name;
    const char *sigs;                   /* "(int,int)int | string.(string)bool" */
    struct cel_val (*run)(struct cel_ctx *c, struct cel_val *args, unsigned n);
    uint64_t (*cost)(const struct cel_val *args, unsigned n, const struct cel_val *result);      /* NULL: 1 */
    bool (*estimate)(struct est_call *e);        /* NULL: 1 and its arguments' */
    unsigned flags;                     /* FN_* */
};
#define FN_BY_NAME 1u                   /* costs what it costs even when the checker did not know which overload it is */
#define FN_FOLDS   2u                   /* a conversion: of constants it is evaluated at once, and costs nothing */
#define FN_PATCH   4u                   /* for CEL_PATCH programs alone */

struct sig {
    const struct fn *fn;
    const struct sig *next;             /* of the same name, in order */
    const struct cel_type *args[5], *result;     /* the receiver first */
    uint8_t n, params;                  /* arguments; type variables */
    bool member;
};
/* The first of that name; NULL: no such function. */
const struct sig *sig_find(struct str name);

extern const struct fn fns_core[], fns_convert[], fns_time[], fns_string[], fns_list[], fns_optional[], fns_regex[], fns_net[], fns_misc[],
    fns_authz[];

/* --- type.c --- */
bool type_equal(const struct cel_type *a, const struct cel_type *b);
bool type_is_dyn(const struct cel_type *t);              /* or an error */
const struct cel_type *type_param(struct arena *a, unsigned n);
const struct cel_type *type_type(struct arena *a, const struct cel_type *of);
/* A type by the name expressions know it by ("int", "google.protobuf.Timestamp"); NULL: none. */
const struct cel_type *type_named(struct str name);
const char *type_name(const struct cel_type *t);         /* without parameters */
/* Words of the language. Fields of that name are escaped, and found without that too (self.namespace). */
bool cel_reserved(struct str name);
const char *type_checked_text(struct arena *a, const struct cel_type *t);       /* as the checker speaks of it: a timestamp, a duration */
/* The field's type; NULL: no such field. ret_member: its name in JSON. */
const struct cel_type *type_field(struct arena *a, const struct cel_type *t, struct str name, struct str *ret_member);

/* Substitutions of type variables; those made on the way to a refusal are undone. */
struct subst {
    struct arena *arena;
    const struct cel_type **at;
    unsigned n, cap;
    unsigned *trail;
    const struct cel_type **was;
    unsigned n_trail, cap_trail;
};
const struct cel_type *subst_fresh(struct subst *s);
const struct cel_type *subst_apply(struct subst *s, const struct cel_type *t, bool to_dyn);
const struct cel_type *subst_instance(struct arena *a, const struct cel_type *t, const struct cel_type **params);
bool subst_assignable(struct subst *s, const struct cel_type *to, const struct cel_type *from);
bool subst_assignable_all(struct subst *s, const struct cel_type *const *to, const struct cel_type *const *from, unsigned n);
const struct cel_type *subst_general(const struct cel_type *a, const struct cel_type *b);

/* --- check.c, fold.c --- */
bool check(struct cel_program *p, struct troubles *t);
/* Constants are evaluated; literals of patterns, times and formats are looked at. */
bool fold_constants(struct cel_program *p, struct troubles *t, const char **ret_why);

/* --- values: value.c --- */
struct cel_items {
    struct cel_val *at;
    uint32_t n, cap;
};
struct cel_entry {
    struct cel_val key, value;
};
struct cel_entries {
    struct cel_entry *at;
    uint32_t n, cap;
    uint32_t *index, index_cap;         /* by hash, 1 + place; NULL: few */
};

struct cel_ctx {
    struct cel_run *run;
    struct arena *arena;
    const struct cel_program *program;
    struct cel_val *locals;
    bool over;                          /* the limit, or the deadline */
    unsigned ticks, depth;
    struct map big;                     /* indexes of large objects and lists, by address */
};

struct cel_opaque {
    struct str text;                    /* URL: as written; SEMVER, FORMAT: name */
    union {
        struct {
            int64_t nano_high;          /* a quantity in halves: the arena aligns to 8 */
            uint64_t nano_low;
            int q_format;
        };
        struct {
            unsigned char addr[16];
            uint8_t size, bits;         /* 4 or 16 bytes; of a CIDR its prefix */
        };
        struct {
            uint64_t number[3];
            struct str pre;
        };
        struct {
            struct str scheme, host, path, query;
        };
        struct cel_ask ask;
        struct cel_answer answer;
        const struct named_format *format;
    };
};

static inline struct quantity opaque_quantity(const struct cel_opaque *o)
{
    return (struct quantity){ (__int128)((unsigned __int128)(uint64_t)o->nano_high << 64 | o->nano_low), (enum quantity_format)o->q_format };
}
static inline struct cel_val val_bool(bool b)
{
    return (struct cel_val){ .kind = CEL_BOOL, .b = b };
}
static inline struct cel_val val_int(int64_t i)
{
    return (struct cel_val){ .kind = CEL_INT, .i = i };
}
static inline struct cel_val val_text(struct str s)
{
    return (struct cel_val){ .kind = CEL_STRING, .s = s };
}
static inline bool is_error(struct cel_val v)
{
    return v.kind == CEL_ERROR;
}
struct cel_val val_ripe(struct cel_ctx *c, struct cel_val v);    /* as it came out of JSON: base64 becomes bytes */
struct cel_val no_overload(void);
struct cel_val no_memory(void);
struct cel_val val_opaque(struct arena *a, enum cel_kind kind, struct cel_opaque **ret);         /* ret NULL: out of memory */
bool cel_equal(struct cel_ctx *c, struct cel_val a, struct cel_val b);
/* -1, 0, 1; 2: they cannot be compared; 3: NaN. */
int cel_compare(struct cel_val a, struct cel_val b);
int64_t cel_size(const struct cel_val *v);               /* as size(); -1: it has none */
uint64_t cost_size(const struct cel_val *v);             /* of what has no size: 1 */
int64_t runes(struct str s);
const struct cel_type *cel_type_of(struct cel_val v);    /* of a value, without parameters */
bool cel_is_zero(struct cel_val v);

struct cel_val list_new(struct cel_ctx *c, uint32_t room);
bool list_push(struct cel_ctx *c, struct cel_val *list, struct cel_val v);       /* in place when nobody has pushed since */
/* Walks lists and maps: *at starts as zeroes. Maps: keys in ret_key. */
struct walk {
    uint32_t i;
    const struct val *json;
    bool begun;
};
bool walk_next(struct cel_ctx *c, const struct cel_val *of, struct walk *w, struct cel_val *ret_key, struct cel_val *ret);
bool list_get(struct cel_ctx *c, const struct cel_val *list, int64_t i, struct cel_val *ret);
bool map_lookup(struct cel_ctx *c, const struct cel_val *map, struct cel_val key, struct cel_val *ret);
/* A lazy object that says what all of it is, as that; else v. */
static inline struct cel_val val_whole(struct cel_val v)
{
    return v.kind == CEL_MAP && v.form == CEL_LAZY && v.lazy->all ? *v.lazy->all : v;
}

struct cel_val val_quantity_text(struct arena *a, struct str s);        /* fn_misc.c; of kind CEL_ERROR: it is none */
struct cel_val val_semver_text(struct arena *a, struct str s);
struct cel_val map_new(struct cel_ctx *c);
bool map_add(struct cel_ctx *c, struct cel_val *map, struct cel_val key, struct cel_val value, bool *ret_there);
/* For who alone holds the map: of several values of a key the last one stays. */
bool map_put_last(struct cel_ctx *c, struct cel_val *map, struct cel_val key, struct cel_val value);
struct cel_val val_some(struct arena *a, struct cel_val v);

/* --- eval.c --- */
struct cel_val eval_node(struct cel_ctx *c, const struct node *n);
bool eval_tick(struct cel_ctx *c);                       /* false: stop */

/* --- text of values and numbers: text.c --- */
void double_text(struct buf *b, double d);               /* as Go's 'g' with the fewest digits */
bool parse_int(struct str s, int64_t *ret);
bool parse_uint(struct str s, uint64_t *ret);
bool parse_double(struct str s, double *ret);
void duration_text(struct buf *b, int64_t ns);           /* "5400s" */
bool timestamp_parse(struct str s, int64_t *ret_s, int32_t *ret_ns);
void timestamp_text(struct buf *b, int64_t s, int32_t ns);
bool timestamp_in_range(int64_t s);
const char *value_text(struct arena *a, struct cel_val v);       /* for messages: as Go prints it */
struct cel_val cel_format(struct cel_ctx *c, struct str format, const struct cel_val *args);     /* format.c: '%d'.format([...]) */
/* What is wrong with a format whose arguments are these nodes; NULL: nothing, or it cannot be said yet. *ret_arg: which argument, -1: the format. */
const char *format_check(struct arena *a, struct str format, const struct node *list, int *ret_arg);

/* --- regex.c --- */
struct regex *regex_compile(struct arena *a, struct str pattern, const char **ret_why);  /* freed with the arena */
bool regex_match(const struct regex *r, struct str s, bool *ret_too_long);
const char *regex_check(struct arena *a, struct str pattern);    /* NULL: fine */

/* --- estimate.c: what an evaluation may cost, as upstream works it out, with what it takes to be so --- */
struct place {
    bool is;                            /* there is a path from a variable */
    const struct cel_type *at;          /* where it leads; NULL: nowhere known */
};
struct estimate {
    struct cel_size size;               /* of the value; known when has_size */
    struct cel_size key, item;          /* of a container's; known when has_items */
    struct place place;
    bool has_size, has_items, is_list;
};
struct est {
    const struct cel_program *p;
    const struct cel_type *root;        /* of the schema; NULL: none */
    bool by_name;                       /* of a device: any name may be selected from its maps */
    struct estimate *locals;
    struct arena *arena;
};
struct est_call {
    struct est *est;
    struct node *call;
    const struct sig *sig;
    struct node *target, **args;
    unsigned n;
    const struct cel_size *arg_costs;
    struct cel_size cost, result;       /* out: without the arguments' costs unless whole */
    bool has_result, whole;
};
struct estimate *est_of(struct est *x, struct node *n);
bool est_known_size(struct est *x, struct node *n, struct cel_size *ret);
bool est_items(struct est *x, struct node *n, struct estimate *ret);     /* key, item and is_list */
struct place est_place(struct est *x, struct node *n);
struct cel_size est_size(struct est_call *e, struct node *n);    /* known or not */
struct cel_size size_times(struct cel_size a, struct cel_size b);
struct cel_size size_plus(struct cel_size a, struct cel_size b);
struct cel_size size_union(struct cel_size a, struct cel_size b);
struct cel_size size_by(struct cel_size a, double factor);
static inline struct cel_size size_of(uint64_t n)
{
    return (struct cel_size){ n, n };
}

#endif
