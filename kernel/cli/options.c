/* options.c - settings of a process: command line over configuration file over fallback, one row each. */
#include <arpa/inet.h>
#include <ctype.h>
#include <libgen.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "conf/load.h"
#include "plugin/verify.h"

#define AT(member) offsetof(struct options, member)

static const struct {
    const char *flag, *group, *key;     /* group NULL: only on the command line */
    size_t at;
    const char *fallback, *help;
} rows[] = {
    { "--config", NULL, NULL, AT(config), NULL, "configuration; /etc/keelson/keelson.cfg, or beside the program" },
    { "--plugins", NULL, NULL, AT(plugins), NULL, "folder of plugin files; beside the program, or its prefix's lib/keelson/plugins" },
    { "--store", NULL, NULL, AT(store), NULL, "wal or memory: takes that store's instance of the configuration" },
    { "--kubeconfig", NULL, NULL, AT(kubeconfig), NULL, "the administrator's, written at start; STATE/admin.kubeconfig; agent: the node's, or one with a bootstrap token, STATE/node.kubeconfig" },
    { "--server", NULL, NULL, AT(server), NULL, "agent: URL of the API server; the kubeconfig's" },
    { "--log", NULL, NULL, AT(log), NULL, "log file; standard error" },
    { "--state-dir", "paths", "state", AT(state), "/var/lib/keelson", "keys, store, images and volumes" },
    { "--run-dir", "paths", "run", AT(run), "/run/keelson", "sockets, namespaces, what need not outlive the machine" },
    { "--log-dir", "paths", "log", AT(logs), "/var/log/keelson", "logs of containers" },
    { "--address", "server", "address", AT(address), "127.0.0.1", "where the API listens" },
    { "--port", "server", "port", AT(port), "6443", "0 takes a free one" },
    { "--service-cidr", "server", "service_cidr", AT(service_cidr), "10.96.0.0/12", "addresses of Services" },
    { "--node-ports", "server", "node_ports", AT(node_ports), "30000-32767", "ports of NodePort Services" },
    { "--encryption-provider-config", "server", "encryption_provider_config", AT(encryption), NULL, "EncryptionConfiguration: what is encrypted at rest" },
    { "--cluster-domain", "server", "cluster_domain", AT(cluster_domain), "cluster.local", "domain of cluster names" },
    { "--max-requests-inflight", "server", "max_requests_inflight", AT(seats), "600", "seats of all priority levels; 0: no priorities, no queues" },
    { "--audit-policy-file", "server", "audit_policy", AT(audit_policy), "", "which requests are kept (audit.k8s.io/v1 Policy); none" },
    { "--audit-event-max", "server", "audit_event_max", AT(audit_event_max), "0", "bytes of an audit event that may hold objects; 0: any number" },
    { "--cluster-cidr", "node", "cluster_cidr", AT(cluster_cidr), "10.244.0.0/16", "addresses of pods" },
    { "--node-name", "node", "name", AT(node), NULL, "name of this node; the host's name" },
    { "--node-address", "node", "address", AT(node_address), "", "address that the node shows; its first one" },
    { "--node-port", "node", "port", AT(node_port), NULL, "port of a node's own API (10250; up: a free one where that is taken); 0: none" },
    { "--verify", "trust", "verify", AT(verify), "off", "plugins without a good signature: off, warn (a line in the log) or enforce (refused)" },
    { "--trusted-keys", "trust", "keys", AT(keys), "/etc/keelson/trust", "folder of the public keys (*.pub) that plugins may be signed with" },
};
#define N_ROWS (sizeof rows / sizeof *rows)

static const struct conf_row groups[] = {
    { "paths", VAL_OBJ, 0, 0, NULL },  { "server", VAL_OBJ, 0, 0, NULL },    { "node", VAL_OBJ, 0, 0, NULL }, { "trust", VAL_OBJ, 0, 0, NULL },
    { "chains", VAL_OBJ, 0, 0, NULL }, { "instances", VAL_ARR, 0, 0, NULL },
};

static const char **slot(struct options *o, size_t i)
{
    return (const char **)(void *)((char *)o + rows[i].at);
}

