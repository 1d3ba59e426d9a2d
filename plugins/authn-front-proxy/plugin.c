/* plugin.c - authn-front-proxy: who asks, by the word of a proxy that shows a certificate of its CA. */
#include <keelson/iface/auth.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#include "base/cleanup.h"
#include "base/str.h"

#define KNOWN 16                        /* certificates that are remembered */
#define DIGEST 32

struct conf {
    const char *ca_file;
    const char *const *allowed_names, *const *user, *const *uid, *const *group, *const *extra;
};

struct known {
    unsigned char digest[DIGEST];
    int64_t until_s;                    /* 0: free */
};

struct self {
    const struct conf *conf;
    const struct kl_host *host;
    const struct kl_host_env *env;
    gnutls_x509_trust_list_t trust;
    struct known known[KNOWN];
    unsigned next;
};

static int open_(const struct kl_host *h, const void *conf, void **ret, struct kl_call *c)
{
    struct self *s = mem_alloc(sizeof *s);
    if (!s)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *s = (struct self){ .conf = conf, .host = h, .env = h->service(h, KL_HOST_ENV_0) };
    int rc = gnutls_x509_trust_list_init(&s->trust, 0);
    if (rc >= 0)
        rc = gnutls_x509_trust_list_add_trust_file(s->trust, s->conf->ca_file, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
    if (rc > 0) {
        *ret = s;
        return 0;
    }
    rc = kl_fail(c, KL_INVALID, "ca_file '%s': %s", s->conf->ca_file, rc < 0 ? gnutls_strerror(rc) : "it holds no certificate");
    gnutls_x509_trust_list_deinit(s->trust, 1);
    mem_free(s);
    return rc;
}

static void close_(void *self)
{
    struct self *s = self;
    gnutls_x509_trust_list_deinit(s->trust, 1);
    mem_free(s);
}

/* --- is it a proxy's certificate? --- */

/* The last of its common names counts. */
static bool name_allowed(const struct self *s, gnutls_x509_crt_t crt)
{
    char cn[256];
    size_t n = 0, size = sizeof cn;
    unsigned i = 0;
    int rc;
    if (!s->conf->allowed_names || !s->conf->allowed_names[0])
        return true;
    for (; (rc = gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, i, 0, cn, &size)) >= 0; i++, size = sizeof cn)
        n = size;
    if (!i || rc != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE || memchr(cn, '\0', n))
        return false;
    for (const char *const *a = s->conf->allowed_names; *a; a++)
        if (str_eq(str_of(*a), str_n(cn, n)))
            return true;
    return false;
}

/* When the certificate ends; 0: it is no proxy's. */
static int64_t verify(const struct self *s, const gnutls_datum_t *der)
{
    gnutls_typed_vdata_st purpose = { .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT };
    gnutls_x509_crt_t crt;
    unsigned status = 0;
    int64_t until = 0;
    if (gnutls_x509_crt_init(&crt) < 0)
        return 0;
    if (gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) >= 0 &&
        gnutls_x509_trust_list_verify_crt2(s->trust, &crt, 1, &purpose, 1, 0, &status, NULL) >= 0 && !status && name_allowed(s, crt))
        until = gnutls_x509_crt_get_expiration_time(crt);
    gnutls_x509_crt_deinit(crt);
    return until;
}

static bool is_proxy(struct self *s, struct kl_bytes cert)
{
    gnutls_datum_t der = { (unsigned char *)(uintptr_t)cert.at, (unsigned)cert.len };
    struct known k = { .until_s = 0 };
    int64_t now = s->env->wall_ns(s->host) / 1000000000LL;
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, cert.at, cert.len, k.digest) < 0)
        return false;
    for (unsigned i = 0; i < KNOWN; i++)
        if (s->known[i].until_s && memcmp(s->known[i].digest, k.digest, DIGEST) == 0) {
            if (s->known[i].until_s >= now)
                return true;
            s->known[i].until_s = 0;
        }
    k.until_s = verify(s, &der);
    if (k.until_s > 0)
        s->known[s->next++ % KNOWN] = k;
    return k.until_s > 0;
}

/* --- what its headers say --- */

static const char *first(const char *const *headers, const char *const *names)
{
    for (; names && *names; names++)
        for (const char *const *h = headers; h[0]; h += 2)
            if (str_eq_nocase(str_of(h[0]), str_of(*names))) {
                if (h[1][0])
                    return h[1];
                break;
            }
    return "";
}

