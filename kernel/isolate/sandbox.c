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

/* "capability=net_admin" and the like; what it may read and write is its own by landlock, not by the files' owners. */
static int add_capabilities(cap_t set, char **allow, char *why, size_t room)
{
    for (char **a = allow; *a; a++) {
        char name[64];
        cap_value_t c = CAP_DAC_OVERRIDE;
        if (strncmp(*a, "capability=", 11) == 0) {
            snprintf(name, sizeof name, "cap_%.50s", *a + 11);
            if (cap_from_name(name, &c) < 0)
                return fail(why, room, "sandbox: there is no capability '%.50s'", *a + 11);
        } else if (strncmp(*a, "read=", 5) != 0 && strncmp(*a, "write=", 6) != 0) {
            continue;
        }
        if (cap_set_flag(set, CAP_PERMITTED, 1, &c, CAP_SET) < 0 || cap_set_flag(set, CAP_EFFECTIVE, 1, &c, CAP_SET) < 0)
            return fail(why, room, "sandbox: %s", strerror(errno));
    }
    return 0;
}

static int drop_user(const char *name, char **allow, char *why, size_t room)
{
    uid_t id = sandbox_user(name);
    cap_t kept = cap_init();
    int rc = kept ? add_capabilities(kept, allow, why, room) : fail(why, room, "out of memory");
    for (cap_value_t c = 0; rc == 0 && c <= CAP_LAST_CAP; c++)
        if (cap_get_bound(c) > 0 && cap_drop_bound(c) < 0)
            rc = fail(why, room, "capability %d cannot be given up: %s", (int)c, strerror(errno));
    prctl(PR_SET_KEEPCAPS, 1);          /* until they are set anew, two lines below */
    if (rc == 0 && (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0))
        rc = fail(why, room, "user %u cannot be taken: %s", (unsigned)id, strerror(errno));
    if (rc == 0 && (cap_set_proc(kept) < 0 || geteuid() == 0))
        rc = fail(why, room, "the capabilities cannot be given up: %s", strerror(errno));
    cap_free(kept);
    return rc;
}

/* --- files --- */

static const char *const readable[] = { "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/usr/share/zoneinfo",
                                        "/etc/localtime", "/dev/null", "/dev/zero", "/dev/urandom", NULL };

#define READS (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ALL   ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)  /* the first revision's: what they do not name is forbidden by the user and the filter */

static int let(int rules, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr a = { .allowed_access = access, .parent_fd = open(path, O_PATH | O_CLOEXEC) };
    struct stat st;
    if (a.parent_fd < 0)
        return -1;
    if (fstat(a.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        a.allowed_access &= LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
    int rc = (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &a, 0);
    close(a.parent_fd);
    return rc;
}

static int fence(const char *file, char **allow, char *why, size_t room)
{
    struct landlock_ruleset_attr attr = { .handled_access_fs = ALL };
    _cleanup_close_ int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
    if (rules < 0)
        return fail(why, room, "this system has no landlock (%s), which isolate = \"sandbox\" needs", strerror(errno));
    for (unsigned i = 0; readable[i]; i++)
        let(rules, readable[i], READS); /* what is not there need not be read */
    let(rules, file, READS);
    for (char **a = allow; *a; a++) {
        bool writes = strncmp(*a, "write=", 6) == 0;
        if (!writes && strncmp(*a, "read=", 5) != 0)
            continue;
        const char *path = *a + (writes ? 6 : 5);
        if (writes)
            mkdir(path, 0700);          /* or it is there */
        if (let(rules, path, writes ? ALL : READS) < 0)
            return fail(why, room, "sandbox: '%s' cannot be opened: %s", path, strerror(errno));
    }
    return syscall(SYS_landlock_restrict_self, rules, 0) < 0 ? fail(why, room, "landlock: %s", strerror(errno)) : 0;
}

int sandbox_enter(enum isolate_level level, const char *name, const char *file, char **allow, char *why, size_t room)
{
    bool network = false;
    set_limits();
    cgroup_enter(level, name);
    if (level != ISOLATE_SANDBOX)
        return 0;
    if (geteuid() != 0)
        return fail(why, room, "isolate = \"sandbox\" needs a daemon that runs as root");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || chdir("/") < 0)
        return fail(why, room, "no_new_privs: %s", strerror(errno));
    for (char **a = allow; *a; a++)
        network |= strcmp(*a, "network") == 0;
    if (fence(file, allow, why, room) < 0 || drop_user(name, allow, why, room) < 0)
        return -1;
    prctl(PR_SET_PDEATHSIG, 9);         /* a change of user forgets it */
    prctl(PR_SET_DUMPABLE, 0);
    return sandbox_filter(network, why, room);
}
