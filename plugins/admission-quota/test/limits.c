/* limits.c - LimitRanger: defaults, and what it holds pods and claims to. */
#include <criterion/criterion.h>

#include "fake.h"
#include "quota.h"

static struct fake *f;
static void *self;
static struct kl_admission_verdict verdict;

static void begin(void)
{
    f = mem_alloc(sizeof *f);
    fake_init(f);
    cr_assert_eq(limits_admission.life.open(&f->host, NULL, &self, &f->call), 0);
}

static void end(void)
{
    limits_admission.life.close(self);
    fake_done(f);
    mem_free(f);
}

TestSuite(limits, .init = begin, .fini = end);

static int ask(const char *resource, const char *object, bool validating)
{
    f->call.flags = validating ? KL_CALL_VALIDATING : 0;
    return fake_review(f, &limits_admission, self, &(struct fake_ask){ .resource = resource, .object = object }, &verdict);
}

static void put(const char *name, const char *item)
{
    fake_put(f, "/limitranges", arena_printf(f->arena, "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{\"limits\":[%s]}}", name, item));
}

#define POD(resources) "{\"metadata\":{\"annotations\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{" resources "}}]}}"

Test(limits, defaults)
{
    cr_assert_eq(ask("/pods", POD(""), false), 0);
    cr_assert_eq(verdict.patch.len, 0, "no LimitRange");
    put("l", "{\"type\":\"Container\",\"default\":{\"cpu\":\"1\",\"memory\":\"1Gi\"},\"defaultRequest\":{\"cpu\":\"100m\"}}");
    cr_assert_eq(ask("/pods", POD("\"limits\":{\"cpu\":\"2\"}"), false), 0);
    cr_assert_str_eq(verdict.patch.at, "[{\"op\":\"add\",\"path\":\"/spec/containers/0/resources\",\"value\":{\"limits\":{\"cpu\":\"2\",\"memory\":\"1Gi\"},\"requests\":{\"cpu\":\"100m\"}}},"
                                       "{\"op\":\"add\",\"path\":\"/metadata/annotations\",\"value\":{\"a\":\"b\",\"kubernetes.io/limit-ranger\":\"LimitRanger plugin set: cpu request for container c; memory limit for container c\"}}]");
    cr_assert_eq(ask("/pods", POD("\"limits\":{\"cpu\":\"2\",\"memory\":\"1\"},\"requests\":{\"cpu\":\"1\"}"), false), 0);
    cr_assert_eq(verdict.patch.len, 0, "it says it all itself");
}

Test(limits, words)
{
    static const struct {
        const char *item, *resource, *object, *want;
    } rows[] = {
        { "{\"type\":\"Container\",\"max\":{\"cpu\":\"1\"}}", "/pods", POD("\"limits\":{\"cpu\":\"2\"}"), "maximum cpu usage per Container is 1, but limit is 2" },
        { "{\"type\":\"Container\",\"max\":{\"cpu\":\"1\"}}", "/pods", POD(""), "maximum cpu usage per Container is 1.  No limit is specified" },
        { "{\"type\":\"Container\",\"max\":{\"cpu\":\"1\"}}", "/pods", POD("\"limits\":{\"cpu\":\"1\"}"), NULL },
        { "{\"type\":\"Container\",\"min\":{\"memory\":\"10Mi\"}}", "/pods", POD("\"requests\":{\"memory\":\"1Mi\"}"), "minimum memory usage per Container is 10Mi, but request is 1Mi" },
        { "{\"type\":\"Container\",\"min\":{\"memory\":\"10Mi\"}}", "/pods", POD(""), "minimum memory usage per Container is 10Mi.  No request is specified" },
        { "{\"type\":\"Container\",\"maxLimitRequestRatio\":{\"cpu\":\"2\"}}", "/pods", POD("\"limits\":{\"cpu\":\"3\"},\"requests\":{\"cpu\":\"1\"}"), "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000" },
        { "{\"type\":\"Container\",\"maxLimitRequestRatio\":{\"cpu\":\"2\"}}", "/pods", POD("\"limits\":{\"cpu\":\"3\"}"), "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0" },
        { "{\"type\":\"Container\",\"max\":{\"cpu\":\"1\"},\"min\":{\"memory\":\"2\"}}", "/pods", POD("\"limits\":{\"cpu\":\"2\"},\"requests\":{\"memory\":\"1\"}"),
          "[minimum memory usage per Container is 2, but request is 1, maximum cpu usage per Container is 1, but limit is 2]" },
        { "{\"type\":\"Pod\",\"max\":{\"cpu\":\"3\"}}", "/pods", "{\"spec\":{\"containers\":[{\"name\":\"a\",\"resources\":{\"limits\":{\"cpu\":\"2\"}}},{\"name\":\"b\",\"resources\":{\"limits\":{\"cpu\":\"2\"}}}]}}",
          "maximum cpu usage per Pod is 3, but limit is 4" },
        { "{\"type\":\"PersistentVolumeClaim\",\"max\":{\"storage\":\"1Gi\"}}", "/persistentvolumeclaims", "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"2Gi\"}}}}",
          "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi" },
        { "{\"type\":\"PersistentVolumeClaim\",\"min\":{\"storage\":\"1Gi\"}}", "/persistentvolumeclaims", "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"2Gi\"}}}}", NULL },
        { "{\"type\":\"Container\",\"max\":{\"cpu\":\"1\"}}", "/persistentvolumeclaims", "{\"spec\":{}}", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        f->n = 0;
        put("l", rows[i].item);
        int rc = ask(rows[i].resource, rows[i].object, true);
        cr_expect_eq(rc, rows[i].want ? -KL_FORBIDDEN : 0, "row %zu: %d", i, rc);
        if (rows[i].want && rc < 0)
            cr_expect_str_eq(verdict.refusal, rows[i].want, "row %zu: %s", i, verdict.refusal);
    }
}

Test(limits, updates)
{
    put("l", "{\"type\":\"Container\",\"max\":{\"cpu\":\"1\"}}");
    f->call.flags = KL_CALL_VALIDATING;
    cr_assert_eq(fake_review(f, &limits_admission, self, &(struct fake_ask){ .verb = "update", .resource = "/pods", .object = POD(""), .old_object = POD("") }, NULL), 0, "nothing of it can change");
    cr_assert_eq(fake_review(f, &limits_admission, self, &(struct fake_ask){ .verb = "update", .subresource = "resize", .resource = "/pods", .object = POD("\"limits\":{\"cpu\":\"2\"}"), .old_object = POD("") }, NULL), -KL_FORBIDDEN);
}
