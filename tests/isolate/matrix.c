/* matrix.c - 11 misbehaviours at every call of every interface, made from the signature tables: the call that met it ends in time and says why, a good
 * instance beside it answers all the while, and the bad one is started again. usage: isolate_matrix [LEVEL [CALL [HOW]]] */
#include <keelson/iface/controller.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/log.h"
#include "isolate/isolate.h"
#include "isolate/tables.h"
#include "isolate/wire.h"
#include "plugin/signature.h"

#define WORKERS 6

static const char *const ways[] = { "crash", "hang", "exit", "leak", "flood", "steal", "overflow", "scribble", "late", "wrong", "bomb" };
#define WAYS (sizeof ways / sizeof *ways)

/* What the reason may be, for each: a word of it. A "wrong" answer of a call that returns nothing is none. */
static const char *const reasons[WAYS][4] = {
    { "signal 11", "status 1" }, { "in time" }, { "status 3", "signal 31" }, { "signal 6", "signal 11", "status" }, { "signal 6", "status" }, { "in time", "signal 11", "status 1" },
    { "signal 11", "status 1" }, { "is no", "signal", "status" }, { "in time" }, { "is no answer", "signal 11", "status" }, { "in time", "signal 31" },
};

struct settings {                       /* as the descriptor's fields come: our own places */
    const char *text[3];
};

static enum isolate_level level = ISOLATE_PROCESS;
static const char *only_call, *only_way;
static atomic_uint next_case, failures, done;
static atomic_bool finished;

__attribute__((format(printf, 1, 2))) static void fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("FAILED: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    atomic_fetch_add(&failures, 1);
}

/* --- a plugin's instance --- */

static void host_log(const struct kl_host *h, int32_t l, const char *line)
{
    (void)h;
    (void)l;
    (void)line;
}

static const void *no_service(const struct kl_host *h, const char *id)
{
    (void)h;
    (void)id;
    return NULL;
}

static const struct kl_host host = { .size = sizeof host, .abi_major = 1, .name = "keelson", .version = "0", .instance = "evil", .log = host_log, .service = no_service };

struct subject {
    struct cell *cell;
    const struct kl_plugin *plugin;
    const struct kl_provider *provider;
    void *self;
    const struct table_row *row;
    atomic_uint restarts;
};

static void on_news(void *ctx, enum cell_state now, const char *why)
{
    struct subject *s = ctx;
    (void)why;
    if (now == CELL_RUNNING)
        atomic_fetch_add(&s->restarts, 1);
}

static void *alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static void call_init(struct kl_call *c, struct arena *a)
{
    *c = (struct kl_call){ .size = sizeof *c, .arena = a, .alloc = alloc };
    kl_err_init(&c->err);
}

static int subject_open(struct subject *s, const char *name, const char *iface, const char *call, const char *how, const char *once, int64_t deadline_ns)
{
    struct kl_err err;
    struct cell_conf conf = { .file = EVIL, .copy = -1, .name = name, .level = level, .deadline_ns = deadline_ns, .signature = signature_find, .news = on_news, .ctx = s };
    struct settings set = { { call, how, once } };
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_call c;
    kl_err_init(&err);
    call_init(&c, a);
    if (cell_new(&conf, &s->cell, &err) < 0 || cell_describe(s->cell, &s->plugin, &err) < 0) {
        fail("%s %s: %s", call, how, err.msg);
        return -1;
    }
    for (unsigned i = 0; i < s->plugin->providers.n; i++) {
        const struct kl_provider *v = &s->plugin->providers.at[i];
        if (strcmp(v->iface, iface) != 0)
            continue;
        s->provider = v;
        s->row = table_find(iface);
        return cell_open(s->cell, i, &host, &set, &s->self, &c);
    }
    fail("%s: no provider of %s", call, iface);
    return -1;
}

/* --- any call, with some arguments --- */

