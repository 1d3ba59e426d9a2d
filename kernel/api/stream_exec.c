/* stream_exec.c - exec and attach: the client's channels on one side, the call's pipes on the other. */
#include "base/json.h"
#include "stream-internal.h"

#define RESIZE_MOST 4096
#define COMMAND_MOST 1024

enum { OUT, ERR, OUTPUTS };

struct exec {
    struct stream_call call;            /* first */
    struct remote *remote;              /* NULL: the client has gone */
    const char **argv;                  /* NULL: attach */
    struct kl_runtime_io io;            /* the node's ends */
    int32_t exit_code;
    struct stream_sink in, resize;
    struct stream_source out[OUTPUTS];
    struct buf resizes;                 /* JSON that is not whole yet */
    unsigned channels;
    bool tty, ended;                    /* ended: the call has come back, what it left in the pipes goes out */
};

static void free_exec(struct exec *x)
{
    stream_sink_close(&x->in);
    stream_sink_close(&x->resize);
    for (int i = 0; i < OUTPUTS; i++)
        stream_source_close(&x->out[i]);
    buf_free(&x->resizes);
    stream_call_free(&x->call);
    mem_free(x);
}

/* --- how it ended --- */

static const char *command_text(struct exec *x)
{
    struct buf b = BUF_INIT(COMMAND_MOST);
    for (unsigned i = 0; x->argv && x->argv[i] && !b.failed; i++)
        buf_printf(&b, "%s%s", i ? " " : "", x->argv[i]);
    const char *text = arena_dup(x->call.arena, b.failed ? STR("...") : buf_str(&b));
    buf_free(&b);
    return text ? text : "";
}

static void add_cause(struct arena *a, struct val *status, const char *reason, const char *message)
{
    struct val *c = val_push(json_arr(a, json_obj(a, status, STR("details")), STR("causes")), val_new(a, VAL_OBJ));
    if (reason)
        json_set_str(a, c, STR("reason"), str_of(reason));
    json_set_str(a, c, STR("message"), str_of(message));
}

static struct val *status_of(struct exec *x, const char **ret_failure)
{
    struct arena *a = x->call.arena;
    struct val *v = val_new(a, VAL_OBJ);
    json_obj(a, v, STR("metadata"));
    bool ok = x->call.rc >= 0 && x->exit_code == 0;
    json_set_str(a, v, STR("status"), ok ? STR("Success") : STR("Failure"));
    *ret_failure = "";
    if (ok)
        return v;
    if (x->call.rc >= 0) {
        *ret_failure = arena_printf(a, "command terminated with non-zero exit code: error executing command [%s], exit code %d",
                                    command_text(x), x->exit_code);
        json_set_str(a, v, STR("reason"), STR("NonZeroExitCode"));
        add_cause(a, v, "ExitCode", arena_printf(a, "%d", x->exit_code));
    } else {
        const char *why = arena_printf(a, "error %s container: %s", x->argv ? "executing command in" : "attaching to", x->call.call.err.msg);
        *ret_failure = arena_printf(a, "Internal error occurred: %s", why);
        json_set_str(a, v, STR("reason"), STR("InternalError"));
        add_cause(a, v, NULL, why);
        json_set_int(a, v, STR("code"), 500);
    }
    json_set_str(a, v, STR("message"), str_of(*ret_failure));
    return v;
}

static void finish(struct exec *x)
{
    struct buf b = BUF_INIT(0);
    const char *failure = "";
    struct val *v = status_of(x, &failure);
    if (v && !arena_exhausted(x->call.arena))
        json_write(&b, v);
    else
        buf_lit(&b, "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"out of memory\",\"reason\":\"InternalError\",\"code\":500}");
    remote_finish(x->remote, buf_str(&b), str_of(failure));
    buf_free(&b);
    free_exec(x);
}

/* What the command wrote before it ended, as fast as the client takes it. What others still hold open is not waited for. */
static void hand_out_rest(struct exec *x)
{
    for (int i = 0; i < OUTPUTS; i++)
        while (x->out[i].fd >= 0) {
            if (remote_queued(x->remote) >= STREAM_QUEUED_MOST)
                return;                 /* on_drain comes back here */
            if (!stream_source_read(&x->out[i]))
                stream_source_close(&x->out[i]);
        }
    finish(x);
}

