/* config.c - etc/keelson of a distribution: a configuration less what is not there, as text that libconfig reads; the files of conf.d; the keys. */
#include <limits.h>

#include "distro/internal.h"

const char *etc_source(struct distro *d)
{
    const char *tries[] = { d->conf, d->build->from ? arena_printf(d->arena, "%s/etc/keelson/keelson.cfg", d->build->from) : NULL,
                            d->source[0] ? arena_printf(d->arena, "%s/conf/keelson.cfg", d->source) : NULL };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++)
        if (tries[i] && (i == 2 || access(tries[i], F_OK) == 0))
            return tries[i];
    return "/etc/keelson/keelson.cfg";
}

/* --- what is there --- */

static struct distro_plugin *plugin_named(struct distro *d, struct str name)
{
    for (unsigned i = 0; i < d->n_plugins; i++)
        if (str_is(name, d->plugins[i].name))
            return &d->plugins[i];
    return NULL;
}

/* Does an entry of `instances` make an instance of that name? */
static bool makes(struct distro *d, const struct val *entry, struct str name)
{
    const struct distro_plugin *p = plugin_named(d, json_str(entry, "plugin"));
    struct str provider = json_str(entry, "provider"), own = json_str(entry, "name");
    const struct val *list = p ? json_get(p->facts, STR("provides")) : NULL;
    if (!json_bool(entry, "enabled", true))
        return false;
    if (own.len && str_eq(own, name))
        return true;
    for (const struct val *v = list && !own.len ? list->first : NULL; v; v = v->next)
        if (str_eq(json_str(v, "name"), name) && (!provider.len || str_eq(provider, name)) && !json_lists(json_get(entry, STR("without")), name))
            return true;
    return false;
}

static void drop_absent(struct distro *d, struct val *list)
{
    for (struct val *e = list ? list->first : NULL, *next; e; e = next) {
        next = e->next;
        struct str plugin = json_str(e, "plugin");
        if (str_find(plugin, '/') < 0 && !plugin_named(d, plugin))
            val_unlink(list, e);
    }
}

static void drop_links(struct distro *d, struct val *chains, const struct val *list)
{
    for (struct val *chain = chains ? chains->first : NULL; chain; chain = chain->next)
        for (struct val *link = chain->first, *next; link; link = next) {
            bool made = false;
            next = link->next;
            for (const struct val *e = list ? list->first : NULL; e && !made; e = e->next)
                made = makes(d, e, val_str(link));
            if (!made)
                val_unlink(chain, link);
        }
}

/* --- text --- */

static void write_str(struct buf *b, struct str s)
{
    buf_add_c(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c < 32 || c == 127)
            buf_printf(b, "\\x%02x", c);
        else
            buf_add_c(b, (char)c);
    }
    buf_add_c(b, '"');
}

static bool plain(const struct val *list)
{
    for (const struct val *v = list->first; v; v = v->next)
        if (v->type == VAL_OBJ || v->type == VAL_ARR || v->type != list->first->type)
            return false;
    return true;
}

static void write_val(struct buf *b, const struct val *v, unsigned depth);

/* A list of scalars on one line, of groups a line each. */
static void write_list(struct buf *b, const struct val *v, unsigned depth)
{
    bool one = plain(v);
    buf_add_z(b, one ? "[ " : "(");
    for (const struct val *i = v->first; i; i = i->next) {
        if (!one)
            buf_printf(b, "\n%*s", 2 * (int)depth + 2, "");
        write_val(b, i, depth + 1);
        if (i->next)
            buf_add_z(b, one ? ", " : ",");
    }
    buf_add_z(b, one ? " ]" : " )");
}

static void write_group(struct buf *b, const struct val *v, unsigned depth)
{
    buf_add_z(b, "{");
    for (const struct val *m = v->first; m; m = m->next) {
        buf_printf(b, " " STR_FMT " = ", STR_ARG(val_key(m)));
        write_val(b, m, depth);
        buf_add_z(b, ";");
    }
    buf_add_z(b, " }");
}

static void write_val(struct buf *b, const struct val *v, unsigned depth)
{
    switch (v->type) {
    case VAL_OBJ: write_group(b, v, depth); break;
    case VAL_ARR: write_list(b, v, depth); break;
    case VAL_STR: write_str(b, val_str(v)); break;
    case VAL_BOOL: buf_add_z(b, v->i ? "true" : "false"); break;
    case VAL_NUM: buf_printf(b, "%.*s", (int)v->n, v->s); break;
    default: buf_printf(b, v->i > INT_MAX || v->i < INT_MIN ? "%lldL" : "%lld", (long long)v->i);
    }
}

