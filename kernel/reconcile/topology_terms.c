/* topology_terms.c - which terms there are: made when a pod says them, found by what they say, and by the labels of whom they may mean. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "object/object.h"
#include "reconcile/ledger.h"
#include "reconcile/topology-internal.h"

#define HARD_WEIGHT 1                   /* upstream's hardPodAffinityWeight */
#define PAIR 512                        /* a label and its value */

/* --- whom a picker means --- */

static bool means(const struct topology *t, const struct part *p, struct str ns, const struct val *labels)
{
    bool there = false;
    for (unsigned i = 0; i < p->n_names && !there; i++)
        there = str_eq(p->names[i], ns);
    if (!there && p->spaces) {
        const struct space *s = selector_empty(p->spaces) ? NULL : map_get(&t->spaces, ns);
        there = selector_matches_labels(p->spaces, s ? s->labels : NULL);
    }
    return there && selector_matches_labels(p->labels, labels);
}

bool topology_means(const struct topology *t, const struct picker *p, struct str ns, const struct val *labels)
{
    for (unsigned i = 0; i < p->n_parts; i++)
        if (!means(t, &p->parts[i], ns, labels))
            return false;
    return true;
}

bool topology_selects_all(const struct picker *p)
{
    return p->all;
}

/* --- buckets --- */

static struct str pair(char *at, struct str key, struct str value)
{
    if (key.len + value.len + 1 > PAIR)
        return STR_NONE;
    memcpy(at, key.at, key.len);
    at[key.len] = '=';
    if (value.len)
        memcpy(at + key.len + 1, value.at, value.len);
    return str_n(at, key.len + 1 + value.len);
}

/* A value that a label must have; STR_NONE: none in particular. */
static struct str exact(char *at, const struct val *selector)
{
    const struct val *labels = json_get(selector, STR("matchLabels")), *list = json_get(selector, STR("matchExpressions"));
    if (val_is(labels, VAL_OBJ) && labels->first)
        return pair(at, val_key(labels->first), val_str(labels->first));
    if (val_is(list, VAL_ARR))
        val_each(e, list) {
            const struct val *values = json_get(e, STR("values"));
            if (str_is(json_str(e, "operator"), "In") && val_is(values, VAL_ARR) && values->n == 1)
                return pair(at, json_str(e, "key"), val_str(values->first));
        }
    return STR_NONE;
}

static struct bucket *bucket_of(struct topology *t, struct str text)
{
    struct bucket *b = map_get(&t->buckets, text);
    if (b || !(b = mem_alloc(sizeof *b + text.len + 1)))
        return b;
    b->len = (uint32_t)text.len;
    str_copy(b->text, text.at ? text.at : "", text.len);
    list_init(&b->pickers);
    if (map_put(&t->buckets, str_n(b->text, b->len), b))
        return b;
    mem_free(b);
    return NULL;
}

static void bucket_leave(struct topology *t, struct picker *p)
{
    struct bucket *b = p->bucket;
    list_remove(&p->link);
    if (!list_empty(&b->pickers))
        return;
    map_del(&t->buckets, str_n(b->text, b->len));
    mem_free(b);
}

static void each_in(struct topology *t, struct str text, void (*each)(void *ctx, struct picker *p), void *ctx)
{
    struct bucket *b = map_get(&t->buckets, text);
    if (b)
        list_each(at, &b->pickers) each(ctx, list_item(at, struct picker, link));
}

void topology_candidates(struct topology *t, const struct val *labels, void (*each)(void *ctx, struct picker *p), void *ctx)
{
    char at[PAIR];
    each_in(t, STR(""), each, ctx);
    if (val_is(labels, VAL_OBJ))
        val_each(l, labels) {
            struct str text = pair(at, val_key(l), val_str(l));
            if (text.len)
                each_in(t, text, each, ctx);
        }
}

/* --- pickers --- */

static bool own_space(const struct pick *p)
{
    return !p->ns_selector && !(val_is(p->namespaces, VAL_ARR) && p->namespaces->n);
}

static void write_pick(struct buf *b, const struct pick *p)
{
    if (own_space(p))
        json_write_str(b, p->ns);
    else if (p->namespaces)
        json_write(b, p->namespaces);
    buf_add_c(b, '|');
    if (p->ns_selector)
        json_write(b, p->ns_selector);
    buf_add_c(b, '|');
    if (p->selector)
        json_write(b, p->selector);
    buf_add_c(b, '\n');
}

