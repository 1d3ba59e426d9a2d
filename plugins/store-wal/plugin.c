/* plugin.c - store-wal: an append log with group commit, and snapshots. One write and one fdatasync per batch. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wal.h"

static void close_(void *self)
{
    struct wal *w = self;
    const struct env_ops *e = env_ops();
    wal_recovered_free(w);
    if (w->fd >= 0)
        e->close(e->ctx, w->fd);
    if (w->snap_fd >= 0)
        e->close(e->ctx, w->snap_fd);
    if (w->lock_fd >= 0)
        close(w->lock_fd);
    buf_free(&w->batch);
    mem_free(w);
}

static int lock_dir(struct wal *w, struct kl_call *c)
{
    char path[4200];
    if (mkdir(w->conf.dir, 0700) < 0 && errno != EEXIST)
        return wal_errno(c, -errno, "cannot make the folder", w->conf.dir);
    snprintf(path, sizeof path, "%s/lock", w->conf.dir);
    w->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (w->lock_fd < 0)
        return wal_errno(c, -errno, "cannot open", path);
    if (flock(w->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return kl_fail(c, KL_UNAVAILABLE, "store '%s' is in use by another process", w->conf.dir);
    return 0;
}

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct wal *w = mem_alloc(sizeof *w);
    if (!w)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    w->host = h;
    w->conf = *(const struct wal_conf *)conf;
    w->fd = w->lock_fd = w->snap_fd = -1;
    int rc = lock_dir(w, c);
    if (rc == 0)
        rc = wal_recover(w, c);
    if (rc < 0) {
        close_(w);
        return rc;
    }
    *self = w;
    return 0;
}

static uint64_t revision(void *self)
{
    return ((struct wal *)self)->revision;
}

static int range(void *self, struct kl_call *c, struct kl_bytes after, uint32_t max, const struct kl_store_record **ret, uint32_t *ret_n)
{
    struct wal *w = self;
    size_t low = 0, high = w->n_sorted;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (str_cmp(w->sorted[mid]->key, str_n(after.at, after.len)) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (!after.len)
        low = 0;
    size_t n = w->n_sorted - low < max ? w->n_sorted - low : max;
    struct kl_store_record *out = kl_alloc(c, (n + 1) * sizeof *out);
    if (!out)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) {
        const struct wal_entry *e = w->sorted[low + i];
        out[i] = (struct kl_store_record){ sizeof *out, { e->key.at, e->key.len }, { e->value.at, e->value.len }, e->revision };
    }
    *ret = out;
    *ret_n = (uint32_t)n;
    return 0;
}

/* Appends a record's head and body to b; returns the new sum. */
static uint32_t seal(struct buf *b, size_t from, uint64_t rev, uint32_t n, uint32_t sum)
{
    struct wal_record_head h = { .revision = rev, .n = n };
    if (b->failed)
        return sum;
    h.len = (uint32_t)(b->len - from - sizeof h);
    h.sum = wal_record_sum(sum, &h, b->at + from + sizeof h);
    h.check = wal_record_check(&h);
    memcpy(b->at + from, &h, sizeof h);
    return h.sum;
}

static uint32_t put_commit(struct buf *b, const struct kl_store_commit *k, uint32_t sum)
{
    static const struct wal_record_head blank;
    size_t from = b->len;
    buf_add(b, &blank, sizeof blank);
    for (uint32_t i = 0; i < k->n; i++)
        wal_put_op(b, k->ops[i].type, k->ops[i].key, k->ops[i].value, k->revision);
    return seal(b, from, k->revision, k->n, sum);
}

static int write_batch(struct wal *w)
{
    const struct env_ops *e = env_ops();
    ssize_t rc = e->pwrite_all(e->ctx, w->fd, w->batch.at, w->batch.len, w->len);
    return rc < 0 ? (int)rc : 0;
}

static int sync_batch(struct wal *w)
{
    const struct env_ops *e = env_ops();
    w->fsyncs++;
    return w->conf.sync ? e->fdatasync(e->ctx, w->fd) : 0;
}

