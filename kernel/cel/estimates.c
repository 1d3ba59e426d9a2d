/* estimates.c - what single functions cost at least and at most: the rows' `estimate`. The sums are upstream's. */
#include "cel/cost.h"

#define TENTH   0.1
#define QUARTER 0.25
#define EST(name) bool name(struct est_call *e)

static bool costs(struct est_call *e, struct cel_size cost)
{
    e->cost = cost;
    return true;
}

static bool makes(struct est_call *e, struct cel_size cost, struct cel_size result)
{
    e->result = result;
    e->has_result = true;
    return costs(e, cost);
}

/* --- operators --- */

EST(est_choice)
{
    struct estimate yes = { .has_items = false }, no = { .has_items = false };
    if (est_items(e->est, e->args[1], &yes) && est_items(e->est, e->args[2], &no)) {
        struct estimate *known = est_of(e->est, e->call);
        known->has_items = true;
        known->is_list = yes.is_list;
        known->key = size_union(yes.key, no.key);
        known->item = size_union(yes.item, no.item);
    }
    e->whole = true;
    return makes(e, size_plus(e->arg_costs[0], size_union(e->arg_costs[1], e->arg_costs[2])),
                 size_union(est_size(e, e->args[1]), est_size(e, e->args[2])));
}

EST(est_logic)
{
    e->whole = true;
    return costs(e, (struct cel_size){ e->arg_costs[0].min, size_plus(e->arg_costs[0], e->arg_costs[1]).max });
}

EST(est_least)
{
    struct cel_size a = est_size(e, e->args[0]), b = est_size(e, e->args[1]);
    uint64_t most = a.max < b.max ? a.max : b.max;
    return costs(e, size_by((struct cel_size){ most > 0, most }, TENTH));
}

EST(est_equal)
{
    const struct cel_type *t = e->args[0]->type;
    if (t->kind >= CEL_URL && t->kind <= CEL_DECISION && t->kind == e->args[1]->type->kind)
        return costs(e, size_of(1));
    return est_least(e);
}

EST(est_order)
{
    uint8_t kind = e->sig->args[0]->kind;
    return (kind == CEL_STRING || kind == CEL_BYTES) && est_least(e);
}

EST(est_add)
{
    uint8_t kind = e->sig->args[0]->kind;
    struct cel_size size = size_plus(est_size(e, e->args[0]), est_size(e, e->args[1]));
    struct estimate a = { .has_items = false }, b = { .has_items = false };
    if (kind != CEL_STRING && kind != CEL_BYTES && kind != CEL_LIST)
        return false;
    if (est_items(e->est, e->args[0], &a) && est_items(e->est, e->args[1], &b)) {
        struct estimate *known = est_of(e->est, e->call);
        known->has_items = true;
        known->is_list = a.is_list;
        known->key = size_union(a.key, b.key);
        known->item = size_union(a.item, b.item);
    }
    return makes(e, kind == CEL_LIST ? size_of(1) : size_by(size, TENTH), size);
}

EST(est_index)
{
    (void)e;
    return false;
}

EST(est_in)
{
    return e->sig->args[1]->kind == CEL_LIST && costs(e, est_size(e, e->args[1]));
}

/* --- texts --- */

static uint64_t four_times(uint64_t n)
{
    return n * 4;                       /* as upstream, round the corner too */
}

EST(est_to_bytes)
{
    struct cel_size s = est_size(e, e->args[0]);
    return makes(e, size_by(s, TENTH), (struct cel_size){ s.min, four_times(s.max) });
}

EST(est_to_string)
{
    struct cel_size s = est_size(e, e->args[0]);
    return makes(e, size_by(s, TENTH), (struct cel_size){ s.min / 4, s.max });
}

EST(est_quote)
{
    struct cel_size s = est_size(e, e->args[0]);
    return makes(e, size_by(s, TENTH), (struct cel_size){ s.min + 2, s.max * 2 + 2 });
}

EST(est_affix)
{
    return costs(e, size_by(est_size(e, e->args[0]), TENTH));
}

static struct cel_size regex_cost(struct est_call *e)
{
    struct cel_size text = size_by(size_plus(est_size(e, e->target), size_of(1)), TENTH);
    return size_times(text, size_by(est_size(e, e->args[0]), QUARTER));
}

EST(est_matches)
{
    return costs(e, regex_cost(e));
}

EST(est_find)
{
    return makes(e, regex_cost(e), (struct cel_size){ 0, est_size(e, e->target).max });
}

EST(est_contains)
{
    return costs(e, size_times(size_by(est_size(e, e->target), TENTH), size_by(est_size(e, e->args[0]), TENTH)));
}

EST(est_format)
{
    return costs(e, size_by(est_size(e, e->target), TENTH));
}

EST(est_same_text)
{
    struct cel_size s = est_size(e, e->target);
    return makes(e, size_by(s, TENTH), s);
}

EST(est_tenth)
{
    struct cel_size s = est_size(e, e->args[0]);
    bool sized = str_is(e->call->name, "url") || str_is(e->call->name, "jsonpatch.escapeKey");
    return sized ? makes(e, size_by(s, TENTH), s) : costs(e, size_by(s, TENTH));
}

EST(est_fifth)
{
    return costs(e, size_by(est_size(e, e->args[0]), 2 * TENTH));
}

static uint64_t parts(uint64_t n, uint64_t of)
{
    return n / of + (n % of != 0);
}

