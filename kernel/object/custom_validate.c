/* custom_validate.c - a value against its schema, in the words of upstream's validator. */
#include <math.h>
#include <stdlib.h>

#include "object/custom-internal.h"

struct check {
    struct object_causes *causes;
    struct custom_schema *root;         /* for compiled patterns */
    struct object_causes *twice;        /* items that are there twice: told behind the rest; NULL: not looked for */
    size_t cut;                         /* of a path where it stands in a message: a status is a whole to upstream */
};

static void check_value(struct check *k, const struct val *schema, const struct val *v, const struct path *p);

static const char *where(struct check *k, const struct path *p)
{
    return p ? path_text(k->causes->arena, p) : "<nil>";
}

static const char *inside(struct check *k, const struct path *p)
{
    const char *text = where(k, p);
    return strlen(text) > k->cut ? text + k->cut : "";
}

static const char *text_of(struct check *k, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    json_write(&b, v);
    return b.failed ? "..." : arena_dup(k->causes->arena, buf_str(&b));
}

__attribute__((format(printf, 4, 5))) static void invalid(struct check *k, const struct val *v, const struct path *p, const char *fmt, ...)
{
    char why[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    object_cause_add(k->causes, "FieldValueInvalid", where(k, p), "Invalid value: %s: %s in body %s", text_of(k, v), inside(k, p), why);
}

static double number(const struct val *v)
{
    char text[64];
    if (val_is(v, VAL_INT))
        return (double)v->i;
    if (!val_is(v, VAL_NUM) || v->n >= sizeof text)
        return 0;
    snprintf(text, sizeof text, "%.*s", (int)v->n, v->s);
    return strtod(text, NULL);
}

static bool is_number(const struct val *v)
{
    return val_is(v, VAL_INT) || val_is(v, VAL_NUM);
}

static bool is_integer(const struct val *v)
{
    return val_is(v, VAL_INT) || (val_is(v, VAL_NUM) && floor(number(v)) == number(v) && fabs(number(v)) <= 9007199254740991.0);
}

/* --- types --- */

static bool type_fits(struct str type, const struct val *v)
{
    static const struct {
        const char *type;
        enum val_type is;
    } rows[] = { { "object", VAL_OBJ }, { "array", VAL_ARR }, { "string", VAL_STR }, { "boolean", VAL_BOOL } };
    for (size_t i = 0; i < 4; i++)
        if (str_is(type, rows[i].type))
            return v->type == rows[i].is;
    return !type.len || (str_is(type, "integer") ? is_integer(v) : str_is(type, "number") && is_number(v));
}

static void check_type(struct check *k, const struct val *schema, const struct val *v, const struct path *p)
{
    static const char *const words[] = { "", "null", "boolean", "integer", "number", "string", "array", "object" };
    static const char *const formats[] = { "", "null", "", "int64", "double", "", "", "" };
    struct str type = json_str(schema, "type"), format = json_str(schema, "format");
    if (v->type == VAL_NULL && json_bool(schema, "nullable", false))
        return;
    if (format.len && v->type != VAL_NULL && v->type != VAL_STR && v->type != VAL_ARR && !type_fits(type, v) && !str_is(format, formats[v->type])) {
        const char *is = v->type == VAL_NUM ? "float64" : formats[v->type];
        object_cause_add(k->causes, "FieldValueTypeInvalid", where(k, p), "Invalid value: \"%s\": %s in body must be of type " STR_FMT ": \"%s\"", is, inside(k, p),
                         STR_ARG(format), is);
        return;
    }
    if (format.len && v->type == VAL_ARR && !str_is(type, "integer") && !str_is(type, "number"))
        return;
    if (json_bool(schema, "x-kubernetes-int-or-string", false)) {
        if (is_integer(v) || v->type == VAL_STR)
            return;
        type = STR("integer,string");
    } else if (type_fits(type, v)) {
        return;
    }
    object_cause_add(k->causes, "FieldValueTypeInvalid", where(k, p), "Invalid value: \"%s\": %s in body must be of type " STR_FMT ": \"%s\"",
                     words[v->type], inside(k, p), STR_ARG(type), words[v->type]);
}

/* --- single values --- */

static void check_choices(struct check *k, const struct val *schema, const struct val *v, const struct path *p)
{
    const struct val *choices = json_get(schema, STR("enum"));
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    if (!val_is(choices, VAL_ARR) || !choices->n)
        return;
    val_each(c, choices) {
        if (val_equal(c, v))
            return;
        if (b.len)
            buf_lit(&b, ", ");
        json_write(&b, c);
    }
    object_cause_add(k->causes, "FieldValueNotSupported", where(k, p), "Unsupported value: %s: supported values: %s", text_of(k, v), b.at ? b.at : "");
}

/* Does a whole number fit its format? Told of no field, as upstream has it. */
static void check_range(struct check *k, const struct val *schema, const struct val *v, const struct path *p)
{
    struct str format = json_str(schema, "format");
    bool small = str_is(format, "int32");
    if (!str_is(json_str(schema, "type"), "integer") || (val_is(v, VAL_INT) && (!small || (v->i >= INT32_MIN && v->i <= INT32_MAX))))
        return;
    if (format.len)
        object_cause_add(k->causes, "FieldValueInvalid", k->cut ? "status" : "<nil>", "Invalid value: \"\": Checked value must be of type integer with format " STR_FMT " in %s",
                         STR_ARG(format), inside(k, p));
    else
        object_cause_add(k->causes, "FieldValueInvalid", k->cut ? "status" : "<nil>", "Invalid value: \"\": Checked value must be of type integer (default format) in %s", inside(k, p));
}

static void check_number(struct check *k, const struct val *schema, const struct val *v, const struct path *p)
{
    const struct val *min = json_get(schema, STR("minimum")), *max = json_get(schema, STR("maximum")), *of = json_get(schema, STR("multipleOf"));
    bool above = json_bool(schema, "exclusiveMinimum", false), below = json_bool(schema, "exclusiveMaximum", false);
    double x = number(v);
    check_range(k, schema, v, p);
    if (is_number(min) && (above ? x <= number(min) : x < number(min)))
        invalid(k, v, p, "should be greater than %s%s", above ? "" : "or equal to ", text_of(k, min));
    if (is_number(max) && (below ? x >= number(max) : x > number(max)))
        invalid(k, v, p, "should be less than %s%s", below ? "" : "or equal to ", text_of(k, max));
    if (is_number(of) && number(of) > 0 && fabs(remainder(x, number(of))) > 1e-9)
        invalid(k, v, p, "should be a multiple of %s", text_of(k, of));
}

static int64_t runes(struct str s)
{
    int64_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.at[i] & 0xc0) != 0x80;
    return n;
}

