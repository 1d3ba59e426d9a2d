/* fields_of.c - the sets of an object: what it names, and where two differ. */
#include "fields-internal.h"

#include <stdlib.h>

/* --- a typed object as Go sees it --- */

static const struct val zero_null = { .type = VAL_NULL }, zero_text = { .type = VAL_STR, .s = "" }, zero_int = { .type = VAL_INT },
                        zero_bool = { .type = VAL_BOOL }, zero_struct = { .type = VAL_OBJ },
                        zero_quantity = { .type = VAL_STR, .s = "0", .n = 1 }, zero_duration = { .type = VAL_STR, .s = "0s", .n = 2 };

static const struct val *zero_of(const struct schema_field *f)
{
    if (f->shape != SHAPE_ONE || f->flags & F_POINTER)
        return &zero_null;
    switch (f->type->kind) {
    case T_STRUCT: return &zero_struct;
    case T_STRING: return &zero_text;
    case T_BOOL: return &zero_bool;
    case T_INT32: case T_INT64: case T_DOUBLE: case T_INT_OR_STRING: return &zero_int;
    case T_QUANTITY: return &zero_quantity;
    case T_DURATION: return &zero_duration;
    default: return &zero_null;
    }
}

const struct val *fields_present(const struct schema_field *f, const struct val *m)
{
    if (m && (m->type != VAL_NULL || f->type->kind == T_JSON || f->type->kind == T_CUSTOM) && !object_leaves_out(f, m))
        return m;
    return object_shows_empty(f) ? zero_of(f) : NULL;
}

bool fields_is_zero(const struct schema_field *f, const struct val *m)
{
    const struct val *z = zero_of(f);
    return m == z || (m->type == z->type && m->type < VAL_ARR && val_equal(m, z));
}

bool fields_struct_empty(const struct schema_type *t, const struct val *v)
{
    struct val *members[OBJECT_FIELDS];
    object_members(t, v, members);
    for (unsigned i = 0; i < t->n_flat; i++)
        if (fields_present(t->flat[i], members[i]))
            return false;
    return true;
}

/* --- items and members in order --- */

static int items_cmp(const void *x, const void *y)
{
    const struct fields_item *p = x, *q = y;
    int c = fields_cmp(&p->key, &q->key);
    return c ? c : (p->at > q->at) - (p->at < q->at);
}

struct fields_item *fields_items(struct arena *a, const struct merge_type *list, const struct val *v, unsigned *ret_n)
{
    unsigned n = 0, at = 0;
    bool sorted = true;
    *ret_n = 0;
    if (!val_is(v, VAL_ARR) || !v->n)
        return NULL;
    struct fields_item *items = arena_raw(a, v->n * sizeof *items);
    if (!items)
        return NULL;
    val_each(item, v) {
        items[n].item = item;
        items[n].at = at++;
        if (merge_item_element(a, list, item, &items[n].key, NULL) < 0)
            continue;
        sorted = sorted && (n == 0 || fields_cmp(&items[n - 1].key, &items[n].key) < 0);
        n++;
    }
    if (!sorted)
        qsort(items, n, sizeof *items, items_cmp);
    *ret_n = n;
    return items;
}

const struct val **fields_members(struct arena *a, const struct val *v, unsigned *ret_n)
{
    unsigned n = 0;
    bool sorted = true;
    *ret_n = 0;
    if (!val_is(v, VAL_OBJ) || !v->n)
        return NULL;
    const struct val **at = arena_raw(a, v->n * sizeof *at);
    if (!at)
        return NULL;
    val_each(m, v) {
        at[n++] = m;
        sorted = sorted && (n < 2 || str_cmp(val_key(at[n - 2]), val_key(m)) < 0);
    }
    if (!sorted) {
        qsort(at, n, sizeof *at, val_by_key);
        unsigned kept = 0;
        for (unsigned i = 0; i < n; i++) {
            if (kept && str_eq(val_key(at[kept - 1]), val_key(at[i])))
                at[kept - 1] = json_get(v, val_key(at[i]));
            else
                at[kept++] = at[i];
        }
        n = kept;
    }
    *ret_n = n;
    return at;
}

