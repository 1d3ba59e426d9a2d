/* apiserver.c - where the Service default/kubernetes leads: to this API server, when others than this machine's own loopback reach it. */
#include "core.h"

#define NAME "kubernetes"

/* The address that pods can use; len 0: none, the server listens on the loopback only. */
static struct str reachable(const struct core_conf *conf)
{
    struct str s = str_of(conf->api_address);
    return !s.at || str_starts(s, STR("127.")) || str_is(s, "::1") ? STR("") : s;
}

static struct val *ports(struct arena *a, int64_t port)
{
    struct val *list = val_new(a, VAL_ARR), *p = val_push(list, val_new(a, VAL_OBJ));
    json_set_str(a, p, STR("name"), STR("https"));
    json_set_int(a, p, STR("port"), port);
    json_set_str(a, p, STR("protocol"), STR("TCP"));
    return list;
}

static int put(struct ctl_run *r, const char *resource, struct val *old, struct val *now)
{
    if (old)
        return ctl_update(r, resource, NULL, old, now, NULL);
    json_set_str(r->arena, json_obj(r->arena, now, STR("metadata")), STR("name"), STR(NAME));
    return ctl_create(r, resource, STR("default"), now, NULL);
}

static int put_endpoints(struct ctl_run *r, struct str address, int64_t port)
{
    struct arena *a = r->arena;
    struct val *old;
    int rc = ctl_get(r, ENDPOINTS, STR("default"), STR(NAME), &old);
    if (rc < 0)
        return rc;
    struct val *now = old ? val_copy(a, old) : val_new(a, VAL_OBJ), *list = val_new(a, VAL_ARR), *s = val_push(list, val_new(a, VAL_OBJ));
    meta_set_label(a, now, "endpointslice.kubernetes.io/skip-mirror", STR("true"));
    json_set_str(a, val_push(json_arr(a, s, STR("addresses")), val_new(a, VAL_OBJ)), STR("ip"), address);
    json_set(a, s, STR("ports"), ports(a, port));
    json_set(a, now, STR("subsets"), list);
    return put(r, ENDPOINTS, old, now);
}

static int put_slice(struct ctl_run *r, struct str address, int64_t port)
{
    struct arena *a = r->arena;
    struct val *old;
    int rc = ctl_get(r, SLICES, STR("default"), STR(NAME), &old);
    if (rc < 0)
        return rc;
    struct val *now = old ? val_copy(a, old) : val_new(a, VAL_OBJ), *list = val_new(a, VAL_ARR), *e = val_push(list, val_new(a, VAL_OBJ));
    meta_set_label(a, now, "kubernetes.io/service-name", STR(NAME));
    val_push(json_arr(a, e, STR("addresses")), val_of_str(a, address));
    json_set_bool(a, json_obj(a, e, STR("conditions")), STR("ready"), true);
    json_set_str(a, now, STR("addressType"), str_find(address, ':') >= 0 ? STR("IPv6") : STR("IPv4"));
    json_set(a, now, STR("endpoints"), list);
    json_set(a, now, STR("ports"), ports(a, port));
    return put(r, SLICES, old, now);
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    const struct core_conf *conf = r->ctl->conf;
    struct str address = reachable(conf);
    int64_t port;
    struct val *service;
    if (!address.len || !str_is(ns, "default") || !str_is(name, NAME) || !str_int(str_of(conf->api_port), &port) || !port)
        return 0;
    int rc = ctl_get(r, SERVICES, ns, name, &service);
    if (rc < 0 || !service)
        return rc;
    rc = put_endpoints(r, address, port);
    return rc < 0 ? rc : put_slice(r, address, port);
}

CTL_RUN(apiserver, run)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), SERVICES, "metadata.name=" NAME, NULL },
    { sizeof(struct kl_watch), ENDPOINTS, "metadata.name=" NAME, NULL },
    { sizeof(struct kl_watch), SLICES, "metadata.name=" NAME, NULL },
};
CTL_TABLE(apiserver, watches, NULL);
