/* subresource.c - scale, binding, eviction, finalize, ephemeralcontainers, resize, approval: writes that are not whole objects. */
#include "api-internal.h"
#include "object/custom.h"
#include "base/clock.h"
#include "base/env.h"

static struct store_object *find(struct api_op *op)
{
    struct store_object *o = store_head(op->api->store, str_of(op->kind->storage->resource), op->ns, op->name);
    if (!o)
        api_fail_not_found(&op->err, op->arena, op->kind, op->name);
    return o;
}

static int answer_tree(struct api_op *op, struct val *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    json_write(&b, v);
    op->object = NULL;
    op->json = arena_str(op->arena, buf_str(&b));
    op->result_kind = NULL;
    return b.failed || !op->json.at ? api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory") : 0;
}

static int answer_success(struct api_op *op)
{
    struct val *v = val_new(op->arena, VAL_OBJ);
    json_set_str(op->arena, v, STR("kind"), STR("Status"));
    json_set_str(op->arena, v, STR("apiVersion"), STR("v1"));
    json_obj(op->arena, v, STR("metadata"));
    json_set_str(op->arena, v, STR("status"), STR("Success"));
    json_set_int(op->arena, v, STR("code"), 201);
    return v ? answer_tree(op, v) : -KL_NO_MEMORY;
}

/* --- scale --- */

/* Of a custom resource: its definition says where the numbers are. */
static const char *path_or(const char *path, const char *fallback)
{
    return path ? path + (path[0] == '.') : fallback;
}

static struct val *scale_of(struct api_op *op, const struct val *o)
{
    static const char *const kept[] = { "name", "namespace", "uid", "resourceVersion", "creationTimestamp" };
    struct arena *a = op->arena;
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = val_new(a, VAL_OBJ), *m = NULL;
    json_set_str(a, v, STR("kind"), STR("Scale"));
    json_set_str(a, v, STR("apiVersion"), STR("autoscaling/v1"));
    m = json_obj(a, v, STR("metadata"));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        json_set_str(a, m, str_of(kept[i]), json_str(json_get(o, STR("metadata")), kept[i]));
    struct val *spec = json_obj(a, v, STR("spec"));
    int64_t replicas = json_int(o, path_or(op->kind->scale_spec, "spec.replicas"), 0);
    if (replicas)
        json_set_int(a, spec, STR("replicas"), replicas);
    struct val *st = json_obj(a, v, STR("status"));
    json_set_int(a, st, STR("replicas"), json_int(o, path_or(op->kind->scale_status, "status.replicas"), 0));
    if (op->kind->flags & K_CUSTOM) {
        struct str text = op->kind->scale_selector ? json_str(o, path_or(op->kind->scale_selector, "")) : STR_NONE;
        if (text.len)
            json_set_str(a, st, STR("selector"), text);
        return v;
    }
    struct val *sel = json_path(o, "spec.selector");
    if (strcmp(op->kind->kind, "ReplicationController") == 0 && sel) {
        struct val *wrap = val_new(a, VAL_OBJ);
        json_set(a, wrap, STR("matchLabels"), val_copy(a, sel));
        sel = wrap;
    }
    struct selector *s = sel ? selector_of_tree(a, sel, &err) : NULL;
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    if (s)
        selector_write(&b, s);
    if (b.len)
        json_set_str(a, st, STR("selector"), arena_str(a, buf_str(&b)));
    return v;
}

static int no_replicas(struct api_op *op)
{
    struct object_causes c = { .arena = op->arena };
    object_cause_add(&c, "", "", "the spec replicas field \"%s\" does not exist", op->kind->scale_spec);
    if (!c.n)
        return api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory");
    api_fail(&op->err, op->arena, KL_INTERNAL, "Internal error occurred: %s", c.at[0].message);
    op->err.causes = c.at;
    op->err.n_causes = 1;
    return -KL_INTERNAL;
}

