/* conn.c - listening, and the life of a connection: accept, handshake, bytes in, frames out, time limits, end. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http-internal.h"

static void on_ready(void *ctx, int events);
static void on_timer(void *ctx);

void conn_dirty(struct conn *c)
{
    if (list_empty(&c->dirty_link))
        list_push(&c->server->dirty, &c->dirty_link);
}

void conn_set_timer(struct conn *c, int64_t ns)
{
    loop_timer_start(c->server->loop, &c->timer, ns, on_timer, c);
}

static void read_address(struct conn *c)
{
    struct sockaddr_storage ss;
    socklen_t n = sizeof ss;
    char ip[INET6_ADDRSTRLEN] = "";
    int port = 0;
    if (getpeername(c->fd, (struct sockaddr *)&ss, &n) == 0 && ss.ss_family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)&ss;
        inet_ntop(AF_INET, &in->sin_addr, ip, sizeof ip);
        port = ntohs(in->sin_port);
    }
    snprintf(c->address, sizeof c->address, ip[0] ? "%s:%d" : "local", ip, port);
    c->peer.address = str_of(c->address);
}

struct conn *conn_new(struct http_server *s, int fd)
{
    struct conn *c = mem_alloc(sizeof *c);
    int one = 1;
    if (!c)
        return NULL;
    c->server = s;
    c->fd = fd;
    list_init(&c->reqs);
    list_init(&c->dirty_link);
    c->watch = loop_fd_new(s->loop, fd, on_ready, c);
    if (!c->watch || (s->tls && (c->state = CONN_HANDSHAKE) && tls_accept(c) < 0)) {
        loop_fd_free(c->watch);
        mem_free(c);
        return NULL;
    }
    if (!s->tls)
        c->state = CONN_OPEN;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    read_address(c);
    list_push(&s->conns, &c->link);
    s->n_conns++;
    c->want_read = true;
    loop_fd_set(c->watch, LOOP_READ);
    conn_set_timer(c, HANDSHAKE_NS);
    return c;
}

void conn_free(struct conn *c)
{
    struct http_server *s = c->server;
    c->state = CONN_DEAD;
    if (c->h2) {
        nghttp2_session *h2 = c->h2;
        list_each(node, &c->reqs)
        {
            struct http_req *r = list_item(node, struct http_req, link);
            nghttp2_session_set_stream_user_data(h2, r->stream_id, NULL);
            req_gone(r);
        }
        nghttp2_session_del(h2);
    }
    while (!list_empty(&c->reqs))
        req_gone(list_item(c->reqs.next, struct http_req, link));
    if (c->raw_data) {
        void (*data)(void *ctx, struct str bytes) = c->raw_data;
        c->raw_data = NULL;
        data(c->raw_ctx, STR_NONE);
    }
    loop_timer_stop(&c->timer);
    loop_fd_free(c->watch);
    if (c->tls)
        gnutls_deinit(c->tls);
    close(c->fd);
    h1_free(c);
    buf_free(&c->in);
    buf_free(&c->out);
    buf_free(&c->wire);
    mem_free(c->peer_text);
    mem_free(c->orgs);
    list_remove(&c->link);
    list_remove(&c->dirty_link);
    s->n_conns--;
    mem_free(c);
    if (s->closing && !s->n_conns)
        loop_timer_start(s->loop, &s->grace, 0, s->grace.fn, s->grace.ctx);
}

void conn_kill(struct conn *c)
{
    c->state = CONN_DEAD;
    conn_dirty(c);
}

/* --- time limits: one timer per connection, looked at lazily --- */

static bool stuck(struct conn *c, int64_t now)
{
    list_each(node, &c->reqs)
    {
        struct http_req *r = list_item(node, struct http_req, link);
        if (!r->handled && now - r->began_ns > BODY_NS)
            return true;
        if (!r->queued || r->answer == REQ_OPEN) {
            r->stuck_since_ns = 0;
            continue;
        }
        if (!r->stuck_since_ns)
            r->stuck_since_ns = now;
        else if (c->h2 && now - r->stuck_since_ns > STUCK_NS && r->queued >= DRAIN_BELOW)
            return true;                /* holds our memory and takes nothing */
    }
    return false;
}

