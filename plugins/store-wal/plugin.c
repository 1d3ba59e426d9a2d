/* plugin.c - store-wal: an append log with group commit, and snapshots. One write and one fdatasync per batch. */
#include <errno.h>
#include <fcntl.h>

#include "wal.h"

static void close_(void *self)
{
    struct wal *w = self;
    const struct env_ops *e = env_ops();
    wal_recovered_free(w);
    wal_end_direct(w);
    if (w->opened)
        wal_part(w);
    if (w->fd >= 0)
        e->close(e->ctx, w->fd);
    wal_snapshot_drop(w);
    if (w->lock_fd >= 0)
        e->close(e->ctx, w->lock_fd);
    buf_free(&w->batch);
    mem_free(w);
}

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct wal *w = mem_alloc(sizeof *w);
    if (!w)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    w->host = h;
    w->conf = *(const struct wal_conf *)conf;
    w->fd = w->direct_fd = w->lock_fd = w->snap_fd = -1;
    const struct env_ops *e = env_ops();
    int rc = e->mkdir(e->ctx, w->conf.dir, 0700);
    rc = rc < 0 && rc != -EEXIST ? wal_errno(c, rc, "cannot make the folder", w->conf.dir) : wal_lock(w, c);
    if (rc == 0)
        w->unread = wal_resume(w, c->flags & KL_CALL_CONTINUES);
    if (rc == 0 && !w->unread)
        rc = wal_recover(w, c);
    if (rc < 0) {
        close_(w);
        return rc;
    }
    w->opened = true;
    wal_reserve(w);                     /* when the disk is full already: the first append that needs it says so */
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
    if (w->unread) {                    /* the caller does not know what is here after all */
        env_ops()->close(env_ops()->ctx, w->fd);
        w->fd = -1;
        w->unread = false;
        w->len = w->since_snapshot = w->snapshot_bytes = 0;
        w->base = w->revision = w->snapshot = w->snapshot_before = 0;
        w->sum = w->batch_no = 0;
        int rc = wal_recover(w, c);
        if (rc < 0)
            return rc;
    }
    size_t low = 0, high = w->n_sorted;
    while (after.len && low < high) {
        size_t mid = (low + high) / 2;
        if (str_cmp(w->sorted[mid]->key, str_n(after.at, after.len)) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    size_t n = w->n_sorted - low < max ? w->n_sorted - low : max;
    if (!n) {                           /* all has been handed over */
        wal_recovered_free(w);
        *ret_n = 0;
        return 0;
    }
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

/* --- appending --- */

static size_t commit_len(const struct kl_store_commit *k)
{
    size_t n = sizeof(struct wal_record_head);
    for (uint32_t i = 0; i < k->n; i++) {
        const struct kl_store_op *op = WAL_AT(struct kl_store_op, k->ops, i);
        n += WAL_OP_HEAD + op->key.len + op->value.len;
    }
    return n;
}

/* Room for all of the batch, so that it stays in place, which lies in memory as it will in the file. */
static void begin_batch(struct wal *w, const struct kl_store_commit *commits, uint32_t n)
{
    size_t need = 2 * WAL_BLOCK;
    for (uint32_t i = 0; i < n; i++)
        need += commit_len(WAL_AT(struct kl_store_commit, commits, i));
    buf_clear(&w->batch);
    const char *at = buf_room(&w->batch, need);
    w->skip = ((uintptr_t)w->len - (uintptr_t)at) % WAL_BLOCK;
    w->batch.len = at ? w->skip : 0;
}

static uint32_t put_commit(struct wal *w, const struct kl_store_commit *k, uint32_t rest, uint32_t sum)
{
    static const struct wal_record_head blank;
    struct wal_record_head h = { .revision = k->revision, .n = k->n, .batch = w->batch_no + 1, .rest = rest };
    size_t from = w->batch.len;
    buf_add(&w->batch, &blank, sizeof blank);
    for (uint32_t i = 0; i < k->n; i++) {
        const struct kl_store_op *op = WAL_AT(struct kl_store_op, k->ops, i);
        wal_put_op(&w->batch, op->type, op->key, op->value, k->revision);
    }
    return wal_seal(&w->batch, from, h, sum);
}

/* Deletions and leases: what frees space, and what keeps a cluster from being taken for dead. */
static bool is_vital(const struct kl_store_commit *commits, uint32_t n)
{
    static const char lease[] = "coordination.k8s.io/leases/";
    for (uint32_t i = 0; i < n; i++) {
        const struct kl_store_commit *k = WAL_AT(struct kl_store_commit, commits, i);
        for (uint32_t j = 0; j < k->n; j++) {
            const struct kl_store_op *op = WAL_AT(struct kl_store_op, k->ops, j);
            if (op->type != KL_STORE_DELETE && !str_starts(str_n(op->key.at, op->key.len), str_of(lease)))
                return false;
        }
    }
    return true;
}

static int write_part(struct wal *w, int fd, int64_t from, int64_t to)
{
    const struct env_ops *e = env_ops();
    ssize_t rc = from < to ? e->pwrite_all(e->ctx, fd, w->batch.at + w->skip + (from - w->len), (size_t)(to - from), from) : 0;
    return rc < 0 ? (int)rc : 0;
}

/* The whole blocks of a large batch go past the page cache: nobody reads them again before the next start, and to copy them into pages that must be
 * found and cleared first took 6 % of a create. Its ends share blocks with what is before and behind, and go the ordinary way. */
#define DIRECT_LEAST 65536

static bool can_go_direct(struct wal *w, int64_t from, int64_t to)
{
    const struct env_ops *e = env_ops();
    char path[WAL_PATH];
    if (to - from < DIRECT_LEAST || w->direct_fd == NO_DIRECT || (uintptr_t)(w->batch.at + w->skip + (from - w->len)) % WAL_BLOCK)
        return false;
    if (w->direct_fd < 0) {
        wal_path(w, "wal", w->base, path);
        w->direct_fd = e->open(e->ctx, path, O_RDWR | O_DIRECT, 0);
    }
    if (w->direct_fd < 0)
        w->direct_fd = NO_DIRECT;       /* tmpfs, some of FUSE */
    return w->direct_fd >= 0;
}

static int write_batch(struct wal *w)
{
    int64_t end = w->len + (int64_t)(w->batch.len - w->skip);
    int64_t from = (w->len + WAL_BLOCK - 1) / WAL_BLOCK * WAL_BLOCK, to = end / WAL_BLOCK * WAL_BLOCK;
    if (!can_go_direct(w, from, to))
        return write_part(w, w->fd, w->len, end);
    int rc = write_part(w, w->fd, w->len, from);
    if (rc == 0 && (rc = write_part(w, w->direct_fd, from, to)) == -EINVAL) {   /* larger blocks than ours */
        wal_end_direct(w);
        w->direct_fd = NO_DIRECT;
        rc = write_part(w, w->fd, from, to);
    }
    return rc == 0 ? write_part(w, w->fd, to, end) : rc;
}

static int sync_batch(struct wal *w)
{
    const struct env_ops *e = env_ops();
    w->fsyncs += w->conf.sync != 0;
    return w->conf.sync ? e->fdatasync(e->ctx, w->fd) : 0;
}

static int move_on(struct wal *w, struct kl_call *c, uint64_t first)
{
    return wal_new_file(w, c, first > w->base ? first : w->base + 1);
}

/* The kernel may have dropped the pages of a failed fsync: the batch is written anew into a new file, never synced again in the old. */
static int sync_again(struct wal *w, struct kl_call *c, uint64_t first, int why)
{
    if (w->host)
        kl_log(w->host, KL_ERROR, "fdatasync failed (%s): going on in a new file", strerror(-why));
    w->suspect = true;
    int rc = move_on(w, c, first);
    if (rc < 0)
        return rc;
    rc = write_batch(w);
    if (rc == 0)
        rc = sync_batch(w);
    w->suspect = rc < 0;
    return rc < 0 ? wal_errno(c, rc, "cannot write", w->conf.dir) : 0;
}

/* Nothing of the batch stays; when even that is uncertain the file is left behind. */
static int take_back(struct wal *w, struct kl_call *c, int rc)
{
    const struct env_ops *e = env_ops();
    w->suspect = e->ftruncate(e->ctx, w->fd, w->len) < 0 || (w->conf.sync && e->fsync(e->ctx, w->fd) < 0);
    return wal_errno(c, rc, "cannot write the log in", w->conf.dir);
}

static int make_durable(struct wal *w, struct kl_call *c, const struct kl_store_commit *commits, uint32_t n)
{
    bool vital = is_vital(commits, n);
    int rc = vital ? 0 : wal_reserve(w);
    if (rc < 0)
        return wal_errno(c, rc, "the disk is full, only deletions and leases are taken in", w->conf.dir);
    if (w->suspect && (rc = move_on(w, c, commits[0].revision)) < 0)
        return rc;
    rc = write_batch(w);
    if ((rc == -ENOSPC || rc == -EDQUOT) && vital && w->reserve) {
        wal_release_reserve(w);
        rc = write_batch(w);
    }
    if (rc < 0)
        return take_back(w, c, rc);
    rc = sync_batch(w);
    return rc < 0 ? sync_again(w, c, commits[0].revision, rc) : 0;
}

static int append(void *self, struct kl_call *c, const struct kl_store_commit *commits, uint32_t n)
{
    struct wal *w = self;
    uint32_t sum = w->sum;
    if (w->arena)
        wal_recovered_free(w);
    w->unread = false;
    if (commits[0].revision <= w->revision)
        return kl_fail(c, KL_INVALID, "revision %llu is not above %llu", (unsigned long long)commits[0].revision, (unsigned long long)w->revision);
    begin_batch(w, commits, n);
    for (uint32_t i = 0; i < n; i++)
        sum = put_commit(w, WAL_AT(struct kl_store_commit, commits, i), n - 1 - i, sum);
    if (w->batch.failed) {
        buf_free(&w->batch);
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    }
    int rc = make_durable(w, c, commits, n);
    if (rc < 0)
        return rc;
    w->sum = sum;
    w->batch_no++;
    size_t len = w->batch.len - w->skip;
    w->len += (int64_t)len;
    w->since_snapshot += (int64_t)len;
    w->bytes += len;
    w->revision = WAL_AT(struct kl_store_commit, commits, n - 1)->revision;
    w->appends++;
    w->commits += n;
    if (w->batch.cap > 8u << 20)
        buf_free(&w->batch);
    return 0;
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
    .checkpoint = wal_checkpoint, .wants_checkpoint = wal_wants_checkpoint, .stats = stats, .examine = wal_examine,
};
static const struct kl_provider provides[] = { { KL_STORE_0, "wal", 10, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "dir", .type = KL_CONF_STR, .offset = offsetof(struct wal_conf, dir), .fallback = "/var/lib/keelson/store",
      .doc = "folder of the log and the snapshots" },
    { .key = "checkpoint", .type = KL_CONF_QUANTITY, .offset = offsetof(struct wal_conf, checkpoint_bytes), .fallback = "64Mi",
      .min = 65536, .max = INT64_MAX, .doc = "bytes of log after which a snapshot is made, at least" },
    { .key = "reserve", .type = KL_CONF_QUANTITY, .offset = offsetof(struct wal_conf, reserve_bytes), .fallback = "16Mi",
      .min = 0, .max = INT64_MAX, .doc = "disk space kept for deletions and leases when the disk is full; 0: none" },
    { .key = "sync", .type = KL_CONF_BOOL, .offset = offsetof(struct wal_conf, sync), .fallback = "true",
      .doc = "false: an acknowledged write may be lost when the machine fails" },
};

KL_PLUGIN_DEFINE("dev.keelson.store-wal", "0.1.0", "keelson.store/0:wal", "", .summary = "append log with group commit, and snapshots",
                 .license = "Apache-2.0", .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields),
                 .conf_size = sizeof(struct wal_conf));
