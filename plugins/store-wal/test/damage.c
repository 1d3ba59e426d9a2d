/* damage.c - every byte flipped, every length cut, every file removed: the store refuses and names the place, or shows a state it once had;
 * check says the same; repair loses no more than what was damaged, says it first, and keeps the files. */
#include "harness.h"

/* Two snapshots, four logs, some commits behind. base[]: of the logs. */
static void make_store(struct rig *r)
{
    rig_begin(r, 9);
    cr_assert_eq(rig_open(r), 0, "%s", r->call.err.msg);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++)
            cr_assert_eq(rig_append(r, 1 + (unsigned)i % 3), 0, "%s", r->call.err.msg);
        if (round < 2)
            cr_assert_eq(rig_checkpoint(r), 0, "%s", r->call.err.msg);
    }
    rig_close(r);
}

static void again(struct rig *r, struct disk *good)
{
    rig_close(r);
    disk_copy(r->disk, good);
}

static bool is_store_file(const char *path)
{
    return strstr(path, "/wal-") || strstr(path, "/snap-");
}

/* An older log ends with a record that only says that another follows: it does not count. */
static size_t counted(const char *path, size_t len, bool newest)
{
    return strstr(path, "/wal-") && !newest ? len - sizeof(struct wal_record_head) : len;
}

/* Opens a damaged store. It may refuse, naming the file; or hold the newest state. Never anything else. */
static void open_damaged(struct rig *r, const char *path, const char *what, size_t at)
{
    int rc = rig_open(r);
    if (rc == 0) {
        cr_assert_eq(rig_state(r, (int)r->revision), (int)r->revision, "%s, %s %zu: it opened with another state", path, what, at);
        return;
    }
    cr_assert_eq(rc, -KL_CORRUPT, "%s, %s %zu: %s", path, what, at, r->call.err.msg);
    cr_assert(strstr(r->call.err.msg, "keelson store check"), "%s", r->call.err.msg);
    cr_assert(strstr(r->call.err.msg, DIR), "the message does not say where: %s", r->call.err.msg);
}

Test(damage, every_byte)
{
    struct rig r;
    struct disk *good = disk_new(1);
    const char *names[64];
    unsigned refused = 0;
    make_store(&r);
    disk_copy(good, r.disk);
    unsigned n = disk_names(good, names, 64);
    for (unsigned f = 0; f < n; f++) {
        size_t len, whole;
        if (!is_store_file(names[f]) || !disk_bytes(good, names[f], &len))
            continue;
        len = counted(names[f], len, f + 1 == n);
        for (size_t i = 0; i < len; i++) {
            again(&r, good);
            disk_bytes(r.disk, names[f], &whole)[i] ^= (char)(1 << i % 8);
            open_damaged(&r, names[f], "byte", i);
            refused += !r.self;
            char report[4000];
            bool opened = r.self != NULL;
            rig_close(&r);
            int rc = rig_examine(&r, false, report, sizeof report);
            cr_assert_eq(rc, -KL_CORRUPT, "%s byte %zu: check finds nothing (%s)", names[f], i, report);
            cr_assert(opened || strstr(report, strrchr(names[f], '/') + 1), "%s byte %zu: %s", names[f], i, report);
        }
    }
    cr_assert_gt(refused, 1000);
    disk_free(good);
    rig_end(&r);
}

/* Only the newest log may end early without notice: it is what a crash leaves. */
Test(damage, every_length)
{
    struct rig r;
    struct disk *good = disk_new(1);
    const char *names[64];
    make_store(&r);
    disk_copy(good, r.disk);
    unsigned n = disk_names(good, names, 64);
    for (unsigned f = 0; f < n; f++) {
        size_t len;
        bool newest = f + 1 == n;
        if (!is_store_file(names[f]) || !disk_bytes(good, names[f], &len))
            continue;
        for (size_t cut = 0; cut < len; cut++) {
            again(&r, good);
            disk_cut(r.disk, names[f], cut);
            int rc = rig_open(&r);
            if (rc < 0) {
                cr_assert_eq(rc, -KL_CORRUPT, "%s cut to %zu: %s", names[f], cut, r.call.err.msg);
                cr_assert(!newest || cut < sizeof(struct wal_file_head), "%s cut to %zu: %s", names[f], cut, r.call.err.msg);
                continue;
            }
            int state = rig_state(&r, 0);
            cr_assert_geq(state, 0, "%s cut to %zu: it opened with a state that never was", names[f], cut);
            cr_assert(newest || state == (int)r.revision, "%s cut to %zu: state %d", names[f], cut, state);
        }
    }
    disk_free(good);
    rig_end(&r);
}

Test(damage, every_file_removed)
{
    struct rig r;
    struct disk *good = disk_new(1);
    const char *names[64];
    make_store(&r);
    disk_copy(good, r.disk);
    unsigned n = disk_names(good, names, 64), refused = 0;
    for (unsigned f = 0; f < n; f++) {
        if (!is_store_file(names[f]))
            continue;
        again(&r, good);
        disk_remove(r.disk, names[f]);
        open_damaged(&r, names[f], "removed", 0);
        refused += !r.self;
    }
    cr_assert_geq(refused, 1, "the newest log is missed");
    disk_free(good);
    rig_end(&r);
}

