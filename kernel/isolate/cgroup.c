/* cgroup.c - one cgroup for each child: how many processes and how much memory it may have, and who belongs to it. Where the system gives us none
 * (no cgroups, no right to make them), the other limits have to do.
 */
#include "sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define GROUP "keelson-plugins"
#define BOMB  256                       /* processes that a plugin of level "process" may leave behind */

/* Controllers' folders: the unified hierarchy, or one for each. */
static const struct {
    const char *root, *processes, *memory;      /* files of the limits, or NULL */
} trees[] = {
    { "/sys/fs/cgroup/pids", "pids.max", NULL },
    { "/sys/fs/cgroup/memory", NULL, "memory.limit_in_bytes" },
    { "/sys/fs/cgroup", "pids.max", "memory.max" },
};

static bool put(const char *folder, const char *file, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static void folder_of(char ret[256], const char *root, const char *name, pid_t pid)
{
    snprintf(ret, 256, "%s/%s/%.63s.%d", root, GROUP, name, (int)pid);
}

static bool there(const char *root, const char *file)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, file);
    return access(path, F_OK) == 0;
}

/* The unified tree counts only when it has these controllers. */
static bool usable(unsigned i)
{
    if (i < 2)
        return there(trees[i].root, "cgroup.procs");
    char text[512] = "";
    _cleanup_close_ int fd = open("/sys/fs/cgroup/cgroup.controllers", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    return n > 0 && strstr(text, "pids");
}

/* Of children whose daemon was killed: nobody else removes them. */
static void sweep(const char *group)
{
    char folder[600];
    DIR *d = opendir(group);
    for (struct dirent *e; d && (e = readdir(d));) {
        const char *dot = strrchr(e->d_name, '.');
        long pid = dot && dot != e->d_name ? strtol(dot + 1, NULL, 10) : 0;
        if (pid <= 1 || kill((pid_t)pid, 0) == 0 || errno != ESRCH)
            continue;
        snprintf(folder, sizeof folder, "%s/%s", group, e->d_name);
        rmdir(folder);
    }
    if (d)
        closedir(d);
}

void cgroup_enter(enum isolate_level level, const char *name)
{
    char group[256], folder[256];
    bool sandbox = level == ISOLATE_SANDBOX;
    for (unsigned i = 0; i < sizeof trees / sizeof *trees; i++) {
        if (!usable(i))
            continue;
        snprintf(group, sizeof group, "%s/%s", trees[i].root, GROUP);
        folder_of(folder, trees[i].root, name, getpid());
        mkdir(group, 0755);
        sweep(group);
        if (i == 2) {
            put(trees[i].root, "cgroup.subtree_control", "+pids +memory");
            put(group, "cgroup.subtree_control", "+pids +memory");
        }
        if (mkdir(folder, 0755) < 0)
            continue;
        if (trees[i].processes)
            put(folder, trees[i].processes, sandbox ? "256" : "4096");
        if (trees[i].memory && sandbox)
            put(folder, trees[i].memory, "1073741824");
        put(folder, "cgroup.procs", "0");
    }
}

/* How many there were. */
static unsigned kill_all(const char *folder, bool count_only)
{
    char path[300];
    unsigned n = 0;
    long pid;
    snprintf(path, sizeof path, "%s/cgroup.procs", folder);
    _cleanup_file_ FILE *f = fopen(path, "re");
    char line[32];
    while (f && fgets(line, sizeof line, f))
        if ((pid = strtol(line, NULL, 10)) > 1 && ++n && !count_only)
            kill((pid_t)pid, SIGKILL);
    return n;
}

static void end_one(const char *folder, bool all)
{
    const struct timespec moment = { 0, 5000000 };
    all = all || kill_all(folder, true) > BOMB;
    /* What was killed takes a moment to go; what may stay (the runtime's helpers of running containers) keeps its group. */
    for (int tries = 0; rmdir(folder) < 0 && errno == EBUSY && tries < (all ? 400 : 20); tries++) {
        if (all)
            kill_all(folder, false);
        nanosleep(&moment, NULL);
    }
}

void cgroup_end(const char *name, pid_t pid, bool all)
{
    char folder[256], group[256];
    for (unsigned i = 0; i < sizeof trees / sizeof *trees; i++) {
        folder_of(folder, trees[i].root, name, pid);
        if (access(folder, F_OK) != 0)
            continue;
        end_one(folder, all);
        snprintf(group, sizeof group, "%s/%s", trees[i].root, GROUP);
        rmdir(group);                   /* the last one goes too */
    }
}