/* The kernel may have dropped the pages of a failed fsync: the batch is written anew into a new file, never synced again in the old. */
static int move_on(struct wal *w, struct kl_call *c, uint64_t first, int why)
{
    if (w->host)
        kl_log(w->host, KL_ERROR, "fdatasync failed (%s): going on in a new file", strerror(-why));
    int rc = wal_new_file(w, c, first > w->base ? first : w->base + 1, (uint64_t)w->len);
    if (rc == 0) {
        rc = write_batch(w);
        if (rc == 0)
            rc = sync_batch(w);
        if (rc < 0)
            rc = wal_errno(c, rc, "cannot write", w->conf.dir);
    }
    w->broken = rc < 0;
    return rc;
}

static int append(void *self, struct kl_call *c, const struct kl_store_commit *commits, uint32_t n)
{
    struct wal *w = self;
    const struct env_ops *e = env_ops();
    uint32_t sum = w->sum;
    if (w->arena)
        wal_recovered_free(w);
    if (w->broken)
        return kl_fail(c, KL_UNAVAILABLE, "store '%s': the log failed and a new file could not be made", w->conf.dir);
    if (commits[0].revision <= w->revision)
        return kl_fail(c, KL_INVALID, "revision %llu is not above %llu", (unsigned long long)commits[0].revision, (unsigned long long)w->revision);
    buf_clear(&w->batch);
    for (uint32_t i = 0; i < n; i++)
        sum = put_commit(&w->batch, KL_AT(struct kl_store_commit, ((KL_ARRAY(struct kl_store_commit)){ commits, n, commits[0].size }), i), sum);
    if (w->batch.failed) {
        buf_free(&w->batch);
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    }
    int rc = write_batch(w);
    if (rc < 0) {
        e->ftruncate(e->ctx, w->fd, w->len);
        return wal_errno(c, rc, "cannot write the log in", w->conf.dir);
    }
    rc = sync_batch(w);
    if (rc < 0 && (rc = move_on(w, c, commits[0].revision, rc)) < 0)
        return rc;
    w->sum = sum;
    w->len += (int64_t)w->batch.len;
    w->since_snapshot += (int64_t)w->batch.len;
    w->bytes += w->batch.len;
    w->revision = commits[n - 1].revision;
    w->appends++;
    w->commits += n;
    if (w->batch.cap > 8u << 20)
        buf_free(&w->batch);
    return 0;
}

/* --- checkpoints --- */

static void abandon(struct wal *w, const char *path)
{
    const struct env_ops *e = env_ops();
    if (w->snap_fd >= 0)
        e->close(e->ctx, w->snap_fd);
    w->snap_fd = -1;
    e->unlink(e->ctx, path);
}

