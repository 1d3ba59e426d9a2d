/* eval.c - a program's value. Costs are counted as upstream counts them: a name 1, a step into a value 1, constants nothing, a new list 10, a
 * new map 30, a new object 40, a call what its row says. */
#include "base/env.h"
#include "cel/cel-internal.h"

#define DEEPEST   600                   /* more than any expression that the parser lets pass */
#define TICKS     1024                  /* between two looks at the clock */
#define COST_LIST 10
#define COST_MAP  30
#define COST_STRUCT 40

static struct cel_val eval(struct cel_ctx *c, const struct node *n);

static struct cel_val cancelled(struct cel_ctx *c)
{
    c->over = true;
    return (struct cel_val){ .kind = CEL_ERROR, .s = STR(CEL_OVER_LIMIT) };
}

static bool pay(struct cel_ctx *c, uint64_t cost)
{
    if (__builtin_add_overflow(c->run->cost, cost, &c->run->cost))
        c->run->cost = UINT64_MAX;
    if (c->run->limit && c->run->cost > c->run->limit)
        c->over = true;
    return !c->over;
}

bool eval_tick(struct cel_ctx *c)
{
    if (!c)
        return true;
    if (++c->ticks % TICKS == 0 && c->run->deadline_ns && env_mono_ns() > c->run->deadline_ns)
        c->over = true;
    return !c->over;
}

/* --- steps into values --- */

static struct cel_val no_key(struct cel_ctx *c, struct cel_val key)
{
    return cel_error(c->arena, "no such key: %s", value_text(c->arena, key));
}

static bool index_of(struct cel_val key, int64_t *ret)
{
    if (key.kind == CEL_INT)
        *ret = key.i;
    else if (key.kind == CEL_UINT && key.u <= INT64_MAX)
        *ret = (int64_t)key.u;
    else if (key.kind == CEL_DOUBLE && key.d >= -9e15 && key.d <= 9e15 && key.d == (double)(int64_t)key.d)
        *ret = (int64_t)key.d;
    else
        return false;
    return true;
}

/* 1: found; 0: not there; -1: *ret is an error. */
static int step(struct cel_ctx *c, struct cel_val of, struct cel_val key, struct cel_val *ret)
{
    int64_t i;
    if (of.kind == CEL_LIST) {
        if (!index_of(key, &i)) {
            *ret = cel_error(c->arena, "unsupported index type '%s' in list", type_name(cel_type_of(key)));
            return -1;
        }
        return list_get(c, &of, i, ret) ? 1 : 0;
    }
    if (of.kind == CEL_MAP && key.kind != CEL_LIST && key.kind != CEL_MAP && key.kind != CEL_NULL)
        return map_lookup(c, &of, key, ret) ? is_error(*ret) ? -1 : 1 : 0;
    if (of.kind != CEL_MAP)
        return 0;
    *ret = cel_error(c->arena, "unsupported key type: %s", type_name(cel_type_of(key)));
    return -1;
}

static struct cel_val absent(struct cel_ctx *c, struct cel_val of, struct cel_val key)
{
    return of.kind == CEL_LIST ? cel_error(c->arena, "index out of bounds: %s", value_text(c->arena, key)) : no_key(c, key);
}

/* of.key, of[key]: through optionals, whose result is optional again. */
static struct cel_val into(struct cel_ctx *c, struct cel_val of, struct cel_val key, bool optional, uint64_t cost)
{
    struct cel_val ret;
    if (of.kind == CEL_OPTIONAL) {
        if (!of.some)
            return of;
        of = *of.some;
        optional = true;
    }
    int found = step(c, of, key, &ret);
    if (!pay(c, optional && found == 0 ? cost - 1 : cost))
        return cancelled(c);
    if (found < 0)
        return ret;
    if (optional)
        return found ? val_some(c->arena, ret) : (struct cel_val){ .kind = CEL_OPTIONAL };
    return found ? ret : absent(c, of, key);
}

/* Is n what upstream calls an attribute: a name and steps from there? Else a step from its value costs a name more. */
static bool is_attribute(const struct node *n)
{
    switch (n->kind) {
    case N_IDENT: return n->slot >= 0;
    case N_SELECT: return !n->has;
    case N_CALL: return n->op == OP_INDEX || n->op == OP_OPTIONAL_INDEX || n->op == OP_OPTIONAL_SELECT || n->op == OP_CHOICE;
    default: return false;
    }
}