static void write_all(struct distro *d, struct buf *b, const struct val *tree)
{
    buf_printf(b, "// keelson.cfg of the distribution %s %s. What settings mean: `keelson plugin inspect`, and conf/keelson.cfg of the sources.\n", d->name,
               d->version);
    for (const struct val *m = tree->first; m; m = m->next) {
        buf_printf(b, "\n" STR_FMT " = ", STR_ARG(val_key(m)));
        write_val(b, m, 0);
        buf_add_z(b, ";\n");
    }
}

/* --- the folder --- */

static const char *in_etc(struct distro *d, const char *folder, const char *name)
{
    const char *base = strrchr(name, '/');
    return arena_printf(d->arena, "%s/etc/keelson/%s%s", d->stage, folder, base ? base + 1 : name);
}

static int copy_list(struct distro *d, const struct val *list, const char *folder, struct kl_err *err)
{
    int rc = list && list->n ? disk_mkdirs(in_etc(d, folder, ""), 0755, err) : 0;
    for (const struct val *v = list ? list->first : NULL; v && rc == 0; v = v->next)
        rc = files_copy(distro_path(d, val_str(v)), in_etc(d, folder, distro_path(d, val_str(v))), 0644, err);
    return rc;
}

/* Plugins that no file names get an instance without settings. */
static int add_unnamed(struct distro *d, struct val *list, struct kl_err *err)
{
    bool named[256] = { false };
    for (const struct val *v = list->first; v; v = v->next) {
        struct distro_plugin *p = plugin_named(d, json_str(v, "plugin"));
        if (p)
            named[p - d->plugins] = true;
    }
    for (const struct val *f = d->conf_d ? d->conf_d->first : NULL; f; f = f->next) {
        struct val *more = NULL;
        int rc = conf_load(d->arena, distro_path(d, val_str(f)), &more, err);
        if (rc < 0)
            return rc;
        const struct val *theirs = json_get(more, STR("instances"));
        for (const struct val *v = theirs ? theirs->first : NULL; v; v = v->next) {
            struct distro_plugin *p = plugin_named(d, json_str(v, "plugin"));
            if (p)
                named[p - d->plugins] = true;
        }
    }
    for (unsigned i = 0; i < d->n_plugins && i < sizeof named; i++)
        if (!named[i])
            json_set_str(d->arena, val_push(list, val_new(d->arena, VAL_OBJ)), STR("plugin"), str_of(d->plugins[i].name));
    return 0;
}

/* The key that signs here belongs to those that are trusted there: its public half lies beside it. */
static int copy_own_key(struct distro *d, struct kl_err *err)
{
    struct str key = str_of(d->build->key);
    if (!key.len)
        return 0;
    if (str_ends(key, STR(".sec")))
        key.len -= 4;
    const char *pub = arena_printf(d->arena, STR_FMT ".pub", STR_ARG(key));
    if (access(pub, F_OK) != 0)
        return kl_err_set(err, KL_NOT_FOUND, "beside the key '%s' there is no '%s': the distribution has to carry the public half", d->build->key, pub);
    int rc = disk_mkdirs(in_etc(d, "trust/", ""), 0755, err);
    return rc < 0 ? rc : files_copy(pub, in_etc(d, "trust/", pub), 0644, err);
}

int etc_write(struct distro *d, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4 << 20);
    struct val *tree = NULL, *list;
    int rc = conf_load(d->arena, etc_source(d), &tree, err);
    if (rc < 0)
        return rc;
    list = json_arr(d->arena, tree, STR("instances"));
    drop_absent(d, list);
    if ((rc = add_unnamed(d, list, err)) < 0)
        return rc;
    drop_links(d, json_get(tree, STR("chains")), list);
    json_set_str(d->arena, json_obj(d->arena, tree, STR("trust")), STR("verify"), str_of(d->verify));
    write_all(d, &b, tree);
    if (b.failed || arena_exhausted(d->arena))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    rc = disk_mkdirs(in_etc(d, "", ""), 0755, err);
    if (rc == 0)
        rc = files_write(in_etc(d, "", "keelson.cfg"), buf_str(&b), 0644, err);
    if (rc == 0)
        rc = copy_list(d, d->conf_d, "conf.d/", err);
    if (rc == 0)
        rc = copy_list(d, d->keys, "trust/", err);
    return rc < 0 ? rc : copy_own_key(d, err);
}
