/* server.c - `keelson up`, `server` and `check-config`. */
#include "api/audit_policy.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "cli/heir.h"

static int run(int argc, char **argv, unsigned roles)
{
    static struct options o;
    heir_begin();
    int rc = options_read(&o, argv[0], argc, argv);
    return rc || o.help ? rc : daemon_run(&o, argv[0], roles);
}

int cmd_server(int argc, char **argv)
{
    return run(argc, argv, ROLE_SERVER);
}

int cmd_up(int argc, char **argv)
{
    return run(argc, argv, ROLE_SERVER | ROLE_NODE);
}

int cmd_check_config(int argc, char **argv)
{
    static struct options o;
    struct plugin_host *h = NULL;
    struct kl_err err;
    kl_err_init(&err);
    int rc = options_read(&o, argv[0], argc, argv);
    if (rc || o.help)
        return rc;
    struct plugin_host_conf hc = { .config = o.tree, .plugin_dir = o.plugin_dir, .roles = ROLE_SERVER | ROLE_NODE, .variable = options_variable,
                                   .ctx = &o };
    rc = plugin_host_new(&hc, &h, &err);
    if (rc == 0)
        rc = plugin_host_check(h, &err);
    struct audit_policy *policy = NULL;
    if (rc == 0 && o.audit_policy[0])
        rc = audit_policy_load(o.audit_policy, &policy, &err);
    audit_policy_free(policy);
    if (rc < 0) {
        plugin_host_free(h);
        return cli_fail(2, "%s", err.msg);
    }
    printf("%s: %u plugin instances, no mistakes found\n", o.config_path, plugin_host_count(h));
    plugin_host_free(h);
    return 0;
}
