/* cmd_store.c - `keelson store check | repair`: what is in the store's files, while no server uses them. */
#include <keelson/iface/store.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "conf/bind.h"
#include "conf/load.h"
#include "reconcile/call.h"

static const char usage_text[] =
    "usage: keelson store check [OPTION...]          reads all files of the store and says what is damaged\n"
    "       keelson store repair [--yes] [OPTION...] says what would be lost; with --yes makes the store readable again and keeps the old files\n"
    "options as of `keelson server`; no server may use the store meanwhile. Exit status: 0 sound, 1 damaged.\n";

static struct plugin_instance *find_store(struct plugin_host *h)
{
    struct plugin_instance *best = NULL;
    for (unsigned k = 0; k < plugin_host_count(h); k++) {
        struct plugin_instance *i = plugin_host_at(h, k);
        if (i->provider && strcmp(i->provider->iface, KL_STORE_0) == 0 && (!best || i->provider->rank > best->provider->rank))
            best = i;
    }
    return best;
}

static int examine(struct plugin_instance *i, bool repair)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_call c;
    struct kl_bytes report = { "", 0 };
    void *conf;
    if (!a)
        return cli_fail(1, "out of memory");
    host_call_init(&c, a, i->name);
    const struct kl_store *t = i->provider->table;
    if (!KL_HAS(t, examine) || !t->examine)
        return cli_fail(1, "store '%s' has nothing that could be examined", i->name);
    if (conf_bind(a, i->plugin, i->settings, conf_where(a, i->entry), &conf, &c.err) < 0)
        return cli_fail(2, "%s", c.err.msg);
    if (i->cell && cell_bind(i->cell, i->cell_at, &i->host, conf, &conf, &c) < 0)
        return cli_fail(1, "%s", c.err.msg);
    int rc = t->examine(conf, &c, repair, &report);
    fwrite(report.at, 1, report.len, stdout);
    fflush(stdout);
    return rc < 0 ? cli_fail(1, "%s", c.err.msg) : 0;
}

int cmd_store(int argc, char **argv)
{
    static struct options o;
    struct plugin_host *h = NULL;
    struct kl_err err;
    kl_err_init(&err);
    bool check = argc >= 2 && strcmp(argv[1], "check") == 0, repair = argc >= 2 && strcmp(argv[1], "repair") == 0;
    if (!check && !repair) {
        bool help = argc >= 2 && strcmp(argv[1], "--help") == 0;
        static const char *const known[] = { "check", "repair", "--help", NULL };
        cli_known("store", argc >= 2 ? argv[1] : NULL, known);
        fputs(usage_text, help ? stdout : stderr);
        return help ? 0 : 2;
    }
    bool yes = repair && argc >= 3 && strcmp(argv[2], "--yes") == 0;
    int skip = yes ? 2 : 1, rc = options_read(&o, check ? "store check" : "store repair", argc - skip, argv + skip);
    if (rc || o.help)
        return rc;
    struct plugin_host_conf hc = { .config = o.tree, .plugin_dir = o.plugin_dir, .roles = ROLE_SERVER, .variable = options_variable, .ctx = &o };
    if (plugin_host_new(&hc, &h, &err) < 0)
        return cli_fail(2, "%s", err.msg);
    struct plugin_instance *i = find_store(h);
    rc = i ? examine(i, yes) : cli_fail(1, "the configuration names no store that could be loaded");
    if (rc == 1 && repair && !yes)
        puts("nothing was changed; `keelson store repair --yes` takes over what can be read and moves the damaged files aside");
    plugin_host_free(h);
    return rc;
}
