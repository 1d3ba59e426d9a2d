/* strategy_kinds.c - what upstream's strategies do for a kind alone, before it is validated: what the server says of a new object, and what an update drops or keeps. */
#include "api-internal.h"
#include "base/clock.h"
#include "base/map.h"
#include "object/base64.h"

/* --- kinds --- */

static void secret_data(struct api_op *op, struct val *v)
{
    struct val *text = json_get(v, STR("stringData"));
    if (!val_is(text, VAL_OBJ))
        return;
    struct val *data = json_obj(op->arena, v, STR("data"));
    val_each(m, text) {
        _cleanup_buf_ struct buf b = BUF_INIT(0);
        base64_encode(&b, val_str(m));
        json_set_str(op->arena, data, val_key(m), arena_str(op->arena, buf_str(&b)));
    }
    json_del(v, STR("stringData"));
}

/* The first address stands in podIP too; who says another there, an old node agent, means that one alone. */
static void pod_addresses(struct api_op *op, struct val *v)
{
    struct val *st = json_get(v, STR("status")), *list = json_get(st, STR("podIPs"));
    struct str one = json_str(st, "podIP"), first = val_is(list, VAL_ARR) && list->first ? json_str(list->first, "ip") : STR_NONE;
    if (one.len && !str_eq(one, first)) {
        list = val_new(op->arena, VAL_ARR);
        json_set_str(op->arena, val_push(list, val_new(op->arena, VAL_OBJ)), STR("ip"), one);
        json_set(op->arena, st, STR("podIPs"), list);
    } else if (!one.len && first.len) {
        json_set_str(op->arena, st, STR("podIP"), first);
    }
}

void api_convert_input(struct api_op *op, struct val *v)
{
    if (api_is_kind(op->kind, "", "Secret"))
        secret_data(op, v);
    else if (api_is_kind(op->kind, "", "Pod"))
        pod_addresses(op, v);
}

/* Said at once: the scheduler does not look at such a pod. */
static void tell_gated(struct api_op *op, struct val *status)
{
    struct arena *a = op->arena;
    char now[CLOCK_TEXT];
    struct val *c = val_push(json_arr(a, status, STR("conditions")), val_new(a, VAL_OBJ));
    clock_format(api_op_now(op), now);
    json_set_str(a, c, STR("type"), STR("PodScheduled"));
    json_set_str(a, c, STR("status"), STR("False"));
    json_set_str(a, c, STR("lastTransitionTime"), arena_str(a, str_of(now)));
    json_set_str(a, c, STR("reason"), STR("SchedulingGated"));
    json_set_str(a, c, STR("message"), STR("Scheduling is blocked due to non-empty scheduling gates"));
}

static void pod_create(struct api_op *op, struct val *v)
{
    struct val *spec = json_get(v, STR("spec"));
    struct val *st = json_obj(op->arena, v, STR("status"));
    json_set_str(op->arena, st, STR("phase"), STR("Pending"));
    json_set_str(op->arena, st, STR("qosClass"), str_of(object_qos(spec)));
    const struct val *gates = json_get(spec, STR("schedulingGates"));
    if (val_is(gates, VAL_ARR) && gates->n)
        tell_gated(op, st);
    api_pod_selectors(op->arena, v);
}

/* Fields of features that are switched off: nobody may begin to use them. */
static void drop_unless_used(struct val *v, const struct val *old, const char *part, const char *member)
{
    struct val *in = json_get(v, str_of(part));
    if (val_is(in, VAL_OBJ) && !json_get(json_get(old, str_of(part)), str_of(member)))
        json_del(in, str_of(member));
}

/* The same of the parts of containers' statuses. */
static void drop_from_mounts(struct val *status)
{
    static const char *const lists[] = { "containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses" };
    for (int i = 0; i < 3; i++)
        for (struct val *list = json_get(status, str_of(lists[i])), *x = val_is(list, VAL_ARR) ? list->first : NULL; x; x = x->next)
            for (struct val *mounts = json_get(x, STR("volumeMounts")), *m = val_is(mounts, VAL_ARR) ? mounts->first : NULL; m; m = m->next)
                json_del(m, STR("volumeStatus"));
}