int api_scale_get(struct api_op *op, struct val **ret)
{
    struct store_object *o = store_get(op->api->store, str_of(op->kind->storage->resource), op->ns, op->name);
    struct api_asker q = api_op_asker(op);
    struct val *v = o ? api_stored_tree(&q, op->kind, o) : NULL;
    if (!o)
        return api_fail_not_found(&op->err, op->arena, op->kind, op->name);
    if (!v)
        return -op->err.code;
    if (op->kind->flags & K_CUSTOM) {
        const char *why;
        const struct val *n = custom_scale_at(op->arena, v, op->kind->scale_spec, &why);
        if (why || !n)
            return why ? api_fail(&op->err, op->arena, KL_INTERNAL, "%s", why) : no_replicas(op);
    }
    *ret = scale_of(op, v);
    return *ret ? 0 : api_fail(&op->err, op->arena, KL_NO_MEMORY, "out of memory");
}

static void set_replicas(struct arena *a, struct val *v, const char *path, int64_t replicas)
{
    struct str rest = str_of(path), part = str_cut(&rest, '.');
    for (; rest.at; part = str_cut(&rest, '.'))
        v = json_obj(a, v, part);
    json_set_int(a, v, part, replicas);
}

/* The number as a configuration of the object itself. */
static int apply_scale(struct api_op *op, struct val *old, struct val *scale, struct val **ret)
{
    struct arena *a = op->arena;
    struct val *config = val_new(a, VAL_OBJ), *replicas = json_path(scale, "spec.replicas");
    if (!str_is(json_str(scale, "kind"), "Scale") || !str_is(json_str(scale, "apiVersion"), "autoscaling/v1"))
        return api_fail(&op->err, a, KL_BAD_REQUEST, "invalid object type: " STR_FMT ", Kind=" STR_FMT, STR_ARG(json_str(scale, "apiVersion")),
                        STR_ARG(json_str(scale, "kind")));
    json_set_str(a, config, STR("apiVersion"), str_of(api_group_version(a, op->kind)));
    json_set_str(a, config, STR("kind"), str_of(op->kind->kind));
    json_set_str(a, json_obj(a, config, STR("metadata")), STR("name"), op->name);
    if (replicas)
        set_replicas(a, config, path_or(op->kind->scale_spec, "spec.replicas"), json_int(scale, "spec.replicas", 0));
    return api_apply_merge(op, config, old, ret);
}

/* What admission sees is what is sent to a subresource, not the object itself: a Binding of a pod, a TokenRequest of an account. */
static int admit_part(struct api_op *op, const char *verb, const char *group, const char *version, const char *kind, struct val **v, struct val *old)
{
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    const struct schema_kind *found = schema_kind_find(str_of(group), str_of(version), str_of(kind));
    struct schema_kind shown = { .group = group, .version = version, .kind = kind, .plural = "",
                                 .type = found ? found->type : schema_type_find(str_of(group), str_of(version), str_of(kind)) };
    if (!shown.type || op->admitted)
        return 0;
    if (old)
        json_write(&b, old);
    struct str was = old ? arena_str(op->arena, buf_str(&b)) : STR_NONE;
    struct val *meta = json_obj(op->arena, *v, STR("metadata"));
    if (op->ns.len && !json_get(meta, STR("namespace")))
        json_set_str(op->arena, meta, STR("namespace"), op->ns);
    json_set_str(op->arena, *v, STR("kind"), str_of(kind));
    json_set_str(op->arena, *v, STR("apiVersion"), str_of(group[0] ? arena_printf(op->arena, "%s/%s", group, version) : version));
    if (api_admit_as(op, true, verb, &shown, v, was) < 0)
        return -op->err.code;
    return api_admit_as(op, false, verb, &shown, v, was);
}

/* Upstream finds another uid after a patch where the object is read, else where it is written. */
static int check_scale_uid(struct api_op *op, const struct val *scale, struct store_object *o, bool patched)
{
    struct str uid = json_str(scale, "metadata.uid");
    struct schema_kind part = *op->kind;
    if (!patched || !uid.len || str_eq(uid, store_object_uid(o)))
        return api_check_uid(op, scale, o);
    part.plural = arena_printf(op->arena, "%s/scale", op->kind->plural);
    return api_fail_conflict(&op->err, op->arena, &part, op->name, arena_printf(op->arena, "Precondition failed: UID in precondition: " STR_FMT ", UID in object meta: " STR_FMT,
                                                                                STR_ARG(uid), STR_ARG(store_object_uid(o))));
}

