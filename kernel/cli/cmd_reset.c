/* cmd_reset.c - `keelson reset`: takes away from this machine what a node made: pods, links, rules, namespaces, mounts, control groups;
 * with --all also keys, objects, images and logs. The plugins of the configuration undo their own work; this file only asks them. */
#include <errno.h>
#include <keelson/iface/network.h>
#include <keelson/iface/proxy.h>
#include <keelson/iface/runtime.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "cli/door.h"
#include "image/fs.h"
#include "reconcile/call.h"

#define CALL_NS (60 * NS_PER_S)

struct reset {
    struct options *o;
    struct plugin_host *host;
    struct arena *arena;
    unsigned pods, failures;
};

static void failed(struct reset *r, const char *what, const struct kl_err *err)
{
    r->failures++;
    cli_fail(1, "reset: %s: %s", what, err->msg);
}

static struct kl_call begin(struct reset *r)
{
    struct kl_call c;
    host_call_init(&c, r->arena, "reset");
    c.deadline_ns = env_mono_ns() + CALL_NS;
    return c;
}

/* A pid file is left behind by kill -9; its number may be another program's by now. */
static pid_t running(const struct options *o)
{
    char path[PATH_MAX], exe[PATH_MAX], mine[PATH_MAX], text[32] = "";
    snprintf(path, sizeof path, "%.4000s/keelson.pid", o->run);
    _cleanup_file_ FILE *f = fopen(path, "re");
    pid_t pid = f && fgets(text, sizeof text, f) ? (pid_t)strtol(text, NULL, 10) : 0;
    if (pid <= 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    ssize_t n = readlink(path, exe, sizeof exe - 1), m = readlink("/proc/self/exe", mine, sizeof mine - 1);
    return n > 0 && n == m && memcmp(exe, mine, (size_t)n) == 0 ? pid : 0;
}

/* --- what plugins undo --- */

static void remove_pods(struct reset *r, const struct kl_runtime *t, void *self)
{
    static const char *const lists[] = { "containers", "sandboxes" };
    struct kl_bytes text;
    struct kl_call c = begin(r);
    struct val *v = t->list(self, &c, NULL, &text) == 0 ? json_parse(r->arena, str_n(text.at, text.len), &c.err) : NULL;
    if (!v) {
        failed(r, "what the runtime runs", &c.err);
        return;
    }
    for (int k = 0; k < 2; k++) {
        struct val *list = json_get(v, str_of(lists[k]));
        if (!val_is(list, VAL_ARR))
            continue;
        val_each(one, list) {
            const char *id = arena_dup(r->arena, json_str(one, "id"));
            c = begin(r);
            int rc = !id ? -KL_NO_MEMORY : k ? t->sandbox_stop(self, &c, id) : t->container_stop(self, &c, id, 0);
            if (rc == 0)
                rc = k ? t->sandbox_remove(self, &c, id) : t->container_remove(self, &c, id);
            if (rc < 0)
                failed(r, id ? id : "a container", &c.err);
            r->pods += k;
        }
    }
}

static void undo_runtime(struct reset *r, const void *table, void *self)
{
    remove_pods(r, table, self);
}

static void undo_network(struct reset *r, const void *table, void *self)
{
    struct kl_call c = begin(r);
    if (((const struct kl_network *)table)->teardown(self, &c) < 0)
        failed(r, "the network", &c.err);
}

static void undo_proxy(struct reset *r, const void *table, void *self)
{
    struct kl_call c = begin(r);
    if (((const struct kl_proxy *)table)->teardown(self, &c) < 0)
        failed(r, "the service proxy", &c.err);
}

/* Pods first: their namespaces are the network's. */
static const struct {
    const char *iface;
    void (*undo)(struct reset *r, const void *table, void *self);
} steps[] = { { KL_RUNTIME_0, undo_runtime }, { KL_NETWORK_0, undo_network }, { KL_PROXY_0, undo_proxy } };

static int undo_plugins(struct reset *r)
{
    struct kl_err err;
    kl_err_init(&err);
    struct plugin_host_conf hc = { .config = r->o->tree, .plugin_dir = r->o->plugin_dir, .roles = ROLE_NODE, .variable = options_variable,
                                   .ctx = r->o };
    if (plugin_host_new(&hc, &r->host, &err) < 0)
        return cli_fail(2, "%s", err.msg);
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        if (plugin_host_open(r->host, steps[s].iface, &err) < 0)
            failed(r, steps[s].iface, &err);
        for (unsigned k = 0; k < plugin_host_count(r->host); k++) {
            struct plugin_instance *i = plugin_host_at(r->host, k);
            if (!i->provider || strcmp(i->provider->iface, steps[s].iface) != 0)
                continue;
            if (i->state == PLUGIN_READY)
                steps[s].undo(r, i->provider->table, i->self);
            else if (i->state == PLUGIN_FAILED) {
                snprintf(err.msg, sizeof err.msg, "%.200s", i->reason);
                failed(r, i->name, &err);
            }
        }
    }
    plugin_host_free(r->host);
    return 0;
}

