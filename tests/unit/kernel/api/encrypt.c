/* Encryption at rest: the ciphers against known answers, rules, what is refused and in which words. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "api/encrypt-internal.h"
#include "base/cleanup.h"

/* NaCl's own test of secretbox. */
Test(encrypt, secretbox_is_that_of_nacl)
{
    static const unsigned char key[32] = { 0x1b, 0x27, 0x55, 0x64, 0x73, 0xe9, 0x85, 0xd4, 0x62, 0xcd, 0x51, 0x19, 0x7a, 0x9a, 0x46, 0xc7,
                                           0x60, 0x09, 0x54, 0x9e, 0xac, 0x64, 0x74, 0xf2, 0x06, 0xc4, 0xee, 0x08, 0x44, 0xf6, 0x83, 0x89 };
    static const unsigned char nonce[24] = { 0x69, 0x69, 0x6e, 0xe9, 0x55, 0xb6, 0x2b, 0x73, 0xcd, 0x62, 0xbd, 0xa8,
                                             0x75, 0xfc, 0x73, 0xd6, 0x82, 0x19, 0xe0, 0x03, 0x6b, 0x7a, 0x0b, 0x37 };
    static const unsigned char plain[131] = {
        0xbe, 0x07, 0x5f, 0xc5, 0x3c, 0x81, 0xf2, 0xd5, 0xcf, 0x14, 0x13, 0x16, 0xeb, 0xeb, 0x0c, 0x7b, 0x52, 0x28, 0xc5, 0x2a, 0x4c, 0x62,
        0xcb, 0xd4, 0x4b, 0x66, 0x84, 0x9b, 0x64, 0x24, 0x4f, 0xfc, 0xe5, 0xec, 0xba, 0xaf, 0x33, 0xbd, 0x75, 0x1a, 0x1a, 0xc7, 0x28, 0xd4,
        0x5e, 0x6c, 0x61, 0x29, 0x6c, 0xdc, 0x3c, 0x01, 0x23, 0x35, 0x61, 0xf4, 0x1d, 0xb6, 0x6c, 0xce, 0x31, 0x4a, 0xdb, 0x31, 0x0e, 0x3b,
        0xe8, 0x25, 0x0c, 0x46, 0xf0, 0x6d, 0xce, 0xea, 0x3a, 0x7f, 0xa1, 0x34, 0x80, 0x57, 0xe2, 0xf6, 0x55, 0x6a, 0xd6, 0xb1, 0x31, 0x8a,
        0x02, 0x4a, 0x83, 0x8f, 0x21, 0xaf, 0x1f, 0xde, 0x04, 0x89, 0x77, 0xeb, 0x48, 0xf5, 0x9f, 0xfd, 0x49, 0x24, 0xca, 0x1c, 0x60, 0x90,
        0x2e, 0x52, 0xf0, 0xa0, 0x89, 0xbc, 0x76, 0x89, 0x70, 0x40, 0xe0, 0x82, 0xf9, 0x37, 0x76, 0x38, 0x48, 0x64, 0x5e, 0x07, 0x05 };
    static const unsigned char head[32] = { 0xf3, 0xff, 0xc7, 0x70, 0x3f, 0x94, 0x00, 0xe5, 0x2a, 0x7d, 0xfb, 0x4b, 0x3d, 0x33, 0x05, 0xd9,
                                            0x8e, 0x99, 0x3b, 0x9f, 0x48, 0x68, 0x12, 0x73, 0xc2, 0x96, 0x50, 0xba, 0x32, 0xfc, 0x76, 0xce };
    unsigned char box[131 + 16], out[131];
    secretbox_seal(box, plain, sizeof plain, nonce, key);
    cr_expect_arr_eq(box, head, sizeof head);
    cr_expect(secretbox_open(out, box, sizeof box, nonce, key));
    cr_expect_arr_eq(out, plain, sizeof plain);
    for (size_t i = 0; i < sizeof box; i += 7) {
        box[i] ^= 1;
        cr_expect_not(secretbox_open(out, box, sizeof box, nonce, key));
        box[i] ^= 1;
    }
    for (size_t n = 0; n < sizeof plain; n++) {         /* every length of a last block */
        unsigned char b[131 + 16], o[131];
        secretbox_seal(b, plain, n, nonce, key);
        cr_expect(secretbox_open(o, b, n + 16, nonce, key) && memcmp(o, plain, n) == 0);
    }
}

/* --- rules --- */

static char path[64];

static void config_file(const char *text)
{
    if (!path[0]) {
        snprintf(path, sizeof path, "/tmp/keelson-encrypt-XXXXXX");
        close(mkstemp(path));
    }
    _cleanup_file_ FILE *f = fopen(path, "we");
    cr_assert(f);
    fputs("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n", f);
    fputs(text, f);
}

