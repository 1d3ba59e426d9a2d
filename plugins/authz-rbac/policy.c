/* policy.c - makes and repairs the roles and bindings that every cluster starts with (the rows are in policy_roles.c, policy_controllers.c).
 *
 * What somebody added stays; what is missing comes back at the next start, unless the object says that it wants no such help
 * (annotation rbac.authorization.kubernetes.io/autoupdate: "false"). */
#include "policy.h"
#include "rbac.h"

#define TO(x)      RBAC_GROUP "/aggregate-to-" x
#define BOOTSTRAPPERS  "Gsystem:bootstrappers:keelson:default-node-token"
#define METRICS_READER "system:metrics-reader"         /* not the name that metrics-server brings along */
#define AGGREGATE  "system:aggregate-to-"       /* roles of such names have the label TO(...) */
#define AUTOUPDATE "rbac.authorization.kubernetes.io/autoupdate"

/* Roles that are filled from those with a label. */
static const struct {
    const char *role, *label, *from;
} aggregated[] = { { "admin", NULL, TO("admin") }, { "edit", TO("admin"), TO("edit") }, { "view", TO("edit"), TO("view") } };

#define MANAGER   "Usystem:kube-controller-manager"
#define SCHEDULER "Usystem:kube-scheduler"
static const struct policy_binding bindings[] = {
    { "cluster-admin", NULL, "Gsystem:masters" },
    /* As kubeadm has them: who holds a bootstrap token of that group makes a node, and nodes renew their own certificates. */
    { "keelson:node-bootstrap", "system:node-bootstrapper", BOOTSTRAPPERS },
    { "keelson:node-autoapprove-bootstrap", "system:certificates.k8s.io:certificatesigningrequests:nodeclient", BOOTSTRAPPERS },
    { "keelson:node-autoapprove-rotation", "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", "Gsystem:nodes" },
    { "system:basic-user", NULL, "Gsystem:authenticated" },
    { "system:discovery", NULL, "Gsystem:authenticated" },
    { "system:kube-controller-manager", NULL, MANAGER },
    { "system:kube-dns", NULL, "Skube-system:kube-dns" },
    { "system:kube-scheduler", NULL, SCHEDULER },
    { "system:monitoring", NULL, "Gsystem:monitoring" },
    { "system:node", NULL, "" },        /* nodes have an authorizer of their own */
    { "system:node-proxier", NULL, "Usystem:kube-proxy" },
    { "system:public-info-viewer", NULL, "Gsystem:authenticated,Gsystem:unauthenticated" },
    { "system:service-account-issuer-discovery", NULL, "Gsystem:serviceaccounts" },
    { "system:volume-scheduler", NULL, SCHEDULER },
    { "kube-public/system:controller:bootstrap-signer", NULL, "Skube-system:bootstrap-signer" },
    { "kube-system/system::extension-apiserver-authentication-reader", "extension-apiserver-authentication-reader", MANAGER "," SCHEDULER },
    { "kube-system/system::leader-locking-kube-controller-manager", NULL,
      MANAGER ",Skube-system:kube-controller-manager,Skube-system:leader-election-controller" },
    { "kube-system/system::leader-locking-kube-scheduler", NULL, SCHEDULER ",Skube-system:kube-scheduler" },
    { "kube-system/system:controller:bootstrap-signer", NULL, "Skube-system:bootstrap-signer" },
    { "kube-system/system:controller:cloud-provider", NULL, "Skube-system:cloud-provider" },
    { "kube-system/system:controller:token-cleaner", NULL, "Skube-system:token-cleaner" },
};

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

