/* daemon.h - what `keelson up`, `server` and `check-config` share: options, configuration, and a process's parts in the order of their
 * start. */
#ifndef CLI_DAEMON_H
#define CLI_DAEMON_H

#include <limits.h>

#include "api/api.h"
#include "api/objects.h"
#include "plugin/host.h"
#include "reconcile/schedule.h"

/* Command line over configuration over these rows' fallbacks (options.c). */
struct options {
    const char *config, *plugins, *store, *kubeconfig, *log, *server;
    const char *state, *run, *logs, *address, *port, *node, *node_address, *node_port;
    const char *encryption, *verify, *keys;
    const char *audit_policy, *audit_event_max, *seats;
    const char *service_cidr, *cluster_cidr, *cluster_domain, *node_ports;
    char pods_address[64];              /* where pods reach the API; the loopback: not at all */
    char port_text[8], cluster_dns[16], ca[PATH_MAX], config_path[PATH_MAX], plugin_dir[PATH_MAX], kubeconfig_path[PATH_MAX], hostname[256];
    int node_port_first, node_port_last;
    struct arena *arena;
    struct val *tree;                   /* of the configuration files */
    bool help;
};

/* Reads arguments and configuration. 0, or the exit status (said already). */
int options_read(struct options *o, const char *command, int argc, char **argv);
/* values.c: 0, or 2 (said already: where is '...', must be ...). value NULL: not given. */
int options_check_value(const char *flag, const char *value, const char *where);
bool options_bytes(const char *s, size_t *ret);          /* "100Ki" */
/* Value of $(NAME) in the configuration. */
const char *options_variable(void *ctx, struct str name);
const char *options_flag(void *ctx, unsigned i, const char **value);     /* for api_flags_set */

/* The n-th address of the range of Services: 1 the API's own Service, 10 the name server. NULL: the range is not IPv4. */
const char *options_service_ip(const struct options *o, unsigned n, char ret[16]);

/* Makes path and the folders above it. */
/* preload.c: PREFIX/share/keelson/images into the store of images. */
void preload_images(const struct options *o);
/* The seed of every map, out of the environment. */
void daemon_seed(void);

int daemon_run(struct options *o, const char *command, unsigned roles);

#endif