static void done(void)
{
    if (path[0])
        unlink(path);
}

TestSuite(encrypt, .fini = done);

#define K16 "AAECAwQFBgcICQoLDA0ODw=="
#define K32 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static struct encryption *opened(const char *text)
{
    struct encryption *e = NULL;
    struct kl_err err;
    kl_err_init(&err);
    config_file(text);
    cr_assert_eq(encryption_open(path, &e, &err), 0, "%s", err.msg);
    return e;
}

static struct str sealed(struct encryption *e, struct arena *a, const char *resource, const char *key, const char *plain)
{
    const struct store_cipher *c = encryption_cipher(e);
    struct kl_err err;
    struct str out;
    unsigned how = c->current(c->ctx, str_of(resource));
    kl_err_init(&err);
    if (!how)
        return str_of(plain);
    cr_assert_eq(c->seal(c->ctx, how, a, str_of(key), str_of(plain), &out, &err), 0, "%s", err.msg);
    return out;
}

static int unsealed(struct encryption *e, struct arena *a, const char *resource, const char *key, struct str stored, struct str *ret, struct kl_err *err)
{
    const struct store_cipher *c = encryption_cipher(e);
    unsigned how;
    kl_err_init(err);
    return c->open(c->ctx, a, str_of(key), str_of(resource), stored, ret, &how, err);
}

Test(encrypt, each_provider_opens_what_it_sealed_and_nothing_that_was_moved)
{
    static const struct {
        const char *provider, *prefix;
        bool bound;                     /* to the object's key */
    } rows[] = {
        { "aesgcm: {keys: [{name: a, secret: " K16 "}]}", "k8s:enc:aesgcm:v1:a:", true },
        { "aesgcm: {keys: [{name: b, secret: " K32 "}]}", "k8s:enc:aesgcm:v1:b:", true },
        { "aescbc: {keys: [{name: c, secret: " K32 "}]}", "k8s:enc:aescbc:v1:c:", false },
        { "secretbox: {keys: [{name: d, secret: " K32 "}]}", "k8s:enc:secretbox:v1:d:", false },
    };
    _cleanup_arena_ struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kl_err err;
        struct str back;
        struct encryption *e = opened(arena_printf(a, "- resources: [secrets]\n  providers:\n  - %s\n  - identity: {}\n", rows[i].provider));
        struct str s = sealed(e, a, "/secrets", "/secrets/ns/x", "{\"kind\":\"Secret\"}");
        cr_expect(str_starts(s, str_of(rows[i].prefix)), STR_FMT, STR_ARG(s));
        cr_expect_eq(unsealed(e, a, "/secrets", "/secrets/ns/x", s, &back, &err), 0, "%s", err.msg);
        cr_expect(str_is(back, "{\"kind\":\"Secret\"}"));
        cr_expect_eq(unsealed(e, a, "/secrets", "/secrets/ns/y", s, &back, &err) < 0, rows[i].bound);
        for (size_t k = strlen(rows[i].prefix); k < s.len && rows[i].bound; k++) {
            char *bad = arena_dup(a, s);
            memcpy(bad, s.at, s.len);
            bad[k] ^= 0x10;
            cr_expect(unsealed(e, a, "/secrets", "/secrets/ns/x", str_n(bad, s.len), &back, &err) < 0);
        }
        cr_expect_eq(unsealed(e, a, "/secrets", "/secrets/ns/x", STR("{}"), &back, &err), 0);
        cr_expect(str_is(sealed(e, a, "/configmaps", "/configmaps/ns/x", "{}"), "{}"));
        encryption_free(e);
    }
}

