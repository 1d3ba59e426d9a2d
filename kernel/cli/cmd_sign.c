/* cmd_sign.c - `keelson plugin sign | verify | keys`: ed25519 keys and the detached signatures of files. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/disk.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "plugin/verify.h"

#define TRUSTED_DIR "/etc/keelson/trust"
#define FILE_MOST   ((size_t)1 << 30)

static const char usage_text[] =
    "usage: keelson plugin sign --key NAME.sec FILE...            writes FILE.sig beside each file\n"
    "       keelson plugin verify [--trusted-keys DIR] FILE...    is each what a trusted key signed?\n"
    "       keelson plugin keys generate [--dir DIR] NAME         a new pair: NAME.sec (keep it) and NAME.pub (give it away)\n"
    "       keelson plugin keys list [--trusted-keys DIR]         the keys that are trusted here\n"
    "       keelson plugin keys trust [--trusted-keys DIR] FILE.pub\n"
    "       keelson plugin keys remove [--trusted-keys DIR] NAME\n"
    "  --trusted-keys DIR   the folder that trust.keys of the configuration names (" TRUSTED_DIR ")\n"
    "The configuration's trust.verify (off, warn, enforce) says what becomes of plugins without a good signature. Keys and signatures have\n"
    "the format of OpenBSD's signify, which can verify them too.\n";

struct words {
    const char *key, *dir, *trusted;
    char **at;                          /* what is no option */
    int n;
};

static int wrong_use(const char *what)
{
    return cli_fail(2, "plugin %s\n%s", what, usage_text);
}

/* 0, 1: help was asked for, 2. */
static int read_words(int argc, char **argv, struct words *w)
{
    w->trusted = TRUSTED_DIR;
    w->dir = ".";
    w->at = argv + 1;                   /* in place: behind what was read already */
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return 1;
        int rc = cli_option(argc, argv, &i, "--key", &w->key);
        rc = rc ? rc : cli_option(argc, argv, &i, "--dir", &w->dir);
        rc = rc ? rc : cli_option(argc, argv, &i, "--trusted-keys", &w->trusted);
        if (rc == 2)
            return 2;
        if (rc == 0 && argv[i][0] == '-')
            return cli_fail(2, "plugin: unknown argument '%s'\n%s", argv[i], usage_text);
        if (rc == 0)
            w->at[w->n++] = argv[i];
    }
    return 0;
}

/* --- files --- */

int cli_read_file(const char *path, struct buf *ret, struct kl_err *err)
{
    char part[65536];
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t n = 1; fd >= 0 && n > 0 && !ret->failed;) {
        n = read(fd, part, sizeof part);
        if (n < 0)
            return kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be read: %s", path, strerror(errno));
        buf_add(ret, part, (size_t)n);
    }
    if (fd < 0)
        return kl_err_set(err, KL_NOT_FOUND, "'%s' cannot be opened: %s", path, strerror(errno));
    return ret->failed ? kl_err_set(err, KL_TOO_LARGE, "'%s' is too large", path) : 0;
}

/* Under a name of its own first: what is there stays whole. */
int cli_write_file(const char *path, mode_t mode, struct str text, struct kl_err *err)
{
    char temp[4200];
    snprintf(temp, sizeof temp, "%s.%d.new", path, (int)getpid());
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    bool ok = fd >= 0 && write(fd, text.at, text.len) == (ssize_t)text.len && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (ok && rename(temp, path) == 0)
        return 0;
    why = ok ? errno : why;
    unlink(temp);
    return kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be written: %s", path, strerror(why));
}

/* --- sign, verify --- */

int cli_sign_file(const char *path, struct str secret, const char *key_path, struct kl_err *err)
{
    _cleanup_buf_ struct buf bytes = BUF_INIT(FILE_MOST), sig = BUF_INIT(SIGN_TEXT_MOST);
    struct sign_key by;
    char to[4200];
    int rc = cli_read_file(path, &bytes, err);
    if (rc == 0)
        rc = sign_make(secret, key_path, buf_str(&bytes), &sig, &by, err);
    snprintf(to, sizeof to, "%s" SIGN_SUFFIX, path);
    return rc < 0 ? rc : cli_write_file(to, 0644, buf_str(&sig), err);
}

static int sign(const struct words *w)
{
    _cleanup_buf_ struct buf secret = BUF_INIT(SIGN_TEXT_MOST);
    struct kl_err err;
    kl_err_init(&err);
    if (!w->key)
        return wrong_use("sign: --key is missing: the secret key to sign with");
    if (!w->n)
        return wrong_use("sign: name the files to sign");
    if (cli_read_file(w->key, &secret, &err) < 0)
        return cli_fail(1, "%s", err.msg);
    for (int i = 0; i < w->n; i++)
        if (cli_sign_file(w->at[i], buf_str(&secret), w->key, &err) < 0)
            return cli_fail(1, "%s", err.msg);
    return 0;
}

