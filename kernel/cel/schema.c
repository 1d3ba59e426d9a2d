/* schema.c - types from schemas: the structural ones of definitions, and the rows of built-in kinds. */
#include "cel/cel-internal.h"

#define REQUEST (3 << 20)               /* bytes of the largest request: bounds what no schema bounds */

/* Smallest forms as JSON, and the largest of texts whose format says it. */
#define MIN_STRING   2
#define MIN_BOOL     4
#define MIN_NUMBER   1
#define MIN_DURATION 3
#define MIN_DATETIME 21
#define MAX_DATETIME 32
#define MAX_DURATION 32
#define DATE         12

/* --- names --- */

bool cel_reserved(struct str s)
{
    static const char *const words[] = { "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
                                         "import", "let", "loop", "package", "namespace", "return", "var", "void", "while" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_is(s, words[i]))
            return true;
    return false;
}

const char *cel_escape(struct arena *a, struct str s)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    if (!s.len || (s.at[0] >= '0' && s.at[0] <= '9'))
        return NULL;
    if (cel_reserved(s))
        return arena_printf(a, "__" STR_FMT "__", STR_ARG(s));
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (c == '_' && i + 1 < s.len && s.at[i + 1] == '_') {
            buf_lit(&b, "__underscores__");
            i++;
        } else if (word) {
            buf_add_c(&b, c);
        } else if (c == '.' || c == '-' || c == '/') {
            buf_add_z(&b, c == '.' ? "__dot__" : c == '-' ? "__dash__" : "__slash__");
        } else {
            return NULL;
        }
    }
    return b.failed ? NULL : arena_dup(a, buf_str(&b));
}

/* --- structural schemas --- */

static struct cel_type *sized(struct arena *a, enum cel_kind kind, int64_t min, int64_t max)
{
    struct cel_type *t = arena_alloc(a, sizeof *t);
    if (t) {
        t->kind = (uint8_t)kind;
        t->min_size = min;
        t->max_elements = max;
    }
    return t;
}

static int64_t bound(const struct val *schema, const char *member, int64_t fallback)
{
    int64_t n = json_int(schema, member, fallback);
    return n < 0 ? 0 : n;
}

static int64_t longest_choice(const struct val *choices)
{
    int64_t most = 0;
    val_each(c, choices)
        if (c->type == VAL_STR && c->n > most)
            most = c->n;
    return most;
}

static struct cel_type *of_string(struct arena *a, const struct val *schema)
{
    struct str format = json_str(schema, "format");
    const struct val *most = json_get(schema, STR("maxLength")), *choices = json_get(schema, STR("enum"));
    if (str_is(format, "byte"))
        return sized(a, CEL_BYTES, MIN_STRING, bound(schema, "maxLength", REQUEST - 2));
    if (str_is(format, "duration"))
        return sized(a, CEL_DURATION, MIN_DURATION, MAX_DURATION);
    if (str_is(format, "date"))
        return sized(a, CEL_TIMESTAMP, DATE, DATE);
    if (str_is(format, "date-time"))
        return sized(a, CEL_TIMESTAMP, MIN_DATETIME, MAX_DATETIME);
    return sized(a, CEL_STRING, MIN_STRING, most ? 4 * bound(schema, "maxLength", 0) :
                 val_is(choices, VAL_ARR) && choices->n ? longest_choice(choices) : REQUEST - 2);
}

static struct cel_type *of_array(struct arena *a, const struct val *schema)
{
    const struct val *items = json_get(schema, STR("items"));
    struct str list = json_str(schema, "x-kubernetes-list-type");
    const struct cel_type *of = items ? cel_type_of_schema(a, items, json_bool(items, "x-kubernetes-embedded-resource", false)) : NULL;
    struct cel_type *t = of ? sized(a, CEL_LIST, 2, bound(schema, "maxItems", (REQUEST - 2) / (of->min_size + 1))) : NULL;
    if (!t)
        return NULL;
    t->a = of;
    t->any_order = str_is(list, "set") || str_is(list, "map");
    t->keys = str_is(list, "map") ? json_get(schema, STR("x-kubernetes-list-map-keys")) : NULL;
    return t;
}

static struct cel_type *of_map(struct arena *a, const struct val *schema, const struct val *values)
{
    const struct cel_type *of = cel_type_of_schema(a, values, json_bool(values, "x-kubernetes-embedded-resource", false));
    struct cel_type *t = of ? sized(a, CEL_MAP, 2, bound(schema, "maxProperties", (REQUEST - 2) / (of->min_size + 6))) : NULL;
    if (t) {
        struct cel_type *key = sized(a, CEL_STRING, MIN_STRING, 0);
        t->a = key ? key : cel_type(CEL_STRING);
        t->b = of;
    }
    return t;
}

static bool is_required(const struct val *required, struct str name)
{
    if (val_is(required, VAL_ARR))
        val_each(r, required)
            if (str_eq(val_str(r), name))
                return true;
    return false;
}

static void add_field(struct arena *a, struct cel_type *t, struct cel_field *at, struct str member, const struct cel_type *type)
{
    const char *name = cel_escape(a, member);
    if (!name)
        return;
    for (unsigned i = 0; i < t->n_fields; i++)
        if (strcmp(at[i].name, name) == 0)
            return;
    at[t->n_fields++] = (struct cel_field){ name, arena_dup(a, member), type };
}

