/* node_port.h - a node's own HTTPS port: what the API server asks of a node in another process, with the paths of upstream's kubelet (node_paths.h). [loop]
 *
 * The server, by its certificate, gets whatever it asks for; others what they may (node_gate.h), by what the API says of them.
 */
#ifndef API_NODE_PORT_H
#define API_NODE_PORT_H

#include <keelson/iface/node.h>

#include "base/json.h"
#include "http/client.h"

struct node_port;

struct node_port_conf {
    const char *address;
    uint16_t port;
    struct str cert, key, client_ca;    /* PEM */
    const char *client_name;            /* common name of the server's certificate */
    const char *name;                   /* of the node */
    struct http_client *api;            /* the API, for reviews; lives longer */
    void *ctx;
    /* The node's table, or NULL: not now. */
    const struct kl_node *(*node)(void *ctx, void **ret_self);
    /* Appends the PodList of the node's pods. */
    void (*pods)(void *ctx, struct buf *b);
    /* Documents below /debug/; NULL: not found. */
    struct val *(*debug)(void *ctx, struct arena *a, struct str what);
    const char *logs;                   /* node_paths.h */
    int (*call)(void *ctx, struct kl_call *c, struct kl_bytes request, struct kl_bytes *ret);    /* node_paths.h */
};

int node_port_new(struct loop *l, const struct node_port_conf *c, struct node_port **ret, struct kl_err *err);
/* New connections are served with that certificate (PEM, used at once). */
int node_port_renew(struct node_port *p, struct str cert, struct str key, struct kl_err *err);
uint16_t node_port_number(const struct node_port *p);
/* No new requests; streams are cancelled; done(ctx) when all have ended. */
void node_port_stop(struct node_port *p, int64_t grace_ns, loop_fn done, void *ctx);
void node_port_free(struct node_port *p);               /* after done; NULL is fine */

#endif