static void check_string(struct check *k, const struct val *schema, const struct val *v, const struct path *p)
{
    struct str s = val_str(v), pattern = json_str(schema, "pattern"), format = json_str(schema, "format");
    int64_t least = json_int(schema, "minLength", 0), most = json_int(schema, "maxLength", -1), n = least > 0 || most >= 0 ? runes(s) : 0;
    if (most >= 0 && n > most)
        object_cause_add(k->causes, "FieldValueTooLong", where(k, p), "Too long: may not be more than %lld bytes", (long long)most);
    if (n < least)
        invalid(k, v, p, "should be at least %lld chars long", (long long)least);
    if (pattern.len && !custom_pattern_matches(k->root, pattern, s))
        invalid(k, v, p, "should match '" STR_FMT "'", STR_ARG(pattern));
    if (format.len && !custom_format_matches(format, s))
        object_cause_add(k->causes, "FieldValueTypeInvalid", where(k, p), "Invalid value: %s: %s in body must be of type " STR_FMT ": %s", text_of(k, v), inside(k, p),
                         STR_ARG(format), text_of(k, v));
}

/* --- lists --- */

static bool same_keys(const struct val *keys, const struct val *a, const struct val *b)
{
    bool any = false;
    val_each(key, keys)
        any |= json_get(a, val_str(key)) != NULL;
    if (!any)                           /* without all of them it is nobody's double */
        return false;
    val_each(key, keys)
        if (!val_equal(json_get(a, val_str(key)), json_get(b, val_str(key))))
            return false;
    return true;
}

