/* proc.c - running helper programs: no descriptor above 2 leaks into them, cwd is /, signals are fresh. */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/env.h"

#define TEXT_MOST (64 * 1024)

static void child_files(const struct proc *p, const int fds[3])
{
    int at[4] = { -1, -1, -1, -1 };
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++)
        at[i] = fcntl(fds[i] >= 0 ? fds[i] : null, F_DUPFD, 16);
    if (p->pass_as)
        at[3] = fcntl(p->pass_from, F_DUPFD, 16);
    for (int i = 0; i < 3; i++)
        dup2(at[i], i);
    int first = 3;
    if (p->pass_as) {
        dup2(at[3], p->pass_as);
        first = p->pass_as + 1;
        for (int i = 3; i < p->pass_as; i++)
            close(i);
    }
    syscall(SYS_close_range, (unsigned)first, ~0U, 0);
}

static _Noreturn void child_main(const struct proc *p, const int fds[3])
{
    static const char *const plain_env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL };
    sigset_t none;
    child_files(p, fds);
    sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    if (chdir("/") == 0)
        execve(p->argv[0], (char *const *)(uintptr_t)p->argv, (char *const *)(uintptr_t)(p->env ? p->env : plain_env));
    _exit(127);
}

int proc_spawn(struct proc *p, pid_t *ret_pid, struct kl_err *err)
{
    const int fds[3] = { p->in, p->out, p->err };
    pid_t pid = fork();
    if (pid < 0)
        return kl_err_set(err, KL_UNAVAILABLE, "cannot start '%s': %s", p->argv[0], strerror(errno));
    if (pid == 0)
        child_main(p, fds);
    *ret_pid = pid;
    return 0;
}

static int open_pidfd(int pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Everything it says is read, the first 64 KiB are kept. */
static void take_text(int *fd, struct buf *text)
{
    char chunk[4096];
    ssize_t n = read(*fd, chunk, sizeof chunk);
    if (n > 0 && text->len < TEXT_MOST)
        buf_add(text, chunk, (size_t)n);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close(*fd);
        *fd = -1;
    }
}

bool proc_kill_named(const char *pid_file)
{
    _cleanup_buf_ struct buf b = BUF_INIT(256);
    int64_t pid;
    return pid_file && fs_read(AT_FDCWD, pid_file, 32, &b, NULL) == 0 && str_int(str_trim(buf_str(&b)), &pid) && pid > 1 &&
           kill((pid_t)pid, SIGKILL) == 0;
}

static int give_up(const struct proc *p)
{
    if (p->deadline_ns && env_mono_ns() >= p->deadline_ns)
        return KL_TIMEOUT;
    return p->call && kl_cancelled(p->call) ? KL_CANCELLED : 0;
}

/* The process behind it first: its parent then ends by itself, having reaped it. */
static void end_it(const struct proc *p, int pidfd, pid_t pid)
{
    if (!proc_kill_named(p->pid_file) || !proc_wait(pidfd, 2 * NS_PER_S, NULL))
        kill(pid, SIGKILL);
}

/* Who reads its output and goes away is noticed at once, a cancelled call without output a little later. */
static int wait_end(const struct proc *p, int pidfd, int *text_fd, pid_t pid)
{
    int out = p->out, most = out >= 0 ? 1000 : 200;
    for (int why = 0;;) {
        struct pollfd at[3] = { { .fd = pidfd, .events = POLLIN }, { .fd = *text_fd, .events = POLLIN }, { .fd = out } };
        int64_t left = p->deadline_ns ? (p->deadline_ns - env_mono_ns()) / NS_PER_MS + 1 : most;
        poll(at, 3, (int)(left < 0 ? 0 : left > most ? most : left));
        if (at[2].revents)
            out = -1;
        if (*text_fd >= 0 && at[1].revents)
            take_text(text_fd, p->text);
        if (at[0].revents)
            return why;
        if (why == 0 && (why = give_up(p)) != 0)
            end_it(p, pidfd, pid);
    }
}

int proc_run(struct proc *p, struct kl_err *err)
{
    int ends[2] = { -1, -1 }, status = 0;
    pid_t pid;
    if (p->err == -2 && pipe2(ends, O_CLOEXEC) < 0)
        return kl_err_set(err, KL_INTERNAL, "no pipe: %s", strerror(errno));
    struct proc own = *p;
    own.err = p->err == -2 ? ends[1] : p->err;
    int rc = proc_spawn(&own, &pid, err);
    if (ends[1] >= 0)
        close(ends[1]);
    int text_fd = ends[0];
    if (rc == 0) {
        _cleanup_close_ int pidfd = open_pidfd(pid);
        int why = wait_end(p, pidfd, &text_fd, pid);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (text_fd >= 0 && fcntl(text_fd, F_SETFL, O_NONBLOCK) == 0)
            take_text(&text_fd, p->text);
        rc = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        if (why)
            rc = kl_err_set(err, why, "'%s' was ended: %s", p->argv[0], why == KL_TIMEOUT ? "its time was up" : "cancelled");
    }
    if (text_fd >= 0)
        close(text_fd);
    return rc;
}

uint64_t proc_start_time(int pid)
{
    char path[64];
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 17);
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (pid <= 0 || fs_read(AT_FDCWD, path, 4096, &b, NULL) < 0)
        return 0;
    const char *at = strrchr(b.at, ')');        /* the name may hold anything */
    struct str rest = at ? str_of(at + 2) : STR_NONE, part = STR_NONE;
    for (int i = 0; i < 20 && rest.at; i++)     /* field 22 of the line is the 20th from here */
        part = str_cut(&rest, ' ');
    int64_t start = 0;
    bool dead = at && (at[2] == 'Z' || at[2] == 'X');
    return !dead && str_int(part, &start) ? (uint64_t)start : 0;
}

bool proc_alive(int pid, uint64_t start)
{
    return pid > 0 && start != 0 && proc_start_time(pid) == start;
}

int proc_open(int pid, uint64_t start)
{
    int fd = pid > 0 ? open_pidfd(pid) : -1;
    if (fd >= 0 && !proc_alive(pid, start)) {       /* asked after the open: the pid cannot be reused in between */
        close(fd);
        return -1;
    }
    return fd;
}

bool proc_wait(int pidfd, int64_t timeout_ns, const struct kl_call *c)
{
    int64_t until = env_mono_ns() + timeout_ns;
    for (;;) {
        struct pollfd at = { .fd = pidfd, .events = POLLIN };
        int64_t left = (until - env_mono_ns()) / NS_PER_MS;
        if (poll(&at, 1, (int)(left < 0 ? 0 : left > 200 ? 200 : left)) > 0)
            return true;
        if (left <= 0 || (c && kl_cancelled(c)))
            return false;
    }
}
