/* manifest.c - the manifest to structs. Every mistake that can be seen without building anything is told here, with file and line. */
#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "distro/internal.h"

#define PLUGINS_MOST 128

static const struct conf_row top_rows[] = {
    { "distro", VAL_OBJ, 0, 0, NULL }, { "plugins", VAL_ARR, 0, 0, NULL }, { "images", VAL_ARR, 0, 0, NULL }, { "conf", VAL_STR, 0, 0, NULL },
    { "conf_d", VAL_ARR, 0, 0, NULL }, { "pack", VAL_ARR, 0, 0, NULL },    { "trust", VAL_OBJ, 0, 0, NULL },
};
static const struct conf_row distro_rows[] = {
    { "name", VAL_STR, 0, 0, NULL },       { "version", VAL_STR, 0, 0, NULL }, { "summary", VAL_STR, 0, 0, NULL },
    { "maintainer", VAL_STR, 0, 0, NULL }, { "kernel", VAL_STR, 0, 0, NULL },  { "libraries", VAL_STR, 0, 0, "shared|static" },
    { "depends", VAL_ARR, 0, 0, NULL },
};
static const struct conf_row plugin_rows[] = {
    { "plugin", VAL_STR, 0, 0, NULL },  { "link", VAL_STR, 0, 0, "static|shared" }, { "version", VAL_STR, 0, 0, NULL },
    { "file", VAL_STR, 0, 0, NULL },    { "source", VAL_STR, 0, 0, NULL },          { "sha256", VAL_STR, 0, 0, NULL },
};
static const struct conf_row image_rows[] = { { "name", VAL_STR, 0, 0, NULL }, { "file", VAL_STR, 0, 0, NULL }, { "busybox", VAL_STR, 0, 0, NULL } };
static const struct conf_row trust_rows[] = { { "verify", VAL_STR, 0, 0, "off|warn|enforce" }, { "keys", VAL_ARR, 0, 0, NULL } };
#define ROWS(r) (r), sizeof(r) / sizeof *(r)

int distro_wrong(struct distro *d, const struct val *at, struct kl_err *err, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return kl_err_set(err, KL_INVALID, "%s: %s", conf_where(d->arena, at), text);
}

const char *distro_path(struct distro *d, struct str path)
{
    if (str_starts(path, STR("/")))
        return arena_dup(d->arena, path);
    return arena_printf(d->arena, "%s/" STR_FMT, d->dir, STR_ARG(path));
}

static const char *text_of(struct distro *d, const struct val *group, const char *key, const char *fallback)
{
    struct str s = json_str(group, key);
    return s.len ? arena_dup(d->arena, s) : fallback;
}

static bool all_of(struct str s, const char *set)
{
    for (size_t i = 0; i < s.len; i++)
        if (!s.at[i] || !strchr(set, s.at[i]))
            return false;
    return s.len > 0;
}

static bool name_ok(struct str s)
{
    return all_of(s, "abcdefghijklmnopqrstuvwxyz0123456789-") && s.len <= 63 && s.at[0] != '-';
}

