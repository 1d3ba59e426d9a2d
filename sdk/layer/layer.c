/* layer.c - see layer.h: one function for each call of each interface, written by the signatures. */
#include "layer.h"

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
#include <stdlib.h>
#include <time.h>

KL_SIG_STRUCT(kl_user, KL_USER_MEMBERS);
KL_SIG_STRUCT(kl_credentials, KL_CREDENTIALS_MEMBERS);
KL_SIG_STRUCT(kl_request, KL_REQUEST_MEMBERS);
KL_SIG_STRUCT(kl_admission_review, KL_ADMISSION_REVIEW_MEMBERS);
KL_SIG_STRUCT(kl_admission_verdict, KL_ADMISSION_VERDICT_MEMBERS);
KL_SIG_STRUCT(kl_watch, KL_WATCH_MEMBERS);
KL_SIG_STRUCT(kl_runtime_io, KL_RUNTIME_IO_MEMBERS);
KL_SIG_STRUCT(kl_log_options, KL_LOG_OPTIONS_MEMBERS);
KL_SIG_STRUCT(kl_node_view, KL_NODE_VIEW_MEMBERS);
KL_SIG_STRUCT(kl_pod_view, KL_POD_VIEW_MEMBERS);
KL_SIG_STRUCT(kl_store_op, KL_STORE_OP_MEMBERS);
KL_SIG_STRUCT(kl_store_commit, KL_STORE_COMMIT_MEMBERS);
KL_SIG_STRUCT(kl_store_record, KL_STORE_RECORD_MEMBERS);
KL_SIG_STRUCT(kl_volume_spec, KL_VOLUME_SPEC_MEMBERS);
KL_SIG_STRUCT(kl_volume_made, KL_VOLUME_MADE_MEMBERS);
KL_SIG_STRUCT(kl_volume_use, KL_VOLUME_USE_MEMBERS);
KL_SIG_STRUCT(kl_volume_stats, KL_VOLUME_STATS_MEMBERS);

int64_t layer_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static bool begin(struct layer_call *x, struct layered *l, const struct kl_sig_call *call, const void *const *args, int64_t *result)
{
    *x = (struct layer_call){ .of = l, .call = call, .args = args, .began_ns = layer_now_ns() };
    if (call->n && call->arguments[0].kind == KL_SIG_CALL)
        memcpy(&x->c, args[0], sizeof x->c);
    return l->ops->before && l->ops->before(l->layer, x, result);
}

static void end(struct layer_call *x, bool made, int64_t *result)
{
    if (x->of->ops->after)
        x->of->ops->after(x->of->layer, x, made, result);
}

/* --- every call --- */

#define TAKE_VOID(expression) (expression)
#define TAKE_INT(expression)  result_ = (expression)
#define TAKE_I64(expression)  result_ = (expression)
#define TAKE_U64(expression)  result_ = (int64_t)(expression)
#define TAKE_STR(expression)  result_ = (int64_t)(uintptr_t)(expression)
#define GIVE_VOID
#define GIVE_INT              return (int)result_
#define GIVE_I64              return result_
#define GIVE_U64              return (uint64_t)result_
#define GIVE_STR              return (const char *)(uintptr_t)result_

