/* token.c - TokenRequest: a JSON web token (ES256) that says which service account, and which pod, node or secret, its bearer acts for. Who
 * verifies them is plugins/authn-token; what others need to verify them is served as OpenID documents.
 */
#include "api-internal.h"

#include "base/clock.h"
#include "base/env.h"
#include "base/es256.h"
#include "object/managed.h"

#define POD_SECONDS 3607                /* what kubelets ask for; such tokens really last a year and are warned about after that time */
#define YEAR (365 * 24 * 3600LL)

struct api_signer {
    struct es256 key;
    char issuer[300];
};

int api_signer_new(const char *file, const char *domain, struct api_signer **ret, struct kl_err *err)
{
    struct api_signer *s = mem_alloc(sizeof *s);
    if (!s)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    snprintf(s->issuer, sizeof s->issuer, "https://kubernetes.default.svc.%s", domain ? domain : "cluster.local");
    int rc = es256_load(&s->key, file);
    if (rc < 0) {
        mem_free(s);
        return kl_err_set(err, KL_INVALID, "'%s' cannot sign tokens: %s", file, gnutls_strerror(rc));
    }
    *ret = s;
    return 0;
}

void api_signer_free(struct api_signer *s)
{
    if (s)
        es256_free(&s->key);
    mem_free(s);
}

const char *api_issuer(const struct api *a)
{
    return a->signer ? a->signer->issuer : NULL;
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
    struct str version = json_str(ref, "apiVersion");
    return api_fail(&op->err, a, KL_BAD_REQUEST, "cannot bind token to object of type %s" STR_FMT ", Kind=" STR_FMT, str_find(version, '/') < 0 ? "/" : "",
                    STR_ARG(version), STR_ARG(kind));
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
    json_write(&text, payload);
    int rc = text.failed ? GNUTLS_E_MEMORY_ERROR : es256_token(&s->key, buf_str(&text), &b);
    if (b.failed || text.failed || arena_exhausted(op->arena))
        return api_fail(&op->err, op->arena, KL_TOO_LARGE, "the token would be too large");
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

/* Like any object that is made: with a uid, and whose fields they are. asked: what was sent. */
static void fill_metadata(struct api_op *op, struct val *asked)
{
    struct managed_write w;
    char uid[37], when[CLOCK_TEXT];
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    clock_format(api_op_now(op), when);
    struct val *meta = json_obj(op->arena, asked, STR("metadata"));
    json_del(meta, STR("managedFields"));
    json_del(meta, STR("namespace"));   /* the request's own */
    api_managed_write(op, &w);
    w.api_version = STR("authentication.k8s.io/v1");
    fields_write_new(op->arena, &b, schema_type_find(STR("authentication.k8s.io"), STR("v1"), STR("TokenRequest")), asked, NULL);
    struct val *list = b.failed || b.len <= 2 ? NULL : managed_new(&w, arena_str(op->arena, buf_str(&b)));
    json_del(asked, STR("metadata"));
    meta = json_obj(op->arena, asked, STR("metadata"));
    json_set_str(op->arena, meta, STR("name"), op->name);
    json_set_str(op->arena, meta, STR("namespace"), op->ns);
    api_new_uid(uid);
    json_set_str(op->arena, meta, STR("uid"), arena_str(op->arena, str_of(uid)));
    json_set_str(op->arena, meta, STR("creationTimestamp"), arena_str(op->arena, str_of(when)));
    if (list)
        json_set(op->arena, meta, STR("managedFields"), list);
}

static struct val *shown_as_made(struct api_op *op, struct val *body, struct val *status)
{
    struct arena *a = op->arena;
    struct val *v = val_new(a, VAL_OBJ), *spec = val_copy(a, json_get(body, STR("spec")));
    json_set_str(a, v, STR("kind"), STR("TokenRequest"));
    json_set_str(a, v, STR("apiVersion"), STR("authentication.k8s.io/v1"));
    json_set(a, v, STR("metadata"), val_copy(a, json_get(body, STR("metadata"))));
    if (!json_get(spec, STR("boundObjectRef")))
        json_set(a, spec, STR("boundObjectRef"), val_new(a, VAL_NULL));
    json_set(a, v, STR("spec"), spec);
    json_set(a, v, STR("status"), status);
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
    struct val *spec = json_obj(a, body, STR("spec"));
    seconds = json_int(spec, "expirationSeconds", 3600);
    json_set_int(a, spec, STR("expirationSeconds"), seconds);
    fill_metadata(op, body);
    struct val *audiences = json_arr(a, spec, STR("audiences")), *ref = json_get(spec, STR("boundObjectRef"));
    if (audiences && !audiences->n)
        val_push(audiences, val_of_str(a, str_of(s->issuer)));
    json_set_str(a, c.own, STR("namespace"), op->ns);
    if (ref && bound_object(op, ref, &c) < 0)
        return -op->err.code;
    if (c.pod)
        node_of_pod(op, &c);
    reference(a, c.own, "serviceaccount", op->name, store_object_uid(account));
    if (encode(op, s, payload(op, s, &c, audiences, now, seconds), &token) < 0)
        return -op->err.code;
    clock_format((now + seconds) * NS_PER_S, when);
    struct val *st = val_new(a, VAL_OBJ);
    json_set_str(a, st, STR("token"), str_of(token));
    json_set_str(a, st, STR("expirationTimestamp"), arena_str(a, str_of(when)));
    *ret = shown_as_made(op, body, st);
    return arena_exhausted(a) ? api_fail(&op->err, a, KL_NO_MEMORY, "out of memory") : 0;
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
        buf_printf(&b, "{\"keys\":[{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"%s\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"x\":\"%s\",\"y\":\"%s\"}]}", s->key.kid,
                   s->key.x, s->key.y);
    else
        buf_printf(&b, "{\"issuer\":\"%s\",\"jwks_uri\":\"https://%s:%d/openid/v1/jwks\",\"response_types_supported\":[\"id_token\"],"
                   "\"subject_types_supported\":[\"public\"],\"id_token_signing_alg_values_supported\":[\"ES256\"]}", s->issuer,
                   rq->api->conf.advertise_address ? rq->api->conf.advertise_address : "127.0.0.1", rq->api->conf.advertise_port);
    struct http_header h[API_HEADERS];
    unsigned n = api_headers(rq, h, keys ? "application/jwk-set+json" : "application/json");
    h[API_CACHE_CONTROL].value = STR("public, max-age=3600");
    http_reply(rq->http, 200, h, n, (struct http_slice){ .data = arena_str(rq->arena, buf_str(&b)) });
    return true;
}