static bool part_read(struct part *to, struct arena *a, const struct pick *p)
{
    struct kl_err err;
    unsigned n = own_space(p) ? 1 : val_is(p->namespaces, VAL_ARR) ? p->namespaces->n : 0;
    kl_err_init(&err);
    if (n && !(to->names = arena_alloc(a, n * sizeof *to->names)))
        return false;
    if (own_space(p))
        to->names[to->n_names++] = arena_str(a, p->ns);
    else if (n)
        val_each(v, p->namespaces) to->names[to->n_names++] = arena_str(a, val_str(v));
    if (p->ns_selector && !(to->spaces = selector_of_tree(a, p->ns_selector, &err)))
        return false;
    to->labels = selector_of_tree(a, p->selector, &err);
    return to->labels && !arena_exhausted(a);
}

/* A selector's texts are borrowed: the picker keeps trees of its own. */
static const struct val *keep(struct arena *a, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    if (!v)
        return NULL;
    json_write(&b, v);
    struct str text = b.failed ? STR_NONE : arena_str(a, buf_str(&b));
    return text.at ? json_parse(a, text, NULL) : NULL;
}

static bool picker_read(struct picker *x, const struct pick *p, unsigned n)
{
    if (!(x->parts = arena_alloc(x->arena, n * sizeof *x->parts)))
        return false;
    for (x->n_parts = 0; x->n_parts < n; x->n_parts++) {
        const struct pick *from = &p[x->n_parts];
        struct pick own = { from->ns, from->namespaces, keep(x->arena, from->ns_selector), keep(x->arena, from->selector) };
        if ((!own.ns_selector && from->ns_selector) || (!own.selector && from->selector) || !part_read(&x->parts[x->n_parts], x->arena, &own))
            return false;
    }
    return true;
}

static void picker_free(struct topology *t, struct picker *p)
{
    if (p->bucket)
        bucket_leave(t, p);
    if (p->text.at && map_get(&t->pickers, p->text) == p) {
        map_del(&t->pickers, p->text);
        t->n_pickers--;
    }
    arena_free(p->arena);
    mem_free(p);
}

static struct picker *picker_new(struct topology *t, struct str text, const struct pick *p, unsigned n, bool leaving)
{
    char at[PAIR];
    struct picker *x = mem_alloc(sizeof *x);
    if (!x)
        return NULL;
    list_init(&x->terms);
    list_init(&x->link);
    x->leaving = leaving;
    if ((x->arena = arena_new_small(1 << 20)) && (x->text = arena_str(x->arena, text)).at && picker_read(x, p, n) && map_put(&t->pickers, x->text, x)) {
        t->n_pickers++;
        x->all = n == 1 && selector_empty(x->parts[0].labels);
        if ((x->bucket = bucket_of(t, exact(at, p[0].selector)))) {
            list_push(&x->bucket->pickers, &x->link);
            return x;
        }
    }
    picker_free(t, x);
    return NULL;
}

static struct picker *picker_of(struct topology *t, const struct pick *p, unsigned n, bool leaving)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4 << 20);
    buf_add_c(&b, leaving ? 'l' : ' ');
    for (unsigned i = 0; i < n; i++)
        write_pick(&b, &p[i]);
    if (b.failed)
        return NULL;
    struct picker *x = map_get(&t->pickers, buf_str(&b));
    return x ? x : picker_new(t, buf_str(&b), p, n, leaving);
}

/* --- terms --- */

static void term_free(struct topology *t, struct term *m)
{
    struct picker *p = m->picker;
    list_remove(&m->link);
    list_remove(&m->idle);
    p->n_counted -= m->counted;
    tally_free(&m->matched);
    tally_free(&m->promised);
    tally_free(&m->owners);
    tally_free(&m->pull);
    topology_key_done(t, m->key);
    mem_free(m);
    if (list_empty(&p->terms))
        picker_free(t, p);
}

static struct term *term_new(struct topology *t, struct picker *p, struct str key)
{
    struct term *m = mem_alloc(sizeof *m);
    if (!m || !(m->key = topology_key(t, key))) {
        mem_free(m);
        if (list_empty(&p->terms))
            picker_free(t, p);
        return NULL;
    }
    m->picker = p;
    list_init(&m->idle);
    list_init(&m->waits);
    list_push(&p->terms, &m->link);
    return m;
}

static void count_space(struct topology *t, struct term *m, const struct space *s)
{
    list_each(at, &s->guests)
    {
        struct guest *g = list_item(at, struct guest, link);
        if (g->leaving && !m->picker->leaving)
            continue;
        const struct val *labels = topology_labels(t->scratch, g->object);
        if (topology_means(t, m->picker, str_of(s->name), labels))
            topology_count(t, m, g, 1);
        arena_reset(t->scratch);
    }
}

/* Whom it means among those that are there. */
static void count_all(struct topology *t, struct term *m)
{
    size_t at = 0;
    struct str name;
    void *value;
    const struct part *first = m->picker->parts;
    m->counted = true;
    m->picker->n_counted++;
    if (t->stale)
        return;
    for (unsigned i = 0; !first->spaces && i < first->n_names; i++)
        if ((value = map_get(&t->spaces, first->names[i])))
            count_space(t, m, value);
    while (first->spaces && map_next(&t->spaces, &at, &name, &value))
        count_space(t, m, value);
}

