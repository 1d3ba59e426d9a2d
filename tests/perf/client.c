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
#include <sys/un.h>
#include <unistd.h>

#include "load.h"

#define OUT_ROOM (1 << 20)
#define IN_ROOM  (256 << 10)

struct call {
    double began;
    bool seen;                          /* the first byte has come */
    int status;
    unsigned serial;
    size_t sent, len;
    uint32_t frame_left;                /* of a protobuf frame */
    unsigned frame_head;                /* bytes of its length that have come */
    char *body;
    char path[512];
};

struct conn {
    struct load *load;
    int fd;
    gnutls_session_t tls;
    nghttp2_session *h2;
    char *out, *in;
    size_t out_at, out_len, in_at, in_len;
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
    unsigned serial;                    /* of the first request: another one in each run, or a change would change nothing */
    double started;
    uint64_t sent;
    bool failed, frames, stopped;
};

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
    if (!k || name_len != 7 || memcmp(name, ":status", 7) != 0 || value_len != 3)
        return 0;
    ((struct conn *)ctx)->load->counts.heads++;
    k->status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
    return 0;
}

/* Deliveries: one that two DATA frames share is not seen. */
static void find_stamps(struct load *l, const uint8_t *at, size_t n)
{
    const size_t len = sizeof LOAD_STAMP - 1;
    const uint8_t *end = at + n;
    double now = 0;
    while (end - at > (long)len + 7 && (at = memmem(at, (size_t)(end - at) - 7, LOAD_STAMP, len))) {
        unsigned long serial = strtoul((char[]){ (char)at[len], (char)at[len + 1], (char)at[len + 2], (char)at[len + 3], (char)at[len + 4],
                                                 (char)at[len + 5], (char)at[len + 6], 0 }, NULL, 10);
        now = now ? now : load_clock();
        double began = l->conf.stamps->at[serial % l->conf.stamps->n];
        if (began > 0)
            load_keep(&l->counts, (now - began) * 1e6);
        at += len;
    }
}

/* Four bytes of length in front of each. */
static void count_frames(struct load_counts *counts, struct call *k, const uint8_t *at, size_t n)
{
    while (n) {
        if (k->frame_head < 4) {
            k->frame_left = k->frame_left << 8 | *at++;
            k->frame_head++;
            n--;
            continue;
        }
        size_t part = k->frame_left < n ? k->frame_left : n;
        at += part;
        n -= part;
        k->frame_left -= (uint32_t)part;
        if (!k->frame_left) {
            k->frame_head = 0;
            counts->events++;
        }
    }
}

static void count_events(struct load *l, struct call *k, const uint8_t *at, size_t n)
{
    if (l->conf.stamps)
        find_stamps(l, at, n);
    if (l->frames)
        count_frames(&l->counts, k, at, n);
    else
        for (const uint8_t *p = at; (p = memchr(p, '\n', n - (size_t)(p - at))); p++)
            l->counts.events++;
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
    if (k && c->load->conf.watch)
        count_events(c->load, k, at, n);
    return 0;
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
        if (c->load->conf.stamps)
            c->load->conf.stamps->at[k->serial % c->load->conf.stamps->n] = load_clock();
        load_keep(n, (load_clock() - k->began) * 1e6);
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
    unsigned serial = l->serial + l->next;
    fill_in(call->path, sizeof call->path, k->path, strlen(k->path), number, serial);
    /* Who asks, where no certificate tells (kernel/http/relay.c): 127.0.0.1, t, its address again, three texts of a certificate, the administrator's name, his group. */
    static const char peer[] = "MTI3LjAuMC4x.dA.MTI3LjAuMC4x...a3ViZXJuZXRlcy1hZG1pbg.c3lzdGVtOm1hc3RlcnM";
    nghttp2_nv nv[] = { header(":method", k->method), header(":scheme", "https"), header(":authority", k->address), header(":path", call->path),
                        header("accept", k->accept), k->relay ? header("x-keelson-peer", peer) : header("user-agent", "perf_load"), header("content-type", k->type) };
    nghttp2_data_provider body = { .source.ptr = call, .read_callback = give_body };
    if (k->body) {
        call->body = malloc(k->body_len * 2 + 64);
        if (!call->body) {
            free(call);
            return -1;
        }
        call->len = fill_in(call->body, k->body_len * 2 + 64, k->body, k->body_len, number, serial);
    }
    call->serial = serial;
    call->began = load_clock();
    if (k->stamps && !k->watch)
        k->stamps->at[serial % k->stamps->n] = call->began;
    c->flying++;
    l->sent++;
    return nghttp2_submit_request(c->h2, NULL, nv, k->body ? 7 : 6, k->body ? &body : NULL, call) < 0 ? -1 : 0;
}

/* --- a connection --- */

/* Bytes; 0: not now; < 0: it is over. */
static ssize_t put(struct conn *c, const char *at, size_t n)
{
    ssize_t done = c->tls ? gnutls_record_send(c->tls, at, n) : send(c->fd, at, n, MSG_NOSIGNAL);
    bool later = c->tls ? done == GNUTLS_E_AGAIN || done == GNUTLS_E_INTERRUPTED : done < 0 && (errno == EAGAIN || errno == EINTR);
    return later ? 0 : done ? done : -1;
}

static ssize_t get(struct conn *c, void *at, size_t n)
{
    ssize_t done = c->tls ? gnutls_record_recv(c->tls, at, n) : recv(c->fd, at, n, 0);
    bool later = c->tls ? done == GNUTLS_E_AGAIN || done == GNUTLS_E_INTERRUPTED : done < 0 && (errno == EAGAIN || errno == EINTR);
    return later ? 0 : done ? done : -1;
}

