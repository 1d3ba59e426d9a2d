/* estimate.c - what a program costs at least and at most, before it has seen any value: sizes come from literals and from the bounds that a
 * schema sets. The sums are upstream's, peculiarities included, since they decide which definitions are taken: a step that begins at no
 * variable counts as the schema's root. */
#include "cel/cost.h"

#include <math.h>

#define UNKNOWN ((struct cel_size){ 0, UINT64_MAX })

/* --- sums --- */

static uint64_t plus(uint64_t a, uint64_t b)
{
    uint64_t r;
    return __builtin_add_overflow(a, b, &r) ? UINT64_MAX : r;
}

static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t r;
    return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}

static uint64_t by(uint64_t n, double factor)
{
    double d = ceil((double)n * factor);
    return d >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)d;
}

struct cel_size size_plus(struct cel_size a, struct cel_size b)
{
    return (struct cel_size){ plus(a.min, b.min), plus(a.max, b.max) };
}

struct cel_size size_times(struct cel_size a, struct cel_size b)
{
    return (struct cel_size){ times(a.min, b.min), times(a.max, b.max) };
}

struct cel_size size_by(struct cel_size a, double factor)
{
    return (struct cel_size){ by(a.min, factor), by(a.max, factor) };
}

struct cel_size size_union(struct cel_size a, struct cel_size b)
{
    return (struct cel_size){ a.min < b.min ? a.min : b.min, a.max > b.max ? a.max : b.max };
}

/* --- what is known of nodes --- */

struct estimate *est_of(struct est *x, struct node *n)
{
    static struct estimate nowhere;
    if (!n->known)
        n->known = arena_alloc(x->arena, sizeof *n->known);
    return n->known ? n->known : &nowhere;
}

static struct estimate *local(struct est *x, const struct node *n)
{
    return n->kind == N_IDENT && n->slot >= (int)x->p->n_vars ? &x->locals[n->slot - (int)x->p->n_vars] : NULL;
}

struct place est_place(struct est *x, struct node *n)
{
    const struct estimate *l = local(x, n);
    return l ? l->place : est_of(x, n)->place;
}

/* One step on from a place. */
static struct place step(struct est *x, struct place from, const struct cel_type *to)
{
    return from.is ? (struct place){ true, from.at ? to : NULL } : (struct place){ true, x->root };
}

static bool literal_size(const struct node *n, struct cel_size *ret)
{
    if (n->kind == N_LIST || n->kind == N_MAP) {
        *ret = size_of(n->kind == N_LIST ? n->n : n->n / 2);
        return true;
    }
    if (n->kind != N_LITERAL)
        return false;
    int64_t size = cel_size(&n->value);
    *ret = size_of(size < 0 ? 1 : (uint64_t)size);
    return true;
}

static bool is_scalar(const struct cel_type *t)
{
    switch (t->kind) {
    case CEL_BOOL: case CEL_DOUBLE: case CEL_DURATION: case CEL_INT: case CEL_TIMESTAMP: case CEL_UINT: return true;
    case CEL_OPTIONAL: return is_scalar(t->a);
    default: return false;
    }
}

bool est_known_size(struct est *x, struct node *n, struct cel_size *ret)
{
    struct estimate *known = est_of(x, n);
    if (known->has_size) {
        *ret = known->size;
        return true;
    }
    if (literal_size(n, ret))
        return true;
    struct place place = est_place(x, n);
    if (place.is && place.at) {
        *ret = (struct cel_size){ 0, (uint64_t)place.at->max_elements };
        known->size = *ret;
        known->has_size = true;
        return true;
    }
    if (is_scalar(n->type)) {
        *ret = size_of(1);
        return true;
    }
    const struct estimate *l = local(x, n);
    if (l && l->has_size)
        *ret = l->size;
    return l && l->has_size;
}

static struct cel_size size_or_unknown(struct est *x, struct node *n)
{
    struct cel_size size;
    return est_known_size(x, n, &size) ? size : UNKNOWN;
}

struct cel_size est_size(struct est_call *e, struct node *n)
{
    return size_or_unknown(e->est, n);
}

bool est_items(struct est *x, struct node *n, struct estimate *ret)
{
    const struct estimate *known = est_of(x, n), *l = local(x, n);
    if (!known->has_items && l)
        known = l;
    if (known->has_items) {
        ret->has_items = true;
        ret->key = known->key;
        ret->item = known->item;
        ret->is_list = known->is_list;
    }
    return known->has_items;
}

static void set_size(struct est *x, struct node *n, struct cel_size size)
{
    struct estimate *known = est_of(x, n);
    known->size = size;
    known->has_size = true;
}

