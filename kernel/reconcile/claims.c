/* claims.c - see claims.h. */
#include "reconcile/claims.h"

#include <stdlib.h>

#include "base/json_scan.h"
#include "base/quantity.h"

#define CLAIMS  STR("/persistentvolumeclaims")
#define VOLUMES STR("/persistentvolumes")
#define CLASSES STR("storage.k8s.io/storageclasses")
#define SELECTED_NODE "volume.kubernetes.io/selected-node"
#define BOUND_BY_CONTROLLER "pv.kubernetes.io/bound-by-controller"
#define BIND_COMPLETED "pv.kubernetes.io/bind-completed"

static struct str annotation(const struct val *v, const char *key)
{
    return val_str(json_get(json_path(v, "metadata.annotations"), str_of(key)));
}

static const struct val *read(struct claims *x, struct str resource, struct str ns, struct str name)
{
    struct store_object *o = store_head(x->store, resource, ns, name);
    const struct val *v = o ? json_parse(x->arena, store_object_json(o), NULL) : NULL;
    x->failed |= o && !v;
    return v;
}

static struct str class_of(const struct val *v)
{
    struct str old = annotation(v, "volume.beta.kubernetes.io/storage-class");
    return old.len ? old : json_str(v, "spec.storageClassName");
}

/* --- free volumes --- */

static int64_t capacity_of(const struct val *volume)
{
    return quantity_text_value(json_str(volume, "spec.capacity.storage"), 0);
}

static struct str mode_of(const struct val *v)
{
    struct str mode = json_str(v, "spec.volumeMode");
    return mode.len ? mode : STR("Filesystem");
}

static bool fit_for(const struct val *volume, const struct val *claim)
{
    const struct val *modes = json_path(claim, "spec.accessModes"), *selector = json_path(claim, "spec.selector");
    if (!str_is(json_str(volume, "status.phase"), "Available") || json_path(volume, "metadata.deletionTimestamp") || json_path(volume, "spec.claimRef") ||
        capacity_of(volume) < quantity_text_value(json_str(claim, "spec.resources.requests.storage"), 0) || !str_eq(class_of(volume), class_of(claim)) ||
        !str_eq(mode_of(volume), mode_of(claim)))
        return false;
    if (val_is(modes, VAL_ARR))
        val_each(m, modes)
            if (!json_lists(json_path(volume, "spec.accessModes"), val_str(m)))
                return false;
    return !selector || filter_selector_matches(selector, json_path(volume, "metadata.labels"));
}

struct looking {
    struct claims *x;
    const struct val *claim, **at;
    size_t n, cap;
};

/* The end of the list stays NULL. */
static bool more_room(struct looking *l)
{
    const struct val **at = arena_alloc(l->x->arena, 2 * l->cap * sizeof *at);
    if (at) {
        memcpy(at, l->at, l->n * sizeof *at);
        l->at = at;
        l->cap *= 2;
    }
    return at != NULL;
}

static bool add_volume(void *ctx, struct store_object *o)
{
    struct looking *l = ctx;
    if (!str_eq(json_scan_text(json_scan_path(store_object_json(o), "spec.storageClassName")), class_of(l->claim)))
        return true;
    const struct val *v = json_parse(l->x->arena, store_object_json(o), NULL);
    l->x->failed |= !v || (l->n + 1 == l->cap && !more_room(l));
    if (!l->x->failed && fit_for(v, l->claim))
        l->at[l->n++] = v;
    return true;
}

static int smaller_first(const void *a, const void *b)
{
    int64_t x = capacity_of(*(const struct val *const *)a), y = capacity_of(*(const struct val *const *)b);
    return (x > y) - (x < y);
}

static void find_free(struct claims *x, struct claim_need *need)
{
    struct looking l = { .x = x, .claim = need->claim, .cap = 16 };
    l.at = arena_alloc(x->arena, l.cap * sizeof *l.at);
    x->failed |= !l.at;
    if (l.at) {
        store_list(x->store, &(struct store_range){ .resource = VOLUMES, .head = true }, add_volume, &l);
        qsort(l.at, l.n, sizeof *l.at, smaller_first);
    }
    need->fit = l.at;
}

/* --- one claim --- */

struct other_pod {
    struct str ns, claim, uid;
    bool found;
};

static bool uses_it(void *ctx, struct store_object *o)
{
    struct other_pod *p = ctx;
    struct str json = store_object_json(o), spec = store_object_from(o, store_object_places(o)->spec), phase = json_scan_text(json_scan_path(json, "status.phase"));
    struct str node = json_scan_text(json_scan_member(spec, STR("nodeName"))), volumes = json_scan_member(spec, STR("volumes")), one;
    if (!node.len || str_eq(store_object_uid(o), p->uid) || str_is(phase, "Succeeded") || str_is(phase, "Failed"))
        return true;
    for (struct str list = volumes; list.len && !p->found && json_scan_item(&list, &one);)
        p->found = str_eq(json_scan_text(json_scan_path(one, "persistentVolumeClaim.claimName")), p->claim);
    return !p->found;
}

