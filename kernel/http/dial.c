/* dial.c - addresses of a client's host, and connections to them. Numbers are addresses at once; names are looked up on a worker. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include "client-internal.h"

struct resolve {
    struct http_client *client;         /* NULL: it is gone */
};

static int numbers(const char *host, const char *port, struct addrinfo **ret)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
    return getaddrinfo(host, port, &hints, ret);
}

static void take_addresses(struct http_client *c, const struct addrinfo *all)
{
    c->n_addresses = 0;
    for (const struct addrinfo *a = all; a && c->n_addresses < ADDRESSES_MOST; a = a->ai_next) {
        struct address *x = &c->addresses[c->n_addresses++];
        memcpy(&x->at, a->ai_addr, a->ai_addrlen);
        x->len = a->ai_addrlen;
    }
    c->resolved_ns = loop_now(c->owner.loop);
}

static void resolve_done(void *ctx, struct addrinfo *found, const char *why)
{
    struct resolve *r = ctx;
    struct http_client *c = r->client;
    mem_free(r);
    if (c) {
        c->resolving = NULL;
        if (!why) {
            take_addresses(c, found);
            client_stir(c);
        } else {
            snprintf(c->why, sizeof c->why, "the name is not known: %s", why);
            client_fail_waiting(c);
        }
    }
    if (found)
        freeaddrinfo(found);
}

void resolve_abandon(struct http_client *c)
{
    if (c->resolving)
        c->resolving->client = NULL;
    c->resolving = NULL;
}

static void resolve_start(struct http_client *c)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV };
    struct resolve *r = mem_alloc(sizeof *r);
    if (!r) {
        snprintf(c->why, sizeof c->why, "out of memory");
        client_fail_waiting(c);
        return;
    }
    r->client = c;
    c->resolving = r;
    loop_lookup(c->owner.loop, c->host, c->port, &hints, resolve_done, r);
}

bool client_resolved(struct http_client *c)
{
    struct addrinfo *found = NULL;
    if (c->unix_path)
        return true;
    if (c->n_addresses && loop_now(c->owner.loop) - c->resolved_ns < RESOLVED_NS)
        return true;
    if (c->resolving)
        return false;
    if (numbers(c->host, c->port, &found) == 0) {
        take_addresses(c, found);
        freeaddrinfo(found);
        return true;
    }
    resolve_start(c);
    return false;
}

/* --- connections --- */

/* A peer that vanishes without a word is noticed also when nothing is to be sent. */
static void watch_peer(int fd)
{
    int one = 1, idle = 30, interval = 10, count = 3, unanswered_ms = 30000;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof unanswered_ms);
}

static int dial_unix(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof un.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(un.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof un) < 0) {
        int error = errno;              /* EAGAIN: the listener's queue is full */
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int dial_tcp(const struct address *a)
{
    int fd = socket(a->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    watch_peer(fd);
    if (connect(fd, (const struct sockaddr *)&a->at, a->len) < 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static struct link *dial_from(struct http_client *c, unsigned first, bool only_h1)
{
    int fd = -1;
    unsigned i = first;
    if (c->unix_path)
        fd = first == 0 ? dial_unix(c->unix_path) : -1;
    else
        for (; i < c->n_addresses && (fd = dial_tcp(&c->addresses[i])) < 0;)
            i++;
    struct link *l = fd >= 0 ? link_new(c, fd) : NULL;
    if (!l) {
        if (!c->unix_path || first == 0)
            snprintf(c->why, sizeof c->why, "%s", fd >= 0 ? "out of memory" : strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    l->address = i;
    l->only_h1 = only_h1;
    if (c->tls && tls_connect(&l->conn, c->tls, !c->http1 && !only_h1) < 0) {
        snprintf(c->why, sizeof c->why, "TLS cannot be set up");
        l->given_up = true;
        conn_kill(&l->conn);
        return NULL;
    }
    return l;
}

struct link *client_dial(struct http_client *c, bool only_h1)
{
    return dial_from(c, 0, only_h1);
}

bool client_dial_next(struct link *l)
{
    struct http_client *c = l->client;
    if (c->unix_path || l->address + 1 >= c->n_addresses)
        return false;
    struct link *next = dial_from(c, l->address + 1, l->only_h1);
    if (!next)
        return false;
    while (!list_empty(&l->calls)) {
        struct http_call *k = list_item(l->calls.next, struct http_call, link);
        l->n_calls--;
        call_on(k, next);
    }
    return true;
}
