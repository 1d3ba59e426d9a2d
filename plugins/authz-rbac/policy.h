/* policy.h - the rows that the policy of a new cluster is made of: the rules of Kubernetes 1.36, to the letter. */
#ifndef RBAC_POLICY_H
#define RBAC_POLICY_H

#include <stddef.h>

/* One rule. Rows of one role stand together; role is NULL in all but the first. "NAMESPACE/NAME" is a Role, else it is a ClusterRole.
 * Lists have commas between, in the order in which they are shown. */
struct policy_row {
    const char *role, *verbs, *groups, *resources, *names, *urls;
};

/* subjects: "G" group, "U" user, "S" namespace:name of a service account. role NULL: called like the binding. */
struct policy_binding {
    const char *name, *role, *subjects;
};

struct policy_rows {
    const struct policy_row *at;
    size_t n;
};

#define R(role, verbs, groups, resources)        { role, verbs, groups, resources, NULL, NULL }
#define N(role, verbs, groups, resources, names) { role, verbs, groups, resources, names, NULL }
#define U(role, verbs, urls)                     { role, verbs, NULL, NULL, NULL, urls }

#define READ  "get,list,watch"
#define WRITE "create,delete,deletecollection,patch,update"
#define ALL   "create,delete,deletecollection,get,list,patch,update,watch"
#define COUNT(a) (sizeof(a) / sizeof *(a))

extern const struct policy_rows policy_roles;           /* for people, add-ons and what asks from outside */
extern const struct policy_rows policy_controllers;     /* each bound to the account of its name in kube-system */
#define POLICY_CONTROLLER "system:controller:"          /* what their names begin with, also where the row does not say so */

#endif