static bool is_choice(const struct node *n)
{
    return n->kind == N_CALL && n->op == OP_CHOICE;
}

static uint64_t step_cost(const struct node *of)
{
    return is_attribute(of) ? 1 : 2;
}

/* has(x.y) costs what x does. */
static struct cel_val eval_has(struct cel_ctx *c, const struct node *n)
{
    struct cel_val of = eval(c, n->of), ret;
    if (is_error(of))
        return of;
    if (!is_attribute(n->of) && !pay(c, 1))
        return cancelled(c);
    if (of.kind == CEL_OPTIONAL) {
        if (!of.some)
            return val_bool(false);
        of = *of.some;
    }
    int found = step(c, of, val_text(n->name), &ret);
    return found < 0 ? ret : val_bool(found > 0);
}

static struct cel_val eval_select(struct cel_ctx *c, const struct node *n)
{
    if (n->has)
        return eval_has(c, n);
    struct cel_val of = eval(c, n->of);
    return is_error(of) ? of : into(c, of, val_text(n->name), false, step_cost(n->of));
}

/* An index that is an attribute has paid for the step. */
static struct cel_val eval_index(struct cel_ctx *c, const struct node *n, bool optional)
{
    struct cel_val of = eval(c, n->args[0]);
    if (is_error(of))
        return of;
    struct cel_val key = eval(c, n->args[1]);
    if (is_error(key))
        return key;
    bool paid = is_attribute(n->args[1]) && !is_choice(n->args[1]);
    return into(c, of, key, optional, step_cost(n->args[0]) - (paid ? 1 : 0));
}

/* --- logic --- */

/* && and ||: the deciding value wins over an error on either side. */
static struct cel_val eval_logic(struct cel_ctx *c, const struct node *n, bool decides)
{
    struct cel_val a = eval(c, n->args[0]);
    if (c->over || (a.kind == CEL_BOOL && a.b == decides))
        return a;
    struct cel_val b = eval(c, n->args[1]);
    if (c->over || (b.kind == CEL_BOOL && b.b == decides))
        return b;
    if (a.kind != CEL_BOOL)
        return is_error(a) ? a : no_overload();
    return b.kind == CEL_BOOL || is_error(b) ? b : no_overload();
}

/* A branch that is an attribute does not pay for its name. */
static struct cel_val eval_choice(struct cel_ctx *c, const struct node *n)
{
    struct cel_val cond = eval(c, n->args[0]);
    if (cond.kind != CEL_BOOL)
        return is_error(cond) ? cond : no_overload();
    const struct node *branch = n->args[cond.b ? 1 : 2];
    struct cel_val v = eval(c, branch);
    if (is_attribute(branch) && !is_choice(branch) && c->run->cost && !c->over)
        c->run->cost--;
    return v;
}

static struct cel_val eval_or(struct cel_ctx *c, const struct node *n, bool value)
{
    struct cel_val a = eval(c, n->of);
    if (a.kind != CEL_OPTIONAL)
        return a;
    if (a.some)
        return value ? *a.some : a;
    return eval(c, n->args[0]);
}

/* --- calls --- */

static bool fits(const struct cel_type *t, struct cel_val v)
{
    return t->kind == CEL_PARAM || t->kind == CEL_DYN || t->kind == v.kind;
}

/* Does the row take these values? Elements are looked at no further than the first: lists of one kind are what expressions have. */
static bool sig_fits(struct cel_ctx *c, const struct sig *s, const struct cel_val *args, unsigned n)
{
    struct cel_val first;
    if (s->n != n)
        return false;
    for (unsigned i = 0; i < n; i++) {
        if (!fits(s->args[i], args[i]))
            return false;
        if (args[i].kind == CEL_LIST && s->args[i]->a && s->args[i]->a->kind != CEL_PARAM && list_get(c, &args[i], 0, &first) &&
            !fits(s->args[i]->a, first))
            return false;
    }
    return true;
}

static uint64_t cost_of(const struct node *n, const struct sig *s, const struct cel_val *args, unsigned n_args, const struct cel_val *result)
{
    if (!s->fn->cost || (n->n_sigs > 1 && !(s->fn->flags & FN_BY_NAME)))
        return 1;
    return s->fn->cost(args, n->n_sigs > 1 ? 1 : n_args, result);   /* which overload it is counts when the checker knew it */
}

