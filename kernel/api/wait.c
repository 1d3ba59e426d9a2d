/* wait.c - decisions from elsewhere, by replay: what was answered with KL_PENDING is put aside without effect, and run again from its start
 * when the plugin that asks wakes it. Who asks in vain is given up at its deadline. */
#include "api-internal.h"

#include <pthread.h>

#define BUCKETS 64u

struct api_waits {
    struct api *api;
    struct list at[BUCKETS];            /* struct api_wait */
    bool stopping;
    pthread_mutex_t lock;               /* of what follows: plugins wake from any thread */
    uint64_t *woken;
    size_t n, cap;
    bool posted, everybody;             /* everybody: a wake-up could not be noted, so all look again */
};

struct api_waits *api_waits_new(struct api *api)
{
    struct api_waits *w = mem_alloc(sizeof *w);
    if (!w)
        return NULL;
    w->api = api;
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&w->at[i]);
    pthread_mutex_init(&w->lock, NULL);
    return w;
}

void api_waits_free(struct api_waits *w)
{
    if (!w)
        return;
    pthread_mutex_destroy(&w->lock);
    mem_free(w->woken);
    mem_free(w);
}

uint64_t api_request_new(struct api *api)
{
    return ++api->ids;
}

void api_request_over(struct api *api, uint64_t id)
{
    conversions_over(api, id);
    if (api->hooks.over)
        api->hooks.over(api->hooks.ctx, id);
}

void api_wait_stop(struct api_wait *w)
{
    if (!w->api)
        return;
    w->api = NULL;
    list_remove(&w->link);
    loop_timer_stop(&w->timer);
}

bool api_waits_for(struct api *api, uint64_t id)
{
    list_each(l, &api->waits->at[id % BUCKETS])
        if (list_item(l, struct api_wait, link)->id == id)
            return true;
    return false;
}

static void give_up(struct api_wait *w, int code)
{
    api_wait_stop(w);
    w->give_up(w->ctx, code);
}

static void on_deadline(void *ctx)
{
    give_up(ctx, KL_TIMEOUT);
}

static void on_stopping(void *ctx)
{
    give_up(ctx, KL_UNAVAILABLE);
}

void api_wait_start(struct api *api, struct api_wait *w, uint64_t id, int64_t deadline_ns, loop_fn again, void (*give_up_fn)(void *ctx, int code),
                    void *ctx)
{
    int64_t left = deadline_ns - loop_now(api->loop);
    *w = (struct api_wait){ .api = api, .id = id, .again = again, .give_up = give_up_fn, .ctx = ctx };
    list_push(&api->waits->at[id % BUCKETS], &w->link);
    if (api->waits->stopping)
        loop_timer_start(api->loop, &w->timer, 0, on_stopping, w);
    else
        loop_timer_start(api->loop, &w->timer, left > 0 ? left : 0, on_deadline, w);
}

const char *api_wait_text(int code)
{
    return code == KL_TIMEOUT ? "Timeout: request did not complete within requested timeout - context deadline exceeded" :
                                "the server is stopping";
}

/* --- waking --- */

static void run_again(struct list *waiting, uint64_t id, bool all)
{
    struct list due = LIST_INIT(due);
    list_each(l, waiting)
        if (all || list_item(l, struct api_wait, link)->id == id) {
            list_remove(l);
            list_push(&due, l);
        }
    while (!list_empty(&due)) {
        struct api_wait *w = list_item(due.next, struct api_wait, link);
        api_wait_stop(w);
        w->again(w->ctx);
    }
}

static void wake_all(void *ctx)
{
    struct api_waits *w = ctx;
    pthread_mutex_lock(&w->lock);
    uint64_t *woken = w->woken;
    size_t n = w->n;
    bool all = w->everybody;
    w->woken = NULL;
    w->n = w->cap = 0;
    w->posted = w->everybody = false;
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < n; i++)
        run_again(&w->at[woken[i] % BUCKETS], woken[i], false);
    for (size_t i = 0; all && i < BUCKETS; i++)
        run_again(&w->at[i], 0, true);
    mem_free(woken);
}

static bool note(struct api_waits *w, uint64_t id)
{
    if (w->n == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 16;
        uint64_t *at = mem_resize(w->woken, cap * sizeof *at);
        if (!at)
            return false;
        w->woken = at;
        w->cap = cap;
    }
    w->woken[w->n++] = id;
    return true;
}

void api_wake(struct api *api, uint64_t id)
{
    struct api_waits *w = api->waits;
    pthread_mutex_lock(&w->lock);
    w->everybody |= !note(w, id);
    bool post = !w->posted;
    w->posted = true;
    pthread_mutex_unlock(&w->lock);
    if (post)
        loop_post(api->loop, wake_all, w);
}

void api_wake_everybody(struct api *api)
{
    struct api_waits *w = api->waits;
    pthread_mutex_lock(&w->lock);
    bool post = !w->posted;
    w->everybody = w->posted = true;
    pthread_mutex_unlock(&w->lock);
    if (post)
        loop_post(api->loop, wake_all, w);
}

void api_waits_stop(struct api_waits *w)
{
    w->stopping = true;
    for (size_t i = 0; i < BUCKETS; i++)
        while (!list_empty(&w->at[i]))
            give_up(list_item(w->at[i].next, struct api_wait, link), KL_UNAVAILABLE);
}
