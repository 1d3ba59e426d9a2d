/* pod_selectors.c - selectors of a new pod that name labels by their keys alone: with the values that the pod has. */
#include "api-internal.h"

static void merge(struct arena *a, const struct val *labels, struct val *term)
{
    struct val *selector = json_get(term, STR("labelSelector"));
    if (!val_is(selector, VAL_OBJ))
        return;                         /* none means nobody, whatever the labels */
    selector_add_keys(a, selector, json_get(term, STR("matchLabelKeys")), "In", labels);
    selector_add_keys(a, selector, json_get(term, STR("mismatchLabelKeys")), "NotIn", labels);
}

void api_pod_selectors(struct arena *a, struct val *pod)
{
    static const struct {
        const char *list, *term;
    } rows[] = {
        { "topologySpreadConstraints", NULL },
        { "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution", NULL },
        { "affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution", "podAffinityTerm" },
        { "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution", NULL },
        { "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution", "podAffinityTerm" },
    };
    const struct val *labels = json_path(pod, "metadata.labels"), *spec = json_get(pod, STR("spec"));
    if (!labels || !(json_get(spec, STR("affinity")) || json_get(spec, STR("topologySpreadConstraints"))))
        return;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct val *list = json_path(spec, rows[i].list);
        if (val_is(list, VAL_ARR))
            val_each(v, list) merge(a, labels, rows[i].term ? json_get(v, str_of(rows[i].term)) : v);
    }
}
