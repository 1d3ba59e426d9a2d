/* large.c - answers far larger than any buffer arrive whole, in one piece and streamed, over HTTP/1.1 and HTTP/2, to a client that reads
 * and says nothing more. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/http.h"

#define PART  3500u
#define PARTS 10000u
#define TOTAL ((size_t)PART * PARTS)

struct stream {
    struct http_req *r;
    unsigned sent;
};

static char bytes[TOTAL];

static void feed(void *ctx)
{
    struct stream *s = ctx;
    while (s->sent < PARTS && http_stream_queued(s->r) < 256 << 10)
        http_stream_write(s->r, (struct http_slice){ .data = str_n(bytes + (size_t)s->sent++ * PART, PART) });
    if (s->sent == PARTS)
        http_stream_end(s->r);
}

/* News that comes whether the client reads or not: a stream that is woken writes when there is room, and what it has not written is written later. */
static struct news {
    struct loop *loop;
    struct http_req *r;
    unsigned made, sent, calls;
    size_t most;
    bool all_made;                      /* atomic: the client may begin to read */
} news;

static void tell(void *ctx)
{
    struct news *n = ctx;
    n->calls++;
    while (n->sent < n->made && http_stream_queued(n->r) < 256 << 10) {
        http_stream_write(n->r, (struct http_slice){ .data = str_n(bytes + (size_t)n->sent++ * PART, PART) });
        if (http_stream_queued(n->r) > n->most)
            n->most = http_stream_queued(n->r);
    }
    if (n->sent == PARTS)
        http_stream_end(n->r);
}

static void happen(void *ctx)
{
    struct news *n = ctx;
    n->made += 2;
    http_stream_wake(n->r);
    http_stream_wake(n->r);             /* once is enough, twice is fine */
    if (n->made < PARTS)
        loop_post(n->loop, happen, n);
    else
        __atomic_store_n(&n->all_made, true, __ATOMIC_RELEASE);
}

static void handle(void *ctx, struct http_req *r)
{
    if (str_is(http_path(r), "/news")) {
        news = (struct news){ .loop = ctx, .r = r };
        http_stream_begin(r, 200, NULL, 0);
        http_stream_on_drain(r, tell, &news);
        happen(&news);
        return;
    }
    if (str_is(http_path(r), "/whole")) {
        http_reply(r, 200, NULL, 0, (struct http_slice){ .data = str_n(bytes, TOTAL) });
        return;
    }
    struct stream *s = arena_alloc(http_arena(r), sizeof *s);
    s->r = r;
    http_stream_begin(r, 200, NULL, 0);
    http_stream_on_drain(r, feed, s);
    feed(s);
}

struct client {
    struct loop *loop;
    struct http_server *server;
    uint16_t port;
    bool h2;
    const char *path;
    size_t got, wrong;
    bool over;
    bool busy;                          /* gives credit for every 4 KiB, as Go's client does */
    size_t credit;
};

static int dial(const struct client *c)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(c->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval patience = { .tv_sec = 20 };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return connect(fd, (struct sockaddr *)&in, sizeof in) < 0 ? -1 : fd;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *at, size_t n, void *ctx)
{
    struct client *c = ctx;
    (void)flags;
    for (c->credit += n; c->busy && c->credit >= 4096; c->credit -= 4096) {
        nghttp2_submit_window_update(s, 0, id, 4096);
        nghttp2_submit_window_update(s, 0, 0, 4096);
    }
    c->wrong += c->got + n > TOTAL || memcmp(bytes + c->got, at, n) != 0;
    c->got += n;
    return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *ctx)
{
    (void)s;
    (void)id;
    ((struct client *)ctx)->over = code == 0;
    return 0;
}

static void send_all(nghttp2_session *s, int fd)
{
    const uint8_t *at;
    for (ssize_t n; (n = nghttp2_session_mem_send(s, &at)) > 0;)
        if (write(fd, at, (size_t)n) != n)
            return;
}

static void wait_for_news(const struct client *c)
{
    while (strcmp(c->path, "/news") == 0 && !__atomic_load_n(&news.all_made, __ATOMIC_ACQUIRE))
        usleep(1000);
}

