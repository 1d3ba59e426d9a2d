/* verify.c - is every byte what was built? A list of digests vouches for files, a signature for the list; archives have signatures of their own. */
#include <errno.h>
#include <libgen.h>
#include <sys/stat.h>

#include "distro/contents.h"
#include "plugin/verify.h"

struct check {
    struct arena *a;
    const struct distro_trust *trust;
    struct buf *report;
    struct sign_key keys[VERIFY_KEYS_MOST];
    unsigned n_keys;
};

/* --- signatures --- */

/* sig: the text beside `what`; its form must be the one that we write, or a byte of its comment could be another. */
static int check_signature(struct check *c, const char *what, struct str bytes, struct str sig, struct kl_err *err)
{
    char number[17];
    const struct sign_key *by = NULL;
    struct kl_err why;
    kl_err_init(&why);
    int rc = sign_check(sig, bytes, c->keys, c->n_keys, &by, number, &why);
    if (rc == -KL_NOT_FOUND)
        return kl_err_set(err, KL_FORBIDDEN, "'%s' is signed by key %s, which '%s' does not have: `keelson plugin keys trust NAME.pub`", what,
                          number, c->trust->keys_dir);
    if (rc == -KL_INVALID || (rc == 0 && !sign_canonical(sig, by)))
        return kl_err_set(err, KL_CORRUPT, "the signature of '%s' is damaged", what);
    if (rc < 0)
        return kl_err_set(err, KL_CORRUPT, "'%s' is not what key %s signed: it was changed", what, number);
    buf_printf(c->report, "%s: signed by '%s' (key %s)\n", what, by->name, number);
    return 0;
}

static int unsigned_is(struct check *c, const char *what, struct kl_err *err)
{
    if (c->trust->required)
        return kl_err_set(err, KL_FORBIDDEN, "'%s' is not signed", what);
    buf_printf(c->report, "%s: not signed\n", what);
    return 0;
}

/* Of a file with its signature beside it. */
static int check_beside(struct check *c, const char *path, struct str bytes, bool *was_signed, struct kl_err *err)
{
    _cleanup_buf_ struct buf sig = BUF_INIT(65536);
    const char *sig_path = arena_printf(c->a, "%s" SIGN_SUFFIX, path);
    *was_signed = access(sig_path, F_OK) == 0;
    if (!*was_signed)
        return unsigned_is(c, path, err);
    int rc = files_read(sig_path, &sig, err);
    return rc < 0 ? rc : check_signature(c, path, bytes, buf_str(&sig), err);
}

/* --- lists of digests --- */

/* "digest  name" */
static bool cut_line(struct str *rest, struct str *digest, struct str *name)
{
    struct str line = str_cut(rest, '\n');
    *digest = str_n(line.at, line.len < 64 ? line.len : 64);
    *name = str_skip(line, 66);
    return rest->at && line.len > 66 && line.at[64] == ' ' && line.at[65] == ' ';       /* the last line ends too */
}

static bool of_list(struct str name)
{
    return str_ends(name, STR(SUMS_FILE)) || str_ends(name, STR(SUMS_FILE SIGN_SUFFIX));
}

/* Every line has its file, every file its line. */
static int compare(const struct val *files, struct str sums, const char *where, struct kl_err *err)
{
    unsigned lines = 0, others = 0;
    for (struct str rest = sums; rest.at && rest.len; lines++) {
        struct str digest, name;
        if (!cut_line(&rest, &digest, &name))
            return kl_err_set(err, KL_CORRUPT, "'%s': line %u of its " SUMS_FILE " is damaged", where, lines + 1);
        const struct val *f = contents_find(files, name);
        if (!f)
            return kl_err_set(err, KL_CORRUPT, "'%s': file '" STR_FMT "' is missing", where, STR_ARG(name));
        if (!str_eq(json_str(f, "sha256"), digest))
            return kl_err_set(err, KL_CORRUPT, "'%s': file '" STR_FMT "' was changed: it is sha256 " STR_FMT, where, STR_ARG(name), STR_ARG(json_str(f, "sha256")));
    }
    val_each(f, files) {
        struct str digest, name, rest = sums;
        bool there = of_list(json_str(f, "name"));
        while (!there && rest.at && rest.len && cut_line(&rest, &digest, &name))
            there = str_eq(name, json_str(f, "name"));
        if (!there)
            return kl_err_set(err, KL_CORRUPT, "'%s': file '" STR_FMT "' was added: its " SUMS_FILE " does not have it", where, STR_ARG(json_str(f, "name")));
        others += !of_list(json_str(f, "name"));
    }
    return lines == others ? 0 : kl_err_set(err, KL_CORRUPT, "'%s': its " SUMS_FILE " names a file twice", where);
}

