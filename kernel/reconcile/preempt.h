/* preempt.h - room for a pod that fits nowhere, by pods of lower priority that have to go. [loop]
 *
 * Looked for on every node that has a place for it but no room. Of such a node's pods as few go as must, the least important first; of the nodes the one is taken whose most
 * important victim is the least important, then the one with the lowest sum, then the one with the fewest. Disruption budgets are not asked.
 */
#ifndef RECONCILE_PREEMPT_H
#define RECONCILE_PREEMPT_H

#include "reconcile/filter.h"
#include "reconcile/objects.h"

struct preempt {
    struct ledger *ledger;
    struct store *store;
    struct arena *arena;
    const struct pod_needs *needs;
    /* May it be there at all, but for room? NULL: filter_place decides alone. */
    bool (*fits)(void *ctx, const struct ledger_node *n);
    void *ctx;
};

struct preempt_plan {
    struct ledger_node *node;           /* NULL: there is none */
    struct ledger_guest *victims;
    unsigned n;
};

/* Is it worth to look? O(1) where no pod is of lower priority. */
bool preempt_may(const struct preempt *p);
struct preempt_plan preempt_find(const struct preempt *p);
/* On that node pods of lower priority are on their way out already: to be waited for. */
bool preempt_waits(const struct preempt *p, const struct ledger_node *n);
/* Makes them go, with a word about it on each, and promises their room. who: the scheduler's name. */
int preempt_do(const struct preempt *p, const struct preempt_plan *plan, struct objects *o, const char *who, struct kl_call *c);

#endif
