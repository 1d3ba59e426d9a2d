/* rootfs.c - a container's root: overlayfs over the image's shared layers, or a copy where there is no overlayfs. Looked at
 * before any runtime sees it: what it will be asked to mount on must be what it seems.
 */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* overlayfs takes one page of options, so the lower folders are named relative to the layers folder; only a child may
 * change its working folder. */
int rootfs_overlay(const char *layers, const char *target, const char *options)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (chdir(layers) < 0 || mount("overlay", target, "overlay", MS_NODEV, options) < 0)
            _exit(errno > 0 && errno < 255 ? errno : 255);
        _exit(0);
    }
    if (pid < 0)
        return -errno;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

static int make_overlay(struct runtime *rt, const struct container *c, const char *const *dirs, uint32_t n, struct kl_err *err)
{
    char root[PATH_MAX], upper[PATH_MAX], work[PATH_MAX], empty[PATH_MAX], layers[PATH_MAX];
    _cleanup_buf_ struct buf o = BUF_INIT(4095);
    run_path(rt, root, "b", c->id, "rootfs");
    state_path(rt, upper, "containers", c->id, "upper");
    state_path(rt, work, "containers", c->id, "work");
    state_path(rt, empty, "containers", c->id, "empty");
    snprintf(layers, sizeof layers, "%.4000s/layers", image_store_dir(rt->images));
    if (mkdir(upper, 0755) < 0 || mkdir(work, 0700) < 0 || (n == 0 && mkdir(empty, 0755) < 0))
        return kl_err_set(err, KL_INTERNAL, "cannot make folder '%s': %s", upper, strerror(errno));
    buf_add_z(&o, "lowerdir=");
    for (uint32_t i = n; i > 0; i--)            /* the uppermost first */
        buf_printf(&o, "%s%s", strrchr(dirs[i - 1], '/') + 1, i > 1 ? ":" : "");
    buf_printf(&o, "%s,upperdir=%s,workdir=%s,userxattr", n ? "" : empty, upper, work);
    if (o.failed)
        return kl_err_set(err, KL_TOO_LARGE, "the image has too many layers for overlayfs");
    int rc = rootfs_overlay(layers, root, o.at);
    return rc == 0 ? 0 : kl_err_set(err, rc == -ENODEV ? KL_UNSUPPORTED : KL_INTERNAL, "cannot mount the root of container '%s': %s",
                                    c->id, strerror(-rc));
}

int rootfs_make(struct runtime *rt, const struct container *c, const struct image *i, struct arena *a, struct kl_err *err)
{
    char root[PATH_MAX];
    const char **dirs = NULL;
    run_path(rt, root, "b", c->id, "rootfs");
    int rc = disk_mkdirs(root, 0711, err);
    if (rc < 0 || chmod(root, 0755) < 0)
        return rc < 0 ? rc : kl_err_set(err, KL_INTERNAL, "cannot change '%s': %s", root, strerror(errno));
    if (!rt->no_overlay) {
        rc = image_hold(rt->images, a, i, c->id, &dirs, err);
        if (rc == 0)
            rc = make_overlay(rt, c, dirs, i->n_layers, err);
        if (rc != -KL_UNSUPPORTED)
            return rc;
        rt->no_overlay = true;
        rt_note(rt, "this kernel has no overlayfs: each container gets a copy of its image");
    }
    image_release(rt->images, c->id, NULL);
    return image_flatten(rt->images, i, root, err);
}

void rootfs_drop(struct runtime *rt, const char *id)
{
    char path[PATH_MAX];
    volume_drop(rt, id);
    run_path(rt, path, "b", id, "rootfs");
    umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
    run_path(rt, path, "b", id, NULL);
    fs_remove(AT_FDCWD, path, NULL);
    state_path(rt, path, "containers", id, NULL);
    fs_remove(AT_FDCWD, path, NULL);
    image_release(rt->images, id, NULL);
}

/* Where the runtime mounts or makes nodes: missing is fine, a folder is fine, a link never. */
static const char *const mount_points[] = { "dev", "proc", "sys" };
/* Files that are bound over: a link would move the mount elsewhere. */
static const char *const bound_files[] = { "etc/passwd", "etc/group", "etc/hosts", "etc/resolv.conf", "etc/hostname" };

static int check_mount_point(int root, const char *name, struct kl_err *err)
{
    struct stat st;
    if (fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : kl_err_set(err, KL_INVALID, "the image's '/%s' cannot be looked at: %s", name, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return kl_err_set(err, KL_INVALID, "the image is refused: its '/%s' is not a folder", name);
    return 0;
}

static int check_bound_file(int root, const char *name, struct kl_err *err)
{
    struct stat st;
    _cleanup_close_ int fd = fs_open_in(root, name, O_PATH | O_NOFOLLOW);
    if (fd == -ENOENT || fd == -ENOTDIR)
        return 0;
    if (fd < 0)
        return kl_err_set(err, KL_INVALID, "the image is refused: its '/%s' cannot be reached: %s", name, strerror(-fd));
    if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode))
        return 0;
    if (!S_ISLNK(st.st_mode))
        return kl_err_set(err, KL_INVALID, "the image is refused: its '/%s' is neither a file nor a link inside of it", name);
    char to[PATH_MAX];
    ssize_t n = readlinkat(fd, "", to, sizeof to - 1);
    to[n > 0 ? n : 0] = '\0';
    if (n <= 0 || strstr(to, "..") || strstr(to, "/proc"))     /* others stay inside: crun resolves them in the root */
        return kl_err_set(err, KL_INVALID, "the image is refused: its '/%s' is a link that leads out of it", name);
    return 0;
}

int rootfs_check(const char *root, struct kl_err *err)
{
    _cleanup_close_ int fd = open(root, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int rc = fd < 0 ? kl_err_set(err, KL_INTERNAL, "cannot open '%s': %s", root, strerror(errno)) : 0;
    for (size_t i = 0; rc == 0 && i < sizeof mount_points / sizeof *mount_points; i++)
        rc = check_mount_point(fd, mount_points[i], err);
    /* /dev/console and /dev/null of the image lie below our tmpfs; with a real /dev folder they cannot matter */
    struct stat st;
    if (rc == 0 && fstatat(fd, "etc", &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
        rc = kl_err_set(err, KL_INVALID, "the image is refused: its '/etc' is not a folder");
    for (size_t i = 0; rc == 0 && i < sizeof bound_files / sizeof *bound_files; i++)
        rc = check_bound_file(fd, bound_files[i], err);
    return rc;
}
