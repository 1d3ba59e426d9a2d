/* disk.c - see disk.h. */
#include "base/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define DEPTH_MOST 64

static int64_t add(int dir, dev_t device, int depth, int64_t *inodes)
{
    int64_t sum = 0;
    DIR *d = fdopendir(dir);
    if (!d) {
        close(dir);
        return 0;
    }
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_dev != device)
            continue;
        sum += (int64_t)st.st_blocks * 512;
        ++*inodes;
        int below = S_ISDIR(st.st_mode) && depth < DEPTH_MOST ? openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (below >= 0)
            sum += add(below, device, depth + 1, inodes);
    }
    closedir(d);
    return sum;
}

int64_t disk_use(const char *path, int64_t *ret_inodes)
{
    struct stat st;
    int64_t inodes = 0, sum = 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0)
        sum = add(fd, st.st_dev, 0, &inodes);
    else if (fd >= 0)
        close(fd);
    if (ret_inodes)
        *ret_inodes = inodes;
    return sum;
}

/* --- the end --- */

static int remove_inside(int dir, dev_t dev, int left);

static int remove_entry(int dir, const char *name, dev_t dev, int left)
{
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (st.st_dev != dev || left <= 0)
        return -EXDEV;                      /* a mount that could not be taken away: never empty what is behind it */
    int rc = remove_inside(fd, dev, left - 1);
    return rc == 0 && unlinkat(dir, name, AT_REMOVEDIR) != 0 && errno != ENOENT ? -errno : rc;
}

static int remove_inside(int dir, dev_t dev, int left)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return -errno;
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int one = remove_entry(fd, e->d_name, dev, left);
        rc = one < 0 ? one : rc;
    }
    closedir(d);
    return rc;
}

int disk_mkdirs(const char *path, unsigned mode, struct kl_err *err)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return kl_err_set(err, KL_INVALID, "path '%.80s' is empty or longer than %d bytes", path, PATH_MAX);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, i < n ? 0755 : mode) < 0 && errno != EEXIST)
            return kl_err_set(err, errno == ENOSPC || errno == EDQUOT ? KL_STORAGE_FULL : KL_INTERNAL, "folder '%s' cannot be made: %s", part, strerror(errno));
    }
    return 0;
}

int disk_remove(int dir, const char *name, int depth_most)
{
    struct stat st;
    return fstat(dir, &st) == 0 ? remove_entry(dir, name, st.st_dev, depth_most) : -errno;
}
