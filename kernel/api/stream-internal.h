/* stream-internal.h - a blocking call of a node beside the loop, and descriptors between them. */
#ifndef API_STREAM_INTERNAL_H
#define API_STREAM_INTERNAL_H

#include <stdatomic.h>

#include "api/stream.h"
#include "base/cleanup.h"
#include "base/list.h"

#define STREAM_QUEUED_MOST (256u << 10)         /* to a client, or into a pipe: beyond, the other side waits */

/* --- stream_call.c --- */
struct streams {
    struct loop *loop;
    struct list calls;                  /* whose thread runs */
    unsigned n;
    bool stopping;
    loop_fn done;
    void *done_ctx;
};

/* First member of its owner, which frees itself in `done` or later. */
struct stream_call {
    struct list link;
    struct streams *streams;
    struct stream_target at;
    struct arena *arena;
    struct kl_call call;
    atomic_bool cancelled;
    bool running;
    int rc;
    int (*run)(struct stream_call *c);  /* [worker] */
    void (*done)(struct stream_call *c);        /* on the loop, when run has come back */
};
int stream_call_init(struct stream_call *c, struct streams *s, const struct stream_target *t, struct kl_err *err);
int stream_call_start(struct stream_call *c, struct kl_err *err);
void stream_call_cancel(struct stream_call *c);
void stream_call_free(struct stream_call *c);           /* its parts; not while it runs */

/* --- stream_pipe.c --- */
/* Bytes into a descriptor that may not take them yet. fd is -1 before and after. */
struct stream_sink {
    struct loop *loop;
    int fd;                             /* -1: closed; what comes is thrown away */
    bool socket, ending;
    struct loop_fd *watch;
    struct buf pending;
    size_t at;
    loop_fn drained;                    /* less than STREAM_QUEUED_MOST is pending again */
    void *ctx;
};
bool stream_sink_open(struct stream_sink *k, struct loop *l, int fd);   /* takes fd, also on failure */
void stream_sink_write(struct stream_sink *k, struct str bytes);
bool stream_sink_full(const struct stream_sink *k);
void stream_sink_end(struct stream_sink *k);            /* closes (sockets: half) once all has gone in */
void stream_sink_close(struct stream_sink *k);

/* Bytes out of a descriptor, as long as they are wanted. */
struct stream_source {
    struct loop *loop;
    int fd;                             /* -1: closed */
    struct loop_fd *watch;
    unsigned channel;                   /* the owner's */
    void (*data)(void *ctx, struct stream_source *s, struct str bytes);
    void (*eof)(void *ctx, struct stream_source *s);    /* it is closed already */
    void *ctx;
};
bool stream_source_open(struct stream_source *s, struct loop *l, int fd);       /* takes fd, also on failure */
void stream_source_want(struct stream_source *s, bool wanted);
/* One read of what is there now. False: nothing (any more). */
bool stream_source_read(struct stream_source *s);
void stream_source_close(struct stream_source *s);
/* A pipe: ours does not block, theirs does. */
bool stream_pipe(int *ret_read, int *ret_write, bool we_read);

#endif
