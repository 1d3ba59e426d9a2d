/* request.c - certificate requests: what stands in them, and which signer takes what. base64 around PEM, as the API has it. */
#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>

#include "certificates.h"

static gnutls_datum_t datum(struct str s)
{
    return (gnutls_datum_t){ (unsigned char *)(uintptr_t)s.at, (unsigned)s.len };
}

struct str text_decode(struct arena *a, struct str s)
{
    gnutls_datum_t in = datum(s), out = { 0 };
    if (!s.len || gnutls_base64_decode2(&in, &out) < 0)
        return STR_NONE;
    struct str copy = arena_str(a, str_n((const char *)out.data, out.size));
    gnutls_free(out.data);
    return copy;
}

struct str text_encode(struct arena *a, struct str s)
{
    gnutls_datum_t in = datum(s), out = { 0 };
    if (gnutls_base64_encode2(&in, &out) < 0)
        return STR_NONE;
    struct str copy = arena_str(a, str_n((const char *)out.data, out.size));
    gnutls_free(out.data);
    return copy;
}

/* The n-th value of a part of the subject: 1, 0 there are no more, -1 it cannot be told. */
static int subject_part(struct arena *a, gnutls_x509_crq_t crq, const char *oid, unsigned n, struct str *ret)
{
    char text[1024];
    size_t size = sizeof text;
    int rc = gnutls_x509_crq_get_dn_by_oid(crq, oid, n, 0, text, &size);
    if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return 0;
    if (rc < 0 || memchr(text, '\0', size))
        return -1;
    *ret = arena_str(a, str_n(text, size));
    return 1;
}

/* As a server reads it of the certificate: the last common name, and every organization. False: one of them cannot be told, and so not judged. */
static bool read_subject(struct arena *a, gnutls_x509_crq_t crq, struct cert_request *q, struct val *orgs)
{
    struct str part;
    int rc;
    for (unsigned i = 0; (rc = subject_part(a, crq, GNUTLS_OID_X520_COMMON_NAME, i, &part)) > 0; i++)
        q->cn = part;
    for (unsigned i = 0; rc == 0 && (rc = subject_part(a, crq, GNUTLS_OID_X520_ORGANIZATION_NAME, i, &part)) > 0; i++, rc = 0)
        val_push(orgs, val_of_str(a, part));
    return rc == 0;
}

static void add_name(struct arena *a, struct val *names, unsigned type, const char *at, size_t size)
{
    char text[INET6_ADDRSTRLEN];
    if (type == GNUTLS_SAN_DNSNAME)
        val_push(names, val_of_str(a, arena_str(a, str_n(at, size))));
    else if (type == GNUTLS_SAN_IPADDRESS && (size == 4 || size == 16) && inet_ntop(size == 4 ? AF_INET : AF_INET6, at, text, sizeof text))
        val_push(names, val_of_str(a, arena_str(a, str_of(text))));
}

/* False: one of them cannot be told. */
static bool count_names(struct arena *a, gnutls_x509_crq_t crq, struct cert_request *q)
{
    struct val *names = val_new(a, VAL_ARR);
    q->names = names;
    char text[1024];
    for (unsigned i = 0;; i++) {
        size_t size = sizeof text;
        int rc = gnutls_x509_crq_get_subject_alt_name(crq, i, text, &size, NULL, NULL);
        if (rc < 0)
            return rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
        unsigned type = (unsigned)rc;
        add_name(a, names, type, text, size);
        q->dns += type == GNUTLS_SAN_DNSNAME;
        q->ip += type == GNUTLS_SAN_IPADDRESS;
        q->email += type == GNUTLS_SAN_RFC822NAME;
        q->uri += type == GNUTLS_SAN_URI;
    }
}

