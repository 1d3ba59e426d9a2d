/* plugin.c - @NAME@: a storage driver. Each volume is a folder: DIR/<name>/data is what pods see, DIR/<name>/bytes its capacity. The latter is written
 * last: a volume is whole, or it is not there. What a real driver asks its storage for belongs where the folders are made and removed. */
#define _GNU_SOURCE
#include <errno.h>
#include <ftw.h>
#include <keelson/iface/volume.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct conf {
    const char *dir;
};

struct driver {
    const struct conf *conf;
};

static int open_(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct driver *d = calloc(1, sizeof *d);
    (void)h;
    if (!d)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    d->conf = conf;
    *self = d;
    return 0;
}

static void close_(void *self)
{
    free(self);
}

/* Ids may come from objects that users write: what is no plain name is no volume of ours. */
static int path_of(const struct driver *d, const char *id, const char *tail, char ret[512])
{
    size_t n = id ? strlen(id) : 0;
    if (!n || n > 128 || id[0] == '.' || id[strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789.-")])
        return -1;
    return snprintf(ret, 512, "%s/%s%s", d->conf->dir, id, tail) < 512 ? 0 : -1;
}

static long long bytes_of(const struct driver *d, const char *id)
{
    char path[512];
    long long bytes = -1;
    FILE *f = path_of(d, id, "/bytes", path) == 0 ? fopen(path, "re") : NULL;
    if (f) {
        if (fscanf(f, "%lld", &bytes) != 1)
            bytes = -1;
        fclose(f);
    }
    return bytes;                       /* -1: there is no such volume */
}

static int set_bytes(const struct driver *d, const char *id, long long bytes)
{
    char path[512], next[512];
    if (path_of(d, id, "/bytes", path) < 0 || path_of(d, id, "/bytes.next", next) < 0)
        return -1;
    FILE *f = fopen(next, "we");
    if (!f || fprintf(f, "%lld", bytes) < 0 || fflush(f) != 0 || fsync(fileno(f)) != 0) {
        if (f)
            fclose(f);
        return -1;
    }
    fclose(f);
    return rename(next, path);
}

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *at)
{
    (void)st;
    (void)what;
    (void)at;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

static int create(void *self, struct kl_call *c, const struct kl_volume_spec *s, struct kl_volume_made *ret)
{
    const struct driver *d = self;
    char path[512];
    if (path_of(d, s->name, "/data", path) < 0)
        return kl_fail(c, KL_INVALID, "'%.128s' is no name of a volume", s->name ? s->name : "");
    if (s->parameters && s->parameters[0])
        return kl_fail(c, KL_INVALID, "there is no parameter '%.60s'", s->parameters[0]);
    long long bytes = bytes_of(d, s->name);
    if (bytes >= 0 && (bytes < s->bytes || (s->bytes_most > 0 && bytes > s->bytes_most)))
        return kl_fail(c, KL_ALREADY_EXISTS, "volume '%s' is there with %lld bytes", s->name, bytes);
    mkdir(d->conf->dir, 0711);
    path[strlen(path) - strlen("/data")] = '\0';
    if (bytes < 0 && mkdir(path, 0711) != 0 && errno != EEXIST)
        return kl_fail(c, errno == ENOSPC ? KL_STORAGE_FULL : KL_INTERNAL, "'%s': %s", path, strerror(errno));
    path[strlen(path)] = '/';
    if (bytes < 0 && ((mkdir(path, 0777) != 0 && errno != EEXIST) || chmod(path, 0777) != 0 || set_bytes(d, s->name, s->bytes) != 0))
        return kl_fail(c, errno == ENOSPC ? KL_STORAGE_FULL : KL_INTERNAL, "'%s': %s", path, strerror(errno));
    ret->id = kl_dup(c, s->name, strlen(s->name));
    ret->bytes = bytes < 0 ? s->bytes : bytes;
    return ret->id ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int remove_(void *self, struct kl_call *c, const struct kl_volume_use *v)
{
    char path[512];
    if (path_of(self, v->id, "", path) < 0)
        return 0;                       /* not there: success */
    if (nftw(path, remove_one, 16, FTW_PHYS | FTW_DEPTH | FTW_MOUNT) != 0 && errno != ENOENT)
        return kl_fail(c, errno == EBUSY ? KL_CONFLICT : KL_INTERNAL, "'%s': %s", path, strerror(errno));
    return 0;
}

/* Nothing is mounted: the volume is a folder of this node already. A driver that mounts does it on v->target, and leaves *ret_path alone. */
static int publish(void *self, struct kl_call *c, const struct kl_volume_use *v, const char **ret_path)
{
    char path[512];
    if (path_of(self, v->id, "/data", path) < 0 || bytes_of(self, v->id) < 0)
        return kl_fail(c, KL_NOT_FOUND, "there is no volume '%.128s'", v->id ? v->id : "");
    *ret_path = kl_dup(c, path, strlen(path));
    return *ret_path ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int unpublish(void *self, struct kl_call *c, const struct kl_volume_use *v)
{
    (void)self;
    (void)c;
    (void)v;
    return 0;
}

static int expand(void *self, struct kl_call *c, const struct kl_volume_use *v, int64_t bytes, int64_t *ret_bytes)
{
    int64_t now = bytes_of(self, v->id);
    if (now < 0)
        return kl_fail(c, KL_NOT_FOUND, "there is no volume '%.128s'", v->id ? v->id : "");
    if (now < bytes && set_bytes(self, v->id, bytes) != 0)
        return kl_fail(c, errno == ENOSPC ? KL_STORAGE_FULL : KL_INTERNAL, "volume '%s': %s", v->id, strerror(errno));
    *ret_bytes = now < bytes ? bytes : now;
    return 0;
}

static const struct kl_volume table = {
    .size = sizeof table, .life = { .open = open_, .close = close_ }, .flags = KL_VOLUME_LOCAL,
    .create = create, .remove = remove_, .publish = publish, .unpublish = unpublish, .expand = expand,
};
static const struct kl_provider provides[] = { { KL_VOLUME_0, "@NAME@", 0, &table } };
static const struct kl_conf_field fields[] = {
    { .key = "dir", .type = KL_CONF_STR, .offset = offsetof(struct conf, dir), .flags = KL_CONF_REQUIRED, .doc = "where the volumes' folders are" },
};

KL_PLUGIN_DEFINE("@ID@", "0.1.0", "keelson.volume/0:@NAME@", "", .summary = "volumes as folders", .license = "Apache-2.0",
                 .providers = KL_ARRAY_OF(provides), .conf = KL_ARRAY_OF(fields), .conf_size = sizeof(struct conf));
