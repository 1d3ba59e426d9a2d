/* openapi_custom.c - custom resources in the documents: the schema of the definition, with what every object has. Form 2 has no words for
 * unions, null and values of any type; what uses them is shown as anything there. */
#include "object/custom.h"
#include "openapi-internal.h"

static const char *const not_in_2[] = { "nullable", "oneOf", "anyOf", "allOf", "not", "default" };

static void loosen(struct val *v, bool root)
{
    bool any = json_bool(v, "x-kubernetes-int-or-string", false), keeps = json_bool(v, "x-kubernetes-preserve-unknown-fields", false);
    bool nullable = json_bool(v, "nullable", false);
    for (size_t i = 0; i < sizeof not_in_2 / sizeof *not_in_2; i++)
        json_del(v, str_of(not_in_2[i]));
    if ((any || keeps || nullable) && !root) {
        json_del(v, STR("type"));
        json_del(v, STR("items"));
        json_del(v, STR("properties"));
        json_del(v, STR("additionalProperties"));
        json_del(v, STR("required"));
    }
    struct val *props = json_get(v, STR("properties")), *items = json_get(v, STR("items")), *more = json_get(v, STR("additionalProperties"));
    if (val_is(props, VAL_OBJ))
        val_each(p, props) loosen(p, false);
    if (val_is(items, VAL_OBJ))
        loosen(items, false);
    if (val_is(more, VAL_OBJ))
        loosen(more, false);
}

static void add_type_members(struct openapi *d, struct val *props)
{
    static const char *const names[] = { "apiVersion", "kind" };
    for (int i = 0; i < 2; i++) {
        struct val *one = json_set(d->a, props, str_of(names[i]), val_new(d->a, VAL_OBJ));
        openapi_put(d->a, one, "type", "string");
        openapi_put(d->a, one, "description", i ? "Kind is what this object is." : "APIVersion defines the group and version of this form of the object.");
    }
}

static struct val *meta_ref(struct openapi *d, const char *type, const char *says)
{
    struct val *m = openapi_ref(d, schema_type_by_name(str_of(type)));
    if (d->form == 3) {
        struct val *wrap = val_new(d->a, VAL_OBJ);
        val_push(json_arr(d->a, wrap, STR("allOf")), m);
        m = wrap;
    }
    openapi_put(d->a, m, "description", says);
    return m;
}

/* Form 3 has words for "an integer or a string". */
static void add_either(struct openapi *d, struct val *v)
{
    struct val *props = json_get(v, STR("properties")), *items = json_get(v, STR("items")), *more = json_get(v, STR("additionalProperties"));
    if (val_is(props, VAL_OBJ))
        val_each(p, props) add_either(d, p);
    if (val_is(items, VAL_OBJ))
        add_either(d, items);
    if (val_is(more, VAL_OBJ))
        add_either(d, more);
    if (!json_bool(v, "x-kubernetes-int-or-string", false) || json_get(v, STR("anyOf")) || json_get(v, STR("allOf")))
        return;
    struct val *any = json_arr(d->a, v, STR("anyOf"));
    openapi_put(d->a, val_push(any, val_new(d->a, VAL_OBJ)), "type", "integer");
    openapi_put(d->a, val_push(any, val_new(d->a, VAL_OBJ)), "type", "string");
}

/* What every object has. */
static void add_meta(struct openapi *d, struct val *v)
{
    struct val *props = json_obj(d->a, v, STR("properties"));
    add_type_members(d, props);
    json_set(d->a, props, STR("metadata"), meta_ref(d, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "Standard object's metadata: names, labels, versions."));
}

/* Embedded objects are objects; form 2 does not say so of those that take unknown fields, as clients would refuse these. */
static void add_embedded(struct openapi *d, struct val *v)
{
    static const char *const needed[] = { "kind", "apiVersion" };
    struct val *props = json_get(v, STR("properties")), *items = json_get(v, STR("items")), *more = json_get(v, STR("additionalProperties"));
    if (val_is(props, VAL_OBJ))
        val_each(p, props) add_embedded(d, p);
    if (val_is(items, VAL_OBJ))
        add_embedded(d, items);
    if (val_is(more, VAL_OBJ))
        add_embedded(d, more);
    if (!json_bool(v, "x-kubernetes-embedded-resource", false) || (d->form == 2 && json_bool(v, "x-kubernetes-preserve-unknown-fields", false)))
        return;
    add_meta(d, v);
    for (size_t i = 0; i < 2; i++)
        if (!json_lists(json_get(v, STR("required")), str_of(needed[i])))
            val_push(json_arr(d->a, v, STR("required")), val_of_str(d->a, str_of(needed[i])));
}

/* Fields that lists can be selected by: "spec.words". */
void openapi_add_selectable(struct openapi *d, const struct schema_kind *k, struct val *v)
{
    struct str rest = str_of(k->selectable ? k->selectable : "");
    while (rest.len) {
        struct str path = str_cut(&rest, ',');
        struct val *one = val_push(json_arr(d->a, v, STR("x-kubernetes-selectable-fields")), val_new(d->a, VAL_OBJ));
        openapi_put(d->a, one, "fieldPath", arena_dup(d->a, path));
    }
}

const char *openapi_custom_list(struct openapi *d, const struct schema_kind *k)
{
    struct arena *a = d->a;
    const char *kind = api_list_kind(a, k), *name = arena_printf(a, "%.*s%s", (int)(strlen(k->type->name) - strlen(k->kind)), k->type->name, kind);
    if (!name || json_get(d->schemas, str_of(name)))
        return name;
    struct val *v = json_set(a, d->schemas, str_of(name), val_new(a, VAL_OBJ)), *props, *items;
    openapi_put(a, v, "description", arena_printf(a, "A list of %s.", k->kind));
    openapi_put(a, v, "type", "object");
    val_push(json_arr(a, v, STR("required")), val_of_str(a, STR("items")));
    props = json_obj(a, v, STR("properties"));
    add_type_members(d, props);
    items = json_obj(a, props, STR("items"));
    openapi_put(a, items, "description", "The objects.");
    openapi_put(a, items, "type", "array");
    json_set(a, items, STR("items"), openapi_ref(d, k->type));
    json_set(a, props, STR("metadata"), meta_ref(d, "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta", "Of the list: the revision it shows, where the next page begins."));
    json_sort(a, props);
    val_push(json_arr(a, v, STR("x-kubernetes-group-version-kind")), openapi_gvk(a, k->group, k->version, kind));
    openapi_add_selectable(d, k, v);
    return name;
}

struct val *openapi_custom(struct openapi *d, const struct schema_type *t)
{
    struct val *v = custom_schema_copy(d->a, t->custom);
    if (!v || (d->form == 2 && json_bool(v, "x-kubernetes-preserve-unknown-fields", false))) {
        /* Not even metadata: kubectl would take every other field for unknown. */
        v = val_new(d->a, VAL_OBJ);
        openapi_put(d->a, v, "type", "object");
        return v;
    }
    if (d->form == 2)
        loosen(v, true);
    else
        add_either(d, v);
    add_embedded(d, v);
    add_meta(d, v);
    return v;
}
