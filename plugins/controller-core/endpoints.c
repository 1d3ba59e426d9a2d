/* endpoints.c - the older form: one Endpoints object per Service that selects pods. */
#include <stdlib.h>

#include "slices.h"

#define ADDRESSES_MOST 1000             /* in one object, as upstream cuts it */
#define CAPACITY "endpoints.kubernetes.io/over-capacity"
#define MANAGER  "endpoint-controller"

struct address {
    struct val *v;
    const char *ports;                  /* key of its ports */
    struct val *port_list;
    bool ready;
};

static struct val *address_of(struct arena *a, const struct val *service, const struct val *pod)
{
    struct val *v = val_new(a, VAL_OBJ), *ref = json_obj(a, v, STR("targetRef"));
    struct str host = json_str(pod, "spec.hostname"), node = json_str(pod, "spec.nodeName");
    json_set_str(a, v, STR("ip"), json_str(pod, "status.podIP"));
    if (host.len && str_eq(json_str(pod, "spec.subdomain"), meta_name(service)))
        json_set_str(a, v, STR("hostname"), host);
    if (node.len)
        json_set_str(a, v, STR("nodeName"), node);
    json_set_str(a, ref, STR("kind"), STR("Pod"));
    json_set_str(a, ref, STR("namespace"), meta_ns(pod));
    json_set_str(a, ref, STR("name"), meta_name(pod));
    json_set_str(a, ref, STR("uid"), meta_uid(pod));
    return v;
}

/* The core/v1 form of a slice's port: an empty name is left out. */
static struct val *old_ports(struct arena *a, const struct val *ports)
{
    struct val *out = val_copy(a, ports);
    if (out)
        val_each(p, out)
            if (!json_str(p, "name").len)
                json_del(p, STR("name"));
    return out;
}

static int by_ports(const void *a, const void *b)
{
    const struct address *x = a, *y = b;
    int n = strcmp(x->ports, y->ports);
    if (!n && x->ready != y->ready)
        n = x->ready ? -1 : 1;
    return n ? n : str_cmp(json_str(x->v, "ip"), json_str(y->v, "ip"));
}

static int collect(struct ctl_run *r, const struct val *service, const struct ctl_list *pods, struct address **ret, uint32_t *ret_n)
{
    struct address *at = arena_alloc(r->arena, (pods->n + 1) * sizeof *at);
    bool tolerate = json_bool(service, "spec.publishNotReadyAddresses", false);
    uint32_t n = 0;
    if (!at)
        return ctl_no_memory(r);
    for (uint32_t i = 0; i < pods->n; i++) {
        struct val *pod = pods->at[i];
        if (!pod_serves(pod) || (meta_deleting(pod) && !tolerate))
            continue;
        struct val *ports = pod_ports(r->arena, service, pod);
        bool any = ports->n || service_headless(service);
        at[n] = (struct address){ address_of(r->arena, service, pod), ports_key(r->arena, ports), ports, tolerate || pod_ready(pod) };
        if (!at[n].v || !at[n].ports)
            return ctl_no_memory(r);
        n += any;
    }
    qsort(at, n, sizeof *at, by_ports);
    *ret = at;
    *ret_n = n;
    return 0;
}

static struct val *subsets(struct arena *a, const struct address *at, uint32_t n)
{
    struct val *out = val_new(a, VAL_ARR), *s = NULL;
    for (uint32_t i = 0; i < n; i++) {
        if (!i || strcmp(at[i].ports, at[i - 1].ports) != 0) {
            s = val_push(out, val_new(a, VAL_OBJ));
            if (at[i].port_list->n)
                json_set(a, s, STR("ports"), old_ports(a, at[i].port_list));
        }
        val_push(json_arr(a, s, at[i].ready ? STR("addresses") : STR("notReadyAddresses")), at[i].v);
    }
    return out;
}

static int write(struct ctl_run *r, const struct val *service, const struct val *old, struct val *list, bool cut, struct str trigger)
{
    struct arena *a = r->arena;
    struct val *now = old ? val_copy(a, old) : val_new(a, VAL_OBJ), *meta = json_obj(a, now, STR("metadata"));
    struct val *labels = service_labels(a, service), *was = json_get(old, STR("subsets"));
    bool changed = !old || (was && was->n ? !val_equal(was, list) : list->n > 0);
    json_set_str(a, labels, STR("endpoints.kubernetes.io/managed-by"), STR(MANAGER));
    json_set(a, meta, STR("labels"), labels);
    if (changed && list->n)
        json_set(a, now, STR("subsets"), list);
    else if (changed)
        json_del(now, STR("subsets"));
    if (cut)
        meta_set_annotation(a, now, CAPACITY, STR("truncated"));
    else
        json_del(json_get(meta, STR("annotations")), STR(CAPACITY));
    if (old && val_equal(old, now))
        return 0;
    if (trigger.len)
        meta_set_annotation(a, now, TRIGGER_TIME, trigger);
    else if (json_del(json_get(meta, STR("annotations")), STR(TRIGGER_TIME)) && !json_get(meta, STR("annotations"))->n)
        json_del(meta, STR("annotations"));
    if (old)
        return ctl_update(r, ENDPOINTS, NULL, old, now, NULL);
    json_set_str(a, meta, STR("name"), meta_name(service));
    return ctl_create(r, ENDPOINTS, meta_ns(service), now, NULL);
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct val *service, *old;
    struct ctl_list pods;
    struct address *at = NULL;
    uint32_t n = 0;
    int rc = ctl_get(r, SERVICES, ns, name, &service);
    if (rc == 0)
        rc = ctl_get(r, ENDPOINTS, ns, name, &old);
    if (rc < 0)
        return rc;
    if (!service)
        trigger_forget(r, ns, name);
    if (!service)                       /* ours goes with its Service; one that somebody made by hand stays */
        return str_is(meta_label(old, "endpoints.kubernetes.io/managed-by"), MANAGER) ? ctl_delete(r, ENDPOINTS, old, NULL) : 0;
    if (meta_deleting(service) || !service_selects(service))
        return 0;
    rc = service_pods(r, service, &pods);
    if (rc == 0)
        rc = collect(r, service, &pods, &at, &n);
    if (rc < 0)
        return rc;
    bool cut = n > ADDRESSES_MOST;
    return write(r, service, old, subsets(r->arena, at, cut ? ADDRESSES_MOST : n), cut, trigger_time(r, service, &pods));
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)resource;
    return keys_of_pod(r, old, obj, keys);
}

CTL_RUN(endpoints, run)
CTL_MAP(endpoints, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), SERVICES, NULL, NULL },
    { sizeof(struct kl_watch), ENDPOINTS, NULL, NULL },
    { sizeof(struct kl_watch), PODS, NULL, "map" },
};
CTL_TABLE(endpoints, watches, endpoints_map);
