/* decide.c - a node for one pod: its scheduler is asked (begin; fit and score per node that passes filter.c, claims.c and devices.c; end) -> claims and devices that
 * wait for it are asked for on the best node -> the node is booked in the ledger and the pod is bound. Without a node: who would have to go (preempt.c), and why not
 * becomes its PodScheduled condition and an event.
 */
#include <keelson/iface/scheduler.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/json_scan.h"
#include "base/mem.h"
#include "reconcile/call.h"
#include "reconcile/claims.h"
#include "reconcile/filter.h"
#include "reconcile/prefer.h"
#include "reconcile/preempt.h"
#include "reconcile/rules.h"
#include "reconcile/schedule-internal.h"

#define MOST_PERCENT  50                /* of the nodes, as upstream's percentageOfNodesToScore when nothing is set */
#define LEAST_PERCENT 5
#define LEAST_NODES   100
#define LACKS    8                      /* reasons that one node may have */
#define NO_NODES "no nodes available to schedule pods"

struct cycle {
    struct schedule *s;
    struct arena *arena;
    struct kl_call call;
    struct val *pod;
    const char *ns, *name, *who;
    struct str owner;
    const struct kl_scheduler *table;
    void *self, *state;
    struct kl_pod_view view;
    struct pod_needs needs;
    struct claims claims;
    struct devices_ask devices;
    struct rules rules;                 /* about other pods */
    bool room;                          /* pods that go may leave it some */
    struct hopes hopes;
    struct verdict why;                 /* of the nodes */
    unsigned n_hopeless;                /* nodes where it will not fit, whoever goes */
    const char *no_room;                /* why nobody goes for it; NULL: they do */
    enum schedule_result result;
    bool failed;                        /* the plugin has, not the pod */
    bool waits;                         /* its claims are being bound */
    struct ledger_node *promised;       /* others are to make room for it there, or NULL */
    bool unpromised;                    /* nobody is, anywhere: its nomination goes */
};

/* --- a node for it --- */

static struct kl_node_view node_view(const struct cycle *y, const struct ledger_node *n)
{
    struct str json = store_object_json(n->object);
    return (struct kl_node_view){ .size = sizeof(struct kl_node_view), .name = n->name, .node = { json.at, json.len }, .mcpu = n->mcpu,
                                  .memory = n->memory, .pods = n->pods, .used_mcpu = n->used_mcpu, .used_memory = n->used_memory,
                                  .used_pods = n->used_pods, .matching_pods = ledger_matching(y->s->ledger, n, y->owner),
                                  .guess_mcpu = n->guess_mcpu, .guess_memory = n->guess_memory };
}

/* NULL, or why that node will not do, before the scheduler is asked. */
static const char *host_refuses(struct cycle *y, const struct ledger_node *n, bool *ret_hopeless)
{
    const char *why = filter_place(&y->needs, n), *lacks[LACKS];
    *ret_hopeless = why != NULL;
    if (!why && !filter_has_room(&y->needs, n)) {
        unsigned k = filter_room_lacks(y->arena, &y->needs, n, lacks, LACKS);
        for (unsigned i = 1; i < k; i++)
            verdict_add(&y->why, lacks[i], 1);
        why = k ? lacks[0] : NULL;
        *ret_hopeless = why && filter_too_large(&y->needs, n);
    }
    if (!why && (why = claims_fit(&y->claims, n)))
        *ret_hopeless = true;
    if (!why && (why = rules_refuse(&y->rules, n, ret_hopeless)))
        return why;                     /* waited for by itself */
    if (!why && y->devices.n)
        why = devices_fit(&y->devices, n);
    y->room |= why && !*ret_hopeless;
    return why;
}

