/* live.h - what the files of live change share: one command is one change. See README.md.
 *
 * plan (loop: what goes, what comes, may it be) -> make (worker: files, settings, open, layers) -> meet (loop: controllers of kin catch up) -> swap (loop:
 * one turn) -> drain (loop: until nothing is under way in what goes) -> close (worker) -> told. Until swap every failure leaves all as it was.
 *
 * What keeps what it does in files (runtime, network, volumes, store) is opened only while nothing changes them: make -> quiet (loop: no call is under
 * way; later ones wait) -> open (worker; of a store the old one is closed first) -> swap ... */
#ifndef PLUGIN_LIVE_H
#define PLUGIN_LIVE_H

#include "host-internal.h"

#define PAIRS_MOST HOST_INSTANCES_MAX

enum live_action { LIVE_LOAD = 1, LIVE_RELOAD, LIVE_SET, LIVE_REPLACE, LIVE_REMOVE };

/* What goes and what comes in its place. */
struct pair {
    struct plugin_instance *old, *fresh;        /* either may be NULL; both the same one: only its layers are others */
    struct plugin_instance *layers[LAYERS_MOST];        /* before fresh; those that come too are told apart by name */
    unsigned n_layers;
    struct stack *stack;                /* fresh's before swap (when it stays: its new one), old's after */
    struct runner *runner;              /* old's, after swap */
    struct cell *cell;                  /* the process that ends with old */
    bool runner_gone;
    bool releases;                      /* fresh's runner begins once old is closed. Till then no other change begins; else fresh may be gone after swap */
    enum { PAIR_WHOLE, PAIR_CLOSES, PAIR_GONE } stage;  /* of what goes: closed as soon as nothing is under way in it */
    struct change *of;
};

struct change {
    struct list link;
    struct plugin_host *host;
    struct arena *arena;
    enum live_action action;
    struct str name, iface, file, provider, isolate, before;     /* copies; empty: not said */
    const struct val *settings;         /* a copy; NULL: none */
    const char *user;
    struct pair at[PAIRS_MOST];
    unsigned n;
    struct batch *batch;                /* NULL: nothing comes */
    bool warm;                          /* what comes must have caught up before anybody asks it */
    bool quiet, exclusive, held;        /* it is opened while no call is under way, and after the old one is closed; its gate is held */
    bool swapped, closed, unloaded, works;      /* works: on a worker now */
    struct loop_timer timer;
    int64_t step_ns, until_ns;
    int rc;
    struct kl_err err;
    const char *text;                   /* what was done */
    plugin_changed_fn done;             /* NULL: has been told */
    void *ctx;
};

struct live {
    struct list changes;                /* the first is under way */
    bool busy;
    struct list leaving;                /* swapped, and still draining, while others are under way */
};

/* live_plan.c */
int live_plan(struct change *x);                        /* [loop] */
/* live_make.c */
int live_make(struct change *x);                        /* [worker] */
int live_open(struct change *x);                        /* [worker] of a quiet one, when it is quiet */
void live_unmake(struct change *x);                     /* [worker] closes what was made */
void live_unmade(struct change *x);                     /* [loop] a turn later: its memory */
/* live_swap.c [loop] except where said */
bool live_is_quiet(const struct change *x);             /* no call is under way but streams */
void live_hold(struct change *x, bool held);
int live_meet(struct change *x);                        /* the runners of what comes begin */
bool live_met(const struct change *x);
void live_unmeet(struct change *x);
void live_swap(struct change *x);
bool live_pick(struct change *x);                       /* those in which nothing is under way any more are to be closed; false: none */
bool live_is_over(const struct change *x);              /* all that goes is gone */
unsigned live_under_way(const struct change *x, bool streams_only);         /* calls in what goes; 0: there is more than streams */
/* Of those that were picked. */
void live_close(struct change *x);                      /* [worker] */
void live_closed(struct change *x);
void live_release(struct change *x);                    /* a turn later: memory but the code */
void live_unload(struct change *x);                     /* [worker] the code */
void live_gone(struct change *x);
void live_pick_all(struct change *x);                   /* at the end of the process */
unsigned live_stop(struct change *x);                   /* at the end of the process: how many host_one_gone come of it */
void live_end(struct change *x);                        /* the same, once the loop does not run any more and all is closed */
/* live.c */
struct val *live_copy(struct arena *a, const struct val *v);            /* deep, texts too, without places in files */

#endif
