/* health.c - ports at which load balancers in front of the nodes ask: whether this one has endpoints of a Service (spec.healthCheckNodePort), and whether its proxy is
 * well. One thread over poll: a question, its answer, the end. Who does not ask in time gets none. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/list.h"
#include "health.h"

#define CONNECTIONS_MOST 64
#define PATIENCE_MS      5000
#define ASKED_MOST       4096           /* of what is asked, which nobody reads */

struct check {
    struct list link;
    int64_t endpoints;
    int port, fd;                       /* fd -1: the port is somebody else's */
    bool seen;                          /* in the whole state that is being taken */
    char name[];                        /* "namespace/name", or PROXY, STATUS */
};

/* What no Service is called. */
#define PROXY  "/proxy"
#define STATUS "/status"

struct connection {
    int64_t deadline_ms;
    int fd, port;
    size_t asked;
    unsigned ends;                      /* of the empty line behind the head, this many bytes have come */
    char head[80];                      /* how it began */
};

struct health {
    const struct kl_host *host;
    pthread_mutex_t lock;               /* all above `wake` */
    struct list checks;
    const struct health_ports *ports;
    int64_t well_ms;                    /* when the proxy was last */
    bool well, eligible;
    char mode[64];
    int wake;
    pthread_t thread;
    bool running, stopping;
};

/* --- the thread: connections --- */

/* With the lock held. */
static const struct check *at_port(const struct health *h, int port)
{
    list_each(n, &h->checks)
        if (list_item(n, struct check, link)->port == port)
            return list_item(n, struct check, link);
    return NULL;
}

/* With the lock held. */
static void compose(const struct health *h, const struct check *k, struct str path, struct answer *r)
{
    struct proxy_state p = { .stale_ns = h->well ? 0 : (env_mono_ms() - h->well_ms) * NS_PER_MS, .eligible = h->eligible };
    p.healthy = p.stale_ns < PROXY_PATIENCE_NS;
    if (!k)
        answer_none(r);
    else if (strcmp(k->name, PROXY) == 0)
        answer_proxy(r, path, &p);
    else if (strcmp(k->name, STATUS) == 0)
        answer_status(r, path, h->mode);
    else
        answer_service(r, k->name, k->endpoints, p.healthy);
}

static void reply(struct health *h, const struct connection *c)
{
    struct answer r = { .more = "" };
    struct str rest = str_of(c->head), path;
    char head[400];
    str_cut(&rest, ' ');
    path = str_cut(&rest, ' ');
    pthread_mutex_lock(&h->lock);
    compose(h, at_port(h, c->port), str_cut(&path, '?'), &r);
    pthread_mutex_unlock(&h->lock);
    snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Type: %s\r\nX-Content-Type-Options: nosniff\r\n%sContent-Length: %zu\r\nConnection: close\r\n\r\n", r.status, r.type,
             r.more, strlen(r.body));
    if (send(c->fd, head, strlen(head), MSG_NOSIGNAL | MSG_MORE) > 0)
        (void)!send(c->fd, r.body, strlen(r.body), MSG_NOSIGNAL);
}

/* True: it is over. */
static bool hear(struct health *h, struct connection *c)
{
    char in[1024];
    ssize_t n = recv(c->fd, in, sizeof in, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    for (ssize_t i = 0; i < n && c->asked + (size_t)i < sizeof c->head - 1; i++)
        c->head[c->asked + (size_t)i] = in[i];
    if (n <= 0 || (c->asked += (size_t)n) > ASKED_MOST)
        return true;
    for (ssize_t i = 0; i < n && c->ends < 4; i++)
        c->ends = in[i] == "\r\n\r\n"[c->ends] ? c->ends + 1 : in[i] == '\r';
    if (c->ends < 4)
        return false;
    reply(h, c);
    shutdown(c->fd, SHUT_WR);
    return true;
}

/* The port's socket may have been closed since it was waited for. */
static void welcome(struct health *h, int port, struct connection *all, unsigned *n)
{
    pthread_mutex_lock(&h->lock);
    const struct check *k = at_port(h, port);
    int at = k && k->fd >= 0 ? accept4(k->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
    pthread_mutex_unlock(&h->lock);
    if (at < 0)
        return;
    if (*n == CONNECTIONS_MOST) {       /* the oldest has waited longest for nothing */
        close(all[0].fd);
        memmove(all, all + 1, --*n * sizeof *all);
    }
    all[(*n)++] = (struct connection){ .fd = at, .port = port, .deadline_ms = env_mono_ms() + PATIENCE_MS };
}

static void serve_connections(struct health *h, struct connection *all, unsigned *n, const struct pollfd *p)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < *n; i++)
        if ((p[i].revents && hear(h, &all[i])) || env_mono_ms() >= all[i].deadline_ms)
            close(all[i].fd);
        else
            all[kept++] = all[i];
    *n = kept;
}

/* What a turn waits for: the wake-up, connections, then the ports, which may be others at the next turn. */
static struct pollfd *turn_of(struct health *h, const struct connection *all, unsigned n, unsigned *count, int **ports)
{
    unsigned m = 0;
    pthread_mutex_lock(&h->lock);
    list_each(x, &h->checks) m++;
    struct pollfd *p = mem_alloc((1 + n + m) * sizeof *p);
    *ports = mem_alloc((1 + m) * sizeof **ports);
    *count = 0;
    if (p && *ports) {
        p[(*count)++] = (struct pollfd){ h->wake, POLLIN, 0 };
        for (unsigned i = 0; i < n; i++)
            p[(*count)++] = (struct pollfd){ all[i].fd, POLLIN, 0 };
        m = 0;
        list_each(x, &h->checks)
        {
            const struct check *k = list_item(x, struct check, link);
            (*ports)[m++] = k->port;
            p[(*count)++] = (struct pollfd){ k->fd, POLLIN, 0 };
        }
    }
    pthread_mutex_unlock(&h->lock);
    return p;
}

