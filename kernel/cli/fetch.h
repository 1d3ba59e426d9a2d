/* fetch.h - one GET to a server, as the administrator that a kubeconfig names. Blocking: for commands. */
#ifndef CLI_FETCH_H
#define CLI_FETCH_H

#include <keelson/error.h>

#include "base/buf.h"

/* The body of a 200 answer; else an error with the server's words. */
int fetch(const char *kubeconfig, const char *path, struct buf *ret, struct kl_err *err);

#endif
