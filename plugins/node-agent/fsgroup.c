/* fsgroup.c - a volume's files are given to the pod's fsGroup, by descriptor and without following a link: what is in a volume was made by pods. */
#include "claims.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define DEPTH_MOST 512

struct giving {
    uint32_t gid;
    mode_t file, dir;                   /* bits that are added */
    dev_t dev;
};

static bool is_so(const struct giving *g, const struct stat *st)
{
    mode_t want = S_ISDIR(st->st_mode) ? g->dir : g->file;
    return st->st_gid == g->gid && (st->st_mode & want) == want;
}

static int give(const struct giving *g, int fd, const struct stat *st)
{
    mode_t mode = (st->st_mode & 07777) | (S_ISDIR(st->st_mode) ? g->dir : g->file);
    if (is_so(g, st))
        return 0;
    /* A change of owners takes setuid away, so the mode comes after it. */
    return (st->st_gid != g->gid && fchown(fd, (uid_t)-1, g->gid) != 0) || fchmod(fd, mode) != 0 ? -errno : 0;
}

static int give_inside(const struct giving *g, int dir, int depth);

static int give_entry(const struct giving *g, int dir, const char *name, int depth)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))       /* a link's own group; a pipe is not opened */
        return fchownat(dir, name, (uid_t)-1, g->gid, AT_SYMLINK_NOFOLLOW) == 0 || errno == ENOENT ? 0 : -errno;
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
    if (fd < 0 || fstat(fd, &st) != 0)
        return errno == ENOENT || errno == ELOOP || errno == ENOTDIR ? 0 : -errno;
    if (st.st_dev != g->dev)
        return 0;
    int rc = give(g, fd, &st);
    return rc == 0 && S_ISDIR(st.st_mode) && depth < DEPTH_MOST ? give_inside(g, fd, depth + 1) : rc;
}

static int give_inside(const struct giving *g, int dir, int depth)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        rc = -errno;
        if (fd >= 0)
            close(fd);
        return rc;
    }
    for (struct dirent *e; rc == 0 && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            rc = give_entry(g, fd, e->d_name, depth);
    closedir(d);
    return rc;
}

int fsgroup_set(const char *path, uint32_t gid, bool write, bool on_mismatch, struct kl_err *err)
{
    struct giving g = { .gid = gid, .file = write ? 0660 : 0440, .dir = write ? 02770 : 02550 };
    struct stat st;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int rc = fd < 0 || fstat(fd, &st) != 0 ? -errno : 0;
    if (rc == 0 && on_mismatch && is_so(&g, &st))
        return 0;
    g.dev = rc == 0 ? st.st_dev : 0;
    if (rc == 0)
        rc = give_inside(&g, fd, 0);
    if (rc == 0)                        /* the root last: OnRootMismatch shall mean that all is done */
        rc = give(&g, fd, &st);
    return rc < 0 ? kl_err_set(err, KL_INTERNAL, "applyFSGroup failed: %s", strerror(-rc)) : 0;
}
