/* metrics.c - one metric of an autoscaler: read, calculated, told in words for the status. */
#include "hpa.h"

#include "base/cleanup.h"

#define RESOURCE "metrics.k8s.io/pods"
#define CUSTOM   "custom.metrics.k8s.io/"
#define EXTERNAL "external.metrics.k8s.io/"

/* --- reading --- */

static const char *escaped(struct arena *a, const char *text)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16384);
    for (const char *p = text; p && *p; p++)
        if ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || strchr("-._~", *p))
            buf_add_c(&b, *p);
        else
            buf_printf(&b, "%%%02X", (unsigned char)*p);
    return arena_dup(a, buf_str(&b));
}

/* The answer as a tree; NULL: the call's error says why. */
static struct val *read_metrics(struct hpa_look *l, const char *resource, const char *ns, const char *name, const char *sub)
{
    struct ctl_run *r = l->run;
    struct kl_object_key k = { sizeof k, resource, ns, name, sub };
    struct kl_bytes b;
    if (!resource || !sub)
        return NULL;
    kl_err_init(&r->call->err);
    int rc = r->ctl->objects->get(r->ctl->host, r->call, &k, &b);
    return rc < 0 ? NULL : json_parse(r->arena, str_n(b.at, b.len), &r->call->err);
}

static int64_t milli(struct str s)
{
    struct quantity q;
    return quantity_parse(s, &q) ? quantity_milli(q) : 0;
}

/* "10.062s", "1m0s"; a minute when it is neither. */
static int64_t window_of(struct str s)
{
    struct quantity seconds;
    int64_t m = 0;
    if (str_find(s, 'm') >= 0 && !str_int(str_cut(&s, 'm'), &m))
        return 60 * NS_S;
    if (!str_ends(s, STR("s")) || !quantity_parse(str_n(s.at, s.len - 1), &seconds))
        return 60 * NS_S;
    return m * 60 * NS_S + quantity_milli(seconds) * (NS_S / 1000);
}

/* The condition and the metric's own Event tell what: why (what may be NULL), the autoscaler's tells that behind outer. */
static bool fail(struct hpa_look *l, struct hpa_metric *ret, const char *reason, const char *outer, const char *what, const char *why)
{
    ret->failed_reason = reason;
    ret->failed = arena_printf(l->run->arena, "%s%s%s", what ? what : "", what ? ": " : "", why);
    ret->failed_outer = arena_printf(l->run->arena, "%s: %s", outer, ret->failed);
    return false;
}

/* Why the custom metrics API did not answer. */
static const char *custom_why(struct hpa_look *l)
{
    const char *why = l->run->call->err.msg;
    if (str_starts(str_of(why), STR("the server could not find the requested resource")))
        why = "no custom metrics API (custom.metrics.k8s.io) registered";
    return arena_printf(l->run->arena, "unable to fetch metrics from custom metrics API: %s", why);
}

/* Of each pod the sum over its containers, or one container's; a pod of which one is not told is left out. */
static bool take_usage(struct hpa_ask *q, const struct val *list)
{
    struct val *items = json_get(list, STR("items"));
    q->samples = val_is(items, VAL_ARR) ? arena_alloc(q->arena, (items->n + 1) * sizeof *q->samples) : NULL;
    for (struct val *m = q->samples ? items->first : NULL; m; m = m->next) {
        struct val *containers = json_get(m, STR("containers"));
        int64_t sum = 0;
        bool all = val_is(containers, VAL_ARR) && containers->n, found = !q->container.len;
        for (struct val *c = all ? containers->first : NULL; c; c = c->next) {
            if (q->container.len && !str_eq(json_str(c, "name"), q->container))
                continue;
            struct val *v = json_get(json_get(c, STR("usage")), q->resource);
            found = true;
            all = all && v;
            sum += milli(val_str(v));
        }
        if (all && found)
            q->samples[q->n_samples++] = (struct hpa_sample){ meta_name(m), sum, meta_time(m, "timestamp"), window_of(json_str(m, "window")), false };
    }
    return val_is(items, VAL_ARR) && items->n;
}

