/* tls_client.c - the client's side of TLS: whom it trusts, what it shows, whom it expects. */
#include <arpa/inet.h>

#include "client-internal.h"

struct tls_client {
    struct tls_shared shared;           /* first */
    gnutls_certificate_credentials_t cred;
    gnutls_priority_t priority;
    char *name;                         /* expected of the other side; NULL: not verified */
};

static int bad(struct kl_err *err, const char *what, const char *file, int rc)
{
    return kl_err_set(err, KL_INVALID, "%s%s%s%s: %s", what, file ? " '" : "", file ? file : "", file ? "'" : "", gnutls_strerror(rc));
}

static gnutls_datum_t datum(struct str s)
{
    return (gnutls_datum_t){ (unsigned char *)(uintptr_t)s.at, (unsigned)s.len };
}

static int trust(const struct http_client_conf *c, struct tls_client *t, struct kl_err *err)
{
    gnutls_datum_t pem = datum(c->ca);
    int rc = 0;
    if (c->insecure)
        return 0;
    if (c->ca.at)
        rc = gnutls_certificate_set_x509_trust_mem(t->cred, &pem, GNUTLS_X509_FMT_PEM);
    else if (c->ca_file)
        rc = gnutls_certificate_set_x509_trust_file(t->cred, c->ca_file, GNUTLS_X509_FMT_PEM);
    else
        return gnutls_certificate_set_x509_system_trust(t->cred) < 0 ? bad(err, "the system's CAs", NULL, GNUTLS_E_NO_CERTIFICATE_FOUND) : 0;
    return rc > 0 ? 0 : bad(err, "CA", c->ca.at ? NULL : c->ca_file, rc < 0 ? rc : GNUTLS_E_NO_CERTIFICATE_FOUND);
}

static int identity(const struct http_client_conf *c, struct tls_client *t, struct kl_err *err)
{
    gnutls_datum_t cert = datum(c->cert), key = datum(c->key);
    int rc = 0;
    if (c->cert.at)
        rc = gnutls_certificate_set_x509_key_mem(t->cred, &cert, &key, GNUTLS_X509_FMT_PEM);
    else if (c->cert_file)
        rc = gnutls_certificate_set_x509_key_file(t->cred, c->cert_file, c->key_file, GNUTLS_X509_FMT_PEM);
    return rc < 0 ? bad(err, "client certificate", c->cert.at ? NULL : c->cert_file, rc) : 0;
}

static void client_free(struct tls_shared *s)
{
    struct tls_client *t = (struct tls_client *)s;
    if (t->cred)
        gnutls_certificate_free_credentials(t->cred);
    if (t->priority)
        gnutls_priority_deinit(t->priority);
    mem_free(t->name);
    mem_free(t);
}

int tls_client_new(const struct http_client_conf *c, const char *host, struct tls_client **ret, struct kl_err *err)
{
    const char *name = c->server_name ? c->server_name : host;
    struct tls_client *t = mem_alloc(sizeof *t);
    if (!t)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    t->shared = (struct tls_shared){ 1, client_free };
    int rc = gnutls_certificate_allocate_credentials(&t->cred);
    if (rc >= 0)
        rc = gnutls_priority_init(&t->priority, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", NULL);
    if (rc >= 0 && !c->insecure && !(t->name = mem_dup(name, strlen(name))))
        rc = GNUTLS_E_MEMORY_ERROR;
    rc = rc < 0 ? bad(err, "TLS", NULL, rc) : trust(c, t, err);
    if (rc == 0)
        rc = identity(c, t, err);
    if (rc < 0) {
        tls_client_free(t);
        return rc;
    }
    *ret = t;
    return 0;
}

void tls_client_free(struct tls_client *t)
{
    if (t)
        tls_shared_unref(&t->shared);
}

static bool is_address(const char *name)
{
    struct in6_addr any;
    return inet_pton(AF_INET, name, &any) == 1 || inet_pton(AF_INET6, name, &any) == 1;
}

int tls_connect(struct conn *c, struct tls_client *t, bool offer_h2)
{
    static const gnutls_datum_t protocols[] = { { (unsigned char *)"h2", 2 }, { (unsigned char *)"http/1.1", 8 } };
    if (gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
        return -1;
    c->tls_of = &t->shared;
    t->shared.refs++;
    if (gnutls_priority_set(c->tls, t->priority) < 0 || gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, t->cred) < 0)
        return -1;
    gnutls_alpn_set_protocols(c->tls, offer_h2 ? protocols : protocols + 1, offer_h2 ? 2 : 1, 0);
    if (t->name) {
        if (!is_address(t->name))
            gnutls_server_name_set(c->tls, GNUTLS_NAME_DNS, t->name, strlen(t->name));
        gnutls_session_set_verify_cert(c->tls, t->name, 0);
    }
    tls_attach(c);
    return 0;
}