Test(encrypt, keys_turn_over_and_the_missing_one_is_named)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_err err;
    struct str back, old;
    struct encryption *e = opened("- resources: [secrets]\n  providers:\n  - aesgcm: {keys: [{name: one, secret: " K16 "}]}\n");
    const struct store_cipher *c = encryption_cipher(e);
    unsigned was = c->current(c->ctx, STR("/secrets"));
    old = sealed(e, a, "/secrets", "/secrets/ns/x", "{}");
    config_file("- resources: [secrets]\n  providers:\n  - secretbox: {keys: [{name: two, secret: " K32 "}]}\n  - aesgcm: {keys: [{name: one, secret: " K16 "}]}\n");
    cr_assert_eq(encryption_reload(e, &err), 0, "%s", err.msg);
    cr_expect_neq(c->current(c->ctx, STR("/secrets")), was);
    cr_expect_eq(unsealed(e, a, "/secrets", "/secrets/ns/x", old, &back, &err), 0);
    config_file("- resources: [secrets]\n  providers:\n  - secretbox: {keys: [{name: two, secret: " K32 "}]}\n");
    cr_assert_eq(encryption_reload(e, &err), 0);
    cr_expect(unsealed(e, a, "/secrets", "/secrets/ns/x", old, &back, &err) < 0);
    cr_expect_str_eq(err.msg, "object '/secrets/ns/x' was written with key 'one' (aesgcm), which the encryption configuration does not list for 'secrets'");
    config_file("- resources: [secrets]\n  providers:\n  - aesgcm: {keys: [{name: one, secret: " K32 "}]}\n");
    cr_assert_eq(encryption_reload(e, &err), 0);
    cr_expect(unsealed(e, a, "/secrets", "/secrets/ns/x", old, &back, &err) < 0);
    cr_expect(strstr(err.msg, "cannot be decrypted with key 'one' (aesgcm)"), "%s", err.msg);
    cr_expect(unsealed(e, a, "/secrets", "/secrets/ns/x", STR("{}"), &back, &err) < 0);
    cr_expect(strstr(err.msg, "is not encrypted, and 'identity' is not among"), "%s", err.msg);
    config_file("- resources: [secrets]\n  providers:\n  - rot13: {}\n");
    cr_expect_lt(encryption_reload(e, &err), 0);
    cr_expect(unsealed(e, a, "/secrets", "/secrets/ns/x", old, &back, &err) < 0 && strstr(err.msg, "'one'"));   /* the one of before stays */
    encryption_free(e);
}

Test(encrypt, the_first_rule_that_names_a_resource_counts)
{
    static const struct {
        const char *resource;
        unsigned rule;                  /* 0: none */
    } rows[] = { { "/secrets", 1 }, { "apps/deployments", 2 }, { "apps/daemonsets", 2 }, { "batch/jobs", 3 }, { "/pods", 4 }, { "shop.example/widgets", 5 } };
    struct encryption *e = opened("- {resources: [secrets], providers: [{identity: {}}]}\n- {resources: ['*.apps'], providers: [{identity: {}}]}\n"
                                  "- {resources: [jobs.batch], providers: [{identity: {}}]}\n- {resources: ['*.'], providers: [{identity: {}}]}\n"
                                  "- {resources: ['*.*'], providers: [{identity: {}}]}\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(enc_rule_for(e->config, str_of(rows[i].resource)) - e->config->rules, rows[i].rule - 1, "%s", rows[i].resource);
    encryption_free(e);
}

Test(encrypt, what_is_not_understood_is_refused)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "- {resources: [], providers: [{identity: {}}]}\n", "resources[0]: 'resources' names none" },
        { "- {resources: ['*'], providers: [{identity: {}}]}\n", "resource '*' is not like" },
        { "- {resources: ['pods.*'], providers: [{identity: {}}]}\n", "a group may be * only" },
        { "- {resources: [secrets], providers: []}\n", "'providers' is empty" },
        { "- {resources: [secrets], providers: [{identity: {}, aesgcm: {}}]}\n", "exactly one of" },
        { "- {resources: [secrets], providers: [{aesgcm: {keys: []}}]}\n", "needs a list 'keys'" },
        { "- {resources: [secrets], providers: [{aesgcm: {keys: [{name: a, secret: AAEC}]}}]}\n", "16, 24 or 32 bytes" },
        { "- {resources: [secrets], providers: [{secretbox: {keys: [{name: a, secret: " K16 "}]}}]}\n", "32 bytes" },
        { "- {resources: [secrets], providers: [{aesgcm: {keys: [{name: 'a:b', secret: " K16 "}]}}]}\n", "without ':'" },
        { "- {resources: [secrets], providers: [{aesgcm: {keys: [{name: a, secret: " K16 "}, {name: a, secret: " K32 "}]}}]}\n", "'a' is there twice" },
        { "- {resources: [secrets], providers: [{kms: {apiVersion: v1, name: a, endpoint: 'unix:///a'}}]}\n", "apiVersion must be v2" },
        { "- {resources: [secrets], providers: [{kms: {apiVersion: v2, name: a, endpoint: 'tcp://a'}}]}\n", "unix:///PATH" },
        { "- {resources: [secrets], providers: [{kms: {apiVersion: v2, name: a, endpoint: 'unix:///nowhere/kms.sock'}}]}\n", "KMS plugin 'a': '/nowhere/kms.sock'" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct encryption *e = NULL;
        struct kl_err err;
        kl_err_init(&err);
        config_file(rows[i].text);
        cr_expect_lt(encryption_open(path, &e, &err), 0, "%s", rows[i].text);
        cr_expect(strstr(err.msg, rows[i].why), "%s: %s", rows[i].text, err.msg);
    }
}
