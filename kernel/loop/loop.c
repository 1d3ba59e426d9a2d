/* loop.c - the loop over libuv, and its simulated twin without it. Timers are ours in both (timer.c), so that their order is the
 * same: by time, then by start. */
#include <pthread.h>
#include <stdlib.h>
#include <netdb.h>
#include <uv.h>

#include "base/env.h"
#include "base/mem.h"
#include "loop-internal.h"

struct post {
    struct list link;
    loop_fn fn;
    void *ctx;
};

struct work {
    struct list link;
    uv_work_t req;
    bool ran;
    struct loop *loop;
    loop_fn run, done;
    void *ctx;
};

struct loop_fd {
    uv_poll_t poll;
    void (*ready)(void *ctx, int events);
    void *ctx;
    struct loop *loop;
    int events;                         /* asked for; libuv asks the kernel again, twice, even for the same */
    bool closed;
};

struct signal_watch {
    uv_signal_t handle;
    struct loop *loop;
    loop_fn fn;
    void *ctx;
};

struct uv_parts {
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;
    uv_prepare_t prepare;
    pthread_mutex_t lock;               /* posts; ran of works */
    pthread_cond_t ran;
    pthread_t thread;
    bool running;
    struct signal_watch signals[65];
};

/* --- what both kinds do --- */

void loop_hook_add(struct loop *l, struct loop_hook *h, loop_fn fn, void *ctx)
{
    h->fn = fn;
    h->ctx = ctx;
    list_push(&l->hooks, &h->link);
}

static void run_hooks(struct loop *l)
{
    list_each(node, &l->hooks)
    {
        struct loop_hook *h = list_item(node, struct loop_hook, link);
        h->fn(h->ctx);
    }
}

static void run_posts(struct loop *l)
{
    struct list mine = LIST_INIT(mine);
    if (l->uv)
        pthread_mutex_lock(&l->uv->lock);
    for (struct list *n; (n = list_pop(&l->posts));)
        list_push(&mine, n);
    if (l->uv)
        pthread_mutex_unlock(&l->uv->lock);
    for (struct list *n; (n = list_pop(&mine));) {
        struct post *p = list_item(n, struct post, link);
        p->fn(p->ctx);
        mem_free(p);
    }
}

int64_t loop_now(const struct loop *l)
{
    return l->now_ns;
}

/* --- simulated --- */

static int64_t sim_mono(void *ctx)
{
    return ((struct loop *)ctx)->now_ns;
}

static int64_t sim_wall(void *ctx)
{
    struct loop *l = ctx;
    return l->now_ns + l->wall_offset_ns;
}

static void sim_turn(struct loop *l)
{
    run_posts(l);
    run_hooks(l);
}

/* Runs what is due until that time; the clock jumps from timer to timer. */
void loop_run_until(struct loop *l, int64_t mono_ns)
{
    while (!l->stopped) {
        sim_turn(l);
        if (!list_empty(&l->posts))
            continue;
        int64_t due = timers_next(l);
        if (due < 0 || due > mono_ns)
            break;
        if (due > l->now_ns)
            l->now_ns = due;
        timers_run(l);
    }
    if (!l->stopped && mono_ns > l->now_ns && mono_ns != INT64_MAX)
        l->now_ns = mono_ns;
}

struct loop *loop_new_sim(int64_t start_mono_ns, int64_t start_wall_ns)
{
    struct loop *l = mem_alloc(sizeof *l);
    if (!l)
        return NULL;
    list_init(&l->hooks);
    list_init(&l->posts);
    list_init(&l->works);
    l->now_ns = start_mono_ns;
    l->wall_offset_ns = start_wall_ns - start_mono_ns;
    l->env = *env_ops();
    l->env.mono_ns = sim_mono;
    l->env.wall_ns = sim_wall;
    l->env.ctx = l;
    return l;
}

const struct env_ops *loop_sim_env(struct loop *l)
{
    return &l->env;
}

/* --- over libuv --- */

static void update_now(struct loop *l)
{
    l->now_ns = env_mono_ns();
}

static void on_wake(uv_async_t *h)
{
    struct loop *l = h->data;
    update_now(l);
    run_posts(l);
}

static void on_timer(uv_timer_t *h)
{
    struct loop *l = h->data;
    update_now(l);
    timers_run(l);
}

/* Before the loop waits: hooks, then the one libuv timer is set for the first of ours. */
static void on_prepare(uv_prepare_t *h)
{
    struct loop *l = h->data;
    update_now(l);
    timers_run(l);
    run_hooks(l);
    int64_t due = timers_next(l);
    if (due < 0) {
        uv_timer_stop(&l->uv->timer);
        return;
    }
    int64_t wait = due - l->now_ns;
    uv_timer_start(&l->uv->timer, on_timer, wait <= 0 ? 0 : (uint64_t)((wait + NS_PER_MS - 1) / NS_PER_MS), 0);
}

