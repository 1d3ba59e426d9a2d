/* node_paths.h - what a node answers to, with the paths of upstream's kubelet: for its own port (node_port.h), and for an API server that has the node in
 * its process (nodes/NAME/proxy). [loop] Failures are Status objects.
 *   GET /healthz /pods /stats/summary /metrics /metrics/{resource,cadvisor} /debug/{plugins,...}      GET /containerLogs/NS/POD/CONTAINER
 *   POST /keelson/call                                    /exec/NS/POD/CONTAINER  /attach/NS/POD/CONTAINER  /portForward/NS/POD
 */
#ifndef API_NODE_PATHS_H
#define API_NODE_PATHS_H

#include <keelson/iface/node.h>

#include "api/stream.h"
#include "base/json.h"

struct node_paths {
    struct streams *streams;
    void *ctx;
    /* The node's table, or NULL: not now. */
    const struct kl_node *(*node)(void *ctx, void **ret_self);
    /* Appends the PodList of the node's pods. */
    void (*pods)(void *ctx, struct buf *b);
    /* Documents below /debug/; NULL: not found. May be NULL. */
    struct val *(*debug)(void *ctx, struct arena *a, struct str what);
    /* A call of a plugin of this process: bytes in, bytes out. [worker] May be NULL. */
    int (*call)(void *ctx, struct kl_call *c, struct kl_bytes request, struct kl_bytes *ret);
};

/* p must live as long as the request. path: with a slash in front, without the query, which is the request's. */
void node_paths_serve(const struct node_paths *p, struct http_req *r, struct str path);
void node_paths_refuse(struct http_req *r, const struct kl_err *err);

#endif
