/* spec.c - a container's OCI runtime configuration: namespaces, mounts, limits, paths. Free text of the pod goes nowhere but
 * into arguments, environment and mount points; annotations and labels never reach the runtime.
 */
#include "runtime.h"

#include <stdlib.h>

#define MOUNTS_MOST 512

static const char *const masked[] = { "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys",
                                      "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
                                      "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap" };
static const char *const read_only[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" };

static bool privileged(const struct spec_input *in)
{
    return json_bool(in->config, "linux.securityContext.privileged", false);
}

static void push_z(struct arena *a, struct val *arr, const char *z)
{
    val_push(arr, val_of_str(a, str_of(z)));
}

static struct val *add_mount(struct arena *a, struct val *mounts, const char *to, const char *type, const char *from)
{
    struct val *m = val_push(mounts, val_new(a, VAL_OBJ));
    json_set_str(a, m, STR("destination"), str_of(to));
    json_set_str(a, m, STR("type"), str_of(type));
    json_set_str(a, m, STR("source"), str_of(from));
    return json_arr(a, m, STR("options"));
}

static void push_words(struct arena *a, struct val *arr, const char *words)
{
    struct str rest = str_of(words);
    while (rest.at)
        val_push(arr, val_of_str(a, str_cut(&rest, ' ')));
}

static void own_mounts(const struct spec_input *in, struct val *mounts)
{
    static const struct {
        const char *to, *type, *from, *options;
    } rows[] = {
        { "/proc", "proc", "proc", "nosuid noexec nodev" },
        { "/dev", "tmpfs", "tmpfs", "nosuid strictatime mode=755 size=65536k" },
        { "/dev/pts", "devpts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5" },
        { "/dev/mqueue", "mqueue", "mqueue", "nosuid noexec nodev" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        push_words(in->a, add_mount(in->a, mounts, rows[i].to, rows[i].type, rows[i].from), rows[i].options);
    char shm[PATH_MAX];
    run_path(in->rt, shm, "sandboxes", in->s->id, "shm");
    const char *from = in->s->ipc_host ? "/dev/shm" : arena_dup(in->a, str_of(shm));
    push_words(in->a, add_mount(in->a, mounts, "/dev/shm", "bind", from), "rbind nosuid nodev noexec rprivate");
    const char *mode = privileged(in) ? "nosuid noexec nodev rw" : "nosuid noexec nodev ro";
    push_words(in->a, add_mount(in->a, mounts, "/sys", "sysfs", "sysfs"), mode);
    push_words(in->a, add_mount(in->a, mounts, "/sys/fs/cgroup", "cgroup", "cgroup"), mode);
}

static bool inside(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static int check_host_path(const struct spec_input *in, struct str host, const char **ret, struct kl_err *err)
{
    char real[PATH_MAX];
    const char *given = arena_dup(in->a, host);
    if (!given || given[0] != '/' || !realpath(given, real))
        return kl_err_set(err, KL_INVALID, "mount: host path '%.120s' is not there", given ? given : "");
    const char *const ours[] = { in->rt->conf.state_dir, in->rt->conf.run_dir, in->rt->conf.image_dir };
    for (size_t i = 0; i < 3; i++)
        if (inside(real, ours[i]))
            return kl_err_set(err, KL_FORBIDDEN, "mount: host path '%.120s' belongs to the container runtime", given);
    *ret = given;
    return 0;
}

static bool target_valid(struct str to)
{
    if (to.len < 2 || to.len > 4000 || to.at[0] != '/')
        return false;
    while (to.at)
        if (str_is(str_cut(&to, '/'), ".."))
            return false;
    return true;
}

static int user_mount(const struct spec_input *in, struct val *mounts, const struct val *m, unsigned nth_image, struct kl_err *err)
{
    char image[PATH_MAX];
    static const struct {
        const char *name, *option;
    } propagations[] = { { "PROPAGATION_PRIVATE", "rprivate" }, { "PROPAGATION_HOST_TO_CONTAINER", "rslave" },
                         { "PROPAGATION_BIDIRECTIONAL", "rshared" } };
    struct str to = json_str(m, "containerPath"), wanted = json_str(m, "propagation");
    const char *from = NULL, *option = "rprivate";
    if (!target_valid(to))
        return kl_err_set(err, KL_INVALID, "mount: field 'containerPath' is not an absolute path without '..'");
    if (json_get(m, STR("image"))) {
        volume_path(in->rt, in->c->id, nth_image, image);
        push_words(in->a, add_mount(in->a, mounts, arena_dup(in->a, to), "bind", arena_dup(in->a, str_of(image))), "rbind rprivate ro nosuid nodev noexec");
        return 0;
    }
    int rc = check_host_path(in, json_str(m, "hostPath"), &from, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < 3; i++)
        if (str_is(wanted, propagations[i].name))
            option = propagations[i].option;
    struct val *options = add_mount(in->a, mounts, arena_dup(in->a, to), "bind", from);
    push_z(in->a, options, "rbind");
    push_z(in->a, options, option);
    push_z(in->a, options, json_bool(m, "recursiveReadOnly", false) ? "rro" : json_bool(m, "readonly", false) ? "ro" : "rw");
    return 0;
}

static unsigned depth_of(const struct val *mount)
{
    struct str to = json_str(mount, "containerPath");
    unsigned n = 0;
    for (size_t i = 0; i + 1 < to.len; i++)
        n += to.at[i] == '/';
    return n;
}

/* Parents before children, whatever their order in the pod. */
int spec_mounts(const struct spec_input *in, struct val *mounts, struct kl_err *err)
{
    const struct val *wanted = json_get(in->config, STR("mounts"));
    own_mounts(in, mounts);
    if (!val_is(wanted, VAL_ARR))
        return 0;
    if (wanted->n > MOUNTS_MOST)
        return kl_err_set(err, KL_TOO_LARGE, "more than %d mounts", MOUNTS_MOST);
    unsigned deepest = 0;
    val_each(m, wanted)
        deepest = depth_of(m) > deepest ? depth_of(m) : deepest;
    int rc = 0;
    for (unsigned depth = 0; depth <= deepest; depth++) {
        unsigned image = 0;
        for (const struct val *m = wanted->first; rc == 0 && m; m = m->next) {
            unsigned n = image;
            image += json_get(m, STR("image")) != NULL;
            if (depth_of(m) == depth)
                rc = user_mount(in, mounts, m, n, err);
        }
    }
    return rc;
}

static void add_namespace(struct arena *a, struct val *list, const char *type, const char *path)
{
    struct val *n = val_push(list, val_new(a, VAL_OBJ));
    json_set_str(a, n, STR("type"), str_of(type));
    if (path)
        json_set_str(a, n, STR("path"), arena_str(a, str_of(path)));
}

/* Where an ephemeral container's PID namespace is: its target's. An empty path: it has one of its own. */
static int find_target(const struct spec_input *in, char path[PATH_MAX], struct kl_err *err)
{
    struct str id = json_str(in->config, "linux.securityContext.namespaceOptions.targetId");
    char z[ID_LEN + 1];
    path[0] = '\0';
    if (!id.len)
        return 0;
    snprintf(z, sizeof z, STR_FMT, STR_ARG(id));
    pthread_mutex_lock(&in->rt->lock);
    const struct container *c = container_find(in->rt, z);
    bool runs = c && c->state == STATE_RUNNING && strcmp(c->sandbox, in->s->id) == 0 && proc_alive(c->pid, c->pid_start);
    if (runs)
        snprintf(path, PATH_MAX, "/proc/%d/ns/pid", c->pid);
    pthread_mutex_unlock(&in->rt->lock);
    return runs ? 0 : kl_err_set(err, KL_NOT_FOUND, "container '%s', whose processes this one is to see, does not run in this pod", z);
}

static void add_namespaces(const struct spec_input *in, struct val *list, const char *target)
{
    char path[PATH_MAX];
    const struct sandbox *s = in->s;
    add_namespace(in->a, list, "mount", NULL);
    if (!s->net_host && s->netns[0])
        add_namespace(in->a, list, "network", s->netns);
    run_path(in->rt, path, "sandboxes", s->id, "ipc");
    if (!s->ipc_host)
        add_namespace(in->a, list, "ipc", path);
    run_path(in->rt, path, "sandboxes", s->id, "uts");
    if (!s->net_host)
        add_namespace(in->a, list, "uts", path);
    run_path(in->rt, path, "sandboxes", s->id, "pid");
    if (!s->pid_host)
        add_namespace(in->a, list, "pid", s->pid_pod ? path : target[0] ? target : NULL);
    if (in->rt->cgroup == CGROUP_V2)
        add_namespace(in->a, list, "cgroup", NULL);
}

static void add_paths(const struct spec_input *in, struct val *sys, const char *field, const char *const *usual, size_t n)
{
    const struct val *context = json_path(in->config, "linux.securityContext");
    const struct val *own = json_get(context, str_of(field));
    if (privileged(in))
        return;
    if (val_is(own, VAL_ARR)) {
        json_set(in->a, sys, str_of(field), val_copy(in->a, own));
        return;
    }
    for (size_t i = 0; i < n; i++)
        push_z(in->a, json_arr(in->a, sys, str_of(field)), usual[i]);
}

static int add_seccomp(const struct spec_input *in, struct val *sys, struct kl_err *err)
{
    struct str type = json_str(in->config, "linux.securityContext.seccomp.profileType");
    struct str file = json_str(in->config, "linux.securityContext.seccomp.localhostRef");
    if (privileged(in) || !type.len || str_is(type, "Unconfined"))
        return 0;
    if (str_is(type, "RuntimeDefault")) {
        json_set(in->a, sys, STR("seccomp"), spec_seccomp(in->a));
        return 0;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(2 * CONFIG_MOST);
    const char *path = arena_dup(in->a, file);
    int rc = path ? fs_read(AT_FDCWD, path, CONFIG_MOST, &b, err)
                  : kl_err_set(err, KL_INVALID, "container field 'linux.securityContext.seccomp.localhostRef' is missing");
    struct str text = arena_str(in->a, buf_str(&b));
    struct val *profile = rc == 0 && text.at ? json_parse(in->a, text, err) : NULL;
    if (!profile)
        return kl_err_wrap(err, "seccomp profile");
    json_set(in->a, sys, STR("seccomp"), profile);
    return 0;
}

/* Mounts go into a container, and out of it, only where the root of its namespace lets them pass. NULL: nobody asks for it. */
static const char *root_propagation(const struct val *mounts)
{
    const char *most = NULL;
    if (val_is(mounts, VAL_ARR))
        val_each(m, mounts) {
            struct str wanted = json_str(m, "propagation");
            if (str_is(wanted, "PROPAGATION_BIDIRECTIONAL"))
                return "rshared";
            if (str_is(wanted, "PROPAGATION_HOST_TO_CONTAINER"))
                most = "rslave";
        }
    return most;
}

int spec_make(const struct spec_input *in, struct val **ret, struct kl_err *err)
{
    struct arena *a = in->a;
    struct val *spec = val_new(a, VAL_OBJ);
    json_set_str(a, spec, STR("ociVersion"), STR("1.0.2"));
    struct val *root = json_obj(a, spec, STR("root")), *sys;
    json_set_str(a, root, STR("path"), str_of(in->rootfs));
    json_set_bool(a, root, STR("readonly"), json_bool(in->config, "linux.securityContext.readonlyRootfs", false));
    int rc = spec_process(in, json_obj(a, spec, STR("process")), err);
    if (rc == 0)
        rc = spec_mounts(in, json_arr(a, spec, STR("mounts")), err);
    sys = json_obj(a, spec, STR("linux"));
    json_set_str(a, sys, STR("cgroupsPath"), str_of(in->cgroup));
    const char *propagation = root_propagation(json_get(in->config, STR("mounts")));
    if (propagation)
        json_set_str(a, sys, STR("rootfsPropagation"), str_of(propagation));
    char target[PATH_MAX];
    if (rc == 0)
        rc = find_target(in, target, err);
    if (rc == 0)
        add_namespaces(in, json_arr(a, sys, STR("namespaces")), target);
    if (rc == 0)
        rc = spec_resources(in, json_obj(a, sys, STR("resources")), err);
    spec_devices(in, sys);
    add_paths(in, sys, "maskedPaths", masked, sizeof masked / sizeof *masked);
    add_paths(in, sys, "readonlyPaths", read_only, sizeof read_only / sizeof *read_only);
    if (rc == 0)
        rc = add_seccomp(in, sys, err);
    if (rc == 0 && arena_exhausted(a))
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    *ret = spec;
    return rc;
}
