/* past.c - objects as they were at a revision: the index of now, put right by what the history says happened since. Costs one look at each
 * event since then, not a copy of anything. */
#include <stdlib.h>

#include "store-internal.h"

/* One key that changed since: what it was before its first change (NULL: it was not there). */
struct was {
    const struct store_object *key;
    struct store_object *object;
    uint64_t seq;
};

struct past {
    struct was *at;
    size_t n, cap;
};

static int order(const void *x, const void *y)
{
    const struct was *a = x, *b = y;
    int c = key_cmp(a->key, store_object_ns(b->key), store_object_name(b->key));
    return c ? c : (a->seq > b->seq) - (a->seq < b->seq);
}

static bool within(const struct store_range *r, const struct store_object *o)
{
    return (!r->ns.at || str_eq(store_object_ns(o), r->ns)) && (!r->after_name.at || key_cmp(o, r->after_ns, r->after_name) > 0);
}

static bool add(struct past *p, const struct event *e, uint64_t seq)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 64;
        struct was *at = mem_resize(p->at, cap * sizeof *at);
        if (!at)
            return false;
        p->at = at;
        p->cap = cap;
    }
    p->at[p->n++] = (struct was){ e->object, e->type == STORE_ADDED ? NULL : e->old, seq };
    return true;
}

/* In key order, the first change of each. */
static bool gather(const struct resource *r, const struct store_range *range, uint64_t revision, struct past *p)
{
    size_t n = 0;
    for (uint64_t seq = history_after(r, revision); seq < r->base + r->n; seq++) {
        const struct event *e = history_at(r, seq);
        if (within(range, e->object) && !add(p, e, seq))
            return false;
    }
    if (p->n)
        qsort(p->at, p->n, sizeof *p->at, order);
    for (size_t i = 0; i < p->n; i++)
        if (!n || key_cmp(p->at[n - 1].key, store_object_ns(p->at[i].key), store_object_name(p->at[i].key)) != 0)
            p->at[n++] = p->at[i];
    p->n = n;
    return true;
}

struct merge {
    struct past past;
    size_t next;
    bool (*each)(void *ctx, struct store_object *o);
    void *ctx;
    bool stopped;
};

/* What was there before o in key order (o NULL: all that is left). True: it is told what o was, too. */
static bool told(struct merge *m, const struct store_object *o)
{
    while (!m->stopped && m->next < m->past.n) {
        const struct was *w = &m->past.at[m->next];
        int c = o ? key_cmp(w->key, store_object_ns(o), store_object_name(o)) : -1;
        if (c > 0)
            return false;
        m->next++;
        if (w->object)
            m->stopped = !m->each(m->ctx, w->object);
        if (c == 0)
            return true;
    }
    return false;
}

static bool each_now(void *ctx, struct store_object *o)
{
    struct merge *m = ctx;
    if (!told(m, o) && !m->stopped)
        m->stopped = !m->each(m->ctx, o);
    return !m->stopped;
}

int store_list_at(struct store *s, const struct store_range *r, uint64_t revision, bool (*each)(void *ctx, struct store_object *o), void *ctx)
{
    struct resource *res = resource_of(s, r->resource, false);
    struct merge m = { .each = each, .ctx = ctx };
    if (revision < (res ? res->forgotten : s->oldest))
        return -KL_EXPIRED;
    if (!res)
        return 0;
    if (!gather(res, r, revision, &m.past)) {
        mem_free(m.past.at);
        return -KL_NO_MEMORY;
    }
    store_list(s, r, each_now, &m);
    told(&m, NULL);
    mem_free(m.past.at);
    return 0;
}