struct loop *loop_new(void)
{
    struct loop *l = mem_alloc(sizeof *l);
    struct uv_parts *u = l ? mem_alloc(sizeof *u) : NULL;
    if (!u || uv_loop_init(&u->loop) < 0) {
        mem_free(u);
        mem_free(l);
        return NULL;
    }
    l->uv = u;
    list_init(&l->hooks);
    list_init(&l->posts);
    list_init(&l->works);
    pthread_mutex_init(&u->lock, NULL);
    pthread_cond_init(&u->ran, NULL);
    u->wake.data = u->timer.data = u->prepare.data = l;
    uv_async_init(&u->loop, &u->wake, on_wake);
    uv_timer_init(&u->loop, &u->timer);
    uv_prepare_init(&u->loop, &u->prepare);
    uv_prepare_start(&u->prepare, on_prepare);
    update_now(l);
    u->thread = pthread_self();
    return l;
}

static void close_handle(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    if (l->uv) {
        uv_walk(&l->uv->loop, close_handle, NULL);
        uv_run(&l->uv->loop, UV_RUN_DEFAULT);
        uv_loop_close(&l->uv->loop);
        pthread_mutex_destroy(&l->uv->lock);
        pthread_cond_destroy(&l->uv->ran);
        mem_free(l->uv);
    }
    for (struct list *n; (n = list_pop(&l->posts));)
        mem_free(list_item(n, struct post, link));
    for (struct list *n; (n = list_pop(&l->works));)
        mem_free(list_item(n, struct work, link));
    mem_free(l->heap);
    mem_free(l);
}

void loop_run(struct loop *l)
{
    if (!l->uv) {
        loop_run_until(l, INT64_MAX);
        return;
    }
    l->uv->thread = pthread_self();
    l->uv->running = true;
    while (!l->stopped)
        uv_run(&l->uv->loop, UV_RUN_ONCE);
    l->stopped = false;
    l->uv->running = false;
}

static void set_stopped(void *ctx)
{
    ((struct loop *)ctx)->stopped = true;
}

static void wake_only(void *ctx)
{
    (void)ctx;
}

void loop_stop(struct loop *l)
{
    bool here = loop_here(l);
    if (here)
        l->stopped = true;
    loop_post(l, here ? wake_only : set_stopped, l);    /* it may be about to sleep; the next run is not to be stopped too */
}

bool loop_here(const struct loop *l)
{
    return !l->uv || pthread_equal(l->uv->thread, pthread_self());
}

void loop_post(struct loop *l, loop_fn fn, void *ctx)
{
    struct post *p = mem_alloc(sizeof *p);
    if (!p)
        abort();                        /* a lost post would be a lost wake-up: nobody could go on */
    p->fn = fn;
    p->ctx = ctx;
    if (!l->uv) {
        list_push(&l->posts, &p->link);
        return;
    }
    pthread_mutex_lock(&l->uv->lock);
    bool first = list_empty(&l->posts);
    list_push(&l->posts, &p->link);
    pthread_mutex_unlock(&l->uv->lock);
    if (first)
        uv_async_send(&l->uv->wake);
}

void loop_promise_keep(struct loop_promise *p)
{
    pthread_mutex_lock(&p->lock);
    p->kept = true;
    pthread_cond_signal(&p->cond);
    pthread_mutex_unlock(&p->lock);
}

void loop_promise_wait(struct loop_promise *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->kept)
        pthread_cond_wait(&p->cond, &p->lock);
    pthread_mutex_unlock(&p->lock);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->cond);
}

struct rendezvous {
    loop_fn fn;
    void *ctx;
    struct loop_promise over;
};

static void run_rendezvous(void *ctx)
{
    struct rendezvous *r = ctx;
    r->fn(r->ctx);
    loop_promise_keep(&r->over);
}

void loop_call(struct loop *l, loop_fn fn, void *ctx)
{
    struct rendezvous r = { .fn = fn, .ctx = ctx, .over = LOOP_PROMISE_INIT };
    loop_post(l, run_rendezvous, &r);
    loop_promise_wait(&r.over);
}

static void on_ready(uv_poll_t *p, int status, int events)
{
    struct loop_fd *f = p->data;
    int e = (events & UV_READABLE ? LOOP_READ : 0) | (events & UV_WRITABLE ? LOOP_WRITE : 0) | (events & UV_DISCONNECT ? LOOP_HANGUP : 0);
    if (status < 0)
        e = LOOP_READ | LOOP_WRITE;     /* the owner's next system call tells the error */
    update_now(f->loop);
    if (!f->closed)
        f->ready(f->ctx, e);
}

struct loop_fd *loop_fd_new(struct loop *l, int fd, void (*ready)(void *ctx, int events), void *ctx)
{
    struct loop_fd *f = mem_alloc(sizeof *f);
    if (!f || !l->uv || uv_poll_init(&l->uv->loop, &f->poll, fd) < 0) {
        mem_free(f);
        return NULL;
    }
    f->poll.data = f;
    f->ready = ready;
    f->ctx = ctx;
    f->loop = l;
    return f;
}

