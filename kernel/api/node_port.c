/* node_port.c - see node_port.h. */
#include "api/node_port.h"

#include "api/node_gate.h"
#include "base/mem.h"

struct node_port {
    struct loop *loop;
    struct node_port_conf conf;
    struct http_server *http;
    struct node_paths paths;
    struct node_gate gate;
    struct node_ask *ask;
    unsigned ending;
    loop_fn done;
    void *done_ctx;
};

/* --- the gate --- */

static void pass(void *ctx, struct http_req *r)
{
    struct node_port *p = ctx;
    node_paths_serve(&p->paths, r, http_path(r));
}

static void handle(void *ctx, struct http_req *r)
{
    node_gate_enter(&((struct node_port *)ctx)->gate, r);
}

/* --- life --- */

int node_port_new(struct loop *l, const struct node_port_conf *c, struct node_port **ret, struct kl_err *err)
{
    struct node_port *p = mem_alloc(sizeof *p);
    struct http_conf hc = { .address = c->address, .port = c->port, .cert = c->cert, .key = c->key, .client_ca = c->client_ca };
    if (!p || !(p->paths.streams = streams_new(l)) || !(p->ask = node_ask_new(c->api))) {
        node_port_free(p);
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    p->loop = l;
    p->conf = *c;
    p->paths.ctx = c->ctx;
    p->paths.node = c->node;
    p->paths.pods = c->pods;
    p->paths.debug = c->debug;
    p->paths.call = c->call;
    p->paths.logs = c->logs;
    p->gate = (struct node_gate){ .node = c->name, .server_name = c->client_name, .ctx = p, .pass = pass };
    node_ask_reviews(p->ask, &p->gate.reviews);
    int rc = http_server_new(l, &hc, handle, p, &p->http, err);
    if (rc < 0) {
        node_port_free(p);
        return rc;
    }
    *ret = p;
    return 0;
}

int node_port_renew(struct node_port *p, struct str cert, struct str key, struct kl_err *err)
{
    struct http_conf hc = { .cert = cert, .key = key, .client_ca = p->conf.client_ca };
    return http_server_renew(p->http, &hc, err);
}

uint16_t node_port_number(const struct node_port *p)
{
    return http_server_port(p->http);
}

static void one_ended(void *ctx)
{
    struct node_port *p = ctx;
    if (--p->ending == 0)
        p->done(p->done_ctx);
}

void node_port_stop(struct node_port *p, int64_t grace_ns, loop_fn done, void *ctx)
{
    p->done = done;
    p->done_ctx = ctx;
    p->ending = 2;
    streams_stop(p->paths.streams, one_ended, p);
    http_server_close(p->http, grace_ns, one_ended, p);
}

void node_port_free(struct node_port *p)
{
    if (!p)
        return;
    node_ask_free(p->ask);
    streams_free(p->paths.streams);
    mem_free(p);
}
