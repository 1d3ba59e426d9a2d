/* plugin.c - volume-dir: each volume is a folder on this node's disk.
 *
 *   DIR/<name>/bytes    its capacity as a number: written last, so that a volume is whole or is not there
 *   DIR/<name>/data/    what pods see
 *
 * The capacity is remembered, not enforced: nothing keeps a pod from filling the disk. volume-image keeps to it. */
#include <errno.h>
#include <fcntl.h>
#include <keelson/iface/volume.h>
#include <sys/stat.h>

#include "driver.h"
#include "folder.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "tree.h"

struct conf {
    const char *dir;
};

static int reconfigure(void *self, const void *conf, struct kl_call *c)
{
    const struct driver *d = self;
    if (strcmp(d->conf->dir, ((const struct conf *)conf)->dir) != 0)
        return kl_fail(c, KL_UNSUPPORTED, "dir changes when the instance is opened anew");
    ((struct driver *)self)->conf = conf;
    return 0;
}

/* --- folders --- */

static int fail(struct kl_call *c, const char *id, const char *what, int error)
{
    return kl_fail(c, error == ENOSPC || error == EDQUOT ? KL_STORAGE_FULL : KL_INTERNAL, "volume '%.128s': %s: %s", id, what, strerror(error));
}

/* The folder of all volumes. */
static int open_root(const struct driver *d)
{
    return volume_folder(d->conf->dir, 0711);
}

/* Its capacity; -1: there is no such volume. */
static int64_t bytes_of(int volume)
{
    char text[32];
    int64_t bytes;
    _cleanup_close_ int fd = openat(volume, "bytes", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    return n > 0 && str_int(str_n(text, (size_t)n), &bytes) ? bytes : -1;
}

static int set_bytes(int volume, int64_t bytes)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%lld", (long long)bytes);
    _cleanup_close_ int fd = openat(volume, "bytes.next", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, (size_t)n) != n || fsync(fd) != 0 || renameat(volume, "bytes.next", volume, "bytes") != 0 || fsync(volume) != 0)
        return -errno;
    return 0;
}

