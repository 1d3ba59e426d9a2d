/* proxy.c - requests sent on: a front server, our client, a server behind it. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

struct chain {
    struct loop *loop;
    struct http_server *front, *back;
    struct http_client *to_back, *to_front;
    uint16_t front_port;
    bool final;                         /* redirects of the back do not pass */
};

static void send_on(void *ctx, struct http_req *r)
{
    struct chain *c = ctx;
    char path[256];
    snprintf(path, sizeof path, STR_FMT, STR_ARG(http_path(r)));
    static const struct http_header mark = { { "x-mark", 6 }, { "front", 5 } };
    if (c->final)
        http_proxy_as(r, c->to_back, &(struct http_proxy_conf){ .path_and_query = path, .answer = &mark, .n_answer = 1, .final = true });
    else
        http_proxy(r, c->to_back, path);
}

static void chain_open(struct chain *c, const char *back_url, bool h2)
{
    struct kl_err err;
    char url[64];
    uint16_t port = 0;
    kl_err_init(&err);
    *c = (struct chain){ .loop = test_loop() };
    if (!back_url) {
        c->back = test_server(c->loop, true, NULL, &port);
        snprintf(url, sizeof url, "https://localhost:%d", port);
    }
    struct http_client_conf bc = { .url = back_url ? back_url : url, .ca_file = back_url ? NULL : test_file("ca.crt"),
                                   .cert_file = back_url ? NULL : test_file("client.crt"), .key_file = back_url ? NULL : test_file("client.key") };
    c->to_back = test_client(c->loop, &bc);
    struct http_conf hc = { .address = "127.0.0.1" };
    cr_assert_eq(http_server_new(c->loop, &hc, send_on, c, &c->front, &err), 0);
    c->front_port = http_server_port(c->front);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", c->front_port);
    struct http_client_conf fc = { .url = url, .prior_h2 = h2 };
    c->to_front = test_client(c->loop, &fc);
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

static void chain_close(struct chain *c)
{
    http_client_free(c->to_front);
    http_server_close(c->front, 0, stop, c->loop);
    loop_run(c->loop);
    http_client_free(c->to_back);
    if (c->back) {
        http_server_close(c->back, 0, stop, c->loop);
        loop_run(c->loop);
    }
    loop_free(c->loop);
}

static void plain(bool h2)
{
    struct chain c;
    struct call_result r;
    int awaited = 1;
    chain_open(&c, NULL, h2);
    test_get(c.loop, c.to_front, "/hello", &r);
    cr_assert(!r.failed && r.status == 200 && str_is(buf_str(&r.body), "hello\n"), "%d %s", r.status, r.err.msg);
    result_free(&r);
    test_get(c.loop, c.to_front, "/who", &r);
    cr_assert(str_is(buf_str(&r.body), "alice"));
    result_free(&r);
    test_get(c.loop, c.to_front, "/size/8000000", &r);
    cr_assert(!r.failed && r.bytes == 8000000, "%zu %s", r.bytes, r.err.msg);
    result_free(&r);
    r = (struct call_result){ .loop = c.loop, .awaited = &awaited };
    test_call(c.to_front, "POST", "/echo", STR("some text"), &r);
    test_await(c.loop, &awaited);
    cr_assert(r.status == 201 && str_is(buf_str(&r.body), "some text"));
    result_free(&r);
    /* Whoever goes away takes the call behind with him. */
    r = (struct call_result){ .loop = c.loop };
    struct http_call *k = test_call(c.to_front, "GET", "/size/30000000", STR(""), &r);
    http_call_pause(k, true);
    struct call_result other;
    test_get(c.loop, c.to_front, "/hello", &other);
    result_free(&other);
    http_call_cancel(k);
    result_free(&r);
    test_get(c.loop, c.to_front, "/hello", &r);
    cr_assert(!r.failed);
    result_free(&r);
    chain_close(&c);
}

Test(proxy, plain_requests)
{
    plain(false);
}

Test(proxy, plain_requests_over_http2)
{
    plain(true);
}

Test(proxy, nobody_behind_it)
{
    struct chain c;
    struct call_result r;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", test_free_port());
    chain_open(&c, url, false);
    test_get(c.loop, c.to_front, "/hello", &r);
    cr_assert(r.status == 503 && strstr(r.body.at, "Connection refused"), "%d %.200s", r.status, r.body.at);
    result_free(&r);
    chain_close(&c);
}

static int listen_at(uint16_t *ret_port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(bind(fd, (struct sockaddr *)&in, sizeof in) == 0 && listen(fd, 4) == 0 && getsockname(fd, (struct sockaddr *)&in, &n) == 0);
    *ret_port = ntohs(in.sin_port);
    return fd;
}

/* --- redirects, and what is told of where a request came from --- */

static char heard[4096];

static void *redirect_main(void *ctx)
{
    int fd = accept(*(int *)ctx, NULL, NULL);
    size_t n = 0;
    ssize_t got;
    while (!memmem(heard, n, "\r\n\r\n", 4) && (got = read(fd, heard + n, sizeof heard - 1 - n)) > 0)
        n += (size_t)got;
    static const char elsewhere[] = "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n";
    if (write(fd, elsewhere, sizeof elsewhere - 1) < 0)
        n = 0;
    close(fd);
    return NULL;
}

Test(proxy, redirects_that_do_not_pass)
{
    for (int final = 0; final < 2; final++) {
        struct chain c;
        struct call_result r;
        char url[64];
        uint16_t port;
        pthread_t thread;
        int listener = listen_at(&port);
        memset(heard, 0, sizeof heard);
        cr_assert(pthread_create(&thread, NULL, redirect_main, &listener) == 0);
        snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
        chain_open(&c, url, false);
        c.final = final;
        test_get(c.loop, c.to_front, "/a/b?c=d", &r);
        pthread_join(thread, NULL);
        cr_expect_eq(r.status, final ? 502 : 302);
        cr_expect(!final || str_is(buf_str(&r.body), "the backend attempted to redirect this request, which is not permitted"));
        cr_expect(strstr(heard, "x-forwarded-uri: /a/b\r\n") && strstr(heard, "x-forwarded-for: 127.0.0.1\r\n"), "%s", heard);
        result_free(&r);
        chain_close(&c);
        close(listener);
    }
}

/* --- upgrades --- */

/* Behind the proxy: answers 101, then sends back what comes, until "bye". */
static void *echo_main(void *ctx)
{
    int listener = *(int *)ctx, fd = accept(listener, NULL, NULL);
    char room[65536];
    size_t n = 0;
    ssize_t got;
    while (!memmem(room, n, "\r\n\r\n", 4) && (got = read(fd, room + n, sizeof room - n)) > 0)
        n += (size_t)got;
    static const char yes[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nwelcome";
    if (!memmem(room, n, "upgrade: echo", 13) || memmem(room, n, "secret", 6) || write(fd, yes, sizeof yes - 1) < 0)
        n = 0;
    while (n && (got = read(fd, room, sizeof room)) > 0 && !memmem(room, (size_t)got, "bye", 3))
        if (write(fd, room, (size_t)got) != got)
            break;
    close(fd);
    return NULL;
}

struct visitor {
    struct loop *loop;
    uint16_t port;
    struct buf seen;
    bool ended;
};

static bool read_until(int fd, struct buf *b, size_t n)
{
    while (b->len < n) {
        char *room = buf_room(b, 65536);
        ssize_t got = read(fd, room, n - b->len < 65536 ? n - b->len : 65536);
        if (got <= 0)
            return false;
        b->len += (size_t)got;
    }
    return true;
}

/* In front of it: a blocking client on a thread of its own. */
static void *visitor_main(void *ctx)
{
    struct visitor *v = ctx;
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(v->port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    static const char ask[] = "GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\nAuthorization: Bearer secret\r\n\r\nearly";
    struct buf back = BUF_INIT(0);
    char block[5000];
    memset(block, 'z', sizeof block);
    if (connect(fd, (struct sockaddr *)&in, sizeof in) == 0 && write(fd, ask, sizeof ask - 1) == sizeof ask - 1) {
        while (!memmem(v->seen.at ? v->seen.at : "", v->seen.len, "early", 5) && read_until(fd, &v->seen, v->seen.len + 1))
            ;
        for (int i = 0; i < 400; i++)   /* 2 MB through and back */
            if (write(fd, block, sizeof block) != sizeof block || !read_until(fd, &back, (size_t)(i + 1) * sizeof block))
                break;
        if (back.len == 400 * sizeof block && write(fd, "bye", 3) == 3)
            v->ended = read(fd, block, 1) == 0;
    }
    close(fd);
    buf_free(&back);
    loop_stop(v->loop);
    return NULL;
}

Test(proxy, upgrades_become_tunnels)
{
    struct chain c;
    char url[64];
    uint16_t port;
    int listener = listen_at(&port);
    pthread_t echo, visitor;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    chain_open(&c, url, false);
    struct visitor v = { .loop = c.loop, .port = c.front_port };
    pthread_create(&echo, NULL, echo_main, &listener);
    pthread_create(&visitor, NULL, visitor_main, &v);
    loop_run(c.loop);
    pthread_join(visitor, NULL);
    pthread_join(echo, NULL);
    cr_assert(memmem(v.seen.at, v.seen.len, "101 Switching", 13) && memmem(v.seen.at, v.seen.len, "welcome", 7), "%.*s", (int)v.seen.len, v.seen.at);
    cr_assert(v.ended);
    buf_free(&v.seen);
    close(listener);
    chain_close(&c);
}

Test(proxy, upgrades_that_are_refused)
{
    static const struct {
        const char *answer, *want;
    } rows[] = {
        { "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "403" },
        { "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", "502" },
    };
    for (int i = 0; i < 2; i++) {
        struct chain c;
        char url[64];
        snprintf(url, sizeof url, "http://127.0.0.1:%d", test_raw_server(str_of(rows[i].answer), 1000));
        chain_open(&c, url, false);
        struct http_header h[] = { { STR("connection"), STR("Upgrade") }, { STR("upgrade"), STR("echo") } };
        int awaited = 1;
        struct call_result r = { .loop = c.loop, .awaited = &awaited };
        r.call = http_call_new(c.to_front, "GET", "/x", h, 2, STR(""), 0, &test_events, &r);
        test_await(c.loop, &awaited);
        cr_assert(!r.failed && r.status == (i ? 502 : 403), "%d %s", r.status, r.err.msg);
        result_free(&r);
        chain_close(&c);
    }
}