/* Or the reason is counted, or the plugin has failed. */
static bool fits(struct cycle *y, const struct ledger_node *n)
{
    bool hopeless;
    const char *why = host_refuses(y, n, &hopeless);
    if (why) {
        verdict_add(&y->why, why, 1);
        y->n_hopeless += hopeless;
        return false;
    }
    if (!y->table->fit)
        return true;
    struct kl_node_view v = node_view(y, n);
    kl_err_init(&y->call.err);
    int fit = y->table->fit(y->self, &y->call, y->state, &y->view, &v);
    y->failed = fit < 0;
    if (fit < 0 || fit == KL_FIT_YES)
        return fit > 0;
    const char *text = arena_dup(y->arena, y->call.err.msg[0] ? str_of(y->call.err.msg) : STR("node(s) were refused by the scheduler"));
    verdict_add(&y->why, text ? text : "out of memory", 1);
    y->room = true;
    y->n_hopeless += fit == KL_FIT_NEVER;
    return false;
}

/* Or -1: the plugin has failed. */
static int score(struct cycle *y, const struct candidate *c)
{
    struct kl_node_view v = node_view(y, c->node);
    v.taints = c->prefers[PREFER_TAINTS];
    v.affinity = c->prefers[PREFER_AFFINITY];
    v.spread = c->prefers[PREFER_SPREAD];
    v.unasked_spread = c->prefers[PREFER_UNASKED];
    v.neighbours = c->prefers[PREFER_NEIGHBOURS];
    v.images = c->prefers[PREFER_IMAGES];
    kl_err_init(&y->call.err);
    int score = y->table->score ? y->table->score(y->self, &y->call, y->state, &y->view, &v) : 0;
    y->failed = score < 0;
    return score > KL_SCORE_MOST ? KL_SCORE_MOST : score;
}

/* So many nodes that fit are enough to choose among. */
static unsigned enough(struct cycle *y, unsigned all)
{
    int said = all > LEAST_NODES && KL_HAS(y->table, percent_of_nodes) ? y->table->percent_of_nodes(y->self, &y->call) : 0;
    unsigned percent = said > 0 ? (unsigned)said : all >= 125 * (MOST_PERCENT - LEAST_PERCENT) ? LEAST_PERCENT : MOST_PERCENT - all / 125;
    unsigned n = percent >= 100 ? all : (unsigned)((uint64_t)all * percent / 100);
    return n < LEAST_NODES ? LEAST_NODES : n;
}

/* Nodes that fit, from where the last pod's search ended. False: the plugin has failed, or out of memory. */
static bool collect(struct cycle *y, struct prefer *p)
{
    struct schedule *s = y->s;
    unsigned all = ledger_count(s->ledger), most = enough(y, all), seen = 0;
    struct ledger_node **nodes = ledger_nodes(s->ledger);
    if (s->room < all || (all && !nodes)) {
        struct candidate *more = nodes ? mem_resize(s->candidates, all * sizeof *more) : NULL;
        if (!more) {
            y->failed = kl_fail(&y->call, KL_NO_MEMORY, "out of memory") < 0;
            return false;
        }
        s->candidates = more;
        s->room = all;
    }
    p->at = s->candidates;
    for (unsigned i = s->begin < all ? s->begin : 0; seen < all && p->n < most && !y->failed; seen++, i = i + 1 < all ? i + 1 : 0)
        if (fits(y, nodes[i]))
            p->at[p->n++] = (struct candidate){ .node = nodes[i] };
    s->begin = all ? (s->begin + seen) % all : 0;
    return !y->failed;
}

static struct ledger_node *choose(struct cycle *y)
{
    struct prefer p = { .ledger = y->s->ledger, .arena = y->arena, .needs = &y->needs, .services = y->s->services };
    struct ledger_node *best = NULL;
    int best_score = -1;
    unsigned equal = 0;
    if (!collect(y, &p) || !p.n)
        return NULL;
    if (!prefer(&p)) {
        y->failed = kl_fail(&y->call, KL_NO_MEMORY, "out of memory") < 0;
        return NULL;
    }
    for (unsigned i = 0; i < p.n; i++) {
        int now = p.n > 1 ? score(y, &p.at[i]) : 0;
        if (y->failed)
            return NULL;
        if (now < best_score)
            continue;
        equal = now == best_score ? equal + 1 : 1;
        if (equal == 1 || y->s->turn % equal == equal - 1)
            best = p.at[i].node;
        best_score = now;
    }
    y->s->turn++;
    return best;
}

