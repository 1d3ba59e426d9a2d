/* live_plan.c - what a command means: which instances go and come, what they are made from, and whether that may be. [loop] */
#include <keelson/iface/layer.h>
#include <keelson/iface/network.h>
#include <keelson/iface/proxy.h>
#include <keelson/iface/runtime.h>
#include <keelson/iface/store.h>
#include <keelson/iface/volume.h>

#include "conf/load.h"
#include "live.h"

/* --- which instances --- */

/* "keelson.authz/0", or "authz". */
static bool is_iface(const struct plugin_instance *i, struct str iface)
{
    const char *id = i->provider ? i->provider->iface : "";
    struct str s = str_of(id);
    if (!iface.len || str_eq(iface, s))
        return true;
    if (str_starts(s, STR("keelson.")))
        s = str_skip(s, 8);
    return str_eq(str_cut(&s, '/'), iface);
}

static struct str short_iface(const struct plugin_instance *i)
{
    struct str s = str_of(i->provider ? i->provider->iface : "");
    if (str_starts(s, STR("keelson.")))
        s = str_skip(s, 8);
    return str_cut(&s, '/');
}

static int unknown(struct change *x)
{
    const char *names[HOST_INSTANCES_MAX], *near;
    for (unsigned k = 0; k < x->host->n; k++)
        names[k] = x->host->at[k]->name;
    near = x->host->n ? conf_nearest(x->name, names, x->host->n, sizeof *names) : NULL;
    return kl_err_set(&x->err, KL_NOT_FOUND, "there is no instance '" STR_FMT "'%s%s%s%s%s", STR_ARG(x->name), x->iface.len ? " of that interface" : "",
                      near && !str_is(x->name, near) ? "; did you mean '" : "", near && !str_is(x->name, near) ? near : "",
                      near && !str_is(x->name, near) ? "'?" : "", near ? "" : "; `keelson plugin status` lists them");
}

static struct pair *add(struct change *x, struct plugin_instance *old)
{
    for (unsigned k = 0; k < x->n; k++)
        if (old && x->at[k].old == old)
            return &x->at[k];
    struct pair *p = &x->at[x->n++];
    *p = (struct pair){ .old = old, .of = x };
    return p;
}

static bool same_plugin(const struct plugin_instance *a, const struct plugin_instance *b)
{
    return a->cell || b->cell ? a->cell == b->cell : a->plugin && a->plugin == b->plugin;
}

static int find_named(struct change *x)
{
    struct plugin_host *h = x->host;
    struct plugin_instance *one = NULL;
    for (unsigned k = 0; k < h->n; k++) {
        struct plugin_instance *i = h->at[k];
        if (!str_is(x->name, i->name) || !is_iface(i, x->iface))
            continue;
        if (one && !same_plugin(one, i))
            return kl_err_set(&x->err, KL_INVALID, "several instances are called '%s': write '" STR_FMT ":%s' or '" STR_FMT ":%s'", i->name,
                              STR_ARG(short_iface(one)), one->name, STR_ARG(short_iface(i)), i->name);
        one = i;
        add(x, i);
    }
    if (!one)
        return unknown(x);
    if (!(one->roles & h->conf.roles))
        return kl_err_set(&x->err, KL_INVALID, "'%s' runs in another process: restart that one", one->name);
    return 0;
}

/* --- who goes along --- */

static bool looks_for_others(const struct plugin_instance *i)
{
    for (uint32_t k = 0; i->plugin && k < i->plugin->needs.n; k++)
        if (strcmp(KL_AT(struct kl_need, i->plugin->needs, k)->id, KL_HOST_PLUGINS_0) == 0)
            return true;
    return false;
}

/* Instances of one file that look for each other hold each other behind the gates; those of one process end with it. */
static bool is_kin(const struct plugin_instance *a, const struct plugin_instance *b)
{
    return same_plugin(a, b) && (a->cell || looks_for_others(a));
}

static void add_kin(struct change *x)
{
    struct plugin_host *h = x->host;
    for (unsigned n = 0; n < x->n; n++)
        for (unsigned k = 0; k < h->n && x->n < PAIRS_MOST; k++)
            if (is_kin(x->at[n].old, h->at[k]))
                add(x, h->at[k]);
}

