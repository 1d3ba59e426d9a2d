/* admission.c - who may approve and sign for a signer, and what nobody may ask the API server's client signer for. */
#include "certificates.h"

static int ask(struct review *w, const char *verb, const char *name)
{
    const struct kl_host_authz *authz = w->core->host->service(w->core->host, KL_HOST_AUTHZ_0);
    struct kl_request q = { .size = sizeof q, .verb = verb, .path = "", .is_resource = 1, .group = "certificates.k8s.io", .version = "*", .resource = "signers",
                            .subresource = "", .ns = "", .name = name };
    return authz ? authz->authorize(w->core->host, w->call, w->r->user, &q) : 0;
}

/* The verb on that signer, or on all of its domain. */
static int may_for_signer(struct review *w, const char *verb, struct str signer, const char *what)
{
    struct str rest = signer, domain = str_cut(&rest, '/');
    const char *name = arena_dup(w->arena, signer), *all = arena_printf(w->arena, STR_FMT "/*", STR_ARG(domain));
    if (!name || !all)
        return review_no_memory(w);
    int rc = ask(w, verb, name);
    if (rc != 1 && rc != -KL_PENDING)
        rc = ask(w, verb, all);
    if (rc == -KL_PENDING)
        return rc;
    return rc == 1 ? 0 : review_forbid(w, "user not permitted to %s requests with signerName \"" STR_FMT "\"", what, STR_ARG(signer));
}

static int approval_rule(struct review *w)
{
    struct val *old = review_old(w);
    return old ? may_for_signer(w, "approve", json_str(old, "spec.signerName"), "approve") : review_no_memory(w);
}

static int signing_rule(struct review *w)
{
    struct val *old = review_old(w), *now = review_object(w);
    if (!old || !now)
        return review_no_memory(w);
    struct val *a = json_path(now, "status.conditions"), *b = json_path(old, "status.conditions");
    bool same = a && b ? val_equal(a, b) : a == b;
    if (same && str_eq(json_str(now, "status.certificate"), json_str(old, "status.certificate")))
        return 0;
    return may_for_signer(w, "sign", json_str(old, "spec.signerName"), "sign");
}

static int subject_rule(struct review *w)
{
    struct val *csr = review_object(w);
    struct cert_request q;
    if (!csr)
        return review_no_memory(w);
    if (!str_is(json_str(csr, "spec.signerName"), SIGNER_CLIENT))
        return 0;
    if (!request_read(w->arena, json_str(csr, "spec.request"), &q, NULL))
        return review_forbid(w, "could not parse csr");
    val_each(o, q.orgs)
        if (str_is(val_str(o), "system:masters"))
            return review_forbid(w, "use of " SIGNER_CLIENT " signer with system:masters group is not allowed");
    return 0;
}

#define TABLE(ID, OPERATIONS, RESOURCE) \
    static int ID##_review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret) \
    { \
        return review_run(self, c, r, ret, ID##_rule); \
    } \
    static const char *const ID##_resources[] = { RESOURCE, NULL }; \
    const struct kl_admission ID##_admission = { .size = sizeof(struct kl_admission), .life = { .open = core_open, .close = core_close }, \
                                                 .resources = ID##_resources, .operations = OPERATIONS, .review = ID##_review }
TABLE(approval, "UPDATE", CSRS "/approval");
TABLE(signing, "UPDATE", CSRS "/status");
TABLE(subject, "CREATE", CSRS);
