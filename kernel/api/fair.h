/* fair.h - seats and queues: who runs next. Knows nothing of requests; flow.c brings them. [loop]
 *
 * Two things are scarce here. Seats: what a request holds from its start to its answer (a write until it lasts, a list until it has been
 * sent, whatever waits for others). And the loop's time: a read has its answer in the very turn in which it starts, so that it is never
 * seen holding a seat, but a hundred of them keep everybody waiting. So a level has seats, as upstream's have, and beside them the loop's time is
 * shared: whoever finds the turn used up is queued like one that finds no seat, and is chosen later by what its level and its queue have
 * used so far (virtual time, in nanoseconds of the loop).
 *
 * Borrowing: a level may use seats beyond its own as long as every other level still finds those that it does not lend. What is lent
 * comes back when its borrower has been answered.
 */
#ifndef API_FAIR_H
#define API_FAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define FAIR_QUEUES_MOST 1024

struct fair_queue {
    struct list link;                   /* level->active, while it has items */
    struct list items;
    unsigned index, n, running, seats;  /* items; those that came through it and run, and their seats */
    uint64_t used_ns;                   /* virtual time */
};

struct fair_level {
    struct list link;
    bool exempt, rejects;               /* rejects: instead of queueing */
    unsigned shares, lendable, borrowing;        /* percent; borrowing UINT32_MAX: all there is */
    unsigned n_queues, hand, length;
    /* made of those by fair_share_out */
    unsigned nominal, least, most;
    /* now */
    unsigned used, running, queued;
    uint64_t used_ns, now_ns;           /* virtual time of the level among levels; of its queues */
    struct list active;
    struct fair_queue **queues;         /* made when they are first used */
};

enum fair_state { FAIR_OUT = 0, FAIR_QUEUED, FAIR_RUNNING };
/* One request; embedded. Zero it first. */
struct fair_item {
    struct list link;                   /* in its queue */
    struct fair_level *level;
    struct fair_queue *queue;           /* NULL: it never waited */
    unsigned seats;
    enum fair_state state;
    int64_t since_ns;                   /* when it came */
};

struct fair {
    struct list levels;
    unsigned seats;                     /* of all levels */
    unsigned reserved;                  /* used, or kept for levels that do not lend them */
    unsigned queued;
    uint64_t now_ns;
};

void fair_init(struct fair *f, unsigned seats);
void fair_level_init(struct fair_level *l);
void fair_level_add(struct fair *f, struct fair_level *l);
void fair_level_end(struct fair *f, struct fair_level *l);      /* nothing of it runs or waits */
/* After shares or seats have changed. */
void fair_share_out(struct fair *f);

enum fair_verdict { FAIR_RUN = 1, FAIR_WAIT, FAIR_FULL, FAIR_NO_SEAT };
/* flow: a hash of whom it counts for. time_left: the turn is not used up. FAIR_FULL: its queue is; FAIR_NO_SEAT: the level rejects. */
enum fair_verdict fair_offer(struct fair *f, struct fair_level *l, struct fair_item *i, unsigned seats, uint64_t flow, bool time_left, int64_t now_ns);
/* The next one that may run: it does now. NULL: none. */
struct fair_item *fair_next(struct fair *f);
/* What it took of the loop. queue may be NULL. */
void fair_charge(struct fair_level *l, struct fair_queue *q, uint64_t ns);
/* Answered, given up or cancelled: gives back what it has. */
void fair_leave(struct fair *f, struct fair_item *i);
/* One that came before that time and still waits; NULL: none. */
struct fair_item *fair_late(struct fair *f, int64_t before_ns);

#endif
