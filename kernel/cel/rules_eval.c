/* rules_eval.c - the rules of a schema on an object: values from the top down, with what stood there before where the two belong together.
 * A rule that an unchanged value breaks is warned of, not held against it: whoever wrote it was allowed to. */
#include "cel/rules-internal.h"

#include "base/env.h"
#include "object/validate.h"

#define MESSAGE_MAX 5120
#define DEADLINE_NS (5 * NS_PER_S)      /* of all rules of one object: the loop waits for them */

struct run {
    struct object_causes *causes;
    int64_t budget;                     /* < 0: nothing more is evaluated */
    int64_t deadline_ns;
    void (*warn)(void *ctx, const char *text);
    void *ctx;
};

/* What a value is compared with. */
struct before {
    const struct val *old;              /* the same place in the old object; NULL: none */
    bool same;                          /* it, or the nearest place above that has one, is as it was */
};

static const char *where(struct run *r, const struct path *p, const char *below)
{
    const char *at = p ? path_text(r->causes->arena, p) : NULL;
    if (below)
        return at ? arena_printf(r->causes->arena, "%s.%s", at, below) : below;
    return at ? at : "<nil>";
}

static const char *shown(struct run *r, const struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    json_write(&b, v);
    return b.failed ? "..." : arena_dup(r->causes->arena, buf_str(&b));
}

static struct str said_of(const struct val *rule)
{
    struct str message = rule_text(rule, "message");
    return message.len ? message : rule_text(rule, "rule");
}

/* --- complaints --- */

static void stop(struct run *r, const struct path *p, const struct val *schema, const char *why)
{
    object_cause_add(r->causes, "FieldValueInvalid", where(r, p, NULL), "Invalid value: \"" STR_FMT "\": %s", STR_ARG(json_str(schema, "type")), why);
    r->budget = -1;
}

static void failed(struct run *r, const struct path *p, const struct cel_rules *at, const struct rule *rule, struct str error)
{
    struct str said = said_of(rule->source);
    const char *why;
    if (str_is(error, CEL_OVER_LIMIT)) {
        stop(r, p, at->schema, arena_printf(r->causes->arena, "'" STR_FMT "': no further validation rules will be run due to call cost exceeds limit "
                                            "for rule: " STR_FMT, STR_ARG(error), STR_ARG(said)));
        return;
    }
    why = arena_printf(r->causes->arena, str_starts(error, STR("no such overload")) ?
                       "'" STR_FMT "': call arguments did not match a supported operator, function or macro signature for rule: " STR_FMT :
                       STR_FMT " evaluating rule: " STR_FMT, STR_ARG(error), STR_ARG(said));
    object_cause_add(r->causes, "FieldValueInvalid", where(r, p, NULL), "Invalid value: \"" STR_FMT "\": %s", STR_ARG(json_str(at->schema, "type")), why);
}

/* The message: computed, given, or the rule itself. NULL: nothing more is run. */
static const char *message_of(struct run *r, const struct path *p, const struct cel_rules *at, const struct rule *rule, struct cel_run *run)
{
    struct arena *a = r->causes->arena;
    struct str given = rule_text(rule->source, "message");
    if (rule->message) {
        struct cel_val v = cel_eval(rule->message, run);
        if ((int64_t)run->cost > r->budget) {
            stop(r, p, at->schema, "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run");
            return NULL;
        }
        r->budget -= (int64_t)run->cost;
        if (v.kind == CEL_ERROR && str_is(v.s, CEL_OVER_LIMIT)) {
            stop(r, p, at->schema, arena_printf(a, "no further validation rules will be run due to call cost exceeds limit for messageExpression: \""
                                                STR_FMT "\"", STR_ARG(json_str(rule->source, "messageExpression"))));
            return NULL;
        }
        struct str text = v.kind == CEL_STRING ? str_trim(v.s) : STR("");
        if (text.len && text.len <= MESSAGE_MAX && !memchr(text.at, '\n', text.len))
            return arena_dup(a, text);
    }
    return given.len ? arena_dup(a, given) : arena_printf(a, "failed rule: " STR_FMT, STR_ARG(rule_text(rule->source, "rule")));
}

