/* make.c - a build from its manifest to its output folder: everything in a temporary folder beside the output, which is put in place by one rename. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "distro/internal.h"

/* --- images --- */

/* "localhost/busybox:demo" as a file: localhost_busybox_demo.tar.zst */
static const char *image_file(struct distro *d, const struct distro_image *i)
{
    char *name = arena_dup(d->arena, str_of(i->name));
    for (char *p = name; p && *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789.-", *p))
            *p = '_';
    return arena_printf(d->arena, "%s/" SHARE "/images/%s.tar.zst", d->stage, name);
}

/* The image store of a folder of its own is an OCI layout. */
static int pack_layout(struct distro *d, const char *dir, const char *to, struct kl_err *err)
{
    struct val *files = NULL;
    int rc = files_list(d->arena, dir, &files, err);
    struct pack_entry *all = rc == 0 ? arena_alloc(d->arena, (files->n + 3) * sizeof *all) : NULL;
    unsigned n = 0;
    if (rc < 0)
        return rc;
    if (!all)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    all[n++] = (struct pack_entry){ .to = "blobs/", .mode = S_IFDIR | 0755 };
    all[n++] = (struct pack_entry){ .to = "blobs/sha256/", .mode = S_IFDIR | 0755 };
    for (const struct val *f = files->first; f; f = f->next) {
        struct str name = val_str(f);
        if (str_starts(name, STR("blobs/")) || str_is(name, "index.json") || str_is(name, "oci-layout"))
            all[n++] = (struct pack_entry){ .to = arena_dup(d->arena, name), .from = arena_printf(d->arena, "%s/" STR_FMT, dir, STR_ARG(name)),
                                            .mode = S_IFREG | 0644 };
    }
    return pack_tar(to, "zstd", all, n, d->epoch, err);
}

static int add_image(struct distro *d, const struct distro_image *i, unsigned k, struct kl_err *err)
{
    const char *dir = arena_printf(d->arena, "%s/image-%u", d->temp, k), *to = image_file(d, i);
    const char *const build[] = { d->build->self, "image", "--dir", dir, "build", arena_printf(d->arena, "--busybox=%s", i->busybox), i->name, NULL };
    const char *const import[] = { d->build->self, "image", "--dir", dir, "import", "--name", i->name, i->file, NULL };
    _cleanup_buf_ struct buf out = BUF_INIT(65536), said = BUF_INIT(65536);
    int rc = child_text(i->file[0] ? import : build, &out, &said, err);
    if (rc > 0)
        return distro_wrong(d, i->entry, err, "image '%s': " STR_FMT, i->name, STR_ARG(str_trim(buf_str(&said))));
    return rc < 0 ? rc : pack_layout(d, dir, to, err);
}

static int add_images(struct distro *d, struct kl_err *err)
{
    int rc = d->n_images ? disk_mkdirs(arena_printf(d->arena, "%s/" SHARE "/images", d->stage), 0755, err) : 0;
    for (unsigned i = 0; i < d->n_images && rc == 0; i++)
        rc = add_image(d, &d->images[i], i, err);
    return rc;
}

/* --- the whole --- */

/* The program reads its configuration with the plugins that it has now: what it says is about a file that was made here. */
static int check_config(struct distro *d, struct kl_err *err)
{
    const char *const argv[] = { arena_printf(d->arena, "%s/bin/keelson", d->stage), "check-config", "--config",
                                 arena_printf(d->arena, "%s/etc/keelson/keelson.cfg", d->stage), "--plugins",
                                 arena_printf(d->arena, "%s/" PLUGIN_DIR, d->stage), "--trusted-keys",
                                 arena_printf(d->arena, "%s/etc/keelson/trust", d->stage), NULL };
    _cleanup_buf_ struct buf out = BUF_INIT(65536), said = BUF_INIT(65536), text = BUF_INIT(65536);
    int rc = child_text(argv, &out, &said, err);
    if (rc <= 0)
        return rc;
    struct str why = str_trim(buf_str(&said));
    size_t n = strlen(d->stage);
    if (str_starts(why, STR("keelson: ")))
        why = str_skip(why, 9);
    while (why.len) {                   /* without the temporary folder's name, which is gone when this is read */
        bool here = str_starts(why, str_of(d->stage));
        if (!here)
            buf_add_c(&text, why.at[0]);
        why = str_skip(why, here ? n + 1 : 1);
    }
    return distro_wrong(d, json_get(d->tree, STR("plugins")), err, "the configuration of these plugins: " STR_FMT " (made of %s)", STR_ARG(buf_str(&text)),
                        etc_source(d));
}

static int share_file(struct distro *d, const char *name, struct str text, struct kl_err *err)
{
    int rc = disk_mkdirs(arena_printf(d->arena, "%s/" SHARE, d->stage), 0755, err);
    return rc < 0 ? rc : files_write(arena_printf(d->arena, "%s/" SHARE "/%s", d->stage, name), text, 0644, err);
}

/* Lock, SBOM and digests, each of what is there when it is written. */
static int describe(struct distro *d, struct buf *lock, struct buf *sbom, struct kl_err *err)
{
    _cleanup_buf_ struct buf sums = BUF_INIT(16 << 20);
    int rc = lock_text(d, lock, err);
    if (rc == 0)
        rc = share_file(d, "distro.lock", buf_str(lock), err);
    if (rc == 0)
        rc = sbom_write(d, sbom, err);
    if (rc == 0)
        rc = share_file(d, "sbom.spdx.json", buf_str(sbom), err);
    if (rc == 0)
        rc = sums_write(d->arena, d->stage, &sums, err);
    if (rc == 0)
        rc = share_file(d, SUMS_FILE, buf_str(&sums), err);
    return rc < 0 ? rc : sums_sign(arena_printf(d->arena, "%s/" SHARE "/" SUMS_FILE, d->stage), d->build->key, err);
}

static const char *out_file(struct distro *d, const char *end)
{
    return arena_printf(d->arena, "%s/out/keelson-%s-%s%s", d->temp, d->name, d->version, end);
}

static int pack_tar_zst(struct distro *d, const char *path, struct kl_err *err)
{
    struct pack_entry *all = NULL;
    unsigned n = 0;
    int rc = pack_stage(d, arena_printf(d->arena, "keelson-%s-%s/", d->name, d->version), "", "", &all, &n, err);
    return rc < 0 ? rc : pack_tar(path, "zstd", all, n, d->epoch, err);
}

/* sign: every archive by itself, so that one that was carried away alone can be verified. */
static int pack_one(struct distro *d, bool wanted, int (*pack)(struct distro *d, const char *path, struct kl_err *err), const char *path, struct kl_err *err)
{
    int rc = wanted ? pack(d, path, err) : 0;
    return rc == 0 && wanted ? sums_sign(path, d->build->key, err) : rc;
}

static int pack_all(struct distro *d, const struct buf *lock, const struct buf *sbom, struct kl_err *err)
{
    _cleanup_buf_ struct buf sums = BUF_INIT(1 << 20);
    const char *out = arena_printf(d->arena, "%s/out", d->temp), *list = arena_printf(d->arena, "%s/" SUMS_FILE, out);
    const char *deb = arena_printf(d->arena, "%s/keelson-%s_%s_%s.deb", out, d->name, d->version, arch_debian());
    int rc = disk_mkdirs(out, 0755, err);
    if (rc == 0)
        rc = pack_one(d, d->tar, pack_tar_zst, out_file(d, ".tar.zst"), err);
    if (rc == 0)
        rc = pack_one(d, d->deb, deb_write, deb, err);
    if (rc == 0)
        rc = pack_one(d, d->oci, oci_write, out_file(d, ".oci.tar"), err);
    if (rc == 0)
        rc = files_write(out_file(d, ".lock"), buf_str(lock), 0644, err);
    if (rc == 0)
        rc = files_write(out_file(d, ".spdx.json"), buf_str(sbom), 0644, err);
    if (rc == 0)
        rc = sums_write(d->arena, out, &sums, err);
    if (rc == 0)
        rc = files_write(list, buf_str(&sums), 0644, err);
    return rc < 0 ? rc : sums_sign(list, d->build->key, err);
}

/* --- folders --- */

/* An output folder that is there must be empty or an earlier build's: nobody's files are removed. */
static int check_output(const char *output, struct kl_err *err)
{
    char sums[PATH_MOST + 16];
    struct stat st;
    if (lstat(output, &st) < 0)
        return errno == ENOENT ? 0 : kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be looked at: %s", output, strerror(errno));
    snprintf(sums, sizeof sums, "%s/" SUMS_FILE, output);
    if (!S_ISDIR(st.st_mode))
        return kl_err_set(err, KL_ALREADY_EXISTS, "'%s' is there and is no folder: --output names the folder that is made", output);
    if (access(sums, F_OK) == 0 || rmdir(output) == 0)
        return 0;
    return kl_err_set(err, KL_ALREADY_EXISTS, "'%s' has files and is no earlier build (it has no " SUMS_FILE "): --output names a folder that is made", output);
}

static int put_in_place(struct distro *d, struct kl_err *err)
{
    const char *out = arena_printf(d->arena, "%s/out", d->temp), *old = arena_printf(d->arena, "%s/old", d->temp);
    if (rename(d->build->output, old) < 0 && errno != ENOENT)
        return kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be replaced: %s", d->build->output, strerror(errno));
    if (rename(out, d->build->output) == 0)
        return 0;
    int why = errno;
    if (rename(old, d->build->output) < 0 && errno != ENOENT)
        fprintf(stderr, "keelson: the earlier build is in '%s'\n", old);
    return kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be made: %s", d->build->output, strerror(why));
}

static int make_temp(struct distro *d, struct kl_err *err)
{
    char parent[PATH_MOST - 512];
    const char *output = d->build->output ? d->build->output : "/tmp/check";
    snprintf(parent, sizeof parent, "%s", output);
    char *slash = strrchr(parent, '/');
    if (slash)
        *slash = '\0';
    int rc = slash && slash != parent ? disk_mkdirs(parent, 0755, err) : 0;
    snprintf(d->temp, sizeof d->temp, "%s/.keelson-distro-XXXXXX", slash ? (slash == parent ? "/" : parent) : ".");
    if (rc < 0)
        return rc;
    if (!mkdtemp(d->temp)) {
        rc = kl_err_set(err, KL_UNAVAILABLE, "no folder can be made beside '%s': %s", output, strerror(errno));
        d->temp[0] = '\0';
        return rc;
    }
    chmod(d->temp, 0755);
    char real[PATH_MOST];
    if (realpath(d->temp, real))
        snprintf(d->temp, sizeof d->temp, "%s", real);
    snprintf(d->stage, sizeof d->stage, "%.4000s/stage", d->temp);
    snprintf(d->log, sizeof d->log, "%.4000s/build.log", d->temp);
    if (!d->build->work)
        snprintf(d->work, sizeof d->work, "%.4000s/work", d->temp);
    else if ((rc = disk_mkdirs(d->build->work, 0755, err)) == 0 && realpath(d->build->work, real))
        snprintf(d->work, sizeof d->work, "%s", real);
    return rc;
}

static int make(struct distro *d, struct kl_err *err)
{
    _cleanup_buf_ struct buf lock = BUF_INIT(16 << 20), sbom = BUF_INIT(64 << 20);
    int rc = make_temp(d, err);
    if (rc == 0)
        rc = lock_inputs(d, err);
    if (rc == 0)
        rc = compile_stage(d, err);
    if (rc < 0 || d->build->check)
        return rc;
    rc = etc_write(d, err);
    if (rc == 0)
        rc = check_config(d, err);
    if (rc == 0)
        rc = add_images(d, err);
    if (rc == 0)
        rc = libs_find(d, err);
    if (rc == 0)
        rc = lock_libraries(d, err);
    if (rc == 0)
        rc = describe(d, &lock, &sbom, err);
    if (rc == 0)
        rc = pack_all(d, &lock, &sbom, err);
    if (rc == 0)
        rc = lock_save(d, buf_str(&lock), err);
    return rc < 0 ? rc : put_in_place(d, err);
}

/* Nothing of this machine's language, zone or hour gets in; an interrupt ends the child that runs, and then we clean up behind it. */
static void set_environment(const struct distro *d)
{
    char epoch[24];
    snprintf(epoch, sizeof epoch, "%lld", (long long)d->epoch);
    setenv("SOURCE_DATE_EPOCH", epoch, 1);
    setenv("LC_ALL", "C", 1);
    setenv("TZ", "UTC", 1);
    umask(022);
    child_signals();
}

int distro_make(const struct distro_build *b, struct kl_err *err)
{
    struct distro d = { .arena = arena_new(0) };
    int rc = d.arena ? distro_read(&d, b, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0 && b->output)
        rc = check_output(b->output, err);
    if (rc == 0) {
        set_environment(&d);
        rc = make(&d, err);
    }
    if (d.temp[0])
        files_remove(d.temp);
    arena_free(d.arena);
    return rc;
}
