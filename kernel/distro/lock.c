/* lock.c - the lock: every input of a distribution with its digest, a line each, in a fixed order. A build with --locked takes nothing else. */
#include <errno.h>

#include "distro/internal.h"

static int add(struct distro *d, const char *kind, const char *name, const char *digest, struct kl_err *err)
{
    struct val *one = val_push(d->inputs, val_new(d->arena, VAL_OBJ));
    json_set_str(d->arena, one, STR("kind"), str_of(kind));
    json_set_str(d->arena, one, STR("name"), str_of(arena_dup(d->arena, str_of(name))));
    json_set_str(d->arena, one, STR("digest"), str_of(arena_dup(d->arena, str_of(digest))));
    return one && !arena_exhausted(d->arena) ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

static int add_file(struct distro *d, const char *kind, const char *name, const char *path, struct kl_err *err)
{
    char digest[65];
    int rc = digest_of_file(path, digest, err);
    return rc < 0 ? rc : add(d, kind, name, digest, err);
}

/* --- sources --- */

/* The kernel with what every build of it takes of plugins/: the build's rules, the libraries that plugins share, the image store. */
static int add_kernel(struct distro *d, struct kl_err *err)
{
    static const struct {
        const char *path;
        bool folder;
    } parts[] = { { "CMakeLists.txt", false }, { "kernel", true }, { "sdk", true }, { "plugins/CMakeLists.txt", false },
                  { "plugins/builtins.cmake", false }, { "plugins/admission-common", true }, { "plugins/controller-common", true },
                  { "plugins/runtime-crun/image", true } };
    char path[PATH_MOST + 64], digest[65];
    void *hash = tree_hash_new();
    int rc = hash ? 0 : kl_err_set(err, KL_INTERNAL, "no digest can be made");
    for (size_t i = 0; i < sizeof parts / sizeof *parts && rc == 0; i++) {
        snprintf(path, sizeof path, "%s/%s", d->source, parts[i].path);
        rc = parts[i].folder ? tree_hash_add(hash, path, parts[i].path, "test", err) : tree_hash_file(hash, path, parts[i].path, err);
    }
    tree_hash_end(hash, digest);
    return rc < 0 ? rc : add(d, "kernel", KEELSON_VERSION, digest, err);
}

static int add_folder(struct distro *d, const char *name, const char *dir, const char *but, struct kl_err *err)
{
    char digest[65];
    void *hash = tree_hash_new();
    int rc = hash ? tree_hash_add(hash, dir, name, but, err) : kl_err_set(err, KL_INTERNAL, "no digest can be made");
    tree_hash_end(hash, digest);
    return rc < 0 ? rc : add(d, "plugin", name, digest, err);
}

static int add_plugin(struct distro *d, const struct distro_plugin *p, struct kl_err *err)
{
    if (p->origin == OF_FILE)
        return add_file(d, "plugin", p->name, p->path, err);
    if (p->origin == OF_SOURCE)
        return add_folder(d, p->name, p->path, ".git", err);
    if (d->build->from)
        return add_file(d, "plugin", p->name, compile_plugin(d, p->name), err);
    return add_folder(d, p->name, arena_printf(d->arena, "%s/plugins/%s", d->source, p->name), "test", err);
}

/* The compiler by what it says of itself: its version is what makes the difference. */
static int add_compiler(struct distro *d, struct kl_err *err)
{
    static const char *const argv[] = { "cc", "--version", NULL };
    _cleanup_buf_ struct buf out = BUF_INIT(65536), said = BUF_INIT(65536);
    char digest[129];
    int rc = child_text(argv, &out, &said, err);
    if (rc != 0)
        return rc < 0 ? rc : kl_err_set(err, KL_UNAVAILABLE, "there is no C compiler 'cc'");
    struct str rest = buf_str(&out), first = str_cut(&rest, '\n'), version = first;
    digest_of_text("SHA256", first, digest);
    for (long at; (at = str_find(version, ' ')) >= 0;)
        version = str_skip(version, (size_t)at + 1);
    return add(d, "compiler", arena_printf(d->arena, "cc-" STR_FMT, STR_ARG(version)), digest, err);
}

static int add_list(struct distro *d, const char *kind, const struct val *list, struct kl_err *err)
{
    int rc = 0;
    for (const struct val *v = list ? list->first : NULL; v && rc == 0; v = v->next)
        rc = add_file(d, kind, arena_dup(d->arena, val_str(v)), distro_path(d, val_str(v)), err);
    return rc;
}

/* --- against the file --- */

static const char *lock_path(struct distro *d)
{
    struct str m = str_of(d->manifest);
    if (d->build->lock)
        return d->build->lock;
    if (str_ends(m, STR(".cfg")))
        m.len -= 4;
    return arena_printf(d->arena, STR_FMT ".lock", STR_ARG(m));
}

static const struct val *find(const struct distro *d, struct str kind, struct str name)
{
    val_each(v, d->inputs)
        if (str_eq(json_str(v, "kind"), kind) && str_eq(json_str(v, "name"), name))
            return v;
    return NULL;
}

/* One line: "kind name sha256:digest". later: kinds that are known only when everything is built. */
static int check_line(struct distro *d, const char *path, unsigned line, struct str text, bool later, unsigned *met, struct kl_err *err)
{
    struct str kind = str_cut(&text, ' '), name = str_cut(&text, ' '), digest = text;
    bool of_build = str_is(kind, "library") || str_is(kind, "archive");
    if (!str_starts(digest, STR("sha256:")) || digest.len != 71)
        return kl_err_set(err, KL_INVALID, "%s:%u: not a line of a lock: 'KIND NAME sha256:DIGEST'; build without --locked to write it anew", path, line);
    if (of_build != later)
        return 0;
    const struct val *v = find(d, kind, name);
    ++*met;
    if (!v)
        return kl_err_set(err, KL_CONFLICT, "%s:%u: the lock has " STR_FMT " '" STR_FMT "', which is not used any more; build without --locked to lock what is", path, line,
                          STR_ARG(kind), STR_ARG(name));
    if (!str_eq(json_str(v, "digest"), str_skip(digest, 7)))
        return kl_err_set(err, KL_CONFLICT, "%s:%u: " STR_FMT " '" STR_FMT "' is not what was locked: it is sha256:" STR_FMT " now; build without --locked to lock it",
                          path, line, STR_ARG(kind), STR_ARG(name), STR_ARG(json_str(v, "digest")));
    return 0;
}

/* The first input, from the n-th on, that no line names. */
static int tell_missing(struct distro *d, const char *path, struct str lock, unsigned n, struct kl_err *err)
{
    const struct val *v = d->inputs->first;
    for (; v && n > 0; n--)
        v = v->next;
    for (; v; v = v->next) {
        bool there = false;
        for (struct str rest = lock; rest.at && rest.len && !there;) {
            struct str line = str_cut(&rest, '\n'), kind = str_cut(&line, ' ');
            there = str_eq(kind, json_str(v, "kind")) && str_eq(str_cut(&line, ' '), json_str(v, "name"));
        }
        if (!there)
            return kl_err_set(err, KL_CONFLICT, "%s: " STR_FMT " '" STR_FMT "' is not in the lock; build without --locked to lock it", path,
                              STR_ARG(json_str(v, "kind")), STR_ARG(json_str(v, "name")));
    }
    return kl_err_set(err, KL_INVALID, "%s: an input is there twice; build without --locked to write it anew", path);
}

/* The inputs from the n-th on. */
static int check_lock(struct distro *d, bool later, unsigned from, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16 << 20);
    const char *path = lock_path(d);
    unsigned line = 0, met = 0;
    if (!d->build->locked)
        return 0;
    int rc = files_read(path, &b, err);
    if (rc < 0)
        return kl_err_set(err, KL_NOT_FOUND, "--locked needs the lock file '%s', which cannot be read; build without it once to write it", path);
    for (struct str rest = buf_str(&b); rest.at && rest.len && rc == 0;) {
        struct str text = str_cut(&rest, '\n');
        line++;
        if (text.len && text.at[0] != '#')
            rc = check_line(d, path, line, text, later, &met, err);
    }
    return rc == 0 && met != d->inputs->n - from ? tell_missing(d, path, buf_str(&b), from, err) : rc;
}

