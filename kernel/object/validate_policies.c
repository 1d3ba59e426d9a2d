/* validate_policies.c - admission policies and their bindings, but for what their expressions say: kernel/api compiles those. */
#include "object/validate.h"

#define NOTES_MOST 20

static void check_param_kind(causes c, const struct path *p, const struct val *v)
{
    struct str text = json_str(v, "apiVersion"), version = text, group = STR(""), kind = json_str(v, "kind");
    const char *why;
    if (str_find(version, '/') >= 0)
        group = str_cut(&version, '/');
    if (!text.len)
        say_required(c, IN(p, "apiVersion"), NULL);
    else if (str_find(version, '/') >= 0)
        say_invalid(c, IN(p, "apiVersion"), text, words(c, "unexpected GroupVersion string: " STR_FMT, STR_ARG(text)));
    else if (group.len && (why = name_wrong(c, group, G_SUBDOMAIN)))
        say_invalid(c, IN(p, "apiVersion"), group, why);
    else if (!version.len)
        say_invalid(c, IN(p, "apiVersion"), text, "version must be specified");
    else if ((why = name_wrong(c, version, G_LABEL_1035)))
        say_invalid(c, IN(p, "apiVersion"), version, why);
    if (!check_required_str(c, IN(p, "kind"), kind))
        return;
    char *low = arena_dup(c->arena, kind);
    for (char *x = low; x && *x; x++)
        *x = (char)(*x >= 'A' && *x <= 'Z' ? *x + 32 : *x);
    if (low && (why = name_wrong(c, str_of(low), G_LABEL_1035)))
        say_invalid(c, IN(p, "kind"), kind, words(c, "may have mixed case, but should otherwise match: %s", why));
}

static void check_named_rules(causes c, const struct path *p, const struct val *list)
{
    LIST_EACH (r, at, list) {
        const struct path *names = IN(ITEM(p, at.i), "resourceNames");
        _cleanup_met_ struct met seen = { 0 };
        LIST_EACH (n, nt, json_get(r, STR("resourceNames"))) {
            check_name(c, ITEM(names, nt.i), val_str(n), G_PATH_SEGMENT);
            if (met_again(&seen, val_str(n)))
                say_duplicate(c, ITEM(names, nt.i), val_str(n));
        }
        check_admission_rule(c, ITEM(p, at.i), r);
    }
}

static void check_match(causes c, const struct path *p, const struct val *m)
{
    static const char *const policies[] = { "Equivalent", "Exact", NULL };
    if (!m)
        return;
    if (!json_get(m, STR("matchPolicy")))
        say_required(c, IN(p, "matchPolicy"), NULL);
    else
        check_choice(c, IN(p, "matchPolicy"), json_str(m, "matchPolicy"), policies);
    check_selector(c, IN(p, "namespaceSelector"), json_get(m, STR("namespaceSelector")));
    check_selector(c, IN(p, "objectSelector"), json_get(m, STR("objectSelector")));
    check_named_rules(c, IN(p, "resourceRules"), json_get(m, STR("resourceRules")));
    check_named_rules(c, IN(p, "excludeResourceRules"), json_get(m, STR("excludeResourceRules")));
}

