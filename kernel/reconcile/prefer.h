/* prefer.h - what a pod would rather have, of the nodes that fit: numbers of 0 to 100 for each, for its scheduler to weigh. For the length of a decision. [loop]
 *
 * Rules are those of how upstream's scheduler plugins TaintToleration, NodeAffinity, PodTopologySpread (with its default constraints), InterPodAffinity and ImageLocality score.
 */
#ifndef RECONCILE_PREFER_H
#define RECONCILE_PREFER_H

#include "reconcile/filter.h"
#include "reconcile/services.h"

enum preference { PREFER_TAINTS, PREFER_AFFINITY, PREFER_SPREAD, PREFER_UNASKED, PREFER_NEIGHBOURS, PREFER_IMAGES, PREFERENCES };

struct candidate {
    struct ledger_node *node;
    uint8_t prefers[PREFERENCES];
};

struct prefer {
    struct ledger *ledger;
    struct topology *topology;
    struct arena *arena;
    const struct pod_needs *needs;
    struct services *services;          /* NULL: nothing is spread without being asked for */
    struct str ns;
    const struct val *labels;
    struct candidate *at;
    unsigned n;
    int64_t *raw;                       /* of each candidate, before it is known how the others are */
    bool failed;                        /* out of memory */
};

/* Sets prefers of all n candidates. False: out of memory. */
bool prefer(struct prefer *p);

/* prefer_spread.c */
void prefer_spread(struct prefer *p);
/* p->raw to 0..100: of the most (upside down: the least is best), or from the least to the most. */
void prefer_by_most(struct prefer *p, enum preference which, bool upside_down);

#endif
