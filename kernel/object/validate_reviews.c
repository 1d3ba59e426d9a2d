/* validate_reviews.c - access reviews: questions that are never stored. */
#include "object/validate.h"

static void check_requirement(causes c, const struct path *p, const struct val *q, bool labels)
{
    struct str op = json_str(q, "operator");
    const struct val *values = json_get(q, STR("values"));
    bool some = val_is(values, VAL_ARR) && values->n;
    if (!labels && !json_str(q, "key").len)
        say_required(c, IN(p, "key"), "must be specified");
    if ((str_is(op, "In") || str_is(op, "NotIn")) && !some)
        say_required(c, IN(p, "values"), "must be specified when `operator` is 'In' or 'NotIn'");
    if ((str_is(op, "Exists") || str_is(op, "DoesNotExist")) && some)
        say_forbidden(c, IN(p, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    if (!labels)
        return;
    check_name(c, IN(p, "key"), json_str(q, "key"), G_QUALIFIED);
    LIST_EACH (v, at, values)
        check_name(c, ITEM(IN(p, "values"), at.i), val_str(v), G_LABEL_VALUE);
}

static void check_review_selector(causes c, const struct path *up, const struct val *attributes, const char *which, bool labels)
{
    const struct val *s = json_get(attributes, str_of(which)), *list = json_get(s, STR("requirements"));
    const struct path *p = IN(up, which);
    struct str raw = json_str(s, "rawSelector");
    bool some = val_is(list, VAL_ARR) && list->n;
    if (!s)
        return;
    if (raw.len && some)
        say_invalid(c, IN(p, "rawSelector"), raw, "may not specified at the same time as requirements");
    if (!raw.len && !some)
        say_required(c, IN(p, "requirements"), words(c, "when %s is specified, requirements or rawSelector is required", path_text(c->arena, p)));
    LIST_EACH (q, at, list)
        check_requirement(c, ITEM(IN(p, "requirements"), at.i), q, labels);
}

/* Upstream shows these as its own type has them. */
static void say_other(causes c, const struct path *p, const struct val *other, const char *detail)
{
    struct val *shown = val_new(c->arena, VAL_OBJ);
    json_set_str(c->arena, shown, STR("Path"), json_str(other, "path"));
    json_set_str(c->arena, shown, STR("Verb"), json_str(other, "verb"));
    say_invalid_val(c, p, shown, detail);
}

static void check_review_metadata(causes c, const struct val *meta, bool local)
{
    val_each(m, meta)
        if (!str_is(val_key(m), "managedFields") && !(local && str_is(val_key(m), "namespace"))) {
            say_invalid_as(c, IN(NULL, "metadata"), "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", meta, local ? "must be empty except for namespace" : "must be empty");
            return;
        }
}

void object_validate_review(const struct schema_kind *k, const struct val *v, struct object_causes *c)
{
    const struct path *p = IN(NULL, "spec");
    const struct val *spec = json_get(v, STR("spec")), *meta = json_get(v, STR("metadata")), *groups = json_get(spec, STR("groups"));
    const struct val *resource = json_get(spec, STR("resourceAttributes")), *other = json_get(spec, STR("nonResourceAttributes"));
    bool local = strcmp(k->kind, "LocalSubjectAccessReview") == 0, self = strcmp(k->kind, "SelfSubjectAccessReview") == 0;
    if (resource && other)
        say_other(c, IN(p, "nonResourceAttributes"), other, "cannot be specified in combination with resourceAttributes");
    if (!resource && !other)
        say_invalid_val(c, IN(p, "resourceAttributes"), NULL, "exactly one of nonResourceAttributes or resourceAttributes must be specified");
    if (!self && !json_str(spec, "user").len && !(groups && groups->n))
        say_invalid(c, IN(p, "user"), STR(""), "at least one of user or group must be specified");
    check_review_selector(c, IN(p, "resourceAttributes"), resource, "fieldSelector", false);
    check_review_selector(c, IN(p, "resourceAttributes"), resource, "labelSelector", true);
    if (meta)
        check_review_metadata(c, meta, local);
    if (local && resource && !str_eq(json_str(resource, "namespace"), json_str(meta, "namespace")))
        say_invalid(c, IN(IN(p, "resourceAttributes"), "namespace"), json_str(resource, "namespace"), "must match metadata.namespace");
    if (local && other)
        say_other(c, IN(p, "nonResourceAttributes"), other, "disallowed on this kind of request");
}
