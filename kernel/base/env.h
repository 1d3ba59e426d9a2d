/* env.h - everything that is not a function of its inputs: clocks, randomness, disk. Injected once per process, so that a
 * simulation replays from a seed. Time outs use the monotonic clock; the wall clock is for display and certificates.
 * (The network is injected one storey up: kernel/api answers requests that need not come from a socket. The allocator
 * is in mem.h.)
 */
#ifndef BASE_ENV_H
#define BASE_ENV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct env_ops {
    int64_t (*mono_ns)(void *ctx);
    int64_t (*wall_ns)(void *ctx);
    void (*random)(void *ctx, void *at, size_t n);
    /* Disk: as the system calls of these names; -errno on failure. */
    int (*open)(void *ctx, const char *path, int flags, int mode);
    ssize_t (*pwrite_all)(void *ctx, int fd, const void *at, size_t n, int64_t offset);     /* all or -errno */
    ssize_t (*pread)(void *ctx, int fd, void *at, size_t n, int64_t offset);
    int (*fdatasync)(void *ctx, int fd);
    int (*fsync)(void *ctx, int fd);
    int (*ftruncate)(void *ctx, int fd, int64_t size);
    int (*allocate)(void *ctx, int fd, int64_t size);       /* so that writes up to size will find room */
    int (*rename)(void *ctx, const char *from, const char *to);
    int (*unlink)(void *ctx, const char *path);
    int (*close)(void *ctx, int fd);
    int (*mkdir)(void *ctx, const char *path, int mode);
    int (*lock)(void *ctx, int fd);                         /* for this process alone, at once or -EWOULDBLOCK */
    /* Names in a folder, in no order. */
    int (*list)(void *ctx, const char *dir, void (*each)(void *arg, const char *name), void *arg);
    void *ctx;
};

/* The present environment; the real one until env_set. [any] */
const struct env_ops *env_ops(void);
/* Before any thread starts. NULL: the real one. */
void env_set(const struct env_ops *ops);
/* The real one, for wrappers that pass calls on. */
const struct env_ops *env_real(void);

int64_t env_mono_ns(void);
int64_t env_wall_ns(void);
void env_random(void *at, size_t n);

#define NS_PER_MS 1000000LL
#define NS_PER_S  1000000000LL

static inline int64_t env_mono_ms(void)
{
    return env_mono_ns() / NS_PER_MS;
}

#endif
