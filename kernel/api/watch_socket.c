/* watch_socket.c - WATCH over a WebSocket: one message per event. The request is gone once the connection is upgraded, so that the watcher lives in an
 * arena of its own, with a copy of what it needs of the request.
 */
#include "watch.h"

#include "http/relay.h"

struct watcher *watch_socket_new(const struct api_rq *rq)
{
    struct arena *life = arena_new(API_ARENA_MAX);
    struct watcher *w = life ? arena_alloc(life, sizeof *w) : NULL;
    struct api_rq *own = w ? arena_alloc(life, sizeof *own) : NULL;
    if (!own) {
        arena_free(life);
        return NULL;
    }
    *own = *rq;
    own->arena = life;
    own->http = NULL;
    own->info.q.label_selector = arena_str(life, rq->info.q.label_selector);
    own->info.q.field_selector = arena_str(life, rq->info.q.field_selector);
    own->accept.as_version = arena_str(life, rq->accept.as_version);
    w->asked = http_copy(rq->http, life);
    w->life = life;
    w->rq = own;
    w->query = arena_str(life, http_query(rq->http));
    return w;
}

/* --- the connection --- */

static void on_closed(void *ctx)
{
    struct watcher *w = ctx;
    w->remote = NULL;
    watch_free(w);
}

static void on_drain(void *ctx)
{
    watch_drained(ctx);
}

int watch_socket_open(struct watcher *w, struct http_req *http, struct kl_err *err)
{
    static const struct remote_events ev = { .drain = on_drain, .closed = on_closed };
    const struct remote_conf conf = { .kind = REMOTE_WATCH, .text = w->rq->accept.media == MEDIA_JSON };
    w->http = NULL;
    w->remote = remote_accept(http, &conf, &ev, w, err);
    return w->remote ? 0 : -err->code;
}

/* A message has its own length: protobuf's frames go without theirs. */
void watch_socket_write(struct watcher *w, struct http_slice s)
{
    remote_write(w->remote, 0, w->rq->accept.media == MEDIA_PROTOBUF ? str_skip(s.data, 4) : s.data);
    if (s.release)
        s.release(s.owner);
}