static const char *const *groups(struct kl_call *c, const char *const *headers, const char *const *names)
{
    unsigned n = 0, most = 1;
    bool known = false;
    for (const char *const *h = headers; h[0]; h += 2)
        most++;
    const char **ret = kl_alloc(c, (most + 1) * sizeof *ret);
    for (; ret && names && *names; names++)
        for (const char *const *h = headers; h[0] && n + 1 < most; h += 2)
            if (h[1][0] && str_eq_nocase(str_of(h[0]), str_of(*names))) {
                known |= strcmp(h[1], "system:authenticated") == 0 || strcmp(h[1], "system:unauthenticated") == 0;
                ret[n++] = h[1];
            }
    if (ret && !known)
        ret[n] = "system:authenticated";
    return ret;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What stands behind the prefix, with %XX decoded; as it is when that makes no sense. */
static const char *key_of(struct kl_call *c, const char *s)
{
    char *out = kl_dup(c, s, strlen(s));
    size_t n = 0;
    for (size_t i = 0; out && s[i]; i++) {
        bool escape = s[i] == '%';
        if (escape && (hex(s[i + 1]) < 0 || hex(s[i + 2]) < 0 || !(hex(s[i + 1]) | hex(s[i + 2]))))
            return kl_dup(c, s, strlen(s));
        out[n++] = escape ? (char)(hex(s[i + 1]) << 4 | hex(s[i + 2])) : s[i];
        i += escape ? 2 : 0;
    }
    if (out)
        out[n] = '\0';
    return out;
}

static const char *const *extras(struct kl_call *c, const char *const *headers, const char *const *prefixes)
{
    unsigned n = 0, most = 0;
    for (const char *const *h = headers; h[0]; h += 2)
        most += 2;
    const char **ret = kl_alloc(c, (most + 1) * sizeof *ret);
    for (; ret && prefixes && *prefixes; prefixes++) {
        struct str head = str_of(*prefixes);
        for (const char *const *h = headers; h[0] && n + 2 <= most; h += 2)
            if (strlen(h[0]) >= head.len && str_eq_nocase(str_n(h[0], head.len), head)) {
                ret[n++] = key_of(c, h[0] + head.len);
                ret[n++] = h[1];
            }
    }
    return ret;
}

static int authenticate(void *self, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    struct self *s = self;
    const struct conf *f = s->conf;
    if (!cred->cert_shown.len || !cred->headers || !is_proxy(s, cred->cert_shown))
        return 0;
    const char *user = first(cred->headers, f->user);
    if (!user[0])
        return 0;
    *ret = (struct kl_user){ .size = sizeof *ret, .name = user, .uid = first(cred->headers, f->uid), .groups = groups(c, cred->headers, f->group),
                             .extra = extras(c, cred->headers, f->extra) };
    return ret->groups && ret->extra ? 1 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static const struct kl_authn table = { .size = sizeof table, .life = { .open = open_, .close = close_ }, .authenticate = authenticate };
static const struct kl_provider provides[] = { { KL_AUTHN_0, "front-proxy", 0, &table } };
static const struct kl_need needs[] = { { KL_HOST_ENV_0, false } };
#define LIST(name, member, standard, text) \
    { .key = name, .type = KL_CONF_LIST, .offset = offsetof(struct conf, member), .fallback = standard, .doc = text }
static const struct kl_conf_field fields[] = {
    { .key = "ca_file", .type = KL_CONF_STR, .offset = offsetof(struct conf, ca_file), .flags = KL_CONF_REQUIRED,
      .doc = "PEM file with the CA that signs the proxies' client certificates, and nobody else's" },
    LIST("allowed_names", allowed_names, NULL, "common names that a proxy's certificate may have; none: any"),
    LIST("username_headers", user, "x-remote-user", "headers that name the user; the first that is there and not empty counts"),
    LIST("uid_headers", uid, "x-remote-uid", "headers with the user's uid"),
    LIST("group_headers", group, "x-remote-group", "headers with a group each"),
    LIST("extra_prefixes", extra, "x-remote-extra-", "what headers with more about the user begin with"),
};

KL_PLUGIN_DEFINE("dev.keelson.authn-front-proxy", "0.1.0", "keelson.authn/0:front-proxy", "keelson.host.env/0", .summary = "users by a proxy's word",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides), .needs = KL_ARRAY_OF(needs), .conf = KL_ARRAY_OF(fields),
                 .conf_size = sizeof(struct conf));
