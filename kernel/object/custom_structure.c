/* custom_structure.c - is a definition's schema structural, and are its defaults values of it? */
#include "object/custom-internal.h"

static void check_structure(struct object_causes *c, const struct val *schema, const char *field, bool root);

static void check_kids(struct object_causes *c, const struct val *schema, const char *field)
{
    const struct val *props = json_get(schema, STR("properties")), *items = json_get(schema, STR("items"));
    const struct val *additional = json_get(schema, STR("additionalProperties"));
    if (val_is(props, VAL_OBJ))
        val_each(s, props) check_structure(c, s, arena_printf(c->arena, "%s.properties[" STR_FMT "]", field, STR_ARG(val_key(s))), false);
    if (val_is(items, VAL_OBJ))
        check_structure(c, items, arena_printf(c->arena, "%s.items", field), false);
    if (val_is(additional, VAL_OBJ))
        check_structure(c, additional, arena_printf(c->arena, "%s.additionalProperties", field), false);
    if (val_is(additional, VAL_OBJ) && val_is(props, VAL_OBJ) && props->n)
        object_cause_add(c, "FieldValueForbidden", arena_printf(c->arena, "%s.additionalProperties", field),
                         "Forbidden: additionalProperties and properties are mutual exclusive");
}

static void check_list(struct object_causes *c, const struct val *schema, const char *field)
{
    struct str list = json_str(schema, "x-kubernetes-list-type");
    const struct val *keys = json_get(schema, STR("x-kubernetes-list-map-keys"));
    if (str_is(list, "map") && !(val_is(keys, VAL_ARR) && keys->n))
        object_cause_add(c, "FieldValueRequired", arena_printf(c->arena, "%s.x-kubernetes-list-map-keys", field),
                         "Required value: must not be empty if x-kubernetes-list-type is map");
    if (!str_is(json_str(schema, "type"), "array"))
        object_cause_add(c, "FieldValueInvalid", arena_printf(c->arena, "%s.type", field),
                         "Invalid value: \"" STR_FMT "\": must be array if x-kubernetes-list-type is specified", STR_ARG(json_str(schema, "type")));
}

/* A default is a value of its own schema. Judged once the schema is one. */
static void check_fallback(struct object_causes *c, const struct val *schema, const char *field)
{
    const struct val *fallback = json_get(schema, STR("default"));
    struct path at = { NULL, str_of(arena_printf(c->arena, "%s.default", field)), 0 };
    _cleanup_buf_ struct buf text = BUF_INIT(0);
    if (!fallback || c->n)
        return;
    json_write(&text, schema);
    struct custom_schema *s = text.failed ? NULL : custom_schema_new(buf_str(&text));
    if (s)
        custom_validate(s, c, fallback, NULL, &at);
    custom_schema_free(s);
}

static void check_structure(struct object_causes *c, const struct val *schema, const char *field, bool root)
{
    static const char *const types[] = { "array", "boolean", "integer", "number", "object", "string", NULL };
    struct str type = json_str(schema, "type"), pattern = json_str(schema, "pattern");
    bool loose = json_bool(schema, "x-kubernetes-int-or-string", false) || json_bool(schema, "x-kubernetes-preserve-unknown-fields", false);
    const char *type_field = arena_printf(c->arena, "%s.type", field);
    bool known = !type.len;
    for (int i = 0; types[i]; i++)
        known |= str_is(type, types[i]);
    if (!known)
        object_cause_add(c, "FieldValueNotSupported", type_field, "Unsupported value: \"" STR_FMT "\": supported values: \"array\", \"boolean\", "
                         "\"integer\", \"number\", \"object\", \"string\"", STR_ARG(type));
    if (!type.len && (root || !loose))
        object_cause_add(c, "FieldValueRequired", type_field, root ? "Required value: must not be empty at the root" :
                         "Required value: must not be empty for specified object fields");
    if (root && type.len && !str_is(type, "object"))
        object_cause_add(c, "FieldValueInvalid", type_field, "Invalid value: \"" STR_FMT "\": must be object at the root", STR_ARG(type));
    if (str_is(type, "array") && !val_is(json_get(schema, STR("items")), VAL_OBJ))
        object_cause_add(c, "FieldValueRequired", arena_printf(c->arena, "%s.items", field), "Required value: must be specified");
    if (json_str(schema, "x-kubernetes-list-type").len)
        check_list(c, schema, field);
    const char *why = pattern.len ? custom_pattern_check(c->arena, pattern) : NULL;
    if (why)
        object_cause_add(c, "FieldValueInvalid", arena_printf(c->arena, "%s.pattern", field), "Invalid value: \"" STR_FMT "\": %s", STR_ARG(pattern), why);
    if (json_bool(schema, "uniqueItems", false))
        object_cause_add(c, "FieldValueForbidden", arena_printf(c->arena, "%s.uniqueItems", field),
                         "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic");
    check_fallback(c, schema, field);
    if (c->n < 64)
        check_kids(c, schema, field);
}

/* Every object has metadata; a schema may bound its name, and say nothing else of it. */
static void check_metadata(struct object_causes *c, const struct val *schema, const char *field)
{
    const struct val *meta = json_get(json_get(schema, STR("properties")), STR("metadata")), *props = json_get(meta, STR("properties"));
    bool more = false;
    if (!val_is(meta, VAL_OBJ))
        return;
    val_each(m, meta) more |= !str_is(val_key(m), "type") && !str_is(val_key(m), "default") && m != props;
    if (val_is(props, VAL_OBJ))
        val_each(p, props) more |= !str_is(val_key(p), "name") && !str_is(val_key(p), "generateName");
    if (more)
        object_cause_add(c, "FieldValueForbidden", arena_printf(c->arena, "%s.properties[metadata]", field),
                         "Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified");
}

void custom_schema_check(struct object_causes *c, const struct val *schema, const char *field)
{
    check_structure(c, schema, field, true);
    check_metadata(c, schema, field);
}
