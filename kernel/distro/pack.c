/* pack.c - archives that are equal bit for bit for equal files: sorted, one time, one owner, two modes. libarchive writes them. */
#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "distro/internal.h"

static int failed(struct archive *w, const char *path, struct kl_err *err)
{
    return kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be written: %s", path, archive_error_string(w));
}

static int write_entry(struct archive *w, const struct pack_entry *e, int64_t epoch, const char *path, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(FILE_LIMIT);
    struct str bytes = e->text;
    if (e->from) {
        int rc = files_read(e->from, &b, err);
        if (rc < 0)
            return rc;
        bytes = buf_str(&b);
    }
    struct archive_entry *h = archive_entry_new();
    if (!h)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    archive_entry_set_pathname(h, e->to);
    archive_entry_set_mode(h, e->mode);
    archive_entry_set_size(h, S_ISREG(e->mode) ? (int64_t)bytes.len : 0);
    archive_entry_set_mtime(h, epoch, 0);
    archive_entry_set_uid(h, 0);
    archive_entry_set_gid(h, 0);
    int rc = archive_write_header(w, h) == ARCHIVE_OK ? 0 : failed(w, path, err);
    archive_entry_free(h);
    if (rc == 0 && S_ISREG(e->mode) && bytes.len && archive_write_data(w, bytes.at, bytes.len) != (la_ssize_t)bytes.len)
        rc = failed(w, path, err);
    return rc;
}

static int write_all(struct archive *w, const char *path, const struct pack_entry *all, unsigned n, int64_t epoch, struct kl_err *err)
{
    int rc = archive_write_open_filename(w, path) == ARCHIVE_OK ? 0 : failed(w, path, err);
    for (unsigned i = 0; i < n && rc == 0; i++)
        rc = write_entry(w, &all[i], epoch, path, err);
    if (rc == 0 && archive_write_close(w) != ARCHIVE_OK)
        rc = failed(w, path, err);
    archive_write_free(w);
    return rc;
}

int pack_tar(const char *path, const char *compress, const struct pack_entry *all, unsigned n, int64_t epoch, struct kl_err *err)
{
    struct archive *w = archive_write_new();
    int rc = ARCHIVE_OK;
    if (!w)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    archive_write_set_format_gnutar(w);
    if (compress && strcmp(compress, "zstd") == 0) {
        rc = archive_write_add_filter_zstd(w);
        archive_write_set_filter_option(w, "zstd", "compression-level", "19");
    } else if (compress) {
        rc = archive_write_add_filter_gzip(w);
        archive_write_set_filter_option(w, "gzip", "compression-level", "9");
        archive_write_set_filter_option(w, "gzip", "timestamp", NULL);
    }
    archive_write_set_bytes_in_last_block(w, 1);
    if (rc == ARCHIVE_OK)
        return write_all(w, path, all, n, epoch, err);
    rc = failed(w, path, err);
    archive_write_free(w);
    return rc;
}

int pack_ar(const char *path, const struct pack_entry *all, unsigned n, int64_t epoch, struct kl_err *err)
{
    struct archive *w = archive_write_new();
    if (!w)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    archive_write_set_format_ar_bsd(w);
    archive_write_set_bytes_in_last_block(w, 1);
    return write_all(w, path, all, n, epoch, err);
}

/* --- the stage --- */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct pack_entry *)a)->to, ((const struct pack_entry *)b)->to);
}

/* Every folder above the entries, once. */
static unsigned add_folders(struct arena *a, struct pack_entry *all, unsigned n, unsigned room, size_t from)
{
    unsigned files = n;
    for (unsigned i = 0; i < files; i++)
        for (const char *slash = strchr(all[i].to + from, '/'); slash; slash = strchr(slash + 1, '/')) {
            struct str folder = str_n(all[i].to, (size_t)(slash + 1 - all[i].to));
            bool there = false;
            for (unsigned k = files; k < n && !there; k++)
                there = str_is(folder, all[k].to);
            if (!there && n < room)
                all[n++] = (struct pack_entry){ .to = arena_dup(a, folder), .mode = S_IFDIR | 0755 };
        }
    return n;
}

static const char *place(struct distro *d, struct str name, const char *prefix, const char *usr, const char *etc)
{
    bool conf = str_starts(name, STR("etc/"));
    return arena_printf(d->arena, "%s%s" STR_FMT, prefix, conf ? etc : usr, STR_ARG(name));
}

int pack_stage(struct distro *d, const char *prefix, const char *usr, const char *etc, struct pack_entry **ret, unsigned *n, struct kl_err *err)
{
    struct val *files = NULL;
    int rc = files_list(d->arena, d->stage, &files, err);
    unsigned room = rc == 0 ? 8 * files->n + 64 : 0;
    struct pack_entry *all = rc == 0 ? arena_alloc(d->arena, room * sizeof *all) : NULL;
    *n = 0;
    if (rc < 0)
        return rc;
    if (!all)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    for (const struct val *f = files->first; f; f = f->next)
        all[(*n)++] = (struct pack_entry){ .to = place(d, val_str(f), prefix, usr, etc),
                                           .from = arena_printf(d->arena, "%s/" STR_FMT, d->stage, STR_ARG(val_str(f))),
                                           .mode = S_IFREG | (str_starts(val_str(f), STR("bin/")) ? 0755u : 0644u) };
    if (arena_exhausted(d->arena))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    *n = add_folders(d->arena, all, *n, room, strncmp(prefix, "./", 2) == 0 ? 2 : 0);
    qsort(all, *n, sizeof *all, by_path);
    *ret = all;
    return 0;
}
