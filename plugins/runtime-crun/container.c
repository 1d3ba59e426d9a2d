/* container.c - create, start, stop, remove. The record is written before each step that leaves something behind. */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/env.h"

#define EXIT_FILE_NS (10 * NS_PER_S)

/* What create works on. */
struct making {
    struct runtime *rt;
    struct container *c;
    const struct sandbox *s;
    struct val *config;
    struct arena *a;
    struct kl_err *err;
    char bundle[PATH_MAX], rootfs[PATH_MAX], cgroup[600];
};

static int parse_signal(struct str name)
{
    static const struct {
        const char *name;
        int number;
    } rows[] = { { "HUP", SIGHUP },   { "INT", SIGINT },   { "QUIT", SIGQUIT },     { "ILL", SIGILL },   { "TRAP", SIGTRAP }, { "ABRT", SIGABRT },
                 { "IOT", SIGIOT },   { "BUS", SIGBUS },   { "FPE", SIGFPE },       { "KILL", SIGKILL }, { "USR1", SIGUSR1 }, { "SEGV", SIGSEGV },
                 { "USR2", SIGUSR2 }, { "PIPE", SIGPIPE }, { "ALRM", SIGALRM },     { "TERM", SIGTERM }, { "CHLD", SIGCHLD }, { "CONT", SIGCONT },
                 { "STOP", SIGSTOP }, { "TSTP", SIGTSTP }, { "TTIN", SIGTTIN },     { "TTOU", SIGTTOU }, { "URG", SIGURG },   { "XCPU", SIGXCPU },
                 { "XFSZ", SIGXFSZ }, { "PROF", SIGPROF }, { "VTALRM", SIGVTALRM }, { "WINCH", SIGWINCH }, { "IO", SIGIO },   { "PWR", SIGPWR },
                 { "SYS", SIGSYS } };
    int64_t n;
    if (str_int(name, &n))
        return n > 0 && n < NSIG ? (int)n : SIGTERM;
    if (str_starts(name, STR("SIG")))
        name = str_skip(name, 3);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_is(name, rows[i].name))
            return rows[i].number;
    if (str_starts(name, STR("RTMIN")) && (name.len == 5 || str_int(str_skip(name, 6), &n)))
        return name.len == 5 ? SIGRTMIN : n >= 0 && n < 31 ? SIGRTMIN + (int)n : SIGTERM;
    if (str_starts(name, STR("RTMAX")) && (name.len == 5 || str_int(str_skip(name, 6), &n)))
        return name.len == 5 ? SIGRTMAX : n >= 0 && n < 31 ? SIGRTMAX - (int)n : SIGTERM;
    return SIGTERM;
}

/* The folder and an empty file, so that conmon follows no link of anybody else's. */
static int prepare_log(struct making *m)
{
    struct str given = json_str(m->config, "logPath");
    struct stat st;
    if (!given.len || !m->s->log_dir[0])
        return (m->c->log_path = mem_dup("", 0)) ? 0 : kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
    for (struct str rest = given; rest.at;) {
        struct str part = str_cut(&rest, '/');
        if (part.len == 0 || str_is(part, "..") || str_is(part, "."))
            return kl_err_set(m->err, KL_INVALID, "container field 'logPath' is not a plain relative path");
    }
    char *path = arena_printf(m->a, "%s/" STR_FMT, m->s->log_dir, STR_ARG(given));
    if (!path || strlen(path) >= PATH_MAX || !(m->c->log_path = mem_dup(path, strlen(path))))
        return kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
    *strrchr(path, '/') = '\0';
    int rc = disk_mkdirs(path, 0755, m->err);
    if (rc < 0)
        return rc;
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    _cleanup_close_ int fd = open(m->c->log_path, flags, 0640);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
        return kl_err_set(m->err, KL_INVALID, "log file '%.150s' is a link or not a regular file", m->c->log_path);
    return 0;
}

static int write_bundle(struct making *m, const struct image *image)
{
    char path[PATH_MAX + 16];
    struct val *spec;
    struct spec_input in = { .rt = m->rt, .s = m->s, .c = m->c, .config = m->config, .a = m->a, .rootfs = m->rootfs,
                             .image = json_get(image->config, STR("config")), .cgroup = m->cgroup };
    _cleanup_buf_ struct buf b = BUF_INIT(4 * CONFIG_MOST);
    int rc = spec_make(&in, &spec, m->err);
    if (rc < 0)
        return rc;
    json_write(&b, spec);
    snprintf(path, sizeof path, "%s/config.json", m->bundle);
    return b.failed ? kl_err_set(m->err, KL_TOO_LARGE, "the container's configuration exceeds %u bytes", 4 * CONFIG_MOST)
                    : fs_write(AT_FDCWD, path, buf_str(&b), false, m->err);
}

