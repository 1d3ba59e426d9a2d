/* loop.h - files as block devices. 0 or -errno. */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stddef.h>

/* The device that has that file (open as fd): its path. -ENOENT: none has. */
int loop_find(int fd, char *ret, size_t room);
/* Gives the file a device. once: it goes with the last mount and descriptor. *ret_fd keeps it until then. */
int loop_attach(int fd, bool once, bool read_only, char *ret, size_t room, int *ret_fd);
int loop_detach(const char *device);
/* The device takes the file's new size. */
int loop_resize(const char *device);

#endif
