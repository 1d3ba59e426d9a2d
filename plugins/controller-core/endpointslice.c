/* endpointslice.c - slices of the Services that select pods. */
#include "base/hash.h"
#include "base/json_scan.h"
#include "base/mem.h"
#include "slices.h"

#define MANAGER "endpointslice-controller.k8s.io"

struct look {                           /* one run */
    struct slice_plan *plan;
    struct val *service;
    struct crowd *crowd;
    struct map zones;                   /* of the nodes seen in it */
    int64_t earliest;                   /* change */
};

/* What is kept of a pod, beside that of all endpoints: the slices that it is in. */
struct sliced_pod {
    struct endpoint_pod known;
    uint32_t slice[2];                  /* place among the kept ones, from 1; 0: none. IPv4, IPv6 */
};

/* What is kept of a slice. One that is not as we left it means that nothing kept is right. */
struct kept_slice {
    char name[254];                     /* "": a free place */
    uint64_t revision, group;
    uint32_t n;                         /* endpoints */
};

struct kept_slices {
    uint32_t n;
    struct kept_slice at[];
};

static int zone_of(struct look *l, struct str node, struct str *ret)
{
    struct ctl_run *r = l->plan->r;
    struct val *v = NULL;
    struct str *known = node.len ? map_get(&l->zones, node) : NULL;
    *ret = known ? *known : STR_NONE;
    if (!node.len || known)
        return 0;
    int rc = ctl_get(r, NODES, STR(""), node, &v);
    known = rc < 0 ? NULL : arena_alloc(r->arena, sizeof *known);
    if (known) {
        *ret = *known = meta_label(v, "topology.kubernetes.io/zone");
        map_put(&l->zones, node, known);
    }
    return rc;
}

static int want_pod(struct look *l, struct val *pod)
{
    struct slice_plan *p = l->plan;
    const struct val *service = l->service;
    struct val *ips = json_path(pod, "status.podIPs"), *families = json_path(service, "spec.ipFamilies");
    struct str zone;
    if (!pod_serves(pod) || !val_is(ips, VAL_ARR))
        return 0;
    int rc = zone_of(l, json_str(pod, "spec.nodeName"), &zone);
    struct val *ports = pod_ports(p->r->arena, service, pod);
    const char *done = "";
    val_each(ip, ips) {
        struct str address = json_str(ip, "ip");
        const char *family = address_family(address);
        bool wanted = !families || !families->n || service_headless(service);
        if (families)
            val_each(f, families) wanted |= str_is(val_str(f), family);
        if (!wanted || strcmp(done, family) == 0)
            continue;
        done = family;
        if (rc == 0 && !slices_want(p, family, ports, pod_endpoint(p->r, service, pod, address, zone)))
            return kl_fail(p->r->call, KL_NO_MEMORY, "out of memory, or more than 32 different sets of ports");
    }
    return rc;
}

static int read_slices(struct ctl_run *r, struct str ns, struct str service, struct ctl_list *ret)
{
    return ctl_list(r, (struct kl_list_options){ .resource = SLICES, .ns = arena_dup(r->arena, ns),
                                                 .label_selector = arena_printf(r->arena, SERVICE_NAME "=" STR_FMT "," MANAGED_BY "=" MANAGER,
                                                                                STR_ARG(service)) }, ret);
}

/* --- what is kept --- */

static uint64_t group_digest(const char *family, const char *key)
{
    static const uint64_t seed[2] = { 0x736c69, 0x636573 };
    return hash_sip(seed, key, strlen(key)) ^ (uint64_t)*family ^ (uint64_t)family[3];
}

static struct kept_slice *kept(const struct crowd *c, struct str name)
{
    struct kept_slices *k = c ? c->more : NULL;
    for (uint32_t i = 0; k && i < k->n; i++)
        if (str_is(name, k->at[i].name))
            return &k->at[i];
    return NULL;
}

static struct kept_slice *new_place(struct crowd *c)
{
    struct kept_slices *old = c->more, *k;
    struct kept_slice *free_one = kept(c, STR(""));
    uint32_t n = old ? old->n : 0;
    if (free_one)
        return free_one;
    if (!(k = mem_resize(old, sizeof *k + (n + 1) * sizeof *k->at)))
        return NULL;
    k->n = n + 1;
    c->more = k;
    return &k->at[n];
}

static unsigned family_at(const char *family)
{
    return family[3] == '6';
}

