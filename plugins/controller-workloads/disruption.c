/* disruption.c - how many pods of a PodDisruptionBudget may be evicted now. Evictions themselves charge it (the API's eviction subresource). */
#include "base/cleanup.h"
#include "base/json_scan.h"
#include "workloads.h"

#define BUDGETS "policy/poddisruptionbudgets"
#define DISRUPTED_NS (120 * NS_S)       /* a pod that an eviction was granted for and that is still there by then was not evicted */

struct budget {
    struct ctl_run *r;
    struct val *v;
    struct ctl_list pods;
    int64_t expected, desired, healthy;
    bool unmanaged;                     /* some pod has no controller */
    const char *failure;                /* what a controller should keep cannot be known */
};

/* --- what is told --- */

/* A LabelSelector as upstream's messages print it. */
static void add_selector(struct buf *b, const struct val *selector)
{
    struct val *labels = json_get(selector, STR("matchLabels")), *more = json_get(selector, STR("matchExpressions"));
    buf_lit(b, "&LabelSelector{MatchLabels:map[string]string{");
    if (val_is(labels, VAL_OBJ))
        val_each(l, labels)
            buf_printf(b, STR_FMT ": " STR_FMT ",", STR_ARG(val_key(l)), STR_ARG(val_str(l)));
    buf_lit(b, "},MatchExpressions:[]LabelSelectorRequirement{");
    if (val_is(more, VAL_ARR))
        val_each(m, more) {
            struct val *values = json_get(m, STR("values"));
            buf_printf(b, "LabelSelectorRequirement{Key:" STR_FMT ",Operator:" STR_FMT ",Values:[", STR_ARG(json_str(m, "key")), STR_ARG(json_str(m, "operator")));
            if (val_is(values, VAL_ARR))
                val_each(v, values)
                    buf_printf(b, "%s" STR_FMT, v == values->first ? "" : " ", STR_ARG(val_str(v)));
            buf_lit(b, "],},");
        }
    buf_lit(b, "},}");
}

static void tell_unmanaged(struct budget *b)
{
    _cleanup_buf_ struct buf text = BUF_INIT(64 << 10);
    add_selector(&text, json_path(b->v, "spec.selector"));
    ctl_event(b->r, b->v, "Warning", "UnmanagedPods", "Pods selected by this PodDisruptionBudget (selector: " STR_FMT ") were found to be unmanaged. As a result, "
              "the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set "
              "\".spec.minAvailable\" field of the PDB to an integer value.", STR_ARG(buf_str(&text)));
}

/* --- what is counted --- */

