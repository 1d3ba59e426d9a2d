/* schedule.c - see schedule.h.
 *
 * Life of a pod without a node: it is queued -> decide.c finds a node for it and binds it -> or it is parked until its claims are bound or room may have appeared.
 */
#include "reconcile/schedule.h"

#include "base/env.h"
#include "base/json_scan.h"
#include "base/log.h"
#include "base/mem.h"
#include "reconcile/schedule-internal.h"

#define PORTION_NS (2 * NS_PER_MS)
#define PARKED_NS (300 * NS_PER_S)      /* looked at again without any news, as upstream does */

/* Who waits for the same as many others is looked at again at once for the first times, then later and later: each of them that finds a node wakes the others. */
#define TRIES_AT_ONCE 3
#define WOKEN_MOST_NS NS_PER_S

struct parked {
    bool claims, room;
    unsigned tries;
    unsigned n_waits;
    struct topology_wait *waits;
    size_t key_len;
    char key[];
};

/* --- parked pods --- */

static void wait_no_more(struct schedule *s, struct parked *p)
{
    for (unsigned i = 0; i < p->n_waits; i++)
        topology_wait_end(ledger_topology(s->ledger), &p->waits[i]);
    mem_free(p->waits);
    p->waits = NULL;
    p->n_waits = 0;
}

/* More of those it wants to be near; fewer of those it must be apart from; in spreading either. */
static unsigned hope_of(const struct rule *r)
{
    static const unsigned on[] = { [RULE_SPREAD] = TOPOLOGY_MORE | TOPOLOGY_FEWER, [RULE_NEAR] = TOPOLOGY_MORE, [RULE_APART] = TOPOLOGY_FEWER, [RULE_UNWANTED] = TOPOLOGY_OWNERS };
    return on[r->kind];
}

static void wait_for(struct schedule *s, struct parked *p, const struct rules *r)
{
    unsigned n = 0;
    for (unsigned i = 0; r && i < r->n; i++)
        n += r->at[i].refused;
    if (!n || !(p->waits = mem_alloc(n * sizeof *p->waits)))
        return;
    for (unsigned i = 0; i < r->n; i++) {
        if (!r->at[i].refused)
            continue;
        struct topology_wait *w = &p->waits[p->n_waits++];
        *w = (struct topology_wait){ .term = r->at[i].term, .on = hope_of(&r->at[i]), .who = p };
        topology_wait(ledger_topology(s->ledger), w);
    }
}

void schedule_park(struct schedule *s, struct str key, const struct hopes *h)
{
    struct parked *p = map_get(&s->parked, key);
    if (p)
        p->tries++;
    else {
        if (!(p = mem_alloc(sizeof *p + key.len)))
            return;
        memcpy(p->key, key.at, key.len);
        p->key_len = key.len;
        if (!map_put(&s->parked, str_n(p->key, key.len), p)) {
            mem_free(p);
            return;
        }
    }
    wait_no_more(s, p);
    p->claims = h->claims;
    p->room = h->room;
    wait_for(s, p, h->rules);
}

static void unpark(struct schedule *s, struct str key)
{
    struct parked *p = map_del(&s->parked, key);
    if (!p)
        return;
    wait_no_more(s, p);
    mem_free(p);
}

enum news { NEWS_ANY, NEWS_ROOM, NEWS_CLAIMS };

static void retry(struct schedule *s, enum news news)
{
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&s->parked, &at, &key, &value)) {
        const struct parked *p = value;
        if (news == NEWS_ANY || (news == NEWS_ROOM ? p->room : p->claims))
            queue_add(s->queue, key, 0);
    }
}

/* Pods that it waits for have come or gone. */
static void woken(void *ctx, void *who)
{
    struct schedule *s = ctx;
    struct parked *p = who;
    if (!p) {
        retry(s, NEWS_ANY);
        return;
    }
    unsigned late = p->tries > TRIES_AT_ONCE ? p->tries - TRIES_AT_ONCE : 0;
    int64_t delay = late > 6 ? WOKEN_MOST_NS : late ? (10 * NS_PER_MS) << late : 0;
    queue_add(s->queue, str_n(p->key, p->key_len), delay < WOKEN_MOST_NS ? delay : WOKEN_MOST_NS);
}

static void retry_parked(void *ctx)
{
    retry(ctx, NEWS_ROOM);
}

/* One that waits for devices. */
static void retry_one(void *ctx, struct str key)
{
    struct schedule *s = ctx;
    queue_add(s->queue, key, 0);
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
        enum outcome o = schedule_one(s, k->name);
        if (o != PARKED)
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

/* What decides where it may be: its spec, and the labels that others' rules look at. */
static bool says_otherwise(const struct store_event *e)
{
    static const char *const paths[] = { "spec", "metadata.labels" };
    for (unsigned i = 0; e->old && i < sizeof paths / sizeof *paths; i++)
        if (!str_eq(json_scan_path(store_object_json(e->old), paths[i]), json_scan_path(store_object_json(e->object), paths[i])))
            return true;
    return false;
}

/* A parked pod comes back only when its spec was changed (its own status is our doing, but for the names of its claims) or room may have appeared. */
static void on_pods(void *ctx)
{
    struct schedule *s = ctx;
    struct store_event e;
    bool expired = false;
    while (store_watch_next(s->pods, &e, &expired)) {
        if (e.type == STORE_DELETED || claims_told(s, &e) || says_otherwise(&e)) {
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
        retry(s, NEWS_CLAIMS);
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
        ledger_listen(s->ledger, woken);
    if (rc == 0)
        rc = devices_new(c->store, retry_one, s, &s->devices, err);
    if (rc == 0)
        rc = services_new(c->store, &s->services, err);
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
    while (map_next(&s->parked, &at, &key, &value)) {
        wait_no_more(s, value);
        mem_free(value);
    }
    ledger_free(s->ledger);
    services_free(s->services);
    queue_free(s->queue);
    mem_free(s->candidates);
    map_free(&s->parked);
    mem_free(s);
}

void schedule_metrics(void *ctx, struct prom *p)
{
    const struct schedule *s = ctx;
    schedule_counts_write(&s->counts, queue_stats(s->queue)->ready, s->parked.n, p);
}
