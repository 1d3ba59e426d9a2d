/* node_here.c - the port of a node in the server's own process, and its gate: who bears a token and who may what is asked of the chains themselves, each time. They know at once; where one
 * waits for a webhook, the question is put aside (wait.c) and asked again. */
#include "api-internal.h"
#include "api/node_gate.h"

struct here {
    struct api *api;
    struct node_question *q;
    uint64_t id;
    int64_t deadline_ns;
    struct api_wait wait;
};

static int authenticate(const struct here *h)
{
    struct node_question *q = h->q;
    const struct api_hooks *hooks = &h->api->hooks;
    struct kl_credentials cred = { .size = sizeof cred, .bearer = q->token };
    struct kl_call c;
    api_call_init(&c, q->arena, NULL);
    c.request = h->id;
    q->user = (struct kl_user){ .size = sizeof q->user };
    return hooks->authenticate ? hooks->authenticate(hooks->ctx, &c, &cred, &q->user) : 0;
}

/* A refusal and no opinion are one to who asks. */
static int authorize(const struct here *h)
{
    const struct node_question *q = h->q;
    const struct api_hooks *hooks = &h->api->hooks;
    struct kl_request r = { .size = sizeof r, .verb = q->verb, .path = "", .is_resource = 1, .group = "", .version = "v1", .resource = "nodes",
                            .subresource = q->subresource, .ns = "", .name = q->node };
    struct kl_call c;
    api_call_init(&c, q->arena, q->user.name);
    c.request = h->id;
    int rc = hooks->authorize ? hooks->authorize(hooks->ctx, &c, &q->user, &r) : 0;
    return rc == -KL_PENDING ? rc : rc == 1;
}

static void give_up(void *ctx, int code)
{
    struct here *h = ctx;
    api_request_over(h->api, h->id);
    h->q->told(h->q, -code);
}

static void run(void *ctx)
{
    struct here *h = ctx;
    int rc = h->q->token ? authenticate(h) : authorize(h);
    if (rc == -KL_PENDING) {
        if (!h->deadline_ns)
            h->deadline_ns = loop_now(h->api->loop) + API_WAIT_NS;
        api_wait_start(h->api, &h->wait, h->id, h->deadline_ns, run, give_up, h);
        return;
    }
    if (h->deadline_ns)
        api_request_over(h->api, h->id);
    h->q->told(h->q, rc);
}

static void ask(void *ctx, struct node_question *q)
{
    struct api *api = ctx;
    struct here *h = arena_alloc(q->arena, sizeof *h);
    q->asker = h;
    if (!h) {
        q->told(q, -KL_NO_MEMORY);
        return;
    }
    *h = (struct here){ .api = api, .q = q, .id = api_request_new(api) };
    run(h);
}

static void drop(void *ctx, struct node_question *q)
{
    struct here *h = q->asker;
    (void)ctx;
    if (!h || !h->wait.api)
        return;
    api_wait_stop(&h->wait);
    api_request_over(h->api, h->id);
}

/* --- the port --- */

static void pass(void *ctx, struct http_req *r)
{
    struct api *api = ctx;
    if (!api_node_here(api, r, str_of(api->node_gate.node), http_path(r)))
        http_reply(r, 500, NULL, 0, (struct http_slice){ .data = STR("out of memory") });
}

void api_node_handle(void *ctx, struct http_req *r)
{
    struct api *api = ctx;
    node_gate_enter(&api->node_gate, r);
}

void api_node_gate(struct api *api)
{
    api->node_gate = (struct node_gate){ .reviews = { api, ask, drop }, .node = api->conf.node_name, .server_name = api->conf.node_client_name, .ctx = api, .pass = pass };
}
