/* tables.c - see tables.h. */
#include "isolate/tables.h"

#include <keelson/cel.h>
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

static struct table_row rows[];

/* --- results: what a function returns, as a number and back --- */

#define GIVE_VOID(expression) expression
#define GIVE_INT(expression)  return (int)(expression)
#define GIVE_U64(expression)  return (uint64_t)(expression)
#define GIVE_I64(expression)  return (expression)
#define GIVE_STR(expression)  return (const char *)(uintptr_t)(expression)
#define PASS_VOID(expression) { expression; return; }
#define PASS_INT(expression)  return expression;
#define PASS_U64(expression)  return expression;
#define PASS_I64(expression)  return expression;
#define PASS_STR(expression)  return expression;
#define TAKE_VOID(expression) expression; return 0
#define TAKE_INT(expression)  return expression
#define TAKE_U64(expression)  return (int64_t)(expression)
#define TAKE_I64(expression)  return expression
#define TAKE_STR(expression)  return (int64_t)(uintptr_t)(expression)

/* --- asking --- */

int64_t table_absent(const char *name)
{
    static const struct {
        const char *name;
        int64_t means;
    } table[] = { { "begin", 0 }, { "fit", KL_FIT_YES }, { "wants", 1 }, { "update", -KL_CONFLICT }, { "checkpoint", 0 }, { "wants_checkpoint", 0 } };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].means;
    return -KL_UNSUPPORTED;
}

