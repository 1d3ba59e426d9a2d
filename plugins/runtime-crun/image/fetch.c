/* fetch.c - see fetch.h. */
#include "image/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/env.h"

#define HEAD_MOST      65536
#define REDIRECTS_MOST 10
#define SLICE_MS       200              /* how often stop is asked */

struct place {
    bool tls;
    char host[256], port[8];
    const char *path;                   /* within the URL; "" is "/" */
};

struct link {
    const struct fetch *f;
    struct kl_err *err;
    int fd;
    gnutls_session_t tls;
    gnutls_certificate_credentials_t creds;
    struct buf in;                      /* read and not used yet, from at */
    size_t at;
    bool end;
};

/* --- bytes --- */

static int wait_for(struct link *l, short events)
{
    for (int64_t until = env_mono_ns() + l->f->stall_ns;;) {
        struct pollfd p = { .fd = l->fd, .events = events };
        int n = poll(&p, 1, SLICE_MS);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return kl_err_set(l->err, KL_INTERNAL, "poll: %s", strerror(errno));
        if (l->f->stop && l->f->stop(l->f->stop_ctx))
            return kl_err_set(l->err, KL_CANCELLED, "cancelled");
        if (env_mono_ns() >= until)
            return kl_err_set(l->err, KL_TIMEOUT, "i/o timeout");
    }
}

static int broken(struct link *l, const char *what, const char *why)
{
    return kl_err_set(l->err, KL_UNAVAILABLE, "%s: %s", what, why);
}

static long read_some(struct link *l, char *to, size_t n)
{
    for (;;) {
        ssize_t got = l->tls ? gnutls_record_recv(l->tls, to, n) : recv(l->fd, to, n, 0);
        if (got >= 0)
            return got;
        bool again = l->tls ? got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED : errno == EAGAIN || errno == EINTR;
        if (l->tls && got == GNUTLS_E_PREMATURE_TERMINATION)
            return 0;
        if (!again)
            return broken(l, "read", l->tls ? gnutls_strerror((int)got) : strerror(errno));
        int rc = wait_for(l, POLLIN);
        if (rc < 0)
            return rc;
    }
}

static int write_all(struct link *l, const char *at, size_t n)
{
    while (n) {
        ssize_t done = l->tls ? gnutls_record_send(l->tls, at, n) : send(l->fd, at, n, MSG_NOSIGNAL);
        if (done >= 0) {
            at += done;
            n -= (size_t)done;
            continue;
        }
        bool again = l->tls ? done == GNUTLS_E_AGAIN || done == GNUTLS_E_INTERRUPTED : errno == EAGAIN || errno == EINTR;
        if (!again)
            return broken(l, "write", l->tls ? gnutls_strerror((int)done) : strerror(errno));
        int rc = wait_for(l, POLLOUT);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* More of the answer into in; l->end when there is none. */
static int fill(struct link *l)
{
    if (l->at == l->in.len)
        l->at = l->in.len = 0;
    char *room = buf_room(&l->in, 65536);
    if (!room)
        return kl_err_set(l->err, KL_NO_MEMORY, "out of memory");
    long n = read_some(l, room, 65536);
    if (n < 0)
        return (int)n;
    l->in.len += (size_t)n;
    l->end = n == 0;
    return 0;
}

/* --- the connection --- */

static int connect_to(struct link *l, const struct addrinfo *ai)
{
    int bad = 0;
    socklen_t n = sizeof bad;
    l->fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol);
    if (l->fd < 0)
        return broken(l, "socket", strerror(errno));
    if (connect(l->fd, ai->ai_addr, ai->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return broken(l, "connect", strerror(errno));
    int rc = wait_for(l, POLLOUT);
    if (rc < 0)
        return rc;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &bad, &n) < 0 || bad)
        return broken(l, "connect", strerror(bad ? bad : errno));
    return 0;
}

static int dial(struct link *l, const struct place *p)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
    int bad = getaddrinfo(p->host, p->port, &hints, &all), rc = -KL_UNAVAILABLE;
    if (bad)
        return kl_err_set(l->err, KL_UNAVAILABLE, "lookup %s: %s", p->host, gai_strerror(bad));
    for (const struct addrinfo *ai = all; ai && rc < 0; ai = ai->ai_next) {
        rc = connect_to(l, ai);
        if (rc < 0 && l->fd >= 0) {
            close(l->fd);
            l->fd = -1;
        }
        if (rc == -KL_CANCELLED)
            break;
    }
    freeaddrinfo(all);
    return rc < 0 ? kl_err_wrap(l->err, "dial tcp %s:%s", p->host, p->port) : 0;
}