static int no_kin(struct change *x)
{
    struct plugin_host *h = x->host;
    for (unsigned n = 0; n < x->n; n++)
        for (unsigned k = 0; k < h->n; k++) {
            bool named = false;
            for (unsigned m = 0; m < x->n; m++)
                named |= x->at[m].old == h->at[k];
            if (!named && h->at[k]->state == PLUGIN_READY && is_kin(x->at[n].old, h->at[k]))
                return kl_err_set(&x->err, KL_CONFLICT, "'%s' works together with '%s' (" STR_FMT ") of the same plugin, which cannot do without it",
                                  x->at[n].old->name, h->at[k]->name, STR_ARG(short_iface(h->at[k])));
        }
    return 0;
}

static bool has_layer(struct plugin_host *h, const struct plugin_instance *i, const struct plugin_instance *layer)
{
    struct plugin_instance *all[LAYERS_MOST];
    unsigned n = i->state == PLUGIN_READY ? host_layers_of(h, i, all) : 0;
    for (unsigned k = 0; k < n; k++)
        if (all[k] == layer)
            return true;
    return false;
}

/* Who has a layer that is made anew gets other layers and stays itself. */
static void add_layered(struct change *x)
{
    struct plugin_host *h = x->host;
    for (unsigned m = 0, n = x->n; m < n; m++)
        for (unsigned k = 0; k < h->n && x->n < PAIRS_MOST; k++)
            if (has_layer(h, h->at[k], x->at[m].old)) {
                struct pair *p = add(x, h->at[k]);
                if (!p->fresh)
                    p->fresh = h->at[k];
            }
}

/* --- may it go --- */

static unsigned ready_of(const struct plugin_host *h, const char *iface)
{
    unsigned n = 0;
    for (unsigned k = 0; k < h->n; k++)
        n += h->at[k]->state == PLUGIN_READY && h->at[k]->provider && strcmp(h->at[k]->provider->iface, iface) == 0;
    return n;
}

/* Interfaces that a process cannot be without, as long as it serves the other one (NULL: ever). */
static const struct {
    const char *iface, *with, *why;
} musts[] = {
    { KL_STORE_0, NULL, "it is where all objects are" },
    { "keelson.authn/0", NULL, "nobody would be known any more" },
    { "keelson.authz/0", NULL, "nobody would be allowed anything any more, to bring it back neither" },
    { KL_RUNTIME_0, "keelson.node/0", "the node runs its pods with it" },
    { KL_NETWORK_0, "keelson.node/0", "the node's pods have their addresses from it" },
};

static int needed(struct change *x, const struct plugin_instance *i)
{
    struct plugin_host *h = x->host;
    const char *iface = i->provider->iface;
    for (unsigned k = 0; k < h->n; k++) {
        struct plugin_instance *o = h->at[k];
        if (has_layer(h, o, i))
            return kl_err_set(&x->err, KL_CONFLICT, "'%s' is a layer of '%s'", i->name, o->name);
        if (o->fallback && o->fallback == i->gate && o->state == PLUGIN_READY)
            return kl_err_set(&x->err, KL_CONFLICT, "'%s' is the fallback of '%s'", i->name, o->name);
    }
    if (ready_of(h, iface) > 1)
        return 0;
    for (size_t k = 0; k < sizeof musts / sizeof *musts; k++)
        if (strcmp(musts[k].iface, iface) == 0 && (!musts[k].with || ready_of(h, musts[k].with)))
            return kl_err_set(&x->err, KL_CONFLICT, "'%s' is the last instance of %s: %s", i->name, iface, musts[k].why);
    for (unsigned k = 0; k < h->n; k++)
        for (uint32_t n = 0; h->at[k] != i && h->at[k]->state == PLUGIN_READY && n < h->at[k]->plugin->needs.n; n++) {
            const struct kl_need *need = KL_AT(struct kl_need, h->at[k]->plugin->needs, n);
            if (!need->optional && strcmp(need->id, iface) == 0)
                return kl_err_set(&x->err, KL_CONFLICT, "'%s' is the last instance of %s, which '%s' needs", i->name, iface, h->at[k]->name);
        }
    return 0;
}

