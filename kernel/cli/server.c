/* server.c - `keelson server`: store, API and their plugins in one process. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/log.h"
#include "base/map.h"
#include "cli/cli.h"
#include "plugin/plugin.h"

struct server {
    struct loop *loop;
    struct store *store;
    struct api *api;
    struct http_server *http;
    struct plugin_instance *store_instance, *authn, *authz;
    const char *state_dir, *address, *port_text, *store_kind, *kubeconfig, *plugin_dir, *log_file;
    int port;
    char pki_dir[PATH_MAX], kubeconfig_path[PATH_MAX], files[4][PATH_MAX];
};

static const char usage[] =
    "usage: keelson server [--state-dir DIR] [--address IP] [--port N] [--store wal|memory] [--kubeconfig FILE] [--plugins DIR] [--log FILE]\n"
    "  --state-dir   keys and store, /var/lib/keelson\n"
    "  --address     where to listen, 127.0.0.1\n"
    "  --port        6443; 0 takes a free one\n"
    "  --store       wal (default) or memory\n"
    "  --kubeconfig  the administrator's, written at start; STATE_DIR/admin.kubeconfig\n"
    "  --plugins     folder of plugin files; beside the program, then its prefix's lib/keelson/plugins\n"
    "  --log         log file; standard error\n";

static int parse(struct server *s, int argc, char **argv)
{
    const struct {
        const char *name;
        const char **value;
    } rows[] = { { "--state-dir", &s->state_dir }, { "--address", &s->address }, { "--port", &s->port_text }, { "--store", &s->store_kind },
                 { "--kubeconfig", &s->kubeconfig }, { "--plugins", &s->plugin_dir }, { "--log", &s->log_file } };
    for (int i = 1; i < argc; i++) {
        int rc = 0;
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return 1;
        }
        for (size_t k = 0; k < sizeof rows / sizeof *rows && rc == 0; k++)
            rc = cli_option(argc, argv, &i, rows[k].name, rows[k].value);
        if (rc != 1) {
            if (rc == 0)
                cli_fail(2, "server: unknown argument '%s'", argv[i]);
            return 2;
        }
    }
    int64_t port;
    if (!str_int(str_of(s->port_text), &port) || port < 0 || port > 65535)
        return cli_fail(2, "server: --port is '%s', must be 0..65535", s->port_text);
    s->port = (int)port;
    return 0;
}

/* --- plugins --- */

static void find_plugins(struct server *s, char *ret, size_t room)
{
    char exe[PATH_MAX] = "";
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    char *folder = n > 0 ? dirname(exe) : ".";
    if (s->plugin_dir) {
        snprintf(ret, room, "%s", s->plugin_dir);
        return;
    }
    snprintf(ret, room, "%s/plugins", folder);
    if (access(ret, F_OK) != 0)
        snprintf(ret, room, "%s/../lib/keelson/plugins", folder);
}

static int open_plugin(struct server *s, const char *file, const char *iface, const char *provider, const struct val *settings,
                       struct plugin_instance **ret, struct kl_err *err)
{
    char dir[PATH_MAX], path[2 * PATH_MAX];
    const struct kl_plugin *p;
    find_plugins(s, dir, sizeof dir);
    snprintf(path, sizeof path, "%s/%s.so", dir, file);
    int rc = plugin_load(path, &p, err);
    return rc < 0 ? rc : plugin_open(p, iface, provider, settings, ret, err);
}

static int open_store_plugin(struct server *s, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct val *settings = a ? val_new(a, VAL_OBJ) : NULL;
    char file[64];
    if (!settings)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (strcmp(s->store_kind, "wal") == 0)
        json_set_str(a, settings, STR("dir"), str_of(arena_printf(a, "%s/store", s->state_dir)));
    snprintf(file, sizeof file, "store-%s", s->store_kind);
    return open_plugin(s, file, KL_STORE_0, s->store_kind, settings, &s->store_instance, err);
}

static int authenticate(void *ctx, struct kl_call *c, const struct kl_credentials *cred, struct kl_user *ret)
{
    struct server *s = ctx;
    return ((const struct kl_authn *)s->authn->provider->table)->authenticate(s->authn->self, c, cred, ret);
}

static int authorize(void *ctx, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    struct server *s = ctx;
    return ((const struct kl_authz *)s->authz->provider->table)->authorize(s->authz->self, c, user, r);
}

static struct val *debug(void *ctx, struct arena *a, struct str what)
{
    struct server *s = ctx;
    const struct plugin_instance *all[] = { s->store_instance, s->authn, s->authz };
    if (!str_is(what, "plugins"))
        return NULL;
    struct val *v = val_new(a, VAL_OBJ), *list = json_arr(a, v, STR("instances"));
    for (size_t i = 0; i < 3; i++) {
        struct val *one = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, one, STR("name"), str_of(all[i]->name));
        json_set_str(a, one, STR("plugin"), str_of(all[i]->plugin->id));
        json_set_str(a, one, STR("version"), str_of(all[i]->plugin->version));
        json_set_str(a, one, STR("interface"), str_of(all[i]->provider->iface));
        json_set_str(a, one, STR("state"), STR("READY"));
    }
    return v;
}

