/* certificates.h - the parts of controller-certificates. */
#ifndef CONTROLLER_CERTIFICATES_H
#define CONTROLLER_CERTIFICATES_H

#include "ctl.h"
#include "meta.h"
#include "review.h"

#define CSRS "certificates.k8s.io/certificatesigningrequests"
#define SIGNER_CLIENT  "kubernetes.io/kube-apiserver-client"
#define SIGNER_KUBELET "kubernetes.io/kube-apiserver-client-kubelet"
#define SIGNER_SERVING "kubernetes.io/kubelet-serving"
#define SIGNER_LEGACY  "kubernetes.io/legacy-unknown"
/* Whoever bears a certificate of that name from the cluster's CA is the server to nodes (kernel/cli/cli.h, PKI_TOWARDS_NODES): nobody gets one by request. */
#define SERVER_NAME    "kube-apiserver-kubelet-client"

struct cert_conf {
    const char *ca_cert, *ca_key;       /* files, PEM */
    const char *token_key;              /* file, PEM; empty: Secrets of accounts get no tokens */
    int64_t duration;                   /* ns; of what is signed, at most */
    int32_t approve_serving;            /* of kubelet-serving: those that name their own node only */
};

/* request.c: what a request (base64 of PEM, spec.request) asks for; texts in the arena. */
struct cert_request {
    struct str cn;
    const struct val *orgs;             /* texts */
    unsigned dns, ip, email, uri;       /* subjectAltNames of each kind */
    const struct val *names;            /* those of kind dns and ip, as texts */
};
/* False: it cannot be read, or its signature is not its key's; *ret_why (may be NULL) says so. */
bool request_read(struct arena *a, struct str request, struct cert_request *ret, const char **ret_why);
/* Is it what the signer signs? NULL: it is, else why not, in upstream's words. */
const char *request_unfit(struct arena *a, const struct cert_request *q, const struct val *usages, struct str signer);

/* sign.c: a certificate for an approved request as base64 of PEM. KL_INVALID: it never can be; other failures may pass. seconds 0: the longest. */
int sign_request(struct arena *a, const struct cert_conf *conf, struct str request, const struct val *usages, int64_t seconds, int64_t now_ns, struct str *ret,
                 struct kl_err *err);
/* When the certificate (base64 of PEM) ends, in wall ns; 0: it cannot be read. */
int64_t certificate_end(struct arena *a, struct str certificate);

/* base64 with padding. at NULL: not that, or no memory. */
struct str text_decode(struct arena *a, struct str s);
struct str text_encode(struct arena *a, struct str s);

/* C name, provider's name */
#define CERT_FIRST(X) X(csrapproving, "csrapproving")
#define CERT_MORE(X) \
    X(csrsigning, "csrsigning") X(csrcleaner, "csrcleaner") X(tokencleaner, "tokencleaner") X(bootstrapsigner, "bootstrapsigner") \
    X(accounttokens, "serviceaccount-token")
#define CERT_CONTROLLERS(X) CERT_FIRST(X) CERT_MORE(X)
#define CERT_ADMISSIONS(X) \
    X(approval, "certificate-approval") X(signing, "certificate-signing") X(subject, "certificate-subject-restriction")
#define CERT_DECLARE_C(ID, NAME) extern const struct kl_controller ID##_controller;
#define CERT_DECLARE_A(ID, NAME) extern const struct kl_admission ID##_admission;
CERT_CONTROLLERS(CERT_DECLARE_C)
CERT_ADMISSIONS(CERT_DECLARE_A)

#endif
