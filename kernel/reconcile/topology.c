/* topology.c - who is where: namespaces, nodes' domains, and guests as they come, change and go. The terms that are counted: topology_terms.c. */
#include "reconcile/topology.h"

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/mem.h"
#include "object/object.h"
#include "reconcile/ledger.h"
#include "reconcile/topology-internal.h"

/* --- keys and domains --- */

static void domain_leave(struct topology_key *k, struct domain **at)
{
    struct domain *d = *at;
    *at = NULL;
    if (!d)
        return;
    k->n_nodes--;
    if (--d->n_nodes)
        return;
    k->n_domains--;
    map_del(&k->by_value, str_n(d->value, d->len));
    list_remove(&d->link);
    mem_free(d);
}

static bool domain_enter(struct topology_key *k, struct domain **at, struct str value)
{
    struct domain *d = map_get(&k->by_value, value);
    if (!d) {
        if (!(d = mem_alloc(sizeof *d + value.len + 1)))
            return false;
        d->len = (uint32_t)value.len;
        str_copy(d->value, value.at, value.len);
        if (!map_put(&k->by_value, str_n(d->value, d->len), d)) {
            mem_free(d);
            return false;
        }
        list_push(&k->domains, &d->link);
        k->n_domains++;
    }
    d->n_nodes++;
    k->n_nodes++;
    *at = d;
    return true;
}

static struct str label_of(const struct ledger_node *n, const struct topology_key *k)
{
    return !n->present ? STR_NONE : !*k->name ? str_of(n->name) : val_str(json_get(n->labels, str_of(k->name)));
}

static bool same_domain(const struct spot *s, const struct topology_key *k, struct str value)
{
    const struct domain *d = spot_domain(s, k);
    return d ? value.at && str_eq(str_n(d->value, d->len), value) : !value.at;
}

static bool settle(const struct topology *t, struct ledger_node *n, struct topology_key *k)
{
    struct str value = label_of(n, k);
    struct spot *s = &n->spot;
    if (same_domain(s, k, value))
        return true;
    if (s->n < t->n_index) {
        struct domain **more = mem_resize(s->domains, t->n_index * sizeof *more);
        if (!more)
            return false;
        memset(more + s->n, 0, (t->n_index - s->n) * sizeof *more);
        s->domains = more;
        s->n = t->n_index;
    }
    domain_leave(k, &s->domains[k->index]);
    return !value.at || domain_enter(k, &s->domains[k->index], value);
}

bool topology_places_same(const struct topology *t, const struct ledger_node *n)
{
    for (unsigned i = 0; i < t->n_index; i++)
        if (t->by_index[i] && !same_domain(&n->spot, t->by_index[i], label_of(n, t->by_index[i])))
            return false;
    return true;
}

static void settle_all(struct topology *t, struct ledger_node *n)
{
    for (unsigned i = 0; i < t->n_index; i++)
        if (t->by_index[i] && !settle(t, n, t->by_index[i]))
            t->stale = true;
}

void topology_place(struct topology *t, struct ledger_node *n)
{
    if (!n->spot.link.next)
        list_init(&n->spot.link);
    list_remove(&n->spot.link);
    settle_all(t, n);
    if (n->present) {
        list_push(&t->nodes, &n->spot.link);
        return;
    }
    mem_free(n->spot.domains);
    n->spot.domains = NULL;
    n->spot.n = 0;
}

static bool take_index(struct topology *t, struct topology_key *k)
{
    while (k->index < t->n_index && t->by_index[k->index])
        k->index++;
    if (k->index == t->n_index) {
        struct topology_key **more = mem_resize(t->by_index, (t->n_index + 1) * sizeof(struct topology_key *));
        if (!more)
            return false;
        t->by_index = more;
        t->by_index[t->n_index++] = NULL;
    }
    return true;
}

struct topology_key *topology_key(struct topology *t, struct str name)
{
    struct topology_key *k = map_get(&t->keys, name);
    if (!k) {
        if (!(k = mem_alloc(sizeof *k + name.len + 1)))
            return NULL;
        str_copy(k->name, name.at, name.len);
        list_init(&k->domains);
        if (!take_index(t, k) || !map_put(&t->keys, str_n(k->name, name.len), k)) {
            mem_free(k);
            return NULL;
        }
        t->by_index[k->index] = k;
        list_each(at, &t->nodes) t->stale |= !settle(t, list_item(at, struct ledger_node, spot.link), k);
    }
    k->refs++;
    return k;
}

void topology_key_done(struct topology *t, struct topology_key *k)
{
    if (--k->refs)
        return;
    list_each(at, &t->nodes)
    {
        struct spot *s = list_item(at, struct spot, link);
        if (k->index < s->n)
            domain_leave(k, &s->domains[k->index]);
    }
    t->by_index[k->index] = NULL;
    map_del(&t->keys, str_of(k->name));
    map_free(&k->by_value);
    mem_free(k);
}

/* --- namespaces --- */

