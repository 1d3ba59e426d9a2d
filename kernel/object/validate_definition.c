/* validate_definition.c - CustomResourceDefinitions. */
#include "object/custom.h"
#include "object/validate.h"

static void check_names(causes c, const struct path *spec, const struct val *v)
{
    const struct path *p = IN(spec, "names");
    const struct val *names = json_path(v, "spec.names");
    struct str group = json_str(v, "spec.group"), plural = json_str(names, "plural"), kind = json_str(names, "kind");
    struct str name = json_str(v, "metadata.name");
    if (!str_is(name, words(c, STR_FMT "." STR_FMT, STR_ARG(plural), STR_ARG(group))))
        say_invalid(c, IN(IN(NULL, "metadata"), "name"), name, "must be spec.names.plural+\".\"+spec.group");
    if (check_required_str(c, IN(spec, "group"), group) && check_name(c, IN(spec, "group"), group, G_SUBDOMAIN) && str_find(group, '.') < 0)
        say_invalid(c, IN(spec, "group"), group, "should be a domain with at least one dot");
    if (check_required_str(c, IN(p, "plural"), plural))
        check_name(c, IN(p, "plural"), plural, G_LABEL_1035);
    check_required_str(c, IN(p, "kind"), kind);
    if (kind.len && str_eq(kind, json_str(names, "listKind")))
        say_invalid(c, IN(p, "listKind"), kind, "kind and listKind may not be the same");
}

bool custom_one_schema(const struct val *versions)
{
    const struct val *first = json_get(versions->first, STR("schema"));
    val_each(v, versions)
        if (!val_equal(first, json_get(v, STR("schema"))))
            return false;
    return true;
}

static void check_version(causes c, const struct path *p, const struct val *version, bool one, bool first)
{
    const struct val *schema = json_path(version, "schema.openAPIV3Schema");
    const struct path *at = IN(IN(p, "schema"), "openAPIV3Schema");
    check_name(c, IN(p, "name"), json_str(version, "name"), G_LABEL_1035);
    if (val_is(schema, VAL_OBJ) && (first || !one))
        custom_schema_check(c, schema, one ? "spec.validation.openAPIV3Schema" : path_text(c->arena, at));
    else if (!val_is(schema, VAL_OBJ))
        say_required(c, at, "schemas are required");
}

static void check_versions(causes c, const struct path *p, const struct val *v)
{
    const struct val *list = json_path(v, "spec.versions"), *stored = json_path(v, "status.storedVersions");
    unsigned storage = 0;
    _cleanup_met_ struct met names = { 0 };
    if (!val_is(list, VAL_ARR) || !list->n) {
        say_required(c, p, "must have at least one version");
        return;
    }
    bool same = custom_one_schema(list);
    LIST_EACH (one, at, list) {
        storage += json_bool(one, "storage", false);
        check_version(c, ITEM(p, at.i), one, same, at.i == 0);
        if (met_again(&names, json_str(one, "name")))
            say_invalid(c, p, json_str(one, "name"), "must contain unique version names");
    }
    if (storage != 1)
        say_invalid_val(c, p, list, "must have exactly one version marked as storage version");
    LIST_EACH (s, at, stored) {
        if (!met(&names, val_str(s)))
            say_invalid(c, ITEM(IN(IN(NULL, "status"), "storedVersions"), at.i), val_str(s), "must appear in spec.versions");
    }
}

KIND_RULES(kind_definition)
{
    static const char *const scopes[] = { "Cluster", "Namespaced", NULL };
    const struct path *spec = IN(NULL, "spec");
    check_names(c, spec, v);
    if (check_required_str(c, IN(spec, "scope"), json_str(v, "spec.scope")))
        check_choice(c, IN(spec, "scope"), json_str(v, "spec.scope"), scopes);
    check_versions(c, IN(spec, "versions"), v);
    if (json_bool(v, "spec.preserveUnknownFields", false))
        say_invalid_val(c, IN(spec, "preserveUnknownFields"), json_path(v, "spec.preserveUnknownFields"),
                        "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead");
    if (old) {
        check_immutable(c, spec, json_get(v, STR("spec")), json_get(old, STR("spec")), "group");
        check_immutable(c, spec, json_get(v, STR("spec")), json_get(old, STR("spec")), "scope");
        check_immutable(c, IN(spec, "names"), json_path(v, "spec.names"), json_path(old, "spec.names"), "plural");
        check_immutable(c, IN(spec, "names"), json_path(v, "spec.names"), json_path(old, "spec.names"), "kind");
    }
}
