/* statefulset.h - a StatefulSet in work. statefulset_pod.c knows one pod's identity and storage, statefulset.c the order. */
#ifndef WORKLOADS_STATEFULSET_H
#define WORKLOADS_STATEFULSET_H

#include "history.h"

#define STATEFULSETS "apps/statefulsets"

struct stateful {
    struct history h;                   /* owner: the set */
    struct ctl_run *r;
    struct val *current;                /* revision that pods below the partition have; the newest is h.newest */
    int64_t start, n;                   /* first ordinal and how many */
    struct val **at;                    /* by ordinal, n places; NULL: not there */
    struct val **condemned;             /* others, higher ordinals first */
    uint32_t n_condemned;
    bool ordered;
    int64_t min_ready;
};

/* --- statefulset_pod.c --- */
int64_t ordinal_of(const struct stateful *s, const struct val *pod);    /* -1: not one of this set's names */
bool of_revision(const struct stateful *s, const struct val *pod, const struct val *revision);
bool sound(const struct stateful *s, const struct val *pod);            /* running, available, not being deleted */
int make_pod(struct stateful *s, int64_t ordinal, const struct val *revision);
int drop_pod(struct stateful *s, const struct val *pod);
/* Claims of the pod's storage that are not there are made; whether they go with pod or set is kept right. */
int make_claims(struct stateful *s, int64_t ordinal, const struct val *pod);
int own_claims(struct stateful *s, int64_t ordinal, const struct val *pod);     /* the latter only; >= 0: how many were changed */
/* Its labels and who owns its claims are put right. */
int keep_pod(struct stateful *s, int64_t ordinal, const struct val *pod);

#endif
