/* prefer_spread.c - how even pods are spread where it must not be: ScheduleAnyway constraints, and upstream's default ones for pods of a Service or controller. */
#include <math.h>

#include "reconcile/prefer.h"
#include "reconcile/rules.h"
#include "reconcile/topology.h"

#define HOSTNAME "kubernetes.io/hostname"
#define ZONE     "topology.kubernetes.io/zone"
#define MOST     16                     /* constraints of a pod */

struct wish {
    struct term *term, *nodes;          /* nodes: guests per node, for names of hosts and for what is counted here; else NULL */
    const struct val *selector;
    int64_t max_skew;
    double weight;                      /* by how many domains there are: few large ones count as much as many small ones */
    bool honors_affinity, honors_taints;
    bool hosts, everything;
    bool local;                         /* not all nodes count */
    struct tally counts;
};

struct spreading {
    struct prefer *p;
    struct wish at[MOST];
    unsigned n;
    bool all_keys;                      /* asked for: nodes that lack a key of any are left out */
};

/* False: out of memory. */
static bool count_nodes(struct spreading *s, struct wish *w)
{
    struct pick pick = { .ns = s->p->ns, .selector = w->selector };
    w->nodes = topology_term(s->p->topology, &pick, 1, false, TOPOLOGY_NODES, true);
    s->p->failed |= !w->nodes;
    return w->nodes != NULL;
}

static void add(struct spreading *s, const struct val *selector, struct str key, int64_t max_skew, const struct val *c)
{
    struct prefer *p = s->p;
    struct pick pick = { .ns = p->ns, .selector = selector };
    struct wish *w = &s->at[s->n];
    if (s->n == MOST)
        return;
    *w = (struct wish){ .selector = selector, .max_skew = max_skew, .hosts = str_is(key, HOSTNAME) };
    w->honors_affinity = filter_has_affinity(p->needs) && !str_is(json_str(c, "nodeAffinityPolicy"), "Ignore");
    w->honors_taints = str_is(json_str(c, "nodeTaintsPolicy"), "Honor");
    w->term = topology_term(p->topology, &pick, 1, false, key, !w->hosts);
    if (!w->term) {
        p->failed = true;
        return;
    }
    w->everything = topology_selects_all(w->term->picker);
    s->n++;
    if (w->hosts)
        count_nodes(s, w);
}

static void read_wishes(struct spreading *s)
{
    struct prefer *p = s->p;
    const struct val *list = json_path(p->needs->pod, "spec.topologySpreadConstraints");
    if (val_is(list, VAL_ARR) && list->n) {
        s->all_keys = true;
        val_each(c, list)
            if (str_is(json_str(c, "whenUnsatisfiable"), "ScheduleAnyway"))
                add(s, rules_spread_selector(p->arena, c, p->labels), json_str(c, "topologyKey"), json_int(c, "maxSkew", 1), c);
        return;
    }
    const struct val *selector = p->services ? services_selector(p->services, p->arena, p->needs->pod) : NULL;
    if (!selector)
        return;
    add(s, selector, STR(HOSTNAME), 3, NULL);
    add(s, selector, STR(ZONE), 5, NULL);
}

static bool left_out(const struct spreading *s, const struct ledger_node *n)
{
    for (unsigned i = 0; s->all_keys && i < s->n; i++)
        if (!spot_domain(&n->spot, s->at[i].term->key))
            return true;
    return false;
}

/* How many domains there are among the candidates. */
static void weigh(struct spreading *s, struct wish *w, unsigned n_left)
{
    struct tally seen = { 0 };
    bool none = false;
    unsigned size = n_left;
    if (!w->hosts) {
        for (unsigned i = 0; i < s->p->n; i++) {
            const struct ledger_node *n = s->p->at[i].node;
            const struct domain *d = left_out(s, n) ? NULL : spot_domain(&n->spot, w->term->key);
            none |= !d && !s->all_keys;
            if (d && !tally_get(&seen, d) && !tally_add(&seen, d, 1))
                s->p->failed = true;
        }
        size = seen.used + none;
    }
    tally_free(&seen);
    w->weight = log((double)size + 2);
}

static void count(struct spreading *s, struct wish *w)
{
    struct prefer *p = s->p;
    bool everywhere = true;
    for (unsigned i = 0; s->all_keys && i < s->n; i++)
        everywhere &= s->at[i].term->key->n_nodes == ledger_count(p->ledger);
    w->local = !w->hosts && !w->everything && (w->honors_affinity || w->honors_taints || !everywhere) && count_nodes(s, w);
    for (struct ledger_node *n = w->local ? ledger_next(p->ledger, NULL) : NULL; n; n = ledger_next(p->ledger, n)) {
        const struct domain *d = spot_domain(&n->spot, w->term->key), *self = spot_domain(&n->spot, w->nodes->key);
        if (d && !left_out(s, n) && rules_counts_node(p->needs, w->honors_affinity, w->honors_taints, n) && !tally_add(&w->counts, d, tally_get(&w->nodes->matched, self)))
            p->failed = true;
    }
}

static int64_t there(const struct wish *w, const struct ledger_node *n, const struct domain *d)
{
    if (w->everything)
        return 0;
    if (w->hosts && w->nodes)
        return tally_get(&w->nodes->matched, spot_domain(&n->spot, w->nodes->key));
    return tally_get(w->local ? &w->counts : &w->term->matched, d);
}

static int64_t crowd(const struct spreading *s, const struct ledger_node *n)
{
    double sum = 0;
    for (unsigned i = 0; i < s->n; i++) {
        const struct wish *w = &s->at[i];
        const struct domain *d = spot_domain(&n->spot, w->term->key);
        if (d)
            sum += (double)there(w, n, d) * w->weight + (double)(w->max_skew - 1);
    }
    return llround(sum);
}

/* The fewest is best; who is left out comes last. */
static void rank(struct spreading *s)
{
    struct prefer *p = s->p;
    int64_t least = INT64_MAX, most = 0;
    for (unsigned i = 0; i < p->n; i++) {
        p->raw[i] = left_out(s, p->at[i].node) ? -1 : crowd(s, p->at[i].node);
        if (p->raw[i] < 0)
            continue;
        least = p->raw[i] < least ? p->raw[i] : least;
        most = p->raw[i] > most ? p->raw[i] : most;
    }
    for (unsigned i = 0; i < p->n; i++)
        p->at[i].prefers[s->all_keys ? PREFER_SPREAD : PREFER_UNASKED] = p->raw[i] < 0 ? 0 : !most ? 100 : (uint8_t)(100 * (most + least - p->raw[i]) / most);
}

void prefer_spread(struct prefer *p)
{
    struct spreading s = { .p = p };
    unsigned n_left = 0;
    read_wishes(&s);
    for (unsigned i = 0; s.n && i < p->n; i++)
        n_left += !left_out(&s, p->at[i].node);
    for (unsigned i = 0; i < s.n; i++) {
        weigh(&s, &s.at[i], n_left);
        count(&s, &s.at[i]);
    }
    if (s.n)
        rank(&s);
    for (unsigned i = 0; i < s.n; i++) {
        tally_free(&s.at[i].counts);
        topology_done(p->topology, s.at[i].term);
        if (s.at[i].nodes)
            topology_done(p->topology, s.at[i].nodes);
    }
}
