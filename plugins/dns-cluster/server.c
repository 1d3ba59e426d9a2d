/* server.c - the name server's sockets, on one thread. UDP: one datagram, one answer. TCP: questions one after the other. */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/env.h"
#include "base/list.h"
#include "dns.h"

#define CONNECTIONS_MOST 128
#define IDLE_MS          10000
#define RENEW_MS         (ADDRESS_LIFE_S * 1000 / 3)
#define UDP_MOST         512            /* without EDNS */

struct connection {
    struct handle h;
    struct list link;
    uint8_t *in, *out;                  /* lengths in front */
    size_t in_n, out_n, out_at;
    int64_t deadline_ms;
    bool asked;                         /* a question is with others */
};

struct server {
    struct handle udp, tcp, wake;
    struct zone *zone;
    const struct kl_host *host;
    struct forward *forward;
    struct list connections, closed;    /* closed: freed after the turn, events may still name them */
    unsigned n_connections;
    uint32_t address;
    int64_t renewed_ms;                 /* the address */
    int epoll;
    pthread_t thread;
    bool stopping, running;
};

/* Pods and the node itself; nobody outside may use it. */
static bool may_ask(const struct server *s, const struct sockaddr_in *from)
{
    uint32_t ip = ntohl(from->sin_addr.s_addr);
    return ip == s->address || ip >> 24 == 127 || range_has(s->zone->pod_range, ip);
}

/* --- connections --- */

static void connection_close(struct server *s, struct connection *c)
{
    if (c->h.fd < 0)
        return;
    forward_forget(s->forward, c);
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, c->h.fd, NULL);      /* close alone does not, while a process that is being started has a copy */
    close(c->h.fd);
    c->h.fd = -1;
    list_remove(&c->link);
    list_push(&s->closed, &c->link);
    s->n_connections--;
}

static void free_closed(struct server *s)
{
    struct list *n;
    while ((n = list_pop(&s->closed))) {
        struct connection *c = list_item(n, struct connection, link);
        mem_free(c->in);
        mem_free(c->out);
        mem_free(c);
    }
}

static void want_events(struct server *s, struct connection *c)
{
    struct epoll_event e = { .events = c->out_n > c->out_at ? EPOLLOUT : c->asked ? 0 : EPOLLIN, .data.ptr = &c->h };
    c->deadline_ms = env_mono_ms() + IDLE_MS;
    if (epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->h.fd, &e) < 0)
        connection_close(s, c);
}

static void write_out(struct server *s, struct connection *c)
{
    ssize_t n = send(c->h.fd, c->out + c->out_at, c->out_n - c->out_at, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        connection_close(s, c);
        return;
    }
    c->out_at += n > 0 ? (size_t)n : 0;
    if (c->out_at == c->out_n)
        c->out_at = c->out_n = 0;
    want_events(s, c);
}

void server_reply(struct server *s, const struct asker *who, const uint8_t *at, size_t n)
{
    struct connection *c = who->c;
    if (!c) {
        sendto(s->udp.fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&who->from, sizeof who->from);
        return;
    }
    c->asked = false;
    c->out[0] = (uint8_t)(n >> 8);
    c->out[1] = (uint8_t)n;
    memcpy(c->out + 2, at, n);
    c->out_n = n + 2;
    c->out_at = 0;
    write_out(s, c);
}

/* --- questions --- */

/* False: there is no answer now. */
static bool take(struct server *s, const struct asker *who, const uint8_t *at, size_t n)
{
    uint8_t text[DNS_MESSAGE];
    size_t len = 0;
    enum dns_answer how = dns_answer(s->zone, at, n, who->c ? DNS_MESSAGE : UDP_MOST, text, &len);
    if (how == DNS_REPLY)
        server_reply(s, who, text, len);
    else if (how != DNS_DROP)
        forward_ask(s->forward, who, at, n, how == DNS_CHASE ? text : at, how == DNS_CHASE ? len : n, how == DNS_CHASE);
    return how != DNS_DROP;
}

static void take_next(struct server *s, struct connection *c)
{
    size_t n = (size_t)(c->in[0] << 8 | c->in[1]);
    struct asker who = { .c = c };
    c->asked = true;                    /* until server_reply */
    _cleanup_free_ uint8_t *question = (uint8_t *)mem_dup(c->in + 2, n);
    memmove(c->in, c->in + 2 + n, c->in_n - 2 - n);
    c->in_n -= 2 + n;
    if (!question || !take(s, &who, question, n))
        connection_close(s, c);
    else if (c->h.fd >= 0)
        want_events(s, c);
}

static bool has_question(const struct connection *c)
{
    return c->h.fd >= 0 && !c->asked && !c->out_n && c->in_n >= 2 && c->in_n >= 2 + (size_t)(c->in[0] << 8 | c->in[1]);
}

static void on_connection(struct server *s, struct handle *h, uint32_t events)
{
    struct connection *c = (struct connection *)h;
    if (c->h.fd < 0)
        return;
    if (events & EPOLLOUT) {
        write_out(s, c);
    } else {
        ssize_t n = recv(c->h.fd, c->in + c->in_n, DNS_MESSAGE + 2 - c->in_n, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            connection_close(s, c);
            return;
        }
        c->in_n += n > 0 ? (size_t)n : 0;
    }
    while (has_question(c))
        take_next(s, c);
}

