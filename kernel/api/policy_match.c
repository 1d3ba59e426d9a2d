/* policy_match.c - whom a policy or a binding concerns, and with which parameters. */
#include "policy.h"

static bool any_of(const struct val *list, struct str s)
{
    return json_lists(list, STR("*")) || json_lists(list, s);
}

/* "pods", "pods/status", "pods/", "*", "* /status" (without the space), "* / *". */
static bool resource_matches(struct str pattern, const char *resource, const char *sub)
{
    struct str rest = pattern, name = str_cut(&rest, '/');
    bool main = str_is(name, "*") || str_is(name, resource);
    if (!rest.at)
        return main && !sub[0];
    return main && (str_is(rest, "*") || str_is(rest, sub));
}

const char *policy_operation(const char *verb)
{
    return strcmp(verb, "create") == 0 ? "CREATE" : strcmp(verb, "delete") == 0 ? "DELETE" : strcmp(verb, "connect") == 0 ? "CONNECT" : "UPDATE";
}

static bool rule_matches(const struct walk_policies *w, const struct val *rule, const struct schema_kind *k)
{
    const struct val *resources = json_get(rule, STR("resources")), *named = json_get(rule, STR("resourceNames"));
    struct str scope = json_str(rule, "scope");
    const char *op = policy_operation(w->verb);
    bool found = false;
    if (!any_of(json_get(rule, STR("operations")), str_of(op)) || !any_of(json_get(rule, STR("apiGroups")), str_of(k->group)) ||
        !any_of(json_get(rule, STR("apiVersions")), str_of(k->version)))
        return false;
    if (val_is(resources, VAL_ARR))
        val_each(r, resources)
            found |= resource_matches(val_str(r), k->plural, w->op->subresource ? w->op->subresource : "");
    if (!found || (str_is(scope, "Cluster") && k->flags & K_NAMESPACED) || (str_is(scope, "Namespaced") && !(k->flags & K_NAMESPACED)))
        return false;
    return !val_is(named, VAL_ARR) || !named->n || any_of(named, api_asked_name(w->op));
}

/* The name that the first rule has which fits; the request's own before all others. */
static const struct schema_kind *any_rule(const struct walk_policies *w, const struct val *rules, bool equivalent)
{
    const struct schema_kind *others[API_NAMES];
    if (!val_is(rules, VAL_ARR))
        return NULL;
    val_each(r, rules)
        if (rule_matches(w, r, w->op->kind))
            return w->op->kind;
    unsigned n = equivalent ? api_other_names(w->op->kind, others) : 0;
    val_each(r, rules)
        for (unsigned i = 0; i < n; i++)
            if (rule_matches(w, r, others[i]))
                return others[i];
    return NULL;
}

const struct val *policy_namespace(struct walk_policies *w)
{
    const struct schema_kind *k = schema_resource_find(STR(""), STR("v1"), STR("namespaces"));
    if (w->has_namespace)
        return w->namespace;
    w->has_namespace = true;
    struct store_object *o = w->op->ns.len ? store_head(w->op->api->store, str_of(k->resource), STR(""), w->op->ns) : NULL;
    w->namespace = o ? json_parse(w->arena, store_object_json(o), NULL) : NULL;
    return w->namespace;
}

static bool selects(struct arena *a, const struct val *selector, const struct val *labels)
{
    struct kl_err err;
    kl_err_init(&err);
    struct selector *s = selector ? selector_of_tree(a, selector, &err) : NULL;
    return !selector || (s && selector_matches_labels(s, labels));
}

static bool namespace_matches(struct walk_policies *w, const struct val *selector)
{
    const struct schema_kind *k = w->op->kind;
    bool is_namespace = !k->group[0] && strcmp(k->plural, "namespaces") == 0;
    if (!val_is(selector, VAL_OBJ) || !selector->n)
        return true;
    if (is_namespace)
        return selects(w->arena, selector, json_path(w->object ? w->object : w->old, "metadata.labels"));
    return !(k->flags & K_NAMESPACED) || selects(w->arena, selector, json_path(policy_namespace(w), "metadata.labels"));
}

static bool object_matches(struct walk_policies *w, const struct val *selector)
{
    if (!val_is(selector, VAL_OBJ) || !selector->n)
        return true;
    return (w->object && selects(w->arena, selector, json_path(w->object, "metadata.labels"))) ||
           (w->old && selects(w->arena, selector, json_path(w->old, "metadata.labels")));
}

const struct schema_kind *policy_matches(struct walk_policies *w, const struct val *resources)
{
    bool equivalent = !str_is(json_str(resources, "matchPolicy"), "Exact");
    const struct val *rules = json_get(resources, STR("resourceRules"));
    const struct schema_kind *found = w->op->kind;
    if (!resources)
        return found;
    if (any_rule(w, json_get(resources, STR("excludeResourceRules")), equivalent))
        return NULL;
    if (val_is(rules, VAL_ARR) && rules->n && !(found = any_rule(w, rules, equivalent)))
        return NULL;
    bool meant = namespace_matches(w, json_get(resources, STR("namespaceSelector"))) && object_matches(w, json_get(resources, STR("objectSelector")));
    return meant ? found : NULL;
}

/* --- the object under another name --- */

