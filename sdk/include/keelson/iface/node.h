/* node.h - keelson.node/0: what an API server (or the node's own port) asks of a node: logs, exec, attach, port-forward.
 *
 * In one process the server calls the table; from another machine the same requests come in over the node's HTTPS port and
 * are answered through the same table. [worker], many at once; calls last as long as the stream.
 */
#ifndef KEELSON_IFACE_NODE_H
#define KEELSON_IFACE_NODE_H

#include "../plugin.h"
#include "runtime.h"

#define KL_NODE_0 "keelson.node/0"

struct kl_log_options {
    KL_STRUCT_HEAD;
    uint32_t follow, previous, timestamps;
    int64_t since_wall_ns;              /* 0: all */
    int64_t tail_lines, limit_bytes;    /* < 0: all */
    uint32_t streams;                   /* 1 only stdout, 2 only stderr, 0 both */
};

struct kl_node {
    KL_STRUCT_HEAD;
    struct kl_life life;
    const char *(*name)(void *self);                                             /* [any] the Node's name */
    /* Writes log text to fd (the caller's) until the end, or with follow until the container has ended, fd breaks or the call is cancelled.
     * KL_BAD_REQUEST / KL_NOT_FOUND before the first byte, with upstream's message. */
    int (*logs)(void *self, struct kl_call *c, const char *pod_ns, const char *pod, const char *container,
                const struct kl_log_options *o, int32_t fd);
    int (*exec)(void *self, struct kl_call *c, const char *pod_ns, const char *pod, const char *container,
                const char *const *argv, const struct kl_runtime_io *io, int32_t *exit_code);
    int (*attach)(void *self, struct kl_call *c, const char *pod_ns, const char *pod, const char *container,
                  const struct kl_runtime_io *io);
    /* A connected TCP socket to that port inside the pod's network namespace; the caller closes it. */
    int (*dial)(void *self, struct kl_call *c, const char *pod_ns, const char *pod, int32_t port, int32_t *ret_fd);
    /* {"pods":[...],"node":{...}} figures of the stats/summary kind. */
    int (*stats)(void *self, struct kl_call *c, struct kl_bytes *ret);
};

#endif