static int write_scale(struct api_op *op, const char *verb, int type, struct val *body)
{
    struct kl_err err;
    kl_err_init(&err);
    bool patches = strcmp(verb, "patch") == 0;
    if (!patches && api_check_named(op, body) < 0)
        return -op->err.code;
    struct store_object *o = find(op);
    struct api_asker q = api_op_asker(op);
    struct val *old = o ? api_stored_tree(&q, op->kind, o) : NULL, *applied = NULL;
    if (!old)
        return -op->err.code;
    struct val *scale = body;
    bool said = true;                   /* how many, by a patch or by what was there */
    op->scales = true;
    if (type == API_PATCH_APPLY) {
        const char *place = op->subresource;
        op->subresource = NULL;
        int rc = apply_scale(op, old, body, &applied);
        op->subresource = place;
        if (rc < 0)
            return rc;
    } else if (patches) {
        struct val *was = scale_of(op, old);
        const struct schema_type *t = schema_type_find(STR("autoscaling"), STR("v1"), STR("Scale"));
        scale = type == KL_PATCH_JSON ? object_patch_json(op->arena, was, body, &err) :
                type == KL_PATCH_MERGE ? object_patch_merge(op->arena, was, body, &err) :
                                         object_patch_strategic(op->arena, t, was, body, &err);
        if (!scale)
            return api_fail_patch(&op->err, op->arena, &err);
        struct val *as_patched = val_copy(op->arena, scale);
        said = json_path(scale, "spec.replicas") != NULL;
        if (object_conform(op->arena, t, scale, NULL, &err) < 0)
            return api_fail_patched(&op->err, op->arena, as_patched, NULL, arena_printf(op->arena, "%s", err.msg));
        if (api_check_named(op, scale) < 0)
            return -op->err.code;
    }
    if (check_scale_uid(op, scale, o, patches) < 0 || admit_part(op, "update", "autoscaling", "v1", "Scale", &scale, scale_of(op, old)) < 0)
        return -op->err.code;
    struct str rv = json_str(scale, "metadata.resourceVersion");
    int64_t n, replicas = json_int(scale, "spec.replicas", 0);
    if (rv.len && str_int(rv, &n) && n && (uint64_t)n != store_object_revision(o))
        return api_fail_conflict(&op->err, op->arena, op->kind, op->name,
                                 "the object has been modified; please apply your changes to the latest version and try again");
    const char *why = NULL;
    if (op->kind->flags & K_CUSTOM && !said && !custom_scale_at(op->arena, old, op->kind->scale_spec, &why))
        return api_fail(&op->err, op->arena, KL_BAD_REQUEST, "the spec replicas field \"%s\" cannot be empty", op->kind->scale_spec);
    if (replicas < 0 && !(op->kind->flags & K_CUSTOM)) {            /* a custom kind's own rules say so */
        struct object_causes c = { .arena = op->arena };
        object_cause_add(&c, "FieldValueInvalid", "spec.replicas", "Invalid value: %lld: must be greater than or equal to 0",
                         (long long)replicas);
        const struct schema_kind kind = { .group = "autoscaling", .kind = "Scale", .plural = "" };
        return api_fail_invalid(&op->err, op->arena, &kind, op->name, &c);
    }
    struct val *v = applied ? applied : val_copy(op->arena, old);
    if (!applied)
        set_replicas(op->arena, v, path_or(op->kind->scale_spec, "spec.replicas"), replicas);
    const char *sub = op->subresource;
    op->subresource = NULL;
    op->admitted = true;                /* as a scale */
    op->scales_to_none = !replicas && !applied;
    int rc = api_update_tree(op, o, old, v);
    op->subresource = sub;
    if (rc < 0)
        return rc;
    struct val *now = json_parse(op->arena, op->shown.at ? op->shown : op->json, &err);
    op->shown = STR_NONE;
    return now ? answer_tree(op, scale_of(op, now)) : api_fail_err(&op->err, op->arena, &err);
}

/* --- binding --- */

