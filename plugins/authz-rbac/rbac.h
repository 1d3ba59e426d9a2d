/* rbac.h - the parts of authz-rbac. All [loop].
 *
 * The controller (controller.c) keeps the index (index.c) in step with the four kinds of rbac.authorization.k8s.io; the authorizer and the
 * admission plugin only read it. Policy objects that every cluster starts with come from the table in policy.c.
 */
#ifndef RBAC_H
#define RBAC_H

#include <keelson/iface/auth.h>
#include <keelson/iface/controller.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"

#define RBAC_GROUP "rbac.authorization.k8s.io"

/* One PolicyRule. Arrays are NULL-terminated, empty when not given. */
struct rule {
    const char *const *verbs, *const *groups, *const *resources, *const *names, *const *urls;
};

struct role {
    char *key;                          /* "namespace/name", "/name" for a ClusterRole */
    struct arena *arena;
    struct rule *rules;
    unsigned n;
};

/* A binding stands in the list of each of its subjects. */
struct bond {
    struct list in_subject;
    struct subject *subject;
    struct binding *binding;
};

struct binding {
    char *key;                          /* "namespace/name", "/name" for a ClusterRoleBinding */
    struct str ns;                      /* in key; empty: the whole cluster */
    char *role;                         /* key of the role */
    struct bond *bonds;
    unsigned n;
};

struct subject {
    char *key;                          /* "U" user, "G" group */
    struct list bonds;
};

struct index {
    struct map roles, bindings, subjects;
};

/* index.c. v NULL: the object is gone. False: out of memory; the former state is gone too (nothing is allowed by what is not known). */
bool index_set_role(struct index *x, struct str key, const struct val *v);
bool index_set_binding(struct index *x, struct str key, const struct val *v);
void index_free(struct index *x);
/* Rules from a tree; texts are copied into the arena. NULL: out of memory. */
struct rule *rules_read(struct arena *a, const struct val *list, unsigned *ret_n);
/* Calls visit for each rule that the user holds in ns ("" and cluster-wide ones; ns "" : only those). Stops when it returns true. */
typedef bool (*rule_visit)(void *ctx, const struct rule *r, const struct binding *b);
bool index_each(const struct index *x, const struct kl_user *u, struct str ns, rule_visit visit, void *ctx);

/* rules.c */
bool rule_allows(const struct rule *r, const struct kl_request *q);
/* Do these rules, taken together, say all that r says? */
bool rules_cover(const struct rule *have, unsigned n, const struct rule *r);
/* Does the user hold all of what the rules say? False: *ret_missing is the first that is not covered, as upstream prints it. */
bool rules_covered(const struct index *x, const struct kl_user *u, struct str ns, const struct rule *rules, unsigned n, struct arena *a,
                   const char **ret_missing);

struct rbac {
    const struct kl_host *host;
    const struct kl_host_objects *objects;
    struct index index;
};

/* controller.c */
extern const struct kl_controller rbac_controller;
/* The index of the controller instance beside us, found when first needed. NULL: c->err says why. */
const struct index *rbac_index(const struct kl_host *h, struct kl_call *c);
/* policy.c: makes and repairs the policy that every cluster starts with. */
int policy_ensure(struct rbac *x, struct kl_call *c);
bool policy_contains(const struct val *list, const struct val *item);
int policy_write(struct rbac *x, struct kl_call *c, const struct kl_object_key *k, const struct val *v, bool create);
/* aggregate.c */
int policy_aggregate(struct rbac *x, struct kl_call *c);
/* authorize.c, escalation.c */
extern const struct kl_authz rbac_authz;
extern const struct kl_admission rbac_admission;

#endif
