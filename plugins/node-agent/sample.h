/* sample.h - what the node, its pods and their containers use at one moment, and how fast. Taken when somebody asks; nothing runs meanwhile. */
#ifndef AGENT_SAMPLE_H
#define AGENT_SAMPLE_H

#include "agent.h"

struct figures {
    int64_t cpu_ns;                         /* sum since the start */
    int64_t working_set, usage, rss, cache, limit;      /* bytes; limit 0: none */
    int64_t faults, major_faults, pids;
    int64_t periods, throttled, throttled_ns;           /* of the CPU limit */
    int64_t rate, window_ns;                /* nanocores over that time; window 0: not known */
};

struct sampled_ctr {
    struct str name, id, image;
    int64_t started_ns;                     /* wall */
    struct figures use;
};

struct sampled_pod {
    struct str ns, name, uid;
    int64_t started_ns, pid;                /* pid: of any process in it, 0 none */
    bool host_network;
    struct figures use;
    struct sampled_ctr *ctrs;
    size_t n, room;
};

struct sample {
    struct arena *arena;                    /* the caller's; all texts live there */
    int64_t wall_ns, mono_ns, boot_ns;      /* boot_ns: wall */
    int64_t memory_free, memory, swap, swap_free;       /* of the machine: memory_free is what is left beside the working set */
    struct figures node;
    struct sampled_pod *pods;
    size_t n;
};

/* rates: wait, at most a second, until rates can be told. */
int sample_take(struct agent *a, struct kl_call *c, struct arena *ar, bool rates, struct sample *ret);

/* rates.c: what was counted at the last few moments somebody asked (struct agent's `rates`). */
void rates_note(struct agent *a, const struct sample *s);
/* Fills in rate and window. False: nothing to compare with yet. */
bool rates_set(struct agent *a, struct sample *s);
void rates_free(struct agent *a);

/* network.c: an interface's counters in the network namespace of a process; the loopback is left out. */
struct link_use {
    struct str name;
    int64_t rx_bytes, rx_packets, rx_errors, rx_drops, tx_bytes, tx_packets, tx_errors, tx_drops;
};
size_t network_use(struct arena *ar, int64_t pid, struct link_use *ret, size_t most);

#endif
