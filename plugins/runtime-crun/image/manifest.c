/* manifest.c - manifests and configs as data: media types pinned, digests, sizes and counts checked. */
#include "image/internal.h"

#include <sys/utsname.h>

static const char *const index_types[] = { MEDIA_INDEX, "application/vnd.docker.distribution.manifest.list.v2+json" };
static const char *const manifest_types[] = { MEDIA_MANIFEST, "application/vnd.docker.distribution.manifest.v2+json" };
static const char *const layer_types[] = {
    MEDIA_LAYER, MEDIA_LAYER "+gzip", MEDIA_LAYER "+zstd", "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.docker.image.rootfs.diff.tar.zstd",
};
#define IN(list, s) type_in(list, sizeof list / sizeof *list, s)

static bool type_in(const char *const *list, size_t n, struct str type)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(type, list[i]))
            return true;
    return false;
}

const char *manifest_arch(void)
{
    static const struct {
        const char *machine, *arch;
    } rows[] = { { "x86_64", "amd64" }, { "aarch64", "arm64" }, { "riscv64", "riscv64" }, { "ppc64le", "ppc64le" },
                 { "s390x", "s390x" }, { "armv7l", "arm" }, { "i686", "386" } };
    struct utsname u;
    uname(&u);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(u.machine, rows[i].machine) == 0)
            return rows[i].arch;
    return "unknown";
}

bool descriptor_check(const struct val *d, struct str *ret_digest, int64_t *ret_size)
{
    *ret_digest = json_str(d, "digest");
    *ret_size = json_int(d, "size", -1);
    return digest_valid(*ret_digest) && *ret_size >= 0;
}

bool manifest_is_index(const struct val *doc)
{
    struct str type = json_str(doc, "mediaType");
    return type.len ? IN(index_types, type) : val_is(json_get(doc, STR("manifests")), VAL_ARR);
}

int manifest_check(const struct val *doc, struct kl_err *err)
{
    struct str digest, type = json_str(doc, "mediaType");
    int64_t size;
    struct val *layers = json_get(doc, STR("layers"));
    if (type.len && !IN(manifest_types, type))
        return kl_err_set(err, KL_INVALID, "manifest field 'mediaType' is '" STR_FMT "', which is not known",
                          (int)(type.len < 100 ? type.len : 100), type.at);
    if (!descriptor_check(json_get(doc, STR("config")), &digest, &size) || size > DOCUMENT_MOST)
        return kl_err_set(err, KL_INVALID, "manifest field 'config' has no valid digest and size");
    if (!val_is(layers, VAL_ARR) || layers->n > IMAGE_LAYERS_MOST)
        return kl_err_set(err, KL_INVALID, "manifest field 'layers' is not a list of at most %d", IMAGE_LAYERS_MOST);
    int n = 0;
    val_each(l, layers) {
        type = json_str(l, "mediaType");
        if (!descriptor_check(l, &digest, &size) || size > unpack_limits_default.bytes)
            return kl_err_set(err, KL_INVALID, "manifest field 'layers[%d]' has no valid digest and size", n);
        if (!IN(layer_types, type))
            return kl_err_set(err, KL_INVALID, "manifest field 'layers[%d].mediaType' is '" STR_FMT "', which is not known", n,
                              (int)(type.len < 100 ? type.len : 100), type.at ? type.at : "");
        n++;
    }
    return 0;
}

static int load_layers(struct arena *a, struct image *i, const struct val *layers, const struct val *diff_ids,
                       struct kl_err *err)
{
    const struct val *id = diff_ids ? diff_ids->first : NULL;
    uint32_t n = 0;
    i->layers = arena_alloc(a, (layers->n + 1) * sizeof *i->layers);
    if (!i->layers)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (!val_is(diff_ids, VAL_ARR) || diff_ids->n != layers->n)
        return kl_err_set(err, KL_INVALID, "config field 'rootfs.diff_ids' does not list %u layers as the manifest does", layers->n);
    val_each(l, layers) {
        struct str digest = json_str(l, "digest");
        if (!digest_valid(val_str(id)))
            return kl_err_set(err, KL_INVALID, "config field 'rootfs.diff_ids[%u]' is not a sha256 digest", n);
        i->layers[n].digest = arena_dup(a, digest);
        i->layers[n].diff_id = arena_dup(a, val_str(id));
        i->layers[n].size = json_int(l, "size", 0);
        i->size += i->layers[n++].size;
        id = id->next;
    }
    i->n_layers = n;
    return 0;
}

int manifest_load(struct image_store *s, struct arena *a, struct str digest, struct image **ret, struct kl_err *err)
{
    struct val *doc;
    int rc = blob_json(s, a, digest, &doc, err);
    if (rc == 0)
        rc = manifest_check(doc, err);
    struct image *i = rc == 0 ? arena_alloc(a, sizeof *i) : NULL;
    if (!i)
        return rc < 0 ? rc : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    struct str config = json_str(doc, "config.digest");
    rc = blob_json(s, a, config, &i->config, err);
    if (rc < 0)
        return rc;
    i->manifest = arena_dup(a, digest);
    i->id = arena_dup(a, config);
    i->size = json_int(doc, "config.size", 0);
    rc = load_layers(a, i, json_get(doc, STR("layers")), json_path(i->config, "rootfs.diff_ids"), err);
    if (rc == 0 && arena_exhausted(a))
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0)
        *ret = i;
    return rc;
}