static int plan_remove(struct change *x)
{
    int rc = no_kin(x);
    for (unsigned k = 0; k < x->n && rc == 0; k++)
        if (x->at[k].old->state == PLUGIN_READY)
            rc = needed(x, x->at[k].old);
    return rc;
}

/* Calls are under way in layers that it had before. */
static bool leaves_layers(const struct plugin_host *h, const struct plugin_instance *i)
{
    list_each(l, &h->live->leaving) {
        const struct change *x = list_item(l, struct change, link);
        for (unsigned k = 0; k < x->n; k++)
            if (x->at[k].old == i && x->at[k].fresh == i && x->at[k].stage != PAIR_GONE)
                return true;
    }
    return false;
}

static int changeable(struct change *x)
{
    for (unsigned k = 0; k < x->n; k++) {
        const struct plugin_instance *i = x->at[k].old;
        if (!i || i->state != PLUGIN_READY)
            continue;
        if (leaves_layers(x->host, i))
            return kl_err_set(&x->err, KL_CONFLICT, "'%s' has calls under way in layers that were changed before; try again when they are over", i->name);
        if (x->action == LIVE_REPLACE && strcmp(i->provider->iface, KL_STORE_0) == 0)
            return kl_err_set(&x->err, KL_UNSUPPORTED, "'%s' is where all objects are: another store has none of them", i->name);
        if (!gate_knows(i->provider->iface) && strcmp(i->provider->iface, KL_LAYER_0) != 0)
            return kl_err_set(&x->err, KL_UNSUPPORTED, "'%s' is of %s, which this host does not know: who found it holds it", i->name, i->provider->iface);
    }
    return 0;
}

/* --- how it is opened --- */

/* Interfaces whose instances keep what they do where the next one looks when it is opened: no call may come in between. */
static const struct {
    const char *iface;
    bool exclusive;                     /* and only one may have it open */
} kept_in_files[] = { { KL_STORE_0, true }, { KL_RUNTIME_0, false }, { KL_NETWORK_0, false }, { KL_PROXY_0, false }, { KL_VOLUME_0, false } };

static void find_quiet(struct change *x)
{
    for (unsigned n = 0; n < x->n; n++)
        for (size_t k = 0; k < sizeof kept_in_files / sizeof *kept_in_files; k++)
            if (x->at[n].old && x->at[n].old->state == PLUGIN_READY && x->at[n].fresh != x->at[n].old &&
                strcmp(x->at[n].old->provider->iface, kept_in_files[k].iface) == 0) {
                x->quiet = true;
                x->exclusive |= kept_in_files[k].exclusive;
            }
}

/* --- what it is made from --- */

static void put(struct arena *a, struct val *entry, const char *key, const struct val *from)
{
    const struct val *v = json_get(from, str_of(key));
    if (v)
        json_set(a, entry, str_of(key), live_copy(a, v));
}

/* The file that a command names: a path, or a plugin's name. */
static struct val *entry_of(struct change *x, struct plugin_instance *old)
{
    static const char *const kept[] = { "on", "required", "isolate", "sandbox", "deadline", "fallback", "layers" };
    static const char *const made_from[] = { "plugin", "digest", "settings" };
    struct arena *a = x->batch->made.arena;
    struct val *e = val_new(a, VAL_OBJ);
    bool other = x->action == LIVE_LOAD || x->action == LIVE_REPLACE;
    for (size_t k = 0; old && k < sizeof kept / sizeof *kept; k++)
        put(a, e, kept[k], old->entry);
    for (size_t k = 0; !other && k < sizeof made_from / sizeof *made_from; k++)
        put(a, e, made_from[k], old->entry);
    if (!other && !old->provider)
        put(a, e, "provider", old->entry);
    if (!other && old->provider)
        json_set_str(a, e, STR("provider"), arena_str(a, str_of(old->bare ? old->bare->name : old->provider->name)));
    if (other && x->isolate.len)
        json_set_str(a, e, STR("isolate"), arena_str(a, x->isolate));
    if (x->file.len)
        json_set_str(a, e, STR("plugin"), arena_str(a, x->file));
    if (other && x->provider.len)
        json_set_str(a, e, STR("provider"), arena_str(a, x->provider));
    if (old ? old->provider || json_get(old->entry, STR("name")) : x->name.len > 0)
        json_set_str(a, e, STR("name"), arena_str(a, old ? str_of(old->name) : x->name));
    if (x->settings && x->settings->n)
        val_each(s, x->settings)
            json_set(a, json_obj(a, e, STR("settings")), arena_str(a, val_key(s)), live_copy(a, s));
    return e;
}

