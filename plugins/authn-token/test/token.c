/* Tokens taken apart: a good one, the same with one thing wrong, and forms that must not pass. */
#include <criterion/criterion.h>

#include "base/base64url.h"
#include "base/cleanup.h"
#include "token.h"

#define HEAD "{\"alg\":\"ES256\"}"

static void sign(gnutls_privkey_t key, struct buf *b)
{
    gnutls_datum_t text = { (unsigned char *)b->at, (unsigned)b->len }, der = { 0 }, part[2] = { { 0 }, { 0 } };
    unsigned char raw[64] = { 0 };
    cr_assert(gnutls_privkey_sign_data2(key, GNUTLS_SIGN_ECDSA_SHA256, 0, &text, &der) >= 0);
    cr_assert(gnutls_decode_rs_value(&der, &part[0], &part[1]) >= 0);
    for (int i = 0; i < 2; i++) {
        size_t skip = part[i].size > 32 ? part[i].size - 32 : 0, n = part[i].size - skip;
        memcpy(raw + i * 32 + 32 - n, part[i].data + skip, n);
        gnutls_free(part[i].data);
    }
    gnutls_free(der.data);
    buf_add_c(b, '.');
    base64url_encode(b, raw, sizeof raw);
}

static void make(gnutls_privkey_t key, struct buf *b, const char *head, const char *payload)
{
    base64url_encode(b, head, strlen(head));
    buf_add_c(b, '.');
    base64url_encode(b, payload, strlen(payload));
    sign(key, b);
}

Test(token, signature)
{
    gnutls_privkey_t key;
    gnutls_pubkey_t pub;
    struct jws t;
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    gnutls_privkey_init(&key);
    gnutls_pubkey_init(&pub);
    cr_assert(gnutls_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) >= 0);
    cr_assert(gnutls_pubkey_import_privkey(pub, key, 0, 0) >= 0);
    for (int round = 0; round < 20; round++) {  /* short r and s happen now and then */
        buf_clear(&b);
        make(key, &b, HEAD, "{\"iss\":\"me\"}");
        cr_assert(token_parse(a, buf_str(&b), &t));
        cr_expect(str_is(json_str(t.payload, "iss"), "me"));
        cr_expect(token_signed_by(&t, pub));
    }
    b.at[20] = b.at[20] == 'A' ? 'B' : 'A';     /* in the payload */
    if (token_parse(a, buf_str(&b), &t))
        cr_expect(!token_signed_by(&t, pub));
    gnutls_privkey_deinit(key);
    gnutls_pubkey_deinit(pub);
}

Test(token, refused)
{
    static const char *const heads[] = { "{\"alg\":\"none\"}", "{\"alg\":\"HS256\"}", "{\"alg\":\"RS256\"}", "{}", "[]", "{\"alg\":\"ES256\",\"crit\":[\"x\"]}" };
    static const char *const texts[] = { "", ".", "..", "...", "a.b", "a.b.c.d", "eyJhbGciOiJFUzI1NiJ9..", "eyJhbGciOiJFUzI1NiJ9.e30.AA",
                                         "eyJhbGciOiJFUzI1NiJ9.e30=.AA", "eyJhbGciOiJFUzI1NiJ9.e30." };
    static const char sixty_four[65] = { 0 };
    struct jws t;
    _cleanup_arena_ struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_expect(!token_parse(a, str_of(texts[i]), &t), "%s", texts[i]);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(0);
        base64url_encode(&b, heads[i], strlen(heads[i]));
        buf_add_z(&b, ".e30.");
        base64url_encode(&b, sixty_four, 64);
        cr_expect(!token_parse(a, buf_str(&b), &t), "%s", heads[i]);
    }
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    base64url_encode(&b, HEAD, strlen(HEAD));
    buf_add_z(&b, ".e30.");
    base64url_encode(&b, sixty_four, 64);
    cr_expect(token_parse(a, buf_str(&b), &t));
    _cleanup_buf_ struct buf big = BUF_INIT(0);
    while (big.len <= JWS_LONGEST)
        buf_add_c(&big, 'A');
    cr_expect(!token_parse(a, buf_str(&big), &t));
}
