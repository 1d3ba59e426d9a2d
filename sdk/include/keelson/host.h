/* host.h - what the host gives to a plugin: a log and services by id.
 *
 * Each instance gets its own struct kl_host: log lines carry the instance's name, calls are counted per instance, and a
 * service that the plugin did not list among its needs is not handed out.
 */
#ifndef KEELSON_HOST_H
#define KEELSON_HOST_H

#include "call.h"

enum kl_level { KL_ERROR = 1, KL_WARN, KL_INFO, KL_DEBUG };

struct kl_host {
    KL_STRUCT_HEAD;
    uint32_t abi_major;
    const char *name, *version;         /* of the host */
    const char *instance;               /* name of this instance */
    void *ctx;                          /* the host's */
    void (*log)(const struct kl_host *h, int32_t level, const char *line);      /* [any] one line, no newline */
    const void *(*service)(const struct kl_host *h, const char *id);            /* [any] NULL: not here, or not among the needs */
};

__attribute__((format(printf, 3, 4))) static inline void kl_log(const struct kl_host *h, int32_t level, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    h->log(h, level, line);
}

/* Time, randomness and wake-ups. */
#define KL_HOST_ENV_0 "keelson.host.env/0"
struct kl_host_env {
    KL_STRUCT_HEAD;
    int64_t (*mono_ns)(const struct kl_host *h);                     /* [any] virtual in simulations */
    int64_t (*wall_ns)(const struct kl_host *h);                     /* [any] since 1970; for display and certificates only */
    void (*random)(const struct kl_host *h, void *at, size_t n);     /* [any] cryptographic; seeded in simulations */
};

/* Objects of the cluster. In a server's process this is the store, in a node's process a mirror of the API: the
 * answers are the same. Objects are compact JSON as the API would give them, apiVersion and kind included.
 * All functions are [any]; on the loop they never block; elsewhere they wait for the host (a write: until durable).
 * In a node's process the loop reads only what some controller watches (else KL_UNAVAILABLE: it is held from then on) and writes
 * nothing (KL_UNSUPPORTED): a controller that writes there has KL_CONTROLLER_BLOCKING.
 * Resources are named "group/plural" ("/pods", "apps/deployments"); ns is "" for cluster scope.
 *
 * Own writes are seen by own reads at once. A write is validated, defaulted and admitted like one over the API.
 * Errors: those of the API (KL_NOT_FOUND, KL_CONFLICT, KL_INVALID, KL_ALREADY_EXISTS, ...) with its message. */
#define KL_HOST_OBJECTS_0 "keelson.host.objects/0"

#define KL_PATCH_MERGE     1
#define KL_PATCH_STRATEGIC 2
#define KL_PATCH_JSON      3

struct kl_object_key {
    KL_STRUCT_HEAD;
    const char *resource, *ns, *name;
    const char *subresource;            /* NULL or "status", "scale", "binding", "finalize", "eviction" */
};

struct kl_list_options {
    KL_STRUCT_HEAD;
    const char *resource, *ns;          /* resource NULL: all, with owner_uid only; ns NULL: all namespaces */
    const char *label_selector, *field_selector;     /* NULL: all */
    const char *owner_uid;              /* NULL: all; else objects that name this uid among their ownerReferences (indexed) */
};

struct kl_delete_options {
    KL_STRUCT_HEAD;
    const char *uid;                    /* precondition, NULL: none */
    const char *propagation;            /* "Background", "Foreground", "Orphan", NULL: the kind's default */
    int64_t grace_seconds;              /* < 0: the object's own */
    uint64_t revision;                  /* precondition on resourceVersion, 0: none */
};

struct kl_object_list {                 /* objects in key order */
    KL_STRUCT_HEAD;
    uint64_t revision;
    uint32_t n;
    const struct kl_bytes *at;          /* n objects, in the call's arena or kept alive by it */
};

#define KL_KIND_NAMESPACED 1u

struct kl_kind {
    KL_STRUCT_HEAD;
    const char *resource;               /* "group/plural" under which its objects are kept; valid until the call ends */
    uint32_t flags;                     /* KL_KIND_* */
};

