/* cel.h - the Common Expression Language as Kubernetes 1.36 speaks it: own parser, type checker and evaluator over struct val trees.
 *
 * An expression is compiled once against declared variables and evaluated many times. Whatever a program points to (its text, the types of
 * its variables) must live as long as the program's arena. Compiling and evaluating are pure functions of their arguments, [any] thread;
 * one program may be evaluated by several threads at once.
 */
#ifndef CEL_CEL_H
#define CEL_CEL_H

#include "base/json.h"
#include "base/quantity.h"
#include "schema/schema.h"

/* Kinds of values, and of the types that describe them. */
enum cel_kind {
    CEL_ERROR = 0, CEL_DYN, CEL_NULL, CEL_BOOL, CEL_INT, CEL_UINT, CEL_DOUBLE, CEL_STRING, CEL_BYTES, CEL_TIMESTAMP, CEL_DURATION, CEL_TYPE,
    CEL_URL, CEL_IP, CEL_CIDR, CEL_QUANTITY, CEL_SEMVER, CEL_FORMAT, CEL_AUTHORIZER, CEL_PATH_CHECK, CEL_GROUP_CHECK, CEL_RESOURCE_CHECK,
    CEL_DECISION, CEL_LIST, CEL_MAP, CEL_OPTIONAL,
    CEL_STRUCT,                         /* of types alone: an object with declared fields; its values are maps */
    CEL_PARAM,                          /* of types alone: a type variable */
    CEL_KINDS
};

struct cel_field {
    const char *name;                   /* as expressions write it, "__dot__" and the like */
    const char *member;                 /* as JSON has it */
    const struct cel_type *type;
};

struct cel_type {
    uint8_t kind;
    const char *name;                   /* of structs; else NULL */
    const struct cel_type *a, *b;       /* list element, optional's value, type's type; map key and value */
    const struct cel_field *fields;     /* of structs, or NULL */
    unsigned n_fields;
    unsigned param;                     /* which type variable */
    const struct schema_type *rows;     /* of structs made of rows: their fields are found there */
    int64_t max_elements, min_size;     /* what a schema says of sizes: most items or bytes, fewest bytes of JSON */
    bool any_order;                     /* of lists: sets and maps, which are equal in any order */
    const struct val *keys;             /* of lists that are maps: the names of the keys */
};

/* The types without parameters. */
const struct cel_type *cel_type(enum cel_kind kind);
const struct cel_type *cel_list_of(struct arena *a, const struct cel_type *of);
const struct cel_type *cel_map_of(struct arena *a, const struct cel_type *key, const struct cel_type *value);
const struct cel_type *cel_optional_of(struct arena *a, const struct cel_type *of);
/* A struct whose fields are given; they stay the caller's. */
const struct cel_type *cel_struct_of(struct arena *a, const char *name, const struct cel_field *fields, unsigned n);
/* A built-in type by its rows. */
const struct cel_type *cel_type_of_rows(struct arena *a, const struct schema_type *t);
/* A structural schema (of a definition). root: of a resource, whose kind, apiVersion and metadata can always be seen. NULL: expressions
 * cannot see it. */
const struct cel_type *cel_type_of_schema(struct arena *a, const struct val *schema, bool root);
/* As error messages write it: "list(int)". */
const char *cel_type_text(struct arena *a, const struct cel_type *t);
/* The member's name as expressions write it ("a.b" -> "a__dot__b"). NULL: it has none, or memory is out. */
const char *cel_escape(struct arena *a, struct str member);

/* --- values --- */
struct cel_items;
struct cel_entries;
struct cel_val;
struct cel_opaque;

/* An object whose fields are computed when they are asked for. */
struct cel_lazy {
    bool (*get)(void *ctx, struct str field, struct cel_val *ret);       /* false: there is no such field */
    void *ctx;
    const struct cel_val *all;          /* a map: what `in`, macros and size() see; NULL: nobody can go through it */
};

