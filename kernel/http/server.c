/* server.c - the listening socket, and what a server wants of its connections: time limits, the protocol they speak. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http-internal.h"

/* --- its connections --- */

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

static bool accept_one(struct http_server *s, int fd)
{
    struct conn *c = conn_new(&s->owner, fd, sizeof *c);
    if (!c)
        return false;
    c->server = s;
    c->state = s->tls ? CONN_HANDSHAKE : CONN_OPEN;
    if (s->tls && tls_accept(c) < 0)
        conn_kill(c);
    read_address(c);
    loop_fd_set(c->watch, LOOP_READ);
    conn_set_timer(c, HANDSHAKE_NS);
    return true;
}

static int conn_start(struct conn *c, bool h2)
{
    conn_set_timer(c, HEADER_NS);
    return h2 ? h2_start(c) : 0;
}

static int conn_input(struct conn *c, struct str bytes)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    /* Clear text: HTTP/2 by prior knowledge begins with the preface, whose first bytes are no HTTP/1.1 request. */
    if (!c->h2 && !c->server->tls && !c->h1_body && !c->in.len && bytes.len >= 14 && memcmp(bytes.at, preface, 14) == 0 &&
        h2_start(c) < 0)
        return -1;
    return c->h2 ? h2_input(c, bytes) : h1_input(c, bytes);
}

static int conn_fill(struct conn *c)
{
    reqs_ready(c);
    if (c->state != CONN_OPEN)
        return 0;
    return c->h2 ? h2_fill(c) : h1_fill(c);
}

static bool conn_more(const struct conn *c)
{
    if (!list_empty(&c->ready))
        return true;
    return c->h2 ? nghttp2_session_want_write(c->h2) : c->h1_req && (c->h1_req->first || c->h1_req->was_full);
}

static void conn_gone(struct conn *c)
{
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
    h1_free(c);
}

/* --- time limits: one timer per connection, looked at lazily --- */

static bool stuck(struct conn *c, int64_t now)
{
    if (c->server->relayed)
        return false;                   /* one client's slowness is not the others' */
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

static void conn_timer(struct conn *c)
{
    int64_t now = loop_now(c->owner->loop);
    if (c->state == CONN_HANDSHAKE) {
        conn_kill(c);
        return;
    }
    if (c->state == CONN_RAW && c->close_after) {
        conn_kill(c);                   /* the client takes neither the rest nor the end */
        return;
    }
    if (c->state == CONN_RAW) {
        conn_set_timer(c, IDLE_NS);
        return;
    }
    if (c->warned && c->h2) {
        c->warned = false;
        h2_goaway(c);
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
    if (c->server->closing && !c->n_reqs && !reading && now - c->heard_ns >= KEEP_IDLE_NS) {
        conn_kill(c);
        return;
    }
    if (stuck(c, now)) {
        conn_kill(c);
        return;
    }
    int64_t next = c->n_reqs ? STUCK_NS : c->server->closing ? KEEP_IDLE_NS : IDLE_NS;
    conn_set_timer(c, reading && left < next ? left : next);
}

static const struct conn_protocol protocol = { conn_start, conn_input, conn_fill, conn_more, conn_timer, conn_gone };

void server_conn_freed(struct http_server *s)
{
    if (s->closing && !s->owner.n_conns)
        loop_timer_start(s->owner.loop, &s->grace, 0, s->grace.fn, s->grace.ctx);
}

static void flush(void *ctx)
{
    struct http_server *s = ctx;
    conns_flush(&s->owner);
}

/* --- listening --- */

/* Without descriptors a connection can be neither taken nor refused, and the socket stays ready: the loop would spin. One is kept in
 * reserve to refuse with. */
static bool refuse_one(struct http_server *s)
{
    if ((errno != EMFILE && errno != ENFILE) || s->spare < 0)
        return false;
    close(s->spare);
    int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

static void on_accept(void *ctx, int events)
{
    struct http_server *s = ctx;
    (void)events;
    for (int i = 0; i < 64; i++) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && refuse_one(s))
            continue;
        if (fd < 0)
            return;
        if (s->closing || s->owner.n_conns >= s->conns_max || !accept_one(s, fd))
            close(fd);
    }
}

static int listen_unix(struct http_server *s, const char *path, struct kl_err *err)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof un.sun_path)
        return kl_err_set(err, KL_INVALID, "socket path '%s' is too long", path);
    memcpy(un.sun_path, path, strlen(path));
    unlink(path);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t old = umask(0177);
    int rc = s->fd < 0 ? -1 : bind(s->fd, (struct sockaddr *)&un, sizeof un);
    umask(old);
    if (rc < 0 || listen(s->fd, 512) < 0)
        return kl_err_set(err, KL_UNAVAILABLE, "cannot listen on '%s': %s", path, strerror(errno));
    s->unix_path = mem_dup(path, strlen(path));
    return 0;
}

static int listen_tcp(struct http_server *s, const struct http_conf *c, struct kl_err *err)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(c->port) };
    socklen_t n = sizeof in;
    int one = 1;
    if (inet_pton(AF_INET, c->address, &in.sin_addr) != 1)
        return kl_err_set(err, KL_INVALID, "listen address '%s' is not an IPv4 address", c->address);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd >= 0)
        setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&in, sizeof in) < 0 || listen(s->fd, 512) < 0)
        return kl_err_set(err, KL_UNAVAILABLE, "cannot listen on %s:%u: %s", c->address, c->port, strerror(errno));
    getsockname(s->fd, (struct sockaddr *)&in, &n);
    s->port = ntohs(in.sin_port);
    return 0;
}