/* --- room by others that go --- */

static bool may_be_there(void *ctx, const struct ledger_node *n)
{
    struct cycle *y = ctx;
    struct kl_node_view v = node_view(y, n);
    kl_err_init(&y->call.err);
    return !claims_fit(&y->claims, n) && (!y->devices.n || !devices_fit(&y->devices, n)) && (!y->table->fit || y->table->fit(y->self, &y->call, y->state, &y->view, &v) != KL_FIT_NEVER);
}

/* It was promised room that someone more important takes. */
static void look_again(void *ctx, struct str ns, struct str name)
{
    struct schedule *s = ((struct cycle *)ctx)->s;
    char key[600];
    int n = snprintf(key, sizeof key, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
    if (n > 0 && (size_t)n < sizeof key)
        queue_add(s->queue, str_n(key, (size_t)n), 0);
}

static struct preempt preemption(struct cycle *y)
{
    return (struct preempt){ .ledger = y->s->ledger, .store = y->s->conf.store, .arena = y->arena, .needs = &y->needs, .rules = &y->rules, .fits = may_be_there, .outbid = look_again, .ctx = y };
}

/* It fits nowhere as things are: who would have to go? Promises to less important ones are set aside meanwhile. */
static struct preempt_plan find_room(struct cycle *y, struct ledger_node *promised)
{
    const struct preempt p = preemption(y);
    struct preempt_plan plan = { 0 };
    unsigned nodes = ledger_count(y->s->ledger);
    if (preempt_never(&p)) {
        y->no_room = "not eligible due to preemptionPolicy=Never.";
        return plan;
    }
    if (promised && !filter_place(&y->needs, promised) && preempt_waits(&p, promised)) {
        y->promised = promised;
        y->no_room = "not eligible due to a terminating pod on the nominated node.";
        return plan;
    }
    if (preempt_may(&p))
        plan = preempt_find(&p);
    else {
        verdict_add(&plan.why, PREEMPT_NO_HELP, y->n_hopeless);
        verdict_add(&plan.why, PREEMPT_NO_VICTIMS, nodes - y->n_hopeless);
    }
    y->unpromised = !plan.node;
    y->no_room = plan.node ? NULL : verdict_text(&plan.why, y->arena, nodes);
    return plan;
}

/* Sets y->promised where pods of lower priority go for it. */
static void make_room(struct cycle *y, const struct preempt_plan *plan)
{
    const struct preempt p = preemption(y);
    kl_err_init(&y->call.err);
    if (y->promised)
        y->promised = ledger_promise(y->s->ledger, y->pod, y->promised) ? y->promised : NULL;
    else if (plan->node && preempt_do(&p, plan, y->s->conf.objects, y->who, &y->call) == 0)
        y->promised = plan->node;
}

static struct kl_bytes about_pod(struct cycle *y)
{
    char *text = arena_printf(y->arena, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"namespace\":\"%s\",\"name\":\"%s\",\"uid\":\"" STR_FMT "\"}", y->ns,
                              y->name, STR_ARG(json_str(y->pod, "metadata.uid")));
    return (struct kl_bytes){ text, text ? strlen(text) : 0 };
}

static void say(struct cycle *y, const char *type, const char *reason, const char *message)
{
    struct objects *o = y->s->conf.objects;
    struct kl_bytes about = about_pod(y);
    if (about.at && message)
        o->ops->event(o, y->who, about, type, reason, message);
}

static int bind(struct cycle *y, struct ledger_node *n)
{
    struct objects *o = y->s->conf.objects;
    struct kl_object_key k = { sizeof k, "/pods", y->ns, y->name, "binding" };
    char *body = arena_printf(y->arena,
                              "{\"kind\":\"Binding\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\",\"uid\":\"" STR_FMT
                              "\"},\"target\":{\"kind\":\"Node\",\"name\":\"%s\"}}",
                              y->name, y->ns, STR_ARG(json_str(y->pod, "metadata.uid")), n->name);
    if (!body || !ledger_assume(y->s->ledger, y->pod, n))
        return kl_fail(&y->call, KL_NO_MEMORY, "out of memory");
    int rc = o->ops->create(o, y->who, &y->call, &k, (struct kl_bytes){ body, strlen(body) }, NULL);
    if (rc < 0) {
        ledger_forget(y->s->ledger, json_str(y->pod, "metadata.uid"));
        return rc;
    }
    say(y, "Normal", "Scheduled", arena_printf(y->arena, "Successfully assigned %s/%s to %s", y->ns, y->name, n->name));
    return 0;
}

static const char *with_preemption(struct cycle *y, const char *text)
{
    const struct val *claims = json_path(y->pod, "spec.resourceClaims");
    if (!y->no_room || !text)
        return text;
    return arena_printf(y->arena, "%s %s, preemption: %s", text, val_is(claims, VAL_ARR) && claims->n ? "still not schedulable" : "no new claims to deallocate", y->no_room);
}

/* "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable. no new claims to deallocate, preemption: 0/2 nodes are available: ..." */
static const char *why_nowhere(struct cycle *y)
{
    unsigned n = ledger_count(y->s->ledger);
    if (!n)
        return NO_NODES;
    return with_preemption(y, verdict_text(&y->why, y->arena, n));
}

/* It fits on no node, whoever goes. */
static const char *why_never(struct cycle *y, const char *why)
{
    struct verdict none = { 0 };
    unsigned n = ledger_count(y->s->ledger);
    if (!n)
        return NO_NODES;
    verdict_add(&none, PREEMPT_NO_HELP, n);
    y->no_room = verdict_text(&none, y->arena, n);
    return with_preemption(y, arena_printf(y->arena, "0/%u nodes are available: %s.", n, why));
}

static bool says_already(const struct val *pod, const char *message)
{
    struct val *list = json_path(pod, "status.conditions");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), "PodScheduled"))
                return str_is(json_str(c, "status"), "False") && str_is(json_str(c, "message"), message);
    return false;
}

