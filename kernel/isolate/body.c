/* body.c - one life of a child: its process, its memory, its lanes, its end. */
#include "isolate-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sandbox.h"

int isolate_thread(pthread_t *t, void *(*run)(void *), void *ctx, size_t stack)
{
    pthread_attr_t attr;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, stack);
    int rc = pthread_create(t, &attr, run, ctx);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}

/* --- birth --- */

struct ends {                           /* the child's */
    int socket, memory, up, down, output, copy;
};

static void close_ends(struct ends *e)
{
    int *all[] = { &e->socket, &e->memory, &e->up, &e->down, &e->output, &e->copy };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (*all[i] >= 0)
            close(*all[i]);
}

static int make_channels(struct body *b, struct ends *e)
{
    int pair[2], pipes[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    lane_post_init(&b->post, pair[0]);
    e->socket = pair[1];
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return -1;
    b->output = pipes[0];
    e->output = pipes[1];
    fcntl(b->output, F_SETFL, O_NONBLOCK);
    b->up = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    b->down = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    e->up = fcntl(b->up, F_DUPFD_CLOEXEC, 16);
    e->down = fcntl(b->down, F_DUPFD_CLOEXEC, 16);
    e->memory = memfd_create("keelson-plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (b->up < 0 || b->down < 0 || e->up < 0 || e->down < 0 || e->memory < 0 || ftruncate(e->memory, (off_t)lanes_bytes()) < 0)
        return -1;
    /* Nobody can cut it short under us. */
    if (fcntl(e->memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -1;
    b->shared = mmap(NULL, lanes_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, e->memory, 0);
    if (b->shared == MAP_FAILED) {
        b->shared = NULL;
        return -1;
    }
    lanes_make(b->shared);
    for (unsigned i = 0; i < LANES; i++)
        lane_init(&b->lanes[i], b->shared, i, SIDE_DAEMON, &b->post, &b->dead);
    return 0;
}

/* Ends are above the numbers they become: no dup2 tramples on another. */
static int above(int *fd)
{
    int high = *fd >= 16 ? *fd : fcntl(*fd, F_DUPFD_CLOEXEC, 16);
    if (high != *fd && high >= 0)
        close(*fd);
    if (high >= 0)
        *fd = high;
    return high;
}

static int start(struct body *b, struct ends *e)
{
    struct cell *c = b->cell;
    char *argv[ALLOW_MOST + 8] = { "keelson", "plugin-cell", c->name, (char *)(uintptr_t)isolate_level_text(c->conf.level), c->file, "file" };
    static char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    if (c->conf.copy >= 0 && (e->copy = fcntl(c->conf.copy, F_DUPFD_CLOEXEC, 16)) < 0)
        return errno;
    argv[5] = e->copy >= 0 ? "copy" : "file";
    for (unsigned i = 0; c->conf.allow && c->conf.allow[i] && i < ALLOW_MOST; i++)
        argv[6 + i] = (char *)(uintptr_t)c->conf.allow[i];
    if (above(&e->socket) < 0 || above(&e->memory) < 0 || above(&e->up) < 0 || above(&e->down) < 0 || above(&e->output) < 0)
        return errno;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, e->output, 1);
    posix_spawn_file_actions_adddup2(&files, e->output, 2);
    posix_spawn_file_actions_adddup2(&files, e->socket, CHILD_SOCKET);
    posix_spawn_file_actions_adddup2(&files, e->memory, CHILD_MEMORY);
    posix_spawn_file_actions_adddup2(&files, e->up, CHILD_UP);
    posix_spawn_file_actions_adddup2(&files, e->down, CHILD_DOWN);
    if (e->copy >= 0)
        posix_spawn_file_actions_adddup2(&files, e->copy, CHILD_COPY);
    posix_spawn_file_actions_addclosefrom_np(&files, e->copy >= 0 ? CHILD_COPY + 1 : CHILD_COPY);
    posix_spawnattr_init(&attr);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawn(&b->pid, "/proc/self/exe", &files, &attr, argv, env);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

int body_new(struct cell *c, struct body **ret, struct kl_err *err)
{
    struct ends e = { -1, -1, -1, -1, -1, -1 };
    struct body *b = mem_alloc(sizeof *b);
    if (!b)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    b->cell = c;
    b->generation = ++c->bodies;
    b->refs = 1;
    b->pid = b->pidfd = b->up = b->down = b->output = b->post.socket = -1;
    pthread_mutex_init(&b->lock, NULL);
    int rc = make_channels(b, &e) < 0 ? errno : start(b, &e);
    if (rc == 0 && (b->pidfd = (int)syscall(SYS_pidfd_open, b->pid, 0)) < 0) {
        rc = errno;
        kill(b->pid, SIGKILL);
        waitpid(b->pid, NULL, 0);
    }
    close_ends(&e);
    if (rc != 0) {
        body_free(b);
        return kl_err_set(err, KL_UNAVAILABLE, "a process for plugin '%s' cannot be started: %s", c->name, strerror(rc));
    }
    pthread_mutex_lock(&c->lock);
    c->alive++;
    pthread_mutex_unlock(&c->lock);
    *ret = b;
    return 0;
}

/* --- use --- */

struct body *body_get(struct cell *c)
{
    pthread_mutex_lock(&c->lock);
    struct body *b = c->body;
    if (b)
        b->refs++;
    pthread_mutex_unlock(&c->lock);
    return b;
}

void body_put(struct body *b)
{
    struct cell *c = b->cell;
    pthread_mutex_lock(&c->lock);
    bool last = --b->refs == 0;
    pthread_mutex_unlock(&c->lock);
    if (!last)
        return;
    body_free(b);
    pthread_mutex_lock(&c->lock);
    c->alive--;
    pthread_cond_broadcast(&c->moved);
    pthread_mutex_unlock(&c->lock);
}

struct lane *body_lane(struct body *b)
{
    struct lane *l = NULL;
    uint64_t one = 1;
    pthread_mutex_lock(&b->lock);
    for (unsigned i = 1; i < LANES_DOWN && !l; i++)
        if (!b->lanes[i].busy)
            l = &b->lanes[i];
    if (l) {
        l->busy = true;
        if (!l->started && write(b->down, &one, sizeof one) == sizeof one)
            l->started = true;
    }
    pthread_mutex_unlock(&b->lock);
    return l;
}

void body_lane_done(struct body *b, struct lane *l)
{
    pthread_mutex_lock(&b->lock);
    l->busy = false;
    pthread_mutex_unlock(&b->lock);
}

static void *up_main(void *ctx)
{
    struct lane *l = ctx;
    struct body *b = (struct body *)(void *)((char *)(l - l->index) - offsetof(struct body, lanes));
    const struct lane_patience p = { 0 };
    struct lane_message m;
    int rc = LANE_OK;
    while (rc == LANE_OK && (rc = lane_receive(l, &m, &p)) == LANE_OK)
        rc = m.type == MESSAGE_CALL ? body_answer(b, l, &m) : LANE_BROKEN;
    if (rc == LANE_BROKEN)
        body_end(b, "sends what is no message");
    body_put(b);
    return NULL;
}

void body_more_up(struct body *b)
{
    pthread_t t;
    uint64_t n;
    if (read(b->up, &n, sizeof n) != sizeof n)
        return;
    for (; n && b->n_up < LANES_UP; n--) {
        struct lane *l = &b->lanes[LANES_DOWN + b->n_up++];
        pthread_mutex_lock(&b->cell->lock);
        b->refs++;
        pthread_mutex_unlock(&b->cell->lock);
        if (isolate_thread(&t, up_main, l, 512 << 10) == 0)
            pthread_detach(t);
        else
            body_put(b);
    }
}

/* --- end --- */

void body_end(struct body *b, const char *fmt, ...)
{
    va_list ap;
    pthread_mutex_lock(&b->lock);
    if (!b->verdict[0] && !atomic_load(&b->dead)) {
        va_start(ap, fmt);
        vsnprintf(b->verdict, sizeof b->verdict, fmt, ap);
        va_end(ap);
        syscall(SYS_pidfd_send_signal, b->pidfd, SIGKILL, NULL, 0);
    }
    pthread_mutex_unlock(&b->lock);
}

void body_reap(struct body *b, char *why, size_t room)
{
    int status = 0;
    const char *doing = NULL;
    kill(-b->pid, SIGKILL);             /* what it has started and not moved away */
    waitpid(b->pid, &status, 0);
    cgroup_end(b->cell->name, b->pid, b->cell->conf.level == ISOLATE_SANDBOX);
    pthread_mutex_lock(&b->lock);
    atomic_store(&b->dead, true);
    for (unsigned i = 0; i < LANES && !doing; i++)
        doing = b->doing[i];
    if (b->verdict[0])
        snprintf(why, room, "%s", b->verdict);
    else if (WIFSIGNALED(status))
        snprintf(why, room, "died by signal %d (%s)%s%s", WTERMSIG(status), strsignal(WTERMSIG(status)), doing ? " in " : "", doing ? doing : "");
    else
        snprintf(why, room, "exited with status %d%s%s", WEXITSTATUS(status), doing ? " in " : "", doing ? doing : "");
    pthread_mutex_unlock(&b->lock);
    lanes_wake(b->shared);
}

void body_free(struct body *b)
{
    int fds[] = { b->pidfd, b->up, b->down, b->output, b->post.socket };
    body_handles_end(b);
    if (b->post.socket >= 0)
        lane_post_end(&b->post);
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    for (unsigned i = 0; i < LANES; i++)
        buf_free(&b->lanes[i].out);
    if (b->shared)
        munmap(b->shared, lanes_bytes());
    pthread_mutex_destroy(&b->lock);
    mem_free(b);
}
