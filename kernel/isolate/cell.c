/* cell.c - the life of a cell: its keeper starts a child, watches it, and starts it again when it ends without being told to: after 10 ms, then 20, ...,
 * at most 5 s. Five ends within a minute are enough: quarantine.
 */
#include "isolate-internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define ENDS_MOST    5u
#define ENDS_NS      (60 * NS_PER_S)
#define REST_NS      (10 * NS_PER_MS)
#define REST_MOST_NS (5 * NS_PER_S)
#define DESCRIBE_NS  (20 * NS_PER_S)
#define LINES_MOST   50u                /* of its standard error, each second */

const char *isolate_level_text(enum isolate_level l)
{
    static const char *const texts[] = { "none", "process", "sandbox" };
    return texts[l];
}

const char *cell_state_text(enum cell_state s)
{
    static const char *const texts[] = { "", "STARTING", "READY", "RESTARTING", "QUARANTINED", "CLOSED" };
    return texts[s];
}

/* --- states --- */

static void settle(struct cell *c)
{
    c->settled = true;
    pthread_cond_broadcast(&c->moved);
}

/* Whoever waits asks again. */
static void wake_waiting(struct cell *c)
{
    pthread_mutex_lock(&c->lock);
    unsigned n = c->n_waiting;
    uint64_t *ids = n ? mem_alloc(n * sizeof *ids) : NULL;
    if (ids)
        memcpy(ids, c->waiting, n * sizeof *ids);
    c->n_waiting = 0;
    pthread_mutex_unlock(&c->lock);
    for (unsigned i = 0; ids && i < n; i++)
        c->conf.wake(c->conf.ctx, ids[i]);
    mem_free(ids);
}

static void tell(struct cell *c, enum cell_state now, const char *why)
{
    if (c->conf.news)
        c->conf.news(c->conf.ctx, now, why);
    if (now != CELL_RESTARTING)
        wake_waiting(c);
}

static void publish(struct cell *c, struct body *b)
{
    pthread_mutex_lock(&c->lock);
    bool again = c->starts++ > 0;
    if (!c->ending) {
        c->body = b;
        c->state = CELL_RUNNING;
    }
    settle(c);
    pthread_mutex_unlock(&c->lock);
    if (again)
        tell(c, CELL_RUNNING, c->reason);
}

/* --- a child begins: describes itself, its instances are opened again. A thread of its own: the keeper looks after it meanwhile --- */

static void *call_alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static int begin(struct body *b, struct kl_call *c)
{
    struct cell *x = b->cell;
    struct kl_bytes text = { NULL, 0 };
    c->deadline_ns = env_mono_ns() + DESCRIBE_NS;
    int rc = body_errand(b, ERRAND_DESCRIBE, 0, NULL, c, &text);
    if (rc == 0)
        rc = text.at ? describe_get(x, text, &c->err) : kl_fail(c, KL_INVALID, "'%s' says nothing of itself", x->file);
    for (unsigned i = 0; i < x->n && rc >= 0; i++) {
        if (!x->instances[i].open)
            continue;
        struct buf settings = BUF_INIT(1 << 20);        /* a copy: they may be set anew meanwhile */
        pthread_mutex_lock(&x->lock);
        buf_add_str(&settings, buf_str(&x->instances[i].settings));
        pthread_mutex_unlock(&x->lock);
        c->deadline_ns = env_mono_ns() + 30 * NS_PER_S;
        rc = body_errand(b, ERRAND_OPEN, i, &settings, c, NULL);
        buf_free(&settings);
    }
    return rc;
}

static void *begin_main(void *ctx)
{
    struct body *b = ctx;
    struct cell *x = b->cell;
    struct arena *a = arena_new(16 << 20);
    struct kl_call c = { .size = sizeof c, .arena = a, .alloc = call_alloc };
    kl_err_init(&c.err);
    int rc = a ? begin(b, &c) : kl_fail(&c, KL_NO_MEMORY, "out of memory");
    if (rc >= 0) {
        publish(x, b);
    } else {
        pthread_mutex_lock(&x->lock);
        if (!x->settled)
            x->failure = c.err;
        pthread_mutex_unlock(&x->lock);
        body_end(b, "did not start: %s", c.err.msg);
    }
    arena_free(a);
    body_put(b);
    return NULL;
}

/* --- watching --- */

