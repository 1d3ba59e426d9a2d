/* config.c - files good and bad; claims that make a user, and claims that do not. */
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "config.h"

#define HEAD "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
#define JWT(issuer, mappings) HEAD "jwt:\n- issuer: {" issuer "}\n  claimMappings: {" mappings "}\n"
#define GOOD "url: https://a.example/x, audiences: [k8s]"
#define USER "username: {claim: sub, prefix: \"oidc:\"}"

Test(config, reads_all_of_it)
{
    struct config f;
    struct kl_err err;
    kl_err_init(&err);
    cr_assert_eq(config_read(&f, STR(HEAD "anonymous: {enabled: true, conditions: [{path: /livez}]}\njwt:\n"
                                          "- issuer: {url: 'https://a.example/x/', audiences: [k8s, other], audienceMatchPolicy: MatchAny}\n"
                                          "  claimValidationRules: [{claim: hd, requiredValue: example.com}]\n"
                                          "  claimMappings: {username: {claim: email, prefix: ''}, groups: {claim: roles, prefix: 'g:'}, uid: {claim: sub}}\n"
                                          "- issuer: {url: 'https://b.example', discoveryURL: 'https://c.example/d', audiences: [k8s]}\n"
                                          "  claimMappings: {username: {claim: sub, prefix: 'b:'}}\n"), "https://own", &err), 0, "%s", err.msg);
    cr_assert_eq(f.n, 2);
    cr_assert_str_eq(f.issuers[0].discovery_url, "https://a.example/x/.well-known/openid-configuration");
    cr_assert_str_eq(f.issuers[0].audiences[1], "other");
    cr_assert_str_eq(f.issuers[0].required[0].value, "example.com");
    cr_assert_str_eq(f.issuers[1].discovery_url, "https://c.example/d");
    cr_assert(config_anonymous(&f, "/livez") && !config_anonymous(&f, "/livez/") && !config_anonymous(&f, "/api"));
    config_free(&f);
}

Test(config, says_what_is_wrong)
{
    static const char *const rows[][2] = {
        { "kind: AuthenticationConfiguration\n", "no AuthenticationConfiguration" },
        { "a: [", "error converting YAML" },
        { HEAD "jwts: []\n", "unknown field \"jwts\"" },
        { JWT("audiences: [k8s]", USER), "jwt[0].issuer.url: Required value" },
        { JWT("url: http://a, audiences: [k8s]", USER), "jwt[0].issuer.url: Invalid value: \"http://a\": URL scheme must be https" },
        { JWT("url: https://a:b@c, audiences: [k8s]", USER), "URL must not contain a username or password" },
        { JWT("url: https://a?b, audiences: [k8s]", USER), "URL must not contain a query" },
        { JWT("url: https://own, audiences: [k8s]", USER), "must not overlap with disallowed issuers: [https://own]" },
        { JWT("url: https://a, audiences: []", USER), "jwt[0].issuer.audiences: Required value" },
        { JWT("url: https://a, audiences: [b, b], audienceMatchPolicy: MatchAny", USER), "jwt[0].issuer.audiences[1]: Duplicate value: \"b\"" },
        { JWT("url: https://a, audiences: [b, c]", USER), "audienceMatchPolicy must be MatchAny for multiple audiences" },
        { JWT("url: https://a, audiences: [b], discoveryURL: 'https://a/'", USER), "discoveryURL must be different from URL" },
        { JWT("url: https://a, audiences: [b], certificateAuthority: x", USER), "jwt[0].issuer.certificateAuthority: Invalid value" },
        { JWT(GOOD, ""), "jwt[0].claimMappings.username: Required value: claim or expression is required" },
        { JWT(GOOD, "username: {claim: sub}"), "jwt[0].claimMappings.username.prefix: Required value" },
        { JWT(GOOD, "username: {expression: claims.sub, claim: sub, prefix: ''}"), "jwt[0].claimMappings.username: Invalid value" },
        { JWT(GOOD, "username: {expression: 'claims.email'}"), "claims.email_verified must be used" },
        { JWT(GOOD, USER ", extra: [{key: a.b/c}]"), "jwt[0].claimMappings.extra[0].valueExpression: Required value" },
        { JWT(GOOD, USER ", extra: [{key: c, valueExpression: x}]"), "jwt[0].claimMappings.extra[0].key: Invalid value" },
        { JWT(GOOD, USER ", extra: [{key: k8s.io/c, valueExpression: x}]"), "reserved for Kubernetes use" },
        { JWT(GOOD, USER ", extra: [{key: a.b/C, valueExpression: x}]"), "must be lowercase" },
        { JWT(GOOD, USER) "  userValidationRules: [{message: x}]\n", "jwt[0].userValidationRules[0].expression: Required value" },
        { JWT(GOOD, USER) "  claimValidationRules: [{expression: x, claim: z}]\n", "claim and expression can't both be set" },
        { JWT(GOOD, USER) "  claimValidationRules: [{expression: x}, {expression: x}]\n", "jwt[0].claimValidationRules[1].expression: Duplicate value" },
        { JWT(GOOD, USER) "- issuer: {" GOOD "}\n  claimMappings: {" USER "}\n", "jwt[1].issuer.url: Duplicate value" },
        { HEAD "anonymous: {enabled: false, conditions: [{path: /a}]}\n", "enabled should be set to true when conditions are defined" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct config f;
        struct kl_err err;
        kl_err_init(&err);
        cr_assert_eq(config_read(&f, str_of(rows[i][0]), "https://own", &err), -KL_INVALID, "%s: %s", rows[i][0], err.msg);
        cr_assert(strstr(err.msg, rows[i][1]), "wanted: %s; got: %s", rows[i][1], err.msg);
        config_free(&f);
    }
}

/* --- claims --- */

static void *alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static const struct evaluator none = { NULL, NULL };
static const struct required hosted[] = { { "hd", "example.com" } };
static const char *const audiences[] = { "k8s", "other", NULL };
static const struct issuer by = { .url = "https://a", .audiences = audiences, .user = { "email", "o:" }, .groups = { "groups", "g:" }, .uid = { "sub", NULL },
                                  .required = hosted, .n_required = 1 };

static int user_of(struct arena *a, const char *claims, struct kl_user *u, struct kl_err *err)
{
    struct kl_call c = { .size = sizeof c, .arena = a, .alloc = alloc };
    kl_err_init(&c.err);
    int rc = claims_user(&c, a, &none, &by, json_parse(a, str_of(claims), NULL), 1000, u);
    *err = c.err;
    return rc;
}

#define REST "\"email\":\"x@y\",\"sub\":\"7\",\"hd\":\"example.com\"}"

Test(claims, make_a_user)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_user u;
    struct kl_err err;
    cr_assert_eq(user_of(a, "{\"exp\":1001,\"nbf\":1290,\"aud\":[\"z\",\"other\"],\"jti\":\"j\",\"groups\":[\"p\",\"q\"],\"email_verified\":true," REST, &u, &err), 1, "%s",
                 err.msg);
    cr_assert_str_eq(u.name, "o:x@y");
    cr_assert_str_eq(u.uid, "7");
    cr_assert_str_eq(u.groups[0], "g:p");
    cr_assert_str_eq(u.groups[1], "g:q");
    cr_assert_str_eq(u.groups[2], "system:authenticated");
    cr_assert_null(u.groups[3]);
    cr_assert_str_eq(u.extra[1], "JTI=j");
    cr_assert_eq(user_of(a, "{\"exp\":1001.5,\"aud\":\"k8s\",\"groups\":\"one\"," REST, &u, &err), 1, "%s", err.msg);
    cr_assert_str_eq(u.groups[0], "g:one");
}

