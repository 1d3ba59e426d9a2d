/* token.c - TokenRequest: a JSON web token (ES256) that says which service account, and which pod, node or secret, its bearer acts for. Who
 * verifies them is plugins/authn-token; what others need to verify them is served as OpenID documents.
 */
#include "api-internal.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>

#include "base/base64url.h"
#include "base/clock.h"
#include "base/env.h"

#define PART 32                         /* bytes of one coordinate of P-256 */
#define POD_SECONDS 3607                /* what kubelets ask for; such tokens really last a year and are warned about after that time */
#define YEAR (365 * 24 * 3600LL)

struct api_signer {
    gnutls_privkey_t key;
    char issuer[300], kid[44];
    char x[44], y[44];                  /* the public point, base64url */
};

static int fixed_part(const gnutls_datum_t *d, char *ret)
{
    unsigned char part[PART] = { 0 };
    _cleanup_buf_ struct buf b = BUF_INIT(64);
    size_t skip = d->size > PART ? d->size - PART : 0, n = d->size - skip;
    memcpy(part + PART - n, d->data + skip, n);
    base64url_encode(&b, part, PART);
    if (b.failed || b.len != 43)
        return -1;
    memcpy(ret, b.at, 44);
    return 0;
}

static int read_point(struct api_signer *s)
{
    gnutls_datum_t x = { 0 }, y = { 0 };
    gnutls_ecc_curve_t curve;
    gnutls_pubkey_t pub;
    int rc = gnutls_pubkey_init(&pub);
    if (rc < 0)
        return rc;
    if ((rc = gnutls_pubkey_import_privkey(pub, s->key, 0, 0)) >= 0 && (rc = gnutls_pubkey_export_ecc_raw2(pub, &curve, &x, &y, 0)) >= 0 &&
        (curve != GNUTLS_ECC_CURVE_SECP256R1 || fixed_part(&x, s->x) < 0 || fixed_part(&y, s->y) < 0))
        rc = GNUTLS_E_ECC_UNSUPPORTED_CURVE;
    gnutls_pubkey_deinit(pub);
    gnutls_free(x.data);
    gnutls_free(y.data);
    return rc;
}

