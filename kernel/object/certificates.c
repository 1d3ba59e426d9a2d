/* certificates.c - see certificates.h. */
#include "object/certificates.h"

#include <gnutls/x509.h>

const char *certificates_in(struct str pem)
{
    gnutls_datum_t text = { (unsigned char *)(uintptr_t)pem.at, (unsigned)pem.len };
    gnutls_x509_crt_t *list = NULL;
    unsigned n = 0;
    if (gnutls_x509_crt_list_import2(&list, &n, &text, GNUTLS_X509_FMT_PEM, 0) < 0 || !n)
        return "data does not contain any valid RSA or ECDSA certificates";
    for (unsigned i = 0; i < n; i++)
        gnutls_x509_crt_deinit(list[i]);
    gnutls_free(list);
    return NULL;
}
