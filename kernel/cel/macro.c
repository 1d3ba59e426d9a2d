/* macro.c - has() and the calls that go over lists and maps, as folds: a range, an accumulator with its first value, a condition to go on, a
 * step, a result. */
#include "cel/cel-internal.h"

#define ACCU "@result"
#define SORT_INPUT "@__sortBy_input__"

struct macro {
    const char *name;
    unsigned n;                         /* arguments */
    struct node *(*make)(struct parser *p, struct node *call);
    bool global;
};

static struct node *refuse(struct parser *p, const struct node *at, const char *why)
{
    trouble(p->troubles, at->at, "%s", why);
    p->failed = true;
    return NULL;
}

static struct node *ident(struct parser *p, uint32_t at, struct str name)
{
    struct node *n = node_new(p->arena, N_IDENT, at);
    if (n)
        n->name = name;
    return n;
}

static struct node *accu(struct parser *p, uint32_t at)
{
    return ident(p, at, STR(ACCU));
}

static struct node *literal(struct parser *p, uint32_t at, struct cel_val v)
{
    struct node *n = node_new(p->arena, N_LITERAL, at);
    if (n)
        n->value = v;
    return n;
}

static struct node *list_of(struct parser *p, uint32_t at, struct node *item)
{
    struct node *n = node_new(p->arena, N_LIST, at);
    if (!n || !item)
        return n;
    n->args = arena_alloc(p->arena, sizeof *n->args);
    n->n = n->args ? 1 : 0;
    if (n->args)
        n->args[0] = item;
    return n;
}

static struct node *fold(struct parser *p, const struct node *call, struct node *range, struct node *init, struct node *cond, struct node *step,
                         struct node *result)
{
    struct node *n = node_new(p->arena, N_FOLD, call->at);
    if (!n || !range || !init || !cond || !step || !result || arena_exhausted(p->arena)) {
        p->failed = true;
        return NULL;
    }
    n->range = range;
    n->init = init;
    n->cond = cond;
    n->step = step;
    n->result = result;
    n->accu = STR(ACCU);
    return n;
}

/* A copy that shares nothing, since the checker writes into nodes. */
static struct node *copy(struct parser *p, const struct node *n)
{
    struct node *c = n ? node_new(p->arena, n->kind, n->at) : NULL;
    if (!c)
        return NULL;
    *c = *n;
    c->args = n->n ? arena_alloc(p->arena, n->n * sizeof *c->args) : NULL;
    for (unsigned i = 0; c->args && i < n->n; i++)
        c->args[i] = copy(p, n->args[i]);
    c->of = copy(p, n->of);
    c->range = copy(p, n->range);
    c->init = copy(p, n->init);
    c->cond = copy(p, n->cond);
    c->step = copy(p, n->step);
    c->result = copy(p, n->result);
    return c;
}

/* --- one variable --- */

static bool simple_name(struct parser *p, const struct node *n, const char *why)
{
    if (n->kind != N_IDENT || n->name.at[0] == '.')
        return refuse(p, n, why), false;
    if (str_is(n->name, "__result__"))
        return refuse(p, n, "iteration variable overwrites accumulator variable"), false;
    return true;
}

static struct node *make_has(struct parser *p, struct node *call)
{
    struct node *of = call->args[0];
    if (of->kind != N_SELECT)
        return refuse(p, of, "invalid argument to has() macro");
    of->has = true;
    return of;
}

/* From the variables on: all, exists and exists_one of one or two variables. */
static struct node *quantifier(struct parser *p, struct node *call, unsigned vars, char which)
{
    uint32_t at = call->at;
    struct node *pred = call->args[vars], *init, *cond, *step, *result = accu(p, at);
    if (which == 'a') {
        init = literal(p, at, val_bool(true));
        cond = node_call(p->arena, at, "@not_strictly_false", NULL, 1, accu(p, at));
        step = node_call(p->arena, at, "_&&_", NULL, 2, accu(p, at), pred);
    } else if (which == 'e') {
        init = literal(p, at, val_bool(false));
        cond = node_call(p->arena, at, "@not_strictly_false", NULL, 1, node_call(p->arena, at, "!_", NULL, 1, accu(p, at)));
        step = node_call(p->arena, at, "_||_", NULL, 2, accu(p, at), pred);
    } else {
        init = literal(p, at, val_int(0));
        cond = literal(p, at, val_bool(true));
        step = node_call(p->arena, at, "_?_:_", NULL, 3, pred,
                         node_call(p->arena, at, "_+_", NULL, 2, accu(p, at), literal(p, at, val_int(1))), accu(p, at));
        result = node_call(p->arena, at, "_==_", NULL, 2, accu(p, at), literal(p, at, val_int(1)));
    }
    struct node *n = fold(p, call, call->of, init, cond, step, result);
    if (!n)
        return NULL;
    n->iter = call->args[0]->name;
    if (vars == 2)
        n->iter2 = call->args[1]->name;
    return n;
}

