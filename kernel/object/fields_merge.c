/* fields_merge.c - a configuration into a live object, and items out of one. */
#include "fields-internal.h"

static bool is_whole(const struct merge_type *t)
{
    return t->kind == MERGE_SCALAR || t->kind == MERGE_BLOB || t->atomic;
}

static struct val *named(struct val *v, const struct val *like)
{
    if (v) {
        v->key = like->key;
        v->key_len = like->key_len;
    }
    return v;
}

/* --- apply --- */

static struct val *merge(struct arena *a, const struct merge_type *t, const struct val *live, const struct val *config);

static struct val *merge_members(struct arena *a, const struct merge_type *t, const struct val *live, const struct val *config)
{
    struct val *out = val_new(a, VAL_OBJ);
    unsigned n, m, i = 0, j = 0;
    const struct val **x = fields_members(a, live, &n), **y = fields_members(a, config, &m);
    while (out && (i < n || j < m)) {
        int c = i == n ? 1 : j == m ? -1 : str_cmp(val_key(x[i]), val_key(y[j]));
        const struct val *like = c <= 0 ? x[i] : y[j];
        struct merge_type member;
        bool is_named;
        merge_type_member(t, val_key(like), &member, &is_named);
        val_push(out, named(merge(a, &member, c <= 0 ? x[i] : NULL, c >= 0 ? y[j] : NULL), like));
        i += c <= 0;
        j += c >= 0;
    }
    return out;
}

/* A list's items in their own order, with what the other list has for each. */
struct ordered {
    const struct fields_item *mine;
    const struct fields_item *other;    /* NULL: not there */
    bool other_twice, merged;
};

static struct ordered *in_order(struct arena *a, const struct fields_item *at, unsigned n, unsigned places, const struct fields_item *other,
                                unsigned n_other)
{
    struct ordered *o = arena_alloc(a, (places + 1u) * sizeof *o);
    unsigned j = 0;
    for (unsigned i = 0; o && i < n; i++) {
        struct ordered *here = &o[at[i].at];
        here->mine = &at[i];
        while (j < n_other && fields_cmp(&other[j].key, &at[i].key) < 0)
            j++;
        if (j < n_other && fields_cmp(&other[j].key, &at[i].key) == 0) {
            here->other = &other[j];
            here->other_twice = j + 1 < n_other && fields_cmp(&other[j + 1].key, &at[i].key) == 0;
        }
    }
    return o;
}

static unsigned squeeze(struct ordered *o, unsigned places)
{
    unsigned n = 0;
    for (unsigned i = 0; i < places; i++)
        if (o[i].mine)
            o[n++] = o[i];
    return n;
}

struct weave {
    struct arena *arena;
    struct merge_type item;
    struct ordered *l, *r;
    unsigned n, m, i, j, shared;        /* shared: index in r of the next item that both have */
    struct val *out;
    bool *merged;                       /* by place in r's sorted items */
    const struct fields_item *r_items;
};

static void next_shared(struct weave *w, unsigned from)
{
    for (w->shared = from; w->shared < w->m && !w->r[w->shared].other;)
        w->shared++;
}

/* The configuration's next item, merged with the live one (one that is there twice is replaced). */
static void take_config(struct weave *w)
{
    const struct ordered *r = &w->r[w->j];
    const struct val *live = r->other && !r->other_twice ? r->other->item : NULL;
    val_push(w->out, merge(w->arena, &w->item, live, r->mine->item));
    w->merged[r->mine - w->r_items] = true;
    if (w->shared == w->j)
        next_shared(w, w->j + 1);
    w->j++;
}

/* Live items keep their place between the configuration's, whose order counts. */
static void weave(struct weave *w)
{
    next_shared(w, 0);
    while (w->i < w->n || w->j < w->m) {
        const struct ordered *l = w->i < w->n ? &w->l[w->i] : NULL;
        if (l && w->j < w->m) {
            if (l->other == w->r[w->j].mine) {
                take_config(w);
                w->i++;
                continue;
            }
            if (l->other && w->shared < w->m && w->r[w->shared].mine != l->other) {
                w->i++;                 /* both have it, but it is not its turn */
                continue;
            }
        }
        if (l && !l->other) {
            val_push(w->out, val_copy(w->arena, l->mine->item));
            w->i++;
            continue;
        }
        if (l && w->merged[l->other - w->r_items])
            w->i++;
        if (w->j < w->m)
            take_config(w);
    }
}

