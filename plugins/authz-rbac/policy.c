/* policy.c - the roles and bindings that every cluster starts with, and aggregated ClusterRoles.
 *
 * The rules are those of Kubernetes for people and for add-ons. The roles that its controller manager gives to its own controllers are left
 * out: ours run in the server and need none. */
#include "rbac.h"

#define READ  "get,list,watch"
#define WRITE "create,delete,deletecollection,patch,update"
#define TO(x) RBAC_GROUP "/aggregate-to-" x

/* Rows of one role stand together. Lists with commas; label is set to "true". */
static const struct row {
    const char *role, *label, *verbs, *groups, *resources, *urls;
} rows[] = {
    { "cluster-admin", NULL, "*", "*", "*", NULL },
    { "cluster-admin", NULL, "*", NULL, NULL, "*" },
    { "system:discovery", NULL, "get", NULL, NULL,
      "/api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/" },
    { "system:public-info-viewer", NULL, "get", NULL, NULL, "/healthz,/livez,/readyz,/version,/version/" },
    { "system:monitoring", NULL, "get", NULL, NULL, "/healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*" },
    { "system:basic-user", NULL, "create", "authorization.k8s.io", "selfsubjectaccessreviews,selfsubjectrulesreviews", NULL },
    { "system:basic-user", NULL, "create", "authentication.k8s.io", "selfsubjectreviews", NULL },
    { "system:service-account-issuer-discovery", NULL, "get", NULL, NULL,
      "/.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/" },
    { "system:auth-delegator", NULL, "create", "authentication.k8s.io", "tokenreviews", NULL },
    { "system:auth-delegator", NULL, "create", "authorization.k8s.io", "subjectaccessreviews", NULL },
    { "system:kubelet-api-admin", NULL, READ, "", "nodes", NULL },
    { "system:kubelet-api-admin", NULL, "proxy", "", "nodes", NULL },
    { "system:kubelet-api-admin", NULL, "*", "", "nodes/log,nodes/metrics,nodes/proxy,nodes/stats", NULL },
    { "system:node-bootstrapper", NULL, "create,get,list,watch", "certificates.k8s.io", "certificatesigningrequests", NULL },
    { "system:node-proxier", NULL, "list,watch", "", "endpoints,services", NULL },
    { "system:node-proxier", NULL, READ, "", "nodes", NULL },
    { "system:node-proxier", NULL, "create,patch,update", ",events.k8s.io", "events", NULL },
    { "system:node-proxier", NULL, "list,watch", "discovery.k8s.io", "endpointslices", NULL },
    { "system:kube-dns", NULL, "list,watch", "", "endpoints,services", NULL },
    { "system:persistent-volume-provisioner", NULL, "create,delete,get,list,watch", "", "persistentvolumes", NULL },
    { "system:persistent-volume-provisioner", NULL, "get,list,update,watch", "", "persistentvolumeclaims", NULL },
    { "system:persistent-volume-provisioner", NULL, READ, "storage.k8s.io", "storageclasses", NULL },
    { "system:persistent-volume-provisioner", NULL, "watch,create,update,patch", "", "events", NULL },
    { "system:aggregate-to-admin", TO("admin"), "create", "authorization.k8s.io", "localsubjectaccessreviews", NULL },
    { "system:aggregate-to-admin", TO("admin"), WRITE "," READ, RBAC_GROUP, "rolebindings,roles", NULL },
    { "system:aggregate-to-edit", TO("edit"), READ, "",
      "pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy", NULL },
    { "system:aggregate-to-edit", TO("edit"), "impersonate", "", "serviceaccounts", NULL },
    { "system:aggregate-to-edit", TO("edit"), WRITE, "", "pods,pods/attach,pods/exec,pods/portforward,pods/proxy", NULL },
    { "system:aggregate-to-edit", TO("edit"), "create", "", "pods/eviction", NULL },
    { "system:aggregate-to-edit", TO("edit"), WRITE, "",
      "configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,serviceaccounts,services,"
      "services/proxy", NULL },
    { "system:aggregate-to-edit", TO("edit"), "create", "", "serviceaccounts/token", NULL },
    { "system:aggregate-to-edit", TO("edit"), WRITE, "apps",
      "daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale", NULL },
    { "system:aggregate-to-edit", TO("edit"), WRITE, "autoscaling", "horizontalpodautoscalers", NULL },
    { "system:aggregate-to-edit", TO("edit"), WRITE, "batch", "cronjobs,jobs", NULL },
    { "system:aggregate-to-edit", TO("edit"), WRITE, "policy", "poddisruptionbudgets", NULL },
    { "system:aggregate-to-edit", TO("edit"), WRITE, "networking.k8s.io", "ingresses,networkpolicies", NULL },
    { "system:aggregate-to-edit", TO("edit"), WRITE "," READ, "coordination.k8s.io", "leases", NULL },
    { "system:aggregate-to-edit", TO("edit"), WRITE, "resource.k8s.io", "resourceclaims,resourceclaimtemplates", NULL },
    { "system:aggregate-to-view", TO("view"), READ, "",
      "configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,replicationcontrollers/scale,"
      "serviceaccounts,services,services/status", NULL },
    { "system:aggregate-to-view", TO("view"), READ, "",
      "bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas,resourcequotas/status",
      NULL },
    { "system:aggregate-to-view", TO("view"), READ, "", "namespaces", NULL },
    { "system:aggregate-to-view", TO("view"), READ, "discovery.k8s.io", "endpointslices", NULL },
    { "system:aggregate-to-view", TO("view"), READ, "apps",
      "controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets,replicasets/scale,"
      "replicasets/status,statefulsets,statefulsets/scale,statefulsets/status", NULL },
    { "system:aggregate-to-view", TO("view"), READ, "autoscaling", "horizontalpodautoscalers,horizontalpodautoscalers/status", NULL },
    { "system:aggregate-to-view", TO("view"), READ, "batch", "cronjobs,cronjobs/status,jobs,jobs/status", NULL },
    { "system:aggregate-to-view", TO("view"), READ, "policy", "poddisruptionbudgets,poddisruptionbudgets/status", NULL },
    { "system:aggregate-to-view", TO("view"), READ, "networking.k8s.io", "ingresses,ingresses/status,networkpolicies", NULL },
    { "system:aggregate-to-view", TO("view"), READ, "resource.k8s.io", "resourceclaims,resourceclaims/status,resourceclaimtemplates", NULL },
};

