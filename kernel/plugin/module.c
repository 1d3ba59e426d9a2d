/* module.c - trust, the trial load in a child, loading. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "plugin/builtin.h"
#include "plugin/plugin.h"
#include "plugin/signature.h"
#include "plugin/verify.h"

#define PROBE_NS (1500 * NS_PER_MS)

/* --- trust --- */

static uid_t program_owner(void)
{
    struct stat st;
    return stat("/proc/self/exe", &st) == 0 ? st.st_uid : geteuid();
}

int plugin_trust(const char *path, struct kl_err *err)
{
    char real[PATH_MAX];
    struct stat st;
    if (lstat(path, &st) < 0 || !realpath(path, real))
        return kl_err_set(err, KL_NOT_FOUND, "'%s' cannot be opened: %s", path, strerror(errno));
    if (S_ISLNK(st.st_mode))
        return kl_err_set(err, KL_FORBIDDEN, "'%s' is a symbolic link: the configuration must name the file itself", path);
    for (bool file = true;; file = false) {
        if (lstat(real, &st) < 0)
            return kl_err_set(err, KL_NOT_FOUND, "'%s' cannot be looked at: %s", real, strerror(errno));
        if (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != program_owner())
            return kl_err_set(err, KL_FORBIDDEN, "'%s' belongs to user %u: plugins must belong to root or to the owner of this program", real,
                              st.st_uid);
        if (st.st_mode & 022 && (file || !(st.st_mode & S_ISVTX)))
            return kl_err_set(err, KL_FORBIDDEN, "'%s' can be written by others (mode %04o)", real, st.st_mode & 07777);
        char *slash = strrchr(real, '/');
        if (!slash || strcmp(real, "/") == 0)
            return 0;
        slash[slash == real] = '\0';
    }
}

/* --- trial --- */

struct text {
    char at[1024];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->at + t->len, sizeof t->at - t->len, fmt, ap);
    va_end(ap);
    t->len += n > 0 ? (size_t)n : 0;
    t->len = t->len < sizeof t->at ? t->len : sizeof t->at - 1;
}

/* An id of ours that is not known here: another revision, or a name that never was. Others' ids may be met by other plugins. */
static bool unknown_id(const char *id, const char *what, char *why, size_t room)
{
    const char *other = signature_other_revision(id);
    if (strncmp(id, "keelson.", 8) != 0 || signature_find(id))
        return false;
    snprintf(why, room, "it %s '%s', which this host does not know%s%s%s", what, id, other ? "; it knows '" : "", other ? other : "", other ? "'" : "");
    return true;
}

static int check_provider(const struct kl_provider *v, char *why, size_t room)
{
    const struct kl_sig_table *sig = signature_find(v->iface);
    const struct plugin_table *t = v->table;
    if (!t)
        return snprintf(why, room, "its provider '%s' has no table", v->name), -1;
    if (unknown_id(v->iface, "provides", why, room))
        return -1;
    const char *lacks = t->size < sizeof *t || !t->life.open ? "open" : sig ? signature_missing(sig, t) : NULL;
    if (lacks)
        return snprintf(why, room, "its provider '%s' of '%s' lacks the function '%s'", v->name, v->iface, lacks), -1;
    return 0;
}

int plugin_check(const struct kl_plugin *p, const struct plugin_note *n, char *why, size_t room)
{
    struct text provides = { .len = 0 }, needs = { .len = 0 };
    if (p->size < offsetof(struct kl_plugin, conf_size) || p->abi_major != KL_ABI_MAJOR)
        return snprintf(why, room, "its descriptor is of another ABI"), -1;
    for (uint32_t i = 0; i < p->providers.n; i++) {
        const struct kl_provider *v = KL_AT(struct kl_provider, p->providers, i);
        add(&provides, "%s%s:%s", i ? " " : "", v->iface, v->name);
        if (check_provider(v, why, room) < 0)
            return -1;
    }
    for (uint32_t i = 0; i < p->needs.n; i++) {
        const struct kl_need *need = KL_AT(struct kl_need, p->needs, i);
        add(&needs, "%s%s", i ? " " : "", need->id);
        if (!need->optional && unknown_id(need->id, "needs", why, room))
            return -1;
    }
    if (strcmp(p->id, n->id) != 0 || strcmp(p->version, n->version) != 0 || strcmp(provides.at, n->provides) != 0 || strcmp(needs.at, n->needs) != 0)
        return snprintf(why, room, "its descriptor differs from its note"), -1;
    return 0;
}

/* What it started while it was loaded ends here: this process is the parent of every orphan below it. */
static bool left_processes(void)
{
    char path[64], text[512];
    bool any = false;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (int tries = 0; tries < 100; tries++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (fd >= 0)
            close(fd);
        if (n <= 0)
            break;
        text[n] = '\0';
        any = true;
        for (char *at = text, *end; ; at = end) {
            long pid = strtol(at, &end, 10);
            if (end == at)
                break;
            kill((pid_t)pid, SIGKILL);
        }
        while (waitpid(-1, NULL, WNOHANG) > 0) { }
    }
    return any;
}

/* Connections of this process must not stay open for as long as a file hangs. */
static void close_others(int one, int other)
{
    unsigned low = (unsigned)(one < other ? one : other), high = (unsigned)(one < other ? other : one);
    if (one < 3 || other < 3)
        low = high;
    if (low > 3)
        close_range(3, low - 1, 0);
    if (high > low + 1)
        close_range(low + 1, high - 1, 0);
    close_range(high + 1, ~0u, 0);
}

