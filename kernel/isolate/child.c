/* child.c - the other process: loads one plugin's file, answers the daemon's calls with it, and is its host. The daemon is trusted here.
 *
 * The main thread serves the loop's lane; each other lane gets a thread when it is first used. A call of the plugin to the host goes over the lane that
 * its thread serves; a thread of the plugin's own takes one of the lanes upwards.
 */
#include "child-internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"

struct child child;
__thread struct lane *child_lane;       /* that this thread serves */

static const struct lane_patience for_ever = { 0 };

/* --- answering --- */

struct task {
    struct lane *lane;
    struct arena *arena;
    struct wire in, out;
    struct kl_call call;
};

static void *task_alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static bool cancelled(const struct kl_call *c)
{
    (void)c;
    return child_lane && atomic_load(&child_lane->shared->cancel[SIDE_DAEMON]);
}

/* Result, error, and then what belongs to the call. */
static void put_head(struct task *t, int64_t result)
{
    buf_clear(&t->lane->out);
    t->lane->out.failed = false;
    wire_put_u64(&t->out, (uint64_t)result);
    wire_put_u32(&t->out, (uint32_t)t->call.err.code);
    wire_put_str(&t->out, t->call.err.msg);
}

static void put_failure(struct task *t, int code, const char *why)
{
    kl_err_init(&t->call.err);
    t->out = (struct wire){ .out = &t->lane->out };
    put_head(t, kl_fail(&t->call, code, "%s", why));
}

static void answer_call(struct task *t, struct child_instance *i)
{
    struct wire_frame f = { .call = &t->call };
    uint32_t index = wire_get_u32(&t->in);
    if (t->in.bad || !i->row || index >= i->row->sig->n_calls || !(table_functions(i->row, i->provider->table) >> index & 1)) {
        put_failure(t, KL_INTERNAL, "there is no such call");
        return;
    }
    const struct kl_sig_call *c = &i->row->sig->calls[index];
    wire_get_arguments(&t->in, c, &f);
    if (t->in.bad) {
        put_failure(t, KL_INTERNAL, "the call is not understood");
        return;
    }
    /* By the interface's header: examine is asked instead of open, of the bound settings. */
    bool examines = strcmp(c->name, "examine") == 0;
    int64_t result = i->row->answer[index](i->provider->table, examines ? i->conf : i->self, f.arg);
    put_head(t, result);
    if (c->result == KL_SIG_R_STR)
        wire_put_str(&t->out, (const char *)(uintptr_t)result);
    else
        wire_put_results(&t->out, c, &f, result);
}

static void answer_describe(struct task *t)
{
    if (!child.plugin) {
        put_failure(t, KL_INVALID, child.why);
        return;
    }
    put_head(t, 0);
    struct buf text = BUF_INIT(4 << 20);
    struct wire w = { .out = &text };
    describe_put(&w, child.plugin);
    t->out.out->failed |= text.failed;
    wire_put_bytes(&t->out, text.at, text.len);
    buf_free(&text);
}

static const struct kl_life *life_of(const struct child_instance *i)
{
    return &((const struct child_table *)i->provider->table)->life;
}

static void answer_open(struct task *t, struct child_instance *i, bool bind_only)
{
    i->arena = arena_new(0);
    t->in.alloc_ctx = i->arena ? i->arena : t->arena;
    const char *name = wire_get_str(&t->in), *version = wire_get_str(&t->in), *instance = wire_get_str(&t->in);
    const char *const *services = wire_get_strs(&t->in);
    /* Texts point into the message, which goes: settings live on. */
    char *copy = i->arena ? arena_raw(i->arena, (size_t)(t->in.end - t->in.at) + 1) : NULL;
    if (t->in.bad || !copy || !name || !version || !instance) {
        put_failure(t, KL_INTERNAL, "the call is not understood");
        return;
    }
    size_t left = (size_t)(t->in.end - t->in.at);
    memcpy(copy, t->in.at, left);
    copy[left] = '\0';
    struct wire w = { .at = copy, .end = copy + left, .alloc = task_alloc, .alloc_ctx = i->arena };
    i->conf = settings_get(&w, child.plugin);
    if (!i->conf) {
        put_failure(t, KL_INTERNAL, "the settings are not understood");
        return;
    }
    child_host_init(i, name, version, instance, services);
    put_head(t, bind_only ? 0 : life_of(i)->open(&i->host, i->conf, &i->self, &t->call));
}

