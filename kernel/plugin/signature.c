/* signature.c - see signature.h. */
#include "plugin/signature.h"

#include <keelson/iface/audit.h>
#include <keelson/cel.h>
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

KL_SIG_STRUCT(kl_object_key, KL_OBJECT_KEY_MEMBERS);
KL_SIG_STRUCT(kl_list_options, KL_LIST_OPTIONS_MEMBERS);
KL_SIG_STRUCT(kl_delete_options, KL_DELETE_OPTIONS_MEMBERS);
KL_SIG_STRUCT(kl_object_list, KL_OBJECT_LIST_MEMBERS);
KL_SIG_STRUCT(kl_kind, KL_KIND_MEMBERS);
KL_SIG_STRUCT(kl_instance, KL_INSTANCE_MEMBERS);
KL_SIG_STRUCT(kl_http_target, KL_HTTP_TARGET_MEMBERS);
KL_SIG_STRUCT(kl_http_request, KL_HTTP_REQUEST_MEMBERS);
KL_SIG_STRUCT(kl_http_answer, KL_HTTP_ANSWER_MEMBERS);
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
KL_SIG_STRUCT(kl_layered, KL_LAYERED_MEMBERS);
KL_SIG_STRUCT(kl_volume_spec, KL_VOLUME_SPEC_MEMBERS);
KL_SIG_STRUCT(kl_volume_made, KL_VOLUME_MADE_MEMBERS);
KL_SIG_STRUCT(kl_volume_use, KL_VOLUME_USE_MEMBERS);
KL_SIG_STRUCT(kl_volume_stats, KL_VOLUME_STATS_MEMBERS);

KL_SIG_TABLE(kl_host_env, KL_HOST_ENV_0, KL_SIG_NO_DATA, KL_HOST_ENV_CALLS);
KL_SIG_TABLE(kl_host_objects, KL_HOST_OBJECTS_0, KL_SIG_NO_DATA, KL_HOST_OBJECTS_CALLS);
KL_SIG_TABLE(kl_host_queue, KL_HOST_QUEUE_0, KL_SIG_NO_DATA, KL_HOST_QUEUE_CALLS);
KL_SIG_TABLE(kl_host_http, KL_HOST_HTTP_0, KL_SIG_NO_DATA, KL_HOST_HTTP_CALLS);
KL_SIG_TABLE(kl_host_versions, KL_HOST_VERSIONS_0, KL_SIG_NO_DATA, KL_HOST_VERSIONS_CALLS);
KL_SIG_TABLE(kl_host_cel, KL_HOST_CEL_0, KL_SIG_NO_DATA, KL_HOST_CEL_CALLS);
KL_SIG_TABLE(kl_host_wait, KL_HOST_WAIT_0, KL_SIG_NO_DATA, KL_HOST_WAIT_CALLS);
KL_SIG_TABLE(kl_host_plugins, KL_HOST_PLUGINS_0, KL_SIG_NO_DATA, KL_HOST_PLUGINS_CALLS);
KL_SIG_TABLE(kl_audit, KL_AUDIT_0, KL_SIG_NO_DATA, KL_AUDIT_CALLS);
KL_SIG_TABLE(kl_host_authz, KL_HOST_AUTHZ_0, KL_SIG_NO_DATA, KL_HOST_AUTHZ_CALLS);
KL_SIG_TABLE(kl_authn, KL_AUTHN_0, KL_SIG_NO_DATA, KL_AUTHN_CALLS);
KL_SIG_TABLE(kl_authz, KL_AUTHZ_0, KL_SIG_NO_DATA, KL_AUTHZ_CALLS);
KL_SIG_TABLE(kl_admission, KL_ADMISSION_0, KL_ADMISSION_DATA, KL_ADMISSION_CALLS);
KL_SIG_TABLE(kl_controller, KL_CONTROLLER_0, KL_CONTROLLER_DATA, KL_CONTROLLER_CALLS);
KL_SIG_TABLE(kl_network, KL_NETWORK_0, KL_SIG_NO_DATA, KL_NETWORK_CALLS);
KL_SIG_TABLE(kl_node, KL_NODE_0, KL_SIG_NO_DATA, KL_NODE_CALLS);
KL_SIG_TABLE(kl_proxy, KL_PROXY_0, KL_SIG_NO_DATA, KL_PROXY_CALLS);
KL_SIG_TABLE(kl_runtime, KL_RUNTIME_0, KL_SIG_NO_DATA, KL_RUNTIME_CALLS);
KL_SIG_TABLE(kl_scheduler, KL_SCHEDULER_0, KL_SIG_NO_DATA, KL_SCHEDULER_CALLS);
KL_SIG_TABLE(kl_store, KL_STORE_0, KL_SIG_NO_DATA, KL_STORE_CALLS);
KL_SIG_TABLE(kl_volume, KL_VOLUME_0, KL_VOLUME_DATA, KL_VOLUME_CALLS);
KL_SIG_TABLE(kl_layer, KL_LAYER_0, KL_SIG_NO_DATA, KL_LAYER_CALLS);