struct space *topology_space(struct topology *t, struct str name)
{
    struct space *s = map_get(&t->spaces, name);
    if (s || !(s = mem_alloc(sizeof *s + name.len + 1)))
        return s;
    str_copy(s->name, name.at, name.len);
    list_init(&s->guests);
    if (map_put(&t->spaces, str_n(s->name, name.len), s))
        return s;
    mem_free(s);
    return NULL;
}

static void space_leave(struct topology *t, struct space *s)
{
    if (s->object || !list_empty(&s->guests))
        return;
    arena_free(s->arena);
    map_del(&t->spaces, str_of(s->name));
    mem_free(s);
}

/* --- counting --- */

struct val *topology_labels(struct arena *a, struct store_object *o)
{
    uint32_t place = o ? store_object_places(o)->labels : 0;
    return place ? json_parse(a, json_scan_value(store_object_from(o, place)), NULL) : NULL;
}

static void add(struct topology *t, struct tally *to, const void *key, int64_t n)
{
    t->stale |= !tally_add(to, key, n);
}

static void wake(struct topology *t, struct term *m, unsigned what)
{
    list_each(at, &m->waits)
    {
        struct topology_wait *w = list_item(at, struct topology_wait, link);
        if (w->on & what)
            t->woken(t->ctx, w->who);
    }
}

void topology_count(struct topology *t, struct term *m, struct guest *g, int sign)
{
    struct domain *d = spot_domain(&g->node->spot, m->key);
    if (!d)
        return;
    add(t, g->promised ? &m->promised : &m->matched, d, sign);
    if (!g->aside)
        wake(t, m, sign > 0 ? TOPOLOGY_MORE : TOPOLOGY_FEWER);
}

static void count_wishes(struct topology *t, struct guest *g, int sign)
{
    for (unsigned i = 0; i < g->n_uses; i++) {
        struct topology_use *u = &g->uses[i];
        struct domain *d = spot_domain(&g->node->spot, u->term->key);
        if (!d)
            continue;
        add(t, &u->term->owners, d, sign * (int64_t)u->owners);
        if (!g->promised)
            add(t, &u->term->pull, d, sign * (int64_t)u->pull);
        if (u->owners && sign < 0 && !g->aside)
            wake(t, u->term, TOPOLOGY_OWNERS);
    }
}

struct counting {
    struct topology *t;
    struct guest *g;
    const struct val *labels;
    int sign;
};

static void count_one(void *ctx, struct picker *p)
{
    const struct counting *c = ctx;
    if (!p->n_counted || (c->g->leaving && !p->leaving) || !topology_means(c->t, p, str_of(c->g->space->name), c->labels))
        return;
    list_each(at, &p->terms)
    {
        struct term *m = list_item(at, struct term, link);
        if (m->counted)
            topology_count(c->t, m, c->g, c->sign);
    }
}

static void apply(struct topology *t, struct guest *g, int sign)
{
    if (t->stale)
        return;                         /* all of it is counted anew */
    count_wishes(t, g, sign);
    if (!t->n_pickers)
        return;
    struct counting c = { t, g, topology_labels(t->scratch, g->object), sign };
    topology_candidates(t, c.labels, count_one, &c);
    arena_reset(t->scratch);
}

static struct str labels_text(const struct store_object *o)
{
    return o && store_object_places(o)->labels ? json_scan_value(store_object_from(o, store_object_places(o)->labels)) : STR_NONE;
}

bool topology_means_guest(struct topology *t, const struct picker *p, const struct guest *g)
{
    bool yes = topology_means(t, p, str_of(g->space->name), topology_labels(t->scratch, g->object));
    arena_reset(t->scratch);
    return yes;
}

static bool leaving(struct store_object *o)
{
    return o && json_scan_path(store_object_json(o), "metadata.deletionTimestamp").at;
}

void topology_enter(struct topology *t, struct guest *g, const struct val *pod, struct store_object *o)
{
    if (!(g->space = topology_space(t, json_str(pod, "metadata.namespace")))) {
        t->stale = true;
        return;
    }
    list_push(&g->space->guests, &g->link);
    g->object = o ? store_object_ref(o) : NULL;
    g->leaving = json_path(pod, "metadata.deletionTimestamp") != NULL;
    if (!topology_uses_read(t, g, pod))
        t->stale = true;
    apply(t, g, 1);
}

static void uses_end(struct topology *t, struct guest *g)
{
    for (unsigned i = 0; i < g->n_uses; i++)
        topology_done(t, g->uses[i].term);
    mem_free(g->uses);
    g->uses = NULL;
    g->n_uses = 0;
}

void topology_leave(struct topology *t, struct guest *g)
{
    if (!g->space)
        return;
    apply(t, g, -1);
    uses_end(t, g);
    list_remove(&g->link);
    space_leave(t, g->space);
    store_object_unref(g->object);
    g->space = NULL;
    g->object = NULL;
}

