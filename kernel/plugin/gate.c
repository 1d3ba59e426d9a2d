/* gate.c - see gate.h. */
#include "plugin/gate.h"

#include <keelson/iface/audit.h>
#include <keelson/iface/auth.h>
#include <keelson/iface/controller.h>
#include <keelson/iface/network.h>
#include <keelson/iface/node.h>
#include <keelson/iface/proxy.h>
#include <keelson/iface/runtime.h>
#include <keelson/iface/scheduler.h>
#include <keelson/iface/store.h>
#include <keelson/iface/volume.h>
#include <pthread.h>

#include "base/mem.h"
#include "isolate/tables.h"
#include "plugin/signature.h"

#define TABLE_BYTES 512u

struct text {                           /* what a call without an arena gave out: kept as long as the gate */
    struct text *next;
    char at[];
};

struct gate {
    /* of the target, for calls on the loop */
    const void *table;
    void *self;
    struct gate_target *now;
    uint64_t loop_calls, loop_errors;
    /* of everybody else */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t calls, errors;
    bool held;
    struct text *texts;

    const struct kl_sig_table *sig;
    struct loop *loop;
    struct kl_provider provider;
    char iface[64], name[64];
    unsigned char room[TABLE_BYTES] __attribute__((aligned(16)));
};

struct any_table {
    KL_STRUCT_HEAD;
    struct kl_life life;
};

/* --- a target in use --- */

static struct gate_target *enter(struct gate *g, bool streams)
{
    pthread_mutex_lock(&g->lock);
    while (g->held && g->loop && !loop_here(g->loop))
        pthread_cond_wait(&g->moved, &g->lock);
    struct gate_target *t = g->held ? NULL : g->now;
    g->calls++;
    if (t) {
        t->users++;
        t->streams += streams;
    }
    pthread_mutex_unlock(&g->lock);
    return t;
}

static void leave(struct gate *g, struct gate_target *t, bool streams, bool failed)
{
    pthread_mutex_lock(&g->lock);
    g->errors += failed;
    if (t) {
        t->streams -= streams;
        t->users--;                     /* it may be gone from here on */
    }
    pthread_mutex_unlock(&g->lock);
}

/* Decisions may be no, or not known yet. */
static bool is_failure(int64_t result)
{
    return result < 0 && result != -KL_PENDING && result != -KL_FORBIDDEN && result != -KL_UNAUTHORIZED && result != -KL_CANCELLED && result != -KL_CONFLICT;
}

/* Nobody stands behind the gate. */
static int64_t nobody(const struct gate *g, const struct kl_sig_call *call, const void *const *at)
{
    struct kl_call *c = NULL;
    if (call->n && call->arguments[0].kind == KL_SIG_CALL)
        memcpy(&c, at[0], sizeof c);
    if (c)
        kl_fail(c, KL_UNAVAILABLE, "plugin instance '%s' is not there", g->name);
    return call->result == KL_SIG_R_INT ? -KL_UNAVAILABLE : call->result == KL_SIG_R_STR ? (int64_t)(uintptr_t) "" : 0;
}

/* --- texts of the plugin's own file --- */

static bool within(const struct gate_target *t, const void *at)
{
    for (unsigned i = 0; i < t->n_codes; i++)
        if ((uintptr_t)at >= t->codes[i].from && (uintptr_t)at < t->codes[i].to)
            return true;
    return false;
}

static bool own_str(const struct gate_target *t, struct kl_call *c, const char **at)
{
    if (*at && within(t, *at))
        *at = kl_dup(c, *at, strlen(*at));
    else
        return true;
    return *at != NULL;
}

static bool own_bytes(const struct gate_target *t, struct kl_call *c, struct kl_bytes *b)
{
    if (b->at && within(t, b->at))
        b->at = kl_dup(c, b->at, b->len);
    else
        return true;
    return b->at != NULL;
}

