/* qos.c - a pod's class of service: what its containers (or the pod itself) want and may have of CPU and memory. */
#include "base/quantity.h"
#include "object/object.h"

static const char *const names[] = { "cpu", "memory" };

struct amounts {
    struct quantity at[2];
    bool some[2];
};

/* Adds what is more than nothing; true when both were there. */
static bool add(struct amounts *sum, const struct val *list)
{
    unsigned found = 0;
    for (int i = 0; i < 2; i++) {
        const struct val *v = json_get(list, str_of(names[i]));
        struct quantity q;
        if (val_is(v, VAL_INT))
            q = quantity_of(v->i, QUANTITY_DECIMAL);
        else if (!quantity_parse(val_str(v), &q))
            continue;
        if (q.nano <= 0)
            continue;
        sum->at[i] = sum->some[i] ? quantity_add(sum->at[i], q) : q;
        sum->some[i] = true;
        found++;
    }
    return found == 2;
}

static bool is_same(const struct amounts *requests, const struct amounts *limits)
{
    for (int i = 0; i < 2; i++)
        if (requests->some[i] != limits->some[i] || (limits->some[i] && quantity_cmp(requests->at[i], limits->at[i]) != 0))
            return false;
    return true;
}

const char *object_qos(const struct val *spec)
{
    static const char *const lists[] = { "containers", "initContainers" };
    struct amounts requests = { 0 }, limits = { 0 };
    const struct val *own = json_get(spec, STR("resources"));
    bool all = true;
    if (own) {
        add(&requests, json_get(own, STR("requests")));
        all = add(&limits, json_get(own, STR("limits")));
    }
    for (int l = 0; l < 2 && !own; l++) {
        const struct val *list = json_get(spec, str_of(lists[l]));
        for (const struct val *x = val_is(list, VAL_ARR) ? list->first : NULL; x; x = x->next) {
            add(&requests, json_path(x, "resources.requests"));
            all &= add(&limits, json_path(x, "resources.limits"));
        }
    }
    if (!requests.some[0] && !requests.some[1] && !limits.some[0] && !limits.some[1])
        return "BestEffort";
    return all && is_same(&requests, &limits) ? "Guaranteed" : "Burstable";
}
