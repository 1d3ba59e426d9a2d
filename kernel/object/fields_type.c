/* fields_type.c - how values of a type merge: what the rows say, or a custom resource's schema. */
#include "fields-internal.h"
#include "object/custom.h"

#define MOST_KEYS 16                    /* names of a list's keys */

static struct merge_type scalar(enum merge_scalar s)
{
    return (struct merge_type){ .kind = MERGE_SCALAR, .scalar = s };
}

/* --- schemas of custom resources --- */

static struct merge_type custom_type(const struct val *s, bool open)
{
    struct str type = json_str(s, "type"), format = json_str(s, "format");
    if (!s)
        return (struct merge_type){ .kind = MERGE_ANY, .bare = true };
    open |= json_bool(s, "x-kubernetes-preserve-unknown-fields", false);
    if (str_is(type, "string"))
        return scalar(!format.len || str_is(format, "byte") ? SCALAR_STRING : SCALAR_ANY);
    if (str_is(type, "integer") || str_is(type, "number"))
        return scalar(SCALAR_NUMBER);
    if (str_is(type, "boolean"))
        return scalar(SCALAR_BOOL);
    struct merge_type t = { .kind = MERGE_ANY, .open = open, .bare = true, .schema = s };
    if (str_is(type, "object")) {
        t.kind = MERGE_STRUCT;
        t.atomic = str_is(json_str(s, "x-kubernetes-map-type"), "atomic");
    } else if (str_is(type, "array")) {
        struct str list = json_str(s, "x-kubernetes-list-type");
        t.kind = MERGE_LIST;
        t.set = str_is(list, "set");
        t.atomic = !t.set && !str_is(list, "map");
    }
    return t;
}

static bool custom_member(const struct merge_type *t, struct str name, struct merge_type *ret, bool *ret_named)
{
    const struct val *props = json_get(t->schema, STR("properties")), *additional = json_get(t->schema, STR("additionalProperties"));
    const struct val *s = json_get(props, name);
    *ret_named = true;
    if (json_bool(t->schema, "x-kubernetes-embedded-resource", false)) {
        if (str_is(name, "apiVersion") || str_is(name, "kind")) {
            *ret = scalar(SCALAR_STRING);
            return true;
        }
        if (str_is(name, "metadata")) {
            *ret = merge_type_of(schema_type_by_name(STR("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")));
            ret->bare = true;
            return true;
        }
    }
    *ret_named = s != NULL;
    if (!s && val_is(additional, VAL_OBJ))
        s = additional;
    bool allowed = additional ? additional->type == VAL_BOOL && additional->i : t->open || !val_is(props, VAL_OBJ) || !props->n;
    *ret = s ? custom_type(s, t->open) : (struct merge_type){ .kind = MERGE_ANY, .bare = true };
    return s || allowed;
}

/* --- rows --- */

struct merge_type merge_type_of(const struct schema_type *t)
{
    switch (t->kind) {
    case T_STRUCT:
        return (struct merge_type){ .kind = MERGE_STRUCT, .type = t, .atomic = t->flags & F_STRUCT_ATOMIC, .open = t->flags & F_PRESERVE,
                                    .bare = t->custom != NULL };
    case T_STRING:
    case T_BYTES:
    case T_DURATION: return scalar(SCALAR_STRING);
    case T_BOOL: return scalar(SCALAR_BOOL);
    case T_INT32:
    case T_INT64:
    case T_DOUBLE: return scalar(SCALAR_NUMBER);
    case T_TIME:
    case T_MICROTIME:
    case T_QUANTITY:
    case T_INT_OR_STRING: return scalar(SCALAR_ANY);
    case T_RAW: return (struct merge_type){ .kind = MERGE_BLOB };
    case T_STRINGS: return (struct merge_type){ .kind = MERGE_LIST, .atomic = true };
    case T_CUSTOM: return custom_type(custom_schema_tree(t->custom), false);
    default: return (struct merge_type){ .kind = MERGE_ANY };
    }
}

struct merge_type merge_type_field(const struct schema_field *f)
{
    if (f->shape == SHAPE_MAP)
        return (struct merge_type){ .kind = MERGE_MAP, .type = f->type, .field = f, .atomic = f->flags & F_STRUCT_ATOMIC };
    if (f->shape == SHAPE_LIST) {
        bool merge = f->flags & F_PATCH_MERGE && !(f->flags & F_LIST_ATOMIC), map = f->flags & F_LIST_MAP, set = f->flags & F_LIST_SET;
        return (struct merge_type){ .kind = MERGE_LIST, .type = f->type, .field = f, .atomic = !map && !set && !merge,
                                    .set = set || (merge && !map && !f->patch_key) };
    }
    struct merge_type t = merge_type_of(f->type);
    t.atomic = (t.atomic && !(f->flags & F_GRANULAR)) || f->flags & F_STRUCT_ATOMIC;
    return t;
}

bool merge_type_member(const struct merge_type *t, struct str name, struct merge_type *ret, bool *ret_named)
{
    if (t->schema)
        return custom_member(t, name, ret, ret_named);
    if (t->kind != MERGE_STRUCT) {
        *ret_named = false;
        *ret = t->type ? merge_type_of(t->type) : (struct merge_type){ .kind = t->atomic ? MERGE_BLOB : MERGE_ANY };
        ret->bare |= t->bare;
        return true;
    }
    const struct schema_field *f = schema_field_find(t->type, name);
    *ret_named = true;
    if (!f && t->type->has_typemeta && (str_is(name, "kind") || str_is(name, "apiVersion"))) {
        *ret = scalar(SCALAR_STRING);
        return true;
    }
    *ret_named = f != NULL;
    *ret = f ? merge_type_field(f) : (struct merge_type){ .kind = MERGE_ANY };
    ret->bare |= t->bare;
    ret->open |= f && f->type->kind == T_CUSTOM && t->open;
    return f || t->open;
}

