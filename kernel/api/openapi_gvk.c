/* openapi_gvk.c - x-kubernetes-group-version-kind of types: by which kinds clients know them. */
#include "openapi-internal.h"

/* Types that are no kinds: by what they are known. Options are known in each group. */
#define META "io.k8s.apimachinery.pkg.apis.meta.v1."
static const struct {
    const char *name, *group;
    bool everywhere;
} named[] = { { META "APIGroup", "", false },
              { META "APIGroupList", "", false },
              { META "APIResourceList", "", false },
              { META "APIVersions", "", false },
              { META "DeleteOptions", "", true },
              { META "Status", "", false },
              { META "WatchEvent", "", true },
              { "io.k8s.api.authentication.v1.TokenRequest", "authentication.k8s.io", false },
              { "io.k8s.api.autoscaling.v1.Scale", "autoscaling", false },
              { "io.k8s.api.policy.v1.Eviction", "policy", false } };

/* Groups and versions that upstream knows options in: those of its libraries, whether they are served or not. "!": where custom resources are, it does not. */
static const char *const known[] = {
    "!admission.k8s.io/v1", "!admission.k8s.io/v1beta1", "admissionregistration.k8s.io/v1", "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1", "!apiextensions.k8s.io/v1", "!apiextensions.k8s.io/v1beta1", "!apiregistration.k8s.io/v1",
    "!apiregistration.k8s.io/v1beta1", "apps/v1", "apps/v1beta1", "apps/v1beta2", "authentication.k8s.io/v1", "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1", "authorization.k8s.io/v1", "authorization.k8s.io/v1beta1", "autoscaling/v1", "autoscaling/v2", "batch/v1",
    "batch/v1beta1", "certificates.k8s.io/v1", "certificates.k8s.io/v1alpha1", "certificates.k8s.io/v1beta1", "coordination.k8s.io/v1",
    "coordination.k8s.io/v1alpha2", "coordination.k8s.io/v1beta1", "discovery.k8s.io/v1", "discovery.k8s.io/v1beta1", "events.k8s.io/v1",
    "events.k8s.io/v1beta1", "extensions/v1beta1", "flowcontrol.apiserver.k8s.io/v1", "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2", "flowcontrol.apiserver.k8s.io/v1beta3", "!imagepolicy.k8s.io/v1alpha1", "internal.apiserver.k8s.io/v1alpha1",
    "networking.k8s.io/v1", "networking.k8s.io/v1beta1", "node.k8s.io/v1", "node.k8s.io/v1alpha1", "node.k8s.io/v1beta1", "policy/v1", "policy/v1beta1",
    "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1alpha1", "rbac.authorization.k8s.io/v1beta1", "resource.k8s.io/v1",
    "resource.k8s.io/v1alpha3", "resource.k8s.io/v1beta1", "resource.k8s.io/v1beta2", "scheduling.k8s.io/v1", "scheduling.k8s.io/v1alpha2",
    "scheduling.k8s.io/v1beta1", "storage.k8s.io/v1", "storage.k8s.io/v1alpha1", "storage.k8s.io/v1beta1", "storagemigration.k8s.io/v1beta1",
};

/* A document of a group knows options in that group, other documents in all that there are. */
static void add_everywhere(struct openapi *d, const char *kind, struct val *list)
{
    if (d->form == 3 && !d->custom) {
        if (d->group.len)
            val_push(list, openapi_gvk(d->a, arena_dup(d->a, d->group), arena_dup(d->a, d->version), kind));
        return;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct str version = str_of(known[i]), group;
        if (version.at[0] == '!' && d->custom)
            continue;
        version = str_skip(version, version.at[0] == '!');
        group = str_cut(&version, '/');
        val_push(list, openapi_gvk(d->a, arena_dup(d->a, group), arena_dup(d->a, version), kind));
    }
}

struct val *openapi_gvk(struct arena *a, const char *group, const char *version, const char *kind)
{
    struct val *v = val_new(a, VAL_OBJ);
    openapi_put(a, v, "group", group);
    openapi_put(a, v, "kind", kind);
    openapi_put(a, v, "version", version);
    return v;
}

void openapi_add_gvks(struct openapi *d, const struct schema_type *t, struct val *v)
{
    for (size_t i = 0; i < sizeof named / sizeof *named && !t->custom; i++) {
        if (strcmp(named[i].name, t->name) != 0)
            continue;
        struct val *list = json_arr(d->a, v, STR("x-kubernetes-group-version-kind"));
        val_push(list, openapi_gvk(d->a, named[i].group, "v1", t->go));
        if (named[i].everywhere)
            add_everywhere(d, t->go, list);
    }
    for (size_t i = 0; i < schema_n_kinds(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        if (k->type != t && k->list_type != t)
            continue;
        const char *kind = k->type == t ? k->kind : arena_printf(d->a, "%sList", k->kind);
        val_push(json_arr(d->a, v, STR("x-kubernetes-group-version-kind")), openapi_gvk(d->a, k->group, k->version, kind));
        if (t->custom)
            openapi_add_selectable(d, k, v);
    }
}
