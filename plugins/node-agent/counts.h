/* counts.h - what a node has done since its process began, with the kubelet's names. The plugin's two instances (the controller, which does it, and the
 * node, which tells it) live in one process: the numbers are the process's, counted without a lock. */
#ifndef AGENT_COUNTS_H
#define AGENT_COUNTS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/prom.h"

enum count {
    COUNT_PODS_STARTED, COUNT_POD_START_ERRORS, COUNT_IMAGES_REMOVED, COUNTS
};

void count_add(enum count what);
void count_eviction(const char *signal);    /* "memory.available" ... */
void count_beat(int64_t mono_ns);          /* the node's own key has been worked on */
int64_t counts_beat(void);                  /* when; 0: not yet */
void count_pod_start(int64_t ns);           /* from being seen to running */
void counts_tell(struct prom *p);

void count_start(unsigned kind, const char *error);            /* of a container, enum ctr_kind. error: why it could not be made or started, a constant; NULL: it could */

/* counts_pods.c. result: 0 successful, 1 failed, 2 unknown. */
struct pod_view;
struct ctr;
void count_probe(const struct pod_view *v, const struct ctr *k, unsigned kind, int result, int64_t took_ns);
void counts_forget(const char *uid);        /* the pod is gone */
void counts_tell_probes(struct prom *p);
void count_ends(const struct pod_view *v, bool tell);          /* tell false: they ended before this process began */
void counts_tell_starts(struct prom *p);
void counts_tell_ends(struct prom *p);

#endif
