/* What validation takes and refuses. */
#include "object/object.h"

#include <criterion/criterion.h>

#include "base/arena.h"
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
