/* plugin.c - admission-podsecurity: whom the standard concerns, and what follows from what its checks find. */
#include "base/clock.h"
#include "base/json_scan.h"
#include "podsecurity.h"

#define ARENA_BYTES ((size_t)256 << 20)
#define PODS_MOST   3000                /* pods of a namespace that are looked at when its labels change */
#define PODS_NS     1000000000LL        /* and the longest that it may take */

struct conf {
    const char *level[MODES], *version[MODES];
    const char *const *exempt_namespaces, *const *exempt_usernames, *const *exempt_runtime_classes;
};

struct podsecurity {
    const struct kl_host *host;
    const struct kl_host_objects *objects;
    const struct kl_host_env *env;
    const struct conf *conf;
    struct policy defaults;
};

struct ask {                            /* one review */
    struct podsecurity *x;
    struct kl_call *call;
    const struct kl_admission_review *r;
    struct kl_admission_verdict *ret;
    struct arena *a;
};

static int ps_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    struct podsecurity *x = mem_alloc(sizeof *x);
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    *x = (struct podsecurity){ h, h->service(h, KL_HOST_OBJECTS_0), h->service(h, KL_HOST_ENV_0), conf, { .at = { { 0 } } } };
    for (int i = 0; i < MODES; i++) {
        level_parse(str_of(x->conf->level[i]), &x->defaults.at[i].level);       /* one of the choices */
        if (version_parse(str_of(x->conf->version[i]), &x->defaults.at[i].minor))
            continue;
        kl_fail(c, KL_INVALID, "'%s' is no version: must be \"latest\" or \"v1.x\"", x->conf->version[i]);
        mem_free(x);
        return -KL_INVALID;
    }
    *self = x;
    return 0;
}

static void ps_close(void *self)
{
    mem_free(self);
}

static bool listed(const char *const *list, struct str s)
{
    for (; s.len && list && *list; list++)
        if (str_is(s, *list))
            return true;
    return false;
}

static int no_memory(struct ask *q)
{
    return kl_fail(q->call, KL_NO_MEMORY, "out of memory");
}

static struct val *parse(struct ask *q, struct kl_bytes b)
{
    return json_parse(q->a, str_n(b.at, b.len), &q->call->err);
}

/* The arena ends with the review: what is handed out is the call's. */
static int hand_out(struct ask *q, const struct val *warnings)
{
    const char **out = kl_alloc(q->call, (warnings->n + 1) * sizeof *out);
    unsigned n = 0;
    if (!out)
        return no_memory(q);
    val_each(w, warnings)
        if (!(out[n++] = kl_dup(q->call, val_str(w).at, val_str(w).len)))
            return no_memory(q);
    q->ret->warnings = out;
    return 0;
}

static int warn(struct ask *q, const char *text)
{
    struct val *list = text ? val_new(q->a, VAL_ARR) : NULL;
    return val_push(list, val_of_str(q->a, str_of(text))) ? hand_out(q, list) : no_memory(q);
}

/* For the trail: up to three of them. */
#define PREFIX "pod-security.kubernetes.io/"
static int annotate(struct ask *q, const char *key, const char *value)
{
    const char **at = (const char **)q->ret->annotations;
    unsigned n = 0;
    if (!(q->call->flags & KL_CALL_AUDITED))
        return 0;
    if (!at && !(at = kl_alloc(q->call, 7 * sizeof *at)))
        return no_memory(q);
    while (at[n])
        n += 2;
    if (!value || !(value = kl_dup(q->call, value, strlen(value))))
        return no_memory(q);
    at[n] = key;
    at[n + 1] = value;
    q->ret->annotations = at;
    return 0;
}

/* --- pods and what makes them --- */

static const struct {
    const char *group, *resource, *template;       /* where metadata and spec of its pods are; NULL: it is one */
} kinds[] = {
    { "", "pods", NULL },
    { "", "replicationcontrollers", "spec.template" },
    { "", "podtemplates", "template" },
    { "apps", "replicasets", "spec.template" },
    { "apps", "deployments", "spec.template" },
    { "apps", "statefulsets", "spec.template" },
    { "apps", "daemonsets", "spec.template" },
    { "batch", "jobs", "spec.template" },
    { "batch", "cronjobs", "spec.jobTemplate.spec.template" },
};

