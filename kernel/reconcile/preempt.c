/* preempt.c - see preempt.h. Rules and words are those of upstream's scheduler plugin DefaultPreemption. */
#include "reconcile/preempt.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/json_scan.h"

#define REASON "PreemptionByScheduler"

int64_t preempt_priority(const struct preempt *p)
{
    return json_int(p->needs->pod, "spec.priority", 0);
}

bool preempt_never(const struct preempt *p)
{
    return str_is(json_str(p->needs->pod, "spec.preemptionPolicy"), "Never");
}

bool preempt_may(const struct preempt *p)
{
    return !preempt_never(p) && preempt_priority(p) > ledger_lowest(p->ledger);
}

/* --- who must go from a node --- */

static int by_importance(const void *a, const void *b)
{
    const struct preempt_victim *x = a, *y = b;
    if (x->guest.priority != y->guest.priority)
        return x->guest.priority > y->guest.priority ? -1 : 1;
    if (x->began_ns != y->began_ns)
        return x->began_ns < y->began_ns ? -1 : 1;
    return strcmp(x->guest.uid, y->guest.uid);
}

static int64_t began(const struct store_object *pod)
{
    int64_t ns;
    struct str text = pod ? json_scan_text(json_scan_path(store_object_json(pod), "status.startTime")) : STR_NONE;
    return text.len && clock_parse(text, &ns) ? ns : INT64_MAX;
}

static struct store_object *pod_of(const struct preempt *p, const struct ledger_guest *g)
{
    struct store_object *o = store_head(p->store, STR("/pods"), str_of(g->ns), str_of(g->name));
    return o && str_is(store_object_uid(o), g->uid) ? o : NULL;
}

static struct preempt_victim *candidates_on(const struct preempt *p, const struct ledger_node *n, unsigned *ret_n)
{
    struct ledger_guest *g = ledger_guests(n, preempt_priority(p), p->arena, ret_n);
    struct preempt_victim *v = *ret_n ? arena_alloc(p->arena, *ret_n * sizeof *v) : NULL;
    if (!v)
        *ret_n = 0;
    for (unsigned i = 0; i < *ret_n; i++)
        v[i] = (struct preempt_victim){ .guest = g[i], .began_ns = began(pod_of(p, &g[i])) };
    if (v)
        qsort(v, *ret_n, sizeof *v, by_importance);
    return v;
}

/* Whose going would violate a budget: they are charged in order of importance. */
static void ask_budgets(const struct preempt *p, struct budgets *b, struct preempt_victim *v, unsigned n)
{
    budgets_begin(b);
    for (unsigned i = 0; b->n && i < n; i++) {
        struct store_object *o = pod_of(p, &v[i].guest);
        struct str labels = o ? json_scan_path(store_object_json(o), "metadata.labels") : STR_NONE;
        v[i].violates = labels.at && budgets_charge(b, str_of(v[i].guest.ns), str_of(v[i].guest.name), json_parse(p->arena, labels, NULL));
    }
}

/* Room beside the pods that are there, and none among them that it must not be with. */
static const char *refuses(const struct preempt *p, const struct ledger_node *n)
{
    const char *why = filter_room(p->arena, p->needs, n);
    return why || !p->rules ? why : rules_refuse(p->rules, n, NULL);
}

/* Whoever goes. What it must be near is looked at only where there is room already: as upstream asks, who ends with the first refusal. */
static bool hopeless(const struct preempt *p, const struct ledger_node *n)
{
    bool never = false;
    if (filter_place(p->needs, n) || filter_too_large(p->needs, n) || (p->fits && !p->fits(p->ctx, n)))
        return true;
    return p->rules && !filter_room(p->arena, p->needs, n) && rules_refuse(p->rules, n, &never) && never;
}

static void set_aside(const struct preempt *p, struct ledger_node *n, struct preempt_victim *v, bool aside)
{
    ledger_set_aside(p->ledger, n, &v->guest, aside);
    if (p->rules)
        rules_aside(p->rules, v->guest.guest, aside);
}

