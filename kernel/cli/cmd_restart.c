/* cmd_restart.c - `keelson restart`: asks the running server, over its local socket, to let a new process go on. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "cli/cli.h"
#include "cli/daemon-internal.h"
#include "http/client.h"

#define RESTART_NS (600 * NS_PER_S)

static const char usage[] =
    "usage: keelson restart [--binary FILE] [--linger SECONDS] [--state-dir DIR] [--config FILE]\n"
    "A new process, with the arguments of the one that runs, goes on in its place: clients see no error, watches go on, containers stay. Until it\n"
    "serves, whatever goes wrong ends it, and the one that runs goes on.\n"
    "  --binary FILE      another program, say a newer one; else the same file as it is now\n"
    "  --linger SECONDS   how long connections of before may stay, passed on by the old process (3600)\n"
    "  --state-dir DIR, --config FILE   as of the server";

struct asking {
    struct loop *loop;
    struct buf body;
    int status;
    struct kl_err err;
};

static void on_head(void *ctx, int status, const struct http_header *h, unsigned n)
{
    (void)h;
    (void)n;
    ((struct asking *)ctx)->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    buf_add_str(&((struct asking *)ctx)->body, bytes);
}

static void on_end(void *ctx, const struct kl_err *err)
{
    struct asking *q = ctx;
    if (err)
        q->err = *err;
    loop_stop(q->loop);
}

static int ask(struct asking *q, const char *state, const char *target)
{
    static const struct http_result_events ev = { on_head, on_data, on_end };
    char url[PATH_MAX];
    struct http_client *c = NULL;
    snprintf(url, sizeof url, "unix:%.4000s/" CONTROL_SOCKET, state);
    const struct http_client_conf conf = { .url = url, .http1 = true };
    q->loop = loop_new();
    int rc = q->loop ? http_client_new(q->loop, &conf, &c, &q->err) : kl_err_set(&q->err, KL_NO_MEMORY, "out of memory");
    if (rc == 0 && !http_call_new(c, "POST", target, NULL, 0, STR(""), RESTART_NS, &ev, q))
        rc = kl_err_set(&q->err, KL_NO_MEMORY, "out of memory");
    if (rc == 0)
        loop_run(q->loop);
    http_client_free(c);
    loop_free(q->loop);
    return q->err.code ? -q->err.code : 0;
}

static int target(const char *binary, const char *linger, struct buf *b)
{
    char path[PATH_MAX];
    buf_add_z(b, "/restart?");
    if (binary && !realpath(binary, path))
        return cli_fail(1, "restart: '%s': %s", binary, strerror(errno));
    if (binary) {
        buf_add_z(b, "binary=");
        http_encode(b, str_of(path));
        buf_add_c(b, '&');
    }
    if (linger) {
        buf_add_z(b, "linger=");
        http_encode(b, str_of(linger));
    }
    return b->failed ? cli_fail(1, "out of memory") : 0;
}

int cmd_restart(int argc, char **argv)
{
    static struct options o;
    _cleanup_buf_ struct buf to = BUF_INIT(0);
    struct asking q = { .body = BUF_INIT(1 << 16) };
    const char *binary = NULL, *linger = NULL;
    char *rest[64] = { argv[0] };
    int n = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            puts(usage);
            return 0;
        }
        int rc = cli_option(argc, argv, &i, "--binary", &binary);
        if (rc == 0)
            rc = cli_option(argc, argv, &i, "--linger", &linger);
        if (rc == 2)
            return 2;
        if (rc == 0 && n < 64)
            rest[n++] = argv[i];
    }
    kl_err_init(&q.err);
    int rc = options_read(&o, argv[0], n, rest);
    if (rc == 0)
        rc = target(binary, linger, &to);
    if (rc)
        return rc;
    signal(SIGPIPE, SIG_IGN);
    if (ask(&q, o.state, to.at) < 0)
        rc = cli_fail(1, "restart: no server answers in '%s': %s", o.state, q.err.msg);
    struct str said = str_trim(buf_str(&q.body));
    if (rc == 0 && q.status != 200)
        rc = cli_fail(1, "restart: " STR_FMT, STR_ARG(said));
    if (rc == 0)
        printf(STR_FMT "\n", STR_ARG(said));
    buf_free(&q.body);
    return rc;
}
