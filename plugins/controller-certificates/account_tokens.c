/* account_tokens.c - Secrets of type kubernetes.io/service-account-token: filled with a token that lasts as long as the Secret, the namespace and the
 * CA's certificate; deleted when the account they name is not there, or is another of that name. */
#include "base/es256.h"
#include "base/json_scan.h"
#include "certificates.h"

#define SECRETS  "/secrets"
#define ACCOUNTS "/serviceaccounts"
#define TYPE     "kubernetes.io/service-account-token"
#define NAME_OF  "kubernetes.io/service-account.name"
#define UID_OF   "kubernetes.io/service-account.uid"
#define CLAIM    "kubernetes.io/serviceaccount/"

/* --- one Secret --- */

static struct str claims(struct ctl_run *r, const struct val *secret, const struct val *account)
{
    struct arena *a = r->arena;
    struct val *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("iss"), STR("kubernetes/serviceaccount"));
    json_set_str(a, v, STR(CLAIM "namespace"), meta_ns(secret));
    json_set_str(a, v, STR(CLAIM "secret.name"), meta_name(secret));
    json_set_str(a, v, STR(CLAIM "service-account.name"), meta_name(account));
    json_set_str(a, v, STR(CLAIM "service-account.uid"), meta_uid(account));
    json_set_str(a, v, STR("sub"), str_of(arena_printf(a, "system:serviceaccount:" STR_FMT ":" STR_FMT, STR_ARG(meta_ns(secret)), STR_ARG(meta_name(account)))));
    return ctl_text(r, v);
}

static int make_token(struct ctl_run *r, struct str payload, struct str *ret)
{
    const struct cert_conf *conf = r->ctl->conf;
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    struct es256 key;
    int rc = es256_load(&key, conf->token_key);
    if (rc >= 0) {
        rc = es256_token(&key, payload, &b);
        es256_free(&key);
    }
    if (rc < 0)
        return kl_fail(r->call, KL_UNAVAILABLE, "'%s' cannot sign tokens: %s", conf->token_key, gnutls_strerror(rc));
    *ret = text_encode(r->arena, buf_str(&b));
    return ret->at ? 0 : ctl_no_memory(r);
}

static int read_ca(struct ctl_run *r, struct str *ret)
{
    const struct cert_conf *conf = r->ctl->conf;
    gnutls_datum_t pem = { 0 };
    int rc = gnutls_load_file(conf->ca_cert, &pem);
    if (rc < 0)
        return kl_fail(r->call, KL_UNAVAILABLE, "the CA '%s' cannot be read: %s", conf->ca_cert, gnutls_strerror(rc));
    *ret = text_encode(r->arena, str_n((const char *)pem.data, pem.size));
    gnutls_free(pem.data);
    return ret->at ? 0 : ctl_no_memory(r);
}

static int fill(struct ctl_run *r, const struct val *secret, const struct val *account)
{
    struct arena *a = r->arena;
    struct val *data = json_get(secret, STR("data")), *now = val_copy(a, secret), *to = json_obj(a, now, STR("data"));
    struct str ca, token, payload = claims(r, secret, account);
    bool has_token = val_str(json_get(data, STR("token"))).len, has_ns = val_str(json_get(data, STR("namespace"))).len;
    int rc = read_ca(r, &ca);
    if (rc < 0 || (has_token && has_ns && str_eq(val_str(json_get(data, STR("ca.crt"))), ca)))
        return rc;
    json_set_str(a, to, STR("ca.crt"), ca);
    if (!has_ns)
        json_set_str(a, to, STR("namespace"), text_encode(a, meta_ns(secret)));
    if (!has_token) {
        rc = make_token(r, payload, &token);
        json_set_str(a, to, STR("token"), token);
    }
    if (rc < 0)
        return rc;
    meta_set_annotation(a, now, NAME_OF, meta_name(account));
    meta_set_annotation(a, now, UID_OF, meta_uid(account));
    return ctl_update(r, SECRETS, NULL, secret, now, NULL);
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    const struct cert_conf *conf = r->ctl->conf;
    struct val *secret, *account;
    int rc = ctl_get(r, SECRETS, ns, name, &secret);
    struct str who = rc == 0 ? meta_annotation(secret, NAME_OF) : STR_NONE, uid = meta_annotation(secret, UID_OF);
    if (rc < 0 || !secret || meta_deleting(secret) || !str_is(json_str(secret, "type"), TYPE) || !who.len || !conf->token_key[0])
        return rc;
    rc = ctl_get(r, ACCOUNTS, ns, who, &account);
    if (rc < 0)
        return rc;
    if (!account || meta_deleting(account) || (uid.len && !str_eq(uid, meta_uid(account))))
        return ctl_delete(r, SECRETS, secret, NULL);
    return fill(r, secret, account);
}

/* An account concerns the Secrets that name it. */
static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    struct str ns = json_scan_text(json_scan_path(obj, "metadata.namespace")), name = json_scan_text(json_scan_path(obj, "metadata.name"));
    struct ctl_list l;
    if (strcmp(resource, SECRETS) == 0) {
        ctl_key_add(keys, ns, name);
        return 0;
    }
    if (old.len && !(r->call->flags & KL_CALL_DELETED))
        return 0;
    int rc = ctl_list(r, (struct kl_list_options){ .resource = SECRETS, .ns = arena_dup(r->arena, ns), .field_selector = "type=" TYPE }, &l);
    for (uint32_t i = 0; rc == 0 && i < l.n; i++)
        if (str_eq(meta_annotation(l.at[i], NAME_OF), name))
            ctl_key_add(keys, ns, meta_name(l.at[i]));
    return rc;
}

static const struct kl_watch watches[] = { { sizeof(struct kl_watch), SECRETS, "type=" TYPE, "map" }, { sizeof(struct kl_watch), ACCOUNTS, NULL, "map" } };
CTL_RUN(accounttokens, run)
CTL_MAP(accounttokens, map)
CTL_TABLE(accounttokens, watches, accounttokens_map);
