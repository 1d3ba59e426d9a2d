/* conn.c - the life of a connection, of a server or a client: connect, handshake, bytes in, frames out, end. What its bytes mean is its
 * owner's protocol. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http-internal.h"

static void on_ready(void *ctx, int events);

void conn_dirty(struct conn *c)
{
    if (list_empty(&c->dirty_link))
        list_push(&c->owner->dirty, &c->dirty_link);
}

static void on_timer(void *ctx)
{
    struct conn *c = ctx;
    c->owner->protocol->timer(c);
}

void conn_set_timer(struct conn *c, int64_t ns)
{
    loop_timer_start(c->owner->loop, &c->timer, ns, on_timer, c);
}

void owner_init(struct conn_owner *o, struct loop *l, const struct conn_protocol *p)
{
    o->loop = l;
    o->protocol = p;
    list_init(&o->conns);
    list_init(&o->dirty);
    list_init(&o->hook.link);
}

void owner_end(struct conn_owner *o)
{
    list_remove(&o->hook.link);
    buf_free(&o->out);
    buf_free(&o->wire);
}

struct conn *conn_new(struct conn_owner *o, int fd, size_t size)
{
    struct conn *c = mem_alloc(size);
    int one = 1;
    if (!c)
        return NULL;
    c->owner = o;
    c->fd = fd;
    list_init(&c->reqs);
    list_init(&c->ready);
    list_init(&c->dirty_link);
    c->watch = loop_fd_new(o->loop, fd, on_ready, c);
    if (!c->watch) {
        mem_free(c);
        return NULL;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);     /* streams may be silent for days */
    list_push(&o->conns, &c->link);
    o->n_conns++;
    c->want_read = true;
    return c;
}

void conn_free(struct conn *c)
{
    struct http_server *s = c->server;
    c->state = CONN_DEAD;
    c->owner->protocol->gone(c);
    if (c->raw_data) {
        void (*data)(void *ctx, struct str bytes) = c->raw_data;
        c->raw_data = NULL;
        data(c->raw_ctx, STR_NONE);
    }
    loop_timer_stop(&c->timer);
    loop_fd_free(c->watch);
    if (c->tls)
        gnutls_deinit(c->tls);
    tls_shared_unref(c->tls_of);
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    buf_free(&c->wire);
    mem_free(c->peer_text);
    mem_free(c->orgs);
    list_remove(&c->link);
    list_remove(&c->dirty_link);
    c->owner->n_conns--;
    mem_free(c);
    if (s)
        server_conn_freed(s);
}

void conn_kill(struct conn *c)
{
    c->state = CONN_DEAD;
    conn_dirty(c);
}

/* --- input --- */

static void input(struct conn *c, struct str bytes)
{
    if (c->state == CONN_RAW) {
        if (c->raw_data)
            c->raw_data(c->raw_ctx, bytes);
        return;
    }
    if (c->owner->protocol->input(c, bytes) < 0) {
        c->close_after = true;
        conn_dirty(c);
    }
}

static ssize_t read_some(struct conn *c, char *at, size_t n)
{
    if (c->tls)
        return tls_read(c, at, n);
    ssize_t got;
    do
        got = recv(c->fd, at, n, 0);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static void read_ready(struct conn *c)
{
    static char room[64 << 10];
    for (int turns = 0; turns < 16 && (c->state == CONN_OPEN || c->state == CONN_RAW); turns++) {
        if (c->raw_paused)
            return;
        ssize_t got = read_some(c, room, sizeof room);
        if (got == -EAGAIN || got == -EWOULDBLOCK)
            return;
        if (got <= 0) {
            if (got < 0 && !c->why[0])
                snprintf(c->why, sizeof c->why, "%s", strerror((int)-got));
            conn_kill(c);
            return;
        }
        c->heard_ns = loop_now(c->owner->loop);
        input(c, str_n(room, (size_t)got));
        if ((size_t)got < sizeof room && !c->tls)
            return;
    }
}

static void begin(struct conn *c, bool h2)
{
    c->state = CONN_OPEN;
    if (c->owner->protocol->start(c, h2) < 0)
        conn_kill(c);
}

static void handshake_ready(struct conn *c)
{
    bool h2 = false;
    int rc = tls_handshake(c, &h2);
    conn_dirty(c);
    if (rc < 0) {
        c->close_after = true;
        return;
    }
    if (rc > 0)
        begin(c, h2);
    if (rc > 0 && c->state == CONN_OPEN)
        read_ready(c);
}

/* connect() has an answer. */
static void dialed(struct conn *c)
{
    int error = 0;
    socklen_t n = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 || error) {
        snprintf(c->why, sizeof c->why, "%s", strerror(error ? error : errno));
        conn_kill(c);
        return;
    }
    loop_fd_set(c->watch, LOOP_READ);
    conn_dirty(c);
    if (!c->tls) {
        begin(c, false);
        return;
    }
    c->state = CONN_HANDSHAKE;
    handshake_ready(c);
}

