/* driver.c - the controller that asks storage drivers: claims get volumes, volumes that were left are removed, larger wishes are met. The calls block, so
 * it runs on workers; the binder, which only compares and writes, does not. */
#include "driver.h"

#include "base/json_scan.h"

#define CALL_NS (120 * NS_S)

int driver_find(struct ctl_run *r, struct str name, struct str node, struct driver *d)
{
    const struct kl_host_plugins *plugins = r->ctl->host->service(r->ctl->host, KL_HOST_PLUGINS_0);
    struct kl_instance found = { .size = sizeof found };
    char *z = node.len ? arena_printf(r->arena, STR_FMT "@" STR_FMT, STR_ARG(name), STR_ARG(node)) : arena_dup(r->arena, name);
    *d = (struct driver){ .call = *r->call };
    kl_err_init(&d->call.err);
    if (!z || !plugins)
        return ctl_no_memory(r);
    int64_t by = r->ctl->env->mono_ns(r->ctl->host) + CALL_NS;
    if (!d->call.deadline_ns || d->call.deadline_ns > by)
        d->call.deadline_ns = by;
    int rc = plugins->find(r->ctl->host, &d->call, KL_VOLUME_0, z, &found);
    if (rc == -KL_NOT_FOUND)
        return 0;
    if (rc < 0)
        return driver_failed(r, d, rc);
    d->table = found.table;
    d->self = found.self;
    return 0;
}

int driver_of(struct ctl_run *r, const struct val *volume, struct driver *d, bool *ret_gone)
{
    struct str node = meta_annotation(volume, ON_NODE);
    struct val *there = NULL;
    int rc = node.len ? ctl_get(r, NODES, STR(""), node, &there) : 0;
    if (rc == 0 && node.len && !there && ret_gone) {
        *ret_gone = true;
        return 0;
    }
    return rc < 0 ? rc : driver_find(r, json_str(volume, "spec.csi.driver"), node, d);
}

int driver_failed(struct ctl_run *r, struct driver *d, int rc)
{
    r->call->err = d->call.err;
    if (!r->call->err.code)
        kl_fail(r->call, -rc, "the driver gives no reason");
    return rc;
}

const char *const *driver_list(struct ctl_run *r, const struct val *object, const char *but)
{
    size_t n = 0;
    const char **list = arena_alloc(r->arena, (val_is(object, VAL_OBJ) ? 2 * object->n + 1 : 1) * sizeof *list);
    if (list && val_is(object, VAL_OBJ))
        val_each(m, object)
            if (val_str(m).at && (!but || !str_starts(val_key(m), str_of(but)))) {
                list[n++] = arena_dup(r->arena, val_key(m));
                list[n++] = arena_dup(r->arena, val_str(m));
            }
    return list;
}

struct kl_volume_use driver_use(struct ctl_run *r, const struct val *volume)
{
    const struct val *csi = json_path(volume, "spec.csi");
    return (struct kl_volume_use){ .size = sizeof(struct kl_volume_use), .id = arena_dup(r->arena, json_str(csi, "volumeHandle")),
                                   .context = driver_list(r, json_get(csi, STR("volumeAttributes")), NULL),
                                   .block = str_is(volume_mode(volume), "Block") };
}

static int run(struct ctl_run *r, struct str ns, struct str name)
{
    struct val *v;
    int rc = ctl_get(r, ns.len ? CLAIMS : VOLUMES, ns, name, &v);
    if (rc < 0 || !v)
        return rc;
    if (!ns.len)
        return reclaim(r, v);
    return meta_deleting(v) ? 0 : bound_completely(v) ? resize(r, v) : provision(r, v);
}

static int map(struct ctl_run *r, const char *resource, struct str old, struct str obj, struct buf *keys)
{
    bool claim = strcmp(resource, CLAIMS) == 0;
    (void)old;
    if (r->call->flags & KL_CALL_DELETED)
        return 0;
    ctl_key_add(keys, claim ? json_scan_text(json_scan_path(obj, "metadata.namespace")) : STR(""), json_scan_text(json_scan_path(obj, "metadata.name")));
    return 0;
}

CTL_RUN(provisioner, run)
CTL_MAP(provisioner, map)
static const struct kl_watch watches[] = { { sizeof(struct kl_watch), CLAIMS, NULL, "map" }, { sizeof(struct kl_watch), VOLUMES, NULL, "map" } };
const struct kl_controller provisioner_controller = { .size = sizeof(struct kl_controller), .life = { .open = ctl_open, .close = ctl_close },
                                                      .flags = KL_CONTROLLER_BLOCKING, .workers = 4, .watches = KL_ARRAY_OF(watches), .map = provisioner_map,
                                                      .reconcile = provisioner_reconcile };
