/* What `kubectl get` shows of an object, cell by cell. */
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "object/object.h"

static void show(const char *resource, const char *json, const char *want)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    int64_t now = 0;
    clock_parse(STR("2026-01-02T00:00:00Z"), &now);
    struct val *v = json_parse(a, str_of(json), NULL);
    const struct schema_kind *k = schema_resource_by_name(str_of(resource));
    cr_assert(v && k, "%s", resource);
    struct val *cells = object_table_cells(a, k, v, now), *columns = object_table_columns(a, k);
    cr_assert_eq(cells->n, columns->n);
    val_each(c, cells) {
        buf_add_z(&b, b.len ? "|" : "");
        if (c->type == VAL_STR)
            buf_add_str(&b, val_str(c));
        else
            json_write(&b, c);
    }
    cr_expect_str_eq(b.at, want, "%s", resource);
}

Test(table, pods)
{
#define POD(spec, status) "{\"metadata\":{\"name\":\"p\",\"creationTimestamp\":\"2026-01-01T23:59:00Z\"},\"spec\":" spec ",\"status\":" status "}"
    show("/pods", POD("{\"containers\":[{\"name\":\"a\"}]}", "{\"phase\":\"Pending\"}"), "p|0/1|Pending|0|60s|<none>|<none>|<none>|<none>");
    show("/pods", POD("{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"nodeName\":\"n\"}",
                      "{\"phase\":\"Running\",\"podIP\":\"1.2.3.4\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],\"containerStatuses\":["
                      "{\"name\":\"a\",\"ready\":true,\"state\":{\"running\":{}},\"restartCount\":2,"
                      "\"lastState\":{\"terminated\":{\"finishedAt\":\"2026-01-01T23:00:00Z\"}}},"
                      "{\"name\":\"b\",\"state\":{\"terminated\":{\"reason\":\"Completed\",\"exitCode\":0}}}]}"),
         "p|1/2|Running|2 (60m ago)|60s|1.2.3.4|n|<none>|<none>");
    show("/pods", POD("{\"containers\":[{\"name\":\"a\"}]}",
                      "{\"phase\":\"Running\",\"containerStatuses\":[{\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},\"restartCount\":3}]}"),
         "p|0/1|CrashLoopBackOff|3|60s|<none>|<none>|<none>|<none>");
    show("/pods", POD("{\"containers\":[{\"name\":\"a\"}],\"initContainers\":[{\"name\":\"i\"},{\"name\":\"j\"}]}",
                      "{\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{\"terminated\":{\"exitCode\":0}}},"
                      "{\"name\":\"j\",\"state\":{\"running\":{}}}]}"),
         "p|0/1|Init:1/2|0|60s|<none>|<none>|<none>|<none>");
    /* A sidecar counts like a container. */
    show("/pods", POD("{\"containers\":[{\"name\":\"a\"}],\"initContainers\":[{\"name\":\"s\",\"restartPolicy\":\"Always\"}]}",
                      "{\"phase\":\"Running\",\"initContainerStatuses\":[{\"name\":\"s\",\"started\":true,\"ready\":true,\"state\":{\"running\":{}}}],"
                      "\"containerStatuses\":[{\"ready\":true,\"state\":{\"running\":{}}}]}"),
         "p|2/2|Running|0|60s|<none>|<none>|<none>|<none>");
    show("/pods", POD("{\"containers\":[{\"name\":\"a\"}]}",
                      "{\"phase\":\"Failed\",\"containerStatuses\":[{\"state\":{\"terminated\":{\"exitCode\":3}}}]}"),
         "p|0/1|ExitCode:3|0|60s|<none>|<none>|<none>|<none>");
}