/* Controllers that have no scale to ask for. */
static const char *unscaled(struct budget *b, const struct val *ref)
{
    static const char *const rows[][3] = { { "Job", "batch/", "jobs.batch" }, { "DaemonSet", "apps/", "daemonsets.apps" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_is(json_str(ref, "kind"), rows[i][0]) && str_starts(json_str(ref, "apiVersion"), str_of(rows[i][1])))
            return arena_printf(b->r->arena, "%s does not implement the scale subresource", rows[i][2]);
    return NULL;
}

/* Pods that the pod's controller is asked to keep; *ret_uid says which controller. A Deployment speaks for its sets. */
static int scale_of(struct budget *b, const struct val *pod, struct str *ret_uid, int64_t *ret)
{
    static const struct {
        const char *kind, *resource;
    } rows[] = { { "ReplicaSet", REPLICASETS }, { "Deployment", DEPLOYMENTS }, { "StatefulSet", "apps/statefulsets" },
                 { "ReplicationController", "/replicationcontrollers" } };
    const struct val *v = pod;
    *ret_uid = STR_NONE;
    *ret = 0;
    for (int depth = 0; depth < 2; depth++) {
        struct val *ref = meta_controller(v), *owner = NULL;
        for (size_t i = 0; ref && i < sizeof rows / sizeof *rows; i++) {
            if (!str_is(json_str(ref, "kind"), rows[i].kind))
                continue;
            int rc = ctl_get(b->r, rows[i].resource, meta_ns(pod), json_str(ref, "name"), &owner);
            if (rc < 0)
                return rc;
        }
        if (!owner || !str_eq(meta_uid(owner), json_str(ref, "uid")))
            return 0;
        *ret_uid = meta_uid(owner);
        *ret = json_int(owner, "spec.replicas", 1);
        v = owner;
    }
    return 0;
}

static int expected_scale(struct budget *b, int64_t *ret)
{
    struct str *seen = arena_alloc(b->r->arena, (b->pods.n + 1) * sizeof *seen);
    uint32_t n = 0;
    if (!seen)
        return ctl_no_memory(b->r);
    for (uint32_t i = 0; i < b->pods.n; i++) {
        struct str uid;
        int64_t scale;
        bool known = false;
        if ((b->failure = unscaled(b, meta_controller(b->pods.at[i]))))
            return 0;
        int rc = scale_of(b, b->pods.at[i], &uid, &scale);
        if (rc < 0)
            return rc;
        b->unmanaged |= !meta_controller(b->pods.at[i]);
        for (uint32_t k = 0; k < n; k++)
            known |= str_eq(seen[k], uid);
        if (!uid.len || known)
            continue;
        seen[n++] = uid;
        *ret += scale;
    }
    return 0;
}

static int want(struct budget *b)
{
    struct val *most = json_path(b->v, "spec.maxUnavailable"), *least = json_path(b->v, "spec.minAvailable");
    int rc = 0;
    if (most) {
        rc = expected_scale(b, &b->expected);
        b->desired = b->expected - int_or_percent(most, b->expected, true, 0);
    } else if (val_is(least, VAL_STR)) {
        rc = expected_scale(b, &b->expected);
        b->desired = int_or_percent(least, b->expected, true, 0);
    } else if (least) {
        b->expected = b->pods.n;
        b->desired = least->i;
    }
    if (b->desired < 0)
        b->desired = 0;
    return rc;
}

/* Pods granted but not gone yet count as gone. */
static struct val *still_disrupted(struct budget *b)
{
    struct arena *a = b->r->arena;
    struct val *map = json_path(b->v, "status.disruptedPods"), *out = val_new(a, VAL_OBJ);
    if (!val_is(map, VAL_OBJ))
        return out;
    val_each(m, map) {
        int64_t when, left;
        bool there = false;
        for (uint32_t i = 0; i < b->pods.n; i++)
            there |= str_eq(meta_name(b->pods.at[i]), val_key(m)) && !meta_deleting(b->pods.at[i]);
        left = clock_parse(val_str(m), &when) ? when + DISRUPTED_NS - b->r->now_ns : 0;
        if (!there || left <= 0)
            continue;
        ctl_again(b->r, left);
        json_set(a, out, val_key(m), val_of_str(a, val_str(m)));
    }
    return out;
}

static void set_condition(struct budget *b, struct val *st, bool allowed, const char *reason, const char *message)
{
    struct arena *a = b->r->arena;
    struct val *list = json_arr(a, st, STR("conditions")), *c = cond_find(list, "DisruptionAllowed");
    struct str status = allowed ? STR("True") : STR("False");
    if (!c) {
        c = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, c, STR("type"), STR("DisruptionAllowed"));
    }
    if (!str_eq(json_str(c, "status"), status))
        json_set_str(a, c, STR("lastTransitionTime"), ctl_now(b->r));
    json_set_str(a, c, STR("status"), status);
    json_set_str(a, c, STR("reason"), str_of(reason));
    json_set_str(a, c, STR("message"), str_of(message));
    meta_set_count(a, c, STR("observedGeneration"), json_int(st, "observedGeneration", 0));
}

