/* check.c - mistakes in the configuration's `instances` that are seen before anything is opened: names, providers, needs that nobody meets or
 * that wait for each other. Each is told with file, line and, where one is near, what was meant. */
#include <dirent.h>

#include "conf/load.h"
#include "host-internal.h"
#include "plugin/builtin.h"

#define NAME_MOST 63

static int wrong(struct plugin_host *h, const struct val *at, struct kl_err *err, const char *what, struct str name, const char *near)
{
    return kl_err_set(err, KL_INVALID, "%s: %s '" STR_FMT "'%s%s%s", conf_where(h->arena, at), what, STR_ARG(name), near ? "; did you mean '" : "",
                      near ? near : "", near ? "'?" : "");
}

/* --- one entry --- */

static bool name_ok(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._", s.at[i]) || !s.at[i])
            return false;
    return s.len <= NAME_MOST;
}

static const char *nearest_plugin(struct plugin_host *h, struct str name)
{
    const char *names[256];
    unsigned n = 0;
    DIR *d = opendir(h->conf.plugin_dir);
    for (struct dirent *e; d && n < 256 && (e = readdir(d));) {
        struct str file = str_of(e->d_name);
        if (str_ends(file, STR(".so")) && (names[n] = arena_dup(h->arena, str_n(file.at, file.len - 3))))
            n++;
    }
    if (d)
        closedir(d);
    for (unsigned i = 0; n < 256 && builtin_at(i); i++)
        names[n++] = builtin_at(i)->name;
    return n ? conf_nearest(name, names, n, sizeof *names) : NULL;
}

int host_check_entry(struct plugin_host *h, const struct val *entry, const char *file, struct kl_err *err)
{
    const struct val *plugin = json_get(entry, STR("plugin")), *name = json_get(entry, STR("name"));
    if (name && !val_str(name).len)
        return wrong(h, name, err, "an instance's name must not be empty:", val_str(name), NULL);
    if (name && !name_ok(val_str(name)))
        return wrong(h, name, err, "an instance's name may have 63 letters, digits, '-', '.' and '_', not", val_str(name), NULL);
    if (str_find(val_str(plugin), '/') < 0 && !builtin_of_file(file) && access(file, F_OK) != 0)
        return wrong(h, plugin, err, arena_printf(h->arena, "folder '%s' has no plugin", h->conf.plugin_dir), val_str(plugin),
                     nearest_plugin(h, val_str(plugin)));
    return 0;
}

/* --- against what the plugin provides --- */

static int check_one_provider(struct plugin_host *h, const struct val *at, const struct kl_plugin *p, struct kl_err *err)
{
    for (uint32_t k = 0; k < p->providers.n; k++)
        if (str_is(val_str(at), KL_AT(struct kl_provider, p->providers, k)->name))
            return 0;
    const char *near = p->providers.n ? conf_nearest(val_str(at), &p->providers.at->name, p->providers.n, p->providers.stride) : NULL;
    return wrong(h, at, err, arena_printf(h->arena, "plugin '%s' has no provider", p->id), val_str(at), near);
}

int host_check_providers(struct plugin_host *h, const struct val *entry, const struct kl_plugin *p, struct kl_err *err)
{
    const struct val *provider = json_get(entry, STR("provider")), *without = json_get(entry, STR("without")), *name = json_get(entry, STR("name"));
    int rc = provider ? check_one_provider(h, provider, p, err) : 0;
    if (without)
        for (const struct val *v = without->first; v && rc == 0; v = v->next)
            rc = check_one_provider(h, v, p, err);
    if (rc == 0 && name && !provider && p->providers.n > 1)
        rc = kl_err_set(err, KL_INVALID, "%s: plugin '%s' has %u providers: 'name' needs 'provider' beside it", conf_where(h->arena, name), p->id,
                        p->providers.n);
    return rc;
}

/* --- needs --- */

static bool provides(const struct plugin_instance *i, const char *id)
{
    return i->provider && strcmp(i->provider->iface, id) == 0;
}

static bool runs(const struct plugin_host *h, const struct plugin_instance *i)
{
    return i->state == PLUGIN_LOADED && i->roles & h->conf.roles;
}

enum fate { WAITS = 0, OPENS, FAILS };

