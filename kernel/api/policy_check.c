/* policy_check.c - policies and bindings when they are written: expressions that are none, and what must be there. And what type checking says
 * of a policy whose rules name kinds that are known: warnings in its status. */
#include "policy.h"

#include "object/validate.h"

static void expression_cause(struct object_causes *c, const char *field, const struct expression *e)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    if (!str_trim(e->text).len) {
        object_cause_add(c, "FieldValueRequired", field, "Required value: expression is not specified");
        return;
    }
    if (e->program)
        return;
    json_write_str(&b, e->text);
    object_cause_add(c, "FieldValueInvalid", field, "Invalid value: %s: %s", b.at ? b.at : "\"\"", e->why ? e->why : "out of memory");
}

static void each(struct object_causes *c, const struct expression *list, unsigned n, const char *member, const char *text)
{
    for (unsigned i = 0; i < n; i++)
        expression_cause(c, arena_printf(c->arena, "spec.%s[%u].%s", member, i, text), &list[i]);
}

static void check_policy(struct api_op *op, const struct val *v, struct object_causes *c, bool mutating)
{
    struct policy *p = policy_compile(op->arena, v, mutating);
    const struct val *rules = json_path(v, "spec.matchConstraints.resourceRules");
    if (!p)
        return;
    if (!json_path(v, "spec.matchConstraints"))
        object_cause_add(c, "FieldValueRequired", "spec.matchConstraints", "Required value");
    else if (!val_is(rules, VAL_ARR) || !rules->n)
        object_cause_add(c, "FieldValueRequired", "spec.matchConstraints.resourceRules", "Required value");
    each(c, p->variables, p->n_variables, "variables", "expression");
    each(c, p->conditions, p->n_conditions, "matchConditions", "expression");
    for (unsigned i = 0; mutating && i < p->n_rules; i++)
        expression_cause(c, arena_printf(c->arena, "spec.mutations[%u].%s.expression", i, str_is(json_str(p->rules[i].source, "patchType"), "JSONPatch") ?
                                         "jsonPatch" : "applyConfiguration"), &p->rules[i]);
    if (mutating && !p->n_rules)
        object_cause_add(c, "FieldValueRequired", "spec.mutations", "Required value: mutations must contain at least one item");
    if (mutating)
        return;
    if (!p->n_rules && !p->n_notes)
        object_cause_add(c, "FieldValueRequired", "spec.validations", "Required value: validations or auditAnnotations must contain at least one item");
    each(c, p->rules, p->n_rules, "validations", "expression");
    each(c, p->notes, p->n_notes, "auditAnnotations", "valueExpression");
    for (unsigned i = 0; i < p->n_rules; i++) {
        struct str text = json_str(p->rules[i].source, "messageExpression");
        struct cel_var vars[CEL_ADMISSION_VARS];
        struct expression e = { .text = text };
        cel_admission_vars(vars, json_get(p->spec, STR("paramKind")) ? CEL_WITH_PARAMS : 0, cel_struct_of(op->arena, "kubernetes.variables", p->fields,
                                                                                                          p->n_variables));
        if (!text.len)
            continue;
        e.program = cel_admission_compile(op->arena, text, vars, 0, CEL_STRING, &e.why);
        expression_cause(c, arena_printf(c->arena, "spec.validations[%u].messageExpression", i), &e);
    }
}

static void check_binding(const struct val *v, struct object_causes *c, bool mutating)
{
    const struct val *actions = json_path(v, "spec.validationActions"), *ref = json_path(v, "spec.paramRef");
    if (!json_str(v, "spec.policyName").len)
        object_cause_add(c, "FieldValueRequired", "spec.policyName", "Required value");
    if (!mutating && (!val_is(actions, VAL_ARR) || !actions->n))
        object_cause_add(c, "FieldValueRequired", "spec.validationActions", "Required value: at least one validation action is required");
    if (ref && json_str(ref, "name").len && json_get(ref, STR("selector")))
        object_cause_add(c, "FieldValueForbidden", "spec.paramRef.name", "Forbidden: name and selector are mutually exclusive");
    if (ref && !json_str(ref, "name").len && !json_get(ref, STR("selector")))
        object_cause_add(c, "FieldValueRequired", "spec.paramRef.name", "Required value: one of name or selector must be specified");
}

