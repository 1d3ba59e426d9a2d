/* Schedules and time zones. */
#include <criterion/criterion.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cron.h"

static struct arena *a;

static void setup(void)
{
    a = arena_new(0);
}

static void teardown(void)
{
    a = arena_free(a);
}

TestSuite(cron, .init = setup, .fini = teardown);

static void next(const char *schedule, const char *zone, const char *after, const char *want)
{
    struct cron c;
    const char *why;
    int64_t at;
    char text[CLOCK_TEXT] = "never";
    struct zone *z = zone ? zone_read(a, str_of(zone)) : NULL;
    cr_assert(!zone || z, "no zone %s", zone);
    cr_assert(cron_parse(str_of(schedule), &c, &why), "%s: %s", schedule, why);
    cr_assert(clock_parse(str_of(after), &at));
    int64_t t = cron_next(&c, z, at / 1000000000);
    if (t)
        clock_format(t * 1000000000, text);
    cr_expect_str_eq(text, want, "%s after %s: %s, wanted %s", schedule, after, text, want);
}

Test(cron, times)
{
    next("* * * * *", NULL, "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z");
    next("*/15 * * * *", NULL, "2026-01-01T00:16:30Z", "2026-01-01T00:30:00Z");
    next("0 3 * * *", NULL, "2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z");
    next("30 4 1,15 * *", NULL, "2026-01-02T00:00:00Z", "2026-01-15T04:30:00Z");
    next("0 0 * * MON-FRI", NULL, "2026-01-02T12:00:00Z", "2026-01-05T00:00:00Z");
    next("0 0 13 * 5", NULL, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");   /* either day */
    next("0 0 * * 7", NULL, "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z");
    next("0 0 29 feb *", NULL, "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z");
    next("0 0 31 2 *", NULL, "2026-01-01T00:00:00Z", "never");
    next("@hourly", NULL, "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z");
    next("5-10/2 * * * *", NULL, "2026-01-01T00:07:00Z", "2026-01-01T00:09:00Z");
    next("@every 1m30s", NULL, "2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z");
}

Test(cron, zones)
{
    if (!zone_read(a, STR("Europe/Berlin")))
        cr_skip_test("no time zone tables here");
    next("0 3 * * *", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z");
    next("0 3 * * *", "Europe/Berlin", "2026-07-01T00:00:00Z", "2026-07-01T01:00:00Z");
    next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z");        /* left out that night */
    next("0 12 * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T12:00:00Z");
}

Test(cron, refusals)
{
    static const char *const bad[] = { "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-1 * * * *",
                                       "*/0 * * * *", "x * * * *", "1, * * * *", "@often", "@every x" };
    struct cron c;
    const char *why;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(cron_parse(str_of(bad[i]), &c, &why), "'%s' was taken", bad[i]);
    cr_expect_null(zone_read(a, STR("../etc/passwd")));
    cr_expect_null(zone_read(a, STR("Nowhere/At-All")));
}