/* Labels of the request's namespace, as text; STR_NONE: none of ours among them. Most have none: that is seen without a tree. */
static int find_labels(struct podsecurity *x, struct kl_call *c, const char *ns, struct str *ret)
{
    static const char prefix[] = "pod-security.kubernetes.io/";
    struct kl_object_key k = { sizeof k, "/namespaces", "", ns, NULL };
    struct kl_bytes text;
    if (x->objects->get(x->host, c, &k, &text) < 0)
        return kl_fail(c, KL_INTERNAL, "Internal error occurred: failed to lookup namespace \"%s\"", ns);
    *ret = json_scan_path(str_n(text.at, text.len), "metadata.labels");
    if (ret->len && !memmem(ret->at, ret->len, prefix, sizeof prefix - 1))
        *ret = STR_NONE;
    return 0;
}

static bool is_exempt(const struct podsecurity *x, const struct kl_request *r, const struct kl_user *user)
{
    return listed(x->conf->exempt_namespaces, str_of(r->ns)) || listed(x->conf->exempt_usernames, str_of(user ? user->name : ""));
}

static int wants(void *self, struct kl_call *c, const struct kl_request *r, const struct kl_user *user)
{
    struct podsecurity *x = self;
    struct str labels = STR_NONE;
    if (strcmp(r->resource, "namespaces") == 0)
        return 1;
    if (c->flags & KL_CALL_AUDITED)
        return 1;                       /* the trail tells of every pod */
    if (is_exempt(x, r, user))
        return 0;
    int rc = find_labels(x, c, r->ns, &labels);
    return rc < 0 ? rc : labels.len || !policy_privileged(&x->defaults);
}

static bool same_images(const struct val *now, const struct val *old, const char *list, bool by_name)
{
    const struct val *x = json_get(json_get(now, STR("spec")), str_of(list)), *y = json_get(json_get(old, STR("spec")), str_of(list));
    if (!by_name && (val_is(x, VAL_ARR) ? x->n : 0) != (val_is(y, VAL_ARR) ? y->n : 0))
        return false;
    const struct val *o = val_is(y, VAL_ARR) ? y->first : NULL;
    for (const struct val *c = val_is(x, VAL_ARR) ? x->first : NULL; c; c = c->next) {
        for (o = by_name && y ? y->first : o; by_name && o && !str_eq(json_str(o, "name"), json_str(c, "name")); o = o->next)
            ;
        if (!o || !str_eq(json_str(c, "image"), json_str(o, "image")))
            return false;
        o = o->next;
    }
    return true;
}

/* Of what an update may change in a pod only images and new ephemeral containers matter here. */
static bool significant(const struct val *now, const struct val *old)
{
    return !same_images(now, old, "containers", false) || !same_images(now, old, "initContainers", false) ||
           !same_images(now, old, "ephemeralContainers", true);
}

static int evaluate(struct ask *q, const struct policy *p, const struct val *pod, bool enforce)
{
    const struct val *meta = json_get(pod, STR("metadata")), *spec = json_get(pod, STR("spec"));
    struct findings f;
    if (listed(q->x->conf->exempt_runtime_classes, json_str(spec, "runtimeClassName")))
        return annotate(q, PREFIX "exempt", "runtimeClass");
    if (enforce && annotate(q, PREFIX "enforce-policy", level_version_text(q->a, p->at[ENFORCE])) < 0)
        return -q->call->err.code;
    if (q->call->flags & KL_CALL_AUDITED) {
        check_pod(q->a, p->at[AUDIT], meta, spec, &f);
        if (f.n && annotate(q, PREFIX "audit-violations", arena_printf(q->a, "would violate PodSecurity \"%s\": %s", level_version_text(q->a, p->at[AUDIT]),
                                                                       findings_text(q->a, &f, true))) < 0)
            return -q->call->err.code;
    }
    if (enforce) {
        check_pod(q->a, p->at[ENFORCE], meta, spec, &f);
        const char *text = !f.n ? NULL : arena_printf(q->a, "violates PodSecurity \"%s\": %s", level_version_text(q->a, p->at[ENFORCE]), findings_text(q->a, &f, true));
        q->ret->refusal = text ? kl_dup(q->call, text, strlen(text)) : NULL;
        if (f.n)
            return kl_fail(q->call, KL_FORBIDDEN, "%s", text ? text : "violates PodSecurity");
    }
    check_pod(q->a, p->at[WARN], meta, spec, &f);
    if (arena_exhausted(q->a))
        return no_memory(q);
    return !f.n ? 0 : warn(q, arena_printf(q->a, "would violate PodSecurity \"%s\": %s", level_version_text(q->a, p->at[WARN]), findings_text(q->a, &f, true)));
}

