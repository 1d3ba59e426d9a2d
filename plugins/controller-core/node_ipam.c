/* node_ipam.c - each Node that names none gets a block of the cluster's pod addresses. */
#include "base/json_scan.h"
#include "nodes.h"

static int run(struct ctl_run *r, struct str none, struct str name)
{
    const struct core_conf *conf = r->ctl->conf;
    struct arena *a = r->arena;
    struct val *node, *now, *spec;
    struct kl_object_list all = { .size = sizeof all };
    struct kl_list_options every = { .size = sizeof every, .resource = NODES };
    (void)none;
    int rc = ctl_get(r, NODES, STR(""), name, &node);
    if (rc < 0 || !node || meta_deleting(node) || json_str(node, "spec.podCIDR").len || !conf->cluster_cidr || !conf->cluster_cidr[0])
        return rc;
    rc = r->ctl->objects->list(r->ctl->host, r->call, &every, &all);
    struct str *used = rc == 0 ? arena_alloc(a, (all.n + 1) * sizeof *used) : NULL;
    if (!used)
        return rc < 0 ? rc : ctl_no_memory(r);
    for (uint32_t i = 0; i < all.n; i++)
        used[i] = json_scan_text(json_scan_path(str_n(all.at[i].at, all.at[i].len), "spec.podCIDR"));
    const char *block = cidr_allocate(a, conf->cluster_cidr, (unsigned)conf->node_mask, used, all.n);
    if (!block) {
        ctl_event(r, node, "Normal", "CIDRNotAvailable", "Node " STR_FMT " status is now: CIDRNotAvailable", STR_ARG(name));
        return kl_fail(r->call, KL_UNAVAILABLE, "no block of %s is left for node '" STR_FMT "'", conf->cluster_cidr, STR_ARG(name));
    }
    now = val_copy(a, node);
    spec = json_obj(a, now, STR("spec"));
    json_set_str(a, spec, STR("podCIDR"), str_of(block));
    json_del(spec, STR("podCIDRs"));
    val_push(json_arr(a, spec, STR("podCIDRs")), val_of_str(a, str_of(block)));
    return ctl_update(r, NODES, NULL, node, now, NULL);
}

CTL_RUN(node_ipam, run)

static const struct kl_watch watches[] = { { sizeof(struct kl_watch), NODES, NULL, NULL } };
CTL_TABLE(node_ipam, watches, NULL);
