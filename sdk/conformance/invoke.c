/* invoke.c - see invoke.h: one function for each call, written by the signatures' lists. */
#include "invoke.h"

#include <keelson/iface/audit.h>
#include <keelson/iface/auth.h>
#include <keelson/iface/controller.h>
#include <keelson/iface/layer.h>
#include <keelson/iface/network.h>
#include <keelson/iface/node.h>
#include <keelson/iface/proxy.h>
#include <keelson/iface/runtime.h>
#include <keelson/iface/scheduler.h>
#include <keelson/iface/store.h>
#include <keelson/iface/volume.h>

#define MEMBER(kind, name, of) KL_SIG_CAT(MEMBER_, KL_SIG_IS_NONE(kind))(kind, name, of)
#define MEMBER_0(kind, name, of) KL_SIG_T_##kind(of) name;
#define MEMBER_1(kind, name, of)
#define GIVEN(kind, name, of) KL_SIG_CAT(GIVEN_, KL_SIG_IS_NONE(kind))(name)
#define GIVEN_0(name) , b->name
#define GIVEN_1(name)

#define KEEP_VOID(ret, value)  (value)
#define KEEP_INT(ret, value)   (ret)->i = (value)
#define KEEP_I64(ret, value)   (ret)->i = (value)
#define KEEP_U64(ret, value)   (ret)->u = (value)
#define KEEP_STR(ret, value)   (ret)->s = (value)
#define KEEP_TABLE(ret, value) (ret)->table = (value)

#define INVOKER(S, name, result, thread, flags, ...) \
    struct S##_##name##_block { \
        KL_SIG_EACH(MEMBER, __VA_ARGS__) \
    }; \
    _Static_assert(sizeof(struct S##_##name##_block) <= INVOKE_BLOCK, #S "." #name); \
    static void S##_##name##_invoke(const void *table, void *self, const void *block, union invoke_result *ret) \
    { \
        const struct S##_##name##_block *b = block; \
        (void)b; \
        (void)ret; \
        KEEP_##result(ret, ((const struct S *)table)->name(self KL_SIG_EACH(GIVEN, __VA_ARGS__))); \
    }
#define INVOKER_ROW(S, name, ...) S##_##name##_invoke,

typedef void (*invoker)(const void *table, void *self, const void *block, union invoke_result *ret);

#define INTERFACE(T, CALLS) \
    CALLS(INVOKER, T) \
    static const invoker T##_invokers[] = { CALLS(INVOKER_ROW, T) }

INTERFACE(kl_audit, KL_AUDIT_CALLS);
INTERFACE(kl_authn, KL_AUTHN_CALLS);
INTERFACE(kl_authz, KL_AUTHZ_CALLS);
INTERFACE(kl_admission, KL_ADMISSION_CALLS);
INTERFACE(kl_controller, KL_CONTROLLER_CALLS);
INTERFACE(kl_layer, KL_LAYER_CALLS);
INTERFACE(kl_network, KL_NETWORK_CALLS);
INTERFACE(kl_node, KL_NODE_CALLS);
INTERFACE(kl_proxy, KL_PROXY_CALLS);
INTERFACE(kl_runtime, KL_RUNTIME_CALLS);
INTERFACE(kl_scheduler, KL_SCHEDULER_CALLS);
INTERFACE(kl_store, KL_STORE_CALLS);
INTERFACE(kl_volume, KL_VOLUME_CALLS);

static const struct {
    const char *id;
    const invoker *at;
} interfaces[] = {
    { KL_AUDIT_0, kl_audit_invokers },           { KL_AUTHN_0, kl_authn_invokers },     { KL_AUTHZ_0, kl_authz_invokers },
    { KL_ADMISSION_0, kl_admission_invokers },   { KL_CONTROLLER_0, kl_controller_invokers }, { KL_NETWORK_0, kl_network_invokers },
    { KL_LAYER_0, kl_layer_invokers },
    { KL_NODE_0, kl_node_invokers },             { KL_PROXY_0, kl_proxy_invokers },     { KL_RUNTIME_0, kl_runtime_invokers },
    { KL_SCHEDULER_0, kl_scheduler_invokers },   { KL_STORE_0, kl_store_invokers },     { KL_VOLUME_0, kl_volume_invokers },
};

static const invoker *invokers_of(const struct kl_sig_table *sig)
{
    for (size_t i = 0; i < sizeof interfaces / sizeof *interfaces; i++)
        if (strcmp(interfaces[i].id, sig->id) == 0)
            return interfaces[i].at;
    return NULL;
}

bool invoke_known(const struct kl_sig_table *sig)
{
    return invokers_of(sig) != NULL;
}

void invoke(const struct kl_sig_table *sig, uint32_t call, const void *table, void *self, const void *block, union invoke_result *ret)
{
    *ret = (union invoke_result){ .u = 0 };
    invokers_of(sig)[call](table, self, block, ret);
}

bool invoke_has(const struct kl_sig_call *call, const void *table)
{
    uint32_t size;
    void (*function)(void);
    memcpy(&size, table, sizeof size);
    if (size < call->offset + sizeof function)
        return false;
    memcpy(&function, (const char *)table + call->offset, sizeof function);
    return function != NULL;
}

size_t invoke_bytes(uint32_t kind)
{
    switch (kind) {
    case KL_SIG_I32: case KL_SIG_U32: case KL_SIG_FD: return 4;
    case KL_SIG_BYTES: return sizeof(struct kl_bytes);
    default: return 8;
    }
}

static size_t align_of(uint32_t kind)
{
    return invoke_bytes(kind) == 4 ? 4 : 8;
}

size_t invoke_offset(const struct kl_sig_call *call, uint32_t i)
{
    size_t at = 0;
    for (uint32_t k = 0; k <= i; k++) {
        size_t align = align_of(call->arguments[k].kind);
        at = (at + align - 1) / align * align;
        if (k < i)
            at += invoke_bytes(call->arguments[k].kind);
    }
    return at;
}
