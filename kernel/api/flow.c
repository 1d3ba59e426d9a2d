/* flow.c - see flow.h. */
#include "api/flow.h"

#include "api-internal.h"
#include "base/env.h"
#include "base/log.h"

#define TURN_NS      (4 * NS_PER_MS)    /* of a turn of the loop, before requests are queued rather than run; and for those queued */
#define LATE_NS      (15 * NS_PER_S)    /* longest wait: a quarter of the longest request, as upstream */
#define LATE_EACH_NS NS_PER_S
#define LIST_SEATS_MOST 10
#define OBJECTS_A_SEAT  100
#define BYTE_NS      1                  /* what sending a byte costs the loop, about */

static const struct prom_bounds wait_bounds = { 13, { 0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30 } };
static const struct prom_bounds run_bounds = { 13, { 0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30 } };
static const char *const resources[2] = { "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations", "flowcontrol.apiserver.k8s.io/flowschemas" };

/* --- a request --- */

static struct flow_request *request_of(struct fair_item *i)
{
    return (struct flow_request *)i;
}

static struct flow_level *level_of(const struct flow_request *x)
{
    return (struct flow_level *)x->item.level;
}

/* Whom no schema wants is the last one's, which is catch-all. NULL: there are none yet. */
static struct flow_schema *classify(const struct flow *f, const struct api_rq *rq)
{
    struct flow_schema *last = NULL;
    list_each(n, &f->schemas) {
        struct flow_schema *s = list_item(n, struct flow_schema, link);
        if (!s->level || !s->listed)
            continue;
        last = s;
        if (flow_matches(s, rq))
            break;
    }
    return last;
}

/* A list holds what it lists while it is sent. */
static unsigned width(const struct api_rq *rq, const struct fair_level *l)
{
    const struct kl_request *t = &rq->info.tuple;
    if (!rq->info.kind || strcmp(t->verb, "list") != 0)
        return 1;
    size_t n = store_count(rq->api->store, str_of(rq->info.kind->storage->resource));
    int64_t limit = rq->info.q.limit;
    if (limit > 0 && (size_t)limit < n)
        n = (size_t)limit;
    size_t seats = (n + OBJECTS_A_SEAT - 1) / OBJECTS_A_SEAT, most = l->most < LIST_SEATS_MOST ? l->most : LIST_SEATS_MOST;
    return (unsigned)(seats < 1 || most < 1 ? 1 : seats < most ? seats : most);
}

static void running(struct flow *f, struct flow_request *x, int64_t now_ns)
{
    struct flow_schema *s = x->schema;
    x->began_ns = now_ns;
    s->running++;
    s->seats += x->item.seats;
    s->dispatched++;
    level_of(x)->dispatched++;
    prom_observe(&s->waited[1], (double)(now_ns - x->item.since_ns) / (double)NS_PER_S);
    (void)f;
}

static void leave(struct flow *f, struct flow_request *x, int64_t now_ns)
{
    struct flow_schema *s = x->schema;
    if (x->item.state == FAIR_RUNNING) {
        s->running--;
        s->seats -= x->item.seats;
        prom_observe(&s->ran, (double)(now_ns - x->began_ns) / (double)NS_PER_S);
    } else if (x->item.state == FAIR_QUEUED) {
        s->waiting--;
    }
    fair_leave(&f->fair, &x->item);
    list_remove(&x->link);
}

static void refuse(struct flow_request *x, enum flow_rejected why)
{
    struct api_rq *rq = x->rq;
    x->schema->rejected[why]++;
    level_of(x)->rejected[why]++;
    prom_observe(&x->schema->waited[0], (double)(env_mono_ns() - x->item.since_ns) / (double)NS_PER_S);
    if (why == REJECTED_GONE)
        return;
    rq->accept.media = MEDIA_JSON;
    api_fail(&rq->err, rq->arena, KL_TOO_MANY_REQUESTS, "Too many requests, please try again later.");
    rq->err.retry_after = 1;
    api_send_error(rq);
}

/* --- those that wait --- */

static void dispatch(void *ctx);

static void want_dispatch(struct flow *f)
{
    if (f->posted || !f->fair.queued)
        return;
    f->posted = true;
    loop_post(f->api->loop, dispatch, f);
}

/* What a request does when it runs is charged to its queue: a read has its answer then, a write has been judged and handed to the store. */
static void run(struct flow *f, struct flow_request *x)
{
    struct fair_level *l = x->item.level;
    struct fair_queue *q = x->item.queue;
    struct api_rq *rq = x->rq;
    int64_t began = env_mono_ns();
    x->schema->waiting--;
    running(f, x, began);
    http_on_close(rq->http, NULL, NULL);
    x->go(rq);
    fair_charge(l, q, (uint64_t)(env_mono_ns() - began));
}