/* The thumbprint of RFC 7638. */
static int name_key(struct api_signer *s)
{
    unsigned char digest[32];
    char text[160];
    _cleanup_buf_ struct buf b = BUF_INIT(64);
    int n = snprintf(text, sizeof text, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", s->x, s->y);
    int rc = gnutls_hash_fast(GNUTLS_DIG_SHA256, text, (size_t)n, digest);
    base64url_encode(&b, digest, sizeof digest);
    if (rc < 0 || b.failed)
        return rc < 0 ? rc : GNUTLS_E_MEMORY_ERROR;
    memcpy(s->kid, b.at, sizeof s->kid);
    return 0;
}

int api_signer_new(const char *file, const char *domain, struct api_signer **ret, struct kl_err *err)
{
    struct api_signer *s = mem_alloc(sizeof *s);
    gnutls_datum_t pem = { 0 };
    if (!s)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    snprintf(s->issuer, sizeof s->issuer, "https://kubernetes.default.svc.%s", domain ? domain : "cluster.local");
    int rc = gnutls_privkey_init(&s->key);
    if (rc >= 0 && (rc = gnutls_load_file(file, &pem)) >= 0 && (rc = gnutls_privkey_import_x509_raw(s->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0)) >= 0)
        rc = read_point(s);
    if (rc >= 0)
        rc = name_key(s);
    gnutls_free(pem.data);
    if (rc < 0) {
        api_signer_free(s);
        return kl_err_set(err, KL_INVALID, "'%s' cannot sign tokens: %s", file, gnutls_strerror(rc));
    }
    *ret = s;
    return 0;
}

void api_signer_free(struct api_signer *s)
{
    if (s)
        gnutls_privkey_deinit(s->key);
    mem_free(s);
}

const char *api_issuer(const struct api *a)
{
    return a->signer ? a->signer->issuer : NULL;
}

/* header.payload becomes header.payload.signature: r and s side by side, not GnuTLS's DER. */
static int sign(const struct api_signer *s, struct buf *b)
{
    gnutls_datum_t text = { (unsigned char *)b->at, (unsigned)b->len }, der = { 0 }, r = { 0 }, t = { 0 };
    unsigned char raw[2 * PART] = { 0 };
    int rc = gnutls_privkey_sign_data2(s->key, GNUTLS_SIGN_ECDSA_SHA256, 0, &text, &der);
    if (rc >= 0)
        rc = gnutls_decode_rs_value(&der, &r, &t);
    for (int i = 0; i < 2 && rc >= 0; i++) {
        const gnutls_datum_t *d = i ? &t : &r;
        size_t skip = d->size > PART ? d->size - PART : 0, n = d->size - skip;
        memcpy(raw + i * PART + PART - n, d->data + skip, n);
    }
    buf_add_c(b, '.');
    base64url_encode(b, raw, sizeof raw);
    gnutls_free(der.data);
    gnutls_free(r.data);
    gnutls_free(t.data);
    return rc;
}

/* --- what the token is bound to --- */

struct claims {
    struct val *own;                    /* kubernetes.io */
    struct val *pod;                    /* the pod's object, or NULL */
};

static void reference(struct arena *a, struct val *own, const char *what, struct str name, struct str uid)
{
    struct val *r = json_obj(a, own, str_of(what));
    json_set_str(a, r, STR("name"), name);
    if (uid.len)
        json_set_str(a, r, STR("uid"), uid);
}

static int bound_object(struct api_op *op, const struct val *ref, struct claims *c)
{
    static const char *const kinds[][3] = { { "Pod", "/pods", "pod" }, { "Secret", "/secrets", "secret" }, { "Node", "/nodes", "node" } };
    struct arena *a = op->arena;
    struct str kind = json_str(ref, "kind"), name = json_str(ref, "name"), uid = json_str(ref, "uid");
    for (int i = 0; i < 3; i++) {
        if (!str_is(kind, kinds[i][0]) || !str_is(json_str(ref, "apiVersion"), "v1"))
            continue;
        const struct schema_kind *k = schema_resource_by_name(str_of(kinds[i][1]));
        struct store_object *o = store_head(op->api->store, str_of(kinds[i][1]), i == 2 ? STR("") : op->ns, name);
        struct val *v = o ? api_tree(a, o, &op->err) : NULL;
        if (!o)
            return api_fail_not_found(&op->err, a, k, name);
        if (!v)
            return -op->err.code;
        if (uid.len && !str_eq(uid, json_str(v, "metadata.uid")))
            return api_fail_conflict(&op->err, a, k, name, arena_printf(a, "the UID in the bound object reference (" STR_FMT ") does not match the UID in "
                                     "record. The object might have been deleted and then recreated", STR_ARG(uid)));
        struct str account = json_str(v, "spec.serviceAccountName");
        if (i == 0 && !str_eq(account.len ? account : STR("default"), op->name))
            return api_fail(&op->err, a, KL_BAD_REQUEST, "cannot bind token for serviceaccount \"" STR_FMT "\" to pod running with different "
                            "serviceaccount name.", STR_ARG(op->name));
        reference(a, c->own, kinds[i][2], name, json_str(v, "metadata.uid"));
        c->pod = i == 0 ? v : NULL;
        return 0;
    }
    return api_fail(&op->err, a, KL_BAD_REQUEST, "cannot bind token to object of type " STR_FMT, STR_ARG(kind));
}

static void node_of_pod(struct api_op *op, struct claims *c)
{
    struct str node = json_str(c->pod, "spec.nodeName");
    if (!node.len)
        return;
    struct store_object *o = store_head(op->api->store, STR("/nodes"), STR(""), node);
    reference(op->arena, c->own, "node", node, o ? store_object_uid(o) : STR_NONE);
}

/* --- the request --- */

static int check(struct api_op *op, struct val *body)
{
    struct object_causes causes = { .arena = op->arena };
    struct val *meta = json_get(body, STR("metadata"));
    int64_t seconds = json_int(body, "spec.expirationSeconds", 3600);
    struct str name = json_str(meta, "name"), ns = json_str(meta, "namespace");
    if (name.len && !str_eq(name, op->name))
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "metadata.name: Invalid value: \"" STR_FMT "\": must match the service account name",
                        STR_ARG(name));
    if (ns.len && !str_eq(ns, op->ns))
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "metadata.namespace: Invalid value: \"" STR_FMT "\": must match the service account's namespace",
                        STR_ARG(ns));
    if (seconds < 600)
        object_cause_add(&causes, "FieldValueInvalid", "spec.expirationSeconds",
                         "Invalid value: %lld: may not specify a duration less than 10 minutes", (long long)seconds);
    if (seconds > 1LL << 32)
        object_cause_add(&causes, "FieldValueInvalid", "spec.expirationSeconds",
                         "Invalid value: %lld: may not specify a duration larger than 2^32 seconds", (long long)seconds);
    if (!causes.n)
        return 0;
    const struct schema_kind request = { .group = "authentication.k8s.io", .kind = "TokenRequest", .plural = "" };
    return api_fail_invalid(&op->err, op->arena, &request, STR(""), &causes);
}

static bool for_this_server(const struct api_signer *s, const struct val *audiences)
{
    val_each(x, audiences)
        if (str_is(val_str(x), s->issuer))
            return true;
    return false;
}

static int encode(struct api_op *op, const struct api_signer *s, const struct val *payload, const char **ret)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10), text = BUF_INIT(64 << 10);
    char head[128];
    int n = snprintf(head, sizeof head, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", s->kid);
    base64url_encode(&b, head, (size_t)n);
    buf_add_c(&b, '.');
    json_write(&text, payload);
    base64url_encode(&b, text.at, text.len);
    if (b.failed || text.failed || arena_exhausted(op->arena))
        return api_fail(&op->err, op->arena, KL_TOO_LARGE, "the token would be too large");
    int rc = sign(s, &b);
    if (rc < 0)
        return api_fail(&op->err, op->arena, KL_INTERNAL, "failed to generate token: %s", gnutls_strerror(rc));
    *ret = arena_dup(op->arena, buf_str(&b));
    return 0;
}

