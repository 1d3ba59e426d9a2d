/* files.c - names, heads and sums; new files; the reserve. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "wal.h"

uint32_t wal_file_check(const struct wal_file_head *h)
{
    return hash_crc32c(0, h, offsetof(struct wal_file_head, check));
}

uint32_t wal_record_check(const struct wal_record_head *h)
{
    return hash_crc32c(0, h, offsetof(struct wal_record_head, check));
}

uint32_t wal_record_sum(uint32_t before, const struct wal_record_head *h)
{
    return hash_crc32c(before, h, offsetof(struct wal_record_head, sum));
}

uint32_t wal_seal(struct buf *b, size_t from, struct wal_record_head h, uint32_t sum)
{
    if (b->failed)
        return sum;
    h.len = (uint32_t)(b->len - from - sizeof h);
    h.body = hash_crc32c(0, b->at + from + sizeof h, h.len);
    h.sum = wal_record_sum(sum, &h);
    h.check = wal_record_check(&h);
    memcpy(b->at + from, &h, sizeof h);
    return h.sum;
}

void wal_path(const struct wal *w, const char *kind, uint64_t base, char ret[WAL_PATH])
{
    snprintf(ret, WAL_PATH, "%s/%s-%020llu", w->conf.dir, kind, (unsigned long long)base);
}

int wal_errno(struct kl_call *c, int rc, const char *what, const char *path)
{
    int code = rc == -ENOSPC || rc == -EDQUOT ? KL_STORAGE_FULL : KL_UNAVAILABLE;
    return kl_fail(c, code, "%s '%s': %s", what, path, strerror(-rc));
}

int wal_sync_dir(const struct wal *w)
{
    const struct env_ops *e = env_ops();
    int fd = e->open(e->ctx, w->conf.dir, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    int rc = w->conf.sync ? e->fsync(e->ctx, fd) : 0;
    e->close(e->ctx, fd);
    return rc;
}

int wal_lock(struct wal *w, struct kl_call *c)
{
    const struct env_ops *e = env_ops();
    char path[WAL_PATH];
    snprintf(path, sizeof path, "%s/lock", w->conf.dir);
    w->lock_fd = e->open(e->ctx, path, O_RDWR | O_CREAT, 0600);
    if (w->lock_fd < 0)
        return wal_errno(c, w->lock_fd, "cannot open", path);
    if (e->lock(e->ctx, w->lock_fd) < 0)
        return kl_fail(c, KL_UNAVAILABLE, "store '%s' is in use by another process", w->conf.dir);
    return 0;
}

struct listing {
    const char *kind;
    uint64_t *at;
    size_t n, cap;
    bool failed;
};

static void note_name(void *ctx, const char *name)
{
    struct listing *l = ctx;
    size_t n = strlen(l->kind);
    int64_t base;
    if (strncmp(name, l->kind, n) != 0 || name[n] != '-' || !str_int(str_of(name + n + 1), &base) || base < 0)
        return;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        uint64_t *at = mem_resize(l->at, cap * sizeof *at);
        l->failed |= !at;
        if (!at)
            return;
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n++] = (uint64_t)base;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

int wal_list(const struct wal *w, const char *kind, uint64_t **ret, size_t *ret_n)
{
    const struct env_ops *e = env_ops();
    struct listing l = { .kind = kind };
    int rc = e->list(e->ctx, w->conf.dir, note_name, &l);
    if (rc == 0 && l.failed)
        rc = -ENOMEM;
    if (rc < 0) {
        mem_free(l.at);
        return rc;
    }
    if (l.n)
        qsort(l.at, l.n, sizeof *l.at, by_number);
    *ret = l.at;
    *ret_n = l.n;
    return 0;
}

void wal_end_direct(struct wal *w)
{
    if (w->direct_fd >= 0)
        env_ops()->close(env_ops()->ctx, w->direct_fd);
    w->direct_fd = -1;
}

/* Not synced on its own: it only helps to notice that the newest file has been removed. */
static void end_old_file(struct wal *w)
{
    const struct env_ops *e = env_ops();
    struct wal_record_head h = { .revision = w->revision, .n = RECORD_ON, .batch = w->batch_no };
    if (!w->suspect && w->conf.sync) {
        h.sum = wal_record_sum(w->sum, &h);
        h.check = wal_record_check(&h);
        e->pwrite_all(e->ctx, w->fd, &h, sizeof h, w->len);
    }
    wal_end_direct(w);
    e->close(e->ctx, w->fd);
}