static void dispatch(void *ctx)
{
    struct flow *f = ctx;
    int64_t until = env_mono_ns() + TURN_NS;
    struct fair_item *i;
    f->posted = false;
    while (env_mono_ns() < until && (i = fair_next(&f->fair)))
        run(f, request_of(i));
    if (env_mono_ns() >= until)
        want_dispatch(f);               /* others first: they may have come meanwhile */
}

static void on_gone(void *ctx)
{
    struct flow_request *x = ctx;
    struct flow *f = x->rq->api->flow;
    refuse(x, REJECTED_GONE);
    leave(f, x, f->last_ns);
    x->rq->flow = NULL;
}

static void on_late(void *ctx)
{
    struct flow *f = ctx;
    for (struct fair_item *i; (i = fair_late(&f->fair, env_mono_ns() - LATE_NS));) {
        struct flow_request *x = request_of(i);
        http_on_close(x->rq->http, NULL, NULL);
        leave(f, x, f->last_ns);
        refuse(x, REJECTED_LATE);
    }
    if (f->fair.queued)
        loop_timer_start(f->api->loop, &f->late, LATE_EACH_NS, on_late, f);
}

static void park(struct flow *f, struct flow_request *x)
{
    x->schema->waiting++;
    http_on_close(x->rq->http, on_gone, x);
    if (!f->late.heap_at)
        loop_timer_start(f->api->loop, &f->late, LATE_EACH_NS, on_late, f);
    want_dispatch(f);
}

bool flow_wait(struct api_rq *rq, void (*go)(struct api_rq *rq))
{
    struct flow *f = rq->api->flow;
    const char *sub = rq->info.tuple.subresource;
    if (!f || rq->flow || (sub[0] && api_is_stream(sub)))
        return false;
    struct flow_schema *s = classify(f, rq);
    struct flow_request *x = s ? arena_alloc(http_arena(rq->http), sizeof *x) : NULL;
    if (!x)
        return false;
    struct fair_level *l = &s->level->fair;
    int64_t now = loop_now(f->api->loop);
    if (!f->turn_ns)
        f->turn_ns = now;
    if (now < f->last_ns)
        now = f->last_ns;
    bool time_left = now - f->turn_ns < TURN_NS;
    *x = (struct flow_request){ .rq = rq, .schema = s, .go = go };
    rq->flow = x;
    list_push(&f->requests, &x->link);
    uint64_t flow = l->queued || l->used || !time_left ? flow_hash(s, rq) : 0;
    enum fair_verdict v = fair_offer(&f->fair, l, &x->item, width(rq, l), flow, time_left, now);
    if (v == FAIR_RUN) {
        running(f, x, now);
        return false;
    }
    if (v == FAIR_WAIT) {
        park(f, x);
        return true;
    }
    refuse(x, v == FAIR_FULL ? REJECTED_FULL : REJECTED_NO_SEAT);
    return true;
}

void flow_begun(struct api_rq *rq)
{
    struct flow *f = rq->api->flow;
    struct flow_request *x = rq->flow;
    if (!x || x->item.state != FAIR_RUNNING)
        return;
    leave(f, x, f->last_ns > x->began_ns ? f->last_ns : x->began_ns);
    want_dispatch(f);
}

void flow_end(struct api_rq *rq, struct http_req *r, int64_t now_ns)
{
    struct flow *f = rq->api->flow;
    struct flow_request *x = rq->flow;
    if (f)
        f->last_ns = now_ns;
    if (!x)
        return;
    rq->flow = NULL;
    if (x->item.state == FAIR_RUNNING && x->item.queue)
        fair_charge(x->item.level, x->item.queue, http_sent(r) * BYTE_NS);
    leave(f, x, now_ns);
    want_dispatch(f);
}

unsigned flow_headers(const struct api_rq *rq, struct http_header *h)
{
    const struct flow_request *x = rq->flow;
    if (!x)
        return 0;
    h[0] = (struct http_header){ STR("x-kubernetes-pf-flowschema-uid"), str_of(x->schema->uid) };
    h[1] = (struct http_header){ STR("x-kubernetes-pf-prioritylevel-uid"), str_of(level_of(x)->uid) };
    return 2;
}

/* --- the configuration --- */

