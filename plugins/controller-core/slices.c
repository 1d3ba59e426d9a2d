/* slices.c - see slices.h. Endpoints stay in the slice they are in; new ones fill slices that change anyway, then the fullest that has room
 * for them, then new slices. */
#include "slices.h"

#include <stdlib.h>

#include "base/cleanup.h"

struct slice {
    struct val *old;                    /* NULL: to be made */
    struct slice_group *group;          /* NULL: to go */
    struct val *endpoints;
    bool changed;                       /* in its endpoints */
};

struct work {
    struct slice_plan *p;
    struct slice *at;
    uint32_t n;
};

/* --- the wanted ones --- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

const char *ports_key(struct arena *a, const struct val *ports)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    char *at[128];
    size_t n = 0;
    if (val_is(ports, VAL_ARR))
        val_each(p, ports)
            if (n < sizeof at / sizeof *at)
                at[n++] = arena_printf(a, STR_FMT "/" STR_FMT "/%lld/" STR_FMT, STR_ARG(json_str(p, "name")), STR_ARG(json_str(p, "protocol")),
                                       (long long)json_int(p, "port", 0), STR_ARG(json_str(p, "appProtocol")));
    for (size_t i = 0; i < n; i++)
        if (!at[i])
            return NULL;
    qsort(at, n, sizeof *at, by_text);
    for (size_t i = 0; i < n; i++) {
        buf_add_z(&b, at[i]);
        buf_add_c(&b, ' ');
    }
    return arena_dup(a, buf_str(&b));
}

static struct slice_group *group_of(struct slice_plan *p, const char *family, const char *key)
{
    for (unsigned i = 0; key && i < p->n_groups; i++)
        if (strcmp(p->groups[i].family, family) == 0 && strcmp(p->groups[i].key, key) == 0)
            return &p->groups[i];
    return NULL;
}

static struct slice_group *add_group(struct slice_plan *p, const char *family, struct val *ports, const char *key)
{
    if (!key || p->n_groups == sizeof p->groups / sizeof *p->groups)
        return NULL;
    struct slice_group *g = &p->groups[p->n_groups++];
    *g = (struct slice_group){ .family = family, .ports = ports ? ports : val_new(p->r->arena, VAL_ARR), .key = key };
    return g;
}

static char *id_of(struct arena *a, const struct val *endpoint)
{
    struct val *addresses = json_get(endpoint, STR("addresses"));
    return arena_printf(a, STR_FMT " " STR_FMT, STR_ARG(val_is(addresses, VAL_ARR) && addresses->n ? val_str(addresses->first) : STR("")),
                        STR_ARG(json_str(endpoint, "targetRef.uid")));
}

static bool grow(struct arena *a, struct slice_group *g)
{
    uint32_t cap = g->cap ? g->cap * 2 : 16;
    struct val **at = arena_alloc(a, cap * sizeof *at);
    bool *placed = arena_alloc(a, cap);
    if (!at || !placed)
        return false;
    for (uint32_t i = 0; i < g->n; i++)
        at[i] = g->at[i];
    g->at = at;
    g->placed = placed;                 /* nothing is placed before slices_write */
    g->cap = cap;
    return true;
}

bool slices_want(struct slice_plan *p, const char *family, struct val *ports, struct val *endpoint)
{
    struct arena *a = p->r->arena;
    const char *key = ports_key(a, ports);
    struct slice_group *g = group_of(p, family, key);
    if (!g && !(g = add_group(p, family, ports, key)))
        return false;
    char *id = endpoint ? id_of(a, endpoint) : NULL;
    if (!id)
        return false;
    if (map_get(&g->ids, str_of(id)))
        return true;
    if ((g->n == g->cap && !grow(a, g)) || !map_put(&g->ids, str_of(id), (void *)(uintptr_t)(g->n + 1)))
        return false;
    g->at[g->n++] = endpoint;
    return true;
}

/* --- against what is there --- */

