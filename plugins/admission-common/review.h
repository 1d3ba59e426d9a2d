/* review.h - one review of an admission plugin: trees, a JSON patch, refusals and warnings. [loop]
 *
 * What is made lives in the review's arena, which ends with it; what is handed out is copied into the call's.
 */
#ifndef ADMISSION_REVIEW_H
#define ADMISSION_REVIEW_H

#include <keelson/iface/auth.h>

#include "base/cleanup.h"
#include "base/json.h"

struct core {                           /* an instance that needs nothing but services */
    const struct kl_host *host;
    const struct kl_host_objects *objects;
    const struct kl_host_env *env;
    const void *conf;
};

int core_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c);
void core_close(void *self);

struct review {
    const struct core *core;
    struct kl_call *call;
    const struct kl_admission_review *r;
    struct kl_admission_verdict *ret;
    struct arena *arena;
    struct val *ops;                    /* the patch */
};

/* Runs rule with an arena of its own, then hands out the patch. The whole of what an admission table calls. */
typedef int (*review_rule)(struct review *w);
int review_run(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret, review_rule rule);

static inline bool review_is(const struct review *w, const char *verb)
{
    return strcmp(w->r->request->verb, verb) == 0;
}
static inline bool review_validates(const struct review *w)
{
    return w->call->flags & KL_CALL_VALIDATING;
}

/* Trees of the object and of the one before it. NULL: not there, or c->err is set. */
struct val *review_object(struct review *w);
struct val *review_old(struct review *w);
/* An object of the cluster as a tree. Not there: 0 with *ret NULL. */
int review_get(struct review *w, const char *resource, const char *ns, struct str name, struct val **ret);
/* All of a resource in ns (NULL: everywhere). */
int review_list(struct review *w, const char *resource, const char *ns, struct kl_object_list *ret);

void review_set(struct review *w, const char *path, struct val *v);     /* adds or replaces a member */
/* Puts v behind the items of the list at path, which may not be there yet. Once per list and review. */
void review_push(struct review *w, const struct val *list, const char *path, struct val *v);
void review_set_annotation(struct review *w, const struct val *object, const char *key, struct str value);

int review_no_memory(struct review *w);
/* KL_FORBIDDEN with a text of any length. */
__attribute__((format(printf, 2, 3))) int review_forbid(struct review *w, const char *fmt, ...);
int review_warn(struct review *w, const char *const *texts);            /* NULL-terminated; once per review */

#endif