/* Told of each slice that was read or written. */
static void keep(void *ctx, const struct slice_group *g, const struct val *old, const struct val *now)
{
    struct look *l = ctx;
    struct kept_slice *k = old ? kept(l->crowd, meta_name(old)) : NULL;
    struct val *list = json_get(now, STR("endpoints"));
    if (!now && k)
        *k = (struct kept_slice){ .n = 0 };
    if (!now)
        return;
    struct str name = meta_name(now);
    if ((!k && !(k = new_place(l->crowd))) || name.len >= sizeof k->name) {
        l->crowd->whole = true;
        return;
    }
    *k = (struct kept_slice){ .revision = ctl_revision(json_str(now, "metadata.resourceVersion")), .group = group_digest(g->family, g->key),
                              .n = val_is(list, VAL_ARR) ? list->n : 0 };
    memcpy(k->name, name.at, name.len);
    if (!k->n)
        return;
    val_each(e, list) {
        struct sliced_pod *p = crowd_get(l->crowd, json_str(e, "targetRef.name"));
        if (p)
            p->slice[family_at(g->family)] = (uint32_t)(k - ((struct kept_slices *)l->crowd->more)->at) + 1;
    }
}

/* Endpoints of the pods that nobody looked at. */
static bool stays(void *ctx, const struct val *endpoint)
{
    struct look *l = ctx;
    struct sliced_pod *p = crowd_get(l->crowd, json_str(endpoint, "targetRef.name"));
    return p && !p->known.pod.changed;
}

/* --- all of it --- */

static int look_at(struct look *l, struct val *pod)
{
    struct sliced_pod *p = crowd_put(l->crowd, meta_name(pod));
    if (!p)
        return ctl_no_memory(l->plan->r);
    trigger_look(&p->known, pod, &l->earliest);
    return want_pod(l, pod);
}

static int look_at_all(struct look *l, struct ctl_list *ret)
{
    struct ctl_run *r = l->plan->r;
    struct ctl_list pods;
    mem_free(l->crowd->more);
    l->crowd->more = NULL;
    int rc = service_pods(r, l->service, &pods);
    for (uint32_t i = 0; rc == 0 && i < pods.n; i++)
        rc = look_at(l, pods.at[i]);
    rc = rc < 0 ? rc : read_slices(r, l->plan->ns, l->plan->service, ret);
    return rc == 0 && topology_auto(l->service) ? topology_hints(l->plan, ret) : rc;
}

/* --- only what has changed --- */

/* The slice, if it is as it was left. */
static int take_slice(struct look *l, struct kept_slice *k, struct ctl_list *ret)
{
    struct val *v;
    for (uint32_t i = 0; i < ret->n; i++)
        if (str_is(meta_name(ret->at[i]), k->name))
            return 0;
    int rc = ctl_get(l->plan->r, SLICES, l->plan->ns, str_of(k->name), &v);
    if (rc < 0)
        return rc;
    l->crowd->whole |= !v || ctl_revision(json_str(v, "metadata.resourceVersion")) != k->revision;
    if (v)
        ret->at[ret->n++] = v;
    return 0;
}

/* Of a group's endpoints, those that are in none of its slices. */
static uint32_t homeless(const struct look *l, const struct slice_group *g)
{
    struct kept_slices *k = l->crowd->more;
    uint64_t group = group_digest(g->family, g->key);
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        const struct sliced_pod *p = crowd_get(l->crowd, json_str(g->at[i], "targetRef.name"));
        uint32_t home = p ? p->slice[family_at(g->family)] : 0;
        n += !home || k->at[home - 1].group != group;
    }
    return n;
}

/* The fullest of the group that has room for n. */
static struct kept_slice *roomy(const struct kept_slices *k, uint64_t group, uint32_t n)
{
    const struct kept_slice *best = NULL;
    for (uint32_t i = 0; i < k->n; i++)
        if (k->at[i].name[0] && k->at[i].group == group && k->at[i].n + n <= SLICE_MOST && (!best || k->at[i].n > best->n))
            best = &k->at[i];
    return (struct kept_slice *)best;
}

/* The slices that may change: those of changed pods, those with room for new endpoints, those without any. */
static int take_slices(struct look *l, struct ctl_list *ret)
{
    struct kept_slices *k = l->crowd->more;
    int rc = 0;
    ret->at = arena_alloc(l->plan->r->arena, (k->n + 1) * sizeof *ret->at);
    if (!ret->at)
        return ctl_no_memory(l->plan->r);
    for (struct crowd_pod *c = l->crowd->changed; c; c = c->next)
        for (int i = 0; i < 2 && rc == 0; i++) {
            struct sliced_pod *p = (struct sliced_pod *)c;
            rc = p->slice[i] ? take_slice(l, &k->at[p->slice[i] - 1], ret) : 0;
        }
    for (unsigned i = 0; i < l->plan->n_groups && rc == 0; i++) {
        const struct slice_group *g = &l->plan->groups[i];
        uint32_t n = homeless(l, g);
        struct kept_slice *room = n ? roomy(k, group_digest(g->family, g->key), n) : NULL;
        rc = room ? take_slice(l, room, ret) : 0;
    }
    for (uint32_t i = 0; i < k->n && rc == 0; i++)
        rc = k->at[i].name[0] && !k->at[i].n ? take_slice(l, &k->at[i], ret) : 0;
    return rc;
}

