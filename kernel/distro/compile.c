/* compile.c - program and plugins into the stage: compiled (CMake and Ninja), or taken as they are. No path of this machine and no time gets into
 * what is compiled. */
#include <errno.h>
#include <sys/stat.h>

#include "distro/internal.h"
#include "plugin/plugin.h"
#include "plugin/verify.h"

#define ARGUMENTS_MOST 256

const char *compile_program(struct distro *d)
{
    const char *installed = arena_printf(d->arena, "%s/bin/keelson", d->build->from);
    return access(installed, F_OK) == 0 ? installed : arena_printf(d->arena, "%s/keelson", d->build->from);
}

const char *compile_plugin(struct distro *d, const char *name)
{
    const char *in_build = arena_printf(d->arena, "%s/plugins/%s.so", d->build->from, name);
    return in_build && access(in_build, F_OK) == 0 ? in_build : arena_printf(d->arena, "%s/" PLUGIN_DIR "/%s.so", d->build->from, name);
}

static const char *staged(struct distro *d, const char *name, const char *end)
{
    return arena_printf(d->arena, "%s/" PLUGIN_DIR "/%s.so%s", d->stage, name, end);
}

/* --- prebuilt files --- */

static int read_keys(struct distro *d, struct sign_key *keys, unsigned *n, struct kl_err *err)
{
    *n = 0;
    for (const struct val *v = d->keys ? d->keys->first : NULL; v && *n < VERIFY_KEYS_MOST; v = v->next) {
        _cleanup_buf_ struct buf text = BUF_INIT(SIGN_TEXT_MOST);
        const char *path = distro_path(d, val_str(v));
        int rc = files_read(path, &text, err);
        if (rc == 0 && (rc = sign_public(buf_str(&text), path, &keys[*n], err)) < 0)
            rc = distro_wrong(d, v, err, "%s", err->msg);
        if (rc < 0)
            return rc;
        ++*n;
    }
    return 0;
}

static int check_digest(struct distro *d, const struct distro_plugin *p, struct str bytes, struct kl_err *err)
{
    char digest[129];
    digest_of_text("SHA256", bytes, digest);
    if (!p->sha256[0] || strcmp(p->sha256, digest) == 0)
        return 0;
    return distro_wrong(d, json_get(p->entry, STR("sha256")), err, "'%s' is another file than the one named: it is sha256 %s", p->name, digest);
}

/* The same rules as where it will run: who could have written it, and who signed it. */
static int check_trust(struct distro *d, const struct distro_plugin *p, struct str bytes, struct kl_err *err)
{
    static struct sign_key keys[VERIFY_KEYS_MOST];
    const struct val *at = json_get(p->entry, STR("file"));
    struct kl_err why;
    unsigned n;
    kl_err_init(&why);
    if (plugin_trust(p->path, &why) < 0)
        return distro_wrong(d, at, err, "%s", why.msg);
    if (strcmp(d->verify, "off") == 0)
        return 0;
    int rc = read_keys(d, keys, &n, err);
    if (rc < 0)
        return rc;
    if (verify_signature(p->path, arena_printf(d->arena, "%s" SIGN_SUFFIX, p->path), bytes, keys, n, "trust.keys", NULL, &why) == 0)
        return 0;
    if (strcmp(d->verify, "enforce") == 0)
        return distro_wrong(d, at, err, "%s", why.msg);
    fprintf(stderr, "keelson: %s: %s\n", conf_where(d->arena, at), why.msg);
    return 0;
}

/* What is checked is what is written: the bytes are read once. */
static int take_file(struct distro *d, const struct distro_plugin *p, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(FILE_LIMIT);
    const char *sig = arena_printf(d->arena, "%s" SIGN_SUFFIX, p->path);
    int rc = files_read(p->path, &b, err);
    if (rc == 0)
        rc = check_digest(d, p, buf_str(&b), err);
    if (rc == 0)
        rc = check_trust(d, p, buf_str(&b), err);
    if (rc == 0)
        rc = files_write(staged(d, p->name, ""), buf_str(&b), 0644, err);
    return rc == 0 && access(sig, F_OK) == 0 ? files_copy(sig, staged(d, p->name, SIGN_SUFFIX), 0644, err) : rc;
}

static int sentence(struct distro *d, const struct val *at, struct kl_err *err)
{
    struct kl_err why = *err;
    return distro_wrong(d, at, err, "%s", why.msg);
}

/* Prebuilt files are looked at before anything is compiled. */
static int take_files(struct distro *d, struct kl_err *err)
{
    int rc = 0;
    for (unsigned i = 0; i < d->n_plugins && rc == 0; i++) {
        struct distro_plugin *p = &d->plugins[i];
        struct val *facts = NULL;
        if (p->origin != OF_FILE)
            continue;
        const char *names[] = { staged(d, p->name, ""), NULL };
        rc = take_file(d, p, err);
        if (rc == 0 && (rc = facts_read(d, NULL, names, &facts, err)) < 0)
            rc = sentence(d, json_get(p->entry, STR("file")), err);
        p->facts = rc == 0 ? facts->first : NULL;
    }
    return rc < 0 ? rc : facts_check(d, false, err);
}

/* --- what is built already --- */

static int take_built(struct distro *d, struct kl_err *err)
{
    int rc = files_copy(compile_program(d), arena_printf(d->arena, "%s/bin/keelson", d->stage), 0755, err);
    for (unsigned i = 0; i < d->n_plugins && rc == 0; i++) {
        const char *name = d->plugins[i].name;
        if (d->plugins[i].origin == OF_TREE)
            rc = files_copy(compile_plugin(d, name), staged(d, name, ""), 0644, err);
    }
    return rc;
}

/* --- compiling --- */

