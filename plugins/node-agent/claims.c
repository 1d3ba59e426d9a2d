/* claims.c - volumes of claims in pods: the claim and its volume, and what the pod sees of it. Publishing: published.c. */
#include "claims.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/quantity.h"

struct str claims_name(struct str pod, const struct val *o, struct arena *ar)
{
    struct str name = json_str(o, "persistentVolumeClaim.claimName");
    if (!json_get(o, STR("ephemeral")))
        return name;
    return str_of(arena_printf(ar, STR_FMT "-" STR_FMT, STR_ARG(pod), STR_ARG(json_str(o, "name"))));
}

/* --- claim and volume --- */

static bool owned_by(const struct val *claim, struct str uid)
{
    const struct val *refs = json_path(claim, "metadata.ownerReferences");
    if (val_is(refs, VAL_ARR))
        val_each(ref, refs)
            if (json_bool(ref, "controller", false) && str_eq(json_str(ref, "uid"), uid))
                return true;
    return false;
}

/* A pod's volume that is a claim's. */
struct claimed {
    struct using u;                     /* first */
    struct pod_view *view;
    const struct val *o, *claim;
    const char *path, *ns, *name;       /* where it is to be; the claim's */
    bool block;
};

static int find_claim(struct claimed *x)
{
    struct arena *ar = x->u.arena;
    struct kl_call *c = x->u.call;
    struct val *claim = NULL;
    x->ns = arena_dup(ar, x->view->ns);
    x->name = arena_dup(ar, claims_name(x->view->name, x->o, ar));
    if (!x->ns || !x->name)
        return kl_fail(c, KL_NO_MEMORY, "no memory");
    struct kl_object_key k = agent_key("/persistentvolumeclaims", x->ns, x->name, NULL);
    int rc = agent_get(x->u.agent, c, ar, &k, &claim);
    if (rc < 0)
        return rc == -KL_NOT_FOUND ? kl_fail(c, KL_NOT_FOUND, "error processing PVC %s/%s: persistentvolumeclaim \"%s\" not found", x->ns, x->name, x->name) : rc;
    x->claim = claim;
    x->block = str_is(json_str(claim, "spec.volumeMode"), "Block");
    return 0;
}

static int find_volume(struct claimed *x)
{
    struct kl_call *c = x->u.call;
    struct val *volume = NULL;
    char *pv = arena_dup(x->u.arena, json_str(x->claim, "spec.volumeName"));
    if (json_get(x->o, STR("ephemeral")) && !owned_by(x->claim, x->view->uid))
        return kl_fail(c, KL_CONFLICT, "PVC %s/%s was not created for pod " STR_FMT " (pod is not owner)", x->ns, x->name, STR_ARG(x->view->name));
    if (!str_is(json_str(x->claim, "status.phase"), "Bound") || !pv || !*pv)
        return kl_fail(c, KL_UNAVAILABLE, "error processing PVC %s/%s: PVC is not bound", x->ns, x->name);
    struct kl_object_key k = agent_key("/persistentvolumes", "", pv, NULL);
    int rc = agent_get(x->u.agent, c, x->u.arena, &k, &volume);
    if (rc < 0)
        return kl_err_wrap(&c->err, "error processing PVC %s/%s: failed to fetch PV %s from API server", x->ns, x->name, pv);
    if (!str_eq(json_str(volume, "spec.claimRef.uid"), json_str(x->claim, "metadata.uid")))
        return kl_fail(c, KL_CONFLICT, "error processing PVC %s/%s: PV %s is bound to another claim", x->ns, x->name, pv);
    x->u.volume = volume;
    x->u.name = json_str(volume, "metadata.name");
    return 0;
}

/* --- what a pod sees --- */

