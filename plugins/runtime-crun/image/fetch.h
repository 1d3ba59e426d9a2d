/* fetch.h - GET over HTTP/1.1, plain or in TLS, as image registries need it: redirects, a limit on what is taken, a time by which it is over.
 *
 * One connection for each request; it blocks, [any]. Credentials never follow a redirect to another host, and no redirect leads from TLS to plain text.
 */
#ifndef OCI_IMAGE_FETCH_H
#define OCI_IMAGE_FETCH_H

#include <keelson/error.h>

#include "base/arena.h"
#include "base/buf.h"

struct fetch {
    const char *url;                    /* http:// or https:// */
    const char *accept, *authorization; /* values of headers; NULL: none */
    const char *ca_file;                /* PEM, beside the system's; NULL: the system's only */
    int64_t stall_ns;                   /* most time without a byte of progress */
    bool (*stop)(void *ctx);            /* asked now and then; NULL: never */
    void *stop_ctx;
    int64_t most;                       /* bytes of the body that are taken: KL_TOO_LARGE */
    int to;                             /* descriptor that the body of a 200 goes to; -1: into body */
    struct buf *body;
};

struct fetch_answer {
    int status;
    const char *challenge;              /* WWW-Authenticate; in the arena; NULL: none */
    const char *type;                   /* Content-Type */
};

/* KL_UNAVAILABLE: not reached, or it broke off; KL_TIMEOUT, KL_CANCELLED, KL_TOO_LARGE; KL_INVALID: no such URL, or no HTTP. Any status is success. */
int fetch_get(struct arena *a, const struct fetch *f, struct fetch_answer *ret, struct kl_err *err);

#endif
