/* fetch.c - see fetch.h: one call of the HTTP client on a loop of its own. */
#include "cli/fetch.h"

#include <signal.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/kubeconfig.h"
#include "http/client.h"

#define FETCH_NS (30 * NS_PER_S)
#define POST_NS  (120 * NS_PER_S)

struct request {
    const char *method, *path;
    struct str body;
    int64_t ns;
};

struct fetching {
    struct loop *loop;
    struct buf *body;
    int status;
    struct kl_err *err;
};

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    (void)h;
    (void)n;
    ((struct fetching *)ctx)->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    buf_add_str(((struct fetching *)ctx)->body, bytes);
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct fetching *f = ctx;
    if (err)
        *f->err = *err;
    loop_stop(f->loop);
}

static int run(struct loop *l, struct http_client *c, const struct request *q, struct buf *ret, int *status, struct kl_err *err)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    struct http_header h[] = { { STR("accept"), STR("application/json") }, { STR("content-type"), STR("application/json") } };
    struct fetching f = { .loop = l, .body = ret, .err = err };
    if (!http_call_new(c, q->method, q->path, h, q->body.len ? 2 : 1, q->body, q->ns, &ev, &f))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    loop_run(l);
    if (err->code)
        return -err->code;
    if (ret->failed)
        return kl_err_set(err, KL_TOO_LARGE, "the answer is too large");
    *status = f.status;
    return 0;
}

static int send(const char *kubeconfig, const struct request *q, struct buf *ret, int *status, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kubeconfig k = { 0 };
    struct http_client *c = NULL;
    int rc = a ? kubeconfig_read(a, kubeconfig, KUBECONFIG_CERTIFICATE, &k, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0)
        return rc;
    signal(SIGPIPE, SIG_IGN);
    struct loop *l = loop_new();
    struct http_client_conf conf = { .url = k.server, .server_name = k.server_name, .ca = k.ca, .cert = k.cert, .key = k.key };
    rc = l ? http_client_new(l, &conf, &c, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0)
        rc = run(l, c, q, ret, status, err);
    http_client_free(c);
    loop_free(l);
    return rc;
}

int fetch(const char *kubeconfig, const char *path, struct buf *ret, struct kl_err *err)
{
    const struct request q = { "GET", path, STR(""), FETCH_NS };
    int status = 0, rc = send(kubeconfig, &q, ret, &status, err);
    return rc < 0 || status == 200 ? rc : kl_err_set(err, KL_INTERNAL, "the server says %d: %.180s", status, ret->at ? ret->at : "");
}

int fetch_post(const char *kubeconfig, const char *path, struct str body, struct buf *ret, int *status, struct kl_err *err)
{
    const struct request q = { "POST", path, body, POST_NS };
    return send(kubeconfig, &q, ret, status, err);
}
