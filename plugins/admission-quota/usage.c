/* usage.c - what an object uses of a quota: which names concern which resource, amounts, scopes. */
#include "base/clock.h"
#include "base/json_scan.h"
#include "quota.h"

#define CLASS_SUFFIX  ".storageclass.storage.k8s.io/"
#define DEVICE_SUFFIX ".deviceclass.resource.k8s.io/devices"
#define CLAIMS        "/persistentvolumeclaims"
#define DEVICES       "resource.k8s.io/resourceclaims"

static const struct quantity one = { .nano = 1000000000 };

/* --- names --- */

static const struct {
    const char *name, *resource;
} names[] = {
    { "pods", "/pods" },
    { "cpu", "/pods" },
    { "memory", "/pods" },
    { "ephemeral-storage", "/pods" },
    { "requests.cpu", "/pods" },
    { "requests.memory", "/pods" },
    { "requests.ephemeral-storage", "/pods" },
    { "limits.cpu", "/pods" },
    { "limits.memory", "/pods" },
    { "limits.ephemeral-storage", "/pods" },
    { "services", "/services" },
    { "services.nodeports", "/services" },
    { "services.loadbalancers", "/services" },
    { "persistentvolumeclaims", CLAIMS },
    { "requests.storage", CLAIMS },
    { "configmaps", "/configmaps" },
    { "secrets", "/secrets" },
    { "replicationcontrollers", "/replicationcontrollers" },
    { "resourcequotas", QUOTAS },
};

/* Resources with a vendor's name, which containers ask for in whole pieces. */
static bool is_extended(struct str name)
{
    return str_find(name, '/') >= 0 && !memmem(name.at, name.len, "kubernetes.io/", 14);
}

struct str usage_resource(struct arena *a, struct str name)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_is(name, names[i].name))
            return str_of(names[i].resource);
    if (str_starts(name, STR("count/"))) {
        struct str group = str_skip(name, 6), plural = str_cut(&group, '.');
        bool event = str_is(plural, "events") && (!group.at || str_is(group, "events.k8s.io"));
        return event ? STR_NONE : str_of(arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(group), STR_ARG(plural)));
    }
    if (str_ends(name, STR(CLASS_SUFFIX "persistentvolumeclaims")) || str_ends(name, STR(CLASS_SUFFIX "requests.storage")))
        return STR(CLAIMS);
    if (str_ends(name, STR(DEVICE_SUFFIX)))
        return STR(DEVICES);
    if (str_starts(name, STR("hugepages-")) || str_starts(name, STR("requests.hugepages-")) || (str_starts(name, STR("requests.")) && is_extended(name)))
        return STR("/pods");
    return STR_NONE;
}

struct amounts usage_names(const struct amounts *hard, struct str resource)
{
    struct amounts x = { .arena = hard->arena };
    for (unsigned i = 0; i < hard->n; i++)
        if (str_eq(usage_resource(hard->arena, hard->at[i].name), resource))
            amounts_set(&x, hard->at[i].name, hard->at[i].q);
    return x;
}

/* "count/jobs.batch" of "batch/jobs" */
static struct str count_name(struct arena *a, struct str resource)
{
    struct str plural = resource, group = str_cut(&plural, '/');
    return str_of(arena_printf(a, "count/" STR_FMT "%s" STR_FMT, STR_ARG(plural), group.len ? "." : "", STR_ARG(group)));
}

bool usage_is_count(const struct amounts *x, struct str resource)
{
    bool pods = str_is(resource, "/pods");
    if (str_is(resource, "/services") || str_is(resource, CLAIMS) || str_is(resource, DEVICES))
        return false;
    for (unsigned i = 0; pods && i < x->n; i++)
        if (!str_is(x->at[i].name, "pods") && !str_is(x->at[i].name, "count/pods"))
            return false;
    return true;
}

/* --- amounts --- */

bool pod_is_over(struct str json, int64_t now_ns)
{
    struct str phase = json_scan_text(json_scan_path(json, "status.phase")), when = json_scan_text(json_scan_path(json, "metadata.deletionTimestamp"));
    int64_t ends;
    if (str_is(phase, "Succeeded") || str_is(phase, "Failed"))
        return true;
    return when.len && clock_parse(when, &ends) && ends < now_ns;      /* deletionTimestamp has the grace in it */
}

