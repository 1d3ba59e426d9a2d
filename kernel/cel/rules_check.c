/* rules_check.c - is what a definition says in x-kubernetes-validations a rule, and cheap enough wherever its value may stand? */
#include "cel/rules-internal.h"

#include "object/validate.h"

#define COST_LIMIT  10000000u           /* of one rule, everywhere it may be run in one object */
#define TOTAL_LIMIT 100000000u          /* of all rules of a schema */
#define REQUEST     (3 << 20)
#define MOST_SHOWN  4

struct costly {
    const char *field;
    uint64_t cost;
};

struct checking {
    struct object_causes *causes;
    struct arena *arena;
    uint64_t total;
    struct costly most[MOST_SHOWN + 1]; /* the dearest first */
    unsigned n_most;
};

/* Where the walk is. */
struct spot {
    const struct val *schema;
    const struct cel_type *type;        /* NULL: expressions cannot see it */
    const char *field;
    bool bounded;
    uint64_t times;                     /* how often it may occur, when bounded */
    const char *unmatched;              /* the list whose items have no old selves; NULL: none */
};

static const char *below(struct checking *k, const char *field, unsigned i, const char *member)
{
    return arena_printf(k->arena, "%s.x-kubernetes-validations[%u].%s", field, i, member);
}

/* --- the words of a rule --- */

static bool breaks_lines(struct str s)
{
    return s.len && memchr(s.at, '\n', s.len);
}

static void required(struct checking *k, const char *field, const char *why)
{
    object_cause_add(k->causes, "FieldValueRequired", field, "Required value: %s", why);
}

static void invalid(struct checking *k, const char *field, struct str value, const char *why)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    json_write_str(&b, value);
    object_cause_add(k->causes, "FieldValueInvalid", field, "Invalid value: %s: %s", b.at ? b.at : "\"\"", why);
}

static bool check_words(struct checking *k, const struct spot *s, const struct val *rule, unsigned i)
{
    struct str text = rule_text(rule, "rule"), message = rule_text(rule, "message"), path = json_str(rule, "fieldPath");
    unsigned before = k->causes->n;
    if (!text.len)
        required(k, below(k, s->field, i, "rule"), "rule is not specified");
    else if (json_str(rule, "message").len && !message.len)
        invalid(k, below(k, s->field, i, "message"), json_str(rule, "message"), "must be non-empty if specified");
    else if (breaks_lines(message))
        invalid(k, below(k, s->field, i, "message"), json_str(rule, "message"), "must not contain line breaks");
    else if (breaks_lines(text) && !message.len)
        required(k, below(k, s->field, i, "message"), "message must be specified if rule contains line breaks");
    if (json_str(rule, "messageExpression").len && !rule_text(rule, "messageExpression").len)
        required(k, below(k, s->field, i, "messageExpression"), "messageExpression must be non-empty if specified");
    if (path.len && !str_trim(path).len)
        invalid(k, below(k, s->field, i, "fieldPath"), path, "must be non-empty if specified");
    if (breaks_lines(path))
        invalid(k, below(k, s->field, i, "fieldPath"), path, "must not contain line breaks");
    if (path.len && !rule_field_path(k->arena, path, s->schema))
        invalid(k, below(k, s->field, i, "fieldPath"), path, "must be a valid path");
    return k->causes->n == before;
}

/* --- costs --- */

static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t r;
    return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}

static const char *too_costly(struct checking *k, const char *what, uint64_t cost, uint64_t limit)
{
    double factor = (double)cost / (double)limit;
    const char *by = factor > 100 ? "more than 100x" : arena_printf(k->arena, factor < 1.5 ? "%fx" : "%.1fx", factor);
    return arena_printf(k->arena, "%s exceeds budget by factor of %s (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where "
                        "arrays, maps, and strings are declared)", what, by);
}

static void forbidden(struct checking *k, const char *field, const char *why)
{
    object_cause_add(k->causes, "FieldValueForbidden", field, "Forbidden: %s", why);
}

static void count(struct checking *k, const char *field, uint64_t cost, const char *what)
{
    if (cost > COST_LIMIT)
        forbidden(k, field, too_costly(k, what, cost, COST_LIMIT));
    if (__builtin_add_overflow(k->total, cost, &k->total))
        k->total = UINT64_MAX;
    if (cost < TOTAL_LIMIT / 100)
        return;
    unsigned i = k->n_most < MOST_SHOWN ? k->n_most++ : MOST_SHOWN;
    for (; i > 0 && k->most[i - 1].cost < cost; i--)
        k->most[i] = k->most[i - 1];
    k->most[i] = (struct costly){ field, cost };
}

/* --- programs --- */

/* The rule as upstream's internal type shows itself. */
static const char *shown(struct checking *k, const struct val *rule)
{
    static const struct {
        const char *name, *member;
    } rows[] = { { "Rule", "rule" },     { "Message", "message" },     { "MessageExpression", "messageExpression" },
                 { "Reason", "reason" }, { "FieldPath", "fieldPath" }, { "OptionalOldSelf", "optionalOldSelf" } };
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct val *v = json_get(rule, str_of(rows[i].member));
        bool pointer = i == 3 || i == 5;
        buf_printf(&b, "%s\"%s\":", i ? "," : "{", rows[i].name);
        if (v)
            json_write(&b, v);
        else
            buf_add_z(&b, pointer ? "null" : "\"\"");
    }
    buf_add_c(&b, '}');
    return b.failed ? "{}" : arena_dup(k->arena, buf_str(&b));
}

