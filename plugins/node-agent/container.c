/* container.c - one container as the runtime wants it (iface/runtime.h), from the pod's spec. */
#include "claims.h"

static const char *const masked[] = { "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys",
                                      "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
                                      "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap" };
static const char *const readonly[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" };

static struct val *texts(struct arena *ar, const char *const *all, size_t n)
{
    struct val *out = val_new(ar, VAL_ARR);
    for (size_t i = 0; i < n; i++)
        val_push(out, val_of_str(ar, str_of(all[i])));
    return out;
}

static struct val *expanded(struct arena *ar, const struct val *list, const struct val *vars)
{
    struct val *out = val_new(ar, VAL_ARR);
    if (val_is(list, VAL_ARR))
        val_each(v, list)
            val_push(out, val_of_str(ar, env_expand(ar, val_str(v), vars)));
    return out;
}

static struct val *env_list(struct arena *ar, const struct val *vars)
{
    struct val *out = val_new(ar, VAL_ARR);
    val_each(v, vars)
    {
        struct val *o = val_push(out, val_new(ar, VAL_OBJ));
        set_s(ar, o, "key", val_key(v));
        set_s(ar, o, "value", val_str(v));
    }
    return out;
}

static struct val *mount(struct arena *ar, struct str inside, struct str outside, bool ro, const char *propagation)
{
    struct val *o = val_new(ar, VAL_OBJ);
    set_s(ar, o, "containerPath", inside);
    set_s(ar, o, "hostPath", outside);
    set_b(ar, o, "readonly", ro);
    set_z(ar, o, "propagation", propagation);
    return o;
}

static const char *propagation_of(const struct val *m)
{
    struct str s = json_str(m, "mountPropagation");
    if (str_is(s, "Bidirectional"))
        return "PROPAGATION_BIDIRECTIONAL";
    return str_is(s, "HostToContainer") ? "PROPAGATION_HOST_TO_CONTAINER" : "PROPAGATION_PRIVATE";
}

static bool always_readonly(const struct val *volume)
{
    return json_get(volume, STR("configMap")) || json_get(volume, STR("secret")) || json_get(volume, STR("projected")) ||
           json_get(volume, STR("downwardAPI")) || json_bool(volume, "persistentVolumeClaim.readOnly", false);
}

struct making {
    struct agent *agent;
    struct kl_call *call;
    const struct pod_view *view;
    const struct ctr *ctr;
    const struct val *vars;
};

static char *sub_path(const struct making *m, const struct val *o, const char *base, int index)
{
    struct str sub = json_str(o, "subPath"), expr = json_str(o, "subPathExpr");
    struct arena *ar = m->view->arena;
    if (expr.len)
        sub = env_expand(ar, expr, m->vars);
    if (!sub.len)
        return (char *)base;
    char *tail = arena_printf(ar, "/subpaths/" STR_FMT "/%d", STR_ARG(m->ctr->name), index);
    char *target = tail ? pod_path(m->agent, ar, m->view->uid, tail) : NULL, *sub_z = arena_dup(ar, sub);
    if (!target || !sub_z) {
        kl_fail(m->call, KL_NO_MEMORY, "no memory");
        return NULL;
    }
    if (subpath_bind(base, sub_z, target, json_bool(o, "readOnly", false), &m->call->err) < 0) {
        kl_err_wrap(&m->call->err, "failed to prepare subPath for volumeMount \"" STR_FMT "\" of container \"" STR_FMT "\"",
                    STR_ARG(json_str(o, "name")), STR_ARG(m->ctr->name));
        return NULL;
    }
    return target;
}

static struct val *image_mount(struct arena *ar, const struct val *m, const struct val *image)
{
    struct val *o = val_new(ar, VAL_OBJ);
    set_s(ar, o, "containerPath", json_str(m, "mountPath"));
    set_s(ar, json_obj(ar, o, STR("image")), "image", json_str(image, "reference"));
    set_s(ar, o, "imageSubPath", json_str(m, "subPath"));
    set_b(ar, o, "readonly", true);
    return o;
}

static bool add_volume_mounts(const struct making *m, struct val *out)
{
    const struct val *all = json_get(m->ctr->spec, STR("volumeMounts"));
    struct arena *ar = m->view->arena;
    int index = 0;
    if (!val_is(all, VAL_ARR))
        return true;
    val_each(o, all)
    {
        const struct val *volume = volumes_named(m->view, json_str(o, "name"));
        if (json_get(volume, STR("image"))) {
            val_push(out, image_mount(ar, o, json_get(volume, STR("image"))));
            continue;
        }
        char *base = volumes_path(m->agent, m->view, json_str(o, "name"), &m->call->err);
        char *path = base ? sub_path(m, o, base, index++) : NULL;
        if (!path)
            return false;
        bool ro = json_bool(o, "readOnly", false) || always_readonly(volume);
        struct val *one = val_push(out, mount(ar, json_str(o, "mountPath"), str_of(path), ro, propagation_of(o)));
        struct str deep = json_str(o, "recursiveReadOnly");
        if (ro && (str_is(deep, "Enabled") || str_is(deep, "IfPossible")))
            set_b(ar, one, "recursiveReadOnly", true);
    }
    return true;
}

static bool mounts_at(const struct ctr *k, const char *path)
{
    const struct val *all = json_get(k->spec, STR("volumeMounts"));
    if (val_is(all, VAL_ARR))
        val_each(o, all)
            if (str_is(json_str(o, "mountPath"), path))
                return true;
    return false;
}

static void add_pod_files(const struct making *m, struct val *out)
{
    static const char *const files[][2] = { { "/etc/hosts", "/etc-hosts" }, { "/etc/hostname", "/hostname" },
                                            { "/etc/resolv.conf", "/resolv.conf" } };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (mounts_at(m->ctr, files[i][0]) || (i == 1 && view_host_network(m->view)))
            continue;
        char *path = pod_path(m->agent, m->view->arena, m->view->uid, files[i][1]);
        val_push(out, mount(m->view->arena, str_of(files[i][0]), str_of(path), false, "PROPAGATION_PRIVATE"));
    }
}

