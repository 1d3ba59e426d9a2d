/* devices_pools.c - which devices a node can use: the newest slices of each pool, if all of them are there and they make sense. */
#include <stdlib.h>

#include "reconcile/devices-internal.h"
#include "reconcile/filter.h"

struct str device_id(struct arena *a, const struct val *v)
{
    return str_of(arena_printf(a, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(json_str(v, "driver")), STR_ARG(json_str(v, "pool")), STR_ARG(json_str(v, "device"))));
}

static bool node_matches(const struct val *where, const struct ledger_node *n)
{
    struct str name = json_str(where, "nodeName");
    const struct val *selector = json_get(where, STR("nodeSelector"));
    if (name.len)
        return str_is(name, n->name);
    return json_bool(where, "allNodes", false) || (selector && filter_terms_match(json_get(selector, STR("nodeSelectorTerms")), n));
}

static bool has_counters(const struct val *spec)
{
    const struct val *list = json_get(spec, STR("sharedCounters"));
    return val_is(list, VAL_ARR) && list->n;
}

static bool per_device(const struct val *spec)
{
    return json_bool(spec, "perDeviceNodeSelection", false);
}

static bool is_relevant(const struct val *spec, const struct ledger_node *n)
{
    const struct val *devices = json_get(spec, STR("devices"));
    if (has_counters(spec))
        return true;
    if (!per_device(spec))
        return node_matches(spec, n);
    if (val_is(devices, VAL_ARR))
        val_each(d, devices)
            if (node_matches(d, n))
                return true;
    return false;
}

/* --- gathering --- */

struct gather {
    struct offer *offer;
    struct arena *arena;
    const struct ledger_node *node;
    unsigned cap;
    bool failed;
};

static struct pool *pool_of(struct gather *g, struct str driver, struct str name)
{
    struct offer *o = g->offer;
    for (unsigned i = 0; i < o->n_pools; i++)
        if (str_eq(o->pools[i].name, name) && str_eq(o->pools[i].driver, driver))
            return &o->pools[i];
    if (o->n_pools == g->cap) {
        unsigned cap = g->cap ? 2 * g->cap : 8;
        struct pool *more = arena_alloc(g->arena, cap * sizeof *more);
        if (!more)
            return NULL;
        if (o->n_pools)
            memcpy(more, o->pools, o->n_pools * sizeof *more);
        o->pools = more;
        g->cap = cap;
    }
    struct pool *p = &o->pools[o->n_pools++];
    *p = (struct pool){ .driver = driver, .name = name, .generation = -1 };
    return p;
}

static bool pool_add(struct arena *a, struct pool *p, const struct val *slice)
{
    if (p->n_slices == p->cap) {
        unsigned cap = p->cap ? 2 * p->cap : 4;
        const struct val **more = arena_alloc(a, cap * sizeof *more);
        if (!more)
            return false;
        if (p->n_slices)
            memcpy(more, p->slices, p->n_slices * sizeof *more);
        p->slices = more;
        p->cap = cap;
    }
    p->slices[p->n_slices++] = slice;
    return true;
}

static bool gather_slice(void *ctx, const struct val *slice)
{
    struct gather *g = ctx;
    const struct val *spec = json_get(slice, STR("spec"));
    int64_t generation = json_int(spec, "pool.generation", 0);
    if (!is_relevant(spec, g->node))
        return true;
    struct pool *p = pool_of(g, json_str(spec, "driver"), json_str(spec, "pool.name"));
    if (p && generation < p->generation)
        return true;
    if (p && generation > p->generation) {
        p->generation = generation;
        p->n_slices = 0;
    }
    g->failed |= !p || !pool_add(g->arena, p, slice);
    return !g->failed;
}

/* --- is the pool whole? --- */

struct census {
    struct pool *pool;
    struct arena *arena;
    const struct val **at;
    unsigned n, cap;
    bool obsolete, failed;
};

static bool count_slice(void *ctx, const struct val *slice)
{
    struct census *c = ctx;
    const struct val *spec = json_get(slice, STR("spec"));
    int64_t generation = json_int(spec, "pool.generation", 0);
    if (!str_eq(json_str(spec, "driver"), c->pool->driver) || !str_eq(json_str(spec, "pool.name"), c->pool->name) || generation < c->pool->generation)
        return true;
    if (generation > c->pool->generation) {
        c->obsolete = true;
        return false;
    }
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 8;
        const struct val **more = arena_alloc(c->arena, c->cap * sizeof *more);
        if (more && c->n)
            memcpy(more, c->at, c->n * sizeof *more);
        c->at = more;
        c->failed |= !more;
    }
    if (!c->failed)
        c->at[c->n++] = slice;
    return !c->failed;
}

static bool is_among(const struct pool *p, const struct val *slice)
{
    for (unsigned i = 0; i < p->n_slices; i++)
        if (p->slices[i] == slice)
            return true;
    return false;
}

/* The slices for other nodes are looked for only when those for this one are not all there are. False: the pool is to be ignored. */
static bool complete(struct gather *g, const struct devices *d, struct pool *p)
{
    struct census c = { .pool = p, .arena = g->arena };
    int64_t count = json_int(p->slices[0], "spec.pool.resourceSliceCount", 0);
    if (p->n_slices == count)
        return true;
    devices_slices(d, NULL, count_slice, &c);
    g->failed |= c.failed;
    if (c.obsolete || c.failed)
        return false;
    p->incomplete = c.n != count;
    for (unsigned i = 0; i < c.n; i++)
        if (!is_among(p, c.at[i]))
            c.at[p->n_others++] = c.at[i];
    p->others = c.at;
    return true;
}

