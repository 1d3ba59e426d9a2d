/* topology.h - who is where, as far as rules between pods ask for it: counters per term and domain, kept up to date as pods come and go. [loop]
 *
 * A picker says which pods are meant: namespaces and labels, of several affinity terms together when a pod must match them all. A term is a picker and a topology key; it
 * counts, per domain (a value of that label of nodes), who matches it and who wishes it. A guest is a pod on a node, as the ledger books it. So a decision looks up as many
 * numbers as a pod has terms, however many pods there are. Where no pod has such rules there are no terms, and a guest costs two links of a list.
 *
 * Who matches a term is counted from the first pod on that asks; that pod pays a look at all guests of its namespaces. Terms that nobody has any more are kept a while.
 */
#ifndef RECONCILE_TOPOLOGY_H
#define RECONCILE_TOPOLOGY_H

#include "base/json.h"
#include "base/list.h"
#include "base/map.h"
#include "reconcile/tally.h"
#include "store/store.h"

/* In place of a topology key: each node by itself. No label has that name. */
#define TOPOLOGY_NODES STR("")
/* The two lists of an affinity. */
#define TERMS_REQUIRED  "requiredDuringSchedulingIgnoredDuringExecution"
#define TERMS_PREFERRED "preferredDuringSchedulingIgnoredDuringExecution"

struct topology;
struct ledger_node;
struct selector;
struct picker;

struct domain {
    struct list link;                   /* in its key's */
    unsigned n_nodes;
    uint32_t len;
    char value[];
};

struct topology_key {
    unsigned index;                     /* a node's domains[index] */
    unsigned refs;                      /* terms */
    unsigned n_nodes, n_domains;        /* that have it */
    struct list domains;
    struct map by_value;
    char name[];
};

/* Of a node: its domain for each key. */
struct spot {
    struct list link;
    struct domain **domains;            /* NULL within: no such label */
    unsigned n;
};

struct term {
    struct list link;                   /* in its picker's */
    struct list idle;                   /* nobody has it */
    struct picker *picker;
    struct topology_key *key;
    unsigned refs;
    struct tally matched, promised;     /* guests that it means, per domain; those that are not there yet apart */
    struct tally owners;                /* guests that refuse those whom it means */
    struct tally pull;                  /* how much guests wish them near: a sum of weights, below zero they wish them away */
    struct list waits;
    bool counted;                       /* matched and promised are kept */
};

/* A guest's own term. */
struct topology_use {
    struct term *term;
    int32_t owners, pull;
};

struct guest {
    struct list link;                   /* in its namespace's */
    struct space *space;                /* NULL: it has not entered */
    struct store_object *object;        /* labels as they were counted */
    struct ledger_node *node;
    struct topology_use *uses;
    unsigned n_uses;
    bool promised, leaving, aside;
};

/* What a pod that fits nowhere waits for. */
#define TOPOLOGY_MORE   1u              /* more guests that the term means */
#define TOPOLOGY_FEWER  2u
#define TOPOLOGY_OWNERS 4u              /* fewer that refuse it */
struct topology_wait {
    struct list link;
    struct term *term;
    unsigned on;
    void *who;
};

/* woken(ctx, who): something that it waits for has happened. NULL who: to whoever waits for anything (labels of a namespace). */
int topology_new(struct store *s, void (*woken)(void *ctx, void *who), void *ctx, struct topology **ret, struct kl_err *err);
void topology_free(struct topology *t);         /* guests have left */

/* --- the ledger's side --- */
/* Counters and nodes' places follow; what cannot be counted for lack of memory is counted anew before the next decision (topology_ready). */
void topology_enter(struct topology *t, struct guest *g, const struct val *pod, struct store_object *o);
void topology_leave(struct topology *t, struct guest *g);
/* Its labels may have changed, or it is on its way out. */
void topology_changed(struct topology *t, struct guest *g, struct store_object *o);
/* As if it were not there, and as if it were there again; nobody is woken. */
void topology_aside(struct topology *t, struct guest *g, bool aside);
/* Its labels, or whether it is there, may have changed: its guests must be taken out before, and put back afterwards (topology_aside). */
void topology_place(struct topology *t, struct ledger_node *n);
bool topology_places_same(const struct topology *t, const struct ledger_node *n);       /* topology_place would change nothing */

/* --- who asks --- */
/* False: out of memory. Before a decision. */
bool topology_ready(struct topology *t);
/* Which pods: those that match all of them. */
struct pick {
    struct str ns;                      /* of the pod that says so */
    const struct val *namespaces, *ns_selector, *selector;
};
/* Of an affinity term of a pod of that namespace. */
struct pick topology_pick(struct str ns, const struct val *term);
/* The term, counted; to be given back. leaving: guests that are being deleted count. NULL: out of memory. */
struct term *topology_term(struct topology *t, const struct pick *p, unsigned n, bool leaving, struct str key, bool counted);
void topology_done(struct topology *t, struct term *m);
/* Does the picker mean a pod of that namespace with those labels? */
bool topology_means(const struct topology *t, const struct picker *p, struct str ns, const struct val *labels);
bool topology_means_guest(struct topology *t, const struct picker *p, const struct guest *g);
/* Each term that means it and that some guest has: owners or pull count something. */
void topology_each(struct topology *t, struct str ns, const struct val *labels, void (*each)(void *ctx, struct term *m), void *ctx);
void topology_wait(struct topology *t, struct topology_wait *w);        /* term, on and who are set; keeps the term */
void topology_wait_end(struct topology *t, struct topology_wait *w);    /* not waiting: nothing happens */
/* The picker's selector is empty: it means everything, which spreading does not count. */
bool topology_selects_all(const struct picker *p);
static inline struct domain *spot_domain(const struct spot *s, const struct topology_key *k)            /* NULL: it has no such label */
{
    return k->index < s->n ? s->domains[k->index] : NULL;
}

#endif
