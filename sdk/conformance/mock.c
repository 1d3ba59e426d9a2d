/* mock.c - see host.h: other instances, for plugins that drive some. Written by the signatures. */
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
#include <keelson/signature.h>

#include "host.h"

#define GIVES_VOID(x)
#define GIVES_INT(x)   return (x)
#define GIVES_I64(x)   return 0
#define GIVES_U64(x)   return 0
#define GIVES_STR(x)   return "mock"
#define GIVES_TABLE(x) return NULL

/* The one argument that is a call gets the reason. */
static inline void find_call(uint32_t kind, const void *at, struct kl_call **ret)
{
    if (kind == KL_SIG_CALL)
        memcpy(ret, at, sizeof *ret);
}

#define FIND_CALL(kind, name, of) KL_SIG_CAT(FIND_, KL_SIG_IS_NONE(kind))(kind, name)
#define FIND_0(kind, name) find_call(KL_SIG_##kind, &name, &call);
#define FIND_1(kind, name)

#define MOCK(S, name, result, thread, flags, ...) \
    static KL_SIG_RT_##result S##_##name(void *self KL_SIG_PARAMS(__VA_ARGS__)) \
    { \
        struct kl_call *call = NULL; \
        (void)self; \
        KL_SIG_EACH(FIND_CALL, __VA_ARGS__) \
        if (call) \
            kl_fail(call, KL_UNAVAILABLE, "%s of this host does nothing", #S); \
        GIVES_##result(-KL_UNAVAILABLE); \
    }
#define POINTER(S, name, ...) .name = S##_##name,

static int mock_open(const struct kl_host *h, const void *conf, void **self, struct kl_call *c)
{
    (void)h;
    (void)conf;
    (void)self;
    (void)c;
    return 0;
}

#define TABLE(T, CALLS) \
    CALLS(MOCK, T) \
    static const struct T T##_mock = { .size = sizeof(struct T), .life = { .open = mock_open }, CALLS(POINTER, T) }

TABLE(kl_audit, KL_AUDIT_CALLS);
TABLE(kl_authn, KL_AUTHN_CALLS);
TABLE(kl_authz, KL_AUTHZ_CALLS);
TABLE(kl_admission, KL_ADMISSION_CALLS);
TABLE(kl_controller, KL_CONTROLLER_CALLS);
TABLE(kl_network, KL_NETWORK_CALLS);
TABLE(kl_node, KL_NODE_CALLS);
TABLE(kl_proxy, KL_PROXY_CALLS);
TABLE(kl_runtime, KL_RUNTIME_CALLS);
TABLE(kl_scheduler, KL_SCHEDULER_CALLS);
TABLE(kl_store, KL_STORE_CALLS);
TABLE(kl_volume, KL_VOLUME_CALLS);

static const struct {
    const char *iface;
    const void *table;
} tables[] = {
    { KL_AUDIT_0, &kl_audit_mock },           { KL_AUTHN_0, &kl_authn_mock },     { KL_AUTHZ_0, &kl_authz_mock },
    { KL_ADMISSION_0, &kl_admission_mock },   { KL_CONTROLLER_0, &kl_controller_mock }, { KL_NETWORK_0, &kl_network_mock },
    { KL_NODE_0, &kl_node_mock },             { KL_PROXY_0, &kl_proxy_mock },     { KL_RUNTIME_0, &kl_runtime_mock },
    { KL_SCHEDULER_0, &kl_scheduler_mock },   { KL_STORE_0, &kl_store_mock },       { KL_VOLUME_0, &kl_volume_mock },
};

const void *mock_table(const char *iface)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (strcmp(tables[i].iface, iface) == 0)
            return tables[i].table;
    return NULL;
}
