/* remote.c - an upgraded connection on a virtual clock, without a socket: what is told when, signs of life, clients that are late or do not
 * read. Whole conversations are in tests/unit/kernel/api/streams.c. */
#include <criterion/criterion.h>

#include "http/http-internal.h"
#include "http/remote.h"

static struct loop *l;
static struct http_server server;
static struct conn *conn;
static struct remote *r;
static struct buf told;

static void on_ready(void *ctx)
{
    (void)ctx;
    buf_add_z(&told, "ready;");
}

static void on_port(void *ctx, unsigned id, uint16_t port)
{
    (void)ctx;
    buf_printf(&told, "port %u %u;", id, port);
}

static void on_data(void *ctx, unsigned channel, struct str s)
{
    (void)ctx;
    buf_printf(&told, "data %u " STR_FMT ";", channel, STR_ARG(s));
}

static void on_eof(void *ctx, unsigned channel)
{
    (void)ctx;
    buf_printf(&told, "eof %u;", channel);
}

static void on_reset(void *ctx, unsigned channel)
{
    (void)ctx;
    buf_printf(&told, "reset %u;", channel);
}

static void on_drain(void *ctx)
{
    (void)ctx;
    buf_add_z(&told, "drain;");
}

static void on_closed(void *ctx)
{
    (void)ctx;
    buf_add_z(&told, "closed;");
    r = NULL;
}

static void nothing(struct conn *c)
{
    (void)c;
}

static void open_remote(const char *method, const char *const headers[][2], struct remote_conf conf)
{
    static const struct conn_protocol none = { .gone = nothing, .timer = nothing };
    static const struct remote_events ev = { on_ready, on_port, on_data, on_eof, on_reset, on_drain, on_closed };
    struct kl_err err;
    l = loop_new_sim(0, 0);
    owner_init(&server.owner, l, &none);
    server.body_max = 1000;
    conn = mem_alloc(sizeof *conn);
    *conn = (struct conn){ .owner = &server.owner, .server = &server, .state = CONN_OPEN, .fd = -1 };
    list_init(&conn->reqs);
    list_init(&conn->dirty_link);
    struct http_req *q = req_new(conn);
    q->method = str_of(method);
    req_add_header(q, STR("connection"), STR("keep-alive, upgrade"));
    for (unsigned i = 0; headers[i][0]; i++)
        req_add_header(q, str_of(headers[i][0]), str_of(headers[i][1]));
    r = remote_accept(q, &conf, &ev, NULL, &err);
    cr_assert(r, "%s", err.msg);
}

static void open_websocket(const char *protocol, struct remote_conf conf)
{
    const char *const headers[][2] = { { "upgrade", "websocket" }, { "sec-websocket-version", "13" },
                                       { "sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==" }, { "sec-websocket-protocol", protocol }, { NULL, NULL } };
    open_remote("GET", headers, conf);
}

static void open_spdy(const char *protocol, struct remote_conf conf)
{
    const char *const headers[][2] = { { "upgrade", "SPDY/3.1" }, { "x-stream-protocol-version", protocol }, { NULL, NULL } };
    open_remote("POST", headers, conf);
}

static void input(struct str s)
{
    if (conn->raw_data)
        conn->raw_data(conn->raw_ctx, s);
}

/* What has been put out since the last time. */
static struct str output(void)
{
    static char copy[4096];
    struct str s = buf_str(&conn->out);
    s.len = s.len < sizeof copy ? s.len : sizeof copy;
    memcpy(copy, s.at, s.len);
    buf_clear(&conn->out);
    return str_n(copy, s.len);
}

static void expect_told(const char *want)
{
    cr_expect_str_eq(told.len ? told.at : "", want);
    buf_clear(&told);
}

static void done(void)
{
    if (conn->raw_data)
        conn->raw_data(conn->raw_ctx, STR_NONE);
    cr_expect(conn->close_after || !r, "a remote that nobody ended");
    loop_timer_stop(&conn->timer);
    list_remove(&conn->dirty_link);
    buf_free(&conn->out);
    buf_free(&told);
    mem_free(conn);
    loop_free(l);
}

static bool holds(struct str s, struct str part)
{
    return memmem(s.at, s.len, part.at, part.len) != NULL;
}

Test(remote, tells_in_order_and_answers_pings)
{
    open_websocket("v5.channel.k8s.io", (struct remote_conf){ .kind = REMOTE_EXEC, .channels = 3 });
    struct str head = output();
    cr_expect(str_ends(head, STR("Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n")), "no message before the client can have its streams");
    input(str_n("\x82\x83\0\0\0\0\0hi", 9));    /* faster than the loop's next turn */
    expect_told("ready;data 0 hi;");
    input(str_n("\x82\x82\0\0\0\0\xff\0", 8));
    input(str_n("\x82\x83\0\0\0\0\1no", 9));
    expect_told("eof 0;");
    input(str_n("\x89\x82\0\0\0\0up", 8));
    cr_expect(str_eq(output(), str_n("\x8a\x02up", 4)));
    input(str_n("\x88\x80\0\0\0\0", 6));
    expect_told("closed;");
    cr_expect(holds(output(), STR("\x88")));
    done();
}

