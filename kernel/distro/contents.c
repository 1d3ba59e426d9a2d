/* contents.c - see contents.h; and unpacking. Archives are read with libarchive; what is no file or folder, or would leave its folder, is refused. */
#include "distro/contents.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define TEXT_MOST ((size_t)16 << 20)

const struct val *contents_find(const struct val *list, struct str name)
{
    val_each(v, list)
        if (str_eq(json_str(v, "name"), name))
            return v;
    return NULL;
}

static int add(struct arena *a, struct val *list, struct str name, struct str bytes, struct kl_err *err)
{
    char hex[129];
    struct val *one = val_push(list, val_new(a, VAL_OBJ));
    digest_of_text("SHA256", bytes, hex);
    json_set_str(a, one, STR("name"), arena_str(a, name));
    json_set_int(a, one, STR("size"), (int64_t)bytes.len);
    json_set_str(a, one, STR("sha256"), str_of(arena_dup(a, str_of(hex))));
    if ((str_starts(name, STR(SHARE "/")) || str_find(name, '/') < 0) && bytes.len <= TEXT_MOST)
        json_set_str(a, one, STR("text"), arena_str(a, bytes));
    return arena_exhausted(a) ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : 0;
}

/* --- archives --- */

typedef int (*each_fn)(void *ctx, struct str name, bool folder, unsigned mode, struct str bytes, struct kl_err *err);

static int damaged(struct archive *r, const char *path, struct kl_err *err)
{
    return kl_err_set(err, KL_CORRUPT, "'%s' is damaged: %s", path, archive_error_string(r) ? archive_error_string(r) : "it cannot be read");
}

/* Without the one folder that everything is in. False: a name that would lead out of it. */
static bool inner_name(const char *full, struct str *ret)
{
    struct str rest = str_of(full);
    str_cut(&rest, '/');
    *ret = rest;
    while (rest.at && rest.len) {
        struct str part = str_cut(&rest, '/');
        if (str_is(part, "..") || (part.len == 0 && rest.at))
            return false;
    }
    return full[0] != '/' && full[0] != '.';
}

static int read_entry(struct archive *r, struct archive_entry *h, const char *path, each_fn each, void *ctx, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(FILE_LIMIT);
    char part[65536];
    struct str name;
    unsigned type = archive_entry_filetype(h);
    const char *full = archive_entry_pathname(h);
    if (!full || (type != AE_IFREG && type != AE_IFDIR) || archive_entry_hardlink(h) || !inner_name(full, &name))
        return kl_err_set(err, KL_CORRUPT, "'%s' holds '%s', which no distribution has", path, full ? full : "");
    for (la_ssize_t n = 1; type == AE_IFREG && n > 0 && !b.failed;) {
        n = archive_read_data(r, part, sizeof part);
        if (n < 0)
            return damaged(r, path, err);
        buf_add(&b, part, (size_t)n);
    }
    if (b.failed)
        return kl_err_set(err, KL_TOO_LARGE, "'%s' holds a file that is too large", path);
    return name.len ? each(ctx, name, type == AE_IFDIR, archive_entry_perm(h), buf_str(&b), err) : 0;
}

static int read_archive(const char *path, each_fn each, void *ctx, struct kl_err *err)
{
    struct archive *r = archive_read_new();
    struct archive_entry *h;
    int rc = 0, got = ARCHIVE_OK;
    if (!r)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    archive_read_support_filter_zstd(r);
    archive_read_support_format_tar(r);
    if (access(path, R_OK) != 0)
        rc = kl_err_set(err, KL_NOT_FOUND, "'%s' cannot be opened: %s", path, strerror(errno));
    else if (archive_read_open_filename(r, path, 65536) != ARCHIVE_OK)
        rc = damaged(r, path, err);
    while (rc == 0 && (got = archive_read_next_header(r, &h)) == ARCHIVE_OK)
        rc = read_entry(r, h, path, each, ctx, err);
    if (rc == 0 && got != ARCHIVE_EOF)
        rc = damaged(r, path, err);
    archive_read_free(r);
    return rc;
}

struct listing {
    struct arena *a;
    struct val *list;
};

static int list_entry(void *ctx, struct str name, bool folder, unsigned mode, struct str bytes, struct kl_err *err)
{
    struct listing *l = ctx;
    (void)mode;
    return folder ? 0 : add(l->a, l->list, name, bytes, err);
}

/* --- folders --- */

static int read_folder(struct arena *a, const char *dir, struct val *list, struct kl_err *err)
{
    struct val *files = NULL;
    int rc = files_list(a, dir, &files, err);
    for (struct val *f = rc == 0 ? files->first : NULL; f && rc == 0; f = f->next) {
        _cleanup_buf_ struct buf b = BUF_INIT(FILE_LIMIT);
        rc = files_read(arena_printf(a, "%s/" STR_FMT, dir, STR_ARG(val_str(f))), &b, err);
        if (rc == 0)
            rc = add(a, list, val_str(f), buf_str(&b), err);
    }
    return rc;
}

int contents_read(struct arena *a, const char *path, struct val **ret, struct kl_err *err)
{
    struct stat st;
    struct listing l = { a, val_new(a, VAL_ARR) };
    *ret = l.list;
    if (stat(path, &st) < 0)
        return kl_err_set(err, KL_NOT_FOUND, "'%s' cannot be opened: %s", path, strerror(errno));
    return S_ISDIR(st.st_mode) ? read_folder(a, path, l.list, err) : read_archive(path, list_entry, &l, err);
}

const char *contents_archive(struct arena *a, const char *path)
{
    struct val *files = NULL;
    struct kl_err ignored;
    const char *sums = arena_printf(a, "%s/" SUMS_FILE, path);
    kl_err_init(&ignored);
    if (access(sums, F_OK) != 0 || files_list(a, path, &files, &ignored) < 0)
        return path;
    val_each(f, files)
        if (str_ends(val_str(f), STR(".tar.zst")))
            return arena_printf(a, "%s/" STR_FMT, path, STR_ARG(val_str(f)));
    return path;
}

/* --- unpacking --- */

static int unpack_entry(void *ctx, struct str name, bool folder, unsigned mode, struct str bytes, struct kl_err *err)
{
    char path[PATH_MOST], above[PATH_MOST];
    snprintf(path, sizeof path, "%s/" STR_FMT, (const char *)ctx, STR_ARG(name));
    if (folder)
        return disk_mkdirs(path, 0755, err);
    snprintf(above, sizeof above, "%s", path);
    *strrchr(above, '/') = '\0';
    int rc = disk_mkdirs(above, 0755, err);
    return rc < 0 ? rc : files_write(path, bytes, mode & 0111 ? 0755 : 0644, err);
}

int distro_unpack(const char *path, const char *into, struct kl_err *err)
{
    char temp[PATH_MOST];
    snprintf(temp, sizeof temp, "%s.%d.new", into, (int)getpid());
    int rc = disk_mkdirs(temp, 0755, err);
    if (rc == 0)
        rc = read_archive(path, unpack_entry, temp, err);
    if (rc == 0 && rename(temp, into) < 0)
        rc = kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be made: %s", into, strerror(errno));
    if (rc < 0)
        files_remove(temp);
    return rc;
}
