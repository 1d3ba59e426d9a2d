/* logs.c - a container's log for the API server: which file it is, or why there is none, and following it until the container ends. */
#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

#define LOOK_NS (5 * NS_PER_S)              /* between looks at things that come without an event */
#define BLIND_NS (250 * NS_PER_MS)          /* the same, when the kernel gives no more watches */
#define SETTLE_NS (2 * NS_PER_S)            /* for the monitor to write what the container left */

static bool is_state(const struct val *record, const char *state)
{
    return str_ends(json_str(record, "state"), str_of(state));
}

/* Why nothing has been written yet, as upstream's node says it. */
static int waiting(struct kl_call *c, const struct served *s, const char *pod, const char *container)
{
    struct str reason = json_str(s->status, "state.waiting.reason");
    if (!s->status)
        return kl_fail(c, KL_BAD_REQUEST, "container \"%s\" in pod \"%s\" is not available", container, pod);
    if (json_path(s->status, "state.terminated"))
        return kl_fail(c, KL_BAD_REQUEST, "container \"%s\" in pod \"%s\" is terminated", container, pod);
    if (str_is(reason, "ErrImagePull"))
        reason = STR("image can't be pulled");
    else if (str_is(reason, "ImagePullBackOff"))
        reason = STR("trying and failing to pull image");
    if (!reason.len)
        return kl_fail(c, KL_BAD_REQUEST, "container \"%s\" in pod \"%s\" is waiting to start - no logs yet", container, pod);
    return kl_fail(c, KL_BAD_REQUEST, "container \"%s\" in pod \"%s\" is waiting to start: " STR_FMT, container, pod, STR_ARG(reason));
}

static int choose(struct kl_call *c, const struct served *s, const struct kl_log_options *o, const char *pod, const char *container,
                  const struct val **ret)
{
    bool begun = s->now && !is_state(s->now, "CREATED");
    *ret = o->previous ? (begun ? s->before : NULL) : begun ? s->now : s->before;
    if (*ret)
        return 0;
    if (o->previous)
        return kl_fail(c, KL_BAD_REQUEST, "previous terminated container \"%s\" in pod \"%s\" not found", container, pod);
    return waiting(c, s, pod, container);
}

/* --- following --- */

struct follow {
    struct agent *agent;
    struct kl_call *call;
    const char *uid, *id;
    int inotify, pidfd, out;
    bool ended;
};

static bool still_runs(struct follow *f, int *ret_pid)
{
    struct own_call o;
    struct kl_bytes got = { NULL, 0 };
    bool runs = true;
    if (!own_call_init(&o, f->agent))
        return true;
    if (f->agent->rt->list(f->agent->rt_self, &o.call, f->uid, &got) == 0) {
        const struct val *list = agent_parse(o.arena.arena, &o.call, got), *all = json_get(list, STR("containers"));
        runs = false;
        if (val_is(all, VAL_ARR))
            val_each(v, all)
                if (str_is(json_str(v, "id"), f->id)) {
                    runs = is_state(v, "RUNNING");
                    *ret_pid = (int)json_int(v, "pid", 0);
                }
    }
    own_call_done(&o);
    return runs;
}

/* Its first process, to wake at its end: it still ran when it was asked after the descriptor was there. */
static void open_process(struct follow *f)
{
    int pid = 0, again = 0;
    f->ended = !still_runs(f, &pid);
    f->pidfd = f->ended || pid <= 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (f->ended)
        return;
    f->ended = !still_runs(f, &again);
    if (f->pidfd >= 0 && again != pid) {
        close(f->pidfd);
        f->pidfd = -1;
    }
}

static bool left(struct follow *f)
{
    struct pollfd at = { .fd = f->out };
    return kl_cancelled(f->call) || f->agent->stopping || (poll(&at, 1, 0) > 0 && at.revents & (POLLERR | POLLNVAL));
}

/* Until there may be more to read. False: nobody wants more. */
static bool await(struct follow *f)
{
    char events[4096] __attribute__((aligned(8)));
    struct pollfd at[] = { { .fd = f->inotify, .events = POLLIN }, { .fd = f->pidfd, .events = POLLIN }, { .fd = f->out } };
    int64_t most = f->inotify < 0 ? BLIND_NS : LOOK_NS;
    int n = poll(at, 3, (int)(most / NS_PER_MS));
    if (at[0].revents)
        while (read(f->inotify, events, sizeof events) > 0)
            ;
    if (left(f))
        return false;
    int pid = 0;
    if (at[1].revents || (n == 0 && f->inotify >= 0) || (f->pidfd < 0 && n == 0))
        f->ended = (at[1].revents != 0) || !still_runs(f, &pid);
    return true;
}

/* The monitor writes what it has, then notes the end. */
static void settle(struct follow *f)
{
    int pid = 0;
    for (int64_t until = env_mono_ns() + SETTLE_NS; env_mono_ns() < until && still_runs(f, &pid) && !left(f);)
        poll(NULL, 0, 20);
}

static void follow(struct follow *f, struct log_reader *r, const char *dir)
{
    f->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (f->inotify >= 0 && inotify_add_watch(f->inotify, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) {
        close(f->inotify);
        f->inotify = -1;
    }
    open_process(f);
    bool more = log_read(r);
    while (more && !f->ended)
        more = await(f) && log_read(r);
    if (more) {
        settle(f);
        log_read(r);
    }
    if (f->inotify >= 0)
        close(f->inotify);
    if (f->pidfd >= 0)
        close(f->pidfd);
}

static int copy(struct agent *a, struct kl_call *c, const struct served *s, const struct val *record, const struct kl_log_options *o, int fd)
{
    struct log_reader r;
    char *path = arena_dup(s->arena, json_str(record, "logPath")), *dir = arena_dup(s->arena, json_str(record, "logPath"));
    struct follow f = { a, c, arena_dup(s->arena, json_str(s->pod, "metadata.uid")), arena_dup(s->arena, json_str(record, "id")), -1, -1, fd, false };
    char *slash = dir ? strrchr(dir, '/') : NULL;
    if (!path || !slash || !f.uid || !f.id)
        return kl_fail(c, KL_INTERNAL, "the container has no log");
    *slash = '\0';
    int rc = log_open(&r, path, o, fd, &c->err);
    if (rc < 0)
        return rc;
    if (o->follow && record == s->now && is_state(record, "RUNNING"))
        follow(&f, &r, dir);
    else
        log_read(&r);
    log_close(&r);
    return 0;
}

int node_logs(void *self, struct kl_call *c, const char *ns, const char *pod, const char *container, const struct kl_log_options *o,
              int32_t fd)
{
    struct agent *a = self;
    struct served s = { .arena = arena_new(AGENT_ARENA_BYTES) };
    const struct val *record = NULL;
    int rc = s.arena ? serve_find(a, c, ns, pod, container, &s) : kl_fail(c, KL_NO_MEMORY, "no memory");
    if (rc == 0)
        rc = choose(c, &s, o, pod, container, &record);
    if (rc == 0)
        rc = copy(a, c, &s, record, o, fd);
    arena_free(s.arena);
    return rc;
}
