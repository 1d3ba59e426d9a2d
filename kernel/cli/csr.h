/* csr.h - a key, a request for a certificate over it, and what a certificate says of itself. ECDSA P-256, PEM. */
#ifndef CLI_CSR_H
#define CLI_CSR_H

#include <keelson/error.h>

#include "base/arena.h"

struct csr_wish {
    const char *cn, *org;
    const char *dns, *ip;               /* its other names; NULL: none */
};

/* Texts in a. */
int csr_make(struct arena *a, const struct csr_wish *w, struct str *ret_key, struct str *ret_request, struct kl_err *err);
struct str csr_base64(struct arena *a, struct str text);        /* at NULL: out of memory */
struct str csr_unbase64(struct arena *a, struct str text);      /* at NULL: it is not base64 */
/* Does the certificate belong to the key? Then *ret_until is when it ends, in seconds since 1970. */
bool csr_certificate(struct str cert, struct str key, int64_t *ret_until);

#endif
