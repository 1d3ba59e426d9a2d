/* check.c - types of all nodes, which overloads calls may mean, and where names stand. */
#include "cel/cel-internal.h"

struct scope {
    const struct scope *up;
    struct str name;
    const struct cel_type *type;
    int slot;
};

struct checker {
    struct cel_program *p;
    struct arena *arena;
    struct troubles *troubles;
    struct subst subst;
    const struct scope *scope;
    unsigned slots;                     /* locals alive */
};

static void visit(struct checker *c, struct node *n);

static const struct cel_type *known(struct checker *c, const struct cel_type *t)
{
    return subst_apply(&c->subst, t, false);
}

static const char *text(struct checker *c, const struct cel_type *t)
{
    return type_checked_text(c->arena, t);
}

static void undeclared(struct checker *c, struct node *n, struct str name)
{
    trouble(c->troubles, n->at, "undeclared reference to '" STR_FMT "' (in container '')", STR_ARG(name));
    n->type = cel_type(CEL_ERROR);
}

static void mismatch(struct checker *c, const struct node *n, const struct cel_type *want, const struct cel_type *is)
{
    trouble(c->troubles, n->at, "expected type '%s' but found '%s'", text(c, want), text(c, is));
}

static void want(struct checker *c, const struct node *n, const struct cel_type *type)
{
    if (!subst_assignable(&c->subst, type, n->type))
        mismatch(c, n, type, known(c, n->type));
}

/* --- names --- */

/* A variable, a local, a type: false when it is none. */
static bool resolve(struct checker *c, struct node *n, struct str name)
{
    bool global = name.len && name.at[0] == '.';
    struct str bare = global ? str_skip(name, 1) : name;
    const struct cel_type *type;
    for (const struct scope *s = c->scope; s && !global; s = s->up)
        if (str_eq(s->name, name)) {
            n->type = s->type;
            n->slot = s->slot;
            return true;
        }
    for (unsigned i = 0; i < c->p->n_vars; i++)
        if (str_is(bare, c->p->vars[i].name)) {
            n->type = c->p->vars[i].type;
            n->slot = (int)i;
            c->p->used[i] = true;
            return true;
        }
    type = type_named(bare);
    if (!type)
        return false;
    if (type->kind == CEL_TYPE)
        n->type = cel_type(CEL_TYPE);
    else if (type->kind == CEL_LIST || type->kind == CEL_OPTIONAL)
        n->type = type_type(c->arena, type->kind == CEL_LIST ? cel_list_of(c->arena, subst_fresh(&c->subst)) :
                                                               cel_optional_of(c->arena, subst_fresh(&c->subst)));
    else
        n->type = type_type(c->arena, type);
    n->slot = -1;
    n->value = (struct cel_val){ .kind = CEL_TYPE, .type = type };
    return true;
}

/* "a.b.c" of nested selects; false: something else is in it. */
static bool qualified(struct checker *c, const struct node *n, struct str *ret)
{
    struct str left;
    if (n->kind == N_IDENT) {
        *ret = n->name;
        return true;
    }
    if (n->kind != N_SELECT || n->has || !qualified(c, n->of, &left))
        return false;
    *ret = str_of(arena_printf(c->arena, STR_FMT "." STR_FMT, STR_ARG(left), STR_ARG(n->name)));
    return ret->at != NULL;
}

/* --- fields --- */

static const struct cel_type *field(struct checker *c, struct node *n, struct node *of, struct str name, bool optional)
{
    visit(c, of);
    const struct cel_type *t = known(c, of->type), *result = cel_type(CEL_DYN);
    bool opt = t->kind == CEL_OPTIONAL;
    struct str member;
    if (opt)
        t = t->a;
    if (t->kind == CEL_MAP) {
        result = t->b;
    } else if (t->kind == CEL_STRUCT) {
        result = type_field(c->arena, t, name, &member);
        if (!result) {
            trouble(c->troubles, n->at, "undefined field '" STR_FMT "'", STR_ARG(name));
            result = cel_type(CEL_ERROR);
        }
    } else if (t->kind == CEL_PARAM) {
        subst_assignable(&c->subst, cel_type(CEL_DYN), t);
    } else if (!type_is_dyn(t)) {
        trouble(c->troubles, n->at, "type '%s' does not support field selection", text(c, t));
    }
    return opt || optional ? cel_optional_of(c->arena, result) : result;
}

