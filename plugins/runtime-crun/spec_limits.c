/* spec_limits.c - resources, devices and system calls of a container's OCI configuration. */
#include "runtime.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define DEVICES_MOST 1000

static int64_t number_of(const struct val *r, const char *name)
{
    int64_t n = json_int(r, name, 0);
    struct str text = json_str(r, name);        /* proto JSON writes 64-bit numbers as text */
    if (text.len && !str_int(text, &n))
        n = 0;
    return n;
}

static int add_memory(const struct spec_input *in, struct val *resources, const struct val *r, struct kl_err *err)
{
    int64_t limit = number_of(r, "memoryLimitInBytes");
    if (limit <= 0)
        return 0;
    if (limit < 6 << 20)
        return kl_err_set(err, KL_INVALID, "container field 'linux.resources.memoryLimitInBytes' is %lld; at least 6 MiB are needed",
                          (long long)limit);
    struct val *memory = json_obj(in->a, resources, STR("memory"));
    json_set_int(in->a, memory, STR("limit"), limit);
    bool swap = in->rt->cgroup == CGROUP_V2 || access("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", F_OK) == 0;
    if (swap)
        json_set_int(in->a, memory, STR("swap"), limit);        /* memory and swap together: no swap */
    return 0;
}

/* A privileged container sees the host's devices. */
static void add_host_devices(const struct spec_input *in, struct val *devices)
{
    DIR *d = opendir("/dev");
    struct stat st;
    for (struct dirent *e; d && devices && devices->n < DEVICES_MOST && (e = readdir(d));) {
        static const char *const own[] = { "null", "zero", "full", "random", "urandom", "tty", "console", "ptmx" };
        bool skip = fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !(S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode));
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
            skip |= strcmp(e->d_name, own[i]) == 0;
        if (skip)
            continue;
        struct val *v = val_push(devices, val_new(in->a, VAL_OBJ));
        json_set_str(in->a, v, STR("path"), str_of(arena_printf(in->a, "/dev/%s", e->d_name)));
        json_set_str(in->a, v, STR("type"), S_ISCHR(st.st_mode) ? STR("c") : STR("b"));
        json_set_int(in->a, v, STR("major"), major(st.st_rdev));
        json_set_int(in->a, v, STR("minor"), minor(st.st_rdev));
        json_set_int(in->a, v, STR("fileMode"), st.st_mode & 0777);
        json_set_int(in->a, v, STR("uid"), st.st_uid);
        json_set_int(in->a, v, STR("gid"), st.st_gid);
    }
    if (d)
        closedir(d);
}

/* A device that the container was given; where it is not there (any more), nothing. */
static bool given_device(const struct val *d, struct arena *a, struct stat *st)
{
    char *host = arena_dup(a, json_str(d, "hostPath"));
    return host && stat(host, st) == 0 && (S_ISBLK(st->st_mode) || S_ISCHR(st->st_mode));
}

static void set_number(struct arena *a, struct val *v, const struct stat *st)
{
    json_set_str(a, v, STR("type"), S_ISCHR(st->st_mode) ? STR("c") : STR("b"));
    json_set_int(a, v, STR("major"), major(st->st_rdev));
    json_set_int(a, v, STR("minor"), minor(st->st_rdev));
}

static void allow_devices(const struct spec_input *in, struct val *rules)
{
    const struct val *list = json_get(in->config, STR("devices"));
    struct stat st;
    if (!val_is(list, VAL_ARR))
        return;
    val_each(d, list)
        if (given_device(d, in->a, &st)) {
            struct str access = json_str(d, "permissions");
            struct val *rule = val_push(rules, val_new(in->a, VAL_OBJ));
            json_set_bool(in->a, rule, STR("allow"), true);
            set_number(in->a, rule, &st);
            json_set_str(in->a, rule, STR("access"), access.len ? access : STR("rwm"));
        }
}

static void add_given_devices(const struct spec_input *in, struct val *devices)
{
    const struct val *list = json_get(in->config, STR("devices"));
    struct stat st;
    if (!val_is(list, VAL_ARR))
        return;
    val_each(d, list)
        if (given_device(d, in->a, &st)) {
            struct val *v = val_push(devices, val_new(in->a, VAL_OBJ));
            json_set_str(in->a, v, STR("path"), json_str(d, "containerPath"));
            set_number(in->a, v, &st);
            json_set_int(in->a, v, STR("fileMode"), st.st_mode & 0777);
            json_set_int(in->a, v, STR("uid"), st.st_uid);
            json_set_int(in->a, v, STR("gid"), st.st_gid);
        }
}

int spec_resources(const struct spec_input *in, struct val *resources, struct kl_err *err)
{
    static const struct {
        const char *from, *part, *to;
    } rows[] = { { "cpuShares", "cpu", "shares" }, { "cpuQuota", "cpu", "quota" }, { "cpuPeriod", "cpu", "period" },
                 { "pidsLimit", "pids", "limit" } };
    struct arena *a = in->a;
    const struct val *r = json_path(in->config, "linux.resources");
    bool all = json_bool(in->config, "linux.securityContext.privileged", false);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t n = number_of(r, rows[i].from);
        if (n > 0)
            json_set_int(a, json_obj(a, resources, str_of(rows[i].part)), str_of(rows[i].to), n);
    }
    struct val *rules = json_arr(a, resources, STR("devices")), *rule = val_push(rules, val_new(a, VAL_OBJ));
    json_set_bool(a, rule, STR("allow"), all);
    json_set_str(a, rule, STR("access"), STR("rwm"));
    allow_devices(in, rules);
    return add_memory(in, resources, r, err);
}

void spec_devices(const struct spec_input *in, struct val *sys)
{
    if (json_bool(in->config, "linux.securityContext.privileged", false))
        add_host_devices(in, json_arr(in->a, sys, STR("devices")));
    if (json_get(in->config, STR("devices")))
        add_given_devices(in, json_arr(in->a, sys, STR("devices")));
}

struct val *spec_seccomp(struct arena *a)
{
    /* System calls that change the machine rather than the container. */
    static const char *const denied[] = {
        "acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "create_module", "delete_module", "finit_module",
        "fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms", "init_module", "ioperm", "iopl", "kexec_file_load",
        "kexec_load", "keyctl", "lookup_dcookie", "mount", "mount_setattr", "move_mount", "move_pages",
        "nfsservctl", "open_by_handle_at", "open_tree", "perf_event_open", "pivot_root", 
        "query_module", "quotactl", "reboot", "request_key", "setdomainname", "sethostname", "setns",
        "settimeofday", "stime", "swapoff", "swapon", "sysfs", "umount", "umount2", "unshare", "uselib", "userfaultfd",
        "vm86", "vm86old",
    };
    struct val *v = val_new(a, VAL_OBJ), *rule = val_push(json_arr(a, v, STR("syscalls")), val_new(a, VAL_OBJ));
    json_set_str(a, v, STR("defaultAction"), STR("SCMP_ACT_ALLOW"));
    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++)
        val_push(json_arr(a, rule, STR("names")), val_of_str(a, str_of(denied[i])));
    json_set_str(a, rule, STR("action"), STR("SCMP_ACT_ERRNO"));
    return v;
}