static void check_unique(struct check *k, const struct val *schema, const struct val *v, const struct path *p)
{
    struct str type = json_str(schema, "x-kubernetes-list-type");
    const struct val *keys = json_get(schema, STR("x-kubernetes-list-map-keys"));
    bool map = str_is(type, "map") && val_is(keys, VAL_ARR), set = str_is(type, "set");
    long i = 0;
    if (!map && !set && !json_bool(schema, "uniqueItems", false))
        return;
    for (const struct val *x = map && k->twice ? v->first : NULL; x; x = x->next, i++)
        if (x->type != VAL_OBJ && x->type != VAL_NULL) {
            struct path here = { p, STR_NONE, i };
            object_cause_add(k->twice, "FieldValueInvalid", where(k, &here), "Invalid value: %s: must be an object for an array of list-type map", text_of(k, x));
        }
    i = 0;
    for (const struct val *x = v->first; x; x = x->next, i++)
        for (const struct val *y = v->first; y != x; y = y->next) {
            struct path here = { p, STR_NONE, i };
            if (map ? x->type != VAL_OBJ || y->type != VAL_OBJ || !same_keys(keys, x, y) : !val_equal(x, y))
                continue;
            if (!map && !set) {
                invalid(k, v, p, "shouldn't contain duplicates");
                return;
            }
            if (!k->twice)
                break;
            struct val *shown = map ? val_new(k->causes->arena, VAL_OBJ) : val_copy(k->causes->arena, x);
            for (const struct val *key = map ? keys->first : NULL; key; key = key->next)
                if (json_get(x, val_str(key)))
                    json_set(k->causes->arena, shown, val_str(key), val_copy(k->causes->arena, json_get(x, val_str(key))));
            object_cause_add(k->twice, "FieldValueDuplicate", where(k, &here), "Duplicate value: %s", text_of(k, shown));
            break;
        }
}

static void check_array(struct check *k, const struct val *schema, const struct val *v, const struct path *p)
{
    const struct val *items = json_get(schema, STR("items"));
    int64_t least = json_int(schema, "minItems", 0), most = json_int(schema, "maxItems", -1);
    long i = 0;
    if (v->n < least)
        invalid(k, v, p, "should have at least %lld items", (long long)least);
    if (most >= 0 && v->n > most)
        object_cause_add(k->causes, "FieldValueTooMany", where(k, p), "Too many: %u: must have at most %lld items", v->n, (long long)most);
    if (val_is(items, VAL_OBJ))
        val_each(item, v) {
            struct path here = { p, STR_NONE, i++ };
            check_value(k, items, item, &here);
        }
    check_unique(k, schema, v, p);
}

/* --- objects --- */

static void check_embedded(struct check *k, const struct val *v, const struct path *p)
{
    static const char *const names[] = { "apiVersion", "kind" };
    for (int i = 0; i < 2; i++) {
        struct path here = { p, str_of(names[i]), 0 };
        if (!json_str(v, names[i]).len)
            object_cause_add(k->causes, "FieldValueRequired", where(k, &here), "Required value: must not be empty");
    }
}

