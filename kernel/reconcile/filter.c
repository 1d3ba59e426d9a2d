/* filter.c - see filter.h. Words and rules are those of upstream's scheduler plugins NodeUnschedulable, TaintToleration, NodeAffinity,
 * NodePorts and NodeResourcesFit. */
#include "reconcile/filter.h"

#include "base/quantity.h"

void pod_needs_read(const struct val *pod, struct pod_needs *ret)
{
    const struct val *spec = json_get(pod, STR("spec"));
    ret->pod = pod;
    ret->tolerations = json_get(spec, STR("tolerations"));
    ret->node_selector = json_get(spec, STR("nodeSelector"));
    ret->node_affinity = json_path(spec, "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");
    ret->requests = pod_requests(pod);
    ret->n_ports = pod_host_ports(pod, ret->ports, sizeof ret->ports / sizeof *ret->ports);
    ret->n_amounts = pod_amounts(pod, ret->amounts, sizeof ret->amounts / sizeof *ret->amounts);
}

/* --- taints --- */

static bool tolerates(const struct val *t, struct str key, struct str value, struct str effect)
{
    struct str op = json_str(t, "operator"), tkey = json_str(t, "key"), teffect = json_str(t, "effect");
    if (teffect.len && !str_eq(teffect, effect))
        return false;
    if (tkey.len && !str_eq(tkey, key))
        return false;
    if (str_is(op, "Exists"))
        return true;
    return tkey.len && (!op.len || str_is(op, "Equal")) && str_eq(json_str(t, "value"), value);
}

static bool tolerated(const struct val *list, struct str key, struct str value, struct str effect)
{
    if (val_is(list, VAL_ARR))
        val_each(t, list)
            if (tolerates(t, key, value, effect))
                return true;
    return false;
}

bool filter_taints(const struct pod_needs *p, const struct ledger_node *n)
{
    if (val_is(n->taints, VAL_ARR))
        val_each(t, n->taints) {
            struct str key = json_str(t, "key"), value = json_str(t, "value"), effect = json_str(t, "effect");
            if (!str_is(effect, "PreferNoSchedule") && !tolerated(p->tolerations, key, value, effect))
                return false;
        }
    return true;
}

unsigned filter_soft_taints(const struct pod_needs *p, const struct ledger_node *n)
{
    unsigned count = 0;
    if (val_is(n->taints, VAL_ARR))
        val_each(t, n->taints) {
            struct str effect = json_str(t, "effect");
            count += str_is(effect, "PreferNoSchedule") && !tolerated(p->tolerations, json_str(t, "key"), json_str(t, "value"), effect);
        }
    return count;
}

/* --- node selector and affinity --- */

/* One requirement {key, operator, values} on a value that is there or not. */
static bool requirement(const struct val *r, struct str have)
{
    struct str op = json_str(r, "operator");
    struct val *values = json_get(r, STR("values"));
    int64_t x, y;
    if (str_is(op, "In"))
        return have.at && json_lists(values, have);
    if (str_is(op, "NotIn"))
        return !have.at || !json_lists(values, have);
    if (str_is(op, "Exists"))
        return have.at != NULL;
    if (str_is(op, "DoesNotExist"))
        return have.at == NULL;
    if (!have.at || !val_is(values, VAL_ARR) || values->n != 1 || !str_int(have, &x) || !str_int(val_str(values->first), &y))
        return false;
    return str_is(op, "Gt") ? x > y : str_is(op, "Lt") && x < y;
}

bool filter_term_matches(const struct val *term, const struct ledger_node *n)
{
    const struct val *labels = n->labels, *exprs = json_get(term, STR("matchExpressions")),
               *fields = json_get(term, STR("matchFields"));
    bool any = false;
    if (val_is(exprs, VAL_ARR))
        val_each(r, exprs) {
            any = true;
            if (!requirement(r, val_str(json_get(labels, json_str(r, "key")))))
                return false;
        }
    if (val_is(fields, VAL_ARR))
        val_each(r, fields) {
            any = true;
            if (!str_is(json_str(r, "key"), "metadata.name") || !requirement(r, str_of(n->name)))
                return false;
        }
    return any;                         /* an empty term matches nothing */
}

bool filter_terms_match(const struct val *terms, const struct ledger_node *n)
{
    if (val_is(terms, VAL_ARR))
        val_each(t, terms)
            if (filter_term_matches(t, n))
                return true;
    return false;
}

