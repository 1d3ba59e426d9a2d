/* harness.h - a loop with one of our servers and a client towards it; programs that are not ours; one call and what came of it. */
#ifndef TEST_HTTP_HARNESS_H
#define TEST_HTTP_HARNESS_H

#include "base/buf.h"
#include "http/client.h"

struct call_result {
    struct http_call *call;
    int status, n_headers, heads, ends;
    struct buf body, type;
    size_t bytes;
    bool failed;
    struct kl_err err;
    struct loop *loop;                  /* stopped at the end when no other is awaited */
    int *awaited;
};

struct loop *test_loop(void);           /* stops by itself after 20 s, and then the test fails */
extern const struct http_result_events test_events;
struct http_call *test_call(struct http_client *c, const char *method, const char *path, struct str body, struct call_result *r);
/* One call from start to end. */
void test_get(struct loop *l, struct http_client *c, const char *path, struct call_result *ret);
void test_await(struct loop *l, int *awaited);
void result_free(struct call_result *r);

/* A folder with ca.crt, server.crt/.key (localhost, 127.0.0.1), client.crt/.key (CN alice, O crew), other-ca.crt; made with openssl. */
const char *test_pki(void);
const char *test_file(const char *name);        /* in it */

/* Our server: GET /hello, /size/N (a body of N bytes, streamed), /never, /hang (head, then nothing), /who (the certificate's name); POST /echo. */
struct http_server *test_server(struct loop *l, bool tls, const char *unix_path, uint16_t *ret_port);
struct http_client *test_client(struct loop *l, const struct http_client_conf *conf);
extern size_t test_most_queued;         /* in any streamed answer */
extern int test_requests;

/* A program of others, listening on *ret_port ("%d" in argv); killed by stop. */
int test_spawn(char *const argv[], uint16_t port);
void test_kill(int pid);
uint16_t test_free_port(void);
/* Accepts one connection after the other on a thread, reads until a blank line, writes `answer`, closes. */
uint16_t test_raw_server(struct str answer, unsigned piece);

#endif