struct cel_val {
    uint8_t kind;
    uint8_t form;                       /* of lists and maps: which member of the union */
    union {
        bool b;
        int64_t i;                      /* INT; DURATION: nanoseconds */
        uint64_t u;
        double d;
        struct str s;                   /* STRING (UTF-8), BYTES; ERROR: the message */
        const struct cel_type *type;    /* TYPE */
        const struct cel_val *some;     /* OPTIONAL; NULL: none */
        const struct cel_opaque *opaque;
        const struct cel_lazy *lazy;
        struct {
            int64_t seconds;            /* TIMESTAMP */
            int32_t nanos;
        };
        struct {
            const struct val *json;     /* read in place */
            const struct cel_type *json_type;    /* what its schema says; NULL: nothing */
        };
        struct {
            struct cel_items *items;
            uint32_t n_items;
        };
        struct {
            struct cel_entries *entries;
            uint32_t n_entries;
        };
    };
};
enum cel_form { CEL_BUILT = 0, CEL_JSON, CEL_LAZY };

#define CEL_NOTHING ((struct cel_val){ .kind = CEL_DYN })       /* a variable that has no value */

/* v as a value; t NULL: as it stands. v NULL: null. */
struct cel_val cel_of_json(const struct val *v, const struct cel_type *t);
struct cel_val cel_of_str(struct str s);
struct cel_val cel_of_bool(bool b);
struct cel_val cel_of_int(int64_t i);
struct cel_val cel_of_optional(struct arena *a, struct cel_val v);       /* CEL_NOTHING: none */
struct cel_val cel_of_lazy(const struct cel_lazy *l);
__attribute__((format(printf, 2, 3))) struct cel_val cel_error(struct arena *a, const char *fmt, ...);
/* As JSON. NULL: it has no JSON form, or memory is out. Lists, maps and what they hold are made in the arena. */
struct val *cel_to_json(struct arena *a, struct cel_val v);

/* --- programs --- */
struct cel_var {
    const char *name;
    const struct cel_type *type;
};

struct cel_size {
    uint64_t min, max;
};

struct cel_program;

#define CEL_PATCH 1u                    /* jsonpatch.escapeKey, and structs by name: what mutations may say */
#define CEL_BIND  2u                    /* cel.bind(name, value, expression) */

/* Parsed and checked. NULL: *ret_why is what upstream says, with the place in the text ("ERROR: <input>:1:1: ..."), or that memory is out. */
struct cel_program *cel_compile(struct arena *a, struct str text, const struct cel_var *vars, unsigned n_vars, unsigned flags, const char **ret_why);
/* A syntax check alone. */
const struct cel_type *cel_result(const struct cel_program *p);
bool cel_uses(const struct cel_program *p, const char *variable);
/* How much an evaluation costs at least and at most, from what the schemas of the variables bound; UINT64_MAX: nothing bounds it. */
struct cel_size cel_estimate(const struct cel_program *p);
/* Is it of that kind of type (dyn is of every kind)? */
bool cel_result_is(const struct cel_program *p, enum cel_kind kind);

/* What authorizer.*.check() asks. Absent parts are empty; selectors are NULL when not given. */
struct cel_ask {
    struct str path, group, resource, subresource, ns, name, verb;
    struct str service_account_ns, service_account;      /* empty: the request's user */
    struct str field_selector, label_selector;
};
struct cel_answer {
    bool allowed;
    const char *reason, *error;         /* NULL: none */
};

struct cel_run {
    struct arena *arena;                /* for whatever is made */
    const struct cel_val *vars;         /* as they were declared */
    uint64_t limit;                     /* most cost; 0: no limit */
    int64_t deadline_ns;                /* monotonic; 0: none */
    void (*authorize)(void *ctx, const struct cel_ask *ask, struct cel_answer *ret);
    void *authorize_ctx;
    uint64_t cost;                      /* out: what it cost */
};

#define CEL_CALL_LIMIT  1000000u        /* of one evaluation */
#define CEL_TOTAL_LIMIT 10000000u       /* of all rules of one object */
#define CEL_MATCH_LIMIT 2500000u        /* of all match conditions of one policy or webhook */
#define CEL_OVER_LIMIT  "operation cancelled: actual cost limit exceeded"

/* The value, or one of kind CEL_ERROR. */
struct cel_val cel_eval(const struct cel_program *p, struct cel_run *run);

#endif
