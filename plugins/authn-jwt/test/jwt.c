/* jwt.c - tokens signed with keys of every kind, and tokens that are not what they say. */
#include <criterion/criterion.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>

#include "base/base64url.h"
#include "base/cleanup.h"
#include "jwt.h"

static const struct kind {
    const char *alg, *kty, *crv;
    gnutls_sign_algorithm_t sign;
    unsigned part;
} kinds[] = {
    { "RS256", "RSA", "", GNUTLS_SIGN_RSA_SHA256, 0 },           { "RS384", "RSA", "", GNUTLS_SIGN_RSA_SHA384, 0 },
    { "RS512", "RSA", "", GNUTLS_SIGN_RSA_SHA512, 0 },           { "PS256", "RSA", "", GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, 0 },
    { "PS384", "RSA", "", GNUTLS_SIGN_RSA_PSS_RSAE_SHA384, 0 },  { "PS512", "RSA", "", GNUTLS_SIGN_RSA_PSS_RSAE_SHA512, 0 },
    { "ES256", "EC", "P-256", GNUTLS_SIGN_ECDSA_SHA256, 32 },    { "ES384", "EC", "P-384", GNUTLS_SIGN_ECDSA_SHA384, 48 },
    { "ES512", "EC", "P-521", GNUTLS_SIGN_ECDSA_SHA512, 66 },
};
#define KINDS (sizeof kinds / sizeof *kinds)

static gnutls_privkey_t new_key(const struct kind *k)
{
    static const gnutls_ecc_curve_t curves[] = { GNUTLS_ECC_CURVE_SECP256R1, GNUTLS_ECC_CURVE_SECP384R1, GNUTLS_ECC_CURVE_SECP521R1 };
    gnutls_privkey_t key;
    gnutls_privkey_init(&key);
    int rc = k->part ? gnutls_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(curves[k->part == 32 ? 0 : k->part == 48 ? 1 : 2]), 0)
                     : gnutls_privkey_generate(key, GNUTLS_PK_RSA, 2048, 0);
    cr_assert(rc >= 0, "%s", gnutls_strerror(rc));
    return key;
}

static void member(struct buf *b, const char *name, const gnutls_datum_t *d)
{
    unsigned skip = d->size && !d->data[0] ? 1 : 0;
    buf_printf(b, ",\"%s\":\"", name);
    base64url_encode(b, d->data + skip, d->size - skip);
    buf_lit(b, "\"");
}

static void add_jwk(struct buf *b, const struct kind *k, gnutls_privkey_t key, const char *kid)
{
    gnutls_datum_t x = { 0 }, y = { 0 };
    gnutls_pubkey_t pub;
    gnutls_pubkey_init(&pub);
    gnutls_pubkey_import_privkey(pub, key, 0, 0);
    buf_printf(b, "{\"kty\":\"%s\",\"kid\":\"%s\"", k->kty, kid);
    if (k->part) {
        gnutls_pubkey_export_ecc_raw2(pub, NULL, &x, &y, 0);
        buf_printf(b, ",\"crv\":\"%s\"", k->crv);
        member(b, "x", &x);
        member(b, "y", &y);
    } else {
        gnutls_pubkey_export_rsa_raw(pub, &x, &y);
        member(b, "n", &x);
        member(b, "e", &y);
    }
    buf_lit(b, "}");
    gnutls_free(x.data);
    gnutls_free(y.data);
    gnutls_pubkey_deinit(pub);
}

static void add_signature(struct buf *b, const struct kind *k, gnutls_privkey_t key)
{
    gnutls_datum_t text = { (unsigned char *)b->at, (unsigned)b->len }, sig = { 0 }, r = { 0 }, s = { 0 };
    unsigned char raw[132] = { 0 };
    cr_assert(gnutls_privkey_sign_data2(key, k->sign, 0, &text, &sig) >= 0);
    buf_add_c(b, '.');
    if (!k->part) {
        base64url_encode(b, sig.data, sig.size);
    } else {
        gnutls_decode_rs_value(&sig, &r, &s);
        unsigned rs = r.size > k->part ? r.size - k->part : 0, ss = s.size > k->part ? s.size - k->part : 0;
        memcpy(raw + k->part - (r.size - rs), r.data + rs, r.size - rs);
        memcpy(raw + 2 * k->part - (s.size - ss), s.data + ss, s.size - ss);
        base64url_encode(b, raw, 2 * k->part);
        gnutls_free(r.data);
        gnutls_free(s.data);
    }
    gnutls_free(sig.data);
}

