/* nodes.h - Nodes and the pods on them. */
#ifndef CORE_NODES_H
#define CORE_NODES_H

#include "core.h"

#define NOT_READY   "node.kubernetes.io/not-ready"
#define UNREACHABLE "node.kubernetes.io/unreachable"

/* The list that spec.taints should be: what is not ours as it is, of ours what the conditions and spec.unschedulable ask for. */
struct val *node_taints(struct arena *a, const struct val *node, struct str now);
/* Until when the pod bears the node's NoExecute taints, wall ns: 0: not at all, INT64_MAX: for ever. Counted from when both were there. */
int64_t pod_bears_until(const struct val *pod, const struct val *taints);
/* The lowest free block of 2^(32-mask) addresses of cidr; NULL: none is left, or cidr is none. used: texts of blocks. */
const char *cidr_allocate(struct arena *a, const char *cidr, unsigned mask, const struct str *used, uint32_t n_used);
int pods_on_node(struct ctl_run *r, struct str node, struct ctl_list *ret);
/* Sets the pod's condition of that type (status "True" or "False") in its status, unless it is so. */
int pod_set_condition(struct ctl_run *r, struct val **pod, const char *type, const char *status, const char *reason, const char *message);

#endif
