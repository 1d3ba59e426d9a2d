/* stream_ports.c - port-forward: each connection of the client is a socket that the node has connected inside the pod. */
#include <fcntl.h>
#include <sys/socket.h>

#include "base/env.h"
#include "stream-internal.h"

#define DIAL_NS (30 * NS_PER_S)

struct forward {
    struct remote *remote;              /* NULL: the client has gone */
    struct streams *streams;
    struct stream_target at;
    struct arena *arena;
    struct list wires;
    unsigned n_full;                    /* wires whose pod takes nothing: the client waits */
    bool stalled;
    uint16_t ports[STREAM_PORTS_MOST];
};

struct wire {
    struct stream_call dial;            /* first */
    struct list link;                   /* forward->wires */
    struct forward *forward;            /* NULL: nobody waits for the dial */
    unsigned id;
    uint16_t port;
    int32_t fd;                         /* as dialed */
    struct stream_sink to;              /* a duplicate of the descriptor: each is watched by itself */
    struct stream_source from;
    struct buf early;                   /* what came before the pod was reached */
    bool early_end, full;
};

static void free_forward(struct forward *f)
{
    arena_free(f->arena);
    mem_free(f);
}

static void balance(struct forward *f)
{
    if (!f->remote)
        return;
    remote_pause(f->remote, f->n_full > 0);
    bool stalled = remote_queued(f->remote) >= STREAM_QUEUED_MOST;
    if (stalled == f->stalled)
        return;
    f->stalled = stalled;
    list_each(n, &f->wires)
        stream_source_want(&list_item(n, struct wire, link)->from, !stalled);
}

static void set_full(struct wire *w, bool full)
{
    if (w->full == full || !w->forward)
        return;
    w->full = full;
    w->forward->n_full += full ? 1 : -1u;
    balance(w->forward);
}

static void free_wire(struct wire *w)
{
    stream_sink_close(&w->to);
    stream_source_close(&w->from);
    buf_free(&w->early);
    stream_call_free(&w->dial);
    mem_free(w);
}

/* Off the list; a dial under way frees it when it comes back. */
static void drop_wire(struct wire *w)
{
    set_full(w, false);
    list_remove(&w->link);
    w->forward = NULL;
    stream_call_cancel(&w->dial);
    if (!w->dial.running)
        free_wire(w);
}

/* With the client told: why is on its error channel, empty: a plain end. */
static void end_wire(struct wire *w, const char *why)
{
    struct forward *f = w->forward;
    if (why[0])
        remote_write(f->remote, 2 * w->id + 1, str_of(why));
    remote_close_channel(f->remote, 2 * w->id);
    remote_close_channel(f->remote, 2 * w->id + 1);
    drop_wire(w);
    if (!remote_fixed(f->remote) || !list_empty(&f->wires))
        return;
    remote_close(f->remote);            /* its ports were named at the start: there will be no more */
    free_forward(f);
}

static struct wire *find(struct forward *f, unsigned channel)
{
    list_each(n, &f->wires)
        if (list_item(n, struct wire, link)->id == channel / 2)
            return list_item(n, struct wire, link);
    return NULL;
}

/* --- the pod's side --- */

static void on_pod_data(void *ctx, struct stream_source *s, struct str bytes)
{
    struct wire *w = ctx;
    (void)s;
    remote_write(w->forward->remote, 2 * w->id, bytes);
    balance(w->forward);
}

static void on_pod_end(void *ctx, struct stream_source *s)
{
    (void)s;
    end_wire(ctx, "");
}

static void on_room(void *ctx)
{
    set_full(ctx, false);
}

static bool connect_wire(struct wire *w)
{
    struct loop *l = w->dial.streams->loop;
    int twin = fcntl(w->fd, F_DUPFD_CLOEXEC, 3);
    fcntl(w->fd, F_SETFL, O_NONBLOCK);          /* of both: they share one description */
    w->to.socket = true;
    bool ok = stream_source_open(&w->from, l, w->fd);
    w->fd = -1;
    return stream_sink_open(&w->to, l, twin) && ok;
}

