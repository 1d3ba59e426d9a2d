/* auth.h - keelson.authn/0, keelson.authz/0, keelson.admission/0: the chains a request passes. The host owns the order
 * (conf: chains), walks them and keeps the audit trail. All [loop], must not block.
 *
 * Where a result is < 0, -KL_PENDING says: not known yet (host.h, wait). The request is run again when the plugin wakes it, and once it is
 * over (answered, timed out, its client gone) `over` is told: what was remembered for it is of no more use, a question under way neither.
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
    struct kl_bytes cert_shown;         /* client certificate that the client CA does not vouch for: it proves nothing to whoever trusts no other CA */
    const char *const *headers;         /* of the request: name (lower case), value, ..., NULL. With cert_shown only, else NULL */
    const char *path;                   /* of the request; NULL: the credentials are asked about for somebody else */
};

struct kl_authn {
    KL_STRUCT_HEAD;
    struct kl_life life;
    /* 1: *ret is who (in the call's arena); 0: no opinion; < 0: these credentials are bad (401). */
    int (*authenticate)(void *self, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret);
    void (*over)(void *self, uint64_t request);          /* that was pending, here or at another plugin; may be NULL */
};

/* One parsed request: the same tuple serves authorization, storage and audit. */
struct kl_request {
    KL_STRUCT_HEAD;
    const char *verb;                   /* get list watch create update patch delete deletecollection, or a lower-case method */
    const char *path;                   /* always */
    uint32_t is_resource;
    const char *group, *version, *resource, *subresource, *ns, *name;    /* "" when not there */
    const char *field_selector, *label_selector;         /* of lists, watches and deletions of many, as text; "" or NULL: none */
};

struct kl_authz {
    KL_STRUCT_HEAD;
    struct kl_life life;
    /* 1 yes, 0 no opinion, < 0 no (reason in c->err). */
    int (*authorize)(void *self, struct kl_call *c, const struct kl_user *user, const struct kl_request *r);
    /* What the user may do in ns, as SelfSubjectRulesReview shows it: {"resourceRules":[...],"nonResourceRules":[...]}. NULL: cannot be listed. */
    int (*rules)(void *self, struct kl_call *c, const struct kl_user *user, const char *ns, struct kl_bytes *ret);
    void (*over)(void *self, uint64_t request);          /* as in kl_authn */
};

struct kl_admission_review {
    KL_STRUCT_HEAD;
    const struct kl_request *request;
    const struct kl_user *user;
    const char *kind;
    struct kl_bytes object, old_object; /* empty: none */
    struct kl_bytes options;            /* CreateOptions, UpdateOptions, PatchOptions or DeleteOptions as JSON */
    const char *kind_group, *kind_version;      /* of kind, where it is another than the request's (scale, eviction); else NULL */
};

struct kl_admission_verdict {
    KL_STRUCT_HEAD;
    struct kl_bytes patch;              /* JSON patch (RFC 6902); empty: none. In the call's arena. */
    const char *const *warnings;        /* NULL-terminated; may be NULL */
    uint32_t flags;                     /* KL_VERDICT_* */
    /* Of a refusal: its whole text where c->err has no room for it, and for KL_INVALID what is wrong in which field, as
     * reason ("FieldValueInvalid"), field, message, reason, ..., NULL. Both may be NULL. */
    const char *refusal;
    const char *const *causes;
    struct kl_bytes status;             /* of a refusal: the whole Status that the client gets (JSON), instead of all that; empty: none */
    const char *const *annotations;     /* for the audit trail, of a refusal too: key, value, ..., NULL. Only with KL_CALL_AUDITED; may be NULL */
};

#define KL_VERDICT_AGAIN    1u          /* mutating: once the patch is on the object and its defaults are filled in, review is called again */
#define KL_VERDICT_REINVOKE 2u          /* mutating: all mutating plugins are asked once more at the end, with KL_CALL_REINVOKED */
/* mutating: what the patch puts in is of its place's types, canonical, and has its defaults, so that the host need not go through the whole object
 * for it. A plugin that says so wrongly breaks what is stored: for plugins whose values are constants. */
#define KL_VERDICT_SETTLED  4u

struct kl_admission {
    KL_STRUCT_HEAD;
    struct kl_life life;
    const char *const *resources;       /* "/pods", "*"; NULL-terminated */
    const char *operations;             /* "CREATE,UPDATE,DELETE,CONNECT" */
    const char *const *groups;          /* it is asked only when the user is in one of these, NULL-terminated; NULL: about everybody */
    uint32_t mutates;                   /* 1: asked in the mutating half of the chain, which comes first; 2: in both (KL_CALL_VALIDATING) */
    /* JSON pointers (RFC 6901) to all that it looks at in r->object, NULL-terminated; NULL: it looks at the whole. With them the rest may be left
     * out of what it is shown, but for kind and apiVersion: writing the whole object out again for each plugin is what a create costs most. */
    const char *const *reads;
    /* JSON pointers through objects, without escapes, NULL-terminated: it is asked only about objects that have a member there, as they are at
     * that moment. NULL: about all. Looked at before `wants`, and cheaper still. */
    const char *const *when;
    /* 0: allowed; < 0: refused (c->err). No side effects with KL_CALL_DRY_RUN. */
    int (*review)(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret);
    void (*over)(void *self, uint64_t request);          /* as in kl_authn */
    /* Asked first, before the object is written out for review: 0: nothing to say about such a request; 1: review it; < 0: refused. NULL: always 1.
     * What most requests do not meet (a namespace without limits) costs a look-up then. */
    int (*wants)(void *self, struct kl_call *c, const struct kl_request *r, const struct kl_user *user);
};

