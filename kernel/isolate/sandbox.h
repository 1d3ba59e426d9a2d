/* sandbox.h - what a child gives up, and the cgroup it lives in. */
#ifndef ISOLATE_SANDBOX_H
#define ISOLATE_SANDBOX_H

#include "isolate-internal.h"

/* filter.c: from here on, system calls that a plugin has no business with fail or end the process. */
int sandbox_filter(bool network, char *why, size_t room);
unsigned sandbox_user(const char *name);

/* cgroup.c. In the child: makes a cgroup of its own where the system lets it, and goes there. Here, when the child has ended: ends what is left in it
 * (all: whatever it is; else only when it is many), and removes it. */
void cgroup_enter(enum isolate_level level, const char *name);
void cgroup_end(const char *name, pid_t pid, bool all);

#endif
