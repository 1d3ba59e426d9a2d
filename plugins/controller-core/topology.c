/* topology.c - Services with topology-mode Auto: each zone gets as large a part of the endpoints as it has of the nodes' CPUs. An endpoint's hint names its own zone, or, where
 * a zone has more than its part, one that has less. No zone may have so few that each carries a fifth more than its part; where that cannot be, there are no hints. */
#include "base/quantity.h"
#include "slices.h"

#define AGAIN_NS 60000000000LL          /* nodes come and go */
#define ZONES    64

struct zone {
    struct str name;
    int64_t cpu;                        /* thousandths */
    int64_t have, give, get;            /* endpoints */
    double surplus;                     /* above its part; negative: below */
};

struct zones {
    struct zone at[ZONES];
    unsigned n;
    int64_t cpu;
};

bool topology_auto(const struct val *service)
{
    struct str mode = meta_annotation(service, "service.kubernetes.io/topology-aware-hints");
    if (!mode.at)
        mode = meta_annotation(service, "service.kubernetes.io/topology-mode");
    return str_is(mode, "Auto") || str_is(mode, "auto");
}

static struct zone *zone_find(struct zones *z, struct str name)
{
    for (unsigned i = 0; i < z->n; i++)
        if (str_eq(z->at[i].name, name))
            return &z->at[i];
    return NULL;
}

static bool counts(const struct val *node)
{
    return !json_get(json_path(node, "metadata.labels"), STR("node-role.kubernetes.io/control-plane")) &&
           !json_get(json_path(node, "metadata.labels"), STR("node-role.kubernetes.io/master")) && cond_is(node, "Ready", "True");
}

/* False: a node tells too little, or there is but one zone. */
static bool add_node(struct zones *z, const struct val *node)
{
    struct quantity cpu;
    struct str name = meta_label(node, "topology.kubernetes.io/zone");
    int64_t milli = quantity_parse(json_str(node, "status.allocatable.cpu"), &cpu) ? quantity_milli(cpu) : 0;
    struct zone *one = zone_find(z, name);
    if (!name.len || milli <= 0 || (!one && z->n == ZONES))
        return false;
    if (!one) {
        one = &z->at[z->n++];
        *one = (struct zone){ .name = name };
    }
    one->cpu += milli;
    z->cpu += milli;
    return true;
}

static int read_zones(struct ctl_run *r, struct zones *z, bool *enough)
{
    struct ctl_list nodes;
    int rc = ctl_list(r, (struct kl_list_options){ .resource = NODES }, &nodes);
    *enough = rc == 0;
    for (uint32_t i = 0; *enough && i < nodes.n; i++)
        *enough = !counts(nodes.at[i]) || add_node(z, nodes.at[i]);
    *enough = *enough && z->n > 1;
    return rc;
}

/* --- the endpoints of one address family --- */

struct walk {
    struct slice_plan *p;
    const char *family;
    unsigned group;
    uint32_t i;
};

/* The next one that is ready, or NULL. */
static struct val *next(struct walk *w)
{
    for (; w->group < w->p->n_groups; w->group++, w->i = 0)
        while (strcmp(w->p->groups[w->group].family, w->family) == 0 && w->i < w->p->groups[w->group].n) {
            struct val *e = w->p->groups[w->group].at[w->i++];
            if (json_bool(e, "conditions.ready", false))
                return e;
        }
    return NULL;
}

static void remove_hints(struct slice_plan *p, const char *family)
{
    struct walk w = { p, family, 0, 0 };
    for (struct val *e = next(&w); e; e = next(&w))
        json_del(e, STR("hints"));
}

/* Which zones have too many for their part of n. NULL, or why it cannot be. */
static const char *measure(struct arena *a, struct zones *z, int64_t n)
{
    int64_t left = n;
    if (z->n > n)
        return arena_printf(a, "Insufficient number of endpoints (%lld endpoints, %u zones)", (long long)n, z->n);
    for (unsigned i = 0; i < z->n; i++) {
        double part = (double)(z->at[i].cpu * n) / (double)z->cpu;
        int64_t least = (5 * z->at[i].cpu * n + 6 * z->cpu - 1) / (6 * z->cpu);         /* five sixths of it, rounded up: each carries a fifth more */
        left -= least;
        z->at[i].surplus = (double)z->at[i].have - (part > (double)least ? part : (double)least);
    }
    if (left >= 0)
        return NULL;
    return arena_printf(a, "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold (%lld endpoints, %u zones)",
                        (long long)n, z->n);
}