/* Providers of one name are made by one entry ("rbac" of two interfaces). */
static bool made_already(const struct change *x, unsigned n)
{
    for (unsigned k = 0; k < n; k++)
        if (x->at[k].old && strcmp(x->at[k].old->name, x->at[n].old->name) == 0)
            return true;
    return false;
}

static int new_batch(struct change *x)
{
    struct batch *b = mem_alloc(sizeof *b);
    if (!b || !(b->made.arena = arena_new(0))) {
        mem_free(b);
        return kl_err_set(&x->err, KL_NO_MEMORY, "out of memory");
    }
    b->host = x->host;
    b->alive = 1;                       /* the change itself */
    b->made.conf = x->host->conf;
    b->made.batch = b;
    x->batch = b;
    struct arena *a = b->made.arena;
    struct val *config = val_new(a, VAL_OBJ), *list = json_arr(a, config, STR("instances"));
    for (unsigned k = 0; k < x->n; k++)
        if ((x->at[k].old != x->at[k].fresh || !x->at[k].old) && !made_already(x, k))
            val_push(list, entry_of(x, x->at[k].old));
    b->made.conf.config = config;
    return arena_exhausted(a) ? kl_err_set(&x->err, KL_NO_MEMORY, "out of memory") : 0;
}

static void find_layers(struct change *x)
{
    for (unsigned k = 0; k < x->n; k++)
        if (x->at[k].old)
            x->at[k].n_layers = host_layers_of(x->host, x->at[k].old, x->at[k].layers);
}

/* --- */

static int plan_load(struct change *x)
{
    struct plugin_host *h = x->host;
    if (!x->file.len)
        return kl_err_set(&x->err, KL_INVALID, "which plugin is to be loaded? a file, or the name of one in '%s'", h->conf.plugin_dir);
    if (h->n >= HOST_INSTANCES_MAX)
        return kl_err_set(&x->err, KL_CONFLICT, "there are %u instances, more cannot be", h->n);
    for (unsigned k = 0; k < h->n && x->before.len; k++)
        if (str_is(x->before, h->at[k]->name)) {
            add(x, NULL);
            return 0;
        }
    if (x->before.len) {
        x->name = x->before;
        x->iface = STR("");
        return unknown(x);
    }
    add(x, NULL);
    return 0;
}

int live_plan(struct change *x)
{
    int rc = x->action == LIVE_LOAD ? plan_load(x) : find_named(x);
    if (rc == 0 && x->action == LIVE_REPLACE && !x->file.len)
        rc = kl_err_set(&x->err, KL_INVALID, "which plugin is to take the place of '" STR_FMT "'?", STR_ARG(x->name));
    if (rc == 0 && x->action == LIVE_SET && !(x->settings && x->settings->n))
        rc = kl_err_set(&x->err, KL_INVALID, "which settings? KEY=VALUE...");
    if (rc == 0 && x->action == LIVE_REPLACE && x->n > 1)
        rc = kl_err_set(&x->err, KL_INVALID, "several instances are called '" STR_FMT "': write INTERFACE:NAME", STR_ARG(x->name));
    if (rc == 0 && x->action == LIVE_REMOVE)
        rc = plan_remove(x);
    if (rc == 0 && x->action == LIVE_REPLACE)
        rc = no_kin(x);
    if (rc == 0 && x->action != LIVE_LOAD && x->action != LIVE_REPLACE && x->action != LIVE_REMOVE)
        add_kin(x);
    if (rc == 0 && x->action != LIVE_LOAD && x->action != LIVE_REMOVE)
        add_layered(x);
    if (rc == 0)
        rc = changeable(x);
    if (rc < 0 || x->action == LIVE_REMOVE)
        return rc;
    find_layers(x);
    find_quiet(x);
    return new_batch(x);
}
