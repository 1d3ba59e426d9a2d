/* subject.c - see subject.h. Hardly any certificate has a uid, and every request comes here: only one that holds the attribute's identifier is parsed. */
#include "subject.h"

#include <gnutls/x509.h>
#include <string.h>

#define UID_OID "1.3.6.1.4.1.57683.2"

#define RAW_MOST (SUBJECT_UID_MOST + 8)

/* The text of a string in DER: UTF8String, NumericString, PrintableString, T61String or IA5String. False: it is none, or has a NUL. */
static bool text_of(const unsigned char *raw, size_t n, char ret[SUBJECT_UID_MOST], size_t *ret_len)
{
    size_t at = 2, len;
    if (n < 2 || !memchr("\x0c\x12\x13\x14\x16", raw[0], 5))
        return false;
    len = raw[1];
    if (len & 0x80) {                   /* one or two bytes of length: more is too long */
        unsigned more = raw[1] & 0x7f;
        if (more < 1 || more > 2 || n < 2 + more)
            return false;
        for (len = 0; more; more--)
            len = len << 8 | raw[at++];
    }
    if (len != n - at || len >= SUBJECT_UID_MOST || memchr(raw + at, '\0', len))
        return false;
    memcpy(ret, raw + at, len);
    ret[len] = '\0';
    *ret_len = len;
    return true;
}

static int read_uid(gnutls_x509_crt_t crt, char ret[SUBJECT_UID_MOST], const char **why)
{
    unsigned char raw[RAW_MOST], more[RAW_MOST];
    size_t n = sizeof raw, one = sizeof more, len = 0;
    int rc = gnutls_x509_crt_get_dn_by_oid(crt, UID_OID, 0, 1, raw, &n);        /* in DER: of what it does not know GnuTLS has no text */
    if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return 0;
    if (rc < 0 || !text_of(raw, n, ret, &len))
        *why = "unable to parse UID into a string";
    else if (gnutls_x509_crt_get_dn_by_oid(crt, UID_OID, 1, 1, more, &one) != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        *why = "expected 1 UID, but found multiple";
    else if (!len)
        *why = "UID cannot be an empty string";
    else
        return 1;
    return -1;
}

int subject_uid(const void *der, size_t n, char ret[SUBJECT_UID_MOST], const char **why)
{
    static const unsigned char oid[] = { 0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xc2, 0x53, 0x02 };
    gnutls_datum_t data = { (unsigned char *)der, (unsigned)n };
    gnutls_x509_crt_t crt;
    ret[0] = '\0';
    *why = NULL;
    if (!n || !memmem(der, n, oid, sizeof oid))
        return 0;
    if (gnutls_x509_crt_init(&crt) < 0) {
        *why = "out of memory";
        return -1;
    }
    int rc = gnutls_x509_crt_import(crt, &data, GNUTLS_X509_FMT_DER);
    if (rc < 0)
        *why = gnutls_strerror(rc);
    rc = rc < 0 ? -1 : read_uid(crt, ret, why);
    gnutls_x509_crt_deinit(crt);
    return rc;
}
