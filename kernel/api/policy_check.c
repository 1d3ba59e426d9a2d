/* policy_check.c - policies when they are written: expressions that are none (the rest is kernel/object/validate_policies.c). And what type checking says
 * of a policy whose rules name kinds that are known: warnings in its status. */
#include "policy.h"

#include "object/validate.h"

/* An expression must be there and compile; what upstream says of one that is not there. */
static void check_expression(causes c, const struct path *p, const struct expression *e, const char *missing)
{
    if (!str_trim(e->text).len)
        say_required(c, p, missing);
    else if (!e->program)
        say_invalid(c, p, e->text, e->why ? e->why : "out of memory");
}

static void each(causes c, const char *list, const struct expression *at, unsigned n, const char *member)
{
    for (unsigned i = 0; i < n; i++)
        check_expression(c, IN(ITEM(IN(IN(NULL, "spec"), list), i), member), &at[i], words(c, "%s is not specified", member));
}

/* Those of a mutation that says what it is; the rest is missed elsewhere. */
static void check_mutations(causes c, const struct policy *p)
{
    static const char *const members[] = { "jsonPatch", "applyConfiguration" }, *const types[] = { "JSONPatch", "ApplyConfiguration" };
    for (unsigned i = 0; i < p->n_rules; i++)
        for (int t = 0; t < 2; t++)
            if (str_is(json_str(p->rules[i].source, "patchType"), types[t]) && json_get(p->rules[i].source, str_of(members[t])))
                check_expression(c, IN(IN(ITEM(IN(IN(NULL, "spec"), "mutations"), i), members[t]), "expression"), &p->rules[i], NULL);
}

static void check_messages(causes c, const struct policy *p)
{
    for (unsigned i = 0; i < p->n_rules; i++) {
        struct str text = json_str(p->rules[i].source, "messageExpression");
        struct cel_var vars[CEL_ADMISSION_VARS];
        struct expression e = { .text = text };
        cel_admission_vars(vars, json_get(p->spec, STR("paramKind")) ? CEL_WITH_PARAMS : 0,
                           p->n_variables ? cel_struct_of(c->arena, "kubernetes.variables", p->fields, p->n_variables) : NULL);
        if (!str_trim(text).len)
            continue;
        e.program = cel_admission_compile(c->arena, text, vars, 0, CEL_STRING, &e.why);
        check_expression(c, IN(ITEM(IN(IN(NULL, "spec"), "validations"), i), "messageExpression"), &e, NULL);
    }
}

static void check_policy(struct api_op *op, const struct val *v, causes c, bool mutating)
{
    static const char *const variable[] = { "name", "expression", NULL }, *const note[] = { "key", "valueExpression", NULL };
    static const char *const validation[] = { "expression", "messageExpression", "message", "reason", NULL };
    static const char *const mutation[] = { "patchType", "jsonPatch.expression", "applyConfiguration.expression", NULL };
    static const struct cause_section order[] = { { "spec.matchConditions", NULL }, { "spec.variables", variable }, { "spec.validations", validation },
                                                  { "spec.auditAnnotations", note }, { "spec.mutations", mutation }, { "spec.reinvocationPolicy", NULL }, { NULL, NULL } };
    struct policy *p = policy_compile(op->arena, v, mutating);
    struct cel_var *seen = arena_alloc(op->arena, CEL_ADMISSION_VARS * sizeof *seen);
    if (!p || !seen)
        return;
    cel_admission_vars(seen, CEL_WITH_AUTHORIZER | (json_get(p->spec, STR("paramKind")) ? CEL_WITH_PARAMS : 0), NULL);
    policy_check_conditions(c, IN(IN(NULL, "spec"), "matchConditions"), json_get(p->spec, STR("matchConditions")), seen);
    each(c, "variables", p->variables, p->n_variables, "expression");
    if (mutating) {
        check_mutations(c, p);
    } else {
        each(c, "validations", p->rules, p->n_rules, "expression");
        each(c, "auditAnnotations", p->notes, p->n_notes, "valueExpression");
        check_messages(c, p);
    }
    causes_order(c, order);
}

void policy_check(struct api_op *op, const struct val *v, const struct val *old, struct object_causes *c)
{
    bool mutating = str_starts(str_of(op->kind->kind), STR("Mutating"));
    if (str_ends(str_of(op->kind->kind), STR("AdmissionPolicy")))
        check_policy(op, v, c, mutating);
    else if (str_ends(str_of(op->kind->kind), STR("WebhookConfiguration")))
        policy_check_webhooks(op, v, old, c);
}

/* --- type checking --- */

#define MOST_KINDS 10                   /* of one policy that are looked at, as upstream */

static bool has_wildcard(const struct val *list)
{
    if (!val_is(list, VAL_ARR))
        return true;
    val_each(x, list)
        if (str_find(val_str(x), '*') >= 0)
            return true;
    return false;
}

