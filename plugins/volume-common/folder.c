/* folder.c - see folder.h. */
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/disk.h"

bool volume_name_ok(const char *id)
{
    size_t n = id ? strlen(id) : 0;
    for (size_t i = 0; i < n; i++) {
        char x = id[i];
        if (!((x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || (x >= '0' && x <= '9') || x == '-' || x == '_' || (x == '.' && i)))
            return false;
    }
    return n > 0 && n <= 128;
}

int volume_folder(const char *path, mode_t mode)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    return disk_mkdirs(path, mode, NULL) < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
