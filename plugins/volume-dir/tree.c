/* tree.c - see tree.h. Everything by descriptor: who owned the volume may still change it meanwhile. */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/disk.h"

#define DEPTH_MOST 512

static DIR *open_list(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d && fd >= 0)
        close(fd);
    return d;
}

static struct dirent *next(DIR *d)
{
    struct dirent *e;
    while ((e = readdir(d)) && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0))
        ;
    return e;
}

int tree_remove(int dir, const char *name)
{
    return disk_remove(dir, name, DEPTH_MOST + 1);
}

/* --- copying --- */

static int copy_file(int from, int to, const char *name)
{
    _cleanup_close_ int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    _cleanup_close_ int out = in < 0 ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    ssize_t n = 1;
    while (out >= 0 && n > 0)
        n = sendfile(out, in, NULL, 1 << 30);
    return in < 0 || out < 0 || n < 0 ? -errno : 0;
}

static int copy_link(int from, int to, const char *name)
{
    char text[4097];
    ssize_t n = readlinkat(from, name, text, sizeof text - 1);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    return symlinkat(text, to, name) == 0 ? 0 : -errno;
}

static int copy_into(int from, int to, int depth);

static int copy_folder(int from, int to, const char *name, int depth)
{
    _cleanup_close_ int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0 || (mkdirat(to, name, 0700) != 0 && errno != EEXIST))
        return -errno;
    _cleanup_close_ int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return out < 0 ? -errno : copy_into(in, out, depth + 1);
}

static int copy_one(int from, int to, const char *name, int depth)
{
    struct stat st;
    int rc = fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;  /* it went meanwhile */
    if (S_ISDIR(st.st_mode))
        rc = depth < DEPTH_MOST ? copy_folder(from, to, name, depth) : -EXDEV;
    else if (S_ISREG(st.st_mode))
        rc = copy_file(from, to, name);
    else if (S_ISLNK(st.st_mode))
        rc = copy_link(from, to, name);
    else
        return 0;                       /* sockets, pipes: nobody is at their other end */
    if (rc == 0 && fchownat(to, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
        rc = -errno;
    if (rc == 0 && !S_ISLNK(st.st_mode) && fchmodat(to, name, st.st_mode & 07777, 0) != 0)
        rc = -errno;
    if (rc == 0)
        utimensat(to, name, (const struct timespec[]){ st.st_atim, st.st_mtim }, AT_SYMLINK_NOFOLLOW);
    return rc;
}

static int copy_into(int from, int to, int depth)
{
    DIR *d = open_list(from);
    int rc = d ? 0 : -errno;
    for (struct dirent *e; d && rc == 0 && (e = next(d));)
        rc = copy_one(from, to, e->d_name, depth);
    if (d)
        closedir(d);
    return rc;
}

int tree_copy(int from, int to)
{
    return copy_into(from, to, 0);
}