static void refuse(struct cycle *y, const char *message)
{
    struct arena *a = y->arena;
    char now[CLOCK_TEXT];
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    say(y, "Warning", "FailedScheduling", message);
    struct str was = json_str(y->pod, "status.nominatedNodeName");
    bool named = y->promised && !str_is(was, y->promised->name), unnamed = !y->promised && y->unpromised && was.len;
    if (!message || (!named && !unnamed && says_already(y->pod, message)))
        return;
    clock_format(env_wall_ns(), now);
    struct val *v = val_new(a, VAL_OBJ), *one = val_new(a, VAL_OBJ);
    val_push(json_arr(a, json_obj(a, v, STR("status")), STR("conditions")), one);
    json_set_str(a, one, STR("type"), STR("PodScheduled"));
    json_set_str(a, one, STR("status"), STR("False"));
    json_set_int(a, one, STR("observedGeneration"), json_int(y->pod, "metadata.generation", 0));
    json_set_str(a, one, STR("reason"), STR("Unschedulable"));
    json_set_str(a, one, STR("message"), str_of(message));
    json_set_str(a, one, STR("lastTransitionTime"), str_of(now));
    if (y->promised)
        json_set_str(a, json_get(v, STR("status")), STR("nominatedNodeName"), str_of(y->promised->name));
    else if (unnamed)
        json_set(a, json_get(v, STR("status")), STR("nominatedNodeName"), val_new(a, VAL_NULL));
    if (arena_exhausted(a))
        return;
    json_write(&b, v);
    struct objects *o = y->s->conf.objects;
    struct kl_object_key k = { sizeof k, "/pods", y->ns, y->name, "status" };
    o->ops->patch(o, y->who, &y->call, &k, KL_PATCH_STRATEGIC, (struct kl_bytes){ b.at, b.len }, NULL);
}