const char *options_flag(void *ctx, unsigned i, const char **value)
{
    if (i >= N_ROWS)
        return NULL;
    const char *v = *slot(ctx, i);
    *value = v ? v : "";
    return rows[i].flag + 2;
}

static int usage(const char *command)
{
    printf("usage: keelson %s [OPTION VALUE]...\n", command);
    for (size_t i = 0; i < N_ROWS; i++)
        printf("  %-17s %s%s%s%s\n", rows[i].flag, rows[i].help, rows[i].fallback && rows[i].fallback[0] ? " (" : "",
               rows[i].fallback ? rows[i].fallback : "", rows[i].fallback && rows[i].fallback[0] ? ")" : "");
    return 0;
}

static int read_arguments(struct options *o, const char *command, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct str rest = str_of(argv[i]), flag = str_cut(&rest, '=');
        int rc = 0;
        if (strcmp(argv[i], "--help") == 0) {
            o->help = true;
            return usage(command);
        }
        for (size_t k = 0; k < N_ROWS && rc == 0; k++)
            rc = cli_option(argc, argv, &i, rows[k].flag, slot(o, k));
        if (rc == 0) {
            const char *near = conf_nearest(flag, &rows[0].flag, N_ROWS, sizeof *rows);
            cli_fail(2, "%s: unknown argument '%s'%s%s%s", command, argv[i], near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        }
        if (rc != 1)
            return 2;
    }
    return 0;
}

/* --- files beside the program --- */

static void beside(char *ret, const char *one, const char *other)
{
    char exe[PATH_MAX - 64] = "";
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    char *folder = n > 0 ? dirname(exe) : ".";
    snprintf(ret, PATH_MAX, "%s/%s", folder, one);
    if (access(ret, F_OK) != 0)
        snprintf(ret, PATH_MAX, "%s/%s", folder, other);
}

static void find_files(struct options *o)
{
    if (o->config)
        snprintf(o->config_path, PATH_MAX, "%s", o->config);
    else if (access("/etc/keelson/keelson.cfg", F_OK) == 0)
        snprintf(o->config_path, PATH_MAX, "/etc/keelson/keelson.cfg");
    else
        beside(o->config_path, "../conf/keelson.cfg", "../etc/keelson/keelson.cfg");
    if (o->plugins)
        snprintf(o->plugin_dir, PATH_MAX, "%s", o->plugins);
    else
        beside(o->plugin_dir, "plugins", "../lib/keelson/plugins");
}

/* --- configuration --- */

static int check_groups(struct options *o, struct kl_err *err)
{
    int rc = conf_check(o->arena, o->tree, groups, sizeof groups / sizeof *groups, err);
    for (int g = 0; g < 4 && rc == 0; g++) {
        struct conf_row known[N_ROWS];
        unsigned n = 0;
        struct val *group = json_get(o->tree, str_of(groups[g].key));
        for (size_t i = 0; i < N_ROWS; i++)
            if (rows[i].group && strcmp(rows[i].group, groups[g].key) == 0) {
                bool port = rows[i].at == AT(port) || rows[i].at == AT(node_port), seats = rows[i].at == AT(seats);
                known[n++] = (struct conf_row){ rows[i].key, port || seats ? VAL_INT : VAL_STR, 0, port ? 65535 : seats ? 1000000 : 0, NULL };
            }
        if (group)
            rc = conf_check(o->arena, group, known, n, err);
    }
    return rc;
}

/* What the command line says, else the files, else the fallback; each checked where it stands. */
static int take_configured(struct options *o)
{
    int rc = 0;
    for (size_t i = 0; i < N_ROWS; i++) {
        struct val *v = rows[i].group ? json_get(json_get(o->tree, str_of(rows[i].group)), str_of(rows[i].key)) : NULL;
        const char **at = slot(o, i);
        const char *where = *at || !v ? rows[i].flag : arena_printf(o->arena, "%s: '%s'", conf_where(o->arena, v), rows[i].key);
        if (!*at && v)
            *at = v->type == VAL_INT ? arena_printf(o->arena, "%lld", (long long)v->i) : v->s;
        if (!*at)
            *at = rows[i].fallback;
        if (rc == 0)
            rc = options_check_value(rows[i].flag, *at, where);
    }
    return rc;
}

