/* plugin.c - volume-image: each volume is a file, and a block device of that size: what it holds has an end, and it can grow while it is in use.
 *
 *   DIR/<name>          the file; made under another name, so that it is whole or is not there
 *   DIR/.<name>.next    one that is being made
 *
 * A file system (ext4) is mounted on the target through a loop device that goes with the mount: a crash leaves nothing to be cleared up. A raw block volume's
 * device stays until unpublish. */
#include <errno.h>
#include <fcntl.h>
#include <keelson/iface/volume.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "driver.h"
#include "folder.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "loop.h"

#define LEAST (2 << 20)                 /* what an ext4 needs */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

struct conf {
    const char *dir, *mkfs, *fsck, *resize;
    int32_t thick;
};

/* --- files --- */

static int fail(struct kl_call *c, const char *id, const char *what, int error)
{
    int code = error == ENOSPC || error == EDQUOT ? KL_STORAGE_FULL : error == EPERM || error == EACCES ? KL_FORBIDDEN : KL_INTERNAL;
    return kl_fail(c, code, "volume '%.128s': %s: %s", id, what, strerror(error));
}

/* The folder of all volumes. */
static int open_root(const struct driver *d)
{
    return volume_folder(d->conf->dir, 0700);
}

/* The volume's file; -KL_NOT_FOUND. */
static int find(const struct driver *d, struct kl_call *c, const char *id, int *ret)
{
    struct stat st;
    _cleanup_close_ int root = volume_name_ok(id) ? open_root(d) : -1;
    *ret = root < 0 ? -1 : openat(root, id, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (*ret >= 0 && fstat(*ret, &st) == 0 && S_ISREG(st.st_mode))
        return 0;
    if (*ret >= 0)
        close(TAKE_FD(*ret));
    return kl_fail(c, KL_NOT_FOUND, "there is no volume '%.128s' on this node", id ? id : "");
}

static int64_t bytes_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_size : -1;
}

/* --- creation --- */

/* Its exit status, or < 0. */
static int run(struct kl_call *c, const char *id, const char *program, char *const *argv)
{
    char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
    posix_spawn_file_actions_t files;
    pid_t pid;
    int status = 0;
    posix_spawn_file_actions_init(&files);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&files, fd, "/dev/null", fd ? O_WRONLY : O_RDONLY, 0);
    int rc = posix_spawn(&pid, program, &files, NULL, argv, env);
    posix_spawn_file_actions_destroy(&files);
    if (rc != 0)
        return kl_fail(c, KL_UNAVAILABLE, "volume '%s': '%s' cannot be run: %s", id, program, strerror(rc));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : kl_fail(c, KL_INTERNAL, "volume '%s': '%s' ended by signal %d", id, program, WTERMSIG(status));
}

static int failed(struct kl_call *c, const char *id, const char *program, int status)
{
    return status < 0 ? status : kl_fail(c, KL_INTERNAL, "volume '%s': '%s' failed (status %d)", id, program, status);
}

static int make_fs(struct kl_call *c, const struct driver *d, const char *id, const char *path)
{
    char *const argv[] = { "mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard,root_owner=0:0", (char *)path, NULL };
    int status = run(c, id, d->conf->mkfs, argv);
    return status == 0 ? 0 : failed(c, id, d->conf->mkfs, status);
}

/* Bytes of the file system in the file; 0: there is none. */
static int64_t fs_bytes(int file)
{
    unsigned char sb[512];
    uint32_t low, high, shift, features;
    uint16_t magic;
    if (pread(file, sb, sizeof sb, 1024) != (ssize_t)sizeof sb)
        return 0;
    memcpy(&magic, sb + 0x38, 2);       /* little endian, as every machine that this runs on */
    memcpy(&low, sb + 4, 4);
    memcpy(&shift, sb + 24, 4);
    memcpy(&features, sb + 0x60, 4);
    memcpy(&high, sb + 0x150, 4);
    if (magic != 0xef53 || shift > 6)
        return 0;
    return (int64_t)(((features & 0x80 ? (uint64_t)high << 32 : 0) | low) << (10 + shift));
}