#define INDEX(S, name, ...) S##_##name##_index,
#define LAYER(S, name, result, thread, flags, ...) \
    static KL_SIG_RT_##result S##_##name##_layer(void *self KL_SIG_PARAMS(__VA_ARGS__)) \
    { \
        struct layered *l_ = self; \
        const struct S *t_ = l_->inner.table; \
        const void *const at_[] = { KL_SIG_POINTERS(__VA_ARGS__) NULL }; \
        struct layer_call x_; \
        int64_t result_ = 0; \
        bool answered_ = begin(&x_, l_, &l_->sig->calls[S##_##name##_index], at_, &result_); \
        if (!answered_) \
            TAKE_##result(t_->name(l_->inner.self KL_SIG_NAMES(__VA_ARGS__))); \
        end(&x_, !answered_, &result_); \
        GIVE_##result; \
    }
#define LAYER_ROW(S, name, ...) .name = S##_##name##_layer,

#define INTERFACE(T, ID, DATA, CALLS) \
    KL_SIG_TABLE(T, ID, DATA, CALLS); \
    enum { CALLS(INDEX, T) T##_calls }; \
    CALLS(LAYER, T) \
    static const struct T T##_layer = { .size = sizeof(struct T), CALLS(LAYER_ROW, T) }; \
    _Static_assert(sizeof(struct T) <= LAYER_TABLE_BYTES, #T)

INTERFACE(kl_audit, KL_AUDIT_0, KL_SIG_NO_DATA, KL_AUDIT_CALLS);
INTERFACE(kl_authn, KL_AUTHN_0, KL_SIG_NO_DATA, KL_AUTHN_CALLS);
INTERFACE(kl_authz, KL_AUTHZ_0, KL_SIG_NO_DATA, KL_AUTHZ_CALLS);
INTERFACE(kl_admission, KL_ADMISSION_0, KL_ADMISSION_DATA, KL_ADMISSION_CALLS);
INTERFACE(kl_controller, KL_CONTROLLER_0, KL_CONTROLLER_DATA, KL_CONTROLLER_CALLS);
INTERFACE(kl_network, KL_NETWORK_0, KL_SIG_NO_DATA, KL_NETWORK_CALLS);
INTERFACE(kl_node, KL_NODE_0, KL_SIG_NO_DATA, KL_NODE_CALLS);
INTERFACE(kl_proxy, KL_PROXY_0, KL_SIG_NO_DATA, KL_PROXY_CALLS);
INTERFACE(kl_runtime, KL_RUNTIME_0, KL_SIG_NO_DATA, KL_RUNTIME_CALLS);
INTERFACE(kl_scheduler, KL_SCHEDULER_0, KL_SIG_NO_DATA, KL_SCHEDULER_CALLS);
INTERFACE(kl_store, KL_STORE_0, KL_SIG_NO_DATA, KL_STORE_CALLS);
INTERFACE(kl_volume, KL_VOLUME_0, KL_VOLUME_DATA, KL_VOLUME_CALLS);

static const struct {
    const struct kl_sig_table *sig;
    const void *layer;
} interfaces[] = {
    { &kl_sig_kl_audit, &kl_audit_layer },           { &kl_sig_kl_authn, &kl_authn_layer },     { &kl_sig_kl_authz, &kl_authz_layer },
    { &kl_sig_kl_admission, &kl_admission_layer },   { &kl_sig_kl_controller, &kl_controller_layer }, { &kl_sig_kl_network, &kl_network_layer },
    { &kl_sig_kl_node, &kl_node_layer },             { &kl_sig_kl_proxy, &kl_proxy_layer },     { &kl_sig_kl_runtime, &kl_runtime_layer },
    { &kl_sig_kl_scheduler, &kl_scheduler_layer },   { &kl_sig_kl_store, &kl_store_layer },   { &kl_sig_kl_volume, &kl_volume_layer },
};

/* --- life: open was before --- */

struct any_table {
    KL_STRUCT_HEAD;
    struct kl_life life;
};

static const struct kl_sig_item life_arguments[] = { { "c", KL_SIG_CALL, 0, 0, NULL }, { "conf", KL_SIG_HANDLE, 0, 0, NULL } };
static const struct kl_sig_call life_calls[] = {
    { "probe", 0, KL_SIG_R_INT, KL_SIG_WORKER, 0, 1, life_arguments },
    { "reconfigure", 0, KL_SIG_R_INT, KL_SIG_WORKER, 0, 2, life_arguments },
    { "close", 0, KL_SIG_R_VOID, KL_SIG_WORKER, 0, 0, life_arguments },
};

static const struct kl_life *life_of(const struct layered *l)
{
    return &((const struct any_table *)l->inner.table)->life;
}

static int probe(void *self, struct kl_call *c)
{
    struct layered *l = self;
    const void *const at[] = { &c, NULL };
    struct layer_call x;
    int64_t result = 0;
    bool answered = begin(&x, l, &life_calls[0], at, &result);
    if (!answered)
        result = life_of(l)->probe(l->inner.self, c);
    end(&x, !answered, &result);
    return (int)result;
}

static int reconfigure(void *self, const void *conf, struct kl_call *c)
{
    struct layered *l = self;
    const void *const at[] = { &c, &conf, NULL };
    struct layer_call x;
    int64_t result = 0;
    bool answered = begin(&x, l, &life_calls[1], at, &result);
    if (!answered)
        result = life_of(l)->reconfigure(l->inner.self, conf, c);
    end(&x, !answered, &result);
    return (int)result;
}

static void close_(void *self)
{
    struct layered *l = self;
    const void *const at[] = { NULL };
    struct layer_call x;
    int64_t result = 0;
    begin(&x, l, &life_calls[2], at, &result);          /* nobody keeps an instance from its end */
    if (life_of(l)->close)
        life_of(l)->close(l->inner.self);
    end(&x, true, &result);
    free(l);
}

/* --- wrapping --- */

/* The inner table, with our functions where it has some. examine is none of an instance: its first parameter is the settings. */
static void make_table(struct layered *l, const void *ours)
{
    struct any_table *t = (struct any_table *)(void *)l->table;
    void (*function)(void);
    uint32_t size;
    memcpy(&size, l->inner.table, sizeof size);
    size = size < l->sig->bytes ? size : l->sig->bytes;
    memcpy(l->table, l->inner.table, size);
    t->size = size;
    for (uint32_t i = 0; i < l->sig->n_calls; i++) {
        const struct kl_sig_call *c = &l->sig->calls[i];
        if (size < c->offset + sizeof function || strcmp(c->name, "examine") == 0)
            continue;
        memcpy(&function, l->table + c->offset, sizeof function);
        if (function)
            memcpy(l->table + c->offset, (const char *)ours + c->offset, sizeof function);
    }
    t->life.probe = t->life.probe ? probe : NULL;
    t->life.reconfigure = t->life.reconfigure ? reconfigure : NULL;
    t->life.close = close_;
}

int layer_wrap(const struct layer_ops *ops, void *layer, struct kl_call *c, const struct kl_layered *inner, struct kl_layered *ret)
{
    static uint32_t number;
    size_t i = 0;
    while (i < sizeof interfaces / sizeof *interfaces && strcmp(interfaces[i].sig->id, inner->iface) != 0)
        i++;
    if (i == sizeof interfaces / sizeof *interfaces)
        return kl_fail(c, KL_UNSUPPORTED, "'%s' has no layers", inner->iface);
    struct layered *l = calloc(1, sizeof *l);
    if (!l)
        return kl_fail(c, KL_NO_MEMORY, "out of memory");
    l->sig = interfaces[i].sig;
    l->ops = ops;
    l->layer = layer;
    snprintf(l->instance, sizeof l->instance, "%s", inner->instance);
    l->inner = (struct kl_layered){ sizeof l->inner, l->sig->id, l->instance, inner->table, inner->self };
    l->number = __atomic_add_fetch(&number, 1, __ATOMIC_RELAXED);
    make_table(l, interfaces[i].layer);
    *ret = (struct kl_layered){ sizeof *ret, l->sig->id, l->instance, l->table, l };
    return 0;
}