/* How many keys differ from the newest state. */
static unsigned differences(struct rig *r, const char *what)
{
    struct kl_bytes after = { NULL, 0 };
    const struct kl_store_record *rec;
    uint32_t now[KEYS] = { 0 }, n;
    unsigned wrong = 0;
    cr_assert_eq(rig_open(r), 0, "%s: it does not open after repair: %s", what, r->call.err.msg);
    cr_assert_eq(r->t->range(r->self, &r->call, after, 1000, &rec, &n), 0);
    for (uint32_t i = 0; i < n; i++) {
        unsigned key, number;
        cr_assert_eq(sscanf(rec[i].key.at, "/things/ns/key-%2u", &key), 1);
        cr_assert_eq(sscanf(rec[i].value.at, "{\"number\":%u,", &number), 1);
        now[key] = number;
    }
    for (unsigned k = 0; k < KEYS; k++)
        wrong += now[k] != r->model.at[r->revision][k];
    cr_assert_gt(r->t->revision(r->self), r->revision, "%s: the revision does not go on above what was", what);
    rig_close(r);
    return wrong;
}

Test(damage, repair_loses_only_the_damaged_record)
{
    struct rig r;
    struct disk *good = disk_new(1);
    const char *names[64];
    char report[4000];
    make_store(&r);
    disk_copy(good, r.disk);
    unsigned n = disk_names(good, names, 64);
    for (unsigned f = 0; f < n; f++) {
        size_t len, whole;
        if (!is_store_file(names[f]) || !disk_bytes(good, names[f], &len))
            continue;
        len = counted(names[f], len, f + 1 == n);
        for (size_t i = 0; i < len; i += 7) {
            again(&r, good);
            disk_bytes(r.disk, names[f], &whole)[i] ^= 0x10;
            bool opens = rig_open(&r) == 0;
            rig_close(&r);
            cr_assert_eq(rig_examine(&r, true, report, sizeof report), 0, "%s byte %zu: %s %s", names[f], i, report, r.call.err.msg);
            cr_assert(strstr(report, "repaired: "), "%s", report);
            cr_assert(strstr(report, "damaged-1"), "%s", report);
            unsigned wrong = differences(&r, names[f]);
            /* A damaged snapshot costs nothing: the one before it and the logs since are there. */
            cr_assert_leq(wrong, strstr(names[f], "/snap-") || opens ? 0 : 1, "%s byte %zu: %u keys lost\n%s", names[f], i, wrong, report);
            cr_assert_eq(rig_examine(&r, false, report, sizeof report), 0, "%s", report);
        }
    }
    disk_free(good);
    rig_end(&r);
}

/* A crash anywhere in a repair: it can be done again, with the same outcome. */
Test(damage, repair_survives_crashes)
{
    struct disk *good = disk_new(1);
    struct rig r;
    char report[4000];
    make_store(&r);
    size_t len;
    const char *newest = NULL, *names[64];
    for (unsigned f = 0, n = disk_names(r.disk, names, 64); f < n; f++)
        newest = strstr(names[f], "/wal-") ? names[f] : newest;
    char *bytes = disk_bytes(r.disk, newest, &len);
    bytes[sizeof(struct wal_file_head) + 60] ^= 1;
    disk_copy(good, r.disk);
    for (unsigned at = 1; at < 200; at++) {
        again(&r, good);
        disk_crash_at(r.disk, at);
        int rc = rig_examine(&r, true, report, sizeof report);
        bool crashed = disk_is_down(r.disk);
        disk_restart(r.disk);
        if (crashed) {
            rc = rig_open(&r);
            rig_close(&r);
            if (rc < 0)
                rc = rig_examine(&r, true, report, sizeof report);
        }
        cr_assert_eq(rc, 0, "crash at %u: %s %s", at, report, r.call.err.msg);
        cr_assert_leq(differences(&r, "after a crash"), 1, "crash at %u", at);
        if (!crashed)
            break;
    }
    disk_free(good);
    rig_end(&r);
}

Test(damage, sound_store_is_left_alone)
{
    struct rig r;
    char report[4000];
    make_store(&r);
    cr_assert_eq(rig_examine(&r, true, report, sizeof report), 0, "%s", report);
    cr_assert(strstr(report, "sound: "), "%s", report);
    cr_assert_null(strstr(report, "repaired"));
    cr_assert_eq(rig_open(&r), 0);
    cr_assert_eq(rig_state(&r, 0), (int)r.revision);
    rig_end(&r);
}

Test(damage, half_a_batch_is_no_damage)
{
    struct rig r;
    char report[4000];
    const char *names[64], *newest = NULL;
    size_t len;
    make_store(&r);
    for (unsigned f = 0, n = disk_names(r.disk, names, 64); f < n; f++)
        newest = strstr(names[f], "/wal-") ? names[f] : newest;
    disk_bytes(r.disk, newest, &len);
    disk_cut(r.disk, newest, len - 5);
    cr_assert_eq(rig_examine(&r, false, report, sizeof report), 0, "%s", report);
    cr_assert(strstr(report, "never acknowledged"), "%s", report);
    cr_assert_eq(rig_open(&r), 0, "%s", r.call.err.msg);
    rig_end(&r);
}
