/* budgets.c - see budgets.h. As upstream's scheduler has it: a budget without a selector, or with an empty one, selects nothing here. */
#include "reconcile/budgets.h"

#include "reconcile/filter.h"

#define RESOURCE STR("policy/poddisruptionbudgets")

struct budget {
    struct str ns;
    const struct val *selector, *disrupted;
    int64_t allowed, left;
};

struct reading {
    struct budgets *b;
    struct arena *arena;
    size_t room;
};

static bool has_any(const struct val *v)
{
    return (val_is(v, VAL_OBJ) || val_is(v, VAL_ARR)) && v->n;
}

static bool read_one(void *ctx, struct store_object *o)
{
    struct reading *r = ctx;
    struct val *v = json_parse(r->arena, store_object_json(o), NULL), *selector = json_path(v, "spec.selector");
    if (r->b->n < r->room && (has_any(json_get(selector, STR("matchLabels"))) || has_any(json_get(selector, STR("matchExpressions")))))
        r->b->at[r->b->n++] = (struct budget){ .ns = json_str(v, "metadata.namespace"), .selector = selector, .disrupted = json_path(v, "status.disruptedPods"),
                                               .allowed = json_int(v, "status.disruptionsAllowed", 0) };
    return true;
}

struct budgets budgets_read(struct store *s, struct arena *a)
{
    struct budgets b = { 0 };
    struct store_range all = { .resource = RESOURCE, .head = true };
    struct reading r = { &b, a, store_count(s, RESOURCE) + 64 };        /* and those that are not durable yet */
    b.at = arena_alloc(a, r.room * sizeof *b.at);
    if (b.at)
        store_list(s, &all, read_one, &r);
    return b;
}

void budgets_begin(struct budgets *b)
{
    for (unsigned i = 0; i < b->n; i++)
        b->at[i].left = b->at[i].allowed;
}

bool budgets_charge(struct budgets *b, struct str ns, struct str name, const struct val *labels)
{
    bool violated = false;
    for (unsigned i = 0; has_any(labels) && i < b->n; i++) {
        struct budget *one = &b->at[i];
        if (str_eq(one->ns, ns) && filter_selector_matches(one->selector, labels) && !json_get(one->disrupted, name))
            violated |= --one->left < 0;
    }
    return violated;
}
