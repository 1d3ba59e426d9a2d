/* sign.c - see sign.h. GnuTLS does the mathematics. */
#include "plugin/sign.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "object/base64.h"

#define COMMENT "untrusted comment: "

struct packed_public {
    char alg[2];
    unsigned char number[8], key[32];
};

struct packed_signature {
    char alg[2];
    unsigned char number[8], signature[64];
};

struct packed_secret {
    char alg[2], kdf[2];
    unsigned char rounds[4], salt[16], checksum[8], number[8], pair[64];     /* pair: seed, public key */
};

void sign_number(const unsigned char number[8], char ret[17])
{
    for (unsigned i = 0; i < 8; i++)
        snprintf(ret + 2 * i, 3, "%02x", number[i]);
}

bool sign_name_ok(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!name.at[i] || !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._", name.at[i]))
            return false;
    return name.len > 0 && name.len <= SIGN_NAME_MOST && name.at[0] != '.';
}

/* --- the two lines --- */

static void write_text(struct buf *b, const char *before, const char *name, const char *behind, const void *at, size_t n)
{
    buf_printf(b, COMMENT "%s%s%s\n", before, name, behind);
    base64_encode(b, str_n(at, n));
    buf_add_c(b, '\n');
}

static bool read_text(struct str text, struct str *comment, void *ret, size_t n)
{
    char room[SIGN_TEXT_MOST];
    if (text.len > SIGN_TEXT_MOST || !str_starts(text, STR(COMMENT)))
        return false;
    *comment = str_skip(str_cut(&text, '\n'), sizeof COMMENT - 1);
    struct str line = str_cut(&text, '\n');
    if (text.len || !base64_valid(line) || base64_decoded(line) != n)
        return false;
    base64_decode(line, room);
    memcpy(ret, room, n);
    return true;
}

/* --- keys --- */

static void checksum(const unsigned char secret[64], unsigned char ret[8])
{
    unsigned char all[64];
    gnutls_hash_fast(GNUTLS_DIG_SHA512, secret, 64, all);
    memcpy(ret, all, 8);
}

int sign_generate(const char *name, struct buf *secret, struct buf *public, struct kl_err *err)
{
    struct packed_secret s = { .alg = { 'E', 'd' }, .kdf = { 'B', 'K' } };
    struct packed_public p = { .alg = { 'E', 'd' } };
    gnutls_privkey_t key = NULL;
    gnutls_datum_t x = { NULL, 0 }, k = { NULL, 0 };
    gnutls_ecc_curve_t curve;
    int rc = gnutls_privkey_init(&key);
    if (rc == 0)
        rc = gnutls_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519), 0);
    if (rc == 0)
        rc = gnutls_privkey_export_ecc_raw(key, &curve, &x, NULL, &k);
    if (rc == 0 && x.size == 32 && k.size == 32) {
        memcpy(s.pair, k.data, 32);
        memcpy(s.pair + 32, x.data, 32);
        memcpy(p.key, x.data, 32);
        env_random(s.number, sizeof s.number);
        memcpy(p.number, s.number, sizeof s.number);
        checksum(s.pair, s.checksum);
        write_text(secret, "", name, " secret key", &s, sizeof s);
        write_text(public, "", name, " public key", &p, sizeof p);
    }
    gnutls_memset(&s, 0, sizeof s);
    if (k.data)
        gnutls_memset(k.data, 0, k.size);
    gnutls_free(x.data);
    gnutls_free(k.data);
    gnutls_privkey_deinit(key);
    return rc < 0 || secret->failed || public->failed || !public->len ? kl_err_set(err, KL_INTERNAL, "no key can be made: %s", gnutls_strerror(rc)) : 0;
}

int sign_public(struct str text, const char *what, struct sign_key *ret, struct kl_err *err)
{
    struct packed_public p;
    struct str comment;
    if (!read_text(text, &comment, &p, sizeof p) || memcmp(p.alg, "Ed", 2) != 0)
        return kl_err_set(err, KL_INVALID, "'%s' is not a public key (one is made by `keelson plugin keys generate NAME`)", what);
    memset(ret, 0, sizeof *ret);
    memcpy(ret->number, p.number, sizeof p.number);
    memcpy(ret->key, p.key, sizeof p.key);
    if (str_ends(comment, STR(" public key")))
        comment.len -= sizeof " public key" - 1;
    snprintf(ret->name, sizeof ret->name, STR_FMT, STR_ARG(sign_name_ok(comment) ? comment : STR("unnamed")));
    return 0;
}

