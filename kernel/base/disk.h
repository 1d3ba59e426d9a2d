/* disk.h - folders: made; what one holds on its own file system, how much, and its end. What is mounted below does not count, no link is followed. Any thread; it
 * takes as long as there are files. */
#ifndef BASE_DISK_H
#define BASE_DISK_H

#include <stdint.h>

#include <keelson/error.h>

/* Bytes; 0 also when there is no such folder. ret_inodes may be NULL. */
int64_t disk_use(const char *path, int64_t *ret_inodes);

/* The folder and those that are missing above it (0755). 0 also when it is there, with the mode it has. -KL_INVALID: too long, -KL_STORAGE_FULL, -KL_INTERNAL. */
int disk_mkdirs(const char *path, unsigned mode, struct kl_err *err);

/* Removes name, with all that is in it, below the folder dir. 0 also when it is not there; -EXDEV at what is mounted, or folders in more than depth_most
 * others; else -errno. What can go goes all the same. */
int disk_remove(int dir, const char *name, int depth_most);

#endif
