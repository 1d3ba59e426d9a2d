/* nodes.c - see nodes.h. */
#include "nodes.h"

/* --- taints --- */

static const struct wanted_taint {
    const char *key, *effect;
    const char *condition, *status;     /* NULL: spec.unschedulable */
} wanted_taints[] = {
    { NOT_READY, "NoSchedule", "Ready", "False" },
    { NOT_READY, "NoExecute", "Ready", "False" },
    { UNREACHABLE, "NoSchedule", "Ready", "Unknown" },
    { UNREACHABLE, "NoExecute", "Ready", "Unknown" },
    { "node.kubernetes.io/memory-pressure", "NoSchedule", "MemoryPressure", "True" },
    { "node.kubernetes.io/disk-pressure", "NoSchedule", "DiskPressure", "True" },
    { "node.kubernetes.io/pid-pressure", "NoSchedule", "PIDPressure", "True" },
    { "node.kubernetes.io/network-unavailable", "NoSchedule", "NetworkUnavailable", "True" },
    { "node.kubernetes.io/unschedulable", "NoSchedule", NULL, NULL },
};
#define N_TAINTS (sizeof wanted_taints / sizeof *wanted_taints)

static bool asked_for(const struct val *node, const struct wanted_taint *w)
{
    return w->condition ? cond_is(node, w->condition, w->status) : json_bool(node, "spec.unschedulable", false);
}

static int index_of(const struct val *taint)
{
    for (size_t i = 0; i < N_TAINTS; i++)
        if (str_is(json_str(taint, "key"), wanted_taints[i].key) && str_is(json_str(taint, "effect"), wanted_taints[i].effect))
            return (int)i;
    return -1;
}

struct val *node_taints(struct arena *a, const struct val *node, struct str now)
{
    struct val *out = val_new(a, VAL_ARR), *have = json_path(node, "spec.taints");
    bool there[N_TAINTS] = { false };
    if (val_is(have, VAL_ARR))
        val_each(t, have) {
            int i = index_of(t);
            if (i >= 0 && !asked_for(node, &wanted_taints[i]))
                continue;
            if (i >= 0)
                there[i] = true;
            val_push(out, val_copy(a, t));
        }
    for (size_t i = 0; i < N_TAINTS; i++) {
        if (there[i] || !asked_for(node, &wanted_taints[i]))
            continue;
        struct val *t = val_push(out, val_new(a, VAL_OBJ));
        json_set_str(a, t, STR("key"), str_of(wanted_taints[i].key));
        json_set_str(a, t, STR("effect"), str_of(wanted_taints[i].effect));
        json_set_str(a, t, STR("timeAdded"), now);
    }
    return out;
}

static bool tolerates(const struct val *t, const struct val *taint)
{
    struct str key = json_str(t, "key"), effect = json_str(t, "effect"), op = json_str(t, "operator");
    if (effect.len && !str_eq(effect, json_str(taint, "effect")))
        return false;
    if (key.len && !str_eq(key, json_str(taint, "key")))
        return false;
    return str_is(op, "Exists") || (key.len && str_eq(json_str(t, "value"), json_str(taint, "value")));
}

int64_t pod_bears_until(const struct val *pod, const struct val *taints)
{
    int64_t until = INT64_MAX, created = meta_time(pod, "metadata.creationTimestamp");
    struct val *list = json_path(pod, "spec.tolerations");
    if (!val_is(taints, VAL_ARR))
        return until;
    val_each(taint, taints) {
        bool borne = false;
        if (!str_is(json_str(taint, "effect"), "NoExecute"))
            continue;
        if (val_is(list, VAL_ARR))
            val_each(t, list) {
                struct val *seconds = json_get(t, STR("tolerationSeconds"));
                if (!tolerates(t, taint))
                    continue;
                borne = true;
                int64_t added = meta_time(taint, "timeAdded"), end = (added > created ? added : created) + (val_is(seconds, VAL_INT) && seconds->i > 0 ? seconds->i : 0) * NS_S;
                if (val_is(seconds, VAL_INT) && end < until)
                    until = end;
            }
        if (!borne)
            return 0;
    }
    return until;
}

/* --- addresses --- */

static bool parse_cidr(const char *text, uint32_t *ret, unsigned *ret_bits)
{
    unsigned b[4], bits;
    char rest;
    if (sscanf(text, "%3u.%3u.%3u.%3u/%2u%c", &b[0], &b[1], &b[2], &b[3], &bits, &rest) != 5 || bits > 32)
        return false;
    for (int i = 0; i < 4; i++)
        if (b[i] > 255)
            return false;
    *ret = b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
    *ret_bits = bits;
    return true;
}

const char *cidr_allocate(struct arena *a, const char *cidr, unsigned mask, const struct str *used, uint32_t n_used)
{
    uint32_t base, at, n;
    unsigned bits, its;
    if (!cidr || !parse_cidr(cidr, &base, &bits) || mask < bits || mask > 32 || mask - bits > 16)
        return NULL;
    n = 1u << (mask - bits);
    bool *taken = arena_alloc(a, n);
    for (uint32_t i = 0; taken && i < n_used; i++) {
        char *text = arena_dup(a, used[i]);
        if (!text || !parse_cidr(text, &at, &its) || at < base)
            continue;
        uint32_t first = (at - base) >> (32 - mask), many = its < mask ? 1u << (mask - its) : 1;
        for (uint32_t k = first; k < n && k - first < many; k++)
            taken[k] = true;
    }
    for (uint32_t i = 0; taken && i < n; i++)
        if (!taken[i]) {
            at = base + (i << (32 - mask));
            return arena_printf(a, "%u.%u.%u.%u/%u", at >> 24, at >> 16 & 255, at >> 8 & 255, at & 255, mask);
        }
    return NULL;
}

/* --- pods --- */

int pods_on_node(struct ctl_run *r, struct str node, struct ctl_list *ret)
{
    return ctl_list(r, (struct kl_list_options){ .resource = PODS, .field_selector = arena_printf(r->arena, "spec.nodeName=" STR_FMT, STR_ARG(node)) },
                    ret);
}

int pod_set_condition(struct ctl_run *r, struct val **pod, const char *type, const char *status, const char *reason, const char *message)
{
    struct arena *a = r->arena;
    struct val *now = val_copy(a, *pod), *list = json_arr(a, json_obj(a, now, STR("status")), STR("conditions")), *c = cond_find(list, type);
    if (c && str_is(json_str(c, "status"), status))
        return 0;
    if (!c) {
        c = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, c, STR("type"), str_of(type));
    }
    json_set_str(a, c, STR("status"), str_of(status));
    json_set_str(a, c, STR("lastTransitionTime"), ctl_now(r));
    if (reason)
        json_set_str(a, c, STR("reason"), str_of(reason));
    if (message)
        json_set_str(a, c, STR("message"), str_of(message));
    return ctl_update(r, PODS, "status", *pod, now, pod);
}