static struct flow_level *find_level(struct flow *f, struct str name)
{
    list_each(n, &f->fair.levels) {
        struct flow_level *l = list_item(n, struct flow_level, fair.link);
        if (str_is(name, l->name))
            return l;
    }
    return NULL;
}

static struct flow_schema *find_schema(struct flow *f, struct str name)
{
    list_each(n, &f->schemas) {
        struct flow_schema *s = list_item(n, struct flow_schema, link);
        if (str_is(name, s->name))
            return s;
    }
    return NULL;
}

static struct flow_level *level_new(struct flow *f, struct str name)
{
    struct flow_level *l = mem_alloc(sizeof *l);
    if (!l || !(l->name = mem_dup(name.at, name.len))) {
        mem_free(l);
        return NULL;
    }
    fair_level_init(&l->fair);
    fair_level_add(&f->fair, &l->fair);
    return l;
}

static struct flow_schema *schema_new(struct flow *f, struct str name)
{
    struct flow_schema *s = mem_alloc(sizeof *s);
    if (!s || !(s->name = mem_dup(name.at, name.len))) {
        mem_free(s);
        return NULL;
    }
    s->waited[0].bounds = s->waited[1].bounds = &wait_bounds;
    s->ran.bounds = &run_bounds;
    list_push(&f->schemas, &s->link);
    return s;
}

static unsigned number(const struct val *v, const char *path, unsigned fallback)
{
    int64_t n = json_int(v, path, fallback);
    return n < 0 ? 0 : n > 1000000000 ? 1000000000 : (unsigned)n;
}

static bool take_level(void *ctx, struct store_object *o)
{
    struct flow *f = ctx;
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct flow_level *l = find_level(f, store_object_name(o));
    struct val *v = a ? json_parse(a, store_object_json(o), NULL) : NULL, *spec = json_get(v, STR("spec"));
    if (!spec || (!l && !(l = level_new(f, store_object_name(o)))))
        return true;
    bool exempt = str_is(json_str(spec, "type"), "Exempt");
    struct val *how = json_get(spec, exempt ? STR("exempt") : STR("limited"));
    snprintf(l->uid, sizeof l->uid, STR_FMT, STR_ARG(store_object_uid(o)));
    l->listed = true;
    l->fair.exempt = exempt;
    l->fair.shares = number(how, "nominalConcurrencyShares", exempt ? 0 : 30);
    l->fair.lendable = number(how, "lendablePercent", 0);
    l->fair.borrowing = number(how, "borrowingLimitPercent", UINT32_MAX >> 2);
    if (!json_get(how, STR("borrowingLimitPercent")))
        l->fair.borrowing = UINT32_MAX;
    l->fair.rejects = str_is(json_str(how, "limitResponse.type"), "Reject");
    l->fair.n_queues = number(how, "limitResponse.queuing.queues", 64);
    l->fair.hand = number(how, "limitResponse.queuing.handSize", 8);
    l->fair.length = number(how, "limitResponse.queuing.queueLengthLimit", 50);
    return true;
}

/* Behind those that come before it. */
static void sort_in(struct flow *f, struct flow_schema *s)
{
    struct list *at = &f->schemas;
    list_remove(&s->link);
    list_each(n, &f->schemas) {
        const struct flow_schema *o = list_item(n, struct flow_schema, link);
        if (o->precedence > s->precedence || (o->precedence == s->precedence && strcmp(o->name, s->name) > 0)) {
            at = n;
            break;
        }
    }
    list_add_before(at, &s->link);
}

static bool take_schema(void *ctx, struct store_object *o)
{
    struct flow *f = ctx;
    struct flow_schema *s = find_schema(f, store_object_name(o));
    if (!s && !(s = schema_new(f, store_object_name(o))))
        return true;
    s->listed = true;
    if (s->revision == store_object_revision(o))
        return true;
    struct arena *a = arena_new(API_ARENA_MAX);
    struct str text = a ? arena_str(a, store_object_json(o)) : STR_NONE;
    struct val *v = text.at ? json_parse(a, text, NULL) : NULL, *spec = json_get(v, STR("spec"));
    struct str by = json_str(spec, "distinguisherMethod.type");
    arena_free(s->arena);
    s->arena = a;
    s->n_rules = 0;
    if (!spec || flow_read_rules(s, spec) < 0)
        return true;                    /* out of memory: it matches nothing */
    snprintf(s->uid, sizeof s->uid, STR_FMT, STR_ARG(store_object_uid(o)));
    s->revision = store_object_revision(o);
    s->precedence = json_int(spec, "matchingPrecedence", 1000);
    s->by = str_is(by, "ByUser") ? BY_USER : str_is(by, "ByNamespace") ? BY_NAMESPACE : BY_NOTHING;
    s->level_name = json_str(spec, "priorityLevelConfiguration.name");
    sort_in(f, s);
    return true;
}

