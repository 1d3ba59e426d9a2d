/* cgroup.c - the control groups of pods: v1, v2 and the hybrid layout, through the file system alone.
 *
 * crun 1.8 refuses a hybrid layout whose v2 tree holds controllers; cgroup_prepare mounts those as v1 hierarchies and
 * notes it in <state_dir>/cgroup-mounts, so that cgroup_undo (also in a later process) takes away what was mounted here.
 */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define TOP "/sys/fs/cgroup"
#define MEMORY_ENDLESS (1LL << 60)        /* v1 has a number for "no limit" */
static const char *const v1_used[] = { "cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "freezer", "blkio", "hugetlb" };

static bool is_cgroup2(const char *path)
{
    struct statfs f;
    return statfs(path, &f) == 0 && f.f_type == CGROUP2_SUPER_MAGIC;
}

static bool is_mounted_v1(const char *controller)
{
    char path[128];
    struct statfs f;
    snprintf(path, sizeof path, TOP "/%s", controller);
    return statfs(path, &f) == 0 && f.f_type == CGROUP_SUPER_MAGIC;
}

static void note_mount(struct runtime *rt, const char *controller)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.4000s/cgroup-mounts", rt->conf.state_dir);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || dprintf(fd, TOP "/%s\n", controller) < 0)
        kl_log(rt->host, KL_WARN, "cannot note the mount of '%s' in '%s'", controller, path);
}

static int mount_v1(struct runtime *rt, const char *controller, struct kl_err *err)
{
    char path[128];
    snprintf(path, sizeof path, TOP "/%s", controller);
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return kl_err_set(err, KL_UNAVAILABLE, "cannot make '%s' for crun, which refuses this hybrid cgroup layout: %s", path,
                          strerror(errno));
    if (mount(controller, path, "cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, controller) < 0) {
        int why = errno;
        rmdir(path);
        return kl_err_set(err, KL_UNAVAILABLE, "cannot mount the '%s' controller as v1 for crun, which refuses a hybrid layout "
                          "with controllers in v2: %s", controller, strerror(why));
    }
    note_mount(rt, controller);
    rt_note(rt, "mounted the '%s' controller as cgroup v1 on '%s': crun refuses controllers in the v2 tree of a hybrid layout",
            controller, path);
    return 0;
}

static int empty_unified(struct runtime *rt, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 17);
    int rc = fs_read(AT_FDCWD, TOP "/unified/cgroup.controllers", 4096, &b, err);
    struct str rest = str_trim(buf_str(&b));
    while (rc == 0 && rest.at && rest.len) {
        char name[64];
        struct str part = str_cut(&rest, ' ');
        snprintf(name, sizeof name, STR_FMT, STR_ARG(part));
        rc = mount_v1(rt, name, err);
    }
    return rc;
}

int cgroup_prepare(struct runtime *rt, struct kl_err *err)
{
    if (is_cgroup2(TOP)) {
        rt->cgroup = CGROUP_V2;
        return 0;
    }
    if (!is_mounted_v1("memory") || !is_mounted_v1("cpu"))
        return kl_err_set(err, KL_UNAVAILABLE, "no control groups are mounted on '" TOP "' (neither v2 nor v1's cpu and memory)");
    rt->cgroup = is_cgroup2(TOP "/unified") ? CGROUP_HYBRID : CGROUP_V1;
    return rt->cgroup == CGROUP_HYBRID ? empty_unified(rt, err) : 0;
}

void cgroup_undo(struct runtime *rt)
{
    char path[PATH_MAX];
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 17);
    snprintf(path, sizeof path, "%.4000s/cgroup-mounts", rt->conf.state_dir);
    if (fs_read(AT_FDCWD, path, 65536, &b, NULL) < 0)
        return;
    for (struct str rest = buf_str(&b); rest.at;) {
        char at[256];
        struct str line = str_cut(&rest, '\n');
        snprintf(at, sizeof at, STR_FMT, STR_ARG(line));
        if (strncmp(at, TOP "/", sizeof TOP) == 0 && umount2(at, 0) == 0) {
            rmdir(at);
            kl_log(rt->host, KL_INFO, "unmounted '%s', which this runtime had mounted", at);
        }
    }
    unlink(path);
}

bool cgroup_path_valid(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("._-/:@", c));
        if (!good || (c == '.' && i + 1 < s.len && s.at[i + 1] == '.'))
            return false;
    }
    return s.len > 0 && s.len < 400;
}

