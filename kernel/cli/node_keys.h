/* node_keys.h - a node's two certificates: what it shows to the API, and what its own port shows. [loop]
 *
 * With a kubeconfig that holds a certificate (`keelson pki node`) that one counts for both until another is asked for in time (for the
 * port at once when the node has an address that others may call); with one that holds a token
 * (a bootstrap token) the node asks for its first ones with it. They are kept in STATE/pki/node-client.pem and node-server.pem, which later starts use.
 */
#ifndef CLI_NODE_KEYS_H
#define CLI_NODE_KEYS_H

#include "base/kubeconfig.h"
#include "cli/credential.h"

struct node_keys;

struct node_keys_conf {
    struct loop *loop;
    const char *state;                  /* folder */
    const struct kubeconfig *kubeconfig;
    const char *kubeconfig_path;
    const char *name, *address;         /* of the node; with a certificate its own name counts */
    bool name_given;                    /* the name must agree with the certificate's */
    void (*client_changed)(void *ctx);
    void (*server_changed)(void *ctx);
    void *ctx;
};

/* Runs the loop until there is a certificate for the API, however long that takes. The node's name is in ret_name (256 bytes) then. */
int node_keys_open(const struct node_keys_conf *c, struct node_keys **ret, char *ret_name, struct kl_err *err);
void node_keys_run(struct node_keys *n, struct http_client *http);     /* both are renewed through it from now on */
void node_keys_stop(struct node_keys *n);
void node_keys_free(struct node_keys *n);               /* NULL is fine */
struct str node_keys_cert(const struct node_keys *n, bool server);     /* at NULL: there is none yet */
struct str node_keys_key(const struct node_keys *n, bool server);

#endif