/* Is there a condition that says (or one that does not say) what was observed? */
static bool any_observed(const struct val *list, bool says)
{
    if (val_is(list, VAL_ARR))
        val_each(x, list)
            if ((json_int(x, "observedGeneration", 0) != 0) == says)
                return true;
    return false;
}

/* Conditions of a pod may have one type many times: each has what was observed by the same one of its type before. */
struct was_observed {
    int64_t generation;
    struct was_observed *next;
};

static void keep_observed(struct arena *a, struct val *list, const struct val *was)
{
    if (!any_observed(list, false) || !any_observed(was, true))
        return;
    struct map first = { 0 }, last = { 0 };
    val_each(x, was) {
        struct was_observed *o = arena_alloc(a, sizeof *o), *before = map_get(&last, json_str(x, "type"));
        if (!o || !map_put(before ? &last : &first, json_str(x, "type"), o))
            break;
        *o = (struct was_observed){ json_int(x, "observedGeneration", 0), NULL };
        if (before)
            before->next = o;
        map_put(&last, json_str(x, "type"), o);
    }
    val_each(x, list) {
        struct was_observed *o = map_get(&first, json_str(x, "type"));
        if (!o)
            continue;
        if (o->generation && !json_int(x, "observedGeneration", 0))
            json_set_int(a, x, STR("observedGeneration"), o->generation);
        if (!o->next)
            map_del(&first, json_str(x, "type"));
        else
            map_put(&first, json_str(x, "type"), o->next);
    }
    map_free(&first);
    map_free(&last);
}

/* Who does not know of generations does not take back what was observed; the class is the server's to say. */
static void pod_update(struct api_op *op, struct val *v, const struct val *old, bool status)
{
    struct val *was = json_get(old, STR("status")), *st = status ? json_obj(op->arena, v, STR("status")) : NULL;
    if (!status)
        return;
    drop_unless_used(v, old, "status", "nodeAllocatableResourceClaimStatuses");
    drop_from_mounts(st);
    if (!json_str(st, "qosClass").len && json_str(was, "qosClass").len)
        json_set_str(op->arena, st, STR("qosClass"), json_str(was, "qosClass"));
    if (!json_int(st, "observedGeneration", 0) && json_int(was, "observedGeneration", 0))
        json_set_int(op->arena, st, STR("observedGeneration"), json_int(was, "observedGeneration", 0));
    keep_observed(op->arena, json_get(st, STR("conditions")), json_get(was, STR("conditions")));
}

static void namespace_create(struct api_op *op, struct val *v)
{
    struct val *list = json_arr(op->arena, json_obj(op->arena, v, STR("spec")), STR("finalizers"));
    bool there = false;
    val_each(f, list)
        there |= str_is(val_str(f), "kubernetes");
    if (!there)
        val_push(list, val_of_str(op->arena, STR("kubernetes")));
    json_set_str(op->arena, json_obj(op->arena, v, STR("status")), STR("phase"), STR("Active"));
    /* A name that was generated is known only now. */
    json_set_str(op->arena, json_obj(op->arena, json_obj(op->arena, v, STR("metadata")), STR("labels")), STR("kubernetes.io/metadata.name"),
                 json_str(v, "metadata.name"));
}

static void phase_create(struct api_op *op, struct val *v)
{
    json_set_str(op->arena, json_obj(op->arena, v, STR("status")), STR("phase"), STR("Pending"));
}

/* A source is named twice, the old way and the new one, as far as the old one can say it (pkg/api/persistentvolumeclaim: NormalizeDataSources). */
void api_claim_sources(struct arena *a, struct val *claim)
{
    struct val *spec = json_get(claim, STR("spec")), *old = json_get(spec, STR("dataSource")), *new = json_get(spec, STR("dataSourceRef"));
    struct val *both[] = { old, new };
    for (int i = 0; i < 2; i++)
        if (both[i] && !json_str(both[i], "apiGroup").len)
            json_del(both[i], STR("apiGroup"));
    if (val_is(old, VAL_OBJ) && !new)
        json_set(a, spec, STR("dataSourceRef"), val_copy(a, old));
    else if (val_is(new, VAL_OBJ) && !old && !json_str(new, "namespace").len)
        json_set(a, spec, STR("dataSource"), val_copy(a, new));
}

