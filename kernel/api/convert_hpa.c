/* convert_hpa.c - horizontal pod autoscalers of autoscaling/v1, which knows the CPU target alone: all else that v2 has is in annotations there, in upstream's form,
 * so that whoever reads and writes v1 loses nothing. */
#include "conversion.h"

#define ANNOTATION "autoscaling.alpha.kubernetes.io/"

static const char *const annotations[] = { ANNOTATION "metrics", ANNOTATION "current-metrics", ANNOTATION "behavior", ANNOTATION "conditions" };

/* Where the members of a metric's source are, in v2 and in v1. "@" stands for "target" in specs and "current" in status. */
static const struct {
    const char *source, *v2, *v1_spec, *v1_status;
} members[] = {
    { "object", "describedObject", "target", "target" }, { "object", "metric.name", "metricName", "metricName" }, { "object", "@.value", "targetValue", "currentValue" },
    { "object", "metric.selector", "selector", "selector" }, { "object", "@.averageValue", "averageValue", "averageValue" },
    { "pods", "metric.name", "metricName", "metricName" }, { "pods", "@.averageValue", "targetAverageValue", "currentAverageValue" }, { "pods", "metric.selector", "selector", "selector" },
    { "resource", "name", "name", "name" }, { "resource", "@.averageUtilization", "targetAverageUtilization", "currentAverageUtilization" },
    { "resource", "@.averageValue", "targetAverageValue", "currentAverageValue" },
    { "containerResource", "name", "name", "name" }, { "containerResource", "container", "container", "container" },
    { "containerResource", "@.averageUtilization", "targetAverageUtilization", "currentAverageUtilization" },
    { "containerResource", "@.averageValue", "targetAverageValue", "currentAverageValue" },
    { "external", "metric.name", "metricName", "metricName" }, { "external", "metric.selector", "metricSelector", "metricSelector" },
    { "external", "@.value", "targetValue", "currentValue" }, { "external", "@.averageValue", "targetAverageValue", "currentAverageValue" },
};

static const char *const sources[] = { "object", "pods", "resource", "containerResource", "external" };

static const char *v2_path(struct arena *a, const char *path, bool status)
{
    return path[0] != '@' ? path : arena_printf(a, "%s%s", status ? "current" : "target", path + 1);
}

static void set_path(struct arena *a, struct val *v, const char *path, const struct val *value)
{
    struct str rest = str_of(path), name = str_cut(&rest, '.');
    if (value)
        json_set(a, rest.at ? json_obj(a, v, name) : v, rest.at ? rest : name, val_copy(a, value));
}

/* What kind of target it is v1 does not say: it has the one or the other. */
static const char *target_type(const char *source, const struct val *v1)
{
    if (strcmp(source, "object") == 0)
        return json_get(v1, STR("averageValue")) ? "AverageValue" : "Value";
    if (strcmp(source, "external") == 0)
        return json_get(v1, STR("targetValue")) ? "Value" : "AverageValue";
    return json_get(v1, STR("targetAverageUtilization")) ? "Utilization" : "AverageValue";
}

static struct val *convert_metric(struct arena *a, const struct val *m, bool to_v2, bool status)
{
    struct val *out = val_new(a, VAL_OBJ);
    json_set_str(a, out, STR("type"), json_str(m, "type"));
    for (size_t s = 0; s < sizeof sources / sizeof *sources; s++) {
        const struct val *from = json_get(m, str_of(sources[s]));
        if (!val_is(from, VAL_OBJ))
            continue;
        struct val *to = json_obj(a, out, str_of(sources[s]));
        if (to_v2 && !status)
            json_set_str(a, json_obj(a, to, STR("target")), STR("type"), str_of(target_type(sources[s], from)));
        for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
            const char *v2 = v2_path(a, members[i].v2, status), *v1 = status ? members[i].v1_status : members[i].v1_spec;
            if (v2 && strcmp(members[i].source, sources[s]) == 0)
                set_path(a, to, to_v2 ? v2 : v1, json_path(from, to_v2 ? v1 : v2));
        }
    }
    return out;
}

