/* tls.c - GnuTLS under a connection: TLS 1.2 and 1.3, ALPN, client certificates that are verified when they are shown. One that is not good
 * is no reason to hang up: whoever shows it is told so by the API (401), or is known to somebody who trusts another CA (a front proxy). */
#include <errno.h>
#include <gnutls/x509.h>
#include <sys/socket.h>

#include "http-internal.h"

struct tls_server {
    struct tls_shared shared;           /* first */
    gnutls_certificate_credentials_t cred;
    gnutls_priority_t priority;
    bool ask;
};

static int tls_fail(struct kl_err *err, const char *what, const char *file, int rc)
{
    return kl_err_set(err, KL_INVALID, "%s '%s': %s", what, file, gnutls_strerror(rc));
}

static gnutls_datum_t datum(struct str s)
{
    return (gnutls_datum_t){ (unsigned char *)(uintptr_t)s.at, (unsigned)s.len };
}

static int set_identity(struct tls_server *t, const struct http_conf *c, struct kl_err *err)
{
    gnutls_datum_t cert = datum(c->cert), key = datum(c->key);
    int rc = c->cert.at ? gnutls_certificate_set_x509_key_mem(t->cred, &cert, &key, GNUTLS_X509_FMT_PEM)
                        : gnutls_certificate_set_x509_key_file(t->cred, c->cert_file, c->key_file, GNUTLS_X509_FMT_PEM);
    return rc < 0 ? tls_fail(err, "server certificate", c->cert.at ? "" : c->cert_file, rc) : 0;
}

static int set_client_ca(struct tls_server *t, const struct http_conf *c, struct kl_err *err)
{
    gnutls_datum_t ca = datum(c->client_ca);
    if (!c->client_ca.at && !c->client_ca_file)
        return 0;
    int rc = c->client_ca.at ? gnutls_certificate_set_x509_trust_mem(t->cred, &ca, GNUTLS_X509_FMT_PEM)
                             : gnutls_certificate_set_x509_trust_file(t->cred, c->client_ca_file, GNUTLS_X509_FMT_PEM);
    if (rc <= 0)
        return tls_fail(err, "client CA", c->client_ca.at ? "" : c->client_ca_file, rc < 0 ? rc : GNUTLS_E_NO_CERTIFICATE_FOUND);
    gnutls_certificate_set_verify_limits(t->cred, 16384, 4);
    t->ask = true;
    return 0;
}

static void server_free(struct tls_shared *s)
{
    struct tls_server *t = (struct tls_server *)s;
    gnutls_certificate_free_credentials(t->cred);
    gnutls_priority_deinit(t->priority);
    mem_free(t);
}

int tls_server_new(const struct http_conf *c, struct tls_server **ret, struct kl_err *err)
{
    struct tls_server *t = mem_alloc(sizeof *t);
    int rc = t ? gnutls_certificate_allocate_credentials(&t->cred) : GNUTLS_E_MEMORY_ERROR;
    if (rc >= 0)
        rc = gnutls_priority_init(&t->priority, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:"
                                  "+CHACHA20-POLY1305:%SERVER_PRECEDENCE:%NO_TICKETS", NULL);
    if (rc < 0) {
        mem_free(t);
        return tls_fail(err, "TLS", "", rc);
    }
    t->shared = (struct tls_shared){ 1, server_free };
    rc = set_identity(t, c, err);
    if (rc == 0)
        rc = set_client_ca(t, c, err);
    if (rc < 0) {
        tls_server_free(t);
        return rc;
    }
    *ret = t;
    return 0;
}

void tls_server_free(struct tls_server *t)
{
    if (t)
        tls_shared_unref(&t->shared);
}

static ssize_t push(gnutls_transport_ptr_t p, const void *at, size_t n)
{
    struct conn *c = p;
    buf_add(&c->wire, at, n);
    if (!c->wire.failed)
        return (ssize_t)n;
    gnutls_transport_set_errno(c->tls, ENOMEM);
    return -1;
}

