/* sign.c - a certificate for a request, by the cluster's CA. */
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#include "certificates.h"

#define BACKDATE_S 300                  /* clocks differ */
#define SHORT_S    (8 * 3600)
#define LEAST_S    600

static const struct {
    const char *name;
    unsigned usage;                     /* GNUTLS_KEY_*, or 0 and an extended one */
    const char *oid;
} usages[] = {
    { "signing", GNUTLS_KEY_DIGITAL_SIGNATURE, NULL },
    { "digital signature", GNUTLS_KEY_DIGITAL_SIGNATURE, NULL },
    { "content commitment", GNUTLS_KEY_NON_REPUDIATION, NULL },
    { "key encipherment", GNUTLS_KEY_KEY_ENCIPHERMENT, NULL },
    { "key agreement", GNUTLS_KEY_KEY_AGREEMENT, NULL },
    { "data encipherment", GNUTLS_KEY_DATA_ENCIPHERMENT, NULL },
    { "cert sign", GNUTLS_KEY_KEY_CERT_SIGN, NULL },
    { "crl sign", GNUTLS_KEY_CRL_SIGN, NULL },
    { "encipher only", GNUTLS_KEY_ENCIPHER_ONLY, NULL },
    { "decipher only", GNUTLS_KEY_DECIPHER_ONLY, NULL },
    { "any", 0, GNUTLS_KP_ANY },
    { "server auth", 0, GNUTLS_KP_TLS_WWW_SERVER },
    { "client auth", 0, GNUTLS_KP_TLS_WWW_CLIENT },
    { "code signing", 0, GNUTLS_KP_CODE_SIGNING },
    { "email protection", 0, GNUTLS_KP_EMAIL_PROTECTION },
    { "s/mime", 0, GNUTLS_KP_EMAIL_PROTECTION },
    { "ipsec end system", 0, "1.3.6.1.5.5.7.3.5" },
    { "ipsec tunnel", 0, "1.3.6.1.5.5.7.3.6" },
    { "ipsec user", 0, "1.3.6.1.5.5.7.3.7" },
    { "timestamping", 0, GNUTLS_KP_TIME_STAMPING },
    { "ocsp signing", 0, GNUTLS_KP_OCSP_SIGNING },
    { "microsoft sgc", 0, "1.3.6.1.4.1.311.10.3.3" },
    { "netscape sgc", 0, "2.16.840.1.113730.4.1" },
};

struct work {
    gnutls_x509_crt_t ca, crt;
    gnutls_x509_privkey_t key;
    gnutls_x509_crq_t crq;
};

static void work_free(struct work *w)
{
    if (w->ca)
        gnutls_x509_crt_deinit(w->ca);
    if (w->crt)
        gnutls_x509_crt_deinit(w->crt);
    if (w->key)
        gnutls_x509_privkey_deinit(w->key);
    if (w->crq)
        gnutls_x509_crq_deinit(w->crq);
}

/* Read each time: whoever renews the CA needs no restart. */
static int load_ca(struct work *w, const struct cert_conf *conf)
{
    gnutls_datum_t crt = { 0 }, key = { 0 };
    int rc = gnutls_load_file(conf->ca_cert, &crt);
    if (rc >= 0)
        rc = gnutls_load_file(conf->ca_key, &key);
    if (rc >= 0 && (rc = gnutls_x509_crt_init(&w->ca)) >= 0 && (rc = gnutls_x509_privkey_init(&w->key)) >= 0)
        rc = gnutls_x509_crt_import(w->ca, &crt, GNUTLS_X509_FMT_PEM);
    if (rc >= 0)
        rc = gnutls_x509_privkey_import(w->key, &key, GNUTLS_X509_FMT_PEM);
    gnutls_free(crt.data);
    if (key.data)
        gnutls_memset(key.data, 0, key.size);
    gnutls_free(key.data);
    return rc;
}

static int set_usages(gnutls_x509_crt_t crt, const struct val *wanted, struct kl_err *err)
{
    unsigned bits = 0;
    for (const struct val *v = val_is(wanted, VAL_ARR) ? wanted->first : NULL; v; v = v->next) {
        size_t i = 0;
        while (i < sizeof usages / sizeof *usages && !str_is(val_str(v), usages[i].name))
            i++;
        if (i == sizeof usages / sizeof *usages)
            return kl_err_set(err, KL_INVALID, "unrecognized usage: " STR_FMT, STR_ARG(val_str(v)));
        bits |= usages[i].usage;
        if (usages[i].oid)
            gnutls_x509_crt_set_key_purpose_oid(crt, usages[i].oid, 0);
    }
    if (bits)
        gnutls_x509_crt_set_key_usage(crt, bits);
    return 0;
}

