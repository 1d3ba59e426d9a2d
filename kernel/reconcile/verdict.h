/* verdict.h - why a pod fits nowhere, in upstream's words: reasons and how many nodes gave each. Pure. */
#ifndef RECONCILE_VERDICT_H
#define RECONCILE_VERDICT_H

#include "base/arena.h"

#define VERDICT_REASONS 16

struct verdict {
    const char *text[VERDICT_REASONS];
    unsigned count[VERDICT_REASONS], n;
};

/* text is kept, not copied. */
void verdict_add(struct verdict *v, const char *text, unsigned nodes);
/* "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable." in the arena. */
const char *verdict_text(const struct verdict *v, struct arena *a, unsigned nodes);

#endif