static ssize_t pull(gnutls_transport_ptr_t p, void *at, size_t n)
{
    struct conn *c = p;
    ssize_t got = recv(c->fd, at, n, 0);
    if (got < 0)
        gnutls_transport_set_errno(c->tls, errno);
    return got;
}

static int pull_ready(gnutls_transport_ptr_t p, unsigned ms)
{
    (void)p;
    (void)ms;
    return 1;
}

void tls_attach(struct conn *c)
{
    gnutls_transport_set_ptr(c->tls, c);
    gnutls_transport_set_push_function(c->tls, push);
    gnutls_transport_set_pull_function(c->tls, pull);
    gnutls_transport_set_pull_timeout_function(c->tls, pull_ready);
}

/* Signed by the client CA, in its time, and made for clients. */
static bool vouched_for(gnutls_session_t s)
{
    gnutls_typed_vdata_st purpose = { .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT };
    unsigned status = 0;
    return gnutls_certificate_verify_peers(s, &purpose, 1, &status) >= 0 && !status;
}

int tls_accept(struct conn *c)
{
    static const gnutls_datum_t protocols[] = { { (unsigned char *)"h2", 2 }, { (unsigned char *)"http/1.1", 8 } };
    struct tls_server *t = c->server->tls;
    if (gnutls_init(&c->tls, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
        return -1;
    c->tls_of = &t->shared;
    t->shared.refs++;
    gnutls_priority_set(c->tls, t->priority);
    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, t->cred);
    gnutls_alpn_set_protocols(c->tls, protocols, 2, GNUTLS_ALPN_SERVER_PRECEDENCE);
    if (t->ask) {
        gnutls_certificate_server_set_request(c->tls, GNUTLS_CERT_REQUEST);
        gnutls_certificate_send_x509_rdn_sequence(c->tls, 1);       /* no list of CAs: a client shows what it has */
    }
    tls_attach(c);
    return 0;
}

/* The i-th part of that kind. 1, 0: there is none, < 0: it cannot be taken as it is. */
static int dn_part(struct buf *b, gnutls_x509_crt_t crt, const char *oid, unsigned i, struct str *ret)
{
    char text[1024];
    size_t n = sizeof text;
    int rc = gnutls_x509_crt_get_dn_by_oid(crt, oid, i, 0, text, &n);
    if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return 0;
    if (rc < 0 || memchr(text, '\0', n))
        return -1;                      /* a NUL in a name is a name that means two things */
    size_t at = b->len;
    buf_add(b, text, n);
    *ret = str_n((const char *)at, n);  /* an offset until the buffer is final */
    return b->failed ? -1 : 1;
}

#define ORGS_MOST 2048u

/* The last common name counts, and every organization. False: somebody who cannot be told whole is nobody. */
static bool read_subject(struct conn *c, gnutls_x509_crt_t crt, struct buf *b)
{
    struct str part;
    int rc = 1;
    for (unsigned i = 0; (rc = dn_part(b, crt, GNUTLS_OID_X520_COMMON_NAME, i, &part)) > 0; i++)
        c->peer.cert_cn = part;
    if (rc < 0 || !(c->orgs = mem_alloc(ORGS_MOST * sizeof *c->orgs)))
        return false;
    unsigned n = 0;
    while (n < ORGS_MOST && (rc = dn_part(b, crt, GNUTLS_OID_X520_ORGANIZATION_NAME, n, &part)) > 0)
        c->orgs[n++] = part;
    c->peer.n_cert_orgs = n;
    struct str *fit = mem_resize(c->orgs, (n + 1) * sizeof *fit);        /* a connection lasts long */
    c->orgs = fit ? fit : c->orgs;
    return rc == 0;
}

static void settle(struct str *s, const char *base)
{
    if (s->len)
        s->at = base + (size_t)s->at;
}

static void read_unknown(struct conn *c, const gnutls_datum_t *der)
{
    struct buf b = BUF_INIT(128 << 10);
    buf_add(&b, der->data, der->size);
    c->peer_text = buf_take(&b, NULL);
    c->peer.cert_shown = str_n(c->peer_text, c->peer_text ? der->size : 0);
}

/* Subject of the verified client certificate. */
static void read_peer(struct conn *c)
{
    unsigned n = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(c->tls, &n);
    gnutls_x509_crt_t crt;
    struct buf b = BUF_INIT(128 << 10);
    if (chain && n && !vouched_for(c->tls)) {
        read_unknown(c, &chain[0]);
        return;
    }
    if (!chain || !n || gnutls_x509_crt_init(&crt) < 0)
        return;
    bool whole = gnutls_x509_crt_import(crt, &chain[0], GNUTLS_X509_FMT_DER) >= 0 && read_subject(c, crt, &b);
    size_t der = b.len;
    buf_add(&b, chain[0].data, chain[0].size);
    whole &= !b.failed;
    c->peer_text = buf_take(&b, NULL);
    if (whole && c->peer_text) {
        settle(&c->peer.cert_cn, c->peer_text);
        for (unsigned i = 0; i < c->peer.n_cert_orgs; i++)
            settle(&c->orgs[i], c->peer_text);
        c->peer.cert_der = str_n(c->peer_text + der, chain[0].size);
        c->peer.cert_orgs = c->orgs;
    } else {
        c->peer = (struct http_peer){ .address = c->peer.address, .tls = true };
        c->peer.cert_shown = c->peer_text ? str_n(c->peer_text + der, chain[0].size) : STR("?");
    }
    gnutls_x509_crt_deinit(crt);
}

/* In words that name the cause: what is wrong with the certificate, or what the other side complained about. */
static void note_failure(struct conn *c, int rc)
{
    gnutls_datum_t text = { NULL, 0 };
    unsigned status = gnutls_session_get_verify_cert_status(c->tls);
    if (rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR && gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) >= 0)
        snprintf(c->why, sizeof c->why, "%s", text.data);
    else if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED)
        snprintf(c->why, sizeof c->why, "the other side says: %s", gnutls_alert_get_name(gnutls_alert_get(c->tls)));
    else
        snprintf(c->why, sizeof c->why, "%s", gnutls_strerror(rc));
    gnutls_free(text.data);
}

