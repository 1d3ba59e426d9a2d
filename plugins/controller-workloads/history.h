/* history.h - ControllerRevisions: the templates that a StatefulSet or DaemonSet has had. */
#ifndef WORKLOADS_HISTORY_H
#define WORKLOADS_HISTORY_H

#include "workloads.h"

#define REVISIONS     "apps/controllerrevisions"
#define REVISION_HASH "controller-revision-hash"

struct history {
    struct ctl_run *r;
    struct val *owner;
    const char *resource;               /* of the owner */
    bool hash_label;                    /* pods carry the hash (DaemonSet), else the revision's name (StatefulSet) */
    struct ctl_list all;                /* older first */
    struct val *newest;                 /* the one of the present template */
};

/* Reads the revisions and makes the one of the present template when there is none. 1: a name was taken; the owner comes back. */
int history_sync(struct history *h);
struct val *history_named(const struct history *h, struct str name);    /* NULL: none */
/* The pod template of a revision. */
struct val *history_template(struct history *h, const struct val *revision);
/* What pods of that revision carry as REVISION_HASH. */
struct str history_label(const struct history *h, const struct val *revision);
/* Forgets the oldest ones above spec.revisionHistoryLimit; those that used(ctx) says are in use stay. */
int history_clean_up(struct history *h, bool (*used)(void *ctx, const struct val *revision), void *ctx);

#endif