static bool own_strs(const struct gate_target *t, struct kl_call *c, const char *const **list)
{
    size_t n = 0;
    bool any = *list && within(t, *list);
    for (; *list && (*list)[n]; n++)
        any |= within(t, (*list)[n]);
    const char **all = any ? kl_alloc(c, (n + 1) * sizeof *all) : NULL;
    bool ok = !any || all;
    for (size_t i = 0; all && i < n; i++) {
        all[i] = (*list)[i];
        ok &= own_str(t, c, &all[i]);
    }
    if (all)
        *list = all;
    return ok;
}

static bool own_struct(const struct gate_target *t, struct kl_call *c, const struct kl_sig_struct *of, void *at)
{
    uint32_t size;
    bool ok = true;
    memcpy(&size, at, sizeof size);
    for (uint32_t i = 0; i < of->n && ok; i++) {
        const struct kl_sig_item *m = &of->members[i];
        void *p = (char *)at + m->offset;
        if (size < m->offset + m->bytes)
            break;
        ok = m->kind == KL_SIG_STR ? own_str(t, c, p) : m->kind == KL_SIG_STRS ? own_strs(t, c, p) : m->kind != KL_SIG_BYTES || own_bytes(t, c, p);
    }
    return ok;
}

/* at[i] points to the i-th argument, which is a pointer to where the result is. */
static bool own_results(const struct gate_target *t, const struct kl_sig_call *call, const void *const *at)
{
    struct kl_call *c;
    bool ok = true;
    if (!t->n_codes || call->arguments[0].kind != KL_SIG_CALL)
        return true;
    memcpy(&c, at[0], sizeof c);
    for (uint32_t i = 1; i < call->n && ok; i++) {
        const struct kl_sig_item *a = &call->arguments[i];
        void *p;
        memcpy(&p, at[i], sizeof p);
        if (p)
            ok = a->kind == KL_SIG_OUT_STR      ? own_str(t, c, p)
                 : a->kind == KL_SIG_OUT_STRS   ? own_strs(t, c, p)
                 : a->kind == KL_SIG_OUT_BYTES  ? own_bytes(t, c, p)
                 : a->kind == KL_SIG_OUT_STRUCT ? own_struct(t, c, a->of, p)
                                                : true;
    }
    return ok || kl_fail(c, KL_NO_MEMORY, "out of memory") == 0;
}

static const char *keep_text(struct gate *g, const char *text)
{
    const struct text *found = NULL;
    if (!text)
        return NULL;
    pthread_mutex_lock(&g->lock);
    for (const struct text *x = g->texts; x && !found; x = x->next)
        found = strcmp(x->at, text) == 0 ? x : NULL;
    size_t n = strlen(text) + 1;
    struct text *fresh = found ? NULL : mem_alloc(sizeof *fresh + n);
    if (fresh) {
        memcpy(fresh->at, text, n);
        fresh->next = g->texts;
        found = g->texts = fresh;
    }
    pthread_mutex_unlock(&g->lock);
    return found ? found->at : "";
}

/* --- waiting for news: such a call ends early when its target is left --- */

struct lent {
    struct kl_call call, *real;
    const struct gate_target *in;
};

static bool left(const struct kl_call *c)
{
    const struct lent *l = (const struct lent *)(const void *)c;
    return l->in->left || (l->real->cancelled && l->real->cancelled(l->real));
}

/* at[0] points to the first argument, which is the call. */
static void lend(struct lent *l, const struct gate_target *t, const void *const *at)
{
    struct kl_call **c = (struct kl_call **)(uintptr_t)at[0];
    *l = (struct lent){ .call = **c, .real = *c, .in = t };
    l->call.cancelled = left;
    *c = &l->call;
}

/* --- calls --- */

/* Which kinds of results may be texts of the plugin's file. */
#define OUTS(...) (0 KL_SIG_EACH(OUT, __VA_ARGS__))
#define OUT(kind, name, of) KL_SIG_CAT(OUT_, KL_SIG_IS_TEXT(kind))
#define OUT_1 +1
#define OUT_0
#define KL_SIG_IS_TEXT(kind) KL_SIG_SECOND_(TEXT_PROBE_##kind, 0)
#define TEXT_PROBE_OUT_STR ~, 1
#define TEXT_PROBE_OUT_STRS ~, 1
#define TEXT_PROBE_OUT_BYTES ~, 1
#define TEXT_PROBE_OUT_STRUCT ~, 1

