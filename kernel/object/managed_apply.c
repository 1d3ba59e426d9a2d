/* managed_apply.c - server-side apply: a configuration merged into the live object, what its manager no longer names taken out, and conflicts with
 * the other managers. */
#include "fields-internal.h"

#include <stdlib.h>

/* An object in some version. */
struct seen {
    const struct val *v;
    struct merge_type type;
    struct str version;
};

static bool at_version(const struct managed_write *w, struct seen *s, struct str version)
{
    if (str_eq(s->version, version))
        return true;
    struct seen t = { .version = version };
    if (str_eq(version, w->api_version))
        t.type = w->type;
    if (!w->convert || !w->convert(w->ctx, version, s->v, &t.v, &t.type))
        return false;
    t.type.bare = true;
    *s = t;
    return true;
}

static const struct fields *all_of(const struct managed_write *w, const struct seen *s)
{
    return fields_named(w->arena, &s->type, fields_of(w->arena, &s->type, s->v));
}

/* Takes back what pruning took, where somebody (the applier's new configuration included) owns it in this version. */
static void add_back(const struct managed_write *w, struct managed *m, struct seen *merged, struct seen *pruned, struct str version)
{
    struct arena *a = w->arena;
    const struct fields *owned = NULL;
    struct seen x = *merged, y = *pruned;
    if (!at_version(w, &x, version) || !at_version(w, &y, version))
        return;
    for (const struct managed_entry *e = m->first; e; e = e->next)
        if (str_eq(e->api_version, version))
            owned = fields_union(a, owned, e->set);
    const struct fields *kept = fields_union(a, all_of(w, &y), fields_named(a, &x.type, owned));
    y.v = merge_remove(a, &x.type, x.v, fields_minus(a, all_of(w, &x), kept));
    *merged = x;
    *pruned = y;
}

/* What the manager applied before and does not apply now goes, unless another one owns it. */
static const struct val *prune(const struct managed_write *w, struct managed *m, const struct val *now, const struct fields *last,
                               struct str last_version)
{
    struct arena *a = w->arena;
    struct seen merged = { now, w->type, w->api_version }, pruned;
    if (!last)
        return now;
    merged.type.bare = true;
    if (!at_version(w, &merged, last_version))
        return now;
    const struct seen whole = merged;
    last = fields_named(a, &merged.type, last);
    pruned = merged;
    pruned.v = merge_remove(a, &merged.type, merged.v, last);
    add_back(w, m, &merged, &pruned, last_version);
    for (const struct managed_entry *e = m->first; e; e = e->next) {
        bool done = str_eq(e->api_version, last_version);
        for (const struct managed_entry *f = m->first; f != e; f = f->next)
            done |= str_eq(f->api_version, e->api_version);
        if (!done)
            add_back(w, m, &merged, &pruned, e->api_version);
    }
    /* Items that nobody owned before stay. */
    if (!at_version(w, &pruned, last_version))
        return whole.v;
    const struct fields *gone = fields_both(a, fields_minus(a, all_of(w, &whole), all_of(w, &pruned)), last);
    struct seen out = { merge_remove(a, &whole.type, whole.v, gone), whole.type, last_version };
    return at_version(w, &out, w->api_version) ? out.v : now;
}

static struct managed_entry *own(const struct managed_write *w, struct managed *m)
{
    struct managed_entry *e = m->first;
    while (e && !(e->applied && str_eq(e->manager, w->manager) && str_eq(e->subresource, w->subresource)))
        e = e->next;
    if (e || !(e = arena_alloc(w->arena, sizeof *e)))
        return e;
    *e = (struct managed_entry){ .next = m->first, .manager = w->manager, .subresource = w->subresource, .applied = true };
    m->first = e;
    return e;
}

static void find_conflicts(const struct managed_write *w, struct managed *m, struct managed_seen *s, const struct managed_entry *mine,
                           struct managed_conflicts *ret)
{
    ret->n = 0;
    for (struct managed_entry *e = m->first; e; e = e->next) {
        if (e == mine || !managed_seen(w, s, e->api_version))
            continue;
        const struct fields *both = fields_both(w->arena, e->set, s->changed);
        if (both && ret->n < sizeof ret->at / sizeof *ret->at)
            ret->at[ret->n++] = (struct managed_conflict){ e, both };
    }
}