/* --- what a configuration names --- */

static void of(struct arena *a, const struct merge_type *t, const struct val *v, struct fields *self);

static const struct fields *of_items(struct arena *a, const struct merge_type *t, const struct val *v)
{
    struct fields_list l = { a, NULL, NULL };
    struct merge_type item = merge_type_item(t);
    unsigned n, same;
    struct fields_item *at = fields_items(a, t, v, &n);
    for (unsigned i = 0; i < n; i += same) {
        for (same = 1; i + same < n && fields_cmp(&at[i].key, &at[i + same].key) == 0;)
            same++;
        if (same == 1)                  /* one that is there twice is owned as a whole */
            of(a, &item, at[i].item, &at[i].key);
        fields_add(&l, &at[i].key, true, at[i].key.kids);
    }
    return l.first;
}

static const struct fields *of_members(struct arena *a, const struct merge_type *t, const struct val *v)
{
    struct fields_list l = { a, NULL, NULL };
    unsigned n;
    const struct val **at = fields_members(a, v, &n);
    for (unsigned i = 0; i < n; i++) {
        struct fields f = { .element = FIELDS_NAME, .name = val_key(at[i]) };
        struct merge_type m;
        bool named;
        merge_type_member(t, f.name, &m, &named);
        of(a, &m, at[i], &f);
        bool empty = at[i]->type == VAL_NULL || (at[i]->type == VAL_OBJ && !at[i]->n);
        fields_add(&l, &f, f.member || empty || !named, f.kids);
    }
    return l.first;
}

static void of(struct arena *a, const struct merge_type *t, const struct val *v, struct fields *self)
{
    struct merge_type d = merge_type_deduce(t, v);
    self->kids = NULL;
    self->member = d.kind == MERGE_SCALAR || d.kind == MERGE_BLOB || d.atomic;
    if (self->member)
        return;
    if (d.kind == MERGE_LIST && v->type == VAL_ARR)
        self->kids = of_items(a, &d, v);
    else if ((d.kind == MERGE_STRUCT || d.kind == MERGE_MAP) && v->type == VAL_OBJ)
        self->kids = of_members(a, &d, v);
}

const struct fields *fields_of(struct arena *a, const struct merge_type *t, const struct val *v)
{
    struct fields self = { 0 };
    of(a, t, v, &self);
    return self.kids;
}

/* --- where two differ --- */

struct delta {
    bool changed, removed;
    const struct fields *changed_kids, *removed_kids;
};

struct pair {                           /* a level of both sets */
    struct fields_list changed, removed;
};

static void compare(struct arena *a, const struct merge_type *t, const struct val *l, const struct val *r, struct delta *out);

static bool same(const struct merge_type *t, const struct val *l, const struct val *r);

static bool same_struct(const struct schema_type *t, const struct val *l, const struct val *r)
{
    struct val *lm[OBJECT_FIELDS], *rm[OBJECT_FIELDS];
    object_members(t, l, lm);
    object_members(t, r, rm);
    for (unsigned i = 0; i < t->n_flat; i++) {
        const struct schema_field *f = t->flat[i];
        const struct val *x = fields_present(f, lm[i]), *y = fields_present(f, rm[i]);
        struct merge_type m = merge_type_field(f);
        if (x != y && (!x || !y || !same(&m, x, y)))
            return false;
    }
    return true;
}

/* Equal as Go sees it: an empty list is none where Go leaves it out. */
static bool same(const struct merge_type *t, const struct val *l, const struct val *r)
{
    if (val_equal(l, r))
        return true;
    if (t->bare || l->type != r->type || l->type < VAL_ARR)
        return false;
    if (t->kind == MERGE_STRUCT && t->type)
        return same_struct(t->type, l, r);
    if (t->kind != MERGE_LIST || l->n != r->n)
        return false;
    struct merge_type item = merge_type_item(t);
    for (const struct val *x = l->first, *y = r->first; x && y; x = x->next, y = y->next)
        if (!same(&item, x, y))
            return false;
    return true;
}