/* Calls run for the group's folder in each hierarchy. */
static void each_dir(const struct runtime *rt, const char *path, void (*run)(const char *dir, void *ctx), void *ctx)
{
    char dir[PATH_MAX];
    if (rt->cgroup == CGROUP_V2) {
        snprintf(dir, sizeof dir, TOP "%s", path);
        run(dir, ctx);
        return;
    }
    static const char *const more[] = { "systemd", "unified" };
    for (size_t i = 0; i < sizeof v1_used / sizeof *v1_used + 2; i++) {
        size_t n = sizeof v1_used / sizeof *v1_used;
        const char *name = i < n ? v1_used[i] : more[i - n];
        snprintf(dir, sizeof dir, TOP "/%s%s", name, path);
        run(dir, ctx);
    }
}

static int write_value(const char *dir, const char *file, const char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.3000s/%s", dir, file);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static void enable_below(const char *dir)
{
    static const char *const wanted[] = { "+cpu", "+memory", "+pids", "+io", "+cpuset", "+hugetlb" };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        write_value(dir, "cgroup.subtree_control", wanted[i]);
}

/* v1's cpuset starts empty and lets nothing in until it is filled. */
static void fill_cpuset(const char *dir)
{
    static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
    char up[PATH_MAX];
    snprintf(up, sizeof up, "%.3000s", dir);
    *strrchr(up, '/') = '\0';
    for (size_t i = 0; i < 2; i++) {
        char path[PATH_MAX];
        _cleanup_buf_ struct buf b = BUF_INIT(1 << 17);
        snprintf(path, sizeof path, "%.3000s/%s", up, files[i]);
        if (fs_read(AT_FDCWD, path, 4096, &b, NULL) == 0)
            write_value(dir, files[i], b.at);
    }
}

static void make_dir(const char *dir, void *ctx)
{
    char part[PATH_MAX];
    const struct runtime *rt = ctx;
    bool v2 = rt->cgroup == CGROUP_V2, cpuset = strncmp(dir, TOP "/cpuset/", sizeof TOP "/cpuset") == 0;
    size_t top = sizeof TOP;
    if (!v2) {
        const char *slash = strchr(dir + top, '/');
        top = slash ? (size_t)(slash - dir) + 1 : strlen(dir);
        snprintf(part, sizeof part, "%.*s", (int)(top - 1), dir);
        if (access(part, F_OK) < 0)
            return;                     /* this hierarchy is not mounted */
    }
    if (v2)
        enable_below(TOP);
    for (size_t i = top; i <= strlen(dir); i++) {
        if (dir[i] != '/' && dir[i] != '\0')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i, dir);
        if (mkdir(part, 0755) == 0 && cpuset)
            fill_cpuset(part);
        if (v2)
            enable_below(part);
    }
}

/* Keys of a flat "key value" file and where their numbers go. */
struct wanted {
    const char *key;
    int64_t *to;
};

/* What is not there stays as it is. */
static void read_keys(const char *dir, const char *name, const struct wanted *w, size_t n)
{
    char path[PATH_MAX];
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 18);
    snprintf(path, sizeof path, "%.3000s/%s", dir, name);
    if (fs_read(AT_FDCWD, path, 65536, &b, NULL) < 0)
        return;
    for (struct str rest = buf_str(&b); rest.at;) {
        struct str line = str_cut(&rest, '\n'), key = str_cut(&line, ' ');
        for (size_t i = 0; i < n; i++)
            if (str_is(key, w[i].key))
                str_int(line, w[i].to);
    }
}

static int64_t read_key(const char *dir, const char *name, const char *key)
{
    int64_t v = 0;
    read_keys(dir, name, &(struct wanted){ key, &v }, 1);
    return v;
}

/* A file that is one number; 0: it is not there, or says "max". */
static int64_t read_number(const char *dir, const char *name)
{
    char path[PATH_MAX];
    int64_t v = 0;
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    snprintf(path, sizeof path, "%.3000s/%s", dir, name);
    return fs_read(AT_FDCWD, path, 4096, &b, NULL) == 0 && str_int(str_trim(buf_str(&b)), &v) ? v : 0;
}

static const char *controller_dir(const struct runtime *rt, const char *controller, const char *path, char dir[PATH_MAX])
{
    if (rt->cgroup == CGROUP_V2)
        snprintf(dir, PATH_MAX, TOP "%s", path);
    else
        snprintf(dir, PATH_MAX, TOP "/%s%s", controller, path);
    return dir;
}

static int set_number(const struct runtime *rt, const char *path, const char *v1, const char *v2, int64_t value)
{
    char dir[PATH_MAX], text[32];
    if (value <= 0)
        return 0;
    snprintf(text, sizeof text, "%lld", (long long)value);
    const char *file = strchr(v1, '/') + 1;
    if (rt->cgroup == CGROUP_V2)
        snprintf(dir, sizeof dir, TOP "%s", path);
    else
        snprintf(dir, sizeof dir, TOP "/%.*s%s", (int)(file - 1 - v1), v1, path);
    return write_value(dir, rt->cgroup == CGROUP_V2 ? v2 : file, text);
}

