/* rollout.h - a Deployment in work. rollout.c holds the arithmetic (no reads, no writes), sets.c the ReplicaSets, progress.c the status. */
#ifndef WORKLOADS_ROLLOUT_H
#define WORKLOADS_ROLLOUT_H

#include "workloads.h"

#define HASH_LABEL "pod-template-hash"
#define REVISION   "deployment.kubernetes.io/revision"

struct rollout {
    struct ctl_run *r;
    struct val *d;                      /* the Deployment as it is stored now */
    struct ctl_list sets;               /* its ReplicaSets, older first, as they are stored now */
    int newest;                         /* index of the one with the present template, -1: none */
};

/* --- rollout.c --- */
struct limits {
    int64_t surge, unavailable;         /* pods above and below spec.replicas; both 0 without RollingUpdate */
};
struct limits rollout_limits(const struct val *d);
int64_t set_wanted(const struct val *set);                      /* spec.replicas */
int64_t set_count(const struct val *set, const char *member);   /* of status */
/* Available pods that stay even if the set has not come down to its spec yet. */
int64_t set_available(const struct val *set);
int64_t set_revision(const struct val *set);
/* Size of the newest set that uses up the surge. */
int64_t rollout_grow(const struct rollout *x);
/* By how much the old sets together may shrink now, counting unhealthy pods first; 0: not at all. */
int64_t rollout_room_unhealthy(const struct rollout *x);
int64_t rollout_room(const struct rollout *x);
/* New sizes of all sets when the Deployment was scaled with several of them active; ret has sets.n places. */
void rollout_proportional(const struct rollout *x, int64_t *ret);
bool rollout_complete(const struct val *d, const struct val *status);
bool same_template(struct arena *a, const struct val *x, const struct val *y);
/* Text of the pod-template-hash label. */
const char *template_hash(struct ctl_run *r, const struct val *pod_template, int64_t collisions);

/* --- sets.c; 1: stop here, the Deployment comes back --- */
int sets_read(struct rollout *x);
/* Finds the newest set, keeps revisions and annotations; with create, makes it when it is not there. */
int sets_sync_newest(struct rollout *x, bool create);
int set_scale(struct rollout *x, int i, int64_t size, bool *ret_scaled);
int sets_clean_up(struct rollout *x);
bool sets_scaling_event(const struct rollout *x);

/* --- progress.c --- */
int progress_paused(struct rollout *x);
int progress_write(struct rollout *x, bool rolling);            /* rolling: judges progress too */
int progress_condition(struct rollout *x, const char *status, const char *reason, const char *message);
bool has_deadline(const struct val *d);
struct val *progress_new(struct rollout *x, const char *type, const char *status, const char *reason, const char *message);
void progress_set(struct arena *a, struct val *status, struct val *condition);

#endif
