/* rules.c - rules of a schema as programs, place by place. */
#include "cel/rules-internal.h"

struct str rule_text(const struct val *rule, const char *member)
{
    struct str s = json_str(rule, member);
    return s.at ? str_trim(s) : STR("");
}

bool rules_anywhere(const struct val *schema)
{
    const struct val *rules = json_get(schema, STR("x-kubernetes-validations")), *props = json_get(schema, STR("properties"));
    const struct val *kids[] = { json_get(schema, STR("items")), json_get(schema, STR("additionalProperties")) };
    const struct val *all = json_get(schema, STR("allOf"));
    if (val_is(rules, VAL_ARR) && rules->n)
        return true;
    for (int i = 0; i < 2; i++)
        if (val_is(kids[i], VAL_OBJ) && rules_anywhere(kids[i]))
            return true;
    if (val_is(props, VAL_OBJ))
        val_each(p, props)
            if (rules_anywhere(p))
                return true;
    if (val_is(all, VAL_ARR))
        val_each(s, all)
            if (rules_anywhere(s))
                return true;
    return false;
}

/* --- field paths --- */

/* Text between quotes, from behind the first on. */
static bool quoted(struct str *s, struct buf *ret)
{
    static const char from[] = "abfnrtv'\\", to[] = "\a\b\f\n\r\t\v'\\";
    while (s->len && s->at[0] != '\'') {
        char c = s->at[0];
        if (c == '\\') {
            const char *known = s->len > 1 && s->at[1] ? strchr(from, s->at[1]) : NULL;
            if (!known)
                return false;
            c = to[known - from];
            *s = str_skip(*s, 1);
        }
        buf_add_c(ret, c);
        *s = str_skip(*s, 1);
    }
    if (!s->len)
        return false;
    *s = str_skip(*s, 1);
    return true;
}

/* One step: ".name" or "['name']" into name. */
static bool path_step(struct str *s, struct buf *name)
{
    if (s->at[0] == '.') {
        *s = str_skip(*s, 1);
        while (s->len && !strchr(".[]", s->at[0])) {
            buf_add_c(name, s->at[0]);
            *s = str_skip(*s, 1);
        }
        return name->len > 0;
    }
    if (!str_starts(*s, STR("['")))
        return false;
    *s = str_skip(*s, 2);
    if (!quoted(s, name) || !s->len || s->at[0] != ']')
        return false;
    *s = str_skip(*s, 1);
    return true;
}

const char *rule_field_path(struct arena *a, struct str path, const struct val *schema)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    while (path.len) {
        _cleanup_buf_ struct buf name = BUF_INIT(1 << 16);
        const struct val *props = json_get(schema, STR("properties")), *values = json_get(schema, STR("additionalProperties"));
        buf_add(&name, "", 0);
        if (!path_step(&path, &name))
            return NULL;
        if (val_is(props, VAL_OBJ)) {
            schema = json_get(props, buf_str(&name));
            buf_printf(&b, "%s%s", b.len ? "." : "", name.at);
        } else {
            schema = val_is(values, VAL_OBJ) ? values : NULL;
            buf_printf(&b, "[%s]", name.at);
        }
        if (!schema)
            return NULL;
    }
    return b.failed || !b.len ? NULL : arena_dup(a, buf_str(&b));
}

/* --- one rule --- */

static struct cel_program *program(struct arena *a, struct str text, const struct cel_var *vars, enum cel_kind kind, const char *prefix,
                                   const char *type_why, const char **ret_why)
{
    const char *why;
    struct cel_program *p = cel_compile(a, text, vars, 2, 0, &why);
    if (!p) {
        bool parsed = !str_starts(str_of(why), STR("ERROR:"));
        *ret_why = arena_printf(a, parsed ? (prefix[0] ? "%sinstantiation failed: %s" : "%sprogram instantiation failed: %s") : "%scompilation failed: %s",
                                prefix, why);
        return NULL;
    }
    *ret_why = cel_result(p)->kind == kind ? NULL : type_why;
    return *ret_why ? NULL : p;
}

