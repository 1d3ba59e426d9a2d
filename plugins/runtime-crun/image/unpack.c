/* unpack.c - the child that unpacks an archive inside its own root, and the parent that feeds it. */
#include "image/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <limits.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "image/digest.h"
#include "image/fs.h"

#define CHUNK       (128 * 1024)
#define RATIO_FREE  (16LL << 20)        /* below this many bytes no ratio is held against an archive */
#define MEMORY_MOST (2LL << 30)

/* What comes back from the child. */
struct verdict {
    int32_t rc;
    struct kl_err err;
    int64_t bytes;
    char plain[DIGEST_TEXT];
};

struct worker {
    struct unpack_job *job;
    struct archive *outer, *inner, *disk;       /* decompressor, tar reader, writer */
    gnutls_hash_hd_t hash;
    int64_t packed, plain, entries, bytes;
    int fd;
    struct kl_err *err;
    char in[CHUNK], out[CHUNK];
};

static ssize_t feed_outer(struct archive *a, void *ctx, const void **ret)
{
    struct worker *w = ctx;
    (void)a;
    *ret = w->in;
    for (;;) {
        ssize_t n = read(w->fd, w->in, sizeof w->in);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0)
            w->packed += n;
        return n;
    }
}

static ssize_t feed_inner(struct archive *a, void *ctx, const void **ret)
{
    struct worker *w = ctx;
    *ret = w->out;
    ssize_t n = archive_read_data(w->outer, w->out, sizeof w->out);
    if (n < 0) {
        archive_set_error(a, EIO, "%s", archive_error_string(w->outer));
        return -1;
    }
    w->plain += n;
    if (w->plain > RATIO_FREE && w->plain / w->job->limits->ratio > w->packed) {
        archive_set_error(a, EFBIG, "it unpacks to more than %lld times its size", (long long)w->job->limits->ratio);
        return -1;
    }
    if (n > 0)
        gnutls_hash(w->hash, w->out, (size_t)n);
    return n;
}

static int archive_fail(struct worker *w, struct archive *a, const char *what)
{
    const char *text = archive_error_string(a);
    return kl_err_set(w->err, archive_errno(a) == ENOSPC ? KL_STORAGE_FULL : KL_INVALID, "%s: %s", what,
                      text ? text : "no reason given");
}

static int open_archives(struct worker *w)
{
    int flags = ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_UNLINK | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS;
    if (w->job->mode != UNPACK_PLAIN)
        flags |= ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_XATTR;
    w->outer = archive_read_new();
    w->inner = archive_read_new();
    w->disk = archive_write_disk_new();
    if (!w->outer || !w->inner || !w->disk || gnutls_hash_init(&w->hash, GNUTLS_DIG_SHA256) < 0)
        return kl_err_set(w->err, KL_NO_MEMORY, "out of memory");
    archive_write_disk_set_options(w->disk, flags);
    archive_read_support_filter_gzip(w->outer);
    archive_read_support_filter_zstd(w->outer);
    archive_read_support_filter_xz(w->outer);
    archive_read_support_filter_bzip2(w->outer);
    archive_read_support_format_raw(w->outer);
    archive_read_support_format_empty(w->outer);
    archive_read_support_format_tar(w->inner);
    archive_read_support_format_empty(w->inner);
    struct archive_entry *e;
    if (archive_read_open(w->outer, w, NULL, feed_outer, NULL) != ARCHIVE_OK)
        return archive_fail(w, w->outer, "not readable");
    if (archive_read_next_header(w->outer, &e) != ARCHIVE_OK)
        return archive_fail(w, w->outer, "not readable");
    if (archive_read_open(w->inner, w, NULL, feed_inner, NULL) != ARCHIVE_OK)
        return archive_fail(w, w->inner, "not a tar archive");
    return 0;
}

static void make_parents(const char *path)
{
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *p = strchr(part, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        mkdir(part, 0755);
        *p = '/';
    }
}

static int mark_opaque(struct worker *w, const char *dir)
{
    if (setxattr(dir, "user.overlay.opaque", "y", 1, 0) < 0)
        return kl_err_set(w->err, KL_INTERNAL, "cannot mark folder '%.100s' opaque: %s", dir, strerror(errno));
    return 0;
}

static int apply_opaque(struct worker *w, const char *path)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s", path);
    make_parents(path);
    char *slash = strrchr(dir, '/');
    if (!slash)
        return 0;                       /* the root of a layer hides everything: the layers below are not dropped for it */
    *slash = '\0';
    if (w->job->mode == UNPACK_OVERLAY)
        return mark_opaque(w, dir);
    int rc = fs_remove(AT_FDCWD, dir, w->err);
    return rc == 0 && mkdir(dir, 0755) < 0 ? kl_err_set(w->err, KL_INTERNAL, "cannot make '%.100s' again", dir) : rc;
}

