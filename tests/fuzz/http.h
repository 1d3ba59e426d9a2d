/* http.h - a server that answers everything, and one connection of the input's bytes, cut into pieces where the input says. */
#ifndef TESTS_FUZZ_HTTP_H
#define TESTS_FUZZ_HTTP_H

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"
#include "http/http.h"

#define HTTP_BODY_MOST 65536
#define HTTP_TURNS     1000

static struct loop *http_loop;
static struct sockaddr_un http_where = { .sun_family = AF_UNIX };
static int http_client;
static struct str http_left;
static unsigned http_turns;

static void http_answer(void *ctx, struct http_req *r)
{
    static const struct http_header h[] = { { { "content-type", 12 }, { "text/plain", 10 } } };
    struct str key, value, query = http_query(r);
    (void)ctx;
    must(http_method(r).len && http_path(r).len && http_path(r).at[0] == '/');
    must(http_body(r).len <= HTTP_BODY_MOST);
    http_header(r, STR("content-type"));
    http_decode(http_arena(r), http_path(r), false);
    while (http_query_next(http_arena(r), &query, &key, &value)) { }
    if (str_starts(http_path(r), STR("/s")) || str_starts(http_path(r), STR("/a"))) {
        bool whole = http_path(r).at[1] == 's';
        http_stream_begin(r, 200, h, 1);
        http_stream_write(r, (struct http_slice){ .data = STR("streamed") });
        whole ? http_stream_end(r) : http_stream_abort(r);
        return;
    }
    http_reply(r, 200, h, 1, (struct http_slice){ .data = http_body(r) });
}

/* Between two turns: the next piece goes in, what came out is taken, and the loop ends with the connection. */
static void http_feed(void *ctx)
{
    char out[65536];
    ssize_t got;
    (void)ctx;
    while ((got = read(http_client, out, sizeof out)) > 0) { }
    if (got == 0 || ++http_turns > HTTP_TURNS) {
        loop_stop(http_loop);
        return;
    }
    if (http_left.len) {
        size_t n = http_turns % 3 == 0 ? http_left.len : (unsigned char)http_left.at[http_left.len / 2] % 64 + 1;
        ssize_t sent = send(http_client, http_left.at, n < http_left.len ? n : http_left.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        http_left = sent > 0 ? str_skip(http_left, (size_t)sent) : STR_NONE;
    }
    if (!http_left.len)
        shutdown(http_client, SHUT_WR);
    loop_post(http_loop, http_feed, NULL);
}

static void http_clean(void)
{
    unlink(http_where.sun_path);
}

static void http_fuzz(struct str bytes)
{
    if (!http_loop) {
        struct http_server *server;
        struct kl_err err;
        struct http_conf hc = { .address = http_where.sun_path, .body_max = HTTP_BODY_MOST };
        kl_err_init(&err);
        snprintf(http_where.sun_path, sizeof http_where.sun_path, "/tmp/keelson-fuzz-%d.sock", (int)getpid());
        atexit(http_clean);
        http_loop = loop_new();
        must(http_server_new(http_loop, &hc, http_answer, NULL, &server, &err) == 0);
    }
    http_client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(http_client >= 0 && connect(http_client, (struct sockaddr *)&http_where, sizeof http_where) == 0);
    http_left = bytes;
    http_turns = 0;
    loop_post(http_loop, http_feed, NULL);
    loop_run(http_loop);
    close(http_client);
}

#endif
