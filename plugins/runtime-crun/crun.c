/* crun.c - calling crun, and starting conmon, which creates a container and stays as its monitor. */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "base/env.h"

#define ARGS_MOST   48
#define CREATE_NS   (60 * NS_PER_S)

int crun_run(struct runtime *rt, const char *const *args, struct kl_err *err)
{
    const char *argv[ARGS_MOST] = { rt->crun, "--root", rt->crun_root, "--cgroup-manager=cgroupfs" };
    _cleanup_buf_ struct buf text = BUF_INIT(1 << 17);
    size_t n = 4;
    while (*args && n < ARGS_MOST - 1)
        argv[n++] = *args++;
    struct proc p = { .argv = argv, .in = -1, .out = -1, .err = -2, .text = &text, .deadline_ns = env_mono_ns() + CREATE_NS };
    int rc = proc_run(&p, err);
    if (rc <= 0)
        return rc;
    struct str words = str_trim(buf_str(&text));
    return kl_err_set(err, KL_INTERNAL, "crun %s: " STR_FMT, argv[4], (int)(words.len < 180 ? words.len : 180),
                      words.len ? words.at : "no reason given");
}

/* One line of JSON: {"pid":n} or {"pid":-1,"message":"..."}. */
static int read_answer(int fd, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 17);
    int64_t until = env_mono_ns() + CREATE_NS;
    while (b.len < 65536 && (b.len == 0 || b.at[b.len - 1] != '\n')) {
        struct pollfd at = { .fd = fd, .events = POLLIN };
        if (poll(&at, 1, 1000) == 0 && env_mono_ns() > until)
            return kl_err_set(err, KL_TIMEOUT, "conmon did not answer in time");
        char *to = at.revents ? buf_room(&b, 4096) : NULL;
        if (!to)
            continue;
        ssize_t n = read(fd, to, 4096);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        b.len += n > 0 ? (size_t)n : 0;
    }
    _cleanup_arena_ struct arena *a = arena_new(1 << 20);
    struct val *v = a && b.len ? json_parse(a, str_trim(buf_str(&b)), NULL) : NULL;
    int64_t pid = json_int(v, "pid", json_int(v, "data", 0));
    struct str words = str_trim(json_str(v, "message"));
    if (pid > 0)
        return (int)pid;
    if (str_starts(words, STR("runtime error: ")))
        words = str_skip(words, 15);
    return kl_err_set(err, KL_INTERNAL, "crun create: " STR_FMT, (int)(words.len < 200 ? words.len : 200),
                      words.len ? words.at : "conmon gave no reason");
}

static size_t conmon_args(const struct runtime *rt, const struct container *c, struct arena *a, const char *bundle,
                          const char *argv[ARGS_MOST])
{
    const char *const pairs[][2] = {
        { "-c", c->id }, { "-u", c->id }, { "-n", c->id }, { "-r", rt->crun }, { "-b", bundle },
        { "-p", arena_printf(a, "%s/pid", bundle) }, { "-P", arena_printf(a, "%s/conmon.pid", bundle) },
        { "-l", arena_printf(a, "k8s-file:%s", c->log_path[0] ? c->log_path : "/dev/null") },
        { "--exit-dir", rt->exits }, { "--persist-dir", bundle }, { "--socket-dir-path", rt->sockets },
        { "--runtime-arg", "--root" }, { "--runtime-arg", rt->crun_root }, { "--runtime-arg", "--cgroup-manager=cgroupfs" },
        { "--log-level", "error" },
    };
    size_t n = 0;
    argv[n++] = rt->conmon;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        argv[n++] = pairs[i][0];
        argv[n++] = pairs[i][1];
    }
    if (c->tty)
        argv[n++] = "-t";
    return n;
}

static int read_pid(const char *bundle, const char *name)
{
    char path[PATH_MAX];
    int64_t pid = 0;
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 17);
    snprintf(path, sizeof path, "%.4000s/%s", bundle, name);
    return fs_read(AT_FDCWD, path, 32, &b, NULL) == 0 && str_int(str_trim(buf_str(&b)), &pid) ? (int)pid : 0;
}

int conmon_start(struct runtime *rt, struct container *c, const char *bundle, struct kl_err *err)
{
    static const char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TZ=UTC",
                                       "_OCI_SYNCPIPE=3", NULL };
    _cleanup_arena_ struct arena *a = arena_new(1 << 16);
    _cleanup_buf_ struct buf text = BUF_INIT(1 << 17);
    const char *argv[ARGS_MOST] = { 0 };
    int ends[2];
    size_t n = a ? conmon_args(rt, c, a, bundle, argv) : 0;
    if (!a || arena_exhausted(a))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (c->stdin_open) {
        argv[n++] = "-i";
        if (!c->stdin_once)             /* else the first client's end of input is the process's */
            argv[n++] = "--leave-stdin-open";
    }
    if (pipe2(ends, O_CLOEXEC) < 0)
        return kl_err_set(err, KL_INTERNAL, "no pipe: %s", strerror(errno));
    _cleanup_close_ int from = ends[0];
    struct proc p = { .argv = argv, .env = env, .in = -1, .out = -1, .err = -1, .pass_from = ends[1], .pass_as = 3,
                      .deadline_ns = env_mono_ns() + CREATE_NS };
    int rc = proc_run(&p, err);
    close(ends[1]);
    if (rc > 0)
        rc = kl_err_set(err, KL_INTERNAL, "conmon ended with status %d", rc);
    int pid = rc == 0 ? read_answer(from, err) : rc;
    if (pid < 0)
        return pid;
    c->pid = pid;
    c->pid_start = proc_start_time(pid);
    c->monitor_pid = read_pid(bundle, "conmon.pid");
    c->monitor_start = proc_start_time(c->monitor_pid);
    return 0;
}
