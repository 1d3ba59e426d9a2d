/* diff.c - what one distribution has and another has not: inputs by their locks, files by their digests. */
#include "distro/contents.h"

static bool lock_line(struct str *rest, struct str *key, struct str *digest)
{
    struct str line = str_cut(rest, '\n');
    long at = -1;
    for (size_t i = 0; i < line.len; i++)
        at = line.at[i] == ' ' ? (long)i : at;
    *key = str_n(line.at, at < 0 ? 0 : (size_t)at);
    *digest = str_skip(line, at < 0 ? line.len : (size_t)at + 1);
    return line.len && line.at[0] != '#';
}

static bool lock_find(struct str lock, struct str key, struct str *digest)
{
    while (lock.at && lock.len) {
        struct str k;
        if (lock_line(&lock, &k, digest) && str_eq(k, key))
            return true;
    }
    return false;
}

static unsigned compare_locks(struct str a, struct str b, struct buf *report)
{
    struct str key, digest, other, rest;
    unsigned n = 0;
    for (rest = a; rest.at && rest.len;)
        if (lock_line(&rest, &key, &digest) && !lock_find(b, key, &other)) {
            buf_printf(report, "- input " STR_FMT "\n", STR_ARG(key));
            n++;
        }
    for (rest = b; rest.at && rest.len;) {
        if (!lock_line(&rest, &key, &digest))
            continue;
        bool there = lock_find(a, key, &other);
        if (there && str_eq(digest, other))
            continue;
        buf_printf(report, "%c input " STR_FMT "\n", there ? '~' : '+', STR_ARG(key));
        n++;
    }
    return n;
}

/* The lists of digests and the SBOM differ whenever anything does. */
static bool follows(struct str name)
{
    return str_starts(name, STR(SHARE "/" SUMS_FILE)) || str_is(name, SHARE "/sbom.spdx.json") || str_is(name, SHARE "/distro.lock");
}

static unsigned compare_files(const struct val *a, const struct val *b, struct buf *report)
{
    unsigned n = 0;
    val_each(f, a)
        if (!follows(json_str(f, "name")) && !contents_find(b, json_str(f, "name"))) {
            buf_printf(report, "- file " STR_FMT " (%lld bytes)\n", STR_ARG(json_str(f, "name")), (long long)json_int(f, "size", 0));
            n++;
        }
    val_each(f, b) {
        const struct val *old = contents_find(a, json_str(f, "name"));
        if (follows(json_str(f, "name")) || (old && str_eq(json_str(old, "sha256"), json_str(f, "sha256"))))
            continue;
        if (old)
            buf_printf(report, "~ file " STR_FMT " (%lld -> %lld bytes)\n", STR_ARG(json_str(f, "name")), (long long)json_int(old, "size", 0),
                       (long long)json_int(f, "size", 0));
        else
            buf_printf(report, "+ file " STR_FMT " (%lld bytes)\n", STR_ARG(json_str(f, "name")), (long long)json_int(f, "size", 0));
        n++;
    }
    return n;
}

int distro_diff(const char *a, const char *b, struct buf *report, struct kl_err *err)
{
    _cleanup_arena_ struct arena *arena = arena_new(0);
    struct val *of_a = NULL, *of_b = NULL;
    int rc = arena ? contents_read(arena, contents_archive(arena, a), &of_a, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0)
        rc = contents_read(arena, contents_archive(arena, b), &of_b, err);
    if (rc < 0)
        return rc;
    unsigned n = compare_locks(json_str(contents_find(of_a, STR(SHARE "/distro.lock")), "text"), json_str(contents_find(of_b, STR(SHARE "/distro.lock")), "text"), report);
    n += compare_files(of_a, of_b, report);
    return n ? 1 : 0;
}
