/* blob.c - content-addressed bytes: digested while they stream in, checked again when they are read. */
#include "image/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/env.h"

void blob_path(const char *digest, char ret[96])
{
    snprintf(ret, 96, "blobs/sha256/%.64s", digest_hex(digest));
}

bool blob_there(struct image_store *s, const char *digest)
{
    char path[96];
    struct stat st;
    blob_path(digest, path);
    return fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

int blob_open(struct image_store *s, const char *digest, struct kl_err *err)
{
    char path[96];
    if (!digest_valid(str_of(digest)))
        return kl_err_set(err, KL_INVALID, "'%.80s' is not a sha256 digest", digest);
    blob_path(digest, path);
    int fd = openat(s->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return kl_err_set(err, KL_NOT_FOUND, "blob '%s' is not in the image store '%s': %s", digest, s->dir, strerror(errno));
    return fd;
}

static int copy_digested(int from, int to, gnutls_hash_hd_t hash, int64_t most, int64_t *ret_size, struct kl_err *err)
{
    _cleanup_free_ char *chunk = mem_alloc(1 << 17);
    if (!chunk)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    for (int64_t total = 0;;) {
        ssize_t n = read(from, chunk, 1 << 17);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kl_err_set(err, KL_INTERNAL, "cannot read a blob: %s", strerror(errno));
        *ret_size = total += n;
        if (n == 0)
            return 0;
        if (total > most)
            return kl_err_set(err, KL_TOO_LARGE, "a blob is larger than the %lld bytes announced", (long long)most);
        gnutls_hash(hash, chunk, (size_t)n);
        for (ssize_t done = 0; done < n;) {
            ssize_t m = write(to, chunk + done, (size_t)(n - done));
            if (m < 0 && errno != EINTR)
                return kl_err_set(err, errno == ENOSPC ? KL_STORAGE_FULL : KL_INTERNAL, "cannot write a blob: %s",
                                  strerror(errno));
            done += m > 0 ? m : 0;
        }
    }
}

int blob_put_fd(struct image_store *s, int fd, const char *want, int64_t want_size, char ret[DIGEST_TEXT], int64_t *ret_size,
                struct kl_err *err)
{
    char part[64], path[96];
    uint64_t salt;
    gnutls_hash_hd_t hash;
    env_random(&salt, sizeof salt);
    snprintf(part, sizeof part, "tmp/blob-%016llx", (unsigned long long)salt);
    _cleanup_close_ int to = openat(s->fd, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        return kl_err_set(err, KL_INTERNAL, "cannot make '%s/%s': %s", s->dir, part, strerror(errno));
    if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) < 0)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    int rc = copy_digested(fd, to, hash, want_size < 0 ? unpack_limits_default.bytes : want_size, ret_size, err);
    digest_text(hash, ret);
    if (rc == 0 && want_size >= 0 && *ret_size != want_size)
        rc = kl_err_set(err, KL_INVALID, "blob '%s' has %lld bytes, its descriptor says %lld", want ? want : ret,
                        (long long)*ret_size, (long long)want_size);
    if (rc == 0 && want && strcmp(want, ret) != 0)
        rc = kl_err_set(err, KL_INVALID, "blob '%s' is not what its digest says: it is '%s'", want, ret);
    if (rc == 0 && fdatasync(to) < 0)
        rc = kl_err_set(err, KL_INTERNAL, "cannot write blob '%s' to disk: %s", ret, strerror(errno));
    blob_path(ret, path);
    if (rc == 0 && renameat(s->fd, part, s->fd, path) < 0)
        rc = kl_err_set(err, KL_INTERNAL, "cannot keep blob '%s': %s", ret, strerror(errno));
    if (rc < 0)
        unlinkat(s->fd, part, 0);
    return rc;
}

int blob_put(struct image_store *s, struct str bytes, char ret[DIGEST_TEXT], struct kl_err *err)
{
    char path[96];
    if (!digest_of(bytes, ret))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    blob_path(ret, path);
    return fs_write(s->fd, path, bytes, true, err);
}

int blob_json(struct image_store *s, struct arena *a, struct str digest, struct val **ret, struct kl_err *err)
{
    char path[96], is[DIGEST_TEXT], want[DIGEST_TEXT];
    _cleanup_buf_ struct buf b = BUF_INIT(DOCUMENT_MOST + 65536);
    if (!digest_valid(digest))
        return kl_err_set(err, KL_INVALID, "'" STR_FMT "' is not a sha256 digest", (int)(digest.len < 80 ? digest.len : 80),
                          digest.at ? digest.at : "");
    memcpy(want, digest.at, 71);
    want[71] = '\0';
    blob_path(want, path);
    int rc = fs_read(s->fd, path, DOCUMENT_MOST, &b, err);
    if (rc < 0)
        return kl_err_wrap(err, "blob '%s'", want);
    if (!digest_of(buf_str(&b), is) || strcmp(is, want) != 0)
        return kl_err_set(err, KL_CORRUPT, "blob '%s' is damaged: its digest is '%s'", want, is);
    struct str text = arena_str(a, buf_str(&b));
    *ret = text.at ? json_parse(a, text, err) : NULL;
    if (*ret && !val_is(*ret, VAL_OBJ))
        return kl_err_set(err, KL_INVALID, "blob '%s' is not a JSON object", want);
    return *ret ? 0 : text.at ? kl_err_wrap(err, "blob '%s'", want) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}
