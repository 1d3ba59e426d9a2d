/* answers.c - HTTP/1.1 answers as they may come: well-formed ones in pieces of every size, malformed ones, and what others serve. */
#include <criterion/criterion.h>

#include "harness.h"

#define OK(text, code, content) { text, code, content, NULL }
#define BAD(text, reason) { text, 0, NULL, reason }

static const struct {
    const char *answer;
    int status;
    const char *body, *why;
} rows[] = {
    OK("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"),
    OK("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""),
    OK("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
    OK("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 304, ""),
    OK("HTTP/1.1 200\r\n\r\nuntil the end", 200, "until the end"),
    OK("HTTP/1.0 200 OK\r\n\r\nold", 200, "old"),
    OK("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", 200, "abc0123456789"),
    OK("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n", 200, ""),
    OK("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok", 201, "ok"),
    OK("HTTP/1.1 500 Internal Server Error\r\nX-Empty:\r\nX-Tab: \ta\tb \r\nContent-Length: 1\r\n\r\n!", 500, "!"),
    BAD("", "closed before"),
    BAD("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "closed before"),
    BAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "closed before"),
    BAD("HTTP/1.1 200 OK\r\nContent-Le", "closed before"),
    BAD("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "malformed"),
    BAD("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "malformed"),
    BAD("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "malformed"),
    BAD("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", "malformed"),
    BAD("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", "malformed"),
    BAD("HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello", "malformed"),
    BAD("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", "malformed"),
    BAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", "malformed"),
    BAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "malformed"),
    BAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", "malformed"),
    BAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n123456789\r\n", "malformed"),
    BAD("HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n", "malformed"),
    BAD("HTTP/1.1 200 OK\r\n folded\r\n\r\n", "malformed"),
    BAD("HTTP/1.1 200 OK\r\nX: a\001b\r\n\r\n", "malformed"),
    BAD("HTTP/1.1 99 Low\r\n\r\n", "malformed"),
    BAD("HTTP/1.1 2000 High\r\n\r\n", "malformed"),
    BAD("HTTP/2 200 OK\r\n\r\n", "malformed"),
    BAD("SSH-2.0-OpenSSH_9.2\r\n\r\n", "malformed"),
    BAD("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "malformed"),
};

static void check(size_t i, unsigned piece)
{
    struct loop *l = test_loop();
    char url[64];
    struct call_result r;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", test_raw_server(str_of(rows[i].answer), piece));
    struct http_client_conf c = { .url = url };
    struct http_client *x = test_client(l, &c);
    test_get(l, x, "/", &r);
    if (rows[i].why)
        cr_assert(r.failed && strstr(r.err.msg, rows[i].why), "%s: %s", rows[i].answer, r.failed ? r.err.msg : "it was taken");
    else
        cr_assert(!r.failed && r.status == rows[i].status && str_is(buf_str(&r.body), rows[i].body), "%s: %d '%.*s' %s", rows[i].answer, r.status,
                  (int)r.body.len, r.body.at, r.err.msg);
    result_free(&r);
    http_client_free(x);
    loop_free(l);
}

Test(answers, whole)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(i, 1 << 20);
}

Test(answers, in_pieces)
{
    static const unsigned pieces[] = { 1, 2, 7, 16 };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t p = 0; p < 4; p++)
            check(i, pieces[p]);
}

Test(answers, endless_heads_and_lines_are_refused)
{
    struct buf b = BUF_INIT(0);
    static const char *const starts[] = { "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" };
    static const char *const parts[] = { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "00000000000000000000000000000000000000000000000000",
                                         "T: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n" };
    for (int i = 0; i < 3; i++) {
        struct loop *l = test_loop();
        char url[64];
        struct call_result r;
        buf_clear(&b);
        buf_add_z(&b, starts[i]);
        for (int k = 0; k < 20000; k++)
            buf_add_z(&b, parts[i]);
        snprintf(url, sizeof url, "http://127.0.0.1:%d", test_raw_server(buf_str(&b), 1 << 20));
        struct http_client_conf c = { .url = url };
        struct http_client *x = test_client(l, &c);
        test_get(l, x, "/", &r);
        cr_assert(r.failed && strstr(r.err.msg, "malformed"), "%d: %s", i, r.failed ? r.err.msg : "it was taken");
        result_free(&r);
        http_client_free(x);
        loop_free(l);
    }
    buf_free(&b);
}

Test(answers, hostile_requests_are_not_sent)
{
    static const char *const paths[] = { "/a b", "/a\r\nX: y", "relative", "" };
    struct loop *l = test_loop();
    char url[64];
    struct call_result r;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", test_raw_server(STR("HTTP/1.1 204 No\r\n\r\n"), 100));
    struct http_client_conf c = { .url = url };
    struct http_client *x = test_client(l, &c);
    for (size_t i = 0; i < 4; i++) {
        test_get(l, x, paths[i], &r);
        cr_assert(r.failed, "'%s' was sent", paths[i]);
    }
    struct http_header h = { STR("x"), STR("a\r\nInjected: 1") };
    int awaited = 1;
    r = (struct call_result){ .loop = l, .awaited = &awaited };
    r.call = http_call_new(x, "GET", "/", &h, 1, STR(""), 0, &test_events, &r);
    test_await(l, &awaited);
    cr_assert(r.failed);
    http_client_free(x);
    loop_free(l);
}

/* --- programs of others --- */

static void foreign(char *const argv[], uint16_t port, const char *scheme, const char *path, const char *body_part, struct http_client_conf c)
{
    int pid = test_spawn(argv, port);
    char url[64];
    struct call_result r;
    if (!pid)
        cr_skip("%s is not here", argv[0]);
    struct loop *l = test_loop();
    snprintf(url, sizeof url, "%s://localhost:%d", scheme, port);
    c.url = url;
    struct http_client *x = test_client(l, &c);
    for (int i = 0; i < 3; i++) {
        test_get(l, x, path, &r);
        cr_assert(!r.failed && r.status == 200, "%s: %d %s", argv[0], r.status, r.err.msg);
        cr_assert(strstr(r.body.at, body_part), "%s: %.300s", argv[0], r.body.at);
        result_free(&r);
    }
    http_client_free(x);
    loop_free(l);
    test_kill(pid);
}

Test(answers, of_python)
{
    char port[16];
    uint16_t p = test_free_port();
    test_pki();
    snprintf(port, sizeof port, "%d", p);
    char *argv[] = { "python3", "-m", "http.server", "--bind", "127.0.0.1", port, NULL };
    foreign(argv, p, "http", "/ca.crt", "BEGIN CERTIFICATE", (struct http_client_conf){ 0 });
}

Test(answers, of_openssl)
{
    char port[16];
    uint16_t p = test_free_port();
    test_pki();
    snprintf(port, sizeof port, "%d", p);
    char *argv[] = { "openssl", "s_server", "-accept", port, "-cert", "server.crt", "-key", "server.key", "-Verify", "1", "-CAfile", "ca.crt",
                     "-verify_return_error", "-WWW", NULL };
    foreign(argv, p, "https", "/ca.crt", "BEGIN CERTIFICATE",
            (struct http_client_conf){ .ca_file = test_file("ca.crt"), .cert_file = test_file("client.crt"), .key_file = test_file("client.key") });
}

Test(answers, of_nghttpd)
{
    char port[16];
    uint16_t p = test_free_port();
    test_pki();
    snprintf(port, sizeof port, "%d", p);
    char *argv[] = { "nghttpd", "-d", ".", port, "server.key", "server.crt", NULL };
    foreign(argv, p, "https", "/ca.crt", "BEGIN CERTIFICATE", (struct http_client_conf){ .ca_file = test_file("ca.crt") });
}

Test(answers, of_nghttpd_without_tls)
{
    char port[16];
    uint16_t p = test_free_port();
    test_pki();
    snprintf(port, sizeof port, "%d", p);
    char *argv[] = { "nghttpd", "-d", ".", "--no-tls", port, NULL };
    foreign(argv, p, "http", "/ca.crt", "BEGIN CERTIFICATE", (struct http_client_conf){ .prior_h2 = true });
}