static const struct kl_sig_table *const all[] = {
    &kl_sig_kl_host_env, &kl_sig_kl_host_objects, &kl_sig_kl_host_queue, &kl_sig_kl_host_plugins, &kl_sig_kl_authn,
    &kl_sig_kl_authz,    &kl_sig_kl_admission,    &kl_sig_kl_controller, &kl_sig_kl_network,      &kl_sig_kl_node,
    &kl_sig_kl_proxy,    &kl_sig_kl_runtime,      &kl_sig_kl_scheduler,  &kl_sig_kl_store,      &kl_sig_kl_host_wait,
    &kl_sig_kl_host_http, &kl_sig_kl_audit,
    &kl_sig_kl_host_authz, &kl_sig_kl_host_cel, &kl_sig_kl_host_versions, &kl_sig_kl_layer, &kl_sig_kl_volume,
};

size_t signature_count(void)
{
    return sizeof all / sizeof *all;
}

const struct kl_sig_table *signature_at(size_t i)
{
    return all[i];
}

const struct kl_sig_table *signature_find(const char *id)
{
    for (size_t i = 0; i < signature_count(); i++)
        if (strcmp(all[i]->id, id) == 0)
            return all[i];
    return NULL;
}

const char *signature_other_revision(const char *id)
{
    const char *slash = strrchr(id, '/');
    size_t n = slash ? (size_t)(slash - id) + 1 : strlen(id);
    for (size_t i = 0; i < signature_count(); i++)
        if (strncmp(all[i]->id, id, n) == 0)
            return all[i]->id;
    return NULL;
}

bool signature_is_service(const struct kl_sig_table *t)
{
    return strncmp(t->id, "keelson.host.", 13) == 0;
}

const char *signature_missing(const struct kl_sig_table *t, const void *table)
{
    uint32_t size;
    void (*function)(void);
    memcpy(&size, table, sizeof size);
    for (uint32_t i = 0; i < t->n_calls; i++) {
        const struct kl_sig_call *c = &t->calls[i];
        if (c->flags & KL_SIG_OPTIONAL)
            continue;
        if (size < c->offset + sizeof function)
            return c->name;
        memcpy(&function, (const char *)table + c->offset, sizeof function);
        if (!function)
            return c->name;
    }
    return NULL;
}

const char *signature_kind_text(uint32_t kind)
{
    static const char *const texts[] = {
        [KL_SIG_CALL] = "call", [KL_SIG_HANDLE] = "handle", [KL_SIG_TABLE] = "table", [KL_SIG_I32] = "i32", [KL_SIG_U32] = "u32",
        [KL_SIG_I64] = "i64", [KL_SIG_U64] = "u64", [KL_SIG_SIZE] = "size", [KL_SIG_FD] = "fd", [KL_SIG_STR] = "text", [KL_SIG_STRS] = "texts",
        [KL_SIG_BYTES] = "bytes", [KL_SIG_BYTES_LIST] = "bytes[]", [KL_SIG_STRUCT] = "", [KL_SIG_STRUCTS] = "[]", [KL_SIG_ARRAY] = "[]",
        [KL_SIG_OUT_HANDLE] = "out handle", [KL_SIG_OUT_I32] = "out i32", [KL_SIG_OUT_U32] = "out u32", [KL_SIG_OUT_I64] = "out i64",
        [KL_SIG_OUT_FD] = "out fd", [KL_SIG_OUT_STR] = "out text", [KL_SIG_OUT_STRS] = "out texts", [KL_SIG_OUT_BYTES] = "out bytes",
        [KL_SIG_OUT_MEMORY] = "out memory", [KL_SIG_OUT_STRUCT] = "out", [KL_SIG_OUT_STRUCTS] = "out []",
    };
    return kind < KL_SIG_KIND_END && texts[kind] ? texts[kind] : "?";
}

const char *signature_result_text(uint32_t result)
{
    static const char *const texts[] = { "?", "void", "int", "u64", "i64", "text", "table" };
    return result <= KL_SIG_R_TABLE ? texts[result] : "?";
}

const char *signature_thread_text(uint32_t thread)
{
    static const char *const texts[] = { "?", "loop", "worker", "loop or worker", "any" };
    return thread <= KL_SIG_ANY ? texts[thread] : "?";
}