static struct zone *most(struct zones *z, double sign)
{
    struct zone *best = &z->at[0];
    for (unsigned i = 1; i < z->n; i++)
        if (sign * z->at[i].surplus > sign * best->surplus)
            best = &z->at[i];
    return best;
}

static void match(struct zones *z)
{
    for (;;) {
        struct zone *from = most(z, 1), *to = most(z, -1);
        double give = from->surplus, get = -to->surplus;
        if ((give < 1 && get < 1) || give < 0.5 || get < 0.5)
            return;
        from->give++;
        from->surplus--;
        to->get++;
        to->surplus++;
    }
}

static void hand_over(struct slice_plan *p, const char *family, struct zones *z)
{
    struct walk w = { p, family, 0, 0 };
    for (struct val *e = next(&w); e; e = next(&w)) {
        struct zone *from = zone_find(z, json_str(e, "zone")), *to = z->at;
        while (to < z->at + z->n && !to->get)
            to++;
        if (!from || !from->give || to == z->at + z->n)
            continue;
        from->give--;
        to->get--;
        endpoint_hint(p->r->arena, e, "forZones", to->name);
    }
}

/* NULL, or why there are no hints. */
static const char *spread(struct slice_plan *p, const char *family, struct zones *z)
{
    struct walk w = { p, family, 0, 0 };
    bool placed = true;
    int64_t n = 0;
    for (struct val *e = next(&w); e; e = next(&w), n++) {
        struct zone *own = zone_find(z, json_str(e, "zone"));
        placed &= json_str(e, "zone").len > 0;
        if (own)
            own->have++;
        endpoint_hint(p->r->arena, e, "forZones", json_str(e, "zone"));
    }
    const char *why = measure(p->r->arena, z, n);
    if (why)
        return why;
    if (!placed)
        return "One or more endpoints do not have a zone specified";
    match(z);
    hand_over(p, family, z);
    return NULL;
}

/* --- all families --- */

static bool had_hints(const struct ctl_list *existing)
{
    for (uint32_t i = 0; i < existing->n; i++) {
        struct val *endpoints = json_get(existing->at[i], STR("endpoints"));
        if (val_is(endpoints, VAL_ARR))
            val_each(e, endpoints)
                if (json_get(e, STR("hints")))
                    return true;
    }
    return false;
}

/* What is as it was is not told again. */
static void tell(struct slice_plan *p, const char *family, const char *why, const struct ctl_list *existing)
{
    bool had = had_hints(existing);
    if (!why && !had)
        ctl_event(p->r, p->owner, "Normal", "TopologyAwareHintsEnabled", "Topology Aware Hints has been enabled, addressType: %s", family);
    else if (why && (had || !existing->n))
        ctl_event(p->r, p->owner, "Warning", "TopologyAwareHintsDisabled", "%s, addressType: %s", why, family);
}

int topology_hints(struct slice_plan *p, const struct ctl_list *existing)
{
    static const char *const families[] = { "IPv4", "IPv6" };
    struct zones *all = arena_alloc(p->r->arena, sizeof *all), *z = arena_alloc(p->r->arena, sizeof *z);
    bool enough = false;
    int rc = all && z ? read_zones(p->r, all, &enough) : ctl_no_memory(p->r);
    for (int f = 0; rc == 0 && f < 2; f++) {
        struct walk w = { p, families[f], 0, 0 };
        if (!next(&w))
            continue;
        *z = *all;
        const char *why = enough ? spread(p, families[f], z) : "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes";
        if (why)
            remove_hints(p, families[f]);
        tell(p, families[f], why, existing);
    }
    ctl_again(p->r, AGAIN_NS);
    return rc;
}
