/* limits.c - buckets, what is forgotten, settings that are wrong, keys of events. */
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "limits.h"

static int read_text(struct arena *a, const char *text, struct limit **at, unsigned *n, struct kl_err *err)
{
    kl_err_init(err);
    return limits_read(a, json_parse(a, str_of(text), NULL), at, n, err);
}

Test(limits, a_bucket_empties_and_fills)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct limit *l;
    unsigned n;
    struct kl_err err;
    cr_assert_eq(read_text(a, "[{\"type\":\"User\",\"qps\":2,\"burst\":3}]", &l, &n, &err), 0, "%s", err.msg);
    int64_t now = 1000000000;
    for (int i = 0; i < 3; i++)
        cr_expect(limit_take(l, STR("u"), now));
    cr_expect(!limit_take(l, STR("u"), now));
    cr_expect(limit_take(l, STR("v"), now), "another's bucket");
    cr_expect(!limit_take(l, STR("u"), now + 400000000));
    cr_expect(limit_take(l, STR("u"), now + 500000000), "half a second is one token");
    cr_expect(!limit_take(l, STR("u"), now + 500000000));
    now += 60000000000;
    for (int i = 0; i < 3; i++)
        cr_expect(limit_take(l, STR("u"), now));
    cr_expect(!limit_take(l, STR("u"), now), "no more than burst");
    limits_free(l, n);
}

Test(limits, the_longest_unused_is_forgotten)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct limit *l;
    unsigned n;
    struct kl_err err;
    cr_assert_eq(read_text(a, "[{\"type\":\"Namespace\",\"qps\":1,\"burst\":1,\"cache_size\":2}]", &l, &n, &err), 0, "%s", err.msg);
    cr_expect(limit_take(l, STR("a"), 0) && limit_take(l, STR("b"), 0));
    cr_expect(!limit_take(l, STR("a"), 0), "a is used last");
    cr_expect(limit_take(l, STR("c"), 0), "b goes");
    cr_expect(!limit_take(l, STR("a"), 0) && limit_take(l, STR("b"), 0));
    cr_expect_eq(l->n, 2);
    limits_free(l, n);
}

Test(limits, settings_that_are_wrong)
{
    static const char *const rows[][2] = {
        { "[]", "limits: at least one is needed" },
        { "[{\"type\":\"Pod\",\"qps\":1,\"burst\":1}]", "limits[0].type: unsupported value \"Pod\": Server, Namespace, User or SourceAndObject" },
        { "[{\"type\":\"User\",\"burst\":1}]", "limits[0].qps: must be a positive number" },
        { "[{\"type\":\"User\",\"qps\":1,\"burst\":0}]", "limits[0].burst: must be a positive number" },
        { "[{\"type\":\"User\",\"qps\":1,\"burst\":1,\"cache_size\":-1}]", "limits[0].cache_size: must be a positive number" },
        { "[{\"type\":\"User\",\"qps\":1,\"burst\":1,\"cacheSize\":1}]", "limits[0]: unknown setting 'cacheSize'" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct limit *l;
        unsigned n;
        struct kl_err err;
        cr_expect_eq(read_text(a, rows[i][0], &l, &n, &err), -KL_INVALID);
        cr_expect_str_eq(err.msg, rows[i][1]);
    }
}

Test(limits, keys_of_events)
{
    static const char *const rows[][2] = {
        { "{\"source\":{\"component\":\"c\",\"host\":\"h\"},\"involvedObject\":{\"kind\":\"Pod\",\"namespace\":\"n\",\"name\":\"p\",\"uid\":\"u\",\"apiVersion\":\"v1\"}}", "chPodnpuv1" },
        { "{\"involvedObject\":{\"kind\":\"Pod\",\"name\":\"p\"},\"reportingComponent\":\"c\"}", "Podp" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct str key = limit_event_key(a, json_parse(a, str_of(rows[i][0]), NULL));
        cr_expect(str_is(key, rows[i][1]), "%.*s", (int)key.len, key.at);
    }
}
