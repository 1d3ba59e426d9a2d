/* A horizontal pod autoscaler keeps all that it has when it is read and written by autoscaling/v1. */
#include <criterion/criterion.h>

#include "api/conversion.h"

static const char v2_text[] =
    "{\"metadata\":{\"name\":\"h\",\"annotations\":{\"a\":\"b\"}},\"spec\":{\"maxReplicas\":3,\"metrics\":["
    "{\"type\":\"Pods\",\"pods\":{\"metric\":{\"name\":\"m\"},\"target\":{\"type\":\"AverageValue\",\"averageValue\":\"1\"}}},"
    "{\"type\":\"Resource\",\"resource\":{\"name\":\"memory\",\"target\":{\"type\":\"Utilization\",\"averageUtilization\":70}}},"
    "{\"type\":\"External\",\"external\":{\"metric\":{\"name\":\"e\",\"selector\":{\"matchLabels\":{\"x\":\"y\"}}},\"target\":{\"type\":\"Value\",\"value\":\"5\"}}},"
    "{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"target\":{\"type\":\"Utilization\",\"averageUtilization\":50}}}],"
    "\"behavior\":{\"scaleUp\":{\"stabilizationWindowSeconds\":1,\"policies\":[{\"type\":\"Pods\",\"value\":1,\"periodSeconds\":10}]}}},"
    "\"status\":{\"desiredReplicas\":1,\"currentMetrics\":[{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"current\":{\"averageUtilization\":20,\"averageValue\":\"10m\"}}}],"
    "\"conditions\":[{\"type\":\"AbleToScale\",\"status\":\"True\"}]}}";

static const char *annotation(const struct val *v, struct arena *a, const char *name)
{
    struct str s = val_str(json_get(json_path(v, "metadata.annotations"), str_of(name)));
    return s.at ? arena_dup(a, s) : "";
}

Test(hpa, there_and_back)
{
    struct arena *a = arena_new(0);
    struct val *v2 = json_parse(a, str_of(v2_text), NULL), *v1 = api_convert_hpa(a, v2, false), *back = api_convert_hpa(a, v1, true);
    cr_expect_eq(json_int(v1, "spec.targetCPUUtilizationPercentage", 0), 50);
    cr_expect_eq(json_int(v1, "status.currentCPUUtilizationPercentage", 0), 20);
    cr_expect_null(json_path(v1, "spec.metrics"));
    cr_expect_null(json_path(v1, "spec.behavior"));
    cr_expect_str_eq(annotation(v1, a, "autoscaling.alpha.kubernetes.io/metrics"),
                     "[{\"type\":\"Pods\",\"pods\":{\"metricName\":\"m\",\"targetAverageValue\":\"1\"}},{\"type\":\"Resource\",\"resource\":{\"name\":\"memory\",\"targetAverageUtilization\":70}},"
                     "{\"type\":\"External\",\"external\":{\"metricName\":\"e\",\"metricSelector\":{\"matchLabels\":{\"x\":\"y\"}},\"targetValue\":\"5\"}}]");
    cr_expect_str_eq(annotation(v1, a, "autoscaling.alpha.kubernetes.io/behavior"),
                     "{\"ScaleUp\":{\"StabilizationWindowSeconds\":1,\"SelectPolicy\":null,\"Policies\":[{\"Type\":\"Pods\",\"Value\":1,\"PeriodSeconds\":10}],\"Tolerance\":null},\"ScaleDown\":null}");
    struct buf was = BUF_INIT(0), is = BUF_INIT(0);
    json_sort_all(a, v2);
    json_sort_all(a, back);
    json_write(&was, v2);
    json_write(&is, back);
    cr_expect_str_eq(is.at, was.at);
    buf_free(&was);
    buf_free(&is);
    arena_free(a);
}

Test(hpa, what_only_v1_says)
{
    struct arena *a = arena_new(0);
    struct val *v1 = json_parse(a, STR("{\"metadata\":{\"annotations\":{\"autoscaling.alpha.kubernetes.io/metrics\":\"no list\"}},\"spec\":{\"targetCPUUtilizationPercentage\":7}}"), NULL);
    struct val *v2 = api_convert_hpa(a, v1, true);
    cr_expect_eq(json_int(json_path(v2, "spec.metrics")->first, "resource.target.averageUtilization", 0), 7);
    cr_expect_null(json_path(v2, "metadata.annotations"));
    cr_expect_null(json_path(v2, "spec.targetCPUUtilizationPercentage"));
    arena_free(a);
}