static void broken(struct run *r, const struct path *p, const struct rule *rule, const struct val *v,
                   struct before before, const char *message)
{
    struct arena *a = r->causes->arena;
    struct str reason = json_str(rule->source, "reason");
    const char *field = where(r, p, rule->field_path), *type = "FieldValueInvalid";
    bool whole = v->type == VAL_OBJ || v->type == VAL_ARR;
    const char *text;
    if (str_is(reason, "FieldValueForbidden")) {
        type = "FieldValueForbidden";
        text = arena_printf(a, "Forbidden: %s", message);
    } else if (str_is(reason, "FieldValueRequired")) {
        type = "FieldValueRequired";
        text = arena_printf(a, "Required value: %s", message);
    } else if (str_is(reason, "FieldValueDuplicate")) {
        type = "FieldValueDuplicate";
        text = whole ? "Duplicate value" : arena_printf(a, "Duplicate value: %s", shown(r, v));
    } else {
        text = whole ? arena_printf(a, "Invalid value: %s", message) : arena_printf(a, "Invalid value: %s: %s", shown(r, v), message);
    }
    if (!rule->uses_old && before.same) {
        if (r->warn && text)
            r->warn(r->ctx, arena_printf(a, "%s: %s", field, text));
        return;
    }
    object_cause_add(r->causes, type, field, "%s", text ? text : "out of memory");
}

/* --- rules of one place --- */

static void run_rule(struct run *r, const struct path *p, const struct cel_rules *at, const struct rule *rule, const struct val *v, struct before before)
{
    struct cel_val vars[2] = { cel_of_json(v, at->type), CEL_NOTHING };
    if (rule->why) {
        stop(r, p, at->schema, arena_printf(r->causes->arena, "rule compile error: %s", rule->why));
        return;
    }
    if (!rule->program || (rule->uses_old && !before.old && !rule->optional_old))
        return;
    if (rule->optional_old)
        vars[1] = cel_of_optional(r->causes->arena, before.old ? cel_of_json(before.old, at->type) : CEL_NOTHING);
    else if (before.old)
        vars[1] = cel_of_json(before.old, at->type);
    /* What an evaluation makes goes when it is over. */
    _cleanup_arena_ struct arena *a = arena_new(64u << 20);
    struct cel_run run = { .arena = a, .vars = vars, .limit = CEL_CALL_LIMIT, .deadline_ns = r->deadline_ns };
    if (!a)
        return;
    struct cel_val result = cel_eval(rule->program, &run);
    if ((int64_t)run.cost > r->budget) {
        stop(r, p, at->schema, "validation failed due to running out of cost budget, no further validation rules will be run");
        return;
    }
    r->budget -= (int64_t)run.cost;
    if (result.kind == CEL_BOOL && result.b)
        return;
    if (result.kind == CEL_ERROR) {
        failed(r, p, at, rule, result.s);
        return;
    }
    const char *message = message_of(r, p, at, rule, &run);
    if (message)
        broken(r, p, rule, v, before, message);
}

static void run_rules(struct run *r, const struct path *p, const struct cel_rules *at, const struct val *v, struct before before)
{
    if (at->n_rules && r->budget <= 0) {
        stop(r, p, at->schema, "validation failed due to running out of cost budget, no further validation rules will be run");
        return;
    }
    for (unsigned i = 0; i < at->n_rules && r->budget >= 0; i++)
        run_rule(r, p, at, &at->rules[i], v, before);
}

/* --- below --- */