static void keep_wanted(struct work *w, struct slice *s)
{
    struct arena *a = w->p->r->arena;
    struct val *list = json_get(s->old, STR("endpoints"));
    s->endpoints = val_new(a, VAL_ARR);
    if (!s->endpoints || !val_is(list, VAL_ARR))
        return;
    val_each(e, list) {
        char *id = id_of(a, e);
        uintptr_t place = id ? (uintptr_t)map_get(&s->group->ids, str_of(id)) : 0;
        if (!place && w->p->stays && w->p->stays(w->p->ctx, e)) {
            struct val *same = val_new(a, VAL_OBJ);
            if (same)
                val_replace(same, e);
            val_push(s->endpoints, same);
            continue;
        }
        if (!place || s->group->placed[place - 1]) {
            s->changed = true;
            continue;
        }
        struct val *now = s->group->at[place - 1];
        s->group->placed[place - 1] = true;
        s->changed |= !val_equal(e, now);
        val_push(s->endpoints, now);
    }
}

static void read_existing(struct work *w, const struct ctl_list *existing)
{
    for (uint32_t i = 0; i < existing->n; i++) {
        struct slice *s = &w->at[w->n++];
        const char *family = str_is(json_str(existing->at[i], "addressType"), "IPv6") ? "IPv6" : "IPv4";
        struct val *ports = json_get(existing->at[i], STR("ports"));
        const char *key = ports_key(w->p->r->arena, ports);
        s->old = existing->at[i];
        if (meta_deleting(s->old)) {
            w->n--;
            continue;
        }
        s->group = group_of(w->p, family, key);
        if (!s->group && w->p->stays)   /* who stays there is not among the wanted ones */
            s->group = add_group(w->p, family, ports, key);
        if (!s->group)
            continue;
        keep_wanted(w, s);
        if (s->endpoints && !s->endpoints->n)
            s->group = NULL;
    }
}

static void fill(struct slice *s, struct slice_group *g, uint32_t *left)
{
    for (uint32_t i = 0; i < g->n && s->endpoints && s->endpoints->n < SLICE_MOST; i++) {
        if (g->placed[i])
            continue;
        g->placed[i] = s->changed = true;
        val_push(s->endpoints, g->at[i]);
        --*left;
    }
}

static struct slice *fullest_with_room(struct work *w, const struct slice_group *g, uint32_t left)
{
    struct slice *best = NULL;
    for (uint32_t i = 0; i < w->n; i++)
        if (w->at[i].group == g && w->at[i].endpoints->n + left <= SLICE_MOST && (!best || w->at[i].endpoints->n > best->endpoints->n))
            best = &w->at[i];
    return best;
}

static void place_rest(struct work *w, struct slice_group *g)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < g->n; i++)
        left += !g->placed[i];
    for (uint32_t i = 0; i < w->n && left; i++)
        if (w->at[i].group == g && w->at[i].changed)
            fill(&w->at[i], g, &left);
    struct slice *s = left && left < SLICE_MOST ? fullest_with_room(w, g, left) : NULL;
    if (s)
        fill(s, g, &left);
    while (left) {
        w->at[w->n] = (struct slice){ .group = g, .endpoints = val_new(w->p->r->arena, VAL_ARR) };
        if (!w->at[w->n].endpoints)
            return;
        fill(&w->at[w->n++], g, &left);
    }
}

/* A Service without endpoints still has a slice: one that would go is emptied, or one is made. */
static void place_holder(struct work *w)
{
    struct arena *a = w->p->r->arena;
    struct slice *s = NULL;
    for (uint32_t i = 0; i < w->n; i++)
        if (w->at[i].group)
            return;
    for (uint32_t i = 0; i < w->n && !s; i++)
        if (str_is(json_str(w->at[i].old, "addressType"), "IPv4"))
            s = &w->at[i];
    struct slice_group *g = add_group(w->p, "IPv4", val_new(a, VAL_ARR), "");
    if (!g)
        return;
    if (!s)
        s = &w->at[w->n++];
    s->group = g;
    s->endpoints = val_new(a, VAL_ARR);
    struct val *had = json_get(s->old, STR("endpoints"));
    s->changed = !s->old || (had && had->n);
}

/* --- writing --- */