static struct cel_val eval_args(struct cel_ctx *c, const struct node *n, struct cel_val *args, unsigned *ret_n)
{
    struct cel_val bad = { .kind = CEL_NULL };
    *ret_n = 0;
    if (n->of)
        args[(*ret_n)++] = eval(c, n->of);
    for (unsigned i = 0; i < n->n && *ret_n < 5; i++)
        args[(*ret_n)++] = eval(c, n->args[i]);
    for (unsigned i = 0; i < *ret_n; i++)
        if (is_error(args[i]))
            return args[i];
    return bad;
}

/* What upstream says depends on how far its dispatch gets. */
static struct cel_val no_row(struct cel_ctx *c, const struct node *n, const struct cel_val *args, unsigned n_args)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1024);
    static const char *const plain[] = { "startsWith", "endsWith", "contains", "matches", "-_", "!_" };
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (str_is(n->name, plain[i]))
            return no_overload();
    bool operator = n->name.at[0] == '_', can = args[0].kind >= CEL_BOOL && args[0].kind <= CEL_DURATION;
    if (operator && (can || args[0].kind == CEL_LIST))
        return no_overload();
    buf_printf(&b, "no such overload: " STR_FMT, STR_ARG(n->name));
    if (operator || str_is(n->name, "size"))
        return cel_error(c->arena, "%s", b.at ? b.at : "");
    for (unsigned i = 0; i < n_args; i++)
        buf_printf(&b, "%s%s", i ? ", " : "(", type_name(cel_type_of(args[i])));
    return cel_error(c->arena, "%s)", b.at ? b.at : "");
}

static struct cel_val eval_strict(struct cel_ctx *c, const struct node *n)
{
    struct cel_val args[5], result;
    unsigned n_args;
    const struct sig *s = NULL;
    struct cel_val bad = eval_args(c, n, args, &n_args);
    if (c->over)
        return cancelled(c);
    if (is_error(bad)) {
        pay(c, 1);
        return bad;
    }
    for (unsigned i = 0; i < n->n_sigs && !s; i++)
        if (sig_fits(c, n->sigs[i], args, n_args))
            s = n->sigs[i];
    for (const struct sig *any = n->n_sigs ? sig_find(str_of(n->sigs[0]->fn->name)) : NULL; any && !s; any = any->next)
        if (any->member == (n->of != NULL) && sig_fits(c, any, args, n_args))
            s = any;                    /* a type that only the evaluation shows */
    if (!s) {
        pay(c, 1);
        return no_row(c, n, args, n_args);
    }
    if (n->regex && s->fn->run) {
        bool too_long = false;
        bool matches = regex_match(n->regex, args[0].s, &too_long);
        result = too_long ? cel_error(c->arena, "the expression takes too long to match") : val_bool(matches);
    } else {
        result = s->fn->run(c, args, n_args);
    }
    return pay(c, cost_of(n, s, args, n_args, &result)) ? result : cancelled(c);
}

static struct cel_val eval_equal(struct cel_ctx *c, const struct node *n, bool not)
{
    struct cel_val args[5];
    unsigned n_args;
    struct cel_val bad = eval_args(c, n, args, &n_args);
    if (c->over)
        return cancelled(c);
    if (is_error(bad)) {
        pay(c, 1);
        return bad;
    }
    uint64_t a = cost_size(&args[0]), b = cost_size(&args[1]), least = a < b ? a : b;
    bool opaque = args[0].kind >= CEL_URL && args[0].kind <= CEL_DECISION;
    bool equal = cel_equal(c, args[0], args[1]);
    return pay(c, opaque && !not ? 1 : (least + 9) / 10) ? val_bool(equal != not) : cancelled(c);
}

static bool is_plain(const struct node *n)
{
    uint8_t k = n->value.kind;
    return n->kind == N_LITERAL && (k == CEL_BOOL || k == CEL_INT || k == CEL_UINT || k == CEL_DOUBLE || k == CEL_STRING);
}

/* Membership in a list of constants costs nothing. */
static bool in_map(struct cel_ctx *c, struct cel_val map, struct cel_val key)
{
    struct cel_val x;
    return map_lookup(c, &map, key, &x);
}