static int list_pods(struct hpa_look *l, struct hpa_ask *q)
{
    struct ctl_list pods;
    *q = (struct hpa_ask){ .conf = l->conf, .arena = l->run->arena, .now_ns = l->run->now_ns, .current = l->current, .tolerance = l->tolerance,
                           .resource = STR(""), .container = STR("") };
    int rc = ctl_list(l->run, (struct kl_list_options){ .resource = PODS, .ns = arena_dup(l->run->arena, l->ns), .label_selector = l->selector }, &pods);
    q->pods = pods.at;
    q->n_pods = pods.n;
    return rc;
}

static const char *query(struct hpa_look *l, const char *sub, const char *labels, const char *metric_labels)
{
    struct arena *a = l->run->arena;
    return arena_printf(a, "%s?labelSelector=%s%s%s", sub, escaped(a, labels), metric_labels ? "&metricLabelSelector=" : "",
                        metric_labels ? escaped(a, metric_labels) : "");
}

static struct str quantity_text(struct arena *a, int64_t milli, enum quantity_format format)
{
    char text[QUANTITY_TEXT];
    quantity_format((struct quantity){ (__int128)milli * 1000000, format }, text);
    return str_of(arena_dup(a, str_of(text)));
}

static struct str milli_text(struct arena *a, int64_t n)
{
    return quantity_text(a, n, QUANTITY_DECIMAL);
}

/* --- kinds of metrics --- */

static void resource_status(struct hpa_look *l, const struct val *source, const struct hpa_answer *x, bool percents, const char *member, struct hpa_metric *ret)
{
    struct arena *a = l->run->arena;
    struct val *one = json_obj(a, ret->status, str_of(member)), *current;
    json_set_str(a, one, STR("name"), json_str(source, "name"));
    if (json_str(source, "container").len)
        json_set_str(a, one, STR("container"), json_str(source, "container"));
    current = json_obj(a, one, STR("current"));
    bool memory = str_is(json_str(source, "name"), "memory");
    json_set_str(a, current, STR("averageValue"), quantity_text(a, x->usage, memory ? QUANTITY_BINARY : QUANTITY_DECIMAL));
    if (percents)
        json_set_int(a, current, STR("averageUtilization"), x->utilization);
}

static bool resource(struct hpa_look *l, const struct val *source, bool of_container, struct hpa_metric *ret)
{
    struct arena *a = l->run->arena;
    const char *reason = of_container ? "FailedGetContainerResourceMetric" : "FailedGetResourceMetric", *ns = arena_dup(a, l->ns);
    const char *name = arena_dup(a, json_str(source, "name"));
    bool percents = !json_path(source, "target.averageValue");
    const char *what = arena_printf(a, "failed to get %s %s", name, percents ? "utilization" : "usage");
    const char *outer = arena_printf(a, of_container ? "failed to get %s container metric value" : "failed to get %s resource metric value",
                                     of_container ? arena_dup(a, json_str(source, "container")) : name);
    struct hpa_ask q;
    struct hpa_answer x;
    struct val *list = read_metrics(l, RESOURCE, ns, NULL, query(l, "", l->selector, NULL));
    if (!list)
        return fail(l, ret, reason, outer, what, arena_printf(a, "unable to get metrics for resource %s: unable to fetch metrics from resource metrics API: %s", name,
                                                       l->run->call->err.msg));
    if (list_pods(l, &q) < 0)
        return fail(l, ret, reason, outer, what, l->run->call->err.msg);
    q.resource = json_str(source, "name");
    q.container = of_container ? json_str(source, "container") : STR("");
    q.target = percents ? json_int(source, "target.averageUtilization", 80) : milli(json_str(source, "target.averageValue"));
    if (!take_usage(&q, list))
        return fail(l, ret, reason, outer, what, arena_printf(a, "unable to get metrics for resource %s: no metrics returned from resource metrics API", name));
    if (!(percents ? hpa_by_utilization : hpa_by_average)(&q, &x))
        return fail(l, ret, reason, outer, what, arena_dup(a, str_of(x.why)));
    ret->replicas = x.replicas;
    ret->name = percents ? arena_printf(a, "%s %sresource utilization (percentage of request)", name, of_container ? "container " : "")
                         : arena_printf(a, "%s resource", name);
    resource_status(l, source, &x, percents, of_container ? "containerResource" : "resource", ret);
    return true;
}

static const char *metric_selector(struct hpa_look *l, const struct val *metric)
{
    struct val *s = json_get(metric, STR("selector"));
    return s && !sel_empty(s) ? sel_text(l->run->arena, s) : NULL;
}

