/* match.c - which volume is fit for a claim. */
#include "base/quantity.h"
#include "volumes.h"

struct str class_of(const struct val *v)
{
    struct str old = meta_annotation(v, CLASS_BETA);
    return old.len ? old : json_str(v, "spec.storageClassName");
}

bool bound_completely(const struct val *claim)
{
    return meta_annotation(claim, BIND_COMPLETED).at != NULL;
}

bool bound_to(const struct val *volume, const struct val *claim)
{
    const struct val *ref = json_path(volume, "spec.claimRef");
    struct str uid = json_str(ref, "uid");
    return ref && str_eq(json_str(ref, "name"), meta_name(claim)) && str_eq(json_str(ref, "namespace"), meta_ns(claim)) &&
           (!uid.len || str_eq(uid, meta_uid(claim)));
}

struct str volume_mode(const struct val *v)
{
    struct str mode = json_str(v, "spec.volumeMode");
    return mode.len ? mode : STR("Filesystem");
}

bool waits_for_consumer(const struct val *class)
{
    return str_is(json_str(class, "volumeBindingMode"), "WaitForFirstConsumer");
}

static int64_t capacity_of(const struct val *volume)
{
    return quantity_text_value(json_str(volume, "spec.capacity.storage"), 0);
}

static int64_t wanted_of(const struct val *claim)
{
    return quantity_text_value(json_str(claim, "spec.resources.requests.storage"), 0);
}

static bool has_mode(const struct val *list, struct str mode)
{
    if (val_is(list, VAL_ARR))
        val_each(m, list)
            if (str_eq(val_str(m), mode))
                return true;
    return false;
}

static bool has_modes(const struct val *volume, const struct val *claim)
{
    const struct val *want = json_path(claim, "spec.accessModes"), *has = json_path(volume, "spec.accessModes");
    if (val_is(want, VAL_ARR))
        val_each(m, want)
            if (!has_mode(has, val_str(m)))
                return false;
    return true;
}

/* What also a volume must be that the claim names itself. */
const char *why_not(const struct val *volume, const struct val *claim)
{
    if (capacity_of(volume) < wanted_of(claim))
        return "requested PV is too small";
    if (!str_eq(class_of(volume), class_of(claim)))
        return "storageClassName does not match";
    if (!str_eq(json_str(volume, "spec.volumeAttributesClassName"), json_str(claim, "spec.volumeAttributesClassName")))
        return "volumeAttributesClassName does not match";
    if (!str_eq(volume_mode(volume), volume_mode(claim)))
        return "incompatible volumeMode";
    if (!has_modes(volume, claim))
        return "incompatible accessMode";
    return NULL;
}

/* A volume that was made for this claim, or else the smallest free one that is large enough. later: the scheduler is to choose, only the former counts. */
struct val *best_volume(struct ctl_run *r, const struct val *claim, bool later, int *ret_rc)
{
    struct ctl_list list;
    struct val *best = NULL;
    const struct val *selector = json_path(claim, "spec.selector");
    *ret_rc = ctl_list(r, (struct kl_list_options){ .resource = VOLUMES }, &list);
    for (uint32_t i = 0; *ret_rc >= 0 && i < list.n; i++) {
        struct val *v = list.at[i];
        bool own = bound_to(v, claim);
        if ((json_path(v, "spec.claimRef") && !own) || meta_deleting(v) || !has_modes(v, claim) || capacity_of(v) < wanted_of(claim) ||
            !str_eq(volume_mode(v), volume_mode(claim)))
            continue;
        if (own)
            return v;
        if (later || !str_is(json_str(v, "status.phase"), "Available") || why_not(v, claim) ||
            (selector && !sel_matches(selector, json_path(v, "metadata.labels"))))
            continue;
        if (!best || capacity_of(v) < capacity_of(best))
            best = v;
    }
    return best;
}
