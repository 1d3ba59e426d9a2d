/* default.c - defaults: those of the rows first, then the ones that look at more than one field. Upstream's are in
 * pkg/apis/<group>/<version>/defaults.go. */
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/env.h"
#include "object/custom.h"
#include "object-internal.h"

struct defaulting {
    struct arena *arena;
};

typedef void (*default_fn)(struct defaulting *d, struct val *v);

/* What is known of a type once: most have no defaults, nor has anything in them. */
struct plan {
    default_fn fn;
    bool own;                           /* of itself and of the structs that it has by value: it is not empty even when nothing was said */
    bool any;                           /* of whatever it may hold */
    uint64_t fills, enters;             /* fields that are made when they are absent; those that hold types with `any` */
};
static const struct plan *plan_of(const struct schema_type *t);

static void set_text(struct defaulting *d, struct val *v, const char *key, const char *text)
{
    if (!json_get(v, str_of(key)))
        json_set_str(d->arena, v, str_of(key), str_of(text));
}

static void set_int(struct defaulting *d, struct val *v, const char *key, int64_t i)
{
    if (!json_get(v, str_of(key)))
        json_set_int(d->arena, v, str_of(key), i);
}

/* What a row says; most of it is a word or a number. */
static struct val *value_of(struct defaulting *d, struct str text)
{
    int64_t n;
    if (text.len > 1 && text.at[0] == '"' && !memchr(text.at, '\\', text.len))
        return val_of_str(d->arena, str_n(text.at + 1, text.len - 2));
    return str_int(text, &n) ? val_of_int(d->arena, n) : json_parse(d->arena, text, NULL);
}

/* Declared default of an absent field; empty text counts as absent, as a zero value does upstream. */
static struct val *declared(struct defaulting *d, const struct schema_field *f, struct val *v, struct val *there)
{
    struct str name = str_n(f->json, f->json_len);
    bool zero = there && !(f->flags & F_POINTER) && f->shape == SHAPE_ONE &&
                ((there->type == VAL_STR && !there->n) || (there->type == VAL_INT && !there->i));
    if (there && !zero)
        return there;
    struct val *value = value_of(d, str_of(f->fallback));
    return value && !(zero && val_equal(value, there)) ? json_set(d->arena, v, name, value) : there;
}

static void walk(struct defaulting *d, const struct schema_type *t, struct val *v);

static bool by_value(const struct schema_field *f)
{
    return f->shape == SHAPE_ONE && f->type->kind == T_STRUCT && !(f->flags & F_POINTER);
}

static void walk_field(struct defaulting *d, const struct schema_field *f, struct val *v)
{
    if (f->shape == SHAPE_ONE) {
        if (v->type == VAL_OBJ)
            walk(d, f->type, v);
        return;
    }
    if (v->type >= VAL_ARR)
        val_each(kid, v)
            if (kid->type == VAL_OBJ)
                walk(d, f->type, kid);
}

static void walk(struct defaulting *d, const struct schema_type *t, struct val *v)
{
    struct val *members[OBJECT_FIELDS];
    const struct plan *plan = plan_of(t);
    struct field_set set = object_present(t, v, plan->fills, members);
    BITS_EACH(i, set.word[0] & (plan->fills | plan->enters)) {
        const struct schema_field *f = t->flat[i];
        struct val *m = members[i];
        if (f->fallback)
            m = declared(d, f, v, m);
        /* A struct by value is always there: its own defaults count even when nothing was said. */
        if (by_value(f) && !val_is(m, VAL_OBJ) && plan_of(f->type)->own)
            m = json_obj(d->arena, v, str_n(f->json, f->json_len));
        if (m && plan->enters >> i & 1)
            walk_field(d, f, m);
    }
    if (plan->fn)
        plan->fn(d, v);
}

/* --- computed --- */

/* What has no tag, or the tag "latest", changes behind its name. */
static void pull_policy(struct defaulting *d, struct val *v, const char *member, struct str image)
{
    bool digest = image.len && memchr(image.at, '@', image.len);
    struct str tag = image;
    while (str_find(tag, '/') >= 0)
        str_cut(&tag, '/');
    str_cut(&tag, ':');
    set_text(d, v, member, !digest && (!tag.at || str_is(tag, "latest")) ? "Always" : "IfNotPresent");
}

static void container(struct defaulting *d, struct val *v)
{
    pull_policy(d, v, "imagePullPolicy", json_str(v, "image"));
}

static void image_volume(struct defaulting *d, struct val *v)
{
    pull_policy(d, v, "pullPolicy", json_str(v, "reference"));
}