static void copy_sizes(struct est *x, struct node *to, struct node *from)
{
    struct cel_size size;
    if (est_known_size(x, from, &size))
        set_size(x, to, size);
    est_items(x, from, est_of(x, to));
}

/* --- nodes --- */

static struct cel_size cost(struct est *x, struct node *n);

static struct cel_size cost_ident(struct est *x, struct node *n)
{
    const struct estimate *l = local(x, n);
    est_of(x, n)->place = l ? l->place : (struct place){ true, x->root };
    return size_of(1);
}

static struct cel_size cost_select(struct est *x, struct node *n)
{
    struct cel_size sum = cost(x, n->of);
    struct place from = est_place(x, n->of);
    const struct cel_type *to = NULL;
    struct str member;
    if (n->has)
        return sum;
    if (n->of->type->kind == CEL_MAP || n->of->type->kind == CEL_STRUCT)
        sum = size_plus(sum, size_of(1));
    if (from.at && from.at->kind == CEL_STRUCT)
        to = type_field(x->arena, from.at, n->name, &member);
    else if (x->by_name && from.at && from.at->kind == CEL_MAP && from.at->b->kind == CEL_DYN)
        to = from.at->b;                /* an attribute of a device, whatever its name */
    est_of(x, n)->place = step(x, from, to);
    return sum;
}

/* The path of an index, when the overload is that of lists or of maps. */
static void index_place(struct est *x, struct node *n, const struct sig *s)
{
    struct place from = est_place(x, n->args[0]);
    uint8_t kind = s->args[0]->kind;
    if (kind == CEL_LIST)
        est_of(x, n)->place = step(x, from, from.at && from.at->kind == CEL_LIST ? from.at->a : NULL);
    else if (kind == CEL_MAP)
        est_of(x, n)->place = step(x, from, from.at && from.at->kind == CEL_MAP ? from.at->b : NULL);
}

static struct cel_size overload_cost(struct est *x, struct node *n, const struct sig *s, const struct cel_size *costs, struct est_call *e)
{
    *e = (struct est_call){ .est = x, .call = n, .sig = s, .target = n->of, .args = n->args, .n = n->n, .arg_costs = costs };
    struct cel_size sum = size_of(0);
    for (unsigned i = 0; i < n->n; i++)
        sum = size_plus(sum, costs[i]);
    if (!s || !s->fn->estimate || !s->fn->estimate(e)) {
        e->has_result = false;
        return size_plus(size_of(1), sum);
    }
    return e->whole ? e->cost : size_plus(e->cost, sum);
}

static struct cel_size cost_call(struct est *x, struct node *n)
{
    struct cel_size costs[5] = { { 0, 0 } }, sum = size_of(0), call = { UINT64_MAX, 0 }, size = { 0, 0 };
    bool has_size = false, optional_step = str_is(n->name, "_?._");
    struct est_call e;
    if (str_is(n->name, "dyn") && n->n == 1 && !n->of) {
        sum = size_plus(size_of(1), cost(x, n->args[0]));
        copy_sizes(x, n, n->args[0]);
        return sum;
    }
    for (unsigned i = 0; i < n->n && i < 5; i++)
        costs[i] = cost(x, n->args[i]);
    if (!n->n_sigs && !optional_step)
        return size_of(0);
    if (n->of)
        sum = cost(x, n->of);
    for (unsigned i = 0; i < n->n_sigs || (optional_step && !i); i++) {
        const struct sig *s = n->n_sigs ? n->sigs[i] : NULL;
        struct estimate items = { .has_items = false };
        call = size_union(call, overload_cost(x, n, s, costs, &e));
        if (e.has_result) {
            size = has_size ? size_union(size, e.result) : e.result;
            has_size = true;
        }
        if (s && str_is(n->name, "_[_]")) {
            index_place(x, n, s);
            if (s->args[0]->kind != CEL_OPTIONAL) {
                has_size = est_items(x, n->args[0], &items);
                size = items.item;
            }
        }
        if (!has_size)
            has_size = est_known_size(x, n, &size);
    }
    if (has_size)
        set_size(x, n, size);
    return size_plus(sum, call);
}

static struct cel_size cost_list(struct est *x, struct node *n)
{
    struct cel_size sum = size_of(10), item = { n->n ? UINT64_MAX : 0, 0 };
    for (unsigned i = 0; i < n->n; i++) {
        sum = size_plus(sum, cost(x, n->args[i]));
        item = size_union(item, size_or_unknown(x, n->args[i]));
    }
    struct estimate *known = est_of(x, n);
    known->has_items = known->is_list = true;
    known->key = size_of(1);
    known->item = item;
    return sum;
}