static int build(struct making *m)
{
    struct container *c = m->c;
    struct image *image;
    char ref[IMAGE_NAME_MOST];
    snprintf(ref, sizeof ref, STR_FMT, STR_ARG(json_str(m->config, "image.image")));
    int rc = image_find(m->rt->images, m->a, ref, &image, m->err);
    if (rc < 0)
        return rc;
    c->image_id = mem_dup(image->id, strlen(image->id));
    c->uid = mem_dup(m->s->uid, strlen(m->s->uid));
    struct str stop = json_str(m->config, "stopSignal");
    c->stop_signal = parse_signal(stop.len ? stop : json_str(image->config, "config.StopSignal"));
    bool joins = json_str(m->config, "linux.securityContext.namespaceOptions.targetId").len > 0;
    c->own_pidns = !m->s->pid_host && !m->s->pid_pod && !joins;
    if (!c->image_id || !c->uid)
        return kl_err_set(m->err, KL_NO_MEMORY, "out of memory");
    rc = prepare_log(m);
    if (rc == 0)
        rc = container_save(m->rt, c, m->err);
    if (rc == 0)
        rc = rootfs_make(m->rt, c, image, m->a, m->err);
    if (rc == 0)
        rc = rootfs_check(m->rootfs, m->err);
    if (rc == 0)
        rc = volume_make(m->rt, c, m->config, m->err);
    if (rc == 0)
        rc = write_bundle(m, image);
    if (rc == 0)
        rc = conmon_start(m->rt, c, m->bundle, m->err);
    if (rc < 0)
        return rc;
    c->state = STATE_CREATED;
    return container_save(m->rt, c, m->err);
}

/* The one of that name and attempt, when it is there already. */
static const struct container *twin(struct runtime *rt, const char *sandbox, const struct val *config)
{
    list_each(node, &rt->containers) {
        struct container *c = list_item(node, struct container, in_rt);
        if (strcmp(c->sandbox, sandbox) != 0)
            continue;
        _cleanup_arena_ struct arena *a = arena_new(16 << 20);
        struct val *v = a ? json_parse(a, str_of(c->config), NULL) : NULL;
        if (v && str_eq(json_str(v, "metadata.name"), json_str(config, "metadata.name")) &&
            json_int(v, "metadata.attempt", 0) == json_int(config, "metadata.attempt", 0))
            return c;
    }
    return NULL;
}

/* Under the lock: the sandbox, and whether there is anything to make. */
static int find_place(struct making *m, const char *sandbox_id, struct kl_call *c, const char **ret_id)
{
    size_t n = 0;
    m->s = id_valid(sandbox_id) ? sandbox_find(m->rt, sandbox_id) : NULL;
    if (!m->s)
        return kl_fail(c, KL_NOT_FOUND, "sandbox '%.40s' is not there", sandbox_id);
    if (!m->s->ready)
        return kl_fail(c, KL_CONFLICT, "sandbox '%s' is stopped", sandbox_id);
    const struct container *old = twin(m->rt, sandbox_id, m->config);
    if (old) {
        *ret_id = kl_dup(c, old->id, ID_LEN);
        return *ret_id ? 0 : kl_fail(c, KL_NO_MEMORY, "out of memory");
    }
    list_each(node, &m->rt->containers)
        n++;
    return n < CONTAINERS_MOST ? 0 : kl_fail(c, KL_TOO_MANY_REQUESTS, "this node has %d containers already", CONTAINERS_MOST);
}

int rt_container_create(void *self, struct kl_call *c, const char *sandbox_id, struct kl_bytes config, const char **ret_id)
{
    struct runtime *rt = self;
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    struct making m = { .rt = rt, .a = a, .err = &c->err, .c = container_parse(config.at, config.len, &c->err) };
    if (!m.c || !a)
        return m.c ? (container_free(m.c), kl_fail(c, KL_NO_MEMORY, "out of memory")) : -c->err.code;
    m.config = json_parse(a, str_of(m.c->config), NULL);
    *ret_id = NULL;
    pthread_mutex_lock(&rt->lock);
    int rc = find_place(&m, sandbox_id, c, ret_id);
    pthread_mutex_unlock(&rt->lock);
    if (rc < 0 || *ret_id) {
        container_free(m.c);
        return rc;
    }
    memcpy(m.c->sandbox, sandbox_id, ID_LEN + 1);
    run_path(rt, m.bundle, "b", m.c->id, NULL);
    run_path(rt, m.rootfs, "b", m.c->id, "rootfs");
    snprintf(m.cgroup, sizeof m.cgroup, "%.500s/%s", m.s->cgroup, m.c->id);
    m.c->image_id = m.c->log_path = NULL;
    rc = build(&m);
    if (rc == 0 && !(*ret_id = kl_dup(c, m.c->id, ID_LEN)))
        rc = kl_fail(c, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        container_discard(rt, m.c->id);
        container_free(m.c);
        return rc;
    }
    pthread_mutex_lock(&rt->lock);
    list_push(&rt->containers, &m.c->in_rt);
    pthread_mutex_unlock(&rt->lock);
    return 0;
}

