/* load.h - configuration files (libconfig) to one tree whose nodes know where they were written. */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include <keelson/error.h>

#include "base/json.h"

/* Reads path, then path's conf.d/ folder (*.cfg, by name). Groups of the same name are put together, lists one behind the other; a
 * scalar that is set twice is refused. KL_INVALID with "file:line: ..." on any mistake. */
int conf_load(struct arena *a, const char *path, struct val **ret, struct kl_err *err);
/* "file:line" of a node of such a tree. */
const char *conf_where(struct arena *a, const struct val *v);

/* What may be in a group. type: VAL_OBJ, VAL_ARR (list or array), VAL_STR, VAL_INT, VAL_BOOL. */
struct conf_row {
    const char *key;
    enum val_type type;
    int64_t min, max;                   /* of VAL_INT; both 0: any */
    const char *choices;                /* of VAL_STR: "a|b", or NULL */
};
/* Unknown keys (with the nearest known one), wrong types and numbers out of range are refused. */
int conf_check(struct arena *a, const struct val *group, const struct conf_row *rows, unsigned n, struct kl_err *err);
/* The nearest of n names at `stride` bytes from each other, or NULL when none is near. */
const char *conf_nearest(struct str name, const char *const *first, unsigned n, size_t stride);

#endif