bool request_read(struct arena *a, struct str request, struct cert_request *ret, const char **ret_why)
{
    struct str pem = text_decode(a, request);
    gnutls_datum_t in = datum(pem);
    gnutls_x509_crq_t crq = NULL;
    const char *why = "PEM block type must be CERTIFICATE REQUEST";
    struct val *orgs = val_new(a, VAL_ARR);
    bool good = pem.at && orgs && gnutls_x509_crq_init(&crq) >= 0;
    if (good)
        good = gnutls_x509_crq_import(crq, &in, GNUTLS_X509_FMT_PEM) >= 0;
    if (good && gnutls_x509_crq_verify(crq, 0) < 0) {
        why = "the signature is not that of the request's own key";
        good = false;
    }
    if (good) {
        *ret = (struct cert_request){ .orgs = orgs };
        why = "a name in it cannot be read, is too long or has a NUL in it";
        good = read_subject(a, crq, ret, orgs) && count_names(a, crq, ret);
    }
    if (crq)
        gnutls_x509_crq_deinit(crq);
    if (ret_why)
        *ret_why = why;
    return good && !arena_exhausted(a);
}

/* --- who signs what --- */

static bool has(const struct val *list, const char *text)
{
    for (const struct val *v = val_is(list, VAL_ARR) ? list->first : NULL; v; v = v->next)
        if (str_is(val_str(v), text))
            return true;
    return false;
}

/* Exactly digital signature and that purpose; key encipherment may be there. */
static bool usages_are(const struct val *usages, const char *purpose)
{
    for (const struct val *v = val_is(usages, VAL_ARR) ? usages->first : NULL; v; v = v->next)
        if (!str_is(val_str(v), purpose) && !str_is(val_str(v), "digital signature") && !str_is(val_str(v), "key encipherment"))
            return false;
    return has(usages, purpose) && has(usages, "digital signature");
}

static const char *not_of_node(const struct cert_request *q)
{
    if (q->orgs->n != 1 || !has(q->orgs, "system:nodes"))
        return "subject organization is not system:nodes";
    return NULL;
}

static const char *unfit_kubelet(const struct cert_request *q, const struct val *usages)
{
    const char *why = not_of_node(q);
    return why    ? why :
           q->dns   ? "DNS subjectAltNames are not allowed" :
           q->email ? "Email subjectAltNames are not allowed" :
           q->ip    ? "IP subjectAltNames are not allowed" :
           q->uri   ? "URI subjectAltNames are not allowed" :
           !str_starts(q->cn, STR("system:node:")) ? "subject common name does not begin with system:node:" :
           !usages_are(usages, "client auth") ? "usages did not match [client auth digital signature key encipherment]" : NULL;
}

static const char *unfit_serving(const struct cert_request *q, const struct val *usages)
{
    const char *why = not_of_node(q);
    return why               ? why :
           !q->dns && !q->ip ? "DNS or IP subjectAltName is required" :
           q->email          ? "Email subjectAltNames are not allowed" :
           q->uri            ? "URI subjectAltNames are not allowed" :
           !usages_are(usages, "server auth") ? "usages did not match [digital signature key encipherment server auth]" :
           !str_starts(q->cn, STR("system:node:")) ? "subject common name does not begin with system:node:" : NULL;
}

const char *request_unfit(struct arena *a, const struct cert_request *q, const struct val *usages, struct str signer)
{
    if (str_is(signer, SIGNER_KUBELET))
        return unfit_kubelet(q, usages);
    if (str_is(signer, SIGNER_SERVING))
        return unfit_serving(q, usages);
    if (str_is(q->cn, SERVER_NAME))
        return "subject common name is the API server's own towards nodes, which do what it says";
    if (!str_is(signer, SIGNER_CLIENT))
        return NULL;
    for (const struct val *v = val_is(usages, VAL_ARR) ? usages->first : NULL; v; v = v->next)
        if (!str_is(val_str(v), "client auth") && !str_is(val_str(v), "digital signature") && !str_is(val_str(v), "key encipherment"))
            return arena_printf(a, "invalid usage for client certificate: " STR_FMT, STR_ARG(val_str(v)));
    return has(usages, "client auth") ? NULL : "missing required usage for client certificate: client auth";
}
