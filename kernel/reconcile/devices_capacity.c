/* devices_capacity.c - amounts: parts of devices that several claims share, and counters that devices of a pool take from the same sets. */
#include "reconcile/devices-internal.h"

/* --- one capacity of one device --- */

static struct quantity amount(struct str s)
{
    struct quantity q = { 0 };
    quantity_parse(s, &q);
    return q;
}

static struct quantity rounded(struct quantity asked, const struct val *range)
{
    struct quantity min = amount(json_str(range, "min"));
    const struct val *by = json_get(range, STR("step"));
    if (quantity_cmp(asked, min) < 0)
        return min;
    int64_t step = by ? quantity_value(amount(val_str(by))) : 0, from = quantity_value(min), over = quantity_value(asked) - from;
    if (!by || step <= 0)
        return asked;
    return quantity_of(from + (over + step - 1) / step * step, QUANTITY_BINARY);
}

/* What a request takes of it. asked: its own words; NULL: none. */
static struct quantity taken(const struct val *asked, const struct val *capacity)
{
    const struct val *policy = json_get(capacity, STR("requestPolicy")), *range = json_get(policy, STR("validRange")), *values = json_get(policy, STR("validValues"));
    const struct val *usual = json_get(policy, STR("default"));
    if (!asked)
        return amount(usual ? val_str(usual) : json_str(capacity, "value"));
    struct quantity q = amount(val_str(asked));
    if (range && json_get(range, STR("min")))
        return rounded(q, range);
    if (val_is(values, VAL_ARR))
        val_each(v, values)
            if (quantity_cmp(q, amount(val_str(v))) <= 0)
                return amount(val_str(v));
    return q;
}

static bool violates(struct quantity q, const struct val *policy)
{
    const struct val *range = json_get(policy, STR("validRange")), *values = json_get(policy, STR("validValues")), *usual = json_get(policy, STR("default"));
    if (!policy || (usual && quantity_cmp(q, amount(val_str(usual))) == 0))
        return false;
    if (range) {
        const struct val *max = json_get(range, STR("max")), *by = json_get(range, STR("step"));
        int64_t step = by ? quantity_value(amount(val_str(by))) : 0;
        return (max && quantity_cmp(q, amount(val_str(max))) > 0) ||
               (step > 0 && (quantity_value(q) - quantity_value(amount(json_str(range, "min")))) % step != 0);
    }
    if (!val_is(values, VAL_ARR) || !values->n)
        return false;
    val_each(v, values)
        if (quantity_cmp(q, amount(val_str(v))) == 0)
            return false;
    return true;
}

/* What others have of it: claims that are allocated, and those that are being. */
static struct quantity in_use(const struct devices_ask *q, const struct device *d, struct str name)
{
    struct quantity sum = { 0 };
    const struct used *u = devices_used(q->of, d->id);
    if (u)
        for (const struct list *l = u->shares.next; l != &u->shares; l = l->next) {
            struct str s = val_str(json_get(((const struct share *)l)->consumed, name));
            sum = s.len ? quantity_add(sum, amount(s)) : sum;
        }
    for (unsigned i = 0; i < q->n; i++)
        for (unsigned k = 0; k < q->claims[i].n_results; k++) {
            const struct result *r = &q->claims[i].results[k];
            struct str s = r->device == d ? val_str(json_get(r->consumed, name)) : STR_NONE;
            sum = s.len ? quantity_add(sum, amount(s)) : sum;
        }
    return sum;
}

bool capacity_fits(struct devices_ask *q, const struct request *r, const struct device *d)
{
    const struct val *asked = json_path(r->v, "capacity.requests"), *has = json_get(d->v, STR("capacity"));
    if (val_is(asked, VAL_OBJ))
        val_each(x, asked)
            if (!json_get(has, val_key(x)))
                return false;
    if (!val_is(has, VAL_OBJ))
        return true;
    val_each(c, has) {
        struct quantity t = taken(json_get(asked, val_key(c)), c);
        if (violates(t, json_get(c, STR("requestPolicy"))) || quantity_cmp(quantity_add(in_use(q, d, val_key(c)), t), amount(json_str(c, "value"))) > 0)
            return false;
    }
    return true;
}