/* Roles that are filled from those with a label. */
static const struct {
    const char *role, *label, *from;
} aggregated[] = { { "admin", NULL, TO("admin") }, { "edit", TO("admin"), TO("edit") }, { "view", TO("edit"), TO("view") } };

static const struct {
    const char *role, *groups;
} bindings[] = {
    { "cluster-admin", "system:masters" },
    { "system:discovery", "system:authenticated" },
    { "system:basic-user", "system:authenticated" },
    { "system:public-info-viewer", "system:authenticated,system:unauthenticated" },
    { "system:monitoring", "system:monitoring" },
    { "system:service-account-issuer-discovery", "system:serviceaccounts" },
};
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* --- building --- */

static void add_list(struct arena *a, struct val *v, const char *key, const char *list)
{
    struct str rest = str_of(list);
    if (!list)
        return;
    struct val *out = json_arr(a, v, str_of(key));
    do
        val_push(out, val_of_str(a, str_cut(&rest, ',')));
    while (rest.at);
}

static struct val *object_new(struct arena *a, const char *kind, const char *name, const char *label)
{
    struct val *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("apiVersion"), STR(RBAC_GROUP "/v1"));
    json_set_str(a, v, STR("kind"), str_of(kind));
    struct val *m = json_obj(a, v, STR("metadata"));
    json_set_str(a, m, STR("name"), str_of(name));
    json_set_str(a, json_obj(a, m, STR("annotations")), STR("rbac.authorization.kubernetes.io/autoupdate"), STR("true"));
    json_set_str(a, json_obj(a, m, STR("labels")), STR("kubernetes.io/bootstrapping"), STR("rbac-defaults"));
    if (label)
        json_set_str(a, json_obj(a, m, STR("labels")), str_of(label), STR("true"));
    return v;
}

static void add_rule(struct arena *a, struct val *role, const struct row *r)
{
    struct val *v = val_push(json_arr(a, role, STR("rules")), val_new(a, VAL_OBJ));
    add_list(a, v, "verbs", r->verbs);
    add_list(a, v, "apiGroups", r->groups);
    add_list(a, v, "resources", r->resources);
    add_list(a, v, "nonResourceURLs", r->urls);
}

static struct val *binding_new(struct arena *a, const char *role, const char *groups)
{
    struct val *v = object_new(a, "ClusterRoleBinding", role, NULL), *ref = json_obj(a, v, STR("roleRef"));
    json_set_str(a, ref, STR("apiGroup"), STR(RBAC_GROUP));
    json_set_str(a, ref, STR("kind"), STR("ClusterRole"));
    json_set_str(a, ref, STR("name"), str_of(role));
    struct str rest = str_of(groups);
    do {
        struct val *s = val_push(json_arr(a, v, STR("subjects")), val_new(a, VAL_OBJ));
        json_set_str(a, s, STR("kind"), STR("Group"));
        json_set_str(a, s, STR("apiGroup"), STR(RBAC_GROUP));
        json_set_str(a, s, STR("name"), str_cut(&rest, ','));
    } while (rest.at);
    return v;
}

