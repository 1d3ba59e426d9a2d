/* prefer.c - see prefer.h. */
#include "reconcile/prefer.h"

#include "reconcile/topology.h"

static void set_all(struct prefer *p, enum preference which, uint8_t value)
{
    for (unsigned i = 0; i < p->n; i++)
        p->at[i].prefers[which] = value;
}

void prefer_by_most(struct prefer *p, enum preference which, bool upside_down)
{
    int64_t most = 0;
    for (unsigned i = 0; i < p->n; i++)
        most = p->raw[i] > most ? p->raw[i] : most;
    for (unsigned i = 0; i < p->n; i++) {
        int64_t part = most ? p->raw[i] * 100 / most : 0;
        p->at[i].prefers[which] = (uint8_t)(upside_down ? 100 - part : part);
    }
}

static void by_range(struct prefer *p, enum preference which)
{
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (unsigned i = 0; i < p->n; i++) {
        least = p->raw[i] < least ? p->raw[i] : least;
        most = p->raw[i] > most ? p->raw[i] : most;
    }
    for (unsigned i = 0; i < p->n; i++)
        p->at[i].prefers[which] = most > least ? (uint8_t)(100 * ((double)(p->raw[i] - least) / (double)(most - least))) : 0;
}

/* --- the node itself --- */

static void taints(struct prefer *p)
{
    bool any = false;
    for (unsigned i = 0; i < p->n; i++) {
        p->raw[i] = p->at[i].node->taints ? filter_soft_taints(p->needs, p->at[i].node) : 0;
        any |= p->raw[i] != 0;
    }
    if (any)
        prefer_by_most(p, PREFER_TAINTS, true);
    else
        set_all(p, PREFER_TAINTS, 100);
}

static void node_affinity(struct prefer *p)
{
    const struct val *list = json_path(p->needs->pod, "spec.affinity.nodeAffinity." TERMS_PREFERRED);
    if (!val_is(list, VAL_ARR) || !list->n)
        return;
    for (unsigned i = 0; i < p->n; i++) {
        p->raw[i] = 0;
        val_each(v, list) if (filter_term_matches(json_get(v, STR("preference")), p->at[i].node)) p->raw[i] += json_int(v, "weight", 0);
    }
    prefer_by_most(p, PREFER_AFFINITY, false);
}

/* --- pods that are there --- */

/* What a term says of each candidate's domain; mine: how much the pod itself wishes whom it means. */
static void add_term(struct prefer *p, const struct term *m, int64_t mine)
{
    const struct tally *from = mine ? &m->matched : &m->pull;
    for (unsigned i = 0; from->used && i < p->n; i++) {
        const struct domain *d = spot_domain(&p->at[i].node->spot, m->key);
        if (d)
            p->raw[i] += tally_get(from, d) * (mine ? mine : 1);
    }
}

struct wishes {
    struct prefer *p;
    bool any;
};

static void add_pull(void *ctx, struct term *m)
{
    struct wishes *w = ctx;
    if (!m->pull.used)
        return;
    if (!w->any)
        memset(w->p->raw, 0, w->p->n * sizeof *w->p->raw);
    w->any = true;
    add_term(w->p, m, 0);
}

static void add_own(struct wishes *w, const struct val *list, int64_t sign)
{
    struct prefer *p = w->p;
    if (!val_is(list, VAL_ARR))
        return;
    val_each(v, list) {
        const struct val *t = json_get(v, STR("podAffinityTerm"));
        struct pick pick = topology_pick(p->ns, t);
        struct term *m = topology_term(p->topology, &pick, 1, true, json_str(t, "topologyKey"), true);
        if (!m) {
            p->failed = true;
            return;
        }
        if (!w->any)
            memset(p->raw, 0, p->n * sizeof *p->raw);
        w->any = true;
        add_term(p, m, sign * json_int(v, "weight", 0));
        topology_done(p->topology, m);
    }
}

static void neighbours(struct prefer *p)
{
    struct wishes w = { p, false };
    const struct val *affinity = json_path(p->needs->pod, "spec.affinity");
    if (affinity) {
        add_own(&w, json_path(affinity, "podAffinity." TERMS_PREFERRED), 1);
        add_own(&w, json_path(affinity, "podAntiAffinity." TERMS_PREFERRED), -1);
    }
    topology_each(p->topology, p->ns, p->labels, add_pull, &w);
    if (w.any)
        by_range(p, PREFER_NEIGHBOURS);
}

/* --- images --- */

#define MIB (1LL << 20)
#define IMAGES_LEAST (23 * MIB)         /* less is not worth it, and more of one container than the other does not count */
#define IMAGE_MOST   (1000 * MIB)

/* Of its size, as many parts as nodes have it: one image does not draw all pods to one node. */
static bool add_image(struct prefer *p, struct str name, bool any)
{
    const struct image *i = name.len ? images_find(ledger_images(p->ledger), name) : NULL;
    if (!i)
        return any;
    if (!any)
        memset(p->raw, 0, p->n * sizeof *p->raw);
    int64_t worth = (int64_t)((double)i->bytes * ((double)i->nodes.used / (double)ledger_count(p->ledger)));
    for (unsigned k = 0; k < p->n; k++)
        p->raw[k] += tally_get(&i->nodes, p->at[k].node) ? worth : 0;
    return true;
}

static void images(struct prefer *p)
{
    static const char *const lists[] = { "spec.initContainers", "spec.containers" };
    const struct val *volumes = json_path(p->needs->pod, "spec.volumes");
    bool any = false;
    unsigned n = 0;
    for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++) {
        const struct val *list = json_path(p->needs->pod, lists[i]);
        if (val_is(list, VAL_ARR))
            val_each(c, list) {
                any = add_image(p, json_str(c, "image"), any);
                n++;
            }
    }
    if (val_is(volumes, VAL_ARR))
        val_each(v, volumes) any = add_image(p, json_str(v, "image.reference"), any);
    for (unsigned i = 0; any && n && i < p->n; i++) {
        int64_t most = IMAGE_MOST * n, sum = p->raw[i] < IMAGES_LEAST ? IMAGES_LEAST : p->raw[i] > most ? most : p->raw[i];
        p->at[i].prefers[PREFER_IMAGES] = (uint8_t)(100 * (sum - IMAGES_LEAST) / (most - IMAGES_LEAST));
    }
}

bool prefer(struct prefer *p)
{
    p->topology = ledger_topology(p->ledger);
    p->ns = json_str(p->needs->pod, "metadata.namespace");
    p->labels = json_path(p->needs->pod, "metadata.labels");
    if (p->n < 2)
        return true;                    /* nothing to choose */
    if (!(p->raw = arena_raw(p->arena, p->n * sizeof *p->raw)))
        return false;
    taints(p);
    node_affinity(p);
    neighbours(p);
    images(p);
    prefer_spread(p);
    return !p->failed;
}
