/* ephemeral.c - claims of single pods: each volume of a pod that is a claim's template gets a claim of its own, which goes with the pod. */
#include "base/json_scan.h"
#include "volumes.h"

static int make(struct ctl_run *r, const struct val *pod, const struct val *volume)
{
    struct arena *a = r->arena;
    struct str name = str_of(arena_printf(a, STR_FMT "-" STR_FMT, STR_ARG(meta_name(pod)), STR_ARG(json_str(volume, "name"))));
    const struct val *t = json_path(volume, "ephemeral.volumeClaimTemplate"), *labels = json_path(t, "metadata.labels"), *notes = json_path(t, "metadata.annotations");
    struct val *claim = NULL;
    int rc = ctl_get(r, CLAIMS, meta_ns(pod), name, &claim);
    if (rc < 0)
        return rc;
    if (claim) {
        if (meta_controlled_by(claim, meta_uid(pod)))
            return 0;
        ctl_event(r, pod, "Warning", "FailedBinding", "ephemeral volume " STR_FMT ": PVC " STR_FMT "/" STR_FMT " was not created for pod " STR_FMT "/" STR_FMT
                  " (pod is not owner)", STR_ARG(json_str(volume, "name")), STR_ARG(meta_ns(pod)), STR_ARG(name), STR_ARG(meta_ns(pod)), STR_ARG(meta_name(pod)));
        return 0;
    }
    claim = val_new(a, VAL_OBJ);
    json_set_str(a, claim, STR("apiVersion"), STR("v1"));
    json_set_str(a, claim, STR("kind"), STR("PersistentVolumeClaim"));
    struct val *meta = json_obj(a, claim, STR("metadata"));
    json_set_str(a, meta, STR("name"), name);
    if (labels)
        json_set(a, meta, STR("labels"), val_copy(a, labels));
    if (notes)
        json_set(a, meta, STR("annotations"), val_copy(a, notes));
    val_push(json_arr(a, meta, STR("ownerReferences")), meta_owner_ref(a, pod));
    json_set(a, claim, STR("spec"), val_copy(a, json_get(t, STR("spec"))));
    rc = ctl_create(r, CLAIMS, meta_ns(pod), claim, NULL);
    if (rc < 0 && rc != -KL_PENDING)
        ctl_event(r, pod, "Warning", "FailedBinding", "ephemeral volume " STR_FMT ": create PVC " STR_FMT ": %s", STR_ARG(json_str(volume, "name")), STR_ARG(name),
                  r->call->err.msg);
    return rc;
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct val *pod;
    int rc = ctl_get(r, PODS, ns, name, &pod);
    const struct val *list = json_path(pod, "spec.volumes");
    if (rc < 0 || !pod || meta_deleting(pod) || pod_finished(pod) || !val_is(list, VAL_ARR))
        return rc;
    for (const struct val *v = list->first; v && rc == 0; v = v->next)
        if (json_get(v, STR("ephemeral")))
            rc = make(r, pod, v);
    return rc;
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    struct str ns = json_scan_text(json_scan_path(obj, "metadata.namespace"));
    if (strcmp(resource, PODS) == 0) {
        struct str volumes = old.len ? STR_NONE : json_scan_member(ctl_part(r, CTL_SPEC), STR("volumes"));
        if (volumes.len && memmem(volumes.at, volumes.len, "\"ephemeral\"", 11))
            ctl_key_add(keys, ns, json_scan_text(json_scan_path(obj, "metadata.name")));
        return 0;
    }
    if (!(r->call->flags & KL_CALL_DELETED))
        return 0;
    struct val *claim = json_parse(r->arena, obj, &r->call->err);       /* a claim that went: its pod may need another */
    const struct val *owner = meta_controller(claim);
    if (owner && str_is(json_str(owner, "kind"), "Pod"))
        ctl_key_add(keys, ns, json_str(owner, "name"));
    return claim ? 0 : -r->call->err.code;
}

CTL_RUN(ephemeral, run)
CTL_MAP(ephemeral, map)
static const struct kl_watch watches[] = { { sizeof(struct kl_watch), PODS, NULL, "map" }, { sizeof(struct kl_watch), CLAIMS, NULL, "map" } };
CTL_TABLE(ephemeral, watches, ephemeral_map);
