/* node_run.c - POST /run/NS/POD/CONTAINER?cmd=COMMAND: a command's whole output as the answer. It goes into memory that cannot grow beyond OUTPUT_MOST; who writes
 * more hears that there is no more room. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "node_paths-internal.h"

#define OUTPUT_MOST (16 << 20)
#define WORDS       1024

struct run {
    struct stream_call call;            /* first */
    struct ask *ask;                    /* NULL: the client has gone */
    const char **argv;
    const char *command;
    int out, err;
    int32_t code;
};

static int memory(void)
{
    int fd = memfd_create("keelson-run", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && (ftruncate(fd, OUTPUT_MOST) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* What was written up to now. */
static struct str written(struct arena *a, int fd)
{
    off_t n = lseek(fd, 0, SEEK_CUR);
    char *at = n > 0 ? arena_raw(a, (size_t)n) : NULL;
    ssize_t got = at ? pread(fd, at, (size_t)n, 0) : 0;
    return got > 0 ? str_n(at, (size_t)got) : STR("");
}

static void free_run(struct run *r)
{
    if (r->out >= 0)
        close(r->out);
    if (r->err >= 0)
        close(r->err);
    stream_call_free(&r->call);
    mem_free(r);
}

static int on_worker(struct stream_call *c)
{
    struct run *r = (struct run *)c;
    struct kl_runtime_io io = { .size = sizeof io, .in = -1, .out = r->out, .err = r->err, .resize = -1 };
    return c->at.node->exec(c->at.self, &c->call, c->at.ns, c->at.pod, c->at.container, r->argv, &io, &r->code);
}

static void tell(struct run *r)
{
    struct ask *q = r->ask;
    struct str out = written(q->arena, r->out), err = written(q->arena, r->err);
    const char *text = NULL;
    if (r->call.rc < 0) {
        ask_refuse(q, &r->call.call.err);
        return;
    }
    if (r->code)
        text = arena_printf(q->arena, "command '%s' exited with %d: " STR_FMT, r->command, (int)r->code, STR_ARG(err));
    else
        text = arena_printf(q->arena, STR_FMT STR_FMT, STR_ARG(out), STR_ARG(err));
    if (text)
        ask_reply(q, r->code ? 500 : 200, r->code ? "text/plain; charset=utf-8" : "application/json",
                  r->code ? str_of(text) : str_n(text, out.len + err.len));
    else
        ask_refuse_with(q, KL_NO_MEMORY, "out of memory");
}

static void on_done(struct stream_call *c)
{
    struct run *r = (struct run *)c;
    if (r->ask) {
        http_on_close(r->ask->http, NULL, NULL);
        tell(r);
    }
    free_run(r);
}

static void on_gone(void *ctx)
{
    struct run *r = ctx;
    r->ask = NULL;
    stream_call_cancel(&r->call);
}

/* The words between blanks, as upstream takes it apart. */
static bool read_command(struct ask *q, struct run *r)
{
    struct str query = http_query(q->http), key, value, command = STR_NONE;
    unsigned n = 0;
    while (!command.at && http_query_next(q->arena, &query, &key, &value))
        if (str_is(key, "cmd"))
            command = value;
    r->argv = arena_alloc(r->call.arena, (WORDS + 1) * sizeof *r->argv);
    r->command = arena_dup(r->call.arena, command);
    for (struct str rest = command; rest.at && r->argv && n < WORDS;)
        r->argv[n++] = arena_dup(r->call.arena, str_cut(&rest, ' '));
    return n && r->argv[0] && r->argv[0][0];
}

void ask_run(struct ask *q)
{
    struct run *r = mem_alloc(sizeof *r);
    struct kl_err err;
    kl_err_init(&err);
    int rc = r ? stream_call_init(&r->call, q->paths->streams, &q->at, &err) : kl_err_set(&err, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        mem_free(r);
        ask_refuse(q, &err);
        return;
    }
    r->call.run = on_worker;
    r->call.done = on_done;
    r->ask = q;
    r->out = memory();
    r->err = memory();
    if (!read_command(q, r))
        rc = kl_err_set(&err, KL_BAD_REQUEST, "you must specify at least 1 command for the container");
    else if (r->out < 0 || r->err < 0)
        rc = kl_err_set(&err, KL_UNAVAILABLE, "no memory for a command's output");
    else
        rc = stream_call_start(&r->call, &err);
    if (rc < 0) {
        free_run(r);
        ask_refuse(q, &err);
        return;
    }
    http_on_close(q->http, on_gone, r);
}

/* No runtime of ours can freeze a container into a file: as upstream's with such a runtime. */
void ask_checkpoint(struct ask *q)
{
    ask_refuse_with(q, KL_NOT_FOUND, "checkpointing of %s/%s/%s failed (rpc error: code = Unimplemented desc = method CheckpointContainer not implemented)", q->at.ns,
                    q->at.pod, q->at.container);
}
