/* rules.c - one row per thing a node may do; the first row that matches the request decides. */
#include "node.h"

enum scope {
    ANY,
    OWN_NAME,                           /* the object is called like the node */
    OWN_LEASE,                          /* the same, in the namespace of leases */
    NEW_LEASE,                          /* a lease there; admission looks at its name */
    BOUND_POD,                          /* a pod bound to the node */
    BOUND_PODS,                         /* the same, or all of them: chosen by spec.nodeName */
    OF_SECRET, OF_CONFIGMAP, OF_CLAIM, OF_ACCOUNT,      /* used by such a pod */
    OF_VOLUME,                          /* of a claim that is */
    OF_ATTACHMENT                       /* to the node */
};

#define READ "get list watch"

static const struct {
    const char *group, *resource, *sub, *verbs;
    enum scope scope;
} rows[] = {
    { "", "nodes", "", READ, OWN_NAME },
    { "", "nodes", "", "create", ANY },                          /* admission looks at its name */
    { "", "nodes", "", "update patch", OWN_NAME },
    { "", "nodes", "status", "update patch", OWN_NAME },
    { "", "pods", "", "get", BOUND_POD },
    { "", "pods", "", "list watch", BOUND_PODS },
    { "", "pods", "", "create", ANY },                           /* admission: mirror pods only */
    { "", "pods", "", "delete", BOUND_POD },
    { "", "pods", "status", "update patch", BOUND_POD },
    { "", "pods", "eviction", "create", BOUND_POD },
    { "", "services", "", READ, ANY },
    { "", "endpoints", "", READ, ANY },
    { "discovery.k8s.io", "endpointslices", "", READ, ANY },
    { "", "namespaces", "", READ, ANY },
    { "", "secrets", "", READ, OF_SECRET },                      /* lists and watches of one name have that name */
    { "", "configmaps", "", READ, OF_CONFIGMAP },
    { "", "persistentvolumeclaims", "", READ, OF_CLAIM },
    { "", "persistentvolumeclaims", "status", "update patch", OF_CLAIM },
    { "", "persistentvolumes", "", READ, OF_VOLUME },
    { "", "serviceaccounts", "token", "create", OF_ACCOUNT },
    { "", "serviceaccounts", "", "get", OF_ACCOUNT },
    { "", "events", "", "create update patch", ANY },
    { "events.k8s.io", "events", "", "create update patch", ANY },
    { "coordination.k8s.io", "leases", "", "get update patch delete", OWN_LEASE },
    { "coordination.k8s.io", "leases", "", "create", NEW_LEASE },
    { "node.k8s.io", "runtimeclasses", "", READ, ANY },
    { "storage.k8s.io", "csidrivers", "", READ, ANY },
    { "storage.k8s.io", "storageclasses", "", READ, ANY },
    { "storage.k8s.io", "csinodes", "", "get update patch delete", OWN_NAME },
    { "storage.k8s.io", "csinodes", "", "create", ANY },         /* admission looks at its name */
    { "storage.k8s.io", "volumeattachments", "", "get", OF_ATTACHMENT },
    { "certificates.k8s.io", "certificatesigningrequests", "", "create " READ, ANY },
    { "authentication.k8s.io", "tokenreviews", "", "create", ANY },
    { "authentication.k8s.io", "selfsubjectreviews", "", "create", ANY },
    { "authorization.k8s.io", "subjectaccessreviews", "", "create", ANY },
    { "authorization.k8s.io", "localsubjectaccessreviews", "", "create", ANY },
    { "authorization.k8s.io", "selfsubjectaccessreviews", "", "create", ANY },
};

static bool has_word(const char *words, const char *word)
{
    for (struct str rest = str_of(words); rest.at && rest.len;)
        if (str_is(str_cut(&rest, ' '), word))
            return true;
    return false;
}

/* "spec.nodeName=NODE" is one of the selector's terms. */
static bool selects_node(const struct kl_request *r, const char *node)
{
    struct str rest = KL_HAS(r, field_selector) ? str_of(r->field_selector) : STR_NONE;
    while (rest.at && rest.len) {
        struct str value = str_trim(str_cut(&rest, ',')), key = str_cut(&value, '=');
        if (value.at && value.len && value.at[0] == '=')
            value = str_skip(value, 1);
        if (str_is(key, "spec.nodeName") && str_is(value, node))
            return true;
    }
    return false;
}

static int within(const struct authz_node *x, struct kl_call *c, const char *node, enum scope s, const struct kl_request *r)
{
    switch (s) {
    case ANY: return 1;
    case OWN_NAME: return strcmp(r->name, node) == 0;
    case OWN_LEASE: return strcmp(r->ns, LEASE_NS) == 0 && strcmp(r->name, node) == 0;
    case NEW_LEASE: return strcmp(r->ns, LEASE_NS) == 0;
    case BOUND_POD: return graph_bound(x, c, node, r->ns, r->name);
    case BOUND_PODS: return selects_node(r, node) ? 1 : r->name[0] ? graph_bound(x, c, node, r->ns, r->name) : 0;
    case OF_SECRET: return graph_uses(x, c, node, USED_SECRET, r->ns, r->name);
    case OF_CONFIGMAP: return graph_uses(x, c, node, USED_CONFIGMAP, r->ns, r->name);
    case OF_CLAIM: return graph_uses(x, c, node, USED_CLAIM, r->ns, r->name);
    case OF_ACCOUNT: return graph_uses(x, c, node, USED_ACCOUNT, r->ns, r->name);
    case OF_VOLUME: return graph_volume(x, c, node, r->name);
    case OF_ATTACHMENT: return graph_attached(x, c, node, r->name);
    }
    return 0;
}

int rules_authorize(const struct authz_node *x, struct kl_call *c, const char *node, const struct kl_request *r)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].group, r->group) == 0 && strcmp(rows[i].resource, r->resource) == 0 && strcmp(rows[i].sub, r->subresource) == 0 &&
            has_word(rows[i].verbs, r->verb)) {
            int rc = within(x, c, node, rows[i].scope, r);
            if (rc == 0 && rows[i].scope >= OF_SECRET)         /* told where nobody else allows it */
                snprintf(c->err.msg, sizeof c->err.msg, r->name[0] ? "no relationship found between node '%s' and this object" : "No Object name found", node);
            return rc;
        }
    return 0;
}
