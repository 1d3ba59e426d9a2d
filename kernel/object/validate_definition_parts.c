/* validate_definition_parts.c - of a CustomResourceDefinition: names, columns, subresources, fields that selectors may name. What all versions say
 * alike upstream knows as the definition's own: spec.additionalPrinterColumns, not spec.versions[0].additionalPrinterColumns.
 */
#include "object/custom.h"
#include "object/validate.h"

#define SELECTABLE_MOST 8

/* --- names --- */

static void check_label(causes c, const struct path *p, struct str s)
{
    const char *why = name_wrong(c, s, G_LABEL_1035);
    if (why)
        say_invalid(c, p, s, why);
}

static void check_kind(causes c, const struct path *p, struct str s)
{
    char *low = arena_dup(c->arena, s);
    for (char *x = low; x && *x; x++)
        *x = (char)(*x >= 'A' && *x <= 'Z' ? *x + 32 : *x);
    const char *why = s.len && low ? name_wrong(c, str_of(low), G_LABEL_1035) : NULL;
    if (why)
        say_invalid(c, p, s, words(c, "may have mixed case, but should otherwise match: %s", why));
}

void check_definition_names(causes c, const struct path *p, const struct val *names)
{
    if (json_str(names, "singular").len)
        check_label(c, IN(p, "singular"), json_str(names, "singular"));
    check_kind(c, IN(p, "kind"), json_str(names, "kind"));
    check_kind(c, IN(p, "listKind"), json_str(names, "listKind"));
    LIST_EACH (s, at, json_get(names, STR("shortNames")))
        check_label(c, ITEM(IN(p, "shortNames"), at.i), val_str(s));
    LIST_EACH (s, at, json_get(names, STR("categories")))
        check_label(c, ITEM(IN(p, "categories"), at.i), val_str(s));
}

/* --- paths --- */

static bool check_path(causes c, const struct path *p, struct str s)
{
    if (!check_required_str(c, p, s))
        return false;
    if (s.at[0] != '.')
        say_invalid(c, p, s, "must be a simple json path starting with .");
    return s.at[0] == '.';
}

static void check_columns(causes c, const struct path *p, const struct val *list)
{
    static const char *const types[] = { "integer", "number", "string", "boolean", "date", NULL };
    static const char *const formats[] = { "int32", "int64", "float", "double", "byte", "date", "date-time", "password", NULL };
    LIST_EACH (col, at, list) {
        const struct path *here = ITEM(p, at.i);
        struct str type = json_str(col, "type"), format = json_str(col, "format");
        bool known = false, good = !format.len;
        for (int i = 0; types[i]; i++)
            known |= str_is(type, types[i]);
        for (int i = 0; formats[i]; i++)
            good |= str_is(format, formats[i]);
        check_required_str(c, IN(here, "name"), json_str(col, "name"));
        if (!type.len)
            say_required(c, IN(here, "type"), "must be one of boolean,date,integer,number,string");
        else if (!known)
            say_invalid(c, IN(here, "type"), type, "must be one of boolean,date,integer,number,string");
        if (!good)
            say_invalid(c, IN(here, "format"), format, "must be one of byte,date,date-time,double,float,int32,int64,password");
        check_path(c, IN(here, "JSONPath"), json_str(col, "jsonPath"));
    }
}

static void check_scale(causes c, const struct path *p, const struct val *scale)
{
    static const struct {
        const char *member, *shown, *below;
    } rows[] = { { "specReplicasPath", "scale.specReplicasPath", ".spec." }, { "statusReplicasPath", "scale.statusReplicasPath", ".status." } };
    struct str labels = json_str(scale, "labelSelectorPath");
    if (!scale)
        return;
    for (int i = 0; i < 2; i++) {
        struct str s = json_str(scale, rows[i].member);
        const struct path *here = IN(p, rows[i].shown);
        if (check_path(c, here, s) && !str_starts(s, str_of(rows[i].below)))
            say_invalid(c, here, s, i ? "should be a json path under .status" : "should be a json path under .spec");
    }
    if (labels.len && check_path(c, IN(p, "scale.labelSelectorPath"), labels) && !str_starts(labels, STR(".spec.")) && !str_starts(labels, STR(".status.")))
        say_invalid(c, IN(p, "scale.labelSelectorPath"), labels, "should be a json path under either .spec or .status");
}

