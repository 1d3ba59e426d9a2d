/* quota.h - the parts of admission-quota. All [loop].
 *
 * Usage stands in the quotas' status, nowhere else: the admission plugin (charge.c) adds what a new object will use, in the same turn of the loop
 * in which the object is committed, so that nobody comes between; the controller (controller.c) counts anew when objects go.
 */
#ifndef ADMISSION_QUOTA_H
#define ADMISSION_QUOTA_H

#include <keelson/iface/controller.h>

#include "amounts.h"
#include "review.h"

#define QUOTAS "/resourcequotas"

/* usage.c: what objects use. Resources are named "group/plural". */

/* The resource whose objects use what has that name; STR_NONE: none that is known. In the arena, or static. */
struct str usage_resource(struct arena *a, struct str name);
/* Of hard's names those that objects of the resource use. */
struct amounts usage_names(const struct amounts *hard, struct str resource);
/* Can it be counted without looking into the objects? (At most their phase, for pods.) */
bool usage_is_count(const struct amounts *names, struct str resource);
struct amounts usage_of(struct arena *a, struct str resource, const struct val *object, int64_t now_ns);
/* Is the object in all scopes of the quota? */
bool usage_in_scopes(struct arena *a, const struct val *quota, struct str resource, const struct val *object);
bool usage_has_scopes(const struct val *quota);
bool usage_in_scope(struct str scope, struct str op, const struct val *values, struct str resource, const struct val *object);
/* Does the quota ask for that scope in a way that the object meets? */
bool usage_meets_scope(const struct val *quota, struct str scope, struct str resource, const struct val *object);
/* What containers must say when it is restricted; NULL: nothing is missing. */
const char *usage_missing(struct arena *a, const struct amounts *names, const struct val *pod);
bool pod_is_over(struct str json, int64_t now_ns);              /* finished, or past its last moment */

/* count.c: used of a quota, counted anew. *ret_dying: an object that counts is being deleted. */
int count_usage(const struct core *x, struct kl_call *c, struct arena *a, const struct val *quota, struct amounts *ret, bool *ret_dying);
/* The quota with status.hard and status.used as they should be (a copy; equal to quota when they are). */
int count_status(const struct core *x, struct kl_call *c, struct arena *a, const struct val *quota, struct val **ret, bool *ret_dying);
int quota_write_status(const struct core *x, struct kl_call *c, struct arena *a, const struct val *quota);

/* limited.c: a list of groups as JSON; does one concern that resource; refuses what no quota covers (covered: names that the pertinent ones have). */
int limited_read(struct arena *a, const char *text, struct val **ret, struct kl_err *err);
bool limited_concerns(const struct val *list, struct str resource);
int limited_check(struct review *w, const struct val *list, struct val *const *quotas, unsigned n, struct str resource, const struct val *object,
                  const struct amounts *covered);

struct quota_conf {
    const char *limited;
};

extern const struct kl_admission limits_admission, quota_admission;
extern const struct kl_controller quota_controller;

#endif