static void set_map(struct arena *a, struct val *meta, struct str key, const struct val *map)
{
    if (map && map->n)
        json_set(a, meta, key, val_copy(a, map));
    else
        json_del(meta, key);
}

/* Of an object that is written anyway. */
static void set_trigger(struct slice_plan *p, struct val *now)
{
    struct val *meta = json_get(now, STR("metadata")), *notes = json_get(meta, STR("annotations"));
    if (p->trigger.len)
        meta_set_annotation(p->r->arena, now, TRIGGER_TIME, p->trigger);
    else if (json_del(notes, STR(TRIGGER_TIME)) && !notes->n)
        json_del(meta, STR("annotations"));
}

static void tell(struct slice_plan *p, const struct slice *s, const struct val *now)
{
    if (p->left)
        p->left(p->ctx, s->group, s->old, now);
}

static int write_slice(struct slice_plan *p, struct slice *s)
{
    struct arena *a = p->r->arena;
    struct val *now = s->old ? val_copy(a, s->old) : val_new(a, VAL_OBJ), *meta = json_obj(a, now, STR("metadata"));
    struct str was = meta_annotation(s->old, TRIGGER_TIME);
    set_map(a, meta, STR("labels"), p->labels);
    set_map(a, meta, STR("annotations"), p->annotations);
    if (was.len)
        meta_set_annotation(a, now, TRIGGER_TIME, was);
    if (s->changed && s->endpoints->n)
        json_set(a, now, STR("endpoints"), s->endpoints);
    else if (s->changed)
        json_del(now, STR("endpoints"));
    if (s->group->ports->n && !s->old)
        json_set(a, now, STR("ports"), s->group->ports);
    else if (!s->group->ports->n && val_is(json_get(now, STR("ports")), VAL_ARR))
        json_del(now, STR("ports"));
    if (s->old && val_equal(s->old, now)) {
        tell(p, s, s->old);
        return 0;
    }
    set_trigger(p, now);
    int rc;
    if (s->old) {
        rc = ctl_update(p->r, SLICES, NULL, s->old, now, p->left ? &now : NULL);
        if (rc == 0)
            tell(p, s, now);
        return rc;
    }
    char *base = arena_printf(a, STR_FMT "-", STR_ARG(p->service));
    json_set_str(a, meta, STR("generateName"), str_of(base));
    json_set_str(a, now, STR("addressType"), str_of(s->group->family));
    val_push(json_arr(a, meta, STR("ownerReferences")), meta_owner_ref(a, p->owner));
    rc = ctl_create(p->r, SLICES, p->ns, now, p->left ? &now : NULL);
    if (rc == 0)
        tell(p, s, now);
    return rc;
}

static int write_all(struct work *w)
{
    int rc = 0;
    for (uint32_t i = 0; i < w->n && rc == 0; i++)
        if (w->at[i].group)
            rc = write_slice(w->p, &w->at[i]);
    for (uint32_t i = 0; i < w->n && rc == 0; i++)
        if (!w->at[i].group) {
            rc = ctl_delete(w->p->r, SLICES, w->at[i].old, NULL);
            tell(w->p, &w->at[i], NULL);
        }
    return rc;
}

void slices_drop(struct slice_plan *p)
{
    for (unsigned i = 0; i < p->n_groups; i++)
        map_free(&p->groups[i].ids);
}

int slices_write(struct slice_plan *p, const struct ctl_list *existing)
{
    struct work w = { .p = p };
    uint32_t most = existing->n + 1;
    for (unsigned i = 0; i < p->n_groups; i++)
        most += p->groups[i].n / SLICE_MOST + 1;
    w.at = arena_alloc(p->r->arena, most * sizeof *w.at);
    if (w.at) {
        read_existing(&w, existing);
        for (unsigned i = 0; i < p->n_groups; i++)
            place_rest(&w, &p->groups[i]);
        if (p->placeholder)
            place_holder(&w);
    }
    slices_drop(p);
    return w.at && !arena_exhausted(p->r->arena) ? write_all(&w) : ctl_no_memory(p->r);
}
