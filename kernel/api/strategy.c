/* strategy.c - what upstream's per-kind strategies do around a write: which parts an endpoint may change, and generation. What is
 * of one kind alone: strategy_kinds.c. */
#include "api-internal.h"
#include "base/clock.h"
#include "base/env.h"

void api_new_uid(char ret[37])
{
    unsigned char r[16];
    env_random(r, sizeof r);
    static const char hex[] = "0123456789abcdef";
    r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);
    r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *ret++ = '-';
        *ret++ = hex[r[i] >> 4];
        *ret++ = hex[r[i] & 15];
    }
    *ret = '\0';
}

bool api_is_kind(const struct schema_kind *k, const char *group, const char *kind)
{
    return strcmp(kind, k->kind) == 0 && strcmp(group, k->group) == 0;
}

static int has_memory(struct api_op *op)
{
    return arena_exhausted(op->arena) ? api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory") : 0;
}

int api_prepare_create(struct api_op *op, struct val *v)
{
    api_kind_create(op, v);
    return has_memory(op);
}

/* --- updates --- */

static void keep(struct arena *a, struct val *v, const struct val *old, const char *member)
{
    struct val *was = json_get(old, str_of(member));
    json_del(v, str_of(member));
    if (was)
        json_set(a, v, str_of(member), val_copy(a, was));
}