static int shake_hands(struct link *l, const struct place *p)
{
    int rc = gnutls_certificate_allocate_credentials(&l->creds);
    if (rc == 0 && gnutls_certificate_set_x509_system_trust(l->creds) < 0 && !l->f->ca_file)
        return broken(l, "tls", "this system trusts no certificate authority");
    if (rc == 0 && l->f->ca_file && gnutls_certificate_set_x509_trust_file(l->creds, l->f->ca_file, GNUTLS_X509_FMT_PEM) < 0)
        return kl_err_set(l->err, KL_INVALID, "'%s' holds no certificate", l->f->ca_file);
    if (rc == 0)
        rc = gnutls_init(&l->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK);
    if (rc == 0)
        rc = gnutls_set_default_priority(l->tls);
    if (rc == 0)
        rc = gnutls_credentials_set(l->tls, GNUTLS_CRD_CERTIFICATE, l->creds);
    if (rc == 0)
        rc = gnutls_server_name_set(l->tls, GNUTLS_NAME_DNS, p->host, strlen(p->host));
    if (rc < 0)
        return broken(l, "tls", gnutls_strerror(rc));
    gnutls_session_set_verify_cert(l->tls, p->host, 0);
    gnutls_transport_set_int(l->tls, l->fd);
    while ((rc = gnutls_handshake(l->tls)) < 0) {
        if (gnutls_error_is_fatal(rc))
            return broken(l, "tls", gnutls_strerror(rc));
        int waited = wait_for(l, gnutls_record_get_direction(l->tls) ? POLLOUT : POLLIN);
        if (waited < 0)
            return waited;
    }
    return 0;
}

static void hang_up(struct link *l)
{
    if (l->tls)
        gnutls_deinit(l->tls);
    if (l->creds)
        gnutls_certificate_free_credentials(l->creds);
    if (l->fd >= 0)
        close(l->fd);
    buf_free(&l->in);
}

/* --- HTTP --- */

static bool parse_url(const char *url, struct place *ret)
{
    const char *rest = strncmp(url, "https://", 8) == 0 ? url + 8 : strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;
    if (!rest)
        return false;
    ret->tls = url[4] == 's';
    size_t n = strcspn(rest, "/?#");
    struct str where = str_n(rest, n), host = where;
    ret->path = rest + n;
    const char *close = where.len && where.at[0] == '[' ? memchr(where.at, ']', where.len) : NULL;
    struct str port = STR_NONE;
    if (close) {
        host = str_n(where.at + 1, (size_t)(close - where.at - 1));
        if (close + 1 < where.at + where.len)
            port = str_n(close + 2, where.len - (size_t)(close + 2 - where.at));
    } else {
        port = where;
        host = str_cut(&port, ':');
    }
    if (!host.len || host.len >= sizeof ret->host || port.len >= sizeof ret->port || memchr(where.at, '@', where.len))
        return false;
    for (const char *c = url; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 127)
            return false;
    snprintf(ret->host, sizeof ret->host, STR_FMT, STR_ARG(host));
    snprintf(ret->port, sizeof ret->port, "%.*s", port.len ? (int)port.len : 3, port.len ? port.at : ret->tls ? "443" : "80");
    return true;
}

