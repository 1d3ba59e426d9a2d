/* match.c - which webhooks a request concerns: rules, selectors, kinds that none is asked about. Pure. */
#include "webhook.h"

const char *match_operation(const char *verb)
{
    return strcmp(verb, "create") == 0 ? "CREATE" : strcmp(verb, "delete") == 0 || strcmp(verb, "deletecollection") == 0 ? "DELETE" :
           strcmp(verb, "connect") == 0 ? "CONNECT" : "UPDATE";
}

/* Who could refuse a change of these could make itself irremovable. */
bool match_exempt(const struct kl_request *r)
{
    static const char *const names[] = { "validatingwebhookconfigurations", "mutatingwebhookconfigurations", "validatingadmissionpolicies",
                                         "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings" };
    if (strcmp(r->group, WEBHOOK_GROUP) != 0)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], r->resource) == 0)
            return true;
    return false;
}

static bool has(const struct val *list, const char *name)
{
    if (val_is(list, VAL_ARR))
        val_each(v, list)
            if (str_is(val_str(v), "*") || str_is(val_str(v), name))
                return true;
    return false;
}

/* A star is any name or any subresource; without a slash only the object itself is meant. */
static bool has_resource(const struct val *list, const struct kl_request *r)
{
    if (val_is(list, VAL_ARR))
        val_each(v, list) {
            struct str sub = val_str(v), name = str_cut(&sub, '/');
            bool sub_fits = sub.at ? str_is(sub, "*") || str_is(sub, r->subresource) : !r->subresource[0];
            if (sub_fits && (str_is(name, "*") || str_is(name, r->resource)))
                return true;
        }
    return false;
}

static bool in_scope(struct str scope, const struct kl_request *r, const char *ns)
{
    bool is_namespace = !r->group[0] && strcmp(r->resource, "namespaces") == 0;
    if (str_is(scope, "Namespaced"))
        return !is_namespace && ns[0];
    return str_is(scope, "Cluster") ? is_namespace || !ns[0] : true;
}

static bool fits(const struct val *rule, const char *operation, const struct kl_request *r, const char *ns)
{
    return in_scope(json_str(rule, "scope"), r, ns) && has(json_get(rule, STR("operations")), operation);
}

bool match_any_name(const struct val *rules, const char *operation, const struct kl_request *r, const char *ns)
{
    if (val_is(rules, VAL_ARR))
        val_each(v, rules)
            if (fits(v, operation, r, ns) && has_resource(json_get(v, STR("resources")), r))
                return true;
    return false;
}

const char *const *match_others(const struct val *rules, const char *operation, const struct kl_request *r, const char *ns, const char *const *others)
{
    if (!val_is(rules, VAL_ARR))
        return NULL;
    val_each(v, rules) {
        if (!fits(v, operation, r, ns))
            continue;
        for (const char *const *x = others; x && x[0]; x += 3) {
            struct kl_request as = *r;
            as.resource = x[2];
            if (has(json_get(v, STR("apiGroups")), x[0]) && has(json_get(v, STR("apiVersions")), x[1]) && has_resource(json_get(v, STR("resources")), &as))
                return x;
        }
    }
    return NULL;
}

bool match_rules(const struct val *rules, const char *operation, const struct kl_request *r, const char *ns)
{
    if (val_is(rules, VAL_ARR))
        val_each(v, rules)
            if (fits(v, operation, r, ns) && has(json_get(v, STR("apiGroups")), r->group) &&
                has(json_get(v, STR("apiVersions")), r->version) && has_resource(json_get(v, STR("resources")), r))
                return true;
    return false;
}

static bool holds(const struct val *e, const struct val *labels)
{
    struct str key = json_str(e, "key"), op = json_str(e, "operator");
    const struct val *there = json_get(labels, key), *values = json_get(e, STR("values"));
    bool listed = there && json_lists(values, val_str(there));
    if (str_is(op, "In"))
        return listed;
    if (str_is(op, "NotIn"))
        return !listed;
    return str_is(op, "Exists") ? there != NULL : str_is(op, "DoesNotExist") ? !there : false;
}

bool match_labels(const struct val *selector, const struct val *labels)
{
    const struct val *equal = json_get(selector, STR("matchLabels")), *all = json_get(selector, STR("matchExpressions"));
    if (val_is(equal, VAL_OBJ))
        val_each(v, equal) {
            const struct val *there = json_get(labels, val_key(v));
            if (!there || !str_eq(val_str(there), val_str(v)))
                return false;
        }
    if (val_is(all, VAL_ARR))
        val_each(e, all)
            if (!holds(e, labels))
                return false;
    return true;
}

static bool is_empty(const struct val *selector)
{
    const struct val *equal = json_get(selector, STR("matchLabels")), *all = json_get(selector, STR("matchExpressions"));
    return (!equal || !equal->n) && (!all || !all->n);
}

bool match_object(const struct val *selector, const struct val *object, const struct val *old)
{
    if (is_empty(selector))
        return true;
    const struct val *now = json_get(object, STR("metadata")), *was = json_get(old, STR("metadata"));
    return (now && match_labels(selector, json_get(now, STR("labels")))) || (was && match_labels(selector, json_get(was, STR("labels"))));
}
