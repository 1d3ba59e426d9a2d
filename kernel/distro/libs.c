/* libs.c - the system's libraries that program and plugins load, and the packages that they come from: for the lock, the SBOM, a package's
 * dependencies, and the image that must hold them. The dynamic linker is asked (ldd); dpkg knows the packages, where there is one. */
#include <stdlib.h>

#include "distro/internal.h"

#define LIBS_MOST 256

static struct val *lib_named(struct val *list, struct str name)
{
    val_each(v, list)
        if (str_eq(json_str(v, "name"), name))
            return v;
    return NULL;
}

/* "\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x...)" or "\t/lib64/ld-linux-x86-64.so.2 (0x...)" */
static void add_line(struct distro *d, struct str line)
{
    struct str name = str_trim(str_cut(&line, '=')), path = str_trim(str_skip(line, 1));
    if (!line.at)
        path = name;
    path = str_cut(&path, ' ');
    long slash;
    if (!path.len || path.at[0] != '/')
        return;
    for (name = path; (slash = str_find(name, '/')) >= 0;)
        name = str_skip(name, (size_t)slash + 1);
    if (lib_named(d->libraries, name))
        return;
    struct val *one = val_push(d->libraries, val_new(d->arena, VAL_OBJ));
    json_set_str(d->arena, one, STR("name"), arena_str(d->arena, name));
    json_set_str(d->arena, one, STR("path"), arena_str(d->arena, path));
}

static int ask_linker(struct distro *d, const char *file, struct kl_err *err)
{
    const char *const argv[] = { "ldd", file, NULL };
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 20), said = BUF_INIT(65536);
    int rc = child_text(argv, &out, &said, err);
    if (rc < 0)
        return rc;
    for (struct str rest = buf_str(&out); rest.at && rest.len;) {
        struct str line = str_cut(&rest, '\n'), what = line;
        if (str_ends(line, STR("=> not found")))
            return kl_err_set(err, KL_NOT_FOUND, "'%s' needs the library '" STR_FMT "', which is not on this machine", file,
                              STR_ARG(str_trim(str_cut(&what, '='))));
        add_line(d, line);
    }
    return rc == 0 ? 0 : kl_err_set(err, KL_UNAVAILABLE, "the libraries of '%s' cannot be told: " STR_FMT, file, STR_ARG(str_trim(buf_str(&said))));
}

/* --- packages --- */

static bool same_file(struct str path, struct str other)
{
    if (str_starts(path, STR("/usr/")))
        path = str_skip(path, 4);
    if (str_starts(other, STR("/usr/")))
        other = str_skip(other, 4);
    return str_eq(path, other);
}

/* "libz1:amd64: /lib/x86_64-linux-gnu/libz.so.1" */
static void take_owner(struct distro *d, struct str line)
{
    long at = -1;
    for (size_t i = 0; i + 1 < line.len && at < 0; i++)
        if (line.at[i] == ':' && line.at[i + 1] == ' ')
            at = (long)i;
    if (at < 0)
        return;
    struct str package = str_n(line.at, (size_t)at), path = str_skip(line, (size_t)at + 2), name = str_cut(&package, ':');
    val_each(v, d->libraries)
        if (same_file(json_str(v, "path"), path))
            json_set_str(d->arena, v, STR("package"), arena_str(d->arena, name));
}

static void take_version(struct distro *d, struct str line)
{
    struct str package = str_cut(&line, ' ');
    val_each(v, d->libraries)
        if (str_eq(json_str(v, "package"), package))
            json_set_str(d->arena, v, STR("version"), arena_str(d->arena, line));
}

