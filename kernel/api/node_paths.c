/* node_paths.c - see node_paths.h. */
#include "api/node_paths.h"

#include "base/clock.h"
#include "base/env.h"
#include "stream-internal.h"

#define SEGMENTS 5
#define COMMANDS 1024

/* One request, in its arena. */
struct ask {
    const struct node_paths *paths;
    struct http_req *http;
    struct arena *arena;
    const char *seg[SEGMENTS];
    unsigned n;
    struct stream_target at;
};

/* --- answers --- */

static void reply(struct ask *q, int status, const char *type, struct str body)
{
    struct http_header h[] = { { STR("content-type"), str_of(type) }, { STR("cache-control"), STR("no-cache, private") } };
    http_reply(q->http, status, h, 2, (struct http_slice){ .data = body });
}

static void refuse(struct ask *q, const struct kl_err *err)
{
    const struct kl_code_row *row = kl_code_row(err->code);
    struct val *v = val_new(q->arena, VAL_OBJ);
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    json_set_str(q->arena, v, STR("kind"), STR("Status"));
    json_set_str(q->arena, v, STR("apiVersion"), STR("v1"));
    json_obj(q->arena, v, STR("metadata"));
    json_set_str(q->arena, v, STR("status"), STR("Failure"));
    json_set_str(q->arena, v, STR("message"), str_of(err->msg));
    json_set_str(q->arena, v, STR("reason"), str_of(row->reason));
    json_set_int(q->arena, v, STR("code"), row->http);
    if (v)
        json_write(&b, v);
    struct str text = arena_str(q->arena, buf_str(&b));
    reply(q, row->http, "application/json", text.at ? text : STR("{}"));
}

__attribute__((format(printf, 3, 4))) static void refuse_with(struct ask *q, int code, const char *fmt, ...)
{
    struct kl_err err;
    va_list ap;
    kl_err_init(&err);
    err.code = code;
    va_start(ap, fmt);
    vsnprintf(err.msg, sizeof err.msg, fmt, ap);
    va_end(ap);
    refuse(q, &err);
}

static void reply_tree(struct ask *q, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 20);
    json_write(&b, v);
    buf_add_c(&b, '\n');
    struct str text = b.failed ? STR_NONE : arena_str(q->arena, buf_str(&b));
    if (text.at)
        reply(q, 200, "application/json", text);
    else
        refuse_with(q, KL_NO_MEMORY, "out of memory");
}

/* --- the query --- */

struct port_query {
    const char **command;
    unsigned n_command, n_ports;
    uint16_t ports[STREAM_PORTS_MOST];
    struct str since_time, stream;
    bool in, out, err, tty, follow, previous, timestamps;
    int64_t since_seconds, tail_lines, limit_bytes;
};

#define O(name, type, member) { name, type, offsetof(struct port_query, member) }
static const struct {
    const char *name;
    enum { O_BOOL, O_INT, O_STR } type;
    size_t at;
} options[] = {
    O("input", O_BOOL, in), O("output", O_BOOL, out), O("error", O_BOOL, err), O("tty", O_BOOL, tty), O("follow", O_BOOL, follow),
    O("previous", O_BOOL, previous), O("timestamps", O_BOOL, timestamps), O("sinceSeconds", O_INT, since_seconds),
    O("tailLines", O_INT, tail_lines), O("limitBytes", O_INT, limit_bytes), O("sinceTime", O_STR, since_time), O("stream", O_STR, stream),
};

static bool set_option(struct port_query *o, size_t i, struct str v)
{
    char *at = (char *)o + options[i].at;
    switch (options[i].type) {
    case O_BOOL: *(bool *)at = str_is(v, "1") || str_eq_nocase(v, STR("true")); return true;
    case O_INT: return str_int(v, (int64_t *)(void *)at);
    case O_STR: *(struct str *)(void *)at = v; return true;
    }
    return false;
}

static bool read_query(struct ask *q, struct port_query *o)
{
    struct str query = http_query(q->http), key, value;
    int64_t port;
    *o = (struct port_query){ .since_seconds = INT64_MIN, .tail_lines = INT64_MIN, .limit_bytes = INT64_MIN };
    o->command = arena_alloc(q->arena, (COMMANDS + 1) * sizeof *o->command);
    while (o->command && http_query_next(q->arena, &query, &key, &value)) {
        if (str_is(key, "command")) {
            if (o->n_command == COMMANDS || !(o->command[o->n_command++] = arena_dup(q->arena, value)))
                return false;
            continue;
        }
        if (str_is(key, "port")) {
            if (!str_int(value, &port) || port < 1 || port > 65535 || o->n_ports == STREAM_PORTS_MOST)
                return false;
            o->ports[o->n_ports++] = (uint16_t)port;
            continue;
        }
        for (size_t i = 0; i < sizeof options / sizeof *options; i++)
            if (str_is(key, options[i].name) && !set_option(o, i, value))
                return false;
    }
    return o->command != NULL;
}

