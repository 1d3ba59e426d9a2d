/* fair.c - see fair.h. */
#include "api/fair.h"

#include "base/mem.h"

static unsigned more(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static unsigned less(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

void fair_init(struct fair *f, unsigned seats)
{
    *f = (struct fair){ .seats = seats };
    list_init(&f->levels);
}

void fair_level_init(struct fair_level *l)
{
    *l = (struct fair_level){ .borrowing = UINT32_MAX };
    list_init(&l->link);
    list_init(&l->active);
}

void fair_level_add(struct fair *f, struct fair_level *l)
{
    list_push(&f->levels, &l->link);
}

void fair_level_end(struct fair *f, struct fair_level *l)
{
    list_remove(&l->link);
    for (unsigned i = 0; l->queues && i < FAIR_QUEUES_MOST; i++)
        mem_free(l->queues[i]);
    mem_free(l->queues);
    l->queues = NULL;
    fair_share_out(f);
}

static unsigned kept(const struct fair_level *l, unsigned used)
{
    return more(used, l->least);
}

void fair_share_out(struct fair *f)
{
    uint64_t sum = 0;
    list_each(n, &f->levels) {
        const struct fair_level *l = list_item(n, struct fair_level, link);
        sum += l->shares;
    }
    f->reserved = 0;
    list_each(n, &f->levels) {
        struct fair_level *l = list_item(n, struct fair_level, link);
        uint64_t own = sum ? ((uint64_t)f->seats * l->shares + sum - 1) / sum : 0;
        l->nominal = (unsigned)own;
        l->least = (unsigned)(own - (own * less(l->lendable, 100) + 50) / 100);
        l->most = l->borrowing == UINT32_MAX ? f->seats : (unsigned)(own + (own * l->borrowing + 50) / 100);
        if (!l->exempt)
            f->reserved += kept(l, l->used);
    }
}

/* --- seats --- */

static bool take(struct fair *f, struct fair_level *l, struct fair_item *i)
{
    unsigned used = l->used + i->seats, kept_then = kept(l, used), kept_now = kept(l, l->used);
    /* What is wider than its level runs alone. */
    if (used > l->most && l->used)
        return false;
    if (kept_then > kept_now && f->reserved + kept_then - kept_now > more(f->seats, f->reserved) && l->used)
        return false;
    f->reserved += kept_then - kept_now;
    l->used = used;
    l->running++;
    i->state = FAIR_RUNNING;
    return true;
}

/* --- queues --- */

static struct fair_queue *queue_at(struct fair_level *l, unsigned index)
{
    if (!l->queues && !(l->queues = mem_alloc(FAIR_QUEUES_MOST * sizeof *l->queues)))
        return NULL;
    if (!l->queues[index] && (l->queues[index] = mem_alloc(sizeof **l->queues))) {
        l->queues[index]->index = index;
        list_init(&l->queues[index]->link);
        list_init(&l->queues[index]->items);
    }
    return l->queues[index];
}

/* A hand of different queues is dealt out of the flow's hash; it takes the emptiest. Two flows share a whole hand hardly ever. */
static struct fair_queue *choose(struct fair_level *l, uint64_t flow)
{
    unsigned n = less(more(l->n_queues, 1), FAIR_QUEUES_MOST), hand = less(more(l->hand, 1), less(n, 16));
    unsigned dealt[16];
    struct fair_queue *best = NULL;
    for (unsigned i = 0; i < hand; i++) {
        unsigned card = (unsigned)(flow % (n - i)), at = 0;
        flow /= n - i;
        for (; at < i && dealt[at] <= card; at++)       /* skips those dealt before, which are in order */
            card++;
        for (unsigned k = i; k > at; k--)
            dealt[k] = dealt[k - 1];
        dealt[at] = card;
        struct fair_queue *q = queue_at(l, card);
        if (q && (!best || q->n < best->n || (q->n == best->n && q->used_ns < best->used_ns)))
            best = q;
    }
    return best;
}

static void push(struct fair *f, struct fair_level *l, struct fair_queue *q, struct fair_item *i)
{
    if (!l->queued && l->used_ns < f->now_ns)
        l->used_ns = f->now_ns;         /* who was away gets no credit for it */
    if (!q->n) {
        if (q->used_ns < l->now_ns)
            q->used_ns = l->now_ns;
        list_push(&l->active, &q->link);
    }
    list_push(&q->items, &i->link);
    i->queue = q;
    i->state = FAIR_QUEUED;
    q->n++;
    l->queued++;
    f->queued++;
}

static void pull(struct fair *f, struct fair_item *i)
{
    list_remove(&i->link);
    if (--i->queue->n == 0)
        list_remove(&i->queue->link);
    i->level->queued--;
    f->queued--;
    i->state = FAIR_OUT;
}

enum fair_verdict fair_offer(struct fair *f, struct fair_level *l, struct fair_item *i, unsigned seats, uint64_t flow, bool time_left, int64_t now_ns)
{
    i->level = l;
    i->seats = seats;
    i->since_ns = now_ns;
    if (l->exempt) {
        l->used += seats;
        l->running++;
        i->state = FAIR_RUNNING;
        return FAIR_RUN;
    }
    if (l->rejects)
        return take(f, l, i) ? FAIR_RUN : FAIR_NO_SEAT;
    if (!l->queued && time_left && take(f, l, i))
        return FAIR_RUN;
    struct fair_queue *q = choose(l, flow);
    if (!q || q->n >= l->length)
        return FAIR_FULL;
    push(f, l, q, i);
    return FAIR_WAIT;
}

static struct fair_queue *next_queue(struct fair_level *l)
{
    struct fair_queue *best = NULL;
    list_each(n, &l->active) {
        struct fair_queue *q = list_item(n, struct fair_queue, link);
        if (!best || q->used_ns < best->used_ns)
            best = q;
    }
    return best;
}

/* The level that used least for its shares, among those whose next item finds seats. */
struct fair_item *fair_next(struct fair *f)
{
    struct fair_level *tried = NULL;
    uint64_t after = 0;
    while (f->queued) {
        struct fair_level *best = NULL;
        list_each(n, &f->levels) {
            struct fair_level *l = list_item(n, struct fair_level, link);
            bool behind = !tried || l->used_ns > after || (l->used_ns == after && l > tried);
            if (l->queued && behind && (!best || l->used_ns < best->used_ns || (l->used_ns == best->used_ns && l < best)))
                best = l;
        }
        if (!best)
            return NULL;
        struct fair_queue *q = next_queue(best);
        struct fair_item *i = list_item(q->items.next, struct fair_item, link);
        if (take(f, best, i)) {
            pull(f, i);
            i->state = FAIR_RUNNING;
            q->running++;
            q->seats += i->seats;
            best->now_ns = q->used_ns;
            if (f->now_ns < best->used_ns)
                f->now_ns = best->used_ns;
            return i;
        }
        tried = best;
        after = best->used_ns;
    }
    return NULL;
}

void fair_charge(struct fair_level *l, struct fair_queue *q, uint64_t ns)
{
    if (q)
        q->used_ns += ns;
    l->used_ns += ns * 100 / more(l->shares, 1);
}

void fair_leave(struct fair *f, struct fair_item *i)
{
    struct fair_level *l = i->level;
    if (i->state == FAIR_QUEUED) {
        pull(f, i);
    } else if (i->state == FAIR_RUNNING) {
        unsigned before = kept(l, l->used);
        l->used -= i->seats;
        l->running--;
        if (!l->exempt)
            f->reserved -= before - kept(l, l->used);
        if (i->queue) {
            i->queue->running--;
            i->queue->seats -= i->seats;
        }
    }
    i->state = FAIR_OUT;
}

struct fair_item *fair_late(struct fair *f, int64_t before_ns)
{
    list_each(n, &f->levels) {
        struct fair_level *l = list_item(n, struct fair_level, link);
        list_each(m, &l->active) {
            struct fair_queue *q = list_item(m, struct fair_queue, link);
            struct fair_item *i = list_item(q->items.next, struct fair_item, link);
            if (i->since_ns < before_ns)
                return i;
        }
    }
    return NULL;
}
