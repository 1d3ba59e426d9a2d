/* plugin.c - authn-token: who the bearer of a service account token is. The signature, the time, the audience, and that the account and
 * what the token is bound to are still there: the same objects, by uid, that it was made for.
 */
#include <keelson/iface/auth.h>

#include "base/base64url.h"
#include "base/cleanup.h"
#include "token.h"

#define LEEWAY_S 60                     /* clocks differ; deletions take a while to be seen */

struct conf {
    const char *key_file, *issuer;
};

struct self {
    const struct conf *conf;
    const struct kl_host *host;
    const struct kl_host_objects *objects;
    const struct kl_host_env *env;
    gnutls_pubkey_t key;
};

static int open_(const struct kl_host *h, const void *conf, void **ret, struct kl_call *c)
{
    struct self *s = mem_alloc(sizeof *s);
    gnutls_datum_t pem = { 0 };
    if (!s)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *s = (struct self){ .conf = conf, .host = h, .objects = h->service(h, KL_HOST_OBJECTS_0), .env = h->service(h, KL_HOST_ENV_0) };
    int rc = gnutls_pubkey_init(&s->key);
    if (rc >= 0 && (rc = gnutls_load_file(s->conf->key_file, &pem)) >= 0)
        rc = gnutls_pubkey_import(s->key, &pem, GNUTLS_X509_FMT_PEM);
    gnutls_free(pem.data);
    if (rc < 0) {
        rc = kl_fail(c, KL_INVALID, "key_file '%s': %s", s->conf->key_file, gnutls_strerror(rc));
        gnutls_pubkey_deinit(s->key);
        mem_free(s);
        return rc;
    }
    *ret = s;
    return 0;
}

static void close_(void *self)
{
    struct self *s = self;
    gnutls_pubkey_deinit(s->key);
    mem_free(s);
}

/* --- objects that the token names --- */

static int64_t now_s(const struct self *s)
{
    return s->env->wall_ns(s->host) / 1000000000LL;
}

/* NULL: not there, or not for long. */
static struct val *object_of(const struct self *s, struct kl_call *c, struct arena *a, const char *resource, struct str ns, struct str name)
{
    struct kl_bytes bytes;
    struct kl_object_key key = { .size = sizeof key, .resource = resource, .ns = arena_dup(a, ns), .name = arena_dup(a, name) };
    if (!key.ns || !key.name || !name.len || s->objects->get(s->host, c, &key, &bytes) < 0)
        return NULL;
    struct val *v = json_parse(a, str_n(bytes.at, bytes.len), NULL);
    return v && !json_path(v, "metadata.deletionTimestamp") ? v : NULL;
}

/* Is the object that it names still there, the same, and not gone for long? */
static bool still_there(const struct self *s, struct kl_call *c, struct arena *a, const char *resource, struct str ns, const struct val *ref)
{
    struct val *v = object_of(s, c, a, resource, ns, json_str(ref, "name"));
    return v && str_eq(json_str(v, "metadata.uid"), json_str(ref, "uid"));
}

static int check_objects(const struct self *s, struct kl_call *c, struct arena *a, const struct val *own)
{
    static const struct {
        const char *member, *resource, *says;
        bool cluster;
    } rows[] = { { "serviceaccount", "/serviceaccounts", "service account", false }, { "pod", "/pods", "pod", false },
                 { "secret", "/secrets", "secret", false }, { "node", "/nodes", "node", true } };
    struct str ns = json_str(own, "namespace");
    for (int i = 0; i < 4; i++) {
        struct val *ref = json_get(own, str_of(rows[i].member));
        /* A pod's token names the pod's node too; it is the pod that counts then. */
        bool counts = ref && !(i == 3 && json_get(own, STR("pod")));
        if ((counts || i == 0) && !still_there(s, c, a, rows[i].resource, rows[i].cluster ? STR("") : ns, ref))
            return kl_fail(c, KL_UNAUTHORIZED, "the token's %s '" STR_FMT "' is gone", rows[i].says, STR_ARG(json_str(ref, "name")));
    }
    return 0;
}

/* --- the token's own words --- */

static int check_times(const struct self *s, struct kl_call *c, const struct val *p)
{
    int64_t now = now_s(s);
    if (json_int(p, "exp", 0) + LEEWAY_S < now)
        return kl_fail(c, KL_UNAUTHORIZED, "service account token has expired");
    if (json_int(p, "nbf", 0) - LEEWAY_S > now)
        return kl_fail(c, KL_UNAUTHORIZED, "service account token is not valid yet");
    return 0;
}

