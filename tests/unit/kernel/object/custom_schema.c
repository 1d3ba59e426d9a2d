/* What a definition's schema may say of metadata, which every object has anyway. */
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "object/custom.h"

Test(custom_schema, of_metadata_only_the_name)
{
    static const struct {
        const char *metadata;
        bool good;
    } rows[] = {
        { "{\"type\":\"object\"}", true },
        { "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":9}}}", true },
        { "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"generateName\":{\"type\":\"string\"}}}", true },
        { "{\"type\":\"object\",\"properties\":{\"labels\":{\"type\":\"object\"}}}", false },
        { "{\"type\":\"object\",\"description\":\"own words\"}", false },
        { "{\"type\":\"object\",\"required\":[\"name\"]}", false },
        { "{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true}", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_arena_ struct arena *a = arena_new(0);
        struct object_causes c = { .arena = a };
        struct val *schema = json_parse(a, str_of(arena_printf(a, "{\"type\":\"object\",\"properties\":{\"metadata\":%s}}", rows[i].metadata)), NULL);
        custom_schema_check(&c, schema, "spec.validation.openAPIV3Schema");
        cr_expect_eq(c.n == 0, rows[i].good, "%s: %u causes", rows[i].metadata, c.n);
        if (!rows[i].good && c.n)
            cr_expect_str_eq(c.at[0].field, "spec.validation.openAPIV3Schema.properties[metadata]");
    }
}