static void answer_reconfigure(struct task *t, struct child_instance *i)
{
    struct wire w = t->in;
    struct arena *a = arena_new(0);
    w.alloc = task_alloc;
    w.alloc_ctx = a;
    char *copy = a ? arena_raw(a, (size_t)(w.end - w.at) + 1) : NULL;
    if (copy) {
        memcpy(copy, w.at, (size_t)(w.end - w.at));
        w.end = copy + (w.end - w.at);
        w.at = copy;
    }
    void *conf = copy ? settings_get(&w, child.plugin) : NULL;
    int rc = conf && life_of(i)->reconfigure ? life_of(i)->reconfigure(i->self, conf, &t->call) : -KL_UNSUPPORTED;
    if (rc >= 0)
        i->conf = conf;                 /* the old one's memory stays: it is small, and the plugin may still look at it */
    else
        arena_free(a);
    put_head(t, rc);
}

static void answer_errand(struct task *t, uint32_t what, struct child_instance *i)
{
    t->call.deadline_ns = (int64_t)wire_get_u64(&t->in);
    if (what == ERRAND_DESCRIBE)
        answer_describe(t);
    else if (!i)
        put_failure(t, KL_INTERNAL, "there is no such instance");
    else if (what == ERRAND_OPEN || what == ERRAND_BIND)
        answer_open(t, i, what == ERRAND_BIND);
    else if (what == ERRAND_RECONFIGURE)
        answer_reconfigure(t, i);
    else if (what == ERRAND_PROBE)
        put_head(t, life_of(i)->probe ? life_of(i)->probe(i->self, &t->call) : 0);
    else if (what == ERRAND_CLOSE) {
        if (life_of(i)->close)
            life_of(i)->close(i->self);
        put_head(t, 0);
    } else
        put_failure(t, KL_INTERNAL, "there is no such errand");
}

static void answer(struct lane *l, struct lane_message *m)
{
    struct task t = { .lane = l, .arena = arena_new(0), .out = { .out = &l->out } };
    char *text = t.arena ? arena_raw(t.arena, m->len + 1) : NULL;
    if (!text || lane_take(l, m, text, &for_ever) < 0)
        _exit(70);
    t.in = (struct wire){ .at = text, .end = text + m->len, .alloc = task_alloc, .alloc_ctx = t.arena, .n_fds = m->n_fds };
    memcpy(t.in.fds, m->fds, sizeof t.in.fds);
    t.call = (struct kl_call){ .size = sizeof t.call, .arena = t.arena, .alloc = task_alloc, .cancelled = cancelled };
    kl_err_init(&t.call.err);
    uint32_t what = wire_get_u32(&t.in), number = wire_get_u32(&t.in);
    struct child_instance *i = number < child.n ? &child.instances[number] : NULL;
    if (what == ERRAND_CALL && i)
        answer_call(&t, i);
    else
        answer_errand(&t, what, i);
    if (l->out.failed) {
        buf_free(&l->out);
        put_failure(&t, KL_TOO_LARGE, "the answer is too large for an isolated plugin");
    }
    lane_close_fds(m);
    if (lane_send(l, MESSAGE_REPLY, t.out.fds, t.out.n_fds, &for_ever) < 0)
        _exit(70);
    for (unsigned k = 0; k < t.out.n_fds; k++)
        close(t.out.fds[k]);
    arena_free(t.arena);
}

/* --- asking: until the reply, which is left at the lane --- */

int child_converse(struct lane *l, struct lane_message *m, const struct lane_patience *p)
{
    for (;;) {
        if (lane_receive(l, m, p) < 0)
            _exit(70);
        if (m->type == MESSAGE_REPLY)
            return 0;
        answer(l, m);
    }
}

/* The lane of this thread, or one upwards. */
struct lane *child_lane_take(void)
{
    struct lane *l = NULL;
    uint64_t one = 1;
    if (child_lane)
        return child_lane;
    pthread_mutex_lock(&child.lock);
    while (!l) {
        for (unsigned i = LANES_DOWN; i < LANES && !l; i++)
            if (!child.lanes[i].busy)
                l = &child.lanes[i];
        if (!l)
            pthread_cond_wait(&child.free, &child.lock);
    }
    l->busy = true;
    if (!l->started && write(CHILD_UP, &one, sizeof one) == sizeof one)
        l->started = true;
    pthread_mutex_unlock(&child.lock);
    return l;
}

