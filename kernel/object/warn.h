/* warn.h - what the warn*.c files share. */
#ifndef OBJECT_WARN_H
#define OBJECT_WARN_H

#include "object/validate.h"

struct warning {
    struct arena *arena;
    struct object_causes names;         /* for words() and name_errors() */
    void (*say)(void *ctx, const char *text);
    void *ctx;
};

/* "PLACE: text". */
__attribute__((format(printf, 3, 4))) void warn_at(struct warning *w, const struct path *p, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void warn(struct warning *w, const char *fmt, ...);
void warn_annotation(struct warning *w, const struct path *up, const struct val *annotations, struct str key, const char *why);
void warn_ip(struct warning *w, const struct path *p, struct str ip);
void warn_fraction(struct warning *w, const struct path *p, const struct val *amounts, const char *resource);
/* Labels of nodes that have a new name. NULL: this one has not. */
const char *warn_old_label(struct str key);
void warn_node_term(struct warning *w, const struct path *p, const struct val *term, bool values_too);
/* A pod's, or a template's: up is where meta and spec are, NULL for a pod. */
void warn_pod(struct warning *w, const struct path *up, const struct val *meta, const struct val *spec);

#endif