int tls_handshake(struct conn *c, bool *ret_h2)
{
    gnutls_datum_t alpn;
    int rc = gnutls_handshake(c->tls);
    if (rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED || (rc < 0 && !gnutls_error_is_fatal(rc)))
        return 0;
    if (rc < 0) {
        note_failure(c, rc);
        gnutls_alert_send_appropriate(c->tls, rc);
        return -1;
    }
    c->peer.tls = true;
    if (c->server)
        read_peer(c);
    *ret_h2 = gnutls_alpn_get_selected_protocol(c->tls, &alpn) >= 0 && alpn.size == 2;
    return 1;
}

ssize_t tls_read(struct conn *c, void *at, size_t n)
{
    ssize_t got;
    do
        got = gnutls_record_recv(c->tls, at, n);
    while (got == GNUTLS_E_INTERRUPTED);
    if (got == GNUTLS_E_AGAIN)
        return -EAGAIN;
    if (got < 0)
        note_failure(c, (int)got);
    return got < 0 ? -EIO : got;        /* renegotiation and all else that is no data: over */
}

int tls_write(struct conn *c, bool whole)
{
    while (c->out.len - c->out_at >= (whole ? RECORD : 1) && c->wire.len - c->wire_at < 2 * OUT_MOST) {
        size_t n = c->out.len - c->out_at;
        ssize_t put = gnutls_record_send(c->tls, c->out.at + c->out_at, n < RECORD ? n : RECORD);
        if (put == GNUTLS_E_INTERRUPTED || put == GNUTLS_E_AGAIN)
            continue;                   /* push never waits: it goes into memory */
        if (put < 0)
            return -1;
        c->out_at += (size_t)put;
    }
    size_t left = c->out.len - c->out_at;
    if (c->out_at && left < RECORD) {   /* to the front: the same few lines of memory are filled again */
        memmove(c->out.at, c->out.at + c->out_at, left);
        c->out.len = left;
        c->out_at = 0;
        if (!left && c->out.cap > 2 * OUT_MOST)
            buf_free(&c->out);
    }
    return 0;
}