/* Before it is mounted: the file system takes the file's size. */
static int fit_fs(struct kl_call *c, const struct driver *d, const char *id, int file)
{
    char path[4400];
    int64_t has = fs_bytes(file);
    snprintf(path, sizeof path, "%s/%s", d->conf->dir, id);
    if (!has || has + LEAST / 2 > bytes_of(file))       /* a last piece may be too small for a group of its own */
        return 0;
    char *const check[] = { "e2fsck", "-f", "-p", path, NULL }, *const fit[] = { "resize2fs", path, NULL };
    int status = run(c, id, d->conf->fsck, check);
    if (status < 0 || status > 1)
        return failed(c, id, d->conf->fsck, status);
    status = run(c, id, d->conf->resize, fit);
    return status == 0 ? 0 : failed(c, id, d->conf->resize, status);
}

static int make(struct driver *d, struct kl_call *c, int root, const struct kl_volume_spec *s, int64_t bytes, bool thick)
{
    char next[160], path[4400];
    snprintf(next, sizeof next, ".%s.next", s->name);
    snprintf(path, sizeof path, "%s/%s", d->conf->dir, next);
    unlinkat(root, next, 0);            /* of a creation that was cut off */
    _cleanup_close_ int fd = openat(root, next, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(c, s->name, "create", errno);
    int error = ftruncate(fd, bytes) != 0 ? errno : 0, rc = 0;
    if (!error && thick)
        error = posix_fallocate(fd, 0, bytes);
    if (!error && !s->block)
        rc = make_fs(c, d, s->name, path);
    if (!error && rc == 0 && (fsync(fd) != 0 || renameat(root, next, root, s->name) != 0 || fsync(root) != 0))
        error = errno;
    if (error || rc < 0)
        unlinkat(root, next, 0);
    return error ? fail(c, s->name, "create", error) : rc;
}

static int read_parameters(struct kl_call *c, const struct kl_volume_spec *s, bool *thick)
{
    for (const char *const *p = s->parameters; p && p[0] && p[1]; p += 2) {
        if (strcmp(p[0], "thick") != 0 || (strcmp(p[1], "true") != 0 && strcmp(p[1], "false") != 0))
            return kl_fail(c, KL_INVALID, "parameter '%.60s' = '%.60s' is none: there is thick = true or false", p[0], p[1]);
        *thick = strcmp(p[1], "true") == 0;
    }
    if (s->fs_type && *s->fs_type && strcmp(s->fs_type, "ext4") != 0)
        return kl_fail(c, KL_INVALID, "file system '%.30s' is not made here: there is ext4", s->fs_type);
    return 0;
}

static int create(void *self, struct kl_call *c, const struct kl_volume_spec *s, struct kl_volume_made *ret)
{
    struct driver *d = self;
    bool thick = d->conf->thick;
    if (!volume_name_ok(s->name) || s->bytes < 0)
        return kl_fail(c, KL_INVALID, "'%.128s' is no name of a volume", s->name ? s->name : "");
    int rc = read_parameters(c, s, &thick);
    if (rc < 0)
        return rc;
    _cleanup_close_ int root = open_root(d);
    if (root < 0)
        return fail(c, s->name, "folder of volumes", errno);
    int64_t bytes = ((s->bytes > LEAST ? s->bytes : LEAST) + 4095) / 4096 * 4096;
    _cleanup_close_ int old = openat(root, s->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (old < 0 && s->bytes_most > 0 && bytes > s->bytes_most)
        return kl_fail(c, KL_INVALID, "volume '%s': it would have %lld bytes, the limit is %lld", s->name, (long long)bytes, (long long)s->bytes_most);
    if (old < 0 && (rc = make(d, c, root, s, bytes, thick)) < 0)
        return rc;
    int64_t has = old < 0 ? bytes : bytes_of(old);
    if (has < s->bytes || (s->bytes_most > 0 && has > s->bytes_most))
        return kl_fail(c, KL_ALREADY_EXISTS, "volume '%s' is there with %lld bytes", s->name, (long long)has);
    ret->id = kl_dup(c, s->name, strlen(s->name));
    ret->bytes = has;
    return ret->id ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int remove_(void *self, struct kl_call *c, const struct kl_volume_use *v)
{
    char device[64];
    _cleanup_close_ int fd = -1;
    if (find(self, c, v->id, &fd) < 0) {
        kl_err_init(&c->err);
        return 0;
    }
    if (loop_find(fd, device, sizeof device) == 0)
        return kl_fail(c, KL_CONFLICT, "volume '%s' is in use: %s", v->id, device);
    _cleanup_close_ int root = open_root(self);
    return root < 0 || (unlinkat(root, v->id, 0) != 0 && errno != ENOENT) ? fail(c, v->id, "remove", errno) : 0;
}

/* --- use --- */

static bool is_mounted(const char *target)
{
    _cleanup_file_ FILE *f = fopen("/proc/self/mountinfo", "re");
    char line[8192], at[4096];
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "%*s %*s %*s %*s %4095s", at) == 1 && strcmp(at, target) == 0)
            return true;
    return false;
}

/* mount(8)'s words that are flags; the rest is the file system's own. */
static int read_options(struct kl_call *c, const struct kl_volume_use *v, unsigned long *flags, char data[512])
{
    static const struct {
        const char *word;
        unsigned long flag;
    } words[] = { { "ro", MS_RDONLY }, { "noatime", MS_NOATIME }, { "nodiratime", MS_NODIRATIME }, { "relatime", MS_RELATIME }, { "strictatime", MS_STRICTATIME },
                  { "nosuid", MS_NOSUID }, { "nodev", MS_NODEV }, { "noexec", MS_NOEXEC }, { "sync", MS_SYNCHRONOUS }, { "dirsync", MS_DIRSYNC }, { "rw", 0 }, { "defaults", 0 } };
    size_t n = 0;
    *flags = v->read_only ? MS_RDONLY : 0;
    data[0] = '\0';
    for (const char *const *o = v->options; o && *o; o++) {
        size_t i = 0;
        while (i < sizeof words / sizeof *words && strcmp(words[i].word, *o) != 0)
            i++;
        if (i < sizeof words / sizeof *words)
            *flags |= words[i].flag;
        else if (n + strlen(*o) + 2 < 512)
            n += (size_t)snprintf(data + n, 512 - n, "%s%s", n ? "," : "", *o);
        else
            return kl_fail(c, KL_INVALID, "volume '%s': its mount options are too long", v->id);
    }
    return 0;
}

static int mount_on(const struct driver *d, struct kl_call *c, const struct kl_volume_use *v, int file)
{
    char device[64], data[512];
    unsigned long flags;
    _cleanup_close_ int kept = -1;
    int rc = read_options(c, v, &flags, data);
    if (rc < 0 || is_mounted(v->target))
        return rc;
    bool free_ = loop_find(file, device, sizeof device) == -ENOENT;     /* else mounted elsewhere, or not given back by a raw use */
    if (free_ && (rc = fit_fs(c, d, v->id, file)) < 0)
        return rc;
    if (free_ && (rc = loop_attach(file, true, flags & MS_RDONLY, device, sizeof device, &kept)) < 0)
        return fail(c, v->id, "loop device", -rc);
    return mount(device, v->target, "ext4", flags, data) == 0 ? 0 : fail(c, v->id, "mount", errno);
}

static int give_device(struct kl_call *c, const struct kl_volume_use *v, int file, const char **ret_path)
{
    char device[64];
    _cleanup_close_ int kept = -1;
    int rc = loop_find(file, device, sizeof device);
    if (rc == -ENOENT)
        rc = loop_attach(file, false, v->read_only, device, sizeof device, &kept);
    if (rc < 0)
        return fail(c, v->id, "loop device", -rc);
    *ret_path = kl_dup(c, device, strlen(device));
    return *ret_path ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int publish(void *self, struct kl_call *c, const struct kl_volume_use *v, const char **ret_path)
{
    _cleanup_close_ int file = -1;
    int rc = find(self, c, v->id, &file);
    if (rc < 0)
        return rc;
    return v->block ? give_device(c, v, file, ret_path) : mount_on(self, c, v, file);
}

static int unpublish(void *self, struct kl_call *c, const struct kl_volume_use *v)
{
    char device[64];
    _cleanup_close_ int file = -1;
    if (!v->block)
        return umount2(v->target, UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT ? 0 : fail(c, v->id ? v->id : "", "unmount", errno);
    if (find(self, c, v->id, &file) < 0) {
        kl_err_init(&c->err);
        return 0;
    }
    int rc = loop_find(file, device, sizeof device);
    if (rc == 0)
        rc = loop_detach(device);
    return rc == 0 || rc == -ENOENT || rc == -ENXIO ? 0 : fail(c, v->id, device, -rc);
}

/* --- growth --- */

static int expand(void *self, struct kl_call *c, const struct kl_volume_use *v, int64_t bytes, int64_t *ret_bytes)
{
    char device[64];
    _cleanup_close_ int file = -1;
    int rc = find(self, c, v->id, &file);
    if (rc < 0)
        return rc;
    int64_t has = bytes_of(file), want = (bytes + 4095) / 4096 * 4096;
    if (has < want && ftruncate(file, want) != 0)
        return fail(c, v->id, "expand", errno);
    *ret_bytes = has < want ? want : has;
    rc = loop_find(file, device, sizeof device) == 0 ? loop_resize(device) : 0;
    return rc < 0 ? fail(c, v->id, device, -rc) : 0;
}

static int grow(void *self, struct kl_call *c, const struct kl_volume_use *v)
{
    struct statfs fs;
    _cleanup_close_ int file = -1;
    _cleanup_close_ int at = open(v->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = find(self, c, v->id, &file);
    if (rc < 0)
        return rc;
    if (at < 0 || fstatfs(at, &fs) != 0)
        return fail(c, v->id, v->target, errno);
    uint64_t blocks = (uint64_t)bytes_of(file) / (uint64_t)fs.f_bsize;
    if (fs_bytes(file) + LEAST / 2 > bytes_of(file))
        return 0;
    return ioctl(at, EXT4_IOC_RESIZE_FS, &blocks) == 0 ? 0 : fail(c, v->id, "grow", errno);
}

static const struct kl_volume table = {
    .size = sizeof table,
    .life = { .open = driver_open, .close = driver_close },
    .flags = KL_VOLUME_LOCAL | KL_VOLUME_BLOCK,
    .create = create,
    .remove = remove_,
    .publish = publish,
    .unpublish = unpublish,
    .expand = expand,
    .grow = grow,
};

static const struct kl_provider provides[] = { { KL_VOLUME_0, "image.keelson.dev", 0, &table } };

static const struct kl_conf_field fields[] = {
    { .key = "dir", .type = KL_CONF_STR, .offset = offsetof(struct conf, dir), .fallback = "/var/lib/keelson/volume-images", .doc = "where the volumes' files are" },
    { .key = "mkfs", .type = KL_CONF_STR, .offset = offsetof(struct conf, mkfs), .fallback = "/sbin/mkfs.ext4", .doc = "the program that makes a file system" },
    { .key = "fsck", .type = KL_CONF_STR, .offset = offsetof(struct conf, fsck), .fallback = "/sbin/e2fsck", .doc = "the program that looks at one before it grows" },
    { .key = "resize", .type = KL_CONF_STR, .offset = offsetof(struct conf, resize), .fallback = "/sbin/resize2fs", .doc = "the program that makes one larger that is not mounted" },
    { .key = "thick", .type = KL_CONF_BOOL, .offset = offsetof(struct conf, thick), .fallback = "false",
      .doc = "a volume's room on the disk is taken when it is made, unless its class says otherwise" },
};

KL_PLUGIN_DEFINE("dev.keelson.volume-image", "0.1.0", "keelson.volume/0:image.keelson.dev", "", .summary = "volumes as files with a file system of their size", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
