/* node_keys.c - see node_keys.h. */
#include "cli/node_keys.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "loop/loop.h"

struct node_keys {
    struct node_keys_conf conf;
    struct credential *client, *server;
    char name[256], user[300], files[2][PATH_MAX];
    bool booting;
};

static void client_changed(void *ctx)
{
    struct node_keys *n = ctx;
    if (n->booting)
        loop_stop(n->conf.loop);
    else
        n->conf.client_changed(n->conf.ctx);
}

static void server_changed(void *ctx)
{
    struct node_keys *n = ctx;
    n->conf.server_changed(n->conf.ctx);
}

static int make(struct node_keys *n, struct kl_err *err)
{
    const struct node_keys_conf *c = &n->conf;
    static const char *const names[] = { "node-client.pem", "node-server.pem" };
    for (int i = 0; i < 2; i++)
        snprintf(n->files[i], PATH_MAX, "%.4000s/pki/%s", c->state, names[i]);
    struct credential_conf cc = { .loop = c->loop, .file = n->files[0], .signer = "kubernetes.io/kube-apiserver-client-kubelet", .usage = "client auth",
                                  .wish = { .cn = n->user, .org = "system:nodes" }, .changed = client_changed, .ctx = n };
    struct credential_conf sc = { .loop = c->loop, .file = n->files[1], .signer = "kubernetes.io/kubelet-serving", .usage = "server auth",
                                  .wish = { .cn = n->user, .org = "system:nodes", .dns = n->name, .ip = c->address && c->address[0] ? c->address : NULL },
                                  .changed = server_changed, .ctx = n };
    n->client = credential_new(&cc);
    n->server = credential_new(&sc);
    return n->client && n->server ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

/* Who we are is in the certificate; the name that was given may only agree. */
static int settle_name(struct node_keys *n, struct kl_err *err)
{
    const struct node_keys_conf *c = &n->conf;
    struct str cert = c->kubeconfig->cert.at ? c->kubeconfig->cert : credential_cert(n->client);
    if (!cert.at)
        return 0;
    int rc = pki_node_name(cert, n->name, sizeof n->name, err);
    if (rc == 0 && c->name_given && strcmp(c->name, n->name) != 0)
        return kl_err_set(err, KL_INVALID, "--node-name is '%s', and the certificate is that of '%s'", c->name, n->name);
    snprintf(n->user, sizeof n->user, PKI_NODE_PREFIX "%s", n->name);
    return rc;
}

/* The first certificate, with the token. */
static int boot(struct node_keys *n, struct kl_err *err)
{
    const struct kubeconfig *k = n->conf.kubeconfig;
    struct http_client *http = NULL;
    struct http_client_conf hc = { .url = k->server, .server_name = k->server_name, .ca = k->ca };
    int rc = http_client_new(n->conf.loop, &hc, &http, err);
    if (rc < 0)
        return rc;
    log_info("agent", "node '%s' asks %s for its first certificate", n->name, k->server);
    n->booting = true;
    credential_run(n->client, http, k->token);
    while (!credential_cert(n->client).at)
        loop_run(n->conf.loop);
    n->booting = false;
    credential_stop(n->client);
    http_client_free(http);
    return 0;
}

static int open_all(struct node_keys *n, struct kl_err *err)
{
    const struct kubeconfig *k = n->conf.kubeconfig;
    struct stat st;
    snprintf(n->name, sizeof n->name, "%s", n->conf.name);
    snprintf(n->user, sizeof n->user, PKI_NODE_PREFIX "%s", n->name);
    int rc = make(n, err);
    if (rc == 0)
        rc = settle_name(n, err);
    if (rc < 0)
        return rc;
    if (k->cert.at && stat(n->conf.kubeconfig_path, &st) == 0) {
        credential_adopt(n->client, k->cert, k->key, (int64_t)st.st_mtime);
        /* For the port it counts as long as there is none that was signed for it: it names the node, and not the address by which others call. With one, such a
         * certificate is asked for at once. */
        if (!credential_cert(n->server).at)
            credential_adopt(n->server, k->cert, k->key, n->conf.address && n->conf.address[0] ? 0 : (int64_t)st.st_mtime);
    }
    if (credential_cert(n->client).at)
        return 0;
    return k->token ? boot(n, err) : kl_err_set(err, KL_INVALID, "the node's certificate has expired; make another kubeconfig with 'keelson pki node'");
}

int node_keys_open(const struct node_keys_conf *c, struct node_keys **ret, char *ret_name, struct kl_err *err)
{
    struct node_keys *n = mem_alloc(sizeof *n);
    if (!n)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    n->conf = *c;
    int rc = open_all(n, err);
    if (rc < 0) {
        node_keys_free(n);
        return rc;
    }
    snprintf(ret_name, sizeof n->name, "%s", n->name);
    *ret = n;
    return 0;
}

void node_keys_run(struct node_keys *n, struct http_client *http)
{
    credential_run(n->client, http, NULL);
    credential_run(n->server, http, NULL);
}

void node_keys_stop(struct node_keys *n)
{
    credential_stop(n->client);
    credential_stop(n->server);
}

void node_keys_free(struct node_keys *n)
{
    if (!n)
        return;
    credential_free(n->client);
    credential_free(n->server);
    mem_free(n);
}

struct str node_keys_cert(const struct node_keys *n, bool server)
{
    return credential_cert(server ? n->server : n->client);
}

struct str node_keys_key(const struct node_keys *n, bool server)
{
    return credential_key(server ? n->server : n->client);
}