static void set_times(struct work *w, const struct cert_conf *conf, int64_t seconds, int64_t now_ns)
{
    int64_t most = conf->duration / NS_S, now = now_ns / NS_S, ttl = !seconds || seconds > most ? most : seconds < LEAST_S ? LEAST_S : seconds;
    int64_t begin = now - BACKDATE_S, end = ttl <= SHORT_S ? now + ttl : begin + ttl, ca_end = gnutls_x509_crt_get_expiration_time(w->ca);
    gnutls_x509_crt_set_activation_time(w->crt, begin);
    gnutls_x509_crt_set_expiration_time(w->crt, end < ca_end ? end : ca_end);
}

static int fill(struct work *w, struct str pem)
{
    gnutls_datum_t in = { (unsigned char *)(uintptr_t)pem.at, (unsigned)pem.len };
    unsigned char serial[16], id[64];
    size_t id_size = sizeof id;
    int rc = gnutls_x509_crq_init(&w->crq);
    if (rc < 0 || (rc = gnutls_x509_crq_import(w->crq, &in, GNUTLS_X509_FMT_PEM)) < 0 || (rc = gnutls_x509_crq_verify(w->crq, 0)) < 0 ||
        (rc = gnutls_x509_crt_init(&w->crt)) < 0 || (rc = gnutls_x509_crt_set_crq(w->crt, w->crq)) < 0)
        return rc;
    rc = gnutls_x509_crt_set_crq_extension_by_oid(w->crt, w->crq, "2.5.29.17", 0);      /* its other names */
    if (rc < 0 && rc != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return rc;
    if ((rc = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial)) < 0)
        return rc;
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40);
    gnutls_x509_crt_set_version(w->crt, 3);
    gnutls_x509_crt_set_serial(w->crt, serial, sizeof serial);
    gnutls_x509_crt_set_basic_constraints(w->crt, 0, -1);
    if (gnutls_x509_crt_get_subject_key_id(w->ca, id, &id_size, NULL) >= 0)
        gnutls_x509_crt_set_authority_key_id(w->crt, id, id_size);
    return 0;
}

int sign_request(struct arena *a, const struct cert_conf *conf, struct str request, const struct val *wanted, int64_t seconds, int64_t now_ns, struct str *ret,
                 struct kl_err *err)
{
    struct work w = { 0 };
    gnutls_datum_t out = { 0 };
    int rc = load_ca(&w, conf), failed;
    if (rc < 0) {
        work_free(&w);
        return kl_err_set(err, KL_UNAVAILABLE, "the CA ('%s', '%s') cannot be read: %s", conf->ca_cert, conf->ca_key, gnutls_strerror(rc));
    }
    rc = fill(&w, text_decode(a, request));
    failed = rc < 0 ? kl_err_set(err, KL_INVALID, "unable to parse csr: %s", gnutls_strerror(rc)) : set_usages(w.crt, wanted, err);
    if (failed == 0) {
        set_times(&w, conf, seconds, now_ns);
        rc = gnutls_x509_crt_sign2(w.crt, w.ca, w.key, GNUTLS_DIG_SHA256, 0);
        if (rc >= 0)
            rc = gnutls_x509_crt_export2(w.crt, GNUTLS_X509_FMT_PEM, &out);
        if (rc >= 0)
            *ret = text_encode(a, str_n((const char *)out.data, out.size));
        failed = rc < 0 ? kl_err_set(err, KL_INTERNAL, "unable to sign csr: %s", gnutls_strerror(rc)) : !ret->at ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : 0;
    }
    gnutls_free(out.data);
    work_free(&w);
    return failed;
}

int64_t certificate_end(struct arena *a, struct str certificate)
{
    struct str pem = text_decode(a, certificate);
    gnutls_datum_t in = { (unsigned char *)(uintptr_t)pem.at, (unsigned)pem.len };
    gnutls_x509_crt_t crt = NULL;
    int64_t end = 0;
    if (pem.at && gnutls_x509_crt_init(&crt) >= 0 && gnutls_x509_crt_import(crt, &in, GNUTLS_X509_FMT_PEM) >= 0)
        end = (int64_t)gnutls_x509_crt_get_expiration_time(crt) * NS_S;
    if (crt)
        gnutls_x509_crt_deinit(crt);
    return end;
}