static int apply_whiteout(struct worker *w, const char *path)
{
    char target[PATH_MAX];
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    snprintf(target, sizeof target, "%.*s%s", (int)(name - path), path, name + 4);
    if (w->job->mode == UNPACK_FLAT)
        return fs_remove(AT_FDCWD, target, w->err);
    struct stat st;
    make_parents(target);
    if (lstat(target, &st) == 0)        /* this layer's own entry wins; below a folder the lower one is hidden */
        return S_ISDIR(st.st_mode) ? mark_opaque(w, target) : 0;
    if (mknod(target, S_IFCHR, 0) < 0)
        return kl_err_set(w->err, KL_INTERNAL, "cannot make whiteout '%.100s': %s", target, strerror(errno));
    return 0;
}

static int copy_data(struct worker *w, const char *path)
{
    const void *at;
    size_t n;
    la_int64_t offset;
    for (;;) {
        int rc = archive_read_data_block(w->inner, &at, &n, &offset);
        if (rc == ARCHIVE_EOF)
            return 0;
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return archive_fail(w, w->inner, path);
        w->bytes += (int64_t)n;
        if (w->bytes > w->job->limits->bytes)
            return kl_err_set(w->err, KL_TOO_LARGE, "more than %lld bytes of files", (long long)w->job->limits->bytes);
        if (archive_write_data_block(w->disk, at, n, offset) < ARCHIVE_WARN)
            return archive_fail(w, w->disk, path);
    }
}

static int extract(struct worker *w, struct archive_entry *e)
{
    const char *path = archive_entry_pathname(e);
    if (archive_write_header(w->disk, e) < ARCHIVE_WARN)
        return archive_fail(w, w->disk, path);
    if (archive_entry_size(e) > 0) {
        int rc = copy_data(w, path);
        if (rc < 0)
            return rc;
    }
    return archive_write_finish_entry(w->disk) < ARCHIVE_WARN ? archive_fail(w, w->disk, path) : 0;
}

static int apply_entry(struct worker *w, struct archive_entry *e)
{
    int verdict = unpack_check(e, w->job->mode, w->job->limits, w->err);
    switch (verdict) {
    case UNPACK_EXTRACT: return extract(w, e);
    case UNPACK_OPAQUE: return apply_opaque(w, archive_entry_pathname(e));
    case UNPACK_WHITEOUT: return apply_whiteout(w, archive_entry_pathname(e));
    default: return verdict < 0 ? verdict : 0;
    }
}

static int unpack_all(struct worker *w)
{
    int rc = open_archives(w);
    struct archive_entry *e;
    while (rc == 0) {
        int got = archive_read_next_header(w->inner, &e);
        if (got == ARCHIVE_EOF)
            break;
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
            return archive_fail(w, w->inner, "damaged");
        if (++w->entries > w->job->limits->entries)
            return kl_err_set(w->err, KL_TOO_LARGE, "more than %lld members", (long long)w->job->limits->entries);
        rc = apply_entry(w, e);
    }
    if (rc == 0 && archive_write_close(w->disk) < ARCHIVE_WARN)
        rc = archive_fail(w, w->disk, "cannot finish");
    const void *at;
    for (ssize_t n = 1; rc == 0 && n > 0;)      /* what follows the archive's end still counts in its digest */
        if ((n = feed_inner(w->inner, w, &at)) < 0)
            rc = archive_fail(w, w->inner, "damaged");
    return rc;
}

static int enter_root(const char *dir, struct kl_err *err)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        return kl_err_set(err, KL_FORBIDDEN, "cannot make namespaces to unpack in: %s (this needs root)", strerror(errno));
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount(dir, dir, NULL, MS_BIND, NULL) < 0 || chdir(dir) < 0 ||
        syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ||
        mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_NODEV | MS_NOSUID | MS_NOEXEC, NULL) < 0)
        return kl_err_set(err, KL_INTERNAL, "cannot make '%.100s' the root of the unpacking process: %s", dir, strerror(errno));
    return 0;
}

static void limit(int what, int64_t most)
{
    struct rlimit r = { (rlim_t)most, (rlim_t)most };
    setrlimit((__rlimit_resource_t)what, &r);
}

static int drop_rights(const struct unpack_job *job, struct kl_err *err)
{
    static const cap_value_t kept[] = { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_SETFCAP };
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, 256);
    limit(RLIMIT_FSIZE, job->limits->bytes);
#ifndef __SANITIZE_ADDRESS__
    limit(RLIMIT_AS, MEMORY_MOST);
#endif
    for (cap_value_t c = 0; cap_get_bound(c) >= 0; c++)
        cap_drop_bound(c);
    cap_t set = cap_init();
    int n = (int)(sizeof kept / sizeof *kept);
    bool ok = set && cap_set_flag(set, CAP_PERMITTED, n, kept, CAP_SET) == 0 &&
              cap_set_flag(set, CAP_EFFECTIVE, n, kept, CAP_SET) == 0 && cap_set_proc(set) == 0 &&
              prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    cap_free(set);
    return ok ? 0 : kl_err_set(err, KL_INTERNAL, "cannot give up rights before unpacking: %s", strerror(errno));
}

