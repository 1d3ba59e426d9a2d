/* validate_definition.c - CustomResourceDefinitions. */
#include "object/base64.h"
#include "object/certificates.h"
#include "object/custom.h"
#include "object/validate.h"

static void check_own_name(causes c, const struct val *v)
{
    check_only_name(c, json_get(v, STR("metadata")), words(c, STR_FMT "." STR_FMT, STR_ARG(json_str(v, "spec.names.plural")), STR_ARG(json_str(v, "spec.group"))),
                    "must be spec.names.plural+\".\"+spec.group");
}

static bool is_link(struct str s)
{
    struct str scheme = str_cut(&s, ':');
    return scheme.len && s.len > 2 && str_starts(s, STR("//")) && s.at[2] != '/';
}

/* Groups of the project's own need a link to their review. */
static void check_approval(causes c, const struct val *v, const struct val *old)
{
    const struct str key = STR("api-approved.kubernetes.io");
    const struct path *p = KEY(IN(IN(NULL, "metadata"), "annotations"), key);
    struct str group = json_str(v, "spec.group"), is = val_str(json_get(json_path(v, "metadata.annotations"), key));
    bool ours = str_is(group, "k8s.io") || str_is(group, "kubernetes.io") || str_ends(group, STR(".k8s.io")) || str_ends(group, STR(".kubernetes.io"));
    if (!ours || (old && str_eq(is, val_str(json_get(json_path(old, "metadata.annotations"), key)))))
        return;
    if (!is.len)
        say_required(c, p, words(c, "protected groups must have approval annotation \"%s\", see https://github.com/kubernetes/enhancements/pull/1111", key.at));
    else if (!str_starts(is, STR("unapproved")) && !is_link(is))
        say_invalid(c, p, is, words(c, "protected groups must have approval annotation \"%s\" with either a URL or a reason starting with \"unapproved\", "
                                    "see https://github.com/kubernetes/enhancements/pull/1111", key.at));
}