static int listen_on(struct http_server *s, const struct http_conf *c, struct kl_err *err)
{
    struct sockaddr_in in = { 0 };
    socklen_t n = sizeof in;
    int listens = 0;
    socklen_t size = sizeof listens;
    s->fd = c->fd;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || !listens)
        return kl_err_set(err, KL_INVALID, "descriptor %d is no socket that listens", c->fd);
    if (c->address[0] == '/')
        s->unix_path = mem_dup(c->address, strlen(c->address));
    else if (getsockname(s->fd, (struct sockaddr *)&in, &n) == 0)
        s->port = ntohs(in.sin_port);
    return 0;
}

static void server_free(struct http_server *s)
{
    loop_timer_stop(&s->grace);
    owner_end(&s->owner);
    loop_fd_free(s->watch);
    if (s->fd >= 0)
        close(s->fd);
    if (s->spare >= 0)
        close(s->spare);
    if (s->unix_path)
        unlink(s->unix_path);
    mem_free(s->unix_path);
    tls_server_free(s->tls);
    mem_free(s);
}

int http_server_renew(struct http_server *s, const struct http_conf *c, struct kl_err *err)
{
    struct tls_server *fresh = NULL;
    int rc = tls_server_new(c, &fresh, err);
    if (rc < 0)
        return rc;
    tls_server_free(s->tls);
    s->tls = fresh;
    return 0;
}

int http_server_new(struct loop *l, const struct http_conf *c, http_handler h, void *ctx, struct http_server **ret, struct kl_err *err)
{
    struct http_server *s = mem_alloc(sizeof *s);
    if (!s)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    owner_init(&s->owner, l, &protocol);
    s->handler = h;
    s->ctx = ctx;
    s->fd = -1;
    s->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    s->relayed = c->relayed;
    s->body_max = c->body_max ? c->body_max : (size_t)3 << 20;
    s->conns_max = c->connections_max ? c->connections_max : 4096;
    int rc = c->cert_file || c->cert.at ? tls_server_new(c, &s->tls, err) : 0;
    if (rc == 0)
        rc = c->fd > 0 ? listen_on(s, c, err) : c->address[0] == '/' ? listen_unix(s, c->address, err) : listen_tcp(s, c, err);
    if (rc == 0 && !(s->watch = loop_fd_new(l, s->fd, on_accept, s)))
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        server_free(s);
        return rc;
    }
    loop_fd_set(s->watch, LOOP_READ);
    loop_hook_add(l, &s->owner.hook, flush, s);
    *ret = s;
    return 0;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

static void finish(void *ctx)
{
    struct http_server *s = ctx;
    loop_fn done = s->done;
    void *done_ctx = s->done_ctx;
    s->closing = false;                 /* so that the last connection does not start this again */
    while (!list_empty(&s->owner.conns))
        conn_free(list_item(s->owner.conns.next, struct conn, link));
    server_free(s);
    if (done)
        done(done_ctx);
}

/* Nobody new is let in. */
static void begin_close(struct http_server *s, loop_fn done, void *ctx)
{
    s->done = done;
    s->done_ctx = ctx;
    s->closing = true;
    loop_fd_free(s->watch);
    s->watch = NULL;
}

void http_server_close(struct http_server *s, int64_t grace_ns, loop_fn done, void *ctx)
{
    begin_close(s, done, ctx);
    list_each(node, &s->owner.conns)
    {
        struct conn *c = list_item(node, struct conn, link);
        if (c->h2)
            h2_goaway(c);
        else if (c->state == CONN_OPEN && !c->n_reqs)
            conn_kill(c);
    }
    loop_timer_start(s->owner.loop, &s->grace, s->owner.n_conns ? grace_ns : 0, finish, s);
}

/* --- another process goes on with the socket --- */

int http_server_fd(const struct http_server *s)
{
    return s->fd;
}

void http_server_hold(struct http_server *s, bool hold)
{
    loop_fd_set(s->watch, hold ? 0 : LOOP_READ);
}

static bool waits(const struct http_req *r)
{
    return r->handled && r->answer == REQ_OPEN && !r->elsewhere;
}

unsigned http_server_waiting(const struct http_server *s)
{
    unsigned n = 0;
    list_each(node, &s->owner.conns)
    {
        struct conn *c = list_item(node, struct conn, link);
        if (c->n_handlers)
            list_each(of, &c->reqs)
                n += waits(list_item(of, struct http_req, link));
    }
    return n;
}

unsigned http_server_connections(const struct http_server *s)
{
    return s->owner.n_conns;
}

void http_server_retire(struct http_server *s, int64_t grace_ns, loop_fn done, void *ctx)
{
    begin_close(s, done, ctx);
    close(s->fd);
    s->fd = -1;
    mem_free(s->unix_path);
    s->unix_path = NULL;
    list_each(node, &s->owner.conns)
    {
        struct conn *c = list_item(node, struct conn, link);
        if (c->h2)
            h2_warn(c);
        if (c->state == CONN_OPEN)
            conn_set_timer(c, GOODBYE_NS);
    }
    loop_timer_start(s->owner.loop, &s->grace, s->owner.n_conns ? grace_ns : 0, finish, s);
}

void http_server_rehandle(struct http_server *s)
{
    list_each(node, &s->owner.conns)
    {
        struct conn *c = list_item(node, struct conn, link);
        list_each(of, &c->reqs)
        {
            struct http_req *r = list_item(of, struct http_req, link);
            if (!waits(r))
                continue;
            req_take_back(r);
            s->handler(s->ctx, r);
        }
    }
}