static struct val *metric_status(struct hpa_look *l, const struct val *source, const char *member, struct hpa_metric *ret)
{
    struct arena *a = l->run->arena;
    struct val *one = json_obj(a, ret->status, str_of(member));
    json_set(a, one, STR("metric"), val_copy(a, json_get(source, STR("metric"))));
    return json_obj(a, one, STR("current"));
}

static bool pods_metric(struct hpa_look *l, const struct val *source, struct hpa_metric *ret)
{
    static const char reason[] = "FailedGetPodsMetric", outer[] = "failed to get pods metric value";
    struct arena *a = l->run->arena;
    const char *name = arena_dup(a, json_str(source, "metric.name"));
    struct hpa_ask q;
    struct hpa_answer x;
    struct val *list = read_metrics(l, CUSTOM "pods", arena_dup(a, l->ns), "*", query(l, name, l->selector, metric_selector(l, json_get(source, STR("metric")))));
    struct val *items = json_get(list, STR("items"));
    if (!list)
        return fail(l, ret, reason, outer, NULL, arena_printf(a, "unable to get metric %s: %s", name, custom_why(l)));
    if (list_pods(l, &q) < 0)
        return fail(l, ret, reason, outer, NULL, l->run->call->err.msg);
    q.target = milli(json_str(source, "target.averageValue"));
    q.samples = val_is(items, VAL_ARR) ? arena_alloc(a, (items->n + 1) * sizeof *q.samples) : NULL;
    for (struct val *m = q.samples ? items->first : NULL; m; m = m->next)
        q.samples[q.n_samples++] = (struct hpa_sample){ json_str(m, "describedObject.name"), milli(json_str(m, "value")), meta_time(m, "timestamp"),
                                                        json_int(m, "windowSeconds", 60) * NS_S, false };
    if (!q.n_samples)
        return fail(l, ret, reason, outer, NULL, arena_printf(a, "unable to get metric %s: no metrics returned from custom metrics API", name));
    if (!hpa_by_average(&q, &x))
        return fail(l, ret, reason, outer, NULL, arena_dup(a, str_of(x.why)));
    ret->replicas = x.replicas;
    ret->name = arena_printf(a, "pods metric %s", name);
    json_set_str(a, metric_status(l, source, "pods", ret), STR("averageValue"), milli_text(a, x.usage));
    return true;
}

/* One value for all pods: how many does it ask for? */
static bool by_one_value(struct hpa_look *l, const struct val *source, int64_t usage, const char *member, struct hpa_metric *ret, struct hpa_answer *x)
{
    struct arena *a = l->run->arena;
    struct hpa_ask q;
    bool average = json_path(source, "target.averageValue") != NULL;
    if (list_pods(l, &q) < 0) {
        snprintf(x->why, sizeof x->why, "%s", l->run->call->err.msg);
        return false;
    }
    q.target = milli(json_str(source, average ? "target.averageValue" : "target.value"));
    if (q.target < 1)
        q.target = 1;
    if (average)
        hpa_by_value_per_pod(&q, usage, l->status_replicas, x);
    else if (!hpa_by_value(&q, usage, x))
        return false;
    ret->replicas = x->replicas;
    json_set_str(a, metric_status(l, source, member, ret), average ? STR("averageValue") : STR("value"), milli_text(a, x->usage));
    return true;
}