static int open_data(int root, const char *id)
{
    char path[160];
    snprintf(path, sizeof path, "%s/data", id);
    return openat(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* --- volumes --- */

static int fill(struct kl_call *c, int root, const struct kl_volume_spec *s)
{
    _cleanup_close_ int from = open_data(root, s->from), to = open_data(root, s->name);
    struct stat st;
    if (from < 0)
        return kl_fail(c, KL_NOT_FOUND, "there is no volume '%.128s' on this node to copy", s->from);
    int rc = to < 0 ? -errno : tree_copy(from, to);
    if (rc == 0 && (fstat(from, &st) != 0 || fchown(to, st.st_uid, st.st_gid) != 0 || fchmod(to, st.st_mode & 07777) != 0))
        rc = -errno;
    return rc < 0 ? fail(c, s->name, "copy", -rc) : 0;
}

static int make(struct kl_call *c, int root, const struct kl_volume_spec *s)
{
    _cleanup_close_ int volume = -1;
    int rc = tree_remove(root, s->name);                /* of a creation that was cut off */
    if (rc < 0 || mkdirat(root, s->name, 0711) != 0)
        return fail(c, s->name, "mkdir", rc < 0 ? -rc : errno);
    volume = openat(root, s->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (volume < 0 || mkdirat(volume, "data", 0777) != 0 || fchmodat(volume, "data", 0777, 0) != 0)
        return fail(c, s->name, "mkdir", errno);
    if (s->from && s->from[0] && (rc = fill(c, root, s)) < 0)
        return rc;
    rc = set_bytes(volume, s->bytes);
    return rc < 0 || fsync(root) != 0 ? fail(c, s->name, "write", rc < 0 ? -rc : errno) : 0;
}

static int create(void *self, struct kl_call *c, const struct kl_volume_spec *s, struct kl_volume_made *ret)
{
    if (!volume_name_ok(s->name))
        return kl_fail(c, KL_INVALID, "'%.128s' is no name of a volume", s->name ? s->name : "");
    if (s->parameters && s->parameters[0])
        return kl_fail(c, KL_INVALID, "there is no parameter '%.60s'", s->parameters[0]);
    if (s->block || (s->from && s->from[0] && !volume_name_ok(s->from)) || s->bytes < 0)
        return kl_fail(c, KL_INVALID, "volume '%s': it cannot be made so", s->name);
    _cleanup_close_ int root = open_root(self);
    if (root < 0)
        return fail(c, s->name, "folder of volumes", errno);
    _cleanup_close_ int old = openat(root, s->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int64_t bytes = old < 0 ? -1 : bytes_of(old);
    int rc = bytes < 0 ? make(c, root, s) : 0;
    if (rc < 0)
        return rc;
    if (bytes >= 0 && (bytes < s->bytes || (s->bytes_most > 0 && bytes > s->bytes_most)))
        return kl_fail(c, KL_ALREADY_EXISTS, "volume '%s' is there with %lld bytes", s->name, (long long)bytes);
    ret->id = kl_dup(c, s->name, strlen(s->name));
    ret->bytes = bytes < 0 ? s->bytes : bytes;
    return ret->id ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int remove_(void *self, struct kl_call *c, const struct kl_volume_use *v)
{
    if (!volume_name_ok(v->id))
        return 0;                       /* it never was one of these */
    _cleanup_close_ int root = open_root(self);
    int rc = root < 0 ? -errno : tree_remove(root, v->id);
    if (rc == -EXDEV)
        return kl_fail(c, KL_CONFLICT, "volume '%s' is in use", v->id);
    return rc < 0 ? fail(c, v->id, "remove", -rc) : 0;
}

/* *ret: its folder, open. */
static int find(struct driver *d, struct kl_call *c, const struct kl_volume_use *v, int *ret)
{
    _cleanup_close_ int root = volume_name_ok(v->id) ? open_root(d) : -1;
    _cleanup_close_ int volume = root < 0 ? -1 : openat(root, v->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (volume < 0 || bytes_of(volume) < 0)
        return kl_fail(c, KL_NOT_FOUND, "there is no volume '%.128s' on this node", v->id ? v->id : "");
    *ret = TAKE_FD(volume);
    return 0;
}

static int publish(void *self, struct kl_call *c, const struct kl_volume_use *v, const char **ret_path)
{
    struct driver *d = self;
    _cleanup_close_ int volume = -1;
    int rc = find(d, c, v, &volume);
    if (rc < 0)
        return rc;
    if (v->block)
        return kl_fail(c, KL_INVALID, "volume '%s' is a folder, not a block device", v->id);
    size_t n = strlen(d->conf->dir) + strlen(v->id) + sizeof "//data";
    char *path = kl_alloc(c, n);
    if (!path)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    snprintf(path, n, "%s/%s/data", d->conf->dir, v->id);
    *ret_path = path;
    return 0;
}

static int unpublish(void *self, struct kl_call *c, const struct kl_volume_use *v)
{
    (void)self;
    (void)c;
    (void)v;
    return 0;                           /* nothing was mounted */
}

static int expand(void *self, struct kl_call *c, const struct kl_volume_use *v, int64_t bytes, int64_t *ret_bytes)
{
    _cleanup_close_ int volume = -1;
    int rc = find(self, c, v, &volume);
    if (rc < 0)
        return rc;
    *ret_bytes = bytes_of(volume);
    if (*ret_bytes >= bytes)
        return 0;
    rc = set_bytes(volume, bytes);
    *ret_bytes = bytes;
    return rc < 0 ? fail(c, v->id, "write", -rc) : 0;
}

static const struct kl_volume table = {
    .size = sizeof table,
    .life = { .open = driver_open, .reconfigure = reconfigure, .close = driver_close },
    .flags = KL_VOLUME_LOCAL | KL_VOLUME_CLONE,
    .create = create,
    .remove = remove_,
    .publish = publish,
    .unpublish = unpublish,
    .expand = expand,
};

static const struct kl_provider provides[] = { { KL_VOLUME_0, "dir.keelson.dev", 0, &table } };

static const struct kl_conf_field fields[] = {
    { .key = "dir", .type = KL_CONF_STR, .offset = offsetof(struct conf, dir), .fallback = "/var/lib/keelson/volumes", .doc = "where the volumes' folders are" },
};

KL_PLUGIN_DEFINE("dev.keelson.volume-dir", "0.1.0", "keelson.volume/0:dir.keelson.dev", "", .summary = "volumes as folders on the node's disk", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
