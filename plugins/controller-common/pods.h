/* pods.h - what controllers of pods share: states, pods from templates, claiming, the order in which pods are given up. */
#ifndef CONTROLLER_PODS_H
#define CONTROLLER_PODS_H

#include "ctl.h"

bool pod_finished(const struct val *pod);                       /* Succeeded or Failed */
bool pod_active(const struct val *pod);                         /* neither finished nor being deleted */
bool pod_ready(const struct val *pod);
/* Ready for min_ready_s? If only time is missing, *ret_wait_ns is lowered to what is left of it (0 there: not set yet). */
bool pod_available(const struct val *pod, int64_t min_ready_s, int64_t now_ns, int64_t *ret_wait_ns);

/* The same of one that is ready since then; 0: nobody knows. */
bool ready_for(int64_t since_ns, int64_t min_ready_s, int64_t now_ns, int64_t *ret_wait_ns);

/* A new Pod of a template, controlled by owner: generateName "<owner>-", or name when it has a length. */
struct val *pod_of_template(struct ctl_run *r, const struct val *owner, const struct val *template_, struct str name);

/* The objects of resource that owner controls. Those that match the selector but have no controller are adopted, those that no longer match
 * are released, as far as the owner is not being deleted. */
int claim(struct ctl_run *r, const struct val *owner, const struct val *selector, const char *resource, struct ctl_list *ret);

/* What decides whether a pod goes before another, as upstream ranks them. */
struct pod_rank {
    void *whose;                        /* the caller's; NULL from pod_rank */
    int64_t crowded;                    /* how many related pods share its node; the caller's, too */
    int64_t cost, ready_ns, created_ns, restarts[2];
    int phase;
    bool assigned, ready;
    char uid[40];
};
struct pod_rank pod_rank(const struct val *pod);
/* So that those to be deleted first stand first. */
void pod_ranks_sort(struct pod_rank *at, uint32_t n, int64_t now_ns);
void pods_rank(struct val **at, uint32_t n, int64_t now_ns);

/* Keys of the owners of resource in the object's namespace whose spec.selector (plain map when plain) matches the object's labels before or
 * after; for objects without a controller. */
int keys_by_selector(struct ctl_run *r, const char *resource, struct str old, struct str obj, bool plain, struct buf *keys);
/* Map of a dependent: its controller of that kind before and after, else (no controller) whoever selects it. */
int keys_of_dependent(struct ctl_run *r, const char *kind, const char *resource, struct str old, struct str obj, bool plain, struct buf *keys);

#endif
