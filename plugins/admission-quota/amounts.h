/* amounts.h - amounts of resources by name ("cpu", "requests.memory", "count/jobs.batch"), and what a pod asks for. All in an arena; a failed
 * allocation leaves something out: callers ask arena_exhausted once, at the end. [any]
 */
#ifndef QUOTA_AMOUNTS_H
#define QUOTA_AMOUNTS_H

#include "base/json.h"
#include "base/quantity.h"

struct amount {
    struct str name;
    struct quantity q;
};

struct amounts {                        /* in the order of their names */
    struct arena *arena;
    struct amount *at;
    unsigned n, cap;
};

const struct quantity *amounts_get(const struct amounts *x, struct str name);  /* NULL: not there */
void amounts_set(struct amounts *x, struct str name, struct quantity q);
void amounts_add(struct amounts *x, struct str name, struct quantity q);
void amounts_add_all(struct amounts *x, const struct amounts *more);
void amounts_max_all(struct amounts *x, const struct amounts *other);
/* Of an object with quantities; what is none is left out. */
struct amounts amounts_read(struct arena *a, const struct val *map);
struct val *amounts_write(const struct amounts *x);             /* as such an object */
const char *amounts_text(const struct amounts *x);              /* "cpu=1,pods=2" */
bool amounts_equal(const struct amounts *x, const struct amounts *y);
const char *quantity_text(struct arena *a, struct quantity q);

/* What a pod needs at once: its containers and sidecars together, or an init container where that asks for more; what is said for the whole pod
 * instead; overhead when wanted. member: "requests" or "limits". */
struct amounts pod_amounts(struct arena *a, const struct val *pod, const char *member, bool overhead);

#endif