void loop_fd_set(struct loop_fd *f, int events)
{
    int e = (events & LOOP_READ ? UV_READABLE : 0) | (events & LOOP_WRITE ? UV_WRITABLE : 0) | (events & LOOP_HANGUP ? UV_DISCONNECT : 0);
    if (e == f->events)
        return;
    f->events = e;
    if (e)
        uv_poll_start(&f->poll, e, on_ready);
    else
        uv_poll_stop(&f->poll);
}

static void free_handle(uv_handle_t *h)
{
    mem_free(h->data);
}

void loop_fd_free(struct loop_fd *f)
{
    if (!f)
        return;
    f->closed = true;
    uv_poll_stop(&f->poll);
    uv_close((uv_handle_t *)&f->poll, free_handle);
}

static void on_work(uv_work_t *w)
{
    struct work *k = w->data;
    struct uv_parts *u = k->loop->uv;
    k->run(k->ctx);
    pthread_mutex_lock(&u->lock);
    k->ran = true;
    pthread_cond_broadcast(&u->ran);
    pthread_mutex_unlock(&u->lock);
}

static void finish_work(struct work *k)
{
    loop_fn done = k->done;
    k->done = NULL;
    if (done)
        done(k->ctx);
}

static void free_work(struct work *k)
{
    list_remove(&k->link);
    mem_free(k);
}

static void on_work_done(uv_work_t *w, int status)
{
    struct work *k = w->data;
    (void)status;
    update_now(k->loop);
    finish_work(k);
    free_work(k);
}

/* Simulated: done comes in the next turn. */
static void sim_work_done(void *ctx)
{
    finish_work(ctx);
    free_work(ctx);
}

static void start_work(void *ctx)
{
    struct work *k = ctx;
    list_push(&k->loop->works, &k->link);
    uv_queue_work(&k->loop->uv->loop, &k->req, on_work, on_work_done);
}

void loop_work(struct loop *l, loop_fn run, loop_fn done, void *ctx)
{
    struct work *k = mem_alloc(sizeof *k);
    if (!k)
        abort();                        /* the same as a lost post */
    *k = (struct work){ .loop = l, .run = run, .done = done, .ctx = ctx };
    k->req.data = k;
    if (!l->uv) {
        list_push(&l->works, &k->link);
        run(ctx);
        loop_post(l, sim_work_done, k);
        return;
    }
    if (loop_here(l))
        start_work(k);
    else
        loop_post(l, start_work, k);
}

void loop_work_join(struct loop *l, void *ctx)
{
    list_each(node, &l->works)
    {
        struct work *k = list_item(node, struct work, link);
        if (k->ctx != ctx || !k->done)
            continue;
        if (l->uv)
            pthread_mutex_lock(&l->uv->lock);
        while (l->uv && !k->ran)
            pthread_cond_wait(&l->uv->ran, &l->uv->lock);
        if (l->uv)
            pthread_mutex_unlock(&l->uv->lock);
        finish_work(k);
        return;
    }
}

/* --- names: libuv keeps them to half of its threads --- */

struct names {
    uv_getaddrinfo_t req;
    struct loop *loop;
    loop_names_fn done;
    void *ctx;
    struct addrinfo *found;             /* sim */
    int rc;
};

static void names_done(void *ctx)
{
    struct names *n = ctx;
    n->done(n->ctx, n->found, n->rc == 0 ? NULL : n->loop->uv ? uv_strerror(n->rc) : gai_strerror(n->rc));
    mem_free(n);
}

static void on_names(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct names *n = req->data;
    update_now(n->loop);
    n->rc = status;
    n->found = found;
    names_done(n);
}

void loop_lookup(struct loop *l, const char *host, const char *port, const struct addrinfo *hints, loop_names_fn done, void *ctx)
{
    struct names *n = mem_alloc(sizeof *n);
    if (!n)
        abort();                        /* the same as a lost post */
    *n = (struct names){ .loop = l, .done = done, .ctx = ctx };
    n->req.data = n;
    if (l->uv && (n->rc = uv_getaddrinfo(&l->uv->loop, &n->req, on_names, host, port, hints)) == 0)
        return;
    if (!l->uv)
        n->rc = getaddrinfo(host, port, hints, &n->found);
    loop_post(l, names_done, n);
}

static void on_signal(uv_signal_t *h, int signum)
{
    struct signal_watch *w = h->data;
    (void)signum;
    update_now(w->loop);
    w->fn(w->ctx);
}

int loop_signal(struct loop *l, int signum, loop_fn fn, void *ctx)
{
    if (!l->uv || signum < 1 || signum > 64)
        return -1;
    struct signal_watch *w = &l->uv->signals[signum];
    if (!w->fn && uv_signal_init(&l->uv->loop, &w->handle) < 0)
        return -1;
    w->loop = l;
    w->fn = fn;
    w->ctx = ctx;
    w->handle.data = w;
    return uv_signal_start(&w->handle, on_signal, signum) < 0 ? -1 : 0;
}
