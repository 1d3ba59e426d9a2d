/* manifest.c - the configuration's `instances`: which plugin files, which of their providers, with which settings. */
#include <keelson/iface/layer.h>
#include <dlfcn.h>
#include <limits.h>
#include <unistd.h>

#include "conf/load.h"
#include "host-internal.h"
#include "plugin/builtin.h"

static const struct conf_row rows[] = {
    { "plugin", VAL_STR, 0, 0, NULL },          /* "store-wal": a file of the plugin folder; with a slash: a path */
    { "name", VAL_STR, 0, 0, NULL },            /* of the instance; else the provider's */
    { "provider", VAL_STR, 0, 0, NULL },        /* one of the plugin's; else all of them */
    { "without", VAL_ARR, 0, 0, NULL },         /* providers that are left out */
    { "on", VAL_STR, 0, 0, "server|node" },     /* where it runs, when the interface does not tell */
    { "required", VAL_BOOL, 0, 0, NULL },       /* the process does not start without */
    { "enabled", VAL_BOOL, 0, 0, NULL },
    { "digest", VAL_STR, 0, 0, NULL },          /* "sha256:<hex>" that the file must have, whatever trust.verify says */
    { "settings", VAL_OBJ, 0, 0, NULL },
    { "isolate", VAL_STR, 0, 0, "none|process|sandbox" },       /* in a process of its own */
    { "sandbox", VAL_OBJ, 0, 0, NULL },         /* what a sandboxed one may all the same: read, write, network, capabilities */
    { "deadline", VAL_STR, 0, 0, NULL },        /* of an isolated one: longest call where nobody names a time */
    { "fallback", VAL_STR, 0, 0, NULL },        /* of an isolated one: the instance that answers while it cannot */
    { "layers", VAL_ARR, 0, 0, NULL },          /* instances of keelson.layer/0 that see its calls, the outermost first */
};

/* Where instances of an interface run, and whether a process can do without. */
static const struct {
    const char *iface;
    unsigned roles;
    bool required;
} ifaces[] = {
    { "keelson.store/", ROLE_SERVER, true },       { "keelson.authn/", ROLE_SERVER, true },  { "keelson.authz/", ROLE_SERVER, true },
    { "keelson.admission/", ROLE_SERVER, true },   { "keelson.scheduler/", ROLE_SERVER, false }, { "keelson.controller/", ROLE_SERVER, false },
    { "keelson.runtime/", ROLE_NODE, false },      { "keelson.network/", ROLE_NODE, false }, { "keelson.proxy/", ROLE_NODE, false },
    { "keelson.node/", ROLE_NODE, false },
};

static void set_place(struct plugin_instance *i, struct str on, const char *iface)
{
    i->roles = ROLE_SERVER | ROLE_NODE;
    for (size_t k = 0; k < sizeof ifaces / sizeof *ifaces; k++)
        if (strncmp(iface, ifaces[k].iface, strlen(ifaces[k].iface)) == 0) {
            i->roles = ifaces[k].roles;
            i->required = ifaces[k].required;
        }
    if (on.len)
        i->roles = str_is(on, "node") ? ROLE_NODE : ROLE_SERVER;
}

static unsigned roles_of(struct str iface)
{
    for (size_t k = 0; k < sizeof ifaces / sizeof *ifaces; k++)
        if (str_starts(iface, str_of(ifaces[k].iface)))
            return ifaces[k].roles;
    return ROLE_SERVER | ROLE_NODE;
}

/* Nothing of the file would run here: then none of its code is loaded. */
static bool elsewhere(const struct plugin_host *h, const struct val *entry, const char *file)
{
    struct plugin_note note;
    struct kl_err ignored;
    struct str on = json_str(entry, "on");
    kl_err_init(&ignored);
    if (on.len)
        return !((str_is(on, "node") ? ROLE_NODE : ROLE_SERVER) & h->conf.roles);
    if (plugin_note_read(file, &note, &ignored) < 0)
        return false;                   /* refused later, with the reason */
    for (struct str rest = str_of(note.provides); rest.at && rest.len;)
        if (roles_of(str_cut(&rest, ' ')) & h->conf.roles)
            return false;
    return true;
}

