/* Whole calls over shared clients. */
#include <criterion/criterion.h>

#include "harness.h"
#include "http/pool.h"

struct got {
    struct loop *loop;
    int *awaited;
    int status;
    struct buf body;
    struct kl_err err;
};

static void done(void *ctx, const struct http_answer *a, const struct kl_err *err)
{
    struct got *g = ctx;
    if (a) {
        g->status = a->status;
        buf_add_str(&g->body, a->body);
    } else {
        g->err = *err;
    }
    if (--*g->awaited == 0)
        loop_stop(g->loop);
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

static struct http_fetch *get(struct http_pool *p, const char *url, const char *path, size_t most, int64_t timeout_ns, struct got *g)
{
    const struct http_client_conf conf = { .url = url };
    const struct http_ask ask = { .method = "GET", .path = path, .timeout_ns = timeout_ns, .body_most = most };
    struct kl_err err;
    kl_err_init(&err);
    struct http_fetch *f = http_fetch_new(p, &conf, &ask, done, g, &err);
    cr_assert(f, "%s", err.msg);
    return f;
}

Test(pool, answers_limits_and_ends)
{
    uint16_t port = 0;
    struct loop *l = test_loop();
    struct http_server *s = test_server(l, false, NULL, &port);
    struct http_pool *p = http_pool_new(l);
    char url[64];
    int awaited = 4;
    struct got g[6];
    for (size_t i = 0; i < 6; i++)
        g[i] = (struct got){ .loop = l, .awaited = &awaited, .body = BUF_INIT(0) };
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    get(p, url, "/hello", 100, 0, &g[0]);
    get(p, url, "/size/1000", 999, 0, &g[1]);
    get(p, url, "/never", 100, 50 * 1000000, &g[2]);
    get(p, "http://127.0.0.1:1", "/", 100, 0, &g[3]);
    http_fetch_cancel(get(p, url, "/hello", 100, 0, &g[4]));
    test_await(l, &awaited);
    cr_expect(g[0].status == 200 && str_is(buf_str(&g[0].body), "hello\n"));
    cr_expect_eq(g[1].err.code, KL_TOO_LARGE);
    cr_expect_eq(g[2].err.code, KL_TIMEOUT);
    cr_expect_eq(g[3].err.code, KL_UNAVAILABLE);
    cr_expect(!g[4].status && !g[4].err.code, "nobody is told of a cancelled one");
    get(p, url, "/never", 100, 0, &g[5]);
    http_pool_free(p);
    cr_expect(!g[5].status && !g[5].err.code);
    for (size_t i = 0; i < 6; i++)
        buf_free(&g[i].body);
    http_server_close(s, 0, stop, l);
    loop_run(l);
    loop_free(l);
}

Test(pool, a_bad_url_or_certificate_is_told_at_once)
{
    struct loop *l = test_loop();
    struct http_pool *p = http_pool_new(l);
    const struct http_client_conf confs[] = { { .url = "gopher://x" }, { .url = "https://x", .ca = STR("no PEM") } };
    const struct http_ask ask = { .method = "GET", .path = "/" };
    for (size_t i = 0; i < 2; i++) {
        struct kl_err err;
        kl_err_init(&err);
        cr_expect(!http_fetch_new(p, &confs[i], &ask, done, NULL, &err));
        cr_expect_eq(err.code, KL_INVALID);
    }
    http_pool_free(p);
    loop_free(l);
}