/* Of a volume alone: an attachment may have such a spec too. */
static void persistent_volume(struct defaulting *d, struct val *v)
{
    struct val *spec = json_obj(d->arena, v, STR("spec"));
    set_text(d, spec, "persistentVolumeReclaimPolicy", "Retain");
    set_text(d, spec, "volumeMode", "Filesystem");
}

static void node_status(struct defaulting *d, struct val *v)
{
    struct val *capacity = json_get(v, STR("capacity")), *allocatable = json_get(v, STR("allocatable"));
    if (capacity && capacity->n && (!allocatable || !allocatable->n))
        json_set(d->arena, v, STR("allocatable"), val_copy(d->arena, capacity));
}

/* Limits of containers, from one bound to the next. */
static void limit_item(struct defaulting *d, struct val *v)
{
    static const char *const from[] = { "max", "default", "min" }, *const to[] = { "default", "defaultRequest", "defaultRequest" };
    if (!str_is(json_str(v, "type"), "Container"))
        return;
    for (int i = 0; i < 3; i++) {
        struct val *source = json_get(v, str_of(from[i]));
        if (!val_is(source, VAL_OBJ) || !source->n)
            continue;
        struct val *target = json_obj(d->arena, v, str_of(to[i]));
        val_each(q, source)
            if (!json_get(target, val_key(q)))
                json_set(d->arena, target, val_key(q), val_copy(d->arena, q));
    }
}

static void add_policy(struct defaulting *d, struct val *list, const char *type, int64_t value)
{
    struct val *p = val_push(list, val_new(d->arena, VAL_OBJ));
    json_set_str(d->arena, p, STR("type"), str_of(type));
    json_set_int(d->arena, p, STR("value"), value);
    json_set_int(d->arena, p, STR("periodSeconds"), 15);
}

static void scaling_rules(struct defaulting *d, struct val *r, bool up)
{
    if (up)
        set_int(d, r, "stabilizationWindowSeconds", 0);
    set_text(d, r, "selectPolicy", "Max");
    if (json_get(r, STR("policies")))
        return;
    struct val *list = json_arr(d->arena, r, STR("policies"));
    if (up)
        add_policy(d, list, "Pods", 4);
    add_policy(d, list, "Percent", 100);
}

/* What no metric was said of goes by the use of processors; the old version has its other metrics in annotations. */
static void old_autoscaler(struct defaulting *d, struct val *v)
{
    struct val *spec = json_get(v, STR("spec"));
    if (spec && !json_get(json_path(v, "metadata.annotations"), STR("autoscaling.alpha.kubernetes.io/metrics")))
        set_int(d, spec, "targetCPUUtilizationPercentage", 80);
}

static void autoscaler_spec(struct defaulting *d, struct val *v)
{
    struct val *metrics = json_get(v, STR("metrics")), *behavior = json_get(v, STR("behavior"));
    set_int(d, v, "minReplicas", 1);
    if (!metrics || !metrics->n) {
        struct val *m = val_push(json_arr(d->arena, v, STR("metrics")), val_new(d->arena, VAL_OBJ)), *cpu;
        json_set_str(d->arena, m, STR("type"), STR("Resource"));
        cpu = json_obj(d->arena, m, STR("resource"));
        json_set_str(d->arena, cpu, STR("name"), STR("cpu"));
        json_set_str(d->arena, json_obj(d->arena, cpu, STR("target")), STR("type"), STR("Utilization"));
        json_set_int(d->arena, json_obj(d->arena, cpu, STR("target")), STR("averageUtilization"), 80);
    }
    if (!behavior)
        return;
    scaling_rules(d, json_obj(d->arena, behavior, STR("scaleUp")), true);
    scaling_rules(d, json_obj(d->arena, behavior, STR("scaleDown")), false);
}

/* Requests that were not given are the limits. */
static void container_requests(struct defaulting *d, struct val *v)
{
    struct val *limits = json_path(v, "resources.limits");
    if (!val_is(limits, VAL_OBJ))
        return;
    struct val *requests = json_obj(d->arena, json_get(v, STR("resources")), STR("requests"));
    val_each(l, limits)
        if (!json_get(requests, val_key(l)))
            json_set(d->arena, requests, val_key(l), val_copy(d->arena, l));
}

static void each_container(struct defaulting *d, struct val *spec, default_fn fn)
{
    static const char *const lists[] = { "containers", "initContainers", "ephemeralContainers" };
    for (size_t i = 0; i < 3; i++) {
        struct val *list = json_get(spec, str_of(lists[i]));
        if (val_is(list, VAL_ARR))
            val_each(c, list)
                fn(d, c);
    }
}

