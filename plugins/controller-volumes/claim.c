/* claim.c - one claim: the volume that it is bound to, or the wish for one.
 *
 * Pending -> a free volume is fit: both are written to name each other, the volume first, and the claim's mark BIND_COMPLETED last
 *         -> none is: its class's provisioner is named in an annotation (provision.c), or its first pod is waited for (the scheduler)
 * Bound   -> as long as the volume is there and names it; else Lost
 */
#include "base/cleanup.h"
#include "base/json_scan.h"
#include "volumes.h"

struct claim {
    struct ctl_run *r;
    struct val *v, *class;              /* class NULL: it has none, or there is none of that name */
    bool later;                         /* bound when a pod needs it */
};

static int set_claim(struct claim *x, const char *sub, const struct val *now)
{
    struct val *ret = NULL;
    int rc = ctl_update(x->r, CLAIMS, sub, x->v, now, &ret);
    if (rc == 0 && ret)
        x->v = ret;
    return rc;
}

static int set_status(struct claim *x, const char *phase, const struct val *volume)
{
    struct arena *a = x->r->arena;
    struct val *now = val_copy(a, x->v), *status = json_obj(a, now, STR("status"));
    bool new_phase = !str_is(json_str(x->v, "status.phase"), phase);
    json_set_str(a, status, STR("phase"), str_of(phase));
    if (!volume) {
        json_del(status, STR("accessModes"));
        json_del(status, STR("capacity"));
    } else {
        const struct val *modes = json_path(volume, "spec.accessModes"), *capacity = json_path(volume, "spec.capacity");
        struct str vac = json_str(volume, "spec.volumeAttributesClassName");
        if (modes)
            json_set(a, status, STR("accessModes"), val_copy(a, modes));
        if (capacity && (new_phase || !json_get(status, STR("capacity"))))
            json_set(a, status, STR("capacity"), val_copy(a, capacity));
        if (vac.len)
            json_set_str(a, status, STR("currentVolumeAttributesClassName"), vac);
    }
    return set_claim(x, "status", now);
}

static int lose(struct claim *x, const char *reason, const char *message)
{
    bool told = str_is(json_str(x->v, "status.phase"), "Lost");
    int rc = set_status(x, "Lost", NULL);
    if (rc == 0 && !told)
        ctl_event(x->r, x->v, "Warning", reason, "%s", message);
    return rc;
}

/* --- binding --- */

struct val *reference_to(struct ctl_run *r, const struct val *claim)
{
    struct arena *a = r->arena;
    struct val *ref = val_new(a, VAL_OBJ);
    json_set_str(a, ref, STR("kind"), STR("PersistentVolumeClaim"));
    json_set_str(a, ref, STR("apiVersion"), STR("v1"));
    json_set_str(a, ref, STR("name"), meta_name(claim));
    json_set_str(a, ref, STR("namespace"), meta_ns(claim));
    json_set_str(a, ref, STR("uid"), meta_uid(claim));
    json_set_str(a, ref, STR("resourceVersion"), json_str(claim, "metadata.resourceVersion"));
    return ref;
}

static int bind_volume(struct claim *x, struct val **volume)
{
    struct arena *a = x->r->arena;
    struct val *now = val_copy(a, *volume), *ref = json_path(now, "spec.claimRef"), *ret = NULL;
    if (ref && str_eq(json_str(ref, "uid"), meta_uid(x->v)))
        return 0;
    if (!ref)
        meta_set_annotation(a, now, BOUND_BY_CONTROLLER, STR("yes"));
    json_set(a, json_obj(a, now, STR("spec")), STR("claimRef"), reference_to(x->r, x->v));
    int rc = ctl_update(x->r, VOLUMES, NULL, *volume, now, &ret);
    if (rc == 0 && ret)
        *volume = ret;
    return rc;
}

static int bind(struct claim *x, struct val *volume)
{
    struct arena *a = x->r->arena;
    int rc = bind_volume(x, &volume);
    if (rc == 0)
        rc = set_phase(x->r, &volume, "Bound", "");
    if (rc < 0)
        return rc;
    struct val *now = val_copy(a, x->v);
    if (!str_eq(json_str(now, "spec.volumeName"), meta_name(volume))) {
        json_set_str(a, json_obj(a, now, STR("spec")), STR("volumeName"), meta_name(volume));
        meta_set_annotation(a, now, BOUND_BY_CONTROLLER, STR("yes"));
    }
    meta_set_annotation(a, now, BIND_COMPLETED, STR("yes"));
    rc = set_claim(x, NULL, now);
    return rc == 0 ? set_status(x, "Bound", volume) : rc;
}

/* --- without a volume --- */

