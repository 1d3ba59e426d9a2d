/* node.h - the Node object: what this machine is, how it is, and that it is alive. */
#ifndef NODE_H
#define NODE_H

#include "agent.h"

/* machine.c: facts of the machine, read anew each time. */
struct machine {
    int64_t cpus, memory, memory_free, swap;        /* bytes */
    int64_t disk, disk_free, inodes, inodes_free;   /* of the file system with the pods' volumes */
    int64_t pids, pids_most;
};
void machine_read(const char *dir, struct machine *ret);
struct val *machine_info(const struct agent *a, struct arena *ar, const struct machine *m);         /* nodeInfo */
void machine_capacity(struct arena *ar, const struct machine *m, int64_t pods, struct val *capacity, struct val *allocatable);
const char *machine_arch(void);                     /* as Go calls it: amd64, arm64 */

/* node_status.c: trouble is why the node takes no pods, "" none. */
struct val *node_status(struct agent *a, struct kl_call *c, struct arena *ar, const struct val *node, const char *trouble);
/* Equal but for the times of heartbeats. */
bool node_status_same(struct arena *ar, const struct val *a, const struct val *b);

#endif