void child_lane_done(struct lane *l)
{
    if (l == child_lane)
        return;
    pthread_mutex_lock(&child.lock);
    l->busy = false;
    pthread_cond_signal(&child.free);
    pthread_mutex_unlock(&child.lock);
}

/* --- threads --- */

static void *serve(void *ctx)
{
    struct lane_message m;
    child_lane = ctx;
    arena_keep(4);
    for (;;) {
        if (lane_receive(child_lane, &m, &for_ever) < 0 || m.type != MESSAGE_CALL)
            _exit(70);
        answer(child_lane, &m);
    }
}

/* A thread for each lane that the daemon uses for the first time; they come in the lanes' order. */
static void *spawner(void *ctx)
{
    unsigned next = 1;
    (void)ctx;
    for (uint64_t n;;) {
        struct pollfd pf = { CHILD_DOWN, POLLIN, 0 };
        if (poll(&pf, 1, -1) < 0 && errno != EINTR)
            _exit(70);
        if (read(CHILD_DOWN, &n, sizeof n) != sizeof n)
            continue;
        pthread_t t;
        for (; n && next < LANES_DOWN; n--)
            if (isolate_thread(&t, serve, &child.lanes[next++], 1 << 20) != 0)
                _exit(70);
    }
}

/* --- the file --- */

/* from: its name, or that of a verified copy. */
static void load(const char *file, const char *from, const struct kl_plugin *builtin)
{
    void *h = builtin ? NULL : dlopen(from, RTLD_NOW | RTLD_LOCAL);
    const struct kl_plugin *p = h ? dlsym(h, "kl_plugin") : builtin;
    if (!p) {
        const char *why = h ? "it does not export kl_plugin" : dlerror();
        snprintf(child.why, sizeof child.why, "'%s' cannot be loaded: %s", file, why ? why : "?");
        return;
    }
    if (p->size < offsetof(struct kl_plugin, conf_size) || p->abi_major != KL_ABI_MAJOR || p->providers.n > PROVIDERS_MOST) {
        snprintf(child.why, sizeof child.why, "'%s' cannot be loaded: its descriptor is of another ABI", file);
        return;
    }
    child.n = p->providers.n;
    for (unsigned i = 0; i < child.n; i++) {
        struct child_instance *x = &child.instances[i];
        x->index = i;
        x->provider = KL_AT(struct kl_provider, p->providers, i);
        x->row = x->provider->iface && x->provider->table ? table_find(x->provider->iface) : NULL;
    }
    child.plugin = p;
}

static enum isolate_level level_of(const char *text)
{
    return strcmp(text, "sandbox") == 0 ? ISOLATE_SANDBOX : ISOLATE_PROCESS;
}

int isolate_child(int argc, char **argv, const struct kl_sig_table *(*signature)(const char *id), const struct kl_plugin *(*builtin)(const char *file))
{
    pthread_t t;
    char copy[32];
    if (argc < 5)
        return 2;
    snprintf(copy, sizeof copy, "/proc/self/fd/%d", CHILD_COPY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, argv[1]);
    signal(SIGPIPE, SIG_IGN);
    tables_init(signature);
    child.shared = mmap(NULL, lanes_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, CHILD_MEMORY, 0);
    if (child.shared == MAP_FAILED || getppid() == 1)
        return 2;                       /* nobody calls this by hand */
    close(CHILD_MEMORY);
    pthread_mutex_init(&child.lock, NULL);
    pthread_cond_init(&child.free, NULL);
    lane_post_init(&child.post, CHILD_SOCKET);
    for (unsigned i = 0; i < LANES; i++)
        lane_init(&child.lanes[i], child.shared, i, SIDE_PLUGIN, &child.post, NULL);
    if (sandbox_enter(level_of(argv[2]), argv[1], argv[3], argv + 5, child.why, sizeof child.why) == 0)
        load(argv[3], strcmp(argv[4], "copy") == 0 ? copy : argv[3], builtin ? builtin(argv[3]) : NULL);
    if (isolate_thread(&t, spawner, NULL, 256 << 10) != 0)
        return 70;
    serve(&child.lanes[0]);
    return 0;
}
