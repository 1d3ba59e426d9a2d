/* http.h - a server that answers everything, and one connection of the input's bytes, cut into pieces where the input says. */
#ifndef TESTS_FUZZ_HTTP_H
#define TESTS_FUZZ_HTTP_H

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "http/http-internal.h"

static struct loop *http_loop;
static struct http_server *http_fuzzed;
static int http_peer_fd;
static struct str http_left;
static unsigned http_turns;

static void http_answer(void *ctx, struct http_req *r)
{
    static const struct http_header h[] = { { { "content-type", 12 }, { "text/plain", 10 } } };
    struct str key, value, query = http_query(r);
    (void)ctx;
    must(http_method(r).len && http_path(r).len && http_path(r).at[0] == '/');
    must(http_body(r).len <= http_fuzzed->body_max);
    http_header(r, STR("content-type"));
    http_decode(http_arena(r), http_path(r), false);
    while (http_query_next(http_arena(r), &query, &key, &value)) { }
    if (str_starts(http_path(r), STR("/s"))) {
        http_stream_begin(r, 200, h, 1);
        http_stream_write(r, (struct http_slice){ .data = STR("streamed") });
        http_stream_end(r);
        return;
    }
    if (str_starts(http_path(r), STR("/a"))) {
        http_stream_begin(r, 200, h, 1);
        http_stream_abort(r);
        return;
    }
    http_reply(r, 200, h, 1, (struct http_slice){ .data = http_body(r) });
}

/* Between two turns: the next piece goes in, what came out is taken, and the loop ends with the connection. */
static void http_feed(void *ctx)
{
    char out[65536];
    (void)ctx;
    while (read(http_peer_fd, out, sizeof out) > 0) { }
    if (http_left.len) {
        size_t n = http_turns % 3 == 0 ? http_left.len : (unsigned char)http_left.at[http_left.len / 2] % 64 + 1;
        ssize_t sent = send(http_peer_fd, http_left.at, n < http_left.len ? n : http_left.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        http_left = sent > 0 ? str_skip(http_left, (size_t)sent) : STR_NONE;
        if (!http_left.len)
            shutdown(http_peer_fd, SHUT_WR);
    }
    if (!http_fuzzed->n_conns || ++http_turns > 2000)
        loop_stop(http_loop);
    else
        loop_post(http_loop, http_feed, NULL);
}

static void http_fuzz(struct str bytes)
{
    int fds[2];
    if (!http_loop) {
        struct kl_err err;
        struct http_conf hc = { .address = "127.0.0.1", .body_max = 65536 };
        kl_err_init(&err);
        http_loop = loop_new();
        must(http_server_new(http_loop, &hc, http_answer, NULL, &http_fuzzed, &err) == 0);
    }
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    http_peer_fd = fds[0];
    http_left = bytes;
    http_turns = 0;
    struct conn *c = conn_new(http_fuzzed, fds[1]);
    must(c);
    if (!bytes.len)
        shutdown(http_peer_fd, SHUT_WR);
    loop_post(http_loop, http_feed, NULL);
    loop_run(http_loop);
    must(http_turns <= 2000 || !http_fuzzed->n_conns);
    while (!list_empty(&http_fuzzed->conns))
        conn_free(list_item(http_fuzzed->conns.next, struct conn, link));
    close(http_peer_fd);
}

#endif