/* The file appears under its name when its head is durable: a log without a head is damage. */
static int make_file(struct wal *w, const struct wal_file_head *h, const char *path)
{
    const struct env_ops *e = env_ops();
    char temp[WAL_PATH];
    snprintf(temp, sizeof temp, "%s/wal.tmp", w->conf.dir);
    int fd = e->open(e->ctx, temp, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return fd;
    ssize_t rc = e->pwrite_all(e->ctx, fd, h, sizeof *h, 0);
    if (rc >= 0 && w->conf.sync)
        rc = e->fsync(e->ctx, fd);
    if (rc >= 0)
        rc = e->rename(e->ctx, temp, path);
    if (rc >= 0) {
        w->suspect = true;              /* until all is well: should the name come to last, nothing may be added to the old file */
        rc = wal_sync_dir(w);
    }
    if (rc >= 0)
        return fd;
    e->close(e->ctx, fd);
    e->unlink(e->ctx, temp);
    return (int)rc;
}

int wal_new_file(struct wal *w, struct kl_call *c, uint64_t base)
{
    bool old = w->fd >= 0, suspect = w->suspect;
    struct wal_file_head h = { .magic = WAL_MAGIC, .base = base, .previous = old ? w->base : NO_FILE,
                               .previous_len = old ? (uint64_t)w->len : NO_FILE, .batch = w->batch_no, .sum = w->sum };
    char path[WAL_PATH];
    h.check = wal_file_check(&h);
    wal_path(w, "wal", base, path);
    int fd = make_file(w, &h, path);
    if (fd < 0)
        return wal_errno(c, fd, "cannot make", path);
    w->suspect = suspect;
    if (old)
        end_old_file(w);
    w->fd = fd;
    w->base = base;
    w->len = sizeof h;
    w->suspect = false;
    return 0;
}

/* --- the reserve --- */

static void reserve_path(const struct wal *w, char ret[WAL_PATH])
{
    snprintf(ret, WAL_PATH, "%s/reserve", w->conf.dir);
}

int wal_reserve(struct wal *w)
{
    const struct env_ops *e = env_ops();
    char path[WAL_PATH];
    if (w->reserve || !w->conf.reserve_bytes)
        return 0;
    reserve_path(w, path);
    int fd = e->open(e->ctx, path, O_RDWR | O_CREAT, 0600);
    int rc = fd < 0 ? fd : e->allocate(e->ctx, fd, w->conf.reserve_bytes);
    if (fd >= 0)
        e->close(e->ctx, fd);
    if (rc < 0)
        e->unlink(e->ctx, path);
    w->reserve = rc == 0;
    return rc;
}

void wal_release_reserve(struct wal *w)
{
    const struct env_ops *e = env_ops();
    char path[WAL_PATH];
    reserve_path(w, path);
    e->unlink(e->ctx, path);
    w->reserve = false;
}

/* --- operations --- */

void wal_put_op(struct buf *b, int type, struct kl_bytes key, struct kl_bytes value, uint64_t revision)
{
    uint32_t lens[2] = { (uint32_t)key.len, (uint32_t)value.len };
    buf_add_c(b, (char)type);
    buf_add(b, &revision, sizeof revision);
    buf_add(b, lens, sizeof lens);
    buf_add(b, key.at, key.len);
    buf_add(b, value.at, value.len);
}