static void close_fd(int32_t *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_node_ends(struct exec *x)
{
    close_fd(&x->io.in);
    close_fd(&x->io.out);
    close_fd(&x->io.err);
    close_fd(&x->io.resize);
}

static void on_done(struct stream_call *c)
{
    struct exec *x = (struct exec *)c;
    close_node_ends(x);
    x->ended = true;
    if (!x->remote) {
        free_exec(x);
        return;
    }
    for (int i = 0; i < OUTPUTS; i++)
        stream_source_want(&x->out[i], false);
    hand_out_rest(x);
}

static int on_worker(struct stream_call *c)
{
    struct exec *x = (struct exec *)c;
    const struct stream_target *t = &c->at;
    if (x->argv)
        return t->node->exec(t->self, &c->call, t->ns, t->pod, t->container, x->argv, &x->io, &x->exit_code);
    return t->node->attach(t->self, &c->call, t->ns, t->pod, t->container, &x->io);
}

/* --- from the node --- */

static void on_output(void *ctx, struct stream_source *s, struct str bytes)
{
    struct exec *x = ctx;
    remote_write(x->remote, s->channel, bytes);
    if (remote_queued(x->remote) < STREAM_QUEUED_MOST || x->ended)
        return;
    for (int i = 0; i < OUTPUTS; i++)
        stream_source_want(&x->out[i], false);
}

static void on_output_end(void *ctx, struct stream_source *s)
{
    (void)ctx;
    (void)s;
}

/* --- from the client --- */

static void on_stdin_drained(void *ctx)
{
    struct exec *x = ctx;
    if (x->remote)
        remote_pause(x->remote, false);
}

static void take_size(struct exec *x, struct str text)
{
    struct arena *a = arena_new(RESIZE_MOST * 4);
    struct val *v = a ? json_parse(a, text, NULL) : NULL;
    int64_t columns = json_int(v, "Width", 0), rows = json_int(v, "Height", 0);
    if (columns > 0 && rows > 0 && columns < 65536 && rows < 65536 && x->resize.pending.len < RESIZE_MOST) {
        char line[32];
        int n = snprintf(line, sizeof line, "%d %d\n", (int)columns, (int)rows);
        stream_sink_write(&x->resize, str_n(line, (size_t)n));
    }
    arena_free(a);
}

static void on_resize(struct exec *x, struct str bytes)
{
    buf_add_str(&x->resizes, bytes);
    struct str s = buf_str(&x->resizes);
    for (long end; (end = str_find(s, '}')) >= 0; s = str_skip(s, (size_t)end + 1))
        take_size(x, str_n(s.at, (size_t)end + 1));
    if (x->resizes.failed)
        s = STR("");                    /* no size is that long */
    x->resizes.failed = false;
    memmove(x->resizes.at ? x->resizes.at : "", s.at, x->resizes.at ? s.len : 0);
    x->resizes.len = s.len;
}

static void on_data(void *ctx, unsigned channel, struct str bytes)
{
    struct exec *x = ctx;
    if (channel == REMOTE_RESIZE) {
        on_resize(x, bytes);
    } else if (channel == REMOTE_STDIN) {
        stream_sink_write(&x->in, bytes);
        if (stream_sink_full(&x->in))
            remote_pause(x->remote, true);
    }
}

static void on_eof(void *ctx, unsigned channel)
{
    struct exec *x = ctx;
    if (channel == REMOTE_STDIN)
        stream_sink_end(&x->in);
}

static void on_drain(void *ctx)
{
    struct exec *x = ctx;
    if (x->ended) {
        hand_out_rest(x);
        return;
    }
    for (int i = 0; i < OUTPUTS; i++)
        stream_source_want(&x->out[i], true);
}

/* The closed pipes tell the command, and the cancelled call the node. */
static void on_closed(void *ctx)
{
    struct exec *x = ctx;
    x->remote = NULL;
    stream_call_cancel(&x->call);
    stream_sink_close(&x->in);
    stream_sink_close(&x->resize);
    for (int i = 0; i < OUTPUTS; i++)
        stream_source_close(&x->out[i]);
    if (!x->call.running)
        free_exec(x);
}

/* --- the start --- */

static bool open_in(struct exec *x, struct stream_sink *k, int32_t *ret)
{
    int theirs, ours;
    if (!stream_pipe(&theirs, &ours, false))
        return false;
    *ret = theirs;
    return stream_sink_open(k, x->call.streams->loop, ours);
}

static bool open_out(struct exec *x, int which, int32_t *ret)
{
    int ours, theirs;
    if (!stream_pipe(&ours, &theirs, true))
        return false;
    *ret = theirs;
    return stream_source_open(&x->out[which], x->call.streams->loop, ours);
}

static bool open_pipes(struct exec *x)
{
    return (!(x->channels >> REMOTE_STDIN & 1) || open_in(x, &x->in, &x->io.in)) &&
           (!(x->channels >> REMOTE_RESIZE & 1) || open_in(x, &x->resize, &x->io.resize)) &&
           (!(x->channels >> REMOTE_STDOUT & 1) || open_out(x, OUT, &x->io.out)) &&
           (!(x->channels >> REMOTE_STDERR & 1) || open_out(x, ERR, &x->io.err));
}

static void on_ready(void *ctx)
{
    struct exec *x = ctx;
    struct kl_err *err = &x->call.call.err;
    int rc = open_pipes(x) ? stream_call_start(&x->call, err) : kl_err_set(err, KL_UNAVAILABLE, "no more descriptors");
    if (rc == 0)
        return;
    x->call.rc = rc;
    on_done(&x->call);
}

static bool copy_argv(struct exec *x, const char *const *argv)
{
    unsigned n = 0;
    while (argv && argv[n])
        n++;
    if (!argv)
        return true;
    x->argv = arena_alloc(x->call.arena, (n + 1) * sizeof *x->argv);
    for (unsigned i = 0; x->argv && i < n; i++)
        x->argv[i] = arena_dup(x->call.arena, str_of(argv[i]));
    return !arena_exhausted(x->call.arena);
}

int stream_exec(struct streams *s, struct http_req *r, const struct stream_target *t, const struct stream_exec *e, struct kl_err *err)
{
    static const struct remote_events ev = { .ready = on_ready, .data = on_data, .eof = on_eof, .reset = on_eof, .drain = on_drain,
                                             .closed = on_closed };
    struct exec *x = mem_alloc(sizeof *x);
    int rc = x ? stream_call_init(&x->call, s, t, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        mem_free(x);
        return rc;
    }
    x->call.run = on_worker;
    x->call.done = on_done;
    x->io = (struct kl_runtime_io){ sizeof x->io, -1, -1, -1, -1, e->tty };
    x->in = (struct stream_sink){ .fd = -1, .drained = on_stdin_drained, .ctx = x };
    x->resize = (struct stream_sink){ .fd = -1 };
    for (int i = 0; i < OUTPUTS; i++)
        x->out[i] = (struct stream_source){ .fd = -1, .channel = i == OUT ? REMOTE_STDOUT : REMOTE_STDERR, .data = on_output,
                                            .eof = on_output_end, .ctx = x };
    x->resizes.max = RESIZE_MOST;
    x->channels = (e->in ? 1u << REMOTE_STDIN : 0) | (e->out ? 1u << REMOTE_STDOUT : 0) | (e->err && !e->tty ? 1u << REMOTE_STDERR : 0) |
                  (e->tty ? 1u << REMOTE_RESIZE : 0);
    struct remote_conf rc_conf = { .kind = REMOTE_EXEC, .channels = x->channels };
    if (!copy_argv(x, e->argv))
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    else if (!(x->remote = remote_accept(r, &rc_conf, &ev, x, err)))
        rc = -err->code;
    if (rc < 0)
        free_exec(x);
    return rc;
}
