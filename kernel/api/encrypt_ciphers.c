/* encrypt_ciphers.c - one object's bytes sealed and opened, byte for byte as upstream frames them behind the prefix: aesgcm nonce(12) text tag(16); aescbc
 * iv(16) text padded as PKCS#7 says; secretbox nonce(24) box; KMS seeds info(32), then as aesgcm under a key derived from seed and info. The object's
 * key is authenticated with it where the cipher can: a sealed value moved to another object does not open. */
#include <gnutls/crypto.h>
#include <string.h>

#include "base/env.h"
#include "encrypt-internal.h"

#define NONCE 12
#define TAG   16
#define BLOCK 16
#define INFO  32

static gnutls_datum_t datum(const void *at, size_t n)
{
    return (gnutls_datum_t){ (unsigned char *)(uintptr_t)at, (unsigned)n };
}

/* --- aesgcm --- */

static gnutls_cipher_algorithm_t gcm_of(size_t key_len)
{
    return key_len == 16 ? GNUTLS_CIPHER_AES_128_GCM : key_len == 24 ? GNUTLS_CIPHER_AES_192_GCM : GNUTLS_CIPHER_AES_256_GCM;
}

static bool gcm_seal(const unsigned char *key, size_t key_len, struct str context, struct str plain, struct buf *ret)
{
    gnutls_aead_cipher_hd_t h;
    gnutls_datum_t k = datum(key, key_len);
    unsigned char nonce[NONCE];
    size_t n = plain.len + TAG;
    env_random(nonce, sizeof nonce);
    buf_add(ret, nonce, sizeof nonce);
    char *at = buf_room(ret, n);
    if (!at || gnutls_aead_cipher_init(&h, gcm_of(key_len), &k) < 0)
        return false;
    int rc = gnutls_aead_cipher_encrypt(h, nonce, sizeof nonce, context.at, context.len, TAG, plain.at, plain.len, at, &n);
    gnutls_aead_cipher_deinit(h);
    ret->len += rc < 0 ? 0 : n;
    return rc >= 0;
}

bool enc_gcm_open(const unsigned char *key, size_t key_len, struct arena *a, struct str context, struct str sealed, struct str *ret)
{
    gnutls_aead_cipher_hd_t h;
    gnutls_datum_t k = datum(key, key_len);
    size_t n = sealed.len;
    char *at = sealed.len >= NONCE + TAG ? arena_alloc(a, sealed.len) : NULL;
    if (!at || gnutls_aead_cipher_init(&h, gcm_of(key_len), &k) < 0)
        return false;
    int rc = gnutls_aead_cipher_decrypt(h, sealed.at, NONCE, context.at, context.len, TAG, sealed.at + NONCE, sealed.len - NONCE, at, &n);
    gnutls_aead_cipher_deinit(h);
    *ret = str_n(at, n);
    return rc >= 0;
}

/* --- KMS seeds: a key for each object --- */

static bool derive(const unsigned char *seed, size_t seed_len, const char *info, unsigned char ret[32])
{
    gnutls_datum_t s = datum(seed, seed_len), i = datum(info, INFO);
    return gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &s, &i, ret, 32) >= 0;
}

bool enc_xgcm_seal(const unsigned char seed[32], struct str context, struct str plain, struct buf *ret)
{
    char info[INFO];
    unsigned char key[32];
    env_random(info, sizeof info);
    buf_add(ret, info, sizeof info);
    return derive(seed, 32, info, key) && gcm_seal(key, sizeof key, context, plain, ret);
}

bool enc_xgcm_open(const unsigned char *seed, size_t seed_len, struct arena *a, struct str context, struct str sealed, struct str *ret)
{
    unsigned char key[32];
    return sealed.len > INFO && derive(seed, seed_len, sealed.at, key) && enc_gcm_open(key, sizeof key, a, context, str_skip(sealed, INFO), ret);
}

/* --- aescbc --- */

