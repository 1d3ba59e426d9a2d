/* loop.h - the one event loop: timers, descriptors, posted calls, workers, signals, child processes. libuv underneath, behind this header only.
 *
 * All functions are [loop] except where said. A loop made with loop_new_sim has a virtual clock: timers fire in order with no
 * waiting, work runs inline, so that a run depends on its seed alone.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct loop;
typedef void (*loop_fn)(void *ctx);

struct loop *loop_new(void);
struct loop *loop_new_sim(int64_t start_mono_ns, int64_t start_wall_ns);
/* A copy of the environment at that time with the loop's clocks and with the loop as ctx, for env_set by simulations. */
struct env_ops;
const struct env_ops *loop_sim_env(struct loop *l);
void loop_free(struct loop *l);
void loop_run(struct loop *l);                          /* until loop_stop, or (sim) until nothing is left to do */
/* Sim: runs what is due up to that virtual time. */
void loop_run_until(struct loop *l, int64_t mono_ns);
void loop_stop(struct loop *l);                         /* [any] */
int64_t loop_now(const struct loop *l);                 /* monotonic ns, cached once per turn; virtual in sim */
bool loop_here(const struct loop *l);                   /* [any] is this the loop's thread? */

/* [any] Runs fn(ctx) on the loop soon, in order of posting. One wake-up per batch. */
void loop_post(struct loop *l, loop_fn fn, void *ctx);
/* [any but loop] The same, and waits until it has run. */
void loop_call(struct loop *l, loop_fn fn, void *ctx);

/* What a thread waits for that the loop does in its own time. Lives on the waiter's stack: after loop_promise_keep its keeper touches nothing of it. */
struct loop_promise {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool kept;
};
#define LOOP_PROMISE_INIT { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER }
void loop_promise_keep(struct loop_promise *p);         /* [any] */
void loop_promise_wait(struct loop_promise *p);         /* [any but loop] until it is kept; then it is over and may be thrown away */

/* Embedded in the owner's struct; zero it first. */
struct loop_timer {
    struct loop *loop;
    loop_fn fn;
    void *ctx;
    int64_t due_ns;
    uint64_t started;                   /* orders equal times */
    uint32_t heap_at;                   /* 1 + index in the heap; 0: not waiting */
};
void loop_timer_start(struct loop *l, struct loop_timer *t, int64_t delay_ns, loop_fn fn, void *ctx);   /* again: moves it */
void loop_timer_stop(struct loop_timer *t);             /* waiting or not, also when zeroed */

/* Level-triggered readiness of a descriptor that stays the caller's. */
#define LOOP_READ  1
#define LOOP_WRITE 2
#define LOOP_HANGUP 4                   /* the other side has ended its part, while nothing is read */
struct loop_fd;
struct loop_fd *loop_fd_new(struct loop *l, int fd, void (*ready)(void *ctx, int events), void *ctx);
void loop_fd_set(struct loop_fd *f, int events);        /* 0: none */
void loop_fd_free(struct loop_fd *f);                   /* safe within ready; NULL is fine */

/* [any] run on a worker thread (many at once), then done on the loop. done may be NULL. */
void loop_work(struct loop *l, loop_fn run, loop_fn done, void *ctx);
/* Waits for the work that was given with that ctx and runs its done here and now; nothing else runs. For the end of a process. */
void loop_work_join(struct loop *l, void *ctx);

/* Looks a name up (hints: as for getaddrinfo; of them ai_flags and ai_socktype count) on a worker; done comes later, on the loop. why NULL: found, for
 * freeaddrinfo. Names that nobody answers for take no more than half of the workers: what others do there is not delayed. */
struct addrinfo;
typedef void (*loop_names_fn)(void *ctx, struct addrinfo *found, const char *why);
void loop_lookup(struct loop *l, const char *host, const char *port, const struct addrinfo *hints, loop_names_fn done, void *ctx);

/* Hook that runs once per turn, before the loop waits: flush what was gathered (output, commits). Unlinks with list_remove. */
struct loop_hook {
    struct list link;
    loop_fn fn;
    void *ctx;
};
void loop_hook_add(struct loop *l, struct loop_hook *h, loop_fn fn, void *ctx);

/* fn(ctx) on the loop when that signal comes. One per signal. */
int loop_signal(struct loop *l, int signum, loop_fn fn, void *ctx);

#endif