/* --- making and repairing --- */

static bool contains(const struct val *list, const struct val *item)
{
    if (val_is(list, VAL_ARR))
        val_each(v, list)
            if (val_equal(v, item))
                return true;
    return false;
}

static int write_object(struct rbac *x, struct kl_call *c, const struct kl_object_key *k, const struct val *v, bool create)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8 << 20);
    json_write(&b, v);
    if (b.failed)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    struct kl_bytes text = { b.at, b.len };
    return create ? x->objects->create(x->host, c, k, text, NULL) : x->objects->update(x->host, c, k, text, NULL);
}

/* Adds what a default object lacks in one list; what is there beyond stays. */
static int ensure(struct rbac *x, struct kl_call *c, struct arena *a, const char *resource, struct val *wanted, const char *list)
{
    const char *name = arena_dup(a, json_str(wanted, "metadata.name"));
    struct kl_object_key k = { .size = sizeof k, .resource = resource, .ns = "", .name = name };
    struct kl_bytes text;
    bool changed = false;
    if (!name || arena_exhausted(a))
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int rc = x->objects->get(x->host, c, &k, &text);
    if (rc == -KL_NOT_FOUND)
        return write_object(x, c, &k, wanted, true);
    struct val *now = rc == 0 ? json_parse(a, str_n(text.at, text.len), &c->err) : NULL;
    if (!now)
        return rc < 0 ? rc : -c->err.code;
    struct val *update = json_get(json_path(now, "metadata.annotations"), STR("rbac.authorization.kubernetes.io/autoupdate"));
    const struct val *items = json_get(wanted, str_of(list));
    if (str_is(val_str(update), "false") || !val_is(items, VAL_ARR))
        return 0;
    for (struct val *v = items->first, *next; v; v = next) {
        next = v->next;
        if (contains(json_get(now, str_of(list)), v))
            continue;
        val_push(json_arr(a, now, str_of(list)), val_copy(a, v));
        changed = true;
    }
    return changed ? write_object(x, c, &k, now, false) : 0;
}

static int ensure_roles(struct rbac *x, struct kl_call *c, struct arena *a)
{
    int rc = 0;
    for (size_t i = 0, next; i < COUNT(rows) && rc == 0; i = next) {
        struct val *role = object_new(a, "ClusterRole", rows[i].role, rows[i].label);
        for (next = i; next < COUNT(rows) && strcmp(rows[next].role, rows[i].role) == 0; next++)
            add_rule(a, role, &rows[next]);
        rc = ensure(x, c, a, RBAC_GROUP "/clusterroles", role, "rules");
    }
    for (size_t i = 0; i < COUNT(aggregated) && rc == 0; i++) {
        struct val *role = object_new(a, "ClusterRole", aggregated[i].role, aggregated[i].label);
        struct val *s = val_push(json_arr(a, json_obj(a, role, STR("aggregationRule")), STR("clusterRoleSelectors")), val_new(a, VAL_OBJ));
        json_set_str(a, json_obj(a, s, STR("matchLabels")), str_of(aggregated[i].from), STR("true"));
        json_arr(a, role, STR("rules"));
        rc = ensure(x, c, a, RBAC_GROUP "/clusterroles", role, "rules");
    }
    return rc;
}

int policy_ensure(struct rbac *x, struct kl_call *c)
{
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    if (!a)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int rc = ensure_roles(x, c, a);
    for (size_t i = 0; i < COUNT(bindings) && rc == 0; i++)
        rc = ensure(x, c, a, RBAC_GROUP "/clusterrolebindings", binding_new(a, bindings[i].role, bindings[i].groups), "subjects");
    return rc;
}

/* --- aggregation --- */

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
            bool in = label && contains(values, label);
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
                if (!contains(rules, r))
                    val_push(rules, val_copy(a, r));
        }
    }
    const struct val *now = json_get(role, STR("rules"));
    if (now && now->n == rules->n && val_equal(now, rules))
        return 0;
    const char *name = arena_dup(a, json_str(role, "metadata.name"));
    struct kl_object_key k = { .size = sizeof k, .resource = RBAC_GROUP "/clusterroles", .ns = "", .name = name };
    json_set(a, role, STR("rules"), rules);
    return name && !arena_exhausted(a) ? write_object(x, c, &k, role, false) : kl_fail(c, KL_NO_MEMORY, "out of memory");
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