static void on_listener(struct server *s, struct handle *h, uint32_t events)
{
    struct sockaddr_in from;
    socklen_t n = sizeof from;
    int fd = accept4(h->fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    (void)events;
    if (fd < 0)
        return;
    struct connection *c = may_ask(s, &from) && s->n_connections < CONNECTIONS_MOST ? mem_alloc(sizeof *c) : NULL;
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    if (!c) {
        close(fd);
        return;
    }
    c->h = (struct handle){ on_connection, fd };
    c->in = mem_alloc(DNS_MESSAGE + 2);
    c->out = mem_alloc(DNS_MESSAGE + 2);
    c->deadline_ms = env_mono_ms() + IDLE_MS;
    list_push(&s->connections, &c->link);
    s->n_connections++;
    if (!c->in || !c->out || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
        connection_close(s, c);
}

static void on_datagram(struct server *s, struct handle *h, uint32_t events)
{
    uint8_t text[DNS_MESSAGE];
    (void)events;
    for (int i = 0; i < 32; i++) {
        struct asker who = { .c = NULL };
        socklen_t len = sizeof who.from;
        ssize_t n = recvfrom(h->fd, text, sizeof text, MSG_DONTWAIT, (struct sockaddr *)&who.from, &len);
        if (n < 0)
            return;
        if (may_ask(s, &who.from))
            take(s, &who, text, (size_t)n);
    }
}

static void on_wake(struct server *s, struct handle *h, uint32_t events)
{
    (void)h;
    (void)events;
    s->stopping = true;
}

/* --- the thread --- */

static void renew_address(struct server *s, int64_t now)
{
    struct kl_err err;
    if (now - s->renewed_ms < RENEW_MS)
        return;
    s->renewed_ms = now;
    kl_err_init(&err);
    if (address_add(s->address, &err) < 0 && s->host)
        kl_log(s->host, KL_WARN, "%s", err.msg);
}

static void tick(struct server *s)
{
    int64_t now = env_mono_ms();
    renew_address(s, now);
    forward_tick(s->forward, now);
    list_each(n, &s->connections)
    {
        struct connection *c = list_item(n, struct connection, link);
        while (has_question(c))         /* came while another was with others */
            take_next(s, c);
        if (c->h.fd >= 0 && now >= c->deadline_ms && !c->asked)
            connection_close(s, c);
    }
}

static void *run(void *ctx)
{
    struct server *s = ctx;
    struct epoll_event events[64];
    while (!s->stopping) {
        bool waiting = s->n_connections || forward_waiting(s->forward);
        int n = epoll_wait(s->epoll, events, 64, waiting ? 200 : RENEW_MS);
        for (int i = 0; i < n; i++) {
            struct handle *h = events[i].data.ptr;
            h->event(s, h, events[i].events);
        }
        forward_sweep(s->forward);
        tick(s);
        forward_sweep(s->forward);
        free_closed(s);
    }
    return NULL;
}

/* --- begin and end --- */

static int open_socket(struct server *s, struct handle *h, int type, const struct sockaddr_in *at)
{
    int on = 1;
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = h };
    h->fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* REUSEPORT: the process that goes on with ours (keelson restart) listens before we end. */
    if (h->fd < 0 || setsockopt(h->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(h->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 || bind(h->fd, (const struct sockaddr *)at, sizeof *at) < 0 ||
        (type == SOCK_STREAM && listen(h->fd, 128) < 0) || epoll_ctl(s->epoll, EPOLL_CTL_ADD, h->fd, &e) < 0)
        return -errno;
    return 0;
}

int server_start(struct zone *z, const struct kl_host *host, uint32_t address, uint16_t port, const char *resolv_conf, struct server **ret,
                 struct kl_err *err)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(address) } };
    struct server *s = mem_alloc(sizeof *s);
    if (!s)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    *s = (struct server){ .udp = { on_datagram, -1 }, .tcp = { on_listener, -1 }, .wake = { on_wake, eventfd(0, EFD_CLOEXEC) }, .zone = z, .host = host,
                          .address = address, .epoll = epoll_create1(EPOLL_CLOEXEC) };
    list_init(&s->connections);
    list_init(&s->closed);
    s->forward = forward_new(s, s->epoll, resolv_conf, address);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = &s->wake };
    int rc = !s->forward || s->epoll < 0 || s->wake.fd < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->wake.fd, &e) < 0 ? -ENOMEM : 0;
    if (rc == 0)
        rc = open_socket(s, &s->udp, SOCK_DGRAM, &at);
    if (rc == 0)
        rc = open_socket(s, &s->tcp, SOCK_STREAM, &at);
    if (rc == 0) {
        rc = -pthread_create(&s->thread, NULL, run, s);
        s->running = rc == 0;
    }
    if (rc < 0) {
        server_stop(s);
        return kl_err_set(err, KL_UNAVAILABLE, "the name server cannot listen on %s:%d: %s", inet_ntoa(at.sin_addr), port, strerror(-rc));
    }
    *ret = s;
    return 0;
}

bool server_elsewhere(uint32_t address, uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(address) } };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);     /* without REUSEPORT it is refused beside any other */
    bool taken = fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof at) < 0 && errno == EADDRINUSE;
    if (fd >= 0)
        close(fd);
    return taken;
}

void server_stop(struct server *s)
{
    if (!s)
        return;
    uint64_t one = 1;
    if (s->running && write(s->wake.fd, &one, sizeof one) == sizeof one)
        pthread_join(s->thread, NULL);
    list_each(n, &s->connections) connection_close(s, list_item(n, struct connection, link));
    free_closed(s);
    forward_free(s->forward);
    const int fds[] = { s->udp.fd, s->tcp.fd, s->wake.fd, s->epoll };
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    mem_free(s);
}
