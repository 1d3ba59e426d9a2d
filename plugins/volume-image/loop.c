/* loop.c - see loop.h. */
#include "loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/str.h"

#define TRIES 64

/* Is it the device's file? By device and inode: names may change. */
static bool has_file(const char *device, const struct stat *file)
{
    struct loop_info64 info;
    _cleanup_close_ int fd = open(device, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && ioctl(fd, LOOP_GET_STATUS64, &info) == 0 && info.lo_inode == file->st_ino && info.lo_device == file->st_dev;
}

int loop_find(int fd, char *ret, size_t room)
{
    struct stat st;
    DIR *d = fstat(fd, &st) == 0 ? opendir("/sys/block") : NULL;
    int rc = -ENOENT;
    if (!d)
        return -errno;
    for (struct dirent *e; rc == -ENOENT && (e = readdir(d));) {
        char path[300];
        snprintf(path, sizeof path, "/sys/block/%s/loop", e->d_name);
        if (strncmp(e->d_name, "loop", 4) != 0 || access(path, F_OK) != 0)
            continue;
        snprintf(ret, room, "/dev/%s", e->d_name);
        if (has_file(ret, &st))
            rc = 0;
    }
    closedir(d);
    return rc;
}

static int configure(int device, int fd, bool once, bool read_only)
{
    struct loop_config c = { .fd = (uint32_t)fd };
    c.info.lo_flags = (once ? LO_FLAGS_AUTOCLEAR : 0u) | (read_only ? LO_FLAGS_READ_ONLY : 0u);
    return ioctl(device, LOOP_CONFIGURE, &c) == 0 ? 0 : -errno;
}

int loop_attach(int fd, bool once, bool read_only, char *ret, size_t room, int *ret_fd)
{
    _cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        return -errno;
    for (int i = 0; i < TRIES; i++) {   /* a free one may be taken by somebody else meanwhile */
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
            return -errno;
        snprintf(ret, room, "/dev/loop%d", number);
        if (access(ret, F_OK) != 0 && mknod(ret, S_IFBLK | 0600, makedev(7, (unsigned)number)) != 0 && errno != EEXIST)
            return -errno;
        _cleanup_close_ int device = open(ret, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
        int rc = device < 0 ? -errno : configure(device, fd, once, read_only);
        if (rc == 0)
            *ret_fd = TAKE_FD(device);
        if (rc != -EBUSY)
            return rc;
    }
    return -EBUSY;
}

int loop_detach(const char *device)
{
    _cleanup_close_ int fd = open(device, O_RDONLY | O_CLOEXEC);
    return fd < 0 || ioctl(fd, LOOP_CLR_FD) != 0 ? -errno : 0;
}

int loop_resize(const char *device)
{
    _cleanup_close_ int fd = open(device, O_RDONLY | O_CLOEXEC);
    return fd < 0 || ioctl(fd, LOOP_SET_CAPACITY) != 0 ? -errno : 0;
}
