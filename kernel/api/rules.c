/* rules.c - x-kubernetes-validations around a write: rules of a definition are checked when it is written, and run on its objects. */
#include "crd.h"
#include "policy.h"

#include "cel/rules.h"
#include "object/custom.h"

static struct cel_rules *const none = (struct cel_rules *)&none;         /* a mark: it was looked, there are none */

/* The rules of a custom resource, compiled when they are first needed; they live as long as the schema. */
static const struct cel_rules *rules_of(const struct schema_kind *k)
{
    struct arena *a;
    void **slot = k->type->custom ? custom_schema_slot(k->type->custom, &a) : NULL;
    if (!slot)
        return NULL;
    if (!*slot) {
        struct cel_rules *r = cel_rules_new(a, custom_schema_tree(k->type->custom));
        *slot = r ? (void *)r : (void *)none;
    }
    return *slot == (void *)none ? NULL : *slot;
}

/* Causes after which rules would judge something that is not even of its type. */
static bool blocks(const struct object_causes *c)
{
    static const char *const reasons[] = { "FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid" };
    for (unsigned i = 0; i < c->n; i++)
        for (size_t r = 0; r < sizeof reasons / sizeof *reasons; r++)
            if (strcmp(c->at[i].reason, reasons[r]) == 0)
                return true;
    return false;
}

static void run_rules(struct api_op *op, const struct val *v, const struct val *old, struct object_causes *causes)
{
    const struct cel_rules *rules = rules_of(op->kind);
    if (!rules)
        return;
    if (blocks(causes))
        object_cause_add(causes, "FieldValueInvalid", "<nil>", "Invalid value: null: some validation rules were not checked because the object was "
                         "invalid; correct the existing errors to complete validation");
    else
        cel_rules_validate(rules, causes, v, old, op->warn, op->warn_ctx);
}

static const struct val *schema_of(const struct val *crd, struct str version)
{
    const struct val *versions = json_path(crd, "spec.versions");
    if (val_is(versions, VAL_ARR))
        val_each(v, versions)
            if (str_eq(json_str(v, "name"), version))
                return json_path(v, "schema.openAPIV3Schema");
    return NULL;
}

static void check_definition(struct api_op *op, const struct val *crd, const struct val *old, struct object_causes *causes)
{
    const struct val *versions = json_path(crd, "spec.versions");
    bool one = versions && custom_one_schema(versions);
    unsigned i = 0;
    val_each(v, versions) {
        const struct val *schema = json_path(v, "schema.openAPIV3Schema"), *was = schema_of(old, json_str(v, "name"));
        const char *field = one ? "spec.validation.openAPIV3Schema" : arena_printf(op->arena, "spec.versions[%u].schema.openAPIV3Schema", i);
        if (schema && !(was && val_equal(was, schema)))
            cel_rules_check(causes, schema, field);
        i++;
        if (one)
            break;
    }
}

static void check_devices(struct api_op *op, const struct val *v, const struct val *old, struct object_causes *causes)
{
    bool claim = strcmp(op->kind->kind, "ResourceClaim") == 0, template = strcmp(op->kind->kind, "ResourceClaimTemplate") == 0;
    if (op->subresource && claim && old)
        claim_check_status(op, v, old, causes);
    if (op->subresource)
        return;
    if (!old && (claim || template))
        claim_check_admin(op, claim ? json_get(v, STR("spec")) : json_path(v, "spec.spec"), causes);
    devices_check(op, v, causes);
}

void api_check_rules(struct api_op *op, const struct val *v, const struct val *old, struct object_causes *causes)
{
    if (op->kind->flags & K_CUSTOM)
        run_rules(op, v, old, causes);
    else if (!op->subresource && strcmp(op->kind->group, POLICY_GROUP) == 0)
        policy_check(op, v, old, causes);
    else if (strcmp(op->kind->group, "resource.k8s.io") == 0)
        check_devices(op, v, old, causes);
    else if (!causes->n && !op->subresource && strcmp(op->kind->resource, CRD_RESOURCE) == 0)
        check_definition(op, v, old, causes);
}
