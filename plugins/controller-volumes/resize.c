/* resize.c - a claim that wants more than its volume has: the driver expands it. A file system that has to grow on the node is the node agent's work;
 * what is waited for stands in the claim's conditions and allocatedResourceStatuses, as upstream has them. */
#include "base/quantity.h"
#include "driver.h"

struct resizing {
    struct ctl_run *r;
    struct val *claim, *volume;
    struct driver driver;
};

static void set_condition(struct resizing *x, struct val *status, const char *type, const char *message)
{
    struct arena *a = x->r->arena;
    struct val *list = json_arr(a, status, STR("conditions"));
    if (cond_find(list, type))
        return;
    struct val *c = val_push(list, val_new(a, VAL_OBJ));
    json_set_str(a, c, STR("type"), str_of(type));
    json_set_str(a, c, STR("status"), STR("True"));
    json_set_str(a, c, STR("lastTransitionTime"), ctl_now(x->r));
    if (*message)
        json_set_str(a, c, STR("message"), str_of(message));
}

static int write_status(struct resizing *x, struct val *now)
{
    struct val *ret = NULL;
    int rc = ctl_update(x->r, CLAIMS, "status", x->claim, now, &ret);
    if (rc == 0 && ret)
        x->claim = ret;
    return rc;
}

static int begin(struct resizing *x, struct str want)
{
    struct arena *a = x->r->arena;
    struct val *now = val_copy(a, x->claim), *status = json_obj(a, now, STR("status"));
    json_set_str(a, json_obj(a, status, STR("allocatedResources")), STR("storage"), want);
    json_set_str(a, json_obj(a, status, STR("allocatedResourceStatuses")), STR("storage"), STR("ControllerResizeInProgress"));
    set_condition(x, status, "Resizing", "");
    int rc = write_status(x, now);
    if (rc == 0)
        ctl_event(x->r, x->claim, "Normal", "Resizing", "External resizer is resizing volume " STR_FMT, STR_ARG(meta_name(x->volume)));
    return rc;
}

static int set_volume(struct resizing *x, struct str size)
{
    struct arena *a = x->r->arena;
    struct val *now = val_copy(a, x->volume);
    json_set_str(a, json_obj(a, json_obj(a, now, STR("spec")), STR("capacity")), STR("storage"), size);
    return ctl_update(x->r, VOLUMES, NULL, x->volume, now, &x->volume);
}

static int wait_for_node(struct resizing *x)
{
    struct arena *a = x->r->arena;
    struct val *now = val_copy(a, x->claim), *status = json_obj(a, now, STR("status"));
    cond_drop(json_get(status, STR("conditions")), "Resizing");
    set_condition(x, status, "FileSystemResizePending", "Waiting for user to (re-)start a pod to finish file system resize of volume on node.");
    json_set_str(a, json_obj(a, status, STR("allocatedResourceStatuses")), STR("storage"), STR("NodeResizePending"));
    int rc = write_status(x, now);
    if (rc == 0)
        ctl_event(x->r, x->claim, "Normal", "FileSystemResizeRequired", "Require file system resize of volume on node");
    return rc;
}

static int finish(struct resizing *x, struct str size)
{
    struct arena *a = x->r->arena;
    struct val *now = val_copy(a, x->claim), *status = json_obj(a, now, STR("status"));
    cond_drop(json_get(status, STR("conditions")), "Resizing");
    json_set_str(a, json_obj(a, status, STR("capacity")), STR("storage"), size);
    json_del(status, STR("allocatedResourceStatuses"));
    int rc = write_status(x, now);
    if (rc == 0)
        ctl_event(x->r, x->claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded");
    return rc;
}

static int expand(struct resizing *x, struct str want)
{
    struct ctl_run *r = x->r;
    struct kl_volume_use use = driver_use(r, x->volume);
    const struct kl_volume *t = x->driver.table;
    int64_t bytes = quantity_text_value(want, 0), got = bytes;
    char size[QUANTITY_TEXT];
    if (!KL_HAS(t, expand))
        return kl_fail(r->call, KL_UNSUPPORTED, "its driver does not expand volumes");
    int rc = t->expand(x->driver.self, &x->driver.call, &use, bytes, &got);
    if (rc < 0)
        return driver_failed(r, &x->driver, rc);
    if (got < bytes)
        return kl_fail(r->call, KL_INTERNAL, "its driver made it %lld bytes where %lld were asked for", (long long)got, (long long)bytes);
    quantity_format(quantity_of(got, QUANTITY_BINARY), size);
    struct str text = arena_str(r->arena, str_of(size));
    rc = set_volume(x, text);
    if (rc < 0)
        return rc;
    return KL_HAS(t, grow) && !use.block ? wait_for_node(x) : finish(x, text);
}

int resize(struct ctl_run *r, struct val *claim)
{
    struct resizing x = { .r = r, .claim = claim };
    struct str want = json_str(claim, "spec.resources.requests.storage");
    int64_t bytes = quantity_text_value(want, 0);
    if (!str_is(json_str(claim, "status.phase"), "Bound") || bytes <= quantity_text_value(json_str(claim, "status.capacity.storage"), 0) ||
        str_is(json_str(claim, "status.allocatedResourceStatuses.storage"), "NodeResizePending"))
        return 0;
    int rc = ctl_get(r, VOLUMES, STR(""), json_str(claim, "spec.volumeName"), &x.volume);
    if (rc < 0 || !json_str(x.volume, "spec.csi.driver").len || !bound_to(x.volume, claim))
        return rc;
    rc = driver_of(r, x.volume, &x.driver, NULL);
    if (rc < 0 || !x.driver.table)
        return rc;
    rc = begin(&x, want);
    if (rc == 0)
        rc = expand(&x, want);
    if (rc < 0 && rc != -KL_CONFLICT)
        ctl_event(r, x.claim, "Warning", "VolumeResizeFailed", "resize volume \"" STR_FMT "\" by driver failed: %s", STR_ARG(meta_name(x.volume)), r->call->err.msg);
    return rc == -KL_UNSUPPORTED || rc == -KL_INVALID ? 0 : rc;
}