static void turn(struct health *h, struct connection *all, unsigned *n)
{
    unsigned count, had = *n;
    uint64_t woken;
    int *ports;
    struct pollfd *p = turn_of(h, all, *n, &count, &ports);
    if (!count)
        sleep(1);                       /* out of memory */
    else if (poll(p, count, had ? 1000 : -1) >= 0) {
        if (p[0].revents)
            (void)!read(h->wake, &woken, sizeof woken);
        serve_connections(h, all, n, p + 1);
        for (unsigned i = 1 + had; i < count; i++)
            if (p[i].revents)
                welcome(h, ports[i - 1 - had], all, n);
    }
    mem_free(p);
    mem_free(ports);
}

static void *health_thread(void *ctx)
{
    struct connection all[CONNECTIONS_MOST];
    struct health *h = ctx;
    unsigned n = 0;
    while (!__atomic_load_n(&h->stopping, __ATOMIC_ACQUIRE))
        turn(h, all, &n);
    while (n)
        close(all[--n].fd);
    return NULL;
}

/* --- what is wanted --- */

static void wake(struct health *h)
{
    const uint64_t one = 1;
    (void)!write(h->wake, &one, sizeof one);
}

/* A process that takes over listens before this one ends. */
static int listen_at(int port, uint32_t address)
{
    const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = { htonl(address) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) == 0 &&
        bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 16) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static void drop(struct check *k)
{
    list_remove(&k->link);
    if (k->fd >= 0)
        close(k->fd);
    mem_free(k);
}

static struct check *find(struct health *h, const char *name)
{
    list_each(n, &h->checks)
        if (strcmp(list_item(n, struct check, link)->name, name) == 0)
            return list_item(n, struct check, link);
    return NULL;
}

static struct check *add(struct health *h, const char *name, int port, uint32_t address)
{
    struct check *k = mem_alloc(sizeof *k + strlen(name) + 1);
    if (!k)
        return NULL;
    memcpy(k->name, name, strlen(name));
    k->port = port;
    k->fd = listen_at(port, address);
    if (k->fd < 0)
        kl_log(h->host, KL_WARN, "nobody hears at port %d who asks for the health of '%s': %s", port, name, strerror(errno));
    list_push(&h->checks, &k->link);
    return k;
}

static void take_one(struct health *h, const struct val *service, const struct val *wanted)
{
    char name[600];
    snprintf(name, sizeof name, STR_FMT "/" STR_FMT, STR_ARG(json_str(service, "namespace")), STR_ARG(json_str(service, "name")));
    int port = (int)json_int(wanted, "port", 0);
    struct check *k = find(h, name);
    if (k && k->port != port) {
        drop(k);
        k = NULL;
    }
    if (port && !k)
        k = add(h, name, port, INADDR_ANY);
    if (!k)
        return;
    k->seen = true;
    k->endpoints = json_int(wanted, "endpoints", 0);
}

static void start_thread(struct health *h)
{
    if (!h->running && !list_empty(&h->checks))
        h->running = pthread_create(&h->thread, NULL, health_thread, h) == 0;
}

void health_take(struct health *h, struct val *services, const struct val *removed, bool whole)
{
    pthread_mutex_lock(&h->lock);
    list_each(n, &h->checks) list_item(n, struct check, link)->seen = !whole || list_item(n, struct check, link)->name[0] == '/';
    if (services)
        val_each(s, services) {
            take_one(h, s, json_get(s, STR("healthCheck")));
            json_del(s, STR("healthCheck"));
        }
    if (removed)
        val_each(s, removed) take_one(h, s, NULL);
    list_each(n, &h->checks)
        if (!list_item(n, struct check, link)->seen)
            drop(list_item(n, struct check, link));
    start_thread(h);
    pthread_mutex_unlock(&h->lock);
    wake(h);
}

void health_proxy(struct health *h, bool well, bool eligible, const char *mode)
{
    pthread_mutex_lock(&h->lock);
    h->well = well;
    h->eligible = eligible;
    if (well)
        h->well_ms = env_mono_ms();
    if (mode)
        snprintf(h->mode, sizeof h->mode, "%s", mode);
    if (h->ports->health && !find(h, PROXY))
        add(h, PROXY, (int)h->ports->health, INADDR_ANY);
    if (h->ports->status && !find(h, STATUS))
        add(h, STATUS, (int)h->ports->status, INADDR_LOOPBACK);
    start_thread(h);
    pthread_mutex_unlock(&h->lock);
}

struct health *health_new(const struct kl_host *host, const struct health_ports *ports)
{
    struct health *h = mem_alloc(sizeof *h);
    if (!h)
        return NULL;
    h->host = host;
    h->ports = ports;
    h->well_ms = env_mono_ms();
    h->well = true;
    list_init(&h->checks);
    pthread_mutex_init(&h->lock, NULL);
    h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return h;
}

void health_free(struct health *h)
{
    if (!h)
        return;
    __atomic_store_n(&h->stopping, true, __ATOMIC_RELEASE);
    wake(h);
    if (h->running)
        pthread_join(h->thread, NULL);
    list_each(n, &h->checks) drop(list_item(n, struct check, link));
    close(h->wake);
    pthread_mutex_destroy(&h->lock);
    mem_free(h);
}
