/* rules.c - see rules.h. */
#include "reconcile/rules.h"

#include "object/object.h"

#define SPREAD_NO   "node(s) didn't match pod topology spread constraints"
#define SPREAD_KEY  "node(s) didn't match pod topology spread constraints (missing required label)"
#define NEAR_NO     "node(s) didn't match pod affinity rules"
#define APART_NO    "node(s) didn't match pod anti-affinity rules"
#define UNWANTED_NO "node(s) didn't satisfy existing pods anti-affinity rules"

static struct rule *rule_new(struct rules *r, enum rule_kind kind, struct term *m, bool own)
{
    if (m && r->n == r->most) {
        unsigned most = r->most ? r->most * 2 : 8;
        struct rule *more = arena_alloc(r->arena, most * sizeof *more);
        if (more && r->n)
            memcpy(more, r->at, r->n * sizeof *more);
        r->at = more ? more : r->at;
        r->most = more ? most : r->most;
    }
    if (!m || r->n == r->most) {
        if (m && own)
            topology_done(r->topology, m);
        r->failed = true;
        return NULL;
    }
    r->at[r->n] = (struct rule){ .kind = kind, .term = m, .own = own };
    return &r->at[r->n++];
}

/* --- affinity --- */

/* A guest counts when it is meant by all of them: one picker for all. */
static void read_near(struct rules *r, const struct val *list)
{
    unsigned n = 0;
    struct pick *all = arena_alloc(r->arena, list->n * sizeof *all);
    if (!all) {
        r->failed = true;
        return;
    }
    val_each(v, list) all[n++] = topology_pick(r->ns, v);
    struct rule *any = NULL;
    val_each(v, list) {
        if (!(any = rule_new(r, RULE_NEAR, topology_term(r->topology, all, n, true, json_str(v, "topologyKey"), true), true)))
            return;
    }
    r->near_self = any && topology_means(r->topology, any->term->picker, r->ns, r->labels);
}

/* The first of a group may go anywhere where the others could be near it. */
static bool begins(const struct rules *r)
{
    for (unsigned i = 0; r->near_self && i < r->n; i++)
        if (r->at[i].kind == RULE_NEAR && r->at[i].term->matched.used)
            return false;
    return r->near_self;
}

static void read_apart(struct rules *r, const struct val *list)
{
    val_each(v, list) {
        struct pick p = topology_pick(r->ns, v);
        if (!rule_new(r, RULE_APART, topology_term(r->topology, &p, 1, true, json_str(v, "topologyKey"), true), true))
            return;
    }
}

static void unwanted(void *ctx, struct term *m)
{
    if (m->owners.used)
        rule_new(ctx, RULE_UNWANTED, m, false);
}

/* --- spreading --- */

const struct val *rules_spread_selector(struct arena *a, const struct val *constraint, const struct val *labels)
{
    const struct val *selector = json_get(constraint, STR("labelSelector")), *keys = json_get(constraint, STR("matchLabelKeys"));
    if (!selector || !val_is(keys, VAL_ARR) || !keys->n)
        return selector;
    struct val *more = val_copy(a, selector);
    selector_add_keys(a, more, keys, "In", labels);
    return more;
}

bool rules_counts_node(const struct pod_needs *needs, bool honors_affinity, bool honors_taints, const struct ledger_node *n)
{
    return (!honors_affinity || filter_affinity(needs, n)) && (!honors_taints || filter_taints(needs, n));
}

static bool has_all_keys(const struct rules *r, const struct ledger_node *n)
{
    for (unsigned i = 0; i < r->n; i++)
        if (r->at[i].kind == RULE_SPREAD && !spot_domain(&n->spot, r->at[i].term->key))
            return false;
    return true;
}

static void note_least(struct rule *u, const struct domain *d, int64_t n)
{
    if (n < u->least) {
        u->second = u->least;
        u->least = n;
        u->least_at = d;
    } else if (n < u->second)
        u->second = n;
}

