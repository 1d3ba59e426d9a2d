/* cel.h - keelson.host.cel/0: expressions in the Common Expression Language, as Kubernetes speaks it, for plugins that are configured with some. */
#ifndef KEELSON_CEL_H
#define KEELSON_CEL_H

#include "iface/auth.h"

#define KL_HOST_CEL_0 "keelson.host.cel/0"
struct kl_host_cel {
    KL_STRUCT_HEAD;
    /* [any] Parses and checks. variables: name, type, name, type, ..., NULL; a type is "dyn", "map" (of texts to anything) or one of the API's,
     * "io.k8s.api.authorization.v1.SubjectAccessReviewSpec". The program is the caller's until it drops it. KL_INVALID: c->err says what is wrong, as
     * upstream does. */
    int (*compile)(const struct kl_host *h, struct kl_call *c, const char *text, const char *const *variables, void **ret);
    /* [any] values: JSON, one for each variable in their order. *ret: the result as JSON. KL_INVALID: it has none (an error, or too much work). */
    int (*eval)(const struct kl_host *h, struct kl_call *c, void *program, const struct kl_bytes *values, size_t n, struct kl_bytes *ret);
    void (*drop)(const struct kl_host *h, void *program);            /* [any] */
    /* [any] Match conditions of admission: expressions over object, oldObject, request and authorizer that must all be true. texts: NULL-terminated. What is
     * wrong with an expression is told when it is evaluated. *ret is dropped as programs are. */
    int (*conditions)(const struct kl_host *h, struct kl_call *c, const char *const *texts, void **ret);
    /* [loop] 1: all hold; 0: one is false, whatever the others are; KL_INVALID: none is false and some have no value: *ret_why says why. -KL_PENDING: one
     * asks an authorizer that has no answer yet. request: the members of an AdmissionRequest but its objects, JSON; object, old: empty: none. */
    int (*match)(const struct kl_host *h, struct kl_call *c, void *conditions, const struct kl_user *user, struct kl_bytes request, struct kl_bytes object,
                 struct kl_bytes old, const char **ret_why);
};

/* --- signatures: see signature.h --- */
#define KL_HOST_CEL_CALLS(F, S) \
    F(S, compile, INT, ANY, 0, (CALL, c, _), (STR, text, _), (STRS, variables, _), (OUT_HANDLE, ret, _)) \
    F(S, eval, INT, ANY, 0, (CALL, c, _), (HANDLE, program, _), (BYTES_LIST, values, _), (SIZE, n, _), (OUT_BYTES, ret, _)) \
    F(S, drop, VOID, ANY, 0, (HANDLE, program, _)) \
    F(S, conditions, INT, ANY, 0, (CALL, c, _), (STRS, texts, _), (OUT_HANDLE, ret, _)) \
    F(S, match, INT, LOOP, 0, (CALL, c, _), (HANDLE, conditions, _), (STRUCT, user, kl_user), (BYTES, request, _), (BYTES, object, _), (BYTES, old, _), \
      (OUT_STR, ret_why, _))

#endif
