/* service_cidr.c - ServiceCIDRs: ready once they are seen, and kept while an address in use would be in no range without them. */
#include "addresses.h"

#define FINALIZER "networking.k8s.io/service-cidr-finalizer"
#define GRACE_NS  (10 * NS_S)           /* an allocation under way may not have seen the deletion */

static struct val *ready_condition(struct ctl_run *r, const char *status, const char *reason, const char *message)
{
    struct val *c = val_new(r->arena, VAL_OBJ);
    json_set_str(r->arena, c, STR("type"), STR("Ready"));
    json_set_str(r->arena, c, STR("status"), str_of(status));
    json_set_str(r->arena, c, STR("lastTransitionTime"), ctl_now(r));
    json_set_str(r->arena, c, STR("reason"), str_of(reason));
    json_set_str(r->arena, c, STR("message"), str_of(message));
    return c;
}

static int set_ready(struct ctl_run *r, struct val *cidr, const char *status, const char *reason, const char *message)
{
    struct arena *a = r->arena;
    struct val *now = val_copy(a, cidr), *list = json_arr(a, json_obj(a, now, STR("status")), STR("conditions")), *c = cond_find(list, "Ready");
    if (c && str_is(json_str(c, "status"), status) && str_is(json_str(c, "message"), message))
        return 0;
    if (c)
        cond_drop(list, "Ready");
    val_push(list, ready_condition(r, status, reason, message));
    return ctl_update(r, RANGES, "status", cidr, now, NULL);
}

static int set_finalizer(struct ctl_run *r, struct val **cidr, bool on)
{
    if (meta_has_finalizer(*cidr, FINALIZER) == on)
        return 0;
    struct val *now = val_copy(r->arena, *cidr);
    meta_set_finalizer(r->arena, now, FINALIZER, on);
    return ctl_update(r, RANGES, NULL, *cidr, now, cidr);
}

/* Does some address need this range and no other? */
static int is_needed(struct ctl_run *r, const struct val *cidr, bool *ret)
{
    struct ctl_list all, ips;
    *ret = false;
    int rc = ctl_list(r, (struct kl_list_options){ .resource = RANGES }, &all);
    if (rc == 0)
        rc = ctl_list(r, (struct kl_list_options){ .resource = ADDRESSES }, &ips);
    for (uint32_t i = 0; rc == 0 && i < ips.n && !*ret; i++) {
        struct str ip = meta_name(ips.at[i]);
        bool elsewhere = false;
        if (!range_holds(cidr, ip))
            continue;
        for (uint32_t k = 0; k < all.n && !elsewhere; k++)
            elsewhere = !str_eq(meta_name(all.at[k]), meta_name(cidr)) && !meta_deleting(all.at[k]) && range_holds(all.at[k], ip);
        *ret = !elsewhere;
    }
    return rc;
}

static int run_deleting(struct ctl_run *r, struct val *cidr)
{
    bool needed;
    int rc = meta_has_finalizer(cidr, FINALIZER) ? is_needed(r, cidr, &needed) : 1;
    if (rc)
        return rc < 0 ? rc : 0;
    if (needed)
        return set_ready(r, cidr, "False", "Terminating",
                         "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR");
    int64_t left = meta_time(cidr, "metadata.deletionTimestamp") + GRACE_NS - r->now_ns;
    if (left > 0) {
        ctl_again(r, left);
        return 0;
    }
    return set_finalizer(r, &cidr, false);
}

static int run(struct ctl_run *r, struct str none, struct str name)
{
    struct val *cidr;
    (void)none;
    int rc = ctl_get(r, RANGES, STR(""), name, &cidr);
    if (rc < 0 || !cidr)
        return rc;
    if (meta_deleting(cidr))
        return run_deleting(r, cidr);
    rc = set_finalizer(r, &cidr, true);
    return rc < 0 ? rc : set_ready(r, cidr, "True", "", "Kubernetes Service CIDR is ready");
}

CTL_RUN(service_cidr, run)

/* An address or a range that comes or goes may free another range. */
static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    struct ctl_list all;
    int rc = ctl_list(r, (struct kl_list_options){ .resource = RANGES }, &all);
    (void)resource;
    (void)old;
    (void)obj;
    for (uint32_t i = 0; rc == 0 && i < all.n; i++)
        if (meta_deleting(all.at[i]))
            ctl_key_add(keys, STR(""), meta_name(all.at[i]));
    return rc;
}

CTL_MAP(service_cidr, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), RANGES, NULL, NULL },
    { sizeof(struct kl_watch), RANGES, NULL, "map" },
    { sizeof(struct kl_watch), ADDRESSES, NULL, "map" },
};
CTL_TABLE(service_cidr, watches, service_cidr_map);