void rule_compile(struct arena *a, const struct cel_type *type, const struct val *source, const struct val *schema, struct rule *ret)
{
    struct cel_var *vars = arena_alloc(a, 2 * sizeof *vars);
    struct str field = json_str(source, "fieldPath");
    ret->source = source;
    ret->optional_old = json_bool(source, "optionalOldSelf", false);
    if (!vars || !rule_text(source, "rule").len)
        return;
    vars[0] = (struct cel_var){ "self", type };
    vars[1] = (struct cel_var){ "oldSelf", ret->optional_old ? cel_optional_of(a, type) : type };
    ret->program = program(a, json_str(source, "rule"), vars, CEL_BOOL, "", "cel expression must evaluate to a bool", &ret->why);
    if (!ret->program)
        return;
    ret->uses_old = cel_uses(ret->program, "oldSelf");
    if (json_str(source, "messageExpression").len)
        ret->message = program(a, json_str(source, "messageExpression"), vars, CEL_STRING, "messageExpression ",
                               "messageExpression must evaluate to a string", &ret->message_why);
    if (field.len)
        ret->field_path = rule_field_path(a, field, schema);
}

/* --- a schema --- */

static struct cel_rules *place(struct arena *a, const struct val *rules, const struct val *node, const struct cel_type *type);

static void own_rules(struct arena *a, struct cel_rules *r, const struct val *rules)
{
    const struct val *list = json_get(rules, STR("x-kubernetes-validations"));
    if (!val_is(list, VAL_ARR) || !list->n)
        return;
    r->rules = arena_alloc(a, list->n * sizeof *r->rules);
    for (const struct val *s = r->rules ? list->first : NULL; s; s = s->next)
        rule_compile(a, r->type, s, r->schema, &r->rules[r->n_rules++]);
}

static const struct cel_type *property_type(struct arena *a, const struct cel_type *of, const struct val *schema)
{
    struct str member;
    const char *name = cel_escape(a, val_key(schema));
    if (name)
        return of->kind == CEL_STRUCT ? type_field(a, of, str_of(name), &member) : NULL;
    return cel_type_of_schema(a, schema, json_bool(schema, "x-kubernetes-embedded-resource", false));
}

static void properties(struct arena *a, struct cel_rules *r, const struct val *rules)
{
    const struct val *from = json_get(rules, STR("properties")), *nodes = json_get(r->schema, STR("properties"));
    if (!val_is(from, VAL_OBJ) || !val_is(nodes, VAL_OBJ))
        return;
    r->properties = arena_alloc(a, (from->n + 1) * sizeof *r->properties);
    r->names = arena_alloc(a, (from->n + 1) * sizeof *r->names);
    for (const struct val *p = r->properties && r->names ? from->first : NULL; p; p = p->next) {
        const struct val *node = rules_anywhere(p) ? json_get(nodes, val_key(p)) : NULL;
        const struct cel_type *t = node ? property_type(a, r->type, node) : NULL;
        struct cel_rules *kid = t ? place(a, p, node, t) : NULL;
        if (!kid)
            continue;
        r->names[r->n_properties] = p;
        r->properties[r->n_properties++] = kid;
    }
}

/* Rules may stand in allOf too; what they speak of is what the node itself declares. */
static struct cel_rules *place(struct arena *a, const struct val *rules, const struct val *node, const struct cel_type *type)
{
    struct cel_rules *r = arena_alloc(a, sizeof *r);
    const struct val *items = json_get(rules, STR("items")), *values = json_get(rules, STR("additionalProperties"));
    const struct val *all = json_get(rules, STR("allOf"));
    if (!r || !rules_anywhere(rules))
        return NULL;
    r->schema = node;
    r->type = type;
    own_rules(a, r, rules);
    if (val_is(items, VAL_OBJ) && type->kind == CEL_LIST && json_get(node, STR("items")))
        r->items = place(a, items, json_get(node, STR("items")), type->a);
    if (val_is(values, VAL_OBJ) && type->kind == CEL_MAP && json_get(node, STR("additionalProperties")))
        r->values = place(a, values, json_get(node, STR("additionalProperties")), type->b);
    properties(a, r, rules);
    if (val_is(all, VAL_ARR) && all->n) {
        r->all_of = arena_alloc(a, all->n * sizeof *r->all_of);
        for (const struct val *s = r->all_of ? all->first : NULL; s; s = s->next)
            if ((r->all_of[r->n_all_of] = place(a, s, node, type)))
                r->n_all_of++;
    }
    return r;
}

struct cel_rules *cel_rules_new(struct arena *a, const struct val *schema)
{
    const struct cel_type *type = rules_anywhere(schema) ? cel_type_of_schema(a, schema, true) : NULL;
    return type ? place(a, schema, schema, type) : NULL;
}