/* --- variables in settings --- */

static int unknown_variable(struct plugin_host *h, const struct val *v, struct str name, struct kl_err *err)
{
    const char *names[32], *near = NULL, *all = h->conf.variable ? h->conf.variable(h->conf.ctx, STR("")) : NULL;
    unsigned n = 0;
    for (struct str rest = str_of(all); rest.at && n < 32; n++)
        if (!(names[n] = arena_dup(h->arena, str_cut(&rest, ' '))))
            break;
    near = n ? conf_nearest(name, names, n, sizeof *names) : NULL;
    return kl_err_set(err, KL_INVALID, "%s: '" STR_FMT "' uses the unknown variable $(" STR_FMT ")%s%s%s", conf_where(h->arena, v), STR_ARG(val_key(v)),
                      STR_ARG(name), near ? "; did you mean $(" : "", near ? near : "", near ? ")?" : "");
}

static int expand_text(struct plugin_host *h, struct val *v, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    for (struct str rest = val_str(v); rest.len;) {
        long at = str_find(rest, '$');
        if (at < 0 || (size_t)at + 1 >= rest.len || rest.at[at + 1] != '(') {
            size_t n = at < 0 ? rest.len : (size_t)at + 1;
            buf_add(&b, rest.at, n);
            rest = str_skip(rest, n);
            continue;
        }
        buf_add(&b, rest.at, (size_t)at);
        rest = str_skip(rest, (size_t)at + 2);
        if (str_find(rest, ')') < 0)
            return kl_err_set(err, KL_INVALID, "%s: '" STR_FMT "' has a '$(' without its ')'", conf_where(h->arena, v), STR_ARG(val_key(v)));
        struct str name = str_cut(&rest, ')');
        const char *value = h->conf.variable ? h->conf.variable(h->conf.ctx, name) : NULL;
        if (!value)
            return unknown_variable(h, v, name, err);
        buf_add_z(&b, value);
    }
    v->s = arena_dup(h->arena, buf_str(&b));
    v->n = (uint32_t)b.len;
    return v->s && !b.failed ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

static int expand(struct plugin_host *h, struct val *v, struct kl_err *err)
{
    if (val_is(v, VAL_STR))
        return expand_text(h, v, err);
    if (!val_is(v, VAL_OBJ) && !val_is(v, VAL_ARR))
        return 0;
    int rc = 0;
    for (struct val *m = v->first; m && rc == 0; m = m->next)
        rc = expand(h, m, err);
    return rc;
}

/* --- instances --- */

struct candidate {
    const struct val *entry;
    char *file;
    struct plugin_trial trial;
    struct kl_err err;
    bool tried, same, elsewhere;        /* same: an earlier entry tries this file */
    struct isolation isolation;
    struct cell *cell;                  /* where it is tried and stays; NULL: it comes into this process */
    struct plugin_module *module;       /* its file, loaded; NULL: not here, or not yet */
};

static struct plugin_instance *add(struct plugin_host *h, const struct val *entry, struct str name, const char *file, struct kl_err *err)
{
    if (h->n == HOST_INSTANCES_MAX) {
        kl_err_set(err, KL_INVALID, "%s: more than %d instances", conf_where(h->arena, entry), HOST_INSTANCES_MAX);
        return NULL;
    }
    struct plugin_instance *i = arena_alloc(h->arena, sizeof *i);
    if (!i) {
        kl_err_set(err, KL_NO_MEMORY, "out of memory");
        return NULL;
    }
    snprintf(i->name, sizeof i->name, STR_FMT, STR_ARG(name));
    snprintf(i->file, sizeof i->file, "%s", file);
    i->state = PLUGIN_FOUND;
    i->entry = entry;
    i->origin = h->batch ? NULL : entry;
    i->settings = json_get(entry, STR("settings"));
    i->owner = h->batch ? h->batch->host : h;
    i->batch = h->batch;
    i->host = (struct kl_host){ .size = sizeof i->host, .abi_major = KL_ABI_MAJOR, .name = "keelson", .version = KEELSON_VERSION,
                                .instance = i->name, .ctx = i, .log = host_log, .service = host_service };
    h->at[h->n++] = i;
    return i;
}

/* Two instances of one name must differ in their interface. */
static int check_name(struct plugin_host *h, const struct plugin_instance *i, struct kl_err *err)
{
    for (unsigned k = 0; k < h->n; k++) {
        const struct plugin_instance *o = h->at[k];
        if (o != i && o->provider && i->provider && strcmp(o->name, i->name) == 0 && strcmp(o->provider->iface, i->provider->iface) == 0)
            return kl_err_set(err, KL_INVALID, "%s: an instance '%s' of %s is there already (%s)", conf_where(h->arena, i->entry), i->name,
                              i->provider->iface, conf_where(h->arena, o->entry));
    }
    return 0;
}

/* c: whose process the plugin is in. */
static int add_loaded(struct plugin_host *h, const struct candidate *c, const struct kl_plugin *p, struct kl_err *err)
{
    const struct val *entry = c->entry;
    const char *file = c->file;
    struct str name = json_str(entry, "name"), provider = json_str(entry, "provider"), on = json_str(entry, "on");
    const struct val *without = json_get(entry, STR("without"));
    struct val *required = json_get(entry, STR("required"));
    if (host_check_providers(h, entry, p, err) < 0)
        return -err->code;
    for (uint32_t k = 0; k < p->providers.n; k++) {
        const struct kl_provider *v = KL_AT(struct kl_provider, p->providers, k);
        if ((provider.len && !str_is(provider, v->name)) || json_lists(without, str_of(v->name)))
            continue;
        bool only = p->providers.n == 1 || provider.len;
        struct plugin_instance *i = add(h, entry, name.len && only ? name : str_of(v->name), file, err);
        if (!i)
            return -err->code;
        i->plugin = p;
        i->provider = v;
        i->cell = c->cell;
        i->cell_at = k;
        if ((i->module = c->module))
            module_hold(c->module);
        i->isolate = c->isolation.level;
        i->state = PLUGIN_LOADED;
        set_place(i, on, v->iface);
        if (required)
            i->required = required->i != 0;
        if (check_name(h, i, err) < 0)
            return -err->code;
    }
    return 0;
}

static int refuse(struct plugin_host *h, const struct val *entry, struct str name, const char *file, struct str iface, const struct kl_err *why,
                  struct kl_err *err)
{
    struct plugin_instance *i = add(h, entry, name, file, err);
    const char *id = arena_dup(h->arena, iface);
    if (!i)
        return -err->code;
    i->state = PLUGIN_REFUSED;
    set_place(i, json_str(entry, "on"), id ? id : "");
    i->required = json_bool(entry, "required", i->required);
    snprintf(i->reason, sizeof i->reason, "%s", why->msg);
    return 0;
}

/* The instances that the file would have made, by its note; a file that has none makes one, and nobody knows what it would have been. */
static int add_refused(struct plugin_host *h, const struct val *entry, const char *file, const struct kl_err *why, struct kl_err *err)
{
    struct str name = json_str(entry, "name"), provider = json_str(entry, "provider");
    struct plugin_note note;
    struct kl_err ignored;
    unsigned n = 0;
    int rc = 0;
    kl_err_init(&ignored);
    plugin_note_read(file, &note, &ignored);
    bool only = provider.len || !strchr(note.provides, ' ');
    for (struct str rest = str_of(note.provides); rc == 0 && rest.at && rest.len;) {
        struct str each = str_cut(&rest, ' '), iface = str_cut(&each, ':');
        if (!each.len || (provider.len && !str_eq(provider, each)) || json_lists(json_get(entry, STR("without")), each))
            continue;
        rc = refuse(h, entry, name.len && only ? name : each, file, iface, why, err);
        n++;
    }
    return rc < 0 || n ? rc : refuse(h, entry, name.len ? name : json_str(entry, "plugin"), file, STR(""), why, err);
}

static int add_elsewhere(struct plugin_host *h, const struct val *entry, const char *file, struct kl_err *err)
{
    struct str name = json_str(entry, "name");
    struct plugin_instance *i = add(h, entry, name.len ? name : json_str(entry, "plugin"), file, err);
    if (!i)
        return -err->code;
    i->roles = (ROLE_SERVER | ROLE_NODE) & ~h->conf.roles;
    return 0;
}

/* --- the list --- */

char *host_file_of(struct plugin_host *h, struct str plugin)
{
    if (str_find(plugin, '/') >= 0)
        return arena_dup(h->arena, plugin);
    if (builtin_named(plugin))
        return arena_printf(h->arena, BUILTIN_PREFIX STR_FMT, STR_ARG(plugin));
    return arena_printf(h->arena, "%s/" STR_FMT ".so", h->conf.plugin_dir, STR_ARG(plugin));
}

static int read_entry(struct plugin_host *h, struct val *entry, struct candidate *c, struct kl_err *err)
{
    if (!val_is(entry, VAL_OBJ))
        return kl_err_set(err, KL_INVALID, "%s: an instance must be a group { plugin = \"...\"; ... }", conf_where(h->arena, entry));
    int rc = conf_check(h->arena, entry, rows, sizeof rows / sizeof *rows, err);
    if (rc < 0)
        return rc;
    if (!json_str(entry, "plugin").len)
        return kl_err_set(err, KL_INVALID, "%s: an instance needs 'plugin'", conf_where(h->arena, entry));
    c->entry = entry;
    c->file = host_file_of(h, json_str(entry, "plugin"));
    if (c->file && json_bool(entry, "enabled", true) && (rc = host_check_entry(h, entry, c->file, err)) < 0)
        return rc;
    struct val *sandbox = json_get(entry, STR("sandbox"));
    if ((sandbox && (rc = expand(h, sandbox, err)) < 0) || (rc = host_isolation_of(h, entry, &c->isolation, err)) < 0)
        return rc;
    struct val *settings = json_get(entry, STR("settings"));
    rc = settings ? expand(h, settings, err) : 0;
    return rc == 0 && !c->file ? kl_err_set(err, KL_NO_MEMORY, "out of memory") : rc;
}

/* What a process says of its plugin is checked as what the plugin says here. */
static int describe(struct candidate *c, const struct kl_plugin **ret)
{
    char why[400];
    int rc = strstr(c->trial.note.provides, KL_LAYER_0) ? kl_err_set(&c->err, KL_INVALID, "'%.150s' has layers, which cannot be in a process of their own", c->file)
                                                        : cell_describe(c->cell, ret, &c->err);
    if (rc == 0 && plugin_check(*ret, &c->trial.note, why, sizeof why) < 0)
        rc = kl_err_set(&c->err, KL_INVALID, "'%.100s' cannot be loaded: %.140s", c->file, why);
    return rc;
}

/* One library however many entries name it. */
static int load(struct plugin_host *h, struct candidate *c, const struct kl_plugin **ret)
{
    void *handle = NULL;
    if (c->module) {
        *ret = module_plugin(c->module);
        return 0;
    }
    if (plugin_dlopen(c->file, ret, &handle, &c->err) < 0)
        return -c->err.code;
    for (unsigned k = 0; k < h->n && handle && !c->module; k++)
        if (h->at[k]->plugin == *ret && (c->module = h->at[k]->module)) {
            module_hold(c->module);
            dlclose(handle);
        }
    if (handle && !c->module)
        c->module = module_of_handle(*ret, handle);
    return 0;
}

static int settle(struct plugin_host *h, struct candidate *c, struct kl_err *err)
{
    const struct kl_plugin *p = NULL;
    if (c->elsewhere)
        return add_elsewhere(h, c->entry, c->file, err);
    if (!c->err.code && (c->cell ? describe(c, &p) : load(h, c, &p)) == 0)
        return add_loaded(h, c, p, err);
    return add_refused(h, c->entry, c->file, &c->err, err);
}

static bool same_trial(const struct candidate *c, const struct candidate *earlier)
{
    return !earlier->elsewhere && earlier->isolation.level == ISOLATE_NONE && strcmp(c->file, earlier->file) == 0 &&
           str_eq(json_str(c->entry, "digest"), json_str(earlier->entry, "digest"));
}

/* None of its code runs here, not even for a trial. */
static void isolate(struct plugin_host *h, struct candidate *c)
{
    int copy = -1;
    if (plugin_look(c->file, c->trial.digest, &c->trial.note, &copy, &c->err) == 0)
        host_cell_new(h, c->entry, c->file, copy, &c->isolation, &c->cell, &c->err);
}

/* All files are tried at once: each trial is a process of its own. */
static int load_all(struct plugin_host *h, struct candidate *all, unsigned n, struct kl_err *err)
{
    int rc = 0;
    for (unsigned i = 0; i < n; i++) {
        all[i].trial.digest = json_str(all[i].entry, "digest");
        kl_err_init(&all[i].err);
        if (all[i].isolation.level != ISOLATE_NONE)
            continue;
        for (unsigned k = 0; k < i && !all[i].same; k++)
            all[i].same = same_trial(&all[i], &all[k]);
        if (h->batch)
            continue;
        all[i].tried = !all[i].same && !all[i].elsewhere && plugin_trial_begin(&all[i].trial, all[i].file, &all[i].err) == 0;
    }
    /* Behind the forks: cells have threads. */
    for (unsigned i = 0; i < n; i++)
        if (all[i].isolation.level != ISOLATE_NONE && !all[i].elsewhere)
            isolate(h, &all[i]);
    for (unsigned i = 0; i < n; i++) {
        if (all[i].tried)
            plugin_trial_end(&all[i].trial, &all[i].err);
        else if (h->batch && all[i].isolation.level == ISOLATE_NONE && !all[i].same && !all[i].elsewhere)
            module_load(all[i].file, all[i].trial.digest, &all[i].module, &all[i].err);
        for (unsigned k = 0; k < i && all[i].same; k++)
            if (same_trial(&all[i], &all[k])) {
                all[i].err = all[k].err;
                if ((all[i].module = all[k].module))
                    module_hold(all[i].module);
                break;
            }
    }
    for (unsigned i = 0; i < n && rc == 0; i++)
        rc = settle(h, &all[i], err);
    for (unsigned i = 0; i < n; i++)    /* now held by instances */
        module_drop(all[i].module);
    return rc;
}

int host_read_manifest(struct plugin_host *h, struct kl_err *err)
{
    const struct val *list = json_get(h->conf.config, STR("instances"));
    if (!list)
        return kl_err_set(err, KL_INVALID, "the configuration has no 'instances'");
    if (list->type != VAL_ARR)
        return kl_err_set(err, KL_INVALID, "%s: 'instances' must be a list ( { ... }, { ... } )", conf_where(h->arena, list));
    struct candidate *all = mem_alloc((list->n + 1) * sizeof *all);
    unsigned n = 0;
    int rc = all ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
    for (struct val *e = list->first; e && rc == 0; e = e->next) {
        rc = read_entry(h, e, &all[n], err);
        if (rc < 0 || !json_bool(e, "enabled", true))
            continue;
        all[n].elsewhere = elsewhere(h, e, all[n].file);
        n++;
    }
    if (rc == 0)
        rc = load_all(h, all, n, err);
    mem_free(all);
    return rc;
}
