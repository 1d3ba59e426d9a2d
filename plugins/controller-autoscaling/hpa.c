/* hpa.c - one look at a HorizontalPodAutoscaler, from the scale of its target to the next number. */
#include "hpa.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/map.h"

/* What the controller keeps between looks, by "ns/name". */
struct hpa_all {
    struct hpa_conf conf;
    struct map memory;                  /* key -> struct kept */
};
struct kept {
    struct hpa_memory memory;
    char *selector;                     /* of its target, when it was looked at */
    char key[];
};

static struct hpa_all *all_of(struct ctl_run *r)
{
    return (struct hpa_all *)(uintptr_t)r->ctl->conf;
}

static void drop(struct hpa_all *all, const char *key)
{
    struct kept *k = map_del(&all->memory, str_of(key));
    if (k) {
        hpa_memory_done(&k->memory);
        mem_free(k->selector);
    }
    mem_free(k);
}

static struct hpa_memory *memory_of(struct hpa_all *all, const char *key)
{
    struct kept *k = map_get(&all->memory, str_of(key));
    if (!k && (k = mem_alloc(sizeof *k + strlen(key) + 1))) {
        memcpy(k->key, key, strlen(key) + 1);
        if (!map_put(&all->memory, str_of(k->key), k)) {
            mem_free(k);
            k = NULL;
        }
    }
    return k ? &k->memory : NULL;
}

static int hpa_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct hpa_all *all = mem_alloc(sizeof *all);
    int rc = all ? ctl_open(h, all, self, c) : kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (rc == 0)
        all->conf = *(const struct hpa_conf *)conf;
    else
        mem_free(all);
    return rc;
}

static void hpa_close(void *self)
{
    struct hpa_all *all = (struct hpa_all *)(uintptr_t)((struct ctl *)self)->conf;
    size_t at = 0;
    void *v;
    while (map_next(&all->memory, &at, NULL, &v)) {
        hpa_memory_done(&((struct kept *)v)->memory);
        mem_free(((struct kept *)v)->selector);
        mem_free(v);
    }
    map_free(&all->memory);
    mem_free(all);
    ctl_close(self);
}

/* --- status --- */

static void set_condition(struct ctl_run *r, struct val *now, const char *type, const char *status, const char *reason, const char *message)
{
    struct arena *a = r->arena;
    struct val *list = json_arr(a, json_obj(a, now, STR("status")), STR("conditions")), *c = cond_find(list, type);
    if (!c) {
        c = val_push(list, val_new(a, VAL_OBJ));
        json_set_str(a, c, STR("type"), str_of(type));
    }
    bool turned = !str_is(json_str(c, "status"), status);
    json_set_str(a, c, STR("status"), str_of(status));
    if (turned)
        json_set_str(a, c, STR("lastTransitionTime"), ctl_now(r));
    json_set_str(a, c, STR("reason"), str_of(reason));
    json_set_str(a, c, STR("message"), str_of(message ? message : ""));
}

static void set_numbers(struct ctl_run *r, struct val *now, int64_t current, int64_t desired, struct val *metrics, bool scaled)
{
    struct val *st = json_obj(r->arena, now, STR("status"));
    json_set_int(r->arena, st, STR("currentReplicas"), current);
    json_set_int(r->arena, st, STR("desiredReplicas"), desired);
    if (metrics && metrics->n)
        json_set(r->arena, st, STR("currentMetrics"), metrics);
    else
        json_del(st, STR("currentMetrics"));
    if (scaled)
        json_set_str(r->arena, st, STR("lastScaleTime"), ctl_now(r));
}

static int write_status(struct ctl_run *r, const struct val *hpa, const struct val *now)
{
    return ctl_update(r, HPAS, "status", hpa, now, NULL);
}

/* --- the metrics together --- */

struct proposal {
    int64_t replicas;                   /* -1: none */
    const char *name;
    struct val *statuses;
    const char *failed;
};