/* name: "NAMESPACE/NAME" or "NAME"; what: "Role" or "RoleBinding". */
static struct val *object_new(struct arena *a, const char *what, const char *name, const char *label)
{
    struct str rest = str_of(name), first = str_cut(&rest, '/');
    struct val *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("apiVersion"), STR(RBAC_GROUP "/v1"));
    json_set_str(a, v, STR("kind"), rest.at ? str_of(what) : str_of(arena_printf(a, "Cluster%s", what)));
    struct val *m = json_obj(a, v, STR("metadata"));
    json_set_str(a, m, STR("name"), rest.at ? rest : first);
    if (rest.at)
        json_set_str(a, m, STR("namespace"), first);
    json_set_str(a, json_obj(a, m, STR("annotations")), STR(AUTOUPDATE), STR("true"));
    json_set_str(a, json_obj(a, m, STR("labels")), STR("kubernetes.io/bootstrapping"), STR("rbac-defaults"));
    if (label)
        json_set_str(a, json_obj(a, m, STR("labels")), str_of(label), STR("true"));
    return v;
}

static void add_rule(struct arena *a, struct val *role, const struct policy_row *r)
{
    struct val *v = val_push(json_arr(a, role, STR("rules")), val_new(a, VAL_OBJ));
    add_list(a, v, "verbs", r->verbs);
    add_list(a, v, "apiGroups", r->groups);
    add_list(a, v, "resources", r->resources);
    add_list(a, v, "resourceNames", r->names);
    add_list(a, v, "nonResourceURLs", r->urls);
}

static void add_subject(struct arena *a, struct val *binding, struct str s)
{
    struct val *v = val_push(json_arr(a, binding, STR("subjects")), val_new(a, VAL_OBJ));
    struct str name = str_skip(s, 1);
    bool account = s.at[0] == 'S';
    json_set_str(a, v, STR("kind"), account ? STR("ServiceAccount") : s.at[0] == 'G' ? STR("Group") : STR("User"));
    if (account)
        json_set_str(a, v, STR("namespace"), str_cut(&name, ':'));
    else
        json_set_str(a, v, STR("apiGroup"), STR(RBAC_GROUP));
    json_set_str(a, v, STR("name"), name);
}

static struct val *binding_new(struct arena *a, const struct policy_binding *b)
{
    struct val *v = object_new(a, "RoleBinding", b->name, NULL), *ref = json_obj(a, v, STR("roleRef"));
    struct str rest = str_of(b->subjects);
    json_set_str(a, ref, STR("apiGroup"), STR(RBAC_GROUP));
    json_set_str(a, ref, STR("kind"), json_path(v, "metadata.namespace") ? STR("Role") : STR("ClusterRole"));
    json_set_str(a, ref, STR("name"), b->role ? str_of(b->role) : json_str(v, "metadata.name"));
    while (rest.len)
        add_subject(a, v, str_cut(&rest, ','));
    return v;
}

/* --- making and repairing --- */

bool policy_contains(const struct val *list, const struct val *item)
{
    if (val_is(list, VAL_ARR))
        val_each(v, list)
            if (val_equal(v, item))
                return true;
    return false;
}

int policy_write(struct rbac *x, struct kl_call *c, const struct kl_object_key *k, const struct val *v, bool create)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8 << 20);
    json_write(&b, v);
    if (b.failed)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    struct kl_bytes text = { b.at, b.len };
    return create ? x->objects->create(x->host, c, k, text, NULL) : x->objects->update(x->host, c, k, text, NULL);
}

/* Labels or annotations that are missing; another value is somebody's choice. */
static bool add_marks(struct arena *a, struct val *now, const struct val *wanted, const char *which)
{
    const struct val *from = json_path(wanted, which);
    bool changed = false;
    if (val_is(from, VAL_OBJ))
        val_each(m, from) {
            struct val *to = json_obj(a, json_obj(a, now, STR("metadata")), str_skip(str_of(which), 9));
            if (json_get(to, val_key(m)))
                continue;
            json_set_str(a, to, val_key(m), val_str(m));
            changed = true;
        }
    return changed;
}

/* Do the rules that are there, together, say what this one says? */
static bool covered(struct arena *a, const struct val *rules, const struct val *rule)
{
    unsigned n, one;
    struct val alone = *rule, single = { .type = VAL_ARR, .n = 1, .first = &alone, .last = &alone };
    alone.next = NULL;                  /* its list goes on behind it */
    struct rule *have = rules_read(a, rules, &n), *want = rules_read(a, &single, &one);
    return have && want && rules_cover(have, n, want);
}