static int tell_waits(struct claim *x)
{
    struct ctl_list pods;
    struct arena *a = x->r->arena;
    _cleanup_buf_ struct buf names = BUF_INIT(4096);
    unsigned n = 0;
    int rc = ctl_list(x->r, (struct kl_list_options){ .resource = PODS, .ns = arena_dup(a, meta_ns(x->v)) }, &pods);
    for (uint32_t i = 0; rc == 0 && i < pods.n; i++) {
        const struct val *list = json_path(pods.at[i], "spec.volumes");
        if (json_str(pods.at[i], "spec.nodeName").len || pod_finished(pods.at[i]) || !val_is(list, VAL_ARR))
            continue;
        val_each(v, list)
            if (str_eq(json_str(v, "persistentVolumeClaim.claimName"), meta_name(x->v)))
                buf_printf(&names, "%s" STR_FMT, n++ ? "," : "", STR_ARG(meta_name(pods.at[i])));
    }
    if (!n)
        ctl_event(x->r, x->v, "Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding");
    else
        ctl_event(x->r, x->v, "Normal", "WaitForPodScheduled", "waiting for pod%s %s to be scheduled", n > 1 ? "s" : "", names.failed ? "" : names.at);
    return rc;
}

static int ask_provisioner(struct claim *x)
{
    struct str name = class_of(x->v), by = json_str(x->class, "provisioner");
    struct arena *a = x->r->arena;
    if (!x->class) {
        ctl_event(x->r, x->v, "Warning", "ProvisioningFailed", "storageclass.storage.k8s.io \"" STR_FMT "\" not found", STR_ARG(name));
        return 0;
    }
    if (str_is(by, NO_PROVISIONER)) {
        ctl_event(x->r, x->v, "Normal", "FailedBinding", "no persistent volumes available for this claim and no provisioner makes some");
        return 0;
    }
    bool told = str_eq(meta_annotation(x->v, PROVISIONER), by);
    struct val *now = val_copy(a, x->v);
    meta_set_annotation(a, now, PROVISIONER, by);
    meta_set_annotation(a, now, PROVISIONER_BETA, by);
    int rc = set_claim(x, NULL, now);
    if (rc == 0 && !told)
        ctl_event(x->r, x->v, "Normal", "ExternalProvisioning",
                  "Waiting for a volume to be created either by the external provisioner '" STR_FMT "' or manually by the system administrator. If volume "
                  "creation is delayed, please verify that the provisioner is running and correctly registered.", STR_ARG(by));
    return rc;
}

static int without_volume(struct claim *x)
{
    int rc = 0;
    if (x->later && !meta_annotation(x->v, SELECTED_NODE).len)
        rc = tell_waits(x);
    else if (class_of(x->v).len)
        rc = ask_provisioner(x);
    else
        ctl_event(x->r, x->v, "Normal", "FailedBinding", "no persistent volumes available for this claim and no storage class is set");
    return rc == 0 ? set_status(x, "Pending", NULL) : rc;
}

/* --- one claim --- */

static int named_volume(struct claim *x, struct val **ret)
{
    return ctl_get(x->r, VOLUMES, STR(""), json_str(x->v, "spec.volumeName"), ret);
}

static int wishes_one(struct claim *x, struct val *volume)
{
    const char *why;
    if (!volume)
        return set_status(x, "Pending", NULL);
    if (!json_path(volume, "spec.claimRef")) {
        if (!(why = why_not(volume, x->v)))
            return bind(x, volume);
        ctl_event(x->r, x->v, "Warning", "VolumeMismatch", "Cannot bind to requested volume \"" STR_FMT "\": %s", STR_ARG(meta_name(volume)), why);
        return set_status(x, "Pending", NULL);
    }
    if (bound_to(volume, x->v))
        return bind(x, volume);
    ctl_event(x->r, x->v, "Warning", "FailedBinding", "volume \"" STR_FMT "\" already bound to a different claim.", STR_ARG(meta_name(volume)));
    return set_status(x, "Pending", NULL);
}

static int unbound(struct claim *x)
{
    struct val *volume = NULL;
    int rc = 0;
    if (json_str(x->v, "spec.volumeName").len) {
        rc = named_volume(x, &volume);
        return rc < 0 ? rc : wishes_one(x, volume);
    }
    volume = best_volume(x->r, x->v, x->later, &rc);
    return rc < 0 ? rc : volume ? bind(x, volume) : without_volume(x);
}

