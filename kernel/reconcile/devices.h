/* devices.h - devices for pods (resource.k8s.io): what is allocated, whether a node has what a pod's claims ask for, and the writes that allocate and
 * reserve it. Rules and words are those of upstream's scheduler plugin DynamicResources. [loop]
 */
#ifndef RECONCILE_DEVICES_H
#define RECONCILE_DEVICES_H

#include "reconcile/ledger.h"
#include "reconcile/objects.h"

struct devices;
struct wanted;
struct offer;

/* again(ctx, pod's key): a pod that waits for devices should be looked at once more. */
int devices_new(struct store *s, void (*again)(void *ctx, struct str key), void *ctx, struct devices **ret, struct kl_err *err);
void devices_free(struct devices *d);
/* The pod of that key waits for news of claims, classes or slices. */
void devices_wait(struct devices *d, struct str key);

/* One pod's claims, for the length of a decision. */
struct devices_ask {
    struct devices *of;
    struct arena *arena;
    const struct val *pod;
    struct wanted *claims;
    unsigned n;                         /* 0: the pod has none */
    unsigned n_open;                    /* not allocated yet */
    struct offer *offer;                /* of the node in question */
    unsigned steps;                     /* left to the search */
    const char *fatal;                  /* met on some node: no other would do */
};
/* NULL, or why the pod cannot be placed anywhere now. */
const char *devices_read(struct devices_ask *q, struct devices *d, struct arena *a, const struct val *pod);
/* NULL, or why not there. */
const char *devices_fit(struct devices_ask *q, const struct ledger_node *n);
/* Allocates and reserves for the pod on that node: 1 done; 0: the devices are not ready to be bound yet; < 0 (c->err). */
int devices_reserve(struct devices_ask *q, const struct ledger_node *n, struct objects *o, const char *who, struct kl_call *c);
/* The pod was not bound after all. */
void devices_unreserve(struct devices_ask *q, struct objects *o, const char *who, struct kl_call *c);
/* No node fits: an allocation that nobody else uses is given up, since it may be what stands in the way. */
void devices_give_up(struct devices_ask *q, struct objects *o, const char *who, struct kl_call *c);

#endif
