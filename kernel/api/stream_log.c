/* stream_log.c - logs: from the call's pipe into the answer, chunked or as WebSocket messages. The answer begins with the first byte, at the
 * end, or when nothing has come for a moment (a follower of a silent container); until then a failure is a Status. */
#include "base/env.h"
#include "stream-internal.h"

#define SILENCE_NS (200 * NS_PER_MS)

struct log {
    struct stream_call call;            /* first */
    struct http_req *http;              /* NULL: taken over, or gone */
    struct remote *remote;
    struct stream_log how;
    struct stream_source from;
    struct loop_timer silence;
    int fd;                             /* the node's end */
    bool begun, ended;
};

static void free_log(struct log *g)
{
    loop_timer_stop(&g->silence);
    stream_source_close(&g->from);
    stream_call_free(&g->call);
    mem_free(g);
}

static void drop(struct log *g)
{
    g->http = NULL;
    g->remote = NULL;
    stream_call_cancel(&g->call);
    loop_timer_stop(&g->silence);
    stream_source_close(&g->from);      /* the node's next write breaks */
}

/* The client has gone. */
static void on_gone(void *ctx)
{
    struct log *g = ctx;
    drop(g);
    if (!g->call.running)
        free_log(g);
}

static size_t queued(const struct log *g)
{
    return g->remote ? remote_queued(g->remote) : http_stream_queued(g->http);
}

static void hand_out_rest(struct log *g);

static void on_drain(void *ctx)
{
    struct log *g = ctx;
    if (g->ended)
        hand_out_rest(g);
    else
        stream_source_want(&g->from, true);
}

/* Nothing more can be told by a Status. */
static int begin(struct log *g, struct kl_err *err)
{
    static const struct remote_events ev = { .drain = on_drain, .closed = on_gone };
    loop_timer_stop(&g->silence);
    g->begun = true;
    if (!remote_wanted(g->http)) {
        http_stream_begin(g->http, 200, g->how.headers, g->how.n_headers);
        http_stream_on_drain(g->http, on_drain, g);
        return 0;
    }
    g->remote = remote_accept(g->http, &(struct remote_conf){ .kind = REMOTE_STREAM }, &ev, g, err);
    if (!g->remote)
        return -err->code;
    g->http = NULL;
    return 0;
}

/* The answer is a Status; nobody reads the call's bytes any more. */
static void fail(struct log *g, const struct kl_err *err)
{
    http_on_close(g->http, NULL, NULL);
    g->how.fail(g->how.ctx, err);
    drop(g);
}

static bool begin_or_fail(struct log *g)
{
    struct kl_err err;
    kl_err_init(&err);
    if (g->begun || begin(g, &err) == 0)
        return true;
    fail(g, &err);
    return false;
}

static void on_silence(void *ctx)
{
    begin_or_fail(ctx);                 /* the call still runs: on_done frees */
}

static void write_out(struct log *g, struct str bytes)
{
    if (g->remote) {
        remote_write(g->remote, 0, bytes);
        return;
    }
    char *at = mem_dup(bytes.at, bytes.len);
    if (at)
        http_stream_write(g->http, (struct http_slice){ str_n(at, bytes.len), mem_free, at });
}

static void on_text(void *ctx, struct stream_source *s, struct str bytes)
{
    struct log *g = ctx;
    if (!begin_or_fail(g))
        return;
    write_out(g, bytes);
    if (!g->ended && queued(g) >= STREAM_QUEUED_MOST)
        stream_source_want(s, false);
}

static void on_text_end(void *ctx, struct stream_source *s)
{
    (void)ctx;
    (void)s;
}

static bool has_client(const struct log *g)
{
    return g->http || g->remote;
}

static void end(struct log *g)
{
    if (has_client(g) && !g->begun && g->call.rc < 0)
        fail(g, &g->call.call.err);
    if (has_client(g) && begin_or_fail(g)) {    /* an empty log is an answer too */
        if (g->remote)
            remote_close(g->remote);
        else
            http_stream_end(g->http);
    }
    free_log(g);
}

static void hand_out_rest(struct log *g)
{
    while (g->from.fd >= 0) {
        if (g->begun && queued(g) >= STREAM_QUEUED_MOST)
            return;                     /* on_drain comes back here */
        if (!stream_source_read(&g->from))
            stream_source_close(&g->from);
    }
    end(g);
}

static void on_done(struct stream_call *c)
{
    struct log *g = (struct log *)c;
    close(g->fd);
    g->ended = true;
    if (!has_client(g)) {
        free_log(g);
        return;
    }
    stream_source_want(&g->from, false);
    hand_out_rest(g);
}

static int on_worker(struct stream_call *c)
{
    struct log *g = (struct log *)c;
    const struct stream_target *t = &c->at;
    return t->node->logs(t->self, &c->call, t->ns, t->pod, t->container, &g->how.options, g->fd);
}

int stream_log(struct streams *s, struct http_req *r, const struct stream_target *t, const struct stream_log *o, struct kl_err *err)
{
    struct log *g = mem_alloc(sizeof *g);
    int ours = -1, rc = g ? stream_call_init(&g->call, s, t, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        mem_free(g);
        return rc;
    }
    g->call.run = on_worker;
    g->call.done = on_done;
    g->how = *o;
    g->from = (struct stream_source){ .fd = -1, .data = on_text, .eof = on_text_end, .ctx = g };
    g->http = r;
    if (!stream_pipe(&ours, &g->fd, true)) {
        rc = kl_err_set(err, KL_UNAVAILABLE, "no more descriptors");
    } else {
        rc = stream_source_open(&g->from, s->loop, ours) ? stream_call_start(&g->call, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
        if (rc < 0)
            close(g->fd);
    }
    if (rc < 0) {
        free_log(g);
        return rc;
    }
    http_on_close(r, on_gone, g);
    loop_timer_start(s->loop, &g->silence, SILENCE_NS, on_silence, g);
    return 0;
}
