/* charge.c - ResourceQuota, the last of the chain: may the object be, and if so, its use is written into the quotas before it is.
 *
 * Exact with any number of writers: review and commit are one turn of the loop. A quota whose status does not say what its spec says (it is new,
 * or was changed) is counted here and now, so there is no moment in which it does not hold.
 */
#include "quota.h"

struct charger {                        /* the instance */
    struct core core;                   /* first: reviews see it */
    struct arena *arena;
    struct val *limited;                /* NULL: nothing needs a quota */
};

struct charge {                         /* one quota that the object falls under */
    struct val *quota;
    struct amounts hard, used, requested;
    bool counted;                       /* its status was not current */
};

static struct str resource_of(struct review *w)
{
    return str_of(arena_printf(w->arena, "%s/%s", w->r->request->group, w->r->request->resource));
}

static struct amounts masked(const struct amounts *x, const struct amounts *names)
{
    struct amounts y = { .arena = x->arena };
    for (unsigned i = 0; i < x->n; i++)
        if (amounts_get(names, x->at[i].name))
            amounts_set(&y, x->at[i].name, x->at[i].q);
    return y;
}

/* What now uses more than old. */
static struct amounts grown(const struct amounts *now, const struct amounts *old)
{
    struct amounts y = { .arena = now->arena };
    for (unsigned i = 0; i < now->n; i++) {
        const struct quantity *was = old ? amounts_get(old, now->at[i].name) : NULL;
        struct quantity q = was ? quantity_sub(now->at[i].q, *was) : now->at[i].q;
        if (q.nano > 0)
            amounts_set(&y, now->at[i].name, q);
    }
    return y;
}

static int exceeded(struct review *w, const struct charge *k)
{
    struct amounts over = { .arena = w->arena };
    for (unsigned i = 0; i < k->requested.n; i++) {
        struct str name = k->requested.at[i].name;
        const struct quantity *used = amounts_get(&k->used, name), *hard = amounts_get(&k->hard, name);
        if (hard && quantity_cmp(used ? quantity_add(*used, k->requested.at[i].q) : k->requested.at[i].q, *hard) > 0)
            amounts_set(&over, name, *hard);
    }
    if (!over.n)
        return 0;
    struct amounts requested = masked(&k->requested, &over), used = masked(&k->used, &over);
    return review_forbid(w, "exceeded quota: " STR_FMT ", requested: %s, used: %s, limited: %s", STR_ARG(json_str(k->quota, "metadata.name")),
                         amounts_text(&requested), amounts_text(&used), amounts_text(&over));
}

/* Is the object under that quota, and with what? 1: it is. */
static int consider(struct review *w, struct charge *k, const struct val *object, const struct val *old, struct amounts *covered)
{
    struct str resource = resource_of(w);
    bool dying;
    k->hard = amounts_read(w->arena, json_path(k->quota, "spec.hard"));
    struct amounts names = usage_names(&k->hard, resource), hard_was = amounts_read(w->arena, json_path(k->quota, "status.hard"));
    if (!names.n || !usage_in_scopes(w->arena, k->quota, resource, object))
        return 0;
    const char *missing = str_is(resource, "/pods") ? usage_missing(w->arena, &names, object) : NULL;
    if (missing)
        return review_forbid(w, "failed quota: " STR_FMT ": %s", STR_ARG(json_str(k->quota, "metadata.name")), missing);
    amounts_add_all(covered, &names);
    k->counted = !amounts_equal(&k->hard, &hard_was);
    int rc = k->counted ? count_status(w->core, w->call, w->arena, k->quota, &k->quota, &dying) : 0;
    if (rc < 0)
        return rc;
    k->used = amounts_read(w->arena, json_path(k->quota, "status.used"));
    int64_t now = w->core->env->wall_ns(w->core->host);
    struct amounts usage = usage_of(w->arena, resource, object, now), before = usage_of(w->arena, resource, old, now);
    struct amounts more = grown(&usage, old && usage_in_scopes(w->arena, k->quota, resource, old) ? &before : NULL);
    k->requested = masked(&more, &names);
    if (!k->requested.n)
        return 0;
    rc = strcmp(w->r->request->subresource, "status") == 0 ? 0 : exceeded(w, k);
    return rc < 0 ? rc : 1;
}

static int write_charge(struct review *w, struct charge *k)
{
    struct val *quota = val_copy(w->arena, k->quota);
    amounts_add_all(&k->used, &k->requested);
    json_set(w->arena, json_obj(w->arena, quota, STR("status")), STR("used"), amounts_write(&k->used));
    return arena_exhausted(w->arena) ? review_no_memory(w) : quota_write_status(w->core, w->call, w->arena, quota);
}

/* What goes is counted by the controller, once it is gone. */
static int wake_controller(struct review *w, const struct kl_object_list *list)
{
    const struct kl_host_plugins *p = w->core->host->service(w->core->host, KL_HOST_PLUGINS_0);
    struct kl_instance i = { .size = sizeof i };
    if (w->call->flags & KL_CALL_DRY_RUN || !p || p->find(w->core->host, w->call, KL_CONTROLLER_0, "resourcequota", &i) < 0 || i.table != &quota_controller) {
        kl_err_init(&w->call->err);
        return 0;
    }
    const struct core *x = i.self;
    const struct kl_host_queue *queue = x->host->service(x->host, KL_HOST_QUEUE_0);
    for (uint32_t n = 0; n < list->n; n++) {
        struct val *v = json_parse(w->arena, str_n(list->at[n].at, list->at[n].len), &w->call->err);
        char *key = arena_printf(w->arena, "%s/" STR_FMT, w->r->request->ns, STR_ARG(json_str(v, "metadata.name")));
        if (v && key)
            queue->add(x->host, key, 0);
    }
    return 0;
}

