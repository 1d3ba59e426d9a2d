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
    else if (more)
        json_del(v, STR("additionalProperties"));
}

/* What every object has. */
static void add_meta(struct openapi *d, struct val *v)
{
    static const char *const names[] = { "apiVersion", "kind" };
    struct val *props = json_obj(d->a, v, STR("properties"));
    struct val *m = openapi_ref(d, schema_type_by_name(STR("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")));
    for (int i = 0; i < 2; i++) {
        struct val *one = json_set(d->a, props, str_of(names[i]), val_new(d->a, VAL_OBJ));
        openapi_put(d->a, one, "type", "string");
        openapi_put(d->a, one, "description", i ? "Kind is what this object is." : "APIVersion defines the group and version of this form of the object.");
    }
    if (d->form == 3) {
        struct val *wrap = val_new(d->a, VAL_OBJ);
        val_push(json_arr(d->a, wrap, STR("allOf")), m);
        m = wrap;
    }
    openapi_put(d->a, m, "description", "Standard object's metadata: names, labels, versions.");
    json_set(d->a, props, STR("metadata"), m);
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
    add_embedded(d, v);
    add_meta(d, v);
    return v;
}
