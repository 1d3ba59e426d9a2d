/* handler.c - the things that probes and hooks do: run a command, ask by HTTP, open a connection, ask by gRPC, sleep. */
#include "probes.h"

#include <errno.h>
#include <sys/mman.h>

#define OUTPUT_MOST 400                     /* what fits an Event beside its other words */

struct handling {
    struct agent *agent;
    struct kl_call *call;
    const struct pod_view *view;
    const struct ctr *ctr;
    bool hook;
};

static int failed(struct handling *h, const char *words)
{
    kl_fail(h->call, KL_INTERNAL, "%s", words);
    return 1;
}

static const char *const *argv_of(struct arena *ar, const struct val *command)
{
    const char **argv = val_is(command, VAL_ARR) && command->n ? arena_alloc(ar, (command->n + 1) * sizeof *argv) : NULL;
    size_t n = 0;
    if (argv)
        val_each(v, command)
            argv[n++] = arena_dup(ar, val_str(v));
    return argv;
}

static const char *joined(struct arena *ar, const struct val *command)
{
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    val_each(v, command)
        buf_printf(&b, "%s" STR_FMT, b.len ? " " : "", STR_ARG(val_str(v)));
    return arena_dup(ar, buf_str(&b));
}

/* Output goes to memory that the container is charged for, so nobody has to read along. */
static int run_exec(struct handling *h, const struct val *exec)
{
    struct arena *ar = h->view->arena;
    const struct val *command = json_get(exec, STR("command"));
    const char *const *argv = argv_of(ar, command);
    char *id = arena_dup(ar, ctr_id(h->ctr)), text[OUTPUT_MOST];
    _cleanup_close_ int out = memfd_create("output", MFD_CLOEXEC);
    int32_t code = -1;
    if (!argv || !id || out < 0)
        return kl_fail(h->call, KL_INVALID, "%s", argv ? "no memory" : "the handler names no command");
    struct kl_runtime_io io = { .size = sizeof io, .in = -1, .out = out, .err = out, .resize = -1 };
    int64_t most = h->call->deadline_ns - agent_mono(h->agent);
    int rc = h->agent->rt->exec(h->agent->rt_self, h->call, id, argv, &io, &code);
    if (rc == -KL_TIMEOUT) {
        kl_fail(h->call, KL_TIMEOUT, "command timed out: \"%s\" timed out after %llds", joined(ar, command),
                (long long)((most + NS_PER_S / 2) / NS_PER_S));
        return 1;
    }
    if (rc < 0 || code == 0)
        return rc;
    ssize_t n = pread(out, text, sizeof text, 0);
    struct str said = str_trim(str_n(text, n > 0 ? (size_t)n : 0));
    if (h->hook)
        kl_fail(h->call, KL_INTERNAL, "command '%s' exited with %d: " STR_FMT, joined(ar, command), code, STR_ARG(said));
    else
        kl_fail(h->call, KL_INTERNAL, STR_FMT, STR_ARG(said));
    return 1;
}

int64_t handler_port(const struct ctr *k, const struct val *port)
{
    const struct val *ports = json_get(k->spec, STR("ports"));
    int64_t n = 0;
    if (val_is(port, VAL_INT))
        return port->i;
    if (val_is(ports, VAL_ARR))
        val_each(p, ports)
            if (str_eq(json_str(p, "name"), val_str(port)))
                return json_int(p, "containerPort", 0);
    return str_int(val_str(port), &n) && n > 0 && n < 65536 ? n : 0;
}

/* Where to: the handler's host, else the pod. */
static int target(struct handling *h, const struct val *o, const char **ret_host, int64_t *ret_port)
{
    struct str host = json_str(o, "host");
    *ret_host = host.len ? arena_dup(h->view->arena, host) : h->view->mem->ips[0];
    *ret_port = handler_port(h->ctr, json_get(o, STR("port")));
    if (!*ret_host || !(*ret_host)[0])
        return kl_fail(h->call, KL_UNAVAILABLE, "failed to find a pod IP");
    return *ret_port ? 0 : kl_fail(h->call, KL_INVALID, "couldn't find port: " STR_FMT, STR_ARG(json_str(o, "port")));
}

static int run_http(struct handling *h, const struct val *o)
{
    struct http_get g = { .by_ns = h->call->deadline_ns, .tls = str_is(json_str(o, "scheme"), "HTTPS"), .path = json_str(o, "path"),
                          .headers = json_get(o, STR("httpHeaders")) };
    struct kl_err err;
    struct str body = STR("");
    int status = 0, rc = target(h, o, &g.host, &g.port);
    if (rc < 0)
        return rc;
    kl_err_init(&err);
    g.path = g.path.len ? g.path : STR("/");
    if (http_get(h->agent, h->view->arena, &g, &status, &body, &err) < 0) {
        kl_fail(h->call, KL_INTERNAL, "Get \"http%s://%s:%lld%s" STR_FMT "\": %s", g.tls ? "s" : "", g.host, (long long)g.port,
                g.path.at[0] == '/' ? "" : "/", STR_ARG(g.path), err.msg);
        return 1;
    }
    if (!h->hook && status >= 300 && status < 400)
        kl_fail(h->call, KL_INTERNAL, "Probe terminated redirects, Response body: %.*s", (int)(body.len < OUTPUT_MOST ? body.len : OUTPUT_MOST), body.at);
    if (h->hook || (status >= 200 && status < 400))
        return 0;
    kl_fail(h->call, KL_INTERNAL, "HTTP probe failed with statuscode: %d", status);
    return 1;
}

static int run_tcp(struct handling *h, const struct val *o)
{
    struct conn n;
    const char *host;
    int64_t port;
    struct kl_err err;
    int rc = target(h, o, &host, &port);
    if (rc < 0)
        return rc;
    kl_err_init(&err);
    rc = conn_open(&n, h->agent, host, port, h->call->deadline_ns, &err);
    if (rc < 0)
        return failed(h, err.msg);
    conn_close(&n);
    return 0;
}

static int run_grpc(struct handling *h, const struct val *o)
{
    const char *host;
    int64_t port;
    struct kl_err err;
    int rc = target(h, o, &host, &port);
    if (rc < 0)
        return rc;
    kl_err_init(&err);
    return grpc_check(h->agent, host, port, json_str(o, "service"), h->call->deadline_ns, &err) == 0 ? 0 : failed(h, err.msg);
}

static int run_sleep(struct handling *h, const struct val *o)
{
    int64_t until = agent_mono(h->agent) + json_int(o, "seconds", 0) * NS_PER_S;
    if (h->call->deadline_ns && until > h->call->deadline_ns)
        until = h->call->deadline_ns;
    for (int64_t left; (left = until - agent_mono(h->agent)) > 0 && !kl_cancelled(h->call);)
        usleep((useconds_t)((left > 200 * NS_PER_MS ? 200 * NS_PER_MS : left) / 1000));
    return 0;
}

int handler_run(struct agent *a, struct kl_call *c, const struct pod_view *v, const struct ctr *k, const struct val *handler, bool hook)
{
    static const struct {
        const char *name;
        int (*run)(struct handling *h, const struct val *o);
    } rows[] = { { "exec", run_exec }, { "httpGet", run_http }, { "tcpSocket", run_tcp }, { "grpc", run_grpc }, { "sleep", run_sleep } };
    struct handling h = { a, c, v, k, hook };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct val *o = json_get(handler, str_of(rows[i].name));
        if (o)
            return rows[i].run(&h, o);
    }
    return kl_fail(c, KL_INVALID, "missing handler for %s", hook ? "the hook" : "the probe");
}
