/* node_paths.c - see node_paths.h: the table of paths. */
#include "node_paths-internal.h"

/* --- answers --- */

void ask_reply(struct ask *q, int status, const char *type, struct str body)
{
    struct http_header h[] = { { STR("content-type"), str_of(type) }, { STR("cache-control"), STR("no-cache, private") } };
    http_reply(q->http, status, h, 2, (struct http_slice){ .data = body });
}

void ask_refuse(struct ask *q, const struct kl_err *err)
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
    ask_reply(q, row->http, "application/json", text.at ? text : STR("{}"));
}

void ask_refuse_with(struct ask *q, int code, const char *fmt, ...)
{
    struct kl_err err;
    va_list ap;
    kl_err_init(&err);
    err.code = code;
    va_start(ap, fmt);
    vsnprintf(err.msg, sizeof err.msg, fmt, ap);
    va_end(ap);
    ask_refuse(q, &err);
}

/* --- paths --- */

enum { GET = 1, POST = 2, ANY = 4 };
enum { NO_POD, POD, CONTAINER };

static const struct route {
    const char *head;
    unsigned least, most;               /* segments of the path; one more than of a pod or container: the pod's uid is among them */
    unsigned methods, what;
    bool node;                          /* needs the node's table */
    void (*run)(struct ask *q);
} routes[] = {
    { "healthz", 1, 2, ANY, NO_POD, true, ask_healthz },
    { "pods", 1, 1, GET, NO_POD, false, ask_pods },
    { "runningpods", 1, 1, GET, NO_POD, true, ask_page },
    { "configz", 1, 1, ANY, NO_POD, true, ask_page },
    { "stats", 2, 2, GET, NO_POD, true, ask_stats },
    { "metrics", 1, 2, ANY, NO_POD, true, ask_page },
    { "debug", 2, 2, ANY, NO_POD, false, ask_debug },
    { "logs", 1, NODE_SEGMENTS, GET, NO_POD, false, ask_files },
    { "keelson", 2, 2, POST, NO_POD, false, ask_call },
    { "containerLogs", 4, 4, GET, CONTAINER, true, ask_logs },
    { "exec", 4, 5, GET | POST, CONTAINER, true, ask_exec },
    { "attach", 4, 5, GET | POST, CONTAINER, true, ask_exec },
    { "portForward", 3, 4, GET | POST, POD, true, ask_forward },
    { "run", 4, 5, POST, CONTAINER, true, ask_run },
    { "checkpoint", 4, 4, POST, CONTAINER, true, ask_checkpoint },
};

bool node_path_split(struct arena *a, struct str path, struct node_path *ret)
{
    path = str_skip(path, 1);
    *ret = (struct node_path){ .slash = path.len && path.at[path.len - 1] == '/' };
    while (path.at && path.len) {
        struct str seg = http_decode(a, str_cut(&path, '/'), false);
        if (ret->n == NODE_SEGMENTS || !seg.len || memchr(seg.at, '\0', seg.len) || memchr(seg.at, '/', seg.len) || str_is(seg, ".") || str_is(seg, ".."))
            return false;
        ret->seg[ret->n++] = arena_dup(a, seg);
    }
    return !arena_exhausted(a);
}

bool node_path_runs(const struct node_path *p)
{
    static const char *const heads[] = { "exec", "attach", "portForward", "run", "checkpoint" };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (p->n && strcmp(p->seg[0], heads[i]) == 0)
            return true;
    return false;
}

static void refuse_method(struct ask *q, const struct route *r)
{
    const char *allowed = r->methods == GET ? "GET" : r->methods == POST ? "POST" : "GET, POST";
    struct http_header h[] = { { STR("content-type"), STR("text/plain; charset=utf-8") }, { STR("allow"), str_of(allowed) } };
    http_reply(q->http, 405, h, 2, (struct http_slice){ .data = STR("Method Not Allowed") });
}

static void go(struct ask *q, const struct route *r)
{
    struct str method = http_method(q->http);
    const struct node_path *p = &q->path;
    bool uid = r->what && p->n == r->most && r->most > r->least;
    if (!(r->methods & (ANY | (str_is(method, "GET") ? GET : str_is(method, "POST") ? POST : 0)))) {
        refuse_method(q, r);
        return;
    }
    if (r->what)
        q->at = (struct stream_target){ .ns = p->seg[1], .pod = p->seg[2], .container = r->what == CONTAINER ? p->seg[p->n - 1] : "" };
    if (r->node && !(q->at.node = q->paths->node(q->paths->ctx, &q->at.self)))
        ask_refuse_with(q, KL_UNAVAILABLE, "the node's plugin is not ready");
    else if (uid && !ask_uid_is(q, p->seg[3]))
        ask_refuse_with(q, KL_NOT_FOUND, "pod not found");
    else
        r->run(q);
}

void node_paths_serve(const struct node_paths *p, struct http_req *r, struct str path)
{
    struct ask *q = arena_alloc(http_arena(r), sizeof *q), none = { .paths = p, .http = r, .arena = http_arena(r) };
    if (!q) {
        ask_refuse_with(&none, KL_NO_MEMORY, "out of memory");
        return;
    }
    *q = none;
    bool ok = node_path_split(q->arena, path, &q->path) && q->path.n;
    for (size_t i = 0; ok && i < sizeof routes / sizeof *routes; i++)
        if (strcmp(routes[i].head, q->path.seg[0]) == 0 && q->path.n >= routes[i].least && q->path.n <= routes[i].most) {
            go(q, &routes[i]);
            return;
        }
    ask_refuse_with(q, KL_NOT_FOUND, "404 page not found");
}
