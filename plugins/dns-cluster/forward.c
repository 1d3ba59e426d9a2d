/* forward.c - what is not ours goes to the host's resolvers, the way it came: UDP or TCP. One socket per question, so that each has a port of its own
 * that others would have to guess. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>

#include "base/env.h"
#include "base/list.h"
#include "dns.h"

#define PENDING_MOST 512
#define TRY_MS       2000
#define TRIES        3
#define RESOLVERS    3

struct pending {
    struct handle h;
    struct list link;
    struct forward *f;
    struct asker who;
    uint8_t *asked, *question, *in;     /* in: TCP, length in front */
    size_t asked_n, question_n, in_n;
    int64_t deadline_ms;
    int tries;
    bool alias, sent, over;
};

struct forward {
    struct server *server;
    struct list pending, ended;         /* ended: freed after the turn, events may still name them */
    const char *resolv_conf;
    struct sockaddr_in resolvers[RESOLVERS];
    struct timespec read_at;            /* the file's time */
    int64_t looked_ms;
    uint32_t own;
    unsigned n_resolvers, n_pending;
    int epoll;
};

/* --- whom to ask --- */

static void read_resolvers(struct forward *f)
{
    char line[256], ip[64];
    _cleanup_file_ FILE *file = fopen(f->resolv_conf, "re");
    f->n_resolvers = 0;
    while (file && f->n_resolvers < RESOLVERS && fgets(line, sizeof line, file)) {
        struct sockaddr_in *a = &f->resolvers[f->n_resolvers];
        *a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(53) };
        f->n_resolvers += sscanf(line, "nameserver %63s", ip) == 1 && inet_pton(AF_INET, ip, &a->sin_addr) == 1 && a->sin_addr.s_addr != htonl(f->own);
    }
}

static void look_for_changes(struct forward *f, int64_t now)
{
    struct stat st;
    if (f->looked_ms && now - f->looked_ms < 5000)
        return;
    f->looked_ms = now;
    if (stat(f->resolv_conf, &st) < 0 || (st.st_mtim.tv_sec == f->read_at.tv_sec && st.st_mtim.tv_nsec == f->read_at.tv_nsec))
        return;
    f->read_at = st.st_mtim;
    read_resolvers(f);
}

/* --- one question --- */

static void close_socket(struct pending *p)
{
    if (p->h.fd >= 0) {
        epoll_ctl(p->f->epoll, EPOLL_CTL_DEL, p->h.fd, NULL);   /* close alone does not, while a process that is being started has a copy */
        close(p->h.fd);
    }
    p->h.fd = -1;
    p->sent = false;
    p->in_n = 0;
}

static void end(struct pending *p)
{
    if (p->over)                        /* the reply failed, and with it the connection */
        return;
    p->over = true;
    close_socket(p);
    list_remove(&p->link);
    list_push(&p->f->ended, &p->link);
    p->f->n_pending--;
}

void forward_sweep(struct forward *f)
{
    struct list *n;
    while ((n = list_pop(&f->ended))) {
        struct pending *p = list_item(n, struct pending, link);
        mem_free(p->asked);
        mem_free(p->question);
        mem_free(p->in);
        mem_free(p);
    }
}

bool forward_waiting(const struct forward *f)
{
    return f->n_pending > 0;
}

static void fail(struct pending *p)
{
    uint8_t text[DNS_MESSAGE];
    server_reply(p->f->server, &p->who, text, dns_failure(p->asked, p->asked_n, text));
    end(p);
}

static bool send_question(struct pending *p)
{
    uint8_t head[2] = { (uint8_t)(p->question_n >> 8), (uint8_t)p->question_n };
    if (!p->who.c)
        return send(p->h.fd, p->question, p->question_n, MSG_NOSIGNAL) == (ssize_t)p->question_n;
    struct iovec parts[] = { { head, 2 }, { p->question, p->question_n } };
    struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };
    p->sent = sendmsg(p->h.fd, &m, MSG_NOSIGNAL) == (ssize_t)p->question_n + 2;        /* a new connection has room for it */
    return p->sent;
}

static void on_event(struct server *s, struct handle *h, uint32_t events)
{
    (void)s;
    forward_event(((struct pending *)h)->f, h, events);
}

static bool begin_try(struct pending *p)
{
    struct forward *f = p->f;
    bool tcp = p->who.c != NULL;
    while (p->tries < TRIES && f->n_resolvers) {
        const struct sockaddr_in *to = &f->resolvers[(unsigned)p->tries++ % f->n_resolvers];
        struct epoll_event e = { .events = tcp ? EPOLLOUT | EPOLLIN : EPOLLIN, .data.ptr = &p->h };
        close_socket(p);
        p->h.fd = socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (p->h.fd < 0 || (connect(p->h.fd, (const struct sockaddr *)to, sizeof *to) < 0 && errno != EINPROGRESS) ||
            epoll_ctl(f->epoll, EPOLL_CTL_ADD, p->h.fd, &e) < 0 || (!tcp && !send_question(p)))
            continue;
        p->deadline_ms = env_mono_ms() + TRY_MS;
        return true;
    }
    return false;
}

