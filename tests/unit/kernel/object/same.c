/* Is a spec what it was? What is absent equals its zero, whether JSON shows that zero or leaves it out. */
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "object/object.h"

Test(same, of_a_definition)
{
    static const struct {
        const char *now, *old;
        bool same;
    } rows[] = {
        { "{\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":false}]}", "{\"versions\":[{\"name\":\"v1\",\"served\":true}]}", true },
        { "{\"versions\":[{\"name\":\"v1\",\"served\":true}]}", "{\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":false}]}", true },
        { "{\"versions\":[{\"name\":\"v1\",\"served\":true}]}", "{\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true}]}", false },
        { "{\"versions\":[{\"name\":\"v1\",\"served\":false}]}", "{\"versions\":[{\"name\":\"v1\"}]}", true },
        { "{\"versions\":[{\"name\":\"v1\",\"deprecated\":false}]}", "{\"versions\":[{\"name\":\"v1\"}]}", true },
        { "{\"versions\":[{\"name\":\"v1\",\"deprecationWarning\":\"\"}]}", "{\"versions\":[{\"name\":\"v1\"}]}", false },
        { "{\"names\":{\"plural\":\"a\",\"shortNames\":[]}}", "{\"names\":{\"plural\":\"a\"}}", true },
        { "{\"names\":{\"plural\":\"\"}}", "{\"names\":{}}", true },
    };
    const struct schema_kind *k = schema_resource_by_name(STR("apiextensions.k8s.io/customresourcedefinitions"));
    int at = schema_flat_find(k->type, STR("spec"), 0);
    cr_assert_geq(at, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct val *now = json_parse(a, str_of(rows[i].now), NULL), *old = json_parse(a, str_of(rows[i].old), NULL);
        for (int exact = 0; exact < (strstr(rows[i].now, "[]") ? 1 : 2); exact++)
            cr_expect_eq(object_same(k->type->flat[at], now, old, exact), rows[i].same, "%s, %s", rows[i].now, rows[i].old);
    }
}
