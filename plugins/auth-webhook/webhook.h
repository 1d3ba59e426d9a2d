/* webhook.h - what the files of auth-webhook share. */
#ifndef AUTH_WEBHOOK_WEBHOOK_H
#define AUTH_WEBHOOK_WEBHOOK_H

#include <keelson/cel.h>

#include "base/cleanup.h"
#include "hook.h"
#include "review.h"

struct conf {
    const char *kubeconfig, *version, *issuer;   /* authn */
    int64_t cache_ttl_ns, timeout_ns;
    const char *file;                   /* authz: an AuthorizationConfiguration */
};

/* config.c: one authorizer of the list. */
enum authorizer { AUTH_ALLOW, AUTH_DENY, AUTH_INSTANCE, AUTH_HOOK };
struct step {
    enum authorizer type;
    const char *name;
    const char *instance;               /* INSTANCE: of the configuration ("node", "rbac") */
    struct kl_instance found;           /* of it; table NULL: not looked for yet */
    struct hook hook;                   /* HOOK, and the rest */
    const char *version, *kubeconfig;
    int64_t yes_ttl_ns, no_ttl_ns, timeout_ns;
    bool deny_on_failure;
    const char **conditions;            /* expressions over `request`; without one: it is always asked */
    void **programs;                    /* of the host, as many */
    unsigned n_conditions;
};
struct steps {
    struct arena *arena;
    struct step *at;
    unsigned n;
};
/* KL_INVALID names the field. */
int steps_read(struct steps *s, struct str text, struct kl_err *err);

extern const struct kl_authn webhook_authn;
extern const struct kl_authz webhook_authz;

#endif
