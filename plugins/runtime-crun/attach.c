/* attach.c - joining the streams of a container's first process, and telling its monitor about sizes and rotated logs. */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/env.h"
#include "stream.h"

#define MSG_RESIZE 1
#define MSG_REOPEN 2
#define TELL_NS (5 * NS_PER_S)          /* a monitor on a busy machine; past it a size may be lost */

/* conmon 2.1 takes the first of two lines that it reads at once twice: the one before must have been read. */
static void await_read(int fd)
{
    int left = 0;
    for (int64_t until = env_mono_ns() + TELL_NS; ioctl(fd, FIONREAD, &left) == 0 && left > 0 && env_mono_ns() < until;)
        poll(NULL, 0, 1);
}

/* conmon's control fifo takes lines of three numbers. */
static int tell(struct runtime *rt, const char *id, int what, unsigned height, unsigned width)
{
    char path[PATH_MAX], line[64];
    run_path(rt, path, "b", id, "ctl");
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd >= 0)
        await_read(fd);
    int n = snprintf(line, sizeof line, "%d %u %u\n", what, height, width);
    return fd < 0 || write(fd, line, (size_t)n) != n ? -errno : 0;
}

int container_must_run(struct runtime *rt, struct kl_call *c, const char *id, bool or_begin, bool *ret_stays)
{
    pthread_mutex_lock(&rt->lock);
    struct container *k = id_valid(id) ? container_find(rt, id) : NULL;
    if (k)
        container_refresh(rt, k);
    enum state state = k ? k->state : STATE_CREATING;
    if (ret_stays)
        *ret_stays = k && (k->stdin_once || k->tty);
    pthread_mutex_unlock(&rt->lock);
    if (!k)
        return kl_fail(c, KL_NOT_FOUND, "container '%.40s' is not there", id);
    return state == STATE_RUNNING || (or_begin && state == STATE_CREATED) ? 0 : kl_fail(c, KL_CONFLICT, "container '%s' is not running", id);
}

struct target {
    struct runtime *rt;
    const char *id;
};

static void set_size(void *ctx, unsigned columns, unsigned rows)
{
    const struct target *t = ctx;
    tell(t->rt, t->id, MSG_RESIZE, rows, columns);
}

/* The socket's path may be longer than an address holds: reach it through a descriptor of its folder. */
static int connect_attach(struct runtime *rt, struct kl_call *c, const char *id)
{
    char dir[PATH_MAX];
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    run_path(rt, dir, "b", id, NULL);
    _cleanup_close_ int folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/attach", folder);
    if (folder < 0 || fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
        return kl_fail(c, KL_UNAVAILABLE, "cannot attach to container '%s': %s", id, strerror(errno));
    return TAKE_FD(fd);
}

int rt_attach(void *self, struct kl_call *c, const char *id, const struct kl_runtime_io *io)
{
    bool stays;
    struct target t = { .rt = self, .id = id };
    int rc = container_must_run(t.rt, c, id, true, &stays);
    if (rc < 0)
        return rc;
    _cleanup_close_ int fd = connect_attach(t.rt, c, id);
    if (fd < 0)
        return fd;
    struct stream_pair pair = { .in = io->in, .out = io->out, .err = io->err, .far = fd, .done = -1,
                                .resize = io->tty ? io->resize : -1, .call = c, .set_size = set_size, .ctx = &t, .size_again = true, .in_ends = !stays };
    rc = stream_packets(&pair);
    return rc ? kl_fail(c, rc, "attach to container '%s' was ended: %s", id, rc == KL_TIMEOUT ? "its time was up" : "cancelled")
              : 0;
}

int rt_reopen_log(void *self, struct kl_call *c, const char *id)
{
    int rc = container_must_run(self, c, id, true, NULL);
    if (rc < 0)
        return rc;
    rc = tell(self, id, MSG_REOPEN, 0, 0);
    return rc == 0 ? 0 : kl_fail(c, KL_UNAVAILABLE, "the monitor of container '%s' does not listen: %s", id, strerror(-rc));
}
