/* disk.c - see disk.h. */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

#define SECTOR 512
#define BLOCK  4096
#define NAMES  256
#define FDS    64

struct file {
    struct buf now, platter;            /* as programs see it; as it would be after a crash, at least */
    bool *fresh;                        /* per sector: written since the last sync */
    size_t n_fresh;
    size_t reserved;                    /* by allocate */
    unsigned refs;
};

struct name {
    char path[256];
    struct file *file;
};

/* The folder: what programs see, what is on the platter, and the changes between the two in their order. */
struct folder {
    struct name at[NAMES];
    unsigned n;
};
struct change {
    char path[256], to[256];            /* to: renamed */
    struct file *file;                  /* created */
};

struct disk {
    uint64_t random;
    struct folder now, platter;
    struct change changes[NAMES];
    unsigned n_changes;
    struct file *fds[FDS];
    bool locked[FDS], folder_fd[FDS], direct[FDS];
    unsigned direct_writes;
    unsigned crash_in, fail_syncs, syncs;
    size_t limit;
    bool down;
};

static uint64_t roll(struct disk *d)
{
    d->random ^= d->random << 13;
    d->random ^= d->random >> 7;
    d->random ^= d->random << 17;
    return d->random;
}

static void must(bool ok)
{
    if (!ok)
        abort();                        /* a test asks for more than this disk has */
}

/* --- files --- */

static struct file *file_ref(struct file *f)
{
    f->refs++;
    return f;
}

static void file_unref(struct file *f)
{
    if (!f || --f->refs)
        return;
    buf_free(&f->now);
    buf_free(&f->platter);
    free(f->fresh);
    free(f);
}

static void set_len(struct buf *b, size_t len)
{
    if (len > b->len) {
        char *room = buf_room(b, len - b->len);
        must(room != NULL);
        memset(room, 0, len - b->len);
    }
    b->len = len;
}

static void mark(struct file *f, size_t from, size_t to)
{
    size_t n = (to + SECTOR - 1) / SECTOR;
    if (n > f->n_fresh) {
        f->fresh = realloc(f->fresh, n * sizeof *f->fresh);
        must(f->fresh != NULL);
        memset(f->fresh + f->n_fresh, 0, (n - f->n_fresh) * sizeof *f->fresh);
        f->n_fresh = n;
    }
    for (size_t i = from / SECTOR; i < n; i++)
        f->fresh[i] = true;
}

static void clean(struct file *f)
{
    for (size_t i = 0; i < f->n_fresh; i++)
        f->fresh[i] = false;
}

static void to_platter(struct file *f, size_t sector)
{
    size_t from = sector * SECTOR, to = from + SECTOR < f->now.len ? from + SECTOR : f->now.len;
    if (from >= to)
        return;
    if (f->platter.len < to)
        set_len(&f->platter, to);
    memcpy(f->platter.at + from, f->now.at + from, to - from);
}

static void sync_file(struct file *f)
{
    for (size_t i = 0; i < f->n_fresh; i++)
        if (f->fresh[i])
            to_platter(f, i);
    set_len(&f->platter, f->now.len);
    clean(f);
}

/* Some sectors got there before the power failed, and the length is any that was asked for. */
static void crash_file(struct disk *d, struct file *f)
{
    size_t low = f->platter.len;
    for (size_t i = 0; i < f->n_fresh; i++)
        if (f->fresh[i] && roll(d) % 2)
            to_platter(f, i);
    if (f->now.len > low && f->platter.len < f->now.len && roll(d) % 2)
        set_len(&f->platter, low + roll(d) % (f->now.len - low + 1) > f->platter.len ? f->now.len : f->platter.len);
    if (f->now.len < f->platter.len && roll(d) % 2)
        f->platter.len = f->now.len;
    set_len(&f->now, 0);
    buf_add(&f->now, f->platter.at, f->platter.len);
    clean(f);
}

/* --- names --- */

static struct name *find(struct folder *x, const char *path)
{
    for (unsigned i = 0; i < x->n; i++)
        if (strcmp(x->at[i].path, path) == 0)
            return &x->at[i];
    return NULL;
}