static void on_timer(void *ctx)
{
    struct conn *c = ctx;
    int64_t now = loop_now(c->server->loop);
    if (c->state == CONN_HANDSHAKE) {
        conn_kill(c);
        return;
    }
    if (c->state == CONN_RAW) {
        conn_set_timer(c, IDLE_NS);
        return;
    }
    bool reading = c->header_since_ns && !(c->h1_req && c->h1_req->handled);
    int64_t left = c->header_since_ns + (c->h1_req ? BODY_NS : HEADER_NS) - now;
    if (reading && left <= 0) {
        conn_kill(c);
        return;
    }
    if (c->n_reqs == 0 && !reading && now - c->flood_since_ns >= IDLE_NS && c->timer.due_ns && c->peer.address.at && c->eof) {
        conn_kill(c);
        return;
    }
    if (stuck(c, now)) {
        conn_kill(c);
        return;
    }
    int64_t next = c->n_reqs ? STUCK_NS : IDLE_NS;
    conn_set_timer(c, reading && left < next ? left : next);
}

/* --- input --- */

int conn_start(struct conn *c, bool h2)
{
    c->state = CONN_OPEN;
    conn_set_timer(c, HEADER_NS);
    return h2 ? h2_start(c) : 0;
}

void conn_input(struct conn *c, struct str bytes)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    int rc;
    if (c->state == CONN_RAW) {
        if (c->raw_data)
            c->raw_data(c->raw_ctx, bytes);
        return;
    }
    /* Clear text: HTTP/2 by prior knowledge begins with the preface, whose first bytes are no HTTP/1.1 request. */
    if (!c->h2 && !c->server->tls && !c->h1_body && !c->in.len && bytes.len >= 14 && memcmp(bytes.at, preface, 14) == 0 &&
        h2_start(c) < 0) {
        conn_kill(c);
        return;
    }
    rc = c->h2 ? h2_input(c, bytes) : h1_input(c, bytes);
    if (rc < 0) {
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
            conn_kill(c);
            return;
        }
        conn_input(c, str_n(room, (size_t)got));
        if ((size_t)got < sizeof room && !c->tls)
            return;
    }
}

static void handshake_ready(struct conn *c)
{
    bool h2 = false;
    int rc = tls_handshake(c, &h2);
    conn_dirty(c);
    if (rc < 0 || (rc > 0 && conn_start(c, h2) < 0)) {
        c->close_after = true;
        return;
    }
    if (rc > 0)
        read_ready(c);
}

static void on_ready(void *ctx, int events)
{
    struct conn *c = ctx;
    if (events & LOOP_WRITE)
        conn_dirty(c);
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
        if (c->out_at < c->out.len && tls_write(c) < 0)
            return -1;
        if (c->out_at == c->out.len) {
            buf_clear(&c->out);
            c->out_at = 0;
            if (c->out.cap > 2 * OUT_MOST)
                buf_free(&c->out);
        }
        rc = write_buf(c, &c->wire, &c->wire_at);
    }
    return rc;
}

static int fill(struct conn *c)
{
    if (c->state != CONN_OPEN)
        return 0;
    return c->h2 ? h2_fill(c) : h1_fill(c);
}

static void flush(struct conn *c)
{
    int rc = 1;
    if (c->state == CONN_DEAD) {
        conn_free(c);
        return;
    }
    for (int turns = 0; turns < 64; turns++) {
        size_t before = c->out.len;
        if (fill(c) < 0 || (rc = write_some(c)) < 0) {
            conn_free(c);
            return;
        }
        if (rc == 0 || (before == 0 && c->out.len == 0 && turns) || c->state != CONN_OPEN)
            break;
        if (c->h2 ? !nghttp2_session_want_write(c->h2) : !c->h1_req || !c->h1_req->first)
            break;
    }
    if (rc == 1 && c->close_after) {
        if (c->tls)
            gnutls_bye(c->tls, GNUTLS_SHUT_WR);
        write_some(c);
        conn_free(c);
        return;
    }
    if (rc == 1 && c->state == CONN_RAW && c->raw_drain)
        c->raw_drain(c->raw_ctx);
    if (c->state == CONN_DEAD) {
        conn_free(c);
        return;
    }
    c->want_write = rc == 0;
    loop_fd_set(c->watch, (c->raw_paused ? 0 : LOOP_READ) | (c->want_write ? LOOP_WRITE : 0));
    if (c->tls && !c->raw_paused && (c->state == CONN_OPEN || c->state == CONN_RAW) && gnutls_record_check_pending(c->tls))
        read_ready(c);
}

void conns_flush(void *ctx)
{
    struct http_server *s = ctx;
    struct list now = LIST_INIT(now);
    for (int rounds = 0; rounds < 8 && !list_empty(&s->dirty); rounds++) {
        for (struct list *n; (n = list_pop(&s->dirty));)
            list_push(&now, n);
        for (struct list *n; (n = list_pop(&now));)
            flush(list_item(n, struct conn, dirty_link));
    }
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
    conn_dirty(c);
}

void conn_raw_pause(struct conn *c, bool paused)
{
    c->raw_paused = paused;
    conn_dirty(c);
}
