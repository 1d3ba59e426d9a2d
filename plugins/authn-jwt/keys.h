/* keys.h - the public keys of one issuer: found by its discovery document, fetched when first needed, fetched anew when a token is signed with
 * none of them, and from time to time. All [loop]. */
#ifndef AUTHN_JWT_KEYS_H
#define AUTHN_JWT_KEYS_H

#include "config.h"
#include "jwt.h"

#define KEYS_MOST 64u

struct keys {
    const struct issuer *by;
    const struct kl_host *host;
    const struct kl_host_http *http;
    struct jwk at[KEYS_MOST];
    unsigned n;
    enum { KEYS_IDLE, KEYS_DISCOVERY, KEYS_SET } step;
    uint64_t ticket;                    /* of the call under way */
    char set_url[1024];
    int64_t got_ns, tried_ns;           /* monotonic; 0: never */
    char why[200];                      /* what the last attempt failed for; empty: it did not */
};

/* Signed by one of the issuer's keys? 1, 0 no (c->err), -KL_PENDING: the request waits for the keys. */
int keys_verify(struct keys *k, struct kl_call *c, const struct jwt *t, int64_t now_ns);
void keys_free(struct keys *k);

#endif