static int review_pods(struct ask *q, size_t kind)
{
    const struct kl_request *r = q->r->request;
    const char *where = kinds[kind].template;
    struct str text;
    if (is_exempt(q->x, r, q->r->user))
        return annotate(q, PREFIX "exempt", listed(q->x->conf->exempt_namespaces, str_of(r->ns)) ? "namespace" : "user");
    int rc = find_labels(q->x, q->call, r->ns, &text);
    if (rc < 0)
        return rc;
    if (!(q->a = arena_new(ARENA_BYTES)))
        return no_memory(q);
    struct val *labels = text.len ? json_parse(q->a, text, &q->call->err) : NULL;
    if (text.len && !labels)
        return -q->call->err.code;
    struct policy p = policy_of(q->a, labels, &q->x->defaults, NULL);
    if (policy_privileged(&p))
        return where ? 0 : annotate(q, PREFIX "enforce-policy", "privileged:latest");
    if (where && p.at[WARN].level == PRIVILEGED && p.at[AUDIT].level == PRIVILEGED)
        return 0;
    struct val *v = parse(q, q->r->object), *old = v && !where && q->r->old_object.len ? parse(q, q->r->old_object) : NULL;
    if (!v || (!where && q->r->old_object.len && !old))
        return -q->call->err.code;
    if (old && !significant(v, old))
        return 0;
    const struct val *pod = where ? json_path(v, where) : v;
    return pod ? evaluate(q, &p, pod, !where) : 0;
}

/* --- namespaces: whom a new policy would hit --- */

/* One kind of violation: how many pods have it, and the first of their names. */
static int count_violation(struct ask *q, struct val *groups, const char *reason, struct str name)
{
    struct val *g = json_get(groups, str_of(reason));
    if (!g) {
        g = json_obj(q->a, groups, str_of(reason));
        json_set_str(q->a, g, STR("name"), name);
    } else if (str_cmp(name, json_str(g, "name")) < 0) {
        json_set_str(q->a, g, STR("name"), name);
    }
    json_set_int(q->a, g, STR("n"), json_int(g, "n", 0) + 1);
    return arena_exhausted(q->a) ? no_memory(q) : 0;
}

static void insert_sorted(struct val *list, struct val *v)
{
    struct val **at = &list->first;
    while (*at && str_cmp(val_str(*at), val_str(v)) <= 0)
        at = &(*at)->next;
    v->next = *at;
    *at = v;
    list->n++;
}

static int tell_violations(struct ask *q, const struct val *groups, struct level_version lv, uint32_t checked, uint32_t total)
{
    struct val *all = val_new(q->a, VAL_ARR), *each = val_new(q->a, VAL_ARR);
    if (checked < total)
        val_push(all, val_of_str(q->a, str_of(arena_printf(q->a, "new PodSecurity enforce level only checked against the first %u of %u existing pods", checked, total))));
    if (groups->n)
        val_push(all, val_of_str(q->a, str_of(arena_printf(q->a, "existing pods in namespace \"%s\" violate the new PodSecurity enforce level \"%s\"",
                                                           q->r->request->name, level_version_text(q->a, lv)))));
    val_each(g, groups) {
        int64_t more = json_int(g, "n", 0) - 1;
        const char *and = more == 1 ? " (and 1 other pod)" : more > 1 ? arena_printf(q->a, " (and %lld other pods)", (long long)more) : "";
        struct val *v = val_of_str(q->a, str_of(arena_printf(q->a, STR_FMT "%s: " STR_FMT, STR_ARG(json_str(g, "name")), and, STR_ARG(val_key(g)))));
        if (v && each)
            insert_sorted(each, v);
    }
    if (arena_exhausted(q->a))
        return no_memory(q);
    for (struct val *v = each->first, *next; v; v = next) {
        next = v->next;
        val_push(all, v);
    }
    return all->n ? hand_out(q, all) : 0;
}

