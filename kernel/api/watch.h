/* watch.h - a WATCH under way: what watch.c and watch_convert.c share. [loop] */
#ifndef API_WATCH_H
#define API_WATCH_H

#include "api-internal.h"

#include "base/env.h"
#include "http/remote.h"

#define WATCH_QUEUE_MOST (256u << 10)

struct watch_ahead;
struct http_copy;
struct http_call;

struct watcher {
    struct list link;                   /* api->watchers */
    struct api_rq *rq;
    struct api *api;
    struct http_req *http;              /* NULL: a WebSocket took over */
    struct remote *remote;
    struct arena *life;                 /* of a WebSocket's watcher, with its copy of the request; NULL: it is the request's */
    struct str query;
    const struct schema_kind *kind;
    struct selector *labels, *fields;
    struct str name, node;              /* the only ones that fields let pass; at NULL: any */
    struct store_watch *watch;
    struct loop_timer timeout, bookmark;
    int64_t ends_ns;
    bool plain;                         /* objects go out as they are stored */
    bool shares;                        /* frames with others */
    bool columns_sent;
    bool waiting;                       /* for the client to read */
    uint64_t said;                      /* revision of the last frame */
    struct arena *scratch;              /* reset per event */
    /* watch_relay.c: it goes on in another process, and this is what is heard from there */
    const struct http_copy *asked;      /* a WebSocket's request; else it is there itself */
    struct http_call *call;             /* NULL: it is still here */
    struct buf rest;                    /* not a whole frame yet */
    bool refused;
    struct watch_ahead *ahead;          /* events that wait for their conversion; NULL: no webhook converts them */
};

/* --- watch.c --- */
void watch_free(struct watcher *w);
void watch_drained(struct watcher *w);
size_t watch_queued(const struct watcher *w);
void watch_put(struct watcher *w, struct http_slice s);
void watch_end(struct watcher *w);                      /* clean, behind what is queued; w is gone */
void watch_send_event(struct watcher *w, const struct store_event *e);
void watch_send_bookmark(struct watcher *w, uint64_t revision, bool initial_end);
void watch_send_error(struct watcher *w, const struct api_error *e);            /* and ends it: w is gone */
void watch_send_expired(struct watcher *w);                                     /* the same */

/* --- watch_socket.c --- */
struct watcher *watch_socket_new(const struct api_rq *rq);              /* NULL: out of memory */
int watch_socket_open(struct watcher *w, struct http_req *http, struct kl_err *err);   /* the request is gone, unless it fails */
void watch_socket_write(struct watcher *w, struct http_slice s);

/* --- watch_convert.c --- */
bool watch_ahead_new(struct watcher *w);
void watch_ahead_free(struct watch_ahead *a);           /* NULL is fine */
bool watch_ahead_busy(const struct watch_ahead *a);     /* does it hold events that are not sent yet? False at NULL */
/* What is there at the start, before any event. False: out of memory. */
bool watch_ahead_add(struct watcher *w, const struct store_event *e);
void watch_ahead_begun(struct watcher *w, uint64_t revision, bool bookmark);    /* that was all of it; a bookmark follows it, when one is wanted */
void watch_ahead_pump(struct watcher *w);

#endif