/* What keeps it from being a path of plain members; NULL: nothing. */
static const char *path_fault(causes c, struct str s)
{
    if (s.at[0] != '.' && s.at[0] != '[') {
        struct str rest = str_cut(&s, '.'), token = str_cut(&rest, '[');
        return words(c, "expected [ or . but got: " STR_FMT, STR_ARG(token));
    }
    if (s.len == 1)
        return "unexpected end of JSON path";
    return str_find(s, '[') >= 0 ? "array notation is not allowed" : NULL;
}

/* The schema of what a path of plain members names; NULL: there is no such field. */
static const struct val *schema_at(const struct val *schema, struct str s)
{
    if (!s.len || s.at[0] != '.')
        return NULL;
    str_cut(&s, '.');
    while (schema && s.at)
        schema = json_get(json_get(schema, STR("properties")), str_cut(&s, '.'));
    return schema;
}

static void check_selectable(causes c, const struct path *p, const struct val *list, const struct val *schema, const char *without)
{
    _cleanup_met_ struct met seen = { 0 };
    if (!list || !list->n)
        return;
    if (!schema) {
        say_invalid(c, p, STR(""), without);
        return;
    }
    LIST_EACH (f, at, list) {
        const struct path *here = IN(ITEM(p, at.i), "jsonPath");
        struct str s = json_str(f, "jsonPath"), type;
        if (!check_required_str(c, here, s))
            continue;
        const struct val *field = schema_at(schema, s);
        if (str_starts(s, STR(".metadata"))) {
            say_invalid(c, here, s, "must not point to fields in metadata");
            continue;
        }
        const char *fault = path_fault(c, s);
        if (fault || !field) {
            say_invalid(c, here, s, words(c, "is an invalid path: %s", fault ? fault : "does not refer to a valid field"));
            continue;
        }
        type = json_str(field, "type");
        if (!str_is(type, "string") && !str_is(type, "boolean") && !str_is(type, "integer"))
            say_invalid(c, here, s, "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.");
        if (met_again(&seen, s))
            say_duplicate(c, here, s);
    }
    if (list && list->n > SELECTABLE_MOST)
        say_too_many(c, p, (long)list->n, SELECTABLE_MOST, "s");
}

/* The parts that are the definition's own when all versions say the same. */
static const char *const parts[] = { "schema", "subresources", "additionalPrinterColumns", "selectableFields" };
enum { SCHEMA, SUBRESOURCES, COLUMNS, SELECTABLE, PARTS };

static bool is_same(const struct val *versions, const char *member)
{
    const struct val *first = versions->n ? json_get(versions->first, str_of(member)) : NULL;
    val_each(v, versions)
        if (!val_equal(first, json_get(v, str_of(member))))
            return false;
    return true;
}

struct val *definition_versions(struct arena *a, const struct val *versions)
{
    struct val *own = val_copy(a, versions);
    for (int i = 0; own && i < PARTS; i++)
        if (is_same(versions, parts[i]))
            val_each(v, own)
                json_del(v, str_of(parts[i]));
    return own;
}

static void check_parts(causes c, const struct path *p, const struct val *of, const struct val *schema, const char *without)
{
    check_scale(c, IN(p, "subresources"), json_path(of, "subresources.scale"));
    check_columns(c, IN(p, "additionalPrinterColumns"), json_get(of, STR("additionalPrinterColumns")));
    check_selectable(c, IN(p, "selectableFields"), json_get(of, STR("selectableFields")), schema, without);
}

void check_definition_version(causes c, const struct path *p, const struct val *version)
{
    check_parts(c, p, version, json_path(version, "schema.openAPIV3Schema"), "may only be set when `version.schema.openAPIV3Schema` is not included");
}

void check_definition_parts(causes c, const struct path *spec, const struct val *versions)
{
    struct val *shared = val_new(c->arena, VAL_OBJ);
    if (!shared || !val_is(versions, VAL_ARR) || !versions->n)
        return;
    for (int i = 0; i < PARTS; i++)
        if (is_same(versions, parts[i]) && json_get(versions->first, str_of(parts[i])))
            json_set(c->arena, shared, str_of(parts[i]), val_copy(c->arena, json_get(versions->first, str_of(parts[i]))));
    const struct val *schema = json_path(shared, "schema.openAPIV3Schema");
    if (val_is(schema, VAL_OBJ))
        custom_schema_check(c, schema, "spec.validation.openAPIV3Schema");
    check_parts(c, spec, shared, schema, "may only be set when validations.schema is included");
}