static bool terminates(const struct val *pod)
{
    return json_path(pod, "spec.activeDeadlineSeconds") != NULL;
}

static bool changes_pod(struct review *w)
{
    return review_is(w, "update") && !w->r->request->subresource[0] && str_is(resource_of(w), "/pods");
}

/* Nothing is charged for what will not be (who comes with a version is not created), nor for a pod that stays under the quotas that it is under. */
static bool uses_nothing(struct review *w, const struct val *object, const struct val *old)
{
    int64_t version = 0;
    if (!old)
        return str_int(json_str(object, "metadata.resourceVersion"), &version) && version > 0;
    return changes_pod(w) && terminates(object) == terminates(old);
}

static int rule(struct review *w)
{
    const struct charger *x = (const struct charger *)(const void *)w->core;
    struct amounts covered = { .arena = w->arena };
    struct kl_object_list list;
    int rc = review_list(w, QUOTAS, w->r->request->ns, &list);
    if (rc < 0 || (!list.n && !x->limited))
        return rc;
    if (review_is(w, "delete"))
        return wake_controller(w, &list);
    struct val *object = review_object(w), *old = review_is(w, "create") ? NULL : review_old(w);
    struct charge *charges = arena_alloc(w->arena, (list.n + 1) * sizeof *charges);
    struct val **quotas = arena_alloc(w->arena, (list.n + 1) * sizeof *quotas);
    unsigned n = 0;
    if (!object || !charges || !quotas)
        return review_no_memory(w);
    if (uses_nothing(w, object, old))
        return 0;
    for (uint32_t i = 0; i < list.n; i++) {
        quotas[i] = json_parse(w->arena, str_n(list.at[i].at, list.at[i].len), &w->call->err);
        charges[n] = (struct charge){ .quota = quotas[i] };
        rc = quotas[i] ? consider(w, &charges[n], object, old, &covered) : -w->call->err.code;
        if (rc < 0)
            return rc;
        n += rc > 0;
    }
    rc = x->limited ? limited_check(w, x->limited, quotas, list.n, resource_of(w), object, &covered) : 0;
    for (unsigned i = 0; i < n && rc == 0 && !(w->call->flags & KL_CALL_DRY_RUN); i++)
        rc = write_charge(w, &charges[i]);
    return rc == 0 && changes_pod(w) ? wake_controller(w, &list) : rc;         /* it has left the quotas of the other scope */
}

static int review(void *self, struct kl_call *c, const struct kl_admission_review *r, struct kl_admission_verdict *ret)
{
    return review_run(self, c, r, ret, rule);
}

/* Updates that can use more. */
static bool may_grow(const struct kl_request *r)
{
    static const char *const grow[][2] = { { "pods", "" }, { "pods", "resize" }, { "services", "" }, { "persistentvolumeclaims", "" },
                                           { "persistentvolumeclaims", "status" }, { "resourceclaims", "" } };
    for (size_t i = 0; i < sizeof grow / sizeof *grow; i++)
        if (strcmp(r->resource, grow[i][0]) == 0 && strcmp(r->subresource, grow[i][1]) == 0)
            return true;
    return false;
}

static int wants(void *self, struct kl_call *c, const struct kl_request *r, const struct kl_user *user)
{
    const struct core *x = self;
    const struct charger *all = self;
    char resource[512];
    (void)user;
    bool create = strcmp(r->verb, "create") == 0, remove = strcmp(r->verb, "delete") == 0;
    if (!r->ns[0] || strcmp(r->resource, "events") == 0 || ((create || remove) && r->subresource[0]) || (!create && !remove && !may_grow(r)))
        return 0;
    struct kl_list_options o = { .size = sizeof o, .resource = QUOTAS, .ns = r->ns };
    struct kl_object_list list = { .size = sizeof list };
    int rc = x->objects->list(x->host, c, &o, &list);
    if (rc < 0 || list.n || !all->limited || remove)
        return rc < 0 ? rc : list.n != 0;
    snprintf(resource, sizeof resource, "%s/%s", r->group, r->resource);
    return limited_concerns(all->limited, str_of(resource));
}

static void close_it(void *self)
{
    struct charger *x = self;
    arena_free(x->arena);
    mem_free(x);
}

static int open_it(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    const struct quota_conf *f = conf;
    struct charger *x = mem_alloc(sizeof *x);
    if (!x)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    x->core = (struct core){ h, h->service(h, KL_HOST_OBJECTS_0), h->service(h, KL_HOST_ENV_0), conf };
    int rc = !f || !f->limited ? 0 : (x->arena = arena_new(1 << 20)) ? limited_read(x->arena, f->limited, &x->limited, &c->err) :
                                                                       kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        close_it(x);
        return rc;
    }
    *self = x;
    return 0;
}

static const char *const resources[] = { "*", NULL };

const struct kl_admission quota_admission = { .size = sizeof quota_admission, .life = { .open = open_it, .close = close_it }, .resources = resources,
                                              .operations = "CREATE,UPDATE,DELETE", .review = review, .wants = wants };