#define WAITS(flags) (((flags) & (KL_SIG_STREAMING | KL_SIG_MANY)) == KL_SIG_STREAMING)
#define CALL_SIG(S, name) (&g_->sig->calls[S##_##name##_index])
#define LACKS(t, name, flags) ((flags) & KL_SIG_OPTIONAL ? !KL_HAS(t, name) : !(t))
#define ABSENT(S, name, flags, at_) (t_ ? table_absent(#name) : nobody(g_, CALL_SIG(S, name), at_))

/* What a result becomes, by its type: R(target, value). */
#define RESULT_INT(S, name, flags, x_, expression, ...) \
    int result_ = (expression); \
    if (OUTS(__VA_ARGS__) && (result_ >= 0 || ((flags) & KL_SIG_OUT_ALWAYS && result_ != -KL_PENDING))) { \
        const void *const at_[] = { KL_SIG_POINTERS(__VA_ARGS__) NULL }; \
        if (!own_results(x_, CALL_SIG(S, name), at_)) \
            result_ = -KL_NO_MEMORY; \
    }
#define RESULT_I64(S, name, flags, x_, expression, ...) int64_t result_ = (expression);
#define RESULT_U64(S, name, flags, x_, expression, ...) uint64_t result_ = (expression);
#define RESULT_STR(S, name, flags, x_, expression, ...) const char *result_ = keep_text(g_, expression);
#define RESULT_VOID(S, name, flags, x_, expression, ...) expression;
#define FAILED_INT  (__builtin_expect(result_ < 0, 0) && is_failure(result_))
#define FAILED_I64  false
#define FAILED_U64  false
#define FAILED_STR  false
#define FAILED_VOID false
#define RETURN_INT  return result_
#define RETURN_I64  return result_
#define RETURN_U64  return result_
#define RETURN_STR  return result_
#define RETURN_VOID
#define GIVE_INT(expression)  return (int)(expression)
#define GIVE_I64(expression)  return (expression)
#define GIVE_U64(expression)  return (uint64_t)(expression)
#define GIVE_STR(expression)  return (const char *)(uintptr_t)(expression)
#define GIVE_VOID(expression) do { (void)(expression); return; } while (0)

