/* host-internal.h - what the files of the plugin host share. */
#ifndef PLUGIN_HOST_INTERNAL_H
#define PLUGIN_HOST_INTERNAL_H

#include <keelson/cel.h>

#include <pthread.h>

#include "base/cleanup.h"
#include "plugin/gate.h"
#include "plugin/host.h"
#include "plugin/load.h"
#include "reconcile/runner.h"

#define HOST_INSTANCES_MAX 128
#define GATES_MOST         (4 * HOST_INSTANCES_MAX)

struct chain {
    struct plugin_instance *at[HOST_INSTANCES_MAX];
    unsigned n;
};

/* What an entry says of isolation. */
struct isolation {
    enum isolate_level level;
    int64_t deadline_ns;
    const char **allow;                 /* of a sandbox; NULL-terminated */
};

struct host_cell {                      /* one process of isolated instances */
    struct plugin_host *host;
    struct cell *cell;
};

#define LAYERS_MOST (GATE_CODES - 1)    /* of one instance */

/* What an instance's gate leads to (layers.c). */
struct stack {
    struct gate_target outer;           /* the outermost layer, or the plugin itself */
    struct gate *bottom;                /* on which layers stand; NULL: there are none */
    struct gate_target inner;
    bool layered;
};

struct live;

struct plugin_host {
    struct plugin_host_conf conf;
    struct arena *arena;
    pthread_mutex_t lock;               /* of at and n: they change on the loop, plugins look for each other on any thread */
    struct plugin_instance *at[HOST_INSTANCES_MAX];     /* in the configuration's order */
    struct plugin_instance *opened[HOST_INSTANCES_MAX]; /* in the order of opening */
    unsigned n, n_opened, running;
    struct host_cell *cells[HOST_INSTANCES_MAX];
    unsigned n_cells;
    struct gate *gates[GATES_MOST];     /* of every instance that ever was */
    unsigned n_gates;
    struct batch *batch;                /* of which it is the list: files are loaded anew; NULL: it is a process's */
    bool ended;                         /* nothing is changed any more */
    struct live *live;                  /* NULL: nothing was ever changed */
    struct elsewhere *elsewhere;        /* instances of other nodes that were found */
    struct store *store;
    struct objects *objects;
    struct api *api;                    /* NULL: no server */
    struct calls *calls;                /* NULL: none was ever made */
    struct chain authn, authz, admission;
    uint32_t open_flags;                /* KL_CALL_* of calls of open */
    struct loop_timer reload;
    loop_fn gone;
    void *gone_ctx;
};

/* host.c */
void host_close_one(struct plugin_instance *i);
/* Instances that are made together while the host runs: read like a configuration of their own. */
struct batch {
    struct plugin_host made, *host;
    unsigned alive;                     /* of its instances */
};

/* host.c: an instance's settings are bound and it is opened; no gate leads to it yet. [worker] */
int host_open_instance(struct plugin_instance *i, struct kl_err *err);
/* Behind it, with the stack taken away first. [worker] */
void host_close_instance(struct plugin_instance *i);
/* Its gate, made when there is none of that name and interface. False: no memory, or too many. [loop] */
bool host_gate(struct plugin_host *h, struct plugin_instance *i);
/* Its gate leads to it from now on; the one before. [loop] */
struct gate_target *host_enter(struct plugin_instance *i);
struct plugin_instance *host_find_locked(struct plugin_host *h, const char *iface, const char *name, struct kl_err *err);
int host_start_runner(struct plugin_instance *i, bool held, struct kl_err *err);
bool host_is_controller(const struct plugin_instance *i);
void host_one_gone(void *ctx);          /* one of those that plugin_host_stop waits for; ctx: the host */
/* manifest.c: fills h->at from the configuration. */
int host_read_manifest(struct plugin_host *h, struct kl_err *err);
char *host_file_of(struct plugin_host *h, struct str plugin);           /* "scheduler-spread": its path */
/* services.c: the tables by id; NULL: the host has no such service. */
const void *host_service(const struct kl_host *host, const char *id);
bool host_offers(const struct plugin_host *h, const char *id);
void host_log(const struct kl_host *h, int32_t level, const char *line);
bool host_knows(const char *id);        /* a service of the host, here or in another process */
/* check.c: mistakes with file and line. */
int host_check_entry(struct plugin_host *h, const struct val *entry, const char *file, struct kl_err *err);
int host_check_providers(struct plugin_host *h, const struct val *entry, const struct kl_plugin *p, struct kl_err *err);
int host_check_cycles(struct plugin_host *h, struct kl_err *err);
int host_check_needs(struct plugin_host *h, struct kl_err *err);
/* A chain's item that is no instance of its interface: says so. */
int host_missing_link(struct plugin_host *h, const char *chain, const char *iface, const struct val *item, struct kl_err *err);
/* elsewhere.c: the instance "NAME@NODE". [worker] */
int host_find_elsewhere(struct plugin_host *h, struct kl_call *c, const char *iface, const char *name, struct kl_instance *ret);
void host_elsewhere_free(struct plugin_host *h);
/* calls.c: keelson.host.http/0 */
extern const struct kl_host_http host_http_table;
extern const struct kl_host_versions host_versions_table;              /* versions.c */
extern const struct kl_host_cel host_cel_table;
/* conditions.c: its last two functions */
int host_conditions(const struct kl_host *h, struct kl_call *c, const char *const *texts, void **ret);
int host_match(const struct kl_host *h, struct kl_call *c, void *conditions, const struct kl_user *user, struct kl_bytes request, struct kl_bytes object,
               struct kl_bytes old, const char **ret_why);
