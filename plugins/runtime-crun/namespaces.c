/* namespaces.c - what a pod's containers share besides the network: IPC and UTS namespaces pinned as files, one /dev/shm,
 * and for a shared PID namespace a tiny PID 1. No pause image, and no process unless PIDs are shared.
 */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SHM_BYTES "67108864"

extern const char holder_begin[], holder_end[];

struct maker {
    const struct sandbox *s;
    const char *dir;                    /* run_dir/sandboxes/<id> */
    const struct val *sysctls;
    int holder_fd;                      /* memfd; -1: none wanted */
};

struct outcome {
    int32_t holder_pid;
    char msg[200];                      /* empty: done */
};

/* Only what the namespaces made here keep to themselves (upstream's safe and unsafe namespaced sets). */
static bool sysctl_allowed(const struct sandbox *s, struct str name)
{
    static const char *const ipc[] = { "kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue." };
    if (str_starts(name, STR("net.")))
        return !s->net_host && s->netns[0];
    for (size_t i = 0; i < sizeof ipc / sizeof *ipc; i++)
        if (str_starts(name, str_of(ipc[i])))
            return !s->ipc_host;
    return false;
}

static bool plain_text(struct str s, const char *more)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(more, c))))
            return false;
    }
    return s.len > 0 && s.len < 200;
}

static int check_sysctls(const struct sandbox *s, const struct val *sysctls, struct kl_err *err)
{
    if (!val_is(sysctls, VAL_OBJ))
        return 0;
    val_each(v, sysctls) {
        struct str name = val_key(v);
        int shown = (int)(name.len < 80 ? name.len : 80);
        if (!plain_text(name, "._-") || memmem(name.at, name.len, "..", 2) || !sysctl_allowed(s, name))
            return kl_err_set(err, KL_INVALID, "sysctl '%.*s' is not one that a pod may set", shown, name.at);
        if (!plain_text(val_str(v), " ._-\t"))
            return kl_err_set(err, KL_INVALID, "sysctl '%.*s' has a value with other characters than letters, digits, ' ._-'",
                              shown, name.at);
    }
    return 0;
}

static const char *set_sysctls(const struct val *sysctls, char msg[200])
{
    if (!val_is(sysctls, VAL_OBJ))
        return NULL;
    val_each(v, sysctls) {
        char path[300];
        int n = snprintf(path, sizeof path, "/proc/sys/" STR_FMT, STR_ARG(val_key(v)));
        for (int i = 10; i < n; i++)
            if (path[i] == '.')
                path[i] = '/';
        struct str value = val_str(v);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, value.at, value.len) < 0) {
            snprintf(msg, 200, "cannot set sysctl '%.100s': %s", path + 10, strerror(errno));
            return msg;
        }
        close(fd);
    }
    return NULL;
}

static bool pin(const char *dir, const char *what, const char *from)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.4000s/%s", dir, what);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    close(fd);
    return mount(from, path, NULL, MS_BIND, NULL) == 0;
}

/* The first process of a new PID namespace is this one's child; it must be a program of its own, and it must live. */
static pid_t start_holder(int fd)
{
    if (unshare(CLONE_NEWPID) < 0)
        return -1;
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    char name[] = "keelson-pod", *argv[] = { name, NULL }, *env[] = { NULL };
    setsid();
    dup2(fd, 3);
    syscall(SYS_close_range, 4, ~0U, 0);
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++)
        dup2(null, i);
    if (null > 3)
        close(null);
    fcntl(3, F_SETFD, FD_CLOEXEC);
    syscall(SYS_execveat, 3, "", argv, env, AT_EMPTY_PATH);
    _exit(127);
}

