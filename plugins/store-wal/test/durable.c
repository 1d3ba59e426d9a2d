/* durable.c - what was acknowledged lasts, whatever happens to the disk; what was not never shows half. */
#include "harness.h"

#define LARGE 100                       /* times the usual length: batches that go past the page cache in part */

static uint64_t dice;

static unsigned roll(unsigned n)
{
    dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(dice >> 33) % n;
}

/* Opens, and checks that the state is one between the last acknowledged commit and the last that was given in. */
static void check_state(struct rig *r, unsigned acknowledged, const char *what, uint64_t seed)
{
    cr_assert_eq(rig_open(r), 0, "%s, seed %llu: %s", what, (unsigned long long)seed, r->call.err.msg);
    uint64_t revision = r->t->revision(r->self);
    int state = rig_state(r, (int)acknowledged);
    cr_assert_geq(state, 0, "%s, seed %llu: after revision %u was acknowledged the store holds no state of that time or later", what,
                  (unsigned long long)seed, acknowledged);
    cr_assert_geq(revision, acknowledged, "%s, seed %llu: the revision went back to %llu", what, (unsigned long long)seed,
                  (unsigned long long)revision);
    cr_assert_leq(revision, r->revision);
}

/* What lasts now is what there is: commits that were lost count no more. */
static void go_on(struct rig *r)
{
    unsigned revision = (unsigned)r->t->revision(r->self);
    for (unsigned i = revision + 1; i <= r->revision; i++)
        memcpy(r->model.at[i], r->model.at[revision], sizeof r->model.at[i]);
}

Test(durable, comes_back)
{
    struct rig r;
    rig_begin(&r, 1);
    cr_assert_eq(rig_open(&r), 0, "%s", r.call.err.msg);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(rig_append(&r, 1 + (unsigned)i % 5), 0, "%s", r.call.err.msg);
    rig_close(&r);
    check_state(&r, r.revision, "clean end", 0);
    cr_assert_eq(r.t->revision(r.self), r.revision);
    rig_end(&r);
}

/* Whole blocks of large batches take the direct way, small ones before, between and behind them the ordinary one. */
Test(durable, large_batches_go_direct)
{
    struct rig r;
    rig_begin(&r, 1);
    cr_assert_eq(rig_open(&r), 0, "%s", r.call.err.msg);
    for (unsigned i = 0; i < 24; i++) {
        r.padding = i % 3 ? LARGE : 0;
        unsigned before = disk_direct_writes(r.disk);
        cr_assert_eq(rig_append(&r, 6), 0, "%s", r.call.err.msg);
        cr_assert_eq(disk_direct_writes(r.disk) - before, i % 3 != 0, "batch %u", i);
    }
    rig_close(&r);
    check_state(&r, r.revision, "clean end", 0);
    rig_end(&r);
}

Test(durable, one_process_only)
{
    struct rig r, other;
    rig_begin(&r, 1);
    cr_assert_eq(rig_open(&r), 0);
    other = r;
    cr_assert_eq(rig_open(&other), -KL_UNAVAILABLE);
    cr_assert(strstr(other.call.err.msg, "in use"));
    rig_end(&r);
}

/* Power failures at every call that changes the disk, under appends and checkpoints. */
static void run_until_crash(uint64_t seed, unsigned crash_at, bool *ret_crashed)
{
    struct rig r;
    unsigned acknowledged = 0;
    dice = seed;
    rig_begin(&r, seed);
    r.padding = seed % 5 ? 0 : LARGE;
    disk_crash_at(r.disk, crash_at);
    if (rig_open(&r) == 0)
        for (int i = 0; i < 12 && !disk_is_down(r.disk); i++) {
            if (rig_append(&r, 1 + roll(4)) == 0)
                acknowledged = r.revision;
            if (i % 4 == 3)
                rig_checkpoint(&r);
        }
    *ret_crashed = disk_is_down(r.disk);
    rig_close(&r);
    disk_restart(r.disk);
    check_state(&r, acknowledged, "power failure", seed * 1000 + crash_at);
    go_on(&r);
    cr_assert_eq(rig_append(&r, 3), 0, "%s", r.call.err.msg);
    acknowledged = r.revision;
    disk_crash(r.disk);
    rig_close(&r);
    disk_restart(r.disk);
    check_state(&r, acknowledged, "second power failure", seed * 1000 + crash_at);
    rig_end(&r);
}

Test(durable, power_failures)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        bool crashed = true;
        for (unsigned at = 1; crashed; at++)
            run_until_crash(seed, at, &crashed);
    }
}