void topology_changed(struct topology *t, struct guest *g, struct store_object *o)
{
    if (!g->space || o == g->object)
        return;
    bool leaves = leaving(o), same = leaves == g->leaving && g->object && str_eq(labels_text(g->object), labels_text(o));
    if (!same)
        apply(t, g, -1);
    store_object_unref(g->object);
    g->object = store_object_ref(o);
    g->leaving = leaves;
    if (!same)
        apply(t, g, 1);
}

void topology_aside(struct topology *t, struct guest *g, bool aside)
{
    if (!g->space)
        return;
    g->aside = true;
    apply(t, g, aside ? -1 : 1);
    g->aside = aside;
}

/* --- anew --- */

static void forget_counts(struct topology *t)
{
    size_t at = 0;
    struct str text;
    void *value;
    while (map_next(&t->pickers, &at, &text, &value))
        list_each(one, &((struct picker *)value)->terms)
        {
            struct term *m = list_item(one, struct term, link);
            tally_free(&m->matched);
            tally_free(&m->promised);
            tally_free(&m->owners);
            tally_free(&m->pull);
        }
}

static void count_guests(struct topology *t, struct space *s)
{
    list_each(at, &s->guests)
    {
        struct guest *g = list_item(at, struct guest, link);
        _cleanup_arena_ struct arena *a = arena_new(16 << 20);
        const struct val *pod = g->object && a ? json_parse(a, store_object_json(g->object), NULL) : NULL;
        uses_end(t, g);
        if (pod && !topology_uses_read(t, g, pod))
            t->stale = true;
        apply(t, g, 1);
    }
}

bool topology_ready(struct topology *t)
{
    size_t at = 0;
    struct str name;
    void *value;
    if (!t->stale)
        return true;
    t->stale = false;
    forget_counts(t);
    list_each(one, &t->nodes) settle_all(t, list_item(one, struct ledger_node, spot.link));
    while (!t->stale && map_next(&t->spaces, &at, &name, &value))
        count_guests(t, value);
    return !t->stale;
}

/* --- following namespaces --- */

static void space_read(struct topology *t, struct space *s, struct store_object *o)
{
    arena_free(s->arena);
    store_object_unref(s->object);
    s->object = o ? store_object_ref(o) : NULL;
    s->arena = o && store_object_places(o)->labels ? arena_new_small(1 << 20) : NULL;
    s->labels = s->arena ? topology_labels(s->arena, o) : NULL;
    t->stale |= o && store_object_places(o)->labels && !s->labels;
}

/* Guests of a namespace are counted by its labels as they were, and then by what they are. */
static void space_set(struct topology *t, struct store_object *o, bool there)
{
    struct space *s = topology_space(t, store_object_name(o));
    if (!s)
        return;                         /* with the memory for its name its labels are missing: nobody is meant by them until they change */
    bool same = there && s->object && str_eq(labels_text(o), labels_text(s->object));
    list_each(at, &s->guests) if (!same) apply(t, list_item(at, struct guest, link), -1);
    space_read(t, s, there ? o : NULL);
    list_each(at, &s->guests) if (!same) apply(t, list_item(at, struct guest, link), 1);
    if (!same)
        t->woken(t->ctx, NULL);
    space_leave(t, s);
}

static void on_spaces(void *ctx)
{
    struct topology *t = ctx;
    struct store_event e;
    bool expired = false;
    while (store_watch_next(t->watch, &e, &expired))
        space_set(t, e.object, e.type != STORE_DELETED);
}

static bool first_space(void *ctx, struct store_object *o)
{
    struct topology *t = ctx;
    struct space *s = topology_space(t, store_object_name(o));
    if (s)
        space_read(t, s, o);
    return s != NULL;
}

int topology_new(struct store *s, void (*woken)(void *ctx, void *who), void *ctx, struct topology **ret, struct kl_err *err)
{
    struct topology *t = mem_alloc(sizeof *t);
    struct store_range all = { .resource = STR("/namespaces") };
    if (!t || !(t->scratch = arena_new(1 << 20))) {
        mem_free(t);
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    t->store = s;
    t->woken = woken;
    t->ctx = ctx;
    list_init(&t->idle);
    list_init(&t->nodes);
    int rc = store_watch_new(s, STR("/namespaces"), STR_NONE, store_revision(s), on_spaces, t, &t->watch, err);
    if (rc < 0) {
        topology_free(t);
        return rc;
    }
    store_list(s, &all, first_space, t);
    *ret = t;
    return 0;
}

void topology_free(struct topology *t)
{
    size_t at = 0;
    struct str name;
    void *value;
    if (!t)
        return;
    if (t->watch)
        store_watch_free(t->watch);
    topology_terms_free(t);
    while (map_next(&t->spaces, &at, &name, &value)) {
        struct space *s = value;
        store_object_unref(s->object);
        arena_free(s->arena);
        mem_free(s);
    }
    map_free(&t->spaces);
    map_free(&t->keys);
    mem_free(t->by_index);
    arena_free(t->scratch);
    mem_free(t);
}
