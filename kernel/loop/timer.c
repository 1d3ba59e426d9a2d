/* timer.c - a binary heap of timers; equal times run in the order they were started. */
#include <stdlib.h>

#include "base/mem.h"
#include "loop-internal.h"

static bool before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->started < b->started;
}

static void place(struct loop *l, uint32_t i, struct loop_timer *t)
{
    l->heap[i] = t;
    t->heap_at = i + 1;
}

static void sift_up(struct loop *l, uint32_t i, struct loop_timer *t)
{
    while (i && before(t, l->heap[(i - 1) / 2])) {
        place(l, i, l->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(l, i, t);
}

static void sift_down(struct loop *l, uint32_t i, struct loop_timer *t)
{
    for (;;) {
        uint32_t kid = 2 * i + 1;
        if (kid >= l->n)
            break;
        if (kid + 1 < l->n && before(l->heap[kid + 1], l->heap[kid]))
            kid++;
        if (!before(l->heap[kid], t))
            break;
        place(l, i, l->heap[kid]);
        i = kid;
    }
    place(l, i, t);
}

void loop_timer_stop(struct loop_timer *t)
{
    if (!t->heap_at)
        return;
    struct loop *l = t->loop;
    uint32_t i = t->heap_at - 1;
    struct loop_timer *last = l->heap[--l->n];
    t->heap_at = 0;
    if (last == t)
        return;
    if (i && before(last, l->heap[(i - 1) / 2]))
        sift_up(l, i, last);
    else
        sift_down(l, i, last);
}

void loop_timer_start(struct loop *l, struct loop_timer *t, int64_t delay_ns, loop_fn fn, void *ctx)
{
    loop_timer_stop(t);
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : 64;
        struct loop_timer **heap = mem_resize(l->heap, cap * sizeof *heap);
        if (!heap)
            abort();                    /* a timer that never fires would hang whoever waits for it */
        l->heap = heap;
        l->cap = cap;
    }
    t->loop = l;
    t->fn = fn;
    t->ctx = ctx;
    t->due_ns = l->now_ns + (delay_ns > 0 ? delay_ns : 0);
    t->started = ++l->starts;
    sift_up(l, l->n++, t);
}

int64_t timers_next(const struct loop *l)
{
    return l->n ? l->heap[0]->due_ns : -1;
}

void timers_run(struct loop *l)
{
    /* Those started by others meanwhile wait for the next turn, even when due now. */
    uint64_t until = l->starts;
    while (l->n && l->heap[0]->due_ns <= l->now_ns && l->heap[0]->started <= until) {
        struct loop_timer *t = l->heap[0];
        loop_timer_stop(t);
        t->fn(t->ctx);
    }
}