#define PASS_LOOP(S, name, result, flags, ...) \
    const struct S *t_ = g_->table; \
    g_->loop_calls++; \
    if (__builtin_expect(LACKS(t_, name, flags), 0)) { \
        const void *const at_[] = { KL_SIG_POINTERS(__VA_ARGS__) NULL }; \
        GIVE_##result(ABSENT(S, name, flags, at_)); \
    } \
    RESULT_##result(S, name, flags, g_->now, t_->name(g_->self KL_SIG_NAMES(__VA_ARGS__)), __VA_ARGS__) \
    if (__builtin_expect(FAILED_##result, 0)) \
        g_->loop_errors++; \
    RETURN_##result;
#define PASS_WORKER(S, name, result, flags, ...) \
    struct gate_target *x_ = enter(g_, (flags) & KL_SIG_STREAMING); \
    struct lent lent_; \
    const struct S *t_ = x_ ? x_->table : NULL; \
    if (LACKS(t_, name, flags)) { \
        const void *const at_[] = { KL_SIG_POINTERS(__VA_ARGS__) NULL }; \
        leave(g_, x_, (flags) & KL_SIG_STREAMING, !x_); \
        GIVE_##result(ABSENT(S, name, flags, at_)); \
    } \
    if (WAITS(flags)) { \
        const void *const at_[] = { KL_SIG_POINTERS(__VA_ARGS__) NULL }; \
        lend(&lent_, x_, at_); \
    } \
    RESULT_##result(S, name, flags, x_, t_->name(x_->self KL_SIG_NAMES(__VA_ARGS__)), __VA_ARGS__) \
    if (WAITS(flags)) \
        lent_.real->err = lent_.call.err; \
    leave(g_, x_, (flags) & KL_SIG_STREAMING, FAILED_##result); \
    RETURN_##result;
#define PASS_EITHER PASS_WORKER
#define PASS_ANY    PASS_WORKER

#define INDEX(S, name, ...) S##_##name##_index,
#define GATE(S, name, result, thread, flags, ...) \
    static KL_SIG_RT_##result S##_##name##_gate(void *self KL_SIG_PARAMS(__VA_ARGS__)) \
    { \
        struct gate *g_ = self; \
        PASS_##thread(S, name, result, flags, __VA_ARGS__) \
    }
#define GATE_ROW(S, name, ...) .name = S##_##name##_gate,

#define INTERFACES(X) \
    X(kl_audit, KL_AUDIT_0, KL_AUDIT_CALLS) \
    X(kl_authn, KL_AUTHN_0, KL_AUTHN_CALLS) \
    X(kl_authz, KL_AUTHZ_0, KL_AUTHZ_CALLS) \
    X(kl_admission, KL_ADMISSION_0, KL_ADMISSION_CALLS) \
    X(kl_controller, KL_CONTROLLER_0, KL_CONTROLLER_CALLS) \
    X(kl_network, KL_NETWORK_0, KL_NETWORK_CALLS) \
    X(kl_node, KL_NODE_0, KL_NODE_CALLS) \
    X(kl_proxy, KL_PROXY_0, KL_PROXY_CALLS) \
    X(kl_runtime, KL_RUNTIME_0, KL_RUNTIME_CALLS) \
    X(kl_scheduler, KL_SCHEDULER_0, KL_SCHEDULER_CALLS) \
    X(kl_store, KL_STORE_0, KL_STORE_CALLS) \
    X(kl_volume, KL_VOLUME_0, KL_VOLUME_CALLS)
#define TABLE(T, ID, CALLS) \
    enum { CALLS(INDEX, T) T##_calls }; \
    CALLS(GATE, T) \
    static const struct T T##_gates = { .size = sizeof(struct T), CALLS(GATE_ROW, T) }; \
    _Static_assert(sizeof(struct T) <= TABLE_BYTES, #T);
INTERFACES(TABLE)

static const struct {
    const char *id;
    const void *gates;
} rows[] = {
#define ROW(T, ID, CALLS) { ID, &T##_gates },
    INTERFACES(ROW)
};
#define ROWS (sizeof rows / sizeof *rows)

/* --- life: open and close are the host's --- */

static int reconfigure(void *self, const void *conf, struct kl_call *c)
{
    struct gate *g = self;
    struct gate_target *x = enter(g, false);
    const struct any_table *t = x ? x->table : NULL;
    int rc = t && t->life.reconfigure ? t->life.reconfigure(x->self, conf, c) : kl_fail(c, KL_UNSUPPORTED, "'%s' cannot be changed", g->name);
    leave(g, x, false, rc < 0);
    return rc;
}

static int probe(void *self, struct kl_call *c)
{
    struct gate *g = self;
    struct gate_target *x = enter(g, false);
    const struct any_table *t = x ? x->table : NULL;
    int rc = !t ? kl_fail(c, KL_UNAVAILABLE, "plugin instance '%s' is not there", g->name) : t->life.probe ? t->life.probe(x->self, c) : 0;
    leave(g, x, false, rc < 0);
    return rc;
}

/* --- the table: data and functions of the target's --- */

/* Others may read a function's place meanwhile: it changes at once, and only when it does. */
static void put_function(struct gate *g, uint32_t offset, void *function)
{
    void **at = (void **)(void *)(g->room + offset);
    if (__atomic_load_n(at, __ATOMIC_RELAXED) != function)
        __atomic_store_n(at, function, __ATOMIC_RELAXED);
}

static void mirror(struct gate *g, const void *gates, const struct gate_target *t)
{
    const struct any_table *of = t->table;
    struct any_table *mine = (struct any_table *)(void *)g->room;
    for (uint32_t i = 0; i < g->sig->n_calls; i++) {
        uint32_t at = g->sig->calls[i].offset;
        void *theirs = NULL, *ours;
        if (of->size >= at + sizeof theirs)
            memcpy(&theirs, (const char *)t->table + at, sizeof theirs);
        memcpy(&ours, (const char *)gates + at, sizeof ours);
        /* examine is none of an instance: its first parameter is the settings. */
        put_function(g, at, theirs && strcmp(g->sig->calls[i].name, "examine") != 0 ? ours : NULL);
    }
    for (uint32_t i = 0; i < g->sig->n_data; i++) {
        const struct kl_sig_item *d = &g->sig->data[i];
        memset(g->room + d->offset, 0, d->bytes);
        if (of->size >= d->offset + d->bytes)
            memcpy(g->room + d->offset, (const char *)t->table + d->offset, d->bytes);
    }
    mine->life.reconfigure = of->life.reconfigure ? reconfigure : NULL;
    mine->life.probe = of->life.probe ? probe : NULL;
}

static const void *gates_of(const char *iface)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].id, iface) == 0)
            return rows[i].gates;
    return NULL;
}

bool gate_knows(const char *iface)
{
    return gates_of(iface) != NULL;
}

/* --- life of the gate --- */

struct gate *gate_new(const char *iface, const char *name, int32_t rank, struct loop *loop)
{
    const void *gates = gates_of(iface);
    struct gate *g = gates ? mem_alloc(sizeof *g) : NULL;
    if (!g)
        return NULL;
    g->sig = signature_find(iface);
    g->loop = loop;
    memcpy(g->room, gates, g->sig->bytes);
    snprintf(g->iface, sizeof g->iface, "%s", iface);
    snprintf(g->name, sizeof g->name, "%s", name);
    g->provider = (struct kl_provider){ g->iface, g->name, rank, g->room };
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->moved, NULL);
    return g;
}