static bool is_there(const char *path, mode_t kind)
{
    struct stat st;
    return path && stat(path, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

/* --- the group distro --- */

static int read_head(struct distro *d, struct kl_err *err)
{
    const struct val *g = json_get(d->tree, STR("distro")), *v;
    if (!g)
        return distro_wrong(d, NULL, err, "%s has no group distro: { name = \"...\"; version = \"...\"; };", d->manifest);
    int rc = conf_check(d->arena, g, ROWS(distro_rows), err);
    if (rc < 0)
        return rc;
    if (!(v = json_get(g, STR("name"))))
        return distro_wrong(d, g, err, "'distro' needs a 'name'");
    if (!name_ok(val_str(v)))
        return distro_wrong(d, v, err, "'name' is '" STR_FMT "', must be small letters, digits and '-'", STR_ARG(val_str(v)));
    if (!(v = json_get(g, STR("version"))))
        return distro_wrong(d, g, err, "'distro' needs a 'version' such as \"0.1.0\"");
    if (!version_ok(val_str(v)))
        return distro_wrong(d, v, err, "'version' is '" STR_FMT "', must be numbers with dots such as \"0.1.0\"", STR_ARG(val_str(v)));
    if ((v = json_get(g, STR("kernel"))) && !range_ok(val_str(v)))
        return distro_wrong(d, v, err, "'kernel' is '" STR_FMT "', must be a range such as \">=0.1 <0.3\"", STR_ARG(val_str(v)));
    if (v && !version_in(STR(KEELSON_VERSION), val_str(v)))
        return distro_wrong(d, v, err, "'kernel' is '" STR_FMT "', and this kernel is %s", STR_ARG(val_str(v)), KEELSON_VERSION);
    d->name = text_of(d, g, "name", "");
    d->version = text_of(d, g, "version", "");
    d->summary = text_of(d, g, "summary", "Kubernetes-compatible container orchestrator");
    d->maintainer = text_of(d, g, "maintainer", "Keelson <keelson@localhost>");
    d->static_libs = str_is(json_str(g, "libraries"), "static");
    d->depends = json_get(g, STR("depends"));
    return 0;
}

/* --- plugins --- */

/* The nearest of the names that could have been meant: folders of the tree, or files that are taken. */
static const char *nearest(struct distro *d, const char *dir, struct str name)
{
    const char *names[256], *near = NULL;
    unsigned n = 0;
    DIR *at = opendir(dir);
    for (struct dirent *e; at && n < 256 && (e = readdir(at));) {
        struct str one = str_of(e->d_name);
        if (one.at[0] == '.')
            continue;
        if (str_ends(one, STR(".so")))
            one.len -= 3;
        if ((names[n] = arena_dup(d->arena, one)))
            n++;
    }
    if (at)
        closedir(at);
    if (n)
        near = conf_nearest(name, names, n, sizeof *names);
    return near ? arena_printf(d->arena, "; did you mean '%s'?", near) : "";
}

static int check_from(struct distro *d, const struct distro_plugin *p, struct kl_err *err)
{
    const char *dir = arena_printf(d->arena, "%s/plugins", d->build->from);
    if (!is_there(dir, S_IFDIR))
        dir = arena_printf(d->arena, "%s/" PLUGIN_DIR, d->build->from);
    if (p->is_static)
        return distro_wrong(d, json_get(p->entry, STR("link")), err, "'%s' cannot be linked into a program that is taken from '%s': link = \"shared\"", p->name,
                            d->build->from);
    const char *file = arena_printf(d->arena, "%s/%s.so", dir, p->name);
    if (!is_there(file, S_IFREG))
        return distro_wrong(d, json_get(p->entry, STR("plugin")), err, "'%s' has no plugin '%s'%s", dir, p->name, nearest(d, dir, str_of(p->name)));
    return 0;
}

static int check_tree(struct distro *d, const struct distro_plugin *p, struct kl_err *err)
{
    const char *dir = arena_printf(d->arena, "%s/plugins", d->source);
    const char *lists = arena_printf(d->arena, "%s/%s/CMakeLists.txt", dir, p->name);
    _cleanup_buf_ struct buf text = BUF_INIT(1 << 20);
    struct kl_err ignored;
    kl_err_init(&ignored);
    /* A library that plugins share has a folder too. */
    bool known = lists && files_read(lists, &text, &ignored) == 0 && strstr(text.at ? text.at : "", arena_printf(d->arena, "keelson_plugin(%s ", p->name));
    return known ? 0
                 : distro_wrong(d, json_get(p->entry, STR("plugin")), err, "the tree has no plugin '%s'%s (or give 'file' or 'source')", p->name,
                                nearest(d, dir, str_of(p->name)));
}

static int check_file(struct distro *d, const struct distro_plugin *p, const struct val *at, struct kl_err *err)
{
    if (p->is_static)
        return distro_wrong(d, json_get(p->entry, STR("link")), err, "'%s' is a built file, which cannot be linked into the program: link = \"shared\", or 'source'",
                            p->name);
    if (!is_there(p->path, S_IFREG))
        return distro_wrong(d, at, err, "there is no file '%s'", p->path);
    return 0;
}

static int check_source(struct distro *d, const struct distro_plugin *p, const struct val *at, struct kl_err *err)
{
    if (d->build->from)
        return distro_wrong(d, at, err, "'%s' has to be built, and --from builds nothing", p->name);
    if (!is_there(p->path, S_IFDIR))
        return distro_wrong(d, at, err, "there is no folder '%s'", p->path);
    if (!is_there(arena_printf(d->arena, "%s/CMakeLists.txt", p->path), S_IFREG))
        return distro_wrong(d, at, err, "'%s' has no CMakeLists.txt that calls keelson_plugin(%s ...)", p->path, p->name);
    return 0;
}

static int check_texts(struct distro *d, const struct val *e, struct kl_err *err)
{
    const struct val *plugin = json_get(e, STR("plugin")), *version = json_get(e, STR("version")), *sha = json_get(e, STR("sha256"));
    const struct val *file = json_get(e, STR("file")), *source = json_get(e, STR("source"));
    if (!plugin)
        return distro_wrong(d, e, err, "an entry of 'plugins' needs 'plugin'");
    if (!name_ok(val_str(plugin)))
        return distro_wrong(d, plugin, err, "'plugin' is '" STR_FMT "', must be small letters, digits and '-': a path goes into 'file' or 'source'",
                            STR_ARG(val_str(plugin)));
    if (version && !range_ok(val_str(version)))
        return distro_wrong(d, version, err, "'version' is '" STR_FMT "', must be a range such as \">=0.1 <0.3\"", STR_ARG(val_str(version)));
    if (file && source)
        return distro_wrong(d, source, err, "'" STR_FMT "' has both 'file' and 'source': one of them", STR_ARG(val_str(plugin)));
    if (sha && !file)
        return distro_wrong(d, sha, err, "'sha256' is for a 'file'; sources are locked by the lock file");
    if (sha && (val_str(sha).len != 64 || !all_of(val_str(sha), "0123456789abcdef")))
        return distro_wrong(d, sha, err, "'sha256' must be 64 small hexadecimal digits");
    return 0;
}

static int read_plugin(struct distro *d, const struct val *e, struct kl_err *err)
{
    struct distro_plugin *p = &d->plugins[d->n_plugins];
    if (!val_is(e, VAL_OBJ))
        return distro_wrong(d, e, err, "an entry of 'plugins' must be a group { plugin = \"...\"; }");
    int rc = conf_check(d->arena, e, ROWS(plugin_rows), err);
    if (rc == 0)
        rc = check_texts(d, e, err);
    if (rc < 0)
        return rc;
    const struct val *file = json_get(e, STR("file")), *source = json_get(e, STR("source"));
    *p = (struct distro_plugin){ .entry = e, .name = text_of(d, e, "plugin", ""), .wanted = text_of(d, e, "version", ""), .sha256 = text_of(d, e, "sha256", ""),
                                 .is_static = str_is(json_str(e, "link"), "static") };
    p->origin = file ? OF_FILE : source ? OF_SOURCE : OF_TREE;
    p->path = file || source ? distro_path(d, val_str(file ? file : source)) : NULL;
    for (unsigned i = 0; i < d->n_plugins; i++)
        if (strcmp(d->plugins[i].name, p->name) == 0)
            return distro_wrong(d, json_get(e, STR("plugin")), err, "plugin '%s' is there already (%s)", p->name, conf_where(d->arena, d->plugins[i].entry));
    d->n_plugins++;
    if (p->origin == OF_FILE)
        return check_file(d, p, file, err);
    if (p->origin == OF_SOURCE)
        return check_source(d, p, source, err);
    return d->build->from ? check_from(d, p, err) : check_tree(d, p, err);
}

static int read_plugins(struct distro *d, struct kl_err *err)
{
    const struct val *list = json_get(d->tree, STR("plugins"));
    int rc = 0;
    if (!list || !list->n)
        return distro_wrong(d, list, err, "%s lists no plugins: plugins = ( { plugin = \"store-wal\"; }, ... );", d->manifest);
    if (list->n > PLUGINS_MOST)
        return distro_wrong(d, list, err, "more than %d plugins", PLUGINS_MOST);
    d->plugins = arena_alloc(d->arena, list->n * sizeof *d->plugins);
    if (!d->plugins)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    for (const struct val *e = list->first; e && rc == 0; e = e->next)
        rc = read_plugin(d, e, err);
    return rc;
}

/* --- the rest --- */

static int read_image(struct distro *d, const struct val *e, struct kl_err *err)
{
    struct distro_image *i = &d->images[d->n_images];
    const struct val *name = json_get(e, STR("name")), *file = json_get(e, STR("file")), *busybox = json_get(e, STR("busybox"));
    if (!val_is(e, VAL_OBJ))
        return distro_wrong(d, e, err, "an entry of 'images' must be a group { name = \"...\"; file = \"...\"; }");
    int rc = conf_check(d->arena, e, ROWS(image_rows), err);
    if (rc < 0)
        return rc;
    if (!val_str(name).len)
        return distro_wrong(d, e, err, "an image needs a 'name' such as \"localhost/busybox:demo\"");
    if (!file == !busybox)
        return distro_wrong(d, e, err, "image '" STR_FMT "' needs either 'file' (an OCI layout or a docker archive) or 'busybox' (the static program)",
                            STR_ARG(val_str(name)));
    *i = (struct distro_image){ .entry = e, .name = arena_dup(d->arena, val_str(name)), .file = file ? distro_path(d, val_str(file)) : "",
                                .busybox = busybox ? distro_path(d, val_str(busybox)) : "" };
    if (!is_there(file ? i->file : i->busybox, S_IFREG))
        return distro_wrong(d, file ? file : busybox, err, "there is no file '%s'", file ? i->file : i->busybox);
    for (unsigned k = 0; k < d->n_images; k++)
        if (strcmp(d->images[k].name, i->name) == 0)
            return distro_wrong(d, name, err, "image '%s' is there already (%s)", i->name, conf_where(d->arena, d->images[k].entry));
    d->n_images++;
    return 0;
}

static int read_images(struct distro *d, struct kl_err *err)
{
    const struct val *list = json_get(d->tree, STR("images"));
    int rc = 0;
    d->images = arena_alloc(d->arena, ((list ? list->n : 0) + 1) * sizeof *d->images);
    for (const struct val *e = list && d->images ? list->first : NULL; e && rc == 0; e = e->next)
        rc = read_image(d, e, err);
    return d->images ? rc : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

static int check_files(struct distro *d, const struct val *list, const char *what, const char *end, struct kl_err *err)
{
    for (const struct val *v = list ? list->first : NULL; v; v = v->next) {
        if (!val_is(v, VAL_STR) || !str_ends(val_str(v), str_of(end)))
            return distro_wrong(d, v, err, "'%s' is a list of files that end with %s", what, end);
        if (!is_there(distro_path(d, val_str(v)), S_IFREG))
            return distro_wrong(d, v, err, "there is no file '%s'", distro_path(d, val_str(v)));
    }
    return 0;
}

static int read_pack(struct distro *d, struct kl_err *err)
{
    static const char *const known[] = { "tar.zst", "deb", "oci" };
    bool *const wanted[] = { &d->tar, &d->deb, &d->oci };
    const struct val *list = json_get(d->tree, STR("pack"));
    d->tar = !list;
    for (const struct val *v = list ? list->first : NULL; v; v = v->next) {
        unsigned k = 0;
        while (k < 3 && !str_is(val_str(v), known[k]))
            k++;
        const char *near = k == 3 && val_is(v, VAL_STR) ? conf_nearest(val_str(v), known, 3, sizeof *known) : NULL;
        if (k == 3)
            return distro_wrong(d, v, err, "'pack' has '" STR_FMT "', must be \"tar.zst\", \"deb\" or \"oci\"%s%s%s", STR_ARG(val_str(v)),
                                near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        *wanted[k] = true;
    }
    return d->tar || d->deb || d->oci ? 0 : distro_wrong(d, list, err, "'pack' is empty: pack = [ \"tar.zst\" ];");
}

/* Under enforce a plugin that is built here is refused where it runs, unless it is signed here. */
static int check_signing(struct distro *d, const struct val *verify, struct kl_err *err)
{
    for (unsigned i = 0; strcmp(d->verify, "enforce") == 0 && i < d->n_plugins; i++)
        if (!d->build->key && d->plugins[i].origin != OF_FILE && !d->plugins[i].is_static)
            return distro_wrong(d, verify, err, "'verify' is enforce, and nothing signs plugin '%s': give --key, or link = \"static\"", d->plugins[i].name);
    return 0;
}

static int read_rest(struct distro *d, struct kl_err *err)
{
    const struct val *conf = json_get(d->tree, STR("conf")), *trust = json_get(d->tree, STR("trust")), *verify = json_get(trust, STR("verify"));
    int rc = trust ? conf_check(d->arena, trust, ROWS(trust_rows), err) : 0;
    d->conf = conf ? distro_path(d, val_str(conf)) : NULL;
    d->conf_d = json_get(d->tree, STR("conf_d"));
    d->keys = json_get(trust, STR("keys"));
    d->verify = text_of(d, trust, "verify", "off");
    if (rc == 0 && conf && !is_there(d->conf, S_IFREG))
        rc = distro_wrong(d, conf, err, "there is no file '%s'", d->conf);
    if (rc == 0)
        rc = check_files(d, d->conf_d, "conf_d", ".cfg", err);
    if (rc == 0)
        rc = check_files(d, d->keys, "keys", ".pub", err);
    if (rc == 0)
        rc = read_pack(d, err);
    if (rc == 0)
        rc = read_images(d, err);
    return rc < 0 ? rc : check_signing(d, verify, err);
}

static bool find_tree(char *ret, const char *from)
{
    char probe[PATH_MOST + 32];
    if (!realpath(from, ret))
        return false;
    for (char *slash;; *slash = '\0') {
        snprintf(probe, sizeof probe, "%s/kernel/distro/distro.h", ret);
        if (is_there(probe, S_IFREG))
            return true;
        if (!(slash = strrchr(ret, '/')))
            return false;
    }
}

static int find_source(struct distro *d, struct kl_err *err)
{
    char self[PATH_MOST];
    if (d->build->tree)
        return find_tree(d->source, d->build->tree) ? 0 : kl_err_set(err, KL_NOT_FOUND, "'%s' is not in a tree of Keelson's sources", d->build->tree);
    snprintf(self, sizeof self, "%s", d->build->self);
    if (find_tree(d->source, d->dir) || find_tree(d->source, dirname(self)))
        return 0;
    d->source[0] = '\0';
    return d->build->from ? 0
                          : kl_err_set(err, KL_NOT_FOUND, "there are no sources around '%s' or this program: --tree DIR names them; --from DIR takes what is built",
                                       d->manifest);
}

static int read_epoch(struct distro *d, struct kl_err *err)
{
    const char *text = getenv("SOURCE_DATE_EPOCH");
    d->epoch = 315532800;               /* 1980: what old tools can still show */
    if (text && (!str_int(str_of(text), &d->epoch) || d->epoch < 0))
        return kl_err_set(err, KL_INVALID, "SOURCE_DATE_EPOCH is '%s', must be seconds since 1970", text);
    return 0;
}

int distro_read(struct distro *d, const struct distro_build *b, struct kl_err *err)
{
    struct val *tree = NULL;
    d->build = b;
    d->manifest = b->manifest;
    char *copy = arena_dup(d->arena, str_of(b->manifest));
    d->dir = copy ? dirname(copy) : ".";
    int rc = read_epoch(d, err);
    if (rc == 0)
        rc = conf_load(d->arena, b->manifest, &tree, err);
    d->tree = tree;
    if (rc == 0)
        rc = conf_check(d->arena, tree, ROWS(top_rows), err);
    if (rc == 0)
        rc = read_head(d, err);
    if (rc == 0)
        rc = find_source(d, err);
    if (rc == 0)
        rc = read_plugins(d, err);
    return rc < 0 ? rc : read_rest(d, err);
}