static bool taken(const struct claims *x, const struct val *claim, const struct val *pod)
{
    struct other_pod p = { json_str(claim, "metadata.namespace"), json_str(claim, "metadata.name"), json_str(pod, "metadata.uid"), false };
    if (json_lists(json_path(claim, "spec.accessModes"), STR("ReadWriteOncePod")))
        store_list(x->store, &(struct store_range){ .resource = STR("/pods"), .ns = p.ns, .head = true }, uses_it, &p);
    return p.found;
}

static bool owned_by(const struct val *claim, const struct val *pod)
{
    return str_eq(pod_owner_uid(claim), json_str(pod, "metadata.uid"));
}

static const char *read_claim(struct claims *x, struct claim_need *need, const struct val *pod, struct str name, bool ephemeral)
{
    struct arena *a = x->arena;
    need->claim = read(x, CLAIMS, json_str(pod, "metadata.namespace"), name);
    if (!need->claim)
        return ephemeral ? arena_printf(a, "waiting for ephemeral volume controller to create the persistentvolumeclaim \"" STR_FMT "\"", STR_ARG(name))
                         : arena_printf(a, "persistentvolumeclaim \"" STR_FMT "\" not found", STR_ARG(name));
    if (json_path(need->claim, "metadata.deletionTimestamp"))
        return arena_printf(a, "persistentvolumeclaim \"" STR_FMT "\" is being deleted", STR_ARG(name));
    if (ephemeral && !owned_by(need->claim, pod))
        return arena_printf(a, "PVC " STR_FMT " was not created for pod " STR_FMT " (pod is not owner)", STR_ARG(name), STR_ARG(json_str(pod, "metadata.name")));
    if (str_is(json_str(need->claim, "status.phase"), "Lost"))
        return arena_printf(a, "persistentvolumeclaim \"" STR_FMT "\" bound to non-existent persistentvolume \"" STR_FMT "\"", STR_ARG(name),
                            STR_ARG(json_str(need->claim, "spec.volumeName")));
    if ((x->taken = taken(x, need->claim, pod)))
        return "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
    struct str volume = json_str(need->claim, "spec.volumeName");
    if (volume.len && annotation(need->claim, BIND_COMPLETED).at) {
        need->volume = read(x, VOLUMES, STR(""), volume);
        return need->volume ? NULL : arena_printf(a, "persistentvolume \"" STR_FMT "\" not found", STR_ARG(volume));
    }
    need->class = class_of(need->claim).len ? read(x, CLASSES, STR(""), class_of(need->claim)) : NULL;
    if (volume.len || !str_is(json_str(need->class, "volumeBindingMode"), "WaitForFirstConsumer"))
        return "pod has unbound immediate PersistentVolumeClaims";
    need->selected = annotation(need->claim, SELECTED_NODE);
    find_free(x, need);
    return NULL;
}

const char *claims_read(struct claims *x, struct store *s, struct arena *a, const struct val *pod)
{
    const struct val *list = json_path(pod, "spec.volumes");
    const char *why = NULL;
    *x = (struct claims){ .store = s, .arena = a };
    if (!val_is(list, VAL_ARR))
        return NULL;
    for (const struct val *v = list->first; v && !why; v = v->next) {
        bool ephemeral = json_get(v, STR("ephemeral")) != NULL;
        struct str name = json_str(v, "persistentVolumeClaim.claimName");
        if (ephemeral)
            name = str_of(arena_printf(a, STR_FMT "-" STR_FMT, STR_ARG(json_str(pod, "metadata.name")), STR_ARG(json_str(v, "name"))));
        if (!name.len)
            continue;
        x->any = true;
        if (!x->at && !(x->at = arena_alloc(a, list->n * sizeof *x->at)))
            return "out of memory";
        why = read_claim(x, &x->at[x->n++], pod, name, ephemeral);
    }
    return x->failed ? "out of memory" : why;
}

/* --- nodes --- */

static bool reachable(const struct val *volume, const struct ledger_node *n)
{
    const struct val *required = json_path(volume, "spec.nodeAffinity.required");
    return !required || filter_terms_match(json_get(required, STR("nodeSelectorTerms")), n);
}

/* allowedTopologies of a class: its terms' matchLabelExpressions. */
static bool topology_allows(const struct val *class, const struct ledger_node *n)
{
    const struct val *terms = json_get(class, STR("allowedTopologies")), *labels = json_path(n->tree, "metadata.labels");
    if (!val_is(terms, VAL_ARR) || !terms->n)
        return true;
    val_each(t, terms) {
        const struct val *all = json_get(t, STR("matchLabelExpressions"));
        bool ok = val_is(all, VAL_ARR);
        for (const struct val *e = ok ? all->first : NULL; e && ok; e = e->next)
            ok = json_lists(json_get(e, STR("values")), val_str(json_get(labels, json_str(e, "key"))));
        if (ok)
            return true;
    }
    return false;
}

static bool chosen_before(const struct val *const *chosen, unsigned n, const struct val *volume)
{
    for (unsigned i = 0; i < n; i++)
        if (chosen[i] && str_eq(json_str(chosen[i], "metadata.name"), json_str(volume, "metadata.name")))
            return true;
    return false;
}

