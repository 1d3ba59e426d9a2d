/* schedule.c - see schedule.h.
 *
 * Life of a pod without a node: it is queued -> its scheduler is asked (begin; fit and score per node that passes filter.c and claims.c; end) -> claims
 * that wait for it are asked for on the best node, and the pod is parked until they are bound -> the node is booked in the ledger and the pod is bound. Without a node: the reason becomes its PodScheduled condition and an event, and it is
 * parked until room may have appeared.
 */
#include "reconcile/schedule.h"

#include <keelson/iface/scheduler.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/json_scan.h"
#include "base/log.h"
#include "reconcile/call.h"
#include "reconcile/claims.h"
#include "reconcile/devices.h"
#include "reconcile/filter.h"
#include "reconcile/preempt.h"
#include "reconcile/queue.h"
#include "reconcile/schedule_metrics.h"

#define PORTION_NS (2 * NS_PER_MS)
#define PARKED_NS (300 * NS_PER_S)      /* looked at again without any news, as upstream does */
#define REASONS_MAX 16
#define STORAGE 3

struct schedule {
    struct schedule_conf conf;
    struct ledger *ledger;
    struct queue *queue;
    struct devices *devices;
    struct store_watch *pods;
    struct store_watch *storage[STORAGE];        /* claims, volumes, classes */
    struct map parked;                  /* pods that fit nowhere: key -> struct parked */
    bool posted, paused;
    unsigned turn;                      /* breaks ties: equal nodes take turns */
    struct schedule_counts counts;
};

struct parked {
    bool claims;                        /* it has some: news of them may help */
    char key[];
};

struct reasons {
    const char *text[REASONS_MAX];
    unsigned count[REASONS_MAX], n;
};

struct cycle {
    struct schedule *s;
    struct arena *arena;
    struct kl_call call;
    struct val *pod;
    const char *ns, *name, *who;
    const struct kl_scheduler *table;
    void *self, *state;
    struct kl_pod_view view;
    struct pod_needs needs;
    struct claims claims;
    struct devices_ask devices;
    struct reasons reasons;
    enum schedule_result result;
    bool failed;                        /* the plugin has, not the pod */
    bool waits;                         /* its claims are being bound */
    struct ledger_node *promised;       /* others are to make room for it there, or NULL */
};

/* --- parked pods --- */

static void park(struct schedule *s, struct str key, bool claims)
{
    struct parked *p = map_get(&s->parked, key);
    if (p)
        p->claims = claims;
    if (p || !(p = mem_alloc(sizeof *p + key.len)))
        return;
    memcpy(p->key, key.at, key.len);
    p->claims = claims;
    if (!map_put(&s->parked, str_n(p->key, key.len), p))
        mem_free(p);
}

static void unpark(struct schedule *s, struct str key)
{
    mem_free(map_del(&s->parked, key));
}

static void retry(struct schedule *s, bool only_claims)
{
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&s->parked, &at, &key, &value))
        if (!only_claims || ((const struct parked *)value)->claims)
            queue_add(s->queue, key, 0);
}

static void retry_parked(void *ctx)
{
    retry(ctx, false);
}

/* One that waits for devices. */
static void retry_one(void *ctx, struct str key)
{
    struct schedule *s = ctx;
    queue_add(s->queue, key, 0);
}

/* --- one decision --- */

static void count_reason(struct reasons *r, const char *text)
{
    for (unsigned i = 0; i < r->n; i++)
        if (strcmp(r->text[i], text) == 0) {
            r->count[i]++;
            return;
        }
    if (r->n < REASONS_MAX) {
        r->text[r->n] = text;
        r->count[r->n++] = 1;
    }
}

static struct kl_node_view node_view(const struct cycle *y, const struct ledger_node *n)
{
    struct str json = store_object_json(n->object);
    return (struct kl_node_view){ .size = sizeof(struct kl_node_view), .name = n->name, .node = { json.at, json.len }, .mcpu = n->mcpu,
                                  .memory = n->memory, .pods = n->pods, .used_mcpu = n->used_mcpu, .used_memory = n->used_memory,
                                  .used_pods = n->used_pods, .matching_pods = ledger_matching(n, pod_owner_uid(y->pod)) };
}

