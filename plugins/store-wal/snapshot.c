/* snapshot.c - the whole state in a file of its own, written in parts between appends; then the log goes on in a new file. */
#include <errno.h>
#include <fcntl.h>

#include "wal.h"

static void temp_path(const struct wal *w, char ret[WAL_PATH])
{
    snprintf(ret, WAL_PATH, "%s/snapshot.tmp", w->conf.dir);
}

/* A snapshot is written in blocks past the page cache where the file system lets it: nobody reads it again before the next start, copying it there
 * costs more than anything else about it, and would drive out what others have cached. */
#define SNAP_BLOCK 1048576u
#define SNAP_ALIGN WAL_BLOCK
#define SNAP_SYNC  (8 * SNAP_BLOCK)

static char *block(const struct wal *w)
{
    return (char *)(((uintptr_t)w->snap_block + SNAP_ALIGN - 1) & ~(uintptr_t)(SNAP_ALIGN - 1));
}

void wal_snapshot_drop(struct wal *w)
{
    const struct env_ops *e = env_ops();
    if (w->snap_fd >= 0)
        e->close(e->ctx, w->snap_fd);
    w->snap_fd = -1;
    mem_free(w->snap_block);
    w->snap_block = NULL;
    buf_free(&w->snap_part);
}

static void abandon(struct wal *w)
{
    char path[WAL_PATH];
    temp_path(w, path);
    wal_snapshot_drop(w);
    env_ops()->unlink(env_ops()->ctx, path);
}

