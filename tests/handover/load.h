/* load.h - the clients of a server that is restarted under them. One thread, one loop. */
#ifndef HANDOVER_LOAD_H
#define HANDOVER_LOAD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "http/client-internal.h"

struct event {
    uint64_t revision;
    char type;                          /* A, M, D */
    bool even;                          /* the object's label, after */
    char name[24];
};

enum form { FORM_JSON, FORM_PROTOBUF, FORM_TABLE, FORM_WEBSOCKET };

/* A watch, and all that it has shown. */
struct watcher {
    struct list link;
    const char *what;                   /* for complaints */
    enum form form;
    bool even_only, initial, late;      /* by label; with what is there at first; from a revision of a moment ago, for a moment */
    uint64_t from;
    struct http_call *call;
    struct buf rest;
    struct event *at;
    size_t n, cap, frames;
    unsigned initial_ends, bookmarks;
    bool over;
    char why[300];                      /* it is over though it should not be, or it said something wrong */
};

struct load {
    int64_t pause_ns;                   /* of a worker from one request to the next; 0: none */
    struct loop *loop;
    const char *url, *pki;
    struct list watchers;
    struct watcher *reference;          /* plain, from the beginning */
    bool ending;
    uint64_t *written;                  /* revisions that writers were answered */
    size_t n_written, cap_written;
    struct http_client *clients[512];
    unsigned n_clients;
    unsigned long answers;
    unsigned failures;
};

struct http_client *load_client(struct load *l, bool http1);
/* Counts it and says it. */
__attribute__((format(printf, 2, 3))) void load_fail(struct load *l, const char *fmt, ...);

struct watcher *watcher_new(struct load *l, const struct watcher *as);
/* Compares what all have shown; the load is over. */
void watchers_judge(struct load *l);

#endif
