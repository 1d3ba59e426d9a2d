/* disk.c - see disk.h. */
#include "base/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MOST 64

static int64_t add(int dir, dev_t device, int depth, int64_t *inodes)
{
    int64_t sum = 0;
    DIR *d = fdopendir(dir);
    if (!d) {
        close(dir);
        return 0;
    }
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_dev != device)
            continue;
        sum += (int64_t)st.st_blocks * 512;
        ++*inodes;
        int below = S_ISDIR(st.st_mode) && depth < DEPTH_MOST ? openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (below >= 0)
            sum += add(below, device, depth + 1, inodes);
    }
    closedir(d);
    return sum;
}

int64_t disk_use(const char *path, int64_t *ret_inodes)
{
    struct stat st;
    int64_t inodes = 0, sum = 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0)
        sum = add(fd, st.st_dev, 0, &inodes);
    else if (fd >= 0)
        close(fd);
    if (ret_inodes)
        *ret_inodes = inodes;
    return sum;
}
