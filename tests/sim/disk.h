/* disk.h - a simulated disk: files in memory, with what a power failure, a failed fsync or a full disk does to them. Everything follows from
 * the seed. One folder; paths are compared as texts.
 *
 * What is written reaches the platter when it is synced; until then any of its sectors may or may not be there after a crash, and those that
 * are not read as zeros or as before. Names (create, rename, unlink) reach it in their order, at the latest when the folder is synced.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include <stdbool.h>

#include "base/env.h"

struct disk;

struct disk *disk_new(uint64_t seed);
void disk_free(struct disk *d);
/* base with the disk's calls put in; the caller hands it to env_set. ctx of the clock calls stays theirs only when they do not need it. */
void disk_env(struct disk *d, struct env_ops *ops);

/* The power fails: everything from here on is -EIO, until disk_restart. */
void disk_crash(struct disk *d);
/* It fails at the n-th call from now on that changes something; the call itself does not happen. 0: never. */
void disk_crash_at(struct disk *d, unsigned n);
bool disk_is_down(const struct disk *d);
/* What survived is what there is; all descriptors are closed. */
void disk_restart(struct disk *d);
/* The process dies alone: descriptors close, all that was written stays. */
void disk_kill(struct disk *d);

/* The next n fdatasync and fsync calls of files fail; what they should have synced never gets to the platter. */
void disk_fail_syncs(struct disk *d, unsigned n);
/* Room for that many bytes in all; 0: no limit. */
void disk_limit(struct disk *d, size_t bytes);
size_t disk_used(const struct disk *d);
unsigned disk_syncs(const struct disk *d);      /* that worked, of files */
unsigned disk_direct_writes(const struct disk *d);      /* through descriptors with O_DIRECT; what is not aligned there is -EINVAL */

/* For tests that damage. NULL: no such file. */
char *disk_bytes(struct disk *d, const char *path, size_t *ret_len);
void disk_cut(struct disk *d, const char *path, size_t len);
void disk_remove(struct disk *d, const char *path);
/* Names in order of the alphabet. */
unsigned disk_names(struct disk *d, const char **ret, unsigned room);
/* The same files again, durable; of another disk. */
void disk_copy(struct disk *to, const struct disk *from);

#endif