/* What dataSource could not name before dataSourceRef was there, it still cannot, without a word; what only features that are off understand goes too. */
static void claim_drops(struct val *claim, const struct val *old)
{
    struct val *spec = json_get(claim, STR("spec")), *source = json_get(spec, STR("dataSource")), *ref = json_get(spec, STR("dataSourceRef"));
    const struct val *was = json_get(old, STR("spec"));
    struct str group = json_str(source, "apiGroup"), kind = json_str(source, "kind");
    bool snapshot = str_is(group, "snapshot.storage.k8s.io") && str_is(kind, "VolumeSnapshot");
    if (json_str(ref, "namespace").len && !json_get(was, STR("dataSourceRef"))) {
        json_del(spec, STR("dataSourceRef"));
        ref = NULL;
    }
    if (json_get(was, STR("dataSource")) || json_get(was, STR("dataSourceRef")) || ref || !source)
        return;
    if (!snapshot && (group.len || !str_is(kind, "PersistentVolumeClaim")))
        json_del(spec, STR("dataSource"));
}

static void claim_create(struct api_op *op, struct val *v)
{
    phase_create(op, v);
    claim_drops(v, NULL);
    api_claim_sources(op->arena, v);
}

static void csr_create(struct api_op *op, struct val *v)
{
    struct val *spec = json_obj(op->arena, v, STR("spec"));
    if (!op->user)
        return;
    json_set_str(op->arena, spec, STR("username"), str_of(op->user->name));
    json_del(spec, STR("groups"));
    for (const char *const *g = op->user->groups; g && *g; g++)
        val_push(json_arr(op->arena, spec, STR("groups")), val_of_str(op->arena, str_of(*g)));
    json_del(spec, STR("uid"));
    json_del(spec, STR("extra"));
    if (op->user->uid && op->user->uid[0])
        json_set_str(op->arena, spec, STR("uid"), str_of(op->user->uid));
    for (const char *const *x = KL_HAS(op->user, extra) ? op->user->extra : NULL; x && x[0] && x[1]; x += 2)
        val_push(json_arr(op->arena, json_obj(op->arena, spec, STR("extra")), str_of(x[0])), val_of_str(op->arena, str_of(x[1])));
}

static void job_labels(struct api_op *op, struct val *labels, struct val *v, bool old_names)
{
    struct str uid = json_str(v, "metadata.uid"), name = json_str(v, "metadata.name");
    json_set_str(op->arena, labels, STR("batch.kubernetes.io/controller-uid"), uid);
    json_set_str(op->arena, labels, STR("batch.kubernetes.io/job-name"), name);
    if (old_names) {
        json_set_str(op->arena, labels, STR("controller-uid"), uid);
        json_set_str(op->arena, labels, STR("job-name"), name);
    }
}

static void job_create(struct api_op *op, struct val *v)
{
    struct val *spec = json_obj(op->arena, v, STR("spec"));
    if (json_bool(spec, "manualSelector", false))
        return;
    struct val *meta = json_obj(op->arena, json_obj(op->arena, spec, STR("template")), STR("metadata")), *own = json_path(v, "metadata.labels");
    bool of_template = !own || !own->n || val_equal(own, json_get(meta, STR("labels")));       /* it was given the template's, and goes on so */
    job_labels(op, json_obj(op->arena, meta, STR("labels")), v, true);
    if (of_template)
        json_set(op->arena, json_obj(op->arena, v, STR("metadata")), STR("labels"), val_copy(op->arena, json_get(meta, STR("labels"))));
    if (!json_get(spec, STR("selector"))) {
        struct val *match = json_obj(op->arena, json_obj(op->arena, spec, STR("selector")), STR("matchLabels"));
        json_set_str(op->arena, match, STR("batch.kubernetes.io/controller-uid"), json_str(v, "metadata.uid"));
    }
}

/* --- volumes --- */

static void volume_phase_time(struct api_op *op, struct val *v)
{
    char text[CLOCK_TEXT];
    clock_format(api_op_now(op), text);
    json_set_str(op->arena, json_obj(op->arena, v, STR("status")), STR("lastPhaseTransitionTime"), arena_str(op->arena, str_of(text)));
}

static void volume_create(struct api_op *op, struct val *v)
{
    phase_create(op, v);
    volume_phase_time(op, v);
}

