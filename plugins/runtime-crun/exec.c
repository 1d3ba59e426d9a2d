/* exec.c - a further process in a running container, its descriptors the caller's; with a terminal the bytes are carried
 * between the caller and the terminal that crun hands over its console socket.
 */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/env.h"
#include "stream.h"

#define ARGS_MOST 4096

struct session {
    struct runtime *rt;
    struct kl_call *c;
    char dir[PATH_MAX];                 /* of this session, removed at its end */
    char pid_file[PATH_MAX], spec[PATH_MAX], console[PATH_MAX];
};

/* The container's own process with other arguments. */
static int write_spec(struct session *s, const char *id, const char *const *argv, bool tty)
{
    char path[PATH_MAX];
    _cleanup_arena_ struct arena *a = arena_new(64 << 20);
    _cleanup_buf_ struct buf b = BUF_INIT(8 * CONFIG_MOST), out = BUF_INIT(8 * CONFIG_MOST);
    run_path(s->rt, path, "b", id, "config.json");
    int rc = a ? fs_read(AT_FDCWD, path, 4 * CONFIG_MOST, &b, &s->c->err) : kl_fail(s->c, KL_NO_MEMORY, "out of memory");
    if (rc < 0)
        return rc;
    struct val *spec = json_parse(a, buf_str(&b), &s->c->err), *process = json_get(spec, STR("process"));
    if (!process)
        return kl_fail(s->c, KL_CORRUPT, "'%.150s' has no process", path);
    json_del(process, STR("args"));
    struct val *args = json_arr(a, process, STR("args"));
    for (size_t i = 0; argv[i]; i++) {
        if (i == ARGS_MOST)
            return kl_fail(s->c, KL_TOO_LARGE, "more than %d arguments", ARGS_MOST);
        val_push(args, val_of_str(a, str_of(argv[i])));
    }
    json_set_bool(a, process, STR("terminal"), tty);
    json_write(&out, process);
    return out.failed || arena_exhausted(a) ? kl_fail(s->c, KL_NO_MEMORY, "out of memory")
                                            : fs_write(AT_FDCWD, s->spec, buf_str(&out), false, &s->c->err);
}

static int open_session(struct session *s)
{
    char id[ID_LEN + 1];
    new_id(id);
    id[12] = '\0';
    run_path(s->rt, s->dir, "e", id, NULL);
    snprintf(s->pid_file, sizeof s->pid_file, "%.4000s/pid", s->dir);
    snprintf(s->spec, sizeof s->spec, "%.4000s/process.json", s->dir);
    snprintf(s->console, sizeof s->console, "%.4000s/tty", s->dir);
    return disk_mkdirs(s->dir, 0700, &s->c->err);
}

static int listen_console(struct session *s)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(s->console) >= sizeof at.sun_path)
        return kl_fail(s->c, KL_INVALID, "setting 'run_dir' is too long for a socket: '%.100s'", s->console);
    memcpy(at.sun_path, s->console, strlen(s->console) + 1);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 1) < 0)
        return kl_fail(s->c, KL_INTERNAL, "cannot make the console socket '%.100s': %s", s->console, strerror(errno));
    return TAKE_FD(fd);
}

/* The descriptor of the terminal, once the child has sent it; -1: it ended before. */
static int take_terminal(int listener, int pidfd)
{
    struct pollfd at[2] = { { .fd = listener, .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };
    while (poll(at, 2, 10000) < 0 && errno == EINTR)
        ;
    if (!at[0].revents)
        return -1;
    _cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    char byte[64];
    union {
        struct cmsghdr align;
        char at[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = { byte, sizeof byte };
    struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.at, .msg_controllen = sizeof control.at };
    if (fd < 0 || recvmsg(fd, &msg, MSG_CMSG_CLOEXEC) < 0)
        return -1;
    struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
    int got = -1;
    if (h && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof got))
        memcpy(&got, CMSG_DATA(h), sizeof got);
    return got;
}

static void set_size(void *ctx, unsigned columns, unsigned rows)
{
    struct winsize w = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };
    ioctl(*(int *)ctx, TIOCSWINSZ, &w);
}

static int run_terminal(struct session *s, struct proc *p, const struct kl_runtime_io *io, int listener)
{
    pid_t pid;
    int status = 0, rc = proc_spawn(p, &pid, &s->c->err);
    if (rc < 0)
        return rc;
    _cleanup_close_ int pidfd = proc_open(pid, proc_start_time(pid));
    _cleanup_close_ int tty = take_terminal(listener, pidfd);
    int why = 0;
    if (tty >= 0) {
        struct stream_pair pair = { .in = io->in, .out = io->out, .far = tty, .done = pidfd, .resize = io->resize, .call = s->c,
                                    .set_size = set_size, .ctx = &tty };
        why = stream_terminal(&pair);
    }
    if (why != 0) {
        proc_kill_named(s->pid_file);
        kill(pid, SIGKILL);
    } else if (tty >= 0 && pidfd >= 0 && !proc_wait(pidfd, 2 * NS_PER_S, NULL)) {
        proc_kill_named(s->pid_file);        /* the caller went away */
        if (!proc_wait(pidfd, 2 * NS_PER_S, NULL))
            kill(pid, SIGKILL);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (why)
        return kl_fail(s->c, why, "the command was ended: %s", why == KL_TIMEOUT ? "its time was up" : "cancelled");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int rt_exec(void *self, struct kl_call *c, const char *id, const char *const *argv, const struct kl_runtime_io *io,
            int32_t *exit_code)
{
    struct session s = { .rt = self, .c = c };
    bool tty = io->tty;
    int rc = argv[0] ? container_must_run(self, c, id, false, NULL) : kl_fail(c, KL_BAD_REQUEST, "exec: no command given");
    if (rc == 0)
        rc = open_session(&s);
    if (rc < 0)
        return rc;
    _cleanup_close_ int listener = tty ? listen_console(&s) : -1;
    rc = tty && listener < 0 ? listener : write_spec(&s, id, argv, tty);
    const char *const plain[] = { s.rt->crun, "--root", s.rt->crun_root, "--cgroup-manager=cgroupfs", "exec", "--pid-file",
                                  s.pid_file, "--process", s.spec, id, NULL };
    const char *const with_tty[] = { s.rt->crun, "--root", s.rt->crun_root, "--cgroup-manager=cgroupfs", "exec", "--pid-file",
                                     s.pid_file, "--process", s.spec, "--tty", "--console-socket", s.console, id, NULL };
    struct proc p = { .argv = tty ? with_tty : plain, .in = tty ? -1 : io->in, .out = tty ? -1 : io->out,
                      .err = tty ? io->out : io->err, .deadline_ns = c->deadline_ns, .call = c, .pid_file = s.pid_file };
    if (rc == 0)
        rc = tty ? run_terminal(&s, &p, io, listener) : proc_run(&p, &c->err);
    fs_remove(AT_FDCWD, s.dir, NULL);
    if (rc < 0)
        return rc;
    *exit_code = rc;
    return 0;
}
