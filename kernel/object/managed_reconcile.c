/* managed_reconcile.c - managedFields after a custom resource's schema has changed a list or a map between atomic and granular: who owned the whole
 * owns what is in it now, and who owned parts owns the whole. As upstream's structured-merge-diff does it, on the next write of each object. */
#include "fields-internal.h"

/* The way from the root to what is looked at. */
struct way {
    const struct way *up;
    const struct fields *element;
};

struct reconciling {
    struct arena *arena;
    const struct merge_type *root;
    const struct val *live;
    const struct fields *all;           /* of live; made when first needed */
    const struct fields *gone, *more;   /* paths that go with all below them; what comes then */
};

/* The one path to there, with `below` below it. */
static const struct fields *path_to(struct arena *a, const struct way *w, const struct fields *below)
{
    const struct fields *set = NULL;
    for (bool last = true; w; w = w->up, last = false) {
        struct fields *f = arena_alloc(a, sizeof *f);
        if (!f)
            return NULL;
        *f = *w->element;
        f->next = NULL;
        f->member = last;
        f->kids = last ? below : set;
        set = f;
    }
    return set;
}

static const struct fields *level(const struct fields *all, const struct way *w)
{
    const struct fields *in = w->up ? level(all, w->up) : all, *found = fields_find(in, w->element);
    return found ? found->kids : NULL;
}

static void make_whole(struct reconciling *r, const struct way *w)
{
    const struct fields *path = path_to(r->arena, w, NULL);
    r->gone = fields_union(r->arena, r->gone, path);
    r->more = fields_union(r->arena, r->more, path);
}

/* Whoever owned the whole owns all that is in it; of what is empty, as before. */
static void make_granular(struct reconciling *r, const struct way *w)
{
    if (!r->all)
        r->all = fields_of(r->arena, r->root, r->live);
    const struct fields *below = level(r->all, w);
    if (below)
        r->more = fields_union(r->arena, r->more, path_to(r->arena, w, below));
}

/* A map of which the schema says nothing has neither form. */
static bool is_untyped(const struct merge_type *t)
{
    const struct val *props = json_get(t->schema, STR("properties"));
    return t->schema && (!val_is(props, VAL_OBJ) || !props->n) && !val_is(json_get(t->schema, STR("additionalProperties")), VAL_OBJ);
}

/* set: what is owned below; whole: this itself is, and nothing below. */
static void visit(struct reconciling *r, const struct merge_type *t, const struct fields *set, bool whole, const struct way *w)
{
    bool list = t->kind == MERGE_LIST;
    if ((!list && t->kind != MERGE_STRUCT && t->kind != MERGE_MAP) || (!list && is_untyped(t)))
        return;
    if (w && t->atomic && !whole) {
        if (list || set)
            make_whole(r, w);
        return;
    }
    if (w && whole && !t->atomic)
        make_granular(r, w);
    for (const struct fields *f = set; f; f = f->next) {
        struct way next = { w, f };
        struct merge_type below;
        bool named;
        if (list)
            below = merge_type_item(t);
        else if (f->element != FIELDS_NAME || !merge_type_member(t, f->name, &below, &named))
            continue;
        visit(r, &below, f->kids, f->member && !f->kids, &next);
    }
}

bool managed_reconcile(const struct managed_write *w, struct managed *m, const struct val *live)
{
    bool any = false;
    for (struct managed_entry *e = m->first; e; e = e->next) {
        struct merge_type t = w->type;
        const struct val *v = live;
        if (!str_eq(e->api_version, w->api_version) && (!w->convert || !w->convert(w->ctx, e->api_version, live, &v, &t)))
            continue;
        t.bare = true;
        struct reconciling r = { .arena = w->arena, .root = &t, .live = v };
        visit(&r, &t, e->set, false, NULL);
        if (!r.gone && !r.more)
            continue;
        const struct fields *set = fields_union(w->arena, fields_minus_deep(w->arena, e->set, r.gone), r.more);
        if (fields_equal(set, e->set))
            continue;
        e->set = set;
        e->text = NULL;
        any = true;
    }
    return any;
}