static int send_request(struct link *l, const struct place *p, const char *authorization)
{
    _cleanup_buf_ struct buf b = BUF_INIT(HEAD_MOST);
    bool v6 = strchr(p->host, ':') != NULL, usual = strcmp(p->port, p->tls ? "443" : "80") == 0;
    buf_printf(&b, "GET %s%s HTTP/1.1\r\nHost: %s%s%s%s%s\r\nUser-Agent: keelson\r\nConnection: close\r\n", p->path[0] == '/' ? "" : "/", p->path,
               v6 ? "[" : "", p->host, v6 ? "]" : "", usual ? "" : ":", usual ? "" : p->port);
    if (l->f->accept)
        buf_printf(&b, "Accept: %s\r\n", l->f->accept);
    if (authorization)
        buf_printf(&b, "Authorization: %s\r\n", authorization);
    buf_lit(&b, "\r\n");
    return b.failed ? kl_err_set(l->err, KL_TOO_LARGE, "the request is too long") : write_all(l, b.at, b.len);
}

static int read_head(struct link *l, struct str *ret)
{
    const char *end = NULL;
    while (!l->end && !(end = l->in.len > 3 ? memmem(l->in.at, l->in.len, "\r\n\r\n", 4) : NULL)) {
        if (l->in.len > HEAD_MOST)
            return kl_err_set(l->err, KL_INVALID, "the answer's head is too long");
        int rc = fill(l);
        if (rc < 0)
            return rc;
    }
    if (!end)
        return broken(l, "read", "EOF");
    *ret = str_n(l->in.at, (size_t)(end - l->in.at));
    l->at = ret->len + 4;
    return 0;
}

static struct str header(struct str head, const char *name)
{
    str_cut(&head, '\n');
    while (head.at) {
        struct str value = str_trim(str_cut(&head, '\n')), key = str_cut(&value, ':');
        if (value.at && str_eq_nocase(key, str_of(name)))
            return str_trim(value);
    }
    return STR_NONE;
}

/* n bytes of the body, or (n < 0) all up to the end of the connection. */
static int take(struct link *l, int64_t n, int64_t *total)
{
    while (n != 0) {
        if (l->at == l->in.len) {
            int rc = l->end ? 0 : fill(l);
            if (rc < 0)
                return rc;
            if (l->end && l->at == l->in.len)
                return n < 0 ? 0 : broken(l, "read", "unexpected EOF");
        }
        size_t part = l->in.len - l->at;
        if (n >= 0 && (int64_t)part > n)
            part = (size_t)n;
        if ((*total += (int64_t)part) > l->f->most)
            return kl_err_set(l->err, KL_TOO_LARGE, "more than the %lld bytes announced", (long long)l->f->most);
        for (size_t done = 0; l->f->to >= 0 && done < part;) {
            ssize_t w = write(l->f->to, l->in.at + l->at + done, part - done);
            if (w < 0 && errno != EINTR)
                return kl_err_set(l->err, errno == ENOSPC ? KL_STORAGE_FULL : KL_INTERNAL, "cannot write: %s", strerror(errno));
            done += w > 0 ? (size_t)w : 0;
        }
        if (l->f->to < 0 && l->f->body)
            buf_add(l->f->body, l->in.at + l->at, part);
        l->at += part;
        n -= n > 0 ? (int64_t)part : 0;
    }
    return l->f->body && l->f->body->failed ? kl_err_set(l->err, KL_NO_MEMORY, "out of memory") : 0;
}

static int read_line(struct link *l, struct str *ret)
{
    for (;;) {
        const char *end = l->at < l->in.len ? memchr(l->in.at + l->at, '\n', l->in.len - l->at) : NULL;
        if (end) {
            *ret = str_trim(str_n(l->in.at + l->at, (size_t)(end - l->in.at) - l->at));
            l->at = (size_t)(end - l->in.at) + 1;
            return 0;
        }
        if (l->end || l->in.len - l->at > 4096)
            return broken(l, "read", "malformed chunked encoding");
        int rc = fill(l);
        if (rc < 0)
            return rc;
    }
}