static void check_names(causes c, const struct path *p, const struct val *names)
{
    struct str plural = json_str(names, "plural"), kind = json_str(names, "kind");
    if (check_required_str(c, IN(p, "plural"), plural))
        check_name(c, IN(p, "plural"), plural, G_LABEL_1035);
    check_required_str(c, IN(p, "singular"), json_str(names, "singular"));
    check_required_str(c, IN(p, "kind"), kind);
    check_required_str(c, IN(p, "listKind"), json_str(names, "listKind"));
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

static void check_version(causes c, const struct path *p, const struct val *version, bool one)
{
    const struct val *schema = json_path(version, "schema.openAPIV3Schema"), *warning = json_get(version, STR("deprecationWarning"));
    check_name(c, IN(p, "name"), json_str(version, "name"), G_LABEL_1035);
    if (warning && !json_bool(version, "deprecated", false))
        say_invalid(c, IN(p, "deprecationWarning"), val_str(warning), "can only be set for deprecated versions");
    if (!one && val_is(schema, VAL_OBJ))
        custom_schema_check(c, schema, path_text(c->arena, IN(IN(p, "schema"), "openAPIV3Schema")));
    check_definition_version(c, p, version);
}

static void check_versions(causes c, const struct path *p, const struct val *given)
{
    const struct val *list = val_is(given, VAL_ARR) ? given : val_new(c->arena, VAL_ARR);
    static const char type[] = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionVersion";
    unsigned storage = 0;
    bool same = custom_one_schema(list), again = false;
    _cleanup_met_ struct met names = { 0 };
    LIST_EACH (v, at, list)
        if (!json_path(v, "schema.openAPIV3Schema"))
            say_required(c, IN(IN(ITEM(p, at.i), "schema"), "openAPIV3Schema"), NULL);
    struct val *own = definition_versions(c->arena, list);      /* what they do not share */
    LIST_EACH (one, at, own) {
        storage += json_bool(one, "storage", false);
        check_version(c, ITEM(p, at.i), one, same);
        again |= met_again(&names, json_str(one, "name"));
    }
    if (again)
        say_invalid_as(c, p, type, own, "must contain unique version names");
    if (storage != 1)
        say_invalid_as(c, p, type, given ? own : NULL, "must have exactly one version marked as storage version");
    if (list->n)
        check_name(c, IN(IN(NULL, "spec"), "version"), json_str(list->first, "name"), G_LABEL_1035);
}

/* What was ever stored stays a version until it is not stored any more. */
static void check_stored(causes c, const struct val *v)
{
    const struct path *p = IN(IN(NULL, "status"), "storedVersions");
    const struct val *list = json_path(v, "status.storedVersions");
    _cleanup_met_ struct met stored = { 0 }, versions = { 0 };
    if (!list || !list->n) {
        say_invalid_val(c, p, NULL, "must have at least one stored version");
        return;
    }
    LIST_EACH (s, at, list)
        met_again(&stored, val_str(s));
    LIST_EACH (x, at, json_path(v, "spec.versions")) {
        struct str name = json_str(x, "name");
        bool again = met_again(&versions, name);            /* upstream finds it once */
        if (json_bool(x, "storage", false) && (again || !met(&stored, name)))
            say_invalid_val(c, p, list, words(c, "must have the storage version " STR_FMT, STR_ARG(name)));
    }
    LIST_EACH (s, at, list) {
        struct str name = val_str(s);
        if (!met(&versions, name))
            say_invalid(c, ITEM(p, at.i), name, words(c, "missing from spec.versions; " STR_FMT " was previously a storage version, and must remain in spec.versions until a "
                                                      "storage migration ensures no data remains persisted in " STR_FMT " and removes " STR_FMT " from status.storedVersions",
                                                      STR_ARG(name), STR_ARG(name), STR_ARG(name)));
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

/* The order is upstream's: the object, each version, all of them, then what they share, which is the definition's own there. */
static void check_spec(causes c, const struct path *p, const struct val *spec, const struct val *old)
{
    static const char *const scopes[] = { "Cluster", "Namespaced", NULL };
    const struct val *versions = json_get(spec, STR("versions"));
    struct str group = json_str(spec, "group");
    if (check_required_str(c, IN(p, "group"), group) && check_name(c, IN(p, "group"), group, G_SUBDOMAIN) && str_find(group, '.') < 0)
        say_invalid(c, IN(p, "group"), group, "should be a domain with at least one dot");
    if (check_required_str(c, IN(p, "scope"), json_str(spec, "scope")))
        check_choice(c, IN(p, "scope"), json_str(spec, "scope"), scopes);
    check_versions(c, IN(p, "versions"), versions);
    check_names(c, IN(p, "names"), json_get(spec, STR("names")));
    check_definition_parts(c, p, versions);
    check_conversion(c, IN(p, "conversion"), json_get(spec, STR("conversion")), old);
}

KIND_RULES(kind_definition)
{
    const struct path *p = IN(NULL, "spec");
    const struct val *spec = json_get(v, STR("spec")), *was = json_get(old, STR("spec"));
    if (!old)
        check_own_name(c, v);
    check_spec(c, p, spec, old);
    if (old && is_established(old)) {
        check_immutable_str(c, p, spec, was, "scope");
        check_immutable_str(c, IN(p, "names"), json_get(spec, STR("names")), json_get(was, STR("names")), "kind");
    }
    if (old) {
        check_immutable_str(c, p, spec, was, "group");
        check_immutable_str(c, IN(p, "names"), json_get(spec, STR("names")), json_get(was, STR("names")), "plural");
    }
    check_stored(c, v);
    check_approval(c, v, old);
    if (json_bool(spec, "preserveUnknownFields", false))
        say_invalid_val(c, IN(p, "preserveUnknownFields"), json_get(spec, STR("preserveUnknownFields")),
                        "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead");
}