static void token(struct buf *b, const struct kind *k, gnutls_privkey_t key, const char *head)
{
    static const char payload[] = "{\"iss\":\"https://a\",\"sub\":\"x\"}";
    base64url_encode(b, head, strlen(head));
    buf_add_c(b, '.');
    base64url_encode(b, payload, sizeof payload - 1);
    add_signature(b, k, key);
}

Test(jwt, every_algorithm)
{
    for (size_t i = 0; i < KINDS; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        _cleanup_buf_ struct buf set = BUF_INIT(0), text = BUF_INIT(0);
        gnutls_privkey_t key = new_key(&kinds[i]), other = new_key(&kinds[i]);
        struct jwk keys[4];
        struct jwt t;
        buf_lit(&set, "{\"keys\":[");
        add_jwk(&set, &kinds[i], key, "one");
        buf_lit(&set, ",{\"kty\":\"oct\",\"k\":\"AAAA\"},{\"kty\":\"RSA\",\"use\":\"enc\"},");
        add_jwk(&set, &kinds[i], other, "two");
        buf_lit(&set, "]}");
        struct kl_err err;
        cr_assert_eq(jwk_read(json_parse(a, buf_str(&set), NULL), keys, 4, &err), 2, "%s", kinds[i].alg);
        token(&text, &kinds[i], key, arena_printf(a, "{\"alg\":\"%s\",\"kid\":\"one\"}", kinds[i].alg));
        cr_assert(jwt_parse(a, buf_str(&text), &t), "%s", kinds[i].alg);
        cr_assert(str_is(t.kid, "one"));
        cr_assert(jwt_signed_by(&t, &keys[0]), "%s", kinds[i].alg);
        cr_assert_not(jwt_signed_by(&t, &keys[1]), "%s: another key", kinds[i].alg);
        snprintf(keys[0].alg, sizeof keys[0].alg, "none");
        cr_assert_not(jwt_signed_by(&t, &keys[0]), "%s: a key for another algorithm", kinds[i].alg);
        keys[0].alg[0] = '\0';
        text.at[text.len / 2] = text.at[text.len / 2] == 'A' ? 'B' : 'A';
        cr_assert_not(jwt_parse(a, buf_str(&text), &t) && jwt_signed_by(&t, &keys[0]), "%s: a changed token", kinds[i].alg);
        jwk_free(keys, 2);
        gnutls_privkey_deinit(key);
        gnutls_privkey_deinit(other);
    }
}

/* The classes of mistakes that verifiers have made: no signature, a public key as a shared secret, one algorithm's key for another. */
Test(jwt, confusions)
{
    static const char *const heads[] = { "{\"alg\":\"none\"}", "{\"alg\":\"None\"}", "{\"alg\":\"HS256\"}", "{\"alg\":\"ES256K\"}", "{\"alg\":\"EdDSA\"}", "{}",
                                         "{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}", "{\"alg\":[\"ES256\"]}", "[]", "{\"alg\":\"es256\"}" };
    const struct kind *es = &kinds[6];
    gnutls_privkey_t key = new_key(es);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        _cleanup_buf_ struct buf text = BUF_INIT(0);
        struct jwt t;
        token(&text, es, key, heads[i]);
        cr_assert_not(jwt_parse(a, buf_str(&text), &t), "%s", heads[i]);
    }
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf text = BUF_INIT(0), set = BUF_INIT(0);
    struct jwk keys[2];
    struct jwt t;
    buf_lit(&set, "{\"keys\":[");
    add_jwk(&set, es, key, "");
    buf_lit(&set, "]}");
    cr_assert_eq(jwk_read(json_parse(a, buf_str(&set), NULL), keys, 2, NULL), 1);
    token(&text, es, key, "{\"alg\":\"RS256\"}");
    cr_assert(jwt_parse(a, buf_str(&text), &t));
    cr_assert_not(jwt_signed_by(&t, &keys[0]), "an EC key for RS256");
    buf_clear(&text);
    token(&text, es, key, "{\"alg\":\"ES384\"}");
    cr_assert_not(jwt_parse(a, buf_str(&text), &t), "a signature of another size");
    jwk_free(keys, 1);
    gnutls_privkey_deinit(key);
}

Test(jwt, bad_texts)
{
    static const char *const bad[] = { "", ".", "..", "...", "a.b.c", "e30.e30.e30", "eyJhbGciOiJFUzI1NiJ9..", "eyJhbGciOiJFUzI1NiJ9.e30.", "{}", "eyJhbGciOiJFUzI1NiJ9.W10.AA" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct jwt t;
        cr_assert_not(jwt_parse(a, str_of(bad[i]), &t), "%s", bad[i]);
    }
}