static void volume_update(struct api_op *op, struct val *v, const struct val *old, bool status)
{
    static const char time[] = "status.lastPhaseTransitionTime";
    bool same = str_eq(json_str(v, "status.phase"), json_str(old, "status.phase"));
    if (!status)
        return;
    if (!same && (!json_path(v, time) || val_equal(json_path(v, time), json_path(old, time))))
        volume_phase_time(op, v);
    else if (same && !json_path(v, time) && json_path(old, time))
        json_set_str(op->arena, json_obj(op->arena, v, STR("status")), STR("lastPhaseTransitionTime"), json_str(old, time));
}

static void claim_update(struct api_op *op, struct val *v, const struct val *old, bool status)
{
    if (status)
        return;
    claim_drops(v, old);
    api_claim_sources(op->arena, v);
}

/* --- daemons: how often their template changed, in an annotation that old clients know --- */

#define TEMPLATE_GENERATION "deprecated.daemonset.template.generation"

static void set_template_generation(struct api_op *op, struct val *v, int64_t n)
{
    char *text = arena_printf(op->arena, "%lld", (long long)(n < 1 ? 1 : n));
    json_set_str(op->arena, json_obj(op->arena, json_obj(op->arena, v, STR("metadata")), STR("annotations")), STR(TEMPLATE_GENERATION), str_of(text ? text : "1"));
}

static int64_t template_generation(const struct val *v)
{
    int64_t n = 0;
    str_int(val_str(json_get(json_path(v, "metadata.annotations"), STR(TEMPLATE_GENERATION))), &n);
    return n;
}

static void daemons_create(struct api_op *op, struct val *v)
{
    set_template_generation(op, v, template_generation(v));
}

/* Of a new object the creator owns the annotation: upstream it is there by conversion, with the zero it then has. */
void api_prepare_tracked(struct api_op *op, struct val *v)
{
    if (strcmp(op->kind->kind, "DaemonSet") == 0 && strcmp(op->kind->group, "apps") == 0)
        daemons_create(op, v);
}

static void daemons_update(struct api_op *op, struct val *v, const struct val *old, bool status)
{
    bool changed = !status && !val_equal(json_path(v, "spec.template"), json_path(old, "spec.template"));
    set_template_generation(op, v, template_generation(old) + changed);
}

static void device_claim_update(struct api_op *op, struct val *v, const struct val *old, bool status)
{
    (void)op;
    if (status)
        claim_forget_devices(v, old);
}

static void csr_update(struct api_op *op, struct val *v, const struct val *old, bool status)
{
    struct val *was = json_get(old, STR("spec"));
    (void)status;
    if (was)
        json_set(op->arena, v, STR("spec"), val_copy(op->arena, was));
}

/* Fields of features that are not on, unless they are there already. */
static void lease_update(struct api_op *op, struct val *v, const struct val *old, bool status)
{
    struct val *spec = json_get(v, STR("spec")), *was = json_get(old, STR("spec"));
    (void)op;
    (void)status;
    if (!spec || json_get(was, STR("strategy")) || json_get(was, STR("preferredHolder")))
        return;
    json_del(spec, STR("strategy"));
    json_del(spec, STR("preferredHolder"));
}

static void lease_create(struct api_op *op, struct val *v)
{
    lease_update(op, v, NULL, false);
}

/* Of a secret that an account names only the name is kept. */
static void account_create(struct api_op *op, struct val *v)
{
    struct val *list = json_get(v, STR("secrets"));
    if (val_is(list, VAL_ARR))
        val_each(s, list) {
            struct str name = json_str(s, "name");
            s->first = s->last = NULL;
            s->n = 0;
            if (name.len)
                json_set_str(op->arena, s, STR("name"), name);
        }
}

static void account_update(struct api_op *op, struct val *v, const struct val *old, bool status)
{
    (void)old;
    (void)status;
    account_create(op, v);
}

static void node_update(struct api_op *op, struct val *v, const struct val *old, bool status)
{
    (void)op;
    (void)status;
    drop_unless_used(v, old, "spec", "configSource");
    drop_unless_used(v, old, "status", "config");
}

static void node_create(struct api_op *op, struct val *v)
{
    node_update(op, v, NULL, false);
}