/* What no client may change. */
static void keep_metadata(struct api_op *op, struct val *v, const struct val *old)
{
    static const char *const members[] = { "uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "name", "namespace" };
    struct val *m = json_obj(op->arena, v, STR("metadata")), *om = json_get(old, STR("metadata"));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        keep(op->arena, m, om, members[i]);
    if (!op->dry_run)                   /* what is stored has none */
        json_del(m, STR("selfLink"));
}

/* metav1.ResetObjectMetaForStatus: who writes a part owns nothing of the metadata. */
static void only_metadata(struct arena *a, struct val *v, const struct val *old)
{
    static const char *const members[] = { "ownerReferences", "finalizers", "labels", "annotations" };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        keep(a, json_obj(a, v, STR("metadata")), json_get(old, STR("metadata")), members[i]);
}

/* What of the metadata a write of the status may not change, by kind; "*": nothing of it. All else may change, as upstream has it. */
static const struct {
    const char *group, *kind, *member;
} status_keeps[] = {
    { "", "Pod", "ownerReferences" },
    { "apps", "Deployment", "labels" },
    { "networking.k8s.io", "ServiceCIDR", "*" },
    { "resource.k8s.io", "ResourceClaim", "*" },
    { "storage.k8s.io", "VolumeAttachment", "*" },
    { "admissionregistration.k8s.io", "ValidatingAdmissionPolicy", "*" },
    { "flowcontrol.apiserver.k8s.io", "FlowSchema", "*" },
    { "flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", "*" },
    { "apiextensions.k8s.io", "CustomResourceDefinition", "*" },
    { "apiregistration.k8s.io", "APIService", "*" },
};

static void keep_for_status(struct api_op *op, struct val *v, const struct val *old)
{
    const char *member = op->kind->flags & K_CUSTOM ? "*" : NULL;
    for (size_t i = 0; i < sizeof status_keeps / sizeof *status_keeps && !member; i++)
        if (strcmp(status_keeps[i].kind, op->kind->kind) == 0 && strcmp(status_keeps[i].group, op->kind->group) == 0)
            member = status_keeps[i].member;
    if (member && member[0] == '*')
        only_metadata(op->arena, v, old);
    else if (member)
        keep(op->arena, json_obj(op->arena, v, STR("metadata")), json_get(old, STR("metadata")), member);
}

static void only_status(struct api_op *op, struct val *v, const struct val *old)
{
    for (unsigned i = 0; i < op->kind->type->n_flat; i++) {
        const char *name = op->kind->type->flat[i]->json;
        if (strcmp(name, "status") != 0 && strcmp(name, "metadata") != 0)
            keep(op->arena, v, old, name);
    }
    keep_for_status(op, v, old);
}

/* Of the containers of new (in the order of old's, or it is left for validation to say): resources and resizePolicy, the rest of old. */
static bool only_resources(struct arena *a, struct val *spec, struct val *was, const char *list)
{
    struct val *x = json_get(spec, str_of(list)), *y = json_get(was, str_of(list));
    if ((x ? x->n : 0) != (y ? y->n : 0))
        return false;
    struct val *out = y ? val_copy(a, y) : NULL;
    for (struct val *from = x ? x->first : NULL, *to = out ? out->first : NULL; from && to; from = from->next, to = to->next) {
        if (!str_eq(json_str(from, "name"), json_str(to, "name")))
            return false;
        keep(a, to, from, "resources");
        keep(a, to, from, "resizePolicy");
    }
    if (out)
        json_set(a, spec, str_of(list), out);
    return true;
}

/* pods/ephemeralcontainers and pods/resize write a part of the spec; the rest is as it was. */
static void only_pod_part(struct api_op *op, struct val *v, struct val *old)
{
    struct arena *a = op->arena;
    struct val *was = json_get(old, STR("spec")), *spec = json_get(v, STR("spec")), *next = val_copy(a, was);
    bool resize = strcmp(op->subresource, "resize") == 0;
    if (resize && (!only_resources(a, spec, was, "containers") || !only_resources(a, spec, was, "initContainers")))
        return;
    static const char *const of_resize[] = { "containers", "initContainers", "resources", NULL }, *const of_ephemeral[] = { "ephemeralContainers", NULL };
    for (const char *const *m = resize ? of_resize : of_ephemeral; *m; m++)
        keep(a, next, spec, *m);
    json_set(a, v, STR("spec"), next);
    only_metadata(a, v, old);
}

/* Whose generation counts some of the metadata too. */
static bool counted_metadata_changed(const struct schema_kind *k, const struct val *v, const struct val *old)
{
    const char *path = api_is_kind(k, "apps", "Deployment") ? "metadata.annotations" : api_is_kind(k, "discovery.k8s.io", "EndpointSlice") ? "metadata.labels" : NULL;
    const struct val *x = path ? json_path(v, path) : NULL, *y = path ? json_path(old, path) : NULL;
    return !val_equal(x, y) && !(object_is_nothing(x) && object_is_nothing(y));
}

/* Kinds whose generation upstream does not count as it does others': these two compare exactly, a class of priorities stays at 1, a driver begins without one. */
static bool compares_exactly(const struct schema_kind *k)
{
    return strcmp(k->kind, "NetworkPolicy") == 0 || strstr(k->kind, "WebhookConfiguration");
}

static bool counts_generation(const struct schema_kind *k)
{
    return k->flags & K_GENERATION ? !api_is_kind(k, "scheduling.k8s.io", "PriorityClass") : api_is_kind(k, "storage.k8s.io", "CSIDriver");
}

static bool spec_changed(const struct api_op *op, const struct val *v, const struct val *old)
{
    if (counted_metadata_changed(op->kind, v, old))
        return true;
    bool exact = compares_exactly(op->kind);
    for (unsigned i = 0; i < op->kind->type->n_flat; i++) {
        const struct schema_field *f = op->kind->type->flat[i];
        struct str name = str_n(f->json, f->json_len);
        if (!str_is(name, "status") && !str_is(name, "metadata") && !object_same(f, json_get(v, name), json_get(old, name), exact))
            return true;
    }
    return false;
}

/* Since when a condition has the status it has: as the old one of its type says, when that had the same. */
static struct str since(const struct val *condition, const struct val *old, struct str now)
{
    struct val *was = json_path(old, "status.conditions");
    if (val_is(was, VAL_ARR))
        val_each(o, was)
            if (str_eq(json_str(o, "type"), json_str(condition, "type")) && str_eq(json_str(o, "status"), json_str(condition, "status")) &&
                json_str(o, "lastTransitionTime").len)
                return json_str(o, "lastTransitionTime");
    return now;
}

/* Who approves says no times (pkg/registry/certificates/certificates: populateConditionTimestamps). */
static void csr_times(struct api_op *op, struct val *v, const struct val *old)
{
    struct val *list = json_path(v, "status.conditions");
    char text[CLOCK_TEXT];
    clock_format(api_op_now(op), text);
    struct str now = arena_str(op->arena, str_of(text));
    if (!now.at || !val_is(list, VAL_ARR))
        return;
    val_each(c, list) {
        if (!json_str(c, "lastUpdateTime").len)
            json_set_str(op->arena, c, STR("lastUpdateTime"), now);
        if (!json_str(c, "lastTransitionTime").len)
            json_set_str(op->arena, c, STR("lastTransitionTime"), since(c, old, now));
    }
}

/* Who approves says nothing but so. */
static void only_conditions(struct arena *a, struct val *v, struct val *old)
{
    struct val *said = json_path(v, "status.conditions"), *now = val_copy(a, json_get(old, STR("status")));
    keep(a, v, old, "spec");
    if (!now)
        now = val_new(a, VAL_OBJ);
    json_del(now, STR("conditions"));
    if (said)
        json_set(a, now, STR("conditions"), said);
    json_set(a, v, STR("status"), now);
}

int api_prepare_update(struct api_op *op, struct val *v, struct val *old)
{
    struct arena *a = op->arena;
    keep_metadata(op, v, old);
    bool status = op->subresource && strcmp(op->subresource, "status") == 0;
    if (status)
        only_status(op, v, old);
    else if (op->kind->flags & K_STATUS && !op->subresource)
        keep(a, v, old, "status");
    if (!op->subresource || status)
        api_kind_update(op, v, old, status);
    if (api_is_kind(op->kind, "", "PersistentVolumeClaim")) {
        api_claim_sources(a, v);
        api_claim_sources(a, old);
    }
    if (api_is_kind(op->kind, "", "Namespace") && !op->subresource)
        keep(a, json_obj(a, v, STR("spec")), json_get(old, STR("spec")), "finalizers");
    if (op->subresource && !status && api_is_kind(op->kind, "", "Pod"))
        only_pod_part(op, v, old);
    if (op->subresource && strcmp(op->kind->kind, "CertificateSigningRequest") == 0) {
        csr_times(op, v, old);
        if (!status)
            only_conditions(op->arena, v, old);
    }
    if (!status && counts_generation(op->kind) && spec_changed(op, v, old))
        json_set_int(a, json_obj(a, v, STR("metadata")), STR("generation"), json_int(old, "metadata.generation", 0) + 1);
    return has_memory(op);
}

void api_after_delete(struct api_op *op, const struct val *old)
{
    if (api_is_kind(op->kind, "", "Service"))
        api_service_release(op->api, old);
}