static void wrong(struct checking *k, const char *field, const struct val *rule, const char *why)
{
    object_cause_add(k->causes, "FieldValueInvalid", field, "Invalid value: %s: %s", shown(k, rule), why);
}

static void check_program(struct checking *k, const struct spot *s, const struct val *source, unsigned i)
{
    struct rule rule = { 0 };
    uint64_t often = s->bounded ? s->times : (uint64_t)(REQUEST / (s->type->min_size + 1));
    rule_compile(k->arena, s->type, source, s->schema, &rule);
    const char *field = below(k, s->field, i, "rule");
    if (rule.program)
        count(k, field, times(cel_estimate(rule.program).max, often), "estimated rule cost");
    else if (rule.why)
        wrong(k, field, source, rule.why);
    const char *message = below(k, s->field, i, "messageExpression");
    if (rule.message_why)
        wrong(k, message, source, rule.message_why);
    else if (rule.message)
        count(k, message, cel_estimate(rule.message).max, "estimated messageExpression cost");
    if (rule.uses_old && s->unmatched)
        invalid(k, field, json_str(source, "rule"), arena_printf(k->arena, "oldSelf cannot be used on the uncorrelatable portion of the schema within %s",
                                                                  s->unmatched));
    else if (rule.program && !rule.uses_old && json_get(source, STR("optionalOldSelf")))
        object_cause_add(k->causes, "FieldValueInvalid", below(k, s->field, i, "optionalOldSelf"),
                         "Invalid value: %s: may not be set if oldSelf is not used in rule", rule.optional_old ? "true" : "false");
}

/* --- the walk --- */

static void visit(struct checking *k, struct spot s);

static bool most_elements(const struct val *schema, uint64_t *ret)
{
    bool map = str_is(json_str(schema, "type"), "object") && val_is(json_get(schema, STR("additionalProperties")), VAL_OBJ);
    bool list = str_is(json_str(schema, "type"), "array");
    int64_t most = json_int(schema, map ? "maxProperties" : "maxItems", -1);
    *ret = most < 0 ? 1 : (uint64_t)most;
    return !(map || list) || json_get(schema, map ? STR("maxProperties") : STR("maxItems"));
}

static void visit_kid(struct checking *k, const struct spot *up, const struct val *schema, const struct cel_type *type, const char *field)
{
    struct spot s = { .schema = schema, .type = type, .field = field, .unmatched = up->unmatched };
    uint64_t most;
    s.bounded = most_elements(up->schema, &most) && up->bounded;
    s.times = s.bounded ? times(up->times, most) : 0;
    if (schema == json_get(up->schema, STR("items")) && !s.unmatched && !str_is(json_str(up->schema, "x-kubernetes-list-type"), "map"))
        s.unmatched = up->field;
    visit(k, s);
}

static void visit(struct checking *k, struct spot s)
{
    const struct val *rules = json_get(s.schema, STR("x-kubernetes-validations")), *props = json_get(s.schema, STR("properties"));
    const struct val *items = json_get(s.schema, STR("items")), *values = json_get(s.schema, STR("additionalProperties"));
    unsigned i = 0;
    if (k->causes->n >= 64 || !rules_anywhere(s.schema))
        return;
    if (val_is(props, VAL_OBJ))
        val_each(p, props) {
            struct str member;
            const char *name = cel_escape(k->arena, val_key(p));
            const struct cel_type *t = name && s.type && s.type->kind == CEL_STRUCT ? type_field(k->arena, s.type, str_of(name), &member) : NULL;
            if (!t && !name)
                t = cel_type_of_schema(k->arena, p, json_bool(p, "x-kubernetes-embedded-resource", false));
            visit_kid(k, &s, p, t, arena_printf(k->arena, "%s.properties[" STR_FMT "]", s.field, STR_ARG(val_key(p))));
        }
    if (val_is(values, VAL_OBJ))
        visit_kid(k, &s, values, s.type && s.type->kind == CEL_MAP ? s.type->b : NULL, arena_printf(k->arena, "%s.additionalProperties", s.field));
    if (val_is(items, VAL_OBJ))
        visit_kid(k, &s, items, s.type && s.type->kind == CEL_LIST ? s.type->a : NULL, arena_printf(k->arena, "%s.items", s.field));
    if (val_is(rules, VAL_ARR))
        val_each(rule, rules) {
            if (check_words(k, &s, rule, i) && s.type)
                check_program(k, &s, rule, i);
            i++;
        }
}

void cel_rules_check(struct object_causes *found, const struct val *schema, const char *field)
{
    if (!rules_anywhere(schema))
        return;
    _cleanup_arena_ struct arena *a = arena_new(256u << 20);
    struct checking k = { .causes = found, .arena = a };
    if (!a)
        return;
    /* What is said must outlive what was compiled: found copy their messages, and fields are copied here. */
    unsigned first = found->n;
    visit(&k, (struct spot){ schema, cel_type_of_schema(a, schema, true), field, true, 1, NULL });
    if (k.total > TOTAL_LIMIT) {
        for (unsigned i = 0; i < k.n_most; i++)
            forbidden(&k, k.most[i].field, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema");
        forbidden(&k, field, too_costly(&k, "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema", k.total, TOTAL_LIMIT));
    }
    for (unsigned i = first; i < found->n; i++)
        found->at[i].field = arena_dup(found->arena, str_of(found->at[i].field));
}
