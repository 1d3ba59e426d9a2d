/* devices.c - what selectors of devices say, judged when a class or a claim is written: resource.k8s.io. */
#include "cel/device.h"
#include "object/validate.h"
#include "policy.h"

static void check_expression(causes c, const struct path *p, struct str s)
{
    const char *why = NULL;
    struct cel_program *program = NULL;
    if (s.len > CEL_DEVICE_MOST)
        say_too_long(c, p, CEL_DEVICE_MOST, "bytes");
    else if (!(program = cel_device_compile(c->arena, s, &why)))
        say_invalid(c, p, s, why ? why : "out of memory");
    else if (cel_estimate(program).max > CEL_DEVICE_COST)
        say_forbidden(c, p, "too complex, exceeds cost limit");
}

static void check_selectors(causes c, const struct path *p, const struct val *of)
{
    LIST_EACH (s, at, json_get(of, STR("selectors")))
        if (json_get(s, STR("cel")))
            check_expression(c, IN(IN(ITEM(IN(p, "selectors"), at.i), "cel"), "expression"), json_str(s, "cel.expression"));
}

static void check_claim(causes c, const struct path *p, const struct val *spec)
{
    const struct path *requests = IN(IN(p, "devices"), "requests");
    LIST_EACH (r, at, json_path(spec, "devices.requests")) {
        check_selectors(c, IN(ITEM(requests, at.i), "exactly"), json_get(r, STR("exactly")));
        LIST_EACH (s, st, json_get(r, STR("firstAvailable")))
            check_selectors(c, ITEM(IN(ITEM(requests, at.i), "firstAvailable"), st.i), s);
    }
}

void devices_check(struct api_op *op, const struct val *v, struct object_causes *c)
{
    static const char *const request[] = { "name", "exactly.deviceClassName", "exactly.selectors", "", NULL };
    static const struct cause_section order[] = { { "spec.selectors", NULL }, { "spec.config", NULL }, { "spec.extendedResourceName", NULL }, { "spec.devices.requests", request },
                                                  { "spec.devices.constraints", NULL }, { "spec.devices.config", NULL }, { "spec.metadata", NULL }, { "spec.spec.devices.requests", request },
                                                  { "spec.spec.devices.constraints", NULL }, { "spec.spec.devices.config", NULL }, { NULL, NULL } };
    const struct path *p = IN(NULL, "spec");
    unsigned n = c->n;
    struct str kind = str_of(op->kind->kind);
    if (str_is(kind, "DeviceClass"))
        check_selectors(c, p, json_get(v, STR("spec")));
    else if (str_is(kind, "ResourceClaim"))
        check_claim(c, p, json_get(v, STR("spec")));
    else if (str_is(kind, "ResourceClaimTemplate"))
        check_claim(c, IN(p, "spec"), json_path(v, "spec.spec"));
    if (n && c->n > n)
        causes_order(c, order);
}
