/* relay.c - requests that another process answers, with who asks; servers whose socket goes over; connections that go without an error. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "harness.h"
#include "base/env.h"
#include "http/relay.h"

struct pair {
    struct loop *loop;
    struct http_server *front, *back;
    struct http_client *client;
    struct http_relay *relay;
    char path[64];
    uint16_t port;
    bool holding;
    struct http_req *held;
};

/* Says what it knows of who asks. */
static void tell(void *ctx, struct http_req *r)
{
    const struct http_peer *p = http_peer(r);
    struct str auth = http_header(r, STR("authorization"));
    (void)ctx;
    char *text = arena_printf(http_arena(r), STR_FMT " " STR_FMT "?" STR_FMT " " STR_FMT " cn=" STR_FMT " org=" STR_FMT " der=%d tls=%d auth=" STR_FMT " peer=%d body=" STR_FMT,
                              STR_ARG(http_method(r)), STR_ARG(http_path(r)), STR_ARG(http_query(r)),
                              STR_ARG(str_n(p->address.at, p->address.len < 10 ? p->address.len : 10)), STR_ARG(p->cert_cn),
                              STR_ARG(p->n_cert_orgs ? p->cert_orgs[0] : STR("")), p->cert_der.len > 0, p->tls, STR_ARG(auth.at ? auth : STR("-")),
                              http_header(r, STR("x-keelson-peer")).at != NULL, STR_ARG(http_body(r)));
    http_reply(r, 200, NULL, 0, (struct http_slice){ .data = str_of(text) });
}

static void pass(void *ctx, struct http_req *r)
{
    struct pair *p = ctx;
    if (p->holding)
        p->held = r;
    else
        http_relay_pass(p->relay, r);
}

static void pair_open(struct pair *p, bool http1)
{
    struct kl_err err;
    char url[64];
    kl_err_init(&err);
    test_pki();
    *p = (struct pair){ .loop = test_loop() };
    snprintf(p->path, sizeof p->path, "/tmp/test-relay-%d.sock", (int)getpid());
    struct http_conf back = { .address = p->path, .relayed = true };
    struct http_conf front = { .address = "127.0.0.1", .cert_file = test_file("server.crt"), .key_file = test_file("server.key"), .client_ca_file = test_file("ca.crt") };
    cr_assert_eq(http_server_new(p->loop, &back, tell, p, &p->back, &err), 0, "%s", err.msg);
    cr_assert_eq(http_relay_new(p->loop, p->path, &p->relay, &err), 0);
    cr_assert_eq(http_server_new(p->loop, &front, pass, p, &p->front, &err), 0, "%s", err.msg);
    p->port = http_server_port(p->front);
    snprintf(url, sizeof url, "https://localhost:%d", p->port);
    struct http_client_conf conf = { .url = url, .ca_file = test_file("ca.crt"), .cert_file = test_file("client.crt"), .key_file = test_file("client.key"),
                                     .http1 = http1 };
    p->client = test_client(p->loop, &conf);
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

static void pair_close(struct pair *p)
{
    http_client_free(p->client);
    if (p->front) {
        http_server_close(p->front, 0, stop, p->loop);
        loop_run(p->loop);
    }
    http_relay_free(p->relay);
    http_server_close(p->back, 0, stop, p->loop);
    loop_run(p->loop);
    loop_free(p->loop);
}

static void ask(struct pair *p, const char *method, const char *path, const struct http_header *h, unsigned n, struct str body, struct call_result *r)
{
    int awaited = 1;
    *r = (struct call_result){ .loop = p->loop, .awaited = &awaited };
    r->call = http_call_new(p->client, method, path, h, n, body, 0, &test_events, r);
    test_await(p->loop, &awaited);
}

static void who_asks(bool http1)
{
    struct pair p;
    struct call_result r;
    /* What a client says of itself is withheld. */
    const struct http_header h[] = { { STR("authorization"), STR("Bearer secret") }, { STR("x-keelson-peer"), STR("YQ.Yw.....") } };
    pair_open(&p, http1);
    ask(&p, "POST", "/a%20b?c=d&e", h, 2, STR("text"), &r);
    cr_assert_str_eq(r.body.at, "POST /a%20b?c=d&e 127.0.0.1: cn=alice org=crew der=1 tls=1 auth=Bearer secret peer=0 body=text");
    result_free(&r);
    ask(&p, "GET", "/plain", NULL, 0, STR(""), &r);
    cr_assert_str_eq(r.body.at, "GET /plain? 127.0.0.1: cn=alice org=crew der=1 tls=1 auth=- peer=0 body=");
    result_free(&r);
    pair_close(&p);
}

Test(relay, who_asks_goes_with_it)
{
    who_asks(false);
    who_asks(true);
}

/* Straight to the relay's socket, without who asks or with nonsense. */
Test(relay, nobody_is_believed_without_it)
{
    struct pair p;
    struct call_result r;
    char url[80];
    static const char *const bad[] = { "", "....", "YQ", "!.Yw...." };
    pair_open(&p, false);
    snprintf(url, sizeof url, "unix:%s", p.path);
    struct http_client_conf conf = { .url = url, .prior_h2 = true };
    struct http_client *direct = test_client(p.loop, &conf), *own = p.client;
    p.client = direct;
    ask(&p, "GET", "/x", NULL, 0, STR(""), &r);
    cr_assert_eq(r.status, 400);
    result_free(&r);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct http_header h = { STR("x-keelson-peer"), str_of(bad[i]) };
        ask(&p, "GET", "/x", &h, 1, STR(""), &r);
        cr_assert_eq(r.status, 400, "'%s': %d", bad[i], r.status);
        result_free(&r);
    }
    p.client = own;
    http_client_free(direct);
    pair_close(&p);
}

