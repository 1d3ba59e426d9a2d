/* topology-internal.h - what pickers are made of, for the two halves: who is where (topology.c) and which terms there are (topology_terms.c). */
#ifndef RECONCILE_TOPOLOGY_INTERNAL_H
#define RECONCILE_TOPOLOGY_INTERNAL_H

#include "base/map.h"
#include "reconcile/topology.h"

#define IDLE_MAX 512                    /* terms that are kept though nobody has them */

struct space {                          /* a namespace */
    struct list guests;
    struct store_object *object;        /* as it was counted; NULL: not there */
    struct arena *arena;                /* of its labels; NULL: it has none */
    const struct val *labels;
    char name[];
};

struct part {
    struct str *names;
    unsigned n_names;
    struct selector *spaces, *labels;   /* spaces NULL: the names alone */
};

struct picker {
    struct str text;
    struct arena *arena;
    struct list link;                   /* in its bucket's */
    struct bucket *bucket;
    struct list terms;
    struct part *parts;
    unsigned n_parts;
    bool leaving, all;
    unsigned n_counted;                 /* terms that know whom they mean */
};

/* Pickers that want the same value of the same label, or (text empty) none in particular. */
struct bucket {
    struct list pickers;
    uint32_t len;
    char text[];
};

struct topology {
    struct store *store;
    struct store_watch *watch;
    void (*woken)(void *ctx, void *who);
    void *ctx;
    struct map spaces, pickers, buckets, keys;
    struct topology_key **by_index;     /* NULL: free */
    unsigned n_index;
    unsigned n_pickers, n_idle;
    struct list idle, nodes;            /* nodes: places of the ledger's nodes that are there */
    struct bucket *anything;
    struct arena *scratch;
    bool stale;                         /* out of memory: counters are wrong until counted anew */
};

/* Of an object as it is stored; NULL: none. In the arena. */
struct val *topology_labels(struct arena *a, struct store_object *o);
/* Counts a guest, which the term means. */
void topology_count(struct topology *t, struct term *m, struct guest *g, int sign);
struct topology_key *topology_key(struct topology *t, struct str name);
void topology_key_done(struct topology *t, struct topology_key *k);
/* Each picker that may mean a pod with those labels. */
void topology_candidates(struct topology *t, const struct val *labels, void (*each)(void *ctx, struct picker *p), void *ctx);
void topology_terms_free(struct topology *t);
struct space *topology_space(struct topology *t, struct str name);     /* made when it is not known; NULL: out of memory */
bool topology_uses_read(struct topology *t, struct guest *g, const struct val *pod);

#endif