Test(table, others)
{
    static const struct {
        const char *resource, *json, *cells;
    } rows[] = {
        { "/limitranges", "{\"metadata\":{\"name\":\"o\",\"creationTimestamp\":\"2026-01-01T23:59:00Z\"}}", "o|2026-01-01T23:59:00Z" },
        { "admissionregistration.k8s.io/mutatingwebhookconfigurations", "{\"metadata\":{\"name\":\"o\",\"creationTimestamp\":\"2026-01-01T23:59:00Z\"},\"webhooks\":[{},{}]}", "o|2|60s" },
        { "admissionregistration.k8s.io/validatingadmissionpolicies", "{\"metadata\":{\"name\":\"o\",\"creationTimestamp\":\"2026-01-01T23:59:00Z\"},\"spec\":{\"validations\":[{}],\"paramKind\":{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\"}}}", "o|1|v1/ConfigMap|60s" },
        { "admissionregistration.k8s.io/mutatingadmissionpolicies", "{\"metadata\":{\"name\":\"o\",\"creationTimestamp\":\"2026-01-01T23:59:00Z\"},\"spec\":{}}", "o|0|<unset>|60s" },
        { "admissionregistration.k8s.io/validatingadmissionpolicybindings", "{\"metadata\":{\"name\":\"o\",\"creationTimestamp\":\"2026-01-01T23:59:00Z\"},\"spec\":{\"policyName\":\"p\"}}", "o|p|<unset>|60s" },
        { "admissionregistration.k8s.io/validatingadmissionpolicybindings", "{\"metadata\":{\"name\":\"o\",\"creationTimestamp\":\"2026-01-01T23:59:00Z\"},\"spec\":{\"policyName\":\"p\",\"paramRef\":{\"name\":\"r\"}}}", "o|p|*/r|60s" },
        { "admissionregistration.k8s.io/validatingadmissionpolicybindings", "{\"metadata\":{\"name\":\"o\",\"creationTimestamp\":\"2026-01-01T23:59:00Z\"},\"spec\":{\"policyName\":\"p\",\"paramRef\":{\"name\":\"r\",\"namespace\":\"n\"}}}", "o|p|n/r|60s" },
        { "admissionregistration.k8s.io/validatingadmissionpolicybindings", "{\"metadata\":{\"name\":\"o\",\"creationTimestamp\":\"2026-01-01T23:59:00Z\"},\"spec\":{\"policyName\":\"p\",\"paramRef\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"},\"matchExpressions\":[{\"key\":\"k\",\"operator\":\"In\",\"values\":[\"x\",\"y\"]}]}}}}", "o|p|&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},},}|60s" },
        { "resource.k8s.io/resourceclaims", "{\"metadata\":{\"name\":\"o\",\"creationTimestamp\":\"2026-01-01T23:59:00Z\"},\"status\":{}}", "o|pending|60s" },
        { "resource.k8s.io/resourceclaims", "{\"metadata\":{\"name\":\"o\",\"creationTimestamp\":\"2026-01-01T23:59:00Z\"},\"status\":{\"allocation\":{}}}", "o|allocated|60s" },
        { "resource.k8s.io/resourceclaims", "{\"metadata\":{\"name\":\"o\",\"creationTimestamp\":\"2026-01-01T23:59:00Z\"},\"status\":{\"allocation\":{},\"reservedFor\":[{}]}}", "o|allocated,reserved|60s" },
        { "resource.k8s.io/resourceslices", "{\"metadata\":{\"name\":\"o\",\"creationTimestamp\":\"2026-01-01T23:59:00Z\"},\"spec\":{\"driver\":\"d\",\"nodeName\":\"n\",\"pool\":{\"name\":\"p\"}}}", "o|n|d|p|60s" },
        { "/componentstatuses", "{\"metadata\":{\"name\":\"o\",\"creationTimestamp\":\"2026-01-01T23:59:00Z\"},\"conditions\":[{\"type\":\"Healthy\",\"status\":\"True\",\"message\":\"ok\"}]}", "o|Healthy|ok|" },
        { "batch/jobs", "{\"metadata\":{\"name\":\"j\"},\"spec\":{\"completions\":3},\"status\":{\"succeeded\":1,"
          "\"startTime\":\"2026-01-01T23:59:50Z\"}}", "j|Running|1/3|10s|<unknown>|<none>|<none>|<none>" },
        { "batch/cronjobs", "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"schedule\":\"* * * * *\",\"suspend\":false}}",
          "c|* * * * *|<none>|False|0|<none>|<unknown>|<none>|<none>|<none>" },
        { "policy/poddisruptionbudgets", "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"minAvailable\":\"50%\"}}", "b|50%|N/A|0|<unknown>" },
        { "networking.k8s.io/ingresses", "{\"metadata\":{\"name\":\"i\"},\"spec\":{\"rules\":[{\"host\":\"a\"},{\"host\":\"b\"},{\"host\":\"c\"},"
          "{\"host\":\"d\"}],\"tls\":[{}]}}", "i|<none>|a,b,c + 1 more...||80, 443|<unknown>" },
        { "/endpoints", "{\"metadata\":{\"name\":\"e\"},\"subsets\":[{\"addresses\":[{\"ip\":\"1.1.1.1\"},{\"ip\":\"1.1.1.2\"}],"
          "\"ports\":[{\"port\":80},{\"port\":81}]}]}", "e|1.1.1.1:80,1.1.1.2:80,1.1.1.1:81 + 1 more...|<unknown>" },
        { "/resourcequotas", "{\"metadata\":{\"name\":\"q\"},\"status\":{\"hard\":{\"pods\":\"2\",\"limits.cpu\":\"1\",\"cpu\":\"3\"},"
          "\"used\":{\"pods\":\"1\"}}}", "q|cpu: 0/3, pods: 1/2|limits.cpu: 0/1|<unknown>" },
        { "/services", "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"type\":\"LoadBalancer\",\"clusterIP\":\"10.0.0.1\",\"ports\":[{\"port\":80,"
          "\"nodePort\":30080,\"protocol\":\"TCP\"}]}}", "s|LoadBalancer|10.0.0.1|<pending>|80:30080/TCP|<unknown>|<none>" },
        { "rbac.authorization.k8s.io/rolebindings", "{\"metadata\":{\"name\":\"r\"},\"roleRef\":{\"kind\":\"Role\",\"name\":\"x\"},\"subjects\":["
          "{\"kind\":\"User\",\"name\":\"bob\"},{\"kind\":\"ServiceAccount\",\"namespace\":\"n\",\"name\":\"sa\"}]}", "r|Role/x|<unknown>|bob||n/sa" },
        { "autoscaling/horizontalpodautoscalers", "{\"metadata\":{\"name\":\"h\"},\"spec\":{\"scaleTargetRef\":{\"kind\":\"Deployment\",\"name\":\"d\"},"
          "\"minReplicas\":1,\"maxReplicas\":3,\"metrics\":[{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"target\":{\"averageUtilization\":80}}}]}}",
          "h|Deployment/d|cpu: <unknown>/80%|1|3|0|<unknown>" },
        { "scheduling.k8s.io/priorityclasses", "{\"metadata\":{\"name\":\"p\"},\"value\":5,\"globalDefault\":true}", "p|5|true|<unknown>|" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        show(rows[i].resource, rows[i].json, rows[i].cells);
}
