/* statefulset_pod.c - one pod of a StatefulSet: its name, its revision, its claims. */
#include "statefulset.h"

#define CLAIMS "/persistentvolumeclaims"

static struct val *set_of(const struct stateful *s)
{
    return s->h.owner;
}

int64_t ordinal_of(const struct stateful *s, const struct val *pod)
{
    struct str name = meta_name(pod), set = meta_name(set_of(s));
    int64_t n;
    if (!str_starts(name, set) || name.len < set.len + 2 || name.at[set.len] != '-' || !str_int(str_skip(name, set.len + 1), &n) || n < 0)
        return -1;
    return n;
}

bool of_revision(const struct stateful *s, const struct val *pod, const struct val *revision)
{
    return pod && revision && str_eq(meta_label(pod, REVISION_HASH), history_label(&s->h, revision));
}

bool sound(const struct stateful *s, const struct val *pod)
{
    int64_t wait = 0;
    bool ok = pod && str_is(json_str(pod, "status.phase"), "Running") && !meta_deleting(pod) && pod_available(pod, s->min_ready, s->r->now_ns, &wait);
    if (wait)
        ctl_again(s->r, wait);
    return ok;
}

/* --- claims --- */

static struct str claim_name(struct stateful *s, const struct val *claim_template, int64_t ordinal)
{
    return str_of(arena_printf(s->r->arena, STR_FMT "-" STR_FMT "-%lld", STR_ARG(meta_name(claim_template)), STR_ARG(meta_name(set_of(s))),
                               (long long)ordinal));
}

static struct val *new_claim(struct stateful *s, const struct val *claim_template, struct str name)
{
    struct arena *a = s->r->arena;
    struct val *v = val_copy(a, claim_template), *labels = json_path(set_of(s), "spec.selector.matchLabels");
    json_set_str(a, json_obj(a, v, STR("metadata")), STR("name"), name);
    json_set_str(a, json_obj(a, v, STR("metadata")), STR("namespace"), meta_ns(set_of(s)));
    json_del(v, STR("status"));
    if (labels)
        val_each(l, labels) json_set_str(a, json_obj(a, json_obj(a, v, STR("metadata")), STR("labels")), val_key(l), val_str(l));
    return v;
}

static void set_owner(struct arena *a, struct val *claim, const struct val *owner, bool on)
{
    meta_drop_owner(claim, meta_uid(owner));
    if (!on)
        return;
    struct val *ref = meta_owner_ref(a, owner);
    json_del(ref, STR("controller"));
    json_del(ref, STR("blockOwnerDeletion"));
    val_push(json_arr(a, json_obj(a, claim, STR("metadata")), STR("ownerReferences")), ref);
}

static bool owns(const struct val *claim, const struct val *owner)
{
    struct val *refs = json_path(claim, "metadata.ownerReferences");
    if (val_is(refs, VAL_ARR))
        val_each(ref, refs)
            if (str_eq(json_str(ref, "uid"), meta_uid(owner)))
                return true;
    return false;
}

/* Who takes the claim along when it goes: the set, or (scaled down) the pod. */
static int own_claim(struct stateful *s, int64_t ordinal, const struct val *pod, const struct val *claim)
{
    struct arena *a = s->r->arena;
    struct val *set = set_of(s), *now = val_copy(a, claim), *policy = json_path(set, "spec.persistentVolumeClaimRetentionPolicy");
    bool condemned = ordinal < s->start || ordinal >= s->start + s->n;
    bool with_set = str_is(json_str(policy, "whenDeleted"), "Delete"), with_pod = condemned && str_is(json_str(policy, "whenScaled"), "Delete");
    if (!policy)
        return 0;
    if (owns(claim, set) != (with_set && !with_pod))
        set_owner(a, now, set, with_set && !with_pod);
    if (pod && owns(claim, pod) != with_pod)
        set_owner(a, now, pod, with_pod);
    return ctl_update(s->r, CLAIMS, NULL, claim, now, NULL);
}

