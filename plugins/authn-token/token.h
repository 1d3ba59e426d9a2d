/* token.h - authn-token's parts: a JSON web token taken apart, and its signature checked. */
#ifndef AUTHN_TOKEN_H
#define AUTHN_TOKEN_H

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>

#include "base/json.h"

#define TOKEN_LONGEST 16384

struct token {
    struct str signed_text;             /* header.payload, as it came */
    struct str signature;               /* r and s, 32 bytes each */
    struct val *payload;                /* an object */
};

/* Three parts of base64url, a header that says ES256, a payload that is an object. False: not such a token. Texts in the arena. */
bool token_parse(struct arena *a, struct str text, struct token *ret);
bool token_signed_by(const struct token *t, gnutls_pubkey_t key);

#endif
