/* cli.h - the commands of the one binary. Exit status: 0 done, 1 failed, 2 wrong use. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <keelson/error.h>
#include <sys/types.h>

#include "base/buf.h"

int cmd_server(int argc, char **argv);
int cmd_up(int argc, char **argv);
int cmd_agent(int argc, char **argv);
int cmd_check_config(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_distro(int argc, char **argv);
int cmd_pki(int argc, char **argv);
int cmd_plugin(int argc, char **argv);
int cmd_reset(int argc, char **argv);
int cmd_restart(int argc, char **argv);
int cmd_sign(int argc, char **argv);            /* plugin sign, verify, keys */
int cmd_store(int argc, char **argv);
int cmd_version(int argc, char **argv);

/* --name value or --name=value; *value points into argv. 1 taken, 0 another argument, 2 wrong use (said already). */
int cli_option(int argc, char **argv, int *i, const char *name, const char **value);
/* 0 when word is one of known (NULL-terminated) or NULL; else 2, said with the nearest one. command "": of the program itself. */
int cli_known(const char *command, const char *word, const char *const *known);
/* "keelson: text" on standard error; returns status. */
__attribute__((format(printf, 2, 3))) int cli_fail(int status, const char *fmt, ...);

/* plugin_json.c: plugin inspect --json */
int cli_inspect_json(int n, char **files);

/* cmd_sign.c: whole files. The mode is given to open: less the umask. */
int cli_read_file(const char *path, struct buf *ret, struct kl_err *err);
int cli_write_file(const char *path, mode_t mode, struct str text, struct kl_err *err);
/* Writes PATH.sig. secret: the key's text. */
int cli_sign_file(const char *path, struct str secret, const char *key_path, struct kl_err *err);

/* pki.c: what TLS needs, made on the first start in dir: ca.crt ca.key server.crt server.key sa.key sa.pub, what the server shows
 * to nodes (apiserver-kubelet-client.crt .key); and the administrator's kubeconfig. */
#define PKI_TOWARDS_NODES "kube-apiserver-kubelet-client"       /* name in that certificate */
#define PKI_NODE_PREFIX   "system:node:"
int pki_ensure(const char *dir, const char *address, const char *service_ip, struct kl_err *err);
int pki_kubeconfig(const char *dir, const char *address, int port, const char *path, struct kl_err *err);
/* A new key and certificate for that node, as the text of a kubeconfig. */
int pki_node_kubeconfig(const char *dir, const char *node, const char *url, struct buf *ret, struct kl_err *err);
/* A new key and certificate for the port of that node, PEM in the arena; address: one more that it has, or NULL. */
struct arena;
int pki_node_serving(const char *dir, const char *node, const char *address, struct arena *a, struct str *ret_cert, struct str *ret_key, struct kl_err *err);
/* Whose certificate that is. KL_INVALID: no node's. */
int pki_node_name(struct str cert_pem, char *ret, size_t size, struct kl_err *err);

#endif
