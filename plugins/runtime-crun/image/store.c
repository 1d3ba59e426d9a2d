/* store.c - the folder: opening, the writers' lock, the index of names, and sweeping out what nothing needs. */
#include "image/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#define LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}"
#define EMPTY_INDEX "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_INDEX "\",\"manifests\":[]}"

static int make_files(struct image_store *s, struct kl_err *err)
{
    static const char *const folders[] = { "blobs", "blobs/sha256", "layers", "users", "tmp" };
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (mkdirat(s->fd, folders[i], 0700) < 0 && errno != EEXIST)
            return kl_err_set(err, KL_INTERNAL, "cannot make folder '%s/%s': %s", s->dir, folders[i], strerror(errno));
    int rc = 0;
    if (faccessat(s->fd, "oci-layout", F_OK, 0) < 0)
        rc = fs_write(s->fd, "oci-layout", STR(LAYOUT), false, err);
    if (rc == 0 && faccessat(s->fd, "index.json", F_OK, 0) < 0)
        rc = fs_write(s->fd, "index.json", STR(EMPTY_INDEX), false, err);
    return rc;
}

int image_store_open(const char *dir, struct image_store **ret, struct kl_err *err)
{
    int rc = disk_mkdirs(dir, 0711, err);
    if (rc < 0)
        return rc;
    struct image_store *s = mem_alloc(sizeof *s);
    if (!s)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    s->dir = mem_dup(dir, strlen(dir));
    s->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = s->fd < 0 ? kl_err_set(err, KL_INTERNAL, "cannot open the image store '%s': %s", dir, strerror(errno)) : 0;
    if (rc == 0) {
        _cleanup_close_ int lock = store_lock(s, err);
        rc = lock < 0 ? lock : make_files(s, err);
    }
    if (rc < 0)
        image_store_close(s);
    else
        *ret = s;
    return rc;
}

struct image_store *image_store_close(struct image_store *s)
{
    if (s && s->fd >= 0)
        close(s->fd);
    if (s)
        mem_free(s->dir);
    mem_free(s);
    return NULL;
}

const char *image_store_dir(const struct image_store *s)
{
    return s->dir;
}

int store_lock(struct image_store *s, struct kl_err *err)
{
    _cleanup_close_ int fd = openat(s->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return kl_err_set(err, KL_INTERNAL, "cannot lock the image store '%s': %s", s->dir, strerror(errno));
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return kl_err_set(err, KL_INTERNAL, "cannot lock the image store '%s': %s", s->dir, strerror(errno));
    return TAKE_FD(fd);
}

int store_index(struct image_store *s, struct arena *a, struct val **ret, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(DOCUMENT_MOST + 65536);
    int rc = fs_read(s->fd, "index.json", DOCUMENT_MOST, &b, err);
    if (rc < 0)
        return rc;
    struct str text = arena_str(a, buf_str(&b));
    struct val *v = text.at ? json_parse(a, text, err) : NULL;
    if (!v)
        return text.at ? kl_err_wrap(err, "'%s/index.json'", s->dir) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (!val_is(json_get(v, STR("manifests")), VAL_ARR))
        return kl_err_set(err, KL_CORRUPT, "'%s/index.json' has no list 'manifests'", s->dir);
    *ret = v;
    return 0;
}

int store_index_save(struct image_store *s, const struct val *index, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(DOCUMENT_MOST);
    json_write(&b, index);
    if (b.failed)
        return kl_err_set(err, KL_TOO_LARGE, "the index of '%s' would exceed %u bytes", s->dir, DOCUMENT_MOST);
    int rc = fs_write(s->fd, "index.json", buf_str(&b), true, err);
    return rc == 0 && fsync(s->fd) < 0 ? kl_err_set(err, KL_INTERNAL, "cannot write '%s' to disk", s->dir) : rc;
}

int store_name(struct image_store *s, struct arena *a, const char *name, const char *manifest, int64_t size, struct kl_err *err)
{
    struct val *index;
    int rc = store_index(s, a, &index, err);
    if (rc < 0)
        return rc;
    struct val *list = json_get(index, STR("manifests"));
    for (struct val *v = list->first, *next; v; v = next) {
        next = v->next;
        if (str_is(val_str(json_get(json_get(v, STR("annotations")), STR(NAME_KEY))), name))
            val_unlink(list, v);
    }
    struct val *d = val_push(list, val_new(a, VAL_OBJ));
    json_set_str(a, d, STR("mediaType"), STR(MEDIA_MANIFEST));
    json_set_str(a, d, STR("digest"), arena_str(a, str_of(manifest)));
    json_set_int(a, d, STR("size"), size);
    json_set_str(a, json_obj(a, d, STR("annotations")), STR(NAME_KEY), arena_str(a, str_of(name)));
    if (arena_exhausted(a))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    return store_index_save(s, index, err);
}

/* Digits of every digest that must stay; map keys live in the arena. */
static int mark_images(struct image_store *s, struct arena *a, struct map *keep, struct kl_err *err)
{
    struct val *index;
    int rc = store_index(s, a, &index, err);
    if (rc < 0)
        return rc;
    val_each(v, json_get(index, STR("manifests"))) {
        struct image *i;
        struct str digest = json_str(v, "digest");
        rc = manifest_load(s, a, digest, &i, err);
        if (rc < 0)
            return rc;                  /* never sweep on a guess */
        bool ok = map_put(keep, str_of(digest_hex(i->manifest)), i) && map_put(keep, str_of(digest_hex(i->id)), i);
        for (uint32_t n = 0; n < i->n_layers; n++)
            ok = ok && map_put(keep, str_of(digest_hex(i->layers[n].digest)), i) &&
                 map_put(keep, str_n(digest_hex(i->layers[n].digest), 32), i);
        if (!ok)
            return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    return 0;
}

static DIR *open_folder(struct image_store *s, const char *name)
{
    int fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? NULL : fdopendir(fd);
}

static int mark_users(struct image_store *s, struct arena *a, struct map *keep, struct kl_err *err)
{
    DIR *d = open_folder(s, "users");
    int rc = 0;
    for (struct dirent *e; d && rc == 0 && (e = readdir(d));) {
        _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
        if (e->d_name[0] == '.' || strstr(e->d_name, ".new"))
            continue;
        rc = fs_read(dirfd(d), e->d_name, 1 << 15, &b, err);
        struct str rest = arena_str(a, buf_str(&b));
        while (rc == 0 && rest.at) {
            struct str line = str_cut(&rest, '\n');
            if (line.len && !map_put(keep, line, s))
                rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
        }
    }
    if (d)
        closedir(d);
    return rc;
}

static int sweep_folder(struct image_store *s, const char *name, const struct map *keep, struct kl_err *err)
{
    DIR *d = open_folder(s, name);
    int rc = 0;
    for (struct dirent *e; d && rc == 0 && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !map_get(keep, str_of(e->d_name)))
            rc = fs_remove(dirfd(d), e->d_name, err);
    if (d)
        closedir(d);
    return rc;
}

int store_sweep(struct image_store *s, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(256 << 20);
    struct map keep = { 0 };
    int rc = a ? mark_images(s, a, &keep, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0)
        rc = mark_users(s, a, &keep, err);
    if (rc == 0)
        rc = sweep_folder(s, "blobs/sha256", &keep, err);
    if (rc == 0)
        rc = sweep_folder(s, "layers", &keep, err);
    map_free(&keep);
    return rc;
}
