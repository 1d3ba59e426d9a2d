/* selector-internal.h - what a selector is made of. */
#ifndef OBJECT_SELECTOR_INTERNAL_H
#define OBJECT_SELECTOR_INTERNAL_H

#include "object-internal.h"

enum operator { OP_IN = 1, OP_NOT_IN, OP_EXISTS, OP_ABSENT, OP_ABOVE, OP_BELOW };

struct requirement {
    struct requirement *next;
    struct str key;                     /* label, or field path */
    const char *path;                   /* field path, zero-terminated; NULL: a label */
    const char *or_path;                /* where to look when that is empty, or NULL */
    struct str absent;                  /* of a field: what one that is not there says */
    enum operator op;
    struct str *values;
    unsigned n;
};

struct selector {
    struct requirement *first, *last;
    bool nothing;
};

/* One more, with room for that many values. NULL: out of memory. */
struct requirement *selector_add(struct arena *a, struct selector *s, struct str key, enum operator op, unsigned room);

#endif