static void pod_spec(struct defaulting *d, struct val *v)
{
    struct val *volumes = json_get(v, STR("volumes"));
    each_container(d, v, container);
    if (val_is(volumes, VAL_ARR))
        val_each(vol, volumes)
            if (vol->n == (json_get(vol, STR("name")) != NULL))         /* no source */
                json_obj(d->arena, vol, STR("emptyDir"));
    if (json_bool(v, "hostNetwork", false)) {
        struct val *list = json_get(v, STR("containers"));
        if (val_is(list, VAL_ARR))
            val_each(c, list) {
                struct val *ports = json_get(c, STR("ports"));
                if (val_is(ports, VAL_ARR))
                    val_each(p, ports)
                        if (json_int(p, "hostPort", 0) == 0 && json_int(p, "containerPort", 0))
                            json_set_int(d->arena, p, STR("hostPort"), json_int(p, "containerPort", 0));
            }
    }
    struct str account = json_str(v, "serviceAccountName"), old = json_str(v, "serviceAccount");
    if (account.len && !str_eq(old, account))   /* the other is its former name, and follows */
        json_set_str(d->arena, v, STR("serviceAccount"), account);
    if (old.len && !account.len)
        json_set_str(d->arena, v, STR("serviceAccountName"), old);
}

/* Only pods, not templates, get requests from limits. */
static void pod(struct defaulting *d, struct val *v)
{
    struct val *spec = json_get(v, STR("spec"));
    if (!spec)
        return;
    each_container(d, spec, container_requests);
    if (!json_get(spec, STR("enableServiceLinks")))
        json_set_bool(d->arena, spec, STR("enableServiceLinks"), true);
    if (json_int(spec, "terminationGracePeriodSeconds", 0) < 0)
        json_set_int(d->arena, spec, STR("terminationGracePeriodSeconds"), 1);
}

static void service(struct defaulting *d, struct val *v)
{
    struct val *spec = json_obj(d->arena, v, STR("spec")), *ports = json_get(spec, STR("ports"));
    struct str type = json_str(spec, "type");
    if (str_is(json_str(spec, "sessionAffinity"), "None"))
        json_del(spec, STR("sessionAffinityConfig"));
    if (str_is(json_str(spec, "sessionAffinity"), "ClientIP"))
        set_int(d, json_obj(d->arena, json_obj(d->arena, spec, STR("sessionAffinityConfig")), STR("clientIP")), "timeoutSeconds", 10800);
    if (val_is(ports, VAL_ARR))
        val_each(p, ports) {
            struct val *target = json_get(p, STR("targetPort"));
            if (!target || (target->type == VAL_INT && !target->i) || (target->type == VAL_STR && !target->n))
                json_set_int(d->arena, p, STR("targetPort"), json_int(p, "port", 0));
        }
    if (object_service_external(spec))
        set_text(d, spec, "externalTrafficPolicy", "Cluster");
    if (!str_is(type, "ExternalName"))
        set_text(d, spec, "internalTrafficPolicy", "Cluster");
    if (str_is(type, "LoadBalancer") && !json_get(spec, STR("allocateLoadBalancerNodePorts")))
        json_set_bool(d->arena, spec, STR("allocateLoadBalancerNodePorts"), true);
    const struct val *ingress = str_is(type, "LoadBalancer") ? json_path(v, "status.loadBalancer.ingress") : NULL;
    for (struct val *x = val_is(ingress, VAL_ARR) ? ingress->first : NULL; x; x = x->next)
        if (json_str(x, "ip").len)
            set_text(d, x, "ipMode", "VIP");
}

static void deployment_spec(struct defaulting *d, struct val *v)
{
    struct val *strategy = json_obj(d->arena, v, STR("strategy"));
    if (str_is(json_str(strategy, "type"), "RollingUpdate")) {
        struct val *r = json_obj(d->arena, strategy, STR("rollingUpdate"));
        set_text(d, r, "maxUnavailable", "25%");
        set_text(d, r, "maxSurge", "25%");
    }
}

static void stateful_set_spec(struct defaulting *d, struct val *v)
{
    struct val *s = json_obj(d->arena, v, STR("updateStrategy"));
    if (str_is(json_str(s, "type"), "RollingUpdate"))
        set_int(d, json_obj(d->arena, s, STR("rollingUpdate")), "partition", 0);
    struct val *claims = json_get(v, STR("volumeClaimTemplates"));
    if (val_is(claims, VAL_ARR))
        val_each(c, claims) {           /* the only objects inside of objects that say what they are */
            json_set_str(d->arena, c, STR("kind"), STR("PersistentVolumeClaim"));
            json_set_str(d->arena, c, STR("apiVersion"), STR("v1"));
        }
}