struct kl_host_objects {
    KL_STRUCT_HEAD;
    /* *ret stays valid until the call ends. A group that another server answers for (an APIService with a service) is read there, in a server's process
     * and not on the loop: name may be NULL (the whole collection) or "*", and behind subresource may come '?' and a query. */
    int (*get)(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes *ret);
    int (*list)(const struct kl_host *h, struct kl_call *c, const struct kl_list_options *o, struct kl_object_list *ret);
    /* ret may be NULL. k->name may be NULL: the object's metadata.name or generateName. */
    int (*create)(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj,
                  struct kl_bytes *ret);
    int (*update)(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj,
                  struct kl_bytes *ret);
    int (*patch)(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k, int32_t type,
                 struct kl_bytes patch, struct kl_bytes *ret);
    int (*remove)(const struct kl_host *h, struct kl_call *c, const struct kl_object_key *k,
                  const struct kl_delete_options *o);
    /* Records an Event about an object ({"apiVersion","kind","namespace","name","uid"[,"fieldPath"]}), with upstream's
     * counting of repeated ones. type "Normal" or "Warning". Lossy under load; never fails the caller. */
    void (*event)(const struct kl_host *h, struct kl_bytes about, const char *type, const char *reason, const char *message);
    /* Resource names of every kind served, "group/plural", NULL-terminated, in the call's arena. */
    int (*resources)(const struct kl_host *h, struct kl_call *c, const char *const **ret);
    /* The kind of a resource, or (resource NULL) of what apiVersion and kind in an object say. KL_NOT_FOUND: not served. */
    int (*kind)(const struct kl_host *h, struct kl_call *c, const char *resource, const char *api_version, const char *kind, struct kl_kind *ret);
};

/* Work queues of a controller instance (iface/controller.h). */
#define KL_HOST_QUEUE_0 "keelson.host.queue/0"
struct kl_host_queue {
    KL_STRUCT_HEAD;
    /* [any] Puts key into this instance's queue after delay_ns (0: now). A key waiting already keeps the earlier time. */
    void (*add)(const struct kl_host *h, const char *key, int64_t delay_ns);
};

/* Decisions that wait for an answer from elsewhere (authn, authz, admission: iface/auth.h). Nothing blocks: a plugin that has no answer yet
 * remembers kl_call.request, starts to ask, and returns -KL_PENDING. The request is abandoned without effect, and when the plugin wakes it,
 * run again from its start: the plugin is asked anew, and answers from what it has learnt for that request and for exactly what it is shown
 * now (an object may have changed meanwhile: then it asks again). What draws random values or time must draw the same for a request each
 * time. With kl_call.request 0 nobody can wait: -KL_PENDING is a failure. A request that is never woken ends with a time-out. */
#define KL_HOST_WAIT_0 "keelson.host.wait/0"
struct kl_host_wait {
    KL_STRUCT_HEAD;
    /* [any] The request is run again soon. One that is over already: nothing happens. */
    void (*wake)(const struct kl_host *h, uint64_t request);
};

/* Calls to other servers over HTTP/1.1 and HTTP/2. They go on by themselves; connections are kept and shared by equal targets of the process.
 * In a process without requests (a node's) there is none of it. */
#define KL_HOST_HTTP_0 "keelson.host.http/0"

struct kl_http_target {
    KL_STRUCT_HEAD;
    const char *url;                    /* "https://10.0.0.7:8443": scheme, host and port, no path */
    const char *server_name;            /* expected in its certificate; NULL: the host of url */
    struct kl_bytes ca;                 /* PEM; empty: the system's */
    struct kl_bytes cert, key;          /* PEM of a client certificate; empty: none */
    uint32_t insecure;                  /* 1: its certificate is not verified */
};

struct kl_http_request {
    KL_STRUCT_HEAD;
    const char *method, *path;          /* path with query */
    const char *const *headers;         /* name, value, name, value, ..., NULL; NULL: none */
    struct kl_bytes body;
    int64_t timeout_ns;                 /* until the end of the answer; 0: 30 s */
    uint64_t body_most;                 /* bytes of the answer; 0: 3 MiB */
};

struct kl_http_answer {
    KL_STRUCT_HEAD;
    uint32_t status;
    const char *const *headers;         /* as in the request, names in lower case */
    struct kl_bytes body;
};

