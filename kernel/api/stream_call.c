/* stream_call.c - a node's blocking call on a thread of its own. */
#include <pthread.h>
#include <signal.h>

#include "reconcile/call.h"
#include "stream-internal.h"

#define STACK (512u << 10)              /* addresses; only what is touched is memory */
#define ARENA_MOST (16u << 20)

struct streams *streams_new(struct loop *l)
{
    struct streams *s = mem_alloc(sizeof *s);
    if (!s)
        return NULL;
    s->loop = l;
    list_init(&s->calls);
    return s;
}

static void check_stopped(void *ctx)
{
    struct streams *s = ctx;
    loop_fn done = s->done;
    if (!s->stopping || s->n || !done)
        return;
    s->done = NULL;
    done(s->done_ctx);
}

void streams_stop(struct streams *s, loop_fn done, void *ctx)
{
    s->stopping = true;
    s->done = done;
    s->done_ctx = ctx;
    list_each(n, &s->calls)
        stream_call_cancel(list_item(n, struct stream_call, link));
    loop_post(s->loop, check_stopped, s);
}

void streams_free(struct streams *s)
{
    mem_free(s);
}

static bool cancelled(const struct kl_call *c)
{
    return list_item(c, struct stream_call, call)->cancelled;
}

static const char *copy(struct arena *a, const char *text)
{
    return text ? arena_dup(a, str_of(text)) : NULL;
}

int stream_call_init(struct stream_call *c, struct streams *s, const struct stream_target *t, struct kl_err *err)
{
    if (s->stopping)
        return kl_err_set(err, KL_UNAVAILABLE, "the server is shutting down");
    if (s->n >= STREAMS_AT_ONCE)
        return kl_err_set(err, KL_TOO_MANY_REQUESTS, "too many streams at once (%d)", STREAMS_AT_ONCE);
    list_init(&c->link);
    c->streams = s;
    c->arena = arena_new(ARENA_MOST);
    if (!c->arena)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    c->at = (struct stream_target){ t->node, t->self, copy(c->arena, t->ns), copy(c->arena, t->pod), copy(c->arena, t->container) };
    host_call_init(&c->call, c->arena, NULL);
    c->call.cancelled = cancelled;
    if (!arena_exhausted(c->arena))
        return 0;
    stream_call_free(c);
    return kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

static void come_back(void *ctx)
{
    struct stream_call *c = ctx;
    struct streams *s = c->streams;
    list_remove(&c->link);
    s->n--;
    c->running = false;
    c->done(c);
    check_stopped(s);
}

static void *run_thread(void *ctx)
{
    struct stream_call *c = ctx;
    c->rc = c->run(c);
    loop_post(c->streams->loop, come_back, c);
    return NULL;
}

int stream_call_start(struct stream_call *c, struct kl_err *err)
{
    pthread_attr_t attr;
    pthread_t t;
    sigset_t all, old;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);     /* signals are the loop's */
    c->running = true;
    bool ok = pthread_create(&t, &attr, run_thread, c) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    c->running = ok;
    if (!ok)
        return kl_err_set(err, KL_UNAVAILABLE, "no thread for a stream");
    list_push(&c->streams->calls, &c->link);
    c->streams->n++;
    if (c->streams->stopping)
        stream_call_cancel(c);
    return 0;
}

void stream_call_cancel(struct stream_call *c)
{
    c->cancelled = true;
}

void stream_call_free(struct stream_call *c)
{
    c->arena = arena_free(c->arena);
}