int lock_inputs(struct distro *d, struct kl_err *err)
{
    d->inputs = val_new(d->arena, VAL_ARR);
    int rc = d->build->from ? add_file(d, "kernel", KEELSON_VERSION, compile_program(d), err) : add_kernel(d, err);
    if (rc == 0 && !d->build->from)
        rc = add_compiler(d, err);
    for (unsigned i = 0; i < d->n_plugins && rc == 0; i++)
        rc = add_plugin(d, &d->plugins[i], err);
    if (rc == 0)
        rc = add_file(d, "conf", "keelson.cfg", etc_source(d), err);
    if (rc == 0)
        rc = add_list(d, "conf", d->conf_d, err);
    if (rc == 0)
        rc = add_list(d, "key", d->keys, err);
    for (unsigned i = 0; i < d->n_images && rc == 0; i++)
        rc = add_file(d, "image", d->images[i].name, d->images[i].file[0] ? d->images[i].file : d->images[i].busybox, err);
    return rc < 0 ? rc : check_lock(d, false, 0, err);
}

int lock_libraries(struct distro *d, struct kl_err *err)
{
    unsigned before = d->inputs->n;
    int rc = 0;
    for (const struct val *v = d->libraries->first; v && rc == 0; v = v->next)
        rc = add_file(d, json_bool(v, "archive", false) ? "archive" : "library", arena_dup(d->arena, json_str(v, "name")),
                      arena_dup(d->arena, json_str(v, "path")), err);
    return rc < 0 ? rc : check_lock(d, true, before, err);
}

int lock_text(struct distro *d, struct buf *ret, struct kl_err *err)
{
    buf_printf(ret, "# Inputs of the distribution %s %s, written by `keelson distro build`; with --locked it takes no others.\n", d->name, d->version);
    val_each(v, d->inputs)
        buf_printf(ret, STR_FMT " " STR_FMT " sha256:" STR_FMT "\n", STR_ARG(json_str(v, "kind")), STR_ARG(json_str(v, "name")), STR_ARG(json_str(v, "digest")));
    return ret->failed ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : 0;
}

int lock_save(struct distro *d, struct str text, struct kl_err *err)
{
    const char *path = lock_path(d), *temp = arena_printf(d->arena, "%s.new", path);
    if (d->build->locked)
        return 0;
    int rc = files_write(temp, text, 0644, err);
    if (rc == 0 && rename(temp, path) < 0)
        rc = kl_err_set(err, KL_UNAVAILABLE, "the lock file '%s' cannot be written: %s", path, strerror(errno));
    if (rc < 0)
        unlink(temp);
    return rc;
}