static int locate(struct using *u, const char **ret_path)
{
    const struct val *host = json_path(u->volume, "spec.hostPath"), *local = json_path(u->volume, "spec.local");
    struct str path = json_str(host ? host : local, "path");
    struct stat st;
    if (json_path(u->volume, "spec.csi"))
        return published_publish(u, ret_path);
    if (!host && !local)
        return kl_fail(u->call, KL_UNSUPPORTED, "no volume plugin matched");
    *ret_path = arena_dup(u->arena, path);
    if (!*ret_path)
        return kl_fail(u->call, KL_NO_MEMORY, "no memory");
    if (host)
        return volumes_check_host_path(host, &u->call->err);
    if (stat(*ret_path, &st) != 0)
        return kl_fail(u->call, KL_INVALID, "path \"%s\" does not exist", *ret_path);
    return 0;
}

static int bind_at(struct using *u, const char *from, const char *path, bool readonly)
{
    int rc = disk_mkdirs(path, 0750, &u->call->err);
    if (rc < 0)
        return rc;
    if (mount(from, path, NULL, MS_BIND | MS_REC, NULL) != 0)
        return kl_fail(u->call, KL_INTERNAL, "binding '%s': %s", from, strerror(errno));
    if (mount(NULL, path, NULL, MS_PRIVATE, NULL) != 0 || (readonly && mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) != 0)) {
        rc = kl_fail(u->call, KL_INTERNAL, "'%s': %s", path, strerror(errno));
        umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
    }
    return rc;
}

static bool single_node(const struct val *volume)
{
    const struct val *modes = json_path(volume, "spec.accessModes");
    if (val_is(modes, VAL_ARR))
        val_each(m, modes)
            if (str_is(val_str(m), "ReadWriteOnce") || str_is(val_str(m), "ReadWriteOncePod"))
                return true;
    return false;
}

static int give_group(struct using *u, const struct pod_view *v, const char *path, bool readonly)
{
    int64_t gid = json_int(v->spec, "securityContext.fsGroup", -1);
    if (gid < 0 || readonly || json_path(u->volume, "spec.hostPath") || !single_node(u->volume))
        return 0;
    return fsgroup_set(path, (uint32_t)gid, true, str_is(json_str(v->spec, "securityContext.fsGroupChangePolicy"), "OnRootMismatch"), &u->call->err);
}

/* How the pod's containers name it must be what it is. */
static int check_use(const struct claimed *x)
{
    const char *not_so = x->block ? "volumeMounts" : "volumeDevices";
    for (size_t i = 0; i < x->view->n; i++) {
        const struct val *list = json_get(x->view->ctrs[i].spec, str_of(not_so));
        if (val_is(list, VAL_ARR))
            val_each(m, list)
                if (str_eq(json_str(m, "name"), json_str(x->o, "name")))
                    return kl_fail(x->u.call, KL_INVALID, "volume " STR_FMT " has volumeMode %s, but is specified in %s", STR_ARG(json_str(x->o, "name")),
                                   x->block ? "Block" : "Filesystem", not_so);
    }
    return 0;
}

/* --- block devices: a link to the device, for the runtime's configuration --- */

char *claims_device(struct arena *ar, const char *path)
{
    char to[512];
    struct stat st;
    ssize_t n = readlink(path, to, sizeof to - 1);
    if (n <= 0)
        return NULL;
    to[n] = '\0';
    return stat(to, &st) == 0 && S_ISBLK(st.st_mode) ? arena_dup(ar, str_of(to)) : NULL;
}

static int link_to(struct using *u, const char *device, const char *path)
{
    unlink(path);
    return symlink(device, path) == 0 ? 0 : kl_fail(u->call, KL_INTERNAL, "'%s': %s", path, strerror(errno));
}

/* --- growth --- */

static bool is_growing(const struct val *claim)
{
    struct str s = json_str(claim, "status.allocatedResourceStatuses.storage");
    return str_is(s, "NodeResizePending") || str_is(s, "NodeResizeInProgress");
}

