/* disk.h - how much a folder holds on its own file system: what is mounted below does not count, no link is followed. Any thread; it takes as long as
 * there are files. */
#ifndef BASE_DISK_H
#define BASE_DISK_H

#include <stdint.h>

/* Bytes; 0 also when there is no such folder. ret_inodes may be NULL. */
int64_t disk_use(const char *path, int64_t *ret_inodes);

#endif
