/* devices.c - what selectors of devices say, judged when a class or a claim is written: resource.k8s.io. */
#include "cel/cel.h"
#include "object/validate.h"
#include "policy.h"

#define EXPRESSION_MOST (10 << 10)

/* device: driver, attributes and capacity by domain and name, allowMultipleAllocations. */
static const struct cel_type text = { .kind = CEL_STRING }, truth = { .kind = CEL_BOOL }, any = { .kind = CEL_DYN }, quantity = { .kind = CEL_QUANTITY },
                             any_map = { .kind = CEL_MAP, .a = &text, .b = &any }, quantity_map = { .kind = CEL_MAP, .a = &text, .b = &quantity },
                             attributes = { .kind = CEL_MAP, .a = &text, .b = &any_map }, capacity = { .kind = CEL_MAP, .a = &text, .b = &quantity_map };
static const struct cel_field device_fields[] = {
    { "driver", "driver", &text }, { "attributes", "attributes", &attributes }, { "capacity", "capacity", &capacity },
    { "allowMultipleAllocations", "allowMultipleAllocations", &truth },
};
static const struct cel_type device = { .kind = CEL_STRUCT, .name = "kubernetes.DRADevice", .fields = device_fields, .n_fields = 4 };

static void check_expression(causes c, const struct path *p, struct str s)
{
    static const struct cel_var vars[] = { { "device", &device } };
    const char *why = NULL;
    if (s.len > EXPRESSION_MOST) {
        say_too_long(c, p, EXPRESSION_MOST, "bytes");
        return;
    }
    struct cel_program *program = cel_compile(c->arena, s, vars, 1, 0, &why);
    if (!program)
        say_invalid(c, p, s, words(c, "compilation failed: %s", why));
    else if (!cel_result_is(program, CEL_BOOL))
        say_invalid(c, p, s, words(c, "must evaluate to bool or the unknown type, not %s", cel_type_text(c->arena, cel_result(program))));
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
    const struct path *p = IN(NULL, "spec");
    struct str kind = str_of(op->kind->kind);
    if (str_is(kind, "DeviceClass"))
        check_selectors(c, p, json_get(v, STR("spec")));
    else if (str_is(kind, "ResourceClaim"))
        check_claim(c, p, json_get(v, STR("spec")));
    else if (str_is(kind, "ResourceClaimTemplate"))
        check_claim(c, IN(p, "spec"), json_path(v, "spec.spec"));
}
