/* aggregate.c - ClusterRoles that are put together from those with a label. */
#include "rbac.h"

/* A label selector of matchLabels and of matchExpressions (In, NotIn, Exists, DoesNotExist). */
static bool selected(const struct val *selector, const struct val *labels)
{
    const struct val *match = json_get(selector, STR("matchLabels")), *exprs = json_get(selector, STR("matchExpressions"));
    if (val_is(match, VAL_OBJ))
        val_each(m, match)
            if (!str_eq(val_str(json_get(labels, val_key(m))), val_str(m)))
                return false;
    if (val_is(exprs, VAL_ARR))
        val_each(e, exprs) {
            struct val *label = json_get(labels, json_str(e, "key")), *values = json_get(e, STR("values"));
            struct str op = json_str(e, "operator");
            bool in = label && policy_contains(values, label);
            if (str_is(op, "In") ? !in : str_is(op, "NotIn") ? in : str_is(op, "Exists") ? !label : label != NULL)
                return false;
        }
    return true;
}

static int fill(struct rbac *x, struct kl_call *c, struct arena *a, struct val *role, struct val *const *all, unsigned n)
{
    const struct val *selectors = json_path(role, "aggregationRule.clusterRoleSelectors");
    struct val *rules = val_new(a, VAL_ARR);
    if (!val_is(selectors, VAL_ARR))
        return 0;
    val_each(s, selectors) {
        for (unsigned i = 0; i < n; i++) {
            const struct val *from = json_get(all[i], STR("rules"));
            if (all[i] == role || !selected(s, json_path(all[i], "metadata.labels")) || !val_is(from, VAL_ARR))
                continue;
            val_each(r, from)
                if (!policy_contains(rules, r))
                    val_push(rules, val_copy(a, r));
        }
    }
    const struct val *now = json_get(role, STR("rules"));
    if (now && now->n == rules->n && val_equal(now, rules))
        return 0;
    const char *name = arena_dup(a, json_str(role, "metadata.name"));
    struct kl_object_key k = { .size = sizeof k, .resource = RBAC_GROUP "/clusterroles", .ns = "", .name = name };
    json_set(a, role, STR("rules"), rules);
    return name && !arena_exhausted(a) ? policy_write(x, c, &k, role, false) : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

/* Roles are taken in the order of their names, so that the outcome does not depend on who came first. A role that is filled here may be
 * what another is filled from: its change brings us back. */
int policy_aggregate(struct rbac *x, struct kl_call *c)
{
    struct kl_list_options o = { .size = sizeof o, .resource = RBAC_GROUP "/clusterroles" };
    struct kl_object_list list = { .size = sizeof list };
    _cleanup_arena_ struct arena *a = arena_new(256 << 20);
    int rc = x->objects->list(x->host, c, &o, &list);
    struct val **all = a && rc == 0 ? arena_alloc(a, (list.n + 1) * sizeof *all) : NULL;
    if (!all)
        return rc < 0 ? rc : kl_fail(c, KL_NO_MEMORY, "out of memory");
    for (uint32_t i = 0; i < list.n; i++)
        if (!(all[i] = json_parse(a, str_n(list.at[i].at, list.at[i].len), &c->err)))
            return -c->err.code;
    for (uint32_t i = 0; i < list.n && rc == 0; i++)
        if (json_get(all[i], STR("aggregationRule")))
            rc = fill(x, c, a, all[i], all, list.n);
    return rc;
}