static bool tree_is_over(const struct val *pod, int64_t now_ns)
{
    struct str phase = json_str(pod, "status.phase"), when = json_str(pod, "metadata.deletionTimestamp");
    int64_t ends;
    return str_is(phase, "Succeeded") || str_is(phase, "Failed") || (when.len && clock_parse(when, &ends) && ends < now_ns);
}

static void compute(struct amounts *x, const struct amounts *asked, const char *prefix)
{
    bool requests = strcmp(prefix, "requests.") == 0;
    for (unsigned i = 0; i < asked->n; i++) {
        struct str n = asked->at[i].name;
        bool base = str_is(n, "cpu") || str_is(n, "memory") || str_is(n, "ephemeral-storage"), huge = str_starts(n, STR("hugepages-"));
        if (!base && (!requests || (!huge && !is_extended(n))))
            continue;
        amounts_set(x, str_of(arena_printf(x->arena, "%s" STR_FMT, prefix, STR_ARG(n))), asked->at[i].q);
        if (requests && (base || huge))
            amounts_set(x, n, asked->at[i].q);
    }
}

static void pod_usage(struct amounts *x, const struct val *pod, int64_t now_ns)
{
    if (tree_is_over(pod, now_ns))
        return;
    struct amounts requests = pod_amounts(x->arena, pod, "requests", true), limits = pod_amounts(x->arena, pod, "limits", true);
    amounts_set(x, STR("pods"), one);
    compute(x, &requests, "requests.");
    compute(x, &limits, "limits.");
}

static struct quantity number(int64_t n)
{
    return quantity_of(n, QUANTITY_DECIMAL);
}

static void service_usage(struct amounts *x, const struct val *service)
{
    struct str type = json_str(service, "spec.type");
    bool balancer = str_is(type, "LoadBalancer");
    const struct val *ports = json_path(service, "spec.ports");
    bool explicit_only = balancer && !json_bool(service, "spec.allocateLoadBalancerNodePorts", true);
    int64_t n = 0;
    if (val_is(ports, VAL_ARR))
        val_each(p, ports)
            n += !explicit_only || json_int(p, "nodePort", 0) != 0;
    amounts_set(x, STR("services"), one);
    amounts_set(x, STR("services.nodeports"), number(balancer || str_is(type, "NodePort") ? n : 0));
    amounts_set(x, STR("services.loadbalancers"), number(balancer));
}

static void claim_usage(struct amounts *x, const struct val *claim)
{
    struct val *annotated = json_get(json_path(claim, "metadata.annotations"), STR("volume.beta.kubernetes.io/storage-class"));
    struct str class = annotated ? val_str(annotated) : json_str(claim, "spec.storageClassName");
    struct quantity q = { 0 }, allocated;
    bool asks = quantity_parse(json_str(claim, "spec.resources.requests.storage"), &q);
    if (asks && quantity_parse(json_str(claim, "status.allocatedResources.storage"), &allocated) && quantity_cmp(allocated, q) > 0)
        q = allocated;
    q.nano = (q.nano + 999999999) / 1000000000 * 1000000000;            /* whole bytes */
    amounts_set(x, STR("persistentvolumeclaims"), one);
    if (asks)
        amounts_set(x, STR("requests.storage"), q);
    if (!class.len)
        return;
    amounts_set(x, str_of(arena_printf(x->arena, STR_FMT CLASS_SUFFIX "persistentvolumeclaims", STR_ARG(class))), one);
    if (asks)
        amounts_set(x, str_of(arena_printf(x->arena, STR_FMT CLASS_SUFFIX "requests.storage", STR_ARG(class))), q);
}

static void add_device(struct amounts *x, const struct val *request)
{
    struct str class = json_str(request, "deviceClassName");
    bool all = str_is(json_str(request, "allocationMode"), "All");
    if (class.len)                      /* of all there are, as many as one claim can hold */
        amounts_add(x, str_of(arena_printf(x->arena, STR_FMT DEVICE_SUFFIX, STR_ARG(class))), number(all ? 32 : json_int(request, "count", 1)));
}

