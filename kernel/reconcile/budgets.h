/* budgets.h - PodDisruptionBudgets as whoever looks for victims sees them: whose going would violate one. [loop] */
#ifndef RECONCILE_BUDGETS_H
#define RECONCILE_BUDGETS_H

#include "base/json.h"
#include "store/store.h"

struct budget;
struct budgets {
    struct budget *at;
    unsigned n;
};

/* Those that select something; in the arena. */
struct budgets budgets_read(struct store *s, struct arena *a);
/* Nobody has gone yet. */
void budgets_begin(struct budgets *b);
/* That pod goes too: would a budget be violated? Those that have granted its eviction already are not asked. */
bool budgets_charge(struct budgets *b, struct str ns, struct str name, const struct val *labels);

#endif
