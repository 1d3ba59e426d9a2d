/* kubeconfig.h - the current context of a kubeconfig: where the server is, whom to trust, what to show. */
#ifndef CLI_KUBECONFIG_H
#define CLI_KUBECONFIG_H

#include <keelson/error.h>

#include "base/arena.h"

struct kubeconfig {
    const char *server;                 /* "https://10.0.0.1:6443" */
    const char *server_name;            /* expected of its certificate; NULL: the host of server */
    struct str ca, cert, key;           /* PEM; certificates and keys as data or as files (relative to the kubeconfig) */
    const char *token;                  /* a bearer token instead of cert and key; NULL: none */
};

/* kubeconfig_read wants a certificate; with_token takes a token as well. Texts live in a. KL_INVALID says what is missing. */
int kubeconfig_read(struct arena *a, const char *path, struct kubeconfig *ret, struct kl_err *err);
int kubeconfig_read_with_token(struct arena *a, const char *path, struct kubeconfig *ret, struct kl_err *err);

#endif
