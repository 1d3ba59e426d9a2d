/* jwt.h - a signed JSON web token (RFC 7519, compact form) taken apart, and its signature checked with a key of RFC 7517. */
#ifndef AUTHN_JWT_JWT_H
#define AUTHN_JWT_JWT_H

#include "base/jws.h"

struct jwt_alg;

struct jwt {
    const struct jwt_alg *alg;
    struct str signed_text;             /* header.payload, as it came */
    struct str signature;
    struct str kid;                     /* which key it says it is signed with; empty: it does not say */
    struct val *payload;                /* an object */
};

/* What jws.h takes for a token, with an algorithm that is known here (RS, ES and PS with 256, 384 and 512). False: not such a token. Texts in the arena. */
bool jwt_parse(struct arena *a, struct str text, struct jwt *ret);

/* One public key of a key set. */
struct jwk {
    gnutls_pubkey_t key;
    char kid[256];
    char alg[8];                        /* the only one that it is for; empty: any that fits */
};

/* The keys of a key set that can be used here, at most `most`; others are left out. < 0: no key set (KL_INVALID). */
int jwk_read(const struct val *set, struct jwk *ret, unsigned most, struct kl_err *err);
void jwk_free(struct jwk *keys, unsigned n);
bool jwt_signed_by(const struct jwt *t, const struct jwk *key);

#endif
