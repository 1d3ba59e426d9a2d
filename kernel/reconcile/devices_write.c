/* devices_write.c - what was found, as the claims' status has it: allocated, reserved for the pod, and given up again. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/env.h"
#include "reconcile/devices-internal.h"

#define CLAIMS    "resource.k8s.io/resourceclaims"
#define FINALIZER "resource.kubernetes.io/delete-protection"

/* --- status.allocation --- */

static struct str shown_name(struct arena *a, const struct request *r)
{
    return r->parent.len ? str_of(arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(r->parent), STR_ARG(r->name))) : r->name;
}

static void copy(struct arena *a, struct val *to, const struct val *from, const char *member)
{
    const struct val *v = json_get(from, str_of(member));
    if (v && !(v->type >= VAL_ARR && !v->n))
        json_set(a, to, str_of(member), val_copy(a, v));
}

static struct val *result_of(struct arena *a, const struct result *r)
{
    const struct device *d = r->device;
    struct val *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("request"), shown_name(a, r->request));
    json_set_str(a, v, STR("driver"), d->pool->driver);
    json_set_str(a, v, STR("pool"), d->pool->name);
    json_set_str(a, v, STR("device"), json_str(d->v, "name"));
    if (r->request->admin)
        json_set_bool(a, v, STR("adminAccess"), true);
    copy(a, v, r->request->v, "tolerations");
    copy(a, v, d->v, "bindingConditions");
    copy(a, v, d->v, "bindingFailureConditions");
    if (r->share)
        json_set_str(a, v, STR("shareID"), str_of(r->share));
    if (r->consumed)
        json_set(a, v, STR("consumedCapacity"), val_copy(a, r->consumed));
    return v;
}

static struct val *config_of(struct arena *a, const struct val *config, const char *source)
{
    struct val *v = val_new(a, VAL_OBJ);
    json_set_str(a, v, STR("source"), str_of(source));
    copy(a, v, config, "requests");
    copy(a, v, config, "opaque");
    return v;
}

/* Each class's once, for all requests that chose it. */
static void add_class_config(struct arena *a, struct val *list, const struct wanted *w, unsigned i)
{
    const struct request *r = &w->choices[i].at[w->choices[i].chosen];
    const struct val *config = json_path(r->class, "spec.config");
    struct str class = json_str(r->class, "metadata.name");
    if (!val_is(config, VAL_ARR))
        return;
    for (unsigned k = 0; k < i; k++)
        if (str_eq(json_str(w->choices[k].at[w->choices[k].chosen].class, "metadata.name"), class))
            return;
    val_each(c, config) {
        struct val *v = val_push(list, config_of(a, c, "FromClass")), *names = json_arr(a, v, STR("requests"));
        for (unsigned k = i; k < w->n; k++) {
            const struct request *x = &w->choices[k].at[w->choices[k].chosen];
            if (str_eq(json_str(x->class, "metadata.name"), class))
                val_push(names, val_of_str(a, shown_name(a, x)));
        }
    }
}

static bool names_choice(const struct val *names, const struct request *r)
{
    val_each(n, names) {
        struct str sub = val_str(n), head = str_cut(&sub, '/');
        if (r->parent.len ? str_eq(head, r->parent) && (!sub.at || str_eq(sub, r->name)) : !sub.at && str_eq(head, r->name))
            return true;
    }
    return false;
}

/* Of the claim: what is for all requests, and once for each that it names. */
static void add_claim_config(struct arena *a, struct val *list, const struct wanted *w)
{
    const struct val *config = json_path(w->v, "spec.devices.config");
    if (!val_is(config, VAL_ARR))
        return;
    val_each(c, config) {
        const struct val *names = json_get(c, STR("requests"));
        bool some = val_is(names, VAL_ARR) && names->n;
        if (!some)
            val_push(list, config_of(a, c, "FromClaim"));
        for (unsigned i = 0; some && i < w->n; i++)
            if (names_choice(names, &w->choices[i].at[w->choices[i].chosen]))
                val_push(list, config_of(a, c, "FromClaim"));
    }
}

static struct val *requirement(struct arena *a, struct val *list, const char *key, const char *value)
{
    struct val *r = val_push(list, val_new(a, VAL_OBJ));
    json_set_str(a, r, STR("key"), str_of(key));
    json_set_str(a, r, STR("operator"), STR("In"));
    val_push(json_arr(a, r, STR("values")), val_of_str(a, str_of(value)));
    return r;
}

