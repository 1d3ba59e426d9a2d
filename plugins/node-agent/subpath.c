/* subpath.c - one folder or file inside a volume, bound where no container can swap it: the path is resolved inside the volume
 * by the kernel to a descriptor, and that descriptor is mounted.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int open_inside(int dir, const char *path, uint64_t flags)
{
    struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

/* As the volume's own folder, whatever the umask: it is all that the container sees of the volume. */
static int set_mode(int dir, const char *name, mode_t mode)
{
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 || fchmod(fd, mode) != 0 ? -1 : 0;
}

/* Makes the folders of path that are not there, each below the one before, by descriptor. */
static int make_inside(int root, const char *path)
{
    struct stat volume;
    if (fstat(root, &volume) != 0)
        return -1;
    struct str rest = str_of(path);
    char name[256], so_far[4096] = "";
    while (rest.at) {
        struct str part = str_cut(&rest, '/');
        if (!part.len)
            continue;
        if (part.len > 255 || str_is(part, "..") || strlen(so_far) + part.len + 2 > sizeof so_far) {
            errno = EINVAL;
            return -1;
        }
        snprintf(name, sizeof name, STR_FMT, STR_ARG(part));
        _cleanup_close_ int dir = open_inside(root, so_far[0] ? so_far : ".", O_PATH | O_DIRECTORY);
        bool made = dir >= 0 && mkdirat(dir, name, volume.st_mode & 0777) == 0;
        if (dir < 0 || (!made && errno != EEXIST) || (made && !rest.len && set_mode(dir, name, volume.st_mode & 07777) != 0))
            return -1;
        size_t n = strlen(so_far);
        snprintf(so_far + n, sizeof so_far - n, "%s%s", n ? "/" : "", name);
    }
    return open_inside(root, so_far, O_PATH);
}

static int make_target(const char *target, bool dir, struct kl_err *err)
{
    char up[4096];
    const char *slash = strrchr(target, '/');
    snprintf(up, sizeof up, "%.*s", (int)(slash - target), target);
    umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW);
    int rc = disk_mkdirs(up, 0750, err);
    if (rc < 0)
        return rc;
    rmdir(target);
    unlink(target);
    return dir ? disk_mkdirs(target, 0750, err) : fs_put(target, STR(""), 0640, err);
}

int subpath_bind(const char *volume, const char *sub, const char *target, bool readonly, struct kl_err *err)
{
    struct stat st;
    char from[64];
    if (sub[0] == '/' || strcmp(sub, "..") == 0 || strncmp(sub, "../", 3) == 0 || strstr(sub, "/../"))
        return kl_err_set(err, KL_INVALID, "subPath '%s' must be relative and without '..'", sub);
    _cleanup_close_ int root = open(volume, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return kl_err_set(err, KL_INTERNAL, "'%s': %s", volume, strerror(errno));
    _cleanup_close_ int at = open_inside(root, sub, O_PATH);
    if (at < 0 && errno == ENOENT && !readonly)
        at = make_inside(root, sub);
    if (at < 0 || fstat(at, &st) != 0)
        return kl_err_set(err, KL_INVALID, "subPath '%s': %s", sub, strerror(errno));
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return kl_err_set(err, KL_INVALID, "subPath '%s' is neither a folder nor a file", sub);
    int rc = make_target(target, S_ISDIR(st.st_mode), err);
    if (rc < 0)
        return rc;
    snprintf(from, sizeof from, "/proc/self/fd/%d", at);
    if (mount(from, target, NULL, MS_BIND | MS_REC, NULL) != 0)
        return kl_err_set(err, KL_INTERNAL, "binding subPath '%s': %s", sub, strerror(errno));
    return 0;
}
