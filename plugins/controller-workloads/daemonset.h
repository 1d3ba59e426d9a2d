/* daemonset.h - a DaemonSet in work. daemonset_fit.c says which nodes it wants and what a pod for one looks like, daemonset.c the rest. */
#ifndef WORKLOADS_DAEMONSET_H
#define WORKLOADS_DAEMONSET_H

#include "history.h"

#define DAEMONSETS "apps/daemonsets"
#define NODES      "/nodes"

/* May a pod of the template begin on that node, and may one that is there stay? */
struct fit {
    bool run, stay;
};
struct fit daemon_fit(struct arena *a, const struct val *pod_template, const struct val *node);
/* The template with what every daemon's pod is given: the node by name, tolerations of what nodes go through. */
struct val *daemon_template(struct arena *a, const struct val *pod_template, struct str node);
/* The node that the pod is on or is meant for; len 0: none. */
struct str daemon_node(const struct val *pod);

#endif
