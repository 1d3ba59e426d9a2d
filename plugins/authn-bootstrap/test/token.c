/* token.c - which Secrets vouch for which token. */
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "token.h"

#define ID  STR("abcdef")
#define KEY STR("0123456789abcdef")
/* token-id abcdef, token-secret 0123456789abcdef, usage true */
#define GOOD "\"token-id\":\"YWJjZGVm\",\"token-secret\":\"MDEyMzQ1Njc4OWFiY2RlZg==\",\"usage-bootstrap-authentication\":\"dHJ1ZQ==\""
#define SECRET(data) "{\"metadata\":{\"name\":\"x\"},\"type\":\"bootstrap.kubernetes.io/token\",\"data\":{" data "}}"

static const char *const *groups(struct arena *a, const char *text)
{
    return token_groups(a, json_parse(a, str_of(text), NULL), ID, KEY, 1000000000LL * 1700000000);
}

Test(token, form)
{
    static const char *const bad[] = { "", "abcdef", "abcdef.", "abcdef.0123456789abcde", "abcdef.0123456789abcdeff", "ABCDEF.0123456789abcdef",
                                       "abcdef.0123456789abcde.", "abcdef.0123456789.bcdef", "abcde.00123456789abcdef" };
    struct str id, key;
    cr_assert(token_split(STR("abcdef.0123456789abcdef"), &id, &key) && str_eq(id, ID) && str_eq(key, KEY));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(token_split(str_of(bad[i]), &id, &key), "%s", bad[i]);
}

Test(token, a_good_secret)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    const char *const *g = groups(a, SECRET(GOOD));
    cr_assert(g && !g[2]);
    cr_assert_str_eq(g[0], "system:bootstrappers");
    cr_assert_str_eq(g[1], "system:authenticated");
    /* 2099-01-01T00:00:00Z; system:bootstrappers:a */
    g = groups(a, SECRET(GOOD ",\"expiration\":\"MjA5OS0wMS0wMVQwMDowMDowMFo=\",\"auth-extra-groups\":\"c3lzdGVtOmJvb3RzdHJhcHBlcnM6YQ==\""));
    cr_assert(g && !g[3]);
    cr_assert_str_eq(g[1], "system:bootstrappers:a");
}

Test(token, bad_secrets)
{
    static const char *const bad[] = {
        SECRET("\"token-id\":\"YWJjZGVm\",\"token-secret\":\"MDEyMzQ1Njc4OWFiY2RlZg==\""),                              /* no usage */
        SECRET(GOOD ",\"usage-bootstrap-authentication\":\"ZmFsc2U=\""),                                              /* false */
        SECRET(GOOD ",\"token-secret\":\"MTEyMzQ1Njc4OWFiY2RlZg==\""),                                                /* another secret */
        SECRET(GOOD ",\"token-id\":\"YWJjZGVn\""),                                                                    /* another id */
        SECRET(GOOD ",\"expiration\":\"MjAwMS0wMS0wMVQwMDowMDowMFo=\""),                                              /* 2001 */
        SECRET(GOOD ",\"expiration\":\"c29vbg==\""),                                                                  /* "soon" */
        SECRET(GOOD ",\"auth-extra-groups\":\"c3lzdGVtOm1hc3RlcnM=\""),                                               /* system:masters */
        "{\"metadata\":{},\"type\":\"Opaque\",\"data\":{" GOOD "}}",
        "{\"metadata\":{\"deletionTimestamp\":\"x\"},\"type\":\"bootstrap.kubernetes.io/token\",\"data\":{" GOOD "}}",
        "{\"type\":\"bootstrap.kubernetes.io/token\"}",
    };
    _cleanup_arena_ struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_null(groups(a, bad[i]), "%s", bad[i]);
}
