/* openapi_schema.c - types as schemas, in both forms. Form 2 knows no oneOf and has references bare, form 3 wraps them in allOf. */
#include <stdlib.h>

#include "openapi-internal.h"

#define put openapi_put

static const struct {
    uint8_t kind;
    const char *type, *format;
} scalars[] = {
    { T_STRING, "string", NULL },      { T_BOOL, "boolean", NULL },         { T_INT32, "integer", "int32" }, { T_INT64, "integer", "int64" },
    { T_DOUBLE, "number", "double" },  { T_BYTES, "string", "byte" },       { T_TIME, "string", "date-time" }, { T_MICROTIME, "string", "date-time" },
    { T_DURATION, "string", NULL },    { T_RAW, "object", NULL },           { T_QUANTITY, NULL, NULL },      { T_INT_OR_STRING, NULL, "int-or-string" },
    { T_STRINGS, "array", NULL },
};

static struct val *scalar_schema(struct openapi *d, const struct schema_type *t)
{
    struct val *v = val_new(d->a, VAL_OBJ);
    bool either = t->kind == T_INT_OR_STRING || t->kind == T_QUANTITY;
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) {
        if (scalars[i].kind != t->kind)
            continue;
        if (scalars[i].type)
            put(d->a, v, "type", scalars[i].type);
        if (scalars[i].format)
            put(d->a, v, "format", scalars[i].format);
    }
    if (either && d->form == 2) {
        put(d->a, v, "type", "string");
    } else if (either) {
        struct val *one = json_arr(d->a, v, STR("oneOf"));
        put(d->a, val_push(one, val_new(d->a, VAL_OBJ)), "type", t->kind == T_QUANTITY ? "string" : "integer");
        put(d->a, val_push(one, val_new(d->a, VAL_OBJ)), "type", t->kind == T_QUANTITY ? "number" : "string");
    }
    if (t->kind == T_JSON && str_ends(str_of(t->name), STR("FieldsV1")))
        put(d->a, v, "type", "object");
    if (t->kind == T_STRINGS) {
        struct val *items = json_obj(d->a, v, STR("items"));
        put(d->a, items, "type", "string");
        if (d->form == 3)
            put(d->a, items, "default", "");
    }
    return v;
}

struct val *openapi_ref(struct openapi *d, const struct schema_type *t)
{
    openapi_add_type(d, t);
    return openapi_ref_to(d, t->name);
}

struct val *openapi_ref_to(struct openapi *d, const char *name)
{
    struct val *v = val_new(d->a, VAL_OBJ);
    put(d->a, v, "$ref", arena_printf(d->a, "%s%s", d->form == 2 ? "#/definitions/" : "#/components/schemas/", name));
    return v;
}

/* What Go makes of a value that is not there, as form 3 tells it. NULL: it tells nothing. */
static struct val *zero(struct openapi *d, const struct schema_type *t)
{
    if (d->form == 2)
        return NULL;
    switch (t->kind) {
    case T_STRING: return val_of_str(d->a, STR(""));
    case T_INT32: case T_INT64: case T_DOUBLE: return val_new(d->a, VAL_INT);
    case T_BOOL: return val_new(d->a, VAL_BOOL);
    case T_STRUCT: return val_new(d->a, VAL_OBJ);
    default: return NULL;
    }
}

/* The members of the type's schema, behind those of v; fallback may be NULL. A reference that has company stands in allOf. */
static void add_schema(struct openapi *d, struct val *v, const struct schema_type *t, struct val *fallback)
{
    bool own = !str_starts(str_of(t->name), STR("io.k8s."));
    struct val *s = own ? scalar_schema(d, t) : openapi_ref(d, t), *next;
    if (!own && fallback)
        json_set(d->a, v, STR("default"), fallback);
    if (!own && d->form == 3 && v->first) {
        val_push(json_arr(d->a, v, STR("allOf")), s);
        return;
    }
    for (struct val *m = s->first; m; m = next) {
        next = m->next;
        json_set(d->a, v, val_key(m), val_copy(d->a, m));
    }
    if (own && fallback)
        json_set(d->a, v, STR("default"), fallback);
}

/* The value of a field that is left out: what its type says upstream, or the zero of what is always there. */
static struct val *fallback_of(struct openapi *d, const struct schema_field *f)
{
    if (d->form == 2)
        return NULL;
    if (f->fallback && f->fallback[0] && !(f->flags & F_DEFAULT_SET))
        return json_parse(d->a, str_of(f->fallback), NULL);
    if (f->flags & F_POINTER)
        return NULL;
    return f->type->kind == T_STRUCT || !(f->flags & F_OMITEMPTY) ? zero(d, f->type) : NULL;
}

