/* validate_groups.c - policy, rbac, scheduling, coordination. */
#include "object/validate.h"

#define RBAC_GROUP "rbac.authorization.k8s.io"

/* --- disruption budgets --- */

static void check_amount(causes c, const struct path *p, const struct val *v)
{
    struct str s = val_str(v);
    int64_t n = 0;
    if (!v)
        return;
    if (v->type == VAL_INT) {
        check_at_least(c, p, v->i, 0);
        return;
    }
    if (check_name(c, p, s, G_PERCENT) && str_int(str_n(s.at, s.len - 1), &n) && n > 100)
        say_invalid_val(c, p, v, "must not be greater than 100%");
}

KIND_RULES(kind_budget)
{
    static const char *const policies[] = { "AlwaysAllow", "IfHealthyBudget", NULL };
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *min = json_get(spec, STR("minAvailable")), *max = json_get(spec, STR("maxUnavailable"));
    (void)old;
    if (min && max)
        say_invalid_as(c, p, "io.k8s.api.policy.v1.PodDisruptionBudgetSpec", spec, "minAvailable and maxUnavailable cannot be both set");
    check_amount(c, IN(p, "minAvailable"), min);
    check_amount(c, IN(p, "maxUnavailable"), max);
    check_selector(c, IN(p, "selector"), json_get(spec, STR("selector")));
    if (json_get(spec, STR("unhealthyPodEvictionPolicy")))
        check_choice(c, IN(p, "unhealthyPodEvictionPolicy"), json_str(spec, "unhealthyPodEvictionPolicy"), policies);
}

/* --- rbac --- */

static unsigned count(const struct val *v, const char *member)
{
    struct val *x = json_get(v, str_of(member));
    return x ? x->n : 0;
}

static void check_rules(causes c, const struct val *list, bool namespaced)
{
    LIST_EACH (r, at, list) {
        const struct path *p = ITEM(IN(NULL, "rules"), at.i), *urls = IN(p, "nonResourceURLs");
        struct val *shown = json_get(r, STR("nonResourceURLs"));
        if (!count(r, "verbs"))
            say_required(c, IN(p, "verbs"), "verbs must contain at least one value");
        if (count(r, "nonResourceURLs")) {
            if (namespaced)
                say_invalid_val(c, urls, shown, "namespaced rules cannot apply to non-resource URLs");
            if (count(r, "apiGroups") || count(r, "resources") || count(r, "resourceNames"))
                say_invalid_val(c, urls, shown, "rules cannot apply to both regular resources and non-resource URLs");
            continue;
        }
        if (!count(r, "apiGroups"))
            say_required(c, IN(p, "apiGroups"), "resource rules must supply at least one api group");
        if (!count(r, "resources"))
            say_required(c, IN(p, "resources"), "resource rules must supply at least one resource");
    }
}

KIND_RULES(kind_role)
{
    (void)old;
    check_rules(c, json_get(v, STR("rules")), true);
}

KIND_RULES(kind_cluster_role)
{
    struct val *rule = json_get(v, STR("aggregationRule")), *list = json_get(rule, STR("clusterRoleSelectors"));
    const struct path *p = IN(IN(NULL, "aggregationRule"), "clusterRoleSelectors");
    (void)old;
    check_rules(c, json_get(v, STR("rules")), false);
    if (rule && (!list || !list->n))
        say_required(c, p, "at least one clusterRoleSelector required if aggregationRule is non-nil");
    LIST_EACH (s, at, list) {
        unsigned before = c->n;
        check_selector(c, ITEM(p, at.i), s);
        if (c->n > before)
            say_invalid_val(c, ITEM(p, at.i), NULL, "invalid label selector.");
    }
}