/* In order of group, version and kind. */
static void insert(const struct schema_kind **at, unsigned *n, const struct schema_kind *k)
{
    unsigned i = *n;
    for (unsigned j = 0; j < *n; j++)
        if (at[j] == k)
            return;
    if (*n == MOST_KINDS)
        return;
    for (; i > 0; i--) {
        const struct schema_kind *o = at[i - 1];
        int c = strcmp(o->group, k->group);
        c = c ? c : strcmp(o->version, k->version);
        if ((c ? c : strcmp(o->kind, k->kind)) < 0)
            break;
        at[i] = o;
    }
    at[i] = k;
    (*n)++;
}

/* The kinds that rules name, from rules without wildcards. */
static unsigned named_kinds(const struct val *policy, const struct schema_kind **ret)
{
    const struct val *rules = json_path(policy, "spec.matchConstraints.resourceRules");
    unsigned n = 0;
    if (!val_is(rules, VAL_ARR))
        return 0;
    val_each(rule, rules) {
        const struct val *groups = json_get(rule, STR("apiGroups")), *versions = json_get(rule, STR("apiVersions")), *names = json_get(rule, STR("resources"));
        if (has_wildcard(groups) || has_wildcard(versions) || has_wildcard(names))
            continue;
        val_each(g, groups)
            val_each(v, versions)
                val_each(r, names) {
                    const struct schema_kind *k = schema_resource_find(val_str(g), val_str(v), val_str(r));
                    if (k)
                        insert(ret, &n, k);
                }
    }
    return n;
}

static const struct cel_type *type_of(struct arena *a, const struct schema_kind *k)
{
    const struct cel_type *t = !k ? NULL : k->flags & K_CUSTOM ? cel_type_of_schema(a, custom_schema_tree(k->type->custom), true) :
                               cel_type_of_rows(a, k->type);
    return t ? t : cel_type(CEL_DYN);
}

/* The variables as they are when objects are of that kind. */
static struct cel_var *typed_vars(struct arena *a, const struct policy *p, const struct schema_kind *k)
{
    struct cel_field *fields = arena_alloc(a, (p->n_variables + 1) * sizeof *fields);
    unsigned with = CEL_WITH_AUTHORIZER | (json_get(p->spec, STR("paramKind")) ? CEL_WITH_PARAMS : 0);
    struct cel_var *vars = NULL;
    for (unsigned i = 0; fields && i <= p->n_variables; i++) {
        const char *why;
        vars = arena_alloc(a, CEL_ADMISSION_VARS * sizeof *vars);
        if (!vars)
            return NULL;
        cel_admission_vars(vars, with, cel_struct_of(a, "kubernetes.variables", fields, i));
        vars[CEL_VAR_OBJECT].type = vars[CEL_VAR_OLD_OBJECT].type = type_of(a, k);
        if (with & CEL_WITH_PARAMS)
            vars[CEL_VAR_PARAMS].type = type_of(a, policy_param_kind(p));
        if (i == p->n_variables)
            break;
        struct cel_program *variable = cel_compile(a, p->variables[i].text, vars, CEL_ADMISSION_VARS, 0, &why);
        fields[i] = p->fields[i];
        fields[i].type = variable ? cel_result(variable) : cel_type(CEL_DYN);
    }
    return vars;
}

/* The expression against each kind: "apps/v1, Kind=Deployment: compilation failed: ERROR: ..." */
static void check_one(struct arena *a, struct str text, const char *field, const struct schema_kind **kinds, struct cel_var **vars, unsigned n,
                      struct val *list)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    const char *why;
    for (unsigned i = 0; i < n && text.len; i++) {
        const struct schema_kind *k = kinds[i];
        if (!vars[i] || cel_compile(a, text, vars[i], CEL_ADMISSION_VARS, 0, &why))
            continue;
        buf_printf(&b, "%s%s%s%s, Kind=%s: compilation failed: %s\n", b.len ? "\n" : "", k->group, k->group[0] ? "/" : "", k->version, k->kind, why);
    }
    if (!b.len)
        return;
    struct val *w = val_new(a, VAL_OBJ);
    json_set_str(a, w, STR("fieldRef"), str_of(field));
    json_set_str(a, w, STR("warning"), arena_str(a, buf_str(&b)));
    val_push(list, w);
}

struct val *policy_type_warnings(struct arena *a, const struct val *policy)
{
    const struct schema_kind *kinds[MOST_KINDS];
    struct cel_var *vars[MOST_KINDS];
    struct val *status = val_new(a, VAL_OBJ), *list = val_new(a, VAL_ARR);
    struct policy *p = policy_compile(a, policy, false);
    unsigned n = p ? named_kinds(policy, kinds) : 0;
    for (unsigned i = 0; i < n; i++)
        vars[i] = typed_vars(a, p, kinds[i]);
    for (unsigned i = 0; p && list && i < p->n_rules; i++) {
        check_one(a, p->rules[i].text, arena_printf(a, "spec.validations[%u].expression", i), kinds, vars, n, list);
        check_one(a, json_str(p->rules[i].source, "messageExpression"), arena_printf(a, "spec.validations[%u].messageExpression", i), kinds, vars, n, list);
    }
    if (list && list->n)
        json_set(a, status, STR("expressionWarnings"), list);
    return status;
}
