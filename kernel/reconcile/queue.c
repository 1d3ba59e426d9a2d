/* queue.c - see queue.h. */
#include "reconcile/queue.h"

#include "base/env.h"
#include "base/map.h"
#include "base/mem.h"

static const struct prom_bounds bounds = { 12, { 1e-8, 1e-7, 1e-6, 9.999999999999999e-06, 9.999999999999999e-05, 0.001, 0.01, 0.1, 1, 10, 100, 1000 } };

enum key_state { KEY_WAITING = 1, KEY_READY, KEY_WORKING, KEY_RESTING };

struct key {
    struct queue_key pub;               /* first: queue_key * is struct key * */
    struct queue *queue;
    struct list link;                   /* in ready */
    struct loop_timer timer;            /* WAITING, RESTING */
    enum key_state state;
    bool again;                         /* WORKING: added meanwhile */
    int64_t again_due_ns;
    int64_t rested_ns;                  /* no change brings it back before */
    int64_t since_ns;                   /* READY, WORKING */
    char text[];
};

struct queue {
    struct loop *loop;
    loop_fn ready_fn;
    void *ready_ctx;
    struct map keys;
    struct list ready;
    struct queue_stats stats;
};

struct queue *queue_new(struct loop *l, loop_fn ready, void *ctx)
{
    struct queue *q = mem_alloc(sizeof *q);
    if (!q)
        return NULL;
    q->loop = l;
    q->ready_fn = ready;
    q->ready_ctx = ctx;
    list_init(&q->ready);
    q->stats.waited.bounds = q->stats.worked.bounds = &bounds;
    return q;
}

void queue_free(struct queue *q)
{
    size_t at = 0;
    struct str name;
    void *value;
    if (!q)
        return;
    while (map_next(&q->keys, &at, &name, &value)) {
        struct key *k = value;
        loop_timer_stop(&k->timer);
        mem_free(k);
    }
    map_free(&q->keys);
    mem_free(q);
}

static void make_ready(void *ctx)
{
    struct key *k = ctx;
    struct queue *q = k->queue;
    if (k->state == KEY_WAITING)
        q->stats.waiting--;
    k->state = KEY_READY;
    k->since_ns = env_mono_ns();
    q->stats.ready++;
    list_push(&q->ready, &k->link);
    q->ready_fn(q->ready_ctx);
}

/* From nowhere or from work into waiting (or straight to ready). */
static void set_wait(struct key *k, int64_t delay_ns)
{
    k->state = 0;
    if (delay_ns <= 0) {
        make_ready(k);
        return;
    }
    k->state = KEY_WAITING;
    k->queue->stats.waiting++;
    loop_timer_start(k->queue->loop, &k->timer, delay_ns, make_ready, k);
}

static void drop(struct key *k)
{
    map_del(&k->queue->keys, k->pub.name);
    mem_free(k);
}

static void rested(void *ctx)
{
    drop(ctx);
}

static struct key *new_key(struct queue *q, struct str name)
{
    struct key *k = mem_alloc(sizeof *k + name.len + 1);
    if (!k)
        return NULL;
    memcpy(k->text, name.at, name.len);
    k->pub.name = str_n(k->text, name.len);
    k->queue = q;
    list_init(&k->link);
    if (!map_put(&q->keys, k->pub.name, k)) {
        mem_free(k);
        return NULL;
    }
    return k;
}

void queue_add(struct queue *q, struct str name, int64_t delay_ns)
{
    struct key *k = map_get(&q->keys, name);
    int64_t due = loop_now(q->loop) + (delay_ns > 0 ? delay_ns : 0);
    q->stats.added++;
    if (!k) {
        k = new_key(q, name);
        if (k)
            set_wait(k, delay_ns);
        return;
    }
    if (due < k->rested_ns)
        due = k->rested_ns;
    switch (k->state) {
    case KEY_READY:
        return;
    case KEY_WAITING:
        if (due < k->timer.due_ns) {
            loop_timer_stop(&k->timer);
            q->stats.waiting--;
            set_wait(k, due - loop_now(q->loop));
        }
        return;
    case KEY_RESTING:
        loop_timer_stop(&k->timer);
        set_wait(k, due - loop_now(q->loop));
        return;
    case KEY_WORKING:
        if (!k->again || due < k->again_due_ns)
            k->again_due_ns = due;
        k->again = true;
        return;
    }
}

/* And from now on. */
static double seconds_since(int64_t *ns)
{
    int64_t before = *ns;
    *ns = env_mono_ns();
    return (double)(*ns - before) / (double)NS_PER_S;
}

struct queue_key *queue_next(struct queue *q)
{
    struct list *n = list_pop(&q->ready);
    if (!n)
        return NULL;
    struct key *k = list_item(n, struct key, link);
    k->state = KEY_WORKING;
    prom_observe(&q->stats.waited, seconds_since(&k->since_ns));
    k->again = false;
    k->pub.rest_ns = 0;
    q->stats.ready--;
    q->stats.working++;
    return &k->pub;
}

static int64_t backoff(unsigned failures)
{
    int64_t ns = QUEUE_BACKOFF_FIRST_NS;
    for (unsigned i = 1; i < failures && ns < QUEUE_BACKOFF_MOST_NS; i++)
        ns *= 2;
    return ns < QUEUE_BACKOFF_MOST_NS ? ns : QUEUE_BACKOFF_MOST_NS;
}

void queue_done(struct queue *q, struct queue_key *pub, bool failed, int64_t again_ns)
{
    struct key *k = (struct key *)pub;
    int64_t delay = again_ns > 0 ? again_ns : -1;
    k->rested_ns = pub->rest_ns ? loop_now(q->loop) + pub->rest_ns : 0;
    prom_observe(&q->stats.worked, seconds_since(&k->since_ns));
    q->stats.working--;
    q->stats.done++;
    if (failed) {
        q->stats.failed++;
        pub->failures++;
        delay = backoff(pub->failures);
    } else {
        pub->failures = 0;
    }
    if (k->again) {
        int64_t left = k->again_due_ns - loop_now(q->loop);
        left = left > pub->rest_ns ? left : pub->rest_ns;
        /* A change is news: it does not wait for the back-off of what was tried before it, except right after a failure
         * that its own writes may have caused. */
        if (delay < 0 || left < delay)
            delay = failed && left < QUEUE_BACKOFF_FIRST_NS ? QUEUE_BACKOFF_FIRST_NS : left;
    }
    if (delay >= 0) {
        set_wait(k, delay);
        return;
    }
    if (!pub->rest_ns) {
        drop(k);
        return;
    }
    k->state = KEY_RESTING;
    loop_timer_start(q->loop, &k->timer, pub->rest_ns, rested, k);
}

const struct queue_stats *queue_stats(const struct queue *q)
{
    return &q->stats;
}

void queue_unfinished(const struct queue *q, double *ret_sum, double *ret_longest)
{
    int64_t now = env_mono_ns();
    size_t at = 0;
    void *value;
    *ret_sum = *ret_longest = 0;
    while (q->stats.working && map_next(&q->keys, &at, NULL, &value)) {
        const struct key *k = value;
        double s = (double)(now - k->since_ns) / (double)NS_PER_S;
        if (k->state != KEY_WORKING)
            continue;
        *ret_sum += s;
        if (s > *ret_longest)
            *ret_longest = s;
    }
}
