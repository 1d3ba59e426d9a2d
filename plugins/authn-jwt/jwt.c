/* jwt.c - what a header asks for is looked up in one table; nothing else is done. */
#include "jwt.h"

#include <gnutls/crypto.h>

#include "base/base64url.h"

struct jwt_alg {
    const char *name;
    gnutls_sign_algorithm_t sign;
    gnutls_pk_algorithm_t pk;
    gnutls_ecc_curve_t curve;           /* of ES */
    unsigned part;                      /* of ES: bytes of r and of s */
};

static const struct jwt_alg algs[] = {
    { "RS256", GNUTLS_SIGN_RSA_SHA256, GNUTLS_PK_RSA, 0, 0 },
    { "RS384", GNUTLS_SIGN_RSA_SHA384, GNUTLS_PK_RSA, 0, 0 },
    { "RS512", GNUTLS_SIGN_RSA_SHA512, GNUTLS_PK_RSA, 0, 0 },
    { "PS256", GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, GNUTLS_PK_RSA, 0, 0 },
    { "PS384", GNUTLS_SIGN_RSA_PSS_RSAE_SHA384, GNUTLS_PK_RSA, 0, 0 },
    { "PS512", GNUTLS_SIGN_RSA_PSS_RSAE_SHA512, GNUTLS_PK_RSA, 0, 0 },
    { "ES256", GNUTLS_SIGN_ECDSA_SHA256, GNUTLS_PK_ECDSA, GNUTLS_ECC_CURVE_SECP256R1, 32 },
    { "ES384", GNUTLS_SIGN_ECDSA_SHA384, GNUTLS_PK_ECDSA, GNUTLS_ECC_CURVE_SECP384R1, 48 },
    { "ES512", GNUTLS_SIGN_ECDSA_SHA512, GNUTLS_PK_ECDSA, GNUTLS_ECC_CURVE_SECP521R1, 66 },
};
#define COUNT(a) (sizeof(a) / sizeof *(a))
#define RSA_BITS_LEAST 1024u

bool jwt_parse(struct arena *a, struct str text, struct jwt *ret)
{
    struct jws t;
    if (!jws_parse(a, text, &t))
        return false;
    *ret = (struct jwt){ .signed_text = t.signed_text, .signature = t.signature, .kid = json_str(t.header, "kid"), .payload = t.payload };
    for (size_t i = 0; i < COUNT(algs); i++)
        if (str_is(json_str(t.header, "alg"), algs[i].name))
            ret->alg = &algs[i];
    return ret->alg && (!ret->alg->part || ret->signature.len == 2 * ret->alg->part);
}

static gnutls_datum_t datum(struct str s)
{
    return (gnutls_datum_t){ (unsigned char *)(uintptr_t)s.at, (unsigned)s.len };
}

static bool fits(const struct jwt_alg *g, const struct jwk *k)
{
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
    if (k->alg[0] && strcmp(k->alg, g->name) != 0)
        return false;
    if (gnutls_pubkey_get_pk_algorithm(k->key, NULL) != (int)g->pk)
        return false;
    return !g->part || (gnutls_pubkey_export_ecc_raw2(k->key, &curve, NULL, NULL, 0) >= 0 && curve == g->curve);
}

bool jwt_signed_by(const struct jwt *t, const struct jwk *k)
{
    gnutls_datum_t text = datum(t->signed_text), sig = datum(t->signature);
    if (!fits(t->alg, k))
        return false;
    return t->alg->part ? ecdsa_verify(k->key, t->alg->sign, t->signed_text, t->signature)
                        : gnutls_pubkey_verify_data2(k->key, t->alg->sign, 0, &text, &sig) >= 0;
}

/* --- key sets --- */

static struct str raw(struct arena *a, const struct val *jwk, const char *member)
{
    struct str s = base64url_decode(a, json_str(jwk, member));
    return s.at ? s : STR_NONE;
}

static int read_rsa(struct arena *a, const struct val *jwk, gnutls_pubkey_t key)
{
    gnutls_datum_t m = datum(raw(a, jwk, "n")), e = datum(raw(a, jwk, "e"));
    unsigned bits = 0;
    if (!m.size || !e.size || m.size > 2048 || e.size > 8)
        return -1;
    int rc = gnutls_pubkey_import_rsa_raw(key, &m, &e);
    return rc >= 0 && gnutls_pubkey_get_pk_algorithm(key, &bits) >= 0 && bits >= RSA_BITS_LEAST ? 0 : -1;
}

static int read_ec(struct arena *a, const struct val *jwk, gnutls_pubkey_t key)
{
    static const char *const names[] = { "P-256", "P-384", "P-521" };
    static const gnutls_ecc_curve_t curves[] = { GNUTLS_ECC_CURVE_SECP256R1, GNUTLS_ECC_CURVE_SECP384R1, GNUTLS_ECC_CURVE_SECP521R1 };
    gnutls_datum_t x = datum(raw(a, jwk, "x")), y = datum(raw(a, jwk, "y"));
    for (int i = 0; i < 3; i++)
        if (str_is(json_str(jwk, "crv"), names[i]) && x.size && y.size && x.size <= 66 && y.size <= 66)
            return gnutls_pubkey_import_ecc_raw(key, curves[i], &x, &y);
    return -1;
}

static bool read_key(struct arena *a, const struct val *v, struct jwk *ret)
{
    struct str kty = json_str(v, "kty"), kid = json_str(v, "kid"), alg = json_str(v, "alg"), use = json_str(v, "use");
    if ((use.len && !str_is(use, "sig")) || kid.len >= sizeof ret->kid || alg.len >= sizeof ret->alg)
        return false;
    if (gnutls_pubkey_init(&ret->key) < 0)
        return false;
    int rc = str_is(kty, "RSA") ? read_rsa(a, v, ret->key) : str_is(kty, "EC") ? read_ec(a, v, ret->key) : -1;
    if (rc < 0) {
        gnutls_pubkey_deinit(ret->key);
        return false;
    }
    snprintf(ret->kid, sizeof ret->kid, STR_FMT, STR_ARG(kid));
    snprintf(ret->alg, sizeof ret->alg, STR_FMT, STR_ARG(alg));
    return true;
}

int jwk_read(const struct val *set, struct jwk *ret, unsigned most, struct kl_err *err)
{
    const struct val *keys = json_get(set, STR("keys"));
    struct arena *a = arena_new(1 << 20);
    unsigned n = 0;
    if (!a || !val_is(keys, VAL_ARR)) {
        arena_free(a);
        return kl_err_set(err, a ? KL_INVALID : KL_NO_MEMORY, a ? "no key set: it has no 'keys'" : "out of memory");
    }
    val_each(v, keys)
        if (n < most && read_key(a, v, &ret[n]))
            n++;
    arena_free(a);
    return (int)n;
}

void jwk_free(struct jwk *keys, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        gnutls_pubkey_deinit(keys[i].key);
}