/* A crash while starting after a crash. */
Test(durable, power_failures_at_start)
{
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct rig r;
        unsigned acknowledged = 0;
        dice = seed;
        rig_begin(&r, seed);
        r.padding = seed % 50 ? 0 : LARGE;
        for (int life = 0; life < 6; life++) {
            disk_crash_at(r.disk, 1 + roll(40));
            if (rig_open(&r) == 0) {
                cr_assert_geq(r.t->revision(r.self), acknowledged);
                cr_assert_geq(rig_state(&r, (int)acknowledged), 0, "seed %llu, life %d: revision %llu, %u acknowledged", (unsigned long long)seed,
                              life, (unsigned long long)r.t->revision(r.self), acknowledged);
                go_on(&r);
                while (!disk_is_down(r.disk)) {
                    if (rig_append(&r, 1 + roll(3)) == 0)
                        acknowledged = r.revision;
                    if (roll(8) == 0)
                        rig_checkpoint(&r);
                }
            } else {
                cr_assert(disk_is_down(r.disk), "seed %llu: %s", (unsigned long long)seed, r.call.err.msg);
            }
            rig_close(&r);
            disk_restart(r.disk);
        }
        check_state(&r, acknowledged, "many lives", seed);
        rig_end(&r);
    }
}

Test(durable, failed_syncs)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct rig r;
        unsigned acknowledged = 0;
        dice = seed;
        rig_begin(&r, seed);
        r.padding = seed % 5 ? 0 : LARGE;
        cr_assert_eq(rig_open(&r), 0);
        for (int i = 0; i < 40; i++) {
            if (roll(5) == 0)
                disk_fail_syncs(r.disk, 1 + roll(3));
            if (rig_append(&r, 1 + roll(3)) == 0)
                acknowledged = r.revision;
            if (roll(12) == 0)
                rig_checkpoint(&r);
        }
        disk_fail_syncs(r.disk, 0);
        cr_assert_eq(rig_append(&r, 1), 0, "a log that failed does not heal: %s", r.call.err.msg);
        acknowledged = r.revision;
        disk_crash(r.disk);
        rig_close(&r);
        disk_restart(r.disk);
        check_state(&r, acknowledged, "failed syncs", seed);
        rig_end(&r);
    }
}

Test(durable, one_failed_sync_is_not_seen)
{
    struct rig r;
    rig_begin(&r, 3);
    cr_assert_eq(rig_open(&r), 0);
    cr_assert_eq(rig_append(&r, 2), 0);
    disk_fail_syncs(r.disk, 1);
    cr_assert_eq(rig_append(&r, 2), 0, "%s", r.call.err.msg);
    rig_end(&r);
}

Test(durable, each_batch_is_synced)
{
    struct rig r;
    rig_begin(&r, 3);
    cr_assert_eq(rig_open(&r), 0);
    unsigned before = disk_syncs(r.disk);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(rig_append(&r, 5), 0);
    cr_assert_eq(disk_syncs(r.disk), before + 10);
    rig_end(&r);
}

Test(durable, full_disk)
{
    struct rig r;
    rig_begin(&r, 5);
    r.conf.reserve_bytes = 4096;
    disk_limit(r.disk, 20000);
    cr_assert_eq(rig_open(&r), 0, "%s", r.call.err.msg);
    unsigned acknowledged = 0;
    int rc;
    while ((rc = rig_append(&r, 1)) == 0)
        acknowledged = r.revision;
    cr_assert_eq(rc, -KL_STORAGE_FULL, "%s", r.call.err.msg);
    disk_limit(r.disk, disk_used(r.disk));
    cr_assert_eq(rig_append(&r, 1), -KL_STORAGE_FULL);
    /* Deletions use the reserve; everything else waits until there is room for it again. */
    unsigned key = 0;
    while (!r.model.at[acknowledged][key])
        key++;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(rig_delete(&r, key), 0, "a deletion on a full disk: %s", r.call.err.msg);
    acknowledged = r.revision;
    cr_assert_eq(rig_append(&r, 1), -KL_STORAGE_FULL);
    disk_limit(r.disk, 100000);
    cr_assert_eq(rig_append(&r, 1), 0, "room again: %s", r.call.err.msg);
    acknowledged = r.revision;
    disk_crash(r.disk);
    rig_close(&r);
    disk_restart(r.disk);
    check_state(&r, acknowledged, "full disk", 5);
    rig_end(&r);
}