static int note_growth(struct claimed *x)
{
    struct arena *ar = x->u.arena;
    struct val *patch = val_new(ar, VAL_OBJ), *status = json_obj(ar, patch, STR("status")), *kept = json_arr(ar, status, STR("conditions"));
    const struct val *list = json_path(x->claim, "status.conditions");
    if (val_is(list, VAL_ARR))
        val_each(c, list)
            if (!str_is(json_str(c, "type"), "FileSystemResizePending") && !str_is(json_str(c, "type"), "Resizing"))
                val_push(kept, val_copy(ar, c));
    set_s(ar, json_obj(ar, status, STR("capacity")), "storage", json_str(x->u.volume, "spec.capacity.storage"));
    set_v(ar, status, "allocatedResourceStatuses", val_new(ar, VAL_NULL));
    struct kl_bytes text = agent_text(ar, patch);
    struct kl_object_key k = agent_key("/persistentvolumeclaims", x->ns, x->name, "status");
    return text.at ? x->u.agent->objects->patch(x->u.agent->host, x->u.call, &k, KL_PATCH_MERGE, text, NULL) : kl_fail(x->u.call, KL_NO_MEMORY, "no memory");
}

/* One that cannot grow while it is in use goes on as it is, and grows when it is published the next time. */
static int grow(struct claimed *x, bool in_use)
{
    int rc = published_grow(&x->u);
    if (rc < 0 && in_use) {
        struct pod_mem *m = x->view->mem;
        if (agent_mono(x->u.agent) >= m->volume_event_ns) {
            event_pod(x->u.agent, x->view, NULL, "VolumeResizeFailed", "NodeExpandVolume failed for volume \"" STR_FMT "\": %s", STR_ARG(x->u.name), x->u.call->err.msg);
            m->volume_event_ns = agent_mono(x->u.agent) + 300 * NS_PER_S;
        }
        kl_err_init(&x->u.call->err);
        return 0;
    }
    if (rc < 0)
        return kl_err_wrap(&x->u.call->err, "NodeExpandVolume failed");
    rc = note_growth(x);
    if (rc == 0)
        event_pod(x->u.agent, x->view, NULL, "FileSystemResizeSuccessful", "MountVolume.NodeExpandVolume succeeded for volume \"" STR_FMT "\"", STR_ARG(x->u.name));
    return rc;
}

/* --- one volume --- */

static int set_up(struct claimed *x)
{
    struct using *u = &x->u;
    bool readonly = json_bool(x->o, "persistentVolumeClaim.readOnly", false) || published_read_only(u->volume);
    const char *from = NULL;
    int rc = published_add_user(u, x->view->uid);
    if (rc == 0)
        rc = locate(u, &from);
    if (u->agent->queue)
        u->agent->queue->add(u->agent->host, u->agent->node, 0);       /* the node tells what it uses */
    if (rc == 0 && x->block)
        return link_to(u, from, x->path);
    if (rc == 0)
        rc = give_group(u, x->view, from, readonly);
    return rc == 0 ? bind_at(u, from, x->path, readonly) : rc;
}

int claims_set_up(struct agent *a, struct kl_call *c, struct pod_view *v, const struct val *o, const char *path, struct str *ret_name)
{
    struct claimed x = { .u = { a, c, v->arena, NULL, STR_NONE, NULL, -1 }, .view = v, .o = o, .path = path };
    int rc = find_claim(&x);
    if (rc < 0)
        return rc;
    bool there = x.block ? v->mem->volumes_ok && claims_device(v->arena, path) : fs_is_mounted(path);
    if (there && !is_growing(x.claim))
        return 0;
    rc = find_volume(&x);
    if (rc == 0)
        rc = check_use(&x);
    if (rc < 0)
        return rc;
    *ret_name = x.u.name;
    rc = published_enter(&x.u);
    if (rc == 0 && !there)
        rc = set_up(&x);
    if (rc == 0 && is_growing(x.claim) && json_path(x.u.volume, "spec.csi"))
        rc = grow(&x, there);
    published_leave(&x.u);
    return rc;
}