struct term *topology_term(struct topology *t, const struct pick *p, unsigned n, bool leaving, struct str key, bool counted)
{
    struct picker *x = picker_of(t, p, n, leaving);
    struct term *m = NULL;
    if (!x)
        return NULL;
    list_each(at, &x->terms)
    {
        struct term *one = list_item(at, struct term, link);
        if (str_is(key, one->key->name))
            m = one;
    }
    if (!m && !(m = term_new(t, x, key)))
        return NULL;
    if (!list_empty(&m->idle)) {
        list_remove(&m->idle);
        t->n_idle--;
    }
    m->refs++;
    if (counted && !m->counted)
        count_all(t, m);
    return m;
}

void topology_done(struct topology *t, struct term *m)
{
    if (--m->refs)
        return;
    list_push(&t->idle, &m->idle);
    if (++t->n_idle <= IDLE_MAX)
        return;
    t->n_idle--;
    term_free(t, list_item(t->idle.next, struct term, idle));
}

void topology_terms_free(struct topology *t)
{
    struct list *at;
    while ((at = list_pop(&t->idle)))
        term_free(t, list_item(at, struct term, idle));
    map_free(&t->pickers);
    map_free(&t->buckets);
}

/* --- those that some guest has --- */

struct asking {
    struct topology *t;
    struct str ns;
    const struct val *labels;
    void (*each)(void *ctx, struct term *m);
    void *ctx;
};

static void ask(void *ctx, struct picker *p)
{
    const struct asking *q = ctx;
    int means_it = -1;
    list_each(at, &p->terms)
    {
        struct term *m = list_item(at, struct term, link);
        if (!m->owners.used && !m->pull.used)
            continue;
        if (means_it < 0)
            means_it = topology_means(q->t, p, q->ns, q->labels);
        if (means_it)
            q->each(q->ctx, m);
    }
}

void topology_each(struct topology *t, struct str ns, const struct val *labels, void (*each)(void *ctx, struct term *m), void *ctx)
{
    struct asking q = { t, ns, labels, each, ctx };
    if (t->n_pickers)
        topology_candidates(t, labels, ask, &q);
}

/* --- a guest's own --- */

struct pick topology_pick(struct str ns, const struct val *term)
{
    return (struct pick){ ns, json_get(term, STR("namespaces")), json_get(term, STR("namespaceSelector")), json_get(term, STR("labelSelector")) };
}

static bool use(struct topology *t, struct guest *g, struct str ns, const struct val *term, int32_t owners, int32_t pull)
{
    struct pick p = topology_pick(ns, term);
    struct term *m = topology_term(t, &p, 1, true, json_str(term, "topologyKey"), false);
    struct topology_use *more = m ? mem_resize(g->uses, (g->n_uses + 1) * sizeof *more) : NULL;
    if (!more) {
        if (m)
            topology_done(t, m);
        return false;
    }
    g->uses = more;
    g->uses[g->n_uses++] = (struct topology_use){ m, owners, pull };
    return true;
}

static bool use_list(struct topology *t, struct guest *g, struct str ns, const struct val *list, bool wish, int32_t owners, int32_t pull)
{
    bool ok = true;
    if (val_is(list, VAL_ARR))
        val_each(v, list) ok &= use(t, g, ns, wish ? json_get(v, STR("podAffinityTerm")) : v, owners, wish ? pull * (int32_t)json_int(v, "weight", 0) : pull);
    return ok;
}

bool topology_uses_read(struct topology *t, struct guest *g, const struct val *pod)
{
    const struct val *affinity = json_path(pod, "spec.affinity");
    if (!affinity)
        return true;
    struct str ns = json_str(pod, "metadata.namespace");
    const struct val *near = json_get(affinity, STR("podAffinity")), *apart = json_get(affinity, STR("podAntiAffinity"));
    return use_list(t, g, ns, json_get(near, STR(TERMS_REQUIRED)), false, 0, HARD_WEIGHT) && use_list(t, g, ns, json_get(near, STR(TERMS_PREFERRED)), true, 0, 1) &&
           use_list(t, g, ns, json_get(apart, STR(TERMS_REQUIRED)), false, 1, 0) && use_list(t, g, ns, json_get(apart, STR(TERMS_PREFERRED)), true, 0, -1);
}

/* --- who waits --- */

void topology_wait(struct topology *t, struct topology_wait *w)
{
    (void)t;
    w->term->refs++;
    list_push(&w->term->waits, &w->link);
}

void topology_wait_end(struct topology *t, struct topology_wait *w)
{
    if (!w->term)
        return;
    list_remove(&w->link);
    topology_done(t, w->term);
    w->term = NULL;
}
