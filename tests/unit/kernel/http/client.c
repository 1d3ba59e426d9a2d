#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"

/* Each way to reach our server. */
struct way {
    const char *name;
    bool tls, unix_socket, http1, prior_h2;
};
static struct way ways[] = {
    { "h1", .http1 = true },
    { "h2c", .prior_h2 = true },
    { "tls-h1", .tls = true, .http1 = true },
    { "tls-h2", .tls = true },
    { "unix-h1", .unix_socket = true },
    { "unix-h2", .unix_socket = true, .prior_h2 = true },
};

struct both {
    struct loop *loop;
    struct http_server *server;
    struct http_client *client;
    char url[128], path[64];
};

static void both_open(struct both *b, const struct way *w)
{
    uint16_t port = 0;
    b->loop = test_loop();
    snprintf(b->path, sizeof b->path, "/tmp/keelson-http-%d.sock", (int)getpid());
    b->server = test_server(b->loop, w->tls, w->unix_socket ? b->path : NULL, &port);
    snprintf(b->url, sizeof b->url, w->unix_socket ? "unix:%s" : w->tls ? "https://localhost:%s%d" : "http://127.0.0.1:%s%d",
             w->unix_socket ? b->path : "", port);
    struct http_client_conf c = { .url = b->url, .http1 = w->http1, .prior_h2 = w->prior_h2 };
    if (w->tls)
        c = (struct http_client_conf){ .url = b->url, .http1 = w->http1, .ca_file = test_file("ca.crt"), .cert_file = test_file("client.crt"),
                                       .key_file = test_file("client.key") };
    b->client = test_client(b->loop, &c);
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

static void both_close(struct both *b)
{
    http_client_free(b->client);
    http_server_close(b->server, 0, stop, b->loop);
    loop_run(b->loop);
    loop_free(b->loop);
}

#define EACH_WAY(name) \
    ParameterizedTestParameters(client, name) \
    { \
        return cr_make_param_array(struct way, ways, sizeof ways / sizeof *ways); \
    } \
    ParameterizedTest(struct way *w, client, name)

EACH_WAY(gets_and_posts)
{
    struct both b = { 0 };
    struct call_result r;
    both_open(&b, w);
    test_get(b.loop, b.client, "/hello", &r);
    cr_assert(!r.failed && r.status == 200, "%s: %d %s", w->name, r.status, r.err.msg);
    cr_assert(str_is(buf_str(&r.body), "hello\n"));
    cr_assert(str_is(buf_str(&r.type), "text/plain"));
    result_free(&r);
    test_get(b.loop, b.client, "/nothing?x=1", &r);
    cr_assert(!r.failed && r.status == 404 && str_is(buf_str(&r.body), "/nothing"));
    result_free(&r);

    size_t size = (size_t)2 << 20;
    char *big = calloc(1, size);
    int awaited = 1;
    r = (struct call_result){ .loop = b.loop, .awaited = &awaited };
    memset(big, 'x', size);
    test_call(b.client, "POST", "/echo", str_n(big, size), &r);
    free(big);                          /* it was copied */
    test_await(b.loop, &awaited);
    cr_assert(!r.failed && r.status == 201 && r.bytes == size && r.body.at[0] == 'x', "%s: %d, %zu bytes", w->name, r.status, r.bytes);
    result_free(&r);
    both_close(&b);
}

EACH_WAY(many_at_once)
{
    enum { N = 400 };
    struct both b = { 0 };
    static struct call_result all[N];
    int awaited = N;
    both_open(&b, w);
    for (int i = 0; i < N; i++) {
        all[i] = (struct call_result){ .loop = b.loop, .awaited = &awaited };
        test_call(b.client, "GET", i % 2 ? "/hello" : "/size/20000", STR(""), &all[i]);
    }
    test_await(b.loop, &awaited);
    for (int i = 0; i < N; i++) {
        cr_assert(!all[i].failed && all[i].bytes == (i % 2 ? 6 : 20000), "%s: call %d: %s", w->name, i, all[i].err.msg);
        result_free(&all[i]);
    }
    both_close(&b);
}

static void unpause(void *ctx)
{
    http_call_pause(((struct call_result *)ctx)->call, false);
}

EACH_WAY(paused_calls_slow_their_sender)
{
    struct both b = { 0 };
    struct loop_timer t = { 0 };
    int awaited = 1;
    struct call_result r = { 0 };
    int64_t size = 24 << 20;
    both_open(&b, w);
    r.loop = b.loop;
    r.awaited = &awaited;
    test_call(b.client, "GET", "/size/25165824", STR(""), &r);
    http_call_pause(r.call, true);
    struct loop_timer look = { 0 };
    loop_timer_start(b.loop, &look, 300000000, stop, b.loop);
    loop_run(b.loop);
    cr_assert_lt(r.bytes, 1 << 20, "%s: %zu bytes came although the call is paused", w->name, r.bytes);
    loop_timer_start(b.loop, &t, 0, unpause, &r);
    test_await(b.loop, &awaited);
    cr_assert(!r.failed && r.bytes == (size_t)size, "%s: %zu bytes, %s", w->name, r.bytes, r.err.msg);
    cr_assert_lt(test_most_queued, 512u << 10);
    result_free(&r);
    both_close(&b);
}

/* --- cancelling, at every moment --- */

static void cancelling_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    struct call_result *r = ctx;
    (void)status;
    (void)h;
    (void)n;
    http_call_cancel(r->call);
}