void policy_check(struct api_op *op, const struct val *v, struct object_causes *c)
{
    bool mutating = str_starts(str_of(op->kind->kind), STR("Mutating"));
    if (str_ends(str_of(op->kind->kind), STR("AdmissionPolicy")))
        check_policy(op, v, c, mutating);
    else if (str_ends(str_of(op->kind->kind), STR("AdmissionPolicyBinding")))
        check_binding(v, c, mutating);
}

/* --- type checking --- */

#define MOST_KINDS 10                   /* of one policy that are looked at, as upstream */

/* The kinds that rules name without a wildcard. */
static unsigned named_kinds(const struct val *policy, const struct schema_kind **ret)
{
    const struct val *rules = json_path(policy, "spec.matchConstraints.resourceRules");
    unsigned n = 0;
    if (!val_is(rules, VAL_ARR))
        return 0;
    val_each(rule, rules) {
        const struct val *groups = json_get(rule, STR("apiGroups")), *versions = json_get(rule, STR("apiVersions")), *names = json_get(rule, STR("resources"));
        if (!val_is(groups, VAL_ARR) || !val_is(versions, VAL_ARR) || !val_is(names, VAL_ARR))
            continue;
        val_each(g, groups)
            val_each(v, versions)
                val_each(r, names) {
                    const struct schema_kind *k = schema_resource_find(val_str(g), val_str(v), val_str(r));
                    bool there = !k;
                    for (unsigned i = 0; i < n && !there; i++)
                        there = ret[i] == k;
                    if (!there && n < MOST_KINDS)
                        ret[n++] = k;
                }
    }
    return n;
}

static void warn_of(struct arena *a, struct val *list, const char *field, struct buf *warning)
{
    if (!warning->len)
        return;
    struct val *w = val_new(a, VAL_OBJ);
    json_set_str(a, w, STR("fieldRef"), str_of(field));
    json_set_str(a, w, STR("warning"), arena_str(a, buf_str(warning)));
    val_push(list, w);
}

/* The expression against each kind: "apps/v1, Kind=Deployment: ERROR: ..." */
static void check_one(struct arena *a, const struct policy *p, const struct expression *e, const char *field, const struct schema_kind **kinds, unsigned n,
                      struct val *list)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    for (unsigned i = 0; i < n; i++) {
        const struct schema_kind *k = kinds[i];
        struct cel_var vars[CEL_ADMISSION_VARS];
        const struct cel_type *type = k->flags & K_CUSTOM ? cel_type_of_schema(a, custom_schema_tree(k->type->custom), true) : cel_type_of_rows(a, k->type);
        const char *why;
        cel_admission_vars(vars, CEL_WITH_AUTHORIZER | (json_get(p->spec, STR("paramKind")) ? CEL_WITH_PARAMS : 0),
                           cel_struct_of(a, "kubernetes.variables", p->fields, p->n_variables));
        if (!type)
            continue;
        vars[CEL_VAR_OBJECT].type = vars[CEL_VAR_OLD_OBJECT].type = type;
        if (!cel_compile(a, e->text, vars, CEL_ADMISSION_VARS, 0, &why))
            buf_printf(&b, "%s%s%s%s, Kind=%s: %s\n", b.len ? "" : "", k->group, k->group[0] ? "/" : "", k->version, k->kind, why);
    }
    warn_of(a, list, field, &b);
}

struct val *policy_type_warnings(struct arena *a, const struct val *policy)
{
    const struct schema_kind *kinds[MOST_KINDS];
    struct val *status = val_new(a, VAL_OBJ), *list = val_new(a, VAL_ARR);
    struct policy *p = policy_compile(a, policy, false);
    unsigned n = named_kinds(policy, kinds);
    for (unsigned i = 0; p && list && i < p->n_rules; i++)
        check_one(a, p, &p->rules[i], arena_printf(a, "spec.validations[%u].expression", i), kinds, n, list);
    if (list && list->n)
        json_set(a, status, STR("expressionWarnings"), list);
    return status;
}