static struct node *one_var(struct parser *p, struct node *call, char which)
{
    return simple_name(p, call->args[0], "argument must be a simple name") ? quantifier(p, call, 1, which) : NULL;
}

static struct node *make_all(struct parser *p, struct node *call)
{
    return one_var(p, call, 'a');
}
static struct node *make_exists(struct parser *p, struct node *call)
{
    return one_var(p, call, 'e');
}
static struct node *make_exists_one(struct parser *p, struct node *call)
{
    return one_var(p, call, '1');
}

/* A fold that builds: accu + [item], or an insertion; where filter (NULL: everywhere) holds. */
static struct node *builder(struct parser *p, struct node *call, struct node *init, struct node *add, struct node *filter)
{
    uint32_t at = call->at;
    struct node *step = filter ? node_call(p->arena, at, "_?_:_", NULL, 3, filter, add, accu(p, at)) : add;
    struct node *n = fold(p, call, call->of, init, literal(p, at, val_bool(true)), step, accu(p, at));
    if (n)
        n->iter = call->args[0]->name;
    return n;
}

static struct node *appended(struct parser *p, uint32_t at, struct node *item)
{
    return node_call(p->arena, at, "_+_", NULL, 2, accu(p, at), list_of(p, at, item));
}

static struct node *make_map(struct parser *p, struct node *call)
{
    if (!simple_name(p, call->args[0], "argument is not an identifier"))
        return NULL;
    return builder(p, call, list_of(p, call->at, NULL), appended(p, call->at, call->args[call->n - 1]), call->n == 3 ? call->args[1] : NULL);
}

static struct node *make_filter(struct parser *p, struct node *call)
{
    if (!simple_name(p, call->args[0], "argument is not an identifier"))
        return NULL;
    return builder(p, call, list_of(p, call->at, NULL), appended(p, call->at, call->args[0]), call->args[1]);
}

/* --- two variables --- */

static bool two_names(struct parser *p, struct node *call)
{
    if (!simple_name(p, call->args[0], "argument must be a simple name") || !simple_name(p, call->args[1], "argument must be a simple name"))
        return false;
    if (str_eq(call->args[0]->name, call->args[1]->name))
        return refuse(p, call->args[1], arena_printf(p->arena, "duplicate variable name: " STR_FMT, STR_ARG(call->args[0]->name))), false;
    return true;
}

static struct node *make_all2(struct parser *p, struct node *call)
{
    return two_names(p, call) ? quantifier(p, call, 2, 'a') : NULL;
}
static struct node *make_exists2(struct parser *p, struct node *call)
{
    return two_names(p, call) ? quantifier(p, call, 2, 'e') : NULL;
}
static struct node *make_exists_one2(struct parser *p, struct node *call)
{
    return two_names(p, call) ? quantifier(p, call, 2, '1') : NULL;
}

static struct node *transform(struct parser *p, struct node *call, struct node *init, struct node *add)
{
    struct node *n = builder(p, call, init, add, call->n == 4 ? call->args[2] : NULL);
    if (n)
        n->iter2 = call->args[1]->name;
    return n;
}

static struct node *make_transform_list(struct parser *p, struct node *call)
{
    return two_names(p, call) ? transform(p, call, list_of(p, call->at, NULL), appended(p, call->at, call->args[call->n - 1])) : NULL;
}

static struct node *make_transform_map(struct parser *p, struct node *call)
{
    if (!two_names(p, call))
        return NULL;
    struct node *add = node_call(p->arena, call->at, "cel.@mapInsert", NULL, 3, accu(p, call->at), ident(p, call->at, call->args[0]->name),
                                 call->args[call->n - 1]);
    return transform(p, call, node_new(p->arena, N_MAP, call->at), add);
}

static struct node *make_transform_entry(struct parser *p, struct node *call)
{
    if (!two_names(p, call))
        return NULL;
    struct node *add = node_call(p->arena, call->at, "cel.@mapInsert", NULL, 2, accu(p, call->at), call->args[call->n - 1]);
    return transform(p, call, node_new(p->arena, N_MAP, call->at), add);
}