bool filter_labels_match(const struct val *wanted, const struct val *labels)
{
    if (val_is(wanted, VAL_OBJ))
        val_each(w, wanted) {
            struct str have = val_str(json_get(labels, val_key(w)));
            if (!have.at || !str_eq(have, val_str(w)))
                return false;
        }
    return true;
}

bool filter_selector_matches(const struct val *selector, const struct val *labels)
{
    const struct val *exprs = json_get(selector, STR("matchExpressions"));
    if (!filter_labels_match(json_get(selector, STR("matchLabels")), labels))
        return false;
    if (val_is(exprs, VAL_ARR))
        val_each(r, exprs)
            if (!requirement(r, val_str(json_get(labels, json_str(r, "key")))))
                return false;
    return true;
}

bool filter_affinity(const struct pod_needs *p, const struct ledger_node *n)
{
    if (!filter_labels_match(p->node_selector, n->labels))
        return false;
    return !p->node_affinity || filter_terms_match(json_get(p->node_affinity, STR("nodeSelectorTerms")), n);
}

bool filter_has_affinity(const struct pod_needs *p)
{
    return p->node_affinity || (val_is(p->node_selector, VAL_OBJ) && p->node_selector->n);
}

/* --- all of it --- */

const char *filter_place(const struct pod_needs *p, const struct ledger_node *n)
{
    if (n->unschedulable && !tolerated(p->tolerations, STR("node.kubernetes.io/unschedulable"), STR(""), STR("NoSchedule")))
        return "node(s) were unschedulable";
    if (n->taints && !filter_taints(p, n))
        return "node(s) had untolerated taint(s)";
    if ((p->node_selector || p->node_affinity) && !filter_affinity(p, n))
        return "node(s) didn't match Pod's node affinity/selector";
    if (!n->ready && !tolerated(p->tolerations, STR("node.kubernetes.io/not-ready"), STR(""), STR("NoSchedule")))
        return "node(s) were not ready";
    return NULL;
}

static const char *lacks(struct arena *a, const char *name)
{
    const char *text = arena_printf(a, "Insufficient %s", name);
    return text ? text : "Insufficient resources";
}

unsigned filter_room_lacks(struct arena *a, const struct pod_needs *p, const struct ledger_node *n, const char **ret, unsigned max)
{
    unsigned found = 0;
    for (unsigned i = 0; i < p->n_ports; i++)
        if (!ledger_port_free(n, &p->ports[i])) {
            ret[0] = "node(s) didn't have free ports for the requested pod ports";
            return 1;
        }
    if (n->used_pods + 1 > n->pods)
        ret[found++] = "Too many pods";
    if (found < max && p->requests.mcpu && n->used_mcpu + p->requests.mcpu > n->mcpu)
        ret[found++] = "Insufficient cpu";
    if (found < max && p->requests.memory && n->used_memory + p->requests.memory > n->memory)
        ret[found++] = "Insufficient memory";
    const struct val *room = p->n_amounts ? json_path(n->tree, "status.allocatable") : NULL;
    for (unsigned i = 0; found < max && i < p->n_amounts; i++) {
        const struct ledger_amount *m = &p->amounts[i];
        if (m->value && ledger_used(n, m->name) + m->value > quantity_text_value(val_str(json_get(room, str_of(m->name))), 0))
            ret[found++] = lacks(a, m->name);
    }
    return found;
}

const char *filter_room(struct arena *a, const struct pod_needs *p, const struct ledger_node *n)
{
    if (filter_has_room(p, n))
        return NULL;
    const char *why;
    return filter_room_lacks(a, p, n, &why, 1) ? why : NULL;
}

bool filter_too_large(const struct pod_needs *p, const struct ledger_node *n)
{
    const struct val *room = p->n_amounts ? json_path(n->tree, "status.allocatable") : NULL;
    for (unsigned i = 0; i < p->n_amounts; i++)
        if (p->amounts[i].value > quantity_text_value(val_str(json_get(room, str_of(p->amounts[i].name))), 0))
            return true;
    return p->requests.mcpu > n->mcpu || p->requests.memory > n->memory;
}

const char *filter_node(struct arena *a, const struct pod_needs *p, const struct ledger_node *n)
{
    const char *why = filter_place(p, n);
    return why ? why : filter_room(a, p, n);
}