/* Of alternatives each class is charged with the most that it could be asked for. */
static void device_usage(struct amounts *x, const struct val *claim)
{
    const struct val *list = json_path(claim, "spec.devices.requests");
    for (const struct val *r = val_is(list, VAL_ARR) ? list->first : NULL; r; r = r->next) {
        const struct val *exactly = json_get(r, STR("exactly")), *some = json_get(r, STR("firstAvailable"));
        struct amounts most = { .arena = x->arena };
        if (exactly)
            add_device(x, exactly);
        for (const struct val *s = val_is(some, VAL_ARR) ? some->first : NULL; s; s = s->next) {
            struct amounts this = { .arena = x->arena };
            add_device(&this, s);
            amounts_max_all(&most, &this);
        }
        amounts_add_all(x, &most);
    }
}

struct amounts usage_of(struct arena *a, struct str resource, const struct val *object, int64_t now_ns)
{
    struct amounts x = { .arena = a };
    amounts_set(&x, count_name(a, resource), one);
    if (str_is(resource, "/pods"))
        pod_usage(&x, object, now_ns);
    else if (str_is(resource, "/services"))
        service_usage(&x, object);
    else if (str_is(resource, CLAIMS))
        claim_usage(&x, object);
    else if (str_is(resource, DEVICES))
        device_usage(&x, object);
    else if (resource.len && resource.at[0] == '/')     /* the names from before count/ */
        amounts_set(&x, str_skip(resource, 1), one);
    return x;
}

/* --- scopes --- */

static bool says_nothing(const struct val *list)
{
    for (const struct val *c = val_is(list, VAL_ARR) ? list->first : NULL; c; c = c->next)
        for (int i = 0; i < 2; i++) {
            const struct val *r = json_path(c, i ? "resources.limits" : "resources.requests");
            for (const struct val *m = val_is(r, VAL_OBJ) ? r->first : NULL; m; m = m->next)
                if ((str_is(val_key(m), "cpu") || str_is(val_key(m), "memory")) && !str_is(val_str(m), "0"))
                    return false;
        }
    return true;
}

static bool best_effort(const struct val *pod)
{
    struct str qos = json_str(pod, "status.qosClass");
    if (qos.len)
        return str_is(qos, "BestEffort");
    struct val *level = json_path(pod, "spec.resources");
    return says_nothing(json_path(pod, "spec.containers")) && says_nothing(json_path(pod, "spec.initContainers")) &&
           !json_path(level, "requests") && !json_path(level, "limits");
}

static bool crosses(const struct val *term)
{
    const struct val *list = json_get(term, STR("namespaces"));
    return (val_is(list, VAL_ARR) && list->n) || json_get(term, STR("namespaceSelector"));
}

static bool crosses_namespaces(const struct val *pod)
{
    static const char *const kinds[] = { "podAffinity", "podAntiAffinity" };
    for (int i = 0; i < 2; i++) {
        const struct val *k = json_get(json_path(pod, "spec.affinity"), str_of(kinds[i]));
        const struct val *must = json_get(k, STR("requiredDuringSchedulingIgnoredDuringExecution"));
        const struct val *may = json_get(k, STR("preferredDuringSchedulingIgnoredDuringExecution"));
        for (const struct val *t = val_is(must, VAL_ARR) ? must->first : NULL; t; t = t->next)
            if (crosses(t))
                return true;
        for (const struct val *t = val_is(may, VAL_ARR) ? may->first : NULL; t; t = t->next)
            if (crosses(json_get(t, STR("podAffinityTerm"))))
                return true;
    }
    return false;
}

/* Does one of the names (there may be none) do? As a selector over labels does. */
static bool names_match(const struct str *given, unsigned n, struct str op, const struct val *values)
{
    if (str_is(op, "Exists") || !op.len)
        return n != 0;
    if (str_is(op, "DoesNotExist"))
        return n == 0;
    bool is_in = str_is(op, "In"), any = !n && !is_in;
    for (unsigned i = 0; i < n; i++)
        any |= json_lists(values, given[i]) == is_in;
    return any;
}