static int set_quota(const struct runtime *rt, const char *path, int64_t quota, int64_t period)
{
    char dir[PATH_MAX], text[64];
    if (quota <= 0)
        return 0;
    if (period <= 0)
        period = 100000;
    if (rt->cgroup != CGROUP_V2) {
        int rc = set_number(rt, path, "cpu/cpu.cfs_period_us", "", period);
        return rc < 0 ? rc : set_number(rt, path, "cpu/cpu.cfs_quota_us", "", quota);
    }
    snprintf(dir, sizeof dir, TOP "%s", path);
    snprintf(text, sizeof text, "%lld %lld", (long long)quota, (long long)period);
    return write_value(dir, "cpu.max", text);
}

/* v1 keeps memory below memory and swap, which has a limit of its own where the container was made with one. */
static int set_memory(const struct runtime *rt, const char *path, int64_t limit)
{
    static const char swap[] = "memory/memory.memsw.limit_in_bytes";
    char dir[PATH_MAX];
    if (limit <= 0 || rt->cgroup == CGROUP_V2)
        return set_number(rt, path, "memory/-", "memory.max", limit);
    controller_dir(rt, "memory", path, dir);
    int64_t now = read_number(dir, "memory.memsw.limit_in_bytes");
    bool both = now > 0 && now < INT64_MAX / 4096 * 4096;      /* unlimited is the largest page */
    if (both && limit > now)
        set_number(rt, path, swap, "", limit);
    int rc = set_number(rt, path, "memory/memory.limit_in_bytes", "", limit);
    return rc == 0 && both && limit < now ? set_number(rt, path, swap, "", limit) : rc;
}

int cgroup_limit(struct runtime *rt, const char *path, const struct val *r, struct kl_err *err)
{
    char dir[PATH_MAX];
    bool v2 = rt->cgroup == CGROUP_V2;
    int64_t shares = json_int(r, "cpuShares", 0), memory = json_int(r, "memoryLimitInBytes", 0);
    int64_t used = memory > 0 ? read_number(controller_dir(rt, "memory", path, dir), v2 ? "memory.current" : "memory.usage_in_bytes") : 0;
    if (used > memory)
        used -= read_key(dir, "memory.stat", v2 ? "inactive_file" : "total_inactive_file");
    if (memory > 0 && used > memory)
        return kl_err_set(err, KL_CONFLICT, "attempting to set memory limit (%lld) below current usage (%lld)", (long long)memory, (long long)used);
    int rc = set_number(rt, path, "cpu/cpu.shares", "cpu.weight", v2 && shares > 1 ? 1 + (shares - 2) * 9999 / 262142 : shares);
    if (rc == 0)
        rc = set_quota(rt, path, json_int(r, "cpuQuota", 0), json_int(r, "cpuPeriod", 0));
    if (rc == 0)
        rc = set_memory(rt, path, memory);
    return rc == 0 ? 0 : kl_err_set(err, rc == -EBUSY ? KL_CONFLICT : KL_INTERNAL, "limits of control group '%s': %s", path, strerror(-rc));
}

int cgroup_pod_make(struct runtime *rt, const struct sandbox *s, const struct val *r, struct kl_err *err)
{
    char dir[PATH_MAX];
    struct kl_err ignored;
    each_dir(rt, s->cgroup, make_dir, rt);
    snprintf(dir, sizeof dir, TOP "%s%s", rt->cgroup == CGROUP_V2 ? "" : "/memory", s->cgroup);
    if (access(dir, F_OK) < 0)
        return kl_err_set(err, KL_INTERNAL, "cannot make control group '%s': %s", dir, strerror(errno));
    kl_err_init(&ignored);
    if (cgroup_limit(rt, s->cgroup, r, &ignored) < 0)           /* a controller may not be there; its containers have their own limits */
        kl_log(rt->host, KL_WARN, "%s", ignored.msg);
    int64_t pids = json_int(r, "pidsLimit", 0);
    set_number(rt, s->cgroup, "pids/pids.max", "pids.max", pids > 0 ? pids : rt->conf.pids_limit);
    return 0;
}

static void remove_one(const char *dir, void *ctx)
{
    (void)ctx;
    rmdir(dir);
}

static void remove_dir(const char *dir, void *ctx)
{
    char part[PATH_MAX];
    const struct runtime *rt = ctx;
    snprintf(part, sizeof part, "%s", dir);
    size_t top = sizeof TOP;
    if (rt->cgroup != CGROUP_V2 && strchr(dir + top, '/'))
        top = (size_t)(strchr(dir + top, '/') - dir) + 1;
    while (strlen(part) > top && (rmdir(part) == 0 || errno == ENOENT))
        *strrchr(part, '/') = '\0';     /* the parents too, while they are empty */
}

