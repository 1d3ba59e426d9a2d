/* contents.h - the files of a distribution wherever they are: in an archive or below a folder. */
#ifndef DISTRO_CONTENTS_H
#define DISTRO_CONTENTS_H

#include "distro/internal.h"

/* [{"name","size","sha256"[,"text"]}], sorted by name: of an archive (.tar.zst; less its one top folder), or of a folder. text: of what is below
 * share/keelson and of the list of digests, when it is small. */
int contents_read(struct arena *a, const char *path, struct val **ret, struct kl_err *err);
const struct val *contents_find(const struct val *list, struct str name);
/* The archive itself, or the one archive of an output folder. */
const char *contents_archive(struct arena *a, const char *path);

#endif
