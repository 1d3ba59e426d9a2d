/* CronJobs against a host in memory: Jobs that somebody else made of them, and schedules that never come. */
#include <criterion/criterion.h>

#include "fake.h"
#include "workloads.h"

FAKE_SUITE(cronjob);

static void cronjob(const char *schedule)
{
    char when[CLOCK_TEXT];
    clock_format(f->now_ns - 90 * NS_S, when);
    fake_put(f, "batch/cronjobs", arena_printf(f->arena, "{\"apiVersion\":\"batch/v1\",\"kind\":\"CronJob\",\"metadata\":{\"name\":\"c\",\"namespace\":\"d\",\"creationTimestamp\":\"%s\"},"
                                                "\"spec\":{\"schedule\":\"%s\",\"concurrencyPolicy\":\"Forbid\",\"jobTemplate\":{\"spec\":{}}}}", when, schedule));
}

static void job(const char *name, const char *notes)
{
    fake_put(f, "batch/jobs", arena_printf(f->arena, "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"d\",\"annotations\":{%s},\"ownerReferences\":[{\"kind\":\"CronJob\","
                                            "\"name\":\"c\",\"uid\":\"uid-0\",\"controller\":true}]}}", name, notes));
}

static uint32_t active(void)
{
    struct val *list = json_path(fake_get(f, "batch/cronjobs", "d", "c"), "status.active");
    return val_is(list, VAL_ARR) ? list->n : 0;
}

Test(cronjob, a_job_that_somebody_made_of_it_stands_in_nobodys_way)
{
    cronjob("* * * * *");
    job("by-hand", "\"cronjob.kubernetes.io/instantiate\":\"manual\"");
    cr_assert_eq(fake_reconcile(f, &cronjob_controller, "d/c", NULL), 0, "%s", f->call.err.msg);
    cr_expect_eq(active(), 1, "its own, begun in spite of the other");
    cr_expect_eq(fake_count(f, "batch/jobs"), 2);
    cr_expect_eq(f->events, 2, "one is unexpected, one is made");
}

Test(cronjob, a_job_that_was_begun_and_not_noted_is_its_own)
{
    cronjob("* * * * *");
    job("c-1", "\"batch.kubernetes.io/cronjob-scheduled-timestamp\":\"2026-01-01T00:00:00Z\"");
    cr_assert_eq(fake_reconcile(f, &cronjob_controller, "d/c", NULL), 0, "%s", f->call.err.msg);
    cr_expect_eq(active(), 1);
    cr_expect_eq(fake_count(f, "batch/jobs"), 1, "Forbid");
}

Test(cronjob, a_schedule_that_never_comes_is_told)
{
    cronjob("0 0 31 2 *");
    cr_assert_eq(fake_reconcile(f, &cronjob_controller, "d/c", NULL), 0);
    cr_expect_str_eq(f->last_event, "InvalidSchedule: invalid schedule: 0 0 31 2 * : time difference between two schedules is less than 1 second");
}

Test(cronjob, a_job_says_when_it_was_due_in_the_zone_of_the_schedule)
{
    cronjob("* * * * *");
    json_set_str(f->arena, json_get(fake_get(f, "batch/cronjobs", "d", "c"), STR("spec")), STR("timeZone"), STR("Asia/Kolkata"));
    cr_assert_eq(fake_reconcile(f, &cronjob_controller, "d/c", NULL), 0, "%s", f->call.err.msg);
    struct val *made = NULL;
    for (uint32_t i = 0; i < f->n; i++)
        made = strcmp(f->at[i].resource, "batch/jobs") == 0 ? f->at[i].v : made;
    struct str when = meta_annotation(made, "batch.kubernetes.io/cronjob-scheduled-timestamp");
    cr_assert_eq(when.len, 25);
    cr_expect(str_is(str_n(when.at + 19, 6), "+05:30"), STR_FMT, STR_ARG(when));
}
