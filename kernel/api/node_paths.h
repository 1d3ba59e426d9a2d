/* node_paths.h - what a node answers to, with the paths of upstream's kubelet: for its own port (node_port.h, node_here.c), and for an API server that has the node in
 * its process (nodes/NAME/proxy). [loop] Failures are Status objects.
 *   GET /healthz[/{ping,log,syncloop}] /pods /runningpods /configz /stats/summary /metrics[/{resource,cadvisor,probes}] /logs/FILE
 *       /containerLogs/NS/POD/CONTAINER /debug/{plugins,...}
 *   GET, POST /exec/NS/POD[/UID]/CONTAINER /attach/NS/POD[/UID]/CONTAINER /portForward/NS/POD[/UID]
 *   POST /run/NS/POD[/UID]/CONTAINER /checkpoint/NS/POD/CONTAINER (of no runtime) /keelson/call
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
    const char *logs;                   /* the folder of /logs/; NULL: /var/log */
};

/* p must live as long as the request. path: with a slash in front, without the query, which is the request's. */
void node_paths_serve(const struct node_paths *p, struct http_req *r, struct str path);

/* A path taken apart, once: whoever authorizes and whoever answers look at the same. Segments are decoded; none is empty or has a slash, a zero, or is "." or "..". */
#define NODE_SEGMENTS 32
struct node_path {
    const char *seg[NODE_SEGMENTS];
    unsigned n;
    bool slash;                         /* it ends with one */
};
bool node_path_split(struct arena *a, struct str path, struct node_path *ret);
bool node_path_runs(const struct node_path *p);         /* it runs or reaches something in a container */

#endif