/* Of pods that one controller made, the first tells most. Moves those of further ones behind. */
static void order_pods(struct ask *q, struct val **pods, uint32_t *n)
{
    struct val *seen = val_new(q->a, VAL_OBJ), **later = arena_alloc(q->a, (*n + 1) * sizeof *later);
    uint32_t first = 0, m = 0;
    for (uint32_t i = 0; i < *n && later && seen; i++) {
        struct str owner = STR_NONE;
        const struct val *refs = json_path(pods[i], "metadata.ownerReferences");
        if (val_is(refs, VAL_ARR))
            val_each(ref, refs)
                if (json_bool(ref, "controller", false))
                    owner = json_str(ref, "uid");
        if (listed(q->x->conf->exempt_runtime_classes, json_str(pods[i], "spec.runtimeClassName")))
            continue;
        if (owner.len && json_get(seen, owner)) {
            later[m++] = pods[i];
            continue;
        }
        if (owner.len)
            json_set_bool(q->a, seen, owner, true);
        pods[first++] = pods[i];
    }
    for (uint32_t i = 0; i < m; i++)
        pods[first + i] = later[i];
    *n = first + m;
}

static int look_at_pods(struct ask *q, struct level_version lv)
{
    struct kl_object_list list = { .size = sizeof list };
    struct kl_list_options o = { .size = sizeof o, .resource = "/pods", .ns = q->r->request->name };
    int64_t until = q->x->env->mono_ns(q->x->host) + PODS_NS;
    if (q->x->objects->list(q->x->host, q->call, &o, &list) < 0)
        return warn(q, "failed to list pods while checking new PodSecurity enforce level");
    struct val *groups = val_new(q->a, VAL_OBJ), **pods = arena_alloc(q->a, (list.n + 1) * sizeof *pods);
    uint32_t n = list.n, checked = 0;
    struct findings f;
    if (!groups || !pods)
        return no_memory(q);
    for (uint32_t i = 0; i < n; i++)
        if (!(pods[i] = parse(q, list.at[i])))
            return -q->call->err.code;
    order_pods(q, pods, &n);
    uint32_t total = n;
    while (checked < total && checked < PODS_MOST && q->x->env->mono_ns(q->x->host) < until) {
        const struct val *pod = pods[checked++];
        check_pod(q->a, lv, json_get(pod, STR("metadata")), json_get(pod, STR("spec")), &f);
        if (f.n && count_violation(q, groups, findings_text(q->a, &f, false), json_str(pod, "metadata.name")) < 0)
            return -q->call->err.code;
    }
    return tell_violations(q, groups, lv, checked, total);
}

/* The labels of a namespace must be right when they are new or changed. */
static int wrong_labels(struct ask *q, const struct val *causes)
{
    const char **out = kl_alloc(q->call, (causes->n + 1) * sizeof *out);
    unsigned n = 0;
    if (!out)
        return no_memory(q);
    val_each(v, causes)
        if (!(out[n++] = kl_dup(q->call, val_str(v).at, val_str(v).len)))
            return no_memory(q);
    q->ret->causes = out;
    return kl_fail(q->call, KL_INVALID, "the labels of Pod Security are wrong");
}

/* An exempt namespace whose labels ask for something is told that nobody listens. */
static int exempt(struct ask *q, const struct policy *p, const struct val *labels)
{
    static const char *const names[] = { "enforce", "audit", "warn" };
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    for (int i = 0; i < MODES; i++)
        if (p->at[i].level != PRIVILEGED && (json_get(labels, str_of(mode_labels[i][0])) || json_get(labels, str_of(mode_labels[i][1]))))
            buf_printf(&b, "%s%s=%s", b.len ? ", " : "", names[i], level_version_text(q->a, p->at[i]));
    if (!b.len)
        return 0;
    return warn(q, arena_printf(q->a, "namespace \"%s\" is exempt from Pod Security, and the policy (%s) will be ignored", q->r->request->name, b.at));
}

