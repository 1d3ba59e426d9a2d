/* daemonset_fit.c - see daemonset.h. */
#include "daemonset.h"

/* --- node selector terms --- */

static bool holds(const struct val *e, const struct val *value)
{
    struct str op = json_str(e, "operator"), s = val_str(value);
    struct val *values = json_get(e, STR("values"));
    int64_t x, y;
    if (str_is(op, "Exists") || str_is(op, "DoesNotExist"))
        return (value != NULL) == str_is(op, "Exists");
    if (str_is(op, "In"))
        return value && json_lists(values, s);
    if (str_is(op, "NotIn"))
        return !value || !json_lists(values, s);
    if (!value || !val_is(values, VAL_ARR) || !values->n || !str_int(s, &x) || !str_int(val_str(values->first), &y))
        return false;
    return str_is(op, "Gt") ? x > y : str_is(op, "Lt") && x < y;
}

static bool term_matches(const struct val *term, const struct val *node)
{
    struct val *labels = json_get(term, STR("matchExpressions")), *fields = json_get(term, STR("matchFields"));
    bool any = false;
    if (val_is(labels, VAL_ARR))
        val_each(e, labels) {
            any = true;
            if (!holds(e, json_get(json_path(node, "metadata.labels"), json_str(e, "key"))))
                return false;
        }
    if (val_is(fields, VAL_ARR))
        val_each(e, fields) {
            any = true;
            if (!str_is(json_str(e, "key"), "metadata.name") || !holds(e, json_path(node, "metadata.name")))
                return false;
        }
    return any;                         /* an empty term matches nothing */
}

static bool wants_node(const struct val *spec, const struct val *node)
{
    struct val *selector = json_get(spec, STR("nodeSelector"));
    struct val *terms = json_path(spec, "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
    struct str name = json_str(spec, "nodeName");
    if (name.len && !str_eq(name, meta_name(node)))
        return false;
    if (selector && selector->n && !sel_map_matches(selector, json_path(node, "metadata.labels")))
        return false;
    if (!val_is(terms, VAL_ARR))
        return true;
    val_each(t, terms)
        if (term_matches(t, node))
            return true;
    return false;
}

/* --- taints --- */

static const struct {
    const char *key, *effect;
    bool host_network;                  /* only for pods on the node's network */
} borne[] = {
    { "node.kubernetes.io/not-ready", "NoExecute", false },
    { "node.kubernetes.io/unreachable", "NoExecute", false },
    { "node.kubernetes.io/disk-pressure", "NoSchedule", false },
    { "node.kubernetes.io/memory-pressure", "NoSchedule", false },
    { "node.kubernetes.io/pid-pressure", "NoSchedule", false },
    { "node.kubernetes.io/unschedulable", "NoSchedule", false },
    { "node.kubernetes.io/network-unavailable", "NoSchedule", true },
};

static bool tolerates(const struct val *t, const struct val *taint)
{
    struct str key = json_str(t, "key"), effect = json_str(t, "effect"), op = json_str(t, "operator");
    if ((effect.len && !str_eq(effect, json_str(taint, "effect"))) || (key.len && !str_eq(key, json_str(taint, "key"))))
        return false;
    return str_is(op, "Exists") || (key.len && str_eq(json_str(t, "value"), json_str(taint, "value")));
}

static bool tolerated(const struct val *spec, const struct val *taint)
{
    struct val *list = json_get(spec, STR("tolerations"));
    if (val_is(list, VAL_ARR))
        val_each(t, list)
            if (tolerates(t, taint))
                return true;
    return false;
}

struct fit daemon_fit(struct arena *a, const struct val *pod_template, const struct val *node)
{
    struct val *spec = json_get(daemon_template(a, pod_template, meta_name(node)), STR("spec")), *taints = json_path(node, "spec.taints");
    struct fit f = { true, true };
    if (!wants_node(json_get(pod_template, STR("spec")), node))
        return (struct fit){ false, false };
    if (val_is(taints, VAL_ARR))
        val_each(t, taints) {
            struct str effect = json_str(t, "effect");
            if (str_is(effect, "PreferNoSchedule") || tolerated(spec, t))
                continue;
            f.run = false;
            f.stay &= !str_is(effect, "NoExecute");
        }
    return f;
}

/* --- pods --- */

static void add_tolerations(struct arena *a, struct val *spec)
{
    struct val *list = json_arr(a, spec, STR("tolerations"));
    for (size_t i = 0; i < sizeof borne / sizeof *borne; i++) {
        if (borne[i].host_network && !json_bool(spec, "hostNetwork", false))
            continue;
        struct val *t = val_new(a, VAL_OBJ);
        json_set_str(a, t, STR("key"), str_of(borne[i].key));
        json_set_str(a, t, STR("operator"), STR("Exists"));
        json_set_str(a, t, STR("effect"), str_of(borne[i].effect));
        bool there = false;
        val_each(x, list) there |= val_equal(x, t);
        if (!there)
            val_push(list, t);
    }
}

/* One requirement, "the node of that name", in place of the terms: the controller has judged them. */
static void pin(struct arena *a, struct val *spec, struct str node)
{
    struct val *affinity = json_obj(a, json_obj(a, spec, STR("affinity")), STR("nodeAffinity"));
    struct val *required = val_new(a, VAL_OBJ), *term = val_push(json_arr(a, required, STR("nodeSelectorTerms")), val_new(a, VAL_OBJ));
    struct val *field = val_push(json_arr(a, term, STR("matchFields")), val_new(a, VAL_OBJ));
    json_set_str(a, field, STR("key"), STR("metadata.name"));
    json_set_str(a, field, STR("operator"), STR("In"));
    val_push(json_arr(a, field, STR("values")), val_of_str(a, node));
    json_set(a, affinity, STR("requiredDuringSchedulingIgnoredDuringExecution"), required);
}

struct val *daemon_template(struct arena *a, const struct val *pod_template, struct str node)
{
    struct val *t = val_copy(a, pod_template), *spec = json_obj(a, t, STR("spec"));
    add_tolerations(a, spec);
    pin(a, spec, node);
    return t;
}

struct str daemon_node(const struct val *pod)
{
    struct str name = json_str(pod, "spec.nodeName");
    struct val *terms = json_path(pod, "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
    if (name.len || !val_is(terms, VAL_ARR))
        return name;
    val_each(t, terms) {
        struct val *fields = json_get(t, STR("matchFields"));
        if (val_is(fields, VAL_ARR))
            val_each(f, fields) {
                struct val *values = json_get(f, STR("values"));
                if (str_is(json_str(f, "key"), "metadata.name") && val_is(values, VAL_ARR) && values->n)
                    return val_str(values->first);
            }
    }
    return STR_NONE;
}