struct kl_host_http {
    KL_STRUCT_HEAD;
    /* [loop] Begins a call; a ticket of this instance, or 0 (c->err: KL_INVALID, KL_TOO_MANY_REQUESTS, KL_NO_MEMORY). What is given is copied. */
    uint64_t (*start)(const struct kl_host *h, struct kl_call *c, const struct kl_http_target *t, const struct kl_http_request *r);
    /* [loop] That request (kl_call.request) is woken when the call is over, or soon if it is already. Any number may wait for one call. */
    void (*wait)(const struct kl_host *h, uint64_t ticket, uint64_t request);
    /* [loop] -KL_PENDING: under way. 0 or why there is no answer: KL_UNAVAILABLE (no connection, or it broke), KL_TIMEOUT, KL_TOO_LARGE,
     * KL_NOT_FOUND (no such ticket). It can be asked for again until dropped; *ret lives until then. */
    int (*result)(const struct kl_host *h, struct kl_call *c, uint64_t ticket, struct kl_http_answer *ret);
    /* [loop] Cancels the call, or forgets its answer: each ticket is dropped once. Of one that is not there: nothing. Who waits for it is woken. */
    void (*drop)(const struct kl_host *h, uint64_t ticket);
};

/* Resources that have several names, and their objects under another of them: built-in ones with several versions, custom resources, events. */
#define KL_HOST_VERSIONS_0 "keelson.host.versions/0"
struct kl_host_versions {
    KL_STRUCT_HEAD;
    /* [loop] The other names of a resource, as group, version, resource, group, version, resource, ..., NULL, in the call's arena. */
    int (*others)(const struct kl_host *h, struct kl_call *c, const char *group, const char *version, const char *resource, const char *const **ret);
    /* [loop] An object (JSON, which says what it is) in that apiVersion ("autoscaling/v1"). -KL_PENDING: a webhook has to convert it; c->request is
     * woken, and asks again. */
    int (*convert)(const struct kl_host *h, struct kl_call *c, struct kl_bytes object, const char *api_version, struct kl_bytes *ret);
    /* [loop] What a JSON patch makes of the object that was made for its form in that apiVersion: the object in its own version again, with its
     * defaults. KL_INVALID: the patch does not apply. -KL_PENDING as above. */
    int (*patch)(const struct kl_host *h, struct kl_call *c, struct kl_bytes object, const char *api_version, struct kl_bytes patch, struct kl_bytes *ret);
};

/* Other plugins' instances, for plugins that drive others (a node agent drives a runtime and a network). */
#define KL_HOST_PLUGINS_0 "keelson.host.plugins/0"
struct kl_instance {
    KL_STRUCT_HEAD;
    const char *name;
    const void *table;                  /* the interface's struct */
    void *self;
};
struct kl_host_plugins {
    KL_STRUCT_HEAD;
    /* [any] The instance of that interface with that name, or (name NULL) the default one: a configured instance before
     * an automatic one, the highest rank first. KL_NOT_FOUND when there is none, KL_UNAVAILABLE when it is not READY.
     * The instance stays usable until the asking instance is closed. "NAME@NODE" is the one of that name on that node (another process, if need be; only
     * keelson.volume, from a server's workers: [worker]). */
    int (*find)(const struct kl_host *h, struct kl_call *c, const char *iface, const char *name, struct kl_instance *ret);
};

/* --- signatures: see signature.h --- */
#define KL_OBJECT_KEY_MEMBERS(M, S) \
    M(S, STR, resource, _) \
    M(S, STR, ns, _) \
    M(S, STR, name, _) \
    M(S, STR, subresource, _)
#define KL_LIST_OPTIONS_MEMBERS(M, S) \
    M(S, STR, resource, _) \
    M(S, STR, ns, _) \
    M(S, STR, label_selector, _) \
    M(S, STR, field_selector, _) \
    M(S, STR, owner_uid, _)
#define KL_DELETE_OPTIONS_MEMBERS(M, S) \
    M(S, STR, uid, _) \
    M(S, STR, propagation, _) \
    M(S, I64, grace_seconds, _) \
    M(S, U64, revision, _)
#define KL_OBJECT_LIST_MEMBERS(M, S) \
    M(S, U64, revision, _) \
    M(S, U32, n, _) \
    M(S, BYTES_LIST, at, _)
#define KL_KIND_MEMBERS(M, S) \
    M(S, STR, resource, _) \
    M(S, U32, flags, _)
#define KL_INSTANCE_MEMBERS(M, S) \
    M(S, STR, name, _) \
    M(S, TABLE, table, _) \
    M(S, HANDLE, self, _)
