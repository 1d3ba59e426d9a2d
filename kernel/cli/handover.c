/* handover.c - another process goes on with what this one does: the same program, or a newer one. See README.md.
 *
 * It is started with our listening sockets and makes itself ready, and is told what happened so far, while we serve. Then controllers end; requests
 * are held until those under way are over; the store is given up; the other one takes it and serves. From then on we pass on what comes on the
 * connections that stand here, and end with the last of them. Until it serves, anything that goes wrong ends it and we go on as before.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/log.h"
#include "cli/daemon-internal.h"
#include "cli/handover.h"
#include "cli/message.h"

#define READY_NS  (120 * NS_PER_S)      /* to start and to read what happened */
#define CALLS_NS  (300 * NS_PER_S)      /* for calls of controllers under way (an image is pulled); requests are answered meanwhile */
#define FEW       200                   /* events: little enough to be told while requests wait */
#define ROUNDS    5                     /* of telling what has happened since the one before; then it is told, however much it is */
#define DRAIN_NS  (2 * NS_PER_S)        /* for requests under way; those that wait for others longer begin anew in the other process */
#define SERVE_NS  (60 * NS_PER_S)       /* to take the store and serve */
#define LINGER_NS (3600 * NS_PER_S)     /* for connections that do not go by themselves */
#define END_NS    (5 * NS_PER_S)        /* for calls of plugins that are still under way then */
#define LATER_NS  (3 * NS_PER_S)        /* what may take its time is ended when nobody waits any more */

enum step { STARTING = 1, TELLING, STOPPING, CATCHING_UP, DRAINING, GIVEN, FOLLOWED };

struct handover {
    struct daemon *d;
    enum step step;
    pid_t pid;
    int fd;
    struct loop_fd *watch;
    struct loop_timer timer;
    struct loop_hook hook;
    struct http_req *asker;             /* NULL: a signal, or it has gone */
    int64_t linger_ns, held_ns;         /* held_ns: since when requests wait */
    struct store_parcel *parcel;        /* being written */
    int pipe, write_rc;
    uint64_t told;                      /* revision up to which it knows what happened */
    size_t news;                        /* events of the last parcel */
    unsigned rounds;
    bool writing, stopping, failed;     /* a worker is at the parcel; controllers are ending; it is over, but for these two */
    bool resting;                       /* no controller runs any more */
};

/* --- who asked --- */

static void asker_gone(void *ctx)
{
    ((struct handover *)ctx)->asker = NULL;
}

static void tell_asker(struct handover *h, int status, const char *text)
{
    struct http_req *r = h->asker;
    h->asker = NULL;
    if (!r)
        return;
    http_on_close(r, NULL, NULL);
    handover_reply(r, status, text);
}

/* --- failure: we go on --- */

static void forget(struct handover *h)
{
    h->d->handover = NULL;
    mem_free(h);
}

void handover_free(struct handover *h)
{
    if (!h)
        return;
    loop_timer_stop(&h->timer);
    loop_fd_free(h->watch);
    if (h->fd >= 0)
        close(h->fd);
    mem_free(h);
}

void handover_release(struct daemon *d)
{
    for (struct list *n; (n = list_pop(&d->held));) {
        struct held *x = list_item(n, struct held, link);
        d->n_held--;
        http_on_close(x->req, NULL, NULL);
        x->handle(d, x->req);
    }
}

static void hold_sockets(struct daemon *d, bool hold)
{
    for (int i = 0; i < SOCKET_CONTROL; i++)
        if (d->sockets[i].server)
            http_server_hold(d->sockets[i].server, hold);
}

static void resume_controllers(struct daemon *d)
{
    struct kl_err err;
    kl_err_init(&err);
    if (plugin_host_run(d->host, &err) < 0)
        log_error("server", "%s", err.msg);
    schedule_pause(d->schedule, false);
}

/* The other one has not written: it writes only when it serves. */
static void take_store_back(struct daemon *d)
{
    struct kl_err err;
    kl_err_init(&err);
    struct plugin_instance *i = plugin_host_take_again(d->host, KL_STORE_0, &err) == 0 ? plugin_host_find(d->host, KL_STORE_0, NULL, &err) : NULL;
    const struct kl_store *provider = i ? i->provider->table : NULL;
    if (!i || provider->revision(i->self) != store_revision(d->store)) {
        log_error("server", "the store cannot be taken back, this process ends: %s", i ? "somebody has written to it" : err.msg);
        _exit(1);                       /* what was acknowledged lasts; a start reads it */
    }
    store_thaw(d->store, provider, i->self);
}