/* path: the file, or its verified copy (a descriptor, or -1). */
static void child(const char *path, int copy, const struct plugin_note *note, int fd)
{
    char why[400] = "";
    close_others(fd, copy < 0 ? fd : copy);
    setpgid(0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGALRM, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    alarm(10);                          /* should the parent go away */
    void *h = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct kl_plugin *p = h ? dlsym(h, "kl_plugin") : NULL;
    if (!h)
        snprintf(why, sizeof why, "%s", dlerror());
    else if (!p)
        snprintf(why, sizeof why, "it does not export kl_plugin");
    else
        plugin_check(p, note, why, sizeof why);
    if (left_processes() && !why[0])
        snprintf(why, sizeof why, "it starts a process while it is loaded");
    char answer[410];
    int n = snprintf(answer, sizeof answer, why[0] ? "!%s" : "ok", why);
    if (write(fd, answer, (size_t)n) < 0)
        _exit(1);
    _exit(0);
}

static int verdict(const char *path, pid_t pid, const char *answer, bool late, struct kl_err *err)
{
    int status = 0;
    if (late)
        kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    kill(-pid, SIGKILL);                /* what a crash left behind */
    if (late)
        return kl_err_set(err, KL_INVALID, "'%s' hangs while it is loaded", path);
    if (answer[0] == '!')
        return kl_err_set(err, KL_INVALID, "'%s' cannot be loaded: %s", path, answer + 1);
    if (strcmp(answer, "ok") == 0)
        return 0;
    if (WIFSIGNALED(status))
        return kl_err_set(err, KL_INVALID, "'%s' dies by signal %d while it is loaded", path, WTERMSIG(status));
    return kl_err_set(err, KL_INVALID, "'%s' exits with status %d while it is loaded", path, WEXITSTATUS(status));
}

int plugin_look(const char *path, struct str digest, struct plugin_note *ret, int *copy, struct kl_err *err)
{
    const char *ignored;
    const struct plugin_builtin *builtin = builtin_of_file(path);
    *copy = -1;
    if (builtin) {
        builtin_note(builtin->plugin, ret);
        return 0;
    }
    int rc = plugin_trust(path, err);
    if (rc == 0)
        rc = verify_file(path, digest, &ignored, copy, err);
    return rc < 0 ? rc : *copy < 0 ? plugin_note_read(path, ret, err) : plugin_note_read_fd(*copy, path, ret, err);
}

int plugin_trial_begin(struct plugin_trial *t, const char *path, struct kl_err *err)
{
    int copy, rc = plugin_look(path, t->digest, &t->note, &copy, err);
    t->pid = 0;
    if (rc < 0 || builtin_of_file(path))        /* that one is loaded already */
        return rc;
    return plugin_trial_start(t, path, verify_name(path), copy, err);
}

int plugin_trial_start(struct plugin_trial *t, const char *path, const char *name, int copy, struct kl_err *err)
{
    int fds[2];
    t->pid = 0;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return kl_err_set(err, KL_INTERNAL, "pipe: %s", strerror(errno));
    snprintf(t->path, sizeof t->path, "%s", path);
    fflush(NULL);                       /* or a child that exits would write our buffers too */
    t->pid = fork();
    if (t->pid == 0)
        child(name, copy, &t->note, fds[1]);
    close(fds[1]);
    if (t->pid < 0) {
        close(fds[0]);
        return kl_err_set(err, KL_INTERNAL, "fork: %s", strerror(errno));
    }
    t->fd = fds[0];
    t->pidfd = (int)syscall(SYS_pidfd_open, t->pid, 0);         /* -1 (old kernels): only the pipe tells the end */
    t->until_ns = env_mono_ns() + PROBE_NS;
    return 0;
}

int plugin_trial_end(struct plugin_trial *t, struct kl_err *err)
{
    char answer[420] = "";
    size_t n = 0;
    bool late = false;
    if (t->pid == 0)
        return 0;
    fcntl(t->fd, F_SETFL, O_NONBLOCK);
    /* Whoever the child left behind holds the pipe's other end too: the child's end counts. */
    for (bool ended = false; !ended && n < sizeof answer - 1;) {
        struct pollfd pf[] = { { t->fd, POLLIN, 0 }, { t->pidfd, POLLIN, 0 } };
        int64_t left = t->until_ns - env_mono_ns();
        /* Its time may have passed while another trial was waited for: what it has said by now counts. */
        late = poll(pf, 2, left > 0 ? (int)(left / NS_PER_MS) + 1 : 0) == 0;
        if (late)
            break;
        ended = pf[1].revents != 0;
        ssize_t got = read(t->fd, answer + n, sizeof answer - 1 - n);
        n += got > 0 ? (size_t)got : 0;
        ended |= got == 0;
    }
    close(t->fd);
    if (t->pidfd >= 0)
        close(t->pidfd);
    return verdict(t->path, t->pid, answer, late, err);
}

int plugin_probe(const char *path, struct kl_err *err)
{
    struct plugin_trial t = { .digest = STR_NONE };
    int rc = plugin_trial_begin(&t, path, err);
    return rc < 0 ? rc : plugin_trial_end(&t, err);
}

int plugin_dlopen(const char *path, const struct kl_plugin **ret, void **handle, struct kl_err *err)
{
    const struct plugin_builtin *builtin = builtin_of_file(path);
    *handle = NULL;
    if (builtin) {
        *ret = builtin->plugin;
        return 0;
    }
    void *h = *handle = dlopen(verify_name(path), RTLD_NOW | RTLD_LOCAL);
    *ret = h ? dlsym(h, "kl_plugin") : NULL;
    return *ret ? 0 : kl_err_set(err, KL_INVALID, "'%s' cannot be loaded: %s", path, dlerror());
}

const char *plugin_state_text(enum plugin_state s)
{
    static const char *const texts[] = { "", "FOUND", "REFUSED", "LOADED", "READY", "FAILED", "CLOSED" };
    return texts[s];
}
