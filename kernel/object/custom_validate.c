/* custom_validate.c - a value against its schema, in the words of upstream's validator. */
#include <math.h>
#include <stdlib.h>

#include "object/custom-internal.h"

struct check {
    struct object_causes *causes;
    struct custom_schema *root;         /* for compiled patterns */
    struct object_causes *twice;        /* items that are there twice: told behind the rest; NULL: not looked for */
    size_t cut;                         /* of a path where it stands in a message: a status is a whole to upstream */
    unsigned matches;                   /* how much the value has in common with the schema */
};

static void check_value(struct check *k, const struct val *schema, const struct val *v, const struct val *was, const struct path *p);

static const char *where(struct check *k, const struct path *p)
{
    return p ? path_text(k->causes->arena, p) : "<nil>";
}

static const char *inside(struct check *k, const struct path *p)
{
    const char *text = where(k, p);
    return strlen(text) > k->cut ? text + k->cut : "";
}

/* Of an object as a whole there is no path. */
static const char *inside_or_whole(struct check *k, const struct path *p)
{
    return p ? inside(k, p) : "";
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

/* Told of no field, as upstream has it. */
__attribute__((format(printf, 2, 3))) static void of_no_field(struct check *k, const char *fmt, ...)
{
    char why[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    object_cause_add(k->causes, "FieldValueInvalid", k->cut ? "status" : "<nil>", "Invalid value: \"\": %s", why);
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

/* Does a whole number fit its format? */
static void check_range(struct check *k, const struct val *schema, const struct val *v, const struct path *p)
{
    struct str format = json_str(schema, "format");
    bool small = str_is(format, "int32");
    if (!str_is(json_str(schema, "type"), "integer") || (val_is(v, VAL_INT) && (!small || (v->i >= INT32_MIN && v->i <= INT32_MAX))))
        return;
    if (format.len)
        of_no_field(k, "Checked value must be of type integer with format " STR_FMT " in %s", STR_ARG(format), inside(k, p));
    else
        of_no_field(k, "Checked value must be of type integer (default format) in %s", inside(k, p));
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
        object_cause_add(k->causes, "FieldValueTooLong", where(k, p), "Too long: may not be more than %lld byte%s", (long long)most, most == 1 ? "" : "s");
    else if (n < least)
        invalid(k, v, p, "should be at least %lld chars long", (long long)least);
    else if (pattern.len && !custom_pattern_matches(k->root, pattern, s))
        invalid(k, v, p, "should match '" STR_FMT "'", STR_ARG(pattern));
    k->matches += format.len != 0;
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

/* The item of before that has the same keys, in a list that is a map; others are nobody's. */
static const struct val *item_before(const struct val *schema, const struct val *was, const struct val *item)
{
    const struct val *keys = json_get(schema, STR("x-kubernetes-list-map-keys"));
    if (val_is(was, VAL_ARR) && val_is(keys, VAL_ARR) && item->type == VAL_OBJ && str_is(json_str(schema, "x-kubernetes-list-type"), "map"))
        val_each(x, was)
            if (x->type == VAL_OBJ && same_keys(keys, item, x))
                return x;
    return NULL;
}

static const struct val *schema_of(const struct val *schema, const struct val *member)
{
    const struct val *own = json_get(json_get(schema, STR("properties")), val_key(member)), *additional = json_get(schema, STR("additionalProperties"));
    return own ? own : val_is(additional, VAL_OBJ) ? additional : NULL;
}

/* Is v what it was, as far as the schema can tell? Of members that it does not know nobody can. */
static bool unchanged(const struct val *schema, const struct val *v, const struct val *was)
{
    if (!was || was->type != v->type || (v->type >= VAL_ARR && v->n != was->n))
        return false;
    if (v->type == VAL_OBJ) {
        val_each(m, v) {
            const struct val *s = schema_of(schema, m);
            if (!s || !unchanged(s, m, json_get(was, val_key(m))))
                return false;
        }
        return true;
    }
    if (v->type != VAL_ARR || !str_is(json_str(schema, "x-kubernetes-list-type"), "map"))
        return val_equal(v, was);
    val_each(x, v)
        if (!unchanged(json_get(schema, STR("items")), x, item_before(schema, was, x)))
            return false;
    return true;
}

/* In upstream's words of one, and of many. */
static void too_many(struct check *k, const struct val *v, const struct path *p, int64_t most)
{
    object_cause_add(k->causes, "FieldValueTooMany", where(k, p), "Too many: %u: must have at most %lld item%s", v->n, (long long)most, most == 1 ? "" : "s");
}

static void too_few(struct check *k, const struct val *v, const struct path *p, int64_t least, const char *what)
{
    object_cause_add(k->causes, "FieldValueInvalid", where(k, p), "Invalid value: %u: %s in body should have at least %lld %s", v->n, inside(k, p), (long long)least, what);
}

static void check_array(struct check *k, const struct val *schema, const struct val *v, const struct val *was, const struct path *p)
{
    const struct val *items = json_get(schema, STR("items"));
    int64_t least = json_int(schema, "minItems", 0), most = json_int(schema, "maxItems", -1);
    long i = 0;
    if (val_is(items, VAL_OBJ))
        val_each(item, v) {
            struct path here = { p, STR_NONE, i++ };
            check_value(k, items, item, was ? item_before(schema, was, item) : NULL, &here);
        }
    if (v->n < least)
        too_few(k, v, p, least, "items");
    if (most >= 0 && v->n > most)
        too_many(k, v, p, most);
    check_unique(k, schema, v, p);
}

/* --- objects --- */

static void check_object(struct check *k, const struct val *schema, const struct val *v, const struct val *was, const struct path *p)
{
    const struct val *required = json_get(schema, STR("required"));
    int64_t least = json_int(schema, "minProperties", 0), most = json_int(schema, "maxProperties", -1);
    if (v->n < least) {
        too_few(k, v, p, least, "properties");
        return;
    }
    if (most >= 0 && v->n > most) {
        too_many(k, v, p, most);
        return;
    }
    val_each(m, v) {
        const struct val *s = schema_of(schema, m);
        struct path here = { p, val_key(m), 0 };
        if (s)
            check_value(k, s, m, json_get(was, val_key(m)), &here);
    }
    if (val_is(required, VAL_ARR))
        val_each(r, required) {
            struct path here = { p, val_str(r), 0 };
            if (!json_get(v, val_str(r)))
                object_cause_add(k->causes, "FieldValueRequired", where(k, &here), "Required value");
        }
}

/* --- unions --- */

/* A value against one schema of a union. */
struct verdict {
    struct object_causes causes;
    unsigned matches;
};

static struct verdict judge(const struct check *k, const struct val *schema, const struct val *v, const struct path *p)
{
    struct verdict r = { .causes = { .arena = k->causes->arena } };
    struct check alone = { &r.causes, k->root, NULL, k->cut, 0 };
    check_value(&alone, schema, v, NULL, p);
    r.matches = alone.matches;
    return r;
}

static bool told(const struct object_causes *c, const struct object_cause *x)
{
    for (unsigned i = 0; i < c->n; i++)
        if (strcmp(c->at[i].field, x->field) == 0 && strcmp(c->at[i].message, x->message) == 0)
            return true;
    return false;
}

static void take(struct check *k, const struct verdict *r)
{
    k->matches += r->matches;
    for (unsigned i = 0; i < r->causes.n; i++)
        if (!told(k->causes, &r->causes.at[i]))
            object_cause_add(k->causes, r->causes.at[i].reason, r->causes.at[i].field, "%s", r->causes.at[i].message);
}

/* anyOf and oneOf: who meets none is told what the schema misses with which it has most in common. Returns how many it meets. */
static unsigned weigh(const struct check *k, const struct val *list, bool first, const struct val *v, const struct path *p, struct verdict *ret)
{
    unsigned met = 0;
    val_each(s, list) {
        struct verdict r = judge(k, s, v, p);
        if (s == list->first || (!met && (!r.causes.n || r.matches > ret->matches)))
            *ret = r;
        met += !r.causes.n;
        if (met && first)
            break;
    }
    return met;
}

static void check_any(struct check *k, const struct val *list, const struct val *v, const struct path *p)
{
    struct verdict best = { 0 };
    if (!weigh(k, list, true, v, p, &best))
        of_no_field(k, "\"%s\" must validate at least one schema (anyOf)", inside_or_whole(k, p));
    take(k, &best);
}

static void check_one(struct check *k, const struct val *list, const struct val *v, const struct path *p)
{
    struct verdict best = { 0 };
    unsigned met = weigh(k, list, false, v, p, &best);
    const char *found = met ? arena_printf(k->causes->arena, "%u valid alternatives", met) : "none valid";
    if (met != 1)
        of_no_field(k, "\"%s\" must validate one and only one schema (oneOf). Found %s", inside_or_whole(k, p), found ? found : "");
    if (met < 2)
        take(k, &best);
}

static void check_all(struct check *k, const struct val *list, const struct val *v, const struct path *p)
{
    unsigned met = 0;
    val_each(s, list) {
        struct verdict r = judge(k, s, v, p);
        met += !r.causes.n;
        take(k, &r);
    }
    if (met != list->n)
        of_no_field(k, "\"%s\" must validate all the schemas (allOf)%s", inside_or_whole(k, p), met ? "" : ". None validated");
}

static void check_unions(struct check *k, const struct val *schema, const struct val *v, const struct path *p)
{
    static const struct {
        struct str word;
        void (*check)(struct check *k, const struct val *list, const struct val *v, const struct path *p);
    } rows[] = { { STR("anyOf"), check_any }, { STR("oneOf"), check_one }, { STR("allOf"), check_all } };
    const struct val *not = json_get(schema, STR("not"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct val *list = json_get(schema, rows[i].word);
        if (val_is(list, VAL_ARR) && list->n)
            rows[i].check(k, list, v, p);
    }
    if (val_is(not, VAL_OBJ) && !judge(k, not, v, p).causes.n)
        of_no_field(k, "\"%s\" must not validate the schema (not)", inside_or_whole(k, p));
}

/* was: of the object before an update, where it had such a value; what is not changed may stay wrong. matches: one for each thing that is looked at, and one for what is as it should be, where upstream counts so. */
static void check_value(struct check *k, const struct val *schema, const struct val *v, const struct val *was, const struct path *p)
{
    unsigned before = k->causes->n;
    bool typed = json_str(schema, "type").len || json_str(schema, "format").len || json_bool(schema, "x-kubernetes-int-or-string", false);
    check_type(k, schema, v, p);        /* of another type it is held to what else is said of the type that it has */
    k->matches += k->causes->n == before && (typed || v->type == VAL_NULL);
    if (v->type != VAL_NULL) {
        check_unions(k, schema, v, p);
        k->matches += typed + 4 + (v->type == VAL_STR || v->type == VAL_OBJ) + 2 * (is_number(v) || v->type == VAL_ARR);
    }
    if (v->type == VAL_STR)
        check_string(k, schema, v, p);
    else if (is_number(v))
        check_number(k, schema, v, p);
    else if (v->type == VAL_ARR)
        check_array(k, schema, v, was, p);
    check_choices(k, schema, v, p);
    if (v->type == VAL_OBJ)
        check_object(k, schema, v, was, p);
    if (k->causes->n > before && was && unchanged(schema, v, was))
        k->causes->n = before;
}

static bool embeds(struct custom_schema *s)
{
    static const char mark[] = "x-kubernetes-embedded-resource";
    if (!s->embeds)
        s->embeds = memmem(s->text.at, s->text.len, mark, sizeof mark - 1) ? 2 : 1;
    return s->embeds == 2;
}

/* Are items of a list there twice? */
static bool has_doubles(const struct custom_schema *s, struct arena *a, const struct val *schema, const struct val *v)
{
    struct object_causes ignored = { .arena = a }, twice = { .arena = a };
    struct check k = { &ignored, (struct custom_schema *)(s->root ? s->root : s), &twice, 0, 0 };
    check_value(&k, schema, v, NULL, NULL);
    return twice.n > 0;
}

/* cut: of a path, where it stands in a message. */
static void check_whole(const struct custom_schema *s, struct object_causes *c, const struct val *schema, const struct val *v, const struct val *old, const struct path *p, size_t cut)
{
    struct object_causes twice = { .arena = c->arena };
    struct check k = { c, (struct custom_schema *)(s->root ? s->root : s), &twice, cut, 0 };
    if (v && schema)
        check_value(&k, schema, v, old, p);
    if (!cut && embeds(k.root))
        custom_check_embedded(c, schema, v, p);
    if (twice.n && old && has_doubles(s, c->arena, schema, old))
        return;
    for (unsigned i = 0; i < twice.n; i++)
        object_cause_add(c, twice.at[i].reason, twice.at[i].field, "%s", twice.at[i].message);
}

void custom_validate(const struct custom_schema *s, struct object_causes *c, const struct val *v, const struct val *old, const struct path *p)
{
    check_whole(s, c, custom_schema_tree(s), v, old, p, 0);
}

void custom_validate_status(const struct custom_schema *s, struct object_causes *c, const struct val *v, const struct val *old)
{
    struct path p = { NULL, STR("status"), 0 };
    check_whole(s, c, json_get(json_get(custom_schema_tree(s), STR("properties")), STR("status")), json_get(v, STR("status")), json_get(old, STR("status")), &p, sizeof "status." - 1);
}