/* --- names for values: a fold over nothing whose accumulator is the value --- */

static struct node *bind(struct parser *p, struct node *call, struct str name, struct node *value, struct node *result)
{
    uint32_t at = call->at;
    struct node *n = fold(p, call, list_of(p, at, NULL), value, literal(p, at, val_bool(false)), ident(p, at, name), result);
    if (n) {
        n->accu = name;
        n->iter = STR("#unused");
    }
    return n;
}

static struct node *optional_map(struct parser *p, struct node *call, bool flat)
{
    uint32_t at = call->at;
    if (call->args[0]->kind != N_IDENT)
        return refuse(p, call->args[0], flat ? "optFlatMap() variable name must be a simple identifier" :
                                               "optMap() variable name must be a simple identifier");
    struct node *value = node_call(p->arena, at, "value", copy(p, call->of), 0);
    struct node *bound = bind(p, call, call->args[0]->name, value, call->args[1]);
    struct node *some = flat ? bound : node_call(p->arena, at, "optional.of", NULL, 1, bound);
    struct node *has = node_call(p->arena, at, "hasValue", call->of, 0);
    return bound ? node_call(p->arena, at, "_?_:_", NULL, 3, has, some, node_call(p->arena, at, "optional.none", NULL, 0)) : NULL;
}

static struct node *make_opt_map(struct parser *p, struct node *call)
{
    return optional_map(p, call, false);
}
static struct node *make_opt_flat_map(struct parser *p, struct node *call)
{
    return optional_map(p, call, true);
}

static struct node *make_bind(struct parser *p, struct node *call)
{
    if (call->args[0]->kind != N_IDENT)
        return refuse(p, call->args[0], "cel.bind() variable names must be simple identifiers");
    return bind(p, call, call->args[0]->name, call->args[1], call->args[2]);
}

static struct node *make_sort_by(struct parser *p, struct node *call)
{
    struct node *of = call->of;
    if (of->kind == N_LITERAL || of->kind == N_MAP || of->kind == N_STRUCT)
        return refuse(p, of, "sortBy can only be applied to a list, identifier, comprehension, call or select expression");
    call->of = ident(p, call->at, STR(SORT_INPUT));
    struct node *keys = make_map(p, call);
    struct node *sorted = keys ? node_call(p->arena, call->at, "@sortByAssociatedKeys", ident(p, call->at, STR(SORT_INPUT)), 1, keys) : NULL;
    return sorted ? bind(p, call, STR(SORT_INPUT), of, sorted) : NULL;
}

/* --- all of them --- */

static const struct macro macros[] = {
    { "has", 1, make_has, true },
    { "all", 2, make_all, false },
    { "exists", 2, make_exists, false },
    { "exists_one", 2, make_exists_one, false },
    { "existsOne", 2, make_exists_one, false },
    { "map", 2, make_map, false },
    { "map", 3, make_map, false },
    { "filter", 2, make_filter, false },
    { "all", 3, make_all2, false },
    { "exists", 3, make_exists2, false },
    { "exists_one", 3, make_exists_one2, false },
    { "existsOne", 3, make_exists_one2, false },
    { "transformList", 3, make_transform_list, false },
    { "transformList", 4, make_transform_list, false },
    { "transformMap", 3, make_transform_map, false },
    { "transformMap", 4, make_transform_map, false },
    { "transformMapEntry", 3, make_transform_entry, false },
    { "transformMapEntry", 4, make_transform_entry, false },
    { "optMap", 2, make_opt_map, false },
    { "optFlatMap", 2, make_opt_flat_map, false },
    { "sortBy", 2, make_sort_by, false },
    { "bind", 3, make_bind, false },
};

/* cel.bind, where there is such a thing. */
static bool is_meant(const struct parser *p, const struct macro *m, const struct node *call)
{
    return m->make != make_bind || (p->binds && call->of->kind == N_IDENT && str_is(call->of->name, "cel"));
}

struct node *macro_expand(struct parser *p, struct node *call)
{
    for (size_t i = 0; i < sizeof macros / sizeof *macros; i++)
        if (macros[i].n == call->n && macros[i].global == !call->of && str_is(call->name, macros[i].name) &&
            is_meant(p, &macros[i], call)) {
            struct node *n = macros[i].make(p, call);
            if (!n)
                p->failed = true;
            return n;
        }
    return NULL;
}
