/* certificates.c - requests made here, approved, signed by a CA made here, cleaned; tokens that end and sign. */
#include <criterion/criterion.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdlib.h>

#include "certificates.h"
#include "fake.h"

static struct fake *f;
static struct cert_conf conf;
static char dir[] = "/tmp/keelson-certificates.XXXXXX", crt_file[64], key_file[64];

static void put_file(const char *path, gnutls_datum_t d)
{
    FILE *out = fopen(path, "w");
    cr_assert(out && fwrite(d.data, 1, d.size, out) == d.size);
    fclose(out);
    gnutls_free(d.data);
}

static gnutls_x509_privkey_t new_key(void)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_privkey_init(&key);
    cr_assert(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) >= 0);
    return key;
}

static void make_ca(void)
{
    gnutls_x509_privkey_t key = new_key();
    gnutls_x509_crt_t crt;
    gnutls_datum_t out = { 0 };
    gnutls_x509_crt_init(&crt);
    gnutls_x509_crt_set_version(crt, 3);
    gnutls_x509_crt_set_serial(crt, "\1", 1);
    gnutls_x509_crt_set_activation_time(crt, f->now_ns / NS_S - 3600);
    gnutls_x509_crt_set_expiration_time(crt, f->now_ns / NS_S + 400 * 86400);
    gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, "ca", 2);
    gnutls_x509_crt_set_basic_constraints(crt, 1, 1);
    gnutls_x509_crt_set_key(crt, key);
    cr_assert(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0) >= 0);
    gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &out);
    put_file(crt_file, out);
    gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &out);
    put_file(key_file, out);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

static void begin(void)
{
    f = mem_alloc(sizeof *f);
    fake_init(f);
    cr_assert(mkdtemp(dir));
    snprintf(crt_file, sizeof crt_file, "%s/ca.crt", dir);
    snprintf(key_file, sizeof key_file, "%s/ca.key", dir);
    conf = (struct cert_conf){ .ca_cert = crt_file, .ca_key = key_file, .duration = 365 * 86400 * NS_S };
    f->ctl.conf = &conf;
    make_ca();
}

static void end(void)
{
    unlink(crt_file);
    unlink(key_file);
    rmdir(dir);
    fake_done(f);
    mem_free(f);
}

TestSuite(certificates, .init = begin, .fini = end);

static void set_names(gnutls_x509_crq_t crq, const char *oid, const char *names)
{
    for (struct str rest = str_of(names), one; (one = str_cut(&rest, '|')).len;)
        gnutls_x509_crq_set_dn_by_oid(crq, oid, 0, one.at, (unsigned)one.len);
}

/* spec.request: base64 of PEM. cn, org: several, separated by "|", are names in that order. */
static const char *request(const char *cn, const char *org, const char *dns)
{
    gnutls_x509_privkey_t key = new_key();
    gnutls_x509_crq_t crq;
    gnutls_datum_t out = { 0 };
    gnutls_x509_crq_init(&crq);
    gnutls_x509_crq_set_version(crq, 1);
    set_names(crq, GNUTLS_OID_X520_COMMON_NAME, cn);
    set_names(crq, GNUTLS_OID_X520_ORGANIZATION_NAME, org ? org : "");
    if (dns)
        gnutls_x509_crq_set_subject_alt_name(crq, GNUTLS_SAN_DNSNAME, dns, (unsigned)strlen(dns), GNUTLS_FSAN_APPEND);
    gnutls_x509_crq_set_key(crq, key);
    cr_assert(gnutls_x509_crq_sign2(crq, key, GNUTLS_DIG_SHA256, 0) >= 0);
    gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_PEM, &out);
    struct str text = text_encode(f->arena, str_n((const char *)out.data, out.size));
    gnutls_free(out.data);
    gnutls_x509_crq_deinit(crq);
    gnutls_x509_privkey_deinit(key);
    cr_assert(text.at);
    return arena_dup(f->arena, text);
}

static struct val *put(const char *name, const char *signer, const char *req, const char *usages, const char *status)
{
    return fake_put(f, CSRS, arena_printf(f->arena, "{\"metadata\":{\"name\":\"%s\",\"creationTimestamp\":\"2027-01-15T08:00:00Z\"},\"spec\":{\"signerName\":\"%s\",\"request\":\"%s\",\"usages\":[%s],"
                                                    "\"username\":\"system:node:a\",\"groups\":[\"system:nodes\"]},\"status\":{%s}}", name, signer, req, usages, status));
}