static void add_new(struct arena *a, struct val *term, const struct val *from, const char *member)
{
    const struct val *list = json_get(from, str_of(member));
    if (!val_is(list, VAL_ARR) || !list->n)
        return;
    struct val *to = json_arr(a, term, str_of(member));
    val_each(x, list) {
        bool there = false;
        val_each(y, to)
            there |= val_equal(x, y);
        if (!there)
            val_push(to, val_copy(a, x));
    }
}

/* Where the devices can be reached from; NULL: everywhere. */
static struct val *selector_of(struct arena *a, const struct wanted *w, const char *node)
{
    struct val *v = val_new(a, VAL_OBJ), *term = val_push(json_arr(a, v, STR("nodeSelectorTerms")), val_new(a, VAL_OBJ));
    for (unsigned i = 0; i < w->n_results; i++) {
        const struct device *d = w->results[i].device;
        const struct val *where = json_bool(d->slice, "perDeviceNodeSelection", false) ? d->v : d->slice;
        const struct val *terms = json_path(where, "nodeSelector.nodeSelectorTerms");
        if (json_get(where, STR("nodeName")) || json_bool(d->v, "bindsToNode", false)) {
            struct val *only = val_new(a, VAL_OBJ);
            term = val_push(json_arr(a, only, STR("nodeSelectorTerms")), val_new(a, VAL_OBJ));
            requirement(a, json_arr(a, term, STR("matchFields")), "metadata.name", node);
            return only;
        }
        if (val_is(terms, VAL_ARR) && terms->n == 1) {
            add_new(a, term, terms->first, "matchFields");
            add_new(a, term, terms->first, "matchExpressions");
        }
    }
    return term && term->n ? v : NULL;
}

struct val *devices_allocation(struct arena *a, const struct wanted *w, const char *node)
{
    struct val *v = val_new(a, VAL_OBJ), *devices = json_obj(a, v, STR("devices")), *results = json_arr(a, devices, STR("results")), *config = val_new(a, VAL_ARR);
    char now[CLOCK_TEXT];
    for (unsigned i = 0; i < w->n_results; i++)
        val_push(results, result_of(a, &w->results[i]));
    for (unsigned i = 0; i < w->n; i++)
        add_class_config(a, config, w, i);
    add_claim_config(a, config, w);
    if (config && config->n)
        json_set(a, devices, STR("config"), config);
    struct val *selector = selector_of(a, w, node);
    if (selector)
        json_set(a, v, STR("nodeSelector"), selector);
    clock_format(env_wall_ns(), now);
    json_set_str(a, v, STR("allocationTimestamp"), arena_str(a, str_of(now)));
    return v;
}

/* --- writing --- */

struct writer {
    struct devices_ask *q;
    struct objects *objects;
    const char *who;
    struct kl_call *call;
};

static int patch(const struct writer *x, const struct val *claim, const char *subresource, int type, const struct val *body, struct kl_bytes *ret)
{
    struct arena *a = x->q->arena;
    struct kl_object_key k = { sizeof k, CLAIMS, arena_dup(a, json_str(claim, "metadata.namespace")), arena_dup(a, json_str(claim, "metadata.name")), subresource };
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    json_write(&b, body);
    if (b.failed || !k.ns || !k.name || arena_exhausted(a))
        return kl_fail(x->call, KL_NO_MEMORY, "out of memory");
    return x->objects->ops->patch(x->objects, x->who, x->call, &k, type, (struct kl_bytes){ b.at, b.len }, ret);
}

static struct val *body_for(struct arena *a, const struct val *claim, bool exact, struct val **ret_part, const char *part)
{
    struct val *v = val_new(a, VAL_OBJ), *meta = json_obj(a, v, STR("metadata"));
    json_set_str(a, meta, STR("uid"), json_str(claim, "metadata.uid"));
    if (exact)
        json_set_str(a, meta, STR("resourceVersion"), json_str(claim, "metadata.resourceVersion"));
    *ret_part = part ? json_obj(a, v, str_of(part)) : meta;
    return v;
}

/* 1: it is there; *claim is the claim as it is then. */
static int add_finalizer(const struct writer *x, const struct val **claim)
{
    struct arena *a = x->q->arena;
    const struct val *list = json_path(*claim, "metadata.finalizers");
    struct kl_bytes now = { 0 };
    struct val *meta, *body = body_for(a, *claim, true, &meta, NULL);
    if (val_is(list, VAL_ARR))
        val_each(f, list)
            if (str_is(val_str(f), FINALIZER))
                return 1;
    struct val *to = list ? val_copy(a, list) : val_new(a, VAL_ARR);
    val_push(to, val_of_str(a, STR(FINALIZER)));
    json_set(a, meta, STR("finalizers"), to);
    int rc = patch(x, *claim, NULL, KL_PATCH_MERGE, body, &now);
    if (rc < 0)
        return rc;
    const struct val *v = json_parse(a, arena_str(a, str_n(now.at, now.len)), &x->call->err);
    if (!v)
        return -x->call->err.code;
    *claim = v;
    return 1;
}