static void gone(void *ctx)
{
    struct pair *p = ctx;
    p->front = NULL;
    loop_stop(p->loop);
}

/* The socket goes to another server; the connection that stands is told to go: no call fails, and the next one is the other's. */
static void retires(bool http1)
{
    struct pair p;
    struct call_result r;
    struct http_server *next;
    struct kl_err err;
    kl_err_init(&err);
    pair_open(&p, http1);
    ask(&p, "GET", "/1", NULL, 0, STR(""), &r);
    cr_assert(!r.failed && r.status == 200);
    result_free(&r);
    struct http_conf conf = { .address = "127.0.0.1", .fd = dup(http_server_fd(p.front)), .cert_file = test_file("server.crt"), .key_file = test_file("server.key"),
                              .client_ca_file = test_file("ca.crt") };
    cr_assert_eq(http_server_new(p.loop, &conf, tell, &p, &next, &err), 0, "%s", err.msg);
    cr_assert_eq(http_server_port(next), p.port);
    http_server_hold(next, true);
    http_server_retire(p.front, 60 * NS_PER_S, gone, &p);
    http_server_hold(next, false);
    for (int i = 0; i < 50; i++) {
        ask(&p, i % 2 ? "POST" : "GET", "/again", NULL, 0, STR(""), &r);
        cr_assert(!r.failed && r.status == 200, "%d: %d %s", i, r.status, r.err.msg);
        result_free(&r);
    }
    if (p.front)
        loop_run(p.loop);               /* it ends by itself: nobody uses its connection any more */
    cr_assert(!p.front && http_server_connections(next) == 1);
    http_client_free(p.client);
    p.client = NULL;
    http_server_close(next, 0, stop, p.loop);
    loop_run(p.loop);
    pair_close(&p);
}

Test(relay, a_server_retires)
{
    retires(false);
    retires(true);
}

Test(relay, only_a_listening_socket_is_taken_over)
{
    struct loop *l = test_loop();
    struct http_server *s = NULL;
    struct kl_err err;
    kl_err_init(&err);
    struct http_conf conf = { .address = "127.0.0.1", .fd = dup(STDERR_FILENO) };
    cr_assert_eq(http_server_new(l, &conf, tell, NULL, &s, &err), -KL_INVALID);
    loop_free(l);
}

static void later(void *ctx)
{
    struct pair *p = ctx;
    if (!p->held) {
        loop_post(p->loop, later, p);
        return;
    }
    cr_assert_eq(http_server_waiting(p->front), 1);
    p->holding = false;
    p->held = NULL;
    http_server_rehandle(p->front);
}

static void handler_heard(void *ctx)
{
    *(bool *)ctx = true;
}

static bool heard;

static void hold(void *ctx, struct http_req *r)
{
    struct pair *p = ctx;
    if (p->holding)
        http_on_close(r, handler_heard, &heard);
    pass(ctx, r);
}

/* A handler that does not come to an end loses its request, which begins anew. */
Test(relay, a_request_begins_anew)
{
    struct pair p;
    struct call_result r;
    struct http_server *front;
    struct kl_err err;
    kl_err_init(&err);
    pair_open(&p, false);
    struct http_conf conf = { .address = "127.0.0.1", .cert_file = test_file("server.crt"), .key_file = test_file("server.key"), .client_ca_file = test_file("ca.crt") };
    cr_assert_eq(http_server_new(p.loop, &conf, hold, &p, &front, &err), 0);
    char url[64];
    snprintf(url, sizeof url, "https://localhost:%d", http_server_port(front));
    struct http_client_conf cc = { .url = url, .ca_file = test_file("ca.crt"), .cert_file = test_file("client.crt"), .key_file = test_file("client.key") };
    struct http_client *own = p.client;
    struct http_server *first = p.front;
    p.client = test_client(p.loop, &cc);
    p.front = front;
    p.holding = true;
    heard = false;
    loop_post(p.loop, later, &p);
    ask(&p, "GET", "/anew", NULL, 0, STR(""), &r);
    cr_assert(heard && r.status == 200 && strstr(r.body.at, "GET /anew"), "%d", r.status);
    result_free(&r);
    http_client_free(p.client);
    p.client = own;
    p.front = first;
    http_server_close(front, 0, stop, p.loop);
    loop_run(p.loop);
    pair_close(&p);
}
