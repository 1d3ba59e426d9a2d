/* plugin.c - authz-node: the descriptor, and who is a node. */
#include "node.h"

const char *node_of(const struct kl_user *user)
{
    size_t n = sizeof NODE_PREFIX - 1;
    if (!user || !user->name || strncmp(user->name, NODE_PREFIX, n) != 0 || !user->name[n])
        return NULL;
    for (const char *const *g = user->groups; g && *g; g++)
        if (strcmp(*g, NODE_GROUP) == 0)
            return user->name + n;
    return NULL;
}

static int node_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct authz_node *x = mem_alloc(sizeof *x);
    (void)conf;
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    x->host = h;
    x->objects = h->service(h, KL_HOST_OBJECTS_0);
    *self = x;
    return 0;
}

static void node_close(void *self)
{
    mem_free(self);
}

static int authorize(void *self, struct kl_call *c, const struct kl_user *user, const struct kl_request *r)
{
    const char *node = r->is_resource ? node_of(user) : NULL;
    return node ? rules_authorize(self, c, node, r) : 0;
}

/* What a node may do depends on which pods it has: nothing that could be listed. */
static int rules(void *self, struct kl_call *c, const struct kl_user *user, const char *ns, struct kl_bytes *ret)
{
    (void)self;
    (void)ns;
    if (node_of(user))
        return kl_fail(c, KL_UNSUPPORTED, "node authorizer does not support user rule resolution");
    static const char none[] = "{\"resourceRules\":[],\"nonResourceRules\":[]}";
    *ret = (struct kl_bytes){ kl_dup(c, none, sizeof none - 1), sizeof none - 1 };
    return ret->at ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
}

static int review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    const char *node = node_of(r->user);
    (void)ret;
    return node ? restrict_review(self, c, node, r) : 0;
}

static const char *const groups[] = { "system:nodes", NULL };
static const char *const resources[] = { "/nodes", "/nodes/status", "/pods", "/pods/status", "/persistentvolumeclaims/status", "/serviceaccounts/token", "coordination.k8s.io/leases",
                                         "storage.k8s.io/csinodes", NULL };

static const struct kl_authz authz = { .size = sizeof authz, .life = { .open = node_open, .close = node_close }, .authorize = authorize,
                                       .rules = rules };
static const struct kl_admission admission = { .size = sizeof admission, .life = { .open = node_open, .close = node_close },
                                               .resources = resources, .operations = "CREATE,UPDATE", .groups = groups, .review = review };
static const struct kl_provider provides[] = {
    { KL_AUTHZ_0, "node", 5, &authz },
    { KL_ADMISSION_0, "node-restriction", 0, &admission },
};
static const struct kl_need needs[] = { { KL_HOST_OBJECTS_0, 0 } };

KL_PLUGIN_DEFINE("dev.keelson.authz-node", "0.1.0", "keelson.authz/0:node keelson.admission/0:node-restriction", KL_HOST_OBJECTS_0,
                 .summary = "what a node may do", .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides));