int managed_apply(const struct managed_write *w, struct managed *m, const struct val *live, const struct val *config, bool force,
                  struct val **ret_v, struct managed_conflicts *ret_conflicts)
{
    struct arena *a = w->arena;
    struct merge_type bare = w->type;
    if (w->reconciles)
        managed_reconcile(w, m, live);
    struct managed_entry *mine = own(w, m);
    ret_conflicts->n = 0;
    bare.bare = true;
    const struct val *now = merge_apply(a, &bare, live, config);
    if (!mine || !now)
        return -KL_NO_MEMORY;
    const struct fields *last = mine->set;
    struct str last_version = mine->api_version;
    mine->set = managed_filter(w, fields_of(a, &bare, config));
    mine->api_version = w->api_version;
    mine->text = NULL;
    now = prune(w, m, now, last, last_version);
    struct managed_seen s = { .version = w->api_version, .old = live, .now = now, .bare = true };
    fields_compare(a, &bare, live, now, &s.changed, &s.removed);
    s.changed = managed_filter(w, s.changed);
    s.removed = managed_filter(w, s.removed);
    if (!force) {
        struct managed_seen t = s;
        find_conflicts(w, m, &t, mine, ret_conflicts);
        if (ret_conflicts->n)
            return -KL_CONFLICT;
    }
    managed_take(w, m, &s, mine);
    mine->set = fields_minus(a, mine->set, managed_stripped(a, NULL));
    if (!val_equal(live, now))
        mine->time = w->now;
    if (!mine->set)
        managed_drop(m, mine);
    *ret_v = (struct val *)now;
    return 0;
}

/* --- words --- */

static const char *owner_text(struct arena *a, const struct managed_entry *e)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    json_write_str(&b, e->manager);
    if (e->subresource.len) {
        buf_lit(&b, " with subresource ");
        json_write_str(&b, e->subresource);
    }
    if (!e->applied)
        buf_printf(&b, " using " STR_FMT, STR_ARG(e->api_version));
    return arena_dup(a, buf_str(&b));
}

struct telling {
    struct arena *arena;
    struct object_causes *causes;
    const char *owner;
    struct buf lines;
    const char *path;                   /* the last one */
    unsigned n;
};

static void tell(void *ctx, const char *path)
{
    struct telling *t = ctx;
    object_cause_add(t->causes, "FieldManagerConflict", path ? path : "", "conflict with %s", t->owner);
    buf_printf(&t->lines, "\n- %s", path ? path : "");
    t->path = path;
    t->n++;
}

/* By name, applying before updating, version, and those of a subresource first. */
static int owner_cmp(const void *x, const void *y)
{
    const struct managed_conflict *p = x, *q = y;
    int c = str_cmp(p->owner->manager, q->owner->manager);
    if (c == 0)
        c = (int)q->owner->applied - (int)p->owner->applied;
    if (c == 0)
        c = str_cmp(p->owner->api_version, q->owner->api_version);
    if (c == 0)
        c = (p->owner->subresource.len == 0) - (q->owner->subresource.len == 0);
    return c ? c : str_cmp(p->owner->subresource, q->owner->subresource);
}

const char *managed_conflict_text(struct arena *a, const struct managed_conflicts *c, struct object_causes *causes)
{
    struct managed_conflicts sorted = *c;
    struct telling t = { .arena = a, .causes = causes, .lines = BUF_INIT(256 << 10) };
    qsort(sorted.at, sorted.n, sizeof *sorted.at, owner_cmp);
    for (unsigned i = 0; i < sorted.n; i++) {
        t.owner = owner_text(a, sorted.at[i].owner);
        buf_printf(&t.lines, "%sconflicts with %s:", i ? "\n" : "", t.owner ? t.owner : "");
        fields_each(a, sorted.at[i].set, tell, &t);
    }
    const char *text = t.n == 1 ? arena_printf(a, "Apply failed with 1 conflict: conflict with %s: %s", t.owner, t.path) :
                                  arena_printf(a, "Apply failed with %u conflicts: " STR_FMT, t.n, STR_ARG(buf_str(&t.lines)));
    buf_free(&t.lines);
    return text;
}