static void check_object(struct check *k, const struct val *schema, const struct val *v, const struct path *p)
{
    const struct val *props = json_get(schema, STR("properties")), *additional = json_get(schema, STR("additionalProperties"));
    const struct val *required = json_get(schema, STR("required"));
    int64_t least = json_int(schema, "minProperties", 0), most = json_int(schema, "maxProperties", -1);
    if (v->n < least) {
        invalid(k, v, p, "should have at least %lld properties", (long long)least);
        return;
    }
    if (most >= 0 && v->n > most) {
        object_cause_add(k->causes, "FieldValueTooMany", where(k, p), "Too many: %u: must have at most %lld items", v->n, (long long)most);
        return;
    }
    val_each(m, v) {
        const struct val *s = json_get(props, val_key(m));
        struct path here = { p, val_key(m), 0 };
        if (!s && val_is(additional, VAL_OBJ))
            s = additional;
        if (s)
            check_value(k, s, m, &here);
    }
    if (val_is(required, VAL_ARR))
        val_each(r, required) {
            struct path here = { p, val_str(r), 0 };
            if (!json_get(v, val_str(r)))
                object_cause_add(k->causes, "FieldValueRequired", where(k, &here), "Required value");
        }
    if (json_bool(schema, "x-kubernetes-embedded-resource", false))
        check_embedded(k, v, p);
}

/* --- unions --- */

static bool meets(struct check *k, const struct val *schema, const struct val *v, const struct path *p)
{
    struct object_causes none = { .arena = k->causes->arena };
    struct check quiet = { &none, k->root, NULL, k->cut };
    check_value(&quiet, schema, v, p);
    return none.n == 0;
}

static unsigned count_met(struct check *k, const struct val *list, const struct val *v, const struct path *p)
{
    unsigned n = 0;
    val_each(s, list) n += meets(k, s, v, p);
    return n;
}

static void check_unions(struct check *k, const struct val *schema, const struct val *v, const struct path *p)
{
    const struct val *all = json_get(schema, STR("allOf")), *any = json_get(schema, STR("anyOf")), *one = json_get(schema, STR("oneOf"));
    const struct val *not = json_get(schema, STR("not"));
    if (val_is(all, VAL_ARR))
        val_each(s, all) check_value(k, s, v, p);
    if (val_is(any, VAL_ARR) && any->n && !count_met(k, any, v, p))
        invalid(k, v, p, "must validate at least one schema (anyOf)");
    if (val_is(one, VAL_ARR) && one->n && count_met(k, one, v, p) != 1)
        invalid(k, v, p, "must validate one and only one schema (oneOf). Found %s", count_met(k, one, v, p) ? "more than one valid alternative" :
                                                                                                        "none valid");
    if (val_is(not, VAL_OBJ) && meets(k, not, v, p))
        invalid(k, v, p, "must not validate the schema (not)");
}

static void check_value(struct check *k, const struct val *schema, const struct val *v, const struct path *p)
{
    check_type(k, schema, v, p);        /* of another type it is held to what else is said of the type that it has */
    if (v->type != VAL_NULL)
        check_unions(k, schema, v, p);
    if (v->type == VAL_STR)
        check_string(k, schema, v, p);
    else if (is_number(v))
        check_number(k, schema, v, p);
    else if (v->type == VAL_ARR)
        check_array(k, schema, v, p);
    check_choices(k, schema, v, p);
    if (v->type == VAL_OBJ)
        check_object(k, schema, v, p);
}

/* cut: of a path, where it stands in a message. */
static void check_whole(const struct custom_schema *s, struct object_causes *c, const struct val *schema, const struct val *v, const struct path *p, size_t cut)
{
    struct object_causes twice = { .arena = c->arena };
    struct check k = { c, (struct custom_schema *)(s->root ? s->root : s), &twice, cut };
    if (v && schema)
        check_value(&k, schema, v, p);
    for (unsigned i = 0; i < twice.n; i++)
        object_cause_add(c, twice.at[i].reason, twice.at[i].field, "%s", twice.at[i].message);
}

void custom_validate(const struct custom_schema *s, struct object_causes *c, const struct val *v, const struct path *p)
{
    check_whole(s, c, custom_schema_tree(s), v, p, 0);
}

void custom_validate_status(const struct custom_schema *s, struct object_causes *c, const struct val *v)
{
    struct path p = { NULL, STR("status"), 0 };
    check_whole(s, c, json_get(json_get(custom_schema_tree(s), STR("properties")), STR("status")), json_get(v, STR("status")), &p, sizeof "status." - 1);
}

/* --- schemas themselves --- */

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
        custom_validate(s, c, fallback, &at);
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