/* Score of a node, or -1 (the reason is counted, or the plugin has failed). */
static int score_node(struct cycle *y, const struct ledger_node *n)
{
    const char *why = filter_node(y->arena, &y->needs, n);
    if (!why)
        why = claims_fit(&y->claims, n);
    if (!why && y->devices.n)
        why = devices_fit(&y->devices, n);
    if (why) {
        count_reason(&y->reasons, why);
        return -1;
    }
    struct kl_node_view v = node_view(y, n);
    kl_err_init(&y->call.err);
    int fits = y->table->fit ? y->table->fit(y->self, &y->call, y->state, &y->view, &v) : KL_FIT_YES;
    if (fits < 0) {
        y->failed = true;
        return -1;
    }
    if (fits != KL_FIT_YES) {
        const char *text = arena_dup(y->arena, y->call.err.msg[0] ? str_of(y->call.err.msg) : STR("node(s) were refused by the scheduler"));
        count_reason(&y->reasons, text ? text : "out of memory");
        return -1;
    }
    int score = y->table->score ? y->table->score(y->self, &y->call, y->state, &y->view, &v) : 0;
    y->failed = score < 0;
    return score < 0 ? -1 : score > 100 ? 100 : score;
}

static struct ledger_node *choose(struct cycle *y)
{
    struct ledger_node *best = NULL;
    int best_score = -1;
    unsigned equal = 0;
    for (struct ledger_node *n = ledger_next(y->s->ledger, NULL); n; n = ledger_next(y->s->ledger, n)) {
        int score = score_node(y, n);
        if (y->failed)
            return NULL;
        if (score < 0 || score < best_score)
            continue;
        equal = score == best_score ? equal + 1 : 1;
        if (equal == 1 || y->s->turn % equal == equal - 1)
            best = n;
        best_score = score;
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
    return !claims_fit(&y->claims, n) && (!y->table->fit || y->table->fit(y->self, &y->call, y->state, &y->view, &v) != KL_FIT_NEVER);
}

/* It fits nowhere as things are. Sets y->promised where pods of lower priority go for it. */
static void make_room(struct cycle *y, struct ledger_node *promised)
{
    struct schedule *s = y->s;
    const struct preempt p = { s->ledger, s->conf.store, y->arena, &y->needs, may_be_there, y };
    if (y->devices.n || !preempt_may(&p))
        return;
    if (promised && preempt_waits(&p, promised)) {
        y->promised = ledger_promise(s->ledger, y->pod, promised) ? promised : NULL;
        return;
    }
    struct preempt_plan plan = preempt_find(&p);
    kl_err_init(&y->call.err);
    if (plan.node && preempt_do(&p, &plan, s->conf.objects, y->who, &y->call) == 0)
        y->promised = plan.node;
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

/* "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable." */
static const char *verdict_text(struct cycle *y)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    unsigned n = ledger_count(y->s->ledger);
    if (!n)
        return "no nodes available to schedule pods";
    buf_printf(&b, "0/%u nodes are available:", n);
    for (unsigned i = 0; i < y->reasons.n; i++)
        buf_printf(&b, "%s %u %s", i ? "," : "", y->reasons.count[i], y->reasons.text[i]);
    buf_add_c(&b, '.');
    return b.failed ? "no node fits" : arena_dup(y->arena, buf_str(&b));
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
    bool named = y->promised && !str_is(json_str(y->pod, "status.nominatedNodeName"), y->promised->name);
    if (!message || (!named && says_already(y->pod, message)))
        return;
    clock_format(env_wall_ns(), now);
    struct val *v = val_new(a, VAL_OBJ), *one = val_new(a, VAL_OBJ);
    val_push(json_arr(a, json_obj(a, v, STR("status")), STR("conditions")), one);
    json_set_str(a, one, STR("type"), STR("PodScheduled"));
    json_set_str(a, one, STR("status"), STR("False"));
    json_set_str(a, one, STR("reason"), STR("Unschedulable"));
    json_set_str(a, one, STR("message"), str_of(message));
    json_set_str(a, one, STR("lastTransitionTime"), str_of(now));
    if (y->promised)
        json_set_str(a, json_get(v, STR("status")), STR("nominatedNodeName"), str_of(y->promised->name));
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

/* What becomes of a pod's key. PARKED: room must appear first. AGAIN: with back-off, whatever the world does. */
enum outcome { SETTLED, PARKED, AGAIN };

static enum outcome plugin_failed(struct cycle *y)
{
    y->result = SCHEDULE_ERROR;
    refuse(y, arena_dup(y->arena, str_of(y->call.err.msg[0] ? y->call.err.msg : "the scheduler's plugin has failed")));
    return kl_code_row(y->call.err.code)->retry ? AGAIN : PARKED;
}

static enum outcome nowhere(struct cycle *y, const char *message)
{
    y->result = SCHEDULE_UNSCHEDULABLE;
    refuse(y, message);
    claims_unselect(&y->claims, y->s->conf.objects, y->who, &y->call);
    devices_give_up(&y->devices, y->s->conf.objects, y->who, &y->call);
    return PARKED;
}

/* SETTLED: all claims are bound. */
static enum outcome reserve(struct cycle *y, struct ledger_node *n)
{
    int rc = claims_reserve(&y->claims, n, y->s->conf.objects, y->who, &y->call);
    y->waits = rc == 0 || rc == -KL_PENDING;
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
    if (promised)
        ledger_forget(y->s->ledger, uid);       /* it does not stand in its own way; a node that is gone may go with it */
    y->ns = arena_dup(y->arena, store_object_ns(o));
    y->name = arena_dup(y->arena, store_object_name(o));
    pod_needs_read(y->pod, &y->needs);
    y->view = (struct kl_pod_view){ .size = sizeof y->view, .pod = { json.at, json.len }, .mcpu = y->needs.requests.mcpu,
                                    .memory = y->needs.requests.memory };
    const char *why = claims_read(&y->claims, y->s->conf.store, y->arena, y->pod);
    if (!why)
        why = devices_read(&y->devices, y->s->devices, y->arena, y->pod);
    if (why)
        return nowhere(y, arena_printf(y->arena, "0/%u nodes are available: %s.", ledger_count(y->s->ledger), why));
    if (y->table->begin && y->table->begin(y->self, &y->call, &y->view, &y->state) < 0)
        return plugin_failed(y);
    struct ledger_node *n = choose(y);
    if (!n && !y->failed)
        make_room(y, there ? promised : NULL);
    if (y->table->end)
        y->table->end(y->self, y->state);
    if (y->failed)
        return plugin_failed(y);
    if (!n)
        return nowhere(y, y->devices.fatal ? y->devices.fatal : verdict_text(y));
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

static enum outcome schedule_one(struct schedule *s, struct str key, bool *ret_claims)
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
    enum outcome outcome = decide(&y, o);
    *ret_claims = y.claims.any;
    if (outcome == PARKED && json_path(y.pod, "spec.resourceClaims"))
        devices_wait(s->devices, key);
    if (!y.waits)
        schedule_count(&s->counts, y.who, y.result, env_mono_ns() - began);
    return outcome;
}

/* --- the queue --- */

static void portion(void *ctx)
{
    struct schedule *s = ctx;
    int64_t until = env_mono_ns() + PORTION_NS;
    struct queue_key *k;
    s->posted = false;
    if (s->paused)
        return;
    while ((k = queue_next(s->queue))) {
        bool claims = false;
        enum outcome o = schedule_one(s, k->name, &claims);
        if (o == PARKED)
            park(s, k->name, claims);
        else
            unpark(s, k->name);
        queue_done(s->queue, k, o == AGAIN, o == PARKED ? PARKED_NS : 0);
        if (env_mono_ns() > until)
            break;
    }
    if (k && !s->posted) {
        s->posted = true;
        loop_post(s->conf.loop, portion, s);
    }
}

static void on_ready(void *ctx)
{
    struct schedule *s = ctx;
    if (s->posted || s->paused)
        return;
    s->posted = true;
    loop_post(s->conf.loop, portion, s);
}

void schedule_pause(struct schedule *s, bool paused)
{
    s->paused = paused;
    on_ready(s);
}

static void pod_news(struct schedule *s, struct store_object *o)
{
    char key[600];
    struct str node = json_scan_text(json_scan_value(store_object_from(o, store_object_places(o)->node)));
    int n = snprintf(key, sizeof key, STR_FMT "/" STR_FMT, STR_ARG(store_object_ns(o)), STR_ARG(store_object_name(o)));
    if (!node.len && n > 0 && (size_t)n < sizeof key && !map_get(&s->parked, str_n(key, (size_t)n)))
        queue_add(s->queue, str_n(key, (size_t)n), 0);
}

/* It is told which claims were made for it. */
static bool claims_told(const struct schedule *s, const struct store_event *e)
{
    static const char path[] = "status.resourceClaimStatuses";
    return s->parked.n && e->old && !str_eq(json_scan_path(store_object_json(e->old), path), json_scan_path(store_object_json(e->object), path));
}

/* A parked pod comes back only when its spec was changed (its own status is our doing, but for the names of its claims) or room may have appeared. */
static void on_pods(void *ctx)
{
    struct schedule *s = ctx;
    struct store_event e;
    bool expired = false;
    while (store_watch_next(s->pods, &e, &expired)) {
        if (e.type == STORE_DELETED || claims_told(s, &e) || (e.old && !str_eq(json_scan_member(store_object_json(e.old), STR("spec")),
                                                         json_scan_member(store_object_json(e.object), STR("spec"))))) {
            char key[600];
            int n = snprintf(key, sizeof key, STR_FMT "/" STR_FMT, STR_ARG(store_object_ns(e.object)), STR_ARG(store_object_name(e.object)));
            if (n > 0 && (size_t)n < sizeof key)
                unpark(s, str_n(key, (size_t)n));
        }
        if (e.type != STORE_DELETED)
            pod_news(s, e.object);
    }
}

static void on_storage(void *ctx)
{
    struct schedule *s = ctx;
    struct store_event e;
    bool expired = false, news = false;
    for (int i = 0; i < STORAGE; i++)
        while (s->storage[i] && store_watch_next(s->storage[i], &e, &expired))
            news = true;
    if (news)
        retry(s, true);
}

static int watch_storage(struct schedule *s, struct kl_err *err)
{
    static const char *const resources[STORAGE] = { "/persistentvolumeclaims", "/persistentvolumes", "storage.k8s.io/storageclasses" };
    int rc = 0;
    for (int i = 0; i < STORAGE && rc == 0; i++)
        rc = store_watch_new(s->conf.store, str_of(resources[i]), STR_NONE, store_revision(s->conf.store), on_storage, s, &s->storage[i], err);
    return rc;
}

static bool first_pod(void *ctx, struct store_object *o)
{
    pod_news(ctx, o);
    return true;
}

int schedule_start(const struct schedule_conf *c, struct schedule **ret, struct kl_err *err)
{
    struct schedule *s = mem_alloc(sizeof *s);
    struct store_range pods = { .resource = STR("/pods") };
    if (!s)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    s->conf = *c;
    s->queue = queue_new(c->loop, on_ready, s);
    int rc = s->queue ? ledger_new(c->store, retry_parked, s, &s->ledger, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0)
        rc = devices_new(c->store, retry_one, s, &s->devices, err);
    if (rc == 0)
        rc = store_watch_new(c->store, STR("/pods"), STR_NONE, store_revision(c->store), on_pods, s, &s->pods, err);
    if (rc == 0)
        rc = watch_storage(s, err);
    if (rc < 0) {
        schedule_free(s);
        return rc;
    }
    store_list(c->store, &pods, first_pod, s);
    *ret = s;
    return 0;
}

void schedule_free(struct schedule *s)
{
    size_t at = 0;
    struct str key;
    void *value;
    if (!s)
        return;
    if (s->pods)
        store_watch_free(s->pods);
    for (int i = 0; i < STORAGE; i++)
        if (s->storage[i])
            store_watch_free(s->storage[i]);
    devices_free(s->devices);
    ledger_free(s->ledger);
    queue_free(s->queue);
    while (map_next(&s->parked, &at, &key, &value))
        mem_free(value);
    map_free(&s->parked);
    mem_free(s);
}

void schedule_metrics(void *ctx, struct prom *p)
{
    const struct schedule *s = ctx;
    schedule_counts_write(&s->counts, queue_stats(s->queue)->ready, s->parked.n, p);
}