static void on_ready(void *ctx, int events)
{
    struct conn *c = ctx;
    if (c->state == CONN_DIALING) {
        dialed(c);
        return;
    }
    if (events & LOOP_WRITE)
        conn_dirty(c);
    if (events & LOOP_HANGUP && c->raw_paused && c->hangup_ends) {
        conn_kill(c);
        return;
    }
    if (!(events & LOOP_READ) || c->state == CONN_DEAD)
        return;
    if (c->state == CONN_HANDSHAKE)
        handshake_ready(c);
    else
        read_ready(c);
    /* More decrypted bytes than one go takes: come back next turn. */
    if (c->state != CONN_DEAD && c->tls && !c->raw_paused && gnutls_record_check_pending(c->tls))
        conn_dirty(c);
}

/* --- output --- */

/* 1 all written, 0 the socket is full, < 0 broken. */
static int write_buf(struct conn *c, struct buf *b, size_t *at)
{
    while (*at < b->len) {
        ssize_t n = send(c->fd, b->at + *at, b->len - *at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
        *at += (size_t)n;
    }
    buf_clear(b);
    *at = 0;
    if (b->cap > 2 * OUT_MOST)
        buf_free(b);
    return 1;
}

static int write_some(struct conn *c)
{
    if (!c->tls)
        return write_buf(c, &c->out, &c->out_at);
    int rc = 1;
    while (rc == 1 && (c->out_at < c->out.len || c->wire_at < c->wire.len)) {
        if (tls_write(c, false) < 0)
            return -1;
        rc = write_buf(c, &c->wire, &c->wire_at);
    }
    return rc;
}

static int fill(struct conn *c)
{
    return c->state == CONN_OPEN ? c->owner->protocol->fill(c) : 0;
}

/* Makes output and writes it. 1 all has gone; 0 the rest goes when the socket takes more, or when others have had their turn; < 0 broken. */
static int pump(struct conn *c)
{
    for (int turns = 0; turns < 16; turns++) {
        if (fill(c) < 0)
            return -1;
        int rc = write_some(c);
        if (rc <= 0 || c->state != CONN_OPEN || !c->owner->protocol->more(c))
            return rc;
    }
    return 0;
}

/* The connection's own buffer is put aside while it is empty. */
static struct buf lend(struct buf *own, struct buf *lent)
{
    struct buf aside = *own;
    if (own->len || own->failed)
        return (struct buf){ 0 };
    *own = *lent;
    *lent = (struct buf){ 0 };
    return aside;
}

/* What the socket does not take yet stays where it is, and the connection keeps that. */
static void give_back(struct buf *own, struct buf *lent, struct buf aside)
{
    if (own->len || own->failed) {
        buf_free(&aside);
    } else if (!lent->at) {
        *lent = *own;
        *own = aside;
    } else if (aside.at || own->cap > DRAIN_BELOW) {
        buf_free(own);
        *own = aside;
    }
}

/* A thousand connections that each have buffers of their own for what is large would go through all caches for every event. */
static int pump_warm(struct conn *c)
{
    struct conn_owner *o = c->owner;
    struct buf out = lend(&c->out, &o->out), wire = lend(&c->wire, &o->wire);
    int rc = pump(c);
    give_back(&c->wire, &o->wire, wire);
    give_back(&c->out, &o->out, out);
    return rc;
}

/* What came behind the upgrade request before it was answered. */
static void early_input(struct conn *c)
{
    struct buf in = c->in;
    c->in = (struct buf){ .max = in.max };
    input(c, buf_str(&in));
    buf_free(&in);
}

/* Closing at once would reset a connection on which the client still sends, and take from it what it has not read yet. */
static void linger(struct conn *c)
{
    if (c->lingering)
        return;
    c->lingering = true;
    shutdown(c->fd, SHUT_WR);
    c->raw_paused = false;
    loop_fd_set(c->watch, LOOP_READ);
    conn_set_timer(c, LINGER_NS);
}

static void flush(struct conn *c)
{
    if (c->state == CONN_DEAD) {
        conn_free(c);
        return;
    }
    if (c->state == CONN_DIALING)
        return;
    int rc = pump_warm(c);
    if (rc < 0) {
        conn_free(c);
        return;
    }
    if (rc == 1 && c->close_after) {
        if (c->tls && !c->lingering)
            gnutls_bye(c->tls, GNUTLS_SHUT_WR);
        write_some(c);
        if (c->state == CONN_OPEN && c->unread) {
            c->state = CONN_RAW;
            buf_free(&c->in);
        }
        if (c->state == CONN_RAW)
            linger(c);
        else
            conn_free(c);
        return;
    }
    if (c->state == CONN_RAW && c->in.len && !c->raw_paused)
        early_input(c);
    if (rc == 1 && c->state == CONN_RAW && c->raw_drain)
        c->raw_drain(c->raw_ctx);
    if (c->state == CONN_DEAD) {
        conn_free(c);
        return;
    }
    c->want_write = rc == 0;
    loop_fd_set(c->watch, (!c->raw_paused ? LOOP_READ : c->hangup_ends ? LOOP_HANGUP : 0) | (c->want_write ? LOOP_WRITE : 0));
    if (c->tls && !c->raw_paused && (c->state == CONN_OPEN || c->state == CONN_RAW) && gnutls_record_check_pending(c->tls))
        read_ready(c);
}

static void nothing(void *ctx)
{
    (void)ctx;
}

void conns_flush(struct conn_owner *o)
{
    struct list now = LIST_INIT(now);
    for (int rounds = 0; rounds < 8 && !list_empty(&o->dirty); rounds++) {
        for (struct list *n; (n = list_pop(&o->dirty));)
            list_push(&now, n);
        for (struct list *n; (n = list_pop(&now));)
            flush(list_item(n, struct conn, dirty_link));
    }
    if (!list_empty(&o->dirty))
        loop_post(o->loop, nothing, NULL);      /* another turn, without waiting for something to happen */
}

/* --- raw: what follows an upgrade --- */

struct conn *conn_take(struct http_req *r, struct str head, void (*data)(void *ctx, struct str bytes), void (*drain)(void *ctx),
                       void *ctx)
{
    struct conn *c = r->conn;
    c->state = CONN_RAW;
    c->raw_data = data;
    c->raw_drain = drain;
    c->raw_ctx = ctx;
    c->header_since_ns = 0;
    buf_add_str(&c->out, head);
    r->status = 101;
    req_free(r);
    conn_dirty(c);
    return c;
}

void conn_raw_write(struct conn *c, struct str bytes)
{
    buf_add_str(&c->out, bytes);
    if (c->out.failed)
        conn_kill(c);
    conn_dirty(c);
}

size_t conn_raw_queued(const struct conn *c)
{
    return c->out.len - c->out_at + c->wire.len - c->wire_at;
}

void conn_raw_close(struct conn *c)
{
    c->raw_data = NULL;
    c->raw_drain = NULL;
    c->close_after = true;
    conn_set_timer(c, STUCK_NS);
    conn_dirty(c);
}

void conn_raw_pause(struct conn *c, bool paused)
{
    c->raw_paused = paused;
    conn_dirty(c);
}
