/* Keys and signatures as text, and that any change of any byte of file, signature or key is seen. */
#include "plugin/sign.h"

#include <criterion/criterion.h>

#include "base/cleanup.h"

/* `signify -G -n`, `signify -S`: made by OpenBSD's program. */
static const char theirs_pub[] = "untrusted comment: theirs public key\nRWRLbIlcAMUnABBsMQ2W4BJcBDJMKxa6DH8Zbe4IM1R/JBE5oAtTqd6K\n";

static void make(struct buf *secret, struct buf *public, struct sign_key *k)
{
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_eq(sign_generate("acme", secret, public, &err), 0, "%s", err.msg);
    cr_assert_eq(sign_public(buf_str(public), "acme.pub", k, &err), 0, "%s", err.msg);
}

Test(sign, right_and_wrong)
{
    _cleanup_buf_ struct buf secret = BUF_INIT(SIGN_TEXT_MOST), public = BUF_INIT(SIGN_TEXT_MOST), sig = BUF_INIT(SIGN_TEXT_MOST);
    struct sign_key k, by;
    const struct sign_key *who = NULL;
    char text[] = "a plugin's bytes", number[17];
    struct kl_err err;
    kl_err_init(&err);
    make(&secret, &public, &k);
    cr_assert_str_eq(k.name, "acme");
    cr_assert_eq(sign_make(buf_str(&secret), "acme.key", STR("a plugin's bytes"), &sig, &by, &err), 0, "%s", err.msg);
    cr_assert_arr_eq(by.key, k.key, 32);
    cr_assert_eq(sign_check(buf_str(&sig), str_of(text), &k, 1, &who, number, &err), 0, "%s", err.msg);
    cr_assert_eq(who, &k);
    cr_assert(sign_canonical(buf_str(&sig), &k));
    for (size_t i = 0; i < sizeof text - 1; i++) {
        text[i] ^= 1;
        cr_assert_eq(sign_check(buf_str(&sig), str_of(text), &k, 1, NULL, number, &err), -KL_CORRUPT);
        text[i] ^= 1;
    }
    for (size_t i = 0; i < sig.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            sig.at[i] ^= (char)(1 << bit);
            bool same = sign_check(buf_str(&sig), str_of(text), &k, 1, NULL, number, &err) == 0 && sign_canonical(buf_str(&sig), &k);
            cr_assert_not(same, "byte %zu, bit %d of the signature may be changed", i, bit);
            sig.at[i] ^= (char)(1 << bit);
        }
}

Test(sign, other_key)
{
    _cleanup_buf_ struct buf secret = BUF_INIT(SIGN_TEXT_MOST), public = BUF_INIT(SIGN_TEXT_MOST), sig = BUF_INIT(SIGN_TEXT_MOST);
    _cleanup_buf_ struct buf secret2 = BUF_INIT(SIGN_TEXT_MOST), public2 = BUF_INIT(SIGN_TEXT_MOST);
    struct sign_key keys[2], by;
    char number[17];
    struct kl_err err;
    kl_err_init(&err);
    make(&secret, &public, &keys[0]);
    make(&secret2, &public2, &keys[1]);
    cr_assert_eq(sign_make(buf_str(&secret), "acme.key", STR("x"), &sig, &by, &err), 0);
    cr_assert_eq(sign_check(buf_str(&sig), STR("x"), &keys[1], 1, NULL, number, &err), -KL_NOT_FOUND);
    cr_assert_eq(sign_check(buf_str(&sig), STR("x"), keys, 2, NULL, number, &err), 0);
    memcpy(keys[1].number, keys[0].number, 8);          /* another key that claims the number */
    cr_assert_eq(sign_check(buf_str(&sig), STR("x"), &keys[1], 1, NULL, number, &err), -KL_CORRUPT);
}

Test(sign, texts_that_are_none)
{
    _cleanup_buf_ struct buf secret = BUF_INIT(SIGN_TEXT_MOST), public = BUF_INIT(SIGN_TEXT_MOST), sig = BUF_INIT(SIGN_TEXT_MOST);
    struct sign_key k;
    char number[17];
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_eq(sign_public(str_of(theirs_pub), "theirs.pub", &k, &err), 0, "%s", err.msg);
    cr_assert_str_eq(k.name, "theirs");
    make(&secret, &public, &k);
    cr_assert_eq(sign_public(buf_str(&secret), "acme.key", &k, &err), -KL_INVALID);     /* the wrong half */
    cr_assert_eq(sign_public(STR(""), "x", &k, &err), -KL_INVALID);
    cr_assert_eq(sign_public(STR("untrusted comment: \n"), "x", &k, &err), -KL_INVALID);
    cr_assert_eq(sign_make(buf_str(&public), "acme.pub", STR("x"), &sig, &k, &err), -KL_INVALID);
    secret.at[secret.len - 8] ^= 1;
    cr_assert_lt(sign_make(buf_str(&secret), "acme.key", STR("x"), &sig, &k, &err), 0);         /* no base64 any more, or another sum */
    cr_assert_eq(sign_check(STR("untrusted comment: x\n====\n"), STR("x"), &k, 1, NULL, number, &err), -KL_INVALID);
}
