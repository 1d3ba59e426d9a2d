/* runner.c - see runner.h. Reconciles on the loop in small portions, or, for controllers that block, on threads of their own: the
 * loop's shared workers make commits durable and must not be taken by what may wait for minutes. */
#include "reconcile/runner.h"

#include <pthread.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/log.h"
#include "object/object.h"
#include "reconcile/call.h"
#include "reconcile/source.h"

#define PORTION_NS (2 * NS_PER_MS)      /* longest that one runner keeps the loop at a time */
#define REST_FACTOR 8                   /* a key rests that many times as long as its work took */
#define REST_LEAST_NS (2 * NS_PER_MS)
#define REST_MOST_NS (1000 * NS_PER_MS)
#define STACK_BYTES (1u << 20)

struct job {
    struct list link;
    struct runner *runner;
    struct queue_key *key;
    struct kl_call call;
    struct arena *arena;
    int64_t again_ns;
    int rc;
};

struct threads {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct list jobs;
    pthread_t at[64];
    unsigned n, idle, most;
};

struct runner {
    struct loop *loop;
    struct store *store;
    struct loop_hook hook;              /* of a "*" watch: kinds come and go */
    uint64_t generation;                /* of the kinds that are watched */
    struct runner_conf conf;
    struct queue *queue;
    struct source **sources;
    unsigned n_sources, cap_sources, n_working;
    bool posted;
    volatile bool stopping;             /* read by threads: a late sight of it costs one more poll */
    loop_fn gone;
    void *gone_ctx;
    struct threads threads;
    uint64_t calls, failures;
    char last_error[400];
};

/* --- work --- */

static __thread struct runner *running; /* what `cancelled` of the present call asks */

static bool cancelled(const struct kl_call *c)
{
    (void)c;
    return running && running->stopping;
}

static struct job *job_new(struct runner *r, struct queue_key *key)
{
    struct job *j = mem_alloc(sizeof *j);
    if (!j || !(j->arena = arena_new(HOST_CALL_BYTES))) {
        mem_free(j);
        return NULL;
    }
    j->runner = r;
    j->key = key;
    list_init(&j->link);
    host_call_init(&j->call, j->arena, r->conf.name);
    j->call.cancelled = cancelled;
    return j;
}

static void job_run(struct job *j)
{
    struct runner *r = j->runner, *before = running;
    const char *key = arena_dup(j->arena, j->key->name);
    running = r;
    j->rc = key ? r->conf.table->reconcile(r->conf.self, &j->call, key, &j->again_ns) : -KL_NO_MEMORY;
    running = before;
}

static void note_failure(struct job *j)
{
    struct runner *r = j->runner;
    const struct kl_code_row *row = kl_code_row(j->rc);
    r->failures++;
    snprintf(r->last_error, sizeof r->last_error, STR_FMT ": %s", STR_ARG(j->key->name), j->call.err.msg);
    /* Conflicts are how writers meet: the next try settles them. */
    enum kl_level level = -j->rc == KL_CONFLICT || -j->rc == KL_CANCELLED || -j->rc == KL_PENDING || j->key->failures > 8 ? KL_DEBUG : KL_WARN;
    if (log_on(level))
        log_line(level, r->conf.name, STR_FMT ": %s%s", STR_ARG(j->key->name), j->call.err.msg[0] ? j->call.err.msg : row->name,
                 row->retry ? "; comes back" : "");
}

static void job_end(void *ctx)
{
    struct job *j = ctx;
    struct runner *r = j->runner;
    r->calls++;
    r->n_working--;
    if (j->rc < 0)
        note_failure(j);
    bool retry = j->rc < 0 && (kl_code_row(j->rc)->retry || -j->rc == KL_CANCELLED || -j->rc == KL_NOT_FOUND || -j->rc == KL_ALREADY_EXISTS ||
                                   -j->rc == KL_FORBIDDEN);
    /* What cannot succeed unchanged is tried again too, but only now and then: the world around it changes. */
    if (j->rc < 0 && !retry && j->again_ns <= 0)
        j->again_ns = 60 * NS_PER_S;
    queue_done(r->queue, j->key, retry, j->again_ns);
    arena_free(j->arena);
    mem_free(j);
    if (r->stopping && !r->n_working && r->gone) {
        loop_fn gone = r->gone;
        r->gone = NULL;
        gone(r->gone_ctx);
    }
}

/* --- threads --- */

static void job_end_and_more(void *ctx);

