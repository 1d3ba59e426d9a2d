/* queue.h - keys to work on: a key waits at most once, is never worked on twice at a time, and comes back later when it failed. All [loop].
 *
 * Life of a key: queue_add -> waits for its time -> ready -> queue_next (in work) -> queue_done -> gone, or waits again: because it was
 * added meanwhile, because its work asked to come back, or with back-off because it failed. A key whose work was long rests before changes
 * bring it back: a burst of changes costs one look at all of them, and no key takes more than a share of the loop.
 */
#ifndef RECONCILE_QUEUE_H
#define RECONCILE_QUEUE_H

#include "base/prom.h"
#include "base/str.h"
#include "loop/loop.h"

struct queue;

struct queue_key {
    struct str name;                    /* as added */
    unsigned failures;                  /* in a row */
    int64_t rest_ns;                    /* set while in work: changes do not bring it back before that time is over */
};

#define QUEUE_BACKOFF_FIRST_NS (5 * 1000000LL)
#define QUEUE_BACKOFF_MOST_NS  (1000 * 1000000000LL)

/* ready(ctx) is called when a key became ready; at once, so it should only note it. NULL: out of memory. */
struct queue *queue_new(struct loop *l, loop_fn ready, void *ctx);
void queue_free(struct queue *q);                       /* no key may be in work */
/* delay 0: now. A key that waits already keeps the earlier time; one in work waits again when that is over. */
void queue_add(struct queue *q, struct str key, int64_t delay_ns);
/* The next ready key, in order of becoming ready; NULL: none now. */
struct queue_key *queue_next(struct queue *q);
/* Ends its work. failed: comes back with back-off. again_ns > 0: comes back after that time. */
void queue_done(struct queue *q, struct queue_key *key, bool failed, int64_t again_ns);

struct queue_stats {
    unsigned ready, waiting, working;
    uint64_t added, done, failed;
    struct prom_histogram waited, worked;        /* seconds from ready to work, and in work */
};
const struct queue_stats *queue_stats(const struct queue *q);
/* How long what is in work has been in work, in seconds: all together, and the longest. */
void queue_unfinished(const struct queue *q, double *ret_sum, double *ret_longest);

#endif