static void extensions(struct openapi *d, const struct schema_field *f, struct val *v)
{
    struct arena *a = d->a;
    for (const char *const *k = f->list_keys; k && *k; k++)
        val_push(json_arr(a, v, STR("x-kubernetes-list-map-keys")), val_of_str(a, str_of(*k)));
    if (f->flags & (F_LIST_SET | F_LIST_MAP | F_LIST_ATOMIC) && f->shape == SHAPE_LIST)
        put(a, v, "x-kubernetes-list-type", f->flags & F_LIST_SET ? "set" : f->flags & F_LIST_MAP ? "map" : "atomic");
    if (f->flags & F_TOLD_ATOMIC)
        put(a, v, "x-kubernetes-list-type", "atomic");
    if (f->flags & (F_STRUCT_ATOMIC | F_GRANULAR | F_TOLD_GRANULAR))
        put(a, v, "x-kubernetes-map-type", f->flags & F_STRUCT_ATOMIC ? "atomic" : "granular");
    if (f->patch_key)
        put(a, v, "x-kubernetes-patch-merge-key", f->patch_key);
    const char *strategy = f->flags & F_PATCH_MERGE && f->flags & F_PATCH_RETAINKEYS ? "merge,retainKeys" : f->flags & F_PATCH_MERGE ? "merge" :
                           f->flags & F_PATCH_RETAINKEYS ? "retainKeys" : f->flags & F_PATCH_REPLACE ? "replace" : NULL;
    if (strategy)
        put(a, v, "x-kubernetes-patch-strategy", strategy);
}

static int by_text(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* By name, as upstream lists them. */
static void add_choices(struct openapi *d, const struct schema_field *f, struct val *v)
{
    size_t n = 0;
    while (f->choices && f->choices[n])
        n++;
    const char **at = n && !(f->flags & F_UNLISTED) ? arena_alloc(d->a, n * sizeof *at) : NULL;
    if (!at)
        return;
    memcpy(at, f->choices, n * sizeof *at);
    qsort(at, n, sizeof *at, by_text);
    for (size_t i = 0; i < n; i++)
        val_push(json_arr(d->a, v, STR("enum")), val_of_str(d->a, str_of(at[i])));
}

static struct val *field_schema(struct openapi *d, const struct schema_field *f)
{
    struct val *v = val_new(d->a, VAL_OBJ), *one = v;
    if (!(f->flags & F_BARE))
        put(d->a, v, "description", f->doc ? f->doc : "");
    if (f->shape == SHAPE_ONE) {
        add_schema(d, v, f->type, fallback_of(d, f));
    } else {
        put(d->a, v, "type", f->shape == SHAPE_LIST ? "array" : "object");
        one = json_obj(d->a, v, f->shape == SHAPE_LIST ? STR("items") : STR("additionalProperties"));
        add_schema(d, one, f->type, zero(d, f->type));
    }
    add_choices(d, f, one);
    extensions(d, f, v);
    return v;
}

/* "type:localhostProfile" */
static void add_union(struct openapi *d, const struct schema_type *t, struct val *v)
{
    struct str fields = str_of(t->one_of), by = str_cut(&fields, ':');
    struct val *u = val_push(json_arr(d->a, v, STR("x-kubernetes-unions")), val_new(d->a, VAL_OBJ));
    if (by.len)
        put(d->a, u, "discriminator", arena_dup(d->a, by));
    struct val *names = json_obj(d->a, u, STR("fields-to-discriminateBy"));
    while (fields.at) {
        struct str f = str_cut(&fields, ',');
        put(d->a, names, arena_dup(d->a, f), arena_printf(d->a, "%c" STR_FMT, f.at[0] - 32, STR_ARG(str_skip(f, 1))));
    }
}

/* What a list is goes without saying, but for those who read documents. */
static const char *of_list(struct arena *a, const struct schema_type *t)
{
    const struct schema_field *items = schema_field_find(t, STR("items"));
    const char *dot = items && items->shape == SHAPE_LIST && items->type->name ? strrchr(items->type->name, '.') : NULL;
    return dot ? arena_printf(a, "A list of objects of the kind %s.", dot + 1) : "";
}

void openapi_add_type(struct openapi *d, const struct schema_type *t)
{
    struct val *v, *props;
    if (map_get(&d->done, str_of(t->name)))
        return;
    map_put(&d->done, str_of(t->name), d);
    if (t->custom) {
        v = openapi_custom(d, t);
        json_set(d->a, d->schemas, str_of(t->name), v);
        openapi_add_gvks(d, t, v);
        return;
    }
    if (t->kind != T_STRUCT) {
        json_set(d->a, d->schemas, str_of(t->name), scalar_schema(d, t));
        return;
    }
    v = json_set(d->a, d->schemas, str_of(t->name), val_new(d->a, VAL_OBJ));
    put(d->a, v, "description", t->doc ? t->doc : of_list(d->a, t));
    put(d->a, v, "type", "object");
    for (unsigned i = 0; i < t->n_flat; i++)
        if (t->flat[i]->flags & F_REQUIRED || !(t->flat[i]->flags & (F_OMITEMPTY | F_OPTIONAL)))
            val_push(json_arr(d->a, v, STR("required")), val_of_str(d->a, str_of(t->flat[i]->json)));
    props = t->n_flat || t->has_typemeta ? json_obj(d->a, v, STR("properties")) : NULL;     /* Go's encoder leaves an empty one out */
    for (int i = 0; t->has_typemeta && i < 2; i++) {
        struct val *m = json_obj(d->a, props, i ? STR("kind") : STR("apiVersion"));
        put(d->a, m, "description", i ? "What this object is." : "Group and version of this form of the object.");
        put(d->a, m, "type", "string");
    }
    for (unsigned i = 0; i < t->n_flat; i++) {
        const struct schema_field *f = t->flat[i];
        json_set(d->a, props, str_n(f->json, f->json_len), field_schema(d, f));
    }
    if (props)
        json_sort(d->a, props);
    if (t->flags & F_STRUCT_ATOMIC)
        put(d->a, v, "x-kubernetes-map-type", "atomic");
    if (t->one_of)
        add_union(d, t, v);
    openapi_add_gvks(d, t, v);
}
