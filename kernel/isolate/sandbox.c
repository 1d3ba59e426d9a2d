/* sandbox.c - what a child gives up before it loads the plugin's file. Of "process": room to do harm (limits, a cgroup of its own). Of "sandbox": all
 * that one needs to reach anything but the daemon: user, capabilities, new privileges, files (landlock), system calls (filter.c).
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define FILES_MOST   4096
#define DATA_MOST    ((rlim_t)2 << 30)
#define FIRST_USER   0x40000000u        /* above what people and systems give out */

__attribute__((format(printf, 3, 4))) static int fail(char *why, size_t room, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, room, fmt, ap);
    va_end(ap);
    return -1;
}

/* --- limits --- */

static void limit(int what, rlim_t most)
{
    struct rlimit r;
    if (getrlimit(what, &r) == 0 && (r.rlim_max == RLIM_INFINITY || r.rlim_max > most)) {
        r = (struct rlimit){ most, most };
        setrlimit(what, &r);
    }
}

static void set_limits(void)
{
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, FILES_MOST);
#if !defined(__SANITIZE_ADDRESS__)
    limit(RLIMIT_DATA, DATA_MOST);
#endif
}

/* --- the user --- */

/* The same for a name each time: what it wrote it can read again. */
unsigned sandbox_user(const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return FIRST_USER + (h & 0xffffff);
}

static int drop_user(const char *name, char *why, size_t room)
{
    uid_t id = sandbox_user(name);
    if (geteuid() != 0)
        return fail(why, room, "isolate = \"sandbox\" needs a daemon that runs as root");
    for (cap_value_t c = 0; c <= CAP_LAST_CAP; c++)
        if (cap_get_bound(c) > 0 && cap_drop_bound(c) < 0)
            return fail(why, room, "capability %d cannot be given up: %s", (int)c, strerror(errno));
    if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
        return fail(why, room, "user %u cannot be taken: %s", (unsigned)id, strerror(errno));
    cap_t none = cap_init();
    int rc = none ? cap_set_proc(none) : -1;
    cap_free(none);
    if (rc < 0 || geteuid() == 0)
        return fail(why, room, "the capabilities cannot be given up");
    return 0;
}

/* --- files --- */

static const char *const readable[] = { "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/usr/share/zoneinfo",
                                        "/etc/localtime", "/dev/null", "/dev/zero", "/dev/urandom", NULL };

#define READS (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ALL   ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)  /* the first revision's: what they do not name is forbidden by the user and the filter */

static void allow(int rules, const char *path)
{
    struct landlock_path_beneath_attr a = { .allowed_access = READS, .parent_fd = open(path, O_PATH | O_CLOEXEC) };
    struct stat st;
    if (a.parent_fd < 0)
        return;                         /* not there: nothing to read */
    if (fstat(a.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        a.allowed_access &= ~(uint64_t)LANDLOCK_ACCESS_FS_READ_DIR;
    syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &a, 0);
    close(a.parent_fd);
}

static int fence(const char *file, char *why, size_t room)
{
    struct landlock_ruleset_attr attr = { .handled_access_fs = ALL };
    _cleanup_close_ int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
    if (rules < 0)
        return fail(why, room, "this system has no landlock (%s), which isolate = \"sandbox\" needs", strerror(errno));
    for (unsigned i = 0; readable[i]; i++)
        allow(rules, readable[i]);
    allow(rules, file);
    if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        return fail(why, room, "landlock: %s", strerror(errno));
    return 0;
}

int sandbox_enter(enum isolate_level level, const char *name, const char *file, char *why, size_t room)
{
    set_limits();
    cgroup_enter(level, name);
    if (level == ISOLATE_SANDBOX && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail(why, room, "no_new_privs: %s", strerror(errno));
    if (level != ISOLATE_SANDBOX)
        return 0;
    if (chdir("/") < 0 || drop_user(name, why, room) < 0)
        return why[0] ? -1 : fail(why, room, "/: %s", strerror(errno));
    prctl(PR_SET_PDEATHSIG, 9);         /* a change of user forgets it */
    prctl(PR_SET_DUMPABLE, 0);
    return fence(file, why, room) < 0 ? -1 : sandbox_filter(why, room);
}
