/* controller.c - keelson.controller/0: one object of the four kinds is one key, "kind:namespace/name"; the index follows. */
#include "rbac.h"

#define POLICY_KEY    "policy"          /* what every cluster starts with */
#define AGGREGATE_KEY "aggregate"       /* ClusterRoles that are put together from others */

static const struct {
    const char *resource, *kind;
    bool (*set)(struct index *x, struct str key, const struct val *v);
} kinds[] = {
    { RBAC_GROUP "/roles", "r", index_set_role },
    { RBAC_GROUP "/clusterroles", "R", index_set_role },
    { RBAC_GROUP "/rolebindings", "b", index_set_binding },
    { RBAC_GROUP "/clusterrolebindings", "B", index_set_binding },
};
#define N_KINDS (sizeof kinds / sizeof *kinds)

static int ctl_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct rbac *x = mem_alloc(sizeof *x);
    (void)conf;
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    x->host = h;
    x->objects = h->service(h, KL_HOST_OBJECTS_0);
    *self = x;
    return 0;
}

static void ctl_close(void *self)
{
    struct rbac *x = self;
    index_free(&x->index);
    mem_free(x);
}

static int map(void *self, struct kl_call *c, const char *resource, struct kl_bytes old, struct kl_bytes obj, struct kl_bytes *ret)
{
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    const struct kl_bytes *text = obj.len ? &obj : &old;
    struct val *v = a ? json_parse(a, str_n(text->at, text->len), &c->err) : NULL;
    const char *key = NULL;
    (void)self;
    if (!v)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (strcmp(resource, "/namespaces") == 0)
        key = POLICY_KEY;
    for (size_t i = 0; i < N_KINDS && !key; i++)
        if (strcmp(resource, kinds[i].resource) == 0)
            key = arena_printf(a, "%s:" STR_FMT "/" STR_FMT "%s", kinds[i].kind, STR_ARG(json_str(v, "metadata.namespace")),
                               STR_ARG(json_str(v, "metadata.name")), i == 1 ? "\n" AGGREGATE_KEY : "");
    if (!key)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *ret = (struct kl_bytes){ kl_dup(c, key, strlen(key)), strlen(key) };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int follow(struct rbac *x, struct kl_call *c, size_t kind, const char *key)
{
    const char *slash = strchr(key, '/');
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    char *ns = a ? arena_dup(a, str_n(key, (size_t)(slash - key))) : NULL;
    struct kl_object_key k = { .size = sizeof k, .resource = kinds[kind].resource, .ns = ns, .name = slash + 1 };
    struct kl_bytes text;
    struct val *v = NULL;
    if (!ns)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int rc = x->objects->get(x->host, c, &k, &text);
    if (rc < 0 && rc != -KL_NOT_FOUND)
        return rc;
    if (rc == 0 && !(v = json_parse(a, str_n(text.at, text.len), &c->err)))
        return -c->err.code;
    return kinds[kind].set(&x->index, str_of(key), v) ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int reconcile(void *self, struct kl_call *c, const char *key, int64_t *again_ns)
{
    (void)again_ns;
    if (strcmp(key, POLICY_KEY) == 0)
        return policy_ensure(self, c);
    if (strcmp(key, AGGREGATE_KEY) == 0)
        return policy_aggregate(self, c);
    for (size_t i = 0; i < N_KINDS; i++)
        if (key[0] == kinds[i].kind[0] && key[1] == ':' && strchr(key, '/'))
            return follow(self, c, i, key + 2);
    return 0;
}

const struct index *rbac_index(const struct kl_host *h, struct kl_call *c)
{
    const struct kl_host_plugins *p = h->service(h, KL_HOST_PLUGINS_0);
    struct kl_instance i = { .size = sizeof i };
    if (p->find(h, c, KL_CONTROLLER_0, "rbac", &i) < 0 || i.table != &rbac_controller)
        return NULL;
    return &((struct rbac *)i.self)->index;
}

static const struct kl_watch watches[] = {
    { .size = sizeof(struct kl_watch), .resource = RBAC_GROUP "/clusterroles", .key = "map" },
    { .size = sizeof(struct kl_watch), .resource = RBAC_GROUP "/roles", .key = "map" },
    { .size = sizeof(struct kl_watch), .resource = RBAC_GROUP "/clusterrolebindings", .key = "map" },
    { .size = sizeof(struct kl_watch), .resource = RBAC_GROUP "/rolebindings", .key = "map" },
    /* Is always there: the occasion to look after the policy once at the start. */
    { .size = sizeof(struct kl_watch), .resource = "/namespaces", .field_selector = "metadata.name=kube-system", .key = "map" },
};

const struct kl_controller rbac_controller = { .size = sizeof rbac_controller, .life = { .open = ctl_open, .close = ctl_close },
                                               .watches = KL_ARRAY_OF(watches), .map = map, .reconcile = reconcile };
