/* stream.h - what a client wants from a node, carried between its connection and the node's table (keelson.node/0): exec, attach, logs,
 * port-forward. Used by the API for nodes in this process, and by a node's own port. All [loop].
 *
 * The table's calls block, each on a thread of its own with a small stack; bytes go through pipes and sockets that the loop watches, so
 * that an idle stream costs a sleeping thread and its descriptors. A client that leaves cancels its call.
 */
#ifndef API_STREAM_H
#define API_STREAM_H

#include <keelson/iface/node.h>

#include "http/http.h"
#include "http/remote.h"

struct streams;

/* Calls under way in this process, most: more are refused with KL_TOO_MANY_REQUESTS. */
#define STREAMS_AT_ONCE 1000

struct streams *streams_new(struct loop *l);                    /* NULL: out of memory */
/* Cancels every call; done(ctx) once the last thread has come back. No new ones from then on. */
void streams_stop(struct streams *s, loop_fn done, void *ctx);
/* After streams_stop, when every connection is closed; NULL is fine. */
void streams_free(struct streams *s);

struct stream_target {                  /* texts are copied */
    const struct kl_node *node;
    void *self;
    const char *ns, *pod, *container;
};

/* Each: 0, then the request is the stream's; or < 0, then it is still the caller's, and err is the answer. */
struct stream_exec {
    const char *const *argv;            /* NULL: attach. Copied. */
    bool in, out, err, tty;
};
int stream_exec(struct streams *s, struct http_req *r, const struct stream_target *t, const struct stream_exec *e, struct kl_err *err);

struct stream_log {
    struct kl_log_options options;
    const struct http_header *headers;  /* of the answer; live as long as the request */
    unsigned n_headers;
    void (*fail)(void *ctx, const struct kl_err *err);          /* it could not begin: replies to the request */
    void *ctx;
};
int stream_log(struct streams *s, struct http_req *r, const struct stream_target *t, const struct stream_log *o, struct kl_err *err);

#define STREAM_PORTS_MOST 64
/* ports: for WebSocket clients that name them in the URL. t->container does not count. */
int stream_ports(struct streams *s, struct http_req *r, const struct stream_target *t, const uint16_t *ports, unsigned n, struct kl_err *err);

#endif