static const char *store_check(void *ctx)
{
    return store_trouble(((struct server *)ctx)->store);
}

/* --- start and stop --- */

static const char *pki_file(struct server *s, int i, const char *name)
{
    snprintf(s->files[i], sizeof s->files[i], "%s/%s", s->pki_dir, name);
    return s->files[i];
}

static int start_plugins(struct server *s, struct kl_err *err)
{
    int rc = open_store_plugin(s, err);
    if (rc == 0)
        rc = open_plugin(s, "authn-x509", KL_AUTHN_0, "x509", NULL, &s->authn, err);
    if (rc == 0)
        rc = open_plugin(s, "authz-groups", KL_AUTHZ_0, "groups", NULL, &s->authz, err);
    return rc;
}

static int start_api(struct server *s, struct kl_err *err)
{
    struct store_conf sc = { .provider = s->store_instance->provider->table, .self = s->store_instance->self };
    struct http_conf hc = { .address = s->address, .port = (uint16_t)s->port, .cert_file = pki_file(s, 0, "server.crt"),
                            .key_file = pki_file(s, 1, "server.key"), .client_ca_file = pki_file(s, 2, "ca.crt") };
    struct api_conf ac = { .version = "v1.36.0+keelson-" KEELSON_VERSION, .service_cidr = "10.96.0.0/12", .node_port_first = 30000,
                           .node_port_last = 32767, .advertise_address = s->address, .cluster_dns_domain = "cluster.local" };
    struct api_hooks hooks = { .ctx = s, .authenticate = authenticate, .authorize = authorize, .debug = debug };
    s->loop = loop_new();
    if (!s->loop)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    int rc = store_open(s->loop, &sc, &s->store, err);
    ac.advertise_port = s->port;
    if (rc == 0)
        rc = api_new(s->loop, s->store, &ac, &hooks, &s->api, err);
    if (rc == 0)
        rc = api_bootstrap(s->api, err);
    if (rc == 0)
        rc = http_server_new(s->loop, &hc, api_handle, s->api, &s->http, err);
    if (rc < 0)
        return rc;
    s->port = http_server_port(s->http);
    api_check_add(s->api, "store", store_check, s);
    return pki_kubeconfig(s->pki_dir, s->address, s->port, s->kubeconfig_path, err);
}

static void on_closed(void *ctx)
{
    loop_stop(((struct server *)ctx)->loop);
}

static void on_signal(void *ctx)
{
    struct server *s = ctx;
    if (s->http)
        http_server_close(s->http, NS_PER_S, on_closed, s);
    s->http = NULL;
}

static void on_hup(void *ctx)
{
    (void)ctx;
    log_reopen();
}

static void stop(struct server *s)
{
    store_close(s->store);
    api_free(s->api);
    plugin_close(s->authz);
    plugin_close(s->authn);
    plugin_close(s->store_instance);
    loop_free(s->loop);
}

static int prepare(struct server *s, struct kl_err *err)
{
    uint64_t seed[2];
    env_random(seed, sizeof seed);
    map_seed(seed);
    if (mkdir(s->state_dir, 0700) < 0 && errno != EEXIST)
        return kl_err_set(err, KL_UNAVAILABLE, "state folder '%s' cannot be made: %s", s->state_dir, strerror(errno));
    snprintf(s->pki_dir, sizeof s->pki_dir, "%s/pki", s->state_dir);
    if (s->kubeconfig)
        snprintf(s->kubeconfig_path, sizeof s->kubeconfig_path, "%s", s->kubeconfig);
    else
        snprintf(s->kubeconfig_path, sizeof s->kubeconfig_path, "%s/admin.kubeconfig", s->state_dir);
    return pki_ensure(s->pki_dir, s->address, err);
}

int cmd_server(int argc, char **argv)
{
    static struct server s = { .state_dir = "/var/lib/keelson", .address = "127.0.0.1", .port_text = "6443", .store_kind = "wal" };
    struct kl_err err;
    int64_t began = env_mono_ns();
    kl_err_init(&err);
    int rc = parse(&s, argc, argv);
    if (rc)
        return rc == 1 ? 0 : rc;
    if (s.log_file && log_open(s.log_file) < 0)
        return cli_fail(1, "server: log file '%s' cannot be opened", s.log_file);
    rc = prepare(&s, &err);
    if (rc == 0)
        rc = start_plugins(&s, &err);
    if (rc == 0)
        rc = start_api(&s, &err);
    if (rc < 0) {
        stop(&s);
        return cli_fail(1, "server: %s", err.msg);
    }
    signal(SIGPIPE, SIG_IGN);
    loop_signal(s.loop, SIGTERM, on_signal, &s);
    loop_signal(s.loop, SIGINT, on_signal, &s);
    loop_signal(s.loop, SIGHUP, on_hup, &s);
    api_set_ready(s.api, true);
    log_info("server", "ready on https://%s:%d after %lld ms; kubeconfig %s", s.address, s.port,
             (long long)((env_mono_ns() - began) / NS_PER_MS), s.kubeconfig_path);
    loop_run(s.loop);
    stop(&s);
    log_info("server", "stopped");
    return 0;
}
