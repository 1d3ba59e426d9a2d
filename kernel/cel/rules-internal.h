/* rules-internal.h - what the rules*.c files share. */
#ifndef CEL_RULES_INTERNAL_H
#define CEL_RULES_INTERNAL_H

#include "cel/cel-internal.h"
#include "cel/rules.h"

struct rule {
    const struct val *source;
    struct cel_program *program, *message;       /* program NULL: why says why */
    const char *why, *message_why;
    const char *field_path;             /* as fields are written; NULL: not given */
    bool uses_old, optional_old;
};

/* One place of a schema: its rules, and the places below that have some. */
struct cel_rules {
    const struct val *schema;
    const struct cel_type *type;
    struct rule *rules;
    unsigned n_rules;
    struct cel_rules *items, *values;
    struct cel_rules **properties, **all_of;
    const struct val **names;           /* of properties: the members of the schema */
    unsigned n_properties, n_all_of;
};

/* Compiles one rule against the type of its place. */
void rule_compile(struct arena *a, const struct cel_type *type, const struct val *source, const struct val *schema, struct rule *ret);
/* ".spec.x['a']" below a schema as a field's path; NULL: it leads nowhere. */
const char *rule_field_path(struct arena *a, struct str path, const struct val *schema);
bool rules_anywhere(const struct val *schema);          /* are there any, here or below? */
struct str rule_text(const struct val *rule, const char *member);        /* without white space around */

#endif