static gnutls_cipher_algorithm_t cbc_of(size_t key_len)
{
    return key_len == 16 ? GNUTLS_CIPHER_AES_128_CBC : key_len == 24 ? GNUTLS_CIPHER_AES_192_CBC : GNUTLS_CIPHER_AES_256_CBC;
}

static bool cbc_run(const struct enc_key *k, const void *iv, char *at, size_t n, bool seal)
{
    gnutls_cipher_hd_t h;
    gnutls_datum_t key = datum(k->secret, k->secret_len), i = datum(iv, BLOCK);
    if (gnutls_cipher_init(&h, cbc_of(k->secret_len), &key, &i) < 0)
        return false;
    int rc = seal ? gnutls_cipher_encrypt(h, at, n) : gnutls_cipher_decrypt(h, at, n);
    gnutls_cipher_deinit(h);
    return rc >= 0;
}

static bool cbc_seal(const struct enc_key *k, struct str plain, struct buf *ret)
{
    unsigned char iv[BLOCK];
    size_t pad = BLOCK - plain.len % BLOCK;
    env_random(iv, sizeof iv);
    buf_add(ret, iv, sizeof iv);
    size_t from = ret->len;
    buf_add_str(ret, plain);
    for (size_t i = 0; i < pad; i++)
        buf_add_c(ret, (char)pad);
    return !ret->failed && cbc_run(k, iv, ret->at + from, ret->len - from, true);
}

static bool cbc_open(const struct enc_key *k, struct arena *a, struct str sealed, struct str *ret)
{
    if (sealed.len < 2 * BLOCK || sealed.len % BLOCK)
        return false;
    size_t n = sealed.len - BLOCK;
    char *at = arena_alloc(a, n);
    if (!at)
        return false;
    memcpy(at, sealed.at + BLOCK, n);
    if (!cbc_run(k, sealed.at, at, n, false))
        return false;
    size_t pad = (unsigned char)at[n - 1];
    if (!pad || pad > BLOCK)
        return false;
    for (size_t i = 0; i < pad; i++)
        if ((unsigned char)at[n - 1 - i] != pad)
            return false;
    *ret = str_n(at, n - pad);
    return true;
}

/* --- secretbox --- */

static bool box_seal(const struct enc_key *k, struct str plain, struct buf *ret)
{
    unsigned char nonce[24];
    env_random(nonce, sizeof nonce);
    buf_add(ret, nonce, sizeof nonce);
    char *at = buf_room(ret, plain.len + TAG);
    if (!at)
        return false;
    secretbox_seal((unsigned char *)at, plain.at, plain.len, nonce, k->secret);
    ret->len += plain.len + TAG;
    return true;
}

static bool box_open(const struct enc_key *k, struct arena *a, struct str sealed, struct str *ret)
{
    char *at = sealed.len >= 24 + TAG ? arena_alloc(a, sealed.len) : NULL;
    if (!at || !secretbox_open((unsigned char *)at, sealed.at + 24, sealed.len - 24, (const unsigned char *)sealed.at, k->secret))
        return false;
    *ret = str_n(at, sealed.len - 24 - TAG);
    return true;
}

bool enc_seal(const struct enc_key *k, struct str context, struct str plain, struct buf *ret)
{
    buf_add_z(ret, k->prefix);
    switch (k->type) {
    case ENC_AESGCM: return gcm_seal(k->secret, k->secret_len, context, plain, ret) && !ret->failed;
    case ENC_AESCBC: return cbc_seal(k, plain, ret) && !ret->failed;
    case ENC_SECRETBOX: return box_seal(k, plain, ret) && !ret->failed;
    case ENC_KMS: return kms_seal(k, context, plain, ret) && !ret->failed;
    default: return false;
    }
}

bool enc_open(const struct enc_key *k, struct arena *a, struct str context, struct str sealed, struct str *ret)
{
    switch (k->type) {
    case ENC_AESGCM: return enc_gcm_open(k->secret, k->secret_len, a, context, sealed, ret);
    case ENC_AESCBC: return cbc_open(k, a, sealed, ret);
    case ENC_SECRETBOX: return box_open(k, a, sealed, ret);
    default: return false;
    }
}
