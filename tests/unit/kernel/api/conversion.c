/* What a conversion webhook may answer, and what is said of all else. */
#include <criterion/criterion.h>

#include "api/conversion.h"

#define OBJECT(version, meta) "{\"kind\":\"CronTab\",\"apiVersion\":\"stable.example.com/" version "\",\"metadata\":{" meta "}}"
#define ID "\"name\":\"one\",\"namespace\":\"demo\",\"uid\":\"u1\""
#define ANSWER(objects) "{\"kind\":\"ConversionReview\",\"apiVersion\":\"apiextensions.k8s.io/v1\",\"response\":{\"uid\":\"q\"," \
                        "\"result\":{\"status\":\"Success\"},\"convertedObjects\":[" objects "]}}"
#define FROM "conversion webhook for stable.example.com/v1, Kind=CronTab "

static const struct str asked_for[] = { STR(OBJECT("v1", ID ",\"labels\":{\"a\":\"b\"}")), STR(OBJECT("v1", "\"name\":\"two\"")) };

struct row {
    unsigned n;
    const char *review, *body, *want;
};

static const struct row rows[] = {
    { 1, "v1", ANSWER(OBJECT("v2", ID)), NULL },
    { 2, "v1", ANSWER(OBJECT("v2", ID) "," OBJECT("v2", "\"name\":\"two\"")), NULL },
    { 1, "v1beta1", "{\"kind\":\"x\",\"apiVersion\":\"y\",\"response\":{\"result\":{\"status\":\"Success\"},\"convertedObjects\":[" OBJECT("v2", ID) "]}}", NULL },
    { 1, "v1", ANSWER(OBJECT("v2", ID ",\"labels\":null,\"annotations\":{\"a/b\":\"c\"}")), NULL },
    { 1, "v1", ANSWER(""), FROM "returned 0 objects, expected 1" },
    { 2, "v1", ANSWER(OBJECT("v2", ID)), FROM "returned 1 objects, expected 2" },
    { 1, "v1", "<", FROM "failed: couldn't get version/kind; json parse error: invalid character '<' looking for beginning of value (byte 0)" },
    { 1, "v1", "{\"kind\":\"ConversionReview\",\"apiVersion\":\"apiextensions.k8s.io/v1\"}", FROM "failed: no response provided" },
    { 1, "v1", "{\"kind\":\"ConversionReview\",\"apiVersion\":\"apiextensions.k8s.io/v1\",\"response\":{\"uid\":\"p\"}}",
      FROM "failed: expected response.uid=\"q\", got \"p\"" },
    { 1, "v1", "{\"kind\":\"ConversionReview\",\"apiVersion\":\"apiextensions.k8s.io/v1\",\"response\":{\"uid\":\"q\"}}",
      FROM "failed: response.result.status was '', not 'Success'" },
    { 1, "v1", "{\"kind\":\"ConversionReview\",\"apiVersion\":\"apiextensions.k8s.io/v1beta1\",\"response\":{\"uid\":\"q\"}}",
      FROM "failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got apiextensions.k8s.io/v1beta1, Kind=ConversionReview" },
    { 1, "v1", ANSWER(OBJECT("v1", ID)), FROM "returned invalid object at index 0: invalid groupVersion (expected stable.example.com/v2, received stable.example.com/v1)" },
    { 2, "v1", ANSWER(OBJECT("v2", ID) "," OBJECT("v1", "\"name\":\"two\"")),
      FROM "returned invalid converted object at index 2: invalid groupVersion (expected stable.example.com/v2, received stable.example.com/v1)" },
    { 1, "v1", ANSWER(OBJECT("v2", "\"name\":\"two\"")), FROM "returned invalid object: must have the same name: one != two" },
    { 2, "v1", ANSWER(OBJECT("v2", "\"name\":\"two\"") "," OBJECT("v2", ID)), FROM "returned invalid converted object at index 1: must have the same name: one != two" },
    { 1, "v1", ANSWER(OBJECT("v2", ID ",\"labels\":[]")), FROM "returned invalid metadata: invalid metadata.labels of type []interface {} in converted object" },
    { 1, "v1", ANSWER(OBJECT("v2", ID ",\"annotations\":{\"x\":true}")),
      FROM "returned invalid metadata: metadata.annotations[x] must be a string, but is bool in converted object" },
    { 2, "v1", ANSWER(OBJECT("v2", ID ",\"labels\":5") "," OBJECT("v2", "\"name\":\"two\"")),
      FROM "returned invalid metadata in object at index 1: invalid metadata.labels of type int64 in converted object" },
};

Test(conversion, answers)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct str texts[2];
        struct conversion_asked asked = { rows[i].review, "q", "stable.example.com/v2", asked_for, rows[i].n, NULL };
        const char *why = conversion_read(a, &asked, str_of(rows[i].body), texts);
        cr_assert_eq(why != NULL, rows[i].want != NULL, "row %zu: %s", i, why ? why : "taken");
        if (why)
            cr_expect_str_eq(why, rows[i].want, "row %zu: %s", i, why);
        for (unsigned k = 0; !why && k < asked.n; k++)
            cr_expect(str_is(json_str(json_parse(a, texts[k], NULL), "apiVersion"), "stable.example.com/v2"), "row %zu", i);
    }
}

Test(conversion, a_label_that_is_none_is_told_as_validation_tells_it)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct str text;
    struct conversion_asked asked = { "v1", "q", "stable.example.com/v2", asked_for, 1, NULL };
    const char *why = conversion_read(a, &asked, STR(ANSWER(OBJECT("v2", ID ",\"labels\":{\"a b\":\"c\"}"))), &text);
    cr_assert(why && strstr(why, FROM "returned invalid metadata: metadata.labels: Invalid value: \"a b\": "), "%s", why ? why : "taken");
    /* What was there before is not judged: the object could not be read any more. */
    struct str odd[] = { STR(OBJECT("v1", ID ",\"labels\":{\"a b\":\"c\"}")) };
    asked.objects = odd;
    cr_expect_null(conversion_read(a, &asked, STR(ANSWER(OBJECT("v2", ID ",\"labels\":{\"a b\":\"c\"}"))), &text));
}

Test(conversion, the_question_holds_what_was_asked)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct conversion_asked asked = { "v1beta1", "q", "stable.example.com/v2", asked_for, 2, NULL };
    conversion_write(&b, &asked);
    struct val *v = json_parse(a, buf_str(&b), NULL), *list = json_path(v, "request.objects");
    cr_assert(str_is(json_str(v, "apiVersion"), "apiextensions.k8s.io/v1beta1") && str_is(json_str(v, "request.uid"), "q") &&
              str_is(json_str(v, "request.desiredAPIVersion"), "stable.example.com/v2"));
    cr_assert(val_is(list, VAL_ARR) && list->n == 2 && str_is(json_str(list->last, "metadata.name"), "two"));
}