/* The volume for the i-th claim there; NULL: none is free. chosen: those of the claims before. */
static const struct val *volume_on(const struct claims *x, unsigned i, const struct ledger_node *n, const struct val *const *chosen)
{
    for (const struct val **v = x->at[i].fit; *v; v++)
        if (reachable(*v, n) && !chosen_before(chosen, i, *v))
            return *v;
    return NULL;
}

static bool can_make(const struct claim_need *need, const struct ledger_node *n)
{
    struct str by = json_str(need->class, "provisioner");
    return by.len && !str_is(by, "kubernetes.io/no-provisioner") && topology_allows(need->class, n);
}

const char *claims_fit(const struct claims *x, const struct ledger_node *n)
{
    const struct val **chosen = x->n ? arena_alloc(x->arena, x->n * sizeof *chosen) : NULL;
    for (unsigned i = 0; i < x->n; i++) {
        const struct claim_need *need = &x->at[i];
        if (!chosen)
            return "out of memory";
        if (need->volume) {
            if (!reachable(need->volume, n))
                return "node(s) didn't match PersistentVolume's node affinity";
            continue;
        }
        if (need->selected.len) {
            if (!str_is(need->selected, n->name))
                return "node(s) were not chosen for a volume that is being provisioned";
            continue;
        }
        chosen[i] = volume_on(x, i, n, chosen);
        if (!chosen[i] && !can_make(need, n))
            return "node(s) didn't find available persistent volumes to bind";
    }
    return NULL;
}

/* --- asking --- */

static int patch(struct objects *o, const char *who, struct kl_call *c, struct kl_object_key k, const char *text)
{
    if (!text || !k.name || !k.ns)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    return o->ops->patch(o, who, c, &k, KL_PATCH_MERGE, (struct kl_bytes){ text, strlen(text) }, NULL);
}

static int select_node(const struct claims *x, const struct claim_need *need, const char *node, struct objects *o, const char *who, struct kl_call *c)
{
    struct arena *a = x->arena;
    struct kl_object_key k = { sizeof k, "/persistentvolumeclaims", arena_dup(a, json_str(need->claim, "metadata.namespace")), arena_dup(a, json_str(need->claim, "metadata.name")), NULL };
    const char *quote = node ? "\"" : "";
    return patch(o, who, c, k, arena_printf(a, "{\"metadata\":{\"uid\":\"" STR_FMT "\",\"annotations\":{\"" SELECTED_NODE "\":%s%s%s}}}",
                                            STR_ARG(json_str(need->claim, "metadata.uid")), quote, node ? node : "null", quote));
}

static int take_volume(const struct claims *x, const struct claim_need *need, const struct val *volume, struct objects *o, const char *who, struct kl_call *c)
{
    struct arena *a = x->arena;
    struct kl_object_key k = { sizeof k, "/persistentvolumes", "", arena_dup(a, json_str(volume, "metadata.name")), NULL };
    const struct val *meta = json_get(need->claim, STR("metadata"));
    return patch(o, who, c, k,
                 arena_printf(a, "{\"metadata\":{\"resourceVersion\":\"" STR_FMT "\",\"annotations\":{\"" BOUND_BY_CONTROLLER "\":\"yes\"}},\"spec\":{\"claimRef\":{\"kind\":"
                              "\"PersistentVolumeClaim\",\"apiVersion\":\"v1\",\"namespace\":\"" STR_FMT "\",\"name\":\"" STR_FMT "\",\"uid\":\"" STR_FMT
                              "\",\"resourceVersion\":\"" STR_FMT "\"}}}", STR_ARG(json_str(volume, "metadata.resourceVersion")), STR_ARG(json_str(meta, "namespace")),
                              STR_ARG(json_str(meta, "name")), STR_ARG(json_str(meta, "uid")), STR_ARG(json_str(meta, "resourceVersion"))));
}

int claims_reserve(const struct claims *x, const struct ledger_node *n, struct objects *o, const char *who, struct kl_call *c)
{
    const struct val **chosen = x->n ? arena_alloc(x->arena, x->n * sizeof *chosen) : NULL;
    int all = 1, rc = 0;
    for (unsigned i = 0; i < x->n && rc >= 0; i++) {
        const struct claim_need *need = &x->at[i];
        if (!chosen)
            return kl_fail(c, KL_NO_MEMORY, "out of memory");
        if (need->volume)
            continue;
        all = 0;
        chosen[i] = need->selected.len ? NULL : volume_on(x, i, n, chosen);
        if (chosen[i])
            rc = take_volume(x, need, chosen[i], o, who, c);
        else if (!need->selected.len)
            rc = select_node(x, need, n->name, o, who, c);
    }
    return rc < 0 ? rc : all;
}

void claims_unselect(const struct claims *x, struct objects *o, const char *who, struct kl_call *c)
{
    for (unsigned i = 0; i < x->n; i++)
        if (x->at[i].selected.len && !x->at[i].volume)
            select_node(x, &x->at[i], NULL, o, who, c);
}