#define INDEX(S, name, ...) S##_##name##_index,
#define ASK(S, name, result, thread, flags, ...) \
    static KL_SIG_RT_##result S##_##name##_ask(void *self KL_SIG_PARAMS(__VA_ARGS__)) \
    { \
        struct peer *p_ = self; \
        void *other_ = NULL; \
        const void *const at_[] = { KL_SIG_POINTERS(__VA_ARGS__) NULL }; \
        const struct S *t_ = p_->instead ? p_->instead(p_, &rows[S##_row], S##_##name##_index, at_, &other_) : NULL; \
        if (KL_HAS(t_, name)) \
            PASS_##result(t_->name(other_ KL_SIG_NAMES(__VA_ARGS__))) \
        GIVE_##result(t_ ? table_absent(#name) : p_->call(p_, &rows[S##_row], S##_##name##_index, at_)); \
    }
#define ASK_HOST(S, name, result, thread, flags, ...) \
    static KL_SIG_RT_##result S##_##name##_ask(const struct kl_host *h_ KL_SIG_PARAMS(__VA_ARGS__)) \
    { \
        struct peer *p_ = h_->ctx; \
        const void *const at_[] = { KL_SIG_POINTERS(__VA_ARGS__) NULL }; \
        GIVE_##result(p_->call(p_, &rows[S##_row], S##_##name##_index, at_)); \
    }

/* --- answering --- */

#define FIELDS(...) KL_SIG_EACH(FIELD, __VA_ARGS__)
#define FIELD(kind, name, of) KL_SIG_CAT(FIELD_, KL_SIG_IS_NONE(kind))(kind, name, of)
#define FIELD_0(kind, name, of) _Alignas(16) KL_SIG_T_##kind(of) name;
#define FIELD_1(kind, name, of)
#define VALUES(...) KL_SIG_EACH(VALUE, __VA_ARGS__)
#define VALUE(kind, name, of) KL_SIG_CAT(VALUE_, KL_SIG_IS_NONE(kind))(name)
#define VALUE_0(name) , a_->name
#define VALUE_1(name)

#define ANSWER(S, name, result, thread, flags, ...) \
    static int64_t S##_##name##_answer(const void *table, void *self, void *at) \
    { \
        const struct S *t_ = table; \
        const struct { \
            FIELDS(__VA_ARGS__) \
            _Alignas(16) char end; \
        } *a_ = at; \
        (void)a_; \
        TAKE_##result(t_->name(self VALUES(__VA_ARGS__))); \
    }

/* --- tables --- */

#define ASK_ROW(S, name, ...) .name = S##_##name##_ask,
#define ANSWER_ROW(S, name, ...) S##_##name##_answer,

#define TABLE(T, ASKS, CALLS) \
    enum { CALLS(INDEX, T) T##_calls }; \
    CALLS(ASKS, T) \
    CALLS(ANSWER, T) \
    static const struct T T##_proxy = { .size = sizeof(struct T), CALLS(ASK_ROW, T) }; \
    static const answer_fn T##_answers[] = { CALLS(ANSWER_ROW, T) };

#define INTERFACES(X) \
    X(kl_scheduler, KL_SCHEDULER_0, KL_SCHEDULER_CALLS) \
    X(kl_authn, KL_AUTHN_0, KL_AUTHN_CALLS) \
    X(kl_authz, KL_AUTHZ_0, KL_AUTHZ_CALLS) \
    X(kl_admission, KL_ADMISSION_0, KL_ADMISSION_CALLS) \
    X(kl_controller, KL_CONTROLLER_0, KL_CONTROLLER_CALLS) \
    X(kl_audit, KL_AUDIT_0, KL_AUDIT_CALLS) \
    X(kl_network, KL_NETWORK_0, KL_NETWORK_CALLS) \
    X(kl_node, KL_NODE_0, KL_NODE_CALLS) \
    X(kl_proxy, KL_PROXY_0, KL_PROXY_CALLS) \
    X(kl_runtime, KL_RUNTIME_0, KL_RUNTIME_CALLS) \
    X(kl_store, KL_STORE_0, KL_STORE_CALLS) \
    X(kl_volume, KL_VOLUME_0, KL_VOLUME_CALLS)
#define SERVICES(X) \
    X(kl_host_env, KL_HOST_ENV_0, KL_HOST_ENV_CALLS) \
    X(kl_host_objects, KL_HOST_OBJECTS_0, KL_HOST_OBJECTS_CALLS) \
    X(kl_host_queue, KL_HOST_QUEUE_0, KL_HOST_QUEUE_CALLS) \
    X(kl_host_wait, KL_HOST_WAIT_0, KL_HOST_WAIT_CALLS) \
    X(kl_host_http, KL_HOST_HTTP_0, KL_HOST_HTTP_CALLS) \
    X(kl_host_plugins, KL_HOST_PLUGINS_0, KL_HOST_PLUGINS_CALLS) \
    X(kl_host_authz, KL_HOST_AUTHZ_0, KL_HOST_AUTHZ_CALLS) \
    X(kl_host_cel, KL_HOST_CEL_0, KL_HOST_CEL_CALLS) \
    X(kl_host_versions, KL_HOST_VERSIONS_0, KL_HOST_VERSIONS_CALLS)

#define NUMBER(T, ID, CALLS) T##_row,
enum { INTERFACES(NUMBER) SERVICES(NUMBER) ROWS };

#define OF_INTERFACE(T, ID, CALLS) TABLE(T, ASK, CALLS)
#define OF_SERVICE(T, ID, CALLS) TABLE(T, ASK_HOST, CALLS)
INTERFACES(OF_INTERFACE)
SERVICES(OF_SERVICE)

#define ROW(T, ID, CALLS) { ID, NULL, &T##_proxy, T##_answers },
static struct table_row rows[ROWS] = { INTERFACES(ROW) SERVICES(ROW) };

void tables_init(const struct kl_sig_table *(*find)(const char *id))
{
    for (uint32_t i = 0; i < ROWS; i++)
        rows[i].sig = find(rows[i].id);
}

const struct table_row *table_find(const char *id)
{
    for (uint32_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].id, id) == 0 && rows[i].sig)
            return &rows[i];
    return NULL;
}

const struct table_row *table_at(uint32_t i)
{
    return i < ROWS && rows[i].sig ? &rows[i] : NULL;
}

uint32_t table_index(const struct table_row *t)
{
    return (uint32_t)(t - rows);
}

uint64_t table_functions(const struct table_row *t, const void *table)
{
    uint64_t ret = 0;
    uint32_t size;
    memcpy(&size, table, sizeof size);
    for (uint32_t i = 0; i < t->sig->n_calls && i < 64; i++) {
        void (*function)(void) = NULL;
        if (size >= t->sig->calls[i].offset + sizeof function)
            memcpy(&function, (const char *)table + t->sig->calls[i].offset, sizeof function);
        ret |= (uint64_t)(function != NULL) << i;
    }
    return ret;
}

void table_proxy(const struct table_row *t, uint64_t functions, void *room)
{
    void (*none)(void) = NULL;
    memcpy(room, t->proxy, t->sig->bytes);
    for (uint32_t i = 0; i < t->sig->n_calls && i < 64; i++)
        if (!(functions >> i & 1))
            memcpy((char *)room + t->sig->calls[i].offset, &none, sizeof none);
}