bool usage_in_scope(struct str scope, struct str op, const struct val *values, struct str resource, const struct val *o)
{
    struct str given[3];
    unsigned n = 0;
    if (str_is(resource, CLAIMS) && str_is(scope, "VolumeAttributesClass")) {
        static const char *const where[] = { "spec.volumeAttributesClassName", "status.currentVolumeAttributesClassName",
                                             "status.modifyVolumeStatus.targetVolumeAttributesClassName" };
        for (int i = 0; i < 3; i++)
            if (json_str(o, where[i]).len)
                given[n++] = json_str(o, where[i]);
        return names_match(given, n, op, values);
    }
    if (!str_is(resource, "/pods"))
        return false;
    if (str_is(scope, "Terminating"))
        return json_int(o, "spec.activeDeadlineSeconds", -1) >= 0;
    if (str_is(scope, "NotTerminating"))
        return json_int(o, "spec.activeDeadlineSeconds", -1) < 0;
    if (str_is(scope, "BestEffort"))
        return best_effort(o);
    if (str_is(scope, "NotBestEffort"))
        return !best_effort(o);
    if (str_is(scope, "CrossNamespacePodAffinity"))
        return crosses_namespaces(o);
    given[0] = json_str(o, "spec.priorityClassName");
    return str_is(scope, "PriorityClass") && names_match(given, given[0].len != 0, op, values);
}

bool usage_has_scopes(const struct val *quota)
{
    const struct val *scopes = json_path(quota, "spec.scopes"), *selector = json_path(quota, "spec.scopeSelector.matchExpressions");
    return (val_is(scopes, VAL_ARR) && scopes->n) || (val_is(selector, VAL_ARR) && selector->n);
}

bool usage_in_scopes(struct arena *a, const struct val *quota, struct str resource, const struct val *object)
{
    const struct val *scopes = json_path(quota, "spec.scopes"), *selector = json_path(quota, "spec.scopeSelector.matchExpressions");
    (void)a;
    for (const struct val *s = val_is(scopes, VAL_ARR) ? scopes->first : NULL; s; s = s->next)
        if (!usage_in_scope(val_str(s), STR("Exists"), NULL, resource, object))
            return false;
    for (const struct val *s = val_is(selector, VAL_ARR) ? selector->first : NULL; s; s = s->next)
        if (!usage_in_scope(json_str(s, "scopeName"), json_str(s, "operator"), json_get(s, STR("values")), resource, object))
            return false;
    return true;
}

bool usage_meets_scope(const struct val *quota, struct str scope, struct str resource, const struct val *object)
{
    const struct val *scopes = json_path(quota, "spec.scopes"), *selector = json_path(quota, "spec.scopeSelector.matchExpressions");
    for (const struct val *s = val_is(scopes, VAL_ARR) ? scopes->first : NULL; s; s = s->next)
        if (str_eq(val_str(s), scope) && usage_in_scope(scope, STR("Exists"), NULL, resource, object))
            return true;
    for (const struct val *s = val_is(selector, VAL_ARR) ? selector->first : NULL; s; s = s->next)
        if (str_eq(json_str(s, "scopeName"), scope) && usage_in_scope(scope, json_str(s, "operator"), json_get(s, STR("values")), resource, object))
            return true;
    return false;
}

/* --- what must be said --- */

const char *usage_missing(struct arena *a, const struct amounts *restricted, const struct val *pod)
{
    static const char *const asked[][3] = { { "cpu", "requests", "cpu" },             { "limits.cpu", "limits", "cpu" },       { "limits.memory", "limits", "memory" },
                                            { "memory", "requests", "memory" },       { "requests.cpu", "requests", "cpu" },   { "requests.memory", "requests", "memory" } };
    static const char *const lists[] = { "containers", "initContainers" };
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    const struct val *spec = json_get(pod, STR("spec"));
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct amounts missing = { .arena = a };        /* a sorted set of names */
        if (!amounts_get(restricted, str_of(asked[i][0])) || json_get(json_get(json_get(spec, STR("resources")), str_of(asked[i][1])), str_of(asked[i][2])))
            continue;
        for (int l = 0; l < 2; l++) {
            const struct val *list = json_get(spec, str_of(lists[l]));
            for (const struct val *c = val_is(list, VAL_ARR) ? list->first : NULL; c; c = c->next)
                if (!json_get(json_get(json_get(c, STR("resources")), str_of(asked[i][1])), str_of(asked[i][2])))
                    amounts_set(&missing, json_str(c, "name"), one);
        }
        for (unsigned k = 0; k < missing.n; k++)
            buf_printf(&b, "%s" STR_FMT, k ? "," : arena_printf(a, "%s%s for: ", b.len ? "; " : "must specify ", asked[i][0]), STR_ARG(missing.at[k].name));
    }
    return b.len ? arena_dup(a, buf_str(&b)) : NULL;
}
