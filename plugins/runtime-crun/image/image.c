/* image.c - finding, listing and removing images; their layers unpacked and held for containers. */
#include "image/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/env.h"

static struct str name_of(const struct val *descriptor)
{
    return val_str(json_get(json_get(descriptor, STR("annotations")), STR(NAME_KEY)));
}

static int add_names(struct arena *a, struct image *i, const struct val *index)
{
    const struct val *list = json_get(index, STR("manifests"));
    i->names = arena_alloc(a, (list->n + 1) * sizeof *i->names);
    if (!i->names)
        return -KL_NO_MEMORY;
    val_each(v, list)
        if (str_is(json_str(v, "digest"), i->manifest))
            i->names[i->n_names++] = arena_dup(a, name_of(v));
    return arena_exhausted(a) ? -KL_NO_MEMORY : 0;
}

static int load_named(struct image_store *s, struct arena *a, const struct val *index, struct str digest, struct image **ret,
                      struct kl_err *err)
{
    int rc = manifest_load(s, a, digest, ret, err);
    if (rc == 0 && add_names(a, *ret, index) < 0)
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    return rc;
}

/* By the digest of its config: each manifest is looked into. */
static int find_by_id(struct image_store *s, struct arena *a, const struct val *index, const char *id, struct image **ret,
                      struct kl_err *err)
{
    val_each(v, json_get(index, STR("manifests"))) {
        struct image *i;
        if (load_named(s, a, index, json_str(v, "digest"), &i, err) == 0 && strcmp(i->id, id) == 0) {
            *ret = i;
            return 0;
        }
    }
    return kl_err_set(err, KL_NOT_FOUND, "image '%s' is not in the image store '%s'", id, s->dir);
}

static const struct val *find_by_name(const struct val *index, const char *ref)
{
    const char *at = strchr(ref, '@');
    char name[IMAGE_NAME_MOST], pinned[IMAGE_NAME_MOST] = "";
    if (at)                             /* pulled by the digest of an index, it has that as its name */
        ref_canonical(ref, pinned, NULL);
    for (unsigned n = 0; ref_candidate(ref, n, name); n++)
        val_each(v, json_get(index, STR("manifests"))) {
            bool hit = at ? str_is(json_str(v, "digest"), at + 1) || str_is(name_of(v), pinned) : str_is(name_of(v), name);
            if (hit)
                return v;
        }
    return NULL;
}

int image_find(struct image_store *s, struct arena *a, const char *ref, struct image **ret, struct kl_err *err)
{
    struct val *index;
    char name[IMAGE_NAME_MOST];
    int rc = store_index(s, a, &index, err);
    if (rc < 0)
        return rc;
    if (digest_valid(str_of(ref)))
        return find_by_id(s, a, index, ref, ret, err);
    if (!ref_candidate(ref, 0, name))
        return kl_err_set(err, KL_INVALID, "'%.120s' is not an image reference (such as localhost/app:1.0)", ref);
    const struct val *v = find_by_name(index, ref);
    if (!v)
        return kl_err_set(err, KL_NOT_FOUND, "image '%.100s' is not in the image store '%.60s'; bring it there with "
                          "'keelson image import' or 'keelson image build'", ref, s->dir);
    return load_named(s, a, index, json_str(v, "digest"), ret, err);
}

int image_list(struct image_store *s, struct arena *a, struct image ***ret, uint32_t *ret_n, struct kl_err *err)
{
    struct val *index;
    int rc = store_index(s, a, &index, err);
    if (rc < 0)
        return rc;
    const struct val *list = json_get(index, STR("manifests"));
    struct image **all = arena_alloc(a, (list->n + 1) * sizeof *all);
    uint32_t n = 0;
    if (!all)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    val_each(v, list) {
        bool seen = false;
        for (uint32_t k = 0; k < n; k++)
            seen |= str_is(json_str(v, "digest"), all[k]->manifest);
        if (!seen && (rc = load_named(s, a, index, json_str(v, "digest"), &all[n++], err)) < 0)
            return rc;
    }
    *ret = all;
    *ret_n = n;
    return 0;
}

