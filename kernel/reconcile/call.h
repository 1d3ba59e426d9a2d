/* call.h - a kl_call over an arena of the host. */
#ifndef RECONCILE_CALL_H
#define RECONCILE_CALL_H

#include <keelson/host.h>

#include "base/arena.h"

#define HOST_CALL_BYTES (256u << 20)    /* most that one call may allocate */

/* cancelled may be NULL; it reads what it needs from host_call_flag. */
void host_call_init(struct kl_call *c, struct arena *a, const char *user);
/* The arena of a call that host_call_init made; NULL: somebody else's call (its alloc must be used). */
struct arena *host_call_arena(const struct kl_call *c);
/* keelson.host.env/0, the same in the daemon and in the processes of isolated plugins. */
extern const struct kl_host_env host_env;

#endif