static int64_t call_any(struct subject *s, uint32_t index)
{
    const struct kl_sig_call *sig = &s->row->sig->calls[index];
    static const char *const texts[] = { "a", "b", NULL };
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct wire_frame f;
    struct kl_call c, *pc = &c;
    memset(&f, 0, sizeof f);
    call_init(&c, a);
    for (uint32_t i = 0; i < sig->n; i++) {
        const struct kl_sig_item *m = &sig->arguments[i];
        const void *p = f.store[i];
        struct kl_bytes b = { "{}", 2 };
        int32_t none = -1;
        void *one = m->of ? arena_alloc(a, m->of->bytes) : NULL;
        if (one)
            memcpy(one, &m->of->bytes, sizeof m->of->bytes);
        switch (m->kind) {
        case KL_SIG_CALL: memcpy(f.arg[i], &pc, sizeof pc); continue;
        case KL_SIG_BYTES: memcpy(f.arg[i], &b, sizeof b); continue;
        case KL_SIG_FD: memcpy(f.arg[i], &none, sizeof none); continue;
        case KL_SIG_STR: p = "text"; break;
        case KL_SIG_STRS: p = texts; break;
        case KL_SIG_STRUCT: p = one; break;
        case KL_SIG_STRUCTS: p = NULL; break;   /* its length, behind it, is 0 */
        case KL_SIG_OUT_STRUCT: p = one; break;
        default:
            if (m->kind < KL_SIG_OUT_HANDLE)
                continue;
        }
        memcpy(f.arg[i], &p, sizeof p);
    }
    return s->row->answer[index](s->provider->table, s->self, f.arg);
}

static int64_t life_any(struct subject *s, const char *what)
{
    const struct {
        KL_STRUCT_HEAD;
        struct kl_life life;
    } *t = s->provider->table;
    struct settings set = { { "", "crash", "" } };
    _cleanup_arena_ struct arena *a = arena_new(0);
    struct kl_call c;
    call_init(&c, a);
    c.deadline_ns = env_mono_ns() + 200 * NS_PER_MS;
    if (strcmp(what, "probe") == 0)
        return t->life.probe(s->self, &c);
    if (strcmp(what, "reconfigure") == 0)
        return t->life.reconfigure(s->self, &set, &c);
    t->life.close(s->self);
    return -1;
}

/* --- one case --- */

static bool says(const char *reason, unsigned way)
{
    for (unsigned i = 0; i < 4 && reasons[way][i]; i++)
        if (strstr(reason, reasons[way][i]))
            return true;
    return false;
}

static bool wait_for(struct subject *s, unsigned way, const char *call)
{
    const struct timespec moment = { 0, 5000000 };
    struct cell_status st = { 0 };
    for (int64_t until = env_mono_ns() + 120 * NS_PER_S; env_mono_ns() < until; nanosleep(&moment, NULL)) {
        cell_status(s->cell, &st);
        if (st.crashes && st.state == CELL_RUNNING && st.starts == st.crashes + 1)
            break;
    }
    if (!st.crashes || st.state != CELL_RUNNING) {
        fail("%s %s: it is not started again: %s, %s", call, ways[way], cell_state_text(st.state), st.reason);
        return false;
    }
    if (!says(st.reason, way)) {
        fail("%s %s: the reason is '%s'", call, ways[way], st.reason);
        return false;
    }
    return true;
}