/* The windows are open from the start, so that nothing but the socket itself wakes the server. */
static void ask_h2(struct client *c, int fd)
{
    static const nghttp2_settings_entry wide = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 64 << 20 };
    nghttp2_session_callbacks *cb;
    nghttp2_session *s;
    uint8_t room[32768];
    nghttp2_session_callbacks_new(&cb);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    nghttp2_session_client_new(&s, cb, c);
    nghttp2_session_callbacks_del(cb);
    nghttp2_submit_settings(s, 0, &wide, 1);
    nghttp2_session_set_local_window_size(s, 0, 0, 64 << 20);
#define NV(n, v) { (uint8_t *)(n), (uint8_t *)(v), strlen(n), strlen(v), 0 }
    nghttp2_nv nv[] = { NV(":method", "GET"), NV(":scheme", "http"), NV(":authority", "x"), NV(":path", c->path) };
    nghttp2_submit_request(s, NULL, nv, 4, NULL, NULL);
    send_all(s, fd);
    wait_for_news(c);
    for (ssize_t n; !c->over && (n = read(fd, room, sizeof room)) > 0;) {
        if (nghttp2_session_mem_recv(s, room, (size_t)n) < 0)
            break;
        send_all(s, fd);
    }
    nghttp2_session_del(s);
}

/* Only counts: what chunking adds makes the bytes more, never fewer. */
static void ask_h1(struct client *c, int fd)
{
    char room[32768];
    int n = snprintf(room, sizeof room, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", c->path);
    if (write(fd, room, (size_t)n) != n)
        return;
    wait_for_news(c);
    for (ssize_t got; (got = read(fd, room, sizeof room)) >= 0;) {
        c->got += (size_t)got;
        c->over = got == 0;
        if (c->over)
            return;
    }
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

static void close_server(void *ctx)
{
    struct client *c = ctx;
    http_server_close(c->server, 0, stop, c->loop);
}

static void *run_client(void *ctx)
{
    struct client *c = ctx;
    int fd = dial(c);
    if (fd >= 0)
        (c->h2 ? ask_h2 : ask_h1)(c, fd);
    close(fd);
    loop_post(c->loop, close_server, c);
    return NULL;
}

static void fetch(struct client *c)
{
    struct http_conf conf = { .address = "127.0.0.1" };
    struct kl_err err;
    pthread_t thread;
    kl_err_init(&err);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < TOTAL; i++)
        bytes[i] = (char)('a' + i % 23);
    c->loop = loop_new();
    cr_assert_eq(http_server_new(c->loop, &conf, handle, c->loop, &c->server, &err), 0, "%s", err.msg);
    c->port = http_server_port(c->server);
    pthread_create(&thread, NULL, run_client, c);
    loop_run(c->loop);
    pthread_join(thread, NULL);
    loop_free(c->loop);
}

static void check(bool h2, const char *path)
{
    struct client c = { .h2 = h2, .path = path };
    fetch(&c);
    cr_assert(c.over, "%s over HTTP/%d: only %zu of %zu bytes came", path, h2 ? 2 : 1, c.got, TOTAL);
    cr_assert_eq(c.wrong, 0);
    if (h2)
        cr_assert_eq(c.got, TOTAL);
    else
        cr_assert_gt(c.got, TOTAL);
}

Test(large, whole_h2)
{
    check(true, "/whole");
}

Test(large, whole_h1)
{
    check(false, "/whole");
}

Test(large, streamed_h2)
{
    check(true, "/streamed");
}

Test(large, a_client_that_gives_credit_often)
{
    struct client c = { .h2 = true, .path = "/streamed", .busy = true };
    fetch(&c);
    cr_assert(c.over, "only %zu of %zu bytes came", c.got, TOTAL);
    cr_assert_eq(c.got, TOTAL);
}

Test(large, streamed_h1)
{
    check(false, "/streamed");
}

static void check_news(bool h2)
{
    check(h2, "/news");
    cr_assert_leq(news.most, (256u << 10) + PART);
    cr_assert_gt(news.calls, 2);
}

Test(large, news_for_one_that_does_not_read_h2)
{
    check_news(true);
}

Test(large, news_for_one_that_does_not_read_h1)
{
    check_news(false);
}
