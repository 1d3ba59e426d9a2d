/* driver.h - a storage driver as the controllers call it. */
#ifndef DRIVER_H
#define DRIVER_H

#include "volumes.h"

struct driver {
    const struct kl_volume *table;
    void *self;
    struct kl_call call;                /* of the next calls: the run's, with a deadline; its err is told by driver_failed */
};

/* The instance of that name, on that node (empty: of this process); 0 with d->table NULL: there is none here, the volume is somebody else's. */
int driver_find(struct ctl_run *r, struct str name, struct str node, struct driver *d);
/* The one that has that volume: of its node, when it is a local one. ret_gone (may be NULL): that node is gone for good, and the volume with it. */
int driver_of(struct ctl_run *r, const struct val *volume, struct driver *d, bool *ret_gone);
/* Takes the error over into the run's call. */
int driver_failed(struct ctl_run *r, struct driver *d, int rc);
/* Members of an object as key, value, ..., NULL, but those whose key begins with `but`. */
const char *const *driver_list(struct ctl_run *r, const struct val *object, const char *but);
/* What a PersistentVolume says of the volume. */
struct kl_volume_use driver_use(struct ctl_run *r, const struct val *volume);

/* provision.c, resize.c, remove.c */
int provision(struct ctl_run *r, struct val *claim);
int resize(struct ctl_run *r, struct val *claim);
int reclaim(struct ctl_run *r, struct val *volume);

#endif
