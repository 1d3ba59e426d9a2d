/* Tables and metadata of kinds that are stored in another form, or that ended. */
#include <criterion/criterion.h>

#include "api/api-internal.h"

static struct str text(struct arena *a, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    if (v)
        json_write(&b, v);
    return arena_str(a, buf_str(&b));
}

/* The only row of a table of that object. */
static struct str row(struct arena *a, const char *group, const char *version, const char *kind, const char *object, const char *include)
{
    const struct schema_kind *k = schema_kind_find(str_of(group), str_of(version), str_of(kind));
    struct val *v = json_parse(a, str_of(object), NULL), *t = api_table(a, k, false, STR("v1"));
    cr_assert(k && v);
    cr_assert_eq(api_table_row(a, t, k, v, str_of(include)), 0);
    return text(a, json_get(t, STR("rows"))->first);
}

Test(forms, an_autoscaler_of_v1_shows_what_is_stored)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct str s = row(a, "autoscaling", "v1", "HorizontalPodAutoscaler",
                       "{\"metadata\":{\"name\":\"x\",\"annotations\":{\"autoscaling.alpha.kubernetes.io/behavior\":\"{}\"}},"
                       "\"spec\":{\"maxReplicas\":3,\"targetCPUUtilizationPercentage\":50,\"scaleTargetRef\":{\"kind\":\"D\",\"name\":\"d\"}}}", "Metadata");
    cr_expect(memmem(s.at, s.len, "cpu: <unknown>/50%", 18) || memmem(s.at, s.len, "cpu: \\u003cunknown\\u003e/50%", 28), STR_FMT, STR_ARG(s));
    cr_expect(!memmem(s.at, s.len, "alpha", 5), STR_FMT, STR_ARG(s));
}

Test(forms, what_only_a_version_says_is_no_metadata)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    const struct schema_kind *k = schema_kind_find(STR("apps"), STR("v1"), STR("DaemonSet"));
    struct val *v = json_parse(a, STR("{\"metadata\":{\"name\":\"x\",\"annotations\":{\"deprecated.daemonset.template.generation\":\"1\"}}}"), NULL);
    cr_expect(str_is(text(a, json_get(api_partial(a, k, v, true, STR("v1")), STR("metadata"))), "{\"name\":\"x\"}"));
    v = json_parse(a, STR("{\"metadata\":{\"name\":\"x\",\"annotations\":{\"deprecated.daemonset.template.generation\":\"1\",\"a\":\"b\"}}}"), NULL);
    cr_expect(str_is(text(a, json_get(api_partial(a, k, v, true, STR("v1")), STR("metadata"))), "{\"name\":\"x\",\"annotations\":{\"a\":\"b\"}}"));
}

Test(forms, rows_of_pods_say_that_they_ended)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct str s = row(a, "", "v1", "Pod", "{\"metadata\":{\"name\":\"x\"},\"status\":{\"phase\":\"Failed\"}}", "None");
    #define WANT "\"conditions\":[{\"type\":\"Completed\",\"status\":\"True\",\"reason\":\"Failed\",\"message\":\"The pod failed.\"}],\"object\":null}"
    cr_expect(str_ends(s, STR(WANT)), STR_FMT, STR_ARG(s));
    s = row(a, "", "v1", "Pod", "{\"metadata\":{\"name\":\"x\"},\"status\":{\"phase\":\"Running\"}}", "None");
    cr_expect(!memmem(s.at, s.len, "conditions", 10), STR_FMT, STR_ARG(s));
}

Test(forms, sets_of_texts_are_sorted_and_come_once)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct str s = row(a, "", "v1", "Node", "{\"metadata\":{\"name\":\"x\",\"labels\":{\"node-role.kubernetes.io/worker\":\"\",\"node-role.kubernetes.io/control-plane\":\"\",\"kubernetes.io/role\":\"old\"}}}", "None");
    cr_expect(memmem(s.at, s.len, "\"control-plane,old,worker\"", 26), STR_FMT, STR_ARG(s));
    s = row(a, "", "v1", "Service",
            "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"type\":\"LoadBalancer\"},\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"2.2.2.2\"},{\"hostname\":\"h\"},{\"ip\":\"1.1.1.1\"},{\"ip\":\"2.2.2.2\"}]}}}",
            "None");
    cr_expect(memmem(s.at, s.len, "\"1.1.1.1,2.2.2.2,h\"", 19), STR_FMT, STR_ARG(s));
}
