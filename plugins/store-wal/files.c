/* files.c - names, heads and sums. */
#include <dirent.h>
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

uint32_t wal_record_sum(uint32_t before, const struct wal_record_head *h, const void *body)
{
    return hash_crc32c(hash_crc32c(before, h, offsetof(struct wal_record_head, sum)), body, h->len);
}

void wal_path(const struct wal *w, const char *kind, uint64_t base, char *ret, size_t room)
{
    snprintf(ret, room, "%s/%s-%020llu", w->conf.dir, kind, (unsigned long long)base);
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

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

int wal_list(const struct wal *w, const char *kind, uint64_t **ret, size_t *ret_n)
{
    DIR *d = opendir(w->conf.dir);
    size_t cap = 16, n = strlen(kind);
    *ret_n = 0;
    *ret = d ? mem_alloc(cap * sizeof **ret) : NULL;
    for (struct dirent *e; *ret && (e = readdir(d));) {
        int64_t base;
        if (strncmp(e->d_name, kind, n) != 0 || e->d_name[n] != '-' || !str_int(str_of(e->d_name + n + 1), &base))
            continue;
        if (*ret_n == cap) {
            uint64_t *more = mem_resize(*ret, (cap *= 2) * sizeof *more);
            if (!more) {
                mem_free(*ret);
                *ret = NULL;
                break;
            }
            *ret = more;
        }
        (*ret)[(*ret_n)++] = (uint64_t)base;
    }
    if (d)
        closedir(d);
    if (!*ret)
        return -ENOMEM;
    qsort(*ret, *ret_n, sizeof **ret, by_number);
    return 0;
}

int wal_new_file(struct wal *w, struct kl_call *c, uint64_t base, uint64_t previous_len)
{
    const struct env_ops *e = env_ops();
    struct wal_file_head h = { .magic = WAL_MAGIC, .base = base, .previous_len = previous_len, .sum = w->sum };
    char path[4200];
    h.check = wal_file_check(&h);
    wal_path(w, "wal", base, path, sizeof path);
    int fd = e->open(e->ctx, path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return wal_errno(c, fd, "cannot make", path);
    ssize_t rc = e->pwrite_all(e->ctx, fd, &h, sizeof h, 0);
    if (rc >= 0 && w->conf.sync)
        rc = e->fsync(e->ctx, fd);
    if (rc >= 0)
        rc = wal_sync_dir(w);
    if (rc < 0) {
        e->close(e->ctx, fd);
        e->unlink(e->ctx, path);
        return wal_errno(c, (int)rc, "cannot write", path);
    }
    if (w->fd >= 0)
        e->close(e->ctx, w->fd);
    w->fd = fd;
    w->base = base;
    w->len = sizeof h;
    return 0;
}

static void put_u32(struct buf *b, uint32_t v)
{
    buf_add(b, &v, sizeof v);
}

void wal_put_op(struct buf *b, int type, struct kl_bytes key, struct kl_bytes value, uint64_t revision)
{
    buf_add_c(b, (char)type);
    buf_add(b, &revision, sizeof revision);
    put_u32(b, (uint32_t)key.len);
    put_u32(b, (uint32_t)value.len);
    buf_add(b, key.at, key.len);
    buf_add(b, value.at, value.len);
}
