/* watch_convert.c - a watch of objects that a webhook converts: events are taken a window at a time, asked about together, and go out in order when
 * all of them are known. Waiting is the replay of every request (wait.c): the watch looks again at its window when it is woken. */
#include "watch.h"

#include "conversion.h"

#define WINDOW_EVENTS 256u
#define WINDOW_BYTES  (1u << 20)

struct watch_ahead {
    struct watcher *w;
    struct store_event *at;             /* counted objects; those before `next` are sent */
    size_t n, cap, next, first;         /* first: of what is there at the start, how many */
    uint64_t id;                        /* kl_call.request of its questions */
    struct api_wait wait;
    bool converting, bookmark, begun;
    uint64_t revision;                  /* of the list at the start */
};

bool watch_ahead_new(struct watcher *w)
{
    struct watch_ahead *a = w->ahead = mem_alloc(sizeof *a);
    if (!a)
        return false;
    a->w = w;
    a->id = api_request_new(w->api);
    return true;
}

static void drop(struct watch_ahead *a)
{
    for (size_t i = a->next; i < a->n; i++) {
        store_object_unref(a->at[i].object);
        store_object_unref(a->at[i].old);
    }
    a->n = a->next = 0;
}

void watch_ahead_free(struct watch_ahead *a)
{
    if (!a)
        return;
    api_wait_stop(&a->wait);
    conversions_over(a->w->api, a->id);
    drop(a);
    mem_free(a->at);
    mem_free(a);
}

bool watch_ahead_busy(const struct watch_ahead *a)
{
    return a && (a->converting || a->next < a->n);
}

bool watch_ahead_add(struct watcher *w, const struct store_event *e)
{
    struct watch_ahead *a = w->ahead;
    if (a->n == a->cap) {
        size_t cap = a->cap ? a->cap * 2 : 16;
        struct store_event *at = mem_resize(a->at, cap * sizeof *at);
        if (!at)
            return false;
        a->at = at;
        a->cap = cap;
    }
    struct store_event *x = &a->at[a->n++];
    *x = *e;
    store_object_ref(x->object);
    if (x->old)
        store_object_ref(x->old);
    return true;
}

void watch_ahead_begun(struct watcher *w, uint64_t revision, bool bookmark)
{
    struct watch_ahead *a = w->ahead;
    a->first = a->n;
    a->revision = revision;
    a->bookmark = bookmark;
    a->begun = true;
}

/* --- one window --- */

/* Where the window ends that begins at `next`. */
static size_t window_end(const struct watch_ahead *a)
{
    size_t i = a->next, bytes = 0;
    while (i < a->n && i - a->next < WINDOW_EVENTS && bytes < WINDOW_BYTES)
        bytes += store_object_json(a->at[i++].object).len;
    return i;
}

static bool known(struct watch_ahead *a, struct store_object *o, struct api_error *e)
{
    struct watcher *w = a->w;
    struct api_asker q = { w->api, w->scratch, a->id, e };
    if (!o)
        return true;
    bool is = api_stored_tree(&q, w->kind, o) != NULL;
    if (is)                             /* of a failure, the text is kept */
        arena_reset(w->scratch);
    return is;
}

/* 0, -KL_PENDING, or why it fails. */
static int ask_window(struct watch_ahead *a, size_t end, struct api_error *ret)
{
    struct watcher *w = a->w;
    bool pending = false, selects = w->labels || w->fields;
    int rc = 0;
    conversions_gather(w->api);
    for (size_t i = a->next; i < end && rc == 0; i++)
        for (int k = 0; k <= selects && rc == 0; k++) {
            *ret = (struct api_error){ 0 };
            if (known(a, k ? a->at[i].old : a->at[i].object, ret))
                continue;
            if (ret->code == KL_PENDING)
                pending = true;
            else
                rc = -ret->code;
        }
    conversions_send(w->api);
    return rc ? rc : pending ? -KL_PENDING : 0;
}

static void again(void *ctx)
{
    struct watch_ahead *a = ctx;
    a->converting = false;
    watch_ahead_pump(a->w);
}

static void give_up(void *ctx, int code)
{
    struct watch_ahead *a = ctx;
    struct watcher *w = a->w;
    struct api_error e;
    api_fail(&e, w->scratch, code, "%s", api_wait_text(code));
    watch_send_error(w, &e);
}

static void send_window(struct watch_ahead *a, size_t end)
{
    struct watcher *w = a->w;
    for (; a->next < end; a->next++) {
        struct store_event *e = &a->at[a->next];
        watch_send_event(w, e);
        arena_reset(w->scratch);
        store_object_unref(e->object);
        store_object_unref(e->old);
    }
    conversions_over(w->api, a->id);
    if (a->begun && a->next >= a->first) {
        w->said = a->revision;
        if (a->bookmark)
            watch_send_bookmark(w, a->revision, true);
        a->begun = false;
    }
    if (a->next == a->n)
        a->next = a->n = 0;
}

/* Events that have come, as many as a window holds. False: the watch has ended. */
static bool refill(struct watch_ahead *a)
{
    struct watcher *w = a->w;
    struct store_event e;
    bool expired = false;
    size_t bytes = 0;
    while (a->n < WINDOW_EVENTS && bytes < WINDOW_BYTES && store_watch_next(w->watch, &e, &expired)) {
        bytes += store_object_json(e.object).len;
        if (!watch_ahead_add(w, &e)) {
            expired = true;             /* an event is lost */
            break;
        }
    }
    if (!expired)
        return true;
    watch_send_expired(w);
    return false;
}

void watch_ahead_pump(struct watcher *w)
{
    struct watch_ahead *a = w->ahead;
    struct api_error e;
    while (!a->converting && watch_queued(w) < WATCH_QUEUE_MOST) {
        if (a->next == a->n && !a->begun && !refill(a))
            return;                     /* it has ended */
        if (a->next == a->n && !a->begun)
            return;                     /* nothing more for now */
        size_t end = window_end(a);
        int rc = ask_window(a, end, &e);
        if (rc == -KL_PENDING) {
            a->converting = true;
            api_wait_start(w->api, &a->wait, a->id, loop_now(w->api->loop) + API_WAIT_NS, again, give_up, a);
            return;
        }
        if (rc < 0) {
            watch_send_error(w, &e);
            return;
        }
        send_window(a, end);
    }
    w->waiting = !a->converting;        /* on_drain comes back here */
}
