/* disruption.c - how many pods of a PodDisruptionBudget may be evicted now. Evictions themselves charge it (the API's eviction subresource). */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/json_scan.h"
#include "crowd.h"
#include "workloads.h"

#define BUDGETS "policy/poddisruptionbudgets"
#define DISRUPTED_NS (120 * NS_S)       /* a pod that an eviction was granted for and that is still there by then was not evicted */

/* What is kept of a pod. */
struct budget_pod {
    struct crowd_pod pod;
    bool healthy, deleting;
    uint64_t owner;                     /* digest of its controller's uid; 0: it has none */
};

struct budget {
    struct ctl_run *r;
    struct val *v;
    struct crowd *crowd;
    struct budget_pod **pods;           /* by name */
    uint32_t n_pods;
    int64_t expected, desired, healthy;
    bool unmanaged;                     /* some pod has no controller */
    const char *failure;                /* what a controller should keep cannot be known */
};

/* --- what is told --- */

static void tell_unmanaged(struct budget *b)
{
    ctl_event(b->r, b->v, "Warning", "UnmanagedPods", "Pods selected by this PodDisruptionBudget (selector: %s) were found to be unmanaged. As a result, "
              "the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set "
              "\".spec.minAvailable\" field of the PDB to an integer value.", sel_shown(b->r->arena, json_path(b->v, "spec.selector")));
}

/* --- what is counted --- */

static bool is_of(const struct val *ref, const char *group, const char *kind)
{
    struct str version = json_str(ref, "apiVersion"), g = str_find(version, '/') < 0 ? STR("") : str_cut(&version, '/');
    return str_is(json_str(ref, "kind"), kind) && str_is(g, group);
}

/* Pods that this controller is asked to keep; *ret_uid says which one that is, empty: it is not there. A Deployment speaks for its sets. */
static int known_scale(struct budget *b, struct str ns, const struct val *ref, struct str *ret_uid, int64_t *ret)
{
    static const struct {
        const char *group, *kind, *resource;
    } rows[] = { { "apps", "ReplicaSet", REPLICASETS }, { "apps", "Deployment", DEPLOYMENTS }, { "apps", "StatefulSet", "apps/statefulsets" },
                 { "", "ReplicationController", "/replicationcontrollers" } };
    for (size_t i = 0; ref && i < sizeof rows / sizeof *rows; i++) {
        struct val *owner = NULL;
        if (!is_of(ref, rows[i].group, rows[i].kind))
            continue;
        int rc = ctl_get(b->r, rows[i].resource, ns, json_str(ref, "name"), &owner);
        if (rc < 0 || !owner || !str_eq(meta_uid(owner), json_str(ref, "uid")))
            return rc;
        *ret_uid = meta_uid(owner);
        *ret = json_int(owner, "spec.replicas", 1);
        const struct val *above = i == 0 ? meta_controller(owner) : NULL;
        return above && is_of(above, "apps", "Deployment") ? known_scale(b, ns, above, ret_uid, ret) : 0;
    }
    return 0;
}

/* Any other kind tells it by its scale, when it has one. A failure is told and no error. */
static int asked_scale(struct budget *b, struct str ns, const struct val *ref, struct str *ret_uid, int64_t *ret)
{
    struct ctl_run *r = b->r;
    const char *version = arena_dup(r->arena, json_str(ref, "apiVersion")), *kind = arena_dup(r->arena, json_str(ref, "kind"));
    struct kl_kind k = { .size = sizeof k };
    struct kl_bytes bytes;
    struct val *scale;
    if (r->ctl->objects->kind(r->ctl->host, r->call, NULL, version, kind, &k) < 0) {
        b->failure = arena_printf(r->arena, "no matches for kind \"%s\" in version \"%s\"", kind, version);
        kl_err_init(&r->call->err);
        return 0;
    }
    const char *resource = arena_dup(r->arena, str_of(k.resource)), *plural = strchr(resource, '/') + 1;
    struct kl_object_key key = { sizeof key, resource, k.flags & KL_KIND_NAMESPACED ? arena_dup(r->arena, ns) : "", arena_dup(r->arena, json_str(ref, "name")), "scale" };
    int rc = r->ctl->objects->get(r->ctl->host, r->call, &key, &bytes);
    if (rc == -KL_NOT_FOUND) {
        if (str_starts(str_of(r->call->err.msg), STR("the server could not find the requested resource")))
            b->failure = arena_printf(r->arena, "%s%s" STR_FMT " does not implement the scale subresource", plural, plural - resource > 1 ? "." : "",
                                      STR_ARG(str_n(resource, (size_t)(plural - resource) - 1)));
        kl_err_init(&r->call->err);
        return 0;
    }
    if (rc == 0 && (scale = json_parse(r->arena, str_n(bytes.at, bytes.len), &r->call->err)) && str_eq(meta_uid(scale), json_str(ref, "uid"))) {
        *ret_uid = meta_uid(scale);
        *ret = json_int(scale, "spec.replicas", 0);
    }
    return rc;
}

