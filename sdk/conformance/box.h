/* box.h - where a plugin under test does no harm: namespaces, folders of its own, settings that point there. */
#ifndef CONFORMANCE_BOX_H
#define CONFORMANCE_BOX_H

#include "base/json.h"

struct box {
    char dir[64];                       /* removed at the end */
    const struct val *config;           /* of the settings' file, or NULL */
    struct arena *arena;
    bool apart;                         /* has namespaces of its own */
};

/* file NULL: no settings. KL_INVALID with its file and line. */
int box_open(struct box *b, const char *plugin, const char *file, struct kl_err *err);
/* A new folder in it, with the configuration's `files`. NULL: out of memory. */
char *box_folder(struct box *b, struct arena *a, unsigned number);
/* The configuration's settings (NULL: none), in which $(tmp) becomes dir: once in a process. */
const struct val *box_settings(struct box *b, struct arena *a, const char *dir);
void box_close(struct box *b);

#endif