static int look_at_changed(struct look *l, struct ctl_list *ret)
{
    struct ctl_run *r = l->plan->r;
    struct kept_slices *k = l->crowd->more;
    struct val *selector = json_path(l->service, "spec.selector"), *pod;
    uint32_t n = 0;
    int rc = 0;
    for (struct crowd_pod *c = l->crowd->changed; c && rc == 0; c = c->next) {
        rc = ctl_get(r, PODS, l->plan->ns, c->name, &pod);
        c->gone = !pod || !sel_map_matches(selector, json_path(pod, "metadata.labels"));
        rc = rc < 0 || c->gone ? rc : look_at(l, pod);
    }
    rc = rc < 0 ? rc : take_slices(l, ret);
    for (struct crowd_pod *c = l->crowd->changed; c; c = c->next)
        memset(((struct sliced_pod *)c)->slice, 0, sizeof(((struct sliced_pod *)c)->slice));
    for (uint32_t i = 0; i < k->n; i++)
        n += k->at[i].name[0] != 0;
    l->plan->stays = stays;
    l->plan->placeholder = ret->n == n;
    return rc;
}

/* --- reconcile --- */

static struct slice_plan *new_plan(struct ctl_run *r, struct look *l, struct str ns, struct str name)
{
    struct slice_plan *p = arena_alloc(r->arena, sizeof *p);
    if (!p)
        return NULL;
    *p = (struct slice_plan){ .r = r, .owner = l->service, .ns = ns, .service = name, .placeholder = true, .left = keep, .ctx = l,
                              .labels = service_labels(r->arena, l->service) };
    json_set_str(r->arena, p->labels, STR(SERVICE_NAME), name);
    json_set_str(r->arena, p->labels, STR(MANAGED_BY), STR(MANAGER));
    return p;
}

static int look(struct look *l, struct str ns, struct str name, struct ctl_run *r)
{
    struct ctl_list slices = { .n = 0 };
    int rc = 0;
    l->crowd = crowd_open(r, ns, name, json_str(l->service, "metadata.resourceVersion"), sizeof(struct sliced_pod));
    if (l->crowd)
        l->crowd->whole |= topology_auto(l->service);   /* hints depend on all endpoints, and on the nodes */
    l->plan = l->crowd ? new_plan(r, l, ns, name) : NULL;
    if (l->plan && !l->crowd->whole)
        rc = look_at_changed(l, &slices);
    if (rc == 0 && l->plan && l->crowd->whole) {
        slices_drop(l->plan);
        l->plan = new_plan(r, l, ns, name);
        rc = l->plan ? look_at_all(l, &slices) : 0;
    }
    if (!l->plan)
        return ctl_no_memory(r);
    if (rc < 0) {
        slices_drop(l->plan);
        return rc;
    }
    l->plan->trigger = trigger_time(r, l->service, l->crowd, l->earliest);
    rc = slices_write(l->plan, &slices);
    if (rc == 0)
        crowd_close(l->crowd);
    return rc;
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct look l = { .earliest = 0 };
    int rc = ctl_get(r, SERVICES, ns, name, &l.service);
    if (rc < 0)
        return rc;
    if (!l.service || meta_deleting(l.service) || !service_selects(l.service)) {
        crowd_forget(r->ctl, ns, name);
        return 0;
    }
    rc = look(&l, ns, name, r);
    map_free(&l.zones);
    return rc;
}

/* A slice that somebody else changed makes everything that is kept doubtful. */
static int map_slice(struct ctl_run *r, struct str obj, struct buf *keys)
{
    struct str meta = ctl_meta(r), labels = json_scan_member(meta, STR("labels"));
    if (!str_is(json_scan_text(json_scan_member(labels, STR(MANAGED_BY))), MANAGER))
        return 0;
    ctl_key_add(keys, json_scan_text(json_scan_member(meta, STR("namespace"))), json_scan_text(json_scan_member(labels, STR(SERVICE_NAME))));
    struct crowd *c = crowd_of(r->ctl, buf_str(keys));
    const struct kept_slice *k = kept(c, json_scan_text(json_scan_member(meta, STR("name"))));
    bool deleted = r->call->flags & KL_CALL_DELETED;
    (void)obj;
    if (c && !c->whole && (deleted ? !k : k && ctl_revision(json_scan_text(json_scan_member(meta, STR("resourceVersion")))) <= k->revision))
        buf_clear(keys);                /* our own write */
    else if (c)
        c->whole = true;
    return 0;
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    return strcmp(resource, PODS) == 0 ? keys_of_pod(r, old, obj, keys) : map_slice(r, obj, keys);
}

CTL_RUN(endpointslice, run)
CTL_MAP(endpointslice, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), SERVICES, NULL, NULL },
    { sizeof(struct kl_watch), PODS, NULL, "map" },
    { sizeof(struct kl_watch), SLICES, NULL, "map" },
};
CTL_TABLE(endpointslice, watches, endpointslice_map);