static int review_namespace(struct ask *q)
{
    q->a = arena_new(ARENA_BYTES);
    struct val *causes = q->a ? val_new(q->a, VAL_ARR) : NULL, *old_causes = q->a ? val_new(q->a, VAL_ARR) : NULL;
    if (!causes || !old_causes)
        return no_memory(q);
    struct str now = json_scan_path(str_n(q->r->object.at, q->r->object.len), "metadata.labels");
    struct str was = json_scan_path(str_n(q->r->old_object.at, q->r->old_object.len), "metadata.labels");
    struct val *labels = now.len ? json_parse(q->a, now, &q->call->err) : NULL, *old_labels = was.len ? json_parse(q->a, was, &q->call->err) : NULL;
    struct policy p = policy_of(q->a, labels, &q->x->defaults, causes), old = policy_of(q->a, old_labels, &q->x->defaults, old_causes);
    bool update = q->r->old_object.len != 0, is_free = listed(q->x->conf->exempt_namespaces, str_of(q->r->request->name));
    if (causes->n && (!update || !val_equal(causes, old_causes)))
        return wrong_labels(q, causes);
    struct level_version a = p.at[ENFORCE], b = old.at[ENFORCE];
    if (update && ((a.level == b.level && a.minor == b.minor) || a.level == PRIVILEGED || (a.minor == b.minor && a.level <= b.level)))
        return 0;
    if (is_free)
        return policy_privileged(&p) ? 0 : exempt(q, &p, labels);
    return update ? look_at_pods(q, a) : 0;
}

/* --- the interface --- */

static int review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    struct ask q = { self, c, r, ret, NULL };
    int rc = 0;
    if (strcmp(r->request->resource, "namespaces") == 0)
        rc = review_namespace(&q);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].resource, r->request->resource) == 0 && strcmp(kinds[i].group, r->request->group) == 0)
            rc = review_pods(&q, i);
    arena_free(q.a);
    return rc;
}

static const char *const resources[] = { "/pods",           "/pods/ephemeralcontainers", "/pods/resize",     "/namespaces",     "/replicationcontrollers", "/podtemplates",
                                         "apps/replicasets", "apps/deployments",          "apps/statefulsets", "apps/daemonsets", "batch/jobs",              "batch/cronjobs",
                                         NULL };

static const struct kl_admission table = { .size = sizeof table, .life = { .open = ps_open, .close = ps_close }, .resources = resources,
                                           .operations = "CREATE,UPDATE", .review = review, .wants = wants };

static const struct kl_provider provides[] = { { KL_ADMISSION_0, "podsecurity", 0, &table } };
static const struct kl_need needs[] = { { KL_HOST_OBJECTS_0, 0 }, { KL_HOST_ENV_0, 0 } };

#define LEVEL(KEY, MODE, WHAT) \
    { .key = KEY, .type = KL_CONF_ENUM, .offset = offsetof(struct conf, level[MODE]), .fallback = "privileged", .choices = "privileged|baseline|restricted", .doc = WHAT }, \
    { .key = KEY "_version", .type = KL_CONF_STR, .offset = offsetof(struct conf, version[MODE]), .fallback = "latest", .doc = "of which version of the standard: latest or v1.x" }
#define EXEMPT(KEY, WHAT) { .key = #KEY, .type = KL_CONF_LIST, .offset = offsetof(struct conf, KEY), .doc = WHAT }
static const struct kl_conf_field conf[] = {
    LEVEL("enforce", ENFORCE, "level that is enforced in namespaces that do not say so themselves"),
    LEVEL("audit", AUDIT, "level whose violations are for the audit"),
    LEVEL("warn", WARN, "level of which users are warned"),
    EXEMPT(exempt_namespaces, "namespaces whose pods are not looked at"),
    EXEMPT(exempt_usernames, "users whose requests are not looked at"),
    EXEMPT(exempt_runtime_classes, "runtime classes whose pods are not looked at"),
};

KL_PLUGIN_DEFINE("dev.keelson.admission-podsecurity", "0.1.0", "keelson.admission/0:podsecurity", "keelson.host.objects/0 keelson.host.env/0",
                 .summary = "the Pod Security Standards", .license = "Apache-2.0", .needs = KL_ARRAY_OF(needs), .providers = KL_ARRAY_OF(provides),
                 .conf = KL_ARRAY_OF(conf), .conf_size = sizeof(struct conf));