static int read_secret(struct str text, const char *what, struct packed_secret *ret, struct sign_key *by, struct kl_err *err)
{
    struct str comment;
    unsigned char sum[8];
    if (!read_text(text, &comment, ret, sizeof *ret) || memcmp(ret->alg, "Ed", 2) != 0 || memcmp(ret->kdf, "BK", 2) != 0)
        return kl_err_set(err, KL_INVALID, "'%s' is not a secret key (one is made by `keelson plugin keys generate NAME`)", what);
    static const unsigned char none[4];
    if (memcmp(ret->rounds, none, 4) != 0)
        return kl_err_set(err, KL_UNSUPPORTED, "the key '%s' has a passphrase; only keys without one (signify -G -n) are read", what);
    checksum(ret->pair, sum);
    if (memcmp(sum, ret->checksum, 8) != 0)
        return kl_err_set(err, KL_CORRUPT, "the key '%s' is damaged", what);
    memset(by, 0, sizeof *by);
    memcpy(by->number, ret->number, 8);
    memcpy(by->key, ret->pair + 32, 32);
    if (str_ends(comment, STR(" secret key")))
        comment.len -= sizeof " secret key" - 1;
    snprintf(by->name, sizeof by->name, STR_FMT, STR_ARG(sign_name_ok(comment) ? comment : STR("unnamed")));
    return 0;
}

/* --- signatures --- */

static gnutls_datum_t datum(const void *at, size_t n)
{
    return (gnutls_datum_t){ (unsigned char *)(void *)at, (unsigned)n };
}

int sign_make(struct str secret, const char *what, struct str bytes, struct buf *ret, struct sign_key *by, struct kl_err *err)
{
    struct packed_secret s;
    struct packed_signature out = { .alg = { 'E', 'd' } };
    gnutls_privkey_t key = NULL;
    gnutls_datum_t sig = { NULL, 0 };
    int rc = read_secret(secret, what, &s, by, err);
    if (rc < 0)
        return rc;
    gnutls_datum_t x = datum(s.pair + 32, 32), k = datum(s.pair, 32), data = datum(bytes.at, bytes.len);
    rc = gnutls_privkey_init(&key);
    if (rc == 0)
        rc = gnutls_privkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_ED25519, &x, NULL, &k);
    if (rc == 0)
        rc = gnutls_privkey_sign_data(key, GNUTLS_DIG_SHA512, 0, &data, &sig);
    if (rc == 0 && sig.size == sizeof out.signature) {
        memcpy(out.number, s.number, 8);
        memcpy(out.signature, sig.data, sizeof out.signature);
        write_text(ret, "verify with ", by->name, ".pub", &out, sizeof out);
    }
    gnutls_memset(&s, 0, sizeof s);
    gnutls_free(sig.data);
    gnutls_privkey_deinit(key);
    return rc < 0 || ret->failed || !ret->len ? kl_err_set(err, KL_INTERNAL, "signing with '%s' fails: %s", what, gnutls_strerror(rc)) : 0;
}

static bool right(const struct sign_key *k, const unsigned char signature[64], struct str bytes)
{
    gnutls_pubkey_t key = NULL;
    gnutls_datum_t x = datum(k->key, 32), data = datum(bytes.at, bytes.len), sig = datum(signature, 64);
    bool ok = gnutls_pubkey_init(&key) == 0 && gnutls_pubkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_ED25519, &x, NULL) == 0 &&
              gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_EDDSA_ED25519, 0, &data, &sig) >= 0;
    if (key)
        gnutls_pubkey_deinit(key);
    return ok;
}

int sign_check(struct str sig, struct str bytes, const struct sign_key *keys, unsigned n, const struct sign_key **by, char number[17], struct kl_err *err)
{
    struct packed_signature s;
    struct str comment;
    bool known = false;
    number[0] = '\0';
    if (!read_text(sig, &comment, &s, sizeof s) || memcmp(s.alg, "Ed", 2) != 0)
        return kl_err_set(err, KL_INVALID, "not a signature");
    sign_number(s.number, number);
    for (unsigned i = 0; i < n; i++) {
        if (memcmp(keys[i].number, s.number, 8) != 0)
            continue;
        known = true;
        if (!right(&keys[i], s.signature, bytes))
            continue;
        if (by)
            *by = &keys[i];
        return 0;
    }
    return known ? kl_err_set(err, KL_CORRUPT, "another text was signed") : kl_err_set(err, KL_NOT_FOUND, "key %s is not known", number);
}

bool sign_canonical(struct str sig, const struct sign_key *by)
{
    _cleanup_buf_ struct buf b = BUF_INIT(SIGN_TEXT_MOST);
    struct packed_signature s;
    struct str comment;
    if (!read_text(sig, &comment, &s, sizeof s))
        return false;
    write_text(&b, "verify with ", by->name, ".pub", &s, sizeof s);
    return !b.failed && str_eq(buf_str(&b), sig);
}