static bool needs_node(const struct val *pod)
{
    struct str phase = json_str(pod, "status.phase");
    struct val *gates = json_path(pod, "spec.schedulingGates");
    return !json_str(pod, "spec.nodeName").len && !json_path(pod, "metadata.deletionTimestamp") && !str_is(phase, "Succeeded") &&
           !str_is(phase, "Failed") && !(val_is(gates, VAL_ARR) && gates->n);
}

static enum outcome plugin_failed(struct cycle *y)
{
    y->result = SCHEDULE_ERROR;
    refuse(y, arena_dup(y->arena, str_of(y->call.err.msg[0] ? y->call.err.msg : "the scheduler's plugin has failed")));
    return kl_code_row(y->call.err.code)->retry ? AGAIN : PARKED;
}

static enum outcome nowhere(struct cycle *y, const char *message)
{
    y->hopes = (struct hopes){ .room = y->room || y->claims.taken, .rules = &y->rules };
    y->result = SCHEDULE_UNSCHEDULABLE;
    refuse(y, message);
    claims_unselect(&y->claims, y->s->conf.objects, y->who, &y->call);
    devices_give_up(&y->devices, y->s->conf.objects, y->who, &y->call);
    return PARKED;
}

/* SETTLED: all claims are bound. Until then it will be on that node for all who are decided meanwhile: its volumes bind it to there. */
static enum outcome reserve(struct cycle *y, struct ledger_node *n)
{
    int rc = claims_reserve(&y->claims, n, y->s->conf.objects, y->who, &y->call);
    y->waits = rc == 0 || rc == -KL_PENDING;
    if (y->waits && !ledger_assume(y->s->ledger, y->pod, n))
        return AGAIN;
    y->result = SCHEDULE_ERROR;
    if (rc < 0 && rc != -KL_PENDING && rc != -KL_CONFLICT && rc != -KL_NOT_FOUND)
        refuse(y, arena_dup(y->arena, str_of(y->call.err.msg)));
    return rc > 0 ? SETTLED : rc == -KL_CONFLICT ? AGAIN : PARKED;
}

/* SETTLED: its devices are reserved, and ready to be bound. */
static enum outcome reserve_devices(struct cycle *y, struct ledger_node *n)
{
    int rc = devices_reserve(&y->devices, n, y->s->conf.objects, y->who, &y->call);
    y->waits = rc == 0;
    if (y->waits && !ledger_assume(y->s->ledger, y->pod, n))
        return AGAIN;
    y->result = SCHEDULE_ERROR;
    if (rc < 0 && rc != -KL_CONFLICT && rc != -KL_NOT_FOUND)
        refuse(y, arena_dup(y->arena, str_of(y->call.err.msg)));
    return rc > 0 ? SETTLED : rc == -KL_CONFLICT ? AGAIN : PARKED;
}