static void put_one(struct arena *a, struct val *rule, const char *key, const struct val *item)
{
    if (item)
        val_push(json_arr(a, rule, str_of(key)), val_of_str(a, val_str(item)));
}

/* One verb on one thing, unless the role has that already. */
static bool add_atom(struct arena *a, struct val *now, const struct val *before, const struct val *verb, const struct val *group, const struct val *resource,
                     const struct val *name, const struct val *url)
{
    struct val *atom = val_new(a, VAL_OBJ);
    put_one(a, atom, "verbs", verb);
    put_one(a, atom, "apiGroups", group);
    put_one(a, atom, "resources", resource);
    put_one(a, atom, "resourceNames", name);
    put_one(a, atom, "nonResourceURLs", url);
    if (!atom || covered(a, before, atom))
        return false;
    val_push(json_arr(a, now, STR("rules")), atom);
    return true;
}

static const struct val *first_of(const struct val *rule, const char *list)
{
    const struct val *v = json_get(rule, str_of(list));
    return val_is(v, VAL_ARR) ? v->first : NULL;
}

/* Of a rule that is not there, or not wholly: what is missing, piece by piece as upstream has it. */
static bool add_missing(struct arena *a, struct val *now, const struct val *before, const struct val *rule)
{
    const struct val *verbs = first_of(rule, "verbs"), *names = first_of(rule, "resourceNames");
    bool changed = false;
    for (const struct val *g = first_of(rule, "apiGroups"); g; g = g->next)
        for (const struct val *r = first_of(rule, "resources"); r; r = r->next)
            for (const struct val *v = verbs; v; v = v->next) {
                const struct val *n = names;
                do
                    changed |= add_atom(a, now, before, v, g, r, n, NULL);
                while (n && (n = n->next));
            }
    for (const struct val *u = first_of(rule, "nonResourceURLs"); u; u = u->next)
        for (const struct val *v = verbs; v; v = v->next)
            changed |= add_atom(a, now, before, v, NULL, NULL, NULL, u);
    return changed;
}

static bool add_rules(struct arena *a, struct val *now, const struct val *wanted)
{
    const struct val *before = val_copy(a, json_get(now, STR("rules")));
    bool changed = false;
    for (const struct val *r = first_of(wanted, "rules"); r; r = r->next)
        if (!covered(a, before, r))
            changed |= add_missing(a, now, before, r);
    return changed;
}

static bool add_items(struct arena *a, struct val *now, struct val *wanted, const char *list)
{
    const struct val *items = json_get(wanted, str_of(list));
    bool changed = false;
    for (struct val *v = val_is(items, VAL_ARR) ? items->first : NULL; v; v = v->next) {
        if (policy_contains(json_get(now, str_of(list)), v))
            continue;
        val_push(json_arr(a, now, str_of(list)), val_copy(a, v));
        changed = true;
    }
    return changed;
}

static bool repair(struct arena *a, struct val *now, struct val *wanted)
{
    bool changed = add_marks(a, now, wanted, "metadata.labels");
    changed |= add_marks(a, now, wanted, "metadata.annotations");
    changed |= add_items(a, now, wanted, "subjects");
    struct val *sum = json_get(wanted, STR("aggregationRule"));
    if (!sum && !json_get(now, STR("aggregationRule")))
        changed |= add_rules(a, now, wanted);
    if (sum)
        changed |= add_items(a, json_obj(a, now, STR("aggregationRule")), sum, "clusterRoleSelectors");
    else
        changed |= json_del(now, STR("aggregationRule"));
    return changed;
}

/* What a binding binds cannot be changed: it is made anew. */
static int replace(struct rbac *x, struct kl_call *c, const struct kl_object_key *k, const struct val *wanted)
{
    struct kl_delete_options o = { .size = sizeof o, .grace_seconds = -1 };
    int rc = x->objects->remove(x->host, c, k, &o);
    return rc < 0 ? rc : policy_write(x, c, k, wanted, true);
}

