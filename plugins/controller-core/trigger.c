/* trigger.c - when what is new about a Service's endpoints came to be: the annotation that latencies are measured by. What was known at the last
 * look lives in this instance alone, as upstream's does; what is not known yet is as new as the Service. */
#include "slices.h"

void trigger_look(struct endpoint_pod *known, const struct val *pod, int64_t *earliest)
{
    struct val *c = cond_find(json_path(pod, "status.conditions"), "Ready");
    int64_t at = c ? meta_time(c, "lastTransitionTime") : 0;
    if (at && (!known->ready_at || known->ready_at < at) && (!*earliest || at < *earliest))
        *earliest = at;
    known->ready_at = at;
}

struct str trigger_time(struct ctl_run *r, const struct val *service, const struct crowd *c, int64_t earliest)
{
    char text[CLOCK_TEXT];
    int64_t at = c->known ? earliest : meta_time(service, "metadata.creationTimestamp");
    if (!at)
        return STR_NONE;
    clock_format(at, text);
    return arena_str(r->arena, str_of(text));
}