static void visit_select(struct checker *c, struct node *n)
{
    struct str name;
    if (!n->has && qualified(c, n, &name) && str_find(name, '.') > 0 && resolve(c, n, name)) {
        n->kind = N_IDENT;
        n->name = name;
        n->of = NULL;
        return;
    }
    const struct cel_type *t = field(c, n, n->of, n->name, false);
    n->type = n->has ? cel_type(CEL_BOOL) : known(c, t);
}

/* --- calls --- */

static const char *signature(struct checker *c, const struct cel_type **types, unsigned n, bool member)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
    for (unsigned i = 0; i < n; i++)
        buf_printf(&b, "%s%s", member && i == 1 ? ".(" : !i && !member ? "(" : i > (member ? 1u : 0u) ? ", " : "",
                   text(c, subst_apply(&c->subst, types[i], true)));
    buf_add_z(&b, member && n == 1 ? ".()" : !n ? "()" : ")");
    const char *out = b.failed ? NULL : arena_dup(c->arena, buf_str(&b));
    return out ? out : "";
}

static bool logical(struct checker *c, struct node *n)
{
    bool fine = true;
    for (unsigned i = 0; i < n->n; i++)
        if (!subst_assignable(&c->subst, n->args[i]->type, cel_type(CEL_BOOL))) {
            mismatch(c, n->args[i], cel_type(CEL_BOOL), known(c, n->args[i]->type));
            fine = false;
        }
    n->type = cel_type(fine ? CEL_BOOL : CEL_ERROR);
    return fine;
}

static void add_sig(struct checker *c, struct node *n, const struct sig *s)
{
    if ((n->n_sigs & (n->n_sigs - 1)) == 0) {           /* at 0, 1, 2, 4, ...: full */
        const struct sig **at = arena_alloc(c->arena, (n->n_sigs ? 2 * n->n_sigs : 1) * sizeof *at);
        if (!at)
            return;
        if (n->n_sigs)
            memcpy(at, n->sigs, n->n_sigs * sizeof *at);
        n->sigs = at;
    }
    n->sigs[n->n_sigs++] = s;
}

/* All overloads that the arguments fit; their common result. */
static void overloads(struct checker *c, struct node *n, const struct sig *first)
{
    const struct cel_type *types[8], *result = NULL;
    unsigned n_types = 0;
    if (n->of)
        types[n_types++] = n->of->type;
    for (unsigned i = 0; i < n->n && n_types < 8; i++)
        types[n_types++] = n->args[i]->type;
    bool is_logical = str_is(n->name, "_&&_") || str_is(n->name, "_||_");
    if (is_logical && n->n == 2) {
        if (logical(c, n))
            add_sig(c, n, first);
        return;
    }
    for (const struct sig *s = first; s; s = s->next) {
        const struct cel_type *params[3], *args[5];
        if (s->member != (n->of != NULL) || s->n != n_types || (s->fn->flags & FN_PATCH && !(c->p->flags & CEL_PATCH)))
            continue;
        for (unsigned i = 0; i < s->params; i++)
            params[i] = subst_fresh(&c->subst);
        for (unsigned i = 0; i < s->n; i++)
            args[i] = s->params ? subst_instance(c->arena, s->args[i], params) : s->args[i];
        if (!subst_assignable_all(&c->subst, types, args, s->n))
            continue;
        add_sig(c, n, s);
        const struct cel_type *r = known(c, s->params ? subst_instance(c->arena, s->result, params) : s->result);
        result = !result ? r : result->kind != CEL_DYN && !type_equal(r, result) ? cel_type(CEL_DYN) : result;
    }
    n->type = result ? result : cel_type(CEL_ERROR);
    if (!result)
        trouble(c->troubles, n->at, "found no matching overload for '" STR_FMT "' applied to '%s'", STR_ARG(n->name),
                signature(c, types, n_types, n->of != NULL));
}

static void visit_call(struct checker *c, struct node *n)
{
    struct str name = n->name, prefix;
    if (str_is(name, "_?._")) {
        n->type = known(c, field(c, n, n->args[0], n->args[1]->value.s, true));
        n->args[1]->type = cel_type(CEL_STRING);
        return;
    }
    for (unsigned i = 0; i < n->n; i++)
        visit(c, n->args[i]);
    if (n->of && qualified(c, n->of, &prefix)) {
        struct str whole = str_of(arena_printf(c->arena, STR_FMT "." STR_FMT, STR_ARG(prefix), STR_ARG(name)));
        const struct sig *s = whole.at ? sig_find(whole) : NULL;
        if (s && (!(s->fn->flags & FN_PATCH) || c->p->flags & CEL_PATCH)) {
            n->of = NULL;
            n->name = whole;
            overloads(c, n, s);
            return;
        }
    }
    if (n->of)
        visit(c, n->of);
    const struct sig *s = sig_find(!n->of && name.at[0] == '.' ? str_skip(name, 1) : name);
    if (s)
        overloads(c, n, s);
    else
        undeclared(c, n, name);
}

