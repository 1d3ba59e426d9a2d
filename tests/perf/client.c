/* client.c - connections, streams and counting. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define OUT_ROOM (1 << 20)

struct call {
    double began;
    bool seen;                          /* the first byte has come */
    int status;
    size_t sent, len;
    char *body;
    char path[512];
};

struct conn {
    struct load *load;
    int fd;
    gnutls_session_t tls;
    nghttp2_session *h2;
    char *out;
    size_t out_at, out_len;
    int flying;
    bool want_write;
};

struct load {
    struct load_conf conf;
    struct load_counts counts;
    gnutls_certificate_credentials_t cred;
    int epoll;
    struct conn *conns;
    unsigned next;
    double started;
    uint64_t sent;
    bool failed;
};

double load_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Every '@' of from as seven digits of n, every '#' as the serial number of the request. */
static size_t fill_in(char *to, size_t room, const char *from, size_t len, unsigned n, unsigned serial)
{
    size_t k = 0;
    for (size_t i = 0; i < len && k + 8 < room; i++) {
        if (from[i] == '@' || from[i] == '#')
            k += (size_t)snprintf(to + k, room - k, "%07u", from[i] == '@' ? n : serial);
        else
            to[k++] = from[i];
    }
    to[k] = '\0';
    return k;
}

/* --- nghttp2 --- */

static ssize_t on_send(nghttp2_session *s, const uint8_t *at, size_t n, int flags, void *ctx)
{
    struct conn *c = ctx;
    (void)s;
    (void)flags;
    if (OUT_ROOM - c->out_len < n)
        return NGHTTP2_ERR_WOULDBLOCK;
    memcpy(c->out + c->out_len, at, n);
    c->out_len += n;
    return (ssize_t)n;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *ctx)
{
    struct call *k = nghttp2_session_get_stream_user_data(s, f->hd.stream_id);
    (void)flags;
    (void)ctx;
    if (k && name_len == 7 && memcmp(name, ":status", 7) == 0 && value_len == 3)
        k->status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
    return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *at, size_t n, void *ctx)
{
    struct conn *c = ctx;
    struct load_counts *counts = &c->load->counts;
    struct call *k = nghttp2_session_get_stream_user_data(s, id);
    (void)flags;
    counts->bytes += n;
    if (k && !k->seen) {
        k->seen = true;
        counts->first_byte_us += (uint64_t)((load_clock() - k->began) * 1e6);
        counts->first_bytes++;
    }
    if (c->load->conf.watch)
        for (const uint8_t *p = at; (p = memchr(p, '\n', n - (size_t)(p - at))); p++)
            counts->events++;
    return 0;
}

static void keep_latency(struct load_counts *n, double us)
{
    if (n->n_latency == n->cap_latency) {
        size_t cap = n->cap_latency ? n->cap_latency * 2 : 65536;
        uint32_t *at = cap > (64u << 20) ? NULL : realloc(n->latency_us, cap * sizeof *at);
        if (!at)
            return;
        n->latency_us = at;
        n->cap_latency = cap;
    }
    n->latency_us[n->n_latency++] = (uint32_t)us;
}

static int on_stream_close(nghttp2_session *s, int32_t id, uint32_t code, void *ctx)
{
    struct conn *c = ctx;
    struct call *k = nghttp2_session_get_stream_user_data(s, id);
    struct load_counts *n = &c->load->counts;
    if (!k)
        return 0;
    if (code == 0 && k->status >= 200 && k->status < 300) {
        n->answers++;
        keep_latency(n, (load_clock() - k->began) * 1e6);
    } else {
        n->errors++;
        n->last_error = k->status;
    }
    c->flying--;
    free(k->body);
    free(k);
    return 0;
}