static bool object_metric(struct hpa_look *l, const struct val *source, struct hpa_metric *ret)
{
    static const char reason[] = "FailedGetObjectMetric";
    struct arena *a = l->run->arena;
    struct ctl_run *r = l->run;
    const char *name = arena_dup(a, json_str(source, "metric.name")), *kind = arena_dup(a, json_str(source, "describedObject.kind"));
    const char *version = arena_dup(a, json_str(source, "describedObject.apiVersion"));
    const char *outer = json_path(source, "target.averageValue") ? arena_printf(a, "failed to get object metric value: failed to get %s object metric", name)
                                                                 : "failed to get object metric value";
    struct kl_kind k = { .size = sizeof k };
    struct hpa_answer x = { 0 };
    kl_err_init(&r->call->err);
    if (r->ctl->objects->kind(r->ctl->host, r->call, NULL, version && version[0] ? version : "v1", kind, &k) < 0)
        return fail(l, ret, reason, outer, NULL, r->call->err.msg);
    struct str plural = str_of(k.resource), group = str_cut(&plural, '/');
    bool space = strcmp(k.resource, "/namespaces") == 0;        /* an autoscaler may ask for its own only, whatever it names */
    const char *target = space ? CUSTOM "metrics" : arena_printf(a, CUSTOM STR_FMT "%s" STR_FMT, STR_ARG(plural), group.len ? "." : "", STR_ARG(group));
    struct val *list = read_metrics(l, target, arena_dup(a, l->ns), space ? name : arena_dup(a, json_str(source, "describedObject.name")),
                                    query(l, space ? "" : name, "", metric_selector(l, json_get(source, STR("metric"))))), *items = json_get(list, STR("items"));
    if (!val_is(items, VAL_ARR) || !items->n)
        return fail(l, ret, reason, outer, NULL, arena_printf(a, "unable to get metric %s: %s on " STR_FMT " " STR_FMT "/%s", name, kind,
                                                              STR_ARG(l->ns), STR_ARG(json_str(source, "describedObject.name")),
                                                              list ? "no metrics returned from custom metrics API" : custom_why(l)));
    if (!by_one_value(l, source, milli(json_str(items->first, "value")), "object", ret, &x))
        return fail(l, ret, reason, outer, NULL, arena_dup(a, str_of(x.why)));
    json_set(a, json_obj(a, ret->status, STR("object")), STR("describedObject"), val_copy(a, json_get(source, STR("describedObject"))));
    ret->name = json_path(source, "target.averageValue") ? arena_printf(a, "external metric %s(%s)", name, sel_shown(a, json_path(source, "metric.selector")))
                                                         : arena_printf(a, "%s metric %s", kind, name);
    return true;
}

static bool external_metric(struct hpa_look *l, const struct val *source, struct hpa_metric *ret)
{
    static const char reason[] = "FailedGetExternalMetric";
    struct arena *a = l->run->arena;
    const char *name = arena_dup(a, json_str(source, "metric.name")), *labels = metric_selector(l, json_get(source, STR("metric")));
    const char *shown = sel_shown(a, json_path(source, "metric.selector"));
    const char *outer = arena_printf(a, json_path(source, "target.averageValue") ? "failed to get %s external metric value: failed to get %s external metric"
                                                                                 : "failed to get %s external metric value: failed to get external metric %s", name, name);
    struct val *list = read_metrics(l, arena_printf(a, EXTERNAL "%s", name), arena_dup(a, l->ns), NULL, query(l, "", labels ? labels : "", NULL));
    struct val *items = json_get(list, STR("items"));
    struct hpa_answer x = { 0 };
    int64_t sum = 0;
    if (!val_is(items, VAL_ARR) || !items->n)
        return fail(l, ret, reason, outer, NULL,
                    arena_printf(a, "unable to get external metric " STR_FMT "/%s/%s: %s%s", STR_ARG(l->ns), name, shown,
                                 list ? "no metrics returned from external metrics API" : "unable to fetch metrics from external metrics API: ",
                                 list ? "" : l->run->call->err.msg));
    val_each(m, items) sum += milli(json_str(m, "value"));
    if (!by_one_value(l, source, sum, "external", ret, &x))
        return fail(l, ret, reason, outer, NULL, arena_dup(a, str_of(x.why)));
    ret->name = arena_printf(a, "external metric %s(%s)", name, shown);
    return true;
}

void hpa_metric(struct hpa_look *l, const struct val *spec, struct hpa_metric *ret)
{
    struct arena *a = l->run->arena;
    struct str type = json_str(spec, "type");
    *ret = (struct hpa_metric){ .status = val_new(a, VAL_OBJ) };
    json_set_str(a, ret->status, STR("type"), type);
    if (str_is(type, "Resource"))
        resource(l, json_get(spec, STR("resource")), false, ret);
    else if (str_is(type, "ContainerResource"))
        resource(l, json_get(spec, STR("containerResource")), true, ret);
    else if (str_is(type, "Pods"))
        pods_metric(l, json_get(spec, STR("pods")), ret);
    else if (str_is(type, "Object"))
        object_metric(l, json_get(spec, STR("object")), ret);
    else if (str_is(type, "External"))
        external_metric(l, json_get(spec, STR("external")), ret);
    else
        fail(l, ret, "InvalidMetricSourceType", "unknown metric source type", NULL, arena_dup(a, type));
}