static bool add_message_file(const struct making *m, struct val *out, int64_t attempt)
{
    struct str inside = json_str(m->ctr->spec, "terminationMessagePath");
    struct arena *ar = m->view->arena;
    char *dir = pod_path(m->agent, ar, m->view->uid, "/messages");
    char *tail = arena_printf(ar, "/messages/" STR_FMT ".%lld", STR_ARG(m->ctr->name), (long long)attempt);
    char *path = tail ? pod_path(m->agent, ar, m->view->uid, tail) : NULL;
    if (!inside.len)
        return true;
    if (!dir || !path || disk_mkdirs(dir, 0700, &m->call->err) < 0 || fs_put(path, STR(""), 0666, &m->call->err) < 0)
        return false;
    val_push(out, mount(ar, inside, str_of(path), false, "PROPAGATION_PRIVATE"));
    return true;
}

/* A field of the container's security context, else of the pod's. */
static const struct val *security(const struct making *m, const char *field)
{
    const struct val *own = json_path(json_get(m->ctr->spec, STR("securityContext")), field);
    return own ? own : json_path(json_get(m->view->spec, STR("securityContext")), field);
}

static bool root_by_image(const struct val *image, struct str *ret_user)
{
    struct str user = json_str(image, "config.User"), who = user;
    who = str_cut(&user, ':');
    *ret_user = who;
    return !who.len || str_is(who, "0") || str_is(who, "root");
}

static bool check_non_root(const struct making *m, const struct val *image)
{
    const struct val *want = security(m, "runAsNonRoot"), *uid = security(m, "runAsUser");
    struct str user;
    int64_t n;
    if (!val_is(want, VAL_BOOL) || !want->i)
        return true;
    if (val_is(uid, VAL_INT)) {
        if (uid->i == 0)
            kl_fail(m->call, KL_INVALID, "container's runAsUser breaks non-root policy (pod: \"%s\", container: " STR_FMT ")",
                    m->view->mem->key, STR_ARG(m->ctr->name));
        return uid->i != 0;
    }
    if (root_by_image(image, &user)) {
        kl_fail(m->call, KL_INVALID, "container has runAsNonRoot and image will run as root (pod: \"%s\", container: " STR_FMT ")",
                m->view->mem->key, STR_ARG(m->ctr->name));
        return false;
    }
    if (str_int(user, &n))
        return true;
    kl_fail(m->call, KL_INVALID, "container has runAsNonRoot and image has non-numeric user (" STR_FMT "), cannot verify user is non-root",
            STR_ARG(user));
    return false;
}

