/* validate_autoscaling.c - HorizontalPodAutoscalers, in both of their forms. */
#include "base/quantity.h"
#include "object/validate.h"

static const char *bad_version(causes c, struct str version, bool group_needed)
{
    long slash = str_find(version, '/');
    if (slash >= 0 && str_find(str_skip(version, (size_t)slash + 1), '/') >= 0)
        return words(c, "unexpected GroupVersion string: " STR_FMT, STR_ARG(version));
    return group_needed && slash <= 0 ? "apiVersion must specify API group" : NULL;
}

static void check_reference(causes c, const struct path *p, const struct val *r)
{
    static const char *const members[] = { "kind", "name" };
    for (int i = 0; i < 2; i++)
        if (check_required_str(c, IN(p, members[i]), json_str(r, members[i])))
            check_name(c, IN(p, members[i]), json_str(r, members[i]), G_PATH_SEGMENT);
}

static void check_positive_quantity(causes c, const struct path *p, const struct val *q)
{
    struct quantity n;
    if (q && quantity_parse(val_str(q), &n) && n.nano <= 0)
        say_invalid_val(c, p, q, "must be positive");
}

static void check_target(causes c, const struct path *p, const struct val *t)
{
    struct str type = json_str(t, "type");
    struct val *utilization = json_get(t, STR("averageUtilization"));
    if (!type.len)
        say_required(c, IN(p, "type"), "must specify a metric target type");
    if (!str_is(type, "Utilization") && !str_is(type, "Value") && !str_is(type, "AverageValue"))
        say_invalid(c, IN(p, "type"), type, "must be either Utilization, Value, or AverageValue");
    check_positive_quantity(c, IN(p, "value"), json_get(t, STR("value")));
    check_positive_quantity(c, IN(p, "averageValue"), json_get(t, STR("averageValue")));
    if (utilization && utilization->i < 1)
        say_invalid_int(c, IN(p, "averageUtilization"), utilization->i, "must be greater than 0");
}

static void check_metric_name(causes c, const struct path *p, const struct val *m)
{
    struct str name = json_str(m, "name");
    if (!name.len)
        say_required(c, IN(p, "name"), "must specify a metric name");
    else
        check_name(c, IN(p, "name"), name, G_PATH_SEGMENT);
}

/* --- sources --- */

static void object_source(causes c, const struct path *p, const struct val *s)
{
    struct val *t = json_get(s, STR("target"));
    check_reference(c, IN(p, "describedObject"), json_get(s, STR("describedObject")));
    check_metric_name(c, IN(p, "metric"), json_get(s, STR("metric")));
    check_target(c, IN(p, "target"), t);
    if (!json_get(t, STR("value")) && !json_get(t, STR("averageValue")))
        say_required(c, IN(IN(p, "target"), "averageValue"), "must set either a target value or averageValue");
}

static void external_source(causes c, const struct path *p, const struct val *s)
{
    struct val *t = json_get(s, STR("target"));
    bool value = json_get(t, STR("value")), average = json_get(t, STR("averageValue"));
    check_metric_name(c, IN(p, "metric"), json_get(s, STR("metric")));
    check_target(c, IN(p, "target"), t);
    if (!value && !average)
        say_required(c, IN(IN(p, "target"), "averageValue"), "must set either a target value for metric or a per-pod target");
    if (value && average)
        say_forbidden(c, IN(IN(p, "target"), "value"), "may not set both a target value for metric and a per-pod target");
}

static void pods_source(causes c, const struct path *p, const struct val *s)
{
    check_metric_name(c, IN(p, "metric"), json_get(s, STR("metric")));
    check_target(c, IN(p, "target"), json_get(s, STR("target")));
    if (!json_path(s, "target.averageValue"))
        say_required(c, IN(IN(p, "target"), "averageValue"), "must specify a positive target averageValue");
}

static void check_usage(causes c, const struct path *p, const struct val *s)
{
    struct val *t = json_get(s, STR("target"));
    bool utilization = json_get(t, STR("averageUtilization")), average = json_get(t, STR("averageValue"));
    check_target(c, IN(p, "target"), t);
    if (!utilization && !average)
        say_required(c, IN(IN(p, "target"), "averageUtilization"), "must set either a target raw value or a target utilization");
    if (utilization && average)
        say_forbidden(c, IN(IN(p, "target"), "averageValue"), "may not set both a target raw value and a target utilization");
}

static void resource_source(causes c, const struct path *p, const struct val *s)
{
    if (!json_str(s, "name").len)
        say_required(c, IN(p, "name"), "must specify a resource name");
    check_usage(c, p, s);
}

static void container_source(causes c, const struct path *p, const struct val *s)
{
    struct str name = json_str(s, "name"), container = json_str(s, "container");
    if (!name.len)
        say_required(c, IN(p, "name"), "must specify a resource name");
    else
        check_container_resource_name(c, IN(p, "name"), name);
    if (!container.len)
        say_required(c, IN(p, "container"), "must specify a container");
    else
        check_name(c, IN(p, "container"), container, G_LABEL);
    check_usage(c, p, s);
}

static const struct {
    const char *type, *member;
    void (*check)(causes c, const struct path *p, const struct val *s);
} sources[] = {
    { "Object", "object", object_source },     { "External", "external", external_source }, { "Pods", "pods", pods_source },
    { "Resource", "resource", resource_source }, { "ContainerResource", "containerResource", container_source },
};
#define N_SOURCES 5

