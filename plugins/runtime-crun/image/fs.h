/* fs.h - files and trees that others may have filled: reads with a limit, writes by rename, removal that follows no link.
 *
 * All functions are [any]. Paths are relative to dir_fd (AT_FDCWD: as the system does). 0 or -KL_CODE with a reason.
 */
#ifndef OCI_IMAGE_FS_H
#define OCI_IMAGE_FS_H

#include <keelson/error.h>

#include "base/buf.h"
#include "base/disk.h"

/* A regular file of at most max bytes, added to out. KL_NOT_FOUND, KL_TOO_LARGE. Follows no link at the end. */
int fs_read(int dir_fd, const char *path, size_t max, struct buf *out, struct kl_err *err);
/* The same below a root that is not ours: links are resolved inside of it (openat2). */
int fs_read_in(int root_fd, const char *path, size_t max, struct buf *out, struct kl_err *err);
/* Writes beside and renames; sync: on disk before it returns. */
int fs_write(int dir_fd, const char *path, struct str text, bool sync, struct kl_err *err);
/* Opens below root_fd, links resolved inside of it, no magic links. A descriptor or -errno. */
int fs_open_in(int root_fd, const char *path, int flags);
/* Removes a file or a whole tree of any depth; nothing there is success. */
int fs_remove(int dir_fd, const char *path, struct kl_err *err);
/* An executable in the usual folders (or the given absolute path). False: not there. */
bool fs_find_tool(const char *name, char *ret, size_t cap);

#endif