static void try_next(struct pending *p)
{
    if (!begin_try(p))
        fail(p);
}

void forward_ask(struct forward *f, const struct asker *who, const uint8_t *asked, size_t asked_n, const uint8_t *question, size_t question_n, bool alias)
{
    uint8_t text[DNS_MESSAGE];
    look_for_changes(f, env_mono_ms());
    struct pending *p = f->n_pending < PENDING_MOST ? mem_alloc(sizeof *p) : NULL;
    if (!p) {
        server_reply(f->server, who, text, dns_failure(asked, asked_n, text));
        return;
    }
    *p = (struct pending){ .h = { on_event, -1 }, .f = f, .who = *who, .asked_n = asked_n, .question_n = question_n, .alias = alias };
    list_push(&f->pending, &p->link);
    f->n_pending++;
    p->asked = (uint8_t *)mem_dup(asked, asked_n);
    p->question = (uint8_t *)mem_dup(question, question_n);
    p->in = who->c ? mem_alloc(DNS_MESSAGE + 2) : NULL;
    if (!p->asked || !p->question || (who->c && !p->in)) {
        server_reply(f->server, who, text, dns_failure(asked, asked_n, text));
        end(p);
    } else {
        try_next(p);
    }
}

/* --- answers --- */

/* Is it the answer to what was asked? The question's bytes come back, but for the case of letters. */
static bool is_answer(const struct pending *p, const uint8_t *at, size_t n)
{
    return n >= 12 && n >= p->question_n / 2 && memcmp(at, p->question, 2) == 0 && (at[2] & 0x80);
}

static void give(struct pending *p, const uint8_t *at, size_t n)
{
    uint8_t text[DNS_MESSAGE];
    if (p->alias && !(n = dns_chased(p->asked, p->asked_n, at, n, p->who.c ? DNS_MESSAGE : 512, text))) {
        fail(p);
        return;
    }
    server_reply(p->f->server, &p->who, p->alias ? text : at, n);
    end(p);
}

static void read_udp(struct pending *p)
{
    uint8_t text[DNS_MESSAGE];
    ssize_t n = recv(p->h.fd, text, sizeof text, 0);
    if (n < 0 && errno != EAGAIN)
        try_next(p);                    /* nobody is there */
    else if (n >= 0 && is_answer(p, text, (size_t)n))
        give(p, text, (size_t)n);
}

static void read_tcp(struct pending *p)
{
    ssize_t n = recv(p->h.fd, p->in + p->in_n, DNS_MESSAGE + 2 - p->in_n, 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            try_next(p);
        return;
    }
    p->in_n += (size_t)n;
    size_t want = p->in_n < 2 ? DNS_MESSAGE : (size_t)(p->in[0] << 8 | p->in[1]);
    if (p->in_n < want + 2)
        return;
    if (is_answer(p, p->in + 2, want))
        give(p, p->in + 2, want);
    else
        try_next(p);
}

void forward_event(struct forward *f, void *handle, uint32_t events)
{
    struct pending *p = handle;
    if (p->h.fd < 0)
        return;                         /* ended earlier in this turn */
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = &p->h };
    if (!p->who.c) {
        read_udp(p);
    } else if (!p->sent && events & EPOLLOUT) {
        if (!send_question(p) || epoll_ctl(f->epoll, EPOLL_CTL_MOD, p->h.fd, &e) < 0)
            try_next(p);
    } else {
        read_tcp(p);
    }
}

void forward_tick(struct forward *f, int64_t now)
{
    list_each(n, &f->pending)
    {
        struct pending *p = list_item(n, struct pending, link);
        if (now >= p->deadline_ms)
            try_next(p);
    }
}

void forward_forget(struct forward *f, const struct connection *c)
{
    list_each(n, &f->pending) if (list_item(n, struct pending, link)->who.c == c) end(list_item(n, struct pending, link));
}

struct forward *forward_new(struct server *s, int epoll, const char *resolv_conf, uint32_t own_address)
{
    struct forward *f = mem_alloc(sizeof *f);
    if (!f)
        return NULL;
    *f = (struct forward){ .server = s, .epoll = epoll, .resolv_conf = resolv_conf, .own = own_address };
    list_init(&f->pending);
    list_init(&f->ended);
    return f;
}

void forward_free(struct forward *f)
{
    if (!f)
        return;
    list_each(n, &f->pending) end(list_item(n, struct pending, link));
    forward_sweep(f);
    mem_free(f);
}