int keep_claims(struct stateful *s, int64_t ordinal, const struct val *pod)
{
    struct val *list = json_path(set_of(s), "spec.volumeClaimTemplates"), *claim;
    bool condemned = ordinal < s->start || ordinal >= s->start + s->n;
    int rc = 0;
    if (!val_is(list, VAL_ARR))
        return 0;
    val_each(t, list) {
        struct str name = claim_name(s, t, ordinal);
        rc = ctl_get(s->r, CLAIMS, meta_ns(set_of(s)), name, &claim);
        if (rc == 0 && !claim && !condemned) {
            rc = ctl_create(s->r, CLAIMS, meta_ns(set_of(s)), new_claim(s, t, name), &claim);
            ctl_event(s->r, set_of(s), rc < 0 ? "Warning" : "Normal", rc < 0 ? "FailedCreate" : "SuccessfulCreate",
                      "create Claim " STR_FMT " Pod " STR_FMT "-%lld in StatefulSet " STR_FMT " %s%s", STR_ARG(name), STR_ARG(meta_name(set_of(s))),
                      (long long)ordinal, STR_ARG(meta_name(set_of(s))), rc < 0 ? "failed error: " : "success", rc < 0 ? s->r->call->err.msg : "");
        }
        if (rc == 0 && claim)
            rc = own_claim(s, ordinal, pod, claim);
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* --- pods --- */

/* A volume of each claim, in place of one of that name. */
static void add_volumes(struct stateful *s, struct val *spec, int64_t ordinal)
{
    struct arena *a = s->r->arena;
    struct val *list = json_path(set_of(s), "spec.volumeClaimTemplates");
    if (!val_is(list, VAL_ARR) || !list->n)
        return;
    struct val *volumes = json_arr(a, spec, STR("volumes"));
    val_each(t, list) {
        for (struct val *v = volumes->first, *next; v; v = next) {
            next = v->next;
            if (str_eq(json_str(v, "name"), meta_name(t)))
                val_unlink(volumes, v);
        }
        struct val *v = val_push(volumes, val_new(a, VAL_OBJ));
        json_set_str(a, v, STR("name"), meta_name(t));
        json_set_str(a, json_obj(a, v, STR("persistentVolumeClaim")), STR("claimName"), claim_name(s, t, ordinal));
    }
}

int make_pod(struct stateful *s, int64_t ordinal, const struct val *revision)
{
    struct arena *a = s->r->arena;
    struct val *set = set_of(s);
    struct str name = str_of(arena_printf(a, STR_FMT "-%lld", STR_ARG(meta_name(set)), (long long)ordinal));
    struct val *pod = pod_of_template(s->r, set, history_template(&s->h, revision), name), *spec = json_obj(a, pod, STR("spec"));
    meta_set_label(a, pod, "statefulset.kubernetes.io/pod-name", name);
    meta_set_label(a, pod, "apps.kubernetes.io/pod-index", str_of(arena_printf(a, "%lld", (long long)ordinal)));
    meta_set_label(a, pod, REVISION_HASH, history_label(&s->h, revision));
    json_set_str(a, spec, STR("hostname"), name);
    if (json_str(set, "spec.serviceName").len)
        json_set_str(a, spec, STR("subdomain"), json_str(set, "spec.serviceName"));
    add_volumes(s, spec, ordinal);
    int rc = keep_claims(s, ordinal, NULL);
    if (rc < 0)
        return rc;
    rc = ctl_create(s->r, PODS, meta_ns(set), pod, &s->at[ordinal - s->start]);
    if (rc == -KL_FORBIDDEN && strstr(s->r->call->err.msg, "because it is being terminated")) {
        kl_err_init(&s->r->call->err);
        return 0;
    }
    if (rc < 0)
        ctl_event(s->r, set, "Warning", "FailedCreate", "create Pod " STR_FMT " in StatefulSet " STR_FMT " failed error: %s", STR_ARG(name),
                  STR_ARG(meta_name(set)), s->r->call->err.msg);
    else
        ctl_event(s->r, set, "Normal", "SuccessfulCreate", "create Pod " STR_FMT " in StatefulSet " STR_FMT " successful", STR_ARG(name),
                  STR_ARG(meta_name(set)));
    return rc;
}

int drop_pod(struct stateful *s, const struct val *pod)
{
    struct val *set = set_of(s);
    int rc = ctl_delete(s->r, PODS, pod, NULL);
    if (rc < 0)
        ctl_event(s->r, set, "Warning", "FailedDelete", "delete Pod " STR_FMT " in StatefulSet " STR_FMT " failed error: %s", STR_ARG(meta_name(pod)),
                  STR_ARG(meta_name(set)), s->r->call->err.msg);
    else
        ctl_event(s->r, set, "Normal", "SuccessfulDelete", "delete Pod " STR_FMT " in StatefulSet " STR_FMT " successful", STR_ARG(meta_name(pod)),
                  STR_ARG(meta_name(set)));
    return rc;
}
