/* writer.c - replaces all files of a volume at once: they stand in a folder of their own, reached through the link
 * `..data`, which is swapped by rename. Readers see the old files or the new ones, never both.
 */
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define DATA_LINK "..data"
#define PATH_MOST 4096

bool writer_path_ok(struct str path)
{
    if (!path.len || path.len > PATH_MOST || path.at[0] == '/' || memchr(path.at, '\0', path.len))
        return false;
    if (str_starts(path, STR("..")))
        return false;
    for (struct str rest = path; rest.at;) {
        struct str part = str_cut(&rest, '/');
        if (!part.len || part.len > 255 || str_is(part, "..") || str_is(part, "."))
            return false;
    }
    return true;
}

static int fail(struct kl_err *err, const char *what)
{
    return kl_err_set(err, errno == ENOSPC ? KL_STORAGE_FULL : KL_INTERNAL, "'%s': %s", what, strerror(errno));
}

static bool file_equal(int data, const struct writer_file *f)
{
    _cleanup_close_ int fd = openat(data, f->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size != f->data.len || (st.st_mode & 07777) != f->mode ||
        (f->uid && st.st_uid != f->uid))
        return false;
    char part[8192];
    for (size_t at = 0; at < f->data.len;) {
        ssize_t n = read(fd, part, sizeof part);
        if (n <= 0 || at + (size_t)n > f->data.len || memcmp(part, f->data.at + at, (size_t)n) != 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static size_t count_files(int dir, int depth)
{
    int fd = depth < 64 ? openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    size_t n = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        _cleanup_close_ int sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        n += sub >= 0 ? count_files(sub, depth + 1) : 1;
    }
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
    return n;
}

static bool unchanged(int dir, const struct payload *p)
{
    _cleanup_close_ int data = openat(dir, DATA_LINK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t n = 0;
    if (data < 0)
        return false;
    for (const struct writer_file *f = p->first; f; f = f->next, n++)
        if (!file_equal(data, f))
            return false;
    return count_files(data, 0) == n;
}

/* Folders of a file's path, below dir. */
static int make_parents(int dir, const char *path)
{
    char part[PATH_MOST + 1];
    for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(p - path), path);
        if (mkdirat(dir, part, 0755) != 0 && errno != EEXIST)
            return -1;
    }
    return 0;
}

static int put_file(int dir, const struct writer_file *f, uint32_t gid)
{
    if (make_parents(dir, f->path) != 0)
        return -1;
    _cleanup_close_ int fd = openat(dir, f->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    for (size_t at = 0; at < f->data.len;) {
        ssize_t n = write(fd, f->data.at + at, f->data.len - at);
        if (n < 0 && errno != EINTR)
            return -1;
        at += n > 0 ? (size_t)n : 0;
    }
    if ((gid || f->uid) && fchown(fd, f->uid, gid ? gid : (gid_t)-1) != 0)
        return -1;
    return fchmod(fd, gid ? f->mode | (f->mode & 0400) >> 3 : f->mode);
}

static struct str top_of(const char *path)
{
    struct str rest = str_of(path);
    return str_cut(&rest, '/');
}

static bool has_top(const struct payload *p, struct str name)
{
    for (const struct writer_file *f = p->first; f; f = f->next)
        if (str_eq(top_of(f->path), name))
            return true;
    return false;
}

static int link_names(int dir, const struct payload *p)
{
    for (const struct writer_file *f = p->first; f; f = f->next) {
        char name[256], to[300];
        snprintf(name, sizeof name, STR_FMT, STR_ARG(top_of(f->path)));
        snprintf(to, sizeof to, DATA_LINK "/%s", name);
        if (symlinkat(to, dir, name) != 0 && errno != EEXIST)
            return -1;
    }
    return 0;
}

/* Names and data folders of earlier contents. */
static void clean(int dir, const struct payload *p, const char *keep)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strcmp(e->d_name, DATA_LINK) == 0 || strcmp(e->d_name, keep) == 0)
            continue;
        if (strncmp(e->d_name, "..", 2) == 0 || !has_top(p, str_of(e->d_name)))
            fs_remove_at(dir, e->d_name);
    }
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
}

static int fill(int dir, const char *name, const struct payload *p)
{
    if (mkdirat(dir, name, 0755) != 0)
        return -1;
    _cleanup_close_ int fresh = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fresh < 0)
        return -1;
    for (const struct writer_file *f = p->first; f; f = f->next)
        if (put_file(fresh, f, p->gid) != 0)
            return -1;
    return 0;
}

static int swap(int dir, const char *name)
{
    unlinkat(dir, "..data_next", 0);
    if (symlinkat(name, dir, "..data_next") != 0)
        return -1;
    return renameat(dir, "..data_next", dir, DATA_LINK);
}

int writer_write(const char *path, const struct payload *p, struct kl_err *err)
{
    for (const struct writer_file *f = p->first; f; f = f->next)
        if (!writer_path_ok(str_of(f->path)))
            return kl_err_set(err, KL_INVALID, "invalid path: '%s' must be relative and without '..'", f->path);
    _cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return fail(err, path);
    if (!p->gid && unchanged(dir, p))
        return 0;
    uint64_t salt;
    char name[64];
    env_random(&salt, sizeof salt);
    snprintf(name, sizeof name, "..%016llx", (unsigned long long)salt);
    if (fill(dir, name, p) != 0 || swap(dir, name) != 0 || link_names(dir, p) != 0) {
        int rc = fail(err, path);
        fs_remove_at(dir, name);
        return rc;
    }
    clean(dir, p, name);
    return 1;
}