/* A list's item that was there before: the one with the same keys. */
static const struct val *old_item(const struct val *schema, const struct val *old, const struct val *v)
{
    const struct val *keys = json_get(schema, STR("x-kubernetes-list-map-keys"));
    if (!str_is(json_str(schema, "x-kubernetes-list-type"), "map") || !val_is(keys, VAL_ARR) || !val_is(old, VAL_ARR))
        return NULL;
    val_each(o, old) {
        bool same = true;
        val_each(k, keys)
            same = same && val_equal(json_get(o, val_str(k)), json_get(v, val_str(k)));
        if (same)
            return o;
    }
    return NULL;
}

/* Equal as ratcheting takes it: lists that are maps in any order; what the schema does not name never is. */
static bool unchanged(const struct val *schema, const struct val *v, const struct val *old)
{
    const struct val *items = json_get(schema, STR("items")), *props = json_get(schema, STR("properties"));
    const struct val *values = json_get(schema, STR("additionalProperties"));
    if (!v || !old || v->type != old->type || v->type < VAL_ARR)
        return val_equal(v, old);
    if (v->n != old->n)
        return false;
    if (v->type == VAL_ARR) {
        if (!str_is(json_str(schema, "x-kubernetes-list-type"), "map"))
            return val_equal(v, old);
        val_each(x, v)
            if (!unchanged(items, x, old_item(schema, old, x)))
                return false;
        return true;
    }
    val_each(m, v) {
        const struct val *s = json_get(props, val_key(m));
        s = s ? s : val_is(values, VAL_OBJ) ? values : NULL;
        if (!s || !unchanged(s, m, json_get(old, val_key(m))))
            return false;
    }
    return true;
}

static void walk(struct run *r, const struct path *p, const struct cel_rules *at, const struct val *v, struct before before);

static void walk_one(struct run *r, const struct path *p, const struct cel_rules *kid, const struct val *v, const struct val *old, struct before up)
{
    struct before before = { old, old ? unchanged(kid->schema, v, old) : up.same };
    walk(r, p, kid, v, before);
}

static const struct cel_rules *property(const struct cel_rules *at, struct str name)
{
    for (unsigned i = 0; i < at->n_properties; i++)
        if (str_eq(val_key(at->names[i]), name))
            return at->properties[i];
    return NULL;
}

static void walk_object(struct run *r, const struct path *p, const struct cel_rules *at, const struct val *v, struct before before)
{
    for (const struct val *m = v->first; m && r->budget >= 0; m = m->next) {
        const struct cel_rules *kid = at->values ? at->values : property(at, val_key(m));
        const struct path *here = at->values ? KEY(p, val_key(m)) : &(struct path){ p, val_key(m), 0 };
        if (kid)
            walk_one(r, here, kid, m, json_get(before.old, val_key(m)), before);
    }
}

static void walk_list(struct run *r, const struct path *p, const struct cel_rules *at, const struct val *v, struct before before)
{
    long i = 0;
    for (const struct val *x = v->first; x && r->budget >= 0; x = x->next, i++)
        walk_one(r, ITEM(p, i), at->items, x, old_item(at->schema, before.old, x), before);
}

static void walk(struct run *r, const struct path *p, const struct cel_rules *at, const struct val *v, struct before before)
{
    if (r->budget < 0 || v->type == VAL_NULL)
        return;
    run_rules(r, p, at, v, before);
    for (unsigned i = 0; i < at->n_all_of && r->budget >= 0; i++)
        walk(r, p, at->all_of[i], v, (struct before){ before.old, false });
    if (v->type == VAL_OBJ && (at->n_properties || at->values))
        walk_object(r, p, at, v, before);
    else if (v->type == VAL_ARR && at->items)
        walk_list(r, p, at, v, before);
}

void cel_rules_validate(const struct cel_rules *rules, struct object_causes *found, const struct val *v, const struct val *old,
                        void (*warn)(void *ctx, const char *text), void *ctx)
{
    struct run r = { .causes = found, .budget = CEL_TOTAL_LIMIT, .deadline_ns = env_mono_ns() + DEADLINE_NS, .warn = warn, .ctx = ctx };
    if (rules)
        walk(&r, NULL, rules, v, (struct before){ old, old && unchanged(rules->schema, v, old) });
}
