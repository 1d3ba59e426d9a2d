/* fetch.h - one request to a server, as the administrator that a kubeconfig names. Blocking: for commands. */
#ifndef CLI_FETCH_H
#define CLI_FETCH_H

#include <keelson/error.h>

#include "base/buf.h"

/* The body of a 200 answer; else an error with the server's words. */
int fetch(const char *kubeconfig, const char *path, struct buf *ret, struct kl_err *err);
/* A POST of JSON; whatever the answer is. */
int fetch_post(const char *kubeconfig, const char *path, struct str body, struct buf *ret, int *status, struct kl_err *err);

#endif