static ssize_t give_body(nghttp2_session *s, int32_t id, uint8_t *at, size_t n, uint32_t *flags, nghttp2_data_source *src, void *ctx)
{
    struct call *k = src->ptr;
    size_t part = k->len - k->sent < n ? k->len - k->sent : n;
    (void)s;
    (void)id;
    (void)ctx;
    memcpy(at, k->body + k->sent, part);
    k->sent += part;
    if (k->sent == k->len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)part;
}

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){ (uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE };
}

static int ask(struct conn *c)
{
    struct load *l = c->load;
    const struct load_conf *k = &l->conf;
    struct call *call = calloc(1, sizeof *call);
    unsigned number = k->first + (k->names ? l->next++ % k->names : l->next++);
    if (!call)
        return -1;
    fill_in(call->path, sizeof call->path, k->path, strlen(k->path), number, l->next);
    nghttp2_nv nv[] = { header(":method", k->method), header(":scheme", "https"), header(":authority", k->address),
                        header(":path", call->path), header("accept", "application/json"), header("content-type", k->type) };
    nghttp2_data_provider body = { .source.ptr = call, .read_callback = give_body };
    if (k->body) {
        call->body = malloc(k->body_len * 2 + 64);
        if (!call->body) {
            free(call);
            return -1;
        }
        call->len = fill_in(call->body, k->body_len * 2 + 64, k->body, k->body_len, number, l->next);
    }
    call->began = load_clock();
    c->flying++;
    l->sent++;
    return nghttp2_submit_request(c->h2, NULL, nv, k->body ? 6 : 5, k->body ? &body : NULL, call) < 0 ? -1 : 0;
}

/* --- a connection --- */

static int flush(struct conn *c)
{
    for (;;) {
        if (nghttp2_session_send(c->h2) < 0)
            return -1;
        if (c->out_at == c->out_len)
            return 0;
        ssize_t n = gnutls_record_send(c->tls, c->out + c->out_at, c->out_len - c->out_at);
        if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
            return 1;
        if (n < 0)
            return -1;
        c->out_at += (size_t)n;
        if (c->out_at == c->out_len)
            c->out_at = c->out_len = 0;
    }
}

static int receive(struct conn *c)
{
    static uint8_t room[64 << 10];
    for (;;) {
        ssize_t n = gnutls_record_recv(c->tls, room, sizeof room);
        if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
            return 0;
        if (n <= 0 || nghttp2_session_mem_recv(c->h2, room, (size_t)n) < 0)
            return -1;
    }
}

static bool allowed(struct load *l)
{
    return !l->conf.rate || (double)l->sent < (load_clock() - l->started) * l->conf.rate;
}

static int work(struct conn *c)
{
    struct load *l = c->load;
    while (c->flying < l->conf.streams && allowed(l))
        if (ask(c) < 0)
            return -1;
    int rc = flush(c);
    bool want = rc == 1;
    if (rc < 0)
        return -1;
    if (want != c->want_write) {
        struct epoll_event e = { .events = EPOLLIN | (want ? EPOLLOUT : 0u), .data.ptr = c };
        epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &e);
        c->want_write = want;
    }
    return 0;
}

static int make_session(struct conn *c)
{
    static const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 4 << 20 },
                                                       { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 } };
    nghttp2_session_callbacks *cb;
    if (nghttp2_session_callbacks_new(&cb))
        return -1;
    nghttp2_session_callbacks_set_send_callback(cb, on_send);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    int rc = nghttp2_session_client_new(&c->h2, cb, c);
    nghttp2_session_callbacks_del(cb);
    if (rc)
        return -1;
    nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, settings, 2);
    return nghttp2_session_set_local_window_size(c->h2, NGHTTP2_FLAG_NONE, 0, 64 << 20);
}

