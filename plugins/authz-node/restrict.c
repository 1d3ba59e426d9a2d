/* restrict.c - what a node may not put into the objects it may write, in upstream's words. */
#include "node.h"

struct check {
    const struct authz_node *x;
    struct kl_call *c;
    struct arena *arena;
    const char *node;
    const struct kl_request *r;
    const struct val *now, *old;
};

/* --- nodes --- */

/* Labels that say what a machine is are its own to give; any other of these groups steers pods, and is an administrator's. */
static bool may_give(struct str label)
{
    static const char *const own[] = { "kubernetes.io/hostname", "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
                                       "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region", "beta.kubernetes.io/instance-type",
                                       "node.kubernetes.io/instance-type", "kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/os",
                                       "beta.kubernetes.io/arch" };
    struct str rest = label, group = str_cut(&rest, '/');
    if (!rest.at)
        return true;
    if (str_is(group, "node-restriction.kubernetes.io") || str_ends(group, STR(".node-restriction.kubernetes.io")))
        return false;
    if (!str_is(group, "kubernetes.io") && !str_ends(group, STR(".kubernetes.io")) && !str_is(group, "k8s.io") && !str_ends(group, STR(".k8s.io")))
        return true;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (str_is(label, own[i]))
            return true;
    return str_is(group, "kubelet.kubernetes.io") || str_ends(group, STR(".kubelet.kubernetes.io")) || str_is(group, "node.kubernetes.io") ||
           str_ends(group, STR(".node.kubernetes.io"));
}

static void note_changed(struct buf *b, const struct val *from, const struct val *to)
{
    if (!val_is(from, VAL_OBJ))
        return;
    val_each(l, from) {
        const struct val *other = json_get(to, val_key(l));
        if (!may_give(val_key(l)) && !(other && val_equal(other, l)) && !(b->len && memmem(b->at, b->len, l->key, l->key_len)))
            buf_printf(b, "%s" STR_FMT, b->len ? ", " : "", STR_ARG(val_key(l)));
    }
}

/* NULL: none that is not the node's to give was added, changed or taken away. */
static const char *kept_labels(const struct check *k)
{
    const struct val *now = json_path(k->now, "metadata.labels"), *old = json_path(k->old, "metadata.labels");
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    note_changed(&b, now, old);
    note_changed(&b, old, now);
    return b.len || b.failed ? arena_dup(k->arena, b.failed ? STR("too many") : buf_str(&b)) : NULL;
}

static bool same(const struct check *k, const char *path)
{
    const struct val *a = json_path(k->now, path), *b = json_path(k->old, path);
    bool no_a = !a || ((a->type == VAL_ARR || a->type == VAL_OBJ) && !a->n), no_b = !b || ((b->type == VAL_ARR || b->type == VAL_OBJ) && !b->n);
    return no_a || no_b ? no_a == no_b : val_equal(a, b);
}

static int review_node(const struct check *k)
{
    struct str name = json_str(k->now, "metadata.name");
    bool update = k->old != NULL;
    if (!str_is(name, k->node))
        return kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" is not allowed to modify node \"" STR_FMT "\"", k->node, STR_ARG(name));
    if (json_path(k->now, "spec.configSource") && !same(k, "spec.configSource"))
        return kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" is not allowed to update configSource to a new non-nil configSource", k->node);
    if (update && !same(k, "spec.taints"))
        return kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" is not allowed to modify taints", k->node);
    if (update && !same(k, "metadata.ownerReferences"))
        return kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" is not allowed to modify ownerReferences", k->node);
    const char *labels = kept_labels(k);
    if (labels && update)
        return kl_fail(k->c, KL_FORBIDDEN, "is not allowed to modify labels: %s", labels);
    return labels ? kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" is not allowed to set the following labels: %s", k->node, labels) : 0;
}

/* --- pods --- */