/* --store X: of the instances whose plugin is store-*, that one and no other. */
static int choose_store(struct options *o)
{
    struct val *list = json_get(o->tree, STR("instances"));
    char wanted[128];
    bool found = false;
    if (!o->store || !val_is(list, VAL_ARR))
        return 0;
    snprintf(wanted, sizeof wanted, "store-%s", o->store);
    val_each(e, list) {
        struct str plugin = json_str(e, "plugin");
        if (!str_starts(plugin, STR("store-")))
            continue;
        json_set_bool(o->arena, e, STR("enabled"), str_is(plugin, wanted));
        found |= str_is(plugin, wanted);
    }
    return found ? 0 : cli_fail(2, "--store is '%s', and the configuration has no instance of the plugin '%s'", o->store, wanted);
}

static int derive_values(struct options *o, const char *command)
{
    sscanf(o->node_ports, "%d-%d", &o->node_port_first, &o->node_port_last);
    if (!o->node || !o->node[0]) {
        if (gethostname(o->hostname, sizeof o->hostname - 1) < 0 || !o->hostname[0])
            return cli_fail(1, "%s: this machine has no host name; give --node-name", command);
        for (char *p = o->hostname; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        o->node = o->hostname;
    }
    options_service_ip(o, 10, o->cluster_dns);
    snprintf(o->ca, sizeof o->ca, "%s/pki/ca.crt", o->state);
    snprintf(o->port_text, sizeof o->port_text, "%s", o->port);
    if (o->kubeconfig)
        snprintf(o->kubeconfig_path, PATH_MAX, "%s", o->kubeconfig);
    else
        snprintf(o->kubeconfig_path, PATH_MAX, "%s/%s.kubeconfig", o->state, strcmp(command, "agent") == 0 ? "node" : "admin");
    return 0;
}

int options_read(struct options *o, const char *command, int argc, char **argv)
{
    struct kl_err err;
    kl_err_init(&err);
    int rc = read_arguments(o, command, argc, argv);
    if (rc || o->help)
        return rc;
    find_files(o);
    o->arena = arena_new(0);
    if (!o->arena)
        return cli_fail(1, "out of memory");
    if (conf_load(o->arena, o->config_path, &o->tree, &err) < 0 || check_groups(o, &err) < 0)
        return cli_fail(2, "%s", err.msg);
    rc = choose_store(o);
    if (rc == 0)
        rc = take_configured(o);
    if (rc == 0 && verify_set(o->verify, o->keys, &err) < 0)
        rc = cli_fail(2, "%s", err.msg);
    return rc ? rc : derive_values(o, command);
}

const char *options_service_ip(const struct options *o, unsigned n, char ret[16])
{
    struct str cidr = str_of(o->service_cidr), ip = str_cut(&cidr, '/');
    struct in_addr in;
    snprintf(ret, 16, STR_FMT, STR_ARG(ip));
    if (inet_pton(AF_INET, ret, &in) != 1)
        return NULL;
    in.s_addr = htonl(ntohl(in.s_addr) + n);
    return inet_ntop(AF_INET, &in, ret, 16);
}

const char *options_variable(void *ctx, struct str name)
{
    struct options *o = ctx;
    if (!name.len)
        return "state run log address pods_address port node node_address node_port service_cidr cluster_cidr cluster_domain cluster_dns ca";
    const struct {
        const char *name, *value;
    } all[] = { { "state", o->state }, { "run", o->run }, { "log", o->logs }, { "address", o->address }, { "pods_address", o->pods_address }, { "port", o->port_text },
                { "node", o->node }, { "node_address", o->node_address }, { "node_port", o->node_port ? o->node_port : "10250" }, { "service_cidr", o->service_cidr },
                { "cluster_cidr", o->cluster_cidr }, { "cluster_domain", o->cluster_domain }, { "cluster_dns", o->cluster_dns },
                { "ca", o->ca } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (str_is(name, all[i].name))
            return all[i].value;
    return NULL;
}