Test(remote, signs_of_life_while_paused)
{
    open_websocket("v4.channel.k8s.io", (struct remote_conf){ .kind = REMOTE_EXEC, .channels = 3 });
    loop_run_until(l, NS_PER_S);
    cr_expect(str_ends(output(), STR("\r\n\r\n\x82\x01\x01")), "an empty message behind the head");
    remote_pause(r, true);
    cr_expect(conn->raw_paused);
    loop_run_until(l, 12 * NS_PER_S);
    cr_expect(str_eq(output(), str_n("\x8a\0\x8a\0", 4)), "one every 5 s");
    for (int i = 0; i < 10; i++) {
        remote_pause(r, false);
        cr_expect_not(conn->raw_paused);
        remote_pause(r, true);
        loop_run_until(l, loop_now(l) + NS_PER_S);
    }
    cr_expect(str_eq(output(), str_n("\x8a\0\x8a\0", 4)), "also of one that is read in little bits");
    remote_pause(r, false);
    loop_run_until(l, loop_now(l) + 10 * NS_PER_S);
    output();
    loop_run_until(l, loop_now(l) + 100 * NS_PER_S);
    cr_expect_eq(output().len, 0);
    remote_close(r);
    cr_expect(str_eq(output(), str_n("\x88\x02\x03\xe8", 4)));
    done();
}

Test(remote, a_client_that_reads_nothing_is_not_read)
{
    static char big[600000];
    open_websocket("v4.channel.k8s.io", (struct remote_conf){ .kind = REMOTE_EXEC, .channels = 3 });
    loop_run_until(l, 1);
    remote_write(r, REMOTE_STDOUT, str_n(big, sizeof big));
    cr_expect_not(conn->raw_paused);
    remote_write(r, REMOTE_STDOUT, str_n(big, sizeof big));
    cr_expect(conn->raw_paused);
    cr_expect_gt(remote_queued(r), sizeof big * 2);
    expect_told("ready;");
    buf_clear(&conn->out);
    conn->raw_drain(conn->raw_ctx);
    expect_told("drain;");
    cr_expect_not(conn->raw_paused);
    conn->raw_drain(conn->raw_ctx);
    expect_told("");
    remote_finish(r, STR("{}"), STR(""));
    cr_expect(holds(output(), str_n("\x82\x03\x03{}", 5)));
    done();
}

Test(remote, older_protocols_tell_failures_as_text)
{
    open_websocket("channel.k8s.io", (struct remote_conf){ .kind = REMOTE_EXEC, .channels = 2 });
    loop_run_until(l, 1);
    output();
    remote_finish(r, STR("{\"status\":\"Failure\"}"), STR("why"));
    cr_expect(str_eq(output(), str_n("\x82\x04\x03why\x88\x02\x03\xe8", 10)));
    done();
    open_websocket("channel.k8s.io", (struct remote_conf){ .kind = REMOTE_EXEC, .channels = 2 });
    loop_run_until(l, 1);
    output();
    remote_finish(r, STR("{\"status\":\"Success\"}"), STR(""));
    cr_expect(str_eq(output(), str_n("\x88\x02\x03\xe8", 4)), "success is told by silence");
    done();
}

Test(remote, streams_that_are_not_opened_in_time)
{
    open_spdy("v4.channel.k8s.io", (struct remote_conf){ .kind = REMOTE_EXEC, .channels = 3 });
    loop_run_until(l, 29 * NS_PER_S);
    expect_told("");
    output();
    loop_run_until(l, 31 * NS_PER_S);
    expect_told("closed;");
    cr_expect(holds(output(), str_n("\x80\x03\0\x07", 4)), "GOAWAY");
    cr_expect(conn->close_after);
    done();
}

Test(remote, what_is_no_websocket_ends)
{
    open_websocket("v5.channel.k8s.io", (struct remote_conf){ .kind = REMOTE_EXEC, .channels = 3 });
    input(STR("GET / HTTP/1.1\r\n\r\n"));
    expect_told("ready;closed;");
    cr_expect(conn->close_after);
    done();
    open_spdy("portforward.k8s.io", (struct remote_conf){ .kind = REMOTE_PORTFORWARD });
    input(STR("\x80GET / HTTP/1.1\r\n\r\n"));
    expect_told("ready;closed;");
    done();
}

Test(remote, bearer_among_the_protocols)
{
    struct conn c = { .owner = &server.owner, .server = &server };
    struct http_req q = { .conn = &c };
    q.arena = arena_new(0);
    req_add_header(&q, STR("connection"), STR("Upgrade"));
    req_add_header(&q, STR("upgrade"), STR("websocket"));
    cr_expect_eq(remote_bearer(&q).len, 0);
    req_add_header(&q, STR("sec-websocket-protocol"), STR("v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.YWJj"));
    cr_expect(str_is(remote_bearer(&q), "YWJj"));
    arena_free(q.arena);
}
