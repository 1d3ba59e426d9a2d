/* storage.c - claims and volumes: a default class, the finalizers that keep what is in use, growth only where the class allows it. */
#include "base/clock.h"
#include "base/quantity.h"
#include "core.h"
#include "review.h"

/* --- default classes, of storage and of ingresses --- */

/* The newest class that an annotation makes the default one; of one age, the first by name. *ret NULL: none. */
static int default_class(struct review *w, const char *resource, const char *annotation, const char *beta, struct val **ret)
{
    struct kl_object_list list;
    int64_t newest = 0, made = 0;
    int rc = review_list(w, resource, NULL, &list);
    *ret = NULL;
    for (uint32_t i = 0; rc == 0 && i < list.n; i++) {
        struct val *v = json_parse(w->arena, str_n(list.at[i].at, list.at[i].len), &w->call->err);
        const struct val *notes = json_path(v, "metadata.annotations");
        if (!v)
            return -w->call->err.code;
        if (!str_is(val_str(json_get(notes, str_of(annotation))), "true") && !(beta && str_is(val_str(json_get(notes, str_of(beta))), "true")))
            continue;
        clock_parse(json_str(v, "metadata.creationTimestamp"), &made);
        if (!*ret || made > newest) {
            *ret = v;
            newest = made;
        }
    }
    return rc;
}

static int storage_class_rule(struct review *w)
{
    struct val *claim = review_object(w), *class;
    if (!claim)
        return review_no_memory(w);
    if (json_get(json_path(claim, "metadata.annotations"), STR("volume.beta.kubernetes.io/storage-class")) || json_path(claim, "spec.storageClassName"))
        return 0;
    int rc = default_class(w, "storage.k8s.io/storageclasses", "storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class", &class);
    if (rc == 0 && class)
        review_set(w, "/spec/storageClassName", val_of_str(w->arena, json_str(class, "metadata.name")));
    return rc;
}

static int ingress_class_rule(struct review *w)
{
    struct val *ingress = review_object(w), *class;
    if (!ingress)
        return review_no_memory(w);
    if (json_get(json_path(ingress, "metadata.annotations"), STR("kubernetes.io/ingress.class")) || json_path(ingress, "spec.ingressClassName"))
        return 0;
    int rc = default_class(w, "networking.k8s.io/ingressclasses", "ingressclass.kubernetes.io/is-default-class", NULL, &class);
    if (rc == 0 && class)
        review_set(w, "/spec/ingressClassName", val_of_str(w->arena, json_str(class, "metadata.name")));
    return rc;
}

/* --- in use --- */

static int storage_in_use_rule(struct review *w)
{
    static const char *const finalizers[][2] = { { "persistentvolumeclaims", "kubernetes.io/pvc-protection" }, { "persistentvolumes", "kubernetes.io/pv-protection" },
                                                 { "volumeattributesclasses", "kubernetes.io/vac-protection" } };
    struct val *v = review_object(w), *list = json_path(v, "metadata.finalizers");
    const char *name = NULL;
    if (!v)
        return review_no_memory(w);
    for (size_t i = 0; i < sizeof finalizers / sizeof *finalizers; i++)
        if (strcmp(w->r->request->resource, finalizers[i][0]) == 0)
            name = finalizers[i][1];
    for (const struct val *f = val_is(list, VAL_ARR) ? list->first : NULL; f; f = f->next)
        if (str_is(val_str(f), name))
            return 0;
    review_push(w, list, "/metadata/finalizers", val_of_str(w->arena, str_of(name)));
    return 0;
}

/* --- growth --- */

static int claim_resize_rule(struct review *w)
{
    struct val *now = review_object(w), *old = review_old(w), *class = NULL;
    struct quantity a = { 0 }, b = { 0 };
    if (!now || !old)
        return review_no_memory(w);
    if (!quantity_parse(json_str(now, "spec.resources.requests.storage"), &a) || !quantity_parse(json_str(old, "spec.resources.requests.storage"), &b) ||
        quantity_cmp(a, b) <= 0)
        return 0;
    if (!str_is(json_str(old, "status.phase"), "Bound"))
        return review_forbid(w, "Only bound persistent volume claims can be expanded");
    struct val *annotated = json_get(json_path(now, "metadata.annotations"), STR("volume.beta.kubernetes.io/storage-class"));
    struct str name = annotated ? val_str(annotated) : json_str(now, "spec.storageClassName");
    int rc = name.len ? review_get(w, "storage.k8s.io/storageclasses", "", name, &class) : 0;
    if (rc == 0 && !json_bool(class, "allowVolumeExpansion", false))
        rc = review_forbid(w, "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize");
    return rc;
}

#define TABLE(ID, OPERATIONS, MUTATES, ...) \
    static int ID##_review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret) \
    { \
        return review_run(self, c, r, ret, ID##_rule); \
    } \
    static const char *const ID##_resources[] = { __VA_ARGS__, NULL }; \
    const struct kl_admission ID##_admission = { .size = sizeof(struct kl_admission), .life = { .open = core_open, .close = core_close }, \
                                                 .resources = ID##_resources, .operations = OPERATIONS, .mutates = MUTATES, .review = ID##_review }
TABLE(storage_class, "CREATE", 1, "/persistentvolumeclaims");
TABLE(ingress_class, "CREATE", 1, "networking.k8s.io/ingresses");
TABLE(storage_in_use, "CREATE", 1, "/persistentvolumeclaims", "/persistentvolumes", "storage.k8s.io/volumeattributesclasses");
TABLE(claim_resize, "UPDATE", 0, "/persistentvolumeclaims");