static void on_dialed(struct stream_call *c)
{
    struct wire *w = (struct wire *)c;
    char why[400];
    if (!w->forward) {
        if (c->rc == 0)
            close(w->fd);
        free_wire(w);
        return;
    }
    if (c->rc == 0 && !connect_wire(w))
        c->rc = kl_err_set(&c->call.err, KL_UNAVAILABLE, "no more descriptors");
    if (c->rc < 0) {
        snprintf(why, sizeof why, "error forwarding port %u to pod %s, uid : %s", w->port, c->at.pod, c->call.err.msg);
        end_wire(w, why);
        return;
    }
    stream_source_want(&w->from, !w->forward->stalled);
    stream_sink_write(&w->to, buf_str(&w->early));
    buf_free(&w->early);
    if (w->early_end)
        stream_sink_end(&w->to);
    set_full(w, stream_sink_full(&w->to));
}

static int on_worker(struct stream_call *c)
{
    struct wire *w = (struct wire *)c;
    return c->at.node->dial(c->at.self, &c->call, c->at.ns, c->at.pod, w->port, &w->fd);
}

/* --- the client's side --- */

static void on_port(void *ctx, unsigned id, uint16_t port)
{
    struct forward *f = ctx;
    struct wire *w = mem_alloc(sizeof *w);
    struct kl_err err;
    kl_err_init(&err);
    int rc = w ? stream_call_init(&w->dial, f->streams, &f->at, &err) : kl_err_set(&err, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        mem_free(w);
        remote_write(f->remote, 2 * id + 1, str_of(err.msg));
        remote_close_channel(f->remote, 2 * id);
        remote_close_channel(f->remote, 2 * id + 1);
        return;
    }
    w->dial.run = on_worker;
    w->dial.done = on_dialed;
    w->dial.call.deadline_ns = env_mono_ns() + DIAL_NS;
    w->forward = f;
    w->id = id;
    w->port = port;
    w->fd = -1;
    w->early.max = 2 * STREAM_QUEUED_MOST;
    w->to = (struct stream_sink){ .fd = -1, .drained = on_room, .ctx = w };
    w->from = (struct stream_source){ .fd = -1, .data = on_pod_data, .eof = on_pod_end, .ctx = w };
    list_push(&f->wires, &w->link);
    if (stream_call_start(&w->dial, &err) < 0)
        end_wire(w, err.msg);
}

static void on_data(void *ctx, unsigned channel, struct str bytes)
{
    struct wire *w = find(ctx, channel);
    if (!w || channel & 1)
        return;
    if (!w->dial.running) {
        stream_sink_write(&w->to, bytes);
        set_full(w, stream_sink_full(&w->to));
        return;
    }
    buf_add_str(&w->early, bytes);
    set_full(w, w->early.len >= STREAM_QUEUED_MOST);
    if (w->early.failed)
        end_wire(w, "out of memory");
}

static void on_eof(void *ctx, unsigned channel)
{
    struct wire *w = find(ctx, channel);
    if (!w || channel & 1)
        return;
    if (w->dial.running)
        w->early_end = true;
    else
        stream_sink_end(&w->to);
}

static void on_reset(void *ctx, unsigned channel)
{
    struct wire *w = find(ctx, channel);
    if (w)
        end_wire(w, "");
}

static void on_drain(void *ctx)
{
    balance(ctx);
}

static void on_closed(void *ctx)
{
    struct forward *f = ctx;
    f->remote = NULL;
    list_each(n, &f->wires)
        drop_wire(list_item(n, struct wire, link));
    free_forward(f);
}

static const char *copy(struct arena *a, const char *text)
{
    return text ? arena_dup(a, str_of(text)) : NULL;
}

int stream_ports(struct streams *s, struct http_req *r, const struct stream_target *t, const uint16_t *ports, unsigned n, struct kl_err *err)
{
    static const struct remote_events ev = { .port = on_port, .data = on_data, .eof = on_eof, .reset = on_reset, .drain = on_drain,
                                             .closed = on_closed };
    struct forward *f = mem_alloc(sizeof *f);
    if (f)
        f->arena = arena_new(1u << 20);
    if (!f || !f->arena) {
        mem_free(f);
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    list_init(&f->wires);
    f->streams = s;
    f->at = (struct stream_target){ t->node, t->self, copy(f->arena, t->ns), copy(f->arena, t->pod), NULL };
    n = n < STREAM_PORTS_MOST ? n : STREAM_PORTS_MOST;
    if (n)
        memcpy(f->ports, ports, n * sizeof *ports);
    struct remote_conf c = { .kind = REMOTE_PORTFORWARD, .ports = f->ports, .n_ports = n };
    f->remote = arena_exhausted(f->arena) ? NULL : remote_accept(r, &c, &ev, f, err);
    if (f->remote)
        return 0;
    free_forward(f);
    return err->code ? -err->code : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}
