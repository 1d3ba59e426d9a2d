/* endpoints.c - the older form: one Endpoints object per Service that selects pods. */
#include <stdlib.h>

#include "base/hash.h"
#include "base/json_scan.h"
#include "base/mem.h"
#include "slices.h"

#define ADDRESSES_MOST 1000             /* in one object, as upstream cuts it */
#define CAPACITY "endpoints.kubernetes.io/over-capacity"
#define MANAGER  "endpoint-controller"

/* What is kept of a pod. The object itself keeps the addresses; those that did not fit are read again when they do. */
struct address_pod {
    struct endpoint_pod known;
    bool listed, ready;
    uint64_t ports;                     /* digest */
    char ip[46];
};

struct port_list {
    uint64_t digest;
    struct val *ports;                  /* as the object has them */
};

struct look {                           /* one run */
    struct ctl_run *r;
    struct val *service, *old;
    struct crowd *crowd;                /* more: the object's resourceVersion as it was left */
    struct map addresses;               /* by pod */
    struct port_list lists[128];
    unsigned n_lists;
    int64_t earliest;                   /* change */
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

/* --- ports --- */

static bool add_ports(struct look *l, const struct val *ports, uint64_t *ret)
{
    static const uint64_t seed[2] = { 0x706f7274, 0x73 };
    const char *key = ports_key(l->r->arena, ports);
    uint64_t digest = key ? hash_sip(seed, key, strlen(key)) : 0;
    *ret = digest;
    for (unsigned i = 0; i < l->n_lists; i++)
        if (l->lists[i].digest == digest)
            return true;
    if (!key || l->n_lists == sizeof l->lists / sizeof *l->lists)
        return false;
    l->lists[l->n_lists++] = (struct port_list){ digest, ports ? old_ports(l->r->arena, ports) : NULL };
    return true;
}

static struct val *ports_of(const struct look *l, uint64_t digest)
{
    for (unsigned i = 0; i < l->n_lists; i++)
        if (l->lists[i].digest == digest)
            return l->lists[i].ports;
    return NULL;
}

/* --- pods --- */

static int look_at(struct look *l, const struct val *pod)
{
    struct address_pod *p = crowd_put(l->crowd, meta_name(pod));
    struct str ip = json_str(pod, "status.podIP");
    bool tolerate = json_bool(l->service, "spec.publishNotReadyAddresses", false);
    if (!p)
        return ctl_no_memory(l->r);
    trigger_look(&p->known, pod, &l->earliest);
    p->listed = false;
    if (!pod_serves(pod) || (meta_deleting(pod) && !tolerate))
        return 0;
    struct val *ports = pod_ports(l->r->arena, l->service, pod), *address = address_of(l->r->arena, l->service, pod);
    p->listed = ports->n || service_headless(l->service);
    p->ready = tolerate || pod_ready(pod);
    snprintf(p->ip, sizeof p->ip, STR_FMT, STR_ARG(ip));
    if (p->listed && (!address || !add_ports(l, ports, &p->ports) || !map_put(&l->addresses, p->known.pod.name, address)))
        return kl_fail(l->r->call, KL_NO_MEMORY, "out of memory, or more than 128 different sets of ports");
    return 0;
}

static int look_at_all(struct look *l)
{
    struct ctl_list pods;
    int rc = service_pods(l->r, l->service, &pods);
    for (uint32_t i = 0; rc == 0 && i < pods.n; i++)
        rc = look_at(l, pods.at[i]);
    return rc;
}

/* What the object says of pods that have not changed is right. */
static int take_old(struct look *l)
{
    static const char *const lists[] = { "addresses", "notReadyAddresses" };
    struct val *subsets = json_get(l->old, STR("subsets"));
    uint64_t digest;
    if (!val_is(subsets, VAL_ARR))
        return 0;
    val_each(s, subsets) {
        if (!add_ports(l, json_get(s, STR("ports")), &digest))
            return ctl_no_memory(l->r);
        for (int i = 0; i < 2; i++) {
            struct val *list = json_get(s, str_of(lists[i]));
            if (!val_is(list, VAL_ARR))
                continue;
            val_each(address, list)
                if (!map_put(&l->addresses, json_str(address, "targetRef.name"), address))
                    return ctl_no_memory(l->r);
        }
    }
    return 0;
}

static int look_at_changed(struct look *l)
{
    struct val *selector = json_path(l->service, "spec.selector"), *pod;
    int rc = take_old(l);
    for (struct crowd_pod *c = l->crowd->changed; c && rc == 0; c = c->next) {
        rc = ctl_get(l->r, PODS, meta_ns(l->service), c->name, &pod);
        c->gone = !pod || !sel_map_matches(selector, json_path(pod, "metadata.labels"));
        rc = rc < 0 || c->gone ? rc : look_at(l, pod);
    }
    return rc;
}

/* --- the object --- */

static int by_ports(const void *a, const void *b)
{
    const struct address_pod *x = *(struct address_pod *const *)a, *y = *(struct address_pod *const *)b;
    if (x->ports != y->ports)
        return x->ports < y->ports ? -1 : 1;
    if (x->ready != y->ready)
        return x->ready ? -1 : 1;
    int n = strcmp(x->ip, y->ip);
    return n ? n : str_cmp(x->known.pod.name, y->known.pod.name);
}

static int collect(struct look *l, struct address_pod ***ret, uint32_t *ret_n)
{
    struct address_pod **at = arena_alloc(l->r->arena, (l->crowd->pods.n + 1) * sizeof *at);
    size_t i = 0;
    uint32_t n = 0;
    void *v;
    if (!at)
        return ctl_no_memory(l->r);
    while (map_next(&l->crowd->pods, &i, NULL, &v)) {
        struct address_pod *p = v;
        if (p->listed && crowd_has(l->crowd, &p->known.pod))
            at[n++] = p;
    }
    qsort(at, n, sizeof *at, by_ports);
    *ret = at;
    *ret_n = n;
    return 0;
}

/* Its address, a node of a list of its own. */
static int address(struct look *l, const struct address_pod *p, struct val **ret)
{
    struct str name = p->known.pod.name;
    struct val *known = map_get(&l->addresses, name), *pod;
    int rc = known ? 0 : ctl_get(l->r, PODS, meta_ns(l->service), name, &pod);
    if (rc == 0 && !known && pod) {
        rc = look_at(l, pod);
        known = map_get(&l->addresses, name);
    }
    *ret = known ? val_new(l->r->arena, VAL_OBJ) : NULL;
    if (*ret)
        val_replace(*ret, known);
    return rc;
}

static int subsets(struct look *l, struct address_pod **at, uint32_t n, struct val **ret)
{
    struct arena *a = l->r->arena;
    struct val *out = val_new(a, VAL_ARR), *s = NULL, *v;
    uint64_t last = 0;
    int rc = 0;
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        rc = address(l, at[i], &v);
        if (rc < 0 || !v)               /* it went meanwhile: that it did is about to be told */
            continue;
        if (!s || at[i]->ports != last) {
            struct val *ports = ports_of(l, last = at[i]->ports);
            s = val_push(out, val_new(a, VAL_OBJ));
            if (ports && ports->n)
                json_set(a, s, STR("ports"), val_copy(a, ports));
        }
        val_push(json_arr(a, s, at[i]->ready ? STR("addresses") : STR("notReadyAddresses")), v);
    }
    *ret = out;
    return rc;
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

/* --- reconcile --- */

static int look_at_pods(struct look *l)
{
    uint64_t *left = l->crowd->more;
    int rc = 0;
    l->crowd->whole |= !l->old || !left || *left != ctl_revision(json_str(l->old, "metadata.resourceVersion"));
    if (!left && !(l->crowd->more = mem_alloc(sizeof *left)))
        return ctl_no_memory(l->r);
    if (!l->crowd->whole)
        rc = look_at_changed(l);
    return rc == 0 && l->crowd->whole ? look_at_all(l) : rc;
}

static int look(struct look *l)
{
    struct ctl_run *r = l->r;
    struct address_pod **at = NULL;
    struct val *list = NULL;
    uint32_t n = 0;
    l->crowd = crowd_open(r, meta_ns(l->service), meta_name(l->service), json_str(l->service, "metadata.resourceVersion"), sizeof(struct address_pod));
    if (!l->crowd)
        return ctl_no_memory(r);
    int rc = look_at_pods(l);
    if (rc == 0)
        rc = collect(l, &at, &n);
    bool cut = rc == 0 && n > ADDRESSES_MOST;
    if (rc == 0)
        rc = subsets(l, at, cut ? ADDRESSES_MOST : n, &list);
    if (rc < 0)
        return rc;
    r->written = l->crowd->more;
    *r->written = ctl_revision(json_str(l->old, "metadata.resourceVersion"));
    rc = write(r, l->service, l->old, list, cut, trigger_time(r, l->service, l->crowd, l->earliest));
    if (rc == 0)
        crowd_close(l->crowd);
    return rc;
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct look *l = arena_alloc(r->arena, sizeof *l);
    if (!l)
        return ctl_no_memory(r);
    l->r = r;
    int rc = ctl_get(r, SERVICES, ns, name, &l->service);
    if (rc == 0)
        rc = ctl_get(r, ENDPOINTS, ns, name, &l->old);
    if (rc < 0)
        return rc;
    if (!l->service || meta_deleting(l->service) || !service_selects(l->service))
        crowd_forget(r->ctl, ns, name);
    if (!l->service)                    /* ours goes with its Service; one that somebody made by hand stays */
        return str_is(meta_label(l->old, "endpoints.kubernetes.io/managed-by"), MANAGER) ? ctl_delete(r, ENDPOINTS, l->old, NULL) : 0;
    if (meta_deleting(l->service) || !service_selects(l->service))
        return 0;
    rc = look(l);
    map_free(&l->addresses);
    return rc;
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    if (strcmp(resource, PODS) == 0)
        return keys_of_pod(r, old, obj, keys);
    struct str meta = ctl_meta(r);
    ctl_key_add(keys, json_scan_text(json_scan_member(meta, STR("namespace"))), json_scan_text(json_scan_member(meta, STR("name"))));
    struct crowd *c = crowd_of(r->ctl, buf_str(keys));
    uint64_t *left = c ? c->more : NULL;
    if (left && !c->whole && !(r->call->flags & KL_CALL_DELETED) &&
        ctl_revision(json_scan_text(json_scan_member(meta, STR("resourceVersion")))) <= *left)
        buf_clear(keys);                /* our own write */
    return 0;
}

CTL_RUN(endpoints, run)
CTL_MAP(endpoints, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), SERVICES, NULL, NULL },
    { sizeof(struct kl_watch), ENDPOINTS, NULL, "map" },
    { sizeof(struct kl_watch), PODS, NULL, "map" },
};
CTL_TABLE(endpoints, watches, endpoints_map);
