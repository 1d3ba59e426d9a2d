/* validate_definition.c - CustomResourceDefinitions. */
#include "object/base64.h"
#include "object/certificates.h"
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
    check_definition_names(c, p, names);
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
        say_invalid_val(c, p, val_new(c->arena, VAL_ARR), "must have exactly one version marked as storage version");
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

/* --- spec.conversion. Upstream's complaints name the fields of its internal type: webhookClientConfig, conversionReviewVersions. --- */

static bool speaks(const struct val *versions)
{
    LIST_EACH (x, i, versions)
        if (str_is(val_str(x), "v1") || str_is(val_str(x), "v1beta1"))
            return true;
    return false;
}

/* strict: one of them must be ours. */
static void check_review_versions(causes c, const struct path *p, const struct val *list, bool strict)
{
    _cleanup_met_ struct met seen = { 0 };
    if (!val_is(list, VAL_ARR) || !list->n) {
        say_required(c, p, NULL);
        return;
    }
    LIST_EACH (v, at, list) {
        if (met_again(&seen, val_str(v)))
            say_invalid(c, ITEM(p, at.i), val_str(v), "duplicate version");
        else
            check_name(c, ITEM(p, at.i), val_str(v), G_LABEL_1035);
    }
    if (strict && !speaks(list))
        say_invalid_val(c, p, list, "must include at least one of v1, v1beta1");
}

static const char *ca_fault(struct arena *a, struct str ca)
{
    char *at = ca.len ? arena_raw(a, ca.len + 1) : NULL;
    if (!at || !base64_valid(ca))
        return NULL;
    return certificates_in(str_n(at, base64_decode(ca, at)));
}

static bool is_established(const struct val *v)
{
    LIST_EACH (x, i, json_path(v, "status.conditions"))
        if (str_is(json_str(x, "type"), "Established") && str_is(json_str(x, "status"), "True"))
            return true;
    return false;
}

/* Whoever served well may not be made unservable; what never was may come in any order. */
static bool ca_may_be_bad(struct arena *a, const struct val *old)
{
    struct str before = json_str(old, "spec.conversion.webhook.clientConfig.caBundle");
    return !old || !is_established(old) || (before.len && ca_fault(a, before));
}

static void check_conversion(causes c, const struct path *p, const struct val *conversion, const struct val *old)
{
    static const char *const strategies[] = { "None", "Webhook", NULL };
    const struct path *at = IN(p, "webhookClientConfig"), *reviews = IN(p, "conversionReviewVersions");
    const struct val *webhook = json_get(conversion, STR("webhook")), *client = json_get(webhook, STR("clientConfig"));
    const struct val *versions = json_get(webhook, STR("conversionReviewVersions")), *before;
    struct str strategy = json_str(conversion, "strategy"), ca = json_str(client, "caBundle");
    if (!conversion)
        return;
    if (check_required_str(c, IN(p, "strategy"), strategy))
        check_choice(c, IN(p, "strategy"), strategy, strategies);
    if (!str_is(strategy, "Webhook")) {
        if (client)
            say_forbidden(c, at, "should not be set when strategy is not set to Webhook");
        if (val_is(versions, VAL_ARR) && versions->n)
            say_forbidden(c, reviews, "should not be set when strategy is not set to Webhook");
        return;
    }
    if (client)
        check_webhook_client(c, at, client);
    else
        say_required(c, at, "required when strategy is set to Webhook");
    if (ca.len && !ca_may_be_bad(c->arena, old) && ca_fault(c->arena, ca))
        say_invalid(c, IN(at, "caBundle"), ca, ca_fault(c->arena, ca));
    before = json_path(old, "spec.conversion.webhook.conversionReviewVersions");
    check_review_versions(c, reviews, versions, !val_is(before, VAL_ARR) || !before->n || speaks(before));
}

KIND_RULES(kind_definition)
{
    static const char *const scopes[] = { "Cluster", "Namespaced", NULL };
    const struct path *spec = IN(NULL, "spec");
    check_names(c, spec, v);
    if (check_required_str(c, IN(spec, "scope"), json_str(v, "spec.scope")))
        check_choice(c, IN(spec, "scope"), json_str(v, "spec.scope"), scopes);
    check_versions(c, IN(spec, "versions"), v);
    check_conversion(c, IN(spec, "conversion"), json_path(v, "spec.conversion"), old);
    check_definition_parts(c, spec, json_path(v, "spec.versions"));
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