void host_calls_drop(struct plugin_host *h, const struct plugin_instance *i);         /* of one that is closed; NULL: all, for good */
/* reload.c: before an instance is opened, when it is bound; when all run; before it is closed. */
void host_reload_new(struct plugin_instance *i);
void host_reload_start(struct plugin_host *h);
void host_reload_end(struct plugin_instance *i);
bool host_reload_busy(const struct plugin_instance *i);
void host_reload_metrics(const struct plugin_host *h, struct prom *p);
/* metrics.c: a review of that instance is over. */
void host_count_review(struct plugin_instance *p, bool mutating, const char *verb, bool rejected, int64_t ns);
/* isolation.c */
int host_isolation_of(struct plugin_host *h, const struct val *entry, struct isolation *ret, struct kl_err *err);
int host_cell_new(struct plugin_host *h, const struct val *entry, const char *file, int copy, const struct isolation *how, struct cell **ret, struct kl_err *err);
void host_cells_free(struct plugin_host *h);
struct cell *host_cell_take(struct plugin_host *h, const struct plugin_instance *last);         /* no other instance is in it: the caller's to free; else NULL */
int host_find_fallbacks(struct plugin_host *h, struct kl_err *err);
int host_find_fallback(struct plugin_host *h, struct plugin_instance *i, struct kl_err *err);
const char *host_state_text(const struct plugin_instance *i);
void host_isolation_debug(const struct plugin_instance *i, struct arena *a, struct val *one);
void host_isolation_metrics(const struct plugin_host *h, struct prom *p);
/* layers.c: names that are no layers; one that must be opened before i. [loop] */
int host_check_layers(struct plugin_host *h, struct kl_err *err);
int host_check_layers_of(struct plugin_host *h, const struct plugin_instance *i, struct kl_err *err);
bool host_layers_ready(struct plugin_host *h, const struct plugin_instance *i, struct plugin_instance **ret_layer);
unsigned host_layers_of(struct plugin_host *h, const struct plugin_instance *i, struct plugin_instance *ret[LAYERS_MOST]);
/* What stands before an open instance: n layers, the outermost first. free closes the layers' part, not the plugin (but closes: the plugin too). [worker] */
int host_stack_new(struct plugin_instance *i, struct plugin_instance *const *layers, unsigned n, struct stack **ret, struct kl_err *err);
void host_stack_free(struct stack *s);
bool host_stack_closes(const struct stack *s);
unsigned host_stack_users(const struct plugin_instance *i, const struct stack *s);          /* calls under way */
void host_layers_debug(const struct plugin_instance *i, struct arena *a, struct val *one);
/* live.c: at the end. stop: how many host_one_gone come. close: what is neither in use nor closed. */
unsigned host_live_stop(struct plugin_host *h);
void host_live_resume(struct plugin_host *h);
void host_live_close(struct plugin_host *h);
void host_batch_put(struct batch *b);   /* an instance of it is gone */
/* chain.c */
struct chain *host_chain_of(struct plugin_host *h, const char *iface);          /* NULL: it has none */
int host_read_chains(struct plugin_host *h, struct kl_err *err);

/* The chain of authorizers (chain.c); ctx: the host. [loop] */
int host_authorize(void *ctx, struct kl_call *c, const struct kl_user *user, const struct kl_request *r);

#endif