static struct val *rename_object(struct walk_policies *w, const struct schema_kind *from, const struct schema_kind *to, const struct val *v, const char **ret_why)
{
    struct api_asker q = api_op_asker(w->op);
    struct val *out = v ? api_under_name(&q, from, to, val_copy(w->arena, v)) : NULL;
    *ret_why = NULL;
    if (out || !v)
        return out;
    if (w->op->err.code == KL_PENDING)
        w->pending = true;
    else
        *ret_why = w->op->err.message ? w->op->err.message : "out of memory";
    w->op->err = (struct api_error){ 0 };
    return NULL;
}

/* What is sent to a subresource (a Scale) is the same under all names of its resource. */
bool policy_view(struct walk_policies *w, const struct schema_kind *k, const char **ret_why)
{
    bool own = k == w->op->kind || w->kind->type != w->op->kind->type;
    if (w->view != k)
        w->request = NULL;
    w->view = k;
    w->shown = w->object;
    w->shown_old = w->old;
    *ret_why = NULL;
    if (own)
        return true;
    w->shown = rename_object(w, w->op->kind, k, w->object, ret_why);
    if (w->object && !w->shown)
        return false;
    w->shown_old = rename_object(w, w->op->kind, k, w->old, ret_why);
    return !w->old || w->shown_old;
}

const struct schema_kind *policy_kind(const struct walk_policies *w)
{
    return w->view && w->kind->type == w->op->kind->type ? w->view : w->kind;
}

struct val *policy_unview(struct walk_policies *w, struct val *v, const char **ret_why)
{
    if (w->view == w->op->kind || w->kind->type != w->op->kind->type)
        return v;
    return rename_object(w, w->view, w->op->kind, v, ret_why);
}

/* --- parameters --- */

struct gather {
    struct walk_policies *w;
    const struct schema_kind *kind;
    const struct selector *selector;
    const struct val **at;
    unsigned n, cap;
};

static bool add(struct gather *g, struct store_object *o)
{
    if (g->n == g->cap) {
        unsigned cap = g->cap ? 2 * g->cap : 4;
        const struct val **at = arena_alloc(g->w->arena, cap * sizeof *at);
        if (!at)
            return false;
        if (g->n)
            memcpy(at, g->at, g->n * sizeof *at);
        g->at = at;
        g->cap = cap;
    }
    struct api_asker q = api_op_asker(g->w->op);
    const struct val *v = o ? api_stored_tree(&q, g->kind, o) : NULL;
    if (o && !v)
        return false;
    g->at[g->n++] = v;
    return true;
}

static bool add_selected(void *ctx, struct store_object *o)
{
    struct gather *g = ctx;
    return !selector_matches_text(g->selector, store_object_json(o)) || add(g, o);
}

const struct schema_kind *policy_param_kind(const struct policy *p)
{
    struct str version = json_str(p->spec, "paramKind.apiVersion"), group = STR("");
    if (str_find(version, '/') >= 0)
        group = str_cut(&version, '/');
    return schema_kind_find(group, version, json_str(p->spec, "paramKind.kind"));
}

int policy_params(struct walk_policies *w, const struct policy *p, const struct binding *b, const struct val ***ret, const char **ret_why)
{
    struct gather g = { .w = w };
    const struct val *ref = json_get(b->spec, STR("paramRef")), *selector = json_get(ref, STR("selector"));
    const struct schema_kind *k = json_get(p->spec, STR("paramKind")) ? policy_param_kind(p) : NULL;
    struct str ns = json_str(ref, "namespace"), name = json_str(ref, "name");
    struct kl_err err;
    kl_err_init(&err);
    if (!json_get(p->spec, STR("paramKind")) || !ref) {
        add(&g, NULL);
        *ret = g.at;
        return g.at ? 1 : 0;
    }
    if (!k) {
        *ret_why = arena_printf(w->arena, "failed to find resource referenced by paramKind: '" STR_FMT ", Kind=" STR_FMT "'",
                                STR_ARG(json_str(p->spec, "paramKind.apiVersion")), STR_ARG(json_str(p->spec, "paramKind.kind")));
        return -1;
    }
    g.kind = k;
    if (!(k->flags & K_NAMESPACED))
        ns = STR("");
    else if (!ns.len)
        ns = w->op->ns;
    if (k->flags & K_NAMESPACED && !ns.len) {
        *ret_why = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
        return -1;
    }
    if (name.len) {
        struct store_object *o = store_head(w->op->api->store, str_of(k->storage->resource), ns, name);
        if (o)
            add(&g, o);
    } else if ((g.selector = selector_of_tree(w->arena, selector, &err))) {
        struct store_range all = { .resource = str_of(k->storage->resource), .ns = ns.len ? ns : STR_NONE, .head = true };
        store_list(w->op->api->store, &all, add_selected, &g);
    }
    if (w->op->err.code) {              /* it could not be converted, or not yet */
        *ret_why = w->op->err.message;
        w->pending |= w->op->err.code == KL_PENDING;
        w->op->err = (struct api_error){ 0 };
        return -1;
    }
    if (!g.n && !str_is(json_str(ref, "parameterNotFoundAction"), "Allow")) {
        *ret_why = "no params found for policy binding with `Deny` parameterNotFoundAction";
        return -1;
    }
    *ret = g.at;
    return (int)g.n;
}
