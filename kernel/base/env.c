/* env.c - the real environment. */
#include "base/env.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int64_t real_mono(void *ctx)
{
    (void)ctx;
    return clock_ns(CLOCK_MONOTONIC);
}

static int64_t real_wall(void *ctx)
{
    (void)ctx;
    return clock_ns(CLOCK_REALTIME);
}

static void from_system(void *at, size_t n)
{
    for (char *p = at; n;) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            abort();                    /* no randomness, no keys: nothing sane can follow */
        p += got;
        n -= (size_t)got;
    }
}

/* Pieces as long as a UUID are cut from a page: there are two for each request. It is empty in a child, and what was handed out is not kept. */
#define POOLED 16u
struct pool {
    pthread_mutex_t lock;
    struct page {
        uint32_t left;
        unsigned char at[4096 / POOLED - 1][POOLED];
    } *page;
};

static bool from_pool(struct pool *p, void *at)
{
    struct page *g = p->page;
    if (!g) {
        g = mmap(NULL, sizeof *g, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (g == MAP_FAILED)
            return false;
        if (madvise(g, sizeof *g, MADV_WIPEONFORK) < 0) {
            munmap(g, sizeof *g);
            return false;
        }
        p->page = g;
    }
    if (!g->left) {
        from_system(g->at, sizeof g->at);
        g->left = sizeof g->at / POOLED;
    }
    unsigned char *piece = g->at[--g->left];
    memcpy(at, piece, POOLED);
    explicit_bzero(piece, POOLED);
    return true;
}

static void real_random(void *ctx, void *at, size_t n)
{
    static struct pool pool = { .lock = PTHREAD_MUTEX_INITIALIZER };
    (void)ctx;
    bool done = false;
    if (n == POOLED && pthread_mutex_trylock(&pool.lock) == 0) {       /* held while another thread forks, it stays so in the child */
        done = from_pool(&pool, at);
        pthread_mutex_unlock(&pool.lock);
    }
    if (!done)
        from_system(at, n);
}

static int real_open(void *ctx, const char *path, int flags, int mode)
{
    (void)ctx;
    int fd = open(path, flags | O_CLOEXEC, mode);
    return fd < 0 ? -errno : fd;
}

static ssize_t real_pwrite_all(void *ctx, int fd, const void *at, size_t n, int64_t offset)
{
    (void)ctx;
    const char *p = at;
    for (size_t left = n; left;) {
        ssize_t put = pwrite(fd, p, left, offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : -ENOSPC;
        p += put;
        offset += put;
        left -= (size_t)put;
    }
    return (ssize_t)n;
}

static ssize_t real_pread(void *ctx, int fd, void *at, size_t n, int64_t offset)
{
    (void)ctx;
    ssize_t got;
    do
        got = pread(fd, at, n, offset);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

#define REAL(name, call, ...) \
    static int real_##name(void *ctx, __VA_ARGS__) \
    { \
        (void)ctx; \
        return (call) < 0 ? -errno : 0; \
    }
REAL(fdatasync, fdatasync(fd), int fd)
REAL(fsync, fsync(fd), int fd)
REAL(ftruncate, ftruncate(fd, size), int fd, int64_t size)
/* posix_fallocate would write zeros where the file system cannot: then nothing is reserved, which is no error. */
REAL(allocate, fallocate(fd, 0, 0, size) < 0 && errno != EOPNOTSUPP ? -1 : 0, int fd, int64_t size)
REAL(rename, rename(from, to), const char *from, const char *to)
REAL(unlink, unlink(path), const char *path)
REAL(close, close(fd), int fd)
REAL(mkdir, mkdir(path, (mode_t)mode), const char *path, int mode)
REAL(lock, flock(fd, LOCK_EX | LOCK_NB), int fd)

static int real_list(void *ctx, const char *dir, void (*each)(void *arg, const char *name), void *arg)
{
    (void)ctx;
    DIR *d = opendir(dir);
    if (!d)
        return -errno;
    for (struct dirent *e; (e = readdir(d));)
        each(arg, e->d_name);
    closedir(d);
    return 0;
}

static const struct env_ops real = {
    .mono_ns = real_mono,
    .wall_ns = real_wall,
    .random = real_random,
    .open = real_open,
    .pwrite_all = real_pwrite_all,
    .pread = real_pread,
    .fdatasync = real_fdatasync,
    .fsync = real_fsync,
    .ftruncate = real_ftruncate,
    .allocate = real_allocate,
    .rename = real_rename,
    .unlink = real_unlink,
    .close = real_close,
    .mkdir = real_mkdir,
    .lock = real_lock,
    .list = real_list,
};

static const struct env_ops *present = &real;

const struct env_ops *env_ops(void)
{
    return present;
}

const struct env_ops *env_real(void)
{
    return &real;
}

void env_set(const struct env_ops *ops)
{
    present = ops ? ops : &real;
}

int64_t env_mono_ns(void)
{
    return present->mono_ns(present->ctx);
}

int64_t env_wall_ns(void)
{
    return present->wall_ns(present->ctx);
}

void env_random(void *at, size_t n)
{
    present->random(present->ctx, at, n);
}