/* Go's names of the behavior's members, which v1's annotation has. */
static const char *const names[][2] = {
    { "scaleUp", "ScaleUp" }, { "scaleDown", "ScaleDown" }, { "stabilizationWindowSeconds", "StabilizationWindowSeconds" }, { "selectPolicy", "SelectPolicy" }, { "policies", "Policies" },
    { "tolerance", "Tolerance" }, { "type", "Type" }, { "value", "Value" }, { "periodSeconds", "PeriodSeconds" },
};

static struct val *rename_behavior(struct arena *a, const struct val *v, bool to_v2)
{
    if (v->type < VAL_ARR)
        return val_copy(a, v);
    struct val *out = val_new(a, v->type);
    val_each(m, v) {
        if (v->type == VAL_ARR)
            val_push(out, rename_behavior(a, m, to_v2));
        for (size_t i = 0; i < sizeof names / sizeof *names && v->type == VAL_OBJ; i++)
            if (str_is(val_key(m), names[i][!to_v2 ? 0 : 1]) && !(to_v2 && m->type == VAL_NULL))
                json_set(a, out, str_of(names[i][!to_v2 ? 1 : 0]), rename_behavior(a, m, to_v2));
    }
    return out;
}

/* Go's structs show what is not there. */
static struct val *go_behavior(struct arena *a, const struct val *behavior)
{
    static const char *const directions[] = { "scaleUp", "scaleDown" }, *const rules[] = { "stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance" };
    struct val *out = val_new(a, VAL_OBJ);
    for (int i = 0; i < 2; i++) {
        const struct val *from = json_get(behavior, str_of(directions[i]));
        struct val *to = val_is(from, VAL_OBJ) ? json_obj(a, out, str_of(directions[i])) : NULL;
        if (!to)
            json_set(a, out, str_of(directions[i]), val_new(a, VAL_NULL));
        for (int k = 0; k < 4 && to; k++) {
            const struct val *m = json_get(from, str_of(rules[k]));
            json_set(a, to, str_of(rules[k]), m ? val_copy(a, m) : val_new(a, VAL_NULL));
        }
    }
    return rename_behavior(a, out, false);
}

static void annotate(struct arena *a, struct val *out, int which, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    json_write(&b, v);
    if (!b.failed)
        json_set_str(a, json_obj(a, json_obj(a, out, STR("metadata")), STR("annotations")), str_of(annotations[which]), arena_str(a, buf_str(&b)));
}

static struct val *annotation(struct arena *a, const struct val *v, int which)
{
    struct str text = val_str(json_get(json_path(v, "metadata.annotations"), str_of(annotations[which])));
    return text.len ? json_parse(a, text, NULL) : NULL;
}

static void drop_annotations(struct val *out)
{
    struct val *meta = json_get(out, STR("metadata")), *all = json_get(meta, STR("annotations"));
    bool any = false;
    for (size_t i = 0; i < sizeof annotations / sizeof *annotations && val_is(all, VAL_OBJ); i++)
        any |= json_del(all, str_of(annotations[i]));
    if (any && !all->n)
        json_del(meta, STR("annotations"));
}

static bool is_cpu(const struct val *m, const char *utilization)
{
    return str_is(json_str(m, "type"), "Resource") && str_is(json_str(m, "resource.name"), "cpu") && json_path(m, utilization);
}

/* A list of metrics as v1 spells them; those that v1 has a member for are left out. NULL: none. */
static struct val *v1_metrics(struct arena *a, const struct val *metrics, bool status)
{
    const struct schema_type *t = schema_type_by_name(status ? STR("io.k8s.api.autoscaling.v1.MetricStatus") : STR("io.k8s.api.autoscaling.v1.MetricSpec"));
    struct val *list = val_new(a, VAL_ARR);
    if (val_is(metrics, VAL_ARR))
        val_each(m, metrics)
            if (status || !is_cpu(m, "resource.target.averageUtilization"))
                val_push(list, object_encoded(a, t, convert_metric(a, m, false, status)));
    return list->n ? list : NULL;
}

