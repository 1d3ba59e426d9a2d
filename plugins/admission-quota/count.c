/* count.c - a quota's use, counted anew from the objects that are there. */
#include "base/json_scan.h"
#include "quota.h"

struct counting {
    const struct core *core;
    struct kl_call *call;
    struct arena *arena;
    const struct val *quota;
    struct amounts *used;
    int64_t now_ns;
    bool dying;
};

static void add_masked(struct counting *k, const struct amounts *names, const struct amounts *usage)
{
    for (unsigned i = 0; i < usage->n; i++)
        if (amounts_get(names, usage->at[i].name))
            amounts_add(k->used, usage->at[i].name, usage->at[i].q);
}

/* Objects that are only counted are not read. */
static void add_count(struct counting *k, const struct amounts *names, struct str resource, const struct kl_object_list *list)
{
    int64_t all = list->n, alive = 0;
    if (str_is(resource, "/pods"))
        for (uint32_t i = 0; i < list->n; i++)
            alive += !pod_is_over(str_n(list->at[i].at, list->at[i].len), k->now_ns);
    for (unsigned i = 0; i < names->n; i++)
        amounts_add(k->used, names->at[i].name, quantity_of(str_is(names->at[i].name, "pods") ? alive : all, QUANTITY_DECIMAL));
}

/* One after the other, each with memory of its own: there may be thousands. */
static int add_objects(struct counting *k, const struct amounts *names, struct str resource, const struct kl_object_list *list)
{
    for (uint32_t i = 0; i < list->n; i++) {
        _cleanup_arena_ struct arena *a = arena_new(64 << 20);
        struct val *v = a ? json_parse(a, str_n(list->at[i].at, list->at[i].len), &k->call->err) : NULL;
        if (!v)
            return kl_fail(k->call, KL_NO_MEMORY, "out of memory");
        if (!usage_in_scopes(a, k->quota, resource, v))
            continue;
        struct amounts usage = usage_of(a, resource, v, k->now_ns), kept = { .arena = k->arena };
        for (unsigned n = 0; n < names->n; n++)         /* under the names that last */
            if (amounts_get(&usage, names->at[n].name))
                amounts_set(&kept, names->at[n].name, *amounts_get(&usage, names->at[n].name));
        add_masked(k, names, &kept);
        if (arena_exhausted(a))
            return kl_fail(k->call, KL_NO_MEMORY, "out of memory");
    }
    return 0;
}

static int count_resource(struct counting *k, const struct amounts *names, struct str resource)
{
    struct kl_object_list list = { .size = sizeof list };
    struct kl_list_options o = { .size = sizeof o, .resource = arena_dup(k->arena, resource), .ns = arena_dup(k->arena, json_str(k->quota, "metadata.namespace")) };
    if (!o.resource || !o.ns)
        return kl_fail(k->call, KL_NO_MEMORY, "out of memory");
    int rc = k->core->objects->list(k->core->host, k->call, &o, &list);
    if (rc == -KL_NOT_FOUND) {          /* a kind that is not served */
        kl_err_init(&k->call->err);
        return 0;
    }
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < names->n; i++)
        amounts_add(k->used, names->at[i].name, (struct quantity){ 0 });
    for (uint32_t i = 0; i < list.n && !k->dying; i++)
        k->dying = json_scan_path(str_n(list.at[i].at, list.at[i].len), "metadata.deletionTimestamp").at != NULL;
    if (!usage_has_scopes(k->quota) && usage_is_count(names, resource)) {
        add_count(k, names, resource, &list);
        return 0;
    }
    return add_objects(k, names, resource, &list);
}

int count_usage(const struct core *x, struct kl_call *c, struct arena *a, const struct val *quota, struct amounts *ret, bool *ret_dying)
{
    struct amounts hard = amounts_read(a, json_path(quota, "spec.hard"));
    struct counting k = { x, c, a, quota, ret, x->env->wall_ns(x->host), false };
    *ret = (struct amounts){ .arena = a };
    for (unsigned i = 0; i < hard.n; i++) {
        struct str resource = usage_resource(a, hard.at[i].name);
        if (!resource.at || amounts_get(ret, hard.at[i].name))
            continue;
        struct amounts names = usage_names(&hard, resource);
        int rc = count_resource(&k, &names, resource);
        if (rc < 0)
            return rc;
    }
    *ret_dying = k.dying;
    return arena_exhausted(a) ? kl_fail(c, KL_NO_MEMORY, "out of memory") : 0;
}

int count_status(const struct core *x, struct kl_call *c, struct arena *a, const struct val *quota, struct val **ret, bool *ret_dying)
{
    struct amounts used, was = amounts_read(a, json_path(quota, "status.used")), hard = amounts_read(a, json_path(quota, "spec.hard"));
    struct amounts hard_was = amounts_read(a, json_path(quota, "status.hard"));
    *ret = (struct val *)quota;
    int rc = count_usage(x, c, a, quota, &used, ret_dying);
    if (rc < 0 || (amounts_equal(&used, &was) && amounts_equal(&hard, &hard_was)))
        return rc;
    *ret = val_copy(a, quota);
    struct val *status = json_obj(a, *ret, STR("status")), *spec_hard = json_path(quota, "spec.hard");
    json_set(a, status, STR("hard"), spec_hard ? val_copy(a, spec_hard) : val_new(a, VAL_OBJ));
    json_set(a, status, STR("used"), amounts_write(&used));
    return arena_exhausted(a) ? kl_fail(c, KL_NO_MEMORY, "out of memory") : 0;
}

int quota_write_status(const struct core *x, struct kl_call *c, struct arena *a, const struct val *quota)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4 << 20);
    struct kl_object_key k = { sizeof k, QUOTAS, arena_dup(a, json_str(quota, "metadata.namespace")), arena_dup(a, json_str(quota, "metadata.name")), "status" };
    json_write(&b, quota);
    if (!k.ns || !k.name || b.failed)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    return x->objects->update(x->host, c, &k, (struct kl_bytes){ b.at, b.len }, NULL);
}