static void put(struct pair *p, const struct fields *f, const struct delta *d)
{
    if (d->changed || d->changed_kids)
        fields_add(&p->changed, f, d->changed, d->changed_kids);
    if (d->removed || d->removed_kids)
        fields_add(&p->removed, f, d->removed, d->removed_kids);
}

static void compare_struct(struct arena *a, const struct merge_type *t, const struct val *l, const struct val *r, struct pair *p)
{
    struct val *lm[OBJECT_FIELDS], *rm[OBJECT_FIELDS];
    const struct schema_type *s = t->type;
    object_members(s, l, lm);
    object_members(s, r, rm);
    for (unsigned i = 0; i < s->n_flat; i++) {
        const struct schema_field *f = s->flat[s->sorted[i]];
        const struct val *x = l ? fields_present(f, lm[s->sorted[i]]) : NULL, *y = r ? fields_present(f, rm[s->sorted[i]]) : NULL;
        if (x == y)
            continue;
        struct merge_type m = merge_type_field(f);
        struct fields e = { .element = FIELDS_NAME, .name = str_n(f->json, f->json_len) };
        struct delta d;
        compare(a, &m, x, y, &d);
        put(p, &e, &d);
    }
}

static void compare_members(struct arena *a, const struct merge_type *t, const struct val *l, const struct val *r, struct pair *p)
{
    unsigned nl, nr, i = 0, j = 0;
    const struct val **x = fields_members(a, l, &nl), **y = fields_members(a, r, &nr);
    while (i < nl || j < nr) {
        int o = i == nl ? 1 : j == nr ? -1 : str_cmp(val_key(x[i]), val_key(y[j]));
        struct fields e = { .element = FIELDS_NAME, .name = val_key(o <= 0 ? x[i] : y[j]) };
        struct merge_type m;
        struct delta d;
        bool named;
        merge_type_member(t, e.name, &m, &named);
        compare(a, &m, o <= 0 ? x[i] : NULL, o >= 0 ? y[j] : NULL, &d);
        put(p, &e, &d);
        i += o <= 0;
        j += o >= 0;
    }
}

static unsigned run(const struct fields_item *at, unsigned i, unsigned n, const struct fields *key)
{
    unsigned k = 0;
    while (i + k < n && fields_cmp(&at[i + k].key, key) == 0)
        k++;
    return k;
}

/* Items that stand more than once are one whole, whatever is in them. */
static void compare_twice(struct arena *a, const struct merge_type *item, const struct fields_item *x, unsigned nx, const struct fields_item *y,
                          unsigned ny, struct delta *d)
{
    *d = (struct delta){ 0 };
    if (nx > 1 && ny > 1) {
        d->changed = nx != ny;
        for (unsigned i = 0; i < nx && !d->changed; i++)
            d->changed = !same(item, x[i].item, y[i].item);
    } else if (nx > 1) {
        if (ny)
            compare(a, item, NULL, y->item, d);
        d->removed = true;
    } else {
        if (nx)
            compare(a, item, x->item, NULL, d);
        d->changed = true;
    }
}

static void compare_items(struct arena *a, const struct merge_type *t, const struct val *l, const struct val *r, struct pair *p)
{
    unsigned nl, nr, i = 0, j = 0;
    struct merge_type item = merge_type_item(t);
    struct fields_item *x = fields_items(a, t, l, &nl), *y = fields_items(a, t, r, &nr);
    while (i < nl || j < nr) {
        int o = i == nl ? 1 : j == nr ? -1 : fields_cmp(&x[i].key, &y[j].key);
        const struct fields *key = o <= 0 ? &x[i].key : &y[j].key;
        unsigned m = o <= 0 ? run(x, i, nl, key) : 0, n = o >= 0 ? run(y, j, nr, key) : 0;
        struct delta d;
        if (m > 1 || n > 1)
            compare_twice(a, &item, m ? x + i : NULL, m, n ? y + j : NULL, n, &d);
        else
            compare(a, &item, m ? x[i].item : NULL, n ? y[j].item : NULL, &d);
        put(p, key, &d);
        i += m;
        j += n;
    }
}