/* --- what is left on the file system --- */

static bool below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

/* Volumes in memory, bound files: newest first, so that what is mounted on a mount goes before it. */
static void unmount(struct reset *r)
{
    const char *found[4096];
    unsigned n = 0;
    _cleanup_file_ FILE *f = fopen("/proc/self/mounts", "re");
    char line[8192], at[4096];
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "%*s %4095s", at) == 1 && (below(at, r->o->state) || below(at, r->o->run)) && n < 4096)
            found[n++] = arena_dup(r->arena, str_of(at));
    while (n-- > 0)
        if (found[n] && umount2(found[n], MNT_DETACH | UMOUNT_NOFOLLOW) < 0) {
            struct kl_err err;
            kl_err_set(&err, KL_INTERNAL, "cannot be unmounted: %s", strerror(errno));
            failed(r, found[n], &err);
        }
}

static void remove_files(struct reset *r, const char *folder, const char *const *names)
{
    char path[PATH_MAX];
    struct kl_err err;
    kl_err_init(&err);
    for (; *names; names++) {
        snprintf(path, sizeof path, "%.4000s/%s", folder, *names);
        if (fs_remove(AT_FDCWD, path, &err) < 0)
            failed(r, path, &err);
    }
    rmdir(folder);                      /* stays when somebody else keeps something in it */
}

static void remove_all(struct reset *r, bool all)
{
    static const char *const of_run[] = { "keelson.pid", "network", "runtime", NULL };
    static const char *const of_node[] = { "node", "runtime", NULL };
    static const char *const of_state[] = { "pki", "store", "images", "admin.kubeconfig", NULL };
    static const char *const of_logs[] = { "pods", "containers", "keelson.log", NULL };
    unmount(r);
    door_close(r->o->run);
    remove_files(r, r->o->run, of_run);
    remove_files(r, r->o->state, of_node);
    if (!all)
        return;
    remove_files(r, r->o->state, of_state);
    remove_files(r, r->o->logs, of_logs);
    unlink(r->o->kubeconfig_path);
}

static int usage(void)
{
    puts("usage: keelson reset [--all] [OPTION VALUE]...      options as of `keelson up`\n"
         "Removes this node's pods and all that was made for them. --all: also keys, objects, images and logs.");
    return 0;
}

int cmd_reset(int argc, char **argv)
{
    static struct options o;
    struct reset r = { .o = &o };
    bool all = false;
    int n = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return usage();
        if (strcmp(argv[i], "--all") == 0)
            all = true;
        else
            argv[n++] = argv[i];
    }
    int rc = options_read(&o, "reset", n, argv);
    if (rc)
        return rc;
    if (running(&o))
        return cli_fail(1, "reset: a daemon is running (process %d); stop it first: kill %d", (int)running(&o), (int)running(&o));
    r.arena = arena_new(0);
    if (!r.arena)
        return cli_fail(1, "out of memory");
    rc = undo_plugins(&r);
    if (rc == 0)
        remove_all(&r, all);
    arena_free(r.arena);
    if (rc || r.failures)
        return rc ? rc : 1;
    printf("removed %u pod%s, and what was made for them%s\n", r.pods, r.pods == 1 ? "" : "s", all ? ", keys, objects, images and logs" : "");
    return 0;
}