static int ask_packages(struct distro *d, struct kl_err *err)
{
    const char *owners[2 * LIBS_MOST + 4] = { "dpkg-query", "-S" }, *versions[LIBS_MOST + 4] = { "dpkg-query", "-W", "-f=${Package} ${Version}\\n" };
    unsigned n = 2, m = 3;
    _cleanup_buf_ struct buf out = BUF_INIT(4 << 20), out2 = BUF_INIT(4 << 20);
    val_each(v, d->libraries) {
        struct str path = json_str(v, "path");
        if (n >= 2 * LIBS_MOST)
            break;
        owners[n++] = arena_dup(d->arena, path);
        owners[n++] = str_starts(path, STR("/usr/")) ? arena_dup(d->arena, str_skip(path, 4)) : arena_printf(d->arena, "/usr" STR_FMT, STR_ARG(path));
    }
    int rc = child_text(owners, &out, NULL, err);     /* status 1: one of each pair is not known */
    for (struct str rest = buf_str(&out); rc >= 0 && rest.at && rest.len;)
        take_owner(d, str_cut(&rest, '\n'));
    val_each(v, d->libraries)
        if (json_str(v, "package").len && m < LIBS_MOST)
            versions[m++] = arena_dup(d->arena, json_str(v, "package"));
    if (rc >= 0 && m > 3)
        rc = child_text(versions, &out2, NULL, err);
    for (struct str rest = buf_str(&out2); rc >= 0 && rest.at && rest.len;)
        take_version(d, str_cut(&rest, '\n'));
    return rc < 0 ? rc : 0;
}

/* --- archives, which CMake found: "archive_zstd:FILEPATH=/usr/lib/x86_64-linux-gnu/libzstd.a" --- */

static int add_archives(struct distro *d, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16 << 20);
    int rc = files_read(arena_printf(d->arena, "%s/CMakeCache.txt", d->work), &b, err);
    for (struct str rest = buf_str(&b); rc == 0 && rest.at && rest.len;) {
        struct str line = str_cut(&rest, '\n'), path = line, base;
        if (!str_starts(line, STR("archive_")))
            continue;
        str_cut(&path, '=');
        if (!path.len || path.at[0] != '/' || !str_ends(path, STR(".a")))
            continue;
        base = path;
        for (long at; (at = str_find(base, '/')) >= 0;)
            base = str_skip(base, (size_t)at + 1);
        if (lib_named(d->libraries, base))
            continue;
        struct val *one = val_push(d->libraries, val_new(d->arena, VAL_OBJ));
        json_set_str(d->arena, one, STR("name"), arena_str(d->arena, base));
        json_set_str(d->arena, one, STR("path"), arena_str(d->arena, path));
        json_set_bool(d->arena, one, STR("archive"), true);
    }
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(json_str(*(struct val *const *)a, "name"), json_str(*(struct val *const *)b, "name"));
}

static int sort(struct distro *d, struct kl_err *err)
{
    unsigned n = 0;
    struct val **all = arena_alloc(d->arena, (d->libraries->n + 1) * sizeof(struct val *)), *sorted = val_new(d->arena, VAL_ARR);
    if (!all || !sorted || arena_exhausted(d->arena))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    val_each(v, d->libraries)
        all[n++] = v;
    qsort(all, n, sizeof(struct val *), by_name);
    for (unsigned i = 0; i < n; i++) {
        all[i]->next = NULL;
        val_push(sorted, all[i]);
    }
    d->libraries = sorted;
    return 0;
}

int libs_find(struct distro *d, struct kl_err *err)
{
    d->libraries = val_new(d->arena, VAL_ARR);
    int rc = ask_linker(d, arena_printf(d->arena, "%s/bin/keelson", d->stage), err);
    for (unsigned i = 0; i < d->n_plugins && rc == 0; i++)
        if (!d->plugins[i].is_static)
            rc = ask_linker(d, arena_printf(d->arena, "%s/" PLUGIN_DIR "/%s.so", d->stage, d->plugins[i].name), err);
    if (rc == 0 && d->static_libs && !d->build->from)
        rc = add_archives(d, err);
    if (rc == 0)
        rc = ask_packages(d, err);
    return rc < 0 ? rc : sort(d, err);
}