static struct cel_val eval_in(struct cel_ctx *c, const struct node *n)
{
    struct cel_val args[5], x;
    unsigned n_args;
    const struct node *list = n->args[1];
    bool free = list->constant && list->kind == N_LIST && list->n && is_plain(list->args[0]);
    struct cel_val bad = eval_args(c, n, args, &n_args);
    bool found = false;
    if (c->over)
        return cancelled(c);
    if (is_error(bad)) {
        pay(c, 1);
        return bad;
    }
    struct walk w = { 0 };
    if (args[1].kind == CEL_LIST)
        while (!found && eval_tick(c) && walk_next(c, &args[1], &w, NULL, &x))
            found = cel_equal(c, args[0], x);
    else if (args[1].kind == CEL_MAP)
        found = in_map(c, val_whole(args[1]), args[0]);
    else
        return pay(c, 1) ? no_overload() : cancelled(c);
    bool sure = n->n_sigs == 1 && args[1].kind == CEL_LIST;
    return pay(c, free ? 0 : sure ? cost_size(&args[1]) : 1) ? val_bool(found) : cancelled(c);
}

static struct cel_val eval_optional_select(struct cel_ctx *c, const struct node *n)
{
    struct cel_val of = eval(c, n->args[0]);
    return is_error(of) ? of : into(c, of, n->args[1]->value, true, step_cost(n->args[0]));
}

static struct cel_val eval_not_false(struct cel_ctx *c, const struct node *n)
{
    struct cel_val v = eval(c, n->args[0]);
    return pay(c, 1) ? val_bool(v.kind != CEL_BOOL || v.b) : cancelled(c);
}

static struct cel_val eval_call(struct cel_ctx *c, const struct node *n)
{
    if (n->constant)
        return n->value;
    switch (n->op) {
    case OP_AND: case OP_OR: return eval_logic(c, n, n->op == OP_OR);
    case OP_CHOICE: return eval_choice(c, n);
    case OP_INDEX: case OP_OPTIONAL_INDEX: return eval_index(c, n, n->op == OP_OPTIONAL_INDEX);
    case OP_OPTIONAL_SELECT: return eval_optional_select(c, n);
    case OP_EQUAL: case OP_NOT_EQUAL: return eval_equal(c, n, n->op == OP_NOT_EQUAL);
    case OP_IN: return eval_in(c, n);
    case OP_NOT_FALSE: return eval_not_false(c, n);
    case OP_OR_OPTIONAL: case OP_OR_VALUE: return eval_or(c, n, n->op == OP_OR_VALUE);
    default: return eval_strict(c, n);
    }
}

/* --- aggregates --- */

static struct cel_val not_optional(struct cel_ctx *c, struct cel_val v)
{
    return cel_error(c->arena, "cannot initialize optional list element from non-optional value %s", value_text(c->arena, v));
}

/* An element of a literal: its value, or what its optional holds. 1: *ret is it; 0: it is left out; -1: *ret is an error. */
static int element(struct cel_ctx *c, const struct node *value, bool optional, struct cel_val *ret)
{
    *ret = eval(c, value);
    if (is_error(*ret))
        return -1;
    if (!optional)
        return 1;
    if (ret->kind != CEL_OPTIONAL) {
        *ret = not_optional(c, *ret);
        return -1;
    }
    if (!ret->some)
        return 0;
    *ret = *ret->some;
    return 1;
}

static struct cel_val eval_list(struct cel_ctx *c, const struct node *n)
{
    struct cel_val list = list_new(c, n->n);
    for (unsigned i = 0; i < n->n && !is_error(list); i++) {
        struct cel_val v;
        int there = element(c, n->args[i], n->args[i]->optional, &v);
        if (there < 0)
            return v;
        if (!there)
            continue;
        if (!list_push(c, &list, v))
            return no_memory();
    }
    return pay(c, COST_LIST) ? list : cancelled(c);
}

static struct cel_val eval_map(struct cel_ctx *c, const struct node *n)
{
    struct cel_val map = map_new(c);
    for (unsigned i = 0; i + 1 < n->n && !is_error(map); i += 2) {
        struct cel_val k = eval(c, n->args[i]);
        if (is_error(k))
            return k;
        struct cel_val v;
        int there = element(c, n->args[i + 1], n->args[i]->optional, &v);
        if (there < 0)
            return v;
        if (!there)
            continue;
        if (!map_put_last(c, &map, k, v))
            return no_memory();
    }
    return pay(c, COST_MAP) ? map : cancelled(c);
}

/* An object of a mutation: a map of its fields. */
static struct cel_val eval_struct(struct cel_ctx *c, const struct node *n)
{
    struct cel_val map = map_new(c);
    for (unsigned i = 0; i < n->n && !is_error(map); i++) {
        struct cel_val v;
        int there = element(c, n->args[i], n->args[i]->optional, &v);
        if (there < 0)
            return v;
        if (!there)
            continue;
        if (!map_put_last(c, &map, val_text(n->names[i]), v))
            return no_memory();
    }
    return pay(c, COST_STRUCT) ? map : cancelled(c);
}