/* -DNAME=one;other of the plugins that are wanted so. */
static const char *name_list(struct distro *d, const char *before, bool folders)
{
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    for (unsigned i = 0; i < d->n_plugins; i++) {
        const struct distro_plugin *p = &d->plugins[i];
        const char *text = folders ? p->path : p->name;
        bool earlier = false;
        if (folders ? p->origin != OF_SOURCE : !p->is_static)
            continue;
        for (unsigned k = 0; k < i && folders; k++)
            earlier |= d->plugins[k].origin == OF_SOURCE && strcmp(d->plugins[k].path, p->path) == 0;
        if (!earlier)
            buf_printf(&b, "%s%s", b.len ? ";" : "", text);
    }
    return arena_printf(d->arena, "%s" STR_FMT, before, STR_ARG(buf_str(&b)));
}

/* The same for all distributions of one tree, so that what is compiled once serves them all; a vendor's folder is mapped in plugins/CMakeLists.txt. Tables for unwinding
 * are a fifteenth of the program, and nothing in C unwinds. */
static const char *compiler_flags(struct distro *d)
{
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    buf_printf(&b, "-DCMAKE_C_FLAGS_DISTRO=-O2 -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -fno-unwind-tables -ffile-prefix-map=%s=build -ffile-prefix-map=%s=keelson", d->work, d->source);
    return arena_dup(d->arena, buf_str(&b));
}

/* The schema is tables of pointers: packed, their relocations are a twentieth of the half megabyte that they would be. */
#define LINK_FLAGS "-Wl,--gc-sections,--build-id=sha1,-z,pack-relative-relocs -s"

static int run_cmake(struct distro *d, struct kl_err *err)
{
    const char *const argv[] = {
        "cmake", "-S", d->source, "-B", d->work, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Distro", "-DKEELSON_TESTS=OFF", "-DCMAKE_SKIP_RPATH=ON", compiler_flags(d),
        "-DCMAKE_EXE_LINKER_FLAGS_DISTRO=" LINK_FLAGS, "-DCMAKE_MODULE_LINKER_FLAGS_DISTRO=" LINK_FLAGS,
        d->static_libs ? "-DKEELSON_STATIC_LIBS=ON" : "-DKEELSON_STATIC_LIBS=OFF", name_list(d, "-DKEELSON_STATIC_PLUGINS=", false),
        name_list(d, "-DKEELSON_EXTRA_PLUGINS=", true), NULL,
    };
    return child_run(d, argv, err);
}

static int run_ninja(struct distro *d, struct kl_err *err)
{
    const char *argv[ARGUMENTS_MOST] = { "ninja", "-C", d->work, "keelson" };
    unsigned n = 4;
    for (unsigned i = 0; i < d->n_plugins && n < ARGUMENTS_MOST - 1; i++)
        if (!d->plugins[i].is_static && d->plugins[i].origin != OF_FILE)
            argv[n++] = d->plugins[i].name;
    return child_run(d, argv, err);
}

static int compile_all(struct distro *d, struct kl_err *err)
{
    int rc = disk_mkdirs(d->work, 0755, err);
    fprintf(stderr, "compiling %s ...\n", d->name);
    if (rc == 0)
        rc = run_cmake(d, err);
    if (rc == 0)
        rc = run_ninja(d, err);
    if (rc == 0)
        rc = files_copy(arena_printf(d->arena, "%s/keelson", d->work), arena_printf(d->arena, "%s/bin/keelson", d->stage), 0755, err);
    for (unsigned i = 0; i < d->n_plugins && rc == 0; i++) {
        const struct distro_plugin *p = &d->plugins[i];
        if (!p->is_static && p->origin != OF_FILE)
            rc = files_copy(arena_printf(d->arena, "%s/plugins/%s.so", d->work, p->name), staged(d, p->name, ""), 0644, err);
    }
    return rc;
}

/* --- all --- */

static int read_all_facts(struct distro *d, struct kl_err *err)
{
    const char *names[ARGUMENTS_MOST] = { NULL };
    struct val *facts = NULL;
    for (unsigned i = 0; i < d->n_plugins; i++)
        names[i] = d->plugins[i].is_static ? arena_printf(d->arena, "builtin:%s", d->plugins[i].name) : staged(d, d->plugins[i].name, "");
    int rc = facts_read(d, arena_printf(d->arena, "%s/bin/keelson", d->stage), names, &facts, err);
    if (rc < 0)
        return rc;
    unsigned n = 0;
    for (struct val *v = facts->first; v && n < d->n_plugins; v = v->next)
        d->plugins[n++].facts = v;
    return facts_check(d, true, err);
}

static int sign_built(struct distro *d, struct kl_err *err)
{
    int rc = 0;
    for (unsigned i = 0; i < d->n_plugins && rc == 0; i++)
        if (!d->plugins[i].is_static && d->plugins[i].origin != OF_FILE)
            rc = sums_sign(staged(d, d->plugins[i].name, ""), d->build->key, err);
    return rc;
}

int compile_stage(struct distro *d, struct kl_err *err)
{
    bool shared = false;
    for (unsigned i = 0; i < d->n_plugins; i++)
        shared |= !d->plugins[i].is_static;
    int rc = disk_mkdirs(arena_printf(d->arena, "%s/bin", d->stage), 0755, err);
    if (rc == 0 && shared)
        rc = disk_mkdirs(arena_printf(d->arena, "%s/" PLUGIN_DIR, d->stage), 0755, err);
    if (rc == 0)
        rc = take_files(d, err);
    if (rc < 0 || d->build->check)
        return rc;
    rc = d->build->from ? take_built(d, err) : compile_all(d, err);
    if (rc == 0)
        rc = read_all_facts(d, err);
    return rc < 0 ? rc : sign_built(d, err);
}