static void schema_free(struct flow_schema *s)
{
    list_remove(&s->link);
    arena_free(s->arena);
    mem_free(s->name);
    mem_free(s);
}

static void level_free(struct flow *f, struct flow_level *l)
{
    fair_level_end(&f->fair, &l->fair);
    mem_free(l->name);
    mem_free(l);
}

/* What is not there any more goes once nobody runs or waits in it. */
static void drop_gone(struct flow *f)
{
    list_each(n, &f->schemas) {
        struct flow_schema *s = list_item(n, struct flow_schema, link);
        if (!s->listed && !s->running && !s->waiting)
            schema_free(s);
    }
    list_each(n, &f->fair.levels) {
        struct flow_level *l = list_item(n, struct flow_level, fair.link);
        bool used = l->listed || l->fair.running || l->fair.queued;
        list_each(m, &f->schemas)
            used |= list_item(m, struct flow_schema, link)->level == l;
        if (!used)
            level_free(f, l);
    }
}

static void take_over(struct flow *f)
{
    struct store_range levels = { .resource = str_of(resources[0]) }, schemas = { .resource = str_of(resources[1]) };
    list_each(n, &f->schemas)
        list_item(n, struct flow_schema, link)->listed = false;
    list_each(n, &f->fair.levels)
        list_item(n, struct flow_level, fair.link)->listed = false;
    store_list(f->api->store, &levels, take_level, f);
    store_list(f->api->store, &schemas, take_schema, f);
    list_each(n, &f->schemas) {         /* levels come and go under schemas that stay */
        struct flow_schema *s = list_item(n, struct flow_schema, link);
        struct flow_level *l = s->revision ? find_level(f, s->level_name) : NULL;
        s->level = l && l->listed ? l : NULL;
    }
    drop_gone(f);
    fair_share_out(&f->fair);
    want_dispatch(f);
}

/* --- watching it --- */

static void settle(void *ctx)
{
    struct flow *f = ctx;
    f->looking = false;
    take_over(f);
    flow_keep_objects(f);
}

static void on_wake(void *ctx);

static int watch(struct flow *f, int i, struct kl_err *err)
{
    return store_watch_new(f->api->store, str_of(resources[i]), STR_NONE, store_revision(f->api->store), on_wake, f, &f->watches[i], err);
}

/* Changes come in heaps: all that a turn has brought is looked at once. */
static void on_wake(void *ctx)
{
    struct flow *f = ctx;
    struct store_event e;
    struct kl_err err;
    kl_err_init(&err);
    for (int i = 0; i < 2; i++) {
        bool expired = false;
        while (f->watches[i] && store_watch_next(f->watches[i], &e, &expired))
            ;
        if (!expired)
            continue;
        store_watch_free(f->watches[i]);
        f->watches[i] = NULL;
        if (watch(f, i, &err) < 0)
            log_error("api", "priority and fairness: %s", err.msg);
    }
    if (!f->looking) {
        f->looking = true;
        loop_timer_start(f->api->loop, &f->settle, 0, settle, f);
    }
}

static void turn_over(void *ctx)
{
    ((struct flow *)ctx)->turn_ns = 0;
}

int flow_new(struct api *api, unsigned seats, struct flow **ret, struct kl_err *err)
{
    struct flow *f = mem_alloc(sizeof *f);
    if (!f)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    f->api = api;
    fair_init(&f->fair, seats);
    list_init(&f->schemas);
    list_init(&f->requests);
    loop_hook_add(api->loop, &f->hook, turn_over, f);
    *ret = f;
    if (watch(f, 0, err) < 0 || watch(f, 1, err) < 0)
        return -err->code;
    settle(f);
    return 0;
}

void flow_stop(struct flow *f)
{
    if (!f)
        return;
    loop_timer_stop(&f->settle);
    loop_timer_stop(&f->late);
    for (int i = 0; i < 2; i++) {
        store_watch_free(f->watches[i]);
        f->watches[i] = NULL;
    }
}

void flow_free(struct flow *f)
{
    if (!f)
        return;
    flow_stop(f);
    list_remove(&f->hook.link);
    list_each(n, &f->schemas)
        schema_free(list_item(n, struct flow_schema, link));
    list_each(n, &f->fair.levels)
        level_free(f, list_item(n, struct flow_level, fair.link));
    mem_free(f);
}
