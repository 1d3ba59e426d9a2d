/* lane.h - one conversation between the two processes over shared memory: who has the turn writes, then hands it over.
 *
 * The word `turn` counts hand-overs: even, it is the daemon's; odd, it is the plugin's. Each side keeps its own copy of what it must be and believes
 * nothing else that stands in shared memory: what is read is copied once, into private memory, and checked there. Who waits looks for some
 * microseconds (a burst of calls never sleeps), then sleeps in a futex.
 *
 * A message longer than LANE_BYTES goes in parts, the turn with each. Descriptors go over the socket before the turn does.
 */
#ifndef ISOLATE_LANE_H
#define ISOLATE_LANE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "isolate/wire.h"

#define LANES_DOWN   96u                /* the daemon calls; 0 is the loop's */
#define LANES_UP     32u                /* the plugin's own threads call */
#define LANES        (LANES_DOWN + LANES_UP)
#define LANE_BYTES   (64u << 10)
#define MESSAGE_MOST (64u << 20)

enum { SIDE_DAEMON = 0, SIDE_PLUGIN = 1 };
enum message_type { MESSAGE_CALL = 1, MESSAGE_REPLY, MESSAGE_MORE };

struct lane_shared {
    _Atomic uint32_t turn, asleep[2], cancel[2];        /* by side: who called calls it off */
    volatile uint32_t type, total, part, fds;   /* volatile: read once, where it is read */
    char pad[28];
    char at[LANE_BYTES];
};

/* Descriptors on their way, by lane: whoever reads the socket keeps what is another's. */
struct lane_post {
    int socket;                         /* SOCK_SEQPACKET, nonblocking */
    pthread_mutex_t lock;
    int fds[LANES][WIRE_FDS];
    unsigned n[LANES];
};

struct lane {
    struct lane_shared *shared;
    struct lane_post *post;
    const atomic_bool *dead;            /* the other side is gone; NULL: it outlives us */
    uint32_t turn;                      /* as it must be */
    unsigned index, side, depth;
    bool busy, started;
    struct buf out;                     /* what is being written */
};

enum lane_end { LANE_OK = 0, LANE_DEAD = -1, LANE_LATE = -2, LANE_BROKEN = -3 };

struct lane_message {
    uint32_t type, n_fds;
    size_t len;
    int fds[WIRE_FDS];
};

/* Who waits may be asked now and then whether the call is cancelled. */
struct lane_patience {
    int64_t until_ns;                   /* 0: for ever */
    const struct kl_call *call;         /* NULL: nobody cancels */
};

size_t lanes_bytes(void);
/* Into memory that both share; before the other side sees it. */
void lanes_make(struct lane_shared *all);
void lane_init(struct lane *l, struct lane_shared *all, unsigned index, unsigned side, struct lane_post *post, const atomic_bool *dead);
/* Sends l->out; with the turn. */
int lane_send(struct lane *l, enum message_type type, const int *fds, unsigned n_fds, const struct lane_patience *p);
/* Waits for a message; then lane_take copies its bytes to `at` (len + 1 bytes, zero-terminated). */
int lane_receive(struct lane *l, struct lane_message *m, const struct lane_patience *p);
int lane_take(struct lane *l, struct lane_message *m, char *at, const struct lane_patience *p);
/* Wakes who waits for a side that is gone. */
void lanes_wake(struct lane_shared *all);
void lane_close_fds(struct lane_message *m);
void lane_post_init(struct lane_post *p, int socket);
void lane_post_end(struct lane_post *p);

#endif