static int dial(struct load *l, struct conn *c)
{
    static const gnutls_datum_t h2 = { (unsigned char *)"h2", 2 };
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)l->conf.port) };
    int one = 1;
    c->load = l;
    c->out = malloc(OUT_ROOM);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!c->out || inet_pton(AF_INET, l->conf.address, &in.sin_addr) != 1 || connect(c->fd, (struct sockaddr *)&in, sizeof in) < 0)
        return -1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL) < 0)
        return -1;
    gnutls_priority_set_direct(c->tls, "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM", NULL);
    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, l->cred);
    gnutls_alpn_set_protocols(c->tls, &h2, 1, 0);
    gnutls_transport_set_int(c->tls, c->fd);
    int rc;
    do
        rc = gnutls_handshake(c->tls);
    while (rc < 0 && !gnutls_error_is_fatal(rc));
    if (rc < 0) {
        if (!l->conf.quiet)
            fprintf(stderr, "handshake: %s\n", gnutls_strerror(rc));
        return -1;
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    return make_session(c) < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e) < 0 ? -1 : 0;
}

static void hang_up(struct conn *c)
{
    if (c->tls)
        gnutls_deinit(c->tls);
    if (c->h2)
        nghttp2_session_del(c->h2);
    if (c->fd > 0)
        close(c->fd);
    free(c->out);
    *c = (struct conn){ 0 };
}

int load_new(const struct load_conf *conf, struct load **ret)
{
    struct load *l = calloc(1, sizeof *l);
    if (!l || !(l->conns = calloc((size_t)conf->connections, sizeof *l->conns)))
        return -1;
    l->conf = *conf;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    gnutls_certificate_allocate_credentials(&l->cred);
    if (conf->cert && gnutls_certificate_set_x509_key_file(l->cred, conf->cert, conf->key, GNUTLS_X509_FMT_PEM) < 0) {
        fprintf(stderr, "'%s' or its key cannot be read\n", conf->cert);
        return -1;
    }
    *ret = l;
    for (int i = 0; i < conf->connections; i++)
        if (dial(l, &l->conns[i]) < 0) {
            if (!conf->quiet)
                fprintf(stderr, "cannot connect to %s:%d: %s\n", conf->address, conf->port, strerror(errno));
            return -1;
        }
    l->started = load_clock();
    return 0;
}

/* One request, its answer, and away: what a handshake costs. */
static int cold_round(struct load *l)
{
    struct conn *c = &l->conns[0];
    hang_up(c);
    if (dial(l, c) < 0 || work(c) < 0)
        return -1;
    while (c->flying) {
        struct epoll_event e;
        if (epoll_wait(l->epoll, &e, 1, 1000) < 1 || receive(c) < 0)
            return -1;
    }
    return 0;
}

int load_run(struct load *l, double seconds)
{
    return load_run_count(l, UINT64_MAX, seconds);
}

int load_run_count(struct load *l, uint64_t answers, double seconds)
{
    double until = load_clock() + seconds;
    l->started = load_clock();
    l->sent = 0;
    while (load_clock() < until && !l->failed && l->counts.answers < answers) {
        struct epoll_event e[64];
        if (l->conf.cold) {
            l->failed = cold_round(l) < 0;
            continue;
        }
        for (int i = 0; i < l->conf.connections && !l->failed; i++)
            l->failed = work(&l->conns[i]) < 0;
        int n = epoll_wait(l->epoll, e, 64, l->conf.rate ? 1 : 20);
        for (int i = 0; i < n && !l->failed; i++) {
            struct conn *c = e[i].data.ptr;
            if (e[i].events & (EPOLLIN | EPOLLHUP))
                l->failed = receive(c) < 0;
        }
    }
    return l->failed ? -1 : 0;
}

struct load_counts *load_counts(struct load *l)
{
    return &l->counts;
}

void load_reset(struct load *l)
{
    free(l->counts.latency_us);
    l->counts = (struct load_counts){ 0 };
}

void load_free(struct load *l)
{
    if (!l)
        return;
    for (int i = 0; i < l->conf.connections; i++)
        hang_up(&l->conns[i]);
    close(l->epoll);
    gnutls_certificate_free_credentials(l->cred);
    free(l->counts.latency_us);
    free(l->conns);
    free(l);
}
