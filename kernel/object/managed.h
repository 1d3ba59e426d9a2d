/* managed.h - metadata.managedFields: who owns which fields, and how writes move them. Pure functions, [any]; all memory is the arena's. */
#ifndef OBJECT_MANAGED_H
#define OBJECT_MANAGED_H

#include "object/fields.h"

struct managed_entry {
    struct managed_entry *next;
    struct str manager, api_version, subresource, time;         /* time at == NULL: none */
    const struct fields *set;
    const struct val *text;             /* fieldsV1 as it came, while the set is the same; else NULL */
    bool applied;                       /* operation Apply, else Update */
};

struct managed {
    struct managed_entry *first;
};

/* One write. */
struct managed_write {
    struct arena *arena;
    struct merge_type type;             /* of the object as it is written */
    struct str manager, api_version, subresource, now;
    const struct fields *ignored;       /* what this endpoint does not write */
    bool only;                          /* ignored is what it does write: all else is ignored */
    bool reconciles;                    /* the schema may have changed since the fields were written: managed_reconcile comes first */
    /* The object in another version; false: there is no such version, and nobody owns fields of it. */
    bool (*convert)(void *ctx, struct str api_version, const struct val *v, const struct val **ret, struct merge_type *ret_type);
    void *ctx;
};

/* Of metadata.managedFields (NULL: none). KL_INVALID: not to be understood. */
int managed_decode(struct arena *a, const struct val *list, struct managed *ret, struct kl_err *err);
/* In upstream's order; NULL: nobody owns anything. */
struct val *managed_encode(struct arena *a, struct managed *m);
/* Does a client ask to forget all of it ([] or [{}])? */
bool managed_resets(const struct val *list);
/* One entry for all of a new object: `fields` is fieldsV1 as text, which must live on. */
struct val *managed_new(const struct managed_write *w, struct str fields);

/* Paths that are never owned, and those that the endpoint does not write. */
const struct fields *managed_stripped(struct arena *a, const struct fields *ignored);

/* A write that is not an apply: old to now (old NULL: an empty object). */
void managed_update(const struct managed_write *w, struct managed *m, const struct val *old, const struct val *now);

/* Brings the entries in line with what is atomic and granular now. live: the object before the write. True: some changed. */
bool managed_reconcile(const struct managed_write *w, struct managed *m, const struct val *live);

/* The same straight from and to metadata.managedFields; a list that cannot be understood is none. False: nothing changes, nothing was done. */
bool managed_change(const struct managed_write *w, const struct val *list, const struct val *old, const struct val *now, struct val **ret);

/* What an apply may not take without force. */
struct managed_conflict {
    const struct managed_entry *owner;
    const struct fields *set;
};
struct managed_conflicts {
    struct managed_conflict at[64];
    unsigned n;
};

/* A configuration into live, which is as it is encoded (of a new object: what an empty one shows). *ret_v: the new object. -KL_CONFLICT: *ret_conflicts says with whom, and m is not to be used any more. */
int managed_apply(const struct managed_write *w, struct managed *m, const struct val *live, const struct val *config, bool force,
                  struct val **ret_v, struct managed_conflicts *ret_conflicts);
/* "Apply failed with 1 conflict: conflict with "x" using apps/v1: .spec.replicas", and a cause for each path. */
const char *managed_conflict_text(struct arena *a, const struct managed_conflicts *c, struct object_causes *causes);

#endif