static int bound(struct claim *x)
{
    struct val *volume = NULL;
    if (!json_str(x->v, "spec.volumeName").len)
        return lose(x, "ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!");
    int rc = named_volume(x, &volume);
    if (rc < 0)
        return rc;
    if (!volume)
        return lose(x, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
    if (!json_path(volume, "spec.claimRef") || str_eq(json_str(volume, "spec.claimRef.uid"), meta_uid(x->v)) ||
        (bound_to(volume, x->v) && !json_str(volume, "spec.claimRef.uid").len))
        return bind(x, volume);
    return lose(x, "ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly");
}

/* A class that became the default one after the claim was made. */
static int give_class(struct claim *x)
{
    struct ctl_list list;
    struct arena *a = x->r->arena;
    const struct val *best = NULL;
    if (json_path(x->v, "spec.storageClassName") || meta_annotation(x->v, CLASS_BETA).len)
        return 0;
    int rc = ctl_list(x->r, (struct kl_list_options){ .resource = CLASSES }, &list);
    for (uint32_t i = 0; rc == 0 && i < list.n; i++)
        if ((str_is(meta_annotation(list.at[i], "storageclass.kubernetes.io/is-default-class"), "true") ||
             str_is(meta_annotation(list.at[i], "storageclass.beta.kubernetes.io/is-default-class"), "true")) &&
            (!best || meta_cmp_created(list.at[i], best) > 0))
            best = list.at[i];
    if (!best)
        return rc;
    struct val *now = val_copy(a, x->v);
    json_set_str(a, json_obj(a, now, STR("spec")), STR("storageClassName"), meta_name(best));
    return set_claim(x, NULL, now);
}

/* Volumes that were made for a claim that is gone. */
static int gone(struct ctl_run *r, struct str ns, struct str name)
{
    struct ctl_list list;
    int rc = ctl_list(r, (struct kl_list_options){ .resource = VOLUMES }, &list);
    for (uint32_t i = 0; rc == 0 && i < list.n; i++)
        if (str_eq(json_str(list.at[i], "spec.claimRef.name"), name) && str_eq(json_str(list.at[i], "spec.claimRef.namespace"), ns))
            rc = volume_run(r, meta_name(list.at[i]));
    return rc;
}

static int claim_run(struct ctl_run *r, struct str ns, struct str name)
{
    struct claim x = { .r = r };
    int rc = ctl_get(r, CLAIMS, ns, name, &x.v);
    if (rc < 0 || !x.v)
        return rc < 0 ? rc : gone(r, ns, name);
    if (bound_completely(x.v))
        return bound(&x);
    if (!json_str(x.v, "spec.volumeName").len && (rc = give_class(&x)) < 0)
        return rc;
    if (class_of(x.v).len && (rc = ctl_get(r, CLASSES, STR(""), class_of(x.v), &x.class)) < 0)
        return rc;
    x.later = waits_for_consumer(x.class);
    return unbound(&x);
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    return ns.len ? claim_run(r, ns, name) : volume_run(r, name);
}

/* --- keys: claims by "namespace/name", volumes by their name --- */

static int add_waiting(struct ctl_run *r, struct str class, struct buf *keys)
{
    struct ctl_list list;
    int rc = ctl_list(r, (struct kl_list_options){ .resource = CLAIMS }, &list);
    for (uint32_t i = 0; rc == 0 && i < list.n; i++)
        if (!bound_completely(list.at[i]) && (!json_path(list.at[i], "spec.storageClassName") || str_eq(class_of(list.at[i]), class)))
            ctl_key_add(keys, meta_ns(list.at[i]), meta_name(list.at[i]));
    return rc;
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    struct str spec = ctl_part(r, CTL_SPEC), name = json_scan_text(json_scan_path(obj, "metadata.name"));
    (void)old;
    if (strcmp(resource, CLASSES) == 0)
        return add_waiting(r, name, keys);
    if (strcmp(resource, CLAIMS) == 0) {
        struct str volume = json_scan_text(json_scan_member(spec, STR("volumeName")));
        ctl_key_add(keys, json_scan_text(json_scan_path(obj, "metadata.namespace")), name);
        if (volume.len)
            ctl_key_add(keys, STR(""), volume);
        return 0;
    }
    struct str ref = json_scan_member(spec, STR("claimRef")), claim = json_scan_text(json_scan_path(obj, "spec.claimRef.name"));
    ctl_key_add(keys, STR(""), name);
    if (ref.len && claim.len)
        ctl_key_add(keys, json_scan_text(json_scan_path(obj, "spec.claimRef.namespace")), claim);
    else if (!(r->call->flags & KL_CALL_DELETED))
        return add_waiting(r, json_scan_text(json_scan_path(obj, "spec.storageClassName")), keys);
    return 0;
}

CTL_RUN(binder, run)
CTL_MAP(binder, map)
static const struct kl_watch watches[] = { { sizeof(struct kl_watch), CLAIMS, NULL, "map" }, { sizeof(struct kl_watch), VOLUMES, NULL, "map" },
                                           { sizeof(struct kl_watch), CLASSES, NULL, "map" } };
CTL_TABLE(binder, watches, binder_map);