static void put(struct folder *x, const char *path, struct file *f)
{
    struct name *n = find(x, path);
    if (n) {
        file_unref(n->file);
    } else {
        must(x->n < NAMES);
        n = &x->at[x->n++];
        snprintf(n->path, sizeof n->path, "%s", path);
    }
    n->file = file_ref(f);
}

static void drop(struct folder *x, const char *path)
{
    struct name *n = find(x, path);
    if (!n)
        return;
    file_unref(n->file);
    *n = x->at[--x->n];
}

static void apply(struct folder *x, const struct change *c)
{
    struct name *n = find(x, c->path);
    if (c->file) {
        put(x, c->path, c->file);
    } else if (!c->to[0]) {
        drop(x, c->path);
    } else if (n) {
        struct file *f = file_ref(n->file);
        drop(x, c->path);
        put(x, c->to, f);
        file_unref(f);
    }
}

static void settle(struct disk *d, unsigned n)
{
    for (unsigned i = 0; i < d->n_changes; i++) {
        if (i < n)
            apply(&d->platter, &d->changes[i]);
        file_unref(d->changes[i].file);
    }
    d->n_changes = 0;
}

static void change(struct disk *d, const char *path, const char *to, struct file *f)
{
    must(d->n_changes < NAMES);
    struct change *c = &d->changes[d->n_changes++];
    *c = (struct change){ .file = f ? file_ref(f) : NULL };
    snprintf(c->path, sizeof c->path, "%s", path);
    snprintf(c->to, sizeof c->to, "%s", to);
    apply(&d->now, c);
}

static void folder_clear(struct folder *x)
{
    while (x->n)
        drop(x, x->at[0].path);
}

/* --- the calls --- */

static bool gone(struct disk *d)
{
    return d->down;
}

/* Before each call that changes something. */
static bool dies(struct disk *d)
{
    if (!d->down && d->crash_in && --d->crash_in == 0)
        disk_crash(d);
    return d->down;
}

static int new_fd(struct disk *d, struct file *f)
{
    for (int i = 3; i < FDS; i++)
        if (!d->fds[i] && !d->folder_fd[i]) {
            d->fds[i] = f ? file_ref(f) : NULL;
            d->folder_fd[i] = !f;
            return i;
        }
    return -EMFILE;
}

static int sim_open(void *ctx, const char *path, int flags, int mode)
{
    struct disk *d = ctx;
    (void)mode;
    if (gone(d))
        return -EIO;
    if (flags & O_DIRECTORY)
        return new_fd(d, NULL);
    struct name *n = find(&d->now, path);
    if (!n && !(flags & O_CREAT))
        return -ENOENT;
    if (n && flags & O_EXCL)
        return -EEXIST;
    if (!n) {
        if (dies(d))
            return -EIO;
        struct file *f = calloc(1, sizeof *f);
        must(f != NULL);
        f->refs = 1;
        change(d, path, "", f);
        file_unref(f);
        n = find(&d->now, path);
    }
    if (flags & O_TRUNC && n->file->now.len) {
        if (dies(d))
            return -EIO;
        mark(n->file, 0, n->file->now.len);
        n->file->now.len = 0;
    }
    int fd = new_fd(d, n->file);
    if (fd >= 0)
        d->direct[fd] = flags & O_DIRECT;
    return fd;
}

unsigned disk_direct_writes(const struct disk *d)
{
    return d->direct_writes;
}

/* What the kernel asks of those who write past its cache. */
static bool is_aligned(const void *at, size_t n, int64_t offset)
{
    return (uintptr_t)at % BLOCK == 0 && n % BLOCK == 0 && offset % BLOCK == 0;
}

size_t disk_used(const struct disk *d)
{
    size_t n = 0;
    for (unsigned i = 0; i < d->now.n; i++) {
        const struct file *f = d->now.at[i].file;
        n += f->now.len > f->reserved ? f->now.len : f->reserved;
    }
    return n;
}

