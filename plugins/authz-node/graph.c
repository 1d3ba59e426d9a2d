/* graph.c - what the pods of a node use. Looked up when asked: a node has few pods, and asks rarely. */
#include "node.h"

/* {"secretName"...}: does the member `group`.`key` of v name it? */
static bool names(const struct val *v, const char *group, const char *key, struct str name)
{
    const struct val *g = group ? json_get(v, str_of(group)) : v;
    struct str s = val_str(json_get(g, str_of(key)));
    return s.len && str_eq(s, name);
}

static bool source_uses(const struct val *source, enum used what, struct str name)
{
    if (what == USED_SECRET)
        return names(source, "secret", "name", name);
    return what == USED_CONFIGMAP && names(source, "configMap", "name", name);
}

static bool any_source(const struct val *projected, enum used what, struct str name)
{
    const struct val *list = json_get(projected, STR("sources"));
    if (val_is(list, VAL_ARR))
        val_each(s, list)
            if (source_uses(s, what, name))
                return true;
    return false;
}

/* Plugins of storage that name a secret of the pod's namespace. */
static bool volume_secret(const struct val *v, struct str name)
{
    static const char *const kinds[] = { "csi", "cephfs", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos", "azureFile" };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct val *k = json_get(v, str_of(kinds[i]));
        if (names(k, "secretRef", "name", name) || names(k, "nodePublishSecretRef", "name", name) || names(k, NULL, "secretName", name))
            return true;
    }
    return names(v, "secret", "secretName", name);
}

static bool volume_uses(const struct val *pod, const struct val *v, enum used what, struct str name)
{
    if (any_source(json_get(v, STR("projected")), what, name))
        return true;
    switch (what) {
    case USED_SECRET: return volume_secret(v, name);
    case USED_CONFIGMAP: return names(v, "configMap", "name", name);
    case USED_CLAIM: break;
    case USED_ACCOUNT: return false;
    }
    if (names(v, "persistentVolumeClaim", "claimName", name))
        return true;
    /* A claim of the pod's own has the pod's and the volume's name. */
    struct str p = json_str(pod, "metadata.name"), n = json_str(v, "name");
    return json_get(v, STR("ephemeral")) && name.len == p.len + n.len + 1 && str_starts(name, p) && name.at[p.len] == '-' && str_ends(name, n);
}

static bool container_uses(const struct val *container, enum used what, struct str name)
{
    const char *key = what == USED_SECRET ? "secretKeyRef" : "configMapKeyRef", *all = what == USED_SECRET ? "secretRef" : "configMapRef";
    const struct val *env = json_get(container, STR("env")), *from = json_get(container, STR("envFrom"));
    if (val_is(env, VAL_ARR))
        val_each(e, env)
            if (names(json_get(e, STR("valueFrom")), key, "name", name))
                return true;
    if (val_is(from, VAL_ARR))
        val_each(e, from)
            if (names(e, all, "name", name))
                return true;
    return false;
}

bool pod_uses(const struct val *pod, enum used what, struct str name)
{
    static const char *const lists[] = { "containers", "initContainers", "ephemeralContainers" };
    const struct val *spec = json_get(pod, STR("spec")), *volumes = json_get(spec, STR("volumes")), *pull = json_get(spec, STR("imagePullSecrets"));
    if (what == USED_ACCOUNT)
        return str_eq(json_str(spec, "serviceAccountName"), name);
    if (val_is(volumes, VAL_ARR))
        val_each(v, volumes)
            if (volume_uses(pod, v, what, name))
                return true;
    if (what == USED_SECRET && val_is(pull, VAL_ARR))
        val_each(p, pull)
            if (names(p, NULL, "name", name))
                return true;
    for (int i = 0; i < 3 && what != USED_CLAIM; i++) {
        const struct val *list = json_get(spec, str_of(lists[i]));
        if (val_is(list, VAL_ARR))
            val_each(c, list)
                if (container_uses(c, what, name))
                    return true;
    }
    return false;
}

/* Anywhere below. Trees are at most JSON_DEPTH deep. */
static bool holds_member(const struct val *v, struct str key)
{
    if (!val_is(v, VAL_OBJ) && !val_is(v, VAL_ARR))
        return false;
    val_each(m, v)
        if ((v->type == VAL_OBJ && str_eq(val_key(m), key) && m->type != VAL_NULL && !(m->type == VAL_ARR && !m->n)) || holds_member(m, key))
            return true;
    return false;
}

