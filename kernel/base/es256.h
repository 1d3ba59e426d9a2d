/* es256.h - JSON web tokens signed with a P-256 key (RFC 7515, 7518): what the API hands out and what lies in Secrets. For who links GnuTLS; results
 * are its codes, negative: failed. [any], one key by several threads.
 */
#ifndef BASE_ES256_H
#define BASE_ES256_H

#include <gnutls/abstract.h>

#include "base/buf.h"

struct es256 {
    gnutls_privkey_t key;
    char x[44], y[44];                  /* the public point, base64url */
    char kid[44];                       /* the thumbprint of RFC 7638 */
};

/* From a PEM file. After a failure there is nothing to free. */
int es256_load(struct es256 *k, const char *file);
void es256_free(struct es256 *k);
/* Adds "header.payload.signature". */
int es256_token(const struct es256 *k, struct str payload, struct buf *ret);

#endif