static enum outcome decide(struct cycle *y, struct store_object *o)
{
    struct str json = store_object_json(o), uid = store_object_uid(o);
    struct ledger_node *promised = ledger_promised(y->s->ledger, uid);
    bool there = promised && promised->present;
    ledger_forget(y->s->ledger, uid);   /* it does not stand in its own way; a node that is gone may go with it */
    y->ns = arena_dup(y->arena, store_object_ns(o));
    y->name = arena_dup(y->arena, store_object_name(o));
    y->owner = pod_owner_uid(y->pod);
    pod_needs_read(y->pod, &y->needs);
    y->view = (struct kl_pod_view){ .size = sizeof y->view, .pod = { json.at, json.len }, .mcpu = y->needs.requests.mcpu, .memory = y->needs.requests.memory,
                                    .guess_mcpu = y->needs.requests.guess_mcpu, .guess_memory = y->needs.requests.guess_memory };
    const char *why = claims_read(&y->claims, y->s->conf.store, y->arena, y->pod);
    if (!why)
        why = devices_read(&y->devices, y->s->devices, y->arena, y->pod);
    if (why)
        return nowhere(y, why_never(y, why));
    if (y->table->begin && y->table->begin(y->self, &y->call, &y->view, &y->state) < 0)
        return plugin_failed(y);
    int64_t priority = json_int(y->pod, "spec.priority", 0);
    struct preempt_plan plan = { 0 };
    ledger_promises_aside(y->s->ledger, priority, true);
    if (!rules_read(&y->rules, y->s->ledger, y->arena, &y->needs))
        y->failed = kl_fail(&y->call, KL_NO_MEMORY, "out of memory") < 0;
    struct ledger_node *n = y->failed ? NULL : choose(y);
    if (!n && !y->failed && !y->devices.fatal)
        plan = find_room(y, there ? promised : NULL);
    ledger_promises_aside(y->s->ledger, priority, false);
    if (!n && !y->failed)
        make_room(y, &plan);
    if (y->table->end)
        y->table->end(y->self, y->state);
    if (y->failed)
        return plugin_failed(y);
    if (!n)
        return nowhere(y, y->devices.fatal ? y->devices.fatal : why_nowhere(y));
    enum outcome claims = y->claims.any ? reserve(y, n) : SETTLED;
    if (claims == SETTLED && y->devices.n)
        claims = reserve_devices(y, n);
    if (claims != SETTLED)
        return claims;
    int rc = bind(y, n);
    y->result = rc == 0 || rc == -KL_PENDING ? SCHEDULE_SCHEDULED : SCHEDULE_ERROR;
    if (rc == -KL_PENDING)              /* it goes on by itself, and is seen when it is over */
        return PARKED;
    if (rc < 0 && y->devices.n)
        devices_unreserve(&y->devices, y->s->conf.objects, y->who, &y->call);
    if (rc < 0 && rc != -KL_NOT_FOUND && rc != -KL_CONFLICT) {
        refuse(y, arena_dup(y->arena, str_of(y->call.err.msg)));
        return PARKED;
    }
    return SETTLED;
}

enum outcome schedule_one(struct schedule *s, struct str key)
{
    _cleanup_arena_ struct arena *a = arena_new(HOST_CALL_BYTES);
    struct str name = key, ns = str_cut(&name, '/');
    struct store_object *o = store_head(s->conf.store, STR("/pods"), ns, name);
    struct cycle y = { .s = s, .arena = a };
    if (!o || !a)
        return SETTLED;
    host_call_init(&y.call, a, "scheduler");
    struct str who = json_scan_text(json_scan_member(store_object_from(o, store_object_places(o)->spec), STR("schedulerName")));
    y.who = arena_dup(a, who.len ? who : STR("default-scheduler"));
    y.table = y.who ? s->conf.find(s->conf.ctx, y.who, &y.self) : NULL;
    if (!y.table)
        return SETTLED;                 /* someone else's: schedulers may live outside, as with upstream */
    y.pod = json_parse_without(a, store_object_json(o), "metadata.managedFields", &y.call.err);
    if (!y.pod || !needs_node(y.pod))
        return SETTLED;
    int64_t began = env_mono_ns();
    y.hopes = (struct hopes){ .room = true };
    enum outcome outcome = decide(&y, o);
    y.hopes.claims = y.claims.any;
    if (outcome == PARKED)
        schedule_park(s, key, &y.hopes);
    if (y.rules.n)
        rules_done(&y.rules);
    if (outcome == PARKED && json_path(y.pod, "spec.resourceClaims"))
        devices_wait(s->devices, key);
    if (!y.waits)
        schedule_count(&s->counts, y.who, y.result, env_mono_ns() - began);
    return outcome;
}