static bool is_cel_identifier(struct str s)
{
    static const char *const reserved[] = { "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
                                            "let", "loop", "package", "namespace", "return", "var", "void", "while", NULL };
    for (int i = 0; reserved[i]; i++)
        if (str_is(s, reserved[i]))
            return false;
    for (size_t i = 0; i < s.len; i++) {
        char x = s.at[i];
        if (!((x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || x == '_' || (i && x >= '0' && x <= '9')))
            return false;
    }
    return s.len != 0;
}

/* What both kinds of policies have. */
static void check_policy(causes c, const struct path *p, const struct val *spec)
{
    static const char *const failure[] = { "Fail", "Ignore", NULL };
    const struct val *match = json_get(spec, STR("matchConstraints")), *rules = json_get(match, STR("resourceRules"));
    if (!json_get(spec, STR("failurePolicy")))
        say_required(c, IN(p, "failurePolicy"), NULL);
    else
        check_choice(c, IN(p, "failurePolicy"), json_str(spec, "failurePolicy"), failure);
    if (json_get(spec, STR("paramKind")))
        check_param_kind(c, IN(p, "paramKind"), json_get(spec, STR("paramKind")));
    if (!match)
        say_required(c, IN(p, "matchConstraints"), NULL);
    check_match(c, IN(p, "matchConstraints"), match);
    if (match && (!val_is(rules, VAL_ARR) || !rules->n))
        say_required(c, IN(IN(p, "matchConstraints"), "resourceRules"), NULL);
    LIST_EACH (v, at, json_get(spec, STR("variables"))) {
        struct str name = json_str(v, "name");
        const struct path *here = IN(ITEM(IN(p, "variables"), at.i), "name");
        if (!str_trim(name).len)
            say_required(c, here, "name is not specified");
        else if (!is_cel_identifier(name))
            say_invalid(c, here, name, "must be a valid CEL identifier");
    }
}

static void check_validations(causes c, const struct path *p, const struct val *list)
{
    static const char *const reasons[] = { "Forbidden", "Invalid", "RequestEntityTooLarge", NULL };
    LIST_EACH (v, at, list) {
        const struct path *here = ITEM(p, at.i);
        struct str message = json_str(v, "message"), made = json_str(v, "messageExpression");
        if (made.len && !str_trim(made).len)
            say_invalid(c, IN(here, "messageExpression"), made, "must be non-empty if specified");
        if (message.len && !str_trim(message).len)
            say_invalid(c, IN(here, "message"), message, "must be non-empty if specified");
        else if (str_find(str_trim(message), '\n') >= 0 || str_find(str_trim(message), '\r') >= 0)
            say_invalid(c, IN(here, "message"), message, "must not contain line breaks");
        if (json_get(v, STR("reason")))
            check_choice(c, IN(here, "reason"), json_str(v, "reason"), reasons);
    }
}

static void check_notes(causes c, const struct path *p, const struct val *list, struct str name)
{
    _cleanup_met_ struct met keys = { 0 };
    if (list && list->n > NOTES_MOST)
        say_invalid_val(c, p, list, words(c, "must not have more than %d auditAnnotations", NOTES_MOST));
    LIST_EACH (v, at, list) {
        const struct path *here = IN(ITEM(p, at.i), "key");
        struct str key = json_str(v, "key");
        check_name(c, here, str_of(words(c, STR_FMT "/" STR_FMT, STR_ARG(name), STR_ARG(key))), G_QUALIFIED);
        if (met_again(&keys, key))
            say_duplicate(c, here, key);
    }
}

KIND_RULES(kind_validating_policy)
{
    const struct path *p = IN(NULL, "spec");
    const struct val *spec = json_get(v, STR("spec")), *list = json_get(spec, STR("validations")), *notes = json_get(spec, STR("auditAnnotations"));
    static const char neither[] = "validations or auditAnnotations must contain at least one item";
    (void)old;
    check_policy(c, p, spec);
    if (!(list && list->n) && !(notes && notes->n)) {
        say_required(c, IN(p, "validations"), neither);
        say_required(c, IN(p, "auditAnnotations"), neither);
    }
    check_validations(c, IN(p, "validations"), list);
    check_notes(c, IN(p, "auditAnnotations"), notes, json_str(v, "metadata.name"));
}

static void check_mutation(causes c, const struct path *p, const struct val *m)
{
    static const struct {
        const char *type, *member, *other;
    } rows[] = { { "JSONPatch", "jsonPatch", "applyConfiguration" }, { "ApplyConfiguration", "applyConfiguration", "jsonPatch" } };
    static const char *const types[] = { "ApplyConfiguration", "JSONPatch", NULL };
    struct str type = json_str(m, "patchType");
    if (!check_required_str(c, IN(p, "patchType"), type) || !check_choice(c, IN(p, "patchType"), type, types))
        return;
    for (int i = 0; i < 2; i++) {
        if (!str_is(type, rows[i].type))
            continue;
        if (!json_get(m, str_of(rows[i].member)))
            say_required(c, IN(p, rows[i].member), words(c, "must be specified when patchType is %s", rows[i].type));
        if (json_get(m, str_of(rows[i].other)))
            say_invalid(c, IN(p, rows[i].other), str_of(words(c, "{%s}", rows[i].other)), words(c, "must not be specified when patchType is %s", rows[i].type));
    }
}

KIND_RULES(kind_mutating_policy)
{
    static const char *const again[] = { "IfNeeded", "Never", NULL }, *const operations[] = { "*", "CONNECT", "CREATE", "UPDATE", NULL };
    const struct path *p = IN(NULL, "spec");
    const struct val *spec = json_get(v, STR("spec")), *list = json_get(spec, STR("mutations"));
    (void)old;
    check_policy(c, p, spec);
    LIST_EACH (r, at, json_path(spec, "matchConstraints.resourceRules"))
        LIST_EACH (o, ot, json_get(r, STR("operations")))
            check_choice(c, IN(IN(IN(p, "matchConstraints"), "resourceRules"), "operations"), val_str(o), operations);
    if (!list || !list->n)
        say_required(c, IN(p, "mutations"), "mutations must contain at least one item");
    LIST_EACH (m, at, list)
        check_mutation(c, ITEM(IN(p, "mutations"), at.i), m);
    if (check_required_str(c, IN(p, "reinvocationPolicy"), json_str(spec, "reinvocationPolicy")))
        check_choice(c, IN(p, "reinvocationPolicy"), json_str(spec, "reinvocationPolicy"), again);
}

/* --- bindings --- */

static void check_param_ref(causes c, const struct path *p, const struct val *ref)
{
    static const char *const actions[] = { "Deny", "Allow", NULL };
    static const char both[] = "name and selector are mutually exclusive";
    struct str name = json_str(ref, "name"), action = json_str(ref, "parameterNotFoundAction");
    const struct val *selector = json_get(ref, STR("selector"));
    if (!ref)
        return;
    if (name.len)
        check_name(c, IN(p, "name"), name, G_PATH_SEGMENT);
    if (name.len && selector)
        say_forbidden(c, IN(p, "name"), both);
    check_selector(c, IN(p, "selector"), selector);
    if (name.len && selector)
        say_forbidden(c, IN(p, "selector"), both);
    if (!name.len && !selector)
        say_required(c, p, "one of name or selector must be specified");
    if (check_required_str(c, IN(p, "parameterNotFoundAction"), action))
        check_choice(c, IN(p, "parameterNotFoundAction"), action, actions);
}

static void check_binding(causes c, const struct path *p, const struct val *spec)
{
    struct str policy = json_str(spec, "policyName");
    if (check_required_str(c, IN(p, "policyName"), policy))
        check_name(c, IN(p, "policyName"), policy, G_SUBDOMAIN);
    check_param_ref(c, IN(p, "paramRef"), json_get(spec, STR("paramRef")));
    check_match(c, IN(p, "matchResources"), json_get(spec, STR("matchResources")));
}

KIND_RULES(kind_validating_binding)
{
    static const char *const actions[] = { "Audit", "Deny", "Warn", NULL };
    const struct path *p = IN(NULL, "spec"), *here = IN(p, "validationActions");
    const struct val *spec = json_get(v, STR("spec")), *list = json_get(spec, STR("validationActions"));
    _cleanup_met_ struct met seen = { 0 };
    (void)old;
    check_binding(c, p, spec);
    LIST_EACH (a, at, list) {
        check_choice(c, ITEM(here, at.i), val_str(a), actions);
        if (met_again(&seen, val_str(a)))
            say_duplicate(c, ITEM(here, at.i), val_str(a));
    }
    if (met(&seen, STR("Deny")) && met(&seen, STR("Warn")))
        say_invalid_val(c, here, list, "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers "
                        "serves no purpose)");
    if (!list || !list->n)
        say_required(c, here, "at least one validation action is required");
}

KIND_RULES(kind_mutating_binding)
{
    (void)old;
    check_binding(c, IN(NULL, "spec"), json_get(v, STR("spec")));
}