static bool is_empty(const struct merge_type *t, const struct val *v)
{
    if (!v || v->type < VAL_ARR)
        return true;
    return t->kind == MERGE_STRUCT && t->type && !t->bare ? fields_struct_empty(t->type, v) : v->n == 0;
}

static void leaf(const struct merge_type *t, const struct val *l, const struct val *r, struct delta *out)
{
    out->changed = !l || (r && !same(t, l, r));
    out->removed = !r;
}

static void compare_kids(struct arena *a, const struct merge_type *t, const struct val *l, const struct val *r, struct delta *out)
{
    struct pair p = { { a, NULL, NULL }, { a, NULL, NULL } };
    enum val_type want = t->kind == MERGE_LIST ? VAL_ARR : VAL_OBJ;
    l = val_is(l, want) ? l : NULL;
    r = val_is(r, want) ? r : NULL;
    if (t->kind == MERGE_LIST)
        compare_items(a, t, l, r, &p);
    else if (t->kind == MERGE_STRUCT && t->type && !t->bare)
        compare_struct(a, t, l, r, &p);
    else
        compare_members(a, t, l, r, &p);
    out->changed_kids = p.changed.first;
    out->removed_kids = p.removed.first;
}

static bool is_whole(const struct merge_type *t)
{
    return t->kind == MERGE_SCALAR || t->kind == MERGE_BLOB || t->atomic;
}

/* Values of two shapes where a type allows both. */
static void compare_mixed(struct arena *a, const struct merge_type *t, const struct val *l, const struct val *r, struct delta *out)
{
    struct merge_type x = merge_type_deduce(t, l), y = merge_type_deduce(t, r);
    struct delta d = { 0 };
    out->changed = true;
    if (!is_whole(&x) && !is_empty(&x, l))
        compare_kids(a, &x, l, NULL, &d);
    if (!is_whole(&y) && !is_empty(&y, r))
        compare_kids(a, &y, NULL, r, out);
    out->removed_kids = d.removed_kids;
}

/* The sets of the level: out's own flags are for the path that leads here. */
static void compare(struct arena *a, const struct merge_type *t, const struct val *l, const struct val *r, struct delta *out)
{
    *out = (struct delta){ 0 };
    if (l && r && t->kind == MERGE_ANY && l->type != r->type && l->type != VAL_NULL && r->type != VAL_NULL &&
        (l->type >= VAL_ARR || r->type >= VAL_ARR)) {
        compare_mixed(a, t, l, r, out);
        return;
    }
    struct merge_type d = merge_type_deduce(t, l && l->type != VAL_NULL ? l : r ? r : l);
    if (is_whole(&d) || (is_empty(&d, l) && is_empty(&d, r))) {
        leaf(&d, l, r, out);
        return;
    }
    if (l && r && d.kind == MERGE_LIST && val_equal(l, r))
        return;
    compare_kids(a, &d, l, r, out);
    out->changed = !l;
    out->removed = !r;
}

bool fields_struct_zero(const struct schema_type *t, const struct val *v)
{
    return same_struct(t, &zero_struct, v);
}

void fields_compare(struct arena *a, const struct merge_type *t, const struct val *old, const struct val *now,
                    const struct fields **ret_changed, const struct fields **ret_removed)
{
    struct delta d;
    compare(a, t, old, now, &d);
    *ret_changed = d.changed_kids;
    *ret_removed = d.removed_kids;
}

/* --- names above others --- */

const struct fields *fields_named(struct arena *a, const struct merge_type *t, const struct fields *set)
{
    struct fields_list l = { a, NULL, NULL };
    for (const struct fields *f = set; f; f = f->next) {
        struct merge_type m = { .kind = MERGE_ANY };
        bool named = false;
        if (f->element == FIELDS_NAME && t->kind != MERGE_LIST)
            merge_type_member(t, f->name, &m, &named);
        else if (f->element == FIELDS_KEY && t->kind == MERGE_LIST)
            m = merge_type_item(t);
        fields_add(&l, f, f->member || (named && f->kids), f->kids ? fields_named(a, &m, f->kids) : NULL);
    }
    return l.first;
}
