/* mirroring.c - slices for Endpoints that somebody keeps by hand, for a Service without a selector. */
#include "base/json_scan.h"
#include "slices.h"

#define MANAGER "endpointslicemirroring-controller.k8s.io"

static struct val *ports_of(struct arena *a, const struct val *subset)
{
    struct val *ports = json_get(subset, STR("ports")), *out = ports ? val_copy(a, ports) : val_new(a, VAL_ARR);
    if (out)
        val_each(p, out)
            if (!json_get(p, STR("name")))
                json_set_str(a, p, STR("name"), STR(""));
    return out;
}

static struct val *endpoint_of(struct arena *a, const struct val *address, bool ready)
{
    struct val *e = val_new(a, VAL_OBJ), *ref = json_get(address, STR("targetRef"));
    val_push(json_arr(a, e, STR("addresses")), val_of_str(a, json_str(address, "ip")));
    json_set_bool(a, json_obj(a, e, STR("conditions")), STR("ready"), ready);
    if (json_str(address, "hostname").len)
        json_set_str(a, e, STR("hostname"), json_str(address, "hostname"));
    if (ref)
        json_set(a, e, STR("targetRef"), val_copy(a, ref));
    if (json_str(address, "nodeName").len)
        json_set_str(a, e, STR("nodeName"), json_str(address, "nodeName"));
    return e;
}

static int want(struct slice_plan *p, const struct val *endpoints)
{
    static const char *const lists[] = { "addresses", "notReadyAddresses" };
    struct arena *a = p->r->arena;
    struct val *subsets = json_get(endpoints, STR("subsets"));
    if (!val_is(subsets, VAL_ARR))
        return 0;
    val_each(s, subsets)
        for (int i = 0; i < 2; i++) {
            struct val *list = json_get(s, str_of(lists[i]));
            if (!val_is(list, VAL_ARR))
                continue;
            val_each(address, list)
                if (!slices_want(p, address_family(json_str(address, "ip")), ports_of(a, s), endpoint_of(a, address, i == 0)))
                    return kl_fail(p->r->call, KL_NO_MEMORY, "out of memory, or more than 32 different sets of ports");
        }
    return 0;
}

static bool mirrored(const struct val *endpoints, const struct val *service)
{
    return endpoints && !meta_deleting(endpoints) && service && !json_path(service, "spec.selector") &&
           !str_is(meta_label(endpoints, "endpointslice.kubernetes.io/skip-mirror"), "true") &&
           !meta_annotation(endpoints, "control-plane.alpha.kubernetes.io/leader").len;
}

static struct val *without(struct arena *a, const struct val *endpoints, const char *map, const char *const *left_out)
{
    struct val *v = json_get(json_get(endpoints, STR("metadata")), str_of(map)), *out = v ? val_copy(a, v) : val_new(a, VAL_OBJ);
    for (; out && *left_out; left_out++)
        json_del(out, str_of(*left_out));
    return out;
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    static const char *const own_labels[] = { SERVICE_NAME, MANAGED_BY, NULL };
    static const char *const own_annotations[] = { "kubectl.kubernetes.io/last-applied-configuration", TRIGGER_TIME, NULL };
    struct val *endpoints, *service;
    struct ctl_list slices;
    struct slice_plan *p = arena_alloc(r->arena, sizeof *p);
    if (!p)
        return ctl_no_memory(r);
    int rc = ctl_get(r, ENDPOINTS, ns, name, &endpoints);
    if (rc == 0)
        rc = ctl_get(r, SERVICES, ns, name, &service);
    if (rc == 0)
        rc = ctl_list(r, (struct kl_list_options){ .resource = SLICES, .ns = arena_dup(r->arena, ns),
                                                   .label_selector = arena_printf(r->arena, SERVICE_NAME "=" STR_FMT "," MANAGED_BY "=" MANAGER,
                                                                                  STR_ARG(name)) }, &slices);
    if (rc < 0)
        return rc;
    *p = (struct slice_plan){ .r = r, .owner = endpoints, .ns = ns, .service = name };
    if (mirrored(endpoints, service)) {
        p->labels = without(r->arena, endpoints, "labels", own_labels);
        p->annotations = without(r->arena, endpoints, "annotations", own_annotations);
        json_set_str(r->arena, p->labels, STR(SERVICE_NAME), name);
        json_set_str(r->arena, p->labels, STR(MANAGED_BY), STR(MANAGER));
        rc = want(p, endpoints);
    }
    return rc < 0 ? rc : slices_write(p, &slices);
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    struct str labels = json_scan_path(obj, "metadata.labels");
    (void)r;
    (void)resource;
    (void)old;
    if (str_is(json_scan_text(json_scan_member(labels, STR(MANAGED_BY))), MANAGER))
        ctl_key_add(keys, json_scan_text(json_scan_path(obj, "metadata.namespace")), json_scan_text(json_scan_member(labels, STR(SERVICE_NAME))));
    return 0;
}

CTL_RUN(endpointslicemirroring, run)
CTL_MAP(endpointslicemirroring, map)

static const struct kl_watch watches[] = {
    { sizeof(struct kl_watch), ENDPOINTS, NULL, NULL },
    { sizeof(struct kl_watch), SERVICES, NULL, NULL },
    { sizeof(struct kl_watch), SLICES, NULL, "map" },
};
CTL_TABLE(endpointslicemirroring, watches, endpointslicemirroring_map);