/* What the need's providers have come to: OPENS when one does, WAITS when one may still, FAILS when there is none. *ret: the first that waits. */
static enum fate fate_of_need(struct plugin_host *h, const char *id, const enum fate *fates, unsigned *ret)
{
    enum fate best = FAILS;
    for (unsigned j = h->n; j-- > 0;) {
        if (!provides(h->at[j], id) || !runs(h, h->at[j]) || fates[j] == FAILS)
            continue;
        if (fates[j] == OPENS)
            return OPENS;
        best = WAITS;
        *ret = j;
    }
    return best;
}

/* The same steps as opening takes, without opening: what still waits in the end waits for itself. */
static enum fate step(struct plugin_host *h, const struct plugin_instance *i, const enum fate *fates)
{
    unsigned which;
    enum fate all = OPENS;
    for (uint32_t k = 0; k < i->plugin->needs.n; k++) {
        const struct kl_need *need = KL_AT(struct kl_need, i->plugin->needs, k);
        enum fate f = host_knows(need->id) ? OPENS : fate_of_need(h, need->id, fates, &which);
        if (f == FAILS && !need->optional)
            return FAILS;
        all = f == WAITS ? WAITS : all;
    }
    return all;
}

static int tell_cycle(struct plugin_host *h, unsigned from, const enum fate *fates, struct kl_err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(4096);
    bool told[HOST_INSTANCES_MAX] = { false };
    unsigned at = from;
    for (bool telling = false; !telling || !told[at];) {
        const struct plugin_instance *i = h->at[at];
        if (!telling && told[at]) {     /* here the cycle begins: what led to it does not count */
            memset(told, 0, sizeof told);
            telling = true;
            from = at;
        }
        told[at] = true;
        for (uint32_t k = 0; k < i->plugin->needs.n; k++) {
            const char *id = KL_AT(struct kl_need, i->plugin->needs, k)->id;
            if (host_knows(id) || fate_of_need(h, id, fates, &at) != WAITS)
                continue;
            if (telling)
                buf_printf(&text, "%s '%s' needs '%s' of '%s'", text.len ? "," : "", i->name, id, h->at[at]->name);
            break;
        }
    }
    return kl_err_set(err, KL_INVALID, "%s: instances wait for each other:" STR_FMT, conf_where(h->arena, h->at[from]->entry), STR_ARG(buf_str(&text)));
}

int host_check_cycles(struct plugin_host *h, struct kl_err *err)
{
    enum fate fates[HOST_INSTANCES_MAX] = { WAITS };
    for (bool moved = true; moved;) {
        moved = false;
        for (unsigned k = 0; k < h->n; k++)
            if (fates[k] == WAITS && runs(h, h->at[k]) && (fates[k] = step(h, h->at[k], fates)) != WAITS)
                moved = true;
    }
    for (unsigned k = 0; k < h->n; k++)
        if (fates[k] == WAITS && runs(h, h->at[k]))
            return tell_cycle(h, k, fates, err);
    return 0;
}

int host_check_needs(struct plugin_host *h, struct kl_err *err)
{
    for (unsigned k = 0; k < h->n; k++) {
        const struct plugin_instance *i = h->at[k];
        for (uint32_t n = 0; i->plugin && runs(h, i) && n < i->plugin->needs.n; n++) {
            const struct kl_need *need = KL_AT(struct kl_need, i->plugin->needs, n);
            bool met = need->optional || host_knows(need->id);
            for (unsigned j = 0; j < h->n && !met; j++)
                met = provides(h->at[j], need->id) && runs(h, h->at[j]);
            if (!met)
                return kl_err_set(err, KL_INVALID, "%s: instance '%s' needs '%s', which no instance provides", conf_where(h->arena, i->entry), i->name,
                                  need->id);
        }
    }
    return 0;
}

int host_missing_link(struct plugin_host *h, const char *chain, const char *iface, const struct val *item, struct kl_err *err)
{
    const char *names[HOST_INSTANCES_MAX];
    unsigned n = 0;
    for (unsigned k = 0; k < h->n; k++) {
        const struct plugin_instance *i = h->at[k];
        if (!i->provider && str_is(val_str(item), i->name))
            return kl_err_set(err, KL_UNAVAILABLE, "%s: chain '%s' names '%s', which is %s: %s", conf_where(h->arena, item), chain, i->name,
                              plugin_state_text(i->state), i->reason);
        if (provides(i, iface))
            names[n++] = i->name;
    }
    const char *near = n ? conf_nearest(val_str(item), names, n, sizeof *names) : NULL;
    return wrong(h, item, err, arena_printf(h->arena, "chain '%s' names what is no instance of %s:", chain, iface), val_str(item), near);
}
