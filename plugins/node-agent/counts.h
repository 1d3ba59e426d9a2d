/* counts.h - what a node has done since its process began, with the kubelet's names. The plugin's two instances (the controller, which does it, and the
 * node, which tells it) live in one process: the numbers are the process's, counted without a lock. */
#ifndef AGENT_COUNTS_H
#define AGENT_COUNTS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/prom.h"

enum count {
    COUNT_PODS_STARTED, COUNT_POD_START_ERRORS, COUNT_CONTAINERS_STARTED, COUNT_CONTAINER_START_ERRORS, COUNT_IMAGES_REMOVED, COUNTS
};

void count_add(enum count what);
void count_eviction(const char *signal);    /* "memory.available" ... */
void count_pod_start(int64_t ns);           /* from being seen to running */
void counts_tell(struct prom *p);

#endif
