/* files.c - files, folders and child processes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "distro/internal.h"

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

int files_remove(const char *path)
{
    return nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

int files_read(const char *path, struct buf *ret, struct kl_err *err)
{
    char part[65536];
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0 && !ret->failed)
        if ((n = read(fd, part, sizeof part)) > 0)
            buf_add(ret, part, (size_t)n);
    if (n < 0)
        return kl_err_set(err, KL_NOT_FOUND, "'%s' cannot be read: %s", path, strerror(errno));
    return ret->failed ? kl_err_set(err, KL_TOO_LARGE, "'%s' is too large", path) : 0;
}

static int put(int fd, const char *at, size_t n)
{
    for (ssize_t k; n; at += k, n -= (size_t)k)
        if ((k = write(fd, at, n)) <= 0)
            return -1;
    return 0;
}

int files_write(const char *path, struct str text, mode_t mode, struct kl_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    bool ok = fd >= 0 && put(fd, text.at, text.len) == 0;
    int why = errno;
    if (fd >= 0 && close(fd) < 0) {
        ok = false;
        why = errno;
    }
    return ok ? 0 : kl_err_set(err, KL_UNAVAILABLE, "'%s' cannot be written: %s", path, strerror(why));
}

int files_copy(const char *from, const char *to, mode_t mode, struct kl_err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(FILE_LIMIT);
    int rc = files_read(from, &b, err);
    return rc < 0 ? rc : files_write(to, buf_str(&b), mode, err);
}

/* --- trees --- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int dots_out(const struct dirent *d)
{
    return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int walk(struct arena *a, const char *dir, const char *below, struct val *ret, struct kl_err *err)
{
    struct dirent **names = NULL;
    int rc = 0, n = scandir(dir, &names, dots_out, by_name);
    if (n < 0)
        return kl_err_set(err, KL_NOT_FOUND, "folder '%s' cannot be read: %s", dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        struct stat st;
        char path[PATH_MOST];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
        const char *name = arena_printf(a, "%s%s%s", below, below[0] ? "/" : "", names[i]->d_name);
        if (rc < 0 || !name)
            ;
        else if (lstat(path, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
            rc = kl_err_set(err, KL_INVALID, "'%s' is neither a file nor a folder: it has no place in a distribution", path);
        else if (S_ISREG(st.st_mode))
            val_push(ret, val_of_str(a, str_of(name)));
        else
            rc = walk(a, path, name, ret, err);
        free(names[i]);
    }
    free(names);
    return rc;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(val_str(*(struct val *const *)a), val_str(*(struct val *const *)b));
}

int files_list(struct arena *a, const char *dir, struct val **ret, struct kl_err *err)
{
    struct val *list = val_new(a, VAL_ARR);
    int rc = list ? walk(a, dir, "", list, err) : 0;
    struct val **all = rc == 0 && list ? arena_alloc(a, (list->n + 1) * sizeof(struct val *)) : NULL;
    unsigned n = 0;
    if (rc < 0)
        return rc;
    if (!all || arena_exhausted(a))
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    val_each(v, list)
        all[n++] = v;
    qsort(all, n, sizeof(struct val *), by_text);
    *ret = val_new(a, VAL_ARR);
    for (unsigned i = 0; i < n; i++) {
        all[i]->next = NULL;
        val_push(*ret, all[i]);
    }
    return *ret ? 0 : kl_err_set(err, KL_NO_MEMORY, "out of memory");
}

/* --- child processes --- */

static volatile sig_atomic_t running, interrupted;

static void pass_on(int sig)
{
    interrupted = sig;
    if (running > 0)
        kill((pid_t)running, SIGTERM);
}

void child_signals(void)
{
    struct sigaction act = { .sa_handler = pass_on };
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
}

static int check_interrupted(struct kl_err *err)
{
    return interrupted ? kl_err_set(err, KL_CANCELLED, "interrupted by signal %d: nothing is left of it", (int)interrupted) : 0;
}

static void become(const char *const *argv, int out, int said)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    int none = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(none, 0);
    dup2(out, 1);
    dup2(said, 2);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    dprintf(2, "'%s' cannot be run: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static int finish(pid_t pid, const char *name, struct kl_err *err)
{
    int status;
    running = pid;
    if (interrupted)
        kill(pid, SIGTERM);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return kl_err_set(err, KL_INTERNAL, "wait: %s", strerror(errno));
    running = 0;
    if (interrupted)
        return check_interrupted(err);
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return kl_err_set(err, KL_UNAVAILABLE, "'%s' ended by signal %d", name, WTERMSIG(status));
}

static void show_end(const char *path)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 << 20);
    struct kl_err ignored;
    kl_err_init(&ignored);
    if (files_read(path, &b, &ignored) < 0)
        return;
    size_t from = b.len;
    for (unsigned lines = 0; from > 0 && lines <= 40; from--)
        lines += b.at[from - 1] == '\n';
    fwrite(b.at + from, 1, b.len - from, stderr);
}

int child_run(struct distro *d, const char *const *argv, struct kl_err *err)
{
    _cleanup_close_ int out = open(d->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    fflush(NULL);
    pid_t pid = out < 0 ? -1 : fork();
    if (pid == 0)
        become(argv, out, out);
    int rc = pid < 0 ? kl_err_set(err, KL_INTERNAL, "fork: %s", strerror(errno)) : finish(pid, argv[0], err);
    if (rc > 0) {
        show_end(d->log);
        rc = kl_err_set(err, KL_UNAVAILABLE, "'%s' failed with status %d; the end of its output is above", argv[0], rc);
    }
    return rc;
}

int child_text(const char *const *argv, struct buf *ret, struct buf *said, struct kl_err *err)
{
    int out[2], other[2];
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(other, O_CLOEXEC) < 0)
        return kl_err_set(err, KL_INTERNAL, "pipe: %s", strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        become(argv, out[1], other[1]);
    close(out[1]);
    close(other[1]);
    for (struct pollfd p[] = { { out[0], POLLIN, 0 }, { other[0], POLLIN, 0 } }; pid > 0 && (p[0].fd >= 0 || p[1].fd >= 0);) {
        char part[4096];
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            break;
        for (int i = 0; i < 2; i++) {
            struct buf *to = i ? said : ret;
            if (p[i].fd < 0 || !p[i].revents)
                continue;
            ssize_t n = read(p[i].fd, part, sizeof part);
            if (n > 0 && to)
                buf_add(to, part, (size_t)n);
            if (n <= 0)
                p[i].fd = -1;
        }
    }
    close(out[0]);
    close(other[0]);
    return pid < 0 ? kl_err_set(err, KL_INTERNAL, "fork: %s", strerror(errno)) : finish(pid, argv[0], err);
}
