/* server.c - the listening socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http-internal.h"

static void on_accept(void *ctx, int events)
{
    struct http_server *s = ctx;
    (void)events;
    for (int i = 0; i < 64; i++) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        if (s->closing || s->n_conns >= s->conns_max || !conn_new(s, fd))
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

static void server_free(struct http_server *s)
{
    loop_timer_stop(&s->grace);
    list_remove(&s->hook.link);
    loop_fd_free(s->watch);
    if (s->fd >= 0)
        close(s->fd);
    if (s->unix_path)
        unlink(s->unix_path);
    mem_free(s->unix_path);
    tls_server_free(s->tls);
    mem_free(s);
}

int http_server_new(struct loop *l, const struct http_conf *c, http_handler h, void *ctx, struct http_server **ret, struct kl_err *err)
{
    struct http_server *s = mem_alloc(sizeof *s);
    if (!s)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    s->loop = l;
    s->handler = h;
    s->ctx = ctx;
    s->fd = -1;
    s->body_max = c->body_max ? c->body_max : (size_t)3 << 20;
    s->conns_max = c->connections_max ? c->connections_max : 4096;
    list_init(&s->conns);
    list_init(&s->dirty);
    list_init(&s->hook.link);
    int rc = c->cert_file ? tls_server_new(c, &s->tls, err) : 0;
    if (rc == 0)
        rc = c->address[0] == '/' ? listen_unix(s, c->address, err) : listen_tcp(s, c, err);
    if (rc == 0 && !(s->watch = loop_fd_new(l, s->fd, on_accept, s)))
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        server_free(s);
        return rc;
    }
    loop_fd_set(s->watch, LOOP_READ);
    loop_hook_add(l, &s->hook, conns_flush, s);
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
    while (!list_empty(&s->conns))
        conn_free(list_item(s->conns.next, struct conn, link));
    server_free(s);
    if (done)
        done(done_ctx);
}

void http_server_close(struct http_server *s, int64_t grace_ns, loop_fn done, void *ctx)
{
    s->done = done;
    s->done_ctx = ctx;
    s->closing = true;
    loop_fd_free(s->watch);
    s->watch = NULL;
    list_each(node, &s->conns)
    {
        struct conn *c = list_item(node, struct conn, link);
        if (c->h2)
            h2_goaway(c);
        else if (c->state == CONN_OPEN && !c->n_reqs)
            conn_kill(c);
    }
    loop_timer_start(s->loop, &s->grace, s->n_conns ? grace_ns : 0, finish, s);
}