static void end_heir(struct handover *h)
{
    loop_fd_free(h->watch);
    h->watch = NULL;
    loop_timer_stop(&h->timer);
    list_remove(&h->hook.link);
    if (h->pid > 0) {
        kill(h->pid, SIGKILL);
        while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (h->fd >= 0)
        close(h->fd);
    h->pid = 0;
    h->fd = -1;
}

static void fail(struct handover *h, const char *why)
{
    struct daemon *d = h->d;
    enum step step = h->step;
    if (h->failed)
        return;
    h->failed = true;
    end_heir(h);
    log_error("server", "no other process takes over, this one goes on: %s", why);
    if (step == GIVEN)
        take_store_back(d);
    if (step >= DRAINING) {
        d->mode = MODE_SERVE;
        hold_sockets(d, false);
        handover_release(d);
    }
    if (step >= STOPPING && !h->stopping)
        resume_controllers(d);
    tell_asker(h, 500, why);
    if (!h->writing && !h->stopping)
        forget(h);
}

static void out_of_time(void *ctx)
{
    static const char *const what[] = { "", "the other process is not ready after two minutes", "the other process is not ready after two minutes",
                                        "calls of controllers do not end", "the other process does not listen", "", "the other process does not serve after a minute", "" };
    struct handover *h = ctx;
    fail(h, what[h->step]);
}

static void fail_errno(struct handover *h, const char *what, int rc)
{
    char why[200];
    snprintf(why, sizeof why, "%s: %s", what, strerror(-rc));
    fail(h, why);
}

/* --- in the end: the other one serves --- */

static void all_over(void *ctx)
{
    loop_stop(((struct daemon *)ctx)->loop);
}

static void too_long(void *ctx)
{
    ((struct daemon *)ctx)->hasty = true;       /* a plugin's call does not end */
    all_over(ctx);
}

static void one_closed(void *ctx)
{
    struct daemon_socket *x = ctx;
    struct daemon *d = x->daemon;
    x->server = NULL;
    for (int i = 0; i < SOCKETS; i++)
        if (d->sockets[i].server)
            return;
    log_info("server", "the last connection from before is over");
    loop_timer_start(d->loop, &d->patience, END_NS, too_long, d);
    api_stop(d->api, all_over, d);
}

/* Ends what nobody waits for. It may join threads. */
static void retire_plugins(void *ctx)
{
    struct handover *h = ctx;
    plugin_host_retire(h->d->host);
    store_forget_events(h->d->store);   /* objects stay: streams of nodes look at them */
}

static void followed(struct handover *h)
{
    struct daemon *d = h->d;
    struct kl_err err;
    char text[200];
    kl_err_init(&err);
    h->step = FOLLOWED;
    loop_timer_stop(&h->timer);
    int64_t waited_ms = (env_mono_ns() - h->held_ns) / NS_PER_MS;
    snprintf(text, sizeof text, "process %d goes on; requests waited for %lld ms", (int)h->pid, (long long)waited_ms);
    log_info("server", "%s", text);
    if (http_relay_new(d->loop, d->relay_path, &d->relay, &err) < 0) {
        log_error("server", "%s", err.msg);
        _exit(1);
    }
    d->mode = MODE_RELAY;
    d->pid_file[0] = '\0';
    d->has_door = false;                /* they are the other one's now */
    handover_release(d);
    api_retire(d->api, d->relay);
    tell_asker(h, 200, text);
    for (int i = 0; i < SOCKETS; i++)   /* nothing passes on what comes to the node's port: its connections end as soon as they have nothing to do */
        if (d->sockets[i].server)
            (i == SOCKET_NODE ? http_server_close : http_server_retire)(d->sockets[i].server, h->linger_ns, one_closed, &d->sockets[i]);
    loop_timer_start(d->loop, &h->timer, LATER_NS, retire_plugins, h);
}

bool handover_stop(struct daemon *d)
{
    if (d->handover && !d->handover->failed && d->handover->step < FOLLOWED)
        fail(d->handover, "the server is to stop");
    if (d->mode != MODE_RELAY)
        return false;
    for (int i = 0; i < SOCKETS; i++)
        if (d->sockets[i].server)
            http_server_close(d->sockets[i].server, NS_PER_S, one_closed, &d->sockets[i]);
    return true;
}

/* --- giving the store up --- */

static int memory_file(void)
{
    int fd = memfd_create("keelson-events", MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static void give(struct handover *h)
{
    struct daemon *d = h->d;
    list_remove(&h->hook.link);
    h->step = GIVEN;
    store_freeze(d->store);
    struct store_parcel *p = store_parcel_new(d->store, h->told);
    int file = p ? memory_file() : -ENOMEM, rc = file < 0 ? file : store_parcel_write(p, file);
    store_parcel_free(p);
    plugin_host_let_go(d->host, KL_STORE_0);
    if (rc == 0 && lseek(file, 0, SEEK_SET) < 0)
        rc = -errno;
    if (rc == 0)
        rc = message_send(h->fd, "go", file);
    if (file >= 0)
        close(file);
    if (rc < 0)
        fail_errno(h, "the other process cannot be told to go on", rc);
    else
        loop_timer_start(d->loop, &h->timer, SERVE_NS, out_of_time, h);
}

static void give_now(void *ctx)
{
    struct handover *h = ctx;
    for (int i = 0; i < SOCKET_CONTROL; i++)
        if (h->d->sockets[i].server)
            http_server_rehandle(h->d->sockets[i].server);     /* they are held like the rest */
    if (h->resting)
        give(h);
    else
        fail(h, "calls of controllers do not end");
}

/* Each turn: are those over that came before? */
static void drained(void *ctx)
{
    struct handover *h = ctx;
    unsigned n = 0;
    for (int i = 0; i < SOCKET_CONTROL; i++)
        if (h->d->sockets[i].server)
            n += http_server_waiting(h->d->sockets[i].server);
    if (n == h->d->n_held && h->resting)
        give(h);
}

/* --- telling what happened --- */

static void write_parcel(void *ctx)
{
    struct handover *h = ctx;
    h->write_rc = store_parcel_write(h->parcel, h->pipe);
}

static void parcel_written(void *ctx)
{
    struct handover *h = ctx;
    h->writing = false;
    h->told = store_parcel_revision(h->parcel);
    h->news = store_parcel_events(h->parcel);
    store_parcel_free(h->parcel);
    h->parcel = NULL;
    close(h->pipe);
    if (h->failed && !h->stopping)
        forget(h);
    else if (!h->failed && h->write_rc < 0)
        fail_errno(h, "the other process cannot be told what happened", h->write_rc);
}

/* All that there is, or what is new. The other one reads while a worker writes; it answers when it has read all. */
static void tell(struct handover *h)
{
    int ends[2] = { -1, -1 };
    int rc = pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
    if (rc == 0)
        fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
    h->parcel = rc == 0 ? store_parcel_new(h->d->store, h->told) : NULL;
    if (rc == 0)
        rc = h->parcel ? message_send(h->fd, "events", ends[0]) : -ENOMEM;
    if (ends[0] >= 0)
        close(ends[0]);
    if (rc < 0) {
        store_parcel_free(h->parcel);
        h->parcel = NULL;
        if (ends[1] >= 0)
            close(ends[1]);
        fail_errno(h, "the other process cannot be told what happened", rc);
        return;
    }
    h->rounds++;
    h->pipe = ends[1];
    h->writing = true;
    loop_work(h->d->loop, write_parcel, parcel_written, h);
}

/* The last controllers, by which requests are decided. */
static void deciders_ended(void *ctx)
{
    struct handover *h = ctx;
    h->stopping = false;
    h->resting = !h->failed;
    if (!h->failed)
        return;                         /* drained looks on */
    resume_controllers(h->d);
    if (!h->writing)
        forget(h);
}

static void hold_requests(struct handover *h)
{
    struct daemon *d = h->d;
    h->step = DRAINING;
    h->held_ns = env_mono_ns();
    d->mode = MODE_HOLD;
    hold_sockets(d, true);
    loop_timer_start(d->loop, &h->timer, DRAIN_NS, give_now, h);
    loop_hook_add(d->loop, &h->hook, drained, h);
    h->stopping = true;
    plugin_host_stop(d->host, deciders_ended, h);
}

static void controllers_ended(void *ctx)
{
    struct handover *h = ctx;
    h->stopping = false;
    if (h->failed) {
        resume_controllers(h->d);
        if (!h->writing)
            forget(h);
        return;
    }
    h->step = CATCHING_UP;
    loop_timer_start(h->d->loop, &h->timer, READY_NS, out_of_time, h);
    tell(h);
}

static void stop_controllers(struct handover *h)
{
    h->step = STOPPING;
    h->stopping = true;
    loop_timer_start(h->d->loop, &h->timer, CALLS_NS, out_of_time, h);
    schedule_pause(h->d->schedule, true);
    plugin_host_stop_others(h->d->host, controllers_ended, h);
}

/* It has read; the parcel's end may not have come back from its worker yet. */
static void has_read(struct handover *h)
{
    struct daemon *d = h->d;
    if (h->writing)
        loop_work_join(d->loop, h);
    if (d->handover != h || h->failed)
        return;
    if (h->news > FEW && h->rounds < ROUNDS)
        tell(h);
    else if (h->step == TELLING)
        stop_controllers(h);
    else
        hold_requests(h);
}

/* --- the other process --- */

static void heir_gone(struct handover *h)
{
    char why[120];
    int status = 0;
    if (h->step == FOLLOWED) {
        log_info("server", "the process that followed has ended, and so does this one");
        loop_fd_free(h->watch);
        h->watch = NULL;
        handover_stop(h->d);
        return;
    }
    kill(h->pid, SIGKILL);              /* it may have closed no more than its socket */
    while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
        ;
    h->pid = 0;
    if (WIFSIGNALED(status))
        snprintf(why, sizeof why, "the other process was ended by signal %d", WTERMSIG(status));
    else
        snprintf(why, sizeof why, "the other process ended with status %d before it served", WEXITSTATUS(status));
    fail(h, why);
}

static void begin_telling(struct handover *h)
{
    h->step = TELLING;
    tell(h);
}

static void heard(struct handover *h, const char *text)
{
    if (strncmp(text, "failed ", 7) == 0)
        fail(h, text + 7);
    else if (strcmp(text, "ready") == 0 && h->step == STARTING)
        begin_telling(h);
    else if (strcmp(text, "read") == 0 && (h->step == TELLING || h->step == CATCHING_UP))
        has_read(h);
    else if (strcmp(text, "serving") == 0 && h->step == GIVEN)
        followed(h);
    else
        fail(h, "the other process says what is not understood");
}

static void on_message(void *ctx, int events)
{
    struct handover *h = ctx;
    char text[MESSAGE_MOST];
    int passed;
    (void)events;
    int rc = message_receive(h->fd, text, &passed);
    if (passed >= 0)
        close(passed);
    if (rc <= 0)
        heir_gone(h);
    else if (h->step < FOLLOWED)
        heard(h, text);
}

static int start(struct handover *h, const char *binary, struct kl_err *err)
{
    struct heir_start s = { .binary = binary };
    for (int i = 0; i < SOCKETS; i++)
        s.sockets[i] = h->d->sockets[i].server ? http_server_fd(h->d->sockets[i].server) : -1;
    int rc = heir_start(&s, &h->pid, &h->fd, err);
    if (rc < 0)
        return rc;
    h->watch = loop_fd_new(h->d->loop, h->fd, on_message, h);
    if (!h->watch)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    loop_fd_set(h->watch, LOOP_READ);
    loop_timer_start(h->d->loop, &h->timer, READY_NS, out_of_time, h);
    return 0;
}

int handover_begin(struct daemon *d, struct http_req *asker, const char *binary, int64_t linger_ns, struct kl_err *err)
{
    if (d->handover || d->stopping)
        return kl_err_set(err, KL_CONFLICT, "%s", d->stopping ? "the server is stopping" : d->mode == MODE_RELAY ?
                          "another process goes on already" : "another process is just taking over");
    if (!d->sockets[SOCKET_RELAY].server)
        return kl_err_set(err, KL_UNAVAILABLE, "the server could not make its local sockets; its log says why");
    struct handover *h = d->handover = mem_alloc(sizeof *h);
    if (!h)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    h->d = d;
    h->fd = -1;
    h->step = STARTING;
    h->linger_ns = linger_ns ? linger_ns : LINGER_NS;
    list_init(&h->hook.link);
    int rc = start(h, binary, err);
    if (rc < 0) {
        end_heir(h);
        forget(h);
        return rc;
    }
    log_info("server", "process %d is to go on", (int)h->pid);
    h->asker = asker;
    if (asker)
        http_on_close(asker, asker_gone, h);
    return 0;
}
