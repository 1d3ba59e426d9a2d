/* config.c - AuthorizationConfigurations good and bad, and what is asked. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "webhook.h"

#define HEAD "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\n"
#define HOOK(more) "- {type: Webhook, name: w, webhook: {timeout: 3s, subjectAccessReviewVersion: v1, failurePolicy: Deny, " \
                   "connectionInfo: {type: KubeConfigFile, kubeConfigFile: /a/b}" more "}}\n"

static int read_text(struct steps *s, const char *text, struct kl_err *err)
{
    *s = (struct steps){ .arena = arena_new(0) };
    kl_err_init(err);
    return steps_read(s, str_of(text), err);
}

Test(steps, in_their_order)
{
    struct steps s;
    struct kl_err err;
    cr_assert_eq(read_text(&s, HEAD "authorizers:\n- {type: Node, name: node}\n" HOOK(", authorizedTTL: 1m30s, cacheUnauthorizedRequests: false")
                           "- {type: RBAC, name: rbac}\n", &err), 0, "%s", err.msg);
    cr_assert_eq(s.n, 3);
    cr_assert_str_eq(s.at[0].instance, "node");
    cr_assert_str_eq(s.at[2].instance, "rbac");
    cr_assert(s.at[1].type == AUTH_HOOK && s.at[1].deny_on_failure);
    cr_assert_eq(s.at[1].yes_ttl_ns, 90000000000LL);
    cr_assert_eq(s.at[1].no_ttl_ns, 0);
    cr_assert_eq(s.at[1].timeout_ns, 3000000000LL);
    arena_free(s.arena);
}

Test(steps, mistakes)
{
    static const char *const rows[][2] = {
        { "kind: AuthorizationConfiguration\n", "no AuthorizationConfiguration" },
        { HEAD, "authorizers: Required value" },
        { HEAD "authorizers: []\n", "authorizers: Required value" },
        { HEAD "authorizers: [{type: Nodes, name: a}]\n", "authorizers[0].type: Unsupported value" },
        { HEAD "authorizers: [{type: Node}]\n", "authorizers[0].name: Required value" },
        { HEAD "authorizers: [{type: Node, name: a}, {type: RBAC, name: a}]\n", "authorizers[1].name: Duplicate value" },
        { HEAD "authorizers: [{type: Node, name: a}, {type: Node, name: b}]\n", "authorizers[1].type: Duplicate value" },
        { HEAD "authorizers: [{type: Node, name: a, webhook: {}}]\n", "authorizers[0].webhook: Invalid value" },
        { HEAD "authorizers: [{type: Webhook, name: a}]\n", "authorizers[0].webhook: Required value" },
        { HEAD "authorizers:\n" HOOK(", x: 1"), "unknown field \"authorizers[0].webhook.x\"" },
        { HEAD "authorizers:\n" HOOK(", authorizedTTL: -1s"), "authorizers[0].authorizedTTL: Invalid value" },
        { HEAD "authorizers:\n" HOOK(", matchConditions: [{expression: 'true'}]"), "authorizers[0].matchConditionSubjectAccessReviewVersion: Required value" },
        { HEAD "authorizers:\n" HOOK(", matchConditionSubjectAccessReviewVersion: v1, matchConditions: [{expression: 'true'}, {expression: 'true'}]"),
          "authorizers[0].matchConditions[1].expression: Duplicate value" },
        { HEAD "authorizers:\n" HOOK(", matchConditionSubjectAccessReviewVersion: v1, matchConditions: [{expression: ''}]"),
          "authorizers[0].matchConditions[0].expression: Required value" },
        { HEAD "authorizers: [{type: Webhook, name: w, webhook: {timeout: 31s, subjectAccessReviewVersion: v1, failurePolicy: Deny}}]\n",
          "authorizers[0].timeout: Invalid value: must be > 0s and <= 30s" },
        { HEAD "authorizers: [{type: Webhook, name: w, webhook: {timeout: 3s, subjectAccessReviewVersion: v2, failurePolicy: Deny}}]\n",
          "authorizers[0].subjectAccessReviewVersion: Unsupported value" },
        { HEAD "authorizers: [{type: Webhook, name: w, webhook: {timeout: 3s, subjectAccessReviewVersion: v1, failurePolicy: Maybe}}]\n",
          "authorizers[0].failurePolicy: Unsupported value" },
        { HEAD "authorizers: [{type: Webhook, name: w, webhook: {timeout: 3s, subjectAccessReviewVersion: v1, failurePolicy: Deny, "
          "connectionInfo: {type: KubeConfigFile, kubeConfigFile: b}}}]\n", "must be an absolute path" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct steps s;
        struct kl_err err;
        cr_assert_eq(read_text(&s, rows[i][0], &err), -KL_INVALID, "%s", rows[i][0]);
        cr_assert(strstr(err.msg, rows[i][1]), "wanted: %s; got: %s", rows[i][1], err.msg);
        arena_free(s.arena);
    }
}

Test(review, says_all_that_is_known)
{
    static const char *const groups[] = { "a", "b", NULL }, *const extra[] = { "k", "1", "k", "2", NULL };
    const struct kl_user u = { .size = sizeof u, .name = "ann", .uid = "7", .groups = groups, .extra = extra };
    struct kl_request r = { .size = sizeof r, .verb = "list", .path = "/x", .is_resource = 1, .group = "apps", .version = "v1", .resource = "deployments",
                            .subresource = "", .ns = "n", .name = "", .field_selector = "spec.x=1,y!=2", .label_selector = "a in (y, x, y),!b,c,d!=e,f notin (g),h>1" };
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    review_access(&b, a, "v1", &u, &r);
    cr_assert(str_is(buf_str(&b),
        "{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"metadata\":{},\"spec\":{\"resourceAttributes\":"
        "{\"namespace\":\"n\",\"verb\":\"list\",\"group\":\"apps\",\"version\":\"v1\",\"resource\":\"deployments\",\"fieldSelector\":{\"requirements\":["
        "{\"key\":\"spec.x\",\"operator\":\"In\",\"values\":[\"1\"]},{\"key\":\"y\",\"operator\":\"NotIn\",\"values\":[\"2\"]}]},\"labelSelector\":{\"requirements\":["
        "{\"key\":\"a\",\"operator\":\"In\",\"values\":[\"x\",\"y\"]},{\"key\":\"b\",\"operator\":\"DoesNotExist\"},{\"key\":\"c\",\"operator\":\"Exists\"},"
        "{\"key\":\"d\",\"operator\":\"NotIn\",\"values\":[\"e\"]},{\"key\":\"f\",\"operator\":\"NotIn\",\"values\":[\"g\"]}]}},\"user\":\"ann\",\"groups\":[\"a\",\"b\"],"
        "\"extra\":{\"k\":[\"1\",\"2\"]},\"uid\":\"7\"},\"status\":{\"allowed\":false}}"), STR_FMT, STR_ARG(buf_str(&b)));
    r.is_resource = 0;
    buf_clear(&b);
    review_access(&b, a, "v1beta1", &u, &r);
    cr_assert(memmem(b.at, b.len, "\"nonResourceAttributes\":{\"path\":\"/x\",\"verb\":\"list\"}", 51) && memmem(b.at, b.len, "\"group\":[\"a\"", 12));
}