/* The node's own object owns its mirror pods, so that they go with it. */
static int review_owner(const struct check *k)
{
    const struct val *list = json_path(k->now, "metadata.ownerReferences");
    struct kl_object_key key = { sizeof key, "/nodes", "", k->node, NULL };
    struct kl_bytes b;
    if (!val_is(list, VAL_ARR) || list->n != 1)
        return kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" can only create pods with %s owner reference set to itself", k->node,
                       val_is(list, VAL_ARR) && list->n ? "a single" : "an");
    const struct val *o = list->first;
    if (!str_is(json_str(o, "apiVersion"), "v1") || !str_is(json_str(o, "kind"), "Node") || !str_is(json_str(o, "name"), k->node))
        return kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" can only create pods with an owner reference set to itself", k->node);
    if (!json_bool(o, "controller", false))
        return kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" can only create pods with a controller owner reference set to itself", k->node);
    if (json_bool(o, "blockOwnerDeletion", false))
        return kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" must not set blockOwnerDeletion on an owner reference", k->node);
    int rc = k->x->objects->get(k->x->host, k->c, &key, &b);
    if (rc < 0)
        return rc;
    struct str uid = json_str(json_parse(k->arena, str_n(b.at, b.len), NULL), "metadata.uid");
    return str_eq(uid, json_str(o, "uid")) ? 0 :
           kl_fail(k->c, KL_FORBIDDEN, "node %s UID mismatch: expected " STR_FMT " got " STR_FMT, k->node, STR_ARG(json_str(o, "uid")), STR_ARG(uid));
}

static int review_mirror(const struct check *k)
{
    if (!json_get(json_path(k->now, "metadata.annotations"), STR("kubernetes.io/config.mirror")))
        return kl_fail(k->c, KL_FORBIDDEN, "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"%s\" can only create mirror pods", k->node);
    if (!str_is(json_str(k->now, "spec.nodeName"), k->node))
        return kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" can only create pods with spec.nodeName set to itself", k->node);
    int rc = review_owner(k);
    if (rc < 0)
        return rc;
    const char *what = pod_references(k->now);
    return what ? kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" can not create pods that reference %s", k->node, what) : 0;
}

static int review_pod(const struct check *k)
{
    if (!k->r->subresource[0])
        return strcmp(k->r->verb, "create") == 0 ? review_mirror(k) : 0;
    if (!str_is(json_str(k->old, "spec.nodeName"), k->node))
        return kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" can only update pod status for pods with spec.nodeName set to itself", k->node);
    if (!same(k, "metadata.labels"))
        return kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" cannot update labels through pod status", k->node);
    return same(k, "status.resourceClaimStatuses") ? 0 : kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" cannot update resource claim statues", k->node);
}

/* --- others --- */

static int review_claim(const struct check *k)
{
    static const char *const own[] = { "capacity", "conditions", "allocatedResources", "allocatedResourceStatuses" };
    struct val *now = val_copy(k->arena, k->now), *old = val_copy(k->arena, k->old);
    for (int i = 0; i < 2; i++) {
        struct val *v = i ? old : now;
        json_del(json_get(v, STR("metadata")), STR("resourceVersion"));
        json_del(json_get(v, STR("metadata")), STR("managedFields"));
        for (int m = 0; m < 4; m++)
            json_del(json_get(v, STR("status")), str_of(own[m]));
    }
    return now && old && val_equal(now, old) ? 0 :
           kl_fail(k->c, KL_FORBIDDEN, "node \"%s\" is not allowed to update fields other than status.quantity and status.conditions", k->node);
}

/* The audiences that a pod's own volumes ask for; what needs a driver's is a volume's matter, and refused until one of ours does. */
static bool pod_wants(const struct val *pod, struct str audience)
{
    const struct val *volumes = json_path(pod, "spec.volumes");
    if (val_is(volumes, VAL_ARR))
        val_each(v, volumes) {
            const struct val *sources = json_path(v, "projected.sources");
            if (val_is(sources, VAL_ARR))
                val_each(s, sources)
                    if (json_get(s, STR("serviceAccountToken")) && str_eq(json_str(s, "serviceAccountToken.audience"), audience))
                        return true;
        }
    return false;
}

