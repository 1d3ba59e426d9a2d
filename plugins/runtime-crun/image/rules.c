/* rules.c - which members of an archive may be unpacked, and as what. Touches no file. */
#include "image/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <limits.h>
#include <sys/stat.h>

#define PATH_MOST  4096
#define XATTR_MOST 65536

const struct unpack_limits unpack_limits_default = { .bytes = 32LL << 30, .entries = 1000000, .ratio = 200 };

/* "./a//b/" to "a/b" in place. False: absolute, has "..", a part that is too long, or a zero-length result is fine. */
static bool tidy_path(char *path, const char **why)
{
    char *out = path;
    if (path[0] == '/') {
        *why = "an absolute path";
        return false;
    }
    for (struct str rest = str_of(path); rest.at;) {
        struct str part = str_cut(&rest, '/');
        if (part.len == 0 || str_is(part, "."))
            continue;
        if (str_is(part, "..") || part.len > NAME_MAX) {
            *why = part.len == 2 ? "a path with '..'" : "a name longer than 255 bytes";
            return false;
        }
        if (out != path)
            *out++ = '/';
        memmove(out, part.at, part.len);
        out += part.len;
    }
    *out = '\0';
    return true;
}

static int refuse(struct kl_err *err, const char *path, const char *why)
{
    return kl_err_set(err, KL_INVALID, "member '%.100s' is refused: %s", path, why);
}

static int check_name(const char *from, char path[PATH_MOST + 1], struct kl_err *err)
{
    const char *why = NULL;
    size_t n = from ? strnlen(from, PATH_MOST + 1) : 0;
    if (!from || n > PATH_MOST)
        return refuse(err, from ? from : "", from ? "its path is longer than 4096 bytes" : "its name is not readable text");
    memcpy(path, from, n);
    path[n] = '\0';
    return tidy_path(path, &why) ? 0 : refuse(err, from, why);
}

/* Only file capabilities and user attributes; overlayfs's own names never come from an image. */
static bool xattr_kept(const char *name)
{
    struct str s = str_of(name);
    if (str_starts(s, STR("user.overlay.")))
        return false;
    return str_is(s, "security.capability") || str_starts(s, STR("user."));
}

static int check_xattrs(struct archive_entry *e, const char *path, enum unpack_mode mode, struct kl_err *err)
{
    const char *name;
    const void *value;
    size_t n, total = 0;
    bool foreign = mode == UNPACK_PLAIN;
    archive_entry_xattr_reset(e);
    while (archive_entry_xattr_next(e, &name, &value, &n) == ARCHIVE_OK) {
        total += n + strlen(name);
        foreign |= !xattr_kept(name);
    }
    if (total > XATTR_MOST)
        return refuse(err, path, "its extended attributes exceed 64 KiB");
    if (!foreign)
        return 0;
    /* libarchive can only drop all: keep the one that matters to programs, lose user.* beside foreign ones */
    char capability[64];
    size_t capability_len = 0;
    archive_entry_xattr_reset(e);
    while (mode != UNPACK_PLAIN && archive_entry_xattr_next(e, &name, &value, &n) == ARCHIVE_OK)
        if (strcmp(name, "security.capability") == 0 && n <= sizeof capability && value)
            memcpy(capability, value, capability_len = n);
    archive_entry_xattr_clear(e);
    if (capability_len)
        archive_entry_xattr_add_entry(e, "security.capability", capability, capability_len);
    return 0;
}

static int check_type(struct archive_entry *e, const char *path, enum unpack_mode mode, struct kl_err *err)
{
    unsigned type = archive_entry_filetype(e);
    if (archive_entry_hardlink(e))
        return 0;
    switch (type) {
    case AE_IFREG:
    case AE_IFDIR:
        return 0;
    case AE_IFLNK: {
        const char *to = archive_entry_symlink(e);
        if (!to || !*to || strnlen(to, PATH_MOST + 1) > PATH_MOST)
            return refuse(err, path, "its link target is empty or longer than 4096 bytes");
        return 0;
    }
    case AE_IFIFO: return mode == UNPACK_PLAIN ? UNPACK_SKIP : 0;
    case AE_IFSOCK: return UNPACK_SKIP;
    case AE_IFCHR:
    case AE_IFBLK: return refuse(err, path, "it is a device");
    default: return refuse(err, path, "its type is not known");
    }
}

