/* folder.c - see folder.h. */
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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
    char part[4096];
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT || strlen(path) >= sizeof part)
        return fd;
    snprintf(part, sizeof part, "%s", path);
    for (char *p = strchr(part + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        mkdir(part, 0755);
        *p = '/';
    }
    return mkdir(part, mode) != 0 && errno != EEXIST ? -1 : open(part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
