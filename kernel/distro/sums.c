/* sums.c - SHA256SUMS of a folder (as sha256sum -c reads it), and signatures. */
#include "distro/internal.h"
#include "plugin/sign.h"

int sums_write(struct arena *a, const char *dir, struct buf *ret, struct kl_err *err)
{
    struct val *files = NULL;
    int rc = files_list(a, dir, &files, err);
    for (struct val *f = rc == 0 ? files->first : NULL; f && rc == 0; f = f->next) {
        char digest[65], path[PATH_MOST];
        struct str name = val_str(f);
        if (str_ends(name, STR(SUMS_FILE)) || str_ends(name, STR(SUMS_FILE SIGN_SUFFIX)))
            continue;
        snprintf(path, sizeof path, "%s/" STR_FMT, dir, STR_ARG(name));
        rc = digest_of_file(path, digest, err);
        if (rc == 0)
            buf_printf(ret, "%s  " STR_FMT "\n", digest, STR_ARG(name));
    }
    return rc == 0 && ret->failed ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : rc;
}

int sums_sign(const char *path, const char *key, struct kl_err *err)
{
    _cleanup_buf_ struct buf secret = BUF_INIT(SIGN_TEXT_MOST), bytes = BUF_INIT(FILE_LIMIT), sig = BUF_INIT(SIGN_TEXT_MOST);
    struct sign_key by;
    char to[PATH_MOST + 8];
    if (!key)
        return 0;
    int rc = files_read(key, &secret, err);
    if (rc == 0)
        rc = files_read(path, &bytes, err);
    if (rc == 0)
        rc = sign_make(buf_str(&secret), key, buf_str(&bytes), &sig, &by, err);
    snprintf(to, sizeof to, "%s" SIGN_SUFFIX, path);
    return rc < 0 ? rc : files_write(to, buf_str(&sig), 0644, err);
}
