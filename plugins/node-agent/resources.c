/* resources.c - requests and limits as cgroup numbers, QoS classes and their cgroup folders. */
#include "agent.h"

#include "base/quantity.h"

#define PERIOD_US 100000

int64_t resources_amount(const struct val *resources, const char *list, const char *name, bool milli)
{
    const struct val *v = json_get(json_get(resources, str_of(list)), str_of(name));
    struct str s = val_str(v);
    if (!s.at) {
        if (!val_is(v, VAL_INT))
            return -1;
        return milli ? v->i * 1000 : v->i;
    }
    return milli ? quantity_text_milli(s, -1) : quantity_text_value(s, -1);
}


static void scan(const struct val *list, bool *any, bool *all)
{
    static const char *const names[] = { "cpu", "memory" };
    if (!val_is(list, VAL_ARR))
        return;
    val_each(k, list)
        for (size_t i = 0; i < 2; i++) {
            const struct val *r = json_get(k, STR("resources"));
            int64_t want = resources_amount(r, "requests", names[i], true), most = resources_amount(r, "limits", names[i], true);
            if (want > 0 || most > 0)
                *any = true;
            if (most <= 0 || (want >= 0 && want != most))
                *all = false;
        }
}

const char *resources_qos(const struct val *pod)
{
    struct str said = json_str(pod, "status.qosClass");
    static const char *const classes[] = { "Guaranteed", "Burstable", "BestEffort" };
    for (size_t i = 0; i < 3; i++)
        if (str_is(said, classes[i]))
            return classes[i];
    bool any = false, all = true;
    scan(json_path(pod, "spec.containers"), &any, &all);
    scan(json_path(pod, "spec.initContainers"), &any, &all);
    return !any ? "BestEffort" : all ? "Guaranteed" : "Burstable";
}

char *resources_cgroup(struct arena *a, const struct pod_view *v)
{
    const char *qos = resources_qos(v->pod);
    const char *level = *qos == 'G' ? "" : strcmp(qos, "Burstable") == 0 ? "burstable/" : "besteffort/";
    return arena_printf(a, "kubepods/%spod" STR_FMT, level, STR_ARG(v->uid));
}

int64_t resources_node_memory(void)
{
    return (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
}

static int64_t shares(int64_t mcpu)
{
    int64_t n = mcpu > 0 ? mcpu * 1024 / 1000 : 2;
    return n < 2 ? 2 : n > 262144 ? 262144 : n;
}

static int64_t quota(int64_t mcpu)
{
    int64_t us = mcpu * PERIOD_US / 1000;
    return us < 1000 ? 1000 : us;
}

static int64_t oom_score(const struct pod_view *v, int64_t memory)
{
    const char *qos = resources_qos(v->pod);
    if (*qos == 'G' || str_is(json_str(v->spec, "priorityClassName"), "system-node-critical"))
        return -997;
    if (strcmp(qos, "BestEffort") == 0)
        return 1000;
    int64_t node = resources_node_memory(), score = node > 0 ? 1000 - (int64_t)((__int128)1000 * (memory > 0 ? memory : 0) / node) : 999;
    return score < 3 ? 3 : score > 999 ? 999 : score;
}

static void put(struct arena *a, struct val *o, int64_t want_mcpu, int64_t most_mcpu, int64_t memory)
{
    set_i(a, o, "cpuShares", shares(want_mcpu >= 0 ? want_mcpu : most_mcpu));
    if (most_mcpu > 0) {
        set_i(a, o, "cpuQuota", quota(most_mcpu));
        set_i(a, o, "cpuPeriod", PERIOD_US);
    }
    if (memory > 0)
        set_i(a, o, "memoryLimitInBytes", memory);
}

struct val *resources_of(struct arena *a, const struct pod_view *v, const struct ctr *k)
{
    struct val *o = val_new(a, VAL_OBJ);
    const struct val *r = k->resources;
    put(a, o, resources_amount(r, "requests", "cpu", true), resources_amount(r, "limits", "cpu", true), resources_amount(r, "limits", "memory", false));
    set_i(a, o, "oomScoreAdj", oom_score(v, resources_amount(r, "requests", "memory", false)));
    return o;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Of the pod: what it says itself, else sums, and what its runtime class costs; a limit only when every container has one (init containers count by their largest). both: what it has and what it is to have, whichever
 * is more. */
struct val *resources_of_pod(struct arena *a, const struct pod_view *v, bool both)
{
    static const struct {
        const char *list, *name;
    } parts[3] = { { "requests", "cpu" }, { "limits", "cpu" }, { "limits", "memory" } };
    int64_t sum[3] = { 0, 0, 0 }, most[3] = { 0, 0, 0 };
    bool limited[3] = { true, true, true };
    for (size_t i = 0; i < v->n; i++) {
        const struct ctr *k = &v->ctrs[i];
        if (k->kind == CTR_EPHEMERAL)
            continue;                       /* lives off what the others have */
        const struct val *r = k->resources, *has = both && k->actual ? k->actual : r;
        int64_t got[3];
        for (int j = 0; j < 3; j++)
            got[j] = larger(resources_amount(r, parts[j].list, parts[j].name, j < 2), resources_amount(has, parts[j].list, parts[j].name, j < 2));
        for (int j = 0; j < 3; j++) {
            limited[j] = limited[j] && got[j] > 0;
            if (k->kind == CTR_INIT)
                most[j] = got[j] > most[j] ? got[j] : most[j];
            else if (got[j] > 0)
                sum[j] += got[j];
        }
    }
    const struct val *own = json_get(v->spec, STR("resources")), *overhead = json_get(v->spec, STR("overhead"));
    for (int j = 0; j < 3; j++) {
        int64_t whole = resources_amount(own, parts[j].list, parts[j].name, j < 2);
        struct str more = json_str(overhead, parts[j].name);
        sum[j] = whole > 0 ? whole : larger(most[j], sum[j]);
        limited[j] |= whole > 0;
        if (more.len && (j == 0 || limited[j]))
            sum[j] += j < 2 ? quantity_text_milli(more, 0) : quantity_text_value(more, 0);
    }
    struct val *o = val_new(a, VAL_OBJ);
    put(a, o, sum[0], limited[1] ? sum[1] : -1, limited[2] ? sum[2] : -1);
    return o;
}
