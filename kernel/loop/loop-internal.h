/* loop-internal.h - the loop's own parts. */
#ifndef LOOP_INTERNAL_H
#define LOOP_INTERNAL_H

#include "base/env.h"
#include "loop/loop.h"

struct loop {
    struct uv_parts *uv;                /* NULL: simulated */
    struct list hooks, posts, works;    /* works: whose done has not been called */
    struct loop_timer **heap;           /* by due_ns, then by start */
    uint32_t n, cap;
    uint64_t starts;
    int64_t now_ns, wall_offset_ns;
    bool stopped;
    struct env_ops env;                 /* sim: clocks replaced */
};

/* timer.c */
int64_t timers_next(const struct loop *l);      /* due time of the first, -1: none */
void timers_run(struct loop *l);                /* all that are due at now_ns */

#endif
