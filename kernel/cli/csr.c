/* csr.c - see csr.h. */
#include "cli/csr.h"

#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <string.h>

static gnutls_datum_t datum(struct str s)
{
    return (gnutls_datum_t){ (unsigned char *)(uintptr_t)s.at, (unsigned)s.len };
}

static struct str take(struct arena *a, gnutls_datum_t *d)
{
    struct str s = d->data ? arena_str(a, str_n((const char *)d->data, d->size)) : STR_NONE;
    if (d->data)
        gnutls_memset(d->data, 0, d->size);
    gnutls_free(d->data);
    return s;
}

struct str csr_base64(struct arena *a, struct str text)
{
    gnutls_datum_t in = datum(text), out = { NULL, 0 };
    return gnutls_base64_encode2(&in, &out) < 0 ? STR_NONE : take(a, &out);
}

struct str csr_unbase64(struct arena *a, struct str text)
{
    gnutls_datum_t in = datum(text), out = { NULL, 0 };
    return !text.len || gnutls_base64_decode2(&in, &out) < 0 ? STR_NONE : take(a, &out);
}

static int set_name(gnutls_x509_crq_t q, const char *oid, const char *text)
{
    return text ? gnutls_x509_crq_set_dn_by_oid(q, oid, 0, text, (unsigned)strlen(text)) : 0;
}

static int set_names(gnutls_x509_crq_t q, const struct csr_wish *w)
{
    struct in_addr in;
    int rc = gnutls_x509_crq_set_version(q, 1);         /* the server takes no request without one */
    if (rc >= 0)
        rc = set_name(q, GNUTLS_OID_X520_ORGANIZATION_NAME, w->org);
    if (rc >= 0)
        rc = set_name(q, GNUTLS_OID_X520_COMMON_NAME, w->cn);
    if (rc >= 0 && w->dns)
        rc = gnutls_x509_crq_set_subject_alt_name(q, GNUTLS_SAN_DNSNAME, w->dns, (unsigned)strlen(w->dns), GNUTLS_FSAN_APPEND);
    if (rc >= 0 && w->ip && inet_pton(AF_INET, w->ip, &in) == 1)
        rc = gnutls_x509_crq_set_subject_alt_name(q, GNUTLS_SAN_IPADDRESS, &in, sizeof in, GNUTLS_FSAN_APPEND);
    return rc;
}

int csr_make(struct arena *a, const struct csr_wish *w, struct str *ret_key, struct str *ret_request, struct kl_err *err)
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crq_t q = NULL;
    gnutls_datum_t key_text = { NULL, 0 }, text = { NULL, 0 }, der = { NULL, 0 };
    int rc = gnutls_x509_privkey_init(&key);
    if (rc >= 0)
        rc = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    if (rc >= 0)
        rc = gnutls_x509_crq_init(&q);
    if (rc >= 0)
        rc = set_names(q, w);
    if (rc >= 0)
        rc = gnutls_x509_crq_set_key(q, key);
    if (rc >= 0)
        rc = gnutls_x509_crq_sign2(q, key, GNUTLS_DIG_SHA256, 0);
    if (rc >= 0)
        rc = gnutls_x509_crq_export2(q, GNUTLS_X509_FMT_DER, &der);
    if (rc >= 0)
        rc = gnutls_pem_base64_encode2("CERTIFICATE REQUEST", &der, &text);     /* GnuTLS itself says NEW, which the API refuses */
    gnutls_free(der.data);
    if (rc >= 0)
        rc = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_text);
    *ret_key = take(a, &key_text);
    *ret_request = take(a, &text);
    if (q)
        gnutls_x509_crq_deinit(q);
    if (key)
        gnutls_x509_privkey_deinit(key);
    if (rc < 0)
        return kl_err_set(err, KL_INTERNAL, "a key and a request for a certificate: %s", gnutls_strerror(rc));
    return ret_key->at && ret_request->at ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

bool csr_certificate(struct str cert, struct str key, int64_t *ret_until)
{
    gnutls_certificate_credentials_t cred = NULL;
    gnutls_x509_crt_t crt = NULL;
    gnutls_datum_t cert_in = datum(cert), key_in = datum(key);
    bool ok = cert.len && key.len && gnutls_certificate_allocate_credentials(&cred) >= 0 &&
              gnutls_certificate_set_x509_key_mem(cred, &cert_in, &key_in, GNUTLS_X509_FMT_PEM) >= 0 && gnutls_x509_crt_init(&crt) >= 0 &&
              gnutls_x509_crt_import(crt, &cert_in, GNUTLS_X509_FMT_PEM) >= 0;
    if (ok)
        *ret_until = (int64_t)gnutls_x509_crt_get_expiration_time(crt);
    if (crt)
        gnutls_x509_crt_deinit(crt);
    if (cred)
        gnutls_certificate_free_credentials(cred);
    return ok;
}
