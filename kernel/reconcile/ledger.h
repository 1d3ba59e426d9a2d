/* ledger.h - what every node has left: one account for all schedulers, so that no two book the same room. [loop]
 *
 * It follows nodes and pods as they become durable; a pod that is being bound is booked before that (ledger_assume), so that the next
 * decision sees it. A booking ends when its pod is over or gone.
 */
#ifndef RECONCILE_LEDGER_H
#define RECONCILE_LEDGER_H

#include <keelson/iface/scheduler.h>

#include "base/json.h"
#include "base/list.h"
#include "base/map.h"
#include "reconcile/images.h"
#include "reconcile/requests.h"
#include "reconcile/topology.h"
#include "store/store.h"

struct ledger;

struct ledger_node {
    struct list link;
    struct spot spot;
    const struct val *labels, *taints;  /* of tree; NULL: it has none */
    bool present;                       /* false: only bookings on a node that is not there (any more) */
    bool ready, unschedulable;
    int64_t mcpu, memory, pods;         /* allocatable */
    int64_t used_mcpu, used_memory, used_pods;
    int64_t guess_mcpu, guess_memory;   /* used, as struct pod_requests guesses */
    int64_t lowest;                     /* no pod on it is of lower priority; INT64_MAX: there is none */
    struct list bookings;
    struct arena *arena;                /* of tree; made anew with each change of the Node */
    struct store_object *object;
    struct val *tree;
    struct image **images;
    unsigned n_images;
    char name[256];
};

/* changed(ctx): room may have appeared (a node came or changed, a pod ended). */
int ledger_new(struct store *s, loop_fn changed, void *ctx, struct ledger **ret, struct kl_err *err);
void ledger_free(struct ledger *l);
/* Also: who waits for other pods than those that take room (struct topology_wait's who), or NULL: all that wait for such, and for nodes. */
void ledger_listen(struct ledger *l, void (*woken)(void *ctx, void *who));
struct topology *ledger_topology(struct ledger *l);
const struct images *ledger_images(const struct ledger *l);
/* Nodes that are there, in order of name; NULL after the last. */
struct ledger_node *ledger_next(struct ledger *l, struct ledger_node *after);
unsigned ledger_count(const struct ledger *l);
/* The same as an array, until nodes come or go. NULL: there are none, or out of memory. */
struct ledger_node **ledger_nodes(struct ledger *l);
bool ledger_assume(struct ledger *l, const struct val *pod, struct ledger_node *n);
void ledger_forget(struct ledger *l, struct str pod_uid);       /* the binding failed */
/* Pods on n with that controlling owner (uid); without one: 0. */
unsigned ledger_matching(const struct ledger *l, const struct ledger_node *n, struct str owner_uid);
bool ledger_port_free(const struct ledger_node *n, const struct ledger_port *p);
int64_t ledger_used(const struct ledger_node *n, const char *amount);

/* Room that a pod of higher priority is promised on a node whose other pods are being made to go for it. It counts like a booking until the pod has a node, is gone, or
 * the promise is taken back (ledger_forget). */
bool ledger_promise(struct ledger *l, const struct val *pod, struct ledger_node *n);
/* The node that it is promised room on, or NULL. */
struct ledger_node *ledger_promised(const struct ledger *l, struct str pod_uid);

/* All promises to pods of lower priority, as if they were not made: who is more important does not wait for them. They must be put back as below. */
void ledger_promises_aside(struct ledger *l, int64_t below, bool aside);

int64_t ledger_lowest(const struct ledger *l);                  /* the same of all nodes */

/* A pod on a node, for who looks for room. */
struct ledger_guest {
    const char *uid, *ns, *name;
    int64_t priority;
    bool promised;                      /* it is not there yet */
    void *booking;
    const struct guest *guest;
};
/* Guests of lower priority than that, the most important first; in the arena. */
struct ledger_guest *ledger_guests(const struct ledger_node *n, int64_t below, struct arena *a, unsigned *ret_n);
/* As if it were not there, and as if it were there again. Every one must be put back before anything else happens to the ledger. */
void ledger_set_aside(struct ledger *l, struct ledger_node *n, const struct ledger_guest *g, bool aside);

#endif