static void daemon_set_spec(struct defaulting *d, struct val *v)
{
    struct val *s = json_obj(d->arena, v, STR("updateStrategy"));
    if (str_is(json_str(s, "type"), "RollingUpdate")) {
        struct val *r = json_obj(d->arena, s, STR("rollingUpdate"));
        set_int(d, r, "maxUnavailable", 1);
        set_int(d, r, "maxSurge", 0);
    }
}

static void labels_from_template(struct defaulting *d, struct val *v);

/* A Job's own: those of a CronJob's template come when the Job is made. */
static void job(struct defaulting *d, struct val *whole)
{
    struct val *v = json_obj(d->arena, whole, STR("spec"));
    set_text(d, v, "completionMode", "NonIndexed");
    set_text(d, v, "podReplacementPolicy", json_get(v, STR("podFailurePolicy")) ? "Failed" : "TerminatingOrFailed");
    if (!json_get(v, STR("suspend")))
        json_set_bool(d->arena, v, STR("suspend"), false);
    if (!json_get(v, STR("manualSelector")))
        json_set_bool(d->arena, v, STR("manualSelector"), false);
    if (!json_get(v, STR("completions")) && !json_get(v, STR("parallelism")))
        set_int(d, v, "completions", 1);
    set_int(d, v, "parallelism", 1);
    set_int(d, v, "backoffLimit", json_get(v, STR("backoffLimitPerIndex")) ? INT32_MAX : 6);
    labels_from_template(d, whole);
}

/* Labels and selector of the older workloads come from the template; a Job's labels too. */
static void labels_from_template(struct defaulting *d, struct val *v)
{
    struct val *labels = json_path(v, "spec.template.metadata.labels"), *own = json_path(v, "metadata.labels");
    if (val_is(labels, VAL_OBJ) && labels->n && !(val_is(own, VAL_OBJ) && own->n))
        json_set(d->arena, json_obj(d->arena, v, STR("metadata")), STR("labels"), val_copy(d->arena, labels));
}

static void replication_controller(struct defaulting *d, struct val *v)
{
    struct val *labels = json_path(v, "spec.template.metadata.labels"), *spec = json_get(v, STR("spec"));
    struct val *selector = json_path(v, "spec.selector");
    labels_from_template(d, v);
    if (val_is(labels, VAL_OBJ) && labels->n && !(val_is(selector, VAL_OBJ) && selector->n))
        json_set(d->arena, spec, STR("selector"), val_copy(d->arena, labels));
}

static void network_policy_spec(struct defaulting *d, struct val *v)
{
    if (json_get(v, STR("policyTypes")))
        return;
    struct val *types = json_arr(d->arena, v, STR("policyTypes")), *egress = json_get(v, STR("egress"));
    val_push(types, val_of_str(d->arena, STR("Ingress")));
    if (val_is(egress, VAL_ARR) && egress->n)
        val_push(types, val_of_str(d->arena, STR("Egress")));
}

/* The single one is what old clients know: it wins. */
static void node_spec(struct defaulting *d, struct val *v)
{
    struct str one = json_str(v, "podCIDR");
    struct val *all = json_get(v, STR("podCIDRs"));
    bool some = val_is(all, VAL_ARR) && all->n;
    if (one.len && !(some && str_eq(val_str(all->first), one)))
        val_push(json_set(d->arena, v, STR("podCIDRs"), val_new(d->arena, VAL_ARR)), val_of_str(d->arena, one));
    else if (!one.len && some)
        json_set_str(d->arena, v, STR("podCIDR"), val_str(all->first));
}

/* Of a claim on devices: one device, unless more is said. */
static void device_request(struct defaulting *d, struct val *v)
{
    set_text(d, v, "allocationMode", "ExactCount");
    if (str_is(json_str(v, "allocationMode"), "ExactCount") && json_int(v, "count", 0) == 0)
        json_set_int(d->arena, v, STR("count"), 1);
}

/* Since when: now, unless it is said. */
static void device_taint(struct defaulting *d, struct val *v)
{
    char now[CLOCK_TEXT];
    clock_format(env_wall_ns(), now);
    if (!json_get(v, STR("timeAdded")))
        json_set_str(d->arena, v, STR("timeAdded"), arena_str(d->arena, str_of(now)));
}

static void on_pod_condition(struct defaulting *d, struct val *v)
{
    set_text(d, v, "status", "True");
}

static void subject(struct defaulting *d, struct val *v)
{
    struct str kind = json_str(v, "kind");
    if (str_is(kind, "User") || str_is(kind, "Group"))
        set_text(d, v, "apiGroup", "rbac.authorization.k8s.io");
}