Test(claims, refuse)
{
    static const char *const rows[][2] = {
        { "{\"aud\":\"k8s\"," REST, "expired" },
        { "{\"exp\":999,\"aud\":\"k8s\"," REST, "expired" },
        { "{\"exp\":\"2000\",\"aud\":\"k8s\"," REST, "expired" },
        { "{\"exp\":2000,\"nbf\":1301,\"aud\":\"k8s\"," REST, "before the nbf" },
        { "{\"exp\":2000,\"aud\":\"K8S\"," REST, "audiences" },
        { "{\"exp\":2000,\"aud\":[]," REST, "audiences" },
        { "{\"exp\":2000," REST, "audiences" },
        { "{\"exp\":2000,\"aud\":\"k8s\",\"email_verified\":false," REST, "email not verified" },
        { "{\"exp\":2000,\"aud\":\"k8s\",\"email_verified\":\"true\"," REST, "email not verified" },
        { "{\"exp\":2000,\"aud\":\"k8s\",\"groups\":{}," REST, "groups claim" },
        { "{\"exp\":2000,\"aud\":\"k8s\",\"groups\":[1]," REST, "groups claim" },
        { "{\"exp\":2000,\"aud\":\"k8s\",\"email\":\"x\",\"sub\":\"7\"}", "required claim hd not present" },
        { "{\"exp\":2000,\"aud\":\"k8s\",\"email\":\"x\",\"sub\":\"7\",\"hd\":\"evil\"}", "required claim hd value does not match" },
        { "{\"exp\":2000,\"aud\":\"k8s\",\"sub\":\"7\",\"hd\":\"example.com\"}", "username claims \"email\"" },
        { "{\"exp\":2000,\"aud\":\"k8s\",\"email\":\"x\\u0000y\",\"sub\":\"7\",\"hd\":\"example.com\"}", "username claims \"email\"" },
        { "{\"exp\":2000,\"aud\":\"k8s\",\"email\":\"x\",\"sub\":7,\"hd\":\"example.com\"}", "uid claims \"sub\"" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct kl_user u;
        struct kl_err err;
        cr_assert_eq(user_of(a, rows[i][0], &u, &err), -KL_UNAUTHORIZED, "%s", rows[i][0]);
        cr_assert(strstr(err.msg, rows[i][1]), "wanted: %s; got: %s", rows[i][1], err.msg);
    }
}
