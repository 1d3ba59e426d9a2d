/* verify.c - see verify.h. */
#include "plugin/verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "plugin/plugin.h"

#define FILE_MOST ((off_t)256 << 20)

/* A copy's descriptor stays open: the linker knows a library by its name, and a number that is used again would be taken for this one. */
struct copy {
    struct copy *next;
    bool current;                       /* the last one of its path */
    int fd;
    unsigned char digest[32];
    char name[32], path[];              /* "/proc/self/fd/7" */
};

static struct {
    enum verify mode;
    char dir[4096];
    struct sign_key keys[VERIFY_KEYS_MOST];
    unsigned n;
    struct copy *copies;
} rule;

/* --- keys --- */

static int read_text(const char *path, char *ret, size_t room, size_t *n)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = fd < 0 ? -1 : read(fd, ret, room);
    *n = got > 0 ? (size_t)got : 0;
    return got < 0 ? -errno : 0;
}

static int read_key(const char *dir, const char *name, struct sign_key *ret, struct kl_err *err)
{
    char path[4096 + 260], text[SIGN_TEXT_MOST];
    size_t n;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int rc = plugin_trust(path, err);
    if (rc == 0 && (rc = read_text(path, text, sizeof text, &n)) < 0)
        return kl_err_set(err, KL_FORBIDDEN, "the key '%s' cannot be read: %s", path, strerror(-rc));
    if (rc == 0)
        rc = sign_public(str_n(text, n), path, ret, err);
    if (rc == 0)                        /* here its name is what whoever trusts it calls it */
        snprintf(ret->name, sizeof ret->name, "%.*s", (int)(strlen(name) - 4), name);
    return rc;
}

static int is_key(const struct dirent *d)
{
    return d->d_name[0] != '.' && str_ends(str_of(d->d_name), STR(".pub"));
}

int verify_read_keys(const char *dir, struct sign_key *ret, unsigned room, unsigned *ret_n, struct kl_err *err)
{
    struct dirent **names = NULL;
    int rc = 0, n = scandir(dir, &names, is_key, alphasort);
    *ret_n = 0;
    if (n < 0 && errno != ENOENT)
        return kl_err_set(err, KL_FORBIDDEN, "the folder of keys '%s' cannot be read: %s", dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        if (rc == 0 && *ret_n == room)
            rc = kl_err_set(err, KL_TOO_LARGE, "'%s' has more than %u keys", dir, room);
        if (rc == 0 && (rc = read_key(dir, names[i]->d_name, &ret[*ret_n], err)) == 0)
            ++*ret_n;
        free(names[i]);
    }
    free(names);
    return rc;
}

int verify_set(const char *mode, const char *keys, struct kl_err *err)
{
    rule.mode = strcmp(mode, "enforce") == 0 ? VERIFY_ENFORCE : strcmp(mode, "warn") == 0 ? VERIFY_WARN : VERIFY_OFF;
    snprintf(rule.dir, sizeof rule.dir, "%s", keys);
    rule.n = 0;
    return rule.mode == VERIFY_OFF ? 0 : verify_read_keys(keys, rule.keys, VERIFY_KEYS_MOST, &rule.n, err);
}

/* --- signatures --- */

int verify_signature(const char *path, const char *sig_path, struct str bytes, const struct sign_key *keys, unsigned n, const char *keys_dir,
                     const struct sign_key **by, struct kl_err *err)
{
    char text[SIGN_TEXT_MOST + 1], number[17];
    size_t len;
    struct kl_err why;
    kl_err_init(&why);
    int rc = read_text(sig_path, text, sizeof text, &len);
    if (rc == -ENOENT)
        return kl_err_set(err, KL_FORBIDDEN, "'%s' is not signed: `keelson plugin sign --key KEY FILE` makes FILE.sig", path);
    if (rc < 0)
        return kl_err_set(err, KL_FORBIDDEN, "'%s' cannot be read: %s", sig_path, strerror(-rc));
    switch (-sign_check(str_n(text, len), bytes, keys, n, by, number, &why)) {
    case 0:
        return 0;
    case KL_INVALID:
        return kl_err_set(err, KL_FORBIDDEN, "'%s' is not a signature: sign the file again, or get it again from where it came", sig_path);
    case KL_NOT_FOUND:
        return kl_err_set(err, KL_FORBIDDEN, "'%s' is signed by key %s, which '%s' does not have: `keelson plugin keys trust NAME.pub`",
                          path, number, keys_dir);
    default:
        return kl_err_set(err, KL_FORBIDDEN, "'%s' is not what key %s signed: file or signature was changed; get both again from where they came", path,
                          number);
    }
}

/* --- copies --- */

static struct copy *find(const char *path)
{
    for (struct copy *c = rule.copies; c; c = c->next)
        if (c->current && strcmp(c->path, path) == 0)
            return c;
    return NULL;
}

static int no_copy(const char *path, struct kl_err *err)
{
    return kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be copied into memory: %s", path, strerror(errno));
}

