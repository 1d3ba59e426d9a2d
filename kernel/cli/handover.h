/* handover.h - a server process is followed by another one, without an end of service. README.md tells the whole story. */
#ifndef CLI_HANDOVER_H
#define CLI_HANDOVER_H

#include <limits.h>
#include <sys/types.h>

#include "base/list.h"
#include "cli/heir.h"

struct daemon;
struct http_req;

/* A request that waits until it is known who answers it; in its own arena. */
struct held {
    struct list link;                   /* daemon->held */
    struct daemon *daemon;
    struct http_req *req;
    void (*handle)(void *daemon, struct http_req *r);
};
void handover_hold(struct daemon *d, struct http_req *r, void (*handle)(void *daemon, struct http_req *r));     /* handle: whoever it is given to in the end */

/* asker: is answered when it is over (held meanwhile); NULL: nobody. binary NULL: the program's own file as it is now. linger_ns 0: an hour. < 0: refused at
 * once, and asker is the caller's. */
int handover_begin(struct daemon *d, struct http_req *asker, const char *binary, int64_t linger_ns, struct kl_err *err);
void handover_reply(struct http_req *r, int status, const char *text);

/* heir_start.c */
struct heir_start {
    const char *binary;                 /* NULL: our own, as it is in the file system now */
    int sockets[SOCKETS];               /* -1: none */
};
int heir_start(const struct heir_start *s, pid_t *ret_pid, int *ret_fd, struct kl_err *err);

#endif
