/* claims.h - what a pod's claims say about where it can run, and what it takes to have them bound there. [loop]
 *
 * A claim that is bound has a volume, which may be reachable from some nodes only. One that waits for its first consumer (its class says so) is
 * decided with the pod: each node has a free volume that is fit, or its class's provisioner can make one there. Words and rules are those of
 * upstream's scheduler plugins VolumeBinding, VolumeZone's successors (a volume's node affinity) and VolumeRestrictions (ReadWriteOncePod).
 */
#ifndef RECONCILE_CLAIMS_H
#define RECONCILE_CLAIMS_H

#include "reconcile/filter.h"
#include "reconcile/objects.h"

struct claim_need {
    const struct val *claim, *class;
    const struct val *volume;           /* bound; NULL: it is not */
    const struct val **fit;             /* free volumes that are fit, the smallest first; NULL at the end */
    struct str selected;                /* the node that it was asked for on already */
};

struct claims {
    struct store *store;
    struct arena *arena;
    struct claim_need *at;
    unsigned n;
    bool any;                           /* the pod has claims, bound ones too */
    bool taken;                         /* another pod has one that is for a single pod */
    bool failed;                        /* out of memory */
};

/* NULL: it depends on the node; else why the pod fits nowhere, in upstream's words, in the arena. */
const char *claims_read(struct claims *x, struct store *s, struct arena *a, const struct val *pod);
/* NULL: they can be had on that node; else the reason. */
const char *claims_fit(const struct claims *x, const struct ledger_node *n);
/* Asks for what is not bound yet, on that node. 1: all is bound; 0: it must be waited for (their objects change then); else a failure. */
int claims_reserve(const struct claims *x, const struct ledger_node *n, struct objects *o, const char *who, struct kl_call *c);
/* No node fits: nodes that were chosen for claims count no more. */
void claims_unselect(const struct claims *x, struct objects *o, const char *who, struct kl_call *c);

#endif