/* What every resource has, whatever its schema says of it. */
static void add_resource_fields(struct arena *a, struct cel_type *t, struct cel_field *at)
{
    static const char *const words[] = { "kind", "apiVersion" };
    struct cel_type *text = sized(a, CEL_STRING, MIN_STRING, REQUEST - 2), *meta = sized(a, CEL_STRUCT, 2, 0);
    struct cel_field *names = arena_alloc(a, 2 * sizeof *names);
    if (!text || !meta || !names)
        return;
    meta->fields = names;
    add_field(a, meta, names, STR("name"), text);
    add_field(a, meta, names, STR("generateName"), text);
    for (int i = 0; i < 2; i++)
        add_field(a, t, at, str_of(words[i]), text);
    add_field(a, t, at, STR("metadata"), meta);
}

static struct cel_type *of_object(struct arena *a, const struct val *schema, bool root)
{
    const struct val *props = json_get(schema, STR("properties")), *required = json_get(schema, STR("required"));
    unsigned n = val_is(props, VAL_OBJ) ? props->n : 0;
    struct cel_type *t = sized(a, CEL_STRUCT, 2, 0);
    struct cel_field *at = arena_alloc(a, (n + 3) * sizeof *at);
    if (!t || !at)
        return NULL;
    t->name = "object";
    t->fields = at;
    if (root)
        add_resource_fields(a, t, at);
    for (const struct val *p = n ? props->first : NULL; p; p = p->next) {
        const struct cel_type *of = cel_type_of_schema(a, p, json_bool(p, "x-kubernetes-embedded-resource", false));
        if (!of)
            continue;
        add_field(a, t, at, val_key(p), of);
        if (is_required(required, val_key(p)) && !json_get(p, STR("default")))
            t->min_size += (int64_t)p->key_len + of->min_size + 4;
    }
    return t;
}

const struct cel_type *cel_type_of_schema(struct arena *a, const struct val *schema, bool root)
{
    struct str type = json_str(schema, "type");
    const struct val *values = json_get(schema, STR("additionalProperties"));
    if (json_bool(schema, "x-kubernetes-int-or-string", false))
        return sized(a, CEL_DYN, 1, json_get(schema, STR("maxLength")) ? 4 * bound(schema, "maxLength", 0) : REQUEST - 2);
    if (str_is(type, "array"))
        return of_array(a, schema);
    if (str_is(type, "object"))
        return val_is(values, VAL_OBJ) ? of_map(a, schema, values) : of_object(a, schema, root);
    if (str_is(type, "string"))
        return of_string(a, schema);
    return str_is(type, "boolean") ? sized(a, CEL_BOOL, MIN_BOOL, 0) : str_is(type, "number") ? sized(a, CEL_DOUBLE, MIN_NUMBER, 0) :
           str_is(type, "integer") ? sized(a, CEL_INT, MIN_NUMBER, 0) : NULL;
}

/* --- rows --- */

const struct cel_type *cel_type_of_rows(struct arena *a, const struct schema_type *rows)
{
    struct cel_type *t;
    static const uint8_t kinds[] = {
        [T_STRING] = CEL_STRING, [T_BOOL] = CEL_BOOL, [T_INT32] = CEL_INT, [T_INT64] = CEL_INT, [T_DOUBLE] = CEL_DOUBLE, [T_BYTES] = CEL_BYTES,
        [T_TIME] = CEL_TIMESTAMP, [T_MICROTIME] = CEL_TIMESTAMP, [T_DURATION] = CEL_STRING, [T_QUANTITY] = CEL_DYN, [T_INT_OR_STRING] = CEL_DYN,
    };
    if (rows->kind == T_STRINGS)
        return cel_list_of(a, cel_type(CEL_STRING));
    if (rows->kind != T_STRUCT)
        return cel_type(rows->kind < sizeof kinds && kinds[rows->kind] ? kinds[rows->kind] : CEL_DYN);
    t = sized(a, CEL_STRUCT, 2, 0);
    if (!t)
        return cel_type(CEL_DYN);
    t->name = rows->name;
    t->rows = rows;
    return t;
}

static const struct cel_type *of_row(struct arena *a, const struct schema_field *f)
{
    const struct cel_type *t = cel_type_of_rows(a, f->type);
    return f->shape == SHAPE_LIST ? cel_list_of(a, t) : f->shape == SHAPE_MAP ? cel_map_of(a, cel_type(CEL_STRING), t) : t;
}

static const struct cel_type *named_field(struct arena *a, const struct cel_type *t, struct str name, struct str *ret_member)
{
    for (unsigned i = 0; i < t->n_fields; i++)
        if (str_is(name, t->fields[i].name)) {
            *ret_member = str_of(t->fields[i].member);
            return t->fields[i].type;
        }
    *ret_member = name;
    if (!t->rows)
        return NULL;
    if (t->rows->has_typemeta && (str_is(name, "kind") || str_is(name, "apiVersion")))
        return cel_type(CEL_STRING);
    for (unsigned i = 0; i < t->rows->n_flat; i++) {
        const struct schema_field *f = t->rows->flat[i];
        const char *escaped = cel_escape(a, str_n(f->json, f->json_len));
        if (escaped && str_is(name, escaped))
            return of_row(a, f);
    }
    return NULL;
}

const struct cel_type *type_field(struct arena *a, const struct cel_type *t, struct str name, struct str *ret_member)
{
    const struct cel_type *found = named_field(a, t, name, ret_member);
    const char *escaped = !found && cel_reserved(name) ? cel_escape(a, name) : NULL;
    return escaped ? named_field(a, t, str_of(escaped), ret_member) : found;
}
