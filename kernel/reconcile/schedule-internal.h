/* schedule-internal.h - the scheduler host's state, for its two halves: the queue (schedule.c) and one decision (decide.c). */
#ifndef RECONCILE_SCHEDULE_INTERNAL_H
#define RECONCILE_SCHEDULE_INTERNAL_H

#include "reconcile/devices.h"
#include "reconcile/ledger.h"
#include "reconcile/queue.h"
#include "reconcile/rules.h"
#include "reconcile/schedule.h"
#include "reconcile/schedule_metrics.h"
#include "reconcile/services.h"

#define STORAGE 3

struct schedule {
    struct schedule_conf conf;
    struct ledger *ledger;
    struct queue *queue;
    struct devices *devices;
    struct services *services;
    struct candidate *candidates;       /* of a decision: kept, for the next one needs as many */
    unsigned room;
    unsigned begin;                     /* where the next search begins among the nodes */
    struct store_watch *pods;
    struct store_watch *storage[STORAGE];        /* claims, volumes, classes */
    struct map parked;                  /* pods that fit nowhere: key -> struct parked */
    bool posted, paused;
    unsigned turn;                      /* breaks ties: equal nodes take turns */
    struct schedule_counts counts;
};

/* What becomes of a pod's key. PARKED: room must appear first. AGAIN: with back-off, whatever the world does. */
enum outcome { SETTLED, PARKED, AGAIN };
/* Decides about the pod of that key. *ret_claims: it has volumes that are claimed. */
enum outcome schedule_one(struct schedule *s, struct str key);

/* What a pod that fits nowhere waits for, beside news of nodes. */
struct hopes {
    bool claims;                        /* it has some: news of them may help */
    bool room;                          /* pods that go leave some */
    const struct rules *rules;          /* those that refused a node: when their pods come or go. NULL: none */
};
void schedule_park(struct schedule *s, struct str key, const struct hopes *h);

#endif