static int open_file(struct wal *w, const char *path)
{
    const struct env_ops *e = env_ops();
    w->snap_fd = e->open(e->ctx, path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
    w->snap_direct = w->snap_fd >= 0;
    if (w->snap_fd == -EINVAL || w->snap_fd == -EOPNOTSUPP)     /* tmpfs, some of FUSE */
        w->snap_fd = e->open(e->ctx, path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    return w->snap_fd;
}

/* Bytes at the end of the snapshot. */
static int stage(struct wal *w, const char *at, size_t n)
{
    const struct env_ops *e = env_ops();
    while (n) {
        size_t have = (size_t)w->snap_len % SNAP_BLOCK, part = n < SNAP_BLOCK - have ? n : SNAP_BLOCK - have;
        memcpy(block(w) + have, at, part);
        at += part;
        n -= part;
        w->snap_len += (int64_t)part;
        if (have + part < SNAP_BLOCK)
            continue;
        ssize_t rc = e->pwrite_all(e->ctx, w->snap_fd, block(w), SNAP_BLOCK, w->snap_len - SNAP_BLOCK);
        if (rc < 0)
            return (int)rc;
    }
    return 0;
}

/* What is left is no whole block, so it takes the ordinary way, which another descriptor stands for. */
static int write_rest(struct wal *w, const char *path)
{
    const struct env_ops *e = env_ops();
    size_t have = (size_t)w->snap_len % SNAP_BLOCK;
    if (w->snap_direct) {
        e->close(e->ctx, w->snap_fd);
        w->snap_fd = e->open(e->ctx, path, O_RDWR, 0);
        if (w->snap_fd < 0)
            return w->snap_fd;
    }
    ssize_t rc = have ? e->pwrite_all(e->ctx, w->snap_fd, block(w), have, w->snap_len - (int64_t)have) : 0;
    return rc < 0 ? (int)rc : 0;
}

static int begin(struct wal *w, struct kl_call *c, uint64_t rev)
{
    struct wal_file_head h = { .magic = SNAP_MAGIC, .base = rev, .previous = NO_FILE, .previous_len = NO_FILE };
    char path[WAL_PATH];
    temp_path(w, path);
    h.check = wal_file_check(&h);
    w->snap_block = mem_alloc(SNAP_BLOCK + SNAP_ALIGN);
    if (!w->snap_block)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (open_file(w, path) < 0)
        return wal_errno(c, w->snap_fd, "cannot make", path);
    w->snap_len = 0;
    w->snap_sum = 0;
    int rc = stage(w, (const char *)&h, sizeof h);
    return rc < 0 ? wal_errno(c, rc, "cannot write", path) : 0;
}

static int put_part(struct wal *w, struct kl_call *c, uint64_t rev, const struct kl_store_record *records, uint32_t n)
{
    static const struct wal_record_head blank;
    const struct env_ops *e = env_ops();
    int64_t before = w->snap_len / SNAP_SYNC;
    struct buf *b = &w->snap_part;
    buf_clear(b);
    buf_add(b, &blank, sizeof blank);
    for (uint32_t i = 0; i < n; i++) {
        const struct kl_store_record *r = WAL_AT(struct kl_store_record, records, i);
        wal_put_op(b, KL_STORE_PUT, r->key, r->value, r->revision);
    }
    w->snap_sum = wal_seal(b, 0, (struct wal_record_head){ .revision = rev, .n = n }, w->snap_sum);
    int rc = b->failed ? -ENOMEM : stage(w, b->at, b->len);
    /* Now and then, so that the last sync, which appends wait for, is short. */
    if (rc >= 0 && w->conf.sync && w->snap_len / SNAP_SYNC != before)
        rc = e->fdatasync(e->ctx, w->snap_fd);
    return rc < 0 ? wal_errno(c, rc, "cannot write a snapshot in", w->conf.dir) : 0;
}

/* Two snapshots are kept, and the log files that the older one needs. */
static void remove_old(struct wal *w)
{
    const struct env_ops *e = env_ops();
    uint64_t *at = NULL;
    size_t n;
    char path[WAL_PATH];
    if (wal_list(w, "snap", &at, &n) == 0)
        for (size_t i = 0; i + 2 < n; i++) {
            wal_path(w, "snap", at[i], path);
            e->unlink(e->ctx, path);
        }
    mem_free(at);
    at = NULL;
    if (w->snapshot_before && wal_list(w, "wal", &at, &n) == 0)
        for (size_t i = 0; i + 1 < n && at[i + 1] <= w->snapshot_before + 1; i++) {
            wal_path(w, "wal", at[i], path);
            e->unlink(e->ctx, path);
        }
    mem_free(at);
}

static int end(struct wal *w, struct kl_call *c, uint64_t rev)
{
    const struct env_ops *e = env_ops();
    char path[WAL_PATH], final[WAL_PATH];
    int rc = put_part(w, c, rev, NULL, 0);
    if (rc < 0)
        return rc;
    temp_path(w, path);
    rc = write_rest(w, path);
    if (rc == 0 && w->conf.sync)
        rc = e->fsync(e->ctx, w->snap_fd);
    wal_path(w, "snap", rev, final);
    if (rc == 0)
        rc = e->rename(e->ctx, path, final);
    if (rc == 0)
        rc = wal_sync_dir(w);
    if (rc < 0)
        return wal_errno(c, rc, "cannot finish", path);
    wal_snapshot_drop(w);
    w->snapshot_before = w->snapshot;
    w->snapshot = rev;
    w->snapshot_bytes = w->snap_len;
    w->since_snapshot = 0;
    return 0;
}

int wal_checkpoint(void *self, struct kl_call *c, uint64_t rev, const struct kl_store_record *records, uint32_t n, uint32_t last)
{
    struct wal *w = self;
    int rc = w->snap_fd < 0 ? begin(w, c, rev) : 0;
    if (rc == 0 && n)
        rc = put_part(w, c, rev, records, n);
    if (rc == 0 && last)
        rc = end(w, c, rev);
    if (rc < 0) {
        abandon(w);
        w->since_snapshot = 0;          /* asks again after as much log */
        return rc;
    }
    /* Without a new file the old one goes on; the snapshot is good all the same. */
    if (last && w->revision + 1 > w->base && wal_new_file(w, c, w->revision + 1) == 0)
        remove_old(w);
    return 0;
}

/* Twice as much log as the state is large: so snapshots cost half as much writing as the log did, and a start reads three times the state at most. */
int wal_wants_checkpoint(void *self)
{
    struct wal *w = self;
    int64_t most = 2 * w->snapshot_bytes > w->conf.checkpoint_bytes ? 2 * w->snapshot_bytes : w->conf.checkpoint_bytes;
    return w->since_snapshot > most;
}

#define PART_RECORDS 1000

int wal_write_recovered(struct wal *w, struct kl_call *c, uint64_t rev)
{
    struct kl_store_record *part = mem_alloc(PART_RECORDS * sizeof *part);
    int rc = part ? begin(w, c, rev) : kl_fail(c, KL_NO_MEMORY, "out of memory");
    for (size_t at = 0; at < w->n_sorted && rc == 0; at += PART_RECORDS) {
        uint32_t n = 0;
        for (; n < PART_RECORDS && at + n < w->n_sorted; n++) {
            const struct wal_entry *e = w->sorted[at + n];
            part[n] = (struct kl_store_record){ sizeof *part, { e->key.at, e->key.len }, { e->value.at, e->value.len }, e->revision };
        }
        rc = put_part(w, c, rev, part, n);
    }
    mem_free(part);
    if (rc == 0)
        rc = end(w, c, rev);
    if (rc < 0)
        abandon(w);
    return rc < 0 ? rc : wal_new_file(w, c, rev + 1);
}
