/* oci.c - an image that runs by itself, as an OCI layout in a tar: a layer of the system's libraries and one of the distribution below /usr and /etc. */
#include <sys/stat.h>
#include <time.h>

#include "distro/internal.h"

#define LAYER_TYPE "application/vnd.oci.image.layer.v1.tar+gzip"

struct blob {
    const char *path;                   /* in the layout */
    const char *file;                   /* NULL: text */
    struct str text;
    char digest[65], diff[65];
    int64_t size;
};

/* Layer of a distribution's libraries: as real files where the dynamic linker was told that they are. */
static int library_entries(struct distro *d, struct pack_entry **ret, unsigned *n, struct kl_err *err)
{
    struct pack_entry *all = arena_alloc(d->arena, (d->libraries->n + 1) * sizeof *all);
    *n = 0;
    if (!all)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    val_each(v, d->libraries) {
        const char *path = arena_dup(d->arena, json_str(v, "path"));
        if (!json_bool(v, "archive", false) && path)
            all[(*n)++] = (struct pack_entry){ .to = path + 1, .from = path, .mode = S_IFREG | 0755 };
    }
    *ret = all;
    return 0;
}

static int add_blob(struct distro *d, struct blob *b, struct kl_err *err)
{
    struct stat st;
    char hex[129];
    int rc = 0;
    if (b->file) {
        rc = digest_of_file(b->file, b->digest, err);
        b->size = rc == 0 && stat(b->file, &st) == 0 ? st.st_size : 0;
    } else {
        digest_of_text("SHA256", b->text, hex);
        snprintf(b->digest, sizeof b->digest, "%.64s", hex);
        b->size = (int64_t)b->text.len;
    }
    b->path = arena_printf(d->arena, "blobs/sha256/%s", b->digest);
    return rc == 0 && !b->path ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : rc;
}

static int make_layer(struct distro *d, const char *name, const struct pack_entry *all, unsigned n, struct blob *ret, struct kl_err *err)
{
    const char *plain = arena_printf(d->arena, "%s/%s.tar", d->temp, name);
    ret->file = arena_printf(d->arena, "%s/%s.tar.gz", d->temp, name);
    int rc = pack_tar(plain, NULL, all, n, d->epoch, err);
    if (rc == 0)
        rc = digest_of_file(plain, ret->diff, err);
    if (rc == 0)
        rc = pack_tar(ret->file, "gzip", all, n, d->epoch, err);
    return rc < 0 ? rc : add_blob(d, ret, err);
}

static void text_blob(struct distro *d, struct blob *ret, const struct val *doc)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    json_write(&b, doc);
    ret->text = arena_str(d->arena, buf_str(&b));
}

static void descriptor(struct arena *a, struct val *to, const char *type, const struct blob *b)
{
    json_set_str(a, to, STR("mediaType"), str_of(type));
    json_set_str(a, to, STR("digest"), str_of(arena_printf(a, "sha256:%s", b->digest)));
    json_set_int(a, to, STR("size"), b->size);
}

