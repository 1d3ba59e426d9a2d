/* What is asked, and what answers mean. */
#include <criterion/criterion.h>

#include "webhook.h"

Test(exchange, the_question)
{
    static const char *const groups[] = { "g1", "g2", NULL }, *const extra[] = { "k", "1", "l", "2", "k", "3", NULL };
    struct kl_user user = { .size = sizeof user, .name = "u", .uid = "7", .groups = groups, .extra = extra };
    struct kl_request r = { .size = sizeof r, .verb = "update", .group = "apps", .version = "v1", .resource = "deployments", .subresource = "scale",
                            .ns = "n", .name = "d" };
    struct kl_admission_review review = { .size = sizeof review, .request = &r, .user = &user, .kind = "Scale", .kind_group = "autoscaling",
                                          .kind_version = "v1", .object = { "{\"a\":1}", 7 }, .options = { "{}", 2 } };
    struct subject s = { .r = &r, .review = &review, .operation = "UPDATE", .ns = "n" };
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    exchange_write(&b, "id", &s, true);
    cr_expect_str_eq(b.at,
                     "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{\"uid\":\"id\","
                     "\"kind\":{\"group\":\"autoscaling\",\"version\":\"v1\",\"kind\":\"Scale\"},"
                     "\"resource\":{\"group\":\"apps\",\"version\":\"v1\",\"resource\":\"deployments\"},\"subResource\":\"scale\","
                     "\"requestKind\":{\"group\":\"autoscaling\",\"version\":\"v1\",\"kind\":\"Scale\"},"
                     "\"requestResource\":{\"group\":\"apps\",\"version\":\"v1\",\"resource\":\"deployments\"},\"requestSubResource\":\"scale\","
                     "\"name\":\"d\",\"namespace\":\"n\",\"operation\":\"UPDATE\","
                     "\"userInfo\":{\"username\":\"u\",\"uid\":\"7\",\"groups\":[\"g1\",\"g2\"],\"extra\":{\"k\":[\"1\",\"3\"],\"l\":[\"2\"]}},"
                     "\"object\":{\"a\":1},\"oldObject\":null,\"dryRun\":true,\"options\":{}}}\n");
}

#define INVALID "received invalid webhook response: "
#define ANSWER(response) "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":" response "}"

Test(exchange, answers_that_are_none)
{
    static const struct {
        const char *text, *why;
        bool mutating;
    } rows[] = {
        { "", "failed to call webhook: 0-length response with status code: 200 and content type: application/json", false },
        { "{}", INVALID "webhook response was absent", false },
        { "[]", "failed to call webhook: couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct "
                "{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }", false },
        { "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"TokenReview\"}",
          "failed to call webhook: no kind \"TokenReview\" is registered for version \"admission.k8s.io/v1\" in scheme \"pkg/runtime/scheme.go:111\"", false },
        { ANSWER("{\"uid\":\"id\",\"allowed\":\"yes\"}"),
          "failed to call webhook: json: cannot unmarshal string into Go struct field AdmissionResponse.response.allowed of type bool", false },
        { ANSWER("{\"uid\":\"id\",\"warnings\":[\"a\",1]}"),
          "failed to call webhook: json: cannot unmarshal number into Go struct field AdmissionResponse.response.warnings of type string", false },
        { ANSWER("{\"uid\":\"id\",\"status\":{\"code\":\"four\"}}"),
          "failed to call webhook: json: cannot unmarshal string into Go struct field Status.response.status.code of type int32", false },
        { ANSWER("{\"uid\":\"x\"}"), INVALID "expected response.uid=\"id\", got \"x\"", false },
        { "{\"apiVersion\":\"admission.k8s.io/v1beta1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":\"id\"}}",
          "failed to call webhook: converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion", false },
        { ANSWER("{\"uid\":\"id\",\"allowed\":true,\"patch\":\"W10=\"}"), INVALID "webhook returned response.patch but not response.patchType", true },
        { ANSWER("{\"uid\":\"id\",\"allowed\":true,\"patchType\":\"JSONPatch\"}"), INVALID "webhook returned response.patchType but not response.patch", true },
        { ANSWER("{\"uid\":\"id\",\"allowed\":true,\"patch\":\"W10=\",\"patchType\":\"X\"}"), INVALID "unsupported patch type \"X\"", true },
        { ANSWER("{\"uid\":\"id\",\"allowed\":true,\"patch\":\"W10=\",\"patchType\":\"JSONPatch\"}"), INVALID "validating webhook may not return response.patch", false },
        { ANSWER("{\"uid\":\"id\",\"allowed\":true,\"patch\":\"!\",\"patchType\":\"JSONPatch\"}"), "failed to call webhook: illegal base64 data at input byte 0", true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct answer got;
        const char *why = exchange_read(a, str_of(rows[i].text), "id", rows[i].mutating, &got);
        cr_expect(why && strcmp(why, rows[i].why) == 0, "row %zu: %s", i, why ? why : "taken");
    }
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct answer got;
    cr_expect(exchange_read(a, STR("<html>"), "id", false, &got));
}

Test(exchange, patches_are_decoded)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct answer got;
    cr_assert(!exchange_read(a, STR(ANSWER("{\"uid\":\"id\",\"allowed\":true,\"patch\":\"W3sib3AiOiI/In1d\",\"patchType\":\"JSONPatch\"}")), "id", true, &got));
    cr_expect(got.allowed && str_is(got.patch, "[{\"op\":\"?\"}]"), STR_FMT, STR_ARG(got.patch));
}

Test(exchange, refusals_as_upstream_words_them)
{
    static const struct {
        const char *given, *message;
        int64_t code;
    } rows[] = {
        { "{\"message\":\"no\",\"code\":403,\"reason\":\"Forbidden\"}", "admission webhook \"h\" denied the request: no", 403 },
        { "{\"reason\":\"Because\"}", "admission webhook \"h\" denied the request: Because", 400 },
        { "{\"code\":200,\"status\":\"Success\"}", "admission webhook \"h\" denied the request without explanation", 400 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct val *v = exchange_status(a, json_parse(a, str_of(rows[i].given), NULL), STR("h"));
        cr_expect(str_is(json_str(v, "message"), rows[i].message), STR_FMT, STR_ARG(json_str(v, "message")));
        cr_expect_eq(json_int(v, "code", 0), rows[i].code);
        cr_expect(str_is(json_str(v, "status"), "Failure"));
    }
}
