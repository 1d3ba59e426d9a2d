/* jws.h - a signed JSON web token (RFC 7515 and 7519, compact form) taken apart. Which algorithm is accepted, and by which key, is the caller's. [any]
 *
 * ecdsa_verify is for who links GnuTLS.
 */
#ifndef BASE_JWS_H
#define BASE_JWS_H

#include <gnutls/abstract.h>

#include "base/json.h"

#define JWS_LONGEST 16384u

struct jws {
    struct val *header, *payload;       /* objects */
    struct str signed_text;             /* header.payload, as it came */
    struct str signature;               /* decoded */
};

/* Three parts of base64url, of them two JSON objects, a header without `crit`, a signature. False: not such a token. Texts in the arena. */
bool jws_parse(struct arena *a, struct str text, struct jws *ret);
/* Whether the signature is r and s of that key, each of half its length, as RFC 7518 writes them. */
bool ecdsa_verify(gnutls_pubkey_t key, gnutls_sign_algorithm_t algorithm, struct str text, struct str signature);

#endif