static struct val *payload(struct api_op *op, const struct api_signer *s, struct claims *c, struct val *audiences, int64_t now, int64_t asked)
{
    struct arena *a = op->arena;
    struct val *v = val_new(a, VAL_OBJ);
    char id[37];
    bool extended = c->pod && asked == POD_SECONDS && for_this_server(s, audiences);
    api_new_uid(id);
    char *credential = arena_printf(a, "JTI=%s", id);
    if (op->note && credential)
        op->note(op->note_ctx, "authentication.kubernetes.io/issued-credential-id", credential);
    json_set(a, v, STR("aud"), val_copy(a, audiences));
    json_set_int(a, v, STR("exp"), now + (extended ? YEAR : asked));
    json_set_int(a, v, STR("iat"), now);
    json_set_str(a, v, STR("iss"), str_of(s->issuer));
    json_set_str(a, v, STR("jti"), arena_str(a, str_of(id)));
    if (extended)
        json_set_int(a, c->own, STR("warnafter"), now + asked);
    json_set(a, v, STR("kubernetes.io"), c->own);
    json_set_int(a, v, STR("nbf"), now);
    json_set_str(a, v, STR("sub"), str_of(arena_printf(a, "system:serviceaccount:" STR_FMT ":" STR_FMT, STR_ARG(op->ns), STR_ARG(op->name))));
    return v;
}

int api_op_token(struct api_op *op, struct val *body, struct val **ret)
{
    const struct api_signer *s = op->api->signer;
    struct arena *a = op->arena;
    struct claims c = { .own = val_new(a, VAL_OBJ) };
    struct store_object *account = store_head(op->api->store, STR("/serviceaccounts"), op->ns, op->name);
    int64_t now = env_wall_ns() / NS_PER_S, seconds;
    const char *token = NULL;
    char when[CLOCK_TEXT];
    if (!s)
        return api_fail(&op->err, a, KL_UNAVAILABLE, "this server has no key to sign tokens with");
    if (!account)
        return api_fail_not_found(&op->err, a, op->kind, op->name);
    if (check(op, body) < 0)
        return -op->err.code;
    struct val *spec = json_obj(a, body, STR("spec")), *audiences = json_arr(a, spec, STR("audiences")), *ref = json_get(spec, STR("boundObjectRef"));
    if (audiences && !audiences->n)
        val_push(audiences, val_of_str(a, str_of(s->issuer)));
    seconds = json_int(spec, "expirationSeconds", 3600);
    json_set_int(a, spec, STR("expirationSeconds"), seconds);
    json_set_str(a, c.own, STR("namespace"), op->ns);
    if (ref && bound_object(op, ref, &c) < 0)
        return -op->err.code;
    if (c.pod)
        node_of_pod(op, &c);
    reference(a, c.own, "serviceaccount", op->name, store_object_uid(account));
    if (encode(op, s, payload(op, s, &c, audiences, now, seconds), &token) < 0)
        return -op->err.code;
    clock_format(now * NS_PER_S, when);
    struct val *meta = json_obj(a, body, STR("metadata"));
    json_set_str(a, meta, STR("name"), op->name);
    json_set_str(a, meta, STR("namespace"), op->ns);
    json_set_str(a, meta, STR("creationTimestamp"), arena_str(a, str_of(when)));
    clock_format((now + seconds) * NS_PER_S, when);
    struct val *st = json_obj(a, body, STR("status"));
    json_set_str(a, st, STR("expirationTimestamp"), arena_str(a, str_of(when)));
    json_set_str(a, st, STR("token"), str_of(token));
    json_set_str(a, body, STR("kind"), STR("TokenRequest"));
    json_set_str(a, body, STR("apiVersion"), STR("authentication.k8s.io/v1"));
    *ret = body;
    return 0;
}

/* --- for verifiers elsewhere --- */

bool api_issuer_documents(struct api_rq *rq)
{
    const struct api_signer *s = rq->api->signer;
    struct str path = str_of(rq->info.tuple.path);
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    if (path.len > 1 && path.at[path.len - 1] == '/')
        path.len--;
    bool keys = str_is(path, "/openid/v1/jwks");
    if (!s || (!keys && !str_is(path, "/.well-known/openid-configuration")))
        return false;
    if (keys)
        buf_printf(&b, "{\"keys\":[{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"%s\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"x\":\"%s\",\"y\":\"%s\"}]}", s->kid,
                   s->x, s->y);
    else
        buf_printf(&b, "{\"issuer\":\"%s\",\"jwks_uri\":\"https://%s:%d/openid/v1/jwks\",\"response_types_supported\":[\"id_token\"],"
                   "\"subject_types_supported\":[\"public\"],\"id_token_signing_alg_values_supported\":[\"ES256\"]}", s->issuer,
                   rq->api->conf.advertise_address ? rq->api->conf.advertise_address : "127.0.0.1", rq->api->conf.advertise_port);
    api_send_text(rq, 200, keys ? "application/jwk-set+json" : "application/json", buf_str(&b));
    return true;
}
