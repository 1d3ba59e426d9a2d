/* preempt.c - see preempt.h. */
#include "reconcile/preempt.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/json_scan.h"

struct cost {
    int64_t highest, sum;
    unsigned n;
};

static int64_t priority_of(const struct preempt *p)
{
    return json_int(p->needs->pod, "spec.priority", 0);
}

bool preempt_may(const struct preempt *p)
{
    return !str_is(json_str(p->needs->pod, "spec.preemptionPolicy"), "Never") && priority_of(p) > ledger_lowest(p->ledger);
}

/* Who must go from that node; n 0: it would not help, or is not needed. */
static struct ledger_guest *victims_on(const struct preempt *p, struct ledger_node *n, unsigned *ret_n)
{
    unsigned all, kept = 0;
    *ret_n = 0;
    if (n->lowest >= priority_of(p) || filter_place(p->arena, p->needs, n) || !filter_room(p->arena, p->needs, n) || (p->fits && !p->fits(p->ctx, n)))
        return NULL;
    struct ledger_guest *g = ledger_guests(n, priority_of(p), p->arena, &all);
    for (unsigned i = 0; i < all; i++)
        ledger_set_aside(n, &g[i], true);
    bool helps = all && !filter_room(p->arena, p->needs, n);
    for (unsigned i = 0; i < all; i++) {        /* back in, as long as there is room beside it */
        struct ledger_guest one = g[i];
        ledger_set_aside(n, &one, false);
        if (!helps || !filter_room(p->arena, p->needs, n))
            continue;
        ledger_set_aside(n, &one, true);
        g[kept++] = one;
    }
    for (unsigned i = 0; i < kept; i++)
        ledger_set_aside(n, &g[i], false);
    *ret_n = kept;
    return g;
}

static struct cost cost_of(const struct ledger_guest *g, unsigned n)
{
    struct cost c = { .highest = INT64_MIN, .n = n };
    for (unsigned i = 0; i < n; i++) {
        c.highest = g[i].priority > c.highest ? g[i].priority : c.highest;
        c.sum += g[i].priority - INT32_MIN;     /* upstream counts from there too: more victims never are cheaper */
    }
    return c;
}

static bool cheaper(struct cost a, struct cost b)
{
    if (a.highest != b.highest)
        return a.highest < b.highest;
    return a.sum != b.sum ? a.sum < b.sum : a.n < b.n;
}

struct preempt_plan preempt_find(const struct preempt *p)
{
    struct preempt_plan best = { 0 };
    for (struct ledger_node *n = ledger_next(p->ledger, NULL); n; n = ledger_next(p->ledger, n)) {
        unsigned count;
        struct ledger_guest *g = victims_on(p, n, &count);
        if (count && (!best.node || cheaper(cost_of(g, count), cost_of(best.victims, best.n))))
            best = (struct preempt_plan){ n, g, count };
    }
    return best;
}

static bool is_going(const struct preempt *p, const struct ledger_guest *g)
{
    struct store_object *o = g->promised ? NULL : store_head(p->store, STR("/pods"), str_of(g->ns), str_of(g->name));
    return o && str_is(store_object_uid(o), g->uid) && json_scan_path(store_object_json(o), "metadata.deletionTimestamp").at;
}

bool preempt_waits(const struct preempt *p, const struct ledger_node *n)
{
    unsigned all;
    struct ledger_guest *g = ledger_guests(n, priority_of(p), p->arena, &all);
    for (unsigned i = 0; i < all; i++)
        if (is_going(p, &g[i]))
            return true;
    return false;
}

static int tell(const struct preempt *p, const struct ledger_guest *g, const char *node, struct objects *o, const char *who, struct kl_call *c)
{
    char now[CLOCK_TEXT];
    clock_format(env_wall_ns(), now);
    struct kl_object_key k = { sizeof k, "/pods", g->ns, g->name, "status" };
    char *patch = arena_printf(p->arena, "{\"metadata\":{\"uid\":\"%s\"},\"status\":{\"conditions\":[{\"type\":\"DisruptionTarget\",\"status\":\"True\","
                               "\"reason\":\"PreemptionByScheduler\",\"message\":\"%s: preempting to accommodate a higher priority pod\",\"lastTransitionTime\":\"%s\"}]}}",
                               g->uid, who, now);
    char *about = arena_printf(p->arena, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"namespace\":\"%s\",\"name\":\"%s\",\"uid\":\"%s\"}", g->ns, g->name, g->uid);
    char *words = arena_printf(p->arena, "Preempted by pod " STR_FMT " on node %s", STR_ARG(json_str(p->needs->pod, "metadata.uid")), node);
    if (!patch || !about || !words)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    o->ops->event(o, who, (struct kl_bytes){ about, strlen(about) }, "Normal", "Preempted", words);
    return o->ops->patch(o, who, c, &k, KL_PATCH_STRATEGIC, (struct kl_bytes){ patch, strlen(patch) }, NULL);
}

int preempt_do(const struct preempt *p, const struct preempt_plan *plan, struct objects *o, const char *who, struct kl_call *c)
{
    int rc = 0;
    for (unsigned i = 0; i < plan->n; i++) {
        const struct ledger_guest *g = &plan->victims[i];
        struct kl_object_key k = { sizeof k, "/pods", g->ns, g->name, NULL };
        struct kl_delete_options how = { .size = sizeof how, .uid = g->uid, .grace_seconds = -1 };
        if (g->promised || is_going(p, g))
            continue;                   /* a promise is taken back below; who goes already is waited for */
        rc = tell(p, g, plan->node->name, o, who, c);
        if (rc == 0 || rc == -KL_PENDING)
            rc = o->ops->remove(o, who, c, &k, &how);
        if (rc < 0 && rc != -KL_NOT_FOUND && rc != -KL_CONFLICT && rc != -KL_PENDING)
            return rc;
    }
    for (unsigned i = 0; i < plan->n; i++)
        if (plan->victims[i].promised)
            ledger_forget(p->ledger, str_of(plan->victims[i].uid));
    return ledger_promise(p->ledger, p->needs->pod, plan->node) ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}