/* What it writes to standard output and error goes to the log, a line each, as long as it is not too much. */
static void read_output(struct body *b)
{
    static _Atomic int64_t second;
    static _Atomic uint32_t lines;
    char text[4096];
    ssize_t n = read(b->output, text, sizeof text - 1);
    int64_t now = env_mono_ns() / NS_PER_S;
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            close(b->output);
            b->output = -1;
        }
        return;
    }
    if (atomic_exchange(&second, now) != now)
        atomic_store(&lines, 0);
    for (struct str rest = str_n(text, (size_t)n); rest.at && rest.len;) {
        struct str line = str_cut(&rest, '\n');
        for (size_t i = 0; i < line.len; i++)
            if ((unsigned char)text[line.at - text + (ptrdiff_t)i] < ' ')
                text[line.at - text + (ptrdiff_t)i] = ' ';
        if (line.len && atomic_fetch_add(&lines, 1) < LINES_MOST)
            log_info(b->cell->name, STR_FMT, STR_ARG(line));
    }
}

/* Until the child has ended. */
static void watch(struct body *b)
{
    struct cell *c = b->cell;
    for (;;) {
        struct pollfd pf[] = { { b->pidfd, POLLIN, 0 }, { c->stop, POLLIN, 0 }, { b->up, POLLIN, 0 }, { b->output, POLLIN, 0 } };
        if (poll(pf, 4, -1) < 0 && errno != EINTR)
            break;
        if (pf[0].revents)
            break;
        if (pf[1].revents) {
            uint64_t n;
            ssize_t ignored = read(c->stop, &n, sizeof n);
            (void)ignored;
            body_end(b, "was closed");
        }
        if (pf[2].revents)
            body_more_up(b);
        if (pf[3].revents)
            read_output(b);
    }
    if (b->output >= 0)
        read_output(b);
}

/* With the lock. Has it ended too often? */
static bool enough(struct cell *c)
{
    int64_t now = env_mono_ns();
    unsigned n = 0;
    c->crashed_ns[c->crashes_n++ % ENDS_MOST] = now;
    for (unsigned i = 0; i < ENDS_MOST; i++)
        n += c->crashed_ns[i] && now - c->crashed_ns[i] < ENDS_NS;
    return n >= ENDS_MOST;
}

/* 10 ms, doubled with each end of the last minute. */
static int64_t rest_ns(const struct cell *c)
{
    int64_t now = env_mono_ns(), ns = REST_NS / 2;
    for (unsigned i = 0; i < ENDS_MOST; i++)
        if (c->crashed_ns[i] && now - c->crashed_ns[i] < ENDS_NS)
            ns *= 2;
    return ns < REST_MOST_NS ? ns : REST_MOST_NS;
}

static bool one_life(struct cell *c, char *why, size_t room)
{
    struct body *b;
    struct kl_err err;
    pthread_t t;
    kl_err_init(&err);
    if (body_new(c, &b, &err) < 0) {
        snprintf(why, room, "%s", err.msg);
        return false;
    }
    pthread_mutex_lock(&c->lock);
    b->refs++;
    pthread_mutex_unlock(&c->lock);
    if (isolate_thread(&t, begin_main, b, 512 << 10) == 0) {
        pthread_detach(t);
    } else {
        body_end(b, "has no thread to begin with");
        body_put(b);
    }
    watch(b);
    body_reap(b, why, room);
    pthread_mutex_lock(&c->lock);
    if (c->body == b)
        c->body = NULL;
    pthread_mutex_unlock(&c->lock);
    body_put(b);
    return true;
}

/* False: that was the last life. */
static bool after(struct cell *c, const char *why)
{
    pthread_mutex_lock(&c->lock);
    bool first = !c->settled, ending = c->ending, last = !ending && enough(c);
    snprintf(c->reason, sizeof c->reason, "%s", why);
    c->crashes += !ending;
    c->state = ending || first ? CELL_ENDED : last ? CELL_QUARANTINED : CELL_RESTARTING;
    if (first) {
        if (!c->failure.code || c->failure.code == KL_UNAVAILABLE)
            kl_err_set(&c->failure, KL_INVALID, "'%s' cannot be loaded: it %s", c->file, why);
        settle(c);
    }
    int64_t ns = rest_ns(c);
    pthread_mutex_unlock(&c->lock);
    if (ending || first)
        return false;
    log_error(c->name, "it %s; %s", why, last ? "it is not started again: too often" : "it is started again");
    tell(c, last ? CELL_QUARANTINED : CELL_RESTARTING, why);
    struct pollfd pf = { c->stop, POLLIN, 0 };
    if (!last)
        poll(&pf, 1, (int)(ns / NS_PER_MS) + 1);
    pthread_mutex_lock(&c->lock);
    bool goes_on = !last && !c->ending;
    pthread_mutex_unlock(&c->lock);
    return goes_on;
}

static void *keeper_main(void *ctx)
{
    struct cell *c = ctx;
    char why[300] = "";
    do
        one_life(c, why, sizeof why);
    while (after(c, why));
    return NULL;
}

/* --- from outside --- */

