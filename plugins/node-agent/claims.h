/* claims.h - volumes of claims on this node, published once for all its pods. */
#ifndef CLAIMS_H
#define CLAIMS_H

#include <keelson/iface/volume.h>

#include "agent.h"

/* One volume while something is done with it on this node (published.c). */
struct using {
    struct agent *agent;
    struct kl_call *call;
    struct arena *arena;
    const struct val *volume;           /* the PersistentVolume; NULL when it is only given back */
    struct str name;                    /* its name */
    const char *dir;
    int lock;
};
/* The others come in between; leave also after an enter that failed. */
int published_enter(struct using *u);
void published_leave(struct using *u);
int published_add_user(struct using *u, struct str pod_uid);
int published_publish(struct using *u, const char **ret_path);
int published_grow(struct using *u);
bool published_read_only(const struct val *volume);

/* Makes the claim of a pod's volume o usable at path. *ret_name: what to call it in messages, changed once its PersistentVolume is known. */
int claims_set_up(struct agent *a, struct kl_call *c, struct pod_view *v, const struct val *o, const char *path, struct str *ret_name);
/* The pod with that uid needs none of its volumes any more: those that were nobody else's are unpublished. */
int claims_release(struct agent *a, struct kl_call *c, struct str uid);
/* The claim of a pod's volume o, STR_NONE: it is of no claim. */
struct str claims_name(struct str pod, const struct val *o, struct arena *ar);
/* The block device behind path (where claims_set_up was told to make it usable); NULL: it is none. */
char *claims_device(struct arena *ar, const char *path);
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