static int take_chunks(struct link *l, int64_t *total)
{
    for (;;) {
        struct str line, digits;
        int64_t n = 0;
        int rc = read_line(l, &line);
        digits = rc == 0 ? str_trim(str_cut(&line, ';')) : STR_NONE;
        for (size_t i = 0; i < digits.len; i++) {
            char c = digits.at[i];
            int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
            if (d < 0 || i > 14)
                return broken(l, "read", "malformed chunked encoding");
            n = n * 16 + d;
        }
        if (rc < 0 || !digits.len)
            return rc < 0 ? rc : broken(l, "read", "malformed chunked encoding");
        if (n == 0)
            return 0;
        rc = take(l, n, total);
        if (rc == 0)
            rc = read_line(l, &line);
        if (rc < 0)
            return rc;
    }
}

static int take_body(struct link *l, struct str head)
{
    int64_t n = -1, total = 0;
    struct str length = header(head, "content-length");
    if (str_eq_nocase(header(head, "transfer-encoding"), STR("chunked")))
        return take_chunks(l, &total);
    if (length.len && (!str_int(length, &n) || n < 0))
        return broken(l, "read", "malformed Content-Length");
    return take(l, n, &total);
}

static int exchange(struct arena *a, struct link *l, const struct place *p, const char *authorization, struct fetch_answer *ret, const char **ret_to)
{
    struct str head, line, version, to;
    int64_t status = 0;
    int rc = dial(l, p);
    if (rc == 0 && p->tls)
        rc = shake_hands(l, p);
    if (rc == 0)
        rc = send_request(l, p, authorization);
    if (rc == 0)
        rc = read_head(l, &head);
    if (rc < 0)
        return rc;
    head = arena_str(a, head);          /* the body overwrites it */
    line = head;
    line = str_cut(&line, '\n');
    version = str_cut(&line, ' ');
    if (!str_starts(version, STR("HTTP/1.")) || !str_int(str_n(line.at, line.len < 3 ? line.len : 3), &status))
        return kl_err_set(l->err, KL_INVALID, "malformed HTTP response");
    struct str challenge = header(head, "www-authenticate"), type = header(head, "content-type");
    *ret = (struct fetch_answer){ .status = (int)status, .challenge = challenge.len ? arena_dup(a, challenge) : NULL, .type = arena_dup(a, type) };
    to = header(head, "location");
    if (status >= 301 && status <= 308 && to.len) {
        *ret_to = arena_dup(a, to);
        return *ret_to ? 0 : kl_err_set(l->err, KL_NO_MEMORY, "out of memory");
    }
    return status == 200 ? take_body(l, head) : 0;
}

/* A Location as a URL of its own. */
static const char *absolute(struct arena *a, const struct place *p, const char *to)
{
    bool v6 = strchr(p->host, ':') != NULL;
    return to[0] != '/' ? to : arena_printf(a, "%s://%s%s%s:%s%s", p->tls ? "https" : "http", v6 ? "[" : "", p->host, v6 ? "]" : "", p->port, to);
}

int fetch_get(struct arena *a, const struct fetch *f, struct fetch_answer *ret, struct kl_err *err)
{
    const char *url = f->url, *authorization = f->authorization;
    for (int i = 0; i < REDIRECTS_MOST; i++) {
        struct place p, next;
        struct link l = { .f = f, .err = err, .fd = -1, .in = BUF_INIT(4 * HEAD_MOST) };
        const char *to = NULL;
        if (!parse_url(url, &p))
            return kl_err_set(err, KL_INVALID, "'%.200s' is not a URL that can be asked", url);
        int rc = exchange(a, &l, &p, authorization, ret, &to);
        hang_up(&l);
        if (rc < 0)
            return kl_err_wrap(err, "Get \"%.100s\"", url);
        if (!to)
            return 0;
        url = absolute(a, &p, to);
        if (!url || !parse_url(url, &next) || (p.tls && !next.tls))
            return kl_err_set(err, KL_INVALID, "a redirect leads to '%.200s'", url ? url : "");
        if (strcmp(p.host, next.host) != 0 || strcmp(p.port, next.port) != 0)
            authorization = NULL;
    }
    return kl_err_set(err, KL_UNAVAILABLE, "stopped after %d redirects", REDIRECTS_MOST);
}