int image_remove(struct image_store *s, const char *ref, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    _cleanup_close_ int lock = a ? store_lock(s, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    struct image *i;
    struct val *index;
    int rc = lock < 0 ? lock : image_find(s, a, ref, &i, err);
    if (rc == 0)
        rc = store_index(s, a, &index, err);
    if (rc < 0)
        return rc;
    bool all = digest_valid(str_of(ref)) || strchr(ref, '@');
    const struct val *one = all ? NULL : find_by_name(index, ref);
    struct val *list = json_get(index, STR("manifests"));
    for (struct val *v = list->first, *next; v; v = next) {
        next = v->next;
        if (v == one || (all && str_is(json_str(v, "digest"), i->manifest)))
            val_unlink(list, v);
    }
    rc = store_index_save(s, index, err);
    return rc == 0 ? store_sweep(s, err) : rc;
}

static int unpack_layer(struct image_store *s, const struct image_layer *l, const char *dir, struct kl_err *err)
{
    char part[PATH_MAX];
    uint64_t salt;
    _cleanup_close_ int fd = blob_open(s, l->digest, err);
    if (fd < 0)
        return fd;
    env_random(&salt, sizeof salt);
    snprintf(part, sizeof part, "%.3900s/tmp/layer-%016llx", s->dir, (unsigned long long)salt);
    if (mkdir(part, 0755) < 0)
        return kl_err_set(err, KL_INTERNAL, "cannot make folder '%.150s': %s", part, strerror(errno));
    struct unpack_job job = { .fd = fd, .what = l->digest, .into = part, .mode = UNPACK_OVERLAY };
    int rc = unpack_run(&job, err);
    if (rc == 0 && strcmp(job.packed, l->digest) != 0)
        rc = kl_err_set(err, KL_CORRUPT, "layer '%s' is damaged: its digest is '%s'", l->digest, job.packed);
    if (rc == 0 && strcmp(job.plain, l->diff_id) != 0)
        rc = kl_err_set(err, KL_INVALID, "layer '%s' is not what the image's config says: '%s'", l->digest, job.plain);
    if (rc == 0 && rename(part, dir) < 0 && errno != EEXIST && errno != ENOTEMPTY)
        rc = kl_err_set(err, KL_INTERNAL, "cannot keep layer '%s': %s", l->digest, strerror(errno));
    fs_remove(AT_FDCWD, part, NULL);    /* gone already when it was renamed; else another process was first */
    return rc;
}

int image_hold(struct image_store *s, struct arena *a, const struct image *i, const char *user, const char ***ret_dirs,
               struct kl_err *err)
{
    _cleanup_buf_ struct buf lines = BUF_INIT(1 << 16);
    char path[128];
    const char **dirs = arena_alloc(a, (i->n_layers + 1) * sizeof *dirs);
    for (uint32_t n = 0; dirs && n < i->n_layers; n++) {
        buf_printf(&lines, "%.32s\n", digest_hex(i->layers[n].digest));
        dirs[n] = arena_printf(a, "%s/layers/%.32s", s->dir, digest_hex(i->layers[n].digest));
    }
    if (!dirs || lines.failed || arena_exhausted(a))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    snprintf(path, sizeof path, "users/%.100s", user);
    _cleanup_close_ int lock = store_lock(s, err);
    int rc = lock < 0 ? lock : fs_write(s->fd, path, buf_str(&lines), false, err);
    for (uint32_t n = 0; rc == 0 && n < i->n_layers; n++) {
        if (access(dirs[n], F_OK) == 0)
            continue;
        rc = unpack_layer(s, &i->layers[n], dirs[n], err);
    }
    if (rc == 0)
        *ret_dirs = dirs;
    else
        unlinkat(s->fd, path, 0);
    return rc;
}

int image_release(struct image_store *s, const char *user, struct kl_err *err)
{
    char path[128];
    snprintf(path, sizeof path, "users/%.100s", user);
    if (unlinkat(s->fd, path, 0) < 0 && errno != ENOENT)
        return kl_err_set(err, KL_INTERNAL, "cannot release the layers of '%s': %s", user, strerror(errno));
    return 0;
}

int image_flatten(struct image_store *s, const struct image *i, const char *into, struct kl_err *err)
{
    int rc = 0;
    for (uint32_t n = 0; rc == 0 && n < i->n_layers; n++) {
        _cleanup_close_ int fd = blob_open(s, i->layers[n].digest, err);
        if (fd < 0)
            return fd;
        struct unpack_job job = { .fd = fd, .what = i->layers[n].digest, .into = into, .mode = UNPACK_FLAT };
        rc = unpack_run(&job, err);
        if (rc == 0 && (strcmp(job.packed, i->layers[n].digest) != 0 || strcmp(job.plain, i->layers[n].diff_id) != 0))
            rc = kl_err_set(err, KL_CORRUPT, "layer '%s' is not what its digests say", i->layers[n].digest);
    }
    return rc;
}

struct val *image_json(struct arena *a, const struct image *i, bool with_config)
{
    struct val *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("id"), str_of(i->id));
    struct val *tags = json_arr(a, v, STR("repoTags")), *digests = json_arr(a, v, STR("repoDigests"));
    for (uint32_t n = 0; n < i->n_names; n++) {
        const char *colon = strrchr(i->names[n], ':');
        if (strchr(i->names[n], '@')) {
            val_push(digests, val_of_str(a, str_of(i->names[n])));
            continue;
        }
        int len = colon && !strchr(colon, '/') ? (int)(colon - i->names[n]) : (int)strlen(i->names[n]);
        val_push(tags, val_of_str(a, str_of(i->names[n])));
        val_push(digests, val_of_str(a, str_of(arena_printf(a, "%.*s@%s", len, i->names[n], i->manifest))));
    }
    json_set_int(a, v, STR("size"), i->size);
    const struct val *config = json_get(i->config, STR("config"));
    if (with_config)
        json_set(a, v, STR("config"), config ? val_copy(a, config) : val_new(a, VAL_OBJ));
    return v;
}