static void add_groups(const struct making *m, struct val *o)
{
    struct arena *ar = m->view->arena;
    const struct val *more = json_path(m->view->spec, "securityContext.supplementalGroups");
    struct val *groups = val_new(ar, VAL_ARR);
    int64_t fs = json_int(m->view->spec, "securityContext.fsGroup", -1);
    if (val_is(more, VAL_ARR))
        val_each(g, more)
            val_push(groups, val_copy(ar, g));
    if (fs >= 0)
        val_push(groups, val_of_int(ar, fs));
    set_v(ar, o, "supplementalGroups", groups);
}

/* Whose processes an ephemeral container wants to see: none is fine, one that does not run is not. */
static bool add_target(const struct making *m, struct val *security)
{
    struct arena *ar = m->view->arena;
    struct str name = json_str(m->ctr->spec, "targetContainerName");
    const struct ctr *k = NULL;
    if (m->ctr->kind != CTR_EPHEMERAL || !name.len)
        return true;
    for (size_t i = 0; i < m->view->n; i++)
        if (str_eq(m->view->ctrs[i].name, name))
            k = &m->view->ctrs[i];
    if (!k || k->state != RUN_RUNNING || k->stale) {
        kl_fail(m->call, KL_UNAVAILABLE, "unable to find target container " STR_FMT, STR_ARG(name));
        return false;
    }
    struct val *namespaces = json_obj(ar, security, STR("namespaceOptions"));
    set_z(ar, namespaces, "pid", "TARGET");
    set_s(ar, namespaces, "targetId", ctr_id(k));
    return true;
}

/* A profile of the node's own is a file below the agent's folder `seccomp`. */
static void add_seccomp(const struct making *m, struct val *o)
{
    struct arena *ar = m->view->arena;
    const struct val *profile = security(m, "seccompProfile");
    struct str type = json_str(profile, "type"), file = json_str(profile, "localhostProfile");
    if (!type.len)
        return;
    struct val *seccomp = json_obj(ar, o, STR("seccomp"));
    set_s(ar, seccomp, "profileType", type);
    if (str_is(type, "Localhost"))
        set_z(ar, seccomp, "localhostRef", arena_printf(ar, "%s/seccomp/" STR_FMT, m->agent->conf->state_dir, STR_ARG(file)));
}

static struct val *security_context(const struct making *m)
{
    struct arena *ar = m->view->arena;
    const struct val *own = json_get(m->ctr->spec, STR("securityContext")), *id;
    struct val *o = val_new(ar, VAL_OBJ);
    bool privileged = json_bool(own, "privileged", false);
    set_b(ar, o, "privileged", privileged);
    if (val_is(id = security(m, "runAsUser"), VAL_INT))
        set_i(ar, json_obj(ar, o, STR("runAsUser")), "value", id->i);
    if (val_is(id = security(m, "runAsGroup"), VAL_INT))
        set_i(ar, json_obj(ar, o, STR("runAsGroup")), "value", id->i);
    add_groups(m, o);
    set_b(ar, o, "readonlyRootfs", json_bool(own, "readOnlyRootFilesystem", false));
    set_b(ar, o, "noNewPrivs", !json_bool(own, "allowPrivilegeEscalation", true) && !privileged);
    struct val *caps = json_obj(ar, o, STR("capabilities"));
    const struct val *add = json_path(own, "capabilities.add"), *drop = json_path(own, "capabilities.drop");
    set_v(ar, caps, "addCapabilities", add ? val_copy(ar, add) : val_new(ar, VAL_ARR));
    set_v(ar, caps, "dropCapabilities", drop ? val_copy(ar, drop) : val_new(ar, VAL_ARR));
    const struct val *strict = json_path(m->view->spec, "securityContext.supplementalGroupsPolicy");
    if (strict)
        set_v(ar, o, "supplementalGroupsPolicy", val_copy(ar, strict));
    add_seccomp(m, o);
    bool open = privileged || str_is(json_str(own, "procMount"), "Unmasked");
    set_v(ar, o, "maskedPaths", texts(ar, masked, open ? 0 : sizeof masked / sizeof *masked));
    set_v(ar, o, "readonlyPaths", texts(ar, readonly, open ? 0 : sizeof readonly / sizeof *readonly));
    return o;
}

