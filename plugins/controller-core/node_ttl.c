/* node_ttl.c - how long a node's agent may keep Secrets and ConfigMaps without asking: an annotation, longer in larger clusters. */
#include "base/json_scan.h"
#include "nodes.h"

#define TTL "node.alpha.kubernetes.io/ttl"

/* Upstream's steps overlap, so that a cluster at a border does not write back and forth. */
static const struct step {
    uint32_t least, most;               /* nodes */
    const char *seconds;
} steps[] = { { 0, 100, "0" }, { 90, 500, "15" }, { 450, 1000, "30" }, { 900, 2000, "60" }, { 1800, UINT32_MAX, "300" } };

static const char *ttl_of(struct str present, uint32_t nodes)
{
    const char *first = NULL;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (nodes < steps[i].least || nodes > steps[i].most)
            continue;
        if (str_is(present, steps[i].seconds))
            return steps[i].seconds;
        first = first ? first : steps[i].seconds;
    }
    return first;
}

static int run(struct ctl_run *r, struct str none, struct str name)
{
    struct kl_object_list l = { .size = sizeof l };
    struct kl_list_options o = { .size = sizeof o, .resource = NODES };
    struct val *node, *now;
    (void)none;
    int rc = ctl_get(r, NODES, STR(""), name, &node);
    if (rc == 0 && node)
        rc = r->ctl->objects->list(r->ctl->host, r->call, &o, &l);
    if (rc < 0 || !node)
        return rc;
    now = val_copy(r->arena, node);
    meta_set_annotation(r->arena, now, TTL, str_of(ttl_of(meta_annotation(node, TTL), l.n)));
    return ctl_update(r, NODES, NULL, node, now, NULL);
}

/* A new node, or one whose annotation somebody changed: not each heartbeat. */
static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    (void)resource;
    struct str was = json_scan_member(json_scan_path(old, "metadata.annotations"), STR(TTL));
    struct str is = json_scan_member(json_scan_path(obj, "metadata.annotations"), STR(TTL));
    if (!(r->call->flags & KL_CALL_DELETED) && (!old.len || !is.at || !str_eq(json_scan_text(was), json_scan_text(is))))
        ctl_key_add(keys, STR(""), json_scan_text(json_scan_path(obj, "metadata.name")));
    return 0;
}

CTL_RUN(node_ttl, run)
CTL_MAP(node_ttl, map)

static const struct kl_watch watches[] = { { sizeof(struct kl_watch), NODES, NULL, "map" } };
CTL_TABLE(node_ttl, watches, node_ttl_map);
