/* pods.c - see pods.h. */
#include "pods.h"

#include <stdlib.h>

#include "meta.h"

bool pod_finished(const struct val *pod)
{
    struct str phase = json_str(pod, "status.phase");
    return str_is(phase, "Succeeded") || str_is(phase, "Failed");
}

bool pod_active(const struct val *pod)
{
    return !meta_deleting(pod) && !pod_finished(pod);
}

bool pod_ready(const struct val *pod)
{
    return cond_is(pod, "Ready", "True");
}

bool ready_for(int64_t since_ns, int64_t min_ready_s, int64_t now_ns, int64_t *ret_wait_ns)
{
    int64_t left = since_ns + min_ready_s * NS_S - now_ns;
    if (min_ready_s <= 0 || (since_ns && left <= 0))
        return true;
    if (since_ns && ret_wait_ns && (!*ret_wait_ns || left < *ret_wait_ns))
        *ret_wait_ns = left;
    return false;
}

bool pod_available(const struct val *pod, int64_t min_ready_s, int64_t now_ns, int64_t *ret_wait_ns)
{
    struct val *c = cond_find(json_path(pod, "status.conditions"), "Ready");
    return c && str_is(json_str(c, "status"), "True") && ready_for(meta_time(c, "lastTransitionTime"), min_ready_s, now_ns, ret_wait_ns);
}

struct val *pod_of_template(struct ctl_run *r, const struct val *owner, const struct val *template_, struct str name)
{
    static const char *const kept[] = { "labels", "annotations", "finalizers" };
    struct arena *a = r->arena;
    struct val *pod = val_new(a, VAL_OBJ), *meta = json_obj(a, pod, STR("metadata"));
    if (name.len) {
        json_set_str(a, meta, STR("name"), name);
    } else {
        char *base = arena_printf(a, STR_FMT "-", STR_ARG(meta_name(owner)));
        json_set_str(a, meta, STR("generateName"), str_of(base));
    }
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        struct val *v = json_get(json_get(template_, STR("metadata")), str_of(kept[i]));
        if (v)
            json_set(a, meta, str_of(kept[i]), val_copy(a, v));
    }
    val_push(json_arr(a, meta, STR("ownerReferences")), meta_owner_ref(a, owner));
    json_set(a, pod, STR("spec"), val_copy(a, json_get(template_, STR("spec"))));
    return pod;
}