static bool add_mounts(const struct making *m, struct val *o, int64_t attempt)
{
    struct val *mounts = json_arr(m->view->arena, o, STR("mounts"));
    if (!add_volume_mounts(m, mounts))
        return false;
    add_pod_files(m, mounts);
    return add_message_file(m, mounts, attempt);
}

/* Volumes that are block devices, at the paths that the container names. */
static bool add_devices(const struct making *m, struct val *o)
{
    const struct val *all = json_get(m->ctr->spec, STR("volumeDevices"));
    struct arena *ar = m->view->arena;
    if (!val_is(all, VAL_ARR))
        return true;
    val_each(d, all)
    {
        char *path = volumes_path(m->agent, m->view, json_str(d, "name"), &m->call->err), *device = path ? claims_device(ar, path) : NULL;
        if (!device) {
            kl_fail(m->call, KL_INVALID, "volume \"" STR_FMT "\" is no block device", STR_ARG(json_str(d, "name")));
            return false;
        }
        bool ro = json_bool(volumes_named(m->view, json_str(d, "name")), "persistentVolumeClaim.readOnly", false);
        struct val *one = val_push(json_arr(ar, o, STR("devices")), val_new(ar, VAL_OBJ));
        set_s(ar, one, "containerPath", json_str(d, "devicePath"));
        set_z(ar, one, "hostPath", device);
        set_z(ar, one, "permissions", ro ? "r" : "mrw");
    }
    return true;
}

static bool make_log_dir(const struct making *m)
{
    struct arena *ar = m->view->arena;
    char *logs = log_dir_of(m->agent, ar, m->view->ns, m->view->name, m->view->uid);
    char *dir = logs ? arena_printf(ar, "%s/" STR_FMT, logs, STR_ARG(m->ctr->name)) : NULL;
    return dir ? disk_mkdirs(dir, 0755, &m->call->err) == 0 : kl_fail(m->call, KL_NO_MEMORY, "no memory") == 0;
}

struct val *container_config(struct agent *a, struct kl_call *c, const struct pod_view *v, const struct ctr *k,
                             const struct val *image, int64_t attempt)
{
    struct arena *ar = v->arena;
    struct making m = { a, c, v, k, env_make(a, c, v, k) };
    struct val *o = val_new(ar, VAL_OBJ), *meta = json_obj(ar, o, STR("metadata"));
    if (!m.vars || !check_non_root(&m, image) || !make_log_dir(&m) || !add_mounts(&m, o, attempt) || !add_devices(&m, o))
        return NULL;
    set_s(ar, meta, "name", k->name);
    set_i(ar, meta, "attempt", attempt);
    set_s(ar, json_obj(ar, o, STR("image")), "image", json_str(k->spec, "image"));
    set_v(ar, o, "command", expanded(ar, json_get(k->spec, STR("command")), m.vars));
    set_v(ar, o, "args", expanded(ar, json_get(k->spec, STR("args")), m.vars));
    set_s(ar, o, "workingDir", json_str(k->spec, "workingDir"));
    set_v(ar, o, "envs", env_list(ar, m.vars));
    set_s(ar, json_obj(ar, o, STR("annotations")), "keelson.dev/image", json_str(k->spec, "image"));
    json_set(ar, json_obj(ar, o, STR("annotations")), STR(RESIZE_NOTE), resize_note(ar, k));
    set_z(ar, o, "logPath", arena_printf(ar, STR_FMT "/%lld.log", STR_ARG(k->name), (long long)attempt));
    if (json_str(k->spec, "lifecycle.stopSignal").len)
        set_s(ar, o, "stopSignal", json_str(k->spec, "lifecycle.stopSignal"));
    set_b(ar, o, "stdin", json_bool(k->spec, "stdin", false));
    set_b(ar, o, "stdinOnce", json_bool(k->spec, "stdinOnce", false));
    set_b(ar, o, "tty", json_bool(k->spec, "tty", false));
    struct val *linux_ = json_obj(ar, o, STR("linux"));
    struct val *security = security_context(&m);
    set_v(ar, linux_, "resources", resources_of(ar, v, k));
    set_v(ar, linux_, "securityContext", security);
    if (!add_target(&m, security))
        return NULL;
    if (arena_exhausted(ar)) {
        kl_fail(c, KL_NO_MEMORY, "no memory");
        return NULL;
    }
    return o;
}
