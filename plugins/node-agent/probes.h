/* probes.h - handlers (probes and hooks run the same ones) and when probes run. Each probe of each container is a queue key of its own:
 * a slow one holds up no other.
 */
#ifndef PROBES_H
#define PROBES_H

#include "agent.h"

/* probes.c */
int probes_run(struct agent *a, struct kl_call *c, struct str key, int64_t *again_ns);        /* key behind PROBE_PREFIX */
void probes_wake(struct agent *a, const struct pod_view *v);
void probes_adopt(struct pod_view *v);                  /* results of an earlier life, from the API's status */
/* Counts one outcome. True: the result of the probe changed. */
bool probe_count(struct probe_mem *m, bool ok, const struct val *spec);

/* handler.c: 0 it succeeded (with words: there is something odd about it), 1 it failed, negative: it could not be run. Words in c->err. c->deadline_ns bounds it. */
int handler_run(struct agent *a, struct kl_call *c, const struct pod_view *v, const struct ctr *k, const struct val *handler, bool hook);
int64_t handler_port(const struct ctr *k, const struct val *port);     /* a number or a name; 0: no such port */

/* netprobe.c. by_ns: monotonic. */
struct conn {
    int fd;
    void *tls;                              /* gnutls_session_t; NULL: plain */
    void *credentials;
    int64_t by_ns;
    struct agent *agent;
};
int conn_open(struct conn *n, struct agent *a, const char *host, int64_t port, int64_t by_ns, struct kl_err *err);
int conn_tls(struct conn *n, const char *host, struct kl_err *err);    /* whatever certificate the other side shows */
long conn_read(struct conn *n, void *at, size_t most, struct kl_err *err);     /* 0: end */
int conn_write(struct conn *n, const void *at, size_t len, struct kl_err *err);
void conn_close(struct conn *n);

/* http.c */
struct http_get {
    const char *host;                       /* name or address */
    int64_t port, by_ns;
    bool tls;
    struct str path;
    const struct val *headers;              /* [{name, value}] */
};
int http_get(struct agent *a, struct arena *ar, const struct http_get *g, int *ret_status, struct str *ret_body, struct kl_err *err);
int http_status(struct str head);                       /* of a response's first line; -1: not HTTP */
/* Where a redirect leads: 1 on the same host (*ret_path), 0 elsewhere. */
int http_redirect(struct arena *ar, struct str location, const struct http_get *g, struct str *ret_path);

/* grpc.c: asks grpc.health.v1.Health/Check. 0 serving, 1 not. */
int grpc_check(struct agent *a, const char *host, int64_t port, struct str service, int64_t by_ns, struct kl_err *err);
int grpc_answer(struct str frames, struct kl_err *err);        /* -1: not there yet */

#endif
