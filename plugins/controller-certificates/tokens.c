/* tokens.c - bootstrap tokens: they go when their time is over, and sign the cluster's public description (kube-public/cluster-info) as long as
 * they are there, so that who holds one can trust it. */
#include <gnutls/crypto.h>

#include "base/base64url.h"
#include "base/json_scan.h"
#include "certificates.h"

#define TOKEN_TYPE "bootstrap.kubernetes.io/token"
#define JWS_PREFIX "jws-kubeconfig-"

static struct str secret_text(struct arena *a, const struct val *secret, const char *key)
{
    struct str s = text_decode(a, val_str(json_get(json_get(secret, STR("data")), str_of(key))));
    return s.at ? s : STR("");
}

/* Later than our clock can say (the year 2262) is never, as far as the text is a time but for its year. */
static bool is_far(struct arena *a, struct str text)
{
    int64_t end;
    if (text.len < 4 || memcmp(text.at, "2262", 4) < 0)
        return false;
    return clock_parse(str_of(arena_printf(a, "2000" STR_FMT, STR_ARG(str_skip(text, 4)))), &end);
}

/* When the token ends; 0: never, 1: it cannot be read, which is to have ended. */
static int64_t token_end(struct arena *a, const struct val *secret)
{
    struct str text = secret_text(a, secret, "expiration");
    int64_t end = 0;
    return !text.len || is_far(a, text) ? 0 : clock_parse(text, &end) ? end : 1;
}

/* --- the cleaner --- */

static int token_run(struct ctl_run *r, struct str ns, struct str name)
{
    struct val *secret;
    if (!str_is(ns, "kube-system"))
        return 0;
    int rc = ctl_get(r, "/secrets", ns, name, &secret);
    if (rc < 0 || !secret || !str_is(json_str(secret, "type"), TOKEN_TYPE))
        return rc;
    int64_t end = token_end(r->arena, secret);
    if (end && end <= r->now_ns)
        return ctl_delete(r, "/secrets", secret, NULL);
    if (end)
        ctl_again(r, end - r->now_ns);
    return 0;
}

static const struct kl_watch token_watches[] = { { sizeof(struct kl_watch), "/secrets", "type=" TOKEN_TYPE, NULL } };
CTL_RUN(tokencleaner, token_run)
CTL_TABLE(tokencleaner, token_watches, NULL);

/* --- the signer --- */

/* A JSON web signature whose payload is not in it: "header..signature". */
static struct str sign(struct arena *a, struct str content, struct str id, struct str key)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4 << 20);
    unsigned char mac[32];
    const char *header = arena_printf(a, "{\"alg\":\"HS256\",\"kid\":\"" STR_FMT "\"}", STR_ARG(id));
    if (!header)
        return STR_NONE;
    base64url_encode(&b, header, strlen(header));
    size_t head = b.len;
    buf_add_c(&b, '.');
    base64url_encode(&b, content.at, content.len);
    if (b.failed || gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.at, key.len, b.at, b.len, mac) < 0)
        return STR_NONE;
    b.len = head;
    buf_lit(&b, "..");
    base64url_encode(&b, mac, sizeof mac);
    return b.failed ? STR_NONE : arena_str(a, buf_str(&b));
}

static bool signs(struct ctl_run *r, const struct val *secret, struct str *ret_id, struct str *ret_key)
{
    int64_t end = token_end(r->arena, secret);
    *ret_id = secret_text(r->arena, secret, "token-id");
    *ret_key = secret_text(r->arena, secret, "token-secret");
    struct str name = meta_name(secret);
    if (!str_is(json_str(secret, "type"), TOKEN_TYPE) || !ret_id->len || !ret_key->len || !str_is(secret_text(r->arena, secret, "usage-bootstrap-signing"), "true"))
        return false;
    return (!end || end > r->now_ns) && str_starts(name, STR("bootstrap-token-")) && str_eq(str_skip(name, 16), *ret_id);
}

static int sign_run(struct ctl_run *r, struct str ns, struct str name)
{
    struct val *map;
    struct ctl_list secrets;
    struct str id, key;
    (void)ns;
    (void)name;
    int rc = ctl_get(r, "/configmaps", STR("kube-public"), STR("cluster-info"), &map);
    struct str content = json_str(map, "data.kubeconfig");
    if (rc < 0 || !map || !content.at)
        return rc;
    rc = ctl_list(r, (struct kl_list_options){ .resource = "/secrets", .ns = "kube-system", .field_selector = "type=" TOKEN_TYPE }, &secrets);
    if (rc < 0)
        return rc;
    struct val *now = val_copy(r->arena, map), *data = json_get(now, STR("data"));
    for (struct val *m = data ? data->first : NULL, *next; m; m = next) {
        next = m->next;
        if (str_starts(val_key(m), STR(JWS_PREFIX)))
            val_unlink(data, m);
    }
    for (uint32_t i = 0; i < secrets.n; i++) {
        if (!signs(r, secrets.at[i], &id, &key))
            continue;
        int64_t end = token_end(r->arena, secrets.at[i]);
        struct str jws = sign(r->arena, content, id, key);
        if (!jws.at)
            return ctl_no_memory(r);
        json_set_str(r->arena, data, str_of(arena_printf(r->arena, JWS_PREFIX STR_FMT, STR_ARG(id))), jws);
        if (end)
            ctl_again(r, end - r->now_ns);
    }
    return ctl_update(r, "/configmaps", NULL, map, now, NULL);
}

/* All there is to do is one thing. */
static int sign_map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)r;
    (void)resource;
    (void)old;
    struct str ns = json_scan_text(json_scan_path(obj, "metadata.namespace"));
    if (str_is(ns, "kube-system") || str_is(ns, "kube-public"))
        ctl_key_add(keys, STR("kube-public"), STR("cluster-info"));
    return 0;
}

static const struct kl_watch sign_watches[] = { { sizeof(struct kl_watch), "/secrets", "type=" TOKEN_TYPE, "map" },
                                                { sizeof(struct kl_watch), "/configmaps", "metadata.name=cluster-info", "map" } };
CTL_RUN(bootstrapsigner, sign_run)
CTL_MAP(bootstrapsigner, sign_map)
CTL_TABLE(bootstrapsigner, sign_watches, bootstrapsigner_map);
