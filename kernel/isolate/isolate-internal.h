/* isolate-internal.h - the daemon's side: cells, bodies (one life of a child), calls. */
#ifndef ISOLATE_INTERNAL_H
#define ISOLATE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/env.h"
#include "base/mem.h"
#include "isolate/isolate.h"
#include "isolate/lane.h"
#include "isolate/tables.h"

/* What a MESSAGE_CALL is about: its first number. */
enum errand { ERRAND_CALL = 1, ERRAND_DESCRIBE, ERRAND_OPEN, ERRAND_RECONFIGURE, ERRAND_PROBE, ERRAND_CLOSE, ERRAND_LOG, ERRAND_BIND };

/* The child's descriptors. */
enum { CHILD_SOCKET = 3, CHILD_MEMORY, CHILD_UP, CHILD_DOWN, CHILD_COPY };

#define PROVIDERS_MOST 64u
#define ALLOW_MOST     64u              /* allowances of one sandbox */
#define TRIED          16u              /* requests that are remembered to have seen a crash */
#define WAITING_MOST   4096u

struct handle {
    void *at;                           /* NULL: free */
    const struct table_row *row;        /* of the service that gave it, or of the found instance's interface */
    const void *table;                  /* of a found instance; NULL: a service's */
};

/* One life of a child. */
struct body {
    struct cell *cell;
    unsigned generation;
    int refs;                           /* cell->lock */
    pid_t pid;
    int pidfd, up, down, output;
    struct lane_post post;
    struct lane_shared *shared;
    struct lane lanes[LANES];
    const char *doing[LANES];           /* the call under way there */
    atomic_bool dead;
    pthread_mutex_t lock;               /* lanes' busy and started, handles, verdict */
    struct handle *handles;
    unsigned n_handles, n_up;
    char verdict[240];                  /* why we ended it */
};

struct cell_instance {
    struct peer peer;
    struct cell *cell;
    unsigned index;
    const struct table_row *row;
    const struct kl_host *host;         /* NULL: not opened */
    bool open;
    struct buf settings;                /* as they go to the child */
    const void *(*find)(void *ctx, void **ret_self);    /* the fallback */
    void *find_ctx;
    const char *_Atomic text;           /* what its call without arguments says (node.name) */
    _Atomic uint64_t calls, errors, late, nested;
};

struct cell {
    struct cell_conf conf;
    char name[64], file[4096];
    struct arena *arena;                /* the descriptor */
    struct kl_plugin *plugin;           /* NULL: not yet */
    struct cell_instance *instances;
    unsigned n;
    pthread_t keeper;
    bool keeper_runs;
    pthread_mutex_t lock;               /* all below */
    pthread_cond_t moved;               /* state, body->refs */
    enum cell_state state;
    struct body *body;                  /* RUNNING: takes calls */
    unsigned bodies, alive, crashes_n;  /* alive: bodies that are not freed */
    bool ending, settled;               /* settled: the first child has described itself, or failed to */
    int stop;                           /* eventfd: the keeper looks around */
    struct kl_err failure;              /* of the first child */
    uint64_t starts, crashes;
    int64_t crashed_ns[8];
    char reason[300];
    uint64_t tried[TRIED], waiting[WAITING_MOST];
    unsigned n_tried, n_waiting;
};

/* body.c */
int body_new(struct cell *c, struct body **ret, struct kl_err *err);
void body_free(struct body *b);
struct body *body_get(struct cell *c);                  /* NULL: there is none that takes calls */
void body_put(struct body *b);
/* Ends it; the first reason counts. */
__attribute__((format(printf, 2, 3))) void body_end(struct body *b, const char *fmt, ...);
/* It is gone: whoever waits for it learns so. ret: how it ended. */
void body_reap(struct body *b, char *why, size_t room);
struct lane *body_lane(struct body *b);                 /* the caller's until body_lane_done; NULL: too many calls */
void body_lane_done(struct body *b, struct lane *l);
void body_more_up(struct body *b);                      /* the child uses one lane more */

/* ask.c */
int64_t cell_ask(struct peer *p, const struct table_row *t, uint32_t index, const void *const *at);
const void *cell_instead(struct peer *p, const struct table_row *t, uint32_t index, const void *const *at, void **ret_self);
/* An errand to one body. extra: what goes behind instance and errand (NULL: nothing). answer (NULL: none): what the reply holds. */
int body_errand(struct body *b, enum errand what, unsigned instance, const struct buf *extra, struct kl_call *c, struct kl_bytes *answer);

/* answer.c */
int body_answer(struct body *b, struct lane *l, struct lane_message *m);
void body_handles_end(struct body *b);

/* describe.c */
void describe_put(struct wire *w, const struct kl_plugin *p);
int describe_get(struct cell *c, struct kl_bytes text, struct kl_err *err);
/* What open is told: who its host is, which services it has, its settings. */
int open_put(struct cell_instance *i, const struct kl_host *h, const void *conf, struct buf *ret);
void settings_put(struct wire *w, const struct kl_plugin *p, const void *conf);
void *settings_get(struct wire *w, const struct kl_plugin *p);

/* sandbox.c: in the child, before the plugin's file is loaded. */
int sandbox_enter(enum isolate_level level, const char *name, const char *file, char **allow, char *why, size_t room);

/* Threads of ours take no signals. */
int isolate_thread(pthread_t *t, void *(*run)(void *), void *ctx, size_t stack);

#endif