/* Questions to the chain of authorizers, for plugins that decide by what somebody may do. */
#define KL_HOST_AUTHZ_0 "keelson.host.authz/0"
struct kl_host_authz {
    KL_STRUCT_HEAD;
    /* [loop] As authorize of kl_authz, of the whole chain: 1 yes, 0 nobody has an opinion, < 0 no; -KL_PENDING as there. */
    int (*authorize)(const struct kl_host *h, struct kl_call *c, const struct kl_user *user, const struct kl_request *r);
};

/* --- signatures: see signature.h --- */
#define KL_USER_MEMBERS(M, S) \
    M(S, STR, name, _) \
    M(S, STR, uid, _) \
    M(S, STRS, groups, _) \
    M(S, STRS, extra, _) \
    M(S, STRS, audiences, _)
#define KL_CREDENTIALS_MEMBERS(M, S) \
    M(S, BYTES, cert_der, _) \
    M(S, STR, cert_cn, _) \
    M(S, STRS, cert_orgs, _) \
    M(S, STR, bearer, _) \
    M(S, STR, peer, _) \
    M(S, STRS, audiences, _) \
    M(S, BYTES, cert_shown, _) \
    M(S, STRS, headers, _) \
    M(S, STR, path, _)
#define KL_REQUEST_MEMBERS(M, S) \
    M(S, STR, verb, _) \
    M(S, STR, path, _) \
    M(S, U32, is_resource, _) \
    M(S, STR, group, _) \
    M(S, STR, version, _) \
    M(S, STR, resource, _) \
    M(S, STR, subresource, _) \
    M(S, STR, ns, _) \
    M(S, STR, name, _) \
    M(S, STR, field_selector, _) \
    M(S, STR, label_selector, _)
#define KL_ADMISSION_REVIEW_MEMBERS(M, S) \
    M(S, STRUCT, request, kl_request) \
    M(S, STRUCT, user, kl_user) \
    M(S, STR, kind, _) \
    M(S, BYTES, object, _) \
    M(S, BYTES, old_object, _) \
    M(S, BYTES, options, _) \
    M(S, STR, kind_group, _) \
    M(S, STR, kind_version, _)
#define KL_ADMISSION_VERDICT_MEMBERS(M, S) \
    M(S, BYTES, patch, _) \
    M(S, STRS, warnings, _) \
    M(S, U32, flags, _) \
    M(S, STR, refusal, _) \
    M(S, STRS, causes, _) \
    M(S, BYTES, status, _) \
    M(S, STRS, annotations, _)
#define KL_AUTHN_CALLS(F, S) \
    F(S, authenticate, INT, LOOP, 0, (CALL, c, _), (STRUCT, cred, kl_credentials), (OUT_STRUCT, ret, kl_user)) \
    F(S, over, VOID, LOOP, KL_SIG_OPTIONAL, (U64, request, _))
#define KL_AUTHZ_CALLS(F, S) \
    F(S, authorize, INT, LOOP, 0, (CALL, c, _), (STRUCT, user, kl_user), (STRUCT, r, kl_request)) \
    F(S, rules, INT, LOOP, KL_SIG_OPTIONAL, (CALL, c, _), (STRUCT, user, kl_user), (STR, ns, _), (OUT_BYTES, ret, _)) \
    F(S, over, VOID, LOOP, KL_SIG_OPTIONAL, (U64, request, _))
#define KL_HOST_AUTHZ_CALLS(F, S) \
    F(S, authorize, INT, LOOP, 0, (CALL, c, _), (STRUCT, user, kl_user), (STRUCT, r, kl_request))
#define KL_ADMISSION_DATA(M, S) \
    M(S, STRS, resources, _) \
    M(S, STR, operations, _) \
    M(S, STRS, groups, _) \
    M(S, U32, mutates, _) \
    M(S, STRS, reads, _) \
    M(S, STRS, when, _)
#define KL_ADMISSION_CALLS(F, S) \
    F(S, review, INT, LOOP, KL_SIG_OUT_ALWAYS, (CALL, c, _), (STRUCT, r, kl_admission_review), (OUT_STRUCT, ret, kl_admission_verdict)) \
    F(S, over, VOID, LOOP, KL_SIG_OPTIONAL, (U64, request, _)) \
    F(S, wants, INT, LOOP, KL_SIG_OPTIONAL, (CALL, c, _), (STRUCT, r, kl_request), (STRUCT, user, kl_user))

#endif