static void to_v1(struct arena *a, struct val *out)
{
    struct val *spec = json_obj(a, out, STR("spec")), *status = json_get(out, STR("status")), *metrics = json_get(spec, STR("metrics")), *list;
    const struct val *current = json_get(status, STR("currentMetrics")), *conditions = json_get(status, STR("conditions")), *behavior = json_get(spec, STR("behavior"));
    drop_annotations(out);
    if (val_is(metrics, VAL_ARR))
        val_each(m, metrics)
            if (is_cpu(m, "resource.target.averageUtilization"))
                json_set_int(a, spec, STR("targetCPUUtilizationPercentage"), json_int(m, "resource.target.averageUtilization", 0));
    if (val_is(current, VAL_ARR))
        val_each(m, current)
            if (is_cpu(m, "resource.current.averageUtilization"))
                json_set_int(a, status, STR("currentCPUUtilizationPercentage"), json_int(m, "resource.current.averageUtilization", 0));
    if ((list = v1_metrics(a, metrics, false)))
        annotate(a, out, 0, list);
    if ((list = v1_metrics(a, current, true)))
        annotate(a, out, 1, list);
    if (val_is(behavior, VAL_OBJ))
        annotate(a, out, 2, go_behavior(a, behavior));
    if (val_is(conditions, VAL_ARR) && conditions->n)
        annotate(a, out, 3, conditions);
    json_del(spec, STR("metrics"));
    json_del(spec, STR("behavior"));
    json_del(status, STR("currentMetrics"));
    json_del(status, STR("conditions"));
}

static void take_metrics(struct arena *a, struct val *list, const struct val *v1, bool status)
{
    if (val_is(v1, VAL_ARR))
        val_each(m, v1) val_push(list, convert_metric(a, m, true, status));
}

static struct val *cpu_metric(struct arena *a, const char *part, const struct val *percent)
{
    struct val *m = val_new(a, VAL_OBJ), *r, *t;
    json_set_str(a, m, STR("type"), STR("Resource"));
    r = json_obj(a, m, STR("resource"));
    json_set_str(a, r, STR("name"), STR("cpu"));
    t = json_obj(a, r, str_of(part));
    if (strcmp(part, "target") == 0)
        json_set_str(a, t, STR("type"), STR("Utilization"));
    json_set(a, t, STR("averageUtilization"), val_copy(a, percent));
    return m;
}

static void to_v2(struct arena *a, struct val *out)
{
    struct val *spec = json_obj(a, out, STR("spec")), *status = json_get(out, STR("status"));
    struct val *metrics = val_new(a, VAL_ARR), *current = val_new(a, VAL_ARR), *kept;
    const struct val *target = json_get(spec, STR("targetCPUUtilizationPercentage")), *percent = json_get(status, STR("currentCPUUtilizationPercentage"));
    take_metrics(a, metrics, annotation(a, out, 0), false);
    if (target)
        val_push(metrics, cpu_metric(a, "target", target));
    if (metrics->n)
        json_set(a, spec, STR("metrics"), metrics);
    take_metrics(a, current, annotation(a, out, 1), true);
    if (!current->n && percent)
        val_push(current, cpu_metric(a, "current", percent));
    if (current->n)
        json_set(a, json_obj(a, out, STR("status")), STR("currentMetrics"), current);
    if (val_is(kept = annotation(a, out, 2), VAL_OBJ) && (kept = rename_behavior(a, kept, true))->n)
        json_set(a, spec, STR("behavior"), kept);
    if (val_is(kept = annotation(a, out, 3), VAL_ARR) && kept->n)
        json_set(a, json_obj(a, out, STR("status")), STR("conditions"), kept);
    drop_annotations(out);
    json_del(spec, STR("targetCPUUtilizationPercentage"));
    json_del(status, STR("currentCPUUtilizationPercentage"));
}

struct val *api_convert_hpa(struct arena *a, const struct val *v, bool v2)
{
    struct val *out = val_copy(a, v);
    if (!out)
        return NULL;
    if (v2)
        to_v2(a, out);
    else
        to_v1(a, out);
    return out;
}