static struct val *merge_items(struct arena *a, const struct merge_type *t, const struct val *live, const struct val *config)
{
    unsigned n, m;
    struct fields_item *x = fields_items(a, t, live, &n), *y = fields_items(a, t, config, &m);
    unsigned nx = live ? live->n : 0, ny = config ? config->n : 0;
    struct weave w = { .arena = a, .item = merge_type_item(t), .out = val_new(a, VAL_ARR), .merged = arena_alloc(a, m + 1), .r_items = y };
    w.l = in_order(a, x, n, nx, y, m);
    w.r = in_order(a, y, m, ny, x, n);
    if (!w.out || !w.merged || !w.l || !w.r)
        return NULL;
    w.n = squeeze(w.l, nx);
    w.m = squeeze(w.r, ny);
    weave(&w);
    return w.out;
}

static bool nothing_in(const struct val *v)
{
    return !v || v->type < VAL_ARR || !v->n;
}

static struct val *merge(struct arena *a, const struct merge_type *t, const struct val *live, const struct val *config)
{
    if (!live || !config)
        return val_copy(a, config ? config : live);
    struct merge_type d = merge_type_deduce(t, config->type != VAL_NULL ? config : live);
    enum val_type want = d.kind == MERGE_LIST ? VAL_ARR : VAL_OBJ;
    if (is_whole(&d) || (nothing_in(live) && nothing_in(config)) || (d.kind != MERGE_LIST && d.kind != MERGE_STRUCT && d.kind != MERGE_MAP))
        return val_copy(a, config);
    live = live->type == want ? live : NULL;
    config = config->type == want ? config : NULL;
    return d.kind == MERGE_LIST ? merge_items(a, &d, live, config) : merge_members(a, &d, live, config);
}

struct val *merge_apply(struct arena *a, const struct merge_type *t, const struct val *live, const struct val *config)
{
    return merge(a, t, live, config);
}

/* --- remove --- */

static struct val *without(struct arena *a, const struct merge_type *t, const struct val *v, const struct fields *set);

/* The value with something below it taken out: what gets empty stays as such. */
static struct val *without_below(struct arena *a, const struct merge_type *t, const struct val *v, const struct fields *set)
{
    struct val *out = without(a, t, v, set);
    if (!out)
        out = val_new(a, v->type >= VAL_ARR ? v->type : VAL_NULL);
    return out;
}

static struct val *without_items(struct arena *a, const struct merge_type *t, const struct val *v, const struct fields *set)
{
    struct val *out = val_new(a, VAL_ARR);
    struct merge_type item = merge_type_item(t);
    bool hit = false;
    for (const struct val *x = v->first; x && out; x = x->next) {
        struct fields key;
        const struct fields *f = merge_item_element(a, t, x, &key, NULL) < 0 ? NULL : fields_find(set, &key);
        if (f && f->member)
            continue;
        hit |= f != NULL;
        val_push(out, f ? without_below(a, &item, x, f->kids) : val_copy(a, x));
    }
    return out && (out->n || hit) ? out : NULL;
}

static struct val *without_members(struct arena *a, const struct merge_type *t, const struct val *v, const struct fields *set)
{
    struct val *out = val_new(a, VAL_OBJ);
    bool hit = false;
    for (const struct val *x = v->first; x && out; x = x->next) {
        const struct fields *f = fields_name(set, val_key(x));
        if (f && f->member)
            continue;
        struct merge_type m;
        bool is_named;
        merge_type_member(t, val_key(x), &m, &is_named);
        hit |= f != NULL;
        val_push(out, named(f ? without_below(a, &m, x, f->kids) : val_copy(a, x), x));
    }
    return out && (out->n || hit) ? out : NULL;
}

/* NULL: nothing is left. */
static struct val *without(struct arena *a, const struct merge_type *t, const struct val *v, const struct fields *set)
{
    struct merge_type d = merge_type_deduce(t, v);
    if (d.kind == MERGE_SCALAR)
        return val_copy(a, v);
    if (is_whole(&d) || v->type < VAL_ARR || !v->n)
        return NULL;
    if (d.kind == MERGE_LIST)
        return v->type == VAL_ARR ? without_items(a, &d, v, set) : NULL;
    return v->type == VAL_OBJ ? without_members(a, &d, v, set) : NULL;
}

struct val *merge_remove(struct arena *a, const struct merge_type *t, const struct val *v, const struct fields *set)
{
    return set ? without_below(a, t, v, set) : val_copy(a, v);
}
