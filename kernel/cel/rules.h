/* rules.h - x-kubernetes-validations: the rules that a structural schema holds, checked when it is defined, and evaluated on objects. */
#ifndef CEL_RULES_H
#define CEL_RULES_H

#include "cel/cel.h"
#include "object/object.h"

struct cel_rules;

/* The rules of a schema, compiled. NULL: it has none (or memory is out). All of it is in the arena; so must the schema be, or outlive it. */
struct cel_rules *cel_rules_new(struct arena *a, const struct val *schema);

/* Causes for each rule that v breaks. old NULL: it is made. What did not change since old is warned of instead of refused. */
void cel_rules_validate(const struct cel_rules *r, struct object_causes *causes, const struct val *v, const struct val *old,
                        void (*warn)(void *ctx, const char *text), void *ctx);

/* A definition's schema: are its rules programs, of the right type, cheap enough? Causes name the field below `field`. */
void cel_rules_check(struct object_causes *causes, const struct val *schema, const char *field);

#endif
