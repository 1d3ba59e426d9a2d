/* claims.h - volumes of claims on this node, published once for all its pods. */
#ifndef CLAIMS_H
#define CLAIMS_H

#include <keelson/iface/volume.h>

#include "agent.h"

/* Makes the claim of a pod's volume o usable at path. *ret_name: what to call it in messages, changed once its PersistentVolume is known. */
int claims_set_up(struct agent *a, struct kl_call *c, struct pod_view *v, const struct val *o, const char *path, struct str *ret_name);
/* The pod with that uid needs none of its volumes any more: those that were nobody else's are unpublished. */
int claims_release(struct agent *a, struct kl_call *c, struct str uid);
/* The claim of that volume, STR_NONE: it is of no claim. */
struct str claims_name(const struct pod_view *v, const struct val *o, struct arena *ar);
/* Names as Node.status.volumesInUse has them. */
void claims_in_use(const struct agent *a, struct arena *ar, struct val *ret_list);

/* volumes.c */
int volumes_check_host_path(const struct val *src, struct kl_err *err);
/* fsgroup.c: everything below path becomes the group's: readable, and with write also writable; folders hand it on. With on_mismatch nothing is
 * done when path is so already. */
int fsgroup_set(const char *path, uint32_t gid, bool write, bool on_mismatch, struct kl_err *err);
/* fs.c */
bool fs_is_mounted(const char *path);

#endif
