/* import.c - OCI layouts (folder or tar) and docker archives become images of the store. A tar is first unpacked, in the
 * jail of unpack.c, into tmp/; whatever is read afterwards stays inside that folder (openat2).
 */
#include "image/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/env.h"

#define INDEX_DEPTH    4
#define MANIFESTS_MOST 128

struct import {
    struct image_store *s;
    struct arena *a;
    int src;                            /* the folder read from */
    const char *name;                   /* given by the caller; NULL: those of the archive */
    bool exact;                         /* the name is one already */
    const char **names;                 /* added so far */
    uint32_t n_names, n_manifests;
    struct kl_err *err;
};

static int read_document(struct import *m, const char *path, struct str *ret, struct val **ret_doc)
{
    _cleanup_buf_ struct buf b = BUF_INIT(DOCUMENT_MOST + 65536);
    int rc = fs_read_in(m->src, path, DOCUMENT_MOST, &b, m->err);
    if (rc < 0)
        return rc;
    *ret = arena_str(m->a, buf_str(&b));
    *ret_doc = ret->at ? json_parse(m->a, *ret, m->err) : NULL;
    if (!*ret_doc)
        return ret->at ? kl_err_wrap(m->err, "'%s'", path) : kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
    return 0;
}

static int copy_blob(struct import *m, const struct val *descriptor)
{
    char want[DIGEST_TEXT], path[96], is[DIGEST_TEXT];
    struct str digest;
    int64_t size, copied;
    if (!descriptor_check(descriptor, &digest, &size))
        return kl_err_set(m->err, KL_INVALID, "a descriptor has no valid digest and size");
    memcpy(want, digest.at, 71);
    want[71] = '\0';
    if (blob_there(m->s, want))
        return 0;
    blob_path(want, path);
    _cleanup_close_ int fd = fs_open_in(m->src, path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return kl_err_set(m->err, KL_INVALID, "blob '%s' is not in the archive: %s", want, strerror(-fd));
    return blob_put_fd(m->s, fd, want, size, is, &copied, m->err);
}

static int add_name(struct import *m, const char *name, const char *manifest, size_t size)
{
    int rc = m->n_names == MANIFESTS_MOST ? kl_err_set(m->err, KL_TOO_LARGE, "more than %d names", MANIFESTS_MOST)
                                          : store_name(m->s, m->a, name, manifest, (int64_t)size, m->err);
    if (rc < 0)
        return rc;
    m->names[m->n_names] = arena_dup(m->a, str_of(name));
    return m->names[m->n_names++] ? 0 : kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
}

/* The whole image must be sound before a name points at it. */
static int finish(struct import *m, const char *manifest, size_t size, const char *name, bool local)
{
    struct image *i;
    char full[IMAGE_NAME_MOST];
    int rc = manifest_load(m->s, m->a, str_of(manifest), &i, m->err);
    if (rc == 0 && m->exact)
        snprintf(full, sizeof full, "%s", name);
    else if (rc == 0)
        rc = ref_full(name, local, full, m->err);
    return rc == 0 ? add_name(m, full, manifest, size) : rc;
}

static int descriptor_name(struct import *m, const struct val *descriptor, struct str inherited, const char **ret)
{
    const struct val *notes = json_get(descriptor, STR("annotations"));
    struct str name = val_str(json_get(notes, STR("io.containerd.image.name")));
    if (!name.len)
        name = val_str(json_get(notes, STR(NAME_KEY)));
    if (!name.len)
        name = inherited;
    if (m->name) {
        if (m->n_names > 0)
            return kl_err_set(m->err, KL_INVALID, "a name was given, but the archive holds more than one image");
        name = str_of(m->name);
    }
    if (!name.len || (!m->name && str_find(name, ':') < 0 && str_find(name, '/') < 0))
        return kl_err_set(m->err, KL_INVALID, "the image has no full name in its archive ('" STR_FMT "'): give one (--name)",
                          (int)(name.len < 80 ? name.len : 80), name.at ? name.at : "");
    *ret = arena_dup(m->a, name);
    return *ret ? 0 : kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
}

static int import_manifest(struct import *m, struct val *doc, struct str text, const char *name)
{
    char digest[DIGEST_TEXT];
    int rc = manifest_check(doc, m->err);
    if (rc == 0)
        rc = copy_blob(m, json_get(doc, STR("config")));
    for (const struct val *l = json_get(doc, STR("layers"))->first; rc == 0 && l; l = l->next)
        rc = copy_blob(m, l);
    if (rc == 0)
        rc = blob_put(m->s, text, digest, m->err);
    return rc == 0 ? finish(m, digest, text.len, name, false) : rc;
}

static bool other_platform(const struct val *descriptor)
{
    struct str os = json_str(descriptor, "platform.os"), arch = json_str(descriptor, "platform.architecture");
    return (os.len && !str_is(os, "linux")) || (arch.len && !str_is(arch, manifest_arch()));
}

static int import_index(struct import *m, const struct val *index, struct str inherited, int depth);

static int import_descriptor(struct import *m, const struct val *d, struct str inherited, int depth)
{
    char path[96], is[DIGEST_TEXT], want[DIGEST_TEXT];
    struct str digest, text;
    int64_t size;
    struct val *doc;
    if (!descriptor_check(d, &digest, &size) || size > DOCUMENT_MOST)
        return kl_err_set(m->err, KL_INVALID, "index field 'manifests[%u]' has no valid digest and size", m->n_manifests);
    if (++m->n_manifests > MANIFESTS_MOST)
        return kl_err_set(m->err, KL_TOO_LARGE, "the index lists more than %d manifests", MANIFESTS_MOST);
    if (other_platform(d))
        return 0;
    memcpy(want, digest.at, 71);
    want[71] = '\0';
    blob_path(want, path);
    int rc = read_document(m, path, &text, &doc);
    if (rc < 0)
        return rc;
    if (!digest_of(text, is) || strcmp(is, want) != 0 || (int64_t)text.len != size)
        return kl_err_set(m->err, KL_INVALID, "blob '%s' is not what its descriptor says: '%s', %zu bytes", want, is, text.len);
    const char *name = NULL;
    if (manifest_is_index(doc)) {
        struct str own = val_str(json_get(json_get(d, STR("annotations")), STR("io.containerd.image.name")));
        if (!own.len)
            own = val_str(json_get(json_get(d, STR("annotations")), STR(NAME_KEY)));
        return import_index(m, doc, own.len ? own : inherited, depth + 1);
    }
    rc = descriptor_name(m, d, inherited, &name);
    return rc == 0 ? import_manifest(m, doc, text, name) : rc;
}

static int import_index(struct import *m, const struct val *index, struct str inherited, int depth)
{
    const struct val *list = json_get(index, STR("manifests"));
    if (depth > INDEX_DEPTH)
        return kl_err_set(m->err, KL_INVALID, "indexes are nested deeper than %d", INDEX_DEPTH);
    if (!val_is(list, VAL_ARR))
        return kl_err_set(m->err, KL_INVALID, "index field 'manifests' is not a list");
    int rc = 0;
    for (const struct val *d = list->first; rc == 0 && d; d = d->next)
        rc = import_descriptor(m, d, inherited, depth);
    return rc;
}

static const char *layer_type(int fd)
{
    unsigned char magic[4] = { 0 };
    if (pread(fd, magic, sizeof magic, 0) != (ssize_t)sizeof magic)
        return MEDIA_LAYER;
    if (magic[0] == 0x1f && magic[1] == 0x8b)
        return MEDIA_LAYER "+gzip";
    return memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0 ? MEDIA_LAYER "+zstd" : MEDIA_LAYER;
}

static void describe(struct arena *a, struct val *d, const char *type, const char *digest, int64_t size)
{
    json_set_str(a, d, STR("mediaType"), str_of(type));
    json_set_str(a, d, STR("digest"), arena_str(a, str_of(digest)));
    json_set_int(a, d, STR("size"), size);
}

static int docker_layers(struct import *m, const struct val *names, struct val *ret_layers)
{
    if (!val_is(names, VAL_ARR) || names->n > IMAGE_LAYERS_MOST)
        return kl_err_set(m->err, KL_INVALID, "manifest.json field 'Layers' is not a list of at most %d", IMAGE_LAYERS_MOST);
    val_each(v, names) {
        char digest[DIGEST_TEXT];
        int64_t size;
        const char *path = arena_dup(m->a, val_str(v));
        _cleanup_close_ int fd = path ? fs_open_in(m->src, path, O_RDONLY | O_NONBLOCK) : -EINVAL;
        if (fd < 0)
            return kl_err_set(m->err, KL_INVALID, "layer '%.100s' is not in the archive: %s", path ? path : "", strerror(-fd));
        const char *type = layer_type(fd);
        int rc = blob_put_fd(m->s, fd, NULL, -1, digest, &size, m->err);
        if (rc < 0)
            return rc;
        describe(m->a, val_push(ret_layers, val_new(m->a, VAL_OBJ)), type, digest, size);
    }
    return 0;
}

static int docker_image(struct import *m, const struct val *item)
{
    struct val *config, *doc = val_new(m->a, VAL_OBJ);
    struct str text;
    char digest[DIGEST_TEXT];
    const char *path = arena_dup(m->a, json_str(item, "Config"));
    int rc = path ? read_document(m, path, &text, &config)
                  : kl_err_set(m->err, KL_INVALID, "manifest.json field 'Config' is not a name");
    if (rc == 0)
        rc = blob_put(m->s, text, digest, m->err);
    if (rc < 0)
        return rc;
    json_set_int(m->a, doc, STR("schemaVersion"), 2);
    json_set_str(m->a, doc, STR("mediaType"), STR(MEDIA_MANIFEST));
    describe(m->a, json_obj(m->a, doc, STR("config")), MEDIA_CONFIG, digest, (int64_t)text.len);
    rc = docker_layers(m, json_get(item, STR("Layers")), json_arr(m->a, doc, STR("layers")));
    if (rc < 0)
        return rc;
    _cleanup_buf_ struct buf b = BUF_INIT(DOCUMENT_MOST);
    json_write(&b, doc);
    if (b.failed || arena_exhausted(m->a))
        return kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
    rc = blob_put(m->s, buf_str(&b), digest, m->err);
    const struct val *tags = json_get(item, STR("RepoTags"));
    if (rc == 0 && (m->name || !val_is(tags, VAL_ARR) || tags->n == 0)) {
        const char *name = NULL;
        rc = descriptor_name(m, NULL, STR_NONE, &name);
        return rc == 0 ? finish(m, digest, b.len, name, false) : rc;
    }
    for (const struct val *t = rc == 0 ? tags->first : NULL; rc == 0 && t; t = t->next) {
        const char *name = arena_dup(m->a, val_str(t));
        rc = finish(m, digest, b.len, name ? name : "", false);
    }
    return rc;
}

static int import_docker(struct import *m)
{
    struct str text;
    struct val *list;
    int rc = read_document(m, "manifest.json", &text, &list);
    if (rc == -KL_NOT_FOUND)
        return kl_err_set(m->err, KL_INVALID, "neither an OCI layout (index.json) nor a docker archive (manifest.json)");
    if (rc == 0 && (!val_is(list, VAL_ARR) || list->n > MANIFESTS_MOST))
        rc = kl_err_set(m->err, KL_INVALID, "manifest.json is not a list of at most %d images", MANIFESTS_MOST);
    for (const struct val *v = rc == 0 ? list->first : NULL; rc == 0 && v; v = v->next)
        rc = docker_image(m, v);
    return rc;
}

static int import_folder(struct import *m, const char *dir)
{
    struct str text;
    struct val *index;
    _cleanup_close_ int fd = m->src = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return kl_err_set(m->err, KL_NOT_FOUND, "cannot open folder '%s': %s", dir, strerror(errno));
    int rc = read_document(m, "index.json", &text, &index);
    if (rc == -KL_NOT_FOUND)
        return import_docker(m);
    rc = rc == 0 ? import_index(m, index, STR_NONE, 1) : rc;
    if (rc == 0 && m->n_names == 0)
        rc = kl_err_set(m->err, KL_NOT_FOUND, "it holds no image for linux/%s", manifest_arch());
    return rc;
}

static int import_file(struct import *m, int fd, const char *path)
{
    char dir[PATH_MAX];
    uint64_t salt;
    env_random(&salt, sizeof salt);
    snprintf(dir, sizeof dir, "%.3900s/tmp/import-%016llx", m->s->dir, (unsigned long long)salt);
    if (mkdir(dir, 0700) < 0)
        return kl_err_set(m->err, KL_INTERNAL, "cannot make folder '%.150s': %s", dir, strerror(errno));
    struct unpack_job job = { .fd = fd, .what = path, .into = dir, .mode = UNPACK_PLAIN };
    int rc = unpack_run(&job, m->err);
    if (rc == 0)
        rc = import_folder(m, dir);
    fs_remove(AT_FDCWD, dir, NULL);
    return rc;
}

int image_import(struct image_store *s, struct arena *a, const char *path, const char *name, const char ***ret_names,
                 uint32_t *ret_n, struct kl_err *err)
{
    struct stat st;
    struct import m = { .s = s, .a = a, .src = -1, .name = name, .err = err };
    m.names = arena_alloc(a, MANIFESTS_MOST * sizeof *m.names);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (!m.names)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (fd < 0 || fstat(fd, &st) < 0)
        return kl_err_set(err, KL_NOT_FOUND, "cannot open '%s': %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return kl_err_set(err, KL_INVALID, "'%s' is neither a folder nor a file", path);
    _cleanup_close_ int lock = store_lock(s, err);
    if (lock < 0)
        return lock;
    int rc = S_ISDIR(st.st_mode) ? import_folder(&m, path) : import_file(&m, fd, path);
    if (rc < 0) {
        kl_err_wrap(err, "import of '%.80s'", path);
        store_sweep(s, NULL);           /* blobs of an image that was refused */
        return rc;
    }
    *ret_names = m.names;
    *ret_n = m.n_names;
    return 0;
}

int image_adopt(struct image_store *s, struct arena *a, const char *dir, const char *name, struct kl_err *err)
{
    struct import m = { .s = s, .a = a, .src = -1, .name = name, .exact = true, .err = err };
    m.names = arena_alloc(a, MANIFESTS_MOST * sizeof *m.names);
    if (!m.names)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    _cleanup_close_ int lock = store_lock(s, err);
    int rc = lock < 0 ? lock : import_folder(&m, dir);
    if (rc < 0 && lock >= 0)
        store_sweep(s, NULL);
    return rc;
}
