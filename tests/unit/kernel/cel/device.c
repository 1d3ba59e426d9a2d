/* Selectors over one device: what they find, and what has no value. */
#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "cel/device.h"

static const char text[] =
    "{\"name\":\"d0\",\"allowMultipleAllocations\":true,\"attributes\":{\"model\":{\"string\":\"m1\"},\"cores\":{\"int\":8},\"fast\":{\"bool\":true},"
    "\"other.com/fw\":{\"version\":\"1.10.0\"}},\"capacity\":{\"memory\":{\"value\":\"16Gi\"},\"other.com/lanes\":{\"value\":\"4\"}}}";

Test(device, selectors)
{
    static const struct {
        const char *expression;
        int matches;
        const char *why;
    } rows[] = {
        { "device.driver == 'd.com'", 1, NULL },
        { "device.attributes['d.com'].model == 'm1' && device.attributes['d.com'].cores > 4", 1, NULL },
        { "device.attributes['d.com'].fast", 1, NULL },
        { "device.attributes['other.com'].fw.isGreaterThan(semver('1.9.9'))", 1, NULL },
        { "device.capacity['d.com'].memory.compareTo(quantity('10Gi')) > 0", 1, NULL },
        { "device.capacity['other.com'].lanes == quantity('4')", 1, NULL },
        { "device.allowMultipleAllocations", 1, NULL },
        { "'d.com' in device.attributes && !('none.com' in device.attributes)", 1, NULL },
        { "'model' in device.attributes['none.com'] || has(device.attributes['none.com'].model)", 0, NULL },
        { "device.attributes['none.com'].?model.orValue('x') == 'x'", 1, NULL },
        { "device.attributes.exists(d, d == 'other.com') && size(device.attributes) == 2", 1, NULL },
        { "device.attributes['d.com'].all(k, k != 'none') && size(device.capacity['none.com']) == 0", 1, NULL },
        { "cel.bind(d, device.attributes['d.com'], d.cores == 8 && d.fast)", 1, NULL },
        { "device.attributes['d.com'].none == 1", -1, "no such key: none" },
        { "device.attributes['d.com'].model", -1, "CEL result could not be converted to bool" },
    };
    _cleanup_arena_ struct arena *a = arena_new(0);
    const char *why = NULL;
    const struct cel_device *d = cel_device_new(a, STR("d.com"), json_parse(a, str_of(text), NULL), &why);
    cr_assert(d, "%s", why);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cel_program *p = cel_device_compile(a, str_of(rows[i].expression), &why);
        cr_assert(p, "%s: %s", rows[i].expression, why);
        why = NULL;
        cr_expect_eq(cel_device_matches(p, d, a, &why), rows[i].matches, "%s: %s", rows[i].expression, why ? why : "");
        cr_expect(!rows[i].why || (why && strcmp(why, rows[i].why) == 0), "%s: %s", rows[i].expression, why ? why : "");
    }
}

Test(device, what_is_none)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    const char *why = NULL;
    cr_expect(!cel_device_compile(a, STR("device.x"), &why) && why && str_starts(str_of(why), STR("compilation failed: ")), "%s", why);
    cr_expect(!cel_device_compile(a, STR("1"), &why) && why && strcmp(why, "must evaluate to bool or the unknown type, not int") == 0, "%s", why);
    cr_expect(!cel_device_new(a, STR("d.com"), json_parse(a, STR("{\"attributes\":{\"v\":{\"version\":\"1\"}}}"), NULL), &why));
    cr_expect(str_starts(str_of(why), STR("attribute v: ")), "%s", why);
}