static void check_subject(causes c, const struct path *p, const struct val *s, bool namespaced)
{
    static const char *const kinds[] = { "ServiceAccount", "User", "Group", NULL }, *const group[] = { RBAC_GROUP, NULL }, *const none[] = { "", NULL };
    struct str kind = json_str(s, "kind"), name = json_str(s, "name"), g = json_str(s, "apiGroup");
    check_required_str(c, IN(p, "name"), name);
    if (str_is(kind, "ServiceAccount")) {
        if (name.len)
            check_name(c, IN(p, "name"), name, G_SUBDOMAIN);
        if (g.len)
            say_unsupported(c, IN(p, "apiGroup"), g, none);
        if (!namespaced)
            check_required_str(c, IN(p, "namespace"), json_str(s, "namespace"));
    } else if (str_is(kind, "User") || str_is(kind, "Group")) {
        check_choice(c, IN(p, "apiGroup"), g, group);
    } else {
        say_unsupported(c, IN(p, "kind"), kind, kinds);
    }
}

static void check_binding(causes c, const struct val *v, const struct val *old, bool namespaced)
{
    static const char *const any[] = { "Role", "ClusterRole", NULL }, *const cluster[] = { "ClusterRole", NULL }, *const group[] = { RBAC_GROUP, NULL };
    struct val *ref = json_get(v, STR("roleRef"));
    struct str name = json_str(ref, "name");
    const struct path *p = IN(NULL, "roleRef");
    check_choice(c, IN(p, "apiGroup"), json_str(ref, "apiGroup"), group);
    check_choice(c, IN(p, "kind"), json_str(ref, "kind"), namespaced ? any : cluster);
    if (check_required_str(c, IN(p, "name"), name))
        check_name(c, IN(p, "name"), name, G_PATH_SEGMENT);
    LIST_EACH (s, at, json_get(v, STR("subjects")))
        check_subject(c, ITEM(IN(NULL, "subjects"), at.i), s, namespaced);
    if (old && !val_equal(ref, json_get(old, STR("roleRef")))) {
        struct val *shown = val_new(c->arena, VAL_OBJ);
        json_set_str(c->arena, shown, STR("APIGroup"), json_str(ref, "apiGroup"));
        json_set_str(c->arena, shown, STR("Kind"), json_str(ref, "kind"));
        json_set_str(c->arena, shown, STR("Name"), name);
        say_invalid_val(c, p, shown, "cannot change roleRef");
    }
}

KIND_RULES(kind_role_binding)
{
    check_binding(c, v, old, true);
}

KIND_RULES(kind_cluster_role_binding)
{
    check_binding(c, v, old, false);
}

/* --- priorities and leases --- */

KIND_RULES(kind_priority_class)
{
    static const struct {
        const char *name;
        int64_t value;
    } system[] = { { "system-node-critical", 2000001000 }, { "system-cluster-critical", 2000000000 } };
    struct str name = json_str(v, "metadata.name");
    int64_t value = json_int(v, "value", 0);
    bool known = false;
    for (int i = 0; i < 2; i++)
        known |= str_is(name, system[i].name) && value == system[i].value && !json_bool(v, "globalDefault", false);
    if (old) {
        if (value != json_int(old, "value", 0))
            say_forbidden(c, IN(NULL, "value"), "may not be changed in an update.");
        check_immutable(c, NULL, v, old, "preemptionPolicy");
        return;
    }
    if (str_starts(name, STR("system-")) && !known)
        say_forbidden(c, IN(IN(NULL, "metadata"), "name"), words(c, "priority class names with 'system-' prefix are reserved for system use only. error: "
                      STR_FMT " is not a known system priority class", STR_ARG(name)));
    else if (!str_starts(name, STR("system-")) && value > 1000000000)
        say_forbidden(c, IN(NULL, "value"), "maximum allowed value of a user defined priority is 1000000000");
    if (json_get(v, STR("preemptionPolicy")))
        check_preemption(c, IN(NULL, "preemptionPolicy"), json_str(v, "preemptionPolicy"));
}

KIND_RULES(kind_lease)
{
    const struct path *p = IN(NULL, "spec");
    struct val *spec = json_get(v, STR("spec")), *seconds = json_get(spec, STR("leaseDurationSeconds"));
    (void)old;
    if (seconds)
        check_positive(c, IN(p, "leaseDurationSeconds"), seconds->i);
    check_nonnegative(c, p, spec, "leaseTransitions");
    if (json_str(spec, "preferredHolder").len && !json_str(spec, "strategy").len)
        say_forbidden(c, IN(p, "preferredHolder"), "may only be specified if `strategy` is defined");
}