static void cancelling_data(void *ctx, struct str bytes)
{
    struct call_result *r = ctx;
    (void)bytes;
    http_call_cancel(r->call);
}

static void no_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    (void)ctx;
    (void)status;
    (void)h;
    (void)n;
}

static void never(void *ctx, const struct kl_err *err)
{
    (void)ctx;
    cr_assert(false, "the end of a cancelled call came: %s", err ? err->msg : "clean");
}

EACH_WAY(cancelled_calls_have_no_end)
{
    static const struct http_result_events at_head = { cancelling_head, cancelling_data, never }, at_data = { no_head, cancelling_data, never };
    struct both b = { 0 };
    struct call_result r, one = { 0 }, two = { 0 }, three = { 0 };
    both_open(&b, w);
    test_get(b.loop, b.client, "/hello", &r);
    result_free(&r);
    one.call = http_call_new(b.client, "GET", "/size/1000000", NULL, 0, STR(""), 0, &at_head, &one);
    two.call = http_call_new(b.client, "GET", "/size/1000000", NULL, 0, STR(""), 0, &at_data, &two);
    three.call = http_call_new(b.client, "GET", "/never", NULL, 0, STR(""), 0, &at_data, &three);
    http_call_cancel(three.call);
    test_get(b.loop, b.client, "/size/3000000", &r);
    cr_assert(!r.failed && r.bytes == 3000000, "%s: a call beside cancelled ones: %s", w->name, r.err.msg);
    result_free(&r);
    http_call_new(b.client, "GET", "/hang", NULL, 0, STR(""), 0, &at_data, &three);
    test_get(b.loop, b.client, "/hello", &r);
    cr_assert(!r.failed);
    result_free(&r);
    both_close(&b);                     /* with a call under way */
}

EACH_WAY(time_limits)
{
    struct both b = { 0 };
    int awaited = 2;
    struct call_result r = { .awaited = &awaited }, s = { .awaited = &awaited };
    both_open(&b, w);
    r.loop = s.loop = b.loop;
    r.call = http_call_new(b.client, "GET", "/never", NULL, 0, STR(""), 100000000, &test_events, &r);
    s.call = http_call_new(b.client, "GET", "/hang", NULL, 0, STR(""), 200000000, &test_events, &s);
    test_await(b.loop, &awaited);
    cr_assert(r.failed && r.err.code == KL_TIMEOUT && r.heads == 0, "%s: %s", w->name, r.err.msg);
    cr_assert(s.failed && s.err.code == KL_TIMEOUT);
    test_get(b.loop, b.client, "/hello", &r);
    cr_assert(!r.failed);
    result_free(&r);
    result_free(&s);
    both_close(&b);
}

/* --- what cannot be reached --- */

Test(client, nobody_there)
{
    struct loop *l = test_loop();
    char url[64];
    struct call_result r;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", test_free_port());
    struct http_client_conf c = { .url = url };
    struct http_client *x = test_client(l, &c);
    test_get(l, x, "/hello", &r);
    cr_assert(r.failed && r.err.code == KL_UNAVAILABLE && strstr(r.err.msg, "Connection refused") && strstr(r.err.msg, url + 7), "%s", r.err.msg);
    test_get(l, x, "/hello", &r);       /* and again: it is tried anew */
    cr_assert(r.failed && strstr(r.err.msg, "Connection refused"));
    http_client_free(x);
    c.url = "unix:/nonexistent/socket";
    x = test_client(l, &c);
    test_get(l, x, "/hello", &r);
    cr_assert(r.failed && strstr(r.err.msg, "No such file"), "%s", r.err.msg);
    http_client_free(x);
    c.url = "http://no-such-host.invalid:80";
    x = test_client(l, &c);
    test_get(l, x, "/hello", &r);
    cr_assert(r.failed && r.err.code == KL_UNAVAILABLE && strstr(r.err.msg, "the name is not known"), "%s", r.err.msg);
    http_client_free(x);
    loop_free(l);
}