/* True from now on, or since when it was. reason and message NULL: one that is true stays as it is, a new one has none. */
static void set_condition(struct api_op *op, struct val *v, const char *type, const char *reason, const char *message)
{
    struct arena *a = op->arena;
    char now[CLOCK_TEXT];
    struct val *list = json_arr(a, json_obj(a, v, STR("status")), STR("conditions")), *c = list ? list->first : NULL;
    while (c && !str_is(json_str(c, "type"), type))
        c = c->next;
    bool was = c && str_is(json_str(c, "status"), "True");
    if (was && !reason)
        return;
    if (!c)
        val_push(list, c = val_new(a, VAL_OBJ));
    clock_format(api_op_now(op), now);
    json_set_str(a, c, STR("type"), str_of(type));
    json_set_str(a, c, STR("status"), STR("True"));
    if (!was)
        json_set_str(a, c, STR("lastTransitionTime"), arena_str(a, str_of(now)));
    json_del(c, STR("reason"));
    json_del(c, STR("message"));
    if (reason) {
        json_set_str(a, c, STR("reason"), str_of(reason));
        json_set_str(a, c, STR("message"), str_of(message));
    }
}

/* What a binding says of its pod beside the node: upstream copies it over what is there. */
static void copy_marks(struct api_op *op, struct val *v, const struct val *body, const char *member)
{
    const struct val *from = json_get(json_get(body, STR("metadata")), str_of(member));
    for (const struct val *m = val_is(from, VAL_OBJ) ? from->first : NULL; m; m = m->next)
        json_set_str(op->arena, json_obj(op->arena, json_obj(op->arena, v, STR("metadata")), str_of(member)), val_key(m), val_str(m));
}

static int bind(struct api_op *op, struct val *body)
{
    struct kl_err err;
    kl_err_init(&err);
    struct store_object *o = find(op);
    struct val *v = o ? api_tree(op->arena, o, &op->err) : NULL;
    if (!v || admit_part(op, "create", "", "v1", "Binding", &body, NULL) < 0)
        return -op->err.code;
    struct str node = json_str(body, "target.name"), uid = json_str(body, "metadata.uid");
    if (!node.len) {
        struct object_causes c = { .arena = op->arena };
        object_cause_add(&c, "FieldValueRequired", "target.name", "Required value");
        return api_fail_invalid(&op->err, op->arena, schema_kind_find(STR(""), STR("v1"), STR("Binding")), op->name, &c);
    }
    if (uid.len && !str_eq(uid, store_object_uid(o)))
        return api_fail_conflict(&op->err, op->arena, op->kind, op->name, "Precondition failed: UID in precondition does not match");
    if (json_path(v, "metadata.deletionTimestamp"))
        return api_fail_conflict(&op->err, op->arena, op->kind, op->name,
                                 arena_printf(op->arena, "pod " STR_FMT " is being deleted, cannot be assigned to a host", STR_ARG(op->name)));
    struct str there = json_str(v, "spec.nodeName");
    if (there.len)
        return api_fail_conflict(&op->err, op->arena, op->kind, op->name,
                                 arena_printf(op->arena, "pod " STR_FMT " is already assigned to node \"" STR_FMT "\"", STR_ARG(op->name), STR_ARG(there)));
    json_set_str(op->arena, json_obj(op->arena, v, STR("spec")), STR("nodeName"), json_str(body, "target.name"));
    copy_marks(op, v, body, "annotations");
    copy_marks(op, v, body, "labels");
    set_condition(op, v, "PodScheduled", NULL, NULL);
    int rc = api_commit_put(op, v, o);
    op->created = true;
    return rc < 0 ? rc : answer_success(op);
}

/* --- eviction --- */

struct budgets {
    struct api_op *op;
    const struct val *pod;
    struct store_object *found;
    unsigned n;
};

static bool each_budget(void *ctx, struct store_object *o)
{
    struct budgets *b = ctx;
    struct kl_err err;
    kl_err_init(&err);
    struct val *v = json_parse(b->op->arena, store_object_json(o), &err);
    struct selector *s = v ? selector_of_tree(b->op->arena, json_path(v, "spec.selector"), &err) : NULL;
    if (s && selector_matches_labels(s, json_path(b->pod, "metadata.labels"))) {
        b->found = o;
        b->n++;
    }
    return true;
}