static void *thread_main(void *ctx)
{
    struct runner *r = ctx;
    struct threads *t = &r->threads;
    pthread_mutex_lock(&t->lock);
    for (;;) {
        struct list *n = list_pop(&t->jobs);
        if (!n && r->stopping)
            break;
        if (!n) {
            t->idle++;
            pthread_cond_wait(&t->more, &t->lock);
            t->idle--;
            continue;
        }
        pthread_mutex_unlock(&t->lock);
        struct job *j = list_item(n, struct job, link);
        job_run(j);
        loop_post(r->loop, job_end_and_more, j);
        pthread_mutex_lock(&t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static void thread_give(struct runner *r, struct job *j)
{
    struct threads *t = &r->threads;
    pthread_attr_t attr;
    pthread_mutex_lock(&t->lock);
    list_push(&t->jobs, &j->link);
    if (!t->idle && t->n < t->most) {
        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, STACK_BYTES);
        if (pthread_create(&t->at[t->n], &attr, thread_main, r) == 0)
            t->n++;
        pthread_attr_destroy(&attr);
    }
    pthread_cond_signal(&t->more);
    pthread_mutex_unlock(&t->lock);
}

/* --- the queue's side --- */

static bool room_for_more(const struct runner *r)
{
    return !(r->conf.table->flags & KL_CONTROLLER_BLOCKING) || r->n_working < r->threads.most;
}

static void portion(void *ctx);

static void want_portion(void *ctx)
{
    struct runner *r = ctx;
    if (r->posted || r->stopping)
        return;
    r->posted = true;
    loop_post(r->loop, portion, r);
}

static void job_end_and_more(void *ctx)
{
    struct job *j = ctx;
    struct runner *r = j->runner;
    job_end(j);
    want_portion(r);
}

/* Work on the loop that takes long must not be done again for each of a burst of changes. */
static void rest(struct queue_key *k, int64_t took_ns)
{
    int64_t ns = took_ns * REST_FACTOR;
    k->rest_ns = ns < REST_LEAST_NS ? 0 : ns < REST_MOST_NS ? ns : REST_MOST_NS;
}

static void portion(void *ctx)
{
    struct runner *r = ctx;
    int64_t until = env_mono_ns() + PORTION_NS;
    bool blocking = r->conf.table->flags & KL_CONTROLLER_BLOCKING;
    r->posted = false;
    while (!r->stopping && !r->conf.held && room_for_more(r)) {
        struct queue_key *k = queue_next(r->queue);
        if (!k)
            return;
        struct job *j = job_new(r, k);
        if (!j) {
            queue_done(r->queue, k, true, 0);
            return;
        }
        r->n_working++;
        if (blocking) {
            thread_give(r, j);
            continue;
        }
        int64_t began = env_mono_ns();
        job_run(j);
        rest(k, env_mono_ns() - began);
        job_end(j);
        if (env_mono_ns() > until) {
            want_portion(r);
            return;
        }
    }
}

/* --- life --- */

static void on_key(void *ctx, struct str key)
{
    struct runner *r = ctx;
    if (!r->stopping)
        queue_add(r->queue, key, 0);
}

static int start_source(struct runner *r, struct store *s, const struct kl_watch *w, struct kl_err *err)
{
    struct source_conf sc = { .loop = r->loop, .whole = r->conf.whole, .watch = w, .table = r->conf.table, .self = r->conf.self, .name = r->conf.name, .variable = r->conf.variable,
                              .variable_ctx = r->conf.ctx, .key = on_key, .ctx = r };
    if (r->n_sources == r->cap_sources) {
        unsigned cap = r->cap_sources ? r->cap_sources * 2 : 8;
        struct source **at = mem_resize(r->sources, cap * sizeof *at);
        if (!at)
            return kl_err_set(err, KL_NO_MEMORY, "out of memory");
        r->sources = at;
        r->cap_sources = cap;
    }
    int rc = source_start(s, &sc, &r->sources[r->n_sources], err);
    r->n_sources += rc == 0;
    return rc;
}

static bool has_source(const struct runner *r, const char *resource)
{
    for (unsigned i = 0; i < r->n_sources; i++)
        if (strcmp(source_resource(r->sources[i]), resource) == 0)
            return true;
    return false;
}

/* One watch of every kind that is kept and has none yet. */
static int start_all(struct runner *r, struct store *s, const struct kl_watch *w, struct kl_err *err)
{
    int rc = 0;
    r->generation = schema_generation();
    for (size_t i = 0; i < schema_n_kinds() && rc == 0; i++) {
        const struct schema_kind *k = schema_kind_at(i);
        struct kl_watch one = *w;
        one.resource = k->resource;
        if (k->flags & K_STORED && (k->storage == k || k->flags & K_CUSTOM) && !has_source(r, k->resource))
            rc = start_source(r, s, &one, err);
    }
    return rc;
}

/* Watches of kinds that are no more end. */
static void end_some(struct runner *r)
{
    unsigned n = 0;
    for (unsigned i = 0; i < r->n_sources; i++) {
        if (schema_resource_by_name(str_of(source_resource(r->sources[i]))))
            r->sources[n++] = r->sources[i];
        else
            source_free(r->sources[i]);
    }
    r->n_sources = n;
}

/* Once per turn: custom resources come and go. */
static void follow_kinds(void *ctx)
{
    struct runner *r = ctx;
    const struct kl_controller *t = r->conf.table;
    struct kl_err err;
    kl_err_init(&err);
    if (r->stopping || r->generation == schema_generation())
        return;
    end_some(r);
    for (uint32_t i = 0; i < t->watches.n; i++) {
        const struct kl_watch *w = KL_AT(struct kl_watch, t->watches, i);
        if (strcmp(w->resource, "*") == 0 && start_all(r, r->store, w, &err) < 0)
            log_error(r->conf.name, "a new kind is not watched: %s", err.msg);
    }
}

static int start_sources(struct runner *r, struct store *s, struct kl_err *err)
{
    const struct kl_controller *t = r->conf.table;
    int rc = 0;
    for (uint32_t i = 0; i < t->watches.n && rc == 0; i++) {
        const struct kl_watch *w = KL_AT(struct kl_watch, t->watches, i);
        bool all = strcmp(w->resource, "*") == 0;
        rc = all ? start_all(r, s, w, err) : start_source(r, s, w, err);
        if (all && rc == 0 && list_empty(&r->hook.link))
            loop_hook_add(r->loop, &r->hook, follow_kinds, r);
    }
    return rc;
}

int runner_start(struct loop *l, struct store *s, const struct runner_conf *c, struct runner **ret, struct kl_err *err)
{
    struct runner *r = mem_alloc(sizeof *r);
    if (!r)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    r->loop = l;
    r->conf = *c;
    r->threads.most = c->table->workers ? c->table->workers : 1;
    if (r->threads.most > 64)
        r->threads.most = 64;
    pthread_mutex_init(&r->threads.lock, NULL);
    pthread_cond_init(&r->threads.more, NULL);
    list_init(&r->threads.jobs);
    list_init(&r->hook.link);
    r->store = s;
    r->queue = queue_new(l, want_portion, r);
    int rc = r->queue ? start_sources(r, s, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        r->stopping = true;
        runner_free(r);
        return rc;
    }
    *ret = r;
    return 0;
}

void runner_release(struct runner *r)
{
    r->conf.held = false;
    want_portion(r);
}

bool runner_caught_up(const struct runner *r)
{
    return !r->conf.held && !r->posted && !r->n_working && !queue_stats(r->queue)->ready;
}

void runner_stop(struct runner *r, loop_fn gone, void *ctx)
{
    r->stopping = true;
    list_remove(&r->hook.link);
    for (unsigned i = 0; i < r->n_sources; i++)
        source_free(r->sources[i]);
    r->n_sources = 0;
    pthread_mutex_lock(&r->threads.lock);
    for (struct list *n; (n = list_pop(&r->threads.jobs));) {
        struct job *j = list_item(n, struct job, link);
        j->rc = -KL_CANCELLED;
        loop_post(r->loop, job_end, j);
    }
    pthread_cond_broadcast(&r->threads.more);
    pthread_mutex_unlock(&r->threads.lock);
    r->gone = gone;
    r->gone_ctx = ctx;
    if (!r->n_working) {
        r->gone = NULL;
        gone(ctx);
    }
}

bool runner_stopped(const struct runner *r)
{
    return r->stopping;
}

void runner_free(struct runner *r)
{
    if (!r)
        return;
    for (unsigned i = 0; i < r->n_sources; i++)
        source_free(r->sources[i]);
    for (unsigned i = 0; i < r->threads.n; i++)
        pthread_join(r->threads.at[i], NULL);
    mem_free(r->sources);
    queue_free(r->queue);
    pthread_mutex_destroy(&r->threads.lock);
    pthread_cond_destroy(&r->threads.more);
    mem_free(r);
}

/* --- from outside --- */

struct addition {
    struct runner *runner;
    int64_t delay_ns;
    char key[];
};

static void add_posted(void *ctx)
{
    struct addition *a = ctx;
    if (!a->runner->stopping)
        queue_add(a->runner->queue, str_of(a->key), a->delay_ns);
    mem_free(a);
}

void runner_add(struct runner *r, const char *key, int64_t delay_ns)
{
    if (loop_here(r->loop)) {
        if (!r->stopping)
            queue_add(r->queue, str_of(key), delay_ns);
        return;
    }
    size_t n = strlen(key);
    struct addition *a = mem_alloc(sizeof *a + n + 1);
    if (!a)
        return;
    a->runner = r;
    a->delay_ns = delay_ns;
    memcpy(a->key, key, n);
    loop_post(r->loop, add_posted, a);
}

const struct queue *runner_queue(const struct runner *r)
{
    return r->queue;
}

struct val *runner_debug(struct runner *r, struct arena *a)
{
    const struct queue_stats *s = queue_stats(r->queue);
    struct val *v = val_new(a, VAL_OBJ), *q = json_obj(a, v, STR("queue"));
    json_set_int(a, q, STR("ready"), s->ready);
    json_set_int(a, q, STR("waiting"), s->waiting);
    json_set_int(a, q, STR("working"), s->working);
    json_set_int(a, v, STR("calls"), (int64_t)r->calls);
    json_set_int(a, v, STR("failures"), (int64_t)r->failures);
    if (r->last_error[0])
        json_set_str(a, v, STR("lastError"), arena_str(a, str_of(r->last_error)));
    return v;
}