/* --- does it make sense? --- */

static const struct val *counter_set(const struct pool *p, struct str name, unsigned *ret_n)
{
    const struct val *found = NULL;
    *ret_n = 0;
    for (unsigned i = 0; i < p->n_slices; i++) {
        const struct val *sets = json_path(p->slices[i], "spec.sharedCounters");
        if (!val_is(sets, VAL_ARR))
            continue;
        val_each(s, sets)
            if (str_eq(json_str(s, "name"), name)) {
                found = s;
                ++*ret_n;
            }
    }
    return found;
}

static bool counters_exist(const struct pool *p, const struct val *device)
{
    const struct val *list = json_get(device, STR("consumesCounters"));
    if (!val_is(list, VAL_ARR))
        return true;
    val_each(c, list) {
        unsigned n;
        const struct val *set = counter_set(p, json_str(c, "counterSet"), &n), *names = json_get(c, STR("counters"));
        if (n != 1)
            return false;
        if (val_is(names, VAL_OBJ))
            val_each(x, names)
                if (!json_get(json_get(set, STR("counters")), val_key(x)))
                    return false;
    }
    return true;
}

static bool is_sound(const struct pool *p, const struct val *const *slices, unsigned n, struct map *names)
{
    for (unsigned i = 0; i < n; i++) {
        const struct val *devices = json_path(slices[i], "spec.devices");
        if (!val_is(devices, VAL_ARR))
            continue;
        val_each(d, devices) {
            if (!counters_exist(p, d) || (names && map_get(names, json_str(d, "name"))))
                return false;
            if (names)
                map_put(names, json_str(d, "name"), d);
        }
    }
    return true;
}

static void judge(struct pool *p)
{
    struct map names = { 0 };
    p->invalid = !is_sound(p, p->slices, p->n_slices, &names) || !is_sound(p, p->others, p->n_others, NULL);
    map_free(&names);
    for (unsigned i = 0; i < p->n_slices && !p->binds; i++) {
        const struct val *devices = json_path(p->slices[i], "spec.devices");
        if (val_is(devices, VAL_ARR))
            val_each(d, devices)
                p->binds |= json_get(d, STR("bindingConditions")) != NULL;
    }
}

static int by_name(const void *x, const void *y)
{
    const struct val *const *a = x, *const *b = y;
    return str_cmp(json_str(*a, "metadata.name"), json_str(*b, "metadata.name"));
}

static int by_pool(const void *x, const void *y)
{
    const struct pool *a = x, *b = y;
    int c = a->binds != b->binds ? (int)a->binds - (int)b->binds : str_cmp(a->driver, b->driver);
    return c ? c : str_cmp(a->name, b->name);
}

/* --- the list --- */

static unsigned devices_in(const struct pool *p)
{
    unsigned n = 0;
    for (unsigned i = 0; i < p->n_slices && !p->incomplete && !p->invalid; i++) {
        const struct val *devices = json_path(p->slices[i], "spec.devices");
        n += devices ? devices->n : 0;
    }
    return n;
}

static void list_devices(struct offer *o, struct arena *a, struct pool *p, const struct ledger_node *n)
{
    for (unsigned i = 0; i < p->n_slices && !p->incomplete && !p->invalid; i++) {
        const struct val *spec = json_get(p->slices[i], STR("spec")), *devices = json_get(spec, STR("devices"));
        if (!val_is(devices, VAL_ARR))
            continue;
        val_each(d, devices) {
            if (per_device(spec) && !node_matches(d, n))
                continue;
            char *id = arena_printf(a, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(p->driver), STR_ARG(p->name), STR_ARG(json_str(d, "name")));
            o->at[o->n++] = (struct device){ .pool = p, .id = str_of(id ? id : ""), .v = d, .slice = spec,
                                             .shared = json_bool(d, "allowMultipleAllocations", false) };
        }
    }
}

bool offer_read(struct offer *o, struct arena *a, const struct devices *d, const struct ledger_node *n)
{
    struct gather g = { .offer = o, .arena = a, .node = n };
    unsigned total = 0, kept = 0;
    *o = (struct offer){ 0 };
    devices_slices(d, n->name, gather_slice, &g);
    for (unsigned i = 0; i < o->n_pools && !g.failed; i++) {
        struct pool *p = &o->pools[i];
        if (!complete(&g, d, p))
            continue;
        qsort(p->slices, p->n_slices, sizeof *p->slices, by_name);
        if (!p->incomplete)
            judge(p);
        total += devices_in(p);
        o->pools[kept++] = *p;
    }
    o->n_pools = kept;
    if (kept)
        qsort(o->pools, kept, sizeof *o->pools, by_pool);
    o->at = total ? arena_alloc(a, total * sizeof *o->at) : NULL;
    if (g.failed || (total && !o->at))
        return false;
    for (unsigned i = 0; i < kept; i++)
        list_devices(o, a, &o->pools[i], n);
    return !arena_exhausted(a);
}
