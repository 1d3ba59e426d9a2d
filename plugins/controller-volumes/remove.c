/* remove.c - a volume that its claim has left and whose policy is Delete: the driver removes it, then its PersistentVolume goes. */
#include "driver.h"

/* Do pods of a node still have it? */
static int in_use(struct ctl_run *r, const struct val *volume, struct str *ret_node)
{
    struct ctl_list nodes;
    struct str want = str_of(arena_printf(r->arena, "kubernetes.io/csi/" STR_FMT "^" STR_FMT, STR_ARG(json_str(volume, "spec.csi.driver")),
                                          STR_ARG(json_str(volume, "spec.csi.volumeHandle"))));
    int rc = ctl_list(r, (struct kl_list_options){ .resource = NODES }, &nodes);
    for (uint32_t i = 0; rc == 0 && i < nodes.n; i++) {
        const struct val *list = json_path(nodes.at[i], "status.volumesInUse");
        if (val_is(list, VAL_ARR))
            val_each(v, list)
                if (str_eq(val_str(v), want))
                    *ret_node = meta_name(nodes.at[i]);
    }
    return rc;
}

static int remove_volume(struct ctl_run *r, struct val *volume, struct driver *d)
{
    struct kl_volume_use use = driver_use(r, volume);
    struct str node = STR_NONE;
    int rc = use.id && use.context ? in_use(r, volume, &node) : ctl_no_memory(r);
    if (rc == 0 && node.len)
        rc = kl_fail(r->call, KL_CONFLICT, "it is still in use on node \"" STR_FMT "\"", STR_ARG(node));
    if (rc == 0 && (rc = d->table->remove(d->self, &d->call, &use)) < 0)
        rc = driver_failed(r, d, rc);
    return rc;
}

int reclaim(struct ctl_run *r, struct val *volume)
{
    struct str phase = json_str(volume, "status.phase"), by = json_str(volume, "spec.csi.driver");
    struct driver d = { 0 };
    bool gone = false;
    if (!str_is(json_str(volume, "spec.persistentVolumeReclaimPolicy"), "Delete") || !by.len || !str_eq(meta_annotation(volume, PROVISIONED_BY), by) ||
        !(str_is(phase, "Released") || str_is(phase, "Failed") || (meta_deleting(volume) && str_is(phase, "Available"))))
        return 0;
    int rc = driver_of(r, volume, &d, &gone);
    if (rc == 0 && !d.table && !gone)
        return 0;
    if (rc == 0 && !gone)
        rc = remove_volume(r, volume, &d);
    if (rc < 0) {
        ctl_event(r, volume, "Warning", "VolumeFailedDelete", "%s", r->call->err.msg);
        return rc;
    }
    struct val *now = val_copy(r->arena, volume);
    meta_set_finalizer(r->arena, now, PV_FINALIZER, false);
    rc = ctl_update(r, VOLUMES, NULL, volume, now, &volume);
    if (rc == -KL_NOT_FOUND)
        return 0;
    return rc < 0 || meta_deleting(volume) ? rc : ctl_delete(r, VOLUMES, volume, NULL);
}