static int flush(struct conn *c)
{
    for (;;) {
        if (nghttp2_session_send(c->h2) < 0)
            return -1;
        if (c->out_at == c->out_len)
            return 0;
        ssize_t n = put(c, c->out + c->out_at, c->out_len - c->out_at);
        if (n <= 0)
            return n < 0 ? -1 : 1;
        c->out_at += (size_t)n;
        if (c->out_at == c->out_len)
            c->out_at = c->out_len = 0;
    }
}

/* GnuTLS would ask for five bytes, then for the rest of each record. */
static ssize_t pull(gnutls_transport_ptr_t p, void *at, size_t n)
{
    struct conn *c = p;
    if (c->in_at == c->in_len) {
        ssize_t got = recv(c->fd, c->in, IN_ROOM, 0);
        if (got <= 0)
            return got;
        c->in_at = 0;
        c->in_len = (size_t)got;
    }
    n = n < c->in_len - c->in_at ? n : c->in_len - c->in_at;
    memcpy(at, c->in + c->in_at, n);
    c->in_at += n;
    return (ssize_t)n;
}

static int pull_ready(gnutls_transport_ptr_t p, unsigned ms)
{
    (void)p;
    (void)ms;
    return 1;
}

static int receive(struct conn *c)
{
    static uint8_t room[64 << 10];
    for (;;) {
        ssize_t n = get(c, room, sizeof room);
        if (n == 0)
            return 0;
        if (n < 0 || nghttp2_session_mem_recv(c->h2, room, (size_t)n) < 0)
            return -1;
    }
}

static bool allowed(struct load *l)
{
    return !l->stopped && (!l->conf.rate || (double)l->sent < (load_clock() - l->started) * l->conf.rate);
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

static int connect_tcp(struct load *l)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)l->conf.port) };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (inet_pton(AF_INET, l->conf.address, &in.sin_addr) == 1 && connect(fd, (struct sockaddr *)&in, sizeof in) == 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        return fd;
    }
    close(fd);
    return -1;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
        return fd;
    close(fd);
    return -1;
}

static int shake_hands(struct load *l, struct conn *c)
{
    static const gnutls_datum_t h2 = { (unsigned char *)"h2", 2 };
    if (gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL) < 0)
        return -1;
    gnutls_priority_set_direct(c->tls, "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM", NULL);
    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, l->cred);
    gnutls_alpn_set_protocols(c->tls, &h2, 1, 0);
    gnutls_transport_set_int(c->tls, c->fd);
    gnutls_transport_set_ptr2(c->tls, c, (gnutls_transport_ptr_t)(intptr_t)c->fd);
    gnutls_transport_set_pull_function(c->tls, pull);
    gnutls_transport_set_pull_timeout_function(c->tls, pull_ready);
    int rc;
    do
        rc = gnutls_handshake(c->tls);
    while (rc < 0 && !gnutls_error_is_fatal(rc));
    if (rc < 0) {
        if (!l->conf.quiet)
            fprintf(stderr, "handshake: %s\n", gnutls_strerror(rc));
        return -1;
    }
    return 0;
}

static int dial(struct load *l, struct conn *c)
{
    c->load = l;
    c->out = malloc(OUT_ROOM);
    c->in = malloc(IN_ROOM);
    c->fd = l->conf.relay ? connect_unix(l->conf.relay) : connect_tcp(l);
    if (!c->out || !c->in || c->fd < 0 || (!l->conf.relay && shake_hands(l, c) < 0))
        return -1;
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
    free(c->in);
    *c = (struct conn){ 0 };
}

int load_new(const struct load_conf *conf, struct load **ret)
{
    struct load *l = calloc(1, sizeof *l);
    if (!l || !(l->conns = calloc((size_t)conf->connections, sizeof *l->conns)))
        return -1;
    l->conf = *conf;
    if (!l->conf.accept)
        l->conf.accept = "application/json";
    l->frames = strstr(l->conf.accept, "protobuf") != NULL;
    l->serial = (unsigned)((uint64_t)(load_clock() * 1e4) % 8000000);
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

int load_turn(struct load *l, int wait_ms)
{
    struct epoll_event e[64];
    if (l->conf.cold)
        return cold_round(l);
    for (int i = 0; i < l->conf.connections; i++)
        if (work(&l->conns[i]) < 0)
            return -1;
    int n = epoll_wait(l->epoll, e, 64, wait_ms);
    for (int i = 0; i < n; i++)
        if (e[i].events & (EPOLLIN | EPOLLHUP) && receive(e[i].data.ptr) < 0)
            return -1;
    return 0;
}

int load_run(struct load *l, double seconds)
{
    return load_run_count(l, UINT64_MAX, seconds);
}

void load_begin(struct load *l)
{
    l->started = load_clock();
    l->sent = 0;
}

void load_stop(struct load *l)
{
    l->stopped = true;
}

unsigned load_flying(const struct load *l)
{
    unsigned n = 0;
    for (int i = 0; i < l->conf.connections; i++)
        n += (unsigned)l->conns[i].flying;
    return n;
}

int load_fd(const struct load *l)
{
    return l->epoll;
}

int load_run_count(struct load *l, uint64_t answers, double seconds)
{
    double until = load_clock() + seconds;
    load_begin(l);
    while (load_clock() < until && !l->failed && l->counts.answers < answers)
        l->failed = load_turn(l, l->conf.rate ? 1 : 20) < 0;
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