static int verify(const struct words *w)
{
    static struct sign_key keys[VERIFY_KEYS_MOST];
    unsigned n;
    int status = 0;
    struct kl_err err;
    kl_err_init(&err);
    if (!w->n)
        return wrong_use("verify: name the files to verify");
    if (verify_read_keys(w->trusted, keys, VERIFY_KEYS_MOST, &n, &err) < 0)
        return cli_fail(1, "%s", err.msg);
    for (int i = 0; i < w->n; i++) {
        _cleanup_buf_ struct buf bytes = BUF_INIT(FILE_MOST);
        const struct sign_key *by = NULL;
        char sig[4200], number[17];
        snprintf(sig, sizeof sig, "%s" SIGN_SUFFIX, w->at[i]);
        if (cli_read_file(w->at[i], &bytes, &err) < 0 || verify_signature(w->at[i], sig, buf_str(&bytes), keys, n, w->trusted, &by, &err) < 0) {
            status = cli_fail(1, "%s", err.msg);
            continue;
        }
        sign_number(by->number, number);
        printf("%s: signed by '%s' (key %s)\n", w->at[i], by->name, number);
    }
    return status;
}

/* --- keys --- */

static int generate(const struct words *w)
{
    _cleanup_buf_ struct buf secret = BUF_INIT(SIGN_TEXT_MOST), public = BUF_INIT(SIGN_TEXT_MOST);
    char key[4200], pub[4200];
    struct kl_err err;
    kl_err_init(&err);
    if (w->n != 1 || !sign_name_ok(str_of(w->at[0])))
        return wrong_use("keys generate: needs one NAME of letters, digits, '-', '.' and '_'");
    snprintf(key, sizeof key, "%s/%s.sec", w->dir, w->at[0]);
    snprintf(pub, sizeof pub, "%s/%s.pub", w->dir, w->at[0]);
    if (access(key, F_OK) == 0)
        return cli_fail(1, "'%s' is there already: a key that is overwritten is lost", key);
    if (sign_generate(w->at[0], &secret, &public, &err) < 0 || cli_write_file(key, 0600, buf_str(&secret), &err) < 0 ||
        cli_write_file(pub, 0644, buf_str(&public), &err) < 0)
        return cli_fail(1, "%s", err.msg);
    printf("%s  the secret key: keep it\n%s  the public key: `keelson plugin keys trust %s` where it is to be trusted\n", key, pub, pub);
    return 0;
}

static int list(const struct words *w)
{
    static struct sign_key keys[VERIFY_KEYS_MOST];
    unsigned n;
    char number[17];
    struct kl_err err;
    kl_err_init(&err);
    if (w->n)
        return wrong_use("keys list: takes no name");
    if (verify_read_keys(w->trusted, keys, VERIFY_KEYS_MOST, &n, &err) < 0)
        return cli_fail(1, "%s", err.msg);
    for (unsigned i = 0; i < n; i++) {
        sign_number(keys[i].number, number);
        printf("%-32s %s\n", keys[i].name, number);
    }
    return 0;
}

static int trust(const struct words *w)
{
    _cleanup_buf_ struct buf text = BUF_INIT(SIGN_TEXT_MOST);
    struct sign_key k;
    char to[4200];
    struct kl_err err;
    kl_err_init(&err);
    if (w->n != 1)
        return wrong_use("keys trust: needs one FILE.pub");
    const char *base = strrchr(w->at[0], '/');
    base = base ? base + 1 : w->at[0];
    if (!str_ends(str_of(base), STR(".pub")) || !sign_name_ok(str_of(base)))
        return cli_fail(2, "plugin keys trust: '%s' must be a file NAME.pub: NAME is what the key is called here", w->at[0]);
    if (cli_read_file(w->at[0], &text, &err) < 0 || sign_public(buf_str(&text), w->at[0], &k, &err) < 0 || disk_mkdirs(w->trusted, 0755, &err) < 0)
        return cli_fail(1, "%s", err.msg);
    snprintf(to, sizeof to, "%s/%s", w->trusted, base);
    return cli_write_file(to, 0644, buf_str(&text), &err) < 0 ? cli_fail(1, "%s", err.msg) : 0;
}

static int take_away(const struct words *w)
{
    char path[4200];
    if (w->n != 1 || !sign_name_ok(str_of(w->at[0])))
        return wrong_use("keys remove: needs one NAME, as `keys list` shows it");
    snprintf(path, sizeof path, "%s/%s.pub", w->trusted, w->at[0]);
    if (unlink(path) < 0)
        return cli_fail(1, "key '%s' cannot be removed from '%s': %s", w->at[0], w->trusted, strerror(errno));
    return 0;
}

int cmd_sign(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct words *w);
    } of_keys[] = { { "generate", generate }, { "list", list }, { "trust", trust }, { "remove", take_away } };
    static const char *const known[] = { "generate", "list", "trust", "remove", NULL };
    struct words w = { .n = 0 };
    bool keys = strcmp(argv[0], "keys") == 0;
    int rc = read_words(argc - keys, argv + keys, &w);
    if (rc == 1 || (keys && argc > 1 && strcmp(argv[1], "--help") == 0)) {
        fputs(usage_text, stdout);
        return 0;
    }
    if (rc)
        return rc;
    if (!keys)
        return strcmp(argv[0], "sign") == 0 ? sign(&w) : verify(&w);
    for (size_t i = 0; argc > 1 && i < sizeof of_keys / sizeof *of_keys; i++)
        if (strcmp(argv[1], of_keys[i].name) == 0)
            return of_keys[i].run(&w);
    if (argc < 2 || !cli_known("plugin keys", argv[1], known))
        return wrong_use("keys: generate, list, trust or remove?");
    return 2;
}
