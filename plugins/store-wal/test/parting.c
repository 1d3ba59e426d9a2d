/* parting.c - an instance that goes on where another one stopped reads nothing; everything that does not fit is read as always. */
#include "harness.h"

static void begin(struct rig *r)
{
    rig_begin(r, 3);
    cr_assert_eq(rig_open(r), 0, "%s", r->call.err.msg);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(rig_append(r, 3), 0, "%s", r->call.err.msg);
    cr_assert_eq(rig_checkpoint(r), 0);
    cr_assert_eq(rig_append(r, 2), 0);
}

/* rig_open for a caller who knows the objects. */
static bool go_on(struct rig *r)
{
    arena_reset(r->arena);
    kl_err_init(&r->call.err);
    r->call.flags = KL_CALL_CONTINUES;
    cr_assert_eq(r->t->life.open(NULL, &r->conf, &r->self, &r->call), 0, "%s", r->call.err.msg);
    r->call.flags = 0;
    return ((struct wal *)r->self)->unread;
}

Test(parting, nothing_is_read_and_nothing_lost)
{
    struct rig r;
    begin(&r);
    for (int round = 0; round < 4; round++) {
        rig_close(&r);
        cr_assert(go_on(&r));
        cr_assert_eq(r.t->revision(r.self), r.revision);
        cr_assert_eq(rig_append(&r, 3), 0, "%s", r.call.err.msg);
        if (round == 2)
            cr_assert_eq(rig_checkpoint(&r), 0);
    }
    rig_close(&r);
    cr_assert_eq(rig_open(&r), 0, "%s", r.call.err.msg);
    cr_assert_eq(rig_state(&r, (int)r.revision), (int)r.revision);
    rig_close(&r);
    char report[4096];
    cr_assert_eq(rig_examine(&r, false, report, sizeof report), 0, "%s", report);
    rig_end(&r);
}

/* The caller does not know them after all: range reads. */
Test(parting, range_reads)
{
    struct rig r;
    begin(&r);
    rig_close(&r);
    cr_assert(go_on(&r));
    cr_assert_eq(rig_state(&r, (int)r.revision), (int)r.revision);
    cr_assert_eq(rig_append(&r, 3), 0);
    rig_close(&r);
    cr_assert_eq(rig_open(&r), 0);
    cr_assert_eq(rig_state(&r, (int)r.revision), (int)r.revision);
    rig_end(&r);
}

/* It holds once, for the files as they were. */
Test(parting, others_have_written)
{
    struct rig r;
    begin(&r);
    rig_close(&r);
    cr_assert_eq(rig_open(&r), 0);      /* an ordinary start uses the note up */
    cr_assert_eq(rig_append(&r, 1), 0);
    disk_crash(r.disk);                 /* so that the end leaves no note of its own */
    rig_close(&r);
    disk_restart(r.disk);
    cr_assert(!go_on(&r));
    cr_assert_eq(rig_state(&r, (int)r.revision), (int)r.revision);
    rig_end(&r);
}
