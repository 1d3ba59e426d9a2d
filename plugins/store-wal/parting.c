/* parting.c - a note of where the log ends, left by an instance that was closed well. One that goes on at once, for a caller who knows the objects already
 * (KL_CALL_CONTINUES: keelson restart), need not read the files for it. Any other start reads everything, as always. */
#include <errno.h>
#include <fcntl.h>

#include "wal.h"

#define PARTING_MAGIC 0x31545241504c4b4cULL     /* "KLKPART1" */

struct parting {
    uint64_t magic, base, revision, snapshot, snapshot_before;
    int64_t len, since_snapshot, snapshot_bytes;
    uint32_t sum, batch_no;
    uint32_t zero, check;
};

static uint32_t check_of(const struct parting *p)
{
    return hash_crc32c(0, p, offsetof(struct parting, check));
}

static void note_path(const struct wal *w, char ret[WAL_PATH])
{
    snprintf(ret, WAL_PATH, "%s/parting", w->conf.dir);
}

void wal_part(struct wal *w)
{
    const struct env_ops *e = env_ops();
    char path[WAL_PATH];
    struct parting p = { PARTING_MAGIC, w->base, w->revision, w->snapshot, w->snapshot_before, w->len, w->since_snapshot, w->snapshot_bytes,
                         w->sum, w->batch_no, 0, 0 };
    p.check = check_of(&p);
    note_path(w, path);
    if (w->suspect || w->fd < 0)
        return;
    int fd = e->open(e->ctx, path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return;
    e->pwrite_all(e->ctx, fd, &p, sizeof p, 0);         /* half a note is none */
    e->close(e->ctx, fd);
}

static bool read_note(const struct wal *w, struct parting *ret)
{
    const struct env_ops *e = env_ops();
    char path[WAL_PATH];
    note_path(w, path);
    int fd = e->open(e->ctx, path, O_RDONLY, 0);
    if (fd < 0)
        return false;
    ssize_t n = e->pread(e->ctx, fd, ret, sizeof *ret, 0);
    e->close(e->ctx, fd);
    e->unlink(e->ctx, path);            /* it holds once */
    return n == (ssize_t)sizeof *ret && ret->magic == PARTING_MAGIC && ret->check == check_of(ret);
}

/* The newest log file is still that one, and as long. */
static bool fits(struct wal *w, const struct parting *p)
{
    const struct env_ops *e = env_ops();
    uint64_t *logs = NULL;
    size_t n = 0;
    char path[WAL_PATH];
    bool newest = wal_list(w, "wal", &logs, &n) == 0 && n && logs[n - 1] == p->base;
    mem_free(logs);
    if (!newest)
        return false;
    wal_path(w, "wal", p->base, path);
    w->fd = e->open(e->ctx, path, O_RDWR, 0);
    char end[2];
    if (w->fd >= 0 && p->len > 0 && e->pread(e->ctx, w->fd, end, sizeof end, p->len - 1) == 1)
        return true;
    if (w->fd >= 0)
        e->close(e->ctx, w->fd);
    w->fd = -1;
    return false;
}

bool wal_resume(struct wal *w, bool wanted)
{
    struct parting p;
    if (!read_note(w, &p) || !wanted || !fits(w, &p))
        return false;
    w->base = p.base;
    w->revision = p.revision;
    w->snapshot = p.snapshot;
    w->snapshot_before = p.snapshot_before;
    w->len = p.len;
    w->since_snapshot = p.since_snapshot;
    w->snapshot_bytes = p.snapshot_bytes;
    w->sum = p.sum;
    w->batch_no = p.batch_no;
    return true;
}
