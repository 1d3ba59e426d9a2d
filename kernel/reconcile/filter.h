/* filter.h - what the host itself checks before a scheduler is asked about a node: readiness, taints, selectors, ports, room. Pure. */
#ifndef RECONCILE_FILTER_H
#define RECONCILE_FILTER_H

#include "reconcile/ledger.h"

struct pod_needs {
    const struct val *pod;
    const struct val *tolerations;      /* lists and objects, or NULL: as the spec has them */
    const struct val *node_selector, *node_affinity;
    struct pod_requests requests;
    struct ledger_port ports[64];
    struct ledger_amount amounts[16];
    unsigned n_ports, n_amounts;
};

void pod_needs_read(const struct val *pod, struct pod_needs *ret);
/* NULL: it fits; else the reason in upstream's words ("Insufficient cpu"), static or in the arena. */
const char *filter_node(struct arena *a, const struct pod_needs *p, const struct ledger_node *n);
/* The half of it that other pods have no part in: NULL, or why it will not fit however empty the node is. */
const char *filter_place(const struct pod_needs *p, const struct ledger_node *n);
/* The other half: is there room beside the pods that are there? */
const char *filter_room(struct arena *a, const struct pod_needs *p, const struct ledger_node *n);
/* Parts of filter_place: no taint keeps it away; its nodeSelector and required node affinity allow the node, and whether it has any. */
bool filter_taints(const struct pod_needs *p, const struct ledger_node *n);
bool filter_affinity(const struct pod_needs *p, const struct ledger_node *n);
bool filter_has_affinity(const struct pod_needs *p);
/* Taints on which it would rather not be. */
unsigned filter_soft_taints(const struct pod_needs *p, const struct ledger_node *n);
/* The short answer for what most pods ask: true is sure, false is not. */
static inline bool filter_has_room(const struct pod_needs *p, const struct ledger_node *n)
{
    return !p->n_ports && !p->n_amounts && n->used_pods < n->pods && (!p->requests.mcpu || n->used_mcpu + p->requests.mcpu <= n->mcpu) &&
           (!p->requests.memory || n->used_memory + p->requests.memory <= n->memory);
}
/* All that filter_room can say of it; at most max. */
unsigned filter_room_lacks(struct arena *a, const struct pod_needs *p, const struct ledger_node *n, const char **ret, unsigned max);
/* It asks for more than the node has when it is empty. */
bool filter_too_large(const struct pod_needs *p, const struct ledger_node *n);
/* Any of a NodeSelector's terms; a LabelSelector (an empty one: everything). */
bool filter_term_matches(const struct val *term, const struct ledger_node *n);
bool filter_terms_match(const struct val *terms, const struct ledger_node *n);
bool filter_labels_match(const struct val *wanted, const struct val *labels);     /* all of them, as they stand; NULL: nothing is wanted */
bool filter_selector_matches(const struct val *selector, const struct val *labels);

#endif