/* Guests of the nodes that count, by domain. */
static void count_locally(struct rules *r, struct rule *u)
{
    for (struct ledger_node *n = ledger_next(r->ledger, NULL); n; n = ledger_next(r->ledger, n)) {
        if (!has_all_keys(r, n) || !rules_counts_node(r->needs, u->honors_affinity, u->honors_taints, n))
            continue;
        const struct domain *d = spot_domain(&n->spot, u->term->key), *self = spot_domain(&n->spot, u->nodes->key);
        int64_t there = u->everything ? 0 : tally_get(&u->nodes->matched, self) + tally_get(&u->nodes->promised, self);
        /* One more than there are: a domain without guests must be there too. */
        if (!tally_add(&u->counts, d, tally_get(&u->counts, d) ? there : there + 1))
            r->failed = true;
    }
    size_t at = 0;
    const void *d;
    int64_t there;
    while (tally_next(&u->counts, &at, &d, &there))
        note_least(u, d, there - 1);
    u->n_domains = u->counts.used;
}

/* All nodes count: so do the counters of the term. */
static void count_globally(struct rule *u)
{
    const struct term *m = u->term;
    u->n_domains = m->key->n_domains;
    if (!u->everything && !m->promised.used && m->matched.used == u->n_domains) {
        size_t at = 0;
        const void *d;
        int64_t there;
        while (tally_next(&m->matched, &at, &d, &there))
            note_least(u, d, there);
        return;
    }
    if (u->everything || m->matched.used + m->promised.used + 2 <= u->n_domains) {
        u->least = u->second = 0;       /* two at least are empty */
        return;
    }
    list_each(at, &m->key->domains)
    {
        const struct domain *d = list_item(at, struct domain, link);
        note_least(u, d, tally_get(&m->matched, d) + tally_get(&m->promised, d));
    }
}

static void read_spread(struct rules *r, const struct val *c)
{
    struct pick p = { .ns = r->ns, .selector = rules_spread_selector(r->arena, c, r->labels) };
    struct rule *u = rule_new(r, RULE_SPREAD, topology_term(r->topology, &p, 1, false, json_str(c, "topologyKey"), true), true);
    if (!u)
        return;
    u->selector = p.selector;
    u->max_skew = json_int(c, "maxSkew", 1);
    u->min_domains = json_int(c, "minDomains", 1);
    u->self = topology_means(r->topology, u->term->picker, r->ns, r->labels);
    u->everything = topology_selects_all(u->term->picker);
    u->honors_affinity = !str_is(json_str(c, "nodeAffinityPolicy"), "Ignore") && filter_has_affinity(r->needs);
    u->honors_taints = str_is(json_str(c, "nodeTaintsPolicy"), "Honor");
    u->least = u->second = INT32_MAX;
}

static void count_spread(struct rules *r, struct rule *u, bool everywhere)
{
    struct pick p = { .ns = r->ns, .selector = u->selector };
    u->local = u->honors_affinity || u->honors_taints || !everywhere;
    if (!u->local)
        count_globally(u);
    else if ((u->nodes = topology_term(r->topology, &p, 1, false, TOPOLOGY_NODES, true)))
        count_locally(r, u);
    else
        r->failed = true;
}

static void read_spreads(struct rules *r, const struct val *list)
{
    bool everywhere = true;
    val_each(c, list) if (str_is(json_str(c, "whenUnsatisfiable"), "DoNotSchedule")) read_spread(r, c);
    for (unsigned i = 0; i < r->n; i++)
        everywhere &= r->at[i].term->key->n_nodes == ledger_count(r->ledger);
    for (unsigned i = 0; i < r->n && !r->failed; i++)
        count_spread(r, &r->at[i], everywhere);
}

