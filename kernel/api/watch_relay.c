/* watch_relay.c - watches that go on in another process: it is asked for the same watch from where this one has come to, and what it says goes to the
 * client as it is. The client hears nothing of it. */
#include "watch.h"

#include "base/cleanup.h"
#include "http/relay.h"

/* Asked anew: without what was said at the start, and for the rest of the time. */
static bool changes(struct str key)
{
    static const char *const own[] = { "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "limit", "continue" };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (str_is(key, own[i]))
            return true;
    return false;
}

static void put_query(struct watcher *w, uint64_t revision, struct buf *b)
{
    struct str key, value, query = w->query;
    int64_t left = (w->timeout.due_ns - loop_now(w->api->loop)) / NS_PER_S;
    buf_printf(b, "resourceVersion=%llu&timeoutSeconds=%lld", (unsigned long long)revision, (long long)(left > 1 ? left : 1));
    while (http_query_next(w->scratch, &query, &key, &value)) {
        if (changes(key))
            continue;
        buf_add_c(b, '&');
        http_encode(b, key);
        buf_add_c(b, '=');
        http_encode(b, value);
    }
}

/* --- what it says --- */

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    (void)h;
    (void)n;
    ((struct watcher *)ctx)->refused = status != 200;
}

static bool put_copy(struct watcher *w, struct str bytes)
{
    char *copy = mem_dup(bytes.at, bytes.len);
    if (copy)
        watch_put(w, (struct http_slice){ str_n(copy, bytes.len), mem_free, copy });
    return copy != NULL;
}

/* 0: not whole yet. */
static size_t frame_len(const struct watcher *w, struct str s)
{
    if (w->rq->accept.media != MEDIA_PROTOBUF) {
        long at = str_find(s, '\n');
        return at < 0 ? 0 : (size_t)at + 1;
    }
    const unsigned char *p = (const unsigned char *)s.at;
    size_t n = s.len < 4 ? 0 : 4 + ((size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]);
    return n <= s.len ? n : 0;
}

/* A WebSocket has a message for each event. */
static bool put_frames(struct watcher *w, struct str bytes)
{
    struct buf b = w->rest;
    bool good = true;
    size_t n;
    buf_add_str(&b, bytes);
    struct str s = buf_str(&b);
    for (; good && (n = frame_len(w, s)); s = str_skip(s, n))
        good = put_copy(w, str_n(s.at, n));
    good = good && !b.failed;
    if (b.at && s.len)
        memmove(b.at, s.at, s.len);
    b.len = s.len;
    w->rest = b;
    return good;
}

static void on_data(void *ctx, struct str bytes)
{
    struct watcher *w = ctx;
    if (w->refused)
        return;
    if (!(w->remote ? put_frames : put_copy)(w, bytes)) {
        watch_end(w);                   /* rather than with a gap; it cancels the call */
        return;
    }
    if (watch_queued(w) >= WATCH_QUEUE_MOST)
        http_call_pause(w->call, true);
}

/* A client whose watch ends asks again from the last event that it knows. */
static void on_end(void *ctx, const struct kl_err *err)
{
    struct watcher *w = ctx;
    (void)err;
    w->call = NULL;
    watch_end(w);
}

/* --- changing over --- */

static void change_over(struct watcher *w, struct http_relay *x)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf query = BUF_INIT(0);
    const struct http_copy *c = w->asked ? w->asked : a ? http_copy(w->http, a) : NULL;
    uint64_t revision = store_watch_revision(w->watch);
    if (c && revision && !watch_ahead_busy(w->ahead))
        put_query(w, revision, &query);
    if (query.len && !query.failed)
        w->call = http_relay_ask(x, c, buf_str(&query), &ev, w);
    if (!w->call) {
        watch_end(w);
        return;
    }
    loop_timer_stop(&w->timeout);
    loop_timer_stop(&w->bookmark);
    store_watch_free(w->watch);
    w->watch = NULL;
    w->waiting = false;
    if (w->http)
        http_end_account(w->http);
    if (watch_queued(w) >= WATCH_QUEUE_MOST)
        http_call_pause(w->call, true);
}

void api_watches_relay(struct api *api, struct http_relay *x)
{
    list_each(n, &api->watchers)
        change_over(list_item(n, struct watcher, link), x);
}
