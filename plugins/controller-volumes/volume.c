/* volume.c - one volume: free, bound, or left by its claim. What becomes of one that was left is its policy's: kept, or removed by who provisioned it. */
#include "volumes.h"

int set_phase(struct ctl_run *r, struct val **volume, const char *phase, const char *message)
{
    struct arena *a = r->arena;
    struct val *now = val_copy(a, *volume), *status = json_obj(a, now, STR("status")), *ret = NULL;
    if (!str_is(json_str(status, "phase"), phase)) {
        json_set_str(a, status, STR("phase"), str_of(phase));
        json_set_str(a, status, STR("lastPhaseTransitionTime"), ctl_now(r));
    }
    if (*message)
        json_set_str(a, status, STR("message"), str_of(message));
    else
        json_del(status, STR("message"));
    int rc = ctl_update(r, VOLUMES, "status", *volume, now, &ret);
    if (rc == 0 && ret)
        *volume = ret;
    return rc;
}

/* Its claim chose another volume. */
static int unbind(struct ctl_run *r, struct val *volume)
{
    struct arena *a = r->arena;
    struct val *now = val_copy(a, volume), *ret = NULL;
    if (meta_annotation(volume, BOUND_BY_CONTROLLER).at) {
        json_del(json_get(now, STR("spec")), STR("claimRef"));
        json_del(json_path(now, "metadata.annotations"), STR(BOUND_BY_CONTROLLER));
    } else {
        json_del(json_path(now, "spec.claimRef"), STR("uid"));
    }
    int rc = ctl_update(r, VOLUMES, NULL, volume, now, &ret);
    if (rc == 0 && ret)
        volume = ret;
    return rc == 0 ? set_phase(r, &volume, "Available", "") : rc;
}

/* Why nobody can delete a volume that no driver of this cluster's provisioned, in the words of upstream's own plugins; NULL: somebody may (who deletes hostPath volumes
 * for tests in /tmp, and drivers that are not known here). */
static const char *undeletable(struct ctl_run *r, const struct val *volume)
{
    static const char *const known[] = { "nfs", "iscsi", "fc" }, *const unknown[] = { "local", "rbd", "cephfs", "glusterfs", "flocker", "quobyte", "storageos", "scaleIO" };
    const struct val *spec = json_get(volume, STR("spec"));
    struct str by = meta_annotation(volume, PROVISIONED_BY), path = json_str(spec, "hostPath.path"), tmp = STR("/tmp/");
    const char *why = NULL;
    if (by.len && !str_starts(by, STR("kubernetes.io/")))
        return NULL;
    if (json_get(spec, STR("hostPath")))
        return str_starts(path, tmp) && path.len > tmp.len ? NULL :
               arena_printf(r->arena, "host_path deleter only supports /tmp/.+ but received provided " STR_FMT, STR_ARG(path));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        why = json_get(spec, str_of(known[i])) ? "no deletable volume plugin matched" : why;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        why = json_get(spec, str_of(unknown[i])) ? "no volume plugin matched" : why;
    return why ? arena_printf(r->arena, "error getting deleter volume plugin for volume \"" STR_FMT "\": %s", STR_ARG(meta_name(volume)), why) : NULL;
}

static int leave(struct ctl_run *r, struct val *volume)
{
    struct str phase = json_str(volume, "status.phase");
    if (str_is(phase, "Released") || str_is(phase, "Failed"))
        return 0;
    int rc = set_phase(r, &volume, "Released", "");
    if (rc == 0 && str_is(json_str(volume, "spec.persistentVolumeReclaimPolicy"), "Recycle"))
        ctl_event(r, volume, "Warning", "VolumeRecycleFailed", "No recycler plugin found for the volume!");
    const char *why = rc == 0 && str_is(json_str(volume, "spec.persistentVolumeReclaimPolicy"), "Delete") ? undeletable(r, volume) : NULL;
    if (why && (rc = set_phase(r, &volume, "Failed", why)) == 0)
        ctl_event(r, volume, "Warning", "VolumeFailedDelete", "%s", why);
    return rc;
}

static int with_claim(struct ctl_run *r, struct val *volume, const struct val *claim)
{
    struct str wants = json_str(claim, "spec.volumeName");
    if (str_eq(wants, meta_name(volume)))
        return set_phase(r, &volume, "Bound", "");
    if (!wants.len) {
        if (!str_eq(volume_mode(volume), volume_mode(claim)))
            ctl_event(r, volume, "Warning", "VolumeMismatch", "Cannot bind PersistentVolume to requested PersistentVolumeClaim \"" STR_FMT
                      "\" due to incompatible volumeMode.", STR_ARG(meta_name(claim)));
        return 0;                       /* the claim's own key binds it */
    }
    if (meta_annotation(volume, PROVISIONED_BY).len && str_is(json_str(volume, "spec.persistentVolumeReclaimPolicy"), "Delete"))
        return leave(r, volume);        /* made for it, and not needed */
    return unbind(r, volume);
}

int volume_run(struct ctl_run *r, struct str name)
{
    struct val *volume, *claim = NULL;
    int rc = ctl_get(r, VOLUMES, STR(""), name, &volume);
    if (rc < 0 || !volume)
        return rc;
    const struct val *ref = json_path(volume, "spec.claimRef");
    struct str uid = json_str(ref, "uid");
    if (!ref || !uid.len)
        return set_phase(r, &volume, "Available", "");
    rc = ctl_get(r, CLAIMS, json_str(ref, "namespace"), json_str(ref, "name"), &claim);
    if (rc < 0)
        return rc;
    return claim && str_eq(meta_uid(claim), uid) ? with_claim(r, volume, claim) : leave(r, volume);
}
