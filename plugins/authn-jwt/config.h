/* config.h - a file of the kind AuthenticationConfiguration (apiserver.config.k8s.io), and what a token's claims become by it. */
#ifndef AUTHN_JWT_CONFIG_H
#define AUTHN_JWT_CONFIG_H

#include <keelson/iface/auth.h>

#include "base/json.h"

struct mapping {
    const char *claim;                  /* NULL: none */
    const char *prefix;
};

struct required {
    const char *claim, *value;
};

struct issuer {
    const char *url, *discovery_url;    /* discovery_url: where its documents begin */
    struct kl_bytes ca;                 /* PEM; empty: the system's */
    const char *const *audiences;       /* NULL-terminated */
    struct mapping user, groups, uid;
    const struct required *required;
    unsigned n_required;
};

struct config {
    struct arena *arena;
    struct issuer *issuers;
    unsigned n;
    bool anonymous_said;                /* else whoever shows nothing is anonymous */
    bool anonymous_enabled;
    const char *const *anonymous_paths; /* NULL: all; NULL-terminated */
};

/* text: YAML or JSON. own_issuer: whose tokens somebody else judges; NULL: nobody. KL_INVALID names the field. */
int config_read(struct config *f, struct str text, const char *own_issuer, struct kl_err *err);
void config_free(struct config *f);
/* May a request for that path come without credentials? */
bool config_anonymous(const struct config *f, const char *path);

/* claims.c: of a token whose signature is good. 1, or < 0 with what is wrong (KL_UNAUTHORIZED). Texts in the call's arena. */
int claims_user(struct kl_call *c, const struct issuer *by, const struct val *claims, int64_t now_s, struct kl_user *ret);

#endif
