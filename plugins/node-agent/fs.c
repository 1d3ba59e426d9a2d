/* fs.c - folders and files of pods: made, replaced, read and removed without following links that a container made. */
#include "claims.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/disk.h"

#define DEPTH_MOST 128

static int fail(struct kl_err *err, const char *what)
{
    return kl_err_set(err, errno == ENOSPC ? KL_STORAGE_FULL : KL_INTERNAL, "'%s': %s", what, strerror(errno));
}

int fs_remove_at(int dir, const char *name)
{
    return disk_remove(dir, name, DEPTH_MOST);
}

int fs_remove_tree(const char *path)
{
    char up[4096];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    while (slash && !slash[1] && n > 0)     /* a slash at the end */
        return -EINVAL;
    if (!slash || n >= sizeof up || !slash[1])
        return -EINVAL;
    snprintf(up, sizeof up, "%.*s", n ? (int)n : 1, path);
    _cleanup_close_ int dir = open(up, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? (errno == ENOENT ? 0 : -errno) : fs_remove_at(dir, slash + 1);
}

int fs_put(const char *path, struct str text, uint32_t mode, struct kl_err *err)
{
    char next[4200];
    snprintf(next, sizeof next, "%s.next", path);
    unlink(next);
    _cleanup_close_ int fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(err, next);
    for (size_t at = 0; at < text.len;) {
        ssize_t n = write(fd, text.at + at, text.len - at);
        if (n < 0 && errno != EINTR)
            return fail(err, next);
        at += n > 0 ? (size_t)n : 0;
    }
    return fchmod(fd, mode) != 0 || rename(next, path) != 0 ? fail(err, path) : 0;
}

struct str fs_get(struct arena *a, const char *path, size_t most)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    char *at = a ? arena_raw(a, most + 1) : NULL;
    size_t len = 0;
    if (fd < 0 || !at || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return STR_NONE;
    for (ssize_t n; len < most && (n = read(fd, at + len, most - len)) != 0;) {
        if (n < 0 && errno != EINTR)
            return STR_NONE;
        len += n > 0 ? (size_t)n : 0;
    }
    at[len] = '\0';
    return str_n(at, len);
}

bool fs_is_mounted(const char *path)
{
    _cleanup_file_ FILE *f = fopen("/proc/self/mountinfo", "re");
    char line[8192], at[4096];
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "%*s %*s %*s %*s %4095s", at) == 1 && strcmp(at, path) == 0)
            return true;
    return false;
}

/* Innermost first: the mount table lists them in the order they were made. */
void fs_unmount_below(const char *path)
{
    size_t n = strlen(path);
    for (int round = 0; round < 64; round++) {
        _cleanup_file_ FILE *f = fopen("/proc/self/mountinfo", "re");
        char line[8192], at[4096], last[4096] = "";
        while (f && fgets(line, sizeof line, f))
            if (sscanf(line, "%*s %*s %*s %*s %4095s", at) == 1 && strncmp(at, path, n) == 0 && (at[n] == '/' || !at[n]))
                memcpy(last, at, sizeof last);
        if (!last[0] || umount2(last, MNT_DETACH | UMOUNT_NOFOLLOW) != 0)
            return;
    }
}

int fs_set_group(const char *path, uint32_t gid)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fchown(fd, (uid_t)-1, gid) != 0 || fstat(fd, &st) != 0 || fchmod(fd, (st.st_mode & 07777) | 02777) != 0)
        return -KL_INTERNAL;
    return 0;
}
