/* node_socket.c - the port of a node in the server's own process: a listening socket as the API's, with a certificate of its own. It is opened before plugins read their
 * settings, because the Node shows its number. */
#include "base/cleanup.h"
#include "base/env.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/daemon-internal.h"
#include "cli/handover.h"

#define USUAL_PORT 10250
#define BODY_MOST  65536u                        /* no request has much of one, and who sends it is not known before it is there */
#define RENEW_NS   (250 * 86400 * NS_PER_S)     /* of a certificate's year */

static int certificate(struct daemon *d, struct arena *a, struct http_conf *hc, struct kl_err *err)
{
    const char *address = d->o->node_address && d->o->node_address[0] ? d->o->node_address : NULL;
    return pki_node_serving(d->pki_dir, d->o->node, address, a, &hc->cert, &hc->key, err);
}

static void renew(void *ctx)
{
    struct daemon *d = ctx;
    _cleanup_arena_ struct arena *a = arena_new(1u << 20);
    struct http_conf hc = { .client_ca_file = d->node_ca };
    struct kl_err err;
    kl_err_init(&err);
    if (!d->sockets[SOCKET_NODE].server)
        return;
    if (!a || certificate(d, a, &hc, &err) < 0 || http_server_renew(d->sockets[SOCKET_NODE].server, &hc, &err) < 0)
        log_error("server", "the certificate of the node's port: %s", a ? err.msg : "out of memory");
    loop_timer_start(d->loop, &d->node_renew, RENEW_NS, renew, d);
}

/* Requests that stand in the way of a process that goes on elsewhere: their connections have been told to go. */
static void handle(void *ctx, struct http_req *r)
{
    struct daemon *d = ctx;
    if (d->mode == MODE_SERVE)
        api_node_handle(d->api, r);
    else if (d->mode == MODE_HOLD)
        handover_hold(d, r, handle);
    else
        handover_reply(r, 503, "another process goes on with this node; connect again");
}

int node_socket_open(struct daemon *d, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(1u << 20);
    int64_t port = USUAL_PORT;
    bool given = d->o->node_port != NULL;
    if (given)
        str_int(str_of(d->o->node_port), &port);
    if (!port || !a) {
        d->o->node_port = "0";
        return a ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    snprintf(d->node_ca, sizeof d->node_ca, "%.4000s/ca.crt", d->pki_dir);
    struct http_conf hc = { .address = "0.0.0.0", .port = (uint16_t)port, .client_ca_file = d->node_ca, .body_max = BODY_MOST };
    int rc = certificate(d, a, &hc, err);
    if (rc == 0)
        rc = daemon_open_socket(d, SOCKET_NODE, &hc, handle, err);
    if (rc < 0 && !given && hc.cert.at) {       /* somebody else is there, a kubelet perhaps: any other will do, the Node says which */
        log_info("server", "%s; the node takes another port", err->msg);
        kl_err_init(err);
        hc.port = 0;
        rc = daemon_open_socket(d, SOCKET_NODE, &hc, handle, err);
    }
    if (rc < 0)
        return kl_err_wrap(err, "the node's own port");
    snprintf(d->node_port, sizeof d->node_port, "%d", http_server_port(d->sockets[SOCKET_NODE].server));
    d->o->node_port = d->node_port;
    loop_timer_start(d->loop, &d->node_renew, RENEW_NS, renew, d);
    return 0;
}