static void child_main(struct unpack_job *job, int in_fd, int out_fd)
{
    struct verdict v = { 0 };
    kl_err_init(&v.err);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGXFSZ, SIG_IGN);
    umask(0);
    int in = fcntl(in_fd, F_DUPFD, 3), out = fcntl(out_fd, F_DUPFD, 3);
    dup3(out, 0, 0);                    /* 0: results, 1: the archive; nothing else stays open */
    dup3(in, 1, 0);
    syscall(SYS_close_range, 2, ~0U, 0);
    int null = open("/dev/null", O_RDWR);       /* 2: whatever a library prints */
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", 0);
    if (utf8)
        uselocale(utf8);                /* names in archives are UTF-8 and stay so */
    struct worker *w = null == 2 ? mem_alloc(sizeof *w) : NULL;
    v.rc = w ? enter_root(job->into, &v.err) : kl_err_set(&v.err, KL_NO_MEMORY, "out of memory");
    if (v.rc == 0)
        v.rc = drop_rights(job, &v.err);
    if (v.rc == 0) {
        w->job = job;
        w->fd = 1;
        w->err = &v.err;
        v.rc = unpack_all(w);
        v.bytes = w->bytes;
        if (v.rc == 0)
            digest_text(w->hash, v.plain);
    }
    ssize_t sent = write(0, &v, sizeof v);
    _exit(sent == (ssize_t)sizeof v ? 0 : 1);
}

/* Sends the archive to the child; stops early when the child has given up. */
static int pump(struct unpack_job *job, int to, struct kl_err *err)
{
    gnutls_hash_hd_t hash;
    _cleanup_free_ char *chunk = mem_alloc(CHUNK);
    if (!chunk || gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) < 0)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    int rc = 0;
    bool listening = true;
    for (;;) {
        ssize_t n = read(job->fd, chunk, CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = kl_err_set(err, KL_INTERNAL, "cannot read '%s': %s", job->what, strerror(errno));
        if (n <= 0)
            break;
        gnutls_hash(hash, chunk, (size_t)n);
        for (ssize_t done = 0; listening && done < n;) {
            ssize_t m = send(to, chunk + done, (size_t)(n - done), MSG_NOSIGNAL);
            if (m < 0 && errno == EINTR)
                continue;
            listening = m > 0;
            done += m;
        }
        if (!listening)
            break;
    }
    digest_text(hash, job->packed);
    return rc;
}

static int collect(struct unpack_job *job, int from, pid_t pid, struct kl_err *err)
{
    struct verdict v;
    size_t got = 0;
    while (got < sizeof v) {
        ssize_t n = read(from, (char *)&v + got, sizeof v - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (got < sizeof v)
        return kl_err_set(err, KL_INVALID, "the process that unpacked '%s' ended by %s %d", job->what,
                          WIFSIGNALED(status) ? "signal" : "exit status",
                          WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    v.err.msg[sizeof v.err.msg - 1] = v.plain[DIGEST_TEXT - 1] = '\0';
    memcpy(job->plain, v.plain, sizeof v.plain);
    job->bytes = v.bytes;
    if (v.rc != 0)
        return kl_err_set(err, v.rc < 0 && v.rc > -KL_CODE_END ? -v.rc : KL_INVALID, "'%s': %s", job->what, v.err.msg);
    return 0;
}

int unpack_run(struct unpack_job *job, struct kl_err *err)
{
    int data[2], result[2];
    if (!job->limits)
        job->limits = &unpack_limits_default;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, data) < 0)
        return kl_err_set(err, KL_INTERNAL, "no socket pair: %s", strerror(errno));
    _cleanup_close_ int data_ours = data[0], data_child = data[1];
    if (pipe2(result, O_CLOEXEC) < 0)
        return kl_err_set(err, KL_INTERNAL, "no pipe: %s", strerror(errno));
    _cleanup_close_ int result_ours = result[0], result_child = result[1];
    pid_t pid = fork();
    if (pid < 0)
        return kl_err_set(err, KL_UNAVAILABLE, "cannot start a process to unpack in: %s", strerror(errno));
    if (pid == 0)
        child_main(job, data_child, result_child);
    close(TAKE_FD(data_child));
    close(TAKE_FD(result_child));
    struct kl_err pumped;
    kl_err_init(&pumped);
    int fed = pump(job, data_ours, &pumped);
    close(TAKE_FD(data_ours));
    int rc = collect(job, result_ours, pid, err);
    if (rc == 0 && fed < 0)
        rc = kl_err_set(err, -fed, "%s", pumped.msg);
    return rc;
}