static const char *spread_refuses(const struct rule *u, const struct ledger_node *n, bool *ret_hopeless)
{
    const struct domain *d = spot_domain(&n->spot, u->term->key);
    if (!d) {
        *ret_hopeless = true;
        return SPREAD_KEY;
    }
    int64_t kept = u->local ? tally_get(&u->counts, d) : 0;
    int64_t there = u->everything ? 0 : u->local ? (kept ? kept - 1 + u->delta : 0) : tally_get(&u->term->matched, d) + tally_get(&u->term->promised, d);
    int64_t least = d == u->least_at ? u->second : u->least;
    if (!u->local || kept)
        least = there < least ? there : least;
    if (u->n_domains < u->min_domains)
        least = 0;
    return there + u->self - least > u->max_skew ? SPREAD_NO : NULL;
}

/* --- all of it --- */

bool rules_read(struct rules *r, struct ledger *l, struct arena *a, const struct pod_needs *needs)
{
    const struct val *spread = json_path(needs->pod, "spec.topologySpreadConstraints"), *affinity = json_path(needs->pod, "spec.affinity");
    const struct val *near = json_path(affinity, "podAffinity." TERMS_REQUIRED), *apart = json_path(affinity, "podAntiAffinity." TERMS_REQUIRED);
    *r = (struct rules){ .ledger = l, .topology = ledger_topology(l), .arena = a, .needs = needs, .ns = json_str(needs->pod, "metadata.namespace"),
                         .labels = json_path(needs->pod, "metadata.labels") };
    if (!topology_ready(r->topology))
        return false;
    if (val_is(spread, VAL_ARR))
        read_spreads(r, spread);
    if (val_is(near, VAL_ARR) && near->n)
        read_near(r, near);
    if (val_is(apart, VAL_ARR))
        read_apart(r, apart);
    topology_each(r->topology, r->ns, r->labels, unwanted, r);
    return !r->failed && topology_ready(r->topology);
}

void rules_done(struct rules *r)
{
    for (unsigned i = 0; i < r->n; i++) {
        struct rule *u = &r->at[i];
        tally_free(&u->counts);
        if (u->nodes)
            topology_done(r->topology, u->nodes);
        if (u->own)
            topology_done(r->topology, u->term);
    }
    r->n = 0;
}

static const char *refuses(const struct rules *r, const struct rule *u, const struct ledger_node *n, bool *ret_hopeless)
{
    const struct domain *d = spot_domain(&n->spot, u->term->key);
    switch (u->kind) {
    case RULE_SPREAD:
        return spread_refuses(u, n, ret_hopeless);
    case RULE_NEAR:
        *ret_hopeless = true;
        return d && (tally_get(&u->term->matched, d) > 0 || begins(r)) ? NULL : NEAR_NO;
    case RULE_APART:
        return d && tally_get(&u->term->matched, d) + tally_get(&u->term->promised, d) > 0 ? APART_NO : NULL;
    default:
        return d && tally_get(&u->term->owners, d) > 0 ? UNWANTED_NO : NULL;
    }
}

const char *rules_refuse(struct rules *r, const struct ledger_node *n, bool *ret_hopeless)
{
    for (unsigned i = 0; i < r->n; i++) {
        bool hopeless = false;
        const char *why = refuses(r, &r->at[i], n, &hopeless);
        if (!why)
            continue;
        r->at[i].refused = true;
        if (ret_hopeless)
            *ret_hopeless = hopeless;
        return why;
    }
    return NULL;
}

void rules_aside(struct rules *r, const struct guest *g, bool aside)
{
    for (unsigned i = 0; i < r->n; i++) {
        struct rule *u = &r->at[i];
        if (u->kind != RULE_SPREAD || !u->local || g->leaving || !has_all_keys(r, g->node) || !rules_counts_node(r->needs, u->honors_affinity, u->honors_taints, g->node))
            continue;
        if (topology_means_guest(r->topology, u->term->picker, g))
            u->delta += aside ? -1 : 1;
    }
}
