/* bench.h - one instance of one provider under test, in a process of its own, and calls to it. What it does wrong is noted in the report. */
#ifndef CONFORMANCE_BENCH_H
#define CONFORMANCE_BENCH_H

#include "args.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "host.h"
#include "plugin/plugin.h"

#define CALL_NS  (15 * 1000000000LL)    /* no call of a harness lasts as long: it hangs */
#define SOON_NS  (5 * 1000000000LL)     /* what must end now has as long, on a busy machine */

struct bench {
    struct report *report;
    const struct kl_plugin *plugin;
    const struct kl_provider *provider;
    const struct kl_sig_table *sig;
    const struct plugin_table *table;
    const struct val *settings;
    struct test_host host;
    struct pen *conf_pen;
    void *conf, *self;
    bool strict;                        /* arguments are guarded, and gone after the call */
    uint32_t more;                      /* bytes that structs are longer */
    uint64_t revision, generation;      /* last ones given to a store, a proxy */
    uint32_t fail_alloc;                /* that allocation of the next calls fails; 0: none */
    char key[320];                      /* of a controller: a key of an object that it watches */
    bool own_keys, keyless;             /* only its map knows keys; map gave none: reconcile is not called */
};

/* How one call is made; all zero: as usual. */
struct asking {
    enum args_variant variant;
    bool cancelled;
    int64_t for_ns;                     /* deadline from now; 0: a second, of streams 50 ms */
    uint32_t flags;                     /* of kl_call */
    enum policy late;                   /* what hanging breaks; P_LOAD (0): SURVIVE */
    /* Changes the arguments before they are sealed. */
    void (*adjust)(struct bench *b, const struct kl_sig_call *call, struct args *a, void *ctx);
    void *ctx;
    /* Looks at the results while they are there: rc as the call's result. */
    void (*look)(struct bench *b, const struct kl_sig_call *call, struct args *a, union invoke_result *r, struct kl_call *c, void *ctx);
};

struct answer {
    bool ran;
    int64_t rc;                         /* of INT and I64; 0 of the others */
    char message[248];                  /* c->err's, of a failure */
    struct buf text;                    /* all results as text; the caller frees it */
};

/* Starts with everything but self; self is there after bench_open. False: out of memory. */
bool bench_init(struct bench *b, const struct kl_plugin *p, const struct kl_provider *v, const struct val *settings, struct report *r);
void bench_done(struct bench *b);
/* The plugin's result; ret_message (REPORT_TEXT bytes, may be NULL): its reason. */
int bench_open(struct bench *b, char *ret_message);
void bench_close(struct bench *b);
int bench_probe(struct bench *b);
void bench_reconfigure(struct bench *b);
/* Calls the i-th function. ret may be NULL. */
void bench_call(struct bench *b, uint32_t i, const struct asking *how, struct answer *ret);
/* By name. False: not there. */
bool bench_ask(struct bench *b, const char *name, const struct asking *how, struct answer *ret);
/* Is there such a function, and may the harness call it? */
bool bench_may(const struct bench *b, uint32_t i);
/* The same call again gives the same: 2 all of it, 1 what succeeded succeeds, 0 it need not. */
int bench_again(const struct bench *b, uint32_t i);
bool bench_loop(const struct bench *b, uint32_t i);     /* a call on the loop */
/* Notes what goes on, for the case of a crash or a hang. */
void bench_now(struct bench *b, enum policy now, enum policy late, const char *call, int64_t limit_ns);

/* scenarios.c */
struct scenario {
    const char *name;
    void (*run)(struct bench *b);
    bool plain;                         /* no handlers of signals are set */
};
extern const struct scenario scenarios[];
extern const unsigned n_scenarios;
/* particular.c: what only one interface demands. */
void particular_run(struct bench *b);

#endif