/* Files whose list is one of them. */
static int check_files(struct check *c, const struct val *files, const char *list_name, const char *where, struct kl_err *err)
{
    const struct val *sums = contents_find(files, str_of(list_name));
    const struct val *sig = contents_find(files, str_of(arena_printf(c->a, "%s" SIGN_SUFFIX, list_name)));
    const char *what = arena_printf(c->a, "%s: %s", where, list_name);
    if (!sums)
        return kl_err_set(err, KL_CORRUPT, "'%s' has no %s: it is no distribution, or that was removed", where, list_name);
    int rc = compare(files, json_str(sums, "text"), where, err);
    if (rc == 0)
        rc = sig ? check_signature(c, what, json_str(sums, "text"), json_str(sig, "text"), err) : unsigned_is(c, what, err);
    if (rc == 0)
        buf_printf(c->report, "%s: %u files as they were built\n", where, files->n);
    return rc;
}

/* --- archives and folders --- */

/* The list beside an archive, when there is one: *vouched. */
static int check_listed(struct check *c, const char *path, struct str bytes, bool *vouched, struct kl_err *err)
{
    _cleanup_buf_ struct buf sums = BUF_INIT(4 << 20);
    char *copy = arena_dup(c->a, str_of(path)), *other = arena_dup(c->a, str_of(path)), hex[129];
    const char *list = arena_printf(c->a, "%s/" SUMS_FILE, dirname(copy)), *base = basename(other);
    bool was_signed;
    *vouched = false;
    if (access(list, F_OK) != 0)
        return 0;
    int rc = files_read(list, &sums, err);
    digest_of_text("SHA256", bytes, hex);
    for (struct str rest = buf_str(&sums); rc == 0 && rest.at && rest.len && !*vouched;) {
        struct str digest, name;
        if (!cut_line(&rest, &digest, &name))
            return kl_err_set(err, KL_CORRUPT, "'%s' is damaged", list);
        if (!str_is(name, base))
            continue;
        *vouched = true;
        if (!str_is(digest, hex))
            return kl_err_set(err, KL_CORRUPT, "'%s' was changed: it is sha256 %s, and '%s' says otherwise", path, hex, list);
    }
    return rc == 0 && *vouched ? check_beside(c, list, buf_str(&sums), &was_signed, err) : rc;
}

/* listed: a list beside it vouches for it, and was looked at. */
static int check_archive(struct check *c, const char *path, bool listed, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(FILE_LIMIT);
    struct val *files = NULL;
    bool was_signed = false, ours = str_ends(str_of(path), STR(".tar.zst"));
    int rc = files_read(path, &b, err);
    if (rc == 0 && !listed)
        rc = check_listed(c, path, buf_str(&b), &listed, err);
    if (rc == 0)
        rc = check_beside(c, path, buf_str(&b), &was_signed, err);
    if (rc == 0 && !listed && !was_signed && !ours)
        rc = kl_err_set(err, KL_NOT_FOUND, "nothing vouches for '%s': neither a " SUMS_FILE " nor a signature is beside it", path);
    if (rc == 0 && ours)
        rc = contents_read(c->a, path, &files, err);
    return rc == 0 && ours ? check_files(c, files, SHARE "/" SUMS_FILE, path, err) : rc;
}

static int check_folder(struct check *c, const char *path, struct kl_err *err)
{
    bool output = access(arena_printf(c->a, "%s/" SUMS_FILE, path), F_OK) == 0;
    struct val *files = NULL;
    int rc = contents_read(c->a, path, &files, err);
    if (rc == 0)
        rc = check_files(c, files, output ? SUMS_FILE : SHARE "/" SUMS_FILE, path, err);
    for (struct val *f = rc == 0 && output ? files->first : NULL; f && rc == 0; f = f->next) {
        struct str name = json_str(f, "name");
        if (str_ends(name, STR(".tar.zst")) || str_ends(name, STR(".deb")) || str_ends(name, STR(".oci.tar")))
            rc = check_archive(c, arena_printf(c->a, "%s/" STR_FMT, path, STR_ARG(name)), true, err);
    }
    return rc;
}

int distro_verify(const char *path, const struct distro_trust *t, struct buf *report, struct kl_err *err)
{
    static struct check c;
    struct stat st;
    c = (struct check){ .a = arena_new(0), .trust = t, .report = report };
    int rc = c.a ? verify_read_keys(t->keys_dir, c.keys, VERIFY_KEYS_MOST, &c.n_keys, err) : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc == 0 && stat(path, &st) < 0)
        rc = kl_err_set(err, KL_NOT_FOUND, "'%s' cannot be opened: %s", path, strerror(errno));
    if (rc == 0)
        rc = S_ISDIR(st.st_mode) ? check_folder(&c, path, err) : check_archive(&c, path, false, err);
    arena_free(c.a);
    return rc;
}