static struct cel_size cost_map(struct est *x, struct node *n)
{
    struct cel_size sum = size_of(30), key = { n->n ? UINT64_MAX : 0, 0 }, item = key;
    for (unsigned i = 0; i + 1 < n->n; i += 2) {
        sum = size_plus(sum, size_plus(cost(x, n->args[i]), cost(x, n->args[i + 1])));
        key = size_union(key, size_or_unknown(x, n->args[i]));
        item = size_union(item, size_or_unknown(x, n->args[i + 1]));
    }
    struct estimate *known = est_of(x, n);
    known->has_items = true;
    known->is_list = false;
    known->key = key;
    known->item = item;
    return sum;
}

static struct cel_size cost_struct(struct est *x, struct node *n)
{
    struct cel_size sum = size_of(40);
    for (unsigned i = 0; i < n->n; i++)
        sum = size_plus(sum, cost(x, n->args[i]));
    return sum;
}

/* --- folds --- */

static void set_local(struct est *x, int slot, struct estimate e)
{
    if (slot >= 0)
        x->locals[slot - (int)x->p->n_vars] = e;
}

/* What stands for a key (of a map; an index of a list) or a value of the range. */
static struct estimate iterated(struct est *x, struct node *range, bool value, bool single)
{
    struct estimate items = { .has_items = false }, e = { .has_items = false };
    bool known = est_items(x, range, &items), list = known ? items.is_list : range->type->kind == CEL_LIST;
    struct place from = est_place(x, range);
    const struct cel_type *to = NULL;
    value |= single && list;
    if (from.at && from.at->kind == (list ? CEL_LIST : CEL_MAP))
        to = list ? (value ? from.at->a : NULL) : value ? from.at->b : from.at->a;
    e.place = step(x, from, to);
    e.has_size = known;
    e.size = value ? items.item : items.key;
    return e;
}

static struct estimate bound_to(struct est *x, struct node *value)
{
    struct estimate e = { .has_items = false };
    e.place = est_place(x, value);
    e.has_size = est_known_size(x, value, &e.size);
    est_items(x, value, &e);
    return e;
}

static bool is_binding(const struct node *n)
{
    return n->range->kind == N_LIST && !n->range->n && n->cond->kind == N_LITERAL && n->cond->value.kind == CEL_BOOL && !n->cond->value.b;
}

static struct cel_size cost_fold(struct est *x, struct node *n)
{
    struct cel_size sum = size_plus(cost(x, n->range), cost(x, n->init)), loop, range;
    struct estimate items = { .has_items = false };
    set_local(x, n->slot_accu, bound_to(x, n->init));
    if (is_binding(n)) {
        sum = size_plus(sum, cost(x, n->result));
        copy_sizes(x, n, n->result);
        return sum;
    }
    set_local(x, n->slot_iter, iterated(x, n->range, false, n->slot_iter2 < 0));
    set_local(x, n->slot_iter2, iterated(x, n->range, true, false));
    loop = cost(x, n->cond);
    loop = size_plus(cost(x, n->step), loop);
    sum = size_plus(sum, cost(x, n->result));
    range = size_or_unknown(x, n->range);
    sum = size_plus(sum, size_times(range, loop));
    if (n->init->kind == N_LITERAL) {
        struct cel_size size;
        if (est_known_size(x, n->init, &size))
            set_size(x, n, size);
    } else if (n->init->kind == N_LIST || n->init->kind == N_MAP) {
        set_size(x, n, range);
        if (est_items(x, n->step, &items)) {
            struct estimate *known = est_of(x, n);
            known->has_items = true;
            known->key = items.key;
            known->item = items.item;
            known->is_list = items.is_list;
        }
    }
    return sum;
}

static struct cel_size cost(struct est *x, struct node *n)
{
    switch (n->kind) {
    case N_LITERAL: return size_of(0);
    case N_IDENT: return cost_ident(x, n);
    case N_SELECT: return cost_select(x, n);
    case N_CALL: return cost_call(x, n);
    case N_LIST: return cost_list(x, n);
    case N_MAP: return cost_map(x, n);
    case N_STRUCT: return cost_struct(x, n);
    default: return cost_fold(x, n);
    }
}

struct cel_size cel_estimate(const struct cel_program *p)
{
    struct est x = { .p = p, .arena = p->arena };
    x.locals = arena_alloc(p->arena, (p->n_slots + 1) * sizeof *x.locals);
    x.by_name = p->n_vars && strcmp(p->vars[0].name, "device") == 0;
    if (x.by_name || (p->n_vars && strcmp(p->vars[0].name, "self") == 0 && p->vars[0].type->min_size))
        x.root = p->vars[0].type;
    return x.locals ? cost(&x, p->root) : UNKNOWN;
}