static int scale_of(struct budget *b, const struct val *pod, const struct val *ref, struct str *ret_uid, int64_t *ret)
{
    *ret_uid = STR_NONE;
    int rc = known_scale(b, meta_ns(pod), ref, ret_uid, ret);
    if (rc == 0 && !ret_uid->len)
        rc = asked_scale(b, meta_ns(pod), ref, ret_uid, ret);
    if (rc == 0 && !ret_uid->len && !b->failure)
        b->failure = arena_printf(b->r->arena, "found no controllers for pod \"" STR_FMT "\"", STR_ARG(meta_name(pod)));
    return rc;
}

/* The pod's controller, asked for once. */
static int add_scale(struct budget *b, const struct budget_pod *p, struct str *seen, uint32_t *n, int64_t *ret)
{
    struct val *pod;
    struct str uid;
    int64_t scale = 0;
    bool known = false;
    int rc = ctl_get(b->r, PODS, meta_ns(b->v), p->pod.name, &pod);
    const struct val *ref = rc == 0 ? meta_controller(pod) : NULL;
    if (ref)                            /* else it went, or was let go, meanwhile: that is about to be told */
        rc = scale_of(b, pod, ref, &uid, &scale);
    if (!ref || rc < 0 || b->failure)
        return rc;
    for (uint32_t k = 0; k < *n; k++)
        known |= str_eq(seen[k], uid);
    if (!known) {
        seen[(*n)++] = uid;
        *ret += scale;
    }
    return 0;
}

