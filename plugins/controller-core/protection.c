/* protection.c - what is in use is not deleted: the finalizers of claims, volumes and classes of volume attributes, which go when nobody uses
 * the object any more. New objects get them by admission; here those that have none. */
#include "base/json_scan.h"
#include "core.h"

#define CLAIMS  "/persistentvolumeclaims"
#define VOLUMES "/persistentvolumes"
#define VACS    "storage.k8s.io/volumeattributesclasses"

typedef int (*used_fn)(struct ctl_run *r, const struct val *v, bool *ret);

static int protect(struct ctl_run *r, const char *resource, const char *finalizer, struct str ns, struct str name, used_fn used)
{
    struct val *v;
    bool is_used = true;
    int rc = ctl_get(r, resource, ns, name, &v);
    if (rc < 0 || !v || (meta_deleting(v) && !meta_has_finalizer(v, finalizer)))
        return rc;
    if (meta_deleting(v) && (rc = used(r, v, &is_used)) < 0)
        return rc;
    struct val *now = val_copy(r->arena, v);
    meta_set_finalizer(r->arena, now, finalizer, is_used);
    return ctl_update(r, resource, NULL, v, now, NULL);
}

/* --- claims: pods that are on a node and not finished --- */

static bool pod_uses(const struct val *pod, struct str claim)
{
    const struct val *list = json_path(pod, "spec.volumes");
    for (const struct val *v = val_is(list, VAL_ARR) ? list->first : NULL; v; v = v->next) {
        struct str name = json_str(pod, "metadata.name"), volume = json_str(v, "name");
        if (str_eq(json_str(v, "persistentVolumeClaim.claimName"), claim))
            return true;
        if (json_get(v, STR("ephemeral")) && claim.len == name.len + 1 + volume.len && str_starts(claim, name) && str_ends(claim, volume))
            return true;
    }
    return false;
}

static int claim_used(struct ctl_run *r, const struct val *claim, bool *ret)
{
    struct ctl_list pods;
    int rc = ctl_list(r, (struct kl_list_options){ .resource = PODS, .ns = arena_dup(r->arena, meta_ns(claim)) }, &pods);
    *ret = false;
    for (uint32_t i = 0; rc == 0 && i < pods.n && !*ret; i++)
        *ret = json_str(pods.at[i], "spec.nodeName").len && !pod_finished(pods.at[i]) && pod_uses(pods.at[i], meta_name(claim));
    return rc;
}

static int claim_run(struct ctl_run *r, struct str ns, struct str name)
{
    return protect(r, CLAIMS, "kubernetes.io/pvc-protection", ns, name, claim_used);
}

/* A claim by its own key; a pod that ends or goes, by the claims in it. */
static int claim_map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    struct kl_err *err = &r->call->err;
    if (strcmp(resource, CLAIMS) == 0) {
        ctl_key_add(keys, json_scan_text(json_scan_path(obj, "metadata.namespace")), json_scan_text(json_scan_path(obj, "metadata.name")));
        return 0;
    }
    bool gone = r->call->flags & KL_CALL_DELETED;
    struct str volumes = json_scan_member(ctl_part(r, CTL_SPEC), STR("volumes"));
    if (!volumes.len || (!memmem(volumes.at, volumes.len, "\"persistentVolumeClaim\"", 23) && !memmem(volumes.at, volumes.len, "\"ephemeral\"", 11)))
        return 0;
    struct val *pod = json_parse(r->arena, obj, err);
    if (!pod)
        return -err->code;
    (void)old;
    if (!gone && !pod_finished(pod))
        return 0;
    val_each(v, json_path(pod, "spec.volumes")) {
        struct str claim = json_str(v, "persistentVolumeClaim.claimName");
        if (json_get(v, STR("ephemeral")))
            claim = str_of(arena_printf(r->arena, STR_FMT "-" STR_FMT, STR_ARG(meta_name(pod)), STR_ARG(json_str(v, "name"))));
        if (claim.len)
            ctl_key_add(keys, meta_ns(pod), claim);
    }
    return 0;
}

CTL_RUN(claim_protection, claim_run)
CTL_MAP(claim_protection, claim_map)
static const struct kl_watch claim_watches[] = { { sizeof(struct kl_watch), CLAIMS, NULL, "map" }, { sizeof(struct kl_watch), PODS, NULL, "map" } };
CTL_TABLE(claim_protection, claim_watches, claim_protection_map);

/* --- volumes: as long as a claim is bound to them --- */

static int volume_used(struct ctl_run *r, const struct val *volume, bool *ret)
{
    (void)r;
    *ret = str_is(json_str(volume, "status.phase"), "Bound");
    return 0;
}

static int volume_run(struct ctl_run *r, struct str ns, struct str name)
{
    return protect(r, VOLUMES, "kubernetes.io/pv-protection", ns, name, volume_used);
}

CTL_RUN(volume_protection, volume_run)
static const struct kl_watch volume_watches[] = { { sizeof(struct kl_watch), VOLUMES, NULL, NULL } };
CTL_TABLE(volume_protection, volume_watches, NULL);

/* --- classes of volume attributes: claims and volumes that name them --- */

static const char *const vac_members[] = { "spec.volumeAttributesClassName", "status.currentVolumeAttributesClassName",
                                           "status.modifyVolumeStatus.targetVolumeAttributesClassName" };

static int vac_used(struct ctl_run *r, const struct val *class, bool *ret)
{
    static const char *const users[] = { CLAIMS, VOLUMES };
    int rc = 0;
    *ret = false;
    for (int u = 0; rc == 0 && u < 2 && !*ret; u++) {
        struct ctl_list list;
        rc = ctl_list(r, (struct kl_list_options){ .resource = users[u] }, &list);
        for (uint32_t i = 0; rc == 0 && i < list.n; i++)
            for (size_t m = 0; m < sizeof vac_members / sizeof *vac_members; m++)
                *ret |= str_eq(json_str(list.at[i], vac_members[m]), meta_name(class));
    }
    return rc;
}

static int vac_run(struct ctl_run *r, struct str ns, struct str name)
{
    return protect(r, VACS, "kubernetes.io/vac-protection", ns, name, vac_used);
}

static int vac_map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)r;
    if (strcmp(resource, VACS) == 0) {
        ctl_key_add(keys, STR(""), json_scan_text(json_scan_path(obj, "metadata.name")));
        return 0;
    }
    for (int i = 0; i < 2; i++)
        for (size_t m = 0; m < sizeof vac_members / sizeof *vac_members; m++) {
            struct str name = json_scan_text(json_scan_path(i ? old : obj, vac_members[m]));
            if (name.len)
                ctl_key_add(keys, STR(""), name);
        }
    return 0;
}

CTL_RUN(vac_protection, vac_run)
CTL_MAP(vac_protection, vac_map)
static const struct kl_watch vac_watches[] = { { sizeof(struct kl_watch), VACS, NULL, "map" }, { sizeof(struct kl_watch), CLAIMS, NULL, "map" },
                                               { sizeof(struct kl_watch), VOLUMES, NULL, "map" } };
CTL_TABLE(vac_protection, vac_watches, vac_protection_map);