/* Does any volume, environment variable or other part name an object of the API? What kind, or NULL. */
const char *pod_references(const struct val *pod)
{
    static const char *const members[][2] = { { "secretKeyRef", "secrets" }, { "secretRef", "secrets" }, { "configMapKeyRef", "configmaps" },
                                              { "configMapRef", "configmaps" }, { "imagePullSecrets", "secrets" }, { "secretName", "secrets" },
                                              { "configMap", "configmaps" }, { "persistentVolumeClaim", "persistentvolumeclaims" },
                                              { "serviceAccountToken", "serviceaccounts" }, { "ephemeral", "persistentvolumeclaims" },
                                              { "resourceClaims", "resourceclaims" }, { "nodePublishSecretRef", "secrets" },
                                              { "clusterTrustBundle", "clustertrustbundles" }, { "podCertificate", "podcertificates" } };
    const struct val *spec = json_get(pod, STR("spec"));
    if (json_str(spec, "serviceAccountName").len || json_str(spec, "serviceAccount").len)
        return "serviceaccounts";
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (holds_member(spec, str_of(members[i][0])))
            return members[i][1];
    return NULL;
}

int graph_bound(const struct authz_node *x, struct kl_call *c, const char *node, const char *ns, const char *pod)
{
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct kl_object_key k = { sizeof k, "/pods", ns, pod, NULL };
    struct kl_bytes b = { NULL, 0 };
    struct kl_err ignored;
    kl_err_init(&ignored);
    if (!a)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    int rc = x->objects->get(x->host, c, &k, &b);
    if (rc == -KL_NOT_FOUND) {          /* the API says so itself */
        kl_err_init(&c->err);
        return 1;
    }
    return rc < 0 ? rc : str_is(json_str(json_parse(a, str_n(b.at, b.len), &ignored), "spec.nodeName"), node);
}

int graph_uses(const struct authz_node *x, struct kl_call *c, const char *node, enum used what, const char *ns, const char *name)
{
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    char selector[300];
    struct kl_object_list list = { .size = sizeof list };
    struct kl_list_options o = { .size = sizeof o, .resource = "/pods", .ns = ns, .field_selector = selector };
    struct kl_err ignored;
    kl_err_init(&ignored);
    snprintf(selector, sizeof selector, "spec.nodeName=%s", node);
    int rc = a ? x->objects->list(x->host, c, &o, &list) : kl_fail(c, KL_NO_MEMORY, "out of memory");
    for (uint32_t i = 0; rc == 0 && i < list.n; i++) {
        struct str text = str_n(list.at[i].at, list.at[i].len);
        if (what != USED_CLAIM && !memmem(text.at, text.len, name, strlen(name)))      /* cheap first; a claim's name may be put together */
            continue;
        if (pod_uses(json_parse(a, text, &ignored), what, str_of(name)))
            rc = 1;
    }
    return rc;
}

static int fetch(const struct authz_node *x, struct kl_call *c, struct arena *a, const char *resource, const char *name, struct val **ret)
{
    struct kl_object_key k = { sizeof k, resource, "", name, NULL };
    struct kl_bytes b = { NULL, 0 };
    int rc = a ? x->objects->get(x->host, c, &k, &b) : kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (rc == -KL_NOT_FOUND)
        kl_err_init(&c->err);
    *ret = rc == 0 ? json_parse(a, str_n(b.at, b.len), NULL) : NULL;
    return rc == -KL_NOT_FOUND ? 0 : rc;
}

int graph_volume(const struct authz_node *x, struct kl_call *c, const char *node, const char *name)
{
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *v;
    int rc = name[0] ? fetch(x, c, a, "/persistentvolumes", name, &v) : 0;
    const char *ns, *claim;
    if (rc < 0 || !name[0] || !v)
        return rc;
    ns = arena_dup(a, json_str(v, "spec.claimRef.namespace"));
    claim = arena_dup(a, json_str(v, "spec.claimRef.name"));
    return ns && claim && ns[0] && claim[0] ? graph_uses(x, c, node, USED_CLAIM, ns, claim) : 0;
}

int graph_attached(const struct authz_node *x, struct kl_call *c, const char *node, const char *name)
{
    _cleanup_arena_ struct arena *a = arena_new(16 << 20);
    struct val *v;
    int rc = name[0] ? fetch(x, c, a, "storage.k8s.io/volumeattachments", name, &v) : 0;
    return rc < 0 || !name[0] ? rc : str_is(json_str(v, "spec.nodeName"), node);
}
