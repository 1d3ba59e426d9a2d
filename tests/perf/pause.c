/* pause.c - perf_pause URL PKI SECONDS PATH: asks for PATH and changes it, one after the other on a connection each, and prints the longest time that each
 * was without an answer, in us. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/env.h"
#include "http/client.h"

struct asker {
    struct loop *loop;
    struct http_client *client;
    const char *method, *path;
    unsigned serial, answers, failures;
    int status;
    int64_t last_ns, longest_ns;
};

static void ask(void *ctx);

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    (void)h;
    (void)n;
    ((struct asker *)ctx)->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    (void)ctx;
    (void)bytes;
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct asker *x = ctx;
    int64_t now = env_mono_ns();
    if (x->answers++ && now - x->last_ns > x->longest_ns)
        x->longest_ns = now - x->last_ns;
    x->last_ns = now;
    x->failures += err || x->status != 200;
    loop_post(x->loop, ask, x);
}

static void ask(void *ctx)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    static const struct http_header type = { STR("content-type"), STR("application/merge-patch+json") };
    struct asker *x = ctx;
    char body[80] = "";
    if (x->method[0] == 'P')
        snprintf(body, sizeof body, "{\"metadata\":{\"annotations\":{\"n\":\"%u\"}}}", x->serial++);
    if (!http_call_new(x->client, x->method, x->path, &type, 1, str_of(body), 0, &ev, x))
        exit(1);
}

static void begin(struct asker *x, const char *url, const char *pki)
{
    char ca[4096], cert[4096], key[4096];
    struct kl_err err;
    kl_err_init(&err);
    snprintf(ca, sizeof ca, "%s/ca.crt", pki);
    snprintf(cert, sizeof cert, "%s/admin.crt", pki);
    snprintf(key, sizeof key, "%s/admin.key", pki);
    const struct http_client_conf conf = { .url = url, .ca_file = ca, .cert_file = cert, .key_file = key };
    if (http_client_new(x->loop, &conf, &x->client, &err) < 0) {
        fprintf(stderr, "perf_pause: %s\n", err.msg);
        exit(1);
    }
    ask(x);
}

static void over(void *ctx)
{
    loop_stop(ctx);
}

int main(int argc, char **argv)
{
    struct loop_timer end = { 0 };
    if (argc != 5) {
        fputs("usage: perf_pause URL PKI SECONDS PATH\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    struct loop *l = loop_new();
    struct asker reads = { .loop = l, .method = "GET", .path = argv[4] }, writes = { .loop = l, .method = "PATCH", .path = argv[4] };
    begin(&reads, argv[1], argv[2]);
    begin(&writes, argv[1], argv[2]);
    loop_timer_start(l, &end, (int64_t)(strtod(argv[3], NULL) * 1e9), over, l);
    loop_run(l);
    printf("read_us=%lld write_us=%lld reads=%u writes=%u failures=%u\n", (long long)(reads.longest_ns / 1000), (long long)(writes.longest_ns / 1000),
           reads.answers, writes.answers, reads.failures + writes.failures);
    return reads.failures + writes.failures ? 1 : 0;
}