int cell_new(const struct cell_conf *conf, struct cell **ret, struct kl_err *err)
{
    struct cell *c = mem_alloc(sizeof *c);
    if (!c)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    tables_init(conf->signature);
    c->conf = *conf;
    c->state = CELL_STARTING;
    snprintf(c->name, sizeof c->name, "%s", conf->name);
    snprintf(c->file, sizeof c->file, "%s", conf->file);
    kl_err_init(&c->failure);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->moved, NULL);
    c->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->keeper_runs = c->stop >= 0 && isolate_thread(&c->keeper, keeper_main, c, 512 << 10) == 0;
    if (!c->keeper_runs) {
        cell_free(c);
        return kl_err_set(err, KL_UNAVAILABLE, "a process for plugin '%s' cannot be started: %s", conf->name, strerror(errno));
    }
    *ret = c;
    return 0;
}

int cell_describe(struct cell *c, const struct kl_plugin **ret, struct kl_err *err)
{
    pthread_mutex_lock(&c->lock);
    while (!c->settled)
        pthread_cond_wait(&c->moved, &c->lock);
    *ret = c->plugin;
    if (!c->plugin || c->failure.code)
        *err = c->failure;
    pthread_mutex_unlock(&c->lock);
    return *ret && !err->code ? 0 : -err->code;
}

static int hand_over(struct cell *c, enum errand what, unsigned i, const struct kl_host *h, const void *conf, void **ret_self, struct kl_call *call)
{
    if (i >= c->n || !c->instances[i].row)
        return kl_fail(call, KL_INVALID, "plugin '%s' has no such provider", c->name);
    struct cell_instance *x = &c->instances[i];
    buf_clear(&x->settings);
    open_put(x, h, conf, &x->settings);
    struct body *b = x->settings.failed ? NULL : body_get(c);
    if (!b)
        return kl_fail(call, KL_UNAVAILABLE, "plugin '%s' is not running%s%s", c->name, c->reason[0] ? ": it " : "", c->reason);
    x->host = h;
    int rc = body_errand(b, what, i, &x->settings, call, NULL);
    body_put(b);
    pthread_mutex_lock(&c->lock);
    x->open = rc >= 0 && what == ERRAND_OPEN;
    pthread_mutex_unlock(&c->lock);
    *ret_self = x;
    return rc;
}

int cell_open(struct cell *c, unsigned i, const struct kl_host *h, const void *conf, void **ret_self, struct kl_call *call)
{
    return hand_over(c, ERRAND_OPEN, i, h, conf, ret_self, call);
}

int cell_bind(struct cell *c, unsigned i, const struct kl_host *h, const void *conf, void **ret_self, struct kl_call *call)
{
    return hand_over(c, ERRAND_BIND, i, h, conf, ret_self, call);
}

void cell_fallback(struct cell *c, unsigned i, const void *(*find)(void *ctx, void **ret_self), void *ctx)
{
    if (i < c->n) {
        c->instances[i].find = find;
        c->instances[i].find_ctx = ctx;
    }
}

static bool all_gone(struct cell *c)
{
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 2;
    pthread_mutex_lock(&c->lock);
    while (c->alive && rc == 0)
        rc = pthread_cond_timedwait(&c->moved, &c->lock, &until);
    bool gone = !c->alive;
    pthread_mutex_unlock(&c->lock);
    return gone;
}

void cell_free(struct cell *c)
{
    uint64_t one = 1;
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->ending = true;
    c->body = NULL;
    pthread_mutex_unlock(&c->lock);
    if (c->keeper_runs) {
        ssize_t ignored = write(c->stop, &one, sizeof one);
        (void)ignored;
        pthread_join(c->keeper, NULL);
    }
    if (!all_gone(c))
        return;                         /* a call of the host's that does not end still uses it */
    if (c->stop >= 0)
        close(c->stop);
    for (unsigned i = 0; i < c->n; i++) {
        buf_free(&c->instances[i].settings);
        mem_free((char *)(uintptr_t)atomic_load(&c->instances[i].text));
    }
    arena_free(c->arena);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->moved);
    mem_free(c);
}

void cell_status(struct cell *c, struct cell_status *ret)
{
    pthread_mutex_lock(&c->lock);
    *ret = (struct cell_status){ .state = c->state, .pid = c->body ? (int)c->body->pid : 0, .starts = c->starts, .crashes = c->crashes };
    snprintf(ret->reason, sizeof ret->reason, "%s", c->reason);
    pthread_mutex_unlock(&c->lock);
}

void cell_counts(struct cell *c, unsigned i, struct cell_counts *ret)
{
    *ret = (struct cell_counts){ 0 };
    if (i < c->n)
        *ret = (struct cell_counts){ c->instances[i].calls, c->instances[i].errors, c->instances[i].late, c->instances[i].nested };
}
