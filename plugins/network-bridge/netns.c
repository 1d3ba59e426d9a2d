/* netns.c - network namespaces that outlive us (bind mounts), and work inside them on threads of their own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "bridge.h"

#define NSFS 0x6e736673                 /* f_type of a namespace file */

struct work {
    const char *path;
    int (*fn)(void *ctx, struct kl_err *err);
    void *ctx;
    struct kl_err *err;
    int rc;
};

/* A thread's namespace is its own and ends with it: nothing has to be put back. */
static int on_thread(void *(*run)(void *), struct work *w)
{
    pthread_t t;
    int e = pthread_create(&t, NULL, run, w);
    if (e)
        return kl_err_set(w->err, KL_UNAVAILABLE, "no thread for a network namespace: %s", strerror(e));
    pthread_join(t, NULL);
    return w->rc;
}

static bool is_namespace(const char *path)
{
    struct statfs st;
    return statfs(path, &st) == 0 && st.f_type == NSFS;
}

static void *make(void *ctx)
{
    struct work *w = ctx;
    if (unshare(CLONE_NEWNET) < 0)
        w->rc = kl_err_set(w->err, KL_INTERNAL, "a network namespace cannot be made: %s", strerror(errno));
    else if (mount("/proc/thread-self/ns/net", w->path, NULL, MS_BIND, NULL) < 0)
        w->rc = kl_err_set(w->err, KL_INTERNAL, "a network namespace cannot be kept at '%s': %s", w->path, strerror(errno));
    return NULL;
}

int netns_make(const char *path, struct kl_err *err)
{
    struct work w = { .path = path, .err = err };
    if (is_namespace(path))
        return 0;
    int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444);
    if (fd < 0)
        return kl_err_set(err, KL_INTERNAL, "'%s' cannot be made: %s", path, strerror(errno));
    close(fd);
    return on_thread(make, &w);
}

void netns_drop(const char *path)
{
    while (is_namespace(path) && umount2(path, MNT_DETACH) == 0)
        ;
    unlink(path);
}

static void *inside(void *ctx)
{
    struct work *w = ctx;
    int fd = open(w->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        w->rc = kl_err_set(w->err, KL_INTERNAL, "network namespace '%s' cannot be entered: %s", w->path, strerror(errno));
    else
        w->rc = w->fn(w->ctx, w->err);
    if (fd >= 0)
        close(fd);
    return NULL;
}

int netns_run(const char *path, int (*fn)(void *ctx, struct kl_err *err), void *ctx, struct kl_err *err)
{
    struct work w = { .path = path, .fn = fn, .ctx = ctx, .err = err };
    return on_thread(inside, &w);
}

static int open_sysctl(const char *name, int flags)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/sys/%s", name);
    int fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int write_sysctl(const char *name, const char *value)
{
    int fd = open_sysctl(name, O_WRONLY);
    if (fd < 0)
        return fd;
    ssize_t n = write(fd, value, strlen(value));
    int rc = n < 0 ? -errno : 0;
    close(fd);
    return rc;
}

int read_sysctl(const char *name, char *ret, size_t room)
{
    int fd = open_sysctl(name, O_RDONLY);
    if (fd < 0)
        return fd;
    ssize_t n = read(fd, ret, room - 1);
    close(fd);
    if (n < 0)
        return -EIO;
    while (n > 0 && (ret[n - 1] == '\n' || ret[n - 1] == ' '))
        n--;
    ret[n] = '\0';
    return 0;
}