/* Back in, the most important first, as long as there is room beside it. */
static void reprieve(const struct preempt *p, struct ledger_node *n, struct preempt_victim *v, unsigned all, bool violating)
{
    for (unsigned i = 0; i < all; i++) {
        if (v[i].violates != violating)
            continue;
        set_aside(p, n, &v[i], false);
        v[i].goes = refuses(p, n) != NULL;
        if (v[i].goes)
            set_aside(p, n, &v[i], true);
    }
}

/* NULL, or why it would not help. */
static const char *victims_on(const struct preempt *p, struct budgets *b, struct ledger_node *n, struct preempt_plan *ret)
{
    unsigned all, kept = 0;
    if (hopeless(p, n))
        return PREEMPT_NO_HELP;
    if (n->lowest >= preempt_priority(p))
        return PREEMPT_NO_VICTIMS;
    struct preempt_victim *v = candidates_on(p, n, &all);
    if (!all || !refuses(p, n))
        return PREEMPT_NO_VICTIMS;
    for (unsigned i = 0; i < all; i++)
        set_aside(p, n, &v[i], true);
    const char *why = refuses(p, n);
    if (why) {
        for (unsigned i = 0; i < all; i++)
            set_aside(p, n, &v[i], false);
        return why;
    }
    ask_budgets(p, b, v, all);
    reprieve(p, n, v, all, true);
    reprieve(p, n, v, all, false);
    *ret = (struct preempt_plan){ .node = n, .victims = v };
    for (unsigned i = 0; i < all; i++) {
        if (!v[i].goes)
            continue;
        set_aside(p, n, &v[i], false);
        ret->violations += v[i].violates;
        v[kept++] = v[i];
    }
    ret->n = kept;
    return kept ? NULL : PREEMPT_NO_VICTIMS;
}

/* --- which node --- */

struct cost {
    int64_t highest, sum, began;
};

static struct cost cost_of(const struct preempt_plan *plan)
{
    struct cost c = { .highest = plan->victims[0].guest.priority, .began = plan->victims[0].began_ns };
    for (unsigned i = 0; i < plan->n; i++)
        c.sum += plan->victims[i].guest.priority - INT32_MIN;   /* upstream counts from there too: more victims never are cheaper */
    return c;
}

static bool cheaper(const struct preempt_plan *a, const struct preempt_plan *b)
{
    struct cost x = cost_of(a), y = cost_of(b);
    if (a->violations != b->violations)
        return a->violations < b->violations;
    if (x.highest != y.highest)
        return x.highest < y.highest;
    if (x.sum != y.sum)
        return x.sum < y.sum;
    return a->n != b->n ? a->n < b->n : x.began > y.began;
}

struct preempt_plan preempt_find(const struct preempt *p)
{
    struct preempt_plan best = { 0 };
    struct verdict why = { 0 };
    struct budgets b = budgets_read(p->store, p->arena);
    for (struct ledger_node *n = ledger_next(p->ledger, NULL); n; n = ledger_next(p->ledger, n)) {
        struct preempt_plan plan;
        const char *no = victims_on(p, &b, n, &plan);
        if (no)
            verdict_add(&why, no, 1);
        else if (!best.node || cheaper(&plan, &best))
            best = plan;
    }
    best.why = why;
    return best;
}

/* --- and they go --- */

static bool deleted(const struct store_object *o)
{
    return json_scan_path(store_object_json(o), "metadata.deletionTimestamp").at;
}

static bool told_to_go(const struct store_object *o)
{
    struct str list = json_scan_path(store_object_json(o), "status.conditions"), one;
    while (json_scan_item(&list, &one))
        if (str_is(json_scan_text(json_scan_member(one, STR("type"))), "DisruptionTarget"))
            return str_is(json_scan_text(json_scan_member(one, STR("status"))), "True") && str_is(json_scan_text(json_scan_member(one, STR("reason"))), REASON);
    return false;
}

bool preempt_waits(const struct preempt *p, const struct ledger_node *n)
{
    unsigned all;
    struct ledger_guest *g = ledger_guests(n, preempt_priority(p), p->arena, &all);
    for (unsigned i = 0; i < all; i++) {
        struct store_object *o = g[i].promised ? NULL : pod_of(p, &g[i]);
        if (o && deleted(o) && told_to_go(o))
            return true;
    }
    return false;
}