static int ensure(struct rbac *x, struct kl_call *c, struct arena *a, struct val *wanted)
{
    bool binding = json_get(wanted, STR("roleRef")) != NULL;
    const char *name = arena_dup(a, json_str(wanted, "metadata.name")), *ns = arena_dup(a, json_str(wanted, "metadata.namespace"));
    struct kl_object_key k = { .size = sizeof k, .ns = ns ? ns : "", .name = name };
    struct kl_bytes text;
    bool cluster = !k.ns[0];
    k.resource = binding ? cluster ? RBAC_GROUP "/clusterrolebindings" : RBAC_GROUP "/rolebindings" :
                 cluster ? RBAC_GROUP "/clusterroles" : RBAC_GROUP "/roles";
    if (!name || arena_exhausted(a))
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int rc = x->objects->get(x->host, c, &k, &text);
    if (rc == -KL_NOT_FOUND)
        return policy_write(x, c, &k, wanted, true);
    struct val *now = rc == 0 ? json_parse(a, str_n(text.at, text.len), &c->err) : NULL;
    if (!now)
        return rc < 0 ? rc : -c->err.code;
    if (str_is(val_str(json_get(json_path(now, "metadata.annotations"), STR(AUTOUPDATE))), "false"))
        return 0;
    if (binding && !val_equal(json_get(now, STR("roleRef")), json_get(wanted, STR("roleRef"))))
        return replace(x, c, &k, wanted);
    return repair(a, now, wanted) ? policy_write(x, c, &k, now, false) : 0;
}

static int ensure_rows(struct rbac *x, struct kl_call *c, struct arena *a, const struct policy_rows *rows, const char *prefix)
{
    int rc = 0;
    for (size_t i = 0, next; i < rows->n && rc == 0; i = next) {
        const char *name = rows->at[i].role, *label = NULL;
        if (strncmp(name, prefix, strlen(prefix)) != 0)
            name = arena_printf(a, "%s%s", prefix, name);
        if (strncmp(name, AGGREGATE, strlen(AGGREGATE)) == 0)
            label = arena_printf(a, TO("%s"), name + strlen(AGGREGATE));
        else if (strcmp(name, METRICS_READER) == 0)
            label = TO("view");
        struct val *role = object_new(a, "Role", name, label);
        for (next = i; next < rows->n && (next == i || !rows->at[next].role); next++)
            add_rule(a, role, &rows->at[next]);
        rc = ensure(x, c, a, role);
        if (rc < 0 || !*prefix)
            continue;
        struct policy_binding b = { name, NULL, arena_printf(a, "Skube-system:%s", name + strlen(prefix)) };
        rc = ensure(x, c, a, binding_new(a, &b));
    }
    return rc;
}

static int ensure_sums(struct rbac *x, struct kl_call *c, struct arena *a)
{
    int rc = 0;
    for (size_t i = 0; i < COUNT(aggregated) && rc == 0; i++) {
        struct val *role = object_new(a, "Role", aggregated[i].role, aggregated[i].label);
        struct val *s = val_push(json_arr(a, json_obj(a, role, STR("aggregationRule")), STR("clusterRoleSelectors")), val_new(a, VAL_OBJ));
        json_set_str(a, json_obj(a, s, STR("matchLabels")), str_of(aggregated[i].from), STR("true"));
        json_arr(a, role, STR("rules"));
        rc = ensure(x, c, a, role);
    }
    return rc;
}

int policy_ensure(struct rbac *x, struct kl_call *c)
{
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    if (!a)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int rc = ensure_rows(x, c, a, &policy_roles, "");
    if (rc == 0)
        rc = ensure_rows(x, c, a, &policy_controllers, POLICY_CONTROLLER);
    if (rc == 0)
        rc = ensure_sums(x, c, a);
    for (size_t i = 0; i < COUNT(bindings) && rc == 0; i++)
        rc = ensure(x, c, a, binding_new(a, &bindings[i]));
    return rc;
}