/* The largest of those that could be read; when some could not, only upwards. */
static struct proposal propose(struct hpa_look *l, struct val *now)
{
    struct arena *a = l->run->arena;
    struct proposal p = { .replicas = 0, .statuses = val_new(a, VAL_ARR) };
    const struct val *list = json_path(l->hpa, "spec.metrics");
    const char *reason = NULL, *first = NULL, *inner = NULL;
    unsigned bad = 0, n = 0;
    for (const struct val *m = val_is(list, VAL_ARR) ? list->first : NULL; m; m = m->next, n++) {
        struct hpa_metric x;
        hpa_metric(l, m, &x);
        if (x.failed) {
            ctl_event(l->run, l->hpa, "Warning", x.failed_reason, "%s", x.failed);
            reason = bad ? reason : x.failed_reason;
            inner = bad ? inner : x.failed;
            first = bad++ ? first : x.failed_outer;
            json_set_str(a, val_push(p.statuses, val_new(a, VAL_OBJ)), STR("type"), STR(""));
            continue;
        }
        val_push(p.statuses, x.status);
        if (!p.name || x.replicas > p.replicas) {
            p.replicas = x.replicas;
            p.name = x.name;
        }
    }
    if (bad)
        p.failed = arena_printf(a, "invalid metrics (%u invalid out of %u), first error is: %s", bad, n, first);
    if (bad >= n || (bad && p.replicas < l->current)) {
        if (bad)
            set_condition(l->run, now, "ScalingActive", "False", reason, arena_printf(a, "the HPA was unable to compute the replica count: %s", inner));
        p.replicas = -1;
        return p;
    }
    set_condition(l->run, now, "ScalingActive", "True", "ValidMetricFound",
                  arena_printf(a, "the HPA was able to successfully calculate a replica count from %s", p.name));
    return p;
}

/* --- the target --- */

struct target {
    const char *resource, *name, *shown;
    struct val *scale;
};

static int find_target(struct ctl_run *r, const struct val *hpa, struct str ns, struct target *t)
{
    struct arena *a = r->arena;
    const char *kind = arena_dup(a, json_str(hpa, "spec.scaleTargetRef.kind")), *version = arena_dup(a, json_str(hpa, "spec.scaleTargetRef.apiVersion"));
    struct kl_kind k = { .size = sizeof k };
    struct kl_bytes b;
    t->name = arena_dup(a, json_str(hpa, "spec.scaleTargetRef.name"));
    int rc = r->ctl->objects->kind(r->ctl->host, r->call, NULL, version && version[0] ? version : "v1", kind, &k);
    if (rc == -KL_NOT_FOUND) {
        struct str rest = str_of(version), group = str_find(rest, '/') >= 0 ? str_cut(&rest, '/') : STR("");
        return kl_fail(r->call, KL_NOT_FOUND, "no matches for kind \"%s\" in group \"" STR_FMT "\"", kind, STR_ARG(group));
    }
    if (rc < 0)
        return rc;
    t->resource = arena_dup(a, str_of(k.resource));
    struct kl_object_key key = { sizeof key, t->resource, arena_dup(a, ns), t->name, "scale" };
    rc = r->ctl->objects->get(r->ctl->host, r->call, &key, &b);
    if (rc == 0)
        t->scale = json_parse(a, str_n(b.at, b.len), &r->call->err);
    return rc < 0 ? rc : t->scale ? 0 : -r->call->err.code;
}

static int write_scale(struct ctl_run *r, struct str ns, const struct target *t, int64_t replicas)
{
    struct val *now = val_copy(r->arena, t->scale);
    json_set_int(r->arena, json_obj(r->arena, now, STR("spec")), STR("replicas"), replicas);
    struct str text = ctl_text(r, now);
    struct kl_object_key key = { sizeof key, t->resource, arena_dup(r->arena, ns), t->name, "scale" };
    return text.at ? r->ctl->objects->update(r->ctl->host, r->call, &key, (struct kl_bytes){ text.at, text.len }, NULL) : ctl_no_memory(r);
}

static double tolerance_of(const struct val *hpa, const char *path, const struct hpa_conf *conf)
{
    struct quantity q;
    struct str s = json_str(hpa, path);
    return s.len && quantity_parse(s, &q) ? (double)q.nano / 1e9 : (double)conf->tolerance / 100;
}

/* --- others that want the same pods --- */

static void note_selector(struct hpa_all *all, const char *key, const char *selector)
{
    struct kept *k = map_get(&all->memory, str_of(key));
    if (!k || (k->selector && strcmp(k->selector, selector) == 0))
        return;
    mem_free(k->selector);
    if ((k->selector = mem_alloc(strlen(selector) + 1)))
        memcpy(k->selector, selector, strlen(selector) + 1);
}

/* "key=value"; false: another kind of requirement. */
static bool equality(struct str term, struct str *ret_key, struct str *ret_value)
{
    struct str rest = term;
    *ret_key = str_cut(&rest, '=');
    *ret_value = rest;
    return rest.at && str_find(rest, '=') < 0 && str_find(*ret_key, '!') < 0 && str_find(term, ' ') < 0;
}

/* They want different values of one label: no look at pods is needed. */
static bool disjoint(const char *a, const char *b)
{
    struct str key[2], value[2];
    for (struct str x = str_of(a); x.at && x.len;) {
        if (!equality(str_cut(&x, ','), &key[0], &value[0]))
            continue;
        for (struct str y = str_of(b); y.at && y.len;)
            if (equality(str_cut(&y, ','), &key[1], &value[1]) && str_eq(key[0], key[1]) && !str_eq(value[0], value[1]))
                return true;
    }
    return false;
}