EST(est_replace)
{
    struct cel_size s = est_size(e, e->target), old = est_size(e, e->args[0]), new = est_size(e, e->args[1]), count = { 0, 0 }, kept = { 0, 0 };
    if (!old.min) {
        count.max = s.max < UINT64_MAX ? s.max + 1 : s.max;
        kept.max = s.max;
    } else if (new.max <= old.min) {
        kept.max = s.max;
    } else {
        count.max = parts(s.max, old.min);
    }
    if (!old.max) {
        count.min = s.min < UINT64_MAX ? s.min + 1 : s.min;
        kept.min = s.min;
    } else if (old.max <= new.min) {
        kept.min = s.min;
    } else {
        count.min = parts(s.min, old.max);
    }
    return makes(e, size_by(s, 2 * TENTH), size_plus(size_times(count, new), kept));
}

EST(est_split)
{
    struct cel_size s = est_size(e, e->target);
    const struct node *most = e->n > 1 ? e->args[1] : NULL;
    uint64_t max = most && most->kind == N_LITERAL && most->value.kind == CEL_INT ? (uint64_t)most->value.i : s.max;
    return makes(e, size_by(s, 2 * TENTH), (struct cel_size){ 0, max });
}

/* Of a list's items, where a schema says how long they are. */
static struct cel_size item_size(struct est_call *e)
{
    struct place from = est_place(e->est, e->target);
    const struct cel_type *to = from.at && from.at->kind == CEL_LIST ? from.at->a : NULL;
    return from.is && to ? (struct cel_size){ 0, (uint64_t)to->max_elements } : (struct cel_size){ 0, UINT64_MAX };
}

EST(est_join)
{
    struct cel_size n = est_size(e, e->target), size = size_times(n, item_size(e));
    if (e->n)
        size = size_plus(size, size_times(est_size(e, e->args[0]), (struct cel_size){ n.min ? n.min - 1 : 0, n.max ? n.max - 1 : 0 }));
    return makes(e, size_by(size, TENTH), size);
}

/* --- lists --- */

EST(est_traverse)
{
    const struct cel_type *t = e->target->type;
    struct cel_size n = est_size(e, e->target), each = size_of(1);
    if (t->kind != CEL_LIST)
        return costs(e, size_by(n, TENTH));
    if (t->a->kind == CEL_STRING || t->a->kind == CEL_BYTES)
        each = size_plus(each, size_by(item_size(e), TENTH));
    return costs(e, size_times(n, each));
}

static uint64_t int_or(const struct node *n, uint64_t fallback)
{
    if (n->kind != N_LITERAL || n->value.kind != CEL_INT)
        return fallback;
    return n->value.i < 0 ? 0 : (uint64_t)n->value.i;
}

static bool allocates(struct est_call *e, double factor, struct cel_size size)
{
    return makes(e, size_plus(size_by(size, factor), size_of(11)), size);
}

EST(est_slice)
{
    return allocates(e, 1, size_of(int_or(e->args[1], est_size(e, e->target).max) - int_or(e->args[0], 0)));
}

EST(est_range)
{
    return allocates(e, 1, size_of(int_or(e->args[0], UINT64_MAX)));
}

EST(est_reverse)
{
    return allocates(e, 1, est_size(e, e->target));
}

EST(est_flatten)
{
    return allocates(e, (double)(e->n ? int_or(e->args[0], UINT64_MAX) : 1), est_size(e, e->target));
}

static bool compares(struct est_call *e, struct node *list, const struct cel_type *of)
{
    struct cel_size n = est_size(e, list);
    return allocates(e, of->kind == CEL_STRING || of->kind == CEL_BYTES ? 2.1 : 2, size_times(n, n));
}

EST(est_self_compare)
{
    bool sorts = str_is(e->call->name, "sort");
    return compares(e, e->target, sorts ? e->sig->args[0]->a : cel_type(CEL_DYN));
}

EST(est_keys_compare)
{
    return compares(e, e->args[0], e->sig->args[1]->a);
}

EST(est_sets)
{
    double factor = str_is(e->call->name, "sets.equivalent") ? 2 : 1;
    return costs(e, size_plus(size_by(size_times(est_size(e, e->args[0]), est_size(e, e->args[1])), factor), size_of(1)));
}

/* --- Kubernetes --- */

EST(est_check)
{
    return costs(e, size_of(350000));
}

EST(est_selector)
{
    struct cel_size len = est_size(e, e->args[0]);
    return costs(e, size_plus(size_plus(size_of(10), size_by(len, TENTH)), size_by(size_by(len, 0.5), 50)));
}

/* Two addresses of 4 or 16 bytes. */
static struct cel_size address_cost(struct est_call *e)
{
    struct cel_size cost = size_by((struct cel_size){ 8, 32 }, TENTH);
    return e->sig->args[1]->kind == CEL_STRING ? size_plus(cost, size_by(est_size(e, e->args[0]), TENTH)) : cost;
}

EST(est_contains_ip)
{
    return costs(e, address_cost(e));
}

EST(est_contains_cidr)
{
    return costs(e, size_plus(address_cost(e), size_plus(size_by((struct cel_size){ 4, 16 }, TENTH), size_of(1))));
}

EST(est_validate)
{
    return costs(e, size_by(size_by(est_size(e, e->args[0]), TENTH), 128 * QUARTER));
}
