/* token.c - see token.h. What a header asks for is not obeyed; it only has to ask for what is done. */
#include "token.h"

bool token_parse(struct arena *a, struct str text, struct jws *ret)
{
    return jws_parse(a, text, ret) && str_is(json_str(ret->header, "alg"), "ES256") && ret->signature.len == 64;
}

bool token_signed_by(const struct jws *t, gnutls_pubkey_t key)
{
    return ecdsa_verify(key, GNUTLS_SIGN_ECDSA_SHA256, t->signed_text, t->signature);
}
