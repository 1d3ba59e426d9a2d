/* examine.c - `keelson store check` and `repair`: reads all files, says what is damaged and what that costs. Repair takes everything over
 * that is whole in itself, as a new snapshot, and moves the old files aside. */
#include <errno.h>
#include <fcntl.h>

#include "wal.h"

#define GAP 1000        /* a repaired store goes on that far behind the newest revision that was found: what was lost may have had some */

struct exam {
    struct wal *w;
    struct kl_call *c;
    struct buf text;
    uint64_t *snaps, *logs;
    size_t n_snaps, n_logs;
    bool damaged;
    bool joined;                        /* the log that was read last ended well: the next one's head can be compared */
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void found_damage(struct exam *x, const struct wal_reader *r, const char *why)
{
    x->damaged = true;
    buf_printf(&x->text, "%s: damaged at byte %zu (after revision %llu): %s\n", base_name(r->path), r->at, (unsigned long long)r->h.revision, why);
}

static void forget_entries(struct wal *w)
{
    map_free(&w->entries);
}

/* --- snapshots --- */

/* keep: into the entries. salvage: go on behind damage. 1: whole. */
static int read_snapshot(struct exam *x, uint64_t base, bool keep, bool salvage)
{
    struct wal_reader r;
    const char *why = NULL;
    int rc = wal_read_open(&r, x->w, x->c, "snap", base, NO_FILE);
    if (rc < 0)
        return rc;
    bool whole = rc == WAL_RECORD;
    if (!whole)
        found_damage(x, &r, r.why);
    while (whole || salvage) {
        rc = whole || r.at ? (int)wal_read_next(&r) : WAL_DAMAGED;
        if (rc != WAL_RECORD) {
            whole = false;
            found_damage(x, &r, rc == WAL_DAMAGED && r.why ? r.why : "the snapshot has no end");
            if (!salvage || !wal_read_resync(&r))
                break;
        }
        if (r.h.n == 0)
            break;
        why = keep ? wal_apply(x->w, &r) : NULL;
        if (why)
            found_damage(x, &r, why);
        whole = whole && !why;
        r.h.revision = 0;               /* all parts have the snapshot's revision */
    }
    if (whole)
        buf_printf(&x->text, "%s: whole, %zu bytes\n", base_name(r.path), r.at);
    return whole;
}

/* The newest whole snapshot; without one, what is whole of the newest. */
static int choose_snapshot(struct exam *x)
{
    struct wal *w = x->w;
    bool chosen = false;
    for (size_t i = x->n_snaps; i-- > 0;) {
        int rc = read_snapshot(x, x->snaps[i], !chosen, false);
        if (rc < 0)
            return rc;
        if (rc == 1 && !chosen) {
            w->revision = w->snapshot = x->snaps[i];
            chosen = true;
        } else if (!chosen) {
            forget_entries(w);
        }
    }
    if (chosen || !x->n_snaps)
        return 0;
    buf_printf(&x->text, "no snapshot is whole: the newest is read as far as it goes\n");
    w->revision = w->snapshot = x->snaps[x->n_snaps - 1];
    int rc = read_snapshot(x, w->snapshot, true, true);
    return rc < 0 ? rc : 0;
}

/* --- logs --- */

/* How much of a file counts: what the file that goes on from it says. */
static uint64_t limit_of(struct exam *x, size_t at)
{
    const struct env_ops *e = env_ops();
    uint64_t limit = NO_FILE;
    for (size_t i = at + 1; i < x->n_logs; i++) {
        struct wal_file_head h;
        char path[WAL_PATH];
        wal_path(x->w, "wal", x->logs[i], path);
        int fd = e->open(e->ctx, path, O_RDONLY, 0);
        ssize_t n = fd < 0 ? fd : e->pread(e->ctx, fd, &h, sizeof h, 0);
        if (fd >= 0)
            e->close(e->ctx, fd);
        if (n == sizeof h && h.check == wal_file_check(&h) && h.previous == x->logs[at])
            limit = h.previous_len;
    }
    return limit;
}

static void take(struct exam *x, const struct wal_reader *r)
{
    if (r->h.n == RECORD_ON || r->h.revision <= x->w->revision)
        return;
    const char *why = wal_apply(x->w, r);
    if (why)
        found_damage(x, r, why);
    x->w->revision = r->h.revision;
}

/* False: nothing behind can be read. */
static bool step_over(struct exam *x, struct wal_reader *r, const char *why)
{
    uint64_t before = r->h.revision;
    size_t from = r->at;
    found_damage(x, r, why);
    x->joined = false;
    if (wal_read_resync(r)) {
        buf_printf(&x->text, "  whole again from byte %zu, revision %llu: what %llu bytes and the revisions between %llu and %llu held is lost\n",
                   r->at - sizeof r->h - r->h.len, (unsigned long long)r->h.revision,
                   (unsigned long long)(r->at - sizeof r->h - r->h.len - from), (unsigned long long)before, (unsigned long long)r->h.revision);
        take(x, r);
        return true;
    }
    buf_printf(&x->text, "  nothing behind it can be read: the last %zu bytes are lost\n", r->text.len - from);
    return false;
}

/* What stands where no whole record does. False: this file is over. */
static bool at_odds(struct exam *x, struct wal_reader *r, enum wal_found found, bool newest)
{
    if (newest && (found == WAL_CUT || (found == WAL_DAMAGED && wal_read_torn(r)))) {
        buf_printf(&x->text, "%s: ends with %zu bytes of a batch that was never acknowledged; the next start cuts them\n", base_name(r->path),
                   r->text.len - r->at);
        return false;
    }
    return step_over(x, r, found == WAL_CUT ? "a record is cut short and a newer file follows" : r->why) && r->at < r->text.len;
}

static int read_log(struct exam *x, size_t at, bool needed)
{
    struct wal_reader r;
    bool newest = at + 1 == x->n_logs, was = x->damaged;
    int rc = wal_read_open(&r, x->w, x->c, "wal", x->logs[at], limit_of(x, at));
    if (rc < 0)
        return rc;
    if (rc == WAL_RECORD && x->joined && r.head.sum != x->w->sum)
        found_damage(x, &r, "the file does not go on where the one before it ends");
    bool joined = true, going = rc == WAL_RECORD || step_over(x, &r, r.why);
    while (going) {
        enum wal_found found = wal_read_next(&r);
        if (found == WAL_RECORD && needed)
            take(x, &r);
        if (found == WAL_END) {
            if (newest && r.h.n == RECORD_ON)
                found_damage(x, &r, "the log goes on in a newer file, which is not there");
            break;
        }
        if (found != WAL_RECORD)
            going = at_odds(x, &r, found, newest), joined = false;
    }
    x->w->sum = r.sum;
    x->joined = joined;
    if (x->damaged == was)
        buf_printf(&x->text, "%s: whole, %zu bytes, up to revision %llu\n", base_name(r.path), r.at, (unsigned long long)r.h.revision);
    return 0;
}

static int read_logs(struct exam *x)
{
    size_t from = 0;
    while (from + 1 < x->n_logs && x->logs[from + 1] <= x->w->snapshot + 1)
        from++;
    for (size_t i = 0; i < x->n_logs; i++) {
        if (i == from && x->logs[i] > x->w->snapshot + 1) {
            x->damaged = true;
            buf_printf(&x->text, "the revisions from %llu to %llu are in no file: they are lost\n", (unsigned long long)x->w->snapshot + 1,
                       (unsigned long long)x->logs[i] - 1);
        }
        int rc = read_log(x, i, i >= from);
        if (rc < 0)
            return rc;
    }
    if (!x->n_logs && x->n_snaps) {
        x->damaged = true;
        buf_printf(&x->text, "there is a snapshot, but no log behind it: what followed revision %llu is lost\n", (unsigned long long)x->w->snapshot);
    }
    return 0;
}

/* --- repair --- */

static int move_aside(struct exam *x, const char *kind, const uint64_t *at, size_t n, const char *folder)
{
    const struct env_ops *e = env_ops();
    for (size_t i = 0; i < n; i++) {
        char from[WAL_PATH], to[2 * WAL_PATH];
        wal_path(x->w, kind, at[i], from);
        snprintf(to, sizeof to, "%s/%s", folder, base_name(from));
        int rc = e->rename(e->ctx, from, to);
        if (rc < 0)
            return wal_errno(x->c, rc, "cannot move aside", from);
    }
    return 0;
}

static int make_folder(struct exam *x, char folder[WAL_PATH])
{
    const struct env_ops *e = env_ops();
    for (int i = 1; i < 10000; i++) {
        snprintf(folder, WAL_PATH, "%s/damaged-%d", x->w->conf.dir, i);
        int rc = e->mkdir(e->ctx, folder, 0700);
        if (rc == 0)
            return 0;
        if (rc != -EEXIST)
            return wal_errno(x->c, rc, "cannot make the folder", folder);
    }
    return kl_fail(x->c, KL_UNAVAILABLE, "there are too many folders '%s'", folder);
}

/* The new snapshot is there before an old file moves: whenever this ends early, it can be done again. */
static int mend(struct exam *x)
{
    struct wal *w = x->w;
    uint64_t rev = w->revision + GAP;
    char folder[WAL_PATH];
    int rc = wal_sort(w, x->c);
    if (rc == 0)
        rc = wal_write_recovered(w, x->c, rev);
    if (rc == 0)
        rc = make_folder(x, folder);
    if (rc == 0)
        rc = move_aside(x, "snap", x->snaps, x->n_snaps, folder);
    if (rc == 0)
        rc = move_aside(x, "wal", x->logs, x->n_logs, folder);
    if (rc == 0 && (rc = wal_sync_dir(w)) < 0)
        rc = wal_errno(x->c, rc, "cannot sync", w->conf.dir);
    if (rc == 0)
        buf_printf(&x->text, "repaired: %zu objects, going on from revision %llu; the damaged files are in %s\n", w->n_sorted,
                   (unsigned long long)rev, folder);
    return rc;
}

static int examine(struct exam *x, bool repair)
{
    struct wal *w = x->w;
    int rc = wal_list(w, "snap", &x->snaps, &x->n_snaps);
    if (rc == 0)
        rc = wal_list(w, "wal", &x->logs, &x->n_logs);
    if (rc < 0)
        return wal_errno(x->c, rc, "cannot read the folder", w->conf.dir);
    rc = choose_snapshot(x);
    if (rc == 0)
        rc = read_logs(x);
    if (rc < 0)
        return rc;
    buf_printf(&x->text, "%s: %zu objects at revision %llu\n", x->damaged ? "damaged; what can be read" : "sound", w->entries.n,
               (unsigned long long)w->revision);
    if (!x->damaged)
        return 0;
    return repair ? mend(x) : kl_fail(x->c, KL_CORRUPT, "the store in '%s' is damaged", w->conf.dir);
}

int wal_examine(void *conf, struct kl_call *c, int32_t repair, struct kl_bytes *ret)
{
    struct wal w = { .conf = *(const struct wal_conf *)conf, .fd = -1, .lock_fd = -1, .snap_fd = -1 };
    struct exam x = { .w = &w, .c = c, .text = BUF_INIT(1 << 20) };
    const struct env_ops *e = env_ops();
    int rc = wal_list(&w, "wal", &x.logs, &x.n_logs);
    mem_free(x.logs);
    x.logs = NULL;
    if (rc < 0)
        return wal_errno(c, rc, "there is no store in", w.conf.dir);
    rc = wal_lock(&w, c);
    if (rc == 0 && !(w.arena = arena_new(0)))
        rc = kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (rc == 0)
        rc = examine(&x, repair != 0);
    char *text = kl_dup(c, x.text.at ? x.text.at : "", x.text.len);
    *ret = (struct kl_bytes){ text, text ? x.text.len : 0 };
    mem_free(x.snaps);
    mem_free(x.logs);
    buf_free(&x.text);
    wal_recovered_free(&w);
    if (w.fd >= 0)
        e->close(e->ctx, w.fd);
    if (w.lock_fd >= 0)
        e->close(e->ctx, w.lock_fd);
    return rc;
}
