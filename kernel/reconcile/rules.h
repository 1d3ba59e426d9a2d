/* rules.h - what a pod's rules about other pods say of a node: spreading, affinity, and what others on nodes want of it. For the length of a decision. [loop]
 *
 * Rules and words are those of upstream's scheduler plugins PodTopologySpread and InterPodAffinity.
 */
#ifndef RECONCILE_RULES_H
#define RECONCILE_RULES_H

#include "reconcile/filter.h"
#include "reconcile/topology.h"

enum rule_kind { RULE_SPREAD = 1, RULE_NEAR, RULE_APART, RULE_UNWANTED };

struct rule {
    enum rule_kind kind;
    struct term *term;
    bool own;                           /* the term is to be given back */
    bool refused;                       /* some node */
    /* spreading */
    int64_t max_skew, min_domains;
    bool self;                          /* it counts itself once it is there */
    bool everything;                    /* an empty selector: nobody is counted */
    const struct val *selector;
    bool honors_affinity, honors_taints;
    bool local;                         /* not all nodes count: counts are over those that do */
    struct tally counts;                /* local: per domain, one more than there are: those without guests are there too */
    struct term *nodes;                 /* local: per node */
    unsigned n_domains;
    int64_t least, second;              /* guests in the domain that has the fewest, and in the one that has the fewest of the others */
    const struct domain *least_at;
    int64_t delta;                      /* local: guests of the node in question that are set aside */
};

struct rules {
    struct ledger *ledger;
    struct topology *topology;
    struct arena *arena;
    const struct pod_needs *needs;
    struct str ns;
    const struct val *labels;
    struct rule *at;
    unsigned n, most;
    bool near_self;                     /* it is itself what it wants to be near */
    bool failed;                        /* out of memory */
};

/* Promises that do not count are set aside before. False: out of memory; rules_done is needed all the same. */
bool rules_read(struct rules *r, struct ledger *l, struct arena *a, const struct pod_needs *needs);
void rules_done(struct rules *r);
/* NULL: they allow that node; else why not. *ret_hopeless (may be NULL): whoever goes from it. */
const char *rules_refuse(struct rules *r, const struct ledger_node *n, bool *ret_hopeless);
/* A guest of the node that is asked about next is set aside, or back again. */
void rules_aside(struct rules *r, const struct guest *g, bool aside);
/* The term of a spreading constraint; selector: with the labels that its matchLabelKeys name. In the arena. */
const struct val *rules_spread_selector(struct arena *a, const struct val *constraint, const struct val *labels);
/* May guests on that node be counted, as the constraint says? */
bool rules_counts_node(const struct pod_needs *needs, bool honors_affinity, bool honors_taints, const struct ledger_node *n);

#endif