static ssize_t sim_pwrite_all(void *ctx, int fd, const void *at, size_t n, int64_t offset)
{
    struct disk *d = ctx;
    if (dies(d))
        return -EIO;
    if (d->direct[fd] && !is_aligned(at, n, offset))
        return -EINVAL;
    d->direct_writes += d->direct[fd];
    struct file *f = d->fds[fd];
    size_t end = (size_t)offset + n, whole = n;
    if (d->limit && end > f->now.len && disk_used(d) + (end - f->now.len) > d->limit) {
        size_t room = d->limit > disk_used(d) ? d->limit - disk_used(d) : 0;
        end = f->now.len + room;
        n = end > (size_t)offset ? end - (size_t)offset : 0;
    }
    if (n && f->now.len < end)
        set_len(&f->now, end);
    if (n)
        memcpy(f->now.at + offset, at, n);
    mark(f, (size_t)offset, (size_t)offset + n);
    return n < whole ? -ENOSPC : (ssize_t)n;
}

static ssize_t sim_pread(void *ctx, int fd, void *at, size_t n, int64_t offset)
{
    struct disk *d = ctx;
    if (gone(d))
        return -EIO;
    struct file *f = d->fds[fd];
    size_t left = (size_t)offset < f->now.len ? f->now.len - (size_t)offset : 0;
    n = n < left ? n : left;
    if (n)
        memcpy(at, f->now.at + offset, n);
    return (ssize_t)n;
}

static int sim_fsync(void *ctx, int fd)
{
    struct disk *d = ctx;
    if (dies(d))
        return -EIO;
    if (d->folder_fd[fd]) {
        settle(d, d->n_changes);
        return 0;
    }
    if (d->fail_syncs) {                /* the kernel marks the pages clean: no later sync will write them */
        d->fail_syncs--;
        clean(d->fds[fd]);
        return -EIO;
    }
    sync_file(d->fds[fd]);
    d->syncs++;
    return 0;
}

static int sim_ftruncate(void *ctx, int fd, int64_t size)
{
    struct disk *d = ctx;
    if (dies(d))
        return -EIO;
    struct file *f = d->fds[fd];
    size_t was = f->now.len;
    set_len(&f->now, (size_t)size);
    if ((size_t)size < was)
        mark(f, (size_t)size, was);
    return 0;
}

static int sim_allocate(void *ctx, int fd, int64_t size)
{
    struct disk *d = ctx;
    if (dies(d))
        return -EIO;
    if (d->limit && disk_used(d) + (size_t)size > d->limit)
        return -ENOSPC;
    d->fds[fd]->reserved = (size_t)size;
    return 0;
}

static int sim_rename(void *ctx, const char *from, const char *to)
{
    struct disk *d = ctx;
    if (dies(d))
        return -EIO;
    if (!find(&d->now, from))
        return -ENOENT;
    change(d, from, to, NULL);
    return 0;
}

static int sim_unlink(void *ctx, const char *path)
{
    struct disk *d = ctx;
    if (dies(d))
        return -EIO;
    if (!find(&d->now, path))
        return -ENOENT;
    change(d, path, "", NULL);
    return 0;
}

static int sim_close(void *ctx, int fd)
{
    struct disk *d = ctx;
    file_unref(d->fds[fd]);
    d->fds[fd] = NULL;
    d->locked[fd] = d->folder_fd[fd] = d->direct[fd] = false;
    return 0;
}

/* Folders are there; only the names within one are kept. */
static int sim_mkdir(void *ctx, const char *path, int mode)
{
    struct disk *d = ctx;
    (void)path;
    (void)mode;
    return dies(d) ? -EIO : 0;
}

static int sim_lock(void *ctx, int fd)
{
    struct disk *d = ctx;
    for (int i = 0; i < FDS; i++)
        if (d->locked[i] && d->fds[i] == d->fds[fd])
            return -EWOULDBLOCK;
    d->locked[fd] = true;
    return 0;
}

static int sim_list(void *ctx, const char *dir, void (*each)(void *arg, const char *name), void *arg)
{
    struct disk *d = ctx;
    size_t n = strlen(dir);
    if (gone(d))
        return -EIO;
    for (unsigned i = 0; i < d->now.n; i++) {
        const char *p = d->now.at[i].path;
        if (strncmp(p, dir, n) == 0 && p[n] == '/' && !strchr(p + n + 1, '/'))
            each(arg, p + n + 1);
    }
    return 0;
}