Test(client, urls)
{
    static const char *const bad[] = { "", "localhost", "ftp://x", "http://", "http://a/b", "http://a:b", "http://a:0", "http://a:70000", "http://[::1",
                                       "http://[::1]x", "https://user@host", "unix:socket" };
    struct loop *l = test_loop();
    struct kl_err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct http_client *x = NULL;
        struct http_client_conf c = { .url = bad[i], .insecure = true };
        kl_err_init(&err);
        cr_assert_eq(http_client_new(l, &c, &x, &err), -KL_INVALID, "'%s' was taken", bad[i]);
    }
    loop_free(l);
}

Test(client, first_refused_call_is_tried_once_more)
{
    struct loop *l = test_loop();
    uint16_t port = 0;
    char path[64], url[80];
    struct call_result r;
    snprintf(path, sizeof path, "/tmp/keelson-again-%d.sock", (int)getpid());
    snprintf(url, sizeof url, "unix:%s", path);
    struct http_server *s = test_server(l, false, path, &port);
    struct http_client_conf c = { .url = url };
    struct http_client *x = test_client(l, &c);
    test_get(l, x, "/hello", &r);
    cr_assert(!r.failed);
    result_free(&r);
    http_server_close(s, 0, stop, l);   /* the client's idle connection is closed under it */
    loop_run(l);
    s = test_server(l, false, path, &port);
    test_get(l, x, "/hello", &r);
    cr_assert(!r.failed && r.status == 200, "%s", r.err.msg);
    result_free(&r);
    http_client_free(x);
    http_server_close(s, 0, stop, l);
    loop_run(l);
    loop_free(l);
}

/* --- TLS --- */

static void tls_case(const char *host, const char *ca, const char *name, bool insecure, const char *want)
{
    struct loop *l = test_loop();
    uint16_t port = 0;
    char url[64];
    struct call_result r;
    struct http_server *s = test_server(l, true, NULL, &port);
    snprintf(url, sizeof url, "https://%s:%d", host, port);
    struct http_client_conf c = { .url = url, .server_name = name, .ca_file = ca ? test_file(ca) : NULL, .insecure = insecure };
    struct http_client *x = test_client(l, &c);
    test_get(l, x, "/hello", &r);
    if (want)
        cr_assert(r.failed && strstr(r.err.msg, want), "%s with %s: %s", host, ca, r.failed ? r.err.msg : "it was trusted");
    else
        cr_assert(!r.failed && r.status == 200, "%s with %s: %s", host, ca, r.err.msg);
    result_free(&r);
    http_client_free(x);
    http_server_close(s, 0, stop, l);
    loop_run(l);
    loop_free(l);
}

Test(client, verifies_the_server)
{
    tls_case("localhost", "ca.crt", NULL, false, NULL);
    tls_case("127.0.0.1", "ca.crt", NULL, false, NULL);
    tls_case("127.0.0.1", "ca.crt", "localhost", false, NULL);
    tls_case("127.0.0.1", "ca.crt", "elsewhere", false, "does not match");
    tls_case("localhost", "other-ca.crt", NULL, false, "issuer is unknown");
    tls_case("localhost", NULL, NULL, true, NULL);
}

Test(client, shows_its_certificate)
{
    struct both b = { 0 };
    struct call_result r;
    both_open(&b, &ways[3]);
    test_get(b.loop, b.client, "/who", &r);
    cr_assert(str_is(buf_str(&r.body), "alice"), "%.*s", (int)r.body.len, r.body.at);
    result_free(&r);
    both_close(&b);
}

Test(client, keys_from_memory)
{
    struct loop *l = test_loop();
    uint16_t port = 0;
    char url[64];
    struct buf pem[3] = { BUF_INIT(0) };
    static const char *const names[] = { "ca.crt", "client.crt", "client.key" };
    struct call_result r;
    struct http_server *s = test_server(l, true, NULL, &port);
    for (int i = 0; i < 3; i++) {
        FILE *f = fopen(test_file(names[i]), "r");
        char *room = buf_room(&pem[i], 8192);
        pem[i].len = fread(room, 1, 8192, f);
        fclose(f);
    }
    snprintf(url, sizeof url, "https://localhost:%d", port);
    struct http_client_conf c = { .url = url, .ca = buf_str(&pem[0]), .cert = buf_str(&pem[1]), .key = buf_str(&pem[2]) };
    struct http_client *x = test_client(l, &c);
    test_get(l, x, "/who", &r);
    cr_assert(str_is(buf_str(&r.body), "alice"), "%s", r.err.msg);
    result_free(&r);
    for (int i = 0; i < 3; i++)
        buf_free(&pem[i]);
    http_client_free(x);
    http_server_close(s, 0, stop, l);
    loop_run(l);
    loop_free(l);
}
