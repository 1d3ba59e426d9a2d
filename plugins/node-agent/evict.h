/* evict.h - what a node does when something runs short: it says so, frees what nobody needs, and then ends pods, one at a time.
 *
 * Each beat of the node's key: observe -> which thresholds are met -> conditions -> (none is met for its grace: done) -> unused images -> the pod that is
 * first in the order of the resource. The thresholds are those of the settings; nothing is measured for pods until one is met.
 */
#ifndef AGENT_EVICT_H
#define AGENT_EVICT_H

#include "base/disk.h"
#include "sample.h"

enum evict_signal { SIGNAL_MEMORY, SIGNAL_NODEFS, SIGNAL_NODEFS_INODES, SIGNAL_IMAGEFS, SIGNAL_IMAGEFS_INODES, SIGNAL_PID, SIGNALS };
enum pressure { PRESSURE_MEMORY, PRESSURE_DISK, PRESSURE_PID, PRESSURES };

struct signal_row {
    const char *name;                       /* "memory.available" */
    enum pressure pressure;
    const char *resource;                   /* as messages call it */
};
extern const struct signal_row evict_signals[SIGNALS];

struct observed {
    int64_t available, capacity;            /* capacity 0: not known */
};

struct amount_of {                          /* of a quantity, or of the capacity */
    int64_t value;
    double share;
};

struct threshold {
    enum evict_signal signal;
    bool soft;
    struct amount_of least, reclaim;
    int64_t grace_ns;
    bool met;
    int64_t since_ns;                       /* mono */
};

#define THRESHOLDS_MOST (2 * SIGNALS)

struct evict {
    struct threshold at[THRESHOLDS_MOST];
    size_t n;
    bool seen[PRESSURES];
    int64_t last_ns[PRESSURES];             /* mono: when it was last met */
    int64_t told_ns[SIGNALS], images_ns;
    struct map images;                      /* id -> struct image_use */
};

/* thresholds.c: pure. */
int thresholds_read(const struct agent_conf *conf, struct evict *ret, struct kl_err *err);
int64_t threshold_limit(const struct threshold *t, const struct observed *o);
void thresholds_update(struct evict *e, const struct observed seen[SIGNALS], int64_t now_ns);
/* Bits of enum pressure that the node shows: met now, or within the transition period. */
unsigned thresholds_pressure(const struct evict *e, int64_t now_ns, int64_t transition_ns);
/* The first that has been met for its grace; NULL: none. */
const struct threshold *thresholds_due(const struct evict *e, int64_t now_ns);

/* rank.c */
struct candidate {
    const struct val *pod;
    const struct sampled_pod *sampled;      /* NULL: not known */
    int64_t usage, request, priority;
};
/* Who is ended first comes first. */
void rank_sort(struct candidate *at, size_t n);
bool rank_critical(const struct val *pod);
char *rank_message(struct arena *ar, const struct threshold *t, const struct observed *o, const struct candidate *k);

/* images.c: images that no container uses. all: every one of them, else only what the settings' thresholds and ages say. */
void images_collect(struct agent *a, struct kl_call *c, bool all);
void images_forget(struct evict *e);

/* evict.c */
int evict_open(struct agent *a, struct kl_err *err);
void evict_close(struct agent *a);
void evict_observe(struct agent *a, struct observed ret[SIGNALS]);
void evict_sync(struct agent *a, struct kl_call *c, int64_t *again_ns);
/* local.c: pods that hold more on this node's disk than their limits allow: emptyDir.sizeLimit, limits of ephemeral-storage. */
bool local_limited(const struct val *pod);
void local_check(struct agent *a, struct kl_call *c);
/* Ends a pod for that reason: its status says Failed, Evicted and the message. */
void evict_pod(struct agent *a, const struct val *pod, int64_t grace_s, const char *message);

#endif
