/* custom-internal.h - what the custom*.c files share. */
#ifndef OBJECT_CUSTOM_INTERNAL_H
#define OBJECT_CUSTOM_INTERNAL_H

#include "base/map.h"
#include "object/custom.h"
#include "object/object-internal.h"

struct custom_schema {
    struct str text;                    /* of a root */
    struct arena *arena;                /* of the tree; NULL until needed */
    struct val *tree;
    struct map patterns;                /* text -> compiled expression, or a mark that it is none */
    void *slot;                         /* what others made of it, in the arena */
    int embeds;                         /* of a root: has it objects within objects? 1: it was looked, no; 2: yes */
    struct custom_schema *root;         /* of a part */
    struct str name;
};

/* custom_pattern.c: does text match the expression anywhere? An expression that cannot be compiled, or takes too long, matches nothing. */
bool custom_pattern_matches(struct custom_schema *root, struct str pattern, struct str text);
/* NULL: fine; else why it is no expression. */
const char *custom_pattern_check(struct arena *a, struct str pattern);
void custom_patterns_free(struct custom_schema *s);

/* custom_format.c: is text of that format? Formats that nobody knows are met by everything. */
bool custom_format_matches(struct str format, struct str text);

/* custom_embedded.c */
void custom_check_embedded(struct object_causes *c, const struct val *schema, const struct val *v, const struct path *p);

#endif