#define KL_HTTP_TARGET_MEMBERS(M, S) \
    M(S, STR, url, _) \
    M(S, STR, server_name, _) \
    M(S, BYTES, ca, _) \
    M(S, BYTES, cert, _) \
    M(S, BYTES, key, _) \
    M(S, U32, insecure, _)
#define KL_HTTP_REQUEST_MEMBERS(M, S) \
    M(S, STR, method, _) \
    M(S, STR, path, _) \
    M(S, STRS, headers, _) \
    M(S, BYTES, body, _) \
    M(S, I64, timeout_ns, _) \
    M(S, U64, body_most, _)
#define KL_HTTP_ANSWER_MEMBERS(M, S) \
    M(S, U32, status, _) \
    M(S, STRS, headers, _) \
    M(S, BYTES, body, _)
#define KL_HOST_HTTP_CALLS(F, S) \
    F(S, start, U64, LOOP, 0, (CALL, c, _), (STRUCT, t, kl_http_target), (STRUCT, r, kl_http_request)) \
    F(S, wait, VOID, LOOP, 0, (U64, ticket, _), (U64, request, _)) \
    F(S, result, INT, LOOP, 0, (CALL, c, _), (U64, ticket, _), (OUT_STRUCT, ret, kl_http_answer)) \
    F(S, drop, VOID, LOOP, 0, (U64, ticket, _))
#define KL_HOST_VERSIONS_CALLS(F, S) \
    F(S, others, INT, LOOP, 0, (CALL, c, _), (STR, group, _), (STR, version, _), (STR, resource, _), (OUT_STRS, ret, _)) \
    F(S, convert, INT, LOOP, 0, (CALL, c, _), (BYTES, object, _), (STR, api_version, _), (OUT_BYTES, ret, _)) \
    F(S, patch, INT, LOOP, 0, (CALL, c, _), (BYTES, object, _), (STR, api_version, _), (BYTES, patch, _), (OUT_BYTES, ret, _))
#define KL_HOST_ENV_CALLS(F, S) \
    F(S, mono_ns, I64, ANY, 0, (NONE, _, _)) \
    F(S, wall_ns, I64, ANY, 0, (NONE, _, _)) \
    F(S, random, VOID, ANY, 0, (OUT_MEMORY, at, _), (SIZE, n, _))
#define KL_HOST_OBJECTS_CALLS(F, S) \
    F(S, get, INT, ANY, 0, (CALL, c, _), (STRUCT, k, kl_object_key), (OUT_BYTES, ret, _)) \
    F(S, list, INT, ANY, 0, (CALL, c, _), (STRUCT, o, kl_list_options), (OUT_STRUCT, ret, kl_object_list)) \
    F(S, create, INT, ANY, 0, (CALL, c, _), (STRUCT, k, kl_object_key), (BYTES, obj, _), (OUT_BYTES, ret, _)) \
    F(S, update, INT, ANY, 0, (CALL, c, _), (STRUCT, k, kl_object_key), (BYTES, obj, _), (OUT_BYTES, ret, _)) \
    F(S, patch, INT, ANY, 0, (CALL, c, _), (STRUCT, k, kl_object_key), (I32, type, _), (BYTES, patch, _), (OUT_BYTES, ret, _)) \
    F(S, remove, INT, ANY, 0, (CALL, c, _), (STRUCT, k, kl_object_key), (STRUCT, o, kl_delete_options)) \
    F(S, event, VOID, ANY, 0, (BYTES, about, _), (STR, type, _), (STR, reason, _), (STR, message, _)) \
    F(S, resources, INT, ANY, 0, (CALL, c, _), (OUT_STRS, ret, _)) \
    F(S, kind, INT, ANY, 0, (CALL, c, _), (STR, resource, _), (STR, api_version, _), (STR, kind, _), (OUT_STRUCT, ret, kl_kind))
#define KL_HOST_QUEUE_CALLS(F, S) \
    F(S, add, VOID, ANY, 0, (STR, key, _), (I64, delay_ns, _))
#define KL_HOST_WAIT_CALLS(F, S) \
    F(S, wake, VOID, ANY, 0, (U64, request, _))
#define KL_HOST_PLUGINS_CALLS(F, S) \
    F(S, find, INT, ANY, 0, (CALL, c, _), (STR, iface, _), (STR, name, _), (OUT_STRUCT, ret, kl_instance))

#endif