static int begin(struct wal *w, struct kl_call *c, uint64_t rev, const char *path)
{
    const struct env_ops *e = env_ops();
    struct wal_file_head h = { .magic = SNAP_MAGIC, .base = rev, .previous_len = UINT64_MAX };
    h.check = wal_file_check(&h);
    w->snap_fd = e->open(e->ctx, path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (w->snap_fd < 0)
        return wal_errno(c, w->snap_fd, "cannot make", path);
    w->snap_len = sizeof h;
    w->snap_sum = 0;
    ssize_t rc = e->pwrite_all(e->ctx, w->snap_fd, &h, sizeof h, 0);
    return rc < 0 ? wal_errno(c, (int)rc, "cannot write", path) : 0;
}

static int put_part(struct wal *w, struct kl_call *c, uint64_t rev, const struct kl_store_record *records, uint32_t n, const char *path)
{
    static const struct wal_record_head blank;
    const struct env_ops *e = env_ops();
    struct buf b = BUF_INIT(0);
    buf_add(&b, &blank, sizeof blank);
    for (uint32_t i = 0; i < n; i++)
        wal_put_op(&b, KL_STORE_PUT, records[i].key, records[i].value, records[i].revision);
    uint32_t sum = seal(&b, 0, rev, n, w->snap_sum);
    ssize_t rc = b.failed ? -ENOMEM : e->pwrite_all(e->ctx, w->snap_fd, b.at, b.len, w->snap_len);
    w->snap_len += (int64_t)b.len;
    w->snap_sum = sum;
    buf_free(&b);
    return rc < 0 ? wal_errno(c, (int)rc, "cannot write", path) : 0;
}

/* Two snapshots are kept, and the log files that the older one needs. */
static void remove_old(struct wal *w)
{
    const struct env_ops *e = env_ops();
    uint64_t *at = NULL;
    size_t n;
    char path[4200];
    if (wal_list(w, "snap", &at, &n) == 0)
        for (size_t i = 0; i + 2 < n; i++) {
            wal_path(w, "snap", at[i], path, sizeof path);
            e->unlink(e->ctx, path);
        }
    mem_free(at);
    at = NULL;
    if (w->snapshot_before && wal_list(w, "wal", &at, &n) == 0)
        for (size_t i = 0; i + 1 < n && at[i + 1] <= w->snapshot_before + 1; i++) {
            wal_path(w, "wal", at[i], path, sizeof path);
            e->unlink(e->ctx, path);
        }
    mem_free(at);
}

static int end(struct wal *w, struct kl_call *c, uint64_t rev, const char *path)
{
    const struct env_ops *e = env_ops();
    char final[4200];
    int rc = put_part(w, c, rev, NULL, 0, path);
    if (rc < 0)
        return rc;
    rc = w->conf.sync ? e->fsync(e->ctx, w->snap_fd) : 0;
    wal_path(w, "snap", rev, final, sizeof final);
    if (rc == 0)
        rc = e->rename(e->ctx, path, final);
    if (rc == 0)
        rc = wal_sync_dir(w);
    if (rc < 0)
        return wal_errno(c, rc, "cannot finish", path);
    e->close(e->ctx, w->snap_fd);
    w->snap_fd = -1;
    w->snapshot_before = w->snapshot;
    w->snapshot = rev;
    w->since_snapshot = 0;
    if (w->revision + 1 > w->base && wal_new_file(w, c, w->revision + 1, (uint64_t)w->len) < 0)
        return 0;                       /* the old file goes on; the snapshot is good all the same */
    remove_old(w);
    return 0;
}

static int checkpoint(void *self, struct kl_call *c, uint64_t rev, const struct kl_store_record *records, uint32_t n, uint32_t last)
{
    struct wal *w = self;
    char path[4200];
    snprintf(path, sizeof path, "%s/snapshot.tmp", w->conf.dir);
    int rc = w->snap_fd < 0 ? begin(w, c, rev, path) : 0;
    if (rc == 0 && n)
        rc = put_part(w, c, rev, records, n, path);
    if (rc == 0 && last)
        rc = end(w, c, rev, path);
    if (rc < 0) {
        abandon(w, path);
        w->since_snapshot = 0;          /* asks again after as much log */
    }
    return rc;
}

static int wants_checkpoint(void *self)
{
    struct wal *w = self;
    return w->since_snapshot > w->conf.checkpoint_bytes;
}

static int stats(void *self, struct kl_call *c, struct kl_bytes *ret)
{
    struct wal *w = self;
    char *text = kl_alloc(c, 512);
    if (!text)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int n = snprintf(text, 512, "{\"revision\":%llu,\"snapshot\":%llu,\"appends\":%llu,\"commits\":%llu,\"fsyncs\":%llu,\"bytes\":%llu}",
                     (unsigned long long)w->revision, (unsigned long long)w->snapshot, (unsigned long long)w->appends,
                     (unsigned long long)w->commits, (unsigned long long)w->fsyncs, (unsigned long long)w->bytes);
    *ret = (struct kl_bytes){ text, (size_t)n };
    return 0;
}

static const struct kl_store table = {
    .size = sizeof table, .life = { .open = open_, .close = close_ }, .revision = revision, .range = range, .append = append,
    .checkpoint = checkpoint, .wants_checkpoint = wants_checkpoint, .stats = stats,
};
static const struct kl_provider provides[] = { { KL_STORE_0, "wal", 10, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "dir", .type = KL_CONF_STR, .offset = offsetof(struct wal_conf, dir), .fallback = "/var/lib/keelson/store",
      .doc = "folder of the log and the snapshots" },
    { .key = "checkpoint", .type = KL_CONF_QUANTITY, .offset = offsetof(struct wal_conf, checkpoint_bytes), .fallback = "64Mi",
      .min = 65536, .max = INT64_MAX, .doc = "bytes of log after which a snapshot is made" },
    { .key = "sync", .type = KL_CONF_BOOL, .offset = offsetof(struct wal_conf, sync), .fallback = "true",
      .doc = "false: an acknowledged write may be lost when the machine fails" },
};

KL_PLUGIN_DEFINE("dev.keelson.store-wal", "0.1.0", "keelson.store/0:wal", "", .summary = "append log with group commit, and snapshots",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields),
                 .conf_size = sizeof(struct wal_conf));
