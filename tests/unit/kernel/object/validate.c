/* What validation takes and refuses. */
#include "object/object.h"

#include <criterion/criterion.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "schema/schema.h"

static unsigned findings(struct arena *a, const char *resource, const char *text, struct object_causes *c)
{
    const struct schema_kind *k = schema_resource_by_name(str_of(resource));
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = object_decode_json(a, k->type, str_of(text), NULL, &err);
    cr_assert_not_null(v, "%s", err.msg);
    *c = (struct object_causes){ .arena = a };
    object_validate(k, "status", v, v, c);
    return c->n;
}

Test(validate, a_condition_may_have_no_message_but_needs_a_reason)
{
    struct arena *a = arena_new(0);
    struct object_causes c;
#define BUDGET(REASON) \
    "{\"apiVersion\":\"policy/v1\",\"kind\":\"PodDisruptionBudget\",\"metadata\":{\"name\":\"b\",\"namespace\":\"default\",\"resourceVersion\":\"1\"}," \
    "\"status\":{\"conditions\":[{\"type\":\"DisruptionAllowed\",\"status\":\"True\",\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"," \
    "\"reason\":\"" REASON "\",\"message\":\"\"}]}}"
    cr_expect_eq(findings(a, "policy/poddisruptionbudgets", BUDGET("SufficientPods"), &c), 0);
    cr_expect_eq(findings(a, "policy/poddisruptionbudgets", BUDGET(""), &c), 1);
    arena_free(a);
}

/* Each with each would be minutes. */
Test(validate, long_lists_cost_their_length, .timeout = 20)
{
    static const char *const members[] = { "ports", "volumeMounts", "env" };
    for (int k = 0; k < 3; k++) {
        struct arena *a = arena_new(0);
        _cleanup_buf_ struct buf b = BUF_INIT(0);
        buf_printf(&b, "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"%s\":[", members[k]);
        for (int i = 0; i < 20000; i++) {
            buf_add_z(&b, i ? "," : "");
            buf_printf(&b, k == 0 ? "{\"name\":\"p%d\",\"containerPort\":80,\"hostPort\":%d}" :
                           k == 1 ? "{\"name\":\"v%d\",\"mountPath\":\"/%d\"}" : "{\"name\":\"A%d\",\"value\":\"%d\"}", i, i);
        }
        buf_add_z(&b, "]}],\"volumes\":[");
        for (int i = 0; i < 20000; i++)
            buf_printf(&b, "%s{\"name\":\"v%d\",\"emptyDir\":{}}", i ? "," : "", i);
        buf_add_z(&b, "]}}");
        struct kl_err err;
        kl_err_init(&err);
        const struct schema_kind *kind = schema_resource_by_name(STR("/pods"));
        struct val *v = object_decode_json(a, kind->type, buf_str(&b), NULL, &err);
        cr_assert_not_null(v, "%s", err.msg);
        struct object_causes c = { .arena = a };
        object_default(a, kind, v);
        object_validate(kind, NULL, v, NULL, &c);
        for (unsigned i = 0; i < c.n; i++)
            cr_assert(strcmp(c.at[i].reason, "FieldValueDuplicate") != 0, "%s: %s", c.at[i].field, c.at[i].message);
        arena_free(a);
    }
}