/* `again`: seconds after which a client asks once more by itself; 0 where only a pod that becomes healthy would change the answer. */
static int over_budget(struct api_op *op, int again, const char *cause)
{
    struct object_cause *c = arena_alloc(op->arena, sizeof *c);
    api_fail(&op->err, op->arena, KL_TOO_MANY_REQUESTS, "Cannot evict pod as it would violate the pod's disruption budget.");
    if (c) {
        *c = (struct object_cause){ "DisruptionBudget", "", cause };
        op->err.causes = c;
        op->err.n_causes = 1;
    }
    op->err.retry_after = again;
    return -KL_TOO_MANY_REQUESTS;
}

/* A pod that does not serve protects nothing: it may go where the budget says so, or has enough without it. */
static bool free_to_go(const struct val *pod, const struct val *budget)
{
    int64_t healthy = json_int(budget, "status.currentHealthy", 0), desired = json_int(budget, "status.desiredHealthy", 0);
    struct val *list = json_path(pod, "status.conditions");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (str_is(json_str(c, "type"), "Ready") && str_is(json_str(c, "status"), "True"))
                return false;
    return str_is(json_str(budget, "spec.unhealthyPodEvictionPolicy"), "AlwaysAllow") || (desired > 0 && healthy >= desired);
}

/* Takes one disruption from the budget, or refuses. */
static int charge_budget(struct api_op *op, struct store_object *o, const struct val *pod)
{
    struct kl_err err;
    char now[CLOCK_TEXT];
    kl_err_init(&err);
    const struct schema_kind *k = schema_kind_find(STR("policy"), STR("v1"), STR("PodDisruptionBudget"));
    struct val *v = api_tree(op->arena, o, &op->err), *st = v ? json_obj(op->arena, v, STR("status")) : NULL;
    struct str name = store_object_name(o);
    if (!v)
        return -op->err.code;
    if (json_int(st, "observedGeneration", 0) < json_int(v, "metadata.generation", 0))
        return over_budget(op, 10, arena_printf(op->arena, "The disruption budget " STR_FMT " is still being processed by the server.", STR_ARG(name)));
    if (free_to_go(pod, v))
        return 0;
    int64_t allowed = json_int(st, "disruptionsAllowed", 0);
    if (allowed <= 0)
        return over_budget(op, 0, arena_printf(op->arena, "The disruption budget " STR_FMT " needs %lld healthy pods and has %lld currently",
                                               STR_ARG(name), (long long)json_int(st, "desiredHealthy", 0), (long long)json_int(st, "currentHealthy", 0)));
    clock_format(api_op_now(op), now);
    json_set_int(op->arena, st, STR("disruptionsAllowed"), allowed - 1);
    json_set_str(op->arena, json_obj(op->arena, st, STR("disruptedPods")), op->name, arena_str(op->arena, str_of(now)));
    struct api_op sub = *op;
    sub.kind = k;
    sub.name = name;
    sub.durable = NULL;
    return api_commit_put(&sub, v, o);
}

/* Why it goes stands in its status before it goes: a Job's failure policy, for one, asks for it. */
static int mark_evicted(struct api_op *op, struct val *pod, struct store_object *o)
{
    struct arena *a = op->arena;
    set_condition(op, pod, "DisruptionTarget", "EvictionByEvictionAPI", "Eviction API: evicting");
    if (arena_exhausted(a))
        return api_fail(&op->err, a, KL_NO_MEMORY, "out of memory");
    struct api_op sub = *op;
    sub.subresource = NULL;
    sub.durable = NULL;
    int rc = api_commit_put(&sub, pod, o);
    op->err = sub.err;
    return rc;
}