/* *ret: sealed memory with the file's bytes as they were read, once. */
static int copy_file(const char *path, int *ret, size_t *size, struct kl_err *err)
{
    char room[65536];
    const char *base = strrchr(path, '/');
    struct stat st;
    _cleanup_close_ int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW), to = -1;
    if (from < 0 || fstat(from, &st) < 0)
        return kl_err_set(err, KL_NOT_FOUND, "'%s' cannot be opened: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return kl_err_set(err, KL_INVALID, "'%s' is not a regular file", path);
    if (st.st_size > FILE_MOST)
        return kl_err_set(err, KL_TOO_LARGE, "'%s' is larger than 256 MiB", path);
    to = memfd_create(base ? base + 1 : path, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (to < 0)
        return no_copy(path, err);
    *size = 0;
    for (ssize_t n; (n = read(from, room, sizeof room)) != 0; *size += (size_t)n)
        if (n < 0 || (off_t)(*size + (size_t)n) > FILE_MOST || write(to, room, (size_t)n) != n)
            return no_copy(path, err);
    if (fcntl(to, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return no_copy(path, err);
    *ret = TAKE_FD(to);
    return 0;
}

static int check_digest(const char *path, const unsigned char digest[32], struct str wanted, struct kl_err *err)
{
    char text[80] = "sha256:";
    for (unsigned i = 0; i < 32; i++)
        snprintf(text + 7 + 2 * i, 3, "%02x", digest[i]);
    if (!wanted.len || str_is(wanted, text))
        return 0;
    return kl_err_set(err, KL_FORBIDDEN, "'%s' is not the file that 'digest' names: it is %s", path, text);
}

/* Digest, signature, and what the rule says about a file without a good one. */
static int judge(const char *path, struct str bytes, struct str wanted, unsigned char digest[32], struct kl_err *err)
{
    char sig_path[4096 + 8];
    struct kl_err why;
    kl_err_init(&why);
    gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes.at, bytes.len, digest);
    int rc = check_digest(path, digest, wanted, err);
    if (rc < 0 || rule.mode == VERIFY_OFF)
        return rc;
    snprintf(sig_path, sizeof sig_path, "%s" SIGN_SUFFIX, path);
    rc = verify_signature(path, sig_path, bytes, rule.keys, rule.n, rule.dir, NULL, &why);
    if (rc < 0 && rule.mode == VERIFY_WARN)
        log_warn("plugin", "%s", why.msg);
    else if (rc < 0)
        return kl_err_set(err, why.code, "%s", why.msg);
    return 0;
}

/* *ret: a sealed copy that may be loaded. */
static int copy_and_judge(const char *path, struct str wanted, int *ret, unsigned char digest[32], struct kl_err *err)
{
    size_t size;
    _cleanup_close_ int fd = -1;
    int rc = copy_file(path, &fd, &size, err);
    if (rc < 0)
        return rc;
    void *at = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    if (at == MAP_FAILED)
        return no_copy(path, err);
    rc = judge(path, str_n(at ? at : "", size), wanted, digest, err);
    if (at)
        munmap(at, size);
    if (rc == 0)
        *ret = TAKE_FD(fd);
    return rc;
}

static int keep(const char *path, int fd, const unsigned char digest[32], struct copy **ret)
{
    struct copy *old = find(path);
    size_t n = strlen(path) + 1;
    if (old && memcmp(old->digest, digest, 32) == 0) {          /* the same bytes are the same library: it is not loaded twice */
        close(fd);
        *ret = old;
        return 0;
    }
    struct copy *c = mem_alloc(sizeof *c + n);
    if (!c) {
        close(fd);
        return -KL_NO_MEMORY;
    }
    if (old)
        old->current = false;
    memcpy(c->path, path, n);
    memcpy(c->digest, digest, 32);
    snprintf(c->name, sizeof c->name, "/proc/self/fd/%d", fd);
    c->fd = fd;
    c->current = true;
    c->next = rule.copies;
    rule.copies = c;
    *ret = c;
    return 0;
}

int verify_copy(const char *path, struct str wanted, int *ret, struct kl_err *err)
{
    unsigned char digest[32];
    return copy_and_judge(path, wanted, ret, digest, err);
}

int verify_file(const char *path, struct str wanted, const char **ret, int *ret_fd, struct kl_err *err)
{
    unsigned char digest[32];
    struct copy *c = find(path);
    int fd = -1;
    *ret = path;
    *ret_fd = -1;
    if (rule.mode == VERIFY_OFF && !wanted.len) {
        if (c)
            c->current = false;
        return 0;
    }
    int rc = copy_and_judge(path, wanted, &fd, digest, err);
    if (rc < 0)
        return rc;
    if (keep(path, fd, digest, &c) < 0)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    *ret = c->name;
    *ret_fd = c->fd;
    return 0;
}

const char *verify_name(const char *path)
{
    const struct copy *c = find(path);
    return c ? c->name : path;
}