/* --- aggregates --- */

static const struct cel_type *unwrap(struct checker *c, const struct node *n, const struct cel_type *t)
{
    t = known(c, t);
    if (t->kind == CEL_OPTIONAL)
        return t->a;
    if (!type_is_dyn(t))
        mismatch(c, n, cel_optional_of(c->arena, t), t);
    return t;
}

static const struct cel_type *join(struct checker *c, const struct cel_type *so_far, const struct cel_type *t)
{
    if (!so_far)
        return t;
    if (subst_assignable(&c->subst, so_far, t))
        return subst_general(so_far, t);
    return cel_type(CEL_DYN);           /* alike() complains when all else is fine */
}

static void visit_list(struct checker *c, struct node *n)
{
    const struct cel_type *of = NULL;
    for (unsigned i = 0; i < n->n; i++) {
        struct node *item = n->args[i];
        visit(c, item);
        of = join(c, of, item->optional ? unwrap(c, item, item->type) : item->type);
    }
    n->type = cel_list_of(c->arena, of ? of : subst_fresh(&c->subst));
}

static void visit_map(struct checker *c, struct node *n)
{
    const struct cel_type *key = NULL, *value = NULL;
    for (unsigned i = 0; i + 1 < n->n; i += 2) {
        struct node *k = n->args[i], *v = n->args[i + 1];
        visit(c, k);
        key = join(c, key, k->type);
        visit(c, v);
        value = join(c, value, k->optional ? unwrap(c, v, v->type) : v->type);
    }
    n->type = key ? cel_map_of(c->arena, key, value) : cel_map_of(c->arena, subst_fresh(&c->subst), subst_fresh(&c->subst));
}

/* Objects by name: of mutations alone ("Object.spec{...}", "JSONPatch{...}"). */
static void visit_struct(struct checker *c, struct node *n)
{
    bool object = str_is(n->name, "Object") || str_starts(n->name, STR("Object.")), patch = str_is(n->name, "JSONPatch");
    for (unsigned i = 0; i < n->n; i++)
        visit(c, n->args[i]);
    if (!(c->p->flags & CEL_PATCH) || !(object || patch)) {
        undeclared(c, n, n->name);
        return;
    }
    for (unsigned i = 0; patch && i < n->n; i++) {
        const struct cel_type *t = known(c, n->args[i]->type);
        bool text_field = str_is(n->names[i], "op") || str_is(n->names[i], "path") || str_is(n->names[i], "from");
        if (!text_field && !str_is(n->names[i], "value"))
            trouble(c->troubles, n->args[i]->at, "undefined field '" STR_FMT "'", STR_ARG(n->names[i]));
        else if (text_field && t->kind != CEL_STRING && !type_is_dyn(t))
            trouble(c->troubles, n->args[i]->at, "expected type of field '" STR_FMT "' is 'string' but provided type is '%s'", STR_ARG(n->names[i]),
                    text(c, t));
    }
    struct cel_type *t = arena_alloc(c->arena, sizeof *t);
    if (t) {
        t->kind = CEL_DYN;
        t->name = arena_dup(c->arena, n->name);
    }
    n->type = t ? t : cel_type(CEL_DYN);
}

/* --- folds --- */

static const struct scope *enter(struct checker *c, struct scope *s, struct str name, const struct cel_type *type)
{
    *s = (struct scope){ c->scope, name, type, (int)(c->p->n_vars + c->slots++) };
    if (c->slots > c->p->n_slots)
        c->p->n_slots = c->slots;
    return c->scope = s;
}

