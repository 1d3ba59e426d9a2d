/* kubeconfig.h - the current context of a kubeconfig: where the server is, whom to trust, what to show. For those who link GnuTLS. */
#ifndef BASE_KUBECONFIG_H
#define BASE_KUBECONFIG_H

#include <keelson/error.h>

#include "base/arena.h"

struct kubeconfig {
    const char *server;                 /* "https://10.0.0.1:6443", without a path */
    const char *path;                   /* of the server's address, "/" when it has none */
    const char *server_name;            /* expected of its certificate; NULL: the host of server */
    bool insecure;                      /* its certificate is not to be checked */
    struct str ca, cert, key;           /* PEM, given as data or as files (relative to the kubeconfig); at NULL: none */
    const char *token;                  /* a bearer token, given as text or as a file; NULL: none */
};

enum kubeconfig_wants {
    KUBECONFIG_SERVER,                  /* nothing but the server */
    KUBECONFIG_CERTIFICATE,             /* an authority, a certificate and its key */
    KUBECONFIG_CREDENTIAL,              /* an authority, and a token or a certificate with its key */
};

/* Texts live in a. What is wanted and is not there is a failure. The code is KL_INVALID, KL_NOT_FOUND (a file), KL_TOO_LARGE or KL_NO_MEMORY. [any] */
int kubeconfig_read(struct arena *a, const char *path, enum kubeconfig_wants wants, struct kubeconfig *ret, struct kl_err *err);

#endif