/* Those of the audiences asked for that the token has; NULL: none, or no memory. */
static const char *const *audiences(const struct self *s, struct kl_call *c, const struct val *aud, const struct kl_credentials *cred)
{
    const char *const own[] = { s->conf->issuer, NULL };
    const char *const *asked = KL_HAS(cred, audiences) ? cred->audiences : own;
    uint32_t n = 0, most = 0;
    while (asked[most])
        most++;
    const char **ret = kl_alloc(c, (most + 1) * sizeof *ret);
    for (uint32_t i = 0; ret && i < most; i++) {
        bool has = str_is(val_str(aud), asked[i]);
        if (val_is(aud, VAL_ARR))
            val_each(x, aud)
                has |= str_is(val_str(x), asked[i]);
        if (has)
            ret[n++] = kl_dup(c, asked[i], strlen(asked[i]));
    }
    return n ? ret : NULL;
}

static const char *text(struct kl_call *c, struct str s)
{
    return kl_dup(c, s.at ? s.at : "", s.len);
}

static const char *const *extras(struct kl_call *c, const struct val *p, const struct val *own)
{
    static const char *const rows[][2] = { { "pod.name", "authentication.kubernetes.io/pod-name" }, { "pod.uid", "authentication.kubernetes.io/pod-uid" },
                                           { "node.name", "authentication.kubernetes.io/node-name" }, { "node.uid", "authentication.kubernetes.io/node-uid" } };
    struct str id = json_str(p, "jti");
    const char **ret = kl_alloc(c, 11 * sizeof *ret);
    unsigned n = 0;
    char *credential = kl_alloc(c, id.len + 8);
    if (!ret || !credential)
        return NULL;
    if (id.len) {
        snprintf(credential, id.len + 8, "JTI=" STR_FMT, STR_ARG(id));
        ret[n++] = "authentication.kubernetes.io/credential-id";
        ret[n++] = credential;
    }
    for (int i = 0; i < 4; i++) {
        struct str s = json_str(own, rows[i][0]);
        if (s.len) {
            ret[n++] = rows[i][1];
            ret[n++] = text(c, s);
        }
    }
    return ret;
}

