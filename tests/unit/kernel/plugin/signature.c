/* The signature tables: every function they describe has the C type of the table's member (the compiler compares them below), and what they
 * say is enough to read a call's arguments without knowing the call. */
#include "plugin/signature.h"

#include <keelson/cel.h>
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

#include <criterion/criterion.h>

#include "base/buf.h"

/* --- a layer: one macro for every call of every interface --- */

static struct buf seen;
static const struct kl_sig_table *seen_table;

static void write_bytes(struct kl_bytes v)
{
    buf_printf(&seen, "%.*s", (int)v.len, v.at ? v.at : "");
}

static void write_item(const struct kl_sig_item *item, const void *at);

static void write_struct(const struct kl_sig_struct *s, const void *v)
{
    buf_add_c(&seen, '{');
    for (uint32_t i = 0; v && i < s->n; i++) {
        buf_printf(&seen, "%s%s=", i ? " " : "", s->members[i].name);
        write_item(&s->members[i], (const char *)v + s->members[i].offset);
    }
    buf_add_c(&seen, '}');
}

static void write_item(const struct kl_sig_item *item, const void *at)
{
    switch (item->kind) {
    case KL_SIG_I32: case KL_SIG_FD: buf_printf(&seen, "%d", *(const int32_t *)at); break;
    case KL_SIG_U32: buf_printf(&seen, "%u", *(const uint32_t *)at); break;
    case KL_SIG_I64: buf_printf(&seen, "%lld", (long long)*(const int64_t *)at); break;
    case KL_SIG_U64: buf_printf(&seen, "%llu", (unsigned long long)*(const uint64_t *)at); break;
    case KL_SIG_STR: buf_printf(&seen, "%s", *(const char *const *)at ? *(const char *const *)at : "-"); break;
    case KL_SIG_BYTES: write_bytes(*(const struct kl_bytes *)at); break;
    case KL_SIG_STRUCT: write_struct(item->of, *(const void *const *)at); break;
    default: buf_add_c(&seen, '*');
    }
}

static void trace(const char *function, const void *const *arguments)
{
    for (uint32_t i = 0; i < seen_table->n_calls; i++) {
        const struct kl_sig_call *c = &seen_table->calls[i];
        if (strcmp(c->name, function) != 0)
            continue;
        buf_printf(&seen, "%s(", c->name);
        for (uint32_t k = 0; k < c->n; k++) {
            buf_printf(&seen, "%s%s=", k ? ", " : "", c->arguments[k].name);
            write_item(&c->arguments[k], arguments[k]);
        }
        buf_lit(&seen, ")");
    }
}

#define RETURN_VOID
#define RETURN_INT 7
#define RETURN_U64 7
#define RETURN_I64 7
#define RETURN_STR "seven"