/* Nothing is allowed until it can be known; the rest of the status stays as it was. */
static int fail_sync(struct budget *b)
{
    struct val *now = val_copy(b->r->arena, b->v), *st = json_obj(b->r->arena, now, STR("status"));
    ctl_event(b->r, b->v, "Warning", "CalculateExpectedPodCountFailed", "Failed to calculate the number of expected pods: %s", b->failure);
    json_set_int(b->r->arena, st, STR("disruptionsAllowed"), 0);
    set_condition(b, st, false, "SyncFailed", b->failure);
    return ctl_update(b->r, BUDGETS, "status", b->v, now, NULL);
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct budget b = { .r = r };
    struct arena *a = r->arena;
    int rc = ctl_get(r, BUDGETS, ns, name, &b.v);
    if (rc < 0 || !b.v || meta_deleting(b.v))
        return rc;
    struct val *selector = json_path(b.v, "spec.selector");
    if (selector)
        rc = ctl_list(r, (struct kl_list_options){ .resource = PODS, .ns = arena_dup(a, ns), .label_selector = sel_text(a, selector) }, &b.pods);
    if (rc == 0 && !b.pods.n)
        ctl_event(r, b.v, "Normal", "NoPods", "No matching pods found");
    if (rc == 0)
        rc = want(&b);
    if (rc < 0)
        return rc;
    if (b.failure)
        return fail_sync(&b);
    if (b.unmanaged)
        tell_unmanaged(&b);
    struct val *now = val_copy(a, b.v), *st = json_obj(a, now, STR("status")), *disrupted = still_disrupted(&b);
    for (uint32_t i = 0; i < b.pods.n; i++)
        b.healthy += pod_ready(b.pods.at[i]) && pod_active(b.pods.at[i]) && !json_get(disrupted, meta_name(b.pods.at[i]));
    int64_t allowed = b.expected > 0 && b.healthy > b.desired ? b.healthy - b.desired : 0;
    if (disrupted && disrupted->n)
        json_set(a, st, STR("disruptedPods"), disrupted);
    else
        json_del(st, STR("disruptedPods"));
    json_set_int(a, st, STR("disruptionsAllowed"), allowed);
    json_set_int(a, st, STR("currentHealthy"), b.healthy);
    json_set_int(a, st, STR("desiredHealthy"), b.desired);
    json_set_int(a, st, STR("expectedPods"), b.expected);
    meta_set_count(a, st, STR("observedGeneration"), json_int(b.v, "metadata.generation", 0));
    set_condition(&b, st, allowed > 0, allowed > 0 ? "SufficientPods" : "InsufficientPods", "");
    return ctl_update(r, BUDGETS, "status", b.v, now, NULL);
}

/* An empty selector of a budget means every pod, unlike that of a workload. */
static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)resource;
    struct ctl_list l;
    struct str ns = json_scan_text(json_scan_path(obj, "metadata.namespace")), texts[2] = { json_scan_value(ctl_part(r, CTL_LABELS)), STR_NONE };
    struct val *labels[2] = { NULL, NULL };
    if (old.len)
        texts[1] = json_scan_path(old, "metadata.labels");
    int rc = ctl_list(r, (struct kl_list_options){ .resource = BUDGETS, .ns = arena_dup(r->arena, ns) }, &l);
    for (int i = 0; i < 2 && rc == 0 && l.n; i++)
        labels[i] = texts[i].at ? json_parse(r->arena, texts[i], &r->call->err) : NULL;
    for (uint32_t i = 0; rc == 0 && i < l.n; i++)
        if (sel_matches(json_path(l.at[i], "spec.selector"), labels[0]) || (texts[1].at && sel_matches(json_path(l.at[i], "spec.selector"), labels[1])))
            ctl_key_add(keys, ns, meta_name(l.at[i]));
    return rc;
}

CTL_RUN(disruption, run)
CTL_MAP(disruption, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), BUDGETS, NULL, NULL },
    { sizeof(struct kl_watch), PODS, NULL, "map" },
};
CTL_TABLE(disruption, watches, disruption_map);
