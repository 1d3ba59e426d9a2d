/* folder.h - the folder in which a driver keeps all its volumes. [any] */
#ifndef VOLUME_COMMON_FOLDER_H
#define VOLUME_COMMON_FOLDER_H

#include <stdbool.h>
#include <sys/types.h>

/* What becomes part of a path: letters, digits, - and _, dots but in front; at most 128. Ids come from PersistentVolumes, which users may write. */
bool volume_name_ok(const char *id);
/* A descriptor of the folder, which is made with that mode when it is not there (those above with 0755). -1: errno. */
int volume_folder(const char *path, mode_t mode);

#endif
