/* devices-internal.h - what the devices*.c files share: the devices that a node offers, and the search for those that a pod's claims ask for. [loop] */
#ifndef RECONCILE_DEVICES_INTERNAL_H
#define RECONCILE_DEVICES_INTERNAL_H

#include "base/quantity.h"
#include "cel/device.h"
#include "reconcile/devices.h"

#define RESULTS_MOST 32                 /* devices of one claim */
#define CLAIMS_MOST  64                 /* of one pod: their bits are one word */

/* --- what is allocated: devices.c --- */
struct share {
    struct list link;
    const struct val *consumed;         /* by capacity; may be NULL */
};
struct used {
    unsigned whole;                     /* claims that have all of it */
    struct list shares;                 /* of those that have a part */
    char id[];
};
/* NULL: nobody has any of it. */
const struct used *devices_used(const struct devices *d, struct str id);
struct store *devices_store(const struct devices *d);
/* A claim's allocation is being written: until it is durable, its devices are taken. */
void devices_assume(struct devices *d, struct str key, const struct val *allocation);
bool devices_assumed(struct devices *d, struct str key);
/* Slices for one node (of any, when NULL): those that name it, then those for several. next(ctx, slice) false: stop. */
void devices_slices(const struct devices *d, const char *node, bool (*next)(void *ctx, const struct val *slice), void *ctx);

/* --- what a node offers: devices_pools.c --- */
struct pool {
    struct str driver, name;
    int64_t generation;
    const struct val **slices;          /* by name: those with something for the node, and all with counters */
    unsigned n_slices, cap;
    const struct val **others;          /* those with nothing for the node: their devices use counters too */
    unsigned n_others;
    bool incomplete, invalid, binds;    /* binds: some device has binding conditions */
};

struct device {
    struct pool *pool;
    struct str id;                      /* "DRIVER/POOL/NAME" */
    const struct val *v, *slice;        /* slice: its spec */
    const struct cel_device *seen;      /* by selectors; NULL: not made yet */
    bool shared;
    uint64_t claims;                    /* being allocated whole for these claims */
};

struct offer {
    struct pool *pools;
    unsigned n_pools;
    struct device *at;                  /* of complete and valid pools, in the order in which they are tried */
    unsigned n;
};
/* False: out of memory. */
bool offer_read(struct offer *o, struct arena *a, const struct devices *d, const struct ledger_node *n);
struct str device_id(struct arena *a, const struct val *result);       /* of an allocation's result, or of anything with driver, pool and device */

/* --- what is asked for: devices_read.c --- */
struct request {
    const struct val *v, *class;
    struct str name, parent;            /* parent: of one of several that would do; empty: it is no such */
    bool all, admin;
    struct cel_program **selectors;     /* the class's, then its own */
    unsigned n_selectors, n_of_class;
    /* per node */
    unsigned n;                         /* devices that it needs */
    unsigned *which;                    /* all: these */
    int8_t *matches;                    /* by device; -1: not asked yet */
};

struct choice {                         /* one entry of spec.devices.requests */
    struct request *at;                 /* one, or in order of preference */
    unsigned n, chosen;
};

struct result {
    struct device *device;
    const struct request *request;
    const char *share;                  /* its identifier; NULL: the whole device */
    struct val *consumed;
};

struct wanted {                         /* one claim */
    const struct val *v;
    bool allocated;                     /* already: nothing is searched */
    bool elsewhere;                     /* and of no use on some node */
    struct choice *choices;
    unsigned n;
    struct result results[RESULTS_MOST];
    unsigned n_results;
};

bool devices_reserved_for(const struct val *claim, struct str uid);
/* Are the devices that were allocated ready to be bound? */
enum readiness { READY, WAITS, FAILED };
enum readiness devices_readiness(const struct val *claim);

/* --- the search: devices_search.c --- */
/* True: every claim that is not allocated has its results. False: *ret_why (NULL: it just cannot be); *ret_fatal: no other node would do either. */
bool devices_search(struct devices_ask *q, const struct ledger_node *n, const char **ret_why, bool *ret_fatal);
/* devices_read.c: the same with what the node offers, all in the arena. NULL: found; else why not there. */
const char *devices_find(struct devices_ask *q, const struct ledger_node *n, struct arena *a);
/* devices_write.c: the status.allocation of what was found. */
struct val *devices_allocation(struct arena *a, const struct wanted *w, const char *node);

/* --- amounts: devices_capacity.c --- */
bool capacity_fits(struct devices_ask *q, const struct request *r, const struct device *d);
struct val *capacity_consumed(struct arena *a, const struct request *r, const struct device *d);        /* by name */
bool counters_fit(struct devices_ask *q, const struct offer *o, const struct device *d);

#endif