static int write_claim(const struct writer *x, struct wanted *w, const char *node)
{
    struct arena *a = x->q->arena;
    const struct val *was = json_path(w->v, "status.reservedFor");
    struct str uid = json_str(x->q->pod, "metadata.uid");
    if (w->allocated && devices_reserved_for(w->v, uid))
        return 1;
    int rc = w->allocated ? 1 : add_finalizer(x, &w->v);
    if (rc < 0)
        return rc;
    struct val *status, *body = body_for(a, w->v, true, &status, "status"), *allocation = w->allocated ? NULL : devices_allocation(a, w, node);
    struct val *list = was ? val_copy(a, was) : val_new(a, VAL_ARR), *user = val_push(list, val_new(a, VAL_OBJ));
    json_set_str(a, user, STR("resource"), STR("pods"));
    json_set_str(a, user, STR("name"), json_str(x->q->pod, "metadata.name"));
    json_set_str(a, user, STR("uid"), uid);
    json_set(a, status, STR("reservedFor"), list);
    if (allocation)
        json_set(a, status, STR("allocation"), allocation);
    struct kl_bytes now = { 0 };
    rc = patch(x, w->v, "status", KL_PATCH_MERGE, body, &now);
    if (allocation && (rc >= 0 || rc == -KL_PENDING)) {
        char *key = arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(json_str(w->v, "metadata.namespace")), STR_ARG(json_str(w->v, "metadata.name")));
        if (key)
            devices_assume(x->q->of, str_of(key), allocation);
    }
    if (rc < 0)
        return rc;
    const struct val *v = json_parse(a, arena_str(a, str_n(now.at, now.len)), &x->call->err);
    if (!v)
        return -x->call->err.code;
    w->v = v;
    w->allocated = true;
    return 1;
}

int devices_reserve(struct devices_ask *q, const struct ledger_node *n, struct objects *o, const char *who, struct kl_call *c)
{
    struct writer x = { q, o, who, c };
    const char *why = q->n_open ? devices_find(q, n, q->arena) : NULL;
    if (why)
        return kl_fail(c, KL_CONFLICT, "%s", why);
    for (unsigned i = 0; i < q->n; i++) {
        int rc = write_claim(&x, &q->claims[i], n->name);
        if (rc < 0)
            return rc == -KL_PENDING ? 0 : rc;
    }
    for (unsigned i = 0; i < q->n; i++)
        if (devices_readiness(q->claims[i].v) != READY)
            return 0;
    return 1;
}

void devices_unreserve(struct devices_ask *q, struct objects *o, const char *who, struct kl_call *c)
{
    struct writer x = { q, o, who, c };
    struct kl_err was = c->err;
    struct str uid = json_str(q->pod, "metadata.uid");
    for (unsigned i = 0; i < q->n; i++) {
        struct val *status, *body = body_for(q->arena, q->claims[i].v, false, &status, "status");
        struct val *gone = val_push(json_arr(q->arena, status, STR("reservedFor")), val_new(q->arena, VAL_OBJ));
        json_set_str(q->arena, gone, STR("$patch"), STR("delete"));
        json_set_str(q->arena, gone, STR("uid"), uid);
        if (devices_reserved_for(q->claims[i].v, uid))
            patch(&x, q->claims[i].v, "status", KL_PATCH_STRATEGIC, body, NULL);
    }
    c->err = was;
}

void devices_give_up(struct devices_ask *q, struct objects *o, const char *who, struct kl_call *c)
{
    struct writer x = { q, o, who, c };
    for (unsigned i = 0; i < q->n; i++) {
        const struct val *v = q->claims[i].v, *reserved = json_path(v, "status.reservedFor");
        unsigned n = reserved ? reserved->n : 0;
        if (!q->claims[i].elsewhere || n > 1 || (n && !devices_reserved_for(v, json_str(q->pod, "metadata.uid"))))
            continue;
        struct val *status, *body = body_for(q->arena, v, true, &status, "status");
        json_set(q->arena, status, STR("allocation"), val_new(q->arena, VAL_NULL));
        json_set(q->arena, status, STR("reservedFor"), val_new(q->arena, VAL_NULL));
        patch(&x, v, "status", KL_PATCH_MERGE, body, NULL);
        return;                         /* one at a time, as upstream: the next attempt sees what that brought */
    }
}