/* --- life --- */

struct disk *disk_new(uint64_t seed)
{
    struct disk *d = calloc(1, sizeof *d);
    must(d != NULL);
    d->random = seed * 0x9e3779b97f4a7c15ULL + 0x1234567;
    for (int i = 0; i < 8; i++)
        roll(d);
    return d;
}

static void close_all(struct disk *d)
{
    for (int i = 0; i < FDS; i++)
        sim_close(d, i);
}

void disk_free(struct disk *d)
{
    close_all(d);
    settle(d, 0);
    folder_clear(&d->now);
    folder_clear(&d->platter);
    free(d);
}

void disk_env(struct disk *d, struct env_ops *ops)
{
    ops->open = sim_open;
    ops->pwrite_all = sim_pwrite_all;
    ops->pread = sim_pread;
    ops->fdatasync = ops->fsync = sim_fsync;
    ops->ftruncate = sim_ftruncate;
    ops->allocate = sim_allocate;
    ops->rename = sim_rename;
    ops->unlink = sim_unlink;
    ops->close = sim_close;
    ops->mkdir = sim_mkdir;
    ops->lock = sim_lock;
    ops->list = sim_list;
    ops->ctx = d;
}

void disk_crash(struct disk *d)
{
    d->down = true;
}

void disk_crash_at(struct disk *d, unsigned n)
{
    d->crash_in = n;
}

bool disk_is_down(const struct disk *d)
{
    return d->down;
}

void disk_restart(struct disk *d)
{
    close_all(d);
    settle(d, d->n_changes ? (unsigned)(roll(d) % (d->n_changes + 1)) : 0);
    folder_clear(&d->now);
    for (unsigned i = 0; i < d->platter.n; i++) {
        put(&d->now, d->platter.at[i].path, d->platter.at[i].file);
        crash_file(d, d->platter.at[i].file);
    }
    d->down = false;
    d->crash_in = d->fail_syncs = 0;
}

void disk_kill(struct disk *d)
{
    close_all(d);
    d->crash_in = 0;
    d->down = false;
}

void disk_fail_syncs(struct disk *d, unsigned n)
{
    d->fail_syncs = n;
}

void disk_limit(struct disk *d, size_t bytes)
{
    d->limit = bytes;
}

unsigned disk_syncs(const struct disk *d)
{
    return d->syncs;
}

char *disk_bytes(struct disk *d, const char *path, size_t *ret_len)
{
    struct name *n = find(&d->now, path);
    *ret_len = n ? n->file->now.len : 0;
    return n ? n->file->now.at : NULL;
}

void disk_cut(struct disk *d, const char *path, size_t len)
{
    struct name *n = find(&d->now, path);
    must(n != NULL);
    n->file->now.len = len;
    sync_file(n->file);
}

void disk_remove(struct disk *d, const char *path)
{
    drop(&d->now, path);
    drop(&d->platter, path);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

unsigned disk_names(struct disk *d, const char **ret, unsigned room)
{
    unsigned n = d->now.n < room ? d->now.n : room;
    for (unsigned i = 0; i < n; i++)
        ret[i] = d->now.at[i].path;
    qsort(ret, n, sizeof *ret, by_text);
    return n;
}

void disk_copy(struct disk *to, const struct disk *from)
{
    disk_kill(to);
    settle(to, 0);
    folder_clear(&to->now);
    folder_clear(&to->platter);
    for (unsigned i = 0; i < from->now.n; i++) {
        struct file *f = calloc(1, sizeof *f);
        must(f != NULL);
        f->refs = 1;
        f->reserved = from->now.at[i].file->reserved;
        buf_add(&f->now, from->now.at[i].file->now.at, from->now.at[i].file->now.len);
        buf_add(&f->platter, f->now.at, f->now.len);
        put(&to->now, from->now.at[i].path, f);
        put(&to->platter, from->now.at[i].path, f);
        file_unref(f);
    }
    to->limit = from->limit;
}