void gate_free(struct gate *g)
{
    if (!g)
        return;
    for (struct text *x = g->texts, *next; x; x = next) {
        next = x->next;
        mem_free(x);
    }
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->moved);
    mem_free(g);
}

const char *gate_name(const struct gate *g)
{
    return g->name;
}

const char *gate_iface(const struct gate *g)
{
    return g->iface;
}

const struct kl_provider *gate_provider(const struct gate *g)
{
    return &g->provider;
}

struct gate_target *gate_set(struct gate *g, struct gate_target *t, int32_t rank)
{
    pthread_mutex_lock(&g->lock);
    struct gate_target *before = g->now;
    if (before && before != t)
        before->left = true;
    if (t)
        t->left = false;
    g->now = t;
    g->table = t ? t->table : NULL;
    g->self = t ? t->self : NULL;
    g->held = false;
    if (t)
        mirror(g, gates_of(g->iface), t);
    g->provider.rank = rank;
    pthread_cond_broadcast(&g->moved);
    pthread_mutex_unlock(&g->lock);
    return before;
}

struct gate_target *gate_now(const struct gate *g)
{
    return g->now;
}

void gate_hold(struct gate *g, bool held)
{
    pthread_mutex_lock(&g->lock);
    g->held = held;
    g->table = held || !g->now ? NULL : g->now->table;
    pthread_cond_broadcast(&g->moved);
    pthread_mutex_unlock(&g->lock);
}

void gate_forget(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->now = NULL;
    pthread_mutex_unlock(&g->lock);
}

unsigned gate_users(struct gate *g, const struct gate_target *t)
{
    pthread_mutex_lock(&g->lock);
    unsigned n = t->users;
    pthread_mutex_unlock(&g->lock);
    return n;
}

unsigned gate_streams(struct gate *g, const struct gate_target *t)
{
    pthread_mutex_lock(&g->lock);
    unsigned n = t->streams;
    pthread_mutex_unlock(&g->lock);
    return n;
}

void gate_counts(struct gate *g, uint64_t *calls, uint64_t *errors)
{
    pthread_mutex_lock(&g->lock);
    *calls = g->calls + g->loop_calls;
    *errors = g->errors + g->loop_errors;
    pthread_mutex_unlock(&g->lock);
}
