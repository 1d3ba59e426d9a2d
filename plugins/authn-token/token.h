/* token.h - authn-token's tokens: those of the one algorithm that is accepted, and whether a key signed one. */
#ifndef AUTHN_TOKEN_H
#define AUTHN_TOKEN_H

#include <gnutls/crypto.h>

#include "base/jws.h"

/* What jws.h takes for a token, with a header that says ES256 and a signature of its size. False: not such a token. Texts in the arena. */
bool token_parse(struct arena *a, struct str text, struct jws *ret);
bool token_signed_by(const struct jws *t, gnutls_pubkey_t key);

#endif
