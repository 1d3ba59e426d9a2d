/* node.h - what the files of authz-node share. */
#ifndef AUTHZ_NODE_H
#define AUTHZ_NODE_H

#include <keelson/iface/auth.h>

#include "base/cleanup.h"
#include "base/json.h"

#define NODE_PREFIX "system:node:"
#define NODE_GROUP  "system:nodes"
#define LEASE_NS    "kube-node-lease"

struct authz_node {
    const struct kl_host *host;
    const struct kl_host_objects *objects;
};

/* The node that user is; NULL: none. */
const char *node_of(const struct kl_user *user);

/* rules.c: 1 yes, 0 no opinion, < 0 failed. */
int rules_authorize(const struct authz_node *x, struct kl_call *c, const char *node, const struct kl_request *r);

/* graph.c: 1 yes, 0 no, < 0 failed. */
enum used { USED_SECRET, USED_CONFIGMAP, USED_CLAIM, USED_ACCOUNT };
/* Is that pod bound to that node? */
int graph_bound(const struct authz_node *x, struct kl_call *c, const char *node, const char *ns, const char *pod);
/* Does a pod of that namespace bound to that node use the object? */
int graph_uses(const struct authz_node *x, struct kl_call *c, const char *node, enum used what, const char *ns, const char *name);
/* Is the volume bound to a claim that such a pod uses? Is the attachment one to that node? */
int graph_volume(const struct authz_node *x, struct kl_call *c, const char *node, const char *name);
int graph_attached(const struct authz_node *x, struct kl_call *c, const char *node, const char *name);
/* Of one pod. */
const char *pod_references(const struct val *pod);
bool pod_uses(const struct val *pod, enum used what, struct str name);

/* restrict.c */
int restrict_review(const struct authz_node *x, struct kl_call *c, const char *node, const struct kl_admission_review *r);

#endif
