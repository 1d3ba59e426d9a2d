/* netprobe.c - connections of probes: opened, read and written with a time limit, plain or over TLS. */
#include "probes.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#define STEP_NS (200 * NS_PER_MS)           /* how soon the agent's end is seen */

/* 0: ready; else the error, told. */
static int await(struct conn *n, short events, struct kl_err *err)
{
    for (;;) {
        struct pollfd p = { .fd = n->fd, .events = events };
        int64_t left = n->by_ns - agent_mono(n->agent);
        if (left <= 0)
            return kl_err_set(err, KL_TIMEOUT, "i/o timeout");
        if (n->agent->stopping)
            return kl_err_set(err, KL_CANCELLED, "the agent stops");
        int got = poll(&p, 1, (int)((left > STEP_NS ? STEP_NS : left) / NS_PER_MS) + 1);
        if (got > 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return kl_err_set(err, KL_INTERNAL, "poll: %s", strerror(errno));
    }
}

static const char *reason(int number)
{
    return number == ECONNREFUSED  ? "connection refused"
           : number == EHOSTUNREACH ? "no route to host"
           : number == ENETUNREACH  ? "network is unreachable"
           : number == ECONNRESET   ? "connection reset by peer"
                                    : strerror(number);
}

static int dial(struct conn *n, const struct addrinfo *at, struct kl_err *err)
{
    int number = 0;
    socklen_t len = sizeof number;
    n->fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (n->fd < 0)
        return kl_err_set(err, KL_INTERNAL, "socket: %s", strerror(errno));
    int rc = 0;
    if (connect(n->fd, at->ai_addr, at->ai_addrlen) < 0) {
        number = errno;
        if (number == EINPROGRESS && (rc = await(n, POLLOUT, err)) == 0)
            getsockopt(n->fd, SOL_SOCKET, SO_ERROR, &number, &len);
    }
    if (rc == 0 && number && number != EINPROGRESS)
        rc = kl_err_set(err, KL_UNAVAILABLE, "connect: %s", reason(number));
    if (rc < 0) {
        close(n->fd);
        n->fd = -1;
    }
    return rc;
}

int conn_open(struct conn *n, struct agent *a, const char *host, int64_t port, int64_t by_ns, struct kl_err *err)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *found = NULL;
    char text[16];
    *n = (struct conn){ .fd = -1, .by_ns = by_ns, .agent = a };
    snprintf(text, sizeof text, "%lld", (long long)port);
    int rc = getaddrinfo(host, text, &hints, &found);
    if (rc != 0)
        return kl_err_set(err, KL_UNAVAILABLE, "dial tcp: lookup %s: %s", host, gai_strerror(rc));
    rc = dial(n, found, err);
    freeaddrinfo(found);
    return rc < 0 ? kl_err_wrap(err, strchr(host, ':') ? "dial tcp [%s]:%lld" : "dial tcp %s:%lld", host, (long long)port) : 0;
}

/* --- TLS --- */

static bool again(struct conn *n, long rc, struct kl_err *err)
{
    if (rc == GNUTLS_E_INTERRUPTED || (rc == GNUTLS_E_WARNING_ALERT_RECEIVED))
        return true;
    return rc == GNUTLS_E_AGAIN && await(n, gnutls_record_get_direction(n->tls) ? POLLOUT : POLLIN, err) == 0;
}

static int tls_failed(struct kl_err *err, long rc)
{
    return err->code ? -err->code : kl_err_set(err, KL_UNAVAILABLE, "tls: %s", gnutls_strerror((int)rc));
}

int conn_tls(struct conn *n, const char *host, struct kl_err *err)
{
    gnutls_session_t s = NULL;
    gnutls_certificate_credentials_t c = NULL;
    int rc = gnutls_certificate_allocate_credentials(&c);
    n->credentials = c;
    if (rc == 0)
        rc = gnutls_init(&s, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    n->tls = s;
    if (rc == 0)
        rc = gnutls_set_default_priority(s);
    if (rc == 0)
        rc = gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, c);
    if (rc == 0 && !strchr(host, ':') && strspn(host, "0123456789.") != strlen(host))
        rc = gnutls_server_name_set(s, GNUTLS_NAME_DNS, host, strlen(host));
    if (rc != 0)
        return tls_failed(err, rc);
    gnutls_transport_set_int(s, n->fd);
    do
        rc = gnutls_handshake(s);
    while (rc < 0 && again(n, rc, err));
    return rc < 0 ? tls_failed(err, rc) : 0;
}

/* --- bytes --- */

long conn_read(struct conn *n, void *at, size_t most, struct kl_err *err)
{
    for (;;) {
        long got = n->tls ? (long)gnutls_record_recv(n->tls, at, most) : (long)recv(n->fd, at, most, 0);
        if (got >= 0)
            return got;
        if (n->tls && got == GNUTLS_E_PREMATURE_TERMINATION)
            return 0;
        if (n->tls ? again(n, got, err) : (errno == EAGAIN || errno == EINTR) && await(n, POLLIN, err) == 0)
            continue;
        return n->tls ? tls_failed(err, got) : err->code ? -err->code : kl_err_set(err, KL_UNAVAILABLE, "read: %s", reason(errno));
    }
}

int conn_write(struct conn *n, const void *at, size_t len, struct kl_err *err)
{
    for (size_t done = 0; done < len;) {
        const char *p = (const char *)at + done;
        long got = n->tls ? (long)gnutls_record_send(n->tls, p, len - done) : (long)send(n->fd, p, len - done, MSG_NOSIGNAL);
        if (got > 0) {
            done += (size_t)got;
            continue;
        }
        if (n->tls ? again(n, got, err) : (errno == EAGAIN || errno == EINTR) && await(n, POLLOUT, err) == 0)
            continue;
        return n->tls ? tls_failed(err, got) : err->code ? -err->code : kl_err_set(err, KL_UNAVAILABLE, "write: %s", reason(errno));
    }
    return 0;
}

void conn_close(struct conn *n)
{
    if (n->tls)
        gnutls_deinit(n->tls);
    if (n->credentials)
        gnutls_certificate_free_credentials(n->credentials);
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
}