static int evict(struct api_op *op, struct val *body)
{
    struct store_object *o = find(op);
    struct val *v = o ? api_tree(op->arena, o, &op->err) : NULL;
    if (!v || admit_part(op, "create", "policy", "v1", "Eviction", &body, NULL) < 0)
        return -op->err.code;
    struct budgets b = { .op = op, .pod = v };
    struct str phase = json_str(v, "status.phase");
    struct store_range r = { .resource = STR("policy/poddisruptionbudgets"), .ns = op->ns, .head = true };
    bool finished = str_is(phase, "Succeeded") || str_is(phase, "Failed") || str_is(phase, "Pending");
    if (!finished && !json_path(v, "metadata.deletionTimestamp"))
        store_list(op->api->store, &r, each_budget, &b);
    if (b.n > 1)
        return api_fail(&op->err, op->arena, KL_INTERNAL,
                        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
    if (b.n == 1 && charge_budget(op, b.found, v) < 0)
        return -op->err.code;
    struct val *options = json_get(body, STR("deleteOptions"));
    op->grace_s = json_int(options, "gracePeriodSeconds", -1);
    op->propagation = json_str(options, "propagationPolicy");
    op->want_uid = json_str(options, "preconditions.uid");
    op->want_version = json_str(options, "preconditions.resourceVersion");
    op->subresource = NULL;
    op->admitted = true;                /* as an eviction */
    bool meant = !op->want_uid.len || str_eq(op->want_uid, json_str(v, "metadata.uid"));
    if (meant && !op->dry_run && mark_evicted(op, v, o) < 0)
        return -op->err.code;
    int rc = api_op_delete(op);
    op->created = true;
    return rc < 0 ? rc : answer_success(op);
}

static int token(struct api_op *op, struct val *body)
{
    struct val *v;
    if (admit_part(op, "create", "authentication.k8s.io", "v1", "TokenRequest", &body, NULL) < 0 || api_op_token(op, body, &v) < 0)
        return -op->err.code;
    op->created = true;
    return answer_tree(op, v);
}

/* --- whole objects of which a part may change --- */

static int write_part(struct api_op *op, const char *verb, int type, struct val *body, bool status_too)
{
    struct kl_err err;
    kl_err_init(&err);
    struct store_object *o = find(op);
    struct val *old = o ? api_tree(op->arena, o, &op->err) : NULL, *v = body;
    if (!old)
        return -op->err.code;
    if (type == API_PATCH_APPLY) {
        if (api_apply_merge(op, body, old, &v) < 0)
            return -op->err.code;
    } else if (strcmp(verb, "patch") == 0) {
        v = type == KL_PATCH_JSON ? object_patch_json(op->arena, old, body, &err) :
            type == KL_PATCH_MERGE ? object_patch_merge(op->arena, old, body, &err) :
                                     object_patch_strategic(op->arena, op->kind->type, old, body, &err);
        if (!v || object_conform(op->arena, op->kind->type, v, NULL, &err) < 0)
            return api_fail_err(&op->err, op->arena, &err);
    }
    if (api_check_identity(op, v, o) < 0)
        return -op->err.code;
    if (!status_too)
        json_set(op->arena, v, STR("status"), val_copy(op->arena, json_get(old, STR("status"))));
    return api_update_tree(op, o, old, v);
}

int api_op_subresource(struct api_op *op, const char *verb, int type, struct val *body, bool *handled)
{
    static const struct {
        const char *sub;
        const char *verbs;
    } writable[] = { { "scale", "update,patch" }, { "binding", "create" }, { "eviction", "create" }, { "finalize", "update" },
                     { "ephemeralcontainers", "update,patch" }, { "resize", "update,patch" }, { "approval", "update,patch" }, { "token", "create" } };
    *handled = false;
    for (size_t i = 0; i < sizeof writable / sizeof *writable; i++)
        *handled |= strcmp(writable[i].sub, op->subresource) == 0 && strstr(writable[i].verbs, verb);
    if (!*handled)
        return 0;
    if (strcmp(op->subresource, "scale") == 0)
        return write_scale(op, verb, type, body);
    if (strcmp(op->subresource, "binding") == 0)
        return bind(op, body);
    if (strcmp(op->subresource, "eviction") == 0)
        return evict(op, body);
    if (strcmp(op->subresource, "token") == 0)
        return token(op, body);
    return write_part(op, verb, type, body, strcmp(op->subresource, "approval") == 0);
}