static const char *condition(const char *name, const char *type, const char *member)
{
    const struct val *c = cond_find(json_path(fake_get(f, CSRS, "", name), "status.conditions"), type);
    return c ? arena_dup(f->arena, json_str(c, member)) : "";
}

#define CLIENT  "\"digital signature\",\"client auth\""
#define SERVING "\"digital signature\",\"key encipherment\",\"server auth\""
#define APPROVED "\"conditions\":[{\"type\":\"Approved\",\"status\":\"True\",\"lastUpdateTime\":\"2027-01-15T08:00:00Z\"}]"

Test(certificates, which_signer_takes_what)
{
    static const struct {
        const char *signer, *cn, *org, *dns, *usages, *want;
    } rows[] = {
        { SIGNER_KUBELET, "system:node:a", "system:nodes", NULL, CLIENT, NULL },
        { SIGNER_KUBELET, "system:node:a", "nobody", NULL, CLIENT, "subject organization is not system:nodes" },
        { SIGNER_KUBELET, "a", "system:nodes", NULL, CLIENT, "subject common name does not begin with system:node:" },
        { SIGNER_KUBELET, "system:node:a", "system:nodes", "a.example", CLIENT, "DNS subjectAltNames are not allowed" },
        { SIGNER_KUBELET, "system:node:a", "system:nodes", NULL, SERVING, "usages did not match [client auth digital signature key encipherment]" },
        { SIGNER_KUBELET, "system:node:a|boss", "system:nodes", NULL, CLIENT, "subject common name does not begin with system:node:" },     /* the last one counts */
        { SIGNER_KUBELET, "boss|system:node:a", "system:nodes", NULL, CLIENT, NULL },
        { SIGNER_SERVING, "system:node:a", "system:nodes", "a.example", SERVING, NULL },
        { SIGNER_SERVING, "system:node:a", "system:nodes", NULL, SERVING, "DNS or IP subjectAltName is required" },
        { SIGNER_CLIENT, "ann", "people", NULL, CLIENT, NULL },
        { SIGNER_CLIENT, "ann", "people", NULL, SERVING, "invalid usage for client certificate: server auth" },
        { SIGNER_CLIENT, "ann", "people", NULL, "\"digital signature\"", "missing required usage for client certificate: client auth" },
        { SIGNER_LEGACY, "any", NULL, "x", SERVING, NULL },
        { SIGNER_LEGACY, SERVER_NAME, NULL, NULL, CLIENT, "subject common name is the API server's own towards nodes, which do what it says" },
        { SIGNER_CLIENT, "ann|" SERVER_NAME, "people", NULL, CLIENT, "subject common name is the API server's own towards nodes, which do what it says" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cert_request q;
        cr_assert(request_read(f->arena, str_of(request(rows[i].cn, rows[i].org, rows[i].dns)), &q, NULL), "row %zu", i);
        struct val *usages = json_parse(f->arena, str_of(arena_printf(f->arena, "[%s]", rows[i].usages)), NULL);
        const char *why = request_unfit(f->arena, &q, usages, str_of(rows[i].signer));
        cr_expect_str_eq(why ? why : "", rows[i].want ? rows[i].want : "", "row %zu: %s", i, why);
    }
    struct cert_request q;
    char *hidden = arena_printf(f->arena, "system:nodes|%0600d|%01100d|system:masters", 1, 2);
    cr_assert(!request_read(f->arena, str_of(request("system:node:a", hidden, NULL)), &q, NULL), "what is too long to be read hides nothing");
    cr_assert(!request_read(f->arena, STR("bm8="), &q, NULL));
    cr_assert(!request_read(f->arena, STR("?"), &q, NULL));
}

Test(certificates, nodes_are_approved_when_they_may)
{
    put("own", SIGNER_KUBELET, request("system:node:a", "system:nodes", NULL), CLIENT, "");
    put("other", SIGNER_KUBELET, request("system:node:b", "system:nodes", NULL), CLIENT, "");
    put("user", SIGNER_CLIENT, request("ann", NULL, NULL), CLIENT, "");
    f->may = "create certificatesigningrequests/selfnodeclient |";
    for (int i = 0; i < 3; i++)
        cr_assert_eq(fake_reconcile(f, &csrapproving_controller, i == 0 ? "own" : i == 1 ? "other" : "user", NULL), 0);
    cr_assert_str_eq(condition("own", "Approved", "message"), "Auto approving self kubelet client certificate after SubjectAccessReview.");
    cr_assert_str_eq(condition("other", "Approved", "reason"), "");
    cr_assert_str_eq(condition("user", "Approved", "reason"), "");
    f->may = "create certificatesigningrequests/nodeclient |";
    cr_assert_eq(fake_reconcile(f, &csrapproving_controller, "other", NULL), 0);
    cr_assert_str_eq(condition("other", "Approved", "reason"), "AutoApproved");
}

Test(certificates, what_is_approved_is_signed)
{
    put("good", SIGNER_SERVING, request("system:node:a", "system:nodes", "a.example"), SERVING, APPROVED);
    put("bad", SIGNER_SERVING, request("system:node:a", "system:nodes", NULL), SERVING, APPROVED);
    put("strange", "example.com/mine", request("x", NULL, NULL), CLIENT, APPROVED);
    put("waits", SIGNER_CLIENT, request("x", NULL, NULL), CLIENT, "");
    const char *names[] = { "good", "bad", "strange", "waits" };
    for (int i = 0; i < 4; i++)
        cr_assert_eq(fake_reconcile(f, &csrsigning_controller, names[i], NULL), 0, "%s: %s", names[i], f->call.err.msg);
    struct str text = json_str(fake_get(f, CSRS, "", "good"), "status.certificate"), pem = text_decode(f->arena, text);
    cr_assert(pem.at);
    gnutls_x509_crt_t crt;
    gnutls_datum_t in = { (unsigned char *)(uintptr_t)pem.at, (unsigned)pem.len };
    char name[64];
    size_t size = sizeof name;
    unsigned usage = 0;
    gnutls_x509_crt_init(&crt);
    cr_assert(gnutls_x509_crt_import(crt, &in, GNUTLS_X509_FMT_PEM) >= 0);
    cr_assert(gnutls_x509_crt_get_subject_alt_name(crt, 0, name, &size, NULL) == GNUTLS_SAN_DNSNAME && strncmp(name, "a.example", 9) == 0);
    gnutls_x509_crt_get_key_usage(crt, &usage, NULL);
    cr_assert_eq(usage, (unsigned)(GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_ENCIPHERMENT));
    gnutls_x509_crt_deinit(crt);
    cr_assert_eq(certificate_end(f->arena, text), f->now_ns - 300 * NS_S + conf.duration);
    cr_assert_str_eq(condition("bad", "Failed", "message"), "DNS or IP subjectAltName is required");
    cr_assert_str_eq(condition("bad", "Failed", "reason"), "SignerValidationFailure");
    for (int i = 2; i < 4; i++)
        cr_assert(!json_str(fake_get(f, CSRS, "", names[i]), "status.certificate").len);
}

Test(certificates, how_long)
{
    static const struct { int64_t asked, end; } rows[] = { { 3600, 3600 }, { 60, 600 }, { 86400, 86400 - 300 }, { 1LL << 40, 365 * 86400 - 300 } };
    const char *req = request("ann", NULL, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str out = STR_NONE;
        cr_assert_eq(sign_request(f->arena, &conf, str_of(req), NULL, rows[i].asked, f->now_ns, &out, &f->call.err), 0);
        cr_expect_eq(certificate_end(f->arena, out), f->now_ns + rows[i].end * NS_S, "row %zu", i);
    }
    conf.duration = 4000LL * 86400 * NS_S;
    struct str out = STR_NONE;
    cr_assert_eq(sign_request(f->arena, &conf, str_of(req), NULL, 0, f->now_ns, &out, &f->call.err), 0);
    cr_expect_eq(certificate_end(f->arena, out), f->now_ns + 400 * 86400 * NS_S, "not longer than the CA");
    conf.ca_key = "/nowhere";
    cr_assert_eq(sign_request(f->arena, &conf, str_of(req), NULL, 0, f->now_ns, &out, &f->call.err), -KL_UNAVAILABLE);
}

Test(certificates, old_requests_go)
{
    int64_t again;
    f->now_ns = 0;
    cr_assert(clock_parse(STR("2027-01-15T08:30:00Z"), &f->now_ns));
    put("denied", SIGNER_CLIENT, "", CLIENT, "\"conditions\":[{\"type\":\"Denied\",\"lastUpdateTime\":\"2027-01-15T08:00:00Z\"}]");
    put("pending", SIGNER_CLIENT, "", CLIENT, "");
    put("approved", SIGNER_CLIENT, "", CLIENT, APPROVED);
    cr_assert_eq(fake_reconcile(f, &csrcleaner_controller, "denied", &again), 0);
    cr_assert_eq(again, 1800 * NS_S);
    cr_assert_eq(fake_reconcile(f, &csrcleaner_controller, "pending", &again), 0);
    cr_assert_eq(again, (23 * 3600 + 1800) * NS_S);
    cr_assert_eq(fake_reconcile(f, &csrcleaner_controller, "approved", &again), 0);
    cr_assert_eq(again, 0, "it waits for its certificate");
    f->now_ns += 1801 * NS_S;
    cr_assert_eq(fake_reconcile(f, &csrcleaner_controller, "denied", &again), 0);
    cr_assert_null(fake_get(f, CSRS, "", "denied"));
}

/* --- tokens --- */

static struct val *put_token(const char *id, const char *expiration)
{
    struct str e = text_encode(f->arena, str_of(expiration)), i = text_encode(f->arena, str_of(id));
    return fake_put(f, "/secrets", arena_printf(f->arena, "{\"metadata\":{\"name\":\"bootstrap-token-%s\",\"namespace\":\"kube-system\"},\"type\":\"bootstrap.kubernetes.io/token\",\"data\":{\"token-id\":\"" STR_FMT "\","
                                                          "\"token-secret\":\"MDEyMzQ1Njc4OWFiY2RlZg==\",\"usage-bootstrap-signing\":\"dHJ1ZQ==\",\"expiration\":\"" STR_FMT "\"}}", id, STR_ARG(i), STR_ARG(e)));
}

Test(certificates, tokens_end)
{
    int64_t again;
    cr_assert(clock_parse(STR("2027-01-15T08:00:00Z"), &f->now_ns));
    put_token("aaaaaa", "2027-01-15T08:00:10Z");
    put_token("bbbbbb", "soon");
    cr_assert_eq(fake_reconcile(f, &tokencleaner_controller, "kube-system/bootstrap-token-aaaaaa", &again), 0);
    cr_assert_eq(again, 10 * NS_S);
    cr_assert_eq(fake_reconcile(f, &tokencleaner_controller, "kube-system/bootstrap-token-bbbbbb", &again), 0);
    cr_assert_null(fake_get(f, "/secrets", "kube-system", "bootstrap-token-bbbbbb"));
    put_token("dddddd", "2999-01-01T00:00:00Z");
    cr_assert_eq(fake_reconcile(f, &tokencleaner_controller, "kube-system/bootstrap-token-dddddd", &again), 0);
    cr_assert(fake_get(f, "/secrets", "kube-system", "bootstrap-token-dddddd") && !again, "farther than our clock goes");
    f->now_ns += 10 * NS_S;
    cr_assert_eq(fake_reconcile(f, &tokencleaner_controller, "kube-system/bootstrap-token-aaaaaa", &again), 0);
    cr_assert_null(fake_get(f, "/secrets", "kube-system", "bootstrap-token-aaaaaa"));
}

Test(certificates, tokens_sign)
{
    cr_assert(clock_parse(STR("2027-01-15T08:00:00Z"), &f->now_ns));
    put_token("aaaaaa", "2027-01-15T09:00:00Z");
    put_token("bbbbbb", "2027-01-15T07:00:00Z");
    fake_put(f, "/configmaps", "{\"metadata\":{\"name\":\"cluster-info\",\"namespace\":\"kube-public\"},\"data\":{\"kubeconfig\":\"x\",\"jws-kubeconfig-cccccc\":\"old\"}}");
    int64_t again;
    cr_assert_eq(fake_reconcile(f, &bootstrapsigner_controller, "kube-public/cluster-info", &again), 0);
    const struct val *data = json_get(fake_get(f, "/configmaps", "kube-public", "cluster-info"), STR("data"));
    cr_assert_eq(data->n, 2u);
    /* {"alg":"HS256","kid":"aaaaaa"} . x, keyed with 0123456789abcdef */
    unsigned char mac[32];
    const char *signed_text = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImFhYWFhYSJ9.eA";
    gnutls_hmac_fast(GNUTLS_MAC_SHA256, "0123456789abcdef", 16, signed_text, strlen(signed_text), mac);
    struct str mine = val_str(json_get(data, STR("jws-kubeconfig-aaaaaa")));
    cr_assert(str_starts(mine, STR("eyJhbGciOiJIUzI1NiIsImtpZCI6ImFhYWFhYSJ9..")));
    struct str b64 = text_encode(f->arena, str_n((const char *)mac, 32));
    for (size_t i = 42; i < mine.len; i++) {
        char c = b64.at[i - 42];
        cr_assert_eq(mine.at[i], c == '+' ? '-' : c == '/' ? '_' : c);
    }
    cr_assert_eq(again, 3600 * NS_S);
    uint32_t before = f->updates;
    cr_assert_eq(fake_reconcile(f, &bootstrapsigner_controller, "kube-public/cluster-info", &again), 0);
    cr_assert_eq(f->updates, before);
}

/* --- admission --- */

static struct kl_admission_verdict verdict;

static int ask(const struct kl_admission *t, const struct fake_ask *q)
{
    void *self;
    cr_assert_eq(t->life.open(&f->host, &conf, &self, &f->call), 0);
    int rc = fake_review(f, t, self, q, &verdict);
    t->life.close(self);
    return rc;
}

Test(certificates, who_may_approve_and_sign)
{
    const char *old = "{\"spec\":{\"signerName\":\"example.com/x\"}}", *now = "{\"spec\":{\"signerName\":\"example.com/x\"},\"status\":{\"certificate\":\"eA==\"}}";
    struct fake_ask approve = { .verb = "update", .resource = CSRS, .subresource = "approval", .object = old, .old_object = old };
    struct fake_ask sign = { .verb = "update", .resource = CSRS, .subresource = "status", .object = now, .old_object = old };
    f->may = "";
    cr_assert_eq(ask(&approval_admission, &approve), -KL_FORBIDDEN);
    cr_assert_str_eq(verdict.refusal, "user not permitted to approve requests with signerName \"example.com/x\"");
    cr_assert_eq(ask(&signing_admission, &sign), -KL_FORBIDDEN);
    cr_assert_str_eq(verdict.refusal, "user not permitted to sign requests with signerName \"example.com/x\"");
    f->may = "approve signers example.com/x|sign signers example.com/*|";
    cr_assert_eq(ask(&approval_admission, &approve), 0);
    cr_assert_eq(ask(&signing_admission, &sign), 0);
    f->may = "";
    sign.object = old;
    cr_assert_eq(ask(&signing_admission, &sign), 0, "nothing is signed");
}

Test(certificates, masters_are_not_made_by_request)
{
    char *csr = arena_printf(f->arena, "{\"spec\":{\"signerName\":\"" SIGNER_CLIENT "\",\"request\":\"%s\"}}", request("root", "system:masters", NULL));
    cr_assert_eq(ask(&subject_admission, &(struct fake_ask){ .resource = CSRS, .object = csr }), -KL_FORBIDDEN);
    cr_assert_str_eq(verdict.refusal, "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed");
    csr = arena_printf(f->arena, "{\"spec\":{\"signerName\":\"" SIGNER_CLIENT "\",\"request\":\"%s\"}}", request("ann", "people", NULL));
    cr_assert_eq(ask(&subject_admission, &(struct fake_ask){ .resource = CSRS, .object = csr }), 0);
}

/* Only when it is wanted, only for the node that asks, and only by names that are its own. */
Test(certificates, serving_certificates_are_approved_for_own_names)
{
    const char *own = request("system:node:a", "system:nodes", "a"), *other = request("system:node:a", "system:nodes", "b");
    fake_put(f, "/nodes", "{\"metadata\":{\"name\":\"a\"},\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"192.0.2.1\"}]}}");
    put("own", SIGNER_SERVING, own, SERVING, "");
    cr_assert_eq(fake_reconcile(f, &csrapproving_controller, "own", NULL), 0);
    cr_assert_str_eq(condition("own", "Approved", "status"), "", "it is not upstream's way");
    conf.approve_serving = 1;
    cr_assert_eq(fake_reconcile(f, &csrapproving_controller, "own", NULL), 0);
    cr_assert_str_eq(condition("own", "Approved", "status"), "True");
    put("other", SIGNER_SERVING, other, SERVING, "");
    cr_assert_eq(fake_reconcile(f, &csrapproving_controller, "other", NULL), 0);
    cr_assert_str_eq(condition("other", "Approved", "status"), "");
    put("foreign", SIGNER_SERVING, request("system:node:b", "system:nodes", "b"), SERVING, "");
    cr_assert_eq(fake_reconcile(f, &csrapproving_controller, "foreign", NULL), 0);
    cr_assert_str_eq(condition("foreign", "Approved", "status"), "");
}