/* What v1 has no place for any more goes without a word. */
static void slice_update(struct api_op *op, struct val *v, const struct val *old, bool status)
{
    struct val *list = json_get(v, STR("endpoints"));
    (void)op;
    (void)old;
    (void)status;
    if (val_is(list, VAL_ARR))
        val_each(e, list)
            json_del(e, STR("deprecatedTopology"));
}

static void slice_create(struct api_op *op, struct val *v)
{
    slice_update(op, v, NULL, false);
}

/* A group of this server's own is there at once. */
static void api_service_create(struct api_op *op, struct val *v)
{
    struct arena *a = op->arena;
    char now[CLOCK_TEXT];
    if (json_path(v, "spec.service"))
        return;
    struct val *c = val_push(json_arr(a, json_obj(a, v, STR("status")), STR("conditions")), val_new(a, VAL_OBJ));
    clock_format(api_op_now(op), now);
    json_set_str(a, c, STR("type"), STR("Available"));
    json_set_str(a, c, STR("status"), STR("True"));
    json_set_str(a, c, STR("lastTransitionTime"), arena_str(a, str_of(now)));
    json_set_str(a, c, STR("reason"), STR("Local"));
    json_set_str(a, c, STR("message"), STR("Local APIServices are always available"));
}

static void driver_update(struct api_op *op, struct val *v, const struct val *old, bool status)
{
    (void)op;
    (void)status;
    drop_unless_used(v, old, "spec", "preventPodSchedulingIfMissing");
}

static void driver_create(struct api_op *op, struct val *v)
{
    driver_update(op, v, NULL, false);
}

/* What is or was stored of a definition's versions. */
static void definition_stored(struct api_op *op, struct val *v)
{
    struct val *versions = json_path(v, "spec.versions"), *stored = json_arr(op->arena, json_obj(op->arena, v, STR("status")), STR("storedVersions"));
    if (!val_is(versions, VAL_ARR))
        return;
    val_each(x, versions) {
        struct str name = json_str(x, "name");
        if (!json_bool(x, "storage", false))
            continue;
        if (!json_lists(stored, name))
            val_push(stored, val_of_str(op->arena, name));
        return;                         /* others, if any, are a mistake */
    }
}

static void definition_create(struct api_op *op, struct val *v)
{
    definition_stored(op, v);
}

static void definition_update(struct api_op *op, struct val *v, const struct val *old, bool status)
{
    const struct val *stored = json_path(v, "status.storedVersions");
    (void)old;
    if (!status || !stored || !stored->n)
        definition_stored(op, v);
}

static const struct {
    const char *group, *kind;
    void (*create)(struct api_op *op, struct val *v);
    void (*update)(struct api_op *op, struct val *v, const struct val *old, bool status);        /* of the object or its status */
} rows[] = {
    { "", "Pod", pod_create, pod_update },
    { "", "Namespace", namespace_create, NULL },
    { "", "Node", node_create, node_update },
    { "", "PersistentVolume", volume_create, volume_update },
    { "", "PersistentVolumeClaim", claim_create, claim_update },
    { "", "Service", NULL, api_service_update },
    { "", "ServiceAccount", account_create, account_update },
    { "apiregistration.k8s.io", "APIService", api_service_create, NULL },
    { "discovery.k8s.io", "EndpointSlice", slice_create, slice_update },
    { "apiextensions.k8s.io", "CustomResourceDefinition", definition_create, definition_update },
    { "apps", "DaemonSet", daemons_create, daemons_update },
    { "batch", "Job", job_create, NULL },
    { "certificates.k8s.io", "CertificateSigningRequest", csr_create, csr_update },
    { "coordination.k8s.io", "Lease", lease_create, lease_update },
    { "resource.k8s.io", "ResourceClaim", NULL, device_claim_update },
    { "storage.k8s.io", "CSIDriver", driver_create, driver_update },
};

void api_kind_create(struct api_op *op, struct val *v)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].create && api_is_kind(op->kind, rows[i].group, rows[i].kind))
            rows[i].create(op, v);
}

void api_kind_update(struct api_op *op, struct val *v, const struct val *old, bool status)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].update && api_is_kind(op->kind, rows[i].group, rows[i].kind))
            rows[i].update(op, v, old, status);
}