void cgroup_remove(struct runtime *rt, const char *path, bool parents)
{
    if (cgroup_path_valid(str_of(path)))
        each_dir(rt, path, parents ? remove_dir : remove_one, rt);
}

void cgroup_kill(struct runtime *rt, const char *path)
{
    char dir[PATH_MAX], file[PATH_MAX + 32];
    snprintf(dir, sizeof dir, TOP "%s%s", rt->cgroup == CGROUP_V2 ? "" : "/memory", path);
    if (rt->cgroup == CGROUP_V2 && write_value(dir, "cgroup.kill", "1") == 0)
        return;
    snprintf(file, sizeof file, "%s/cgroup.procs", dir);
    for (int round = 0; round < 20; round++) {          /* a fork may be faster than one round */
        _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
        if (fs_read(AT_FDCWD, file, 1 << 19, &b, NULL) < 0 || b.len == 0)
            return;
        for (struct str rest = buf_str(&b); rest.at;) {
            int64_t pid;
            if (str_int(str_cut(&rest, '\n'), &pid) && pid > 1)
                kill((pid_t)pid, SIGKILL);
        }
    }
}

bool cgroup_oom(const struct runtime *rt, const char *path)
{
    char dir[PATH_MAX];
    return read_key(controller_dir(rt, "memory", path, dir), rt->cgroup == CGROUP_V2 ? "memory.events" : "memory.oom_control",
                    "oom_kill") > 0;
}

struct figures {
    int64_t cpu, usage, rss, cache, inactive, faults, major, limit, pids, periods, throttled, throttled_ns;
};

static void read_v2(const char *dir, struct figures *f)
{
    int64_t usec = 0, throttled_usec = 0;
    const struct wanted cpu[] = { { "usage_usec", &usec }, { "nr_periods", &f->periods }, { "nr_throttled", &f->throttled },
                                  { "throttled_usec", &throttled_usec } };
    const struct wanted memory[] = { { "anon", &f->rss }, { "file", &f->cache }, { "inactive_file", &f->inactive }, { "pgfault", &f->faults },
                                     { "pgmajfault", &f->major } };
    read_keys(dir, "cpu.stat", cpu, sizeof cpu / sizeof *cpu);
    read_keys(dir, "memory.stat", memory, sizeof memory / sizeof *memory);
    f->cpu = usec * 1000;
    f->throttled_ns = throttled_usec * 1000;
    f->usage = read_number(dir, "memory.current");
    f->limit = read_number(dir, "memory.max");
    f->pids = read_number(dir, "pids.current");
}

static void read_v1(const struct runtime *rt, const char *path, struct figures *f)
{
    char dir[PATH_MAX];
    const struct wanted cpu[] = { { "nr_periods", &f->periods }, { "nr_throttled", &f->throttled }, { "throttled_time", &f->throttled_ns } };
    const struct wanted memory[] = { { "total_rss", &f->rss }, { "total_cache", &f->cache }, { "total_inactive_file", &f->inactive },
                                     { "total_pgfault", &f->faults }, { "total_pgmajfault", &f->major } };
    f->cpu = read_number(controller_dir(rt, "cpuacct", path, dir), "cpuacct.usage");
    read_keys(controller_dir(rt, "cpu", path, dir), "cpu.stat", cpu, sizeof cpu / sizeof *cpu);
    controller_dir(rt, "memory", path, dir);
    read_keys(dir, "memory.stat", memory, sizeof memory / sizeof *memory);
    f->usage = read_number(dir, "memory.usage_in_bytes");
    f->limit = read_number(dir, "memory.limit_in_bytes");
    f->pids = read_number(controller_dir(rt, "pids", path, dir), "pids.current");
}

void cgroup_stats(const struct runtime *rt, const char *path, struct arena *a, struct val *into)
{
    char dir[PATH_MAX];
    struct figures f = { 0 };
    if (rt->cgroup == CGROUP_V2)
        read_v2(controller_dir(rt, "", path, dir), &f);
    else
        read_v1(rt, path, &f);
    const struct {
        const char *name;
        int64_t value;
    } rows[] = { { "cpuUsageNs", f.cpu }, { "memoryBytes", f.usage > f.inactive ? f.usage - f.inactive : 0 }, { "memoryUsageBytes", f.usage },
                 { "memoryRssBytes", f.rss }, { "memoryCacheBytes", f.cache }, { "memoryLimitBytes", f.limit > 0 && f.limit < MEMORY_ENDLESS ? f.limit : 0 },
                 { "pageFaults", f.faults }, { "majorPageFaults", f.major }, { "pids", f.pids }, { "cpuPeriods", f.periods },
                 { "cpuThrottledPeriods", f.throttled }, { "cpuThrottledNs", f.throttled_ns } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_set_int(a, into, str_of(rows[i].name), rows[i].value);
}
