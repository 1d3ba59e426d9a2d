/* node_pages.c - what a node tells as one document: health, pods, figures, settings. What the node's plugin knows is asked on a thread of its own. */
#include "node_paths-internal.h"

#define MOST (64u << 20)

static void reply_buf(struct ask *q, const struct buf *b)
{
    struct str text = b->failed ? STR_NONE : arena_str(q->arena, buf_str(b));
    if (text.at)
        ask_reply(q, 200, "application/json", text);
    else
        ask_refuse_with(q, KL_NO_MEMORY, "out of memory");
}

void ask_pods(struct ask *q)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MOST);
    q->paths->pods(q->paths->ctx, &b);
    reply_buf(q, &b);
}

bool ask_uid_is(struct ask *q, const char *uid)
{
    _cleanup_buf_ struct buf b = BUF_INIT(MOST);
    _cleanup_arena_ struct arena *a = arena_new(4 * MOST);
    q->paths->pods(q->paths->ctx, &b);
    const struct val *all = a && !b.failed ? json_get(json_parse(a, buf_str(&b), NULL), STR("items")) : NULL;
    if (val_is(all, VAL_ARR))
        val_each(p, all)
            if (str_is(json_str(p, "metadata.uid"), uid))
                return str_is(json_str(p, "metadata.namespace"), q->at.ns) && str_is(json_str(p, "metadata.name"), q->at.pod);
    return false;
}

void ask_debug(struct ask *q)
{
    const char *what = q->path.seg[1];
    _cleanup_buf_ struct buf b = BUF_INIT(MOST);
    struct val *v = q->paths->debug ? q->paths->debug(q->paths->ctx, q->arena, str_of(what)) : NULL;
    if (!v) {
        ask_refuse_with(q, KL_NOT_FOUND, "there is no document /debug/%s", what);
        return;
    }
    json_write(&b, v);
    buf_add_c(&b, '\n');
    reply_buf(q, &b);
}

/* --- what the node's plugin is asked for --- */

struct figures {
    struct stream_call call;            /* first */
    struct ask *ask;                    /* NULL: the client has gone */
    struct kl_bytes text;
    const char *page;                   /* NULL: the summary */
    const struct node_paths *paths;
    struct kl_bytes request;            /* of a plugin's call; at NULL: it is none */
    void (*tell)(struct figures *f);
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
    if (f->ask) {
        http_on_close(f->ask->http, NULL, NULL);
        f->tell(f);
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

static void ask_figures(struct ask *q, const char *page, struct str request, void (*tell)(struct figures *f))
{
    struct figures *f = mem_alloc(sizeof *f);
    struct kl_err err;
    kl_err_init(&err);
    if (!f || stream_call_init(&f->call, q->paths->streams, &q->at, &err) < 0) {
        mem_free(f);
        ask_refuse_with(q, err.code ? err.code : KL_NO_MEMORY, "%s", err.code ? err.msg : "out of memory");
        return;
    }
    if (request.len)                    /* who asks may go while it is worked on */
        f->request = (struct kl_bytes){ arena_dup(f->call.arena, request), request.len };
    f->page = page ? arena_dup(f->call.arena, str_of(page)) : NULL;
    f->paths = q->paths;
    f->call.run = figures_run;
    f->call.done = figures_done;
    f->ask = q;
    f->tell = tell;
    if (stream_call_start(&f->call, &err) < 0) {
        stream_call_free(&f->call);
        mem_free(f);
        ask_refuse(q, &err);
        return;
    }
    http_on_close(q->http, figures_gone, f);
}

static void tell_as(struct figures *f, const char *type)
{
    struct ask *q = f->ask;
    struct str text = f->call.rc < 0 ? STR_NONE : arena_str(q->arena, str_n(f->text.at, f->text.len));
    if (text.at)
        ask_reply(q, 200, type, text);
    else if (f->call.rc < 0)
        ask_refuse(q, &f->call.call.err);
    else
        ask_refuse_with(q, KL_NO_MEMORY, "out of memory");
}

static void tell_metrics(struct figures *f)
{
    tell_as(f, "text/plain; version=0.0.4; charset=utf-8");
}

static void tell_json(struct figures *f)
{
    tell_as(f, "application/json");
}

static void tell_bytes(struct figures *f)
{
    tell_as(f, "application/octet-stream");
}

void ask_stats(struct ask *q)
{
    if (strcmp(q->path.seg[1], "summary") == 0)
        ask_figures(q, NULL, STR_NONE, tell_json);
    else
        ask_refuse_with(q, KL_NOT_FOUND, "404 page not found");
}

void ask_page(struct ask *q)
{
    const char *head = q->path.seg[0], *path = q->path.n == 1 ? head : arena_printf(q->arena, "%s/%s", head, q->path.seg[1]);
    if (path)
        ask_figures(q, path, STR_NONE, strcmp(head, "metrics") == 0 ? tell_metrics : tell_json);
    else
        ask_refuse_with(q, KL_NO_MEMORY, "out of memory");
}

void ask_call(struct ask *q)
{
    struct str request = http_body(q->http);
    if (!q->paths->call || strcmp(q->path.seg[1], "call") != 0)
        ask_refuse_with(q, KL_NOT_FOUND, "404 page not found");
    else if (!request.len)
        ask_refuse_with(q, KL_BAD_REQUEST, "this is no call");
    else
        ask_figures(q, NULL, request, tell_bytes);
}

/* --- health: ping, log, and syncloop, which the node's plugin knows ("healthz/syncloop"); one that does not say is well --- */

static void tell_health(struct figures *f)
{
    struct ask *q = f->ask;
    const char *one = q->path.n > 1 ? q->path.seg[1] : NULL;
    bool well = f->call.rc >= 0 || f->call.rc == -KL_NOT_FOUND, checks = !one || strcmp(one, "syncloop") == 0;
    if (checks && !well && one)
        ask_reply(q, 500, "text/plain; charset=utf-8", str_of(arena_printf(q->arena, "internal server error: %s\n", f->call.call.err.msg)));
    else if (checks && !well)
        ask_reply(q, 500, "text/plain; charset=utf-8",
                  STR("[+]ping ok\n[+]log ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n"));
    else if (!one && http_query_find(q->arena, http_query(q->http), "verbose").at)
        ask_reply(q, 200, "text/plain; charset=utf-8", STR("[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n"));
    else
        ask_reply(q, 200, "text/plain; charset=utf-8", STR("ok"));
}

void ask_healthz(struct ask *q)
{
    static const char *const checks[] = { "ping", "log", "syncloop" };
    bool known = q->path.n == 1;
    for (size_t i = 0; i < sizeof checks / sizeof *checks && !known; i++)
        known = strcmp(q->path.seg[1], checks[i]) == 0;
    if (known)
        ask_figures(q, "healthz/syncloop", STR_NONE, tell_health);
    else
        ask_refuse_with(q, KL_NOT_FOUND, "404 page not found");
}