/* A token of a node is for a pod of its own, by uid, and for whom the pod wants it. */
static int review_token(const struct check *k)
{
    const struct val *ref = json_path(k->now, "spec.boundObjectRef"), *audiences = json_path(k->now, "spec.audiences");
    struct str name = json_str(ref, "name"), uid = json_str(ref, "uid"), audience = STR("");
    struct kl_object_key key = { sizeof key, "/pods", k->r->ns, arena_dup(k->arena, name), NULL };
    struct kl_bytes b;
    if (strcmp(k->r->verb, "create") != 0)
        return 0;
    if (!str_is(json_str(ref, "apiVersion"), "v1") || !str_is(json_str(ref, "kind"), "Pod") || !name.len || !key.name)
        return kl_fail(k->c, KL_FORBIDDEN, "node requested token not bound to a pod");
    if (!uid.len)
        return kl_fail(k->c, KL_FORBIDDEN, "node requested token with a pod binding without a uid");
    int rc = k->x->objects->get(k->x->host, k->c, &key, &b);
    if (rc < 0)
        return rc;
    const struct val *pod = json_parse(k->arena, str_n(b.at, b.len), NULL);
    if (!str_eq(json_str(pod, "metadata.uid"), uid))
        return kl_fail(k->c, KL_FORBIDDEN, "the UID in the bound object reference (" STR_FMT ") does not match the UID in record. The object might have been "
                       "deleted and then recreated", STR_ARG(uid));
    if (!str_is(json_str(pod, "spec.nodeName"), k->node))
        return kl_fail(k->c, KL_FORBIDDEN, "node requested token bound to a pod scheduled on a different node");
    if (val_is(audiences, VAL_ARR) && audiences->n > 1)
        return kl_fail(k->c, KL_FORBIDDEN, "node may only request 0 or 1 audiences");
    if (val_is(audiences, VAL_ARR) && audiences->n)
        audience = val_str(audiences->first);
    return pod_wants(pod, audience) ? 0 :
           kl_fail(k->c, KL_FORBIDDEN, "audience \"" STR_FMT "\" not found in pod spec volume, " NODE_PREFIX "%s is not authorized to request tokens for this audience",
                   STR_ARG(audience), k->node);
}

static int review_named(const struct check *k, const char *what)
{
    return str_is(json_str(k->now, "metadata.name"), k->node) ? 0 :
           kl_fail(k->c, KL_FORBIDDEN, "can only access %s with the same name as the requesting node", what);
}

int restrict_review(const struct authz_node *x, struct kl_call *c, const char *node, const struct kl_admission_review *r)
{
    static const struct {
        const char *resource, *what;
        int (*review)(const struct check *k);
    } rows[] = { { "nodes", NULL, review_node }, { "pods", NULL, review_pod }, { "persistentvolumeclaims", NULL, review_claim },
                 { "serviceaccounts", NULL, review_token },
                 { "leases", "node lease", NULL }, { "csinodes", "CSINode", NULL } };
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    struct check k = { .x = x, .c = c, .arena = a, .node = node, .r = r->request };
    k.now = a ? json_parse(a, str_n(r->object.at, r->object.len), &c->err) : NULL;
    k.old = k.now && r->old_object.len ? json_parse(a, str_n(r->old_object.at, r->old_object.len), &c->err) : NULL;
    if (!k.now || (r->old_object.len && !k.old))
        return kl_fail(c, KL_NO_MEMORY, "the object cannot be read");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].resource, r->request->resource) == 0)
            return rows[i].review ? rows[i].review(&k) : review_named(&k, rows[i].what);
    return 0;
}
