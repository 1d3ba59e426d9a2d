/* auth.h - keelson.authn/0, keelson.authz/0, keelson.admission/0: the chains a request passes. The host owns the order
 * (conf: chains), walks them and keeps the audit trail. All [loop], must not block.
 */
#ifndef KEELSON_IFACE_AUTH_H
#define KEELSON_IFACE_AUTH_H

#include "../plugin.h"

#define KL_AUTHN_0     "keelson.authn/0"
#define KL_AUTHZ_0     "keelson.authz/0"
#define KL_ADMISSION_0 "keelson.admission/0"

struct kl_user {
    KL_STRUCT_HEAD;
    const char *name, *uid;
    const char *const *groups;          /* NULL-terminated */
    const char *const *extra;           /* key, value, key, value, ..., NULL; a key may come again. NULL: none */
    const char *const *audiences;       /* for whom the credentials are, NULL-terminated; NULL: for this server */
};

/* What proves who asks. Texts may be NULL. */
struct kl_credentials {
    KL_STRUCT_HEAD;
    struct kl_bytes cert_der;           /* client certificate, verified against the client CA already; empty: none */
    const char *cert_cn;                /* its subject */
    const char *const *cert_orgs;       /* NULL-terminated */
    const char *bearer;
    const char *peer;                   /* address */
    const char *const *audiences;       /* who asks about them, NULL-terminated: the credentials must be for one of these; NULL: this server */
};

struct kl_authn {
    KL_STRUCT_HEAD;
    struct kl_life life;
    /* 1: *ret is who (in the call's arena); 0: no opinion; < 0: these credentials are bad (401). */
    int (*authenticate)(void *self, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret);
};

/* One parsed request: the same tuple serves authorization, storage and audit. */
struct kl_request {
    KL_STRUCT_HEAD;
    const char *verb;                   /* get list watch create update patch delete deletecollection, or a lower-case method */
    const char *path;                   /* always */
    uint32_t is_resource;
    const char *group, *version, *resource, *subresource, *ns, *name;    /* "" when not there */
};

struct kl_authz {
    KL_STRUCT_HEAD;
    struct kl_life life;
    /* 1 yes, 0 no opinion, < 0 no (reason in c->err). */
    int (*authorize)(void *self, struct kl_call *c, const struct kl_user *user, const struct kl_request *r);
    /* What the user may do in ns, as SelfSubjectRulesReview shows it: {"resourceRules":[...],"nonResourceRules":[...]}. NULL: cannot be listed. */
    int (*rules)(void *self, struct kl_call *c, const struct kl_user *user, const char *ns, struct kl_bytes *ret);
};

struct kl_admission_review {
    KL_STRUCT_HEAD;
    const struct kl_request *request;
    const struct kl_user *user;
    const char *kind;
    struct kl_bytes object, old_object; /* empty: none */
    struct kl_bytes options;
};

struct kl_admission_verdict {
    KL_STRUCT_HEAD;
    struct kl_bytes patch;              /* JSON patch (RFC 6902); empty: none. In the call's arena. */
    const char *const *warnings;        /* NULL-terminated; may be NULL */
};

struct kl_admission {
    KL_STRUCT_HEAD;
    struct kl_life life;
    const char *const *resources;       /* "/pods", "*"; NULL-terminated */
    const char *operations;             /* "CREATE,UPDATE,DELETE,CONNECT" */
    uint32_t mutates;                   /* mutating ones run before validating ones */
    /* 0: allowed; < 0: refused (c->err). No side effects with KL_CALL_DRY_RUN. */
    int (*review)(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret);
};

#endif