/* --- what may be asked --- */

static void healthz(struct ask *q)
{
    reply(q, 200, "text/plain; charset=utf-8", STR("ok"));
}

static void pods(struct ask *q)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 20);
    q->paths->pods(q->paths->ctx, &b);
    struct str text = b.failed ? STR_NONE : arena_str(q->arena, buf_str(&b));
    if (text.at)
        reply(q, 200, "application/json", text);
    else
        refuse_with(q, KL_NO_MEMORY, "out of memory");
}

static void debug(struct ask *q)
{
    struct val *v = q->paths->debug ? q->paths->debug(q->paths->ctx, q->arena, str_of(q->seg[1])) : NULL;
    if (v)
        reply_tree(q, v);
    else
        refuse_with(q, KL_NOT_FOUND, "there is no document /debug/%s", q->seg[1]);
}

struct figures {
    struct stream_call call;            /* first */
    struct ask *ask;                    /* NULL: the client has gone */
    struct kl_bytes text;
    const char *page;                   /* NULL: the summary */
    const struct node_paths *paths;
    struct kl_bytes request;            /* of a plugin's call; at NULL: it is none */
};

static int figures_run(struct stream_call *c)
{
    struct figures *f = (struct figures *)c;
    const struct kl_node *n = c->at.node;
    if (f->request.at)
        return f->paths->call(f->paths->ctx, &c->call, f->request, &f->text);
    if (!f->page)
        return n->stats(c->at.self, &c->call, &f->text);
    return KL_HAS(n, page) ? n->page(c->at.self, &c->call, f->page, &f->text) : kl_fail(&c->call, KL_NOT_FOUND, "404 page not found");
}

static void figures_done(struct stream_call *c)
{
    struct figures *f = (struct figures *)c;
    struct ask *q = f->ask;
    if (q) {
        http_on_close(q->http, NULL, NULL);
        struct str text = c->rc < 0 ? STR_NONE : arena_str(q->arena, str_n(f->text.at, f->text.len));
        if (text.at)
            reply(q, 200, f->request.at ? "application/octet-stream" : f->page ? "text/plain; version=0.0.4; charset=utf-8" : "application/json", text);
        else
            refuse(q, &c->call.err);
    }
    stream_call_free(c);
    mem_free(f);
}

static void figures_gone(void *ctx)
{
    struct figures *f = ctx;
    f->ask = NULL;
    stream_call_cancel(&f->call);
}

static void ask_figures(struct ask *q, const char *page, struct str request)
{
    struct figures *f = mem_alloc(sizeof *f);
    struct kl_err err;
    kl_err_init(&err);
    if (!f || stream_call_init(&f->call, q->paths->streams, &q->at, &err) < 0) {
        mem_free(f);
        refuse_with(q, KL_NO_MEMORY, "%s", err.code ? err.msg : "out of memory");
        return;
    }
    if (request.len)                    /* who asks may go while it is worked on */
        f->request = (struct kl_bytes){ arena_dup(f->call.arena, request), request.len };
    f->paths = q->paths;
    f->call.run = figures_run;
    f->call.done = figures_done;
    f->ask = q;
    f->page = page;
    if (stream_call_start(&f->call, &err) < 0) {
        stream_call_free(&f->call);
        mem_free(f);
        refuse(q, &err);
        return;
    }
    http_on_close(q->http, figures_gone, f);
}

static void stats(struct ask *q)
{
    ask_figures(q, NULL, STR_NONE);
}

static void page(struct ask *q)
{
    const char *path = q->n == 1 ? q->seg[0] : arena_printf(q->arena, "%s/%s", q->seg[0], q->seg[1]);
    if (path)
        ask_figures(q, path, STR_NONE);
    else
        refuse_with(q, KL_NO_MEMORY, "out of memory");
}

static void call(struct ask *q)
{
    struct str request = http_body(q->http);
    if (!q->paths->call || strcmp(q->seg[1], "call") != 0)
        refuse_with(q, KL_NOT_FOUND, "404 page not found");
    else if (!request.len)
        refuse_with(q, KL_BAD_REQUEST, "this is no call");
    else
        ask_figures(q, NULL, request);
}

static void log_failed(void *ctx, const struct kl_err *err)
{
    refuse(ctx, err);
}