#define FUNCTION(S, name, result, thread, flags, ...) \
    static KL_SIG_RT_##result S##_##name(void *self KL_SIG_PARAMS(__VA_ARGS__)) \
    { \
        (void)self; \
        trace(#name, (const void *const[]){ KL_SIG_POINTERS(__VA_ARGS__) NULL }); \
        return RETURN_##result; \
    }
#define HOST_FUNCTION(S, name, result, thread, flags, ...) \
    static KL_SIG_RT_##result S##_##name(const struct kl_host *self KL_SIG_PARAMS(__VA_ARGS__)) \
    { \
        (void)self; \
        trace(#name, (const void *const[]){ KL_SIG_POINTERS(__VA_ARGS__) NULL }); \
        return RETURN_##result; \
    }
#define POINTER(S, name, ...) .name = S##_##name,

#define LAYER(T, CALLS) \
    CALLS(FUNCTION, T) \
    static const struct T T##_layer = { .size = sizeof(struct T), CALLS(POINTER, T) }
#define HOST_LAYER(T, CALLS) \
    CALLS(HOST_FUNCTION, T) \
    static const struct T T##_layer = { .size = sizeof(struct T), CALLS(POINTER, T) }

HOST_LAYER(kl_host_env, KL_HOST_ENV_CALLS);
HOST_LAYER(kl_host_objects, KL_HOST_OBJECTS_CALLS);
HOST_LAYER(kl_host_queue, KL_HOST_QUEUE_CALLS);
HOST_LAYER(kl_host_plugins, KL_HOST_PLUGINS_CALLS);
HOST_LAYER(kl_host_wait, KL_HOST_WAIT_CALLS);
HOST_LAYER(kl_host_http, KL_HOST_HTTP_CALLS);
HOST_LAYER(kl_host_authz, KL_HOST_AUTHZ_CALLS);
HOST_LAYER(kl_host_versions, KL_HOST_VERSIONS_CALLS);
HOST_LAYER(kl_host_cel, KL_HOST_CEL_CALLS);
LAYER(kl_authn, KL_AUTHN_CALLS);
LAYER(kl_authz, KL_AUTHZ_CALLS);
LAYER(kl_admission, KL_ADMISSION_CALLS);
LAYER(kl_controller, KL_CONTROLLER_CALLS);
LAYER(kl_network, KL_NETWORK_CALLS);
LAYER(kl_node, KL_NODE_CALLS);
LAYER(kl_audit, KL_AUDIT_CALLS);
LAYER(kl_proxy, KL_PROXY_CALLS);
LAYER(kl_runtime, KL_RUNTIME_CALLS);
LAYER(kl_scheduler, KL_SCHEDULER_CALLS);
LAYER(kl_store, KL_STORE_CALLS);
LAYER(kl_layer, KL_LAYER_CALLS);
LAYER(kl_volume, KL_VOLUME_CALLS);

/* Members' types, by kind. */
#define SAME_TYPE(S, kind, name, of) \
    _Static_assert(__builtin_types_compatible_p(__typeof__(((S *)0)->name), KL_SIG_T_##kind(of)), #S "." #name " is no " #kind);
KL_OBJECT_KEY_MEMBERS(SAME_TYPE, struct kl_object_key)
KL_LIST_OPTIONS_MEMBERS(SAME_TYPE, struct kl_list_options)
KL_DELETE_OPTIONS_MEMBERS(SAME_TYPE, struct kl_delete_options)
KL_OBJECT_LIST_MEMBERS(SAME_TYPE, struct kl_object_list)
KL_KIND_MEMBERS(SAME_TYPE, struct kl_kind)
KL_INSTANCE_MEMBERS(SAME_TYPE, struct kl_instance)
KL_USER_MEMBERS(SAME_TYPE, struct kl_user)
KL_CREDENTIALS_MEMBERS(SAME_TYPE, struct kl_credentials)
KL_REQUEST_MEMBERS(SAME_TYPE, struct kl_request)
KL_ADMISSION_REVIEW_MEMBERS(SAME_TYPE, struct kl_admission_review)
KL_ADMISSION_VERDICT_MEMBERS(SAME_TYPE, struct kl_admission_verdict)
KL_WATCH_MEMBERS(SAME_TYPE, struct kl_watch)
KL_RUNTIME_IO_MEMBERS(SAME_TYPE, struct kl_runtime_io)
KL_LOG_OPTIONS_MEMBERS(SAME_TYPE, struct kl_log_options)
KL_NODE_VIEW_MEMBERS(SAME_TYPE, struct kl_node_view)
KL_POD_VIEW_MEMBERS(SAME_TYPE, struct kl_pod_view)
KL_STORE_OP_MEMBERS(SAME_TYPE, struct kl_store_op)
KL_STORE_COMMIT_MEMBERS(SAME_TYPE, struct kl_store_commit)
KL_STORE_RECORD_MEMBERS(SAME_TYPE, struct kl_store_record)
KL_VOLUME_SPEC_MEMBERS(SAME_TYPE, struct kl_volume_spec)
KL_VOLUME_MADE_MEMBERS(SAME_TYPE, struct kl_volume_made)
KL_VOLUME_USE_MEMBERS(SAME_TYPE, struct kl_volume_use)
KL_VOLUME_STATS_MEMBERS(SAME_TYPE, struct kl_volume_stats)

static void check_trace(const char *id, const char *text)
{
    cr_expect_str_eq(seen.at, text, "%s: %s", id, seen.at);
    buf_free(&seen);
}

Test(signature, describes_a_call_well_enough_to_show_it)
{
    struct kl_pod_view pod = { .size = sizeof pod, .pod = { "{}", 2 }, .mcpu = 100, .memory = 64 };
    struct kl_node_view node = { .size = sizeof node, .name = "n1", .mcpu = 4000, .pods = 110, .matching_pods = 2 };
    seen_table = signature_find(KL_SCHEDULER_0);
    cr_expect_eq(kl_scheduler_layer.score(NULL, NULL, NULL, &pod, &node), 7);
    check_trace(KL_SCHEDULER_0, "score(c=*, cycle=*, pod={pod={} mcpu=100 memory=64 guess_mcpu=0 guess_memory=0}, node={name=n1 node= mcpu=4000 memory=0 pods=110 used_mcpu=0 "
                                "used_memory=0 used_pods=0 matching_pods=2 taints=0 affinity=0 spread=0 unasked_spread=0 neighbours=0 images=0 guess_mcpu=0 guess_memory=0})");
    struct kl_runtime_io io = { .size = sizeof io, .in = 3, .out = 4, .err = -1, .resize = -1, .tty = 1 };
    seen_table = signature_find(KL_NODE_0);
    kl_node_layer.attach(NULL, NULL, "ns", "pod", NULL, &io);
    check_trace(KL_NODE_0, "attach(c=*, pod_ns=ns, pod=pod, container=-, io={in=3 out=4 err=-1 resize=-1 tty=1})");
    cr_expect_str_eq(kl_node_layer.name(NULL), "seven");
    check_trace(KL_NODE_0, "name()");
    struct kl_request request = { .size = sizeof request, .verb = "create", .resource = "pods" };
    struct kl_admission_review review = { .size = sizeof review, .request = &request, .kind = "Pod" };
    seen_table = signature_find(KL_ADMISSION_0);
    kl_admission_layer.review(NULL, NULL, &review, NULL);
    check_trace(KL_ADMISSION_0, "review(c=*, r={request={verb=create path=- is_resource=0 group=- version=- resource=pods subresource=- ns=- name=- field_selector=- label_selector=-} user={} "
                                "kind=Pod object= old_object= options= kind_group=- kind_version=-}, ret=*)");
    seen_table = signature_find(KL_HOST_QUEUE_0);
    kl_host_queue_layer.add(NULL, "a/b", 5);
    check_trace(KL_HOST_QUEUE_0, "add(key=a/b, delay_ns=5)");
}

Test(signature, every_layer_has_every_function)
{
    static const struct {
        const char *id;
        const void *layer;
    } rows[] = {
        { KL_HOST_ENV_0, &kl_host_env_layer }, { KL_HOST_OBJECTS_0, &kl_host_objects_layer }, { KL_HOST_QUEUE_0, &kl_host_queue_layer },
        { KL_HOST_PLUGINS_0, &kl_host_plugins_layer }, { KL_AUDIT_0, &kl_audit_layer }, { KL_AUTHN_0, &kl_authn_layer }, { KL_AUTHZ_0, &kl_authz_layer },
        { KL_ADMISSION_0, &kl_admission_layer }, { KL_CONTROLLER_0, &kl_controller_layer }, { KL_NETWORK_0, &kl_network_layer },
        { KL_NODE_0, &kl_node_layer }, { KL_PROXY_0, &kl_proxy_layer }, { KL_RUNTIME_0, &kl_runtime_layer },
        { KL_SCHEDULER_0, &kl_scheduler_layer }, { KL_STORE_0, &kl_store_layer }, { KL_HOST_WAIT_0, &kl_host_wait_layer },
        { KL_HOST_HTTP_0, &kl_host_http_layer },
        { KL_HOST_AUTHZ_0, &kl_host_authz_layer },
        { KL_HOST_CEL_0, &kl_host_cel_layer },
        { KL_HOST_VERSIONS_0, &kl_host_versions_layer },
        { KL_LAYER_0, &kl_layer_layer }, { KL_VOLUME_0, &kl_volume_layer },
    };
    cr_assert_eq(sizeof rows / sizeof *rows, signature_count());
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct kl_sig_table *t = signature_find(rows[i].id);
        cr_assert(t, "%s", rows[i].id);
        cr_expect_null(signature_missing(t, rows[i].layer), "%s: %s", rows[i].id, signature_missing(t, rows[i].layer));
        for (uint32_t k = 0; k < t->n_calls; k++)
            for (uint32_t n = 0; n < t->calls[k].n; n++)
                cr_expect_str_neq(signature_kind_text(t->calls[k].arguments[n].kind), "?");
    }
}

Test(signature, tells_what_a_table_lacks)
{
    const struct kl_sig_table *t = signature_find(KL_SCHEDULER_0);
    struct kl_scheduler s = kl_scheduler_layer;
    s.begin = NULL;
    cr_expect_null(signature_missing(t, &s), "begin may be absent");
    s.score = NULL;
    cr_expect_str_eq(signature_missing(t, &s), "score");
    s = kl_scheduler_layer;
    s.size = offsetof(struct kl_scheduler, score) + 4;
    cr_expect_str_eq(signature_missing(t, &s), "score", "a function that the size cuts is not there");
}

Test(signature, knows_revisions)
{
    cr_expect_null(signature_find("keelson.scheduler/1"));
    cr_expect_str_eq(signature_other_revision("keelson.scheduler/1"), "keelson.scheduler/0");
    cr_expect_null(signature_other_revision("keelson.sched/0"));
    cr_expect_null(signature_other_revision("keelson.astrology/0"));
    cr_expect(signature_is_service(signature_find(KL_HOST_OBJECTS_0)));
    cr_expect_not(signature_is_service(signature_find(KL_STORE_0)));
}