/* A copy of the numbers; false: not there. */
static bool look(struct runtime *rt, const char *id, struct container *ret, char cgroup[600])
{
    pthread_mutex_lock(&rt->lock);
    struct container *c = id_valid(id) ? container_find(rt, id) : NULL;
    if (c) {
        container_refresh(rt, c);
        const struct sandbox *s = sandbox_find(rt, c->sandbox);
        *ret = *c;
        if (cgroup)
            snprintf(cgroup, 600, "%.500s/%s", s ? s->cgroup : "", id);
    }
    pthread_mutex_unlock(&rt->lock);
    return c != NULL;
}

int rt_container_start(void *self, struct kl_call *c, const char *id)
{
    struct runtime *rt = self;
    struct container now;
    if (!look(rt, id, &now, NULL))
        return kl_fail(c, KL_NOT_FOUND, "container '%.40s' is not there", id);
    if (now.state == STATE_RUNNING)
        return 0;
    if (now.state == STATE_EXITED)
        return kl_fail(c, KL_CONFLICT, "container '%s' has ended already", id);
    const char *const args[] = { "start", id, NULL };
    int64_t at = env_wall_ns();
    int rc = crun_run(rt, args, &c->err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&rt->lock);
    struct container *k = container_find(rt, id);
    if (k && k->state == STATE_CREATED)
        k->state = STATE_RUNNING;
    if (k) {
        k->started_ns = at;
        rc = container_save(rt, k, &c->err);
    }
    pthread_mutex_unlock(&rt->lock);
    return rc;
}

/* Until the monitor has written how it ended, or is gone too. */
static int await_end(struct runtime *rt, struct kl_call *c, const char *id)
{
    struct container now;
    for (int64_t until = env_mono_ns() + EXIT_FILE_NS; env_mono_ns() < until;) {
        if (!look(rt, id, &now, NULL) || now.state == STATE_EXITED)
            return 0;
        _cleanup_close_ int pidfd = proc_open(now.monitor_pid, now.monitor_start);
        if (pidfd >= 0)
            proc_wait(pidfd, 2 * NS_PER_MS, NULL);
        else
            usleep(1000);
    }
    return kl_fail(c, KL_TIMEOUT, "container '%s' was killed, but its monitor does not say that it ended", id);
}

static int send_signal(int pidfd, int number)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
}

int rt_container_stop(void *self, struct kl_call *c, const char *id, int64_t grace_ns)
{
    struct runtime *rt = self;
    struct container now;
    char cgroup[600];
    if (!look(rt, id, &now, cgroup) || now.state == STATE_EXITED)
        return 0;
    _cleanup_close_ int pidfd = proc_open(now.pid, now.pid_start);
    if (pidfd >= 0 && now.state == STATE_RUNNING && grace_ns > 0) {
        send_signal(pidfd, now.stop_signal);
        if (!proc_wait(pidfd, grace_ns, c) && c && kl_cancelled(c))
            return kl_fail(c, KL_CANCELLED, "stopping container '%s' was cancelled", id);
    }
    if (pidfd >= 0)
        send_signal(pidfd, SIGKILL);
    if (!now.own_pidns)
        cgroup_kill(rt, cgroup);        /* in its own PID namespace all go with PID 1 */
    return await_end(rt, c, id);
}

void container_discard(struct runtime *rt, const char *id)
{
    char path[PATH_MAX];
    const char *const args[] = { "delete", "-f", id, NULL };
    snprintf(path, sizeof path, "%.4000s/%s", rt->crun_root, id);
    if (access(path, F_OK) == 0)
        crun_run(rt, args, NULL);
    rootfs_drop(rt, id);
    snprintf(path, sizeof path, "%.4000s/%s", rt->exits, id);
    unlink(path);
    snprintf(path, sizeof path, "%.4000s/%s", rt->sockets, id);
    fs_remove(AT_FDCWD, path, NULL);
}

int rt_container_remove(void *self, struct kl_call *c, const char *id)
{
    struct runtime *rt = self;
    struct container now;
    char cgroup[600];
    if (!look(rt, id, &now, cgroup))
        return 0;
    int rc = rt_container_stop(self, c, id, 0);
    if (rc < 0)
        return rc;
    container_discard(rt, id);
    cgroup_remove(rt, cgroup, false);
    pthread_mutex_lock(&rt->lock);
    struct container *k = container_find(rt, id);
    if (k)
        list_remove(&k->in_rt);
    pthread_mutex_unlock(&rt->lock);
    container_free(k);
    return 0;
}
