/* es256.c - see es256.h. */
#include "base/es256.h"

#include <gnutls/crypto.h>
#include <stdio.h>

#include "base/base64url.h"
#include "base/cleanup.h"

#define PART 32                         /* bytes of one coordinate of P-256, and of one half of a signature */

/* A number as so many bytes, whatever zeros GnuTLS puts before it or leaves out. */
static void fixed(unsigned char ret[PART], const gnutls_datum_t *d)
{
    size_t skip = d->size > PART ? d->size - PART : 0, n = d->size - skip;
    memset(ret, 0, PART);
    memcpy(ret + PART - n, d->data + skip, n);
}

static int text_of(const unsigned char raw[PART], char ret[44])
{
    _cleanup_buf_ struct buf b = BUF_INIT(64);
    base64url_encode(&b, raw, PART);
    if (b.failed || b.len != 43)
        return GNUTLS_E_MEMORY_ERROR;
    memcpy(ret, b.at, 44);
    return 0;
}

static int read_point(struct es256 *k)
{
    gnutls_datum_t x = { 0 }, y = { 0 };
    unsigned char raw[2][PART];
    gnutls_ecc_curve_t curve;
    gnutls_pubkey_t pub;
    int rc = gnutls_pubkey_init(&pub);
    if (rc < 0)
        return rc;
    if ((rc = gnutls_pubkey_import_privkey(pub, k->key, 0, 0)) >= 0 && (rc = gnutls_pubkey_export_ecc_raw2(pub, &curve, &x, &y, 0)) >= 0) {
        fixed(raw[0], &x);
        fixed(raw[1], &y);
        rc = curve != GNUTLS_ECC_CURVE_SECP256R1 || text_of(raw[0], k->x) < 0 || text_of(raw[1], k->y) < 0 ? GNUTLS_E_ECC_UNSUPPORTED_CURVE : 0;
    }
    gnutls_pubkey_deinit(pub);
    gnutls_free(x.data);
    gnutls_free(y.data);
    return rc;
}

static int name_key(struct es256 *k)
{
    unsigned char digest[32];
    char text[160];
    int n = snprintf(text, sizeof text, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", k->x, k->y);
    int rc = gnutls_hash_fast(GNUTLS_DIG_SHA256, text, (size_t)n, digest);
    return rc < 0 ? rc : text_of(digest, k->kid);
}

int es256_load(struct es256 *k, const char *file)
{
    gnutls_datum_t pem = { 0 };
    int rc = gnutls_privkey_init(&k->key);
    if (rc < 0)
        return rc;
    if ((rc = gnutls_load_file(file, &pem)) >= 0 && (rc = gnutls_privkey_import_x509_raw(k->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0)) >= 0 &&
        (rc = read_point(k)) >= 0)
        rc = name_key(k);
    if (pem.data)
        gnutls_memset(pem.data, 0, pem.size);
    gnutls_free(pem.data);
    if (rc < 0)
        es256_free(k);
    return rc;
}

void es256_free(struct es256 *k)
{
    gnutls_privkey_deinit(k->key);
    k->key = NULL;
}

/* header.payload becomes header.payload.signature: r and s side by side, not GnuTLS's DER. */
static int sign(const struct es256 *k, struct str signed_text, struct buf *b)
{
    gnutls_datum_t text = { (unsigned char *)(uintptr_t)signed_text.at, (unsigned)signed_text.len }, der = { 0 }, r = { 0 }, s = { 0 };
    unsigned char raw[2 * PART];
    int rc = gnutls_privkey_sign_data2(k->key, GNUTLS_SIGN_ECDSA_SHA256, 0, &text, &der);
    if (rc >= 0)
        rc = gnutls_decode_rs_value(&der, &r, &s);
    if (rc >= 0) {
        fixed(raw, &r);
        fixed(raw + PART, &s);
        buf_add_c(b, '.');
        base64url_encode(b, raw, sizeof raw);
    }
    gnutls_free(der.data);
    gnutls_free(r.data);
    gnutls_free(s.data);
    return rc;
}

int es256_token(const struct es256 *k, struct str payload, struct buf *ret)
{
    char head[128];
    size_t from = ret->len;
    int n = snprintf(head, sizeof head, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", k->kid);
    base64url_encode(ret, head, (size_t)n);
    buf_add_c(ret, '.');
    base64url_encode(ret, payload.at, payload.len);
    if (ret->failed)
        return GNUTLS_E_MEMORY_ERROR;
    int rc = sign(k, str_n(ret->at + from, ret->len - from), ret);
    return rc >= 0 && ret->failed ? GNUTLS_E_MEMORY_ERROR : rc;
}