static int expected_scale(struct budget *b, int64_t *ret)
{
    struct str *seen = arena_alloc(b->r->arena, (b->n_pods + 1) * sizeof *seen);
    uint64_t *asked = arena_alloc(b->r->arena, (b->n_pods + 1) * sizeof *asked);
    uint32_t n = 0, n_asked = 0;
    int rc = 0;
    if (!seen || !asked)
        return ctl_no_memory(b->r);
    for (uint32_t i = 0; i < b->n_pods && rc == 0 && !b->failure; i++) {
        uint64_t owner = b->pods[i]->owner;
        bool known = !owner;
        b->unmanaged |= !owner;
        for (uint32_t k = 0; k < n_asked; k++)
            known |= asked[k] == owner;
        if (known)
            continue;
        asked[n_asked++] = owner;
        rc = add_scale(b, b->pods[i], seen, &n, ret);
    }
    return rc;
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
        b->expected = b->n_pods;
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
        const struct budget_pod *p = crowd_get(b->crowd, val_key(m));
        bool there = p && crowd_has(b->crowd, &p->pod) && !p->deleting;
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

/* --- pods --- */

static int look_at(struct budget *b, const struct val *pod)
{
    static const uint64_t seed[2] = { 0x6f776e, 0x6572 };
    struct budget_pod *p = crowd_put(b->crowd, meta_name(pod));
    struct str owner = json_str(meta_controller(pod), "uid");
    if (!p)
        return ctl_no_memory(b->r);
    p->healthy = pod_ready(pod) && pod_active(pod);
    p->deleting = meta_deleting(pod);
    p->owner = meta_controller(pod) ? hash_sip(seed, owner.at, owner.len) : 0;
    return 0;
}

static int look_at_all(struct budget *b, const struct val *selector)
{
    struct arena *a = b->r->arena;
    struct ctl_list l = { .n = 0 };
    int rc = selector ? ctl_list(b->r, (struct kl_list_options){ .resource = PODS, .ns = arena_dup(a, meta_ns(b->v)), .label_selector = sel_text(a, selector) }, &l) : 0;
    for (uint32_t i = 0; rc == 0 && i < l.n; i++)
        rc = look_at(b, l.at[i]);
    return rc;
}

static int look_at_changed(struct budget *b, const struct val *selector)
{
    struct val *pod;
    int rc = 0;
    for (struct crowd_pod *c = b->crowd->changed; c && rc == 0; c = c->next) {
        rc = ctl_get(b->r, PODS, meta_ns(b->v), c->name, &pod);
        c->gone = !pod || !selector || !sel_matches(selector, json_path(pod, "metadata.labels"));
        rc = rc < 0 || c->gone ? rc : look_at(b, pod);
    }
    return rc;
}

static int by_name(const void *x, const void *y)
{
    return str_cmp((*(struct budget_pod *const *)x)->pod.name, (*(struct budget_pod *const *)y)->pod.name);
}

static int read_pods(struct budget *b)
{
    struct val *selector = json_path(b->v, "spec.selector");
    char *version = arena_printf(b->r->arena, STR_FMT "/%lld", STR_ARG(meta_uid(b->v)), (long long)json_int(b->v, "metadata.generation", 0));
    size_t at = 0;
    void *v;
    b->crowd = crowd_open(b->r, meta_ns(b->v), meta_name(b->v), str_of(version), sizeof(struct budget_pod));
    if (!b->crowd)
        return ctl_no_memory(b->r);
    int rc = b->crowd->whole ? look_at_all(b, selector) : look_at_changed(b, selector);
    b->pods = arena_alloc(b->r->arena, (b->crowd->pods.n + 1) * sizeof *b->pods);
    if (!b->pods)
        return ctl_no_memory(b->r);
    while (map_next(&b->crowd->pods, &at, NULL, &v))
        if (crowd_has(b->crowd, v))
            b->pods[b->n_pods++] = v;
    qsort(b->pods, b->n_pods, sizeof *b->pods, by_name);
    return rc;
}

/* --- reconcile --- */

static int settle(struct budget *b)
{
    struct ctl_run *r = b->r;
    struct arena *a = r->arena;
    int rc = read_pods(b);
    if (rc == 0 && !b->n_pods)
        ctl_event(r, b->v, "Normal", "NoPods", "No matching pods found");
    if (rc == 0)
        rc = want(b);
    if (rc < 0)
        return rc;
    if (b->failure)
        return fail_sync(b);
    if (b->unmanaged)
        tell_unmanaged(b);
    struct val *now = val_copy(a, b->v), *st = json_obj(a, now, STR("status")), *disrupted = still_disrupted(b);
    for (uint32_t i = 0; i < b->n_pods; i++)
        b->healthy += b->pods[i]->healthy && !json_get(disrupted, b->pods[i]->pod.name);
    int64_t allowed = b->expected > 0 && b->healthy > b->desired ? b->healthy - b->desired : 0;
    if (disrupted && disrupted->n)
        json_set(a, st, STR("disruptedPods"), disrupted);
    else
        json_del(st, STR("disruptedPods"));
    json_set_int(a, st, STR("disruptionsAllowed"), allowed);
    json_set_int(a, st, STR("currentHealthy"), b->healthy);
    json_set_int(a, st, STR("desiredHealthy"), b->desired);
    json_set_int(a, st, STR("expectedPods"), b->expected);
    meta_set_count(a, st, STR("observedGeneration"), json_int(b->v, "metadata.generation", 0));
    set_condition(b, st, allowed > 0, allowed > 0 ? "SufficientPods" : "InsufficientPods", "");
    return ctl_update(r, BUDGETS, "status", b->v, now, NULL);
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct budget b = { .r = r };
    int rc = ctl_get(r, BUDGETS, ns, name, &b.v);
    if (rc < 0)
        return rc;
    if (!b.v || meta_deleting(b.v)) {
        crowd_forget(r->ctl, ns, name);
        return 0;
    }
    rc = settle(&b);
    if (rc == 0)
        crowd_close(b.crowd);
    return rc;
}

/* Evictions of such a pod are refused. */
static void tell_several(struct ctl_run *r, struct str pod, const struct ctl_list *l, const struct val *labels)
{
    const struct val *first = NULL;
    unsigned n = 0;
    for (uint32_t i = 0; i < l->n; i++)
        if (sel_matches(json_path(l->at[i], "spec.selector"), labels) && n++ == 0)
            first = l->at[i];
    if (n < 2)
        return;
    struct val *about = json_parse(r->arena, pod, NULL);
    json_set_str(r->arena, about, STR("apiVersion"), STR("v1"));
    json_set_str(r->arena, about, STR("kind"), STR("Pod"));
    ctl_event(r, about, "Warning", "MultiplePodDisruptionBudgets", "Pod \"" STR_FMT "\"/\"" STR_FMT "\" matches multiple PodDisruptionBudgets.  Chose \"" STR_FMT
              "\" arbitrarily.", STR_ARG(meta_ns(about)), STR_ARG(meta_name(about)), STR_ARG(meta_name(first)));
}

/* An empty selector of a budget means every pod, unlike that of a workload. */
static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)resource;
    struct ctl_list l = { 0 };
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
    if (rc == 0 && l.n > 1)
        tell_several(r, obj, &l, labels[0]);
    if (rc == 0)
        crowd_note(r, json_scan_text(json_scan_member(ctl_meta(r), STR("name"))), keys);
    return rc;
}

CTL_RUN(disruption, run)
CTL_MAP(disruption, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), BUDGETS, NULL, NULL },
    { sizeof(struct kl_watch), PODS, NULL, "map" },
};
CTL_TABLE(disruption, watches, disruption_map);