/* At most once: behind it, the same call is answered well. */
static void run_case(const struct table_row *row, uint32_t index, unsigned way, const char *life)
{
    char call[128], once[64] = "/tmp/keelson-evil-XXXXXX", name[32];
    struct subject s = { NULL };
    const struct kl_sig_call *sig = life ? NULL : &row->sig->calls[index];
    snprintf(call, sizeof call, "%s%s%s", life ? "" : row->sig->name, life ? "" : ".", life ? life : sig->name);
    if ((only_call && strcmp(only_call, call) != 0) || (only_way && strcmp(only_way, ways[way]) != 0))
        return;
    bool streams = sig && sig->flags & KL_SIG_STREAMING, late = strcmp(reasons[way][0], "in time") == 0;
    bool nothing = strcmp(ways[way], "wrong") == 0 && (life || (sig->result != KL_SIG_R_INT && sig->result != KL_SIG_R_STR));
    if (nothing || (streams && late) || (life && strcmp(life, "open") == 0 && strcmp(ways[way], "late") == 0))
        return;                         /* no answer can be wrong; no time is too long */
    int fd = mkstemp(once);
    if (fd >= 0)
        close(fd);
    snprintf(name, sizeof name, "evil%u", atomic_fetch_add(&done, 1));
    bool sandbox = level == ISOLATE_SANDBOX;
    int rc = subject_open(&s, name, row->id, call, ways[way], sandbox ? "" : once, late ? 200 * NS_PER_MS : 0);
    bool at_open = life && strcmp(life, "open") == 0;
    if (rc < 0 && !at_open)
        fail("%s %s: open says %d", call, ways[way], rc);
    if (at_open && rc >= 0)
        fail("%s %s: open succeeds", call, ways[way]);
    if (rc >= 0 && s.provider) {
        int64_t got = life ? life_any(&s, life) : call_any(&s, index);
        if ((life || sig->result == KL_SIG_R_INT) && got >= 0)
            fail("%s %s: the call says %lld", call, ways[way], (long long)got);
        if (wait_for(&s, way, call) && !life && !sandbox && sig->result == KL_SIG_R_INT && (got = call_any(&s, index)) < 0)
            fail("%s %s: the next call says %lld", call, ways[way], (long long)got);
    }
    cell_free(s.cell);
    unlink(once);
}

/* --- all of them --- */

static const char *const lives[] = { "open", "probe", "reconfigure", "close" };

static bool nth(unsigned n)
{
    for (uint32_t r = 0; table_at(r); r++) {
        const struct table_row *row = table_at(r);
        if (signature_is_service(row->sig))
            continue;
        unsigned here = row->sig->n_calls * WAYS;
        if (n < here) {
            run_case(row, n / WAYS, n % WAYS, NULL);
            return true;
        }
        n -= here;
    }
    if (n >= 4 * WAYS)
        return false;
    run_case(table_find(KL_CONTROLLER_0), 0, n % WAYS, lives[n / WAYS]);
    return true;
}

static void *worker(void *ctx)
{
    (void)ctx;
    while (nth(atomic_fetch_add(&next_case, 1))) { }
    return NULL;
}

/* Beside them: a good instance, asked all the while. */
static void *bystander(void *ctx)
{
    struct subject *s = ctx;
    const struct timespec moment = { 0, 1000000 };
    unsigned long n = 0;
    for (; !atomic_load(&finished); n++) {
        for (uint32_t i = 0; i < s->row->sig->n_calls; i++)
            if (call_any(s, i) < 0)
                fail("a call of an instance beside them fails");
        nanosleep(&moment, NULL);
    }
    printf("%lu rounds of calls beside them\n", n);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t t[WORKERS], good;
    struct subject s = { NULL };
    if (argc > 1 && strcmp(argv[1], "plugin-cell") == 0)
        return isolate_child(argc - 1, argv + 1, signature_find, NULL);
    if (argc > 1)
        level = strcmp(argv[1], "sandbox") == 0 ? ISOLATE_SANDBOX : ISOLATE_PROCESS;
    only_call = argc > 2 ? argv[2] : NULL;
    only_way = argc > 3 ? argv[3] : NULL;
    log_set_level((enum kl_level)0);
    if (level == ISOLATE_SANDBOX && geteuid() != 0) {
        puts("only root can make a sandbox");
        return 77;
    }
    if (subject_open(&s, "good", "keelson.scheduler/0", "", "", "", 60 * NS_PER_S) < 0)
        return 1;
    pthread_create(&good, NULL, bystander, &s);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_create(&t[i], NULL, worker, NULL);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(t[i], NULL);
    atomic_store(&finished, true);
    pthread_join(good, NULL);
    struct cell_status st;
    cell_status(s.cell, &st);
    if (st.crashes || st.starts != 1)
        fail("the instance beside them was started %llu times", (unsigned long long)st.starts);
    cell_free(s.cell);
    printf("%u cases, %u failures\n", atomic_load(&done), atomic_load(&failures));
    return atomic_load(&failures) != 0;
}
