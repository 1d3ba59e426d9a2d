/* digest.c - digests of texts, files and trees. */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>

#include "distro/internal.h"

static void to_hex(const unsigned char *sum, size_t n, char *ret)
{
    for (size_t i = 0; i < n; i++)
        snprintf(ret + 2 * i, 3, "%02x", sum[i]);
}

void digest_of_text(const char *alg, struct str bytes, char ret[129])
{
    unsigned char sum[64];
    gnutls_digest_algorithm_t which = gnutls_digest_get_id(alg);
    ret[0] = '\0';
    if (gnutls_hash_fast(which, bytes.at, bytes.len, sum) == 0)
        to_hex(sum, gnutls_hash_get_len(which), ret);
}

static int add_file(gnutls_hash_hd_t hash, const char *path, struct kl_err *err)
{
    char room[65536];
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0)
        if ((n = read(fd, room, sizeof room)) > 0)
            gnutls_hash(hash, room, (size_t)n);
    return n < 0 ? kl_err_set(err, KL_NOT_FOUND, "'%s' cannot be read: %s", path, strerror(errno)) : 0;
}

void *tree_hash_new(void)
{
    gnutls_hash_hd_t hash;
    return gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) == 0 ? hash : NULL;
}

void tree_hash_end(void *hash, char ret[65])
{
    unsigned char sum[32] = { 0 };
    if (hash)
        gnutls_hash_deinit(hash, sum);
    to_hex(sum, sizeof sum, ret);
}

int digest_of_file(const char *path, char ret[65], struct kl_err *err)
{
    void *hash = tree_hash_new();
    int rc = hash ? add_file(hash, path, err) : kl_err_set(err, KL_INTERNAL, "no digest can be made");
    tree_hash_end(hash, ret);
    return rc;
}

/* Name, digest, newline: no name and no content can be taken for another. */
int tree_hash_file(void *hash, const char *path, const char *label, struct kl_err *err)
{
    char one[65];
    int rc = digest_of_file(path, one, err);
    if (rc < 0)
        return rc;
    gnutls_hash(hash, one, 64);
    gnutls_hash(hash, "  ", 2);
    gnutls_hash(hash, label, strlen(label));
    gnutls_hash(hash, "\n", 1);
    return 0;
}

static bool inside(struct str path, const char *folder)
{
    while (path.at) {
        struct str one = str_cut(&path, '/');
        if (path.at && str_is(one, folder))
            return true;
    }
    return false;
}

int tree_hash_add(void *hash, const char *dir, const char *label, const char *but, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct val *files = NULL;
    int rc = a ? files_list(a, dir, &files, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    for (struct val *f = rc == 0 ? files->first : NULL; f && rc == 0; f = f->next) {
        char path[PATH_MOST], name[PATH_MOST];
        if (but && inside(val_str(f), but))
            continue;
        snprintf(path, sizeof path, "%s/" STR_FMT, dir, STR_ARG(val_str(f)));
        snprintf(name, sizeof name, "%s/" STR_FMT, label, STR_ARG(val_str(f)));
        rc = tree_hash_file(hash, path, name, err);
    }
    return rc;
}
