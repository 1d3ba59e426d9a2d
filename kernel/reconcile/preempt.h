/* preempt.h - room for a pod that fits nowhere, by pods of lower priority that have to go. [loop]
 *
 * Looked for on every node that has a place for it but no room, or pods that it must not be beside. What it must be near does not go. Of such a node's pods as few go as must, the least important first, and those whose going would
 * violate a PodDisruptionBudget last. Of the nodes the one is taken that violates the fewest; then the one whose most important victim is the least important;
 * then the one with the lowest sum of priorities, then with the fewest victims, then whose most important ones began the latest.
 */
#ifndef RECONCILE_PREEMPT_H
#define RECONCILE_PREEMPT_H

#include "reconcile/budgets.h"
#include "reconcile/filter.h"
#include "reconcile/objects.h"
#include "reconcile/rules.h"
#include "reconcile/verdict.h"

struct preempt {
    struct ledger *ledger;
    struct store *store;
    struct arena *arena;
    const struct pod_needs *needs;
    struct rules *rules;                /* about other pods; NULL: it has none */
    /* May it be there at all, but for room? NULL: filter_place decides alone. */
    bool (*fits)(void *ctx, const struct ledger_node *n);
    /* That pod was promised room on the node, and is not any more. May be NULL. */
    void (*outbid)(void *ctx, struct str ns, struct str name);
    void *ctx;
};

struct preempt_victim {
    struct ledger_guest guest;
    int64_t began_ns;                   /* INT64_MAX: it has not */
    bool violates, goes;
};

struct preempt_plan {
    struct ledger_node *node;           /* NULL: there is none, and why says what stands in the way where */
    struct preempt_victim *victims;     /* the most important first */
    unsigned n, violations;
    struct verdict why;
};

#define PREEMPT_NO_HELP "Preemption is not helpful for scheduling"
#define PREEMPT_NO_VICTIMS "No preemption victims found for incoming pod"

int64_t preempt_priority(const struct preempt *p);
/* Its preemptionPolicy forbids it. */
bool preempt_never(const struct preempt *p);
/* Is it worth to look? O(1) where no pod is of lower priority. */
bool preempt_may(const struct preempt *p);
/* Promises to pods of lower priority must be set aside meanwhile (ledger_promises_aside). */
struct preempt_plan preempt_find(const struct preempt *p);
/* On that node pods of lower priority have been told to go by a scheduler, and are on their way: to be waited for. */
bool preempt_waits(const struct preempt *p, const struct ledger_node *n);
/* Makes them go, with a word about it on each, and promises their room; who was promised room there and is less important gets his nomination taken. who: the
 * scheduler's name. */
int preempt_do(const struct preempt *p, const struct preempt_plan *plan, struct objects *o, const char *who, struct kl_call *c);

#endif