struct merge_type merge_type_item(const struct merge_type *t)
{
    if (t->schema)
        return custom_type(json_get(t->schema, STR("items")), t->open);
    struct merge_type item = t->type ? merge_type_of(t->type) : (struct merge_type){ .kind = MERGE_BLOB };
    item.bare |= t->bare;
    return item;
}

struct merge_type merge_type_deduce(const struct merge_type *t, const struct val *v)
{
    struct merge_type d = *t;
    bool blob = t->kind == MERGE_BLOB;
    if ((t->kind != MERGE_ANY && !blob) || v->type == VAL_NULL)
        return d;
    d.kind = v->type == VAL_OBJ ? (t->schema ? MERGE_STRUCT : MERGE_MAP) : v->type == VAL_ARR ? MERGE_LIST : MERGE_SCALAR;
    d.atomic = blob || d.kind == MERGE_LIST;
    if (t->schema && d.kind == MERGE_LIST) {
        struct str list = json_str(t->schema, "x-kubernetes-list-type");
        d.set = str_is(list, "set");
        d.atomic = !d.set && !str_is(list, "map");
    }
    return d;
}

/* --- items of lists --- */

static unsigned key_names(const struct merge_type *list, struct str *ret)
{
    unsigned n = 0;
    if (list->schema) {
        const struct val *keys = json_get(list->schema, STR("x-kubernetes-list-map-keys"));
        if (val_is(keys, VAL_ARR))
            for (struct val *k = keys->first; k && n < MOST_KEYS; k = k->next)
                ret[n++] = val_str(k);
        return n;
    }
    if (!(list->field->flags & F_LIST_MAP)) {
        ret[n++] = str_of(list->field->patch_key);
        return n;
    }
    for (const char *const *k = list->field->list_keys; k && *k && n < MOST_KEYS; k++)
        ret[n++] = str_of(*k);
    return n;
}

/* What an item that does not say it has for a key. */
static const struct val *key_default(struct arena *a, const struct merge_type *list, struct str name)
{
    if (list->schema) {
        const struct val *props = json_get(json_get(list->schema, STR("items")), STR("properties"));
        return json_get(json_get(props, name), STR("default"));
    }
    const struct schema_field *f = list->type->kind == T_STRUCT ? schema_field_find(list->type, name) : NULL;
    if (f && f->fallback)
        return json_parse(a, str_of(f->fallback), NULL);
    const struct val *zero = f && !(f->flags & (F_OMITEMPTY | F_POINTER)) ? fields_present(f, NULL) : NULL;
    return zero && zero->type != VAL_NULL ? zero : NULL;
}

static void add_sorted(struct val *obj, struct val *v)
{
    struct val **at = &obj->first;
    while (*at && str_cmp(val_key(*at), val_key(v)) < 0)
        at = &(*at)->next;
    v->next = *at;
    *at = v;
    obj->n++;
}

static int keyed(struct arena *a, const struct merge_type *list, const struct val *item, struct fields *ret, struct kl_err *err)
{
    struct str names[MOST_KEYS];
    unsigned n = key_names(list, names);
    struct val *key = val_new(a, VAL_OBJ);
    if (item->type != VAL_OBJ)
        return kl_err_set(err, KL_INVALID, "associative list with keys may not have %s", item->type == VAL_NULL ? "a null element" : "non-map elements");
    for (unsigned i = 0; i < n && key; i++) {
        const struct val *v = json_get(item, names[i]);
        struct val *copy = NULL;
        if (!v && !(v = key_default(a, list, names[i])))
            continue;
        copy = val_copy(a, v);
        if (!copy)
            return kl_err_set(err, KL_NO_MEMORY, "out of memory");
        copy->key = names[i].at;
        copy->key_len = (uint32_t)names[i].len;
        add_sorted(key, copy);
    }
    if (key && key->n) {
        *ret = (struct fields){ .element = FIELDS_KEY, .v = key };
        return 0;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    for (unsigned i = 0; i < n; i++)
        buf_printf(&b, "%s\"" STR_FMT "\"", i ? " " : "", STR_ARG(names[i]));
    return kl_err_set(err, KL_INVALID, "associative list with keys has an element that omits all key fields [" STR_FMT
                      "] (and doesn't have default values for any key fields)", STR_ARG(buf_str(&b)));
}

int merge_item_element(struct arena *a, const struct merge_type *list, const struct val *item, struct fields *ret, struct kl_err *err)
{
    if (!list->set)
        return keyed(a, list, item, ret, err);
    switch (item->type) {
    case VAL_OBJ: return kl_err_set(err, KL_INVALID, "associative list without keys has an element that's a map type");
    case VAL_ARR: return kl_err_set(err, KL_INVALID, "not supported: associative list with lists as elements");
    case VAL_NULL: return kl_err_set(err, KL_INVALID, "associative list without keys has an element that's an explicit null");
    default: break;
    }
    *ret = (struct fields){ .element = FIELDS_VALUE, .v = item };
    return 0;
}