static int shares_pods(struct hpa_look *l, const char *selector)
{
    struct ctl_list pods;
    if (disjoint(l->selector, selector))
        return 0;
    int rc = ctl_list(l->run, (struct kl_list_options){ .resource = PODS, .ns = arena_dup(l->run->arena, l->ns),
                                                        .label_selector = arena_printf(l->run->arena, "%s,%s", l->selector, selector) }, &pods);
    return rc < 0 ? rc : pods.n > 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The autoscalers that control pods of this one's selector, as "[ns/a ns/b]"; NULL: only this one. */
static const char *rivals(struct hpa_look *l, struct hpa_all *all)
{
    struct arena *a = l->run->arena;
    const char **at = arena_alloc(a, (all->memory.n + 1) * sizeof *at);
    char *prefix = arena_printf(a, STR_FMT "/", STR_ARG(l->ns));
    size_t slot = 0, n = 0;
    struct str key;
    void *v;
    while (at && prefix && map_next(&all->memory, &slot, &key, &v))
        if (((struct kept *)v)->selector && str_starts(key, str_of(prefix)) && shares_pods(l, ((struct kept *)v)->selector) > 0)
            at[n++] = arena_dup(a, key);
    if (n < 2)
        return NULL;
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 10);
    qsort(at, n, sizeof *at, by_text);
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s%s", i ? " " : "[", at[i]);
    return arena_printf(a, STR_FMT "]", STR_ARG(buf_str(&b)));
}

/* --- the look --- */

struct decision {
    int64_t desired;
    bool rescale, given_up;
    const char *reason, *failed;
    struct val *metrics;
};

static void decide_by_metrics(struct hpa_look *l, struct val *now, struct hpa_memory *m, int64_t least, int64_t most, struct decision *d)
{
    const char *others = rivals(l, all_of(l->run));
    if (others) {
        d->given_up = true;
        d->failed = arena_printf(l->run->arena, "pods by selector %s are controlled by multiple HPAs: %s", l->selector, others);
        ctl_event(l->run, l->hpa, "Warning", "AmbiguousSelector", "%s", d->failed);
        set_condition(l->run, now, "ScalingActive", "False", "AmbiguousSelector", d->failed);
        return;
    }
    struct proposal p = propose(l, now);
    d->metrics = p.statuses;
    if (p.replicas < 0) {
        d->given_up = true;
        d->failed = p.failed ? p.failed : "no metrics are given";
        return;
    }
    struct hpa_wish w = { l->run->now_ns, l->current, p.replicas, least, most, json_path(l->hpa, "spec.behavior"), l->conf->downscale_window };
    struct hpa_verdict v = hpa_limit(m, &w);
    d->reason = p.replicas > l->current ? arena_printf(l->run->arena, "%s above target", p.name) : "All metrics below target";
    d->desired = v.replicas;
    d->rescale = d->desired != l->current;
    set_condition(l->run, now, "AbleToScale", "True", v.able_reason, v.able_message);
    set_condition(l->run, now, "ScalingLimited", v.limited ? "True" : "False", v.reason, v.message);
}

static void decide(struct hpa_look *l, struct val *now, struct hpa_memory *m, struct decision *d)
{
    int64_t least = json_int(l->hpa, "spec.minReplicas", 1), most = json_int(l->hpa, "spec.maxReplicas", 1);
    *d = (struct decision){ .rescale = true };
    if (l->current == 0 && least != 0) {
        d->rescale = false;
        set_condition(l->run, now, "ScalingActive", "False", "ScalingDisabled", "scaling is disabled since the replica count of the target is zero");
    } else if (l->current > most) {
        d->reason = "Current number of replicas above Spec.MaxReplicas";
        d->desired = most;
    } else if (l->current < least) {
        d->reason = "Current number of replicas below Spec.MinReplicas";
        d->desired = least;
    } else {
        decide_by_metrics(l, now, m, least, most, d);
    }
}

static int rescale(struct hpa_look *l, struct val *now, struct hpa_memory *m, const struct target *t, struct decision *d)
{
    struct ctl_run *r = l->run;
    int rc = write_scale(r, l->ns, t, d->desired);
    if (rc < 0) {
        const char *why = arena_dup(r->arena, str_of(r->call->err.msg));
        ctl_event(r, l->hpa, "Warning", "FailedRescale", "New size: %lld; reason: %s; error: %s", (long long)d->desired, d->reason, why);
        set_condition(r, now, "AbleToScale", "False", "FailedUpdateScale", arena_printf(r->arena, "the HPA controller was unable to update the target scale: %s", why));
        set_numbers(r, now, l->current, json_int(now, "status.desiredReplicas", 0), d->metrics, false);
        write_status(r, l->hpa, now);
        return kl_fail(r->call, -rc, "failed to rescale: %s", why);
    }
    set_condition(r, now, "AbleToScale", "True", "SucceededRescale",
                  arena_printf(r->arena, "the HPA controller was able to update the target scale to %lld", (long long)d->desired));
    ctl_event(r, l->hpa, "Normal", "SuccessfulRescale", "New size: %lld; reason: %s", (long long)d->desired, d->reason);
    hpa_scaled(m, json_path(l->hpa, "spec.behavior"), r->now_ns, l->current, d->desired);
    return 0;
}

static int no_scale(struct ctl_run *r, const struct val *hpa, struct val *now)
{
    const char *why = arena_dup(r->arena, str_of(r->call->err.msg));
    ctl_event(r, hpa, "Warning", "FailedGetScale", "%s", why);
    set_condition(r, now, "AbleToScale", "False", "FailedGetScale", arena_printf(r->arena, "the HPA controller was unable to get the target's current scale: %s", why));
    kl_err_init(&r->call->err);
    return write_status(r, hpa, now);
}

static int no_selector(struct hpa_look *l, struct val *now)
{
    ctl_event(l->run, l->hpa, "Warning", "SelectorRequired", "selector is required");
    set_condition(l->run, now, "ScalingActive", "False", "InvalidSelector", "the HPA target's scale is missing a selector");
    return write_status(l->run, l->hpa, now);
}

static int look(struct hpa_look *l, const struct target *t, struct val *now, struct hpa_memory *m)
{
    struct decision d;
    set_condition(l->run, now, "AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale");
    if (!l->selector || !l->selector[0])
        return no_selector(l, now);
    note_selector(all_of(l->run), arena_printf(l->run->arena, STR_FMT "/" STR_FMT, STR_ARG(l->ns), STR_ARG(meta_name(l->hpa))), l->selector);
    hpa_remember(m, l->run->now_ns, l->current);
    decide(l, now, m, &d);
    kl_err_init(&l->run->call->err);
    if (d.given_up) {
        ctl_event(l->run, l->hpa, "Warning", "FailedComputeMetricsReplicas", "%s", d.failed);
        set_numbers(l->run, now, l->current, json_int(l->hpa, "status.desiredReplicas", 0), d.metrics, false);
        return write_status(l->run, l->hpa, now);
    }
    bool scale = d.rescale && d.desired != l->current;
    int rc = scale ? rescale(l, now, m, t, &d) : 0;
    if (rc < 0)
        return rc;
    set_numbers(l->run, now, l->current, d.rescale ? d.desired : l->current == 0 ? 0 : l->current, d.metrics, scale);
    return write_status(l->run, l->hpa, now);
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct hpa_all *all = all_of(r);
    const char *key = arena_printf(r->arena, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
    struct target t = { 0 };
    struct val *hpa;
    int rc = ctl_get(r, HPAS, ns, name, &hpa);
    if (rc == 0 && (!hpa || meta_deleting(hpa)))
        drop(all, key);
    if (rc < 0 || !hpa || meta_deleting(hpa))
        return rc;
    ctl_again(r, all->conf.period);
    struct val *now = val_copy(r->arena, hpa);
    struct hpa_memory *m = memory_of(all, key);
    if (!m)
        return ctl_no_memory(r);
    if (find_target(r, hpa, ns, &t) < 0)
        return no_scale(r, hpa, now);
    struct hpa_look l = { .run = r, .conf = &all->conf, .hpa = hpa, .current = json_int(t.scale, "spec.replicas", 0),
                          .status_replicas = json_int(t.scale, "status.replicas", 0), .selector = arena_dup(r->arena, json_str(t.scale, "status.selector")),
                          .ns = ns, .tolerance = { tolerance_of(hpa, "spec.behavior.scaleDown.tolerance", &all->conf),
                                                   tolerance_of(hpa, "spec.behavior.scaleUp.tolerance", &all->conf) } };
    return look(&l, &t, now, m);
}

CTL_RUN(horizontal, run)

/* Its own status is no news. */
static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    struct val *v = json_parse(r->arena, obj, NULL), *was = old.len ? json_parse(r->arena, old, NULL) : NULL;
    (void)resource;
    if (was && !(r->call->flags & KL_CALL_DELETED) && val_equal(json_get(v, STR("spec")), json_get(was, STR("spec"))))
        return 0;
    ctl_key_add(keys, meta_ns(v), meta_name(v));
    return 0;
}

CTL_MAP(horizontal, map)

static const struct kl_watch watches[] = { { sizeof(struct kl_watch), HPAS, NULL, "map" } };
const struct kl_controller horizontal_controller = { .size = sizeof(struct kl_controller), .life = { .open = hpa_open, .close = hpa_close },
                                                     .flags = KL_CONTROLLER_BLOCKING, .workers = 1, .watches = KL_ARRAY_OF(watches),
                                                     .map = horizontal_map, .reconcile = horizontal_reconcile };
