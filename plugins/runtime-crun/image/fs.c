/* fs.c - files and trees that others may have filled. */
#include "image/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/env.h"

#define DEEP 48                         /* deeper folders are moved up instead of held open */

static int read_all(int fd, const char *path, size_t max, struct buf *out, struct kl_err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return kl_err_set(err, KL_INVALID, "'%s' is not a regular file", path);
    if ((uint64_t)st.st_size > max)
        return kl_err_set(err, KL_TOO_LARGE, "'%s' has %lld bytes, at most %zu are read", path, (long long)st.st_size, max);
    size_t chunk = max < 65535 ? max + 1 : 65536;
    for (size_t total = 0;;) {
        char *at = buf_room(out, chunk);
        if (!at)
            return kl_err_set(err, KL_NO_MEMORY, "out of memory reading '%s'", path);
        ssize_t n = read(fd, at, chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kl_err_set(err, KL_INTERNAL, "cannot read '%s': %s", path, strerror(errno));
        out->len += (size_t)n;
        out->at[out->len] = '\0';
        total += (size_t)n;
        if (total > max)                /* proc files and files that grow meanwhile */
            return kl_err_set(err, KL_TOO_LARGE, "'%s' has more than %zu bytes", path, max);
        if (n == 0)
            return 0;
    }
}

static int read_opened(int fd, const char *path, size_t max, struct buf *out, struct kl_err *err)
{
    _cleanup_close_ int held = fd;
    if (fd < 0)
        return kl_err_set(err, fd == -ENOENT || fd == -ENOTDIR ? KL_NOT_FOUND : KL_INTERNAL, "cannot open '%s': %s", path,
                          strerror(-fd));
    return read_all(held, path, max, out, err);
}

int fs_read(int dir_fd, const char *path, size_t max, struct buf *out, struct kl_err *err)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    return read_opened(fd < 0 ? -errno : fd, path, max, out, err);
}

int fs_open_in(int root_fd, const char *path, int flags)
{
    struct open_how how = { .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                            .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof how);
    return fd < 0 ? -errno : (int)fd;
}

int fs_read_in(int root_fd, const char *path, size_t max, struct buf *out, struct kl_err *err)
{
    return read_opened(fs_open_in(root_fd, path, O_RDONLY | O_NONBLOCK), path, max, out, err);
}

static int write_all(int fd, struct str text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.at, text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text = str_skip(text, (size_t)n);
    }
    return 0;
}

int fs_write(int dir_fd, const char *path, struct str text, bool sync, struct kl_err *err)
{
    char part[PATH_MAX];
    uint32_t salt;
    env_random(&salt, sizeof salt);
    snprintf(part, sizeof part, "%.4000s.%08x.new", path, salt);
    _cleanup_close_ int fd = openat(dir_fd, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int rc = fd < 0 ? -errno : write_all(fd, text);
    if (rc == 0 && sync && fdatasync(fd) < 0)
        rc = -errno;
    if (rc == 0 && renameat(dir_fd, part, dir_fd, path) < 0)
        rc = -errno;
    if (rc == 0)
        return 0;
    unlinkat(dir_fd, part, 0);
    return kl_err_set(err, rc == -ENOSPC ? KL_STORAGE_FULL : KL_INTERNAL, "cannot write '%s': %s", path, strerror(-rc));
}

struct removal {
    int top_fd;                         /* the folder that holds the tree */
    unsigned moved;                     /* names used for folders that were moved up */
};

static int remove_dir(struct removal *r, int dir_fd, const char *name, int depth);

static int remove_entry(struct removal *r, int fd, const char *name, int depth)
{
    if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (depth < DEEP)
        return remove_dir(r, fd, name, depth + 1);
    char up[64];
    snprintf(up, sizeof up, ".removed-%d-%u", (int)getpid(), r->moved++);
    if (renameat(fd, name, r->top_fd, up) < 0)
        return -errno;
    return remove_dir(r, r->top_fd, up, 0);
}

static int remove_dir(struct removal *r, int dir_fd, const char *name, int depth)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return -ENOMEM;
    }
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            rc = remove_entry(r, fd, e->d_name, depth);
    closedir(d);
    if (rc == 0 && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        rc = -errno;
    return rc;
}

int fs_remove(int dir_fd, const char *path, struct kl_err *err)
{
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = '\0';
    _cleanup_close_ int top = openat(dir_fd, slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top < 0)
        return errno == ENOENT ? 0 : kl_err_set(err, KL_INTERNAL, "cannot open '%s': %s", parent, strerror(errno));
    struct removal r = { .top_fd = top };
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    int rc = remove_entry(&r, top, name, 0);
    if (rc < 0)
        return kl_err_set(err, KL_INTERNAL, "cannot remove '%s': %s", path, strerror(-rc));
    return 0;
}

bool fs_find_tool(const char *name, char *ret, size_t cap)
{
    static const char *const folders[] = { "/usr/bin", "/usr/local/bin", "/usr/sbin", "/usr/local/sbin", "/bin",
                                           "/usr/libexec/podman" };
    if (name[0] == '/') {
        snprintf(ret, cap, "%s", name);
        return access(name, X_OK) == 0;
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(ret, cap, "%s/%s", folders[i], name);
        if (access(ret, X_OK) == 0)
            return true;
    }
    return false;
}