static void visit_fold(struct checker *c, struct node *n)
{
    visit(c, n->range);
    visit(c, n->init);
    const struct cel_type *range = known(c, n->range->type), *one = cel_type(CEL_DYN), *two = cel_type(CEL_DYN);
    unsigned slots = c->slots;
    const struct scope *outside = c->scope;
    struct scope accu, iter, iter2;
    enter(c, &accu, n->accu, n->init->type);
    if (range->kind == CEL_LIST) {
        one = n->iter2.at ? cel_type(CEL_INT) : range->a;
        two = range->a;
    } else if (range->kind == CEL_MAP) {
        one = range->a;
        two = range->b;
    } else if (range->kind == CEL_PARAM || type_is_dyn(range)) {
        subst_assignable(&c->subst, cel_type(CEL_DYN), range);
    } else {
        trouble(c->troubles, n->range->at, "expression of type '%s' cannot be range of a comprehension (must be list, map, or dynamic)",
                text(c, range));
        one = two = cel_type(CEL_ERROR);
    }
    n->slot_accu = accu.slot;
    n->slot_iter = enter(c, &iter, n->iter, one)->slot;
    n->slot_iter2 = n->iter2.at ? enter(c, &iter2, n->iter2, two)->slot : -1;
    visit(c, n->cond);
    want(c, n->cond, cel_type(CEL_BOOL));
    visit(c, n->step);
    want(c, n->step, n->init->type);
    c->scope = &accu;
    visit(c, n->result);
    c->scope = outside;
    c->slots = slots;
    n->type = known(c, n->result->type);
}

/* --- all --- */

static void visit(struct checker *c, struct node *n)
{
    switch (n->kind) {
    case N_LITERAL: n->type = cel_type(n->value.kind); break;
    case N_IDENT:
        if (!resolve(c, n, n->name))
            undeclared(c, n, n->name);
        break;
    case N_SELECT: visit_select(c, n); break;
    case N_CALL: visit_call(c, n); break;
    case N_LIST: visit_list(c, n); break;
    case N_MAP: visit_map(c, n); break;
    case N_STRUCT: visit_struct(c, n); break;
    default: visit_fold(c, n); break;
    }
}

static uint8_t op_of(const struct node *n)
{
    static const struct {
        const char *name;
        enum node_op op;
    } ops[] = { { "_&&_", OP_AND }, { "_||_", OP_OR }, { "_?_:_", OP_CHOICE }, { "_[_]", OP_INDEX }, { "_[?_]", OP_OPTIONAL_INDEX },
                { "_?._", OP_OPTIONAL_SELECT }, { "_==_", OP_EQUAL }, { "_!=_", OP_NOT_EQUAL }, { "@in", OP_IN },
                { "@not_strictly_false", OP_NOT_FALSE }, { "or", OP_OR_OPTIONAL }, { "orValue", OP_OR_VALUE } };
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (str_is(n->name, ops[i].name))
            return (uint8_t)ops[i].op;
    return OP_FUNCTION;
}

/* Type variables give way to what they turned out to be. */
static void settle(struct checker *c, struct node *n)
{
    struct node *const kids[] = { n->of, n->range, n->init, n->cond, n->step, n->result };
    n->type = subst_apply(&c->subst, n->type, true);
    if (n->kind == N_CALL)
        n->op = op_of(n);
    for (size_t i = 0; i < sizeof kids / sizeof *kids; i++)
        if (kids[i])
            settle(c, kids[i]);
    for (unsigned i = 0; i < n->n; i++)
        settle(c, n->args[i]);
}

/* Items from `first` on, every `by`-th, are of one type; the first that is not is shown. */
static void alike(struct checker *c, const struct node *n, unsigned first, unsigned by)
{
    const struct cel_type *of = NULL;
    for (unsigned i = first; i < n->n; i += by) {
        const struct node *item = n->args[i];
        bool optional = by == 1 ? item->optional : i % 2 && n->args[i - 1]->optional;
        const struct cel_type *t = optional && item->type->kind == CEL_OPTIONAL ? item->type->a : item->type;
        if (of && !type_equal(of, t)) {
            mismatch(c, item, of, t);
            return;
        }
        of = of ? of : t;
    }
}

/* Literals hold values of one type, but for what is formatted. */
static void all_alike(struct checker *c, const struct node *n)
{
    const struct node *const kids[] = { n->of, n->range, n->init, n->cond, n->step, n->result };
    if (n->kind == N_LIST)
        alike(c, n, 0, 1);
    if (n->kind == N_MAP) {
        alike(c, n, 0, 2);
        alike(c, n, 1, 2);
    }
    for (size_t i = 0; i < sizeof kids / sizeof *kids; i++)
        if (kids[i])
            all_alike(c, kids[i]);
    bool format = n->kind == N_CALL && n->of && str_is(n->name, "format");
    for (unsigned i = 0; i < n->n && !format; i++)
        all_alike(c, n->args[i]);
}

bool check(struct cel_program *p, struct troubles *t)
{
    struct checker c = { .p = p, .arena = p->arena, .troubles = t, .subst = { .arena = p->arena } };
    visit(&c, p->root);
    if (t->n || arena_exhausted(p->arena))
        return false;
    settle(&c, p->root);
    all_alike(&c, p->root);
    return !t->n;
}
