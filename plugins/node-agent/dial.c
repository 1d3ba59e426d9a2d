/* dial.c - a TCP connection to a port inside a pod. A socket belongs to the network namespace it was made in: a thread of its own enters the
 * pod's, makes it, and ends; nothing has to be put back. */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#define CONNECT_NS (10 * NS_PER_S)

struct entry {
    const char *netns;                      /* NULL: the host's */
    int family, fd, error;
};

static void *make_socket(void *ctx)
{
    struct entry *e = ctx;
    _cleanup_close_ int ns = e->netns ? open(e->netns, O_RDONLY | O_CLOEXEC) : -1;
    if (e->netns && (ns < 0 || setns(ns, CLONE_NEWNET) < 0)) {
        e->error = errno;
        return NULL;
    }
    e->fd = socket(e->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    e->error = errno;
    return NULL;
}

static int socket_in(const char *netns, int family, int *ret_error)
{
    struct entry e = { netns, family, -1, 0 };
    pthread_t t;
    if (!netns)
        make_socket(&e);
    else if (pthread_create(&t, NULL, make_socket, &e) == 0)
        pthread_join(t, NULL);
    else
        e.error = EAGAIN;
    *ret_error = e.fd < 0 ? e.error : 0;
    return e.fd;
}

static int finish_connect(struct kl_call *c, int fd, int64_t by_ns)
{
    struct pollfd at = { .fd = fd, .events = POLLOUT };
    int error = 0;
    socklen_t n = sizeof error;
    while (poll(&at, 1, 100) <= 0)
        if (env_mono_ns() > by_ns || kl_cancelled(c))
            return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 ? errno : error;
}

/* 0, or an errno. */
static int try_address(struct kl_call *c, const char *netns, int family, int32_t port, int64_t by_ns, int32_t *ret_fd)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    const struct sockaddr *at = family == AF_INET ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6;
    int error, fd = socket_in(netns, family, &error);
    if (fd < 0)
        return error;
    error = connect(fd, at, family == AF_INET ? sizeof v4 : sizeof v6) == 0 ? 0 : errno;
    if (error == EINPROGRESS)
        error = finish_connect(c, fd, by_ns);
    if (error) {
        close(fd);
        return error;
    }
    fcntl(fd, F_SETFL, 0);                  /* as it is promised: a plain socket */
    *ret_fd = fd;
    return 0;
}

int node_dial(void *self, struct kl_call *c, const char *ns, const char *pod, int32_t port, int32_t *ret_fd)
{
    struct agent *a = self;
    _cleanup_arena_ struct arena *ar = arena_new(AGENT_ARENA_BYTES);
    struct served s = { .arena = ar };
    int rc = ar ? serve_find(a, c, ns, pod, NULL, &s) : kl_fail(c, KL_NO_MEMORY, "no memory");
    if (rc < 0)
        return rc;
    if (port < 1 || port > 65535)
        return kl_fail(c, KL_BAD_REQUEST, "port %d is no port", (int)port);
    if (!s.sandbox)
        return kl_fail(c, KL_NOT_FOUND, "the sandbox of pod \"%s\" is not running", pod);
    struct str netns = json_str(s.sandbox, "netns");
    const char *path = netns.len ? arena_dup(ar, netns) : NULL;
    int64_t by = env_mono_ns() + CONNECT_NS;
    if (c->deadline_ns && c->deadline_ns < by)
        by = c->deadline_ns;
    int v4 = try_address(c, path, AF_INET, port, by, ret_fd), v6 = v4 ? try_address(c, path, AF_INET6, port, by, ret_fd) : 0;
    if (!v4 || !v6)
        return 0;
    return kl_fail(c, KL_UNAVAILABLE, "failed to connect to localhost:%d inside the pod, IPv4: %s, IPv6: %s", (int)port, strerror(v4), strerror(v6));
}
