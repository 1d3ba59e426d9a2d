/* restrict.c - what a node may not put into the objects it may write. */
#include "node.h"

#define KEPT "node-restriction.kubernetes.io/"

static int refuse(struct kl_call *c, const char *node, const char *what)
{
    return kl_fail(c, KL_FORBIDDEN, "node \"%s\" is not allowed to %s", node, what);
}

static bool same_member(const struct val *a, const struct val *b, struct str key)
{
    const struct val *x = json_get(a, key), *y = json_get(b, key);
    return x && y ? val_equal(x, y) : x == y;
}

/* Labels that administrators steer pods by must not be the node's own to give. */
static bool changes_kept(const struct val *now, const struct val *old)
{
    if (val_is(now, VAL_OBJ))
        val_each(l, now)
            if (str_starts(val_key(l), STR(KEPT)) && !same_member(now, old, val_key(l)))
                return true;
    if (val_is(old, VAL_OBJ))
        val_each(l, old)
            if (str_starts(val_key(l), STR(KEPT)) && !same_member(now, old, val_key(l)))
                return true;
    return false;
}

static int review_node(struct kl_call *c, const char *node, const struct kl_request *r, const struct val *v, const struct val *old)
{
    if (!str_is(json_str(v, "metadata.name"), node))
        return refuse(c, node, "make or change another node");
    if (changes_kept(json_path(v, "metadata.labels"), json_path(old, "metadata.labels")))
        return refuse(c, node, "change labels of " KEPT);
    bool update = strcmp(r->verb, "create") != 0;
    if (update && !r->subresource[0] && !same_member(json_get(v, STR("spec")), json_get(old, STR("spec")), STR("taints")))
        return refuse(c, node, "change its taints");
    if (update && !val_equal(json_path(v, "metadata.ownerReferences"), json_path(old, "metadata.ownerReferences")) &&
        json_path(v, "metadata.ownerReferences"))
        return refuse(c, node, "change its owners");
    return 0;
}

static int review_pod(struct kl_call *c, const char *node, const struct kl_request *r, const struct val *v)
{
    if (strcmp(r->verb, "create") != 0 || r->subresource[0])
        return 0;
    if (!json_get(json_path(v, "metadata.annotations"), STR("kubernetes.io/config.mirror")))
        return refuse(c, node, "make pods other than mirror pods");
    if (!str_is(json_str(v, "spec.nodeName"), node))
        return refuse(c, node, "make pods of another node");
    if (json_path(v, "spec.serviceAccountName") && json_str(v, "spec.serviceAccountName").len)
        return refuse(c, node, "make pods with a service account");
    return 0;
}

int restrict_review(struct kl_call *c, const char *node, const struct kl_admission_review *r)
{
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    struct val *v = a ? json_parse(a, str_n(r->object.at, r->object.len), &c->err) : NULL;
    struct val *old = v && r->old_object.len ? json_parse(a, str_n(r->old_object.at, r->old_object.len), &c->err) : NULL;
    if (!v || (r->old_object.len && !old))
        return kl_fail(c, KL_NO_MEMORY, "the object cannot be read");
    if (strcmp(r->request->resource, "nodes") == 0)
        return review_node(c, node, r->request, v, old);
    if (strcmp(r->request->resource, "pods") == 0)
        return review_pod(c, node, r->request, v);
    if (!str_is(json_str(v, "metadata.name"), node))
        return refuse(c, node, "make or change the lease of another node");
    return 0;
}