/* The patch of a status; made for that very pod. */
static int patch_status(const struct preempt *p, const struct ledger_guest *g, const char *status, struct objects *o, const char *who, struct kl_call *c)
{
    struct kl_object_key k = { sizeof k, "/pods", g->ns, g->name, "status" };
    char *patch = status ? arena_printf(p->arena, "{\"metadata\":{\"uid\":\"%s\"},\"status\":%s}", g->uid, status) : NULL;
    if (!patch)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    return o->ops->patch(o, who, c, &k, KL_PATCH_STRATEGIC, (struct kl_bytes){ patch, strlen(patch) }, NULL);
}

static int mark(const struct preempt *p, const struct ledger_guest *g, struct objects *o, const char *who, struct kl_call *c)
{
    char now[CLOCK_TEXT];
    clock_format(env_wall_ns(), now);
    struct store_object *pod = pod_of(p, g);
    struct str generation = pod ? json_scan_path(store_object_json(pod), "metadata.generation") : STR_NONE;
    return patch_status(p, g, arena_printf(p->arena, "{\"conditions\":[{\"type\":\"DisruptionTarget\",\"status\":\"True\",\"observedGeneration\":" STR_FMT ","
                                           "\"reason\":\"" REASON "\",\"message\":\"%s: preempting to accommodate a higher priority pod\",\"lastTransitionTime\":\"%s\"}]}",
                                           STR_ARG(generation.len ? generation : STR("0")), who, now), o, who, c);
}

static int evict(const struct preempt *p, const struct ledger_guest *g, const char *node, struct objects *o, const char *who, struct kl_call *c)
{
    struct kl_object_key k = { sizeof k, "/pods", g->ns, g->name, NULL };
    struct kl_delete_options how = { .size = sizeof how, .uid = g->uid, .grace_seconds = -1 };
    char *about = arena_printf(p->arena, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"namespace\":\"%s\",\"name\":\"%s\",\"uid\":\"%s\"}", g->ns, g->name, g->uid);
    char *words = arena_printf(p->arena, "Preempted by pod " STR_FMT " on node %s", STR_ARG(json_str(p->needs->pod, "metadata.uid")), node);
    if (!about || !words)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int rc = mark(p, g, o, who, c);
    if (rc == 0 || rc == -KL_PENDING)
        rc = o->ops->remove(o, who, c, &k, &how);
    if (rc == 0 || rc == -KL_PENDING)
        o->ops->event(o, who, (struct kl_bytes){ about, strlen(about) }, "Normal", "Preempted", words);
    return rc;
}

/* Less important ones that were promised room there may not fit any more: they look elsewhere. */
static void outbid(const struct preempt *p, const struct ledger_node *n, struct objects *o, const char *who, struct kl_call *c)
{
    unsigned all;
    struct ledger_guest *g = ledger_guests(n, preempt_priority(p), p->arena, &all);
    for (unsigned i = 0; i < all; i++) {
        if (!g[i].promised)
            continue;
        char *ns = arena_dup(p->arena, str_of(g[i].ns)), *name = arena_dup(p->arena, str_of(g[i].name));
        patch_status(p, &g[i], "{\"nominatedNodeName\":null}", o, who, c);
        ledger_forget(p->ledger, str_of(g[i].uid));
        if (p->outbid && ns && name)
            p->outbid(p->ctx, str_of(ns), str_of(name));
    }
}

int preempt_do(const struct preempt *p, const struct preempt_plan *plan, struct objects *o, const char *who, struct kl_call *c)
{
    outbid(p, plan->node, o, who, c);
    for (unsigned i = 0; i < plan->n; i++) {
        const struct ledger_guest *g = &plan->victims[i].guest;
        struct store_object *pod = g->promised ? NULL : pod_of(p, g);       /* a promise has been taken back, and all that the ledger knew of it */
        if (!pod || deleted(pod))
            continue;                   /* who goes already is waited for */
        int rc = evict(p, g, plan->node->name, o, who, c);
        if (rc < 0 && rc != -KL_NOT_FOUND && rc != -KL_CONFLICT && rc != -KL_PENDING)
            return rc;
    }
    return ledger_promise(p->ledger, p->needs->pod, plan->node) ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}
