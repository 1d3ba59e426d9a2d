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
    /* {"pods":[...],"node":{...}} figures of the stats/summary kind, rates among them: the first call after a silence takes a second. */
    int (*stats)(void *self, struct kl_call *c, struct kl_bytes *ret);
    /* A page of the kubelet's: of the Prometheus text format "metrics", "metrics/resource", "metrics/cadvisor", "metrics/probes"; as JSON "runningpods" (a PodList of what
     * the runtime has), "configz" ({"kubeletconfig":{}}); "healthz/syncloop" ("ok", or KL_INTERNAL: pods are not looked after). KL_NOT_FOUND: there is none of that name. */
    int (*page)(void *self, struct kl_call *c, const char *path, struct kl_bytes *ret);
};

/* --- signatures: see signature.h --- */
#define KL_LOG_OPTIONS_MEMBERS(M, S) \
    M(S, U32, follow, _) \
    M(S, U32, previous, _) \
    M(S, U32, timestamps, _) \
    M(S, I64, since_wall_ns, _) \
    M(S, I64, tail_lines, _) \
    M(S, I64, limit_bytes, _) \
    M(S, U32, streams, _)
#define KL_NODE_CALLS(F, S) \
    F(S, name, STR, ANY, 0, (NONE, _, _)) \
    F(S, logs, INT, WORKER, KL_SIG_MANY | KL_SIG_STREAMING, (CALL, c, _), (STR, pod_ns, _), (STR, pod, _), (STR, container, _), (STRUCT, o, kl_log_options), (FD, fd, _)) \
    F(S, exec, INT, WORKER, KL_SIG_MANY | KL_SIG_STREAMING, (CALL, c, _), (STR, pod_ns, _), (STR, pod, _), (STR, container, _), (STRS, argv, _), (STRUCT, io, kl_runtime_io), (OUT_I32, exit_code, _)) \
    F(S, attach, INT, WORKER, KL_SIG_MANY | KL_SIG_STREAMING, (CALL, c, _), (STR, pod_ns, _), (STR, pod, _), (STR, container, _), (STRUCT, io, kl_runtime_io)) \
    F(S, dial, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, pod_ns, _), (STR, pod, _), (I32, port, _), (OUT_FD, ret_fd, _)) \
    F(S, stats, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (OUT_BYTES, ret, _)) \
    F(S, page, INT, WORKER, KL_SIG_MANY, (CALL, c, _), (STR, path, _), (OUT_BYTES, ret, _))

#endif
