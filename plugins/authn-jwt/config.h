/* config.h - a file of the kind AuthenticationConfiguration (apiserver.config.k8s.io), and what a token's claims become by it. */
#ifndef AUTHN_JWT_CONFIG_H
#define AUTHN_JWT_CONFIG_H

#include <keelson/cel.h>
#include <keelson/iface/auth.h>

#include "base/json.h"

struct mapping {
    const char *claim;                  /* NULL: none */
    const char *prefix;
};

struct required {
    const char *claim, *value;
};

/* A CEL expression over `claims` (what a token says) or, of user rules, over `user` (what became of it). */
enum use { USE_USERNAME, USE_GROUPS, USE_UID, USE_EXTRA, USE_CLAIM_RULE, USE_USER_RULE };
struct expression {
    enum use use;
    const char *text, *path;            /* path: of its field */
    const char *detail;                 /* EXTRA: the key; rules: the message when it is false, or "" */
    void *program;                      /* the host's; NULL: not compiled */
};

struct issuer {
    const char *url, *discovery_url;    /* discovery_url: where its documents begin */
    struct kl_bytes ca;                 /* PEM; empty: the system's */
    const char *const *audiences;       /* NULL-terminated */
    struct mapping user, groups, uid;
    const struct required *required;
    unsigned n_required;
    struct expression *expressions;
    unsigned n_expressions;
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

/* claims.c: of a token whose signature is good. 1, or < 0 with what is wrong (KL_UNAUTHORIZED). Texts in the call's arena; a is for what is
 * needed meanwhile. */
struct evaluator {
    const struct kl_host *host;
    const struct kl_host_cel *cel;      /* NULL: nothing is an expression */
};
int claims_user(struct kl_call *c, struct arena *a, const struct evaluator *e, const struct issuer *by, const struct val *claims, int64_t now_s,
                struct kl_user *ret);

#endif