struct val *capacity_consumed(struct arena *a, const struct request *r, const struct device *d)
{
    const struct val *asked = json_path(r->v, "capacity.requests"), *has = json_get(d->v, STR("capacity"));
    struct val *v = val_is(has, VAL_OBJ) && has->n ? val_new(a, VAL_OBJ) : NULL;
    if (v)
        val_each(c, has) {
            char text[QUANTITY_TEXT];
            quantity_format(taken(json_get(asked, val_key(c)), c), text);
            json_set_str(a, v, val_key(c), arena_str(a, str_of(text)));
        }
    return v;
}

/* --- counters --- */

static struct quantity counter_of(const struct val *device, struct str set, struct str name)
{
    const struct val *list = json_get(device, STR("consumesCounters"));
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_eq(json_str(c, "counterSet"), set))
                return amount(json_str(json_get(json_get(c, STR("counters")), name), "value"));
    return (struct quantity){ 0 };
}

static bool has_part(const struct devices_ask *q, const struct device *d)
{
    const struct used *u = devices_used(q->of, d->id);
    if (u && !list_empty(&u->shares))
        return true;
    for (unsigned i = 0; i < q->n; i++)
        for (unsigned k = 0; k < q->claims[i].n_results; k++)
            if (q->claims[i].results[k].device == d)
                return true;
    return false;
}

static bool is_allocated(const struct devices_ask *q, const struct pool *p, struct str name)
{
    char *id = arena_printf(q->arena, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(p->driver), STR_ARG(p->name), STR_ARG(name));
    const struct used *u = id ? devices_used(q->of, str_of(id)) : NULL;
    return u && u->whole;
}

static struct quantity allocated_in(const struct devices_ask *q, const struct pool *p, const struct val *const *slices, unsigned n, struct str set, struct str name)
{
    struct quantity sum = { 0 };
    for (unsigned i = 0; i < n; i++) {
        const struct val *devices = json_path(slices[i], "spec.devices");
        if (!val_is(devices, VAL_ARR))
            continue;
        val_each(d, devices)
            if (json_get(d, STR("consumesCounters")) && is_allocated(q, p, json_str(d, "name")))
                sum = quantity_add(sum, counter_of(d, set, name));
    }
    return sum;
}

/* Of the claims in question, each device once. */
static struct quantity being_allocated(const struct devices_ask *q, const struct offer *o, const struct pool *p, struct str set, struct str name)
{
    struct quantity sum = { 0 };
    for (unsigned i = 0; i < o->n; i++)
        if (o->at[i].pool == p && json_get(o->at[i].v, STR("consumesCounters")) && (o->at[i].claims || (o->at[i].shared && has_part(q, &o->at[i]))))
            sum = quantity_add(sum, counter_of(o->at[i].v, set, name));
    return sum;
}

static const struct val *counters_of(const struct pool *p, struct str set)
{
    for (unsigned i = 0; i < p->n_slices; i++) {
        const struct val *sets = json_path(p->slices[i], "spec.sharedCounters");
        if (val_is(sets, VAL_ARR))
            val_each(s, sets)
                if (str_eq(json_str(s, "name"), set))
                    return json_get(s, STR("counters"));
    }
    return NULL;
}

bool counters_fit(struct devices_ask *q, const struct offer *o, const struct device *d)
{
    const struct val *list = json_get(d->v, STR("consumesCounters"));
    const struct pool *p = d->pool;
    if (!val_is(list, VAL_ARR) || (d->shared && has_part(q, d)))
        return true;
    val_each(c, list) {
        struct str set = json_str(c, "counterSet");
        const struct val *all = counters_of(p, set), *own = json_get(c, STR("counters"));
        if (!val_is(own, VAL_OBJ))
            continue;
        val_each(x, own) {
            struct str name = val_key(x);
            struct quantity sum = quantity_add(allocated_in(q, p, p->slices, p->n_slices, set, name), allocated_in(q, p, p->others, p->n_others, set, name));
            sum = quantity_add(quantity_add(sum, being_allocated(q, o, p, set, name)), amount(json_str(x, "value")));
            if (quantity_cmp(sum, amount(json_str(json_get(all, name), "value"))) > 0)
                return false;
        }
    }
    return true;
}