static struct val *config_document(struct distro *d, const struct blob *layers, unsigned n)
{
    struct arena *a = d->arena;
    struct val *doc = val_new(a, VAL_OBJ), *conf, *root;
    char when[40];
    struct tm tm;
    time_t t = (time_t)d->epoch;
    gmtime_r(&t, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_set_str(a, doc, STR("created"), arena_str(a, str_of(when)));
    json_set_str(a, doc, STR("architecture"), str_of(arch_oci()));
    json_set_str(a, doc, STR("os"), STR("linux"));
    conf = json_obj(a, doc, STR("config"));
    val_push(json_arr(a, conf, STR("Entrypoint")), val_of_str(a, STR("/usr/bin/keelson")));
    val_push(json_arr(a, conf, STR("Cmd")), val_of_str(a, STR("up")));
    val_push(json_arr(a, conf, STR("Env")), val_of_str(a, STR("PATH=/usr/bin:/usr/sbin:/bin:/sbin")));
    root = json_obj(a, doc, STR("rootfs"));
    json_set_str(a, root, STR("type"), STR("layers"));
    for (unsigned i = 0; i < n; i++)
        val_push(json_arr(a, root, STR("diff_ids")), val_of_str(a, str_of(arena_printf(a, "sha256:%s", layers[i].diff))));
    return doc;
}

static struct val *manifest_document(struct distro *d, const struct blob *config, const struct blob *layers, unsigned n)
{
    struct arena *a = d->arena;
    struct val *doc = val_new(a, VAL_OBJ);
    json_set_int(a, doc, STR("schemaVersion"), 2);
    json_set_str(a, doc, STR("mediaType"), STR("application/vnd.oci.image.manifest.v1+json"));
    descriptor(a, json_obj(a, doc, STR("config")), "application/vnd.oci.image.config.v1+json", config);
    for (unsigned i = 0; i < n; i++)
        descriptor(a, val_push(json_arr(a, doc, STR("layers")), val_new(a, VAL_OBJ)), LAYER_TYPE, &layers[i]);
    return doc;
}

static struct val *index_document(struct distro *d, const struct blob *manifest)
{
    struct arena *a = d->arena;
    struct val *doc = val_new(a, VAL_OBJ), *one;
    json_set_int(a, doc, STR("schemaVersion"), 2);
    one = val_push(json_arr(a, doc, STR("manifests")), val_new(a, VAL_OBJ));
    descriptor(a, one, "application/vnd.oci.image.manifest.v1+json", manifest);
    json_set_str(a, json_obj(a, one, STR("annotations")), STR("org.opencontainers.image.ref.name"),
                 str_of(arena_printf(a, "localhost/keelson-%s:%s", d->name, d->version)));
    return doc;
}

int oci_write(struct distro *d, const char *path, struct kl_err *err)
{
    struct pack_entry *libs = NULL, *own = NULL;
    unsigned n_libs = 0, n_own = 0;
    struct blob layers[2] = { { .file = NULL } }, config = { .file = NULL }, manifest = { .file = NULL }, index = { .file = NULL };
    int rc = library_entries(d, &libs, &n_libs, err);
    if (rc == 0)
        rc = make_layer(d, "libraries", libs, n_libs, &layers[0], err);
    if (rc == 0)
        rc = pack_stage(d, "", "usr/", "", &own, &n_own, err);
    if (rc == 0)
        rc = make_layer(d, "distribution", own, n_own, &layers[1], err);
    if (rc < 0)
        return rc;
    text_blob(d, &config, config_document(d, layers, 2));
    rc = add_blob(d, &config, err);
    text_blob(d, &manifest, manifest_document(d, &config, layers, 2));
    if (rc == 0)
        rc = add_blob(d, &manifest, err);
    text_blob(d, &index, index_document(d, &manifest));
    if (rc < 0 || arena_exhausted(d->arena))
        return rc < 0 ? rc : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    const struct pack_entry all[] = {
        { .to = "oci-layout", .text = STR("{\"imageLayoutVersion\":\"1.0.0\"}"), .mode = S_IFREG | 0644 },
        { .to = "index.json", .text = index.text, .mode = S_IFREG | 0644 },
        { .to = "blobs/", .mode = S_IFDIR | 0755 },
        { .to = "blobs/sha256/", .mode = S_IFDIR | 0755 },
        { .to = manifest.path, .text = manifest.text, .mode = S_IFREG | 0644 },
        { .to = config.path, .text = config.text, .mode = S_IFREG | 0644 },
        { .to = layers[0].path, .from = layers[0].file, .mode = S_IFREG | 0644 },
        { .to = layers[1].path, .from = layers[1].file, .mode = S_IFREG | 0644 },
    };
    return pack_tar(path, NULL, all, sizeof all / sizeof *all, d->epoch, err);
}
