/* status.h - what the API shows of a pod, made from the view alone (and the message files that containers leave). */
#ifndef STATUS_H
#define STATUS_H

#include "agent.h"

struct status_in {
    const struct agent *agent;
    int64_t wall_ns;
    bool terminating;                       /* deletion is under way: nothing starts again */
};

/* The whole status that the pod should show: what others own in the present one is kept. NULL: out of memory. */
struct val *status_make(const struct pod_view *v, const struct status_in *in);
/* Only what differs goes to the API; *v shows the answer then. */
int status_write(struct agent *a, struct kl_call *c, struct pod_view *v, struct val *status);
/* Equal; null, [] and objects with nothing in them count as absent. */
bool status_same(const struct val *a, const struct val *b);
const char *status_phase(const struct pod_view *v, bool terminating);

/* status_ctr.c */
struct val *status_container(const struct pod_view *v, const struct ctr *k, const struct status_in *in);
struct val *status_terminated(const struct pod_view *v, const struct ctr *k, const struct val *record, const struct status_in *in);

/* conditions.c: the five conditions of a pod that its node keeps. Others in old stay. */
struct val *conditions_make(const struct pod_view *v, const struct status_in *in, const char *phase);
bool condition_is_ours(struct str type);
/* One condition in list; its time is the old one's while its status is. */
struct val *condition_add(struct arena *ar, struct val *list, const struct val *old, const char *type, bool is, int64_t wall_ns);
const struct val *condition_find(const struct val *list, struct str type);

#endif