static int check_numbers(struct archive_entry *e, const char *path, const struct unpack_limits *l, struct kl_err *err)
{
    int64_t uid = archive_entry_uid(e), gid = archive_entry_gid(e);
    if (uid < 0 || uid > INT32_MAX || gid < 0 || gid > INT32_MAX)
        return refuse(err, path, "its owner is not within 0..2147483647");
    if (archive_entry_size(e) < 0 || archive_entry_size(e) > l->bytes)
        return refuse(err, path, "it is larger than a layer may be");
    return 0;
}

static int check_whiteout(const char *path, enum unpack_mode mode, struct kl_err *err)
{
    const char *slash = strrchr(path, '/');
    struct str name = str_of(slash ? slash + 1 : path);
    if (mode == UNPACK_PLAIN || !str_starts(name, STR(".wh.")))
        return UNPACK_EXTRACT;
    if (str_is(name, ".wh..wh..opq"))
        return UNPACK_OPAQUE;
    if (str_starts(name, STR(".wh..wh.")))
        return UNPACK_SKIP;             /* aufs's own bookkeeping */
    if (str_is(name, ".wh.") || str_is(name, ".wh..") || str_is(name, ".wh..."))
        return refuse(err, path, "it removes '', '.' or '..'");
    return UNPACK_WHITEOUT;
}

int unpack_check(struct archive_entry *e, enum unpack_mode mode, const struct unpack_limits *l, struct kl_err *err)
{
    char path[PATH_MOST + 1], target[PATH_MOST + 1];
    int rc = check_name(archive_entry_pathname(e), path, err);
    if (rc < 0)
        return rc;
    if (!path[0])
        return UNPACK_SKIP;             /* the root itself: the folder is ours */
    if (archive_entry_hardlink(e)) {
        rc = check_name(archive_entry_hardlink(e), target, err);
        if (rc == 0 && !target[0])
            rc = refuse(err, path, "it is a hard link to the root");
        if (rc < 0)
            return kl_err_wrap(err, "hard link '%.60s'", path);
        archive_entry_copy_hardlink(e, target);
    }
    rc = check_type(e, path, mode, err);
    if (rc == 0)
        rc = check_numbers(e, path, l, err);
    if (rc == 0)
        rc = check_xattrs(e, path, mode, err);
    if (rc != 0)
        return rc;
    archive_entry_copy_pathname(e, path);
    archive_entry_acl_clear(e);
    archive_entry_set_fflags(e, 0, 0);
    return check_whiteout(path, mode, err);
}

int unpack_check_all(struct str archive, enum unpack_mode mode, const struct unpack_limits *l, struct kl_err *err)
{
    struct archive *a = archive_read_new();
    int rc = a ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (a) {
        archive_read_support_format_tar(a);
        archive_read_support_filter_gzip(a);
        archive_read_support_filter_zstd(a);
        if (archive_read_open_memory(a, archive.at, archive.len) != ARCHIVE_OK)
            rc = kl_err_set(err, KL_INVALID, "not an archive: %s", archive_error_string(a));
    }
    struct archive_entry *e;
    for (int64_t n = 0; rc >= 0; n++) {
        int got = archive_read_next_header(a, &e);
        if (got == ARCHIVE_EOF)
            break;
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
            rc = kl_err_set(err, KL_INVALID, "damaged archive: %s", archive_error_string(a));
        else if (n >= l->entries)
            rc = kl_err_set(err, KL_TOO_LARGE, "more than %lld members", (long long)l->entries);
        else
            rc = unpack_check(e, mode, l, err);
    }
    archive_read_free(a);
    return rc < 0 ? rc : 0;
}