static void namespace_(struct defaulting *d, struct val *v)
{
    struct str name = json_str(v, "metadata.name");
    struct val *labels = json_obj(d->arena, json_obj(d->arena, v, STR("metadata")), STR("labels"));
    if (name.len)
        json_set_str(d->arena, labels, STR("kubernetes.io/metadata.name"), name);
}

static void definition_spec(struct defaulting *d, struct val *v)
{
    struct val *names = json_obj(d->arena, v, STR("names"));
    struct str kind = json_str(names, "kind");
    char *lower = arena_dup(d->arena, kind);
    for (char *p = lower; p && *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 32);
    if (!json_str(names, "singular").len && kind.len)
        json_set_str(d->arena, names, STR("singular"), str_of(lower));
    if (!json_str(names, "listKind").len && kind.len)
        json_set_str(d->arena, names, STR("listKind"), str_of(arena_printf(d->arena, STR_FMT "List", STR_ARG(kind))));
    set_text(d, json_obj(d->arena, v, STR("conversion")), "strategy", "None");
}

static const struct {
    const char *type;
    default_fn fn;
} rows[] = {
    { "io.k8s.api.core.v1.PodSpec", pod_spec },
    { "io.k8s.api.core.v1.Pod", pod },
    { "io.k8s.api.core.v1.ImageVolumeSource", image_volume },
    { "io.k8s.api.core.v1.PersistentVolume", persistent_volume },
    { "io.k8s.api.core.v1.NodeStatus", node_status },
    { "io.k8s.api.core.v1.LimitRangeItem", limit_item },
    { "io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler", old_autoscaler },
    { "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec", autoscaler_spec },
    { "io.k8s.api.core.v1.Service", service },
    { "io.k8s.api.core.v1.Namespace", namespace_ },
    { "io.k8s.api.core.v1.ReplicationController", replication_controller },
    { "io.k8s.api.apps.v1.DeploymentSpec", deployment_spec },
    { "io.k8s.api.apps.v1.StatefulSetSpec", stateful_set_spec },
    { "io.k8s.api.apps.v1.DaemonSetSpec", daemon_set_spec },
    { "io.k8s.api.batch.v1.Job", job },
    { "io.k8s.api.batch.v1.PodFailurePolicyOnPodConditionsPattern", on_pod_condition },
    { "io.k8s.api.core.v1.NodeSpec", node_spec },
    { "io.k8s.api.resource.v1.ExactDeviceRequest", device_request },
    { "io.k8s.api.resource.v1.DeviceSubRequest", device_request },
    { "io.k8s.api.resource.v1.DeviceTaint", device_taint },
    { "io.k8s.api.networking.v1.NetworkPolicySpec", network_policy_spec },
    { "io.k8s.api.rbac.v1.Subject", subject },
    { "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionSpec", definition_spec },
};

static struct plan *plans;               /* by the type's number */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct plan *plan_of(const struct schema_type *t)
{
    return &plans[t - schema_type_at(0)];
}

/* Types hold each other in circles: again until nothing new is found. */
static bool spread(const struct schema_type *t, struct plan *p)
{
    struct plan was = *p;
    for (unsigned i = 0; i < t->n_flat; i++) {
        const struct schema_field *f = t->flat[i];
        if (f->fallback || (by_value(f) && plan_of(f->type)->own))
            p->fills |= 1ull << i;
        if (f->type->kind == T_STRUCT && plan_of(f->type)->any)
            p->enters |= 1ull << i;
        p->own |= p->fills != 0;
        p->any |= p->own || p->enters;
    }
    return p->own != was.own || p->any != was.any || p->fills != was.fills || p->enters != was.enters;
}

static void make_plans(void)
{
    size_t n = schema_n_types();
    if (!(plans = calloc(n, sizeof *plans)))
        abort();                        /* at the first object of all */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct schema_type *t = schema_type_by_name(str_of(rows[i].type));
        plans[t - schema_type_at(0)] = (struct plan){ .fn = rows[i].fn, .own = true, .any = true };
    }
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < n; i++)
            more |= spread(schema_type_at(i), &plans[i]);
    }
}

int object_default(struct arena *a, const struct schema_kind *k, struct val *v)
{
    struct defaulting d = { .arena = a };
    pthread_once(&once, make_plans);
    if (k->flags & K_CUSTOM)
        custom_default(a, custom_schema_tree(k->type->custom), v);
    else
        walk(&d, k->type, v);
    return arena_exhausted(a) ? -KL_NO_MEMORY : 0;
}
