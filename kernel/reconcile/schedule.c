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

struct parked {
    bool claims;                        /* it has some: news of them may help */
    char key[];
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