static void make_all(const struct maker *m, struct outcome *o)
{
    const struct sandbox *s = m->s;
    int flags = (s->ipc_host ? 0 : CLONE_NEWIPC) | (s->net_host ? 0 : CLONE_NEWUTS);
    if (s->netns[0] && !s->net_host) {
        int fd = open(s->netns, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) {
            snprintf(o->msg, sizeof o->msg, "cannot enter network namespace '%.100s': %s", s->netns, strerror(errno));
            return;
        }
    }
    if (unshare(flags) < 0 || (!s->net_host && s->hostname[0] && sethostname(s->hostname, strlen(s->hostname)) < 0) ||
        (!s->ipc_host && !pin(m->dir, "ipc", "/proc/self/ns/ipc")) || (!s->net_host && !pin(m->dir, "uts", "/proc/self/ns/uts"))) {
        snprintf(o->msg, sizeof o->msg, "cannot make namespaces: %s", strerror(errno));
        return;
    }
    if (set_sysctls(m->sysctls, o->msg) || m->holder_fd < 0)
        return;
    o->holder_pid = start_holder(m->holder_fd);
    char from[64];
    snprintf(from, sizeof from, "/proc/%d/ns/pid", o->holder_pid);
    if (o->holder_pid < 0 || !pin(m->dir, "pid", from))
        snprintf(o->msg, sizeof o->msg, "cannot make a PID namespace: %s", strerror(errno));
}

static int run_maker(const struct maker *m, struct outcome *o, struct kl_err *err)
{
    int ends[2], status;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return kl_err_set(err, KL_INTERNAL, "no pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        make_all(m, o);
        _exit(write(ends[1], o, sizeof *o) == (ssize_t)sizeof *o ? 0 : 1);
    }
    close(ends[1]);
    _cleanup_close_ int from = ends[0];
    if (pid < 0)
        return kl_err_set(err, KL_UNAVAILABLE, "cannot start a process: %s", strerror(errno));
    ssize_t n = read(from, o, sizeof *o);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (n != (ssize_t)sizeof *o)
        return kl_err_set(err, KL_INTERNAL, "the process that makes the pod's namespaces died");
    o->msg[sizeof o->msg - 1] = '\0';
    return o->msg[0] ? kl_err_set(err, KL_INTERNAL, "%s", o->msg) : 0;
}

static int make_shm(const struct sandbox *s, const char *dir, struct kl_err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.4000s/shm", dir);
    if (s->ipc_host)
        return 0;
    if (mkdir(path, 01777) < 0 && errno != EEXIST)
        return kl_err_set(err, KL_INTERNAL, "cannot make folder '%s': %s", path, strerror(errno));
    if (mount("shm", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=" SHM_BYTES) < 0)
        return kl_err_set(err, KL_INTERNAL, "cannot mount '%s': %s", path, strerror(errno));
    return 0;
}

static int holder_file(void)
{
    int fd = memfd_create("keelson-pod", MFD_CLOEXEC);
    size_t n = (size_t)(holder_end - holder_begin);
    if (fd >= 0 && write(fd, holder_begin, n) == (ssize_t)n)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

int namespaces_make(struct runtime *rt, struct sandbox *s, const struct val *config, struct kl_err *err)
{
    char dir[PATH_MAX];
    struct outcome o = { 0 };
    _cleanup_close_ int holder = s->pid_pod ? holder_file() : -1;
    struct maker m = { .s = s, .dir = dir, .sysctls = json_path(config, "linux.sysctls"), .holder_fd = holder };
    run_path(rt, dir, "sandboxes", s->id, NULL);
    int rc = check_sysctls(s, m.sysctls, err);
    if (rc == 0 && s->pid_pod && holder < 0)
        rc = kl_err_set(err, KL_INTERNAL, "cannot make the pod's PID 1: %s", strerror(errno));
    if (rc == 0)
        rc = disk_mkdirs(dir, 0711, err);
    if (rc == 0)
        rc = make_shm(s, dir, err);
    if (rc == 0)
        rc = run_maker(&m, &o, err);
    s->holder_pid = o.holder_pid > 0 ? o.holder_pid : 0;
    s->holder_start = s->holder_pid ? proc_start_time(s->holder_pid) : 0;
    if (rc < 0)
        namespaces_drop(rt, s);
    return rc;
}

void namespaces_drop(struct runtime *rt, const struct sandbox *s)
{
    static const char *const mounted[] = { "ipc", "uts", "pid", "shm" };
    char path[PATH_MAX];
    _cleanup_close_ int pidfd = s->holder_pid ? proc_open(s->holder_pid, s->holder_start) : -1;
    if (pidfd >= 0) {
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        proc_wait(pidfd, 2000000000, NULL);
    }
    for (size_t i = 0; i < sizeof mounted / sizeof *mounted; i++) {
        run_path(rt, path, "sandboxes", s->id, mounted[i]);
        umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
    }
    run_path(rt, path, "sandboxes", s->id, NULL);
    fs_remove(AT_FDCWD, path, NULL);
}