/* --- folds --- */

static struct cel_val *local(struct cel_ctx *c, int slot)
{
    return &c->locals[slot - (int)c->program->n_vars];
}

static struct cel_val no_range(struct cel_ctx *c, struct cel_val v)
{
    static const char *const names[] = { [CEL_NULL] = "Null", [CEL_BOOL] = "Bool", [CEL_INT] = "Int", [CEL_UINT] = "Uint", [CEL_DOUBLE] = "Double",
                                         [CEL_STRING] = "String", [CEL_BYTES] = "Bytes", [CEL_TIMESTAMP] = "Timestamp",
                                         [CEL_DURATION] = "Duration", [CEL_TYPE] = "Type" };
    const char *name = v.kind < sizeof names / sizeof *names ? names[v.kind] : NULL;
    return cel_error(c->arena, "got 'types.%s', expected iterable type", name ? name : "Val");
}

static struct cel_val eval_fold(struct cel_ctx *c, const struct node *n)
{
    struct cel_val range = val_whole(eval(c, n->range)), key, item;
    struct walk w = { 0 };
    if (is_error(range))
        return range;
    if ((range.kind != CEL_LIST && range.kind != CEL_MAP) || range.form == CEL_LAZY)
        return no_range(c, range);
    *local(c, n->slot_accu) = eval(c, n->init);
    while (!c->over && walk_next(c, &range, &w, &key, &item)) {
        if (is_error(item))
            return item;
        if (n->slot_iter2 >= 0) {
            *local(c, n->slot_iter) = key;
            *local(c, n->slot_iter2) = item;
        } else {
            *local(c, n->slot_iter) = range.kind == CEL_MAP ? key : item;
        }
        struct cel_val go_on = eval(c, n->cond);
        if (c->over || (go_on.kind == CEL_BOOL && !go_on.b))
            break;
        struct cel_val next = eval(c, n->step);
        *local(c, n->slot_accu) = next;
    }
    return c->over ? cancelled(c) : eval(c, n->result);
}

static struct cel_val eval_name(struct cel_ctx *c, const struct node *n)
{
    if (n->slot < 0)
        return n->value;                /* a type */
    if (!pay(c, 1))
        return cancelled(c);
    if (n->slot >= (int)c->program->n_vars)
        return *local(c, n->slot);
    struct cel_val v = c->run->vars[n->slot];
    return v.kind == CEL_DYN ? cel_error(c->arena, "no such attribute(s): " STR_FMT, STR_ARG(n->name)) : val_ripe(c, v);
}

static struct cel_val eval(struct cel_ctx *c, const struct node *n)
{
    struct cel_val v;
    if (!eval_tick(c) || c->depth >= DEEPEST)
        return cancelled(c);
    c->depth++;
    switch (n->kind) {
    case N_LITERAL: v = n->value; break;
    case N_IDENT: v = eval_name(c, n); break;
    case N_SELECT: v = eval_select(c, n); break;
    case N_CALL: v = eval_call(c, n); break;
    case N_LIST: v = n->constant ? n->value : eval_list(c, n); break;
    case N_MAP: v = n->constant ? n->value : eval_map(c, n); break;
    case N_STRUCT: v = eval_struct(c, n); break;
    default: v = eval_fold(c, n); break;
    }
    c->depth--;
    return v;
}

struct cel_val eval_node(struct cel_ctx *c, const struct node *n)
{
    return eval(c, n);
}

struct cel_val cel_eval(const struct cel_program *p, struct cel_run *run)
{
    struct cel_ctx c = { .run = run, .arena = run->arena, .program = p };
    struct str key;
    void *index;
    run->cost = 0;
    c.locals = arena_alloc(run->arena, (p->n_slots + 1) * sizeof *c.locals);
    struct cel_val v = c.locals ? eval(&c, p->root) : no_memory();
    for (size_t at = 0; map_next(&c.big, &at, &key, &index);)
        if (!(key.at == (const char *)index))           /* an object's index, which is a map; a list's begins with its own key */
            map_free(index);
    map_free(&c.big);
    if (c.over)
        return (struct cel_val){ .kind = CEL_ERROR, .s = STR(CEL_OVER_LIMIT) };
    return arena_exhausted(run->arena) ? no_memory() : v;
}
