/* validate_placement.c - where a pod may run: affinity, tolerations, spreading. */
#include "object/validate.h"

/* --- nodes --- */

static void check_requirement(causes c, const struct path *p, const struct val *r, bool values_too)
{
    struct str op = json_str(r, "operator");
    struct val *values = json_get(r, STR("values"));
    unsigned n = values ? values->n : 0;
    if (str_is(op, "In") || str_is(op, "NotIn")) {
        if (!n)
            say_required(c, IN(p, "values"), "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (str_is(op, "Exists") || str_is(op, "DoesNotExist")) {
        if (n)
            say_forbidden(c, IN(p, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    } else if (str_is(op, "Gt") || str_is(op, "Lt")) {
        if (n != 1)
            say_required(c, IN(p, "values"), "must be specified single value when `operator` is 'Lt' or 'Gt'");
    } else {
        say_invalid(c, IN(p, "operator"), op, "not a valid selector operator");
    }
    check_name(c, IN(p, "key"), json_str(r, "key"), G_QUALIFIED);
    if (values_too)
        LIST_EACH (v, at, values)
            check_name(c, ITEM(IN(p, "values"), at.i), val_str(v), G_LABEL_VALUE);
}

static void check_field_requirement(causes c, const struct path *p, const struct val *r)
{
    struct str op = json_str(r, "operator"), key = json_str(r, "key");
    struct val *values = json_get(r, STR("values"));
    if (!str_is(op, "In") && !str_is(op, "NotIn"))
        say_invalid(c, IN(p, "operator"), op, "not a valid selector operator");
    else if (!values || values->n != 1)
        say_required(c, IN(p, "values"), "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
    if (!str_is(key, "metadata.name")) {
        say_invalid(c, IN(p, "key"), key, "not a valid field selector key");
        return;
    }
    LIST_EACH (v, at, values)
        check_name(c, ITEM(IN(p, "values"), at.i), val_str(v), G_SUBDOMAIN);
}

static void check_term(causes c, const struct path *p, const struct val *t, bool values_too)
{
    LIST_EACH (r, at, json_get(t, STR("matchExpressions")))
        check_requirement(c, ITEM(IN(p, "matchExpressions"), at.i), r, values_too);
    LIST_EACH (r, at, json_get(t, STR("matchFields")))
        check_field_requirement(c, ITEM(IN(p, "matchFields"), at.i), r);
}

void check_node_selector(causes c, const struct path *p, const struct val *s)
{
    struct val *terms = json_get(s, STR("nodeSelectorTerms"));
    if (!terms || !terms->n)
        say_required(c, IN(p, "nodeSelectorTerms"), "must have at least one node selector term");
    LIST_EACH (t, at, terms)
        check_term(c, ITEM(IN(p, "nodeSelectorTerms"), at.i), t, true);
}

static void check_weight(causes c, const struct path *p, const struct val *t)
{
    int64_t n = json_int(t, "weight", 0);
    if (n < 1 || n > 100)
        say_invalid_int(c, IN(p, "weight"), n, "must be in the range 1-100");
}

#define REQUIRED "requiredDuringSchedulingIgnoredDuringExecution"
#define PREFERRED "preferredDuringSchedulingIgnoredDuringExecution"

static void check_node_affinity(causes c, const struct path *p, const struct val *a)
{
    struct val *required = json_get(a, STR(REQUIRED));
    if (required)
        check_node_selector(c, IN(p, REQUIRED), required);
    LIST_EACH (t, at, json_get(a, STR(PREFERRED))) {
        check_weight(c, ITEM(IN(p, PREFERRED), at.i), t);
        check_term(c, IN(ITEM(IN(p, PREFERRED), at.i), "preference"), json_get(t, STR("preference")), false);
    }
}

/* --- other pods --- */

/* What a pod's matchLabelKeys say is part of its selector by now: it is the selector's own when it is there twice. */
static void check_key_twice(causes c, const struct path *p, const struct val *match, const struct val *selector)
{
    const struct val *labels = json_get(selector, STR("matchLabels")), *list = json_get(selector, STR("matchExpressions"));
    LIST_EACH (e, at, list) {
        struct str key = json_str(e, "key");
        bool before = json_get(labels, key) != NULL;
        for (const struct val *x = list->first; x != e; x = x->next)
            before |= str_eq(json_str(x, "key"), key);
        int i = 0;
        if (before && json_lists(match, key)) {
            for (const struct val *k = match->first; !str_eq(val_str(k), key); k = k->next)
                i++;
            say_invalid(c, ITEM(p, i), key, "exists in both matchLabelKeys and labelSelector");
        }
    }
}

/* Keys whose values are taken from the pod's own labels; they may not be in the selector already. */
static void check_label_keys(causes c, const struct path *p, const struct val *t, bool mismatch_too)
{
    static const char *const names[] = { "matchLabelKeys", "mismatchLabelKeys" };
    struct val *selector = json_get(t, STR("labelSelector")), *match = json_get(t, STR("matchLabelKeys"));
    for (int i = 0; i < (mismatch_too ? 2 : 1); i++) {
        struct val *keys = json_get(t, str_of(names[i]));
        if (keys && keys->n && !selector)
            say_forbidden(c, IN(p, names[i]), "must not be specified when labelSelector is not set");
        LIST_EACH (k, at, keys)
            check_name(c, ITEM(IN(p, names[i]), at.i), val_str(k), G_QUALIFIED);
    }
    check_key_twice(c, p, match, selector);
    LIST_EACH (k, at, match)
        if (mismatch_too && json_lists(json_get(t, STR("mismatchLabelKeys")), val_str(k)))
            say_invalid(c, ITEM(IN(p, "matchLabelKeys"), at.i), val_str(k), "exists in both matchLabelKeys and mismatchLabelKeys");
}

static void check_pod_term(causes c, const struct path *p, const struct val *t)
{
    struct str topology = json_str(t, "topologyKey");
    check_selector(c, IN(p, "labelSelector"), json_get(t, STR("labelSelector")));
    check_selector(c, IN(p, "namespaceSelector"), json_get(t, STR("namespaceSelector")));
    LIST_EACH (n, at, json_get(t, STR("namespaces")))
        check_name(c, IN(p, "namespace"), val_str(n), G_LABEL);
    check_label_keys(c, p, t, true);
    if (!topology.len)
        say_required(c, IN(p, "topologyKey"), "can not be empty");
    check_name(c, IN(p, "topologyKey"), topology, G_QUALIFIED);
}

static void check_pod_affinity(causes c, const struct path *p, const struct val *a)
{
    LIST_EACH (t, at, json_get(a, STR(REQUIRED)))
        check_pod_term(c, ITEM(IN(p, REQUIRED), at.i), t);
    LIST_EACH (t, at, json_get(a, STR(PREFERRED))) {
        check_weight(c, ITEM(IN(p, PREFERRED), at.i), t);
        check_pod_term(c, IN(ITEM(IN(p, PREFERRED), at.i), "podAffinityTerm"), json_get(t, STR("podAffinityTerm")));
    }
}

/* --- tolerations --- */

static const char *joined_errors(causes c, struct str value)
{
    const char *texts[4];
    unsigned n = name_errors(c->arena, value, G_LABEL_VALUE, texts, 4);
    return n == 0 ? NULL : n == 1 ? texts[0] : words(c, "%s;%s", texts[0], texts[1]);
}

void check_tolerations(causes c, const struct path *p, const struct val *list)
{
    static const char *const operators[] = { "Equal", "Exists", NULL }, *const all_operators[] = { "Equal", "Exists", "Lt", "Gt", NULL };
    static const char *const effects[] = { "NoSchedule", "PreferNoSchedule", "NoExecute", NULL };
    LIST_EACH (t, at, list) {
        const struct path *here = ITEM(p, at.i);
        struct str key = json_str(t, "key"), op = json_str(t, "operator"), effect = json_str(t, "effect"), value = json_str(t, "value");
        if (key.len)
            check_name(c, IN(here, "key"), key, G_QUALIFIED);
        else if (!str_is(op, "Exists"))
            say_invalid(c, IN(here, "operator"), op, "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
        if (json_get(t, STR("tolerationSeconds")) && !str_is(effect, "NoExecute"))
            say_invalid(c, IN(here, "effect"), effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
        if (!op.len || str_is(op, "Equal")) {
            const char *why = joined_errors(c, value);
            if (why)
                say_invalid(c, IN(here, "operator"), value, why);
        } else if (str_is(op, "Exists")) {
            if (value.len)
                say_invalid(c, IN(here, "operator"), value, "value must be empty when `operator` is 'Exists'");
        } else {
            say_unsupported(c, IN(here, "operator"), op, str_is(op, "Gt") || str_is(op, "Lt") ? all_operators : operators);
        }
        if (effect.len)
            check_choice(c, IN(here, "effect"), effect, effects);
    }
}

/* --- spreading --- */

static void check_spread(causes c, const struct path *p, const struct val *s)
{
    static const char *const actions[] = { "DoNotSchedule", "ScheduleAnyway", NULL }, *const policies[] = { "Honor", "Ignore", NULL };
    static const char *const inclusion[] = { "nodeAffinityPolicy", "nodeTaintsPolicy" };
    struct str topology = json_str(s, "topologyKey"), action = json_str(s, "whenUnsatisfiable");
    int64_t skew = json_int(s, "maxSkew", 0);
    struct val *domains = json_get(s, STR("minDomains"));
    if (skew <= 0)
        say_invalid_int(c, IN(p, "maxSkew"), skew, "must be greater than zero");
    if (!topology.len)
        say_required(c, IN(p, "topologyKey"), "can not be empty");
    check_choice(c, IN(p, "whenUnsatisfiable"), action, actions);
    for (const struct val *other = s->next; other; other = other->next)
        if (str_eq(json_str(other, "topologyKey"), topology) && str_eq(json_str(other, "whenUnsatisfiable"), action)) {
            say_duplicate(c, IN(p, "{topologyKey, whenUnsatisfiable}"), str_of(words(c, "{" STR_FMT ", " STR_FMT "}", STR_ARG(topology), STR_ARG(action))));
            break;
        }
    if (domains && domains->i <= 0)
        say_invalid_int(c, IN(p, "minDomains"), domains->i, "must be greater than zero");
    if (domains && !str_is(action, "DoNotSchedule"))
        say_invalid_int(c, IN(p, "minDomains"), domains->i,
                        words(c, "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not " STR_FMT, STR_ARG(action)));
    for (int i = 0; i < 2; i++)
        if (json_get(s, str_of(inclusion[i])))
            check_choice(c, IN(p, inclusion[i]), json_str(s, inclusion[i]), policies);
    check_label_keys(c, p, s, false);
    check_selector(c, IN(p, "labelSelector"), json_get(s, STR("labelSelector")));
}

void check_affinity(causes c, const struct path *p, const struct val *spec)
{
    static const char *const others[] = { "podAffinity", "podAntiAffinity" };
    struct val *a = json_get(spec, STR("affinity"));
    check_node_affinity(c, IN(IN(p, "affinity"), "nodeAffinity"), json_get(a, STR("nodeAffinity")));
    for (int i = 0; i < 2; i++)
        check_pod_affinity(c, IN(IN(p, "affinity"), others[i]), json_get(a, str_of(others[i])));
}

void check_spreading(causes c, const struct path *p, const struct val *spec)
{
    LIST_EACH (s, at, json_get(spec, STR("topologySpreadConstraints")))
        check_spread(c, ITEM(IN(p, "topologySpreadConstraints"), at.i), s);
}
