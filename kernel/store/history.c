/* history.c - what happened, per resource, within a budget over all; watches are cursors into it, so a slow one costs nothing. */
#include "store-internal.h"

#define LARGE        (16u << 10)
#define LARGE_COUNTS 16u

struct event *history_at(const struct resource *r, uint64_t seq)
{
    return seq >= r->base && seq < r->base + r->n ? &r->ring[seq & (r->cap - 1)] : NULL;
}

uint64_t history_after(const struct resource *r, uint64_t revision)
{
    uint64_t low = r->base, high = r->base + r->n;
    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        if (history_at(r, mid)->revision <= revision)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* What it takes of the budget. Large objects (definitions, packed releases) count more: their former states, which nobody but a watcher that lags
 * wants, would else be as much again as all that is stored. */
static size_t event_bytes(const struct event *e)
{
    size_t len = e->object->json_len;
    return sizeof *e + (len < LARGE ? len : len * LARGE_COUNTS);
}

static void forget_oldest(struct store *s)
{
    struct resource *r = s->fifo[s->fifo_at];
    s->fifo_at = (s->fifo_at + 1) & (s->fifo_cap - 1);
    s->fifo_n--;
    struct event *e = history_at(r, r->base);
    s->history_bytes -= event_bytes(e);
    r->forgotten = e->revision;
    if (e->revision > s->oldest)
        s->oldest = e->revision;
    store_object_unref(e->object);
    store_object_unref(e->old);
    frames_forget(s, e);
    r->base++;
    r->n--;
}

static int grow_ring(struct resource *r)
{
    size_t cap = r->cap ? r->cap * 2 : 16;
    struct event *ring = mem_alloc(cap * sizeof *ring);
    if (!ring)
        return -KL_NO_MEMORY;
    for (uint64_t q = r->base; q < r->base + r->n; q++)
        ring[q & (cap - 1)] = r->ring[q & (r->cap - 1)];
    mem_free(r->ring);
    r->ring = ring;
    r->cap = cap;
    return 0;
}

static int grow_fifo(struct store *s)
{
    size_t cap = s->fifo_cap ? s->fifo_cap * 2 : 64;
    struct resource **fifo = mem_alloc(cap * sizeof *fifo);
    if (!fifo)
        return -KL_NO_MEMORY;
    for (size_t i = 0; i < s->fifo_n; i++)
        fifo[i] = s->fifo[(s->fifo_at + i) & (s->fifo_cap - 1)];
    mem_free(s->fifo);
    s->fifo = fifo;
    s->fifo_cap = cap;
    s->fifo_at = 0;
    return 0;
}

/* Without memory the event is skipped, and with it all before: watchers get 410 and list again. Nothing is shown wrongly. */
static void lose(struct store *s, struct resource *r, const struct event *e)
{
    while (r->n)
        forget_oldest(s);
    r->base++;
    r->forgotten = s->oldest = e->revision;
}

int history_add(struct store *s, struct resource *r, const struct event *e)
{
    if (!r->touched)
        r->touched = true;
    if ((r->n == r->cap && grow_ring(r) < 0) || (s->fifo_n == s->fifo_cap && grow_fifo(s) < 0)) {
        lose(s, r, e);
        return -KL_NO_MEMORY;
    }
    r->ring[(r->base + r->n++) & (r->cap - 1)] = *e;
    store_object_ref(e->object);
    if (e->old)
        store_object_ref(e->old);
    s->fifo[(s->fifo_at + s->fifo_n++) & (s->fifo_cap - 1)] = r;
    s->history_bytes += event_bytes(e);
    while (s->fifo_n > s->history_max || (s->history_bytes > s->history_bytes_max && s->fifo_n > 1))
        forget_oldest(s);
    return 0;
}

void history_free(struct store *s)
{
    while (s->fifo_n)
        forget_oldest(s);
    mem_free(s->fifo);
}

/* --- watches --- */

int store_watch_new(struct store *s, struct str name, struct str ns, uint64_t revision, loop_fn wake, void *ctx,
                    struct store_watch **ret, struct kl_err *err)
{
    struct resource *r = resource_of(s, name, true);
    if (!r)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (revision < r->forgotten)
        return kl_err_set(err, KL_EXPIRED, "too old resource version: %llu (%llu)", (unsigned long long)revision,
                          (unsigned long long)r->forgotten);
    struct store_watch *w = mem_alloc(sizeof *w);
    char *own = w && ns.at ? mem_dup(ns.at, ns.len) : NULL;
    if (!w || (ns.at && !own)) {
        mem_free(w);
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    w->store = s;
    w->resource = r;
    w->ns = own ? str_n(own, ns.len) : STR_NONE;
    w->wake = wake;
    w->ctx = ctx;
    w->revision = revision;
    w->seq = history_after(r, revision);
    list_push(&r->watches, &w->link);
    *ret = w;
    return 0;
}

bool store_watch_next(struct store_watch *w, struct store_event *ret, bool *expired)
{
    struct resource *r = w->resource;
    *expired = w->seq < r->base;
    if (*expired)
        return false;
    for (const struct event *e; (e = history_at(r, w->seq));) {
        w->shown = w->seq++;
        w->revision = e->revision;
        if (w->ns.at && !str_eq(store_object_ns(e->object), w->ns))
            continue;
        *ret = (struct store_event){ e->type, e->object, e->old, e->revision };
        return true;
    }
    w->woken = false;
    if (w->store->revision > w->revision)
        w->revision = w->store->revision;
    return false;
}

uint64_t store_watch_revision(const struct store_watch *w)
{
    return w->revision;
}

void store_watch_free(struct store_watch *w)
{
    if (!w)
        return;
    list_remove(&w->link);
    mem_free((char *)(uintptr_t)w->ns.at);
    mem_free(w);
}

void watches_wake(struct store *s)
{
    size_t at = 0;
    void *v;
    while (map_next(&s->resources, &at, NULL, &v)) {
        struct resource *r = v;
        if (!r->touched)
            continue;
        r->touched = false;
        list_each(node, &r->watches)
        {
            struct store_watch *w = list_item(node, struct store_watch, link);
            if (w->woken)
                continue;
            w->woken = true;
            w->wake(w->ctx);
        }
    }
}