static void logs(struct ask *q)
{
    static const struct http_header h[] = { { { "content-type", 12 }, { "text/plain", 10 } } };
    struct port_query o;
    struct kl_err err;
    int64_t since = 0;
    kl_err_init(&err);
    if (!read_query(q, &o) || (o.since_time.len && !clock_parse(o.since_time, &since))) {
        refuse_with(q, KL_BAD_REQUEST, "the options are not understood");
        return;
    }
    if (o.since_seconds != INT64_MIN)
        since = env_wall_ns() - (o.since_seconds < INT32_MAX ? o.since_seconds : INT32_MAX) * NS_PER_S;
    struct stream_log how = { .headers = h, .n_headers = 1, .fail = log_failed, .ctx = q };
    how.options = (struct kl_log_options){ .size = sizeof how.options, .follow = o.follow, .previous = o.previous, .timestamps = o.timestamps,
                                           .since_wall_ns = since, .tail_lines = o.tail_lines, .limit_bytes = o.limit_bytes,
                                           .streams = str_is(o.stream, "Stdout") ? 1 : str_is(o.stream, "Stderr") ? 2 : 0 };
    if (stream_log(q->paths->streams, q->http, &q->at, &how, &err) < 0)
        refuse(q, &err);
}

static void run(struct ask *q)
{
    struct port_query o;
    struct kl_err err;
    bool attach = strcmp(q->seg[0], "attach") == 0;
    kl_err_init(&err);
    if (!read_query(q, &o)) {
        refuse_with(q, KL_BAD_REQUEST, "the options are not understood");
        return;
    }
    struct stream_exec e = { .argv = attach ? NULL : o.command, .in = o.in, .out = o.out, .err = o.err, .tty = o.tty };
    if (!remote_wanted(q->http))
        kl_err_set(&err, KL_BAD_REQUEST, "Upgrade request required");
    else if (!attach && !o.n_command)
        kl_err_set(&err, KL_BAD_REQUEST, "you must specify at least 1 command for the container");
    else
        stream_exec(q->paths->streams, q->http, &q->at, &e, &err);
    if (err.code)
        refuse(q, &err);
}

static void forward(struct ask *q)
{
    struct port_query o;
    struct kl_err err;
    kl_err_init(&err);
    if (!remote_wanted(q->http))
        kl_err_set(&err, KL_BAD_REQUEST, "Upgrade request required");
    else if (!read_query(q, &o))
        kl_err_set(&err, KL_BAD_REQUEST, "the ports are not understood");
    else
        stream_ports(q->paths->streams, q->http, &q->at, o.ports, o.n_ports, &err);
    if (err.code)
        refuse(q, &err);
}

static const struct {
    const char *head;
    unsigned n;                         /* segments of the path */
    bool node;                          /* needs the node's table */
    void (*run)(struct ask *q);
} routes[] = {
    { "healthz", 1, false, healthz },   { "pods", 1, false, pods }, { "debug", 2, false, debug },  { "stats", 2, true, stats },
    { "metrics", 1, true, page },       { "metrics", 2, true, page }, { "keelson", 2, false, call },
    { "containerLogs", 4, true, logs }, { "exec", 4, true, run },   { "attach", 4, true, run },    { "portForward", 3, true, forward },
};

static bool split(struct ask *q, struct str path)
{
    path = str_skip(path, 1);
    while (path.at && path.len) {
        struct str seg = http_decode(q->arena, str_cut(&path, '/'), false);
        if (q->n == SEGMENTS || !seg.len || memchr(seg.at, '\0', seg.len) || memchr(seg.at, '/', seg.len))
            return false;
        q->seg[q->n++] = arena_dup(q->arena, seg);
    }
    return q->n > 0 && !arena_exhausted(q->arena);
}

void node_paths_serve(const struct node_paths *p, struct http_req *r, struct str path)
{
    struct ask *q = arena_alloc(http_arena(r), sizeof *q), none = { .paths = p, .http = r, .arena = http_arena(r) };
    if (!q) {
        refuse_with(&none, KL_NO_MEMORY, "out of memory");
        return;
    }
    *q = none;
    if (!split(q, path)) {
        refuse_with(q, KL_NOT_FOUND, "404 page not found");
        return;
    }
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (strcmp(routes[i].head, q->seg[0]) != 0 || routes[i].n != q->n)
            continue;
        q->at = (struct stream_target){ .ns = q->n > 2 ? q->seg[1] : "", .pod = q->n > 2 ? q->seg[2] : "", .container = q->n > 3 ? q->seg[3] : "" };
        if (routes[i].node && !(q->at.node = p->node(p->ctx, &q->at.self)))
            refuse_with(q, KL_UNAVAILABLE, "the node's plugin is not ready");
        else
            routes[i].run(q);
        return;
    }
    refuse_with(q, KL_NOT_FOUND, "404 page not found");
}

void node_paths_refuse(struct http_req *r, const struct kl_err *err)
{
    struct ask q = { .http = r, .arena = http_arena(r) };
    refuse(&q, err);
}
