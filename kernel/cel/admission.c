/* admission.c - what expressions of admission see, and of what type they take it to be. */
#include "cel/admission.h"

#include "cel/cel-internal.h"

/* Fields as text, in upstream's order: {name, type}; types: text, bool, list of texts, any, or one of the structs below. */
#define TEXT(name) { name, name, &text }
static const struct cel_type text = { .kind = CEL_STRING }, truth = { .kind = CEL_BOOL }, any = { .kind = CEL_DYN }, time = { .kind = CEL_TIMESTAMP },
                             number = { .kind = CEL_INT }, texts = { .kind = CEL_LIST, .a = &text },
                             text_map = { .kind = CEL_MAP, .a = &text, .b = &text }, texts_map = { .kind = CEL_MAP, .a = &text, .b = &texts };

#define STRUCT(var, name_, list) \
    static const struct cel_type var = { .kind = CEL_STRUCT, .name = name_, .fields = list, .n_fields = sizeof list / sizeof *list }

static const struct cel_field gvk_fields[] = { TEXT("group"), TEXT("version"), TEXT("kind") };
STRUCT(gvk, "kubernetes.GroupVersionKind", gvk_fields);
static const struct cel_field gvr_fields[] = { TEXT("group"), TEXT("version"), TEXT("resource") };
STRUCT(gvr, "kubernetes.GroupVersionResource", gvr_fields);
static const struct cel_field user_fields[] = { TEXT("username"), TEXT("uid"), { "groups", "groups", &texts }, { "extra", "extra", &texts_map } };
STRUCT(user, "kubernetes.UserInfo", user_fields);
static const struct cel_field request_fields[] = {
    { "kind", "kind", &gvk }, { "resource", "resource", &gvr }, TEXT("subResource"), { "requestKind", "requestKind", &gvk },
    { "requestResource", "requestResource", &gvr }, TEXT("requestSubResource"), TEXT("name"), TEXT("namespace"), TEXT("operation"),
    { "userInfo", "userInfo", &user }, { "dryRun", "dryRun", &truth }, { "options", "options", &any },
};
STRUCT(request_type, "kubernetes.AdmissionRequest", request_fields);

static const struct cel_field meta_fields[] = {
    TEXT("name"), TEXT("generateName"), TEXT("namespace"), { "labels", "labels", &text_map }, { "annotations", "annotations", &text_map }, TEXT("UID"),
    { "creationTimestamp", "creationTimestamp", &time }, { "deletionGracePeriodSeconds", "deletionGracePeriodSeconds", &number },
    { "deletionTimestamp", "deletionTimestamp", &time }, { "generation", "generation", &number }, TEXT("resourceVersion"),
    { "finalizers", "finalizers", &texts },
};
STRUCT(meta, "kubernetes.NamespaceMetadata", meta_fields);
static const struct cel_field spec_fields[] = { { "finalizers", "finalizers", &texts } };
STRUCT(spec, "kubernetes.NamespaceSpec", spec_fields);
static const struct cel_field status_fields[] = { TEXT("phase") };
STRUCT(status, "kubernetes.NamespaceStatus", status_fields);
static const struct cel_field namespace_fields[] = { { "metadata", "metadata", &meta }, { "spec", "spec", &spec }, { "status", "status", &status } };
STRUCT(namespace_type, "kubernetes.Namespace", namespace_fields);

void cel_admission_vars(struct cel_var ret[CEL_ADMISSION_VARS], unsigned with, const struct cel_type *variables)
{
    /* What is not there has no name, and so cannot be found. */
    ret[CEL_VAR_OBJECT] = (struct cel_var){ "object", &any };
    ret[CEL_VAR_OLD_OBJECT] = (struct cel_var){ "oldObject", &any };
    ret[CEL_VAR_REQUEST] = (struct cel_var){ "request", &request_type };
    ret[CEL_VAR_NAMESPACE] = (struct cel_var){ "namespaceObject", &namespace_type };
    ret[CEL_VAR_PARAMS] = (struct cel_var){ with & CEL_WITH_PARAMS ? "params" : "", &any };
    ret[CEL_VAR_AUTHORIZER] = (struct cel_var){ with & CEL_WITH_AUTHORIZER ? "authorizer" : "", cel_type(CEL_AUTHORIZER) };
    ret[CEL_VAR_REQUEST_RESOURCE] = (struct cel_var){ with & CEL_WITH_AUTHORIZER ? "authorizer.requestResource" : "", cel_type(CEL_RESOURCE_CHECK) };
    ret[CEL_VAR_VARIABLES] = (struct cel_var){ variables ? "variables" : "", variables ? variables : &any };
}

struct cel_program *cel_admission_compile(struct arena *a, struct str expression, const struct cel_var *vars, unsigned flags, enum cel_kind kind,
                                          const char **ret_why)
{
    const char *why;
    struct cel_program *p = cel_compile(a, expression, vars, CEL_ADMISSION_VARS, flags, &why);
    if (!p) {
        *ret_why = arena_printf(a, str_starts(str_of(why), STR("ERROR:")) ? "compilation failed: %s" : "program instantiation failed: %s", why);
        return NULL;
    }
    const struct cel_type *t = cel_result(p);
    bool fits = t->kind == kind || kind == CEL_DYN || (t->kind == CEL_DYN && t->name);
    *ret_why = fits ? NULL : arena_printf(a, "must evaluate to %s but got %s", type_name(cel_type(kind)), cel_type_text(a, t));
    return fits ? p : NULL;
}

struct cel_val cel_of_request(const struct val *request)
{
    return cel_of_json(request, NULL);
}

struct cel_val cel_of_resource_check(struct arena *a, const struct cel_ask *ask)
{
    struct cel_opaque *o;
    struct cel_val v = val_opaque(a, CEL_RESOURCE_CHECK, &o);
    if (o)
        o->ask = *ask;
    return v;
}

struct cel_val cel_of_authorizer(struct arena *a)
{
    struct cel_opaque *o;
    return val_opaque(a, CEL_AUTHORIZER, &o);
}