static int fill_user(struct kl_call *c, const struct val *p, struct kl_user *ret)
{
    struct val *own = json_get(p, STR("kubernetes.io"));
    struct str ns = json_str(own, "namespace"), name = json_str(own, "serviceaccount.name");
    const char **groups = kl_alloc(c, 4 * sizeof *groups);
    char *user = kl_alloc(c, ns.len + name.len + 32), *group = kl_alloc(c, ns.len + 32);
    if (!groups || !user || !group)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    snprintf(user, ns.len + name.len + 32, "system:serviceaccount:" STR_FMT ":" STR_FMT, STR_ARG(ns), STR_ARG(name));
    snprintf(group, ns.len + 32, "system:serviceaccounts:" STR_FMT, STR_ARG(ns));
    if (!str_is(json_str(p, "sub"), user))
        return kl_fail(c, KL_UNAUTHORIZED, "the token's subject is not its service account");
    groups[0] = "system:serviceaccounts";
    groups[1] = group;
    groups[2] = "system:authenticated";
    *ret = (struct kl_user){ .size = sizeof *ret, .name = user, .uid = text(c, json_str(own, "serviceaccount.uid")), .groups = groups,
                             .extra = extras(c, p, own) };
    return ret->uid && ret->extra ? 1 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

/* --- tokens that lie in Secrets: they last as long as these, and have no times and no audiences of their own --- */

#define LEGACY_ISSUER "kubernetes/serviceaccount"
#define LEGACY_CLAIM  "kubernetes.io/serviceaccount/"

static struct str claim(const struct val *p, const char *name)
{
    char text_[80];
    snprintf(text_, sizeof text_, LEGACY_CLAIM "%s", name);
    return val_str(json_get(p, str_of(text_)));
}

/* Is it the one that the Secret holds now? It holds base64. */
static bool holds(struct arena *a, const struct val *secret, const char *bearer)
{
    struct str kept = json_str(secret, "data.token");
    char *url = arena_dup(a, kept);
    for (char *p = url; p && *p; p++)
        *p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
    while (kept.len && kept.at[kept.len - 1] == '=')
        kept.len--;
    struct str plain = url ? base64url_decode(a, str_n(url, kept.len)) : STR_NONE;
    size_t n = strlen(bearer);
    unsigned char differs = plain.len != n;
    for (size_t i = 0; i < plain.len && i < n; i++)
        differs |= (unsigned char)(plain.at[i] ^ bearer[i]);
    return !differs;
}

static int authenticate_legacy(const struct self *s, struct kl_call *c, struct arena *a, const struct kl_credentials *cred, const struct jws *t,
                               struct kl_user *ret)
{
    struct str ns = claim(t->payload, "namespace"), name = claim(t->payload, "service-account.name"), uid = claim(t->payload, "service-account.uid");
    struct val *secret = object_of(s, c, a, "/secrets", ns, claim(t->payload, "secret.name"));
    if (!secret)
        return kl_fail(c, KL_UNAUTHORIZED, "Token has been invalidated");
    if (!holds(a, secret, cred->bearer))
        return kl_fail(c, KL_UNAUTHORIZED, "Token does not match server's copy");
    struct val *account = object_of(s, c, a, "/serviceaccounts", ns, name);
    if (!account)
        return kl_fail(c, KL_UNAUTHORIZED, "ServiceAccount " STR_FMT "/" STR_FMT " has been deleted", STR_ARG(ns), STR_ARG(name));
    if (!uid.len || !str_eq(uid, json_str(account, "metadata.uid")))
        return kl_fail(c, KL_UNAUTHORIZED, "ServiceAccount UID (" STR_FMT ") does not match claim (" STR_FMT ")",
                       STR_ARG(json_str(account, "metadata.uid")), STR_ARG(uid));
    if (val_str(json_get(json_path(secret, "metadata.labels"), STR("kubernetes.io/legacy-token-invalid-since"))).len)
        return kl_fail(c, KL_UNAUTHORIZED, "the token in secret " STR_FMT "/" STR_FMT " has been marked invalid", STR_ARG(ns),
                       STR_ARG(claim(t->payload, "secret.name")));
    struct val *own = val_new(a, VAL_OBJ), *p = val_new(a, VAL_OBJ);
    json_set_str(a, own, STR("namespace"), ns);
    json_set_str(a, json_obj(a, own, STR("serviceaccount")), STR("name"), name);
    json_set_str(a, json_obj(a, own, STR("serviceaccount")), STR("uid"), uid);
    json_set(a, p, STR("kubernetes.io"), own);
    json_set_str(a, p, STR("sub"), json_str(t->payload, "sub"));
    int rc = fill_user(c, p, ret);
    if (rc > 0)
        ret->audiences = audiences(s, c, val_of_str(a, str_of(s->conf->issuer)), cred);
    return rc > 0 && !ret->audiences ? kl_fail(c, KL_UNAUTHORIZED, "token audiences are invalid for the target audiences") : rc;
}

static int authenticate(void *self, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    const struct self *s = self;
    _cleanup_arena_ struct arena *a = NULL;
    struct jws t;
    if (!cred->bearer || !(a = arena_new(1 << 20)))
        return 0;
    if (!token_parse(a, str_of(cred->bearer), &t))
        return 0;
    struct str issuer = json_str(t.payload, "iss");
    if (!str_is(issuer, LEGACY_ISSUER) && !str_is(issuer, s->conf->issuer))
        return 0;                       /* not one of ours: another may know it */
    if (!token_signed_by(&t, s->key))
        return kl_fail(c, KL_UNAUTHORIZED, "the token's signature is invalid");
    if (str_is(issuer, LEGACY_ISSUER))
        return authenticate_legacy(s, c, a, cred, &t, ret);
    const char *const *for_whom = audiences(s, c, json_get(t.payload, STR("aud")), cred);
    if (!for_whom)
        return kl_fail(c, KL_UNAUTHORIZED, "token audiences are invalid for the target audiences");
    int rc = check_times(s, c, t.payload);
    if (rc == 0)
        rc = check_objects(s, c, a, json_get(t.payload, STR("kubernetes.io")));
    if (rc == 0)
        rc = fill_user(c, t.payload, ret);
    if (rc > 0)
        ret->audiences = for_whom;
    return rc;
}

static const struct kl_authn table = { .size = sizeof table, .life = { .open = open_, .close = close_ }, .authenticate = authenticate };
static const struct kl_provider provides[] = { { KL_AUTHN_0, "token", 0, &table } };
static const struct kl_need needs[] = { { KL_HOST_OBJECTS_0, false }, { KL_HOST_ENV_0, false } };
static const struct kl_conf_field fields[] = {
    { .key = "key_file", .type = KL_CONF_STR, .offset = offsetof(struct conf, key_file), .fallback = "/var/lib/keelson/pki/sa.pub",
      .doc = "PEM file with the public key of the server that makes the tokens" },
    { .key = "issuer", .type = KL_CONF_STR, .offset = offsetof(struct conf, issuer), .fallback = "https://kubernetes.default.svc.cluster.local",
      .doc = "who the tokens must say made them; also the audience that this server answers to" },
};

KL_PLUGIN_DEFINE("dev.keelson.authn-token", "0.1.0", "keelson.authn/0:token", "keelson.host.objects/0 keelson.host.env/0", .summary = "service accounts by their tokens",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides), .needs = KL_ARRAY_OF(needs), .conf = KL_ARRAY_OF(fields),
                 .conf_size = sizeof(struct conf));
