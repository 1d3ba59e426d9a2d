/* module.c - trust, the trial load in a child, loading. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "plugin/plugin.h"

#define PROBE_NS (2 * NS_PER_S)

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
    if (!realpath(path, real))
        return kl_err_set(err, KL_NOT_FOUND, "'%s' cannot be opened: %s", path, strerror(errno));
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

static int compare(const struct kl_plugin *p, const struct plugin_note *n, char *why, size_t room)
{
    char provides[1024] = "";
    size_t len = 0;
    if (p->size < offsetof(struct kl_plugin, conf_size) || p->abi_major != KL_ABI_MAJOR)
        return snprintf(why, room, "its descriptor is of another ABI"), -1;
    for (uint32_t i = 0; i < p->providers.n && len < sizeof provides; i++) {
        const struct kl_provider *v = KL_AT(struct kl_provider, p->providers, i);
        len += (size_t)snprintf(provides + len, sizeof provides - len, "%s%s:%s", i ? " " : "", v->iface, v->name);
        if (!v->table)
            return snprintf(why, room, "its provider '%s' has no table", v->name), -1;
    }
    if (strcmp(p->id, n->id) != 0 || strcmp(p->version, n->version) != 0 || strcmp(provides, n->provides) != 0)
        return snprintf(why, room, "its descriptor differs from its note"), -1;
    return 0;
}

static void child(const char *path, const struct plugin_note *note, int fd)
{
    char why[400] = "";
    signal(SIGALRM, SIG_DFL);
    alarm(10);                          /* should the parent go away */
    void *h = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct kl_plugin *p = h ? dlsym(h, "kl_plugin") : NULL;
    if (!h)
        snprintf(why, sizeof why, "%s", dlerror());
    else if (!p)
        snprintf(why, sizeof why, "it does not export kl_plugin");
    else
        compare(p, note, why, sizeof why);
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

int plugin_trial_begin(struct plugin_trial *t, const char *path, struct kl_err *err)
{
    int fds[2], rc = plugin_trust(path, err);
    if (rc == 0)
        rc = plugin_note_read(path, &t->note, err);
    if (rc < 0)
        return rc;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return kl_err_set(err, KL_INTERNAL, "pipe: %s", strerror(errno));
    snprintf(t->path, sizeof t->path, "%s", path);
    t->pid = fork();
    if (t->pid == 0)
        child(path, &t->note, fds[1]);
    close(fds[1]);
    if (t->pid < 0) {
        close(fds[0]);
        return kl_err_set(err, KL_INTERNAL, "fork: %s", strerror(errno));
    }
    t->fd = fds[0];
    t->until_ns = env_mono_ns() + PROBE_NS;
    return 0;
}

int plugin_trial_end(struct plugin_trial *t, struct kl_err *err)
{
    char answer[420] = "";
    size_t n = 0;
    bool late = false;
    for (ssize_t got = 1; got > 0 && n < sizeof answer - 1;) {
        struct pollfd pf = { t->fd, POLLIN, 0 };
        int64_t left = t->until_ns - env_mono_ns();
        late = left <= 0 || poll(&pf, 1, (int)(left / NS_PER_MS) + 1) == 0;
        if (late)
            break;
        got = read(t->fd, answer + n, sizeof answer - 1 - n);
        n += got > 0 ? (size_t)got : 0;
    }
    close(t->fd);
    return verdict(t->path, t->pid, answer, late, err);
}

int plugin_probe(const char *path, struct kl_err *err)
{
    struct plugin_trial t;
    int rc = plugin_trial_begin(&t, path, err);
    return rc < 0 ? rc : plugin_trial_end(&t, err);
}

int plugin_dlopen(const char *path, const struct kl_plugin **ret, struct kl_err *err)
{
    void *h = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    *ret = h ? dlsym(h, "kl_plugin") : NULL;
    return *ret ? 0 : kl_err_set(err, KL_INVALID, "'%s' cannot be loaded: %s", path, dlerror());
}

const char *plugin_state_text(enum plugin_state s)
{
    static const char *const texts[] = { "", "FOUND", "REFUSED", "LOADED", "READY", "FAILED", "CLOSED" };
    return texts[s];
}
