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

/* What they cost at most, as upstream's dynamic-resource-allocation/cel 0.36 works it out. */
Test(device, costs)
{
    static const struct {
        const char *expression;
        uint64_t most;
    } rows[] = {
        { "device.driver == \"x.example.com\"", 4 },
        { "device.attributes[\"x.example.com\"].model == \"a100\"", 5 },
        { "device.attributes[\"x.example.com\"].model.matches(\"^a[0-9]+$\")", 25 },
        { "device.capacity[\"x.example.com\"].memory.compareTo(quantity(\"40Gi\")) >= 0", 7 },
        { "device.attributes[\"x.example.com\"].version.compareTo(semver(\"1.2.3\")) > 0", 7 },
        { "device.attributes.all(d, device.attributes[d].all(k, k != \"x\"))", 5379 },
        { "device.attributes.exists(d, d.startsWith(\"x\")) && device.driver.contains(\"y\")", 204 },
        { "cel.bind(dra, device.attributes[\"dra.example.com\"], dra.oneBool && dra.anotherBool)", 17 },
        { "\"x.example.com\" in device.attributes && \"m\" in device.attributes[\"x.example.com\"]", 7 },
        { "device.attributes[\"x\"].a.matches(\"(a|b)*\") && device.attributes[\"x\"].b.matches(\"(a|b)*\")", 36 },
        { "device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, a != b && b != c)))", 694467 },
        { "device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, device.attributes.all(d, a + b == c + d))))", 48437443 },
        { "device.allowMultipleAllocations && size(device.driver) > 3", 6 },
        { "device.capacity[\"x\"].memory.isGreaterThan(device.capacity[\"y\"].memory)", 9 },
        { "device.capacity.all(d, device.capacity[d].all(k, device.capacity[d][k].isGreaterThan(quantity(\"1\"))))", 11523 },
        { "[1,2,3].all(x, x > size(device.driver))", 35 },
        { "device.attributes[\"x\"][device.driver] == \"y\"", 7 },
        { "device.attributes[device.driver].model == device.driver", 15 },
    };
    _cleanup_arena_ struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *why = NULL;
        struct cel_program *p = cel_device_compile(a, str_of(rows[i].expression), &why);
        cr_assert(p, "%s: %s", rows[i].expression, why);
        cr_expect_eq(cel_estimate(p).max, rows[i].most, "%s costs %llu", rows[i].expression, (unsigned long long)cel_estimate(p).max);
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