static void check_metric(causes c, const struct path *p, const struct val *m)
{
    static const char *const types[] = { "ContainerResource", "External", "Object", "Pods", "Resource", NULL };
    struct str type = json_str(m, "type");
    unsigned n = 0;
    bool known = false;
    if (!type.len)
        say_required(c, IN(p, "type"), "must specify a metric source type");
    for (int i = 0; i < N_SOURCES; i++)
        known |= str_is(type, sources[i].type);
    if (!known)
        say_unsupported(c, IN(p, "type"), type, types);
    for (int i = 0; i < N_SOURCES; i++)
        if (json_get(m, str_of(sources[i].member)) && n++ == 0)
            sources[i].check(c, IN(p, sources[i].member), json_get(m, str_of(sources[i].member)));
    if (!known)                         /* once more, as upstream does */
        say_unsupported(c, IN(p, "type"), type, types);
    for (int i = 0; i < N_SOURCES; i++) {
        bool there = json_get(m, str_of(sources[i].member)) != NULL, wanted = str_is(type, sources[i].type);
        if (wanted && !there)
            say_required(c, IN(p, sources[i].member), "must populate information for the given metric source");
        if (!wanted && there && n != 1)
            say_forbidden(c, IN(p, sources[i].member), "must populate the given metric source only");
    }
}

/* Only what is measured without pods can say that some are wanted again. */
static bool from_elsewhere(const struct val *metrics)
{
    LIST_EACH (m, at, metrics)
        if (str_is(json_str(m, "type"), "Object") || str_is(json_str(m, "type"), "External"))
            return true;
    return false;
}

/* --- behaviour --- */

static void check_policy(causes c, const struct path *p, const struct val *x)
{
    static const char *const types[] = { "Percent", "Pods", NULL };
    int64_t value = json_int(x, "value", 0), period = json_int(x, "periodSeconds", 0);
    check_choice(c, IN(p, "type"), json_str(x, "type"), types);
    if (value <= 0)
        say_invalid_int(c, IN(p, "value"), value, "must be greater than zero");
    if (period <= 0)
        say_invalid_int(c, IN(p, "periodSeconds"), period, "must be greater than zero");
    if (period > 1800)
        say_invalid_int(c, IN(p, "periodSeconds"), period, "must be less than or equal to 1800");
}

static void check_rules(causes c, const struct path *p, const struct val *r)
{
    static const char *const picks[] = { "Disabled", "Max", "Min", NULL };
    struct val *window = json_get(r, STR("stabilizationWindowSeconds")), *policies = json_get(r, STR("policies"));
    if (!r)
        return;
    if (window && window->i < 0)
        say_invalid_int(c, IN(p, "stabilizationWindowSeconds"), window->i, "must be greater than or equal to zero");
    if (window && window->i > 3600)
        say_invalid_int(c, IN(p, "stabilizationWindowSeconds"), window->i, "must be less than or equal to 3600");
    if (json_get(r, STR("selectPolicy")))
        check_choice(c, IN(p, "selectPolicy"), json_str(r, "selectPolicy"), picks);
    if (!policies || !policies->n)
        say_required(c, IN(p, "policies"), "must specify at least one Policy");
    LIST_EACH (x, at, policies)
        check_policy(c, ITEM(IN(p, "policies"), at.i), x);
}

static void check_target_version(causes c, const struct path *p, const struct val *r, const struct val *was)
{
    struct str version = json_str(r, "apiVersion"), kind = json_str(r, "kind");
    const struct path *here = IN(p, "scaleTargetRef");
    check_reference(c, here, r);
    if (was && str_eq(version, json_str(was, "apiVersion")) && str_eq(kind, json_str(was, "kind")))
        return;
    const char *why = bad_version(c, version, !str_is(kind, "ReplicationController"));
    if (why)
        say_invalid(c, IN(here, "apiVersion"), version, why);
}

KIND_RULES(kind_autoscaler)
{
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *min = json_get(spec, STR("minReplicas")), *behavior = json_get(spec, STR("behavior"));
    struct val *v1 = json_get(spec, STR("targetCPUUtilizationPercentage"));       /* what autoscaling/v1 has; v2 knows it as a metric */
    int64_t max = json_int(spec, "maxReplicas", 0);
    if (min && min->i < 1)
        say_invalid_int(c, IN(p, "minReplicas"), min->i, "must be greater than or equal to 1");
    if (max == 0)
        say_required(c, IN(p, "maxReplicas"), "must be set and greater than 0");
    else if (max < 0)
        say_invalid_int(c, IN(p, "maxReplicas"), max, "must be greater than or equal to 1");
    if (min && max < min->i)
        say_invalid_int(c, IN(p, "maxReplicas"), max, "must be greater than or equal to `minReplicas`");
    check_target_version(c, p, json_get(spec, STR("scaleTargetRef")), json_path(old, "spec.scaleTargetRef"));
    LIST_EACH (m, at, json_get(spec, STR("metrics")))
        check_metric(c, ITEM(IN(p, "metrics"), at.i), m);
    if (min && min->i == 0 && !from_elsewhere(json_get(spec, STR("metrics"))))
        say_forbidden(c, IN(p, "metrics"), "must specify at least one Object or External metric to support scaling to zero replicas");
    if (v1 && v1->i < 1)
        say_invalid_int(c, IN(IN(IN(ITEM(IN(p, "metrics"), 0), "resource"), "target"), "averageUtilization"), v1->i, "must be greater than 0");
    check_rules(c, IN(IN(p, "behavior"), "scaleUp"), json_get(behavior, STR("scaleUp")));
    check_rules(c, IN(IN(p, "behavior"), "scaleDown"), json_get(behavior, STR("scaleDown")));
}
