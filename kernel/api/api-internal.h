/* api-internal.h - what the files of kernel/api share. */
#ifndef API_INTERNAL_H
#define API_INTERNAL_H

#include "api/api.h"
#include "api/audit.h"
#include "api/flow.h"
#include "api/metrics.h"
#include "api/node_gate.h"
#include "api/stream.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "object/object.h"

#define API_ARENA_MAX (64u << 20)
#define API_LIST_CHUNK (1u << 20)

/* --- error.c: a failure as the API tells it --- */
struct api_error {
    int code;                           /* KL_* */
    int http;
    const char *reason, *message;
    const char *name, *group, *kind, *uid;       /* details; NULL: not there */
    const struct object_cause *causes;
    unsigned n_causes;
    int retry_after;                    /* seconds; 0: not said */
    const char *continue_token;         /* Expired lists */
    bool empty_details;                 /* details are there, and say nothing */
    bool nosniff;                       /* it is said that browsers may not guess what this is */
    const char *plain;                  /* the whole answer, which is text; NULL: it is a Status */
    bool unshown;                       /* no form that was asked for can tell it: the audit trail has its code alone, as upstream's */
    const struct val *status;           /* the whole, made elsewhere; NULL: made of the above */
};
#define API_NO_PAGE "404 page not found\n"      /* plain: nobody here knows the path */
/* Each returns -code. e->... texts are in the arena. */
__attribute__((format(printf, 4, 5))) int api_fail(struct api_error *e, struct arena *a, int code, const char *fmt, ...);
int api_fail_err(struct api_error *e, struct arena *a, const struct kl_err *err);
bool api_known_group(struct str group);                         /* has it kinds here? */
bool api_built_in_group(struct str group);                      /* of this server's own making? */
int api_fail_path(struct api_error *e, struct arena *a);        /* no such resource; whose group is not known: set plain too */
int api_fail_method(struct api_error *e, struct arena *a);      /* it has no such verb */
int api_fail_not_found(struct api_error *e, struct arena *a, const struct schema_kind *k, struct str name);
int api_fail_exists(struct api_error *e, struct arena *a, const struct schema_kind *k, struct str name);
int api_fail_conflict(struct api_error *e, struct arena *a, const struct schema_kind *k, struct str name, const char *why);
int api_fail_invalid(struct api_error *e, struct arena *a, const struct schema_kind *k, struct str name,
                     const struct object_causes *c);
/* A patch that gives no object of the kind: patched is what it gives, shown with the members that patch (a merge or JSON patch) touches sorted. */
int api_fail_patched(struct api_error *e, struct arena *a, struct val *patched, const struct val *patch, const char *why);
int api_fail_strategic(struct api_error *e, struct arena *a, const struct val *patch, const char *why);         /* shows the patch, as Go prints it */
/* A patch that does not apply. */
int api_fail_patch(struct api_error *e, struct arena *a, const struct kl_err *err);
struct val *api_error_tree(struct arena *a, const struct api_error *e);         /* the Status object */
const char *api_resource_text(struct arena *a, const struct schema_kind *k);    /* "deployments.apps" */

/* --- request.c: the URL as one tuple --- */
struct api_query {
    struct str label_selector, field_selector, resource_version, version_match, continue_token;
    struct str field_manager, field_validation, propagation, dry_run, timeout;
    int64_t limit, grace_s;             /* -1: not given */
    int64_t timeout_s;                  /* 0: not given */
    int send_initial;                   /* -1 not given */
    bool watch, bookmarks, force, has_force, orphan, has_orphan;
    struct str pretty, uid;
};
struct api_info {
    struct kl_request tuple;            /* what authorization, storage and audit use */
    const struct schema_kind *kind;     /* NULL: not a known resource */
    const struct schema_subresource *sub;
    bool watch_path;                    /* /api/v1/watch/... */
    bool nested;                        /* namespaces within one */
    bool deep;                          /* something follows the subresource */
    bool odd;                           /* a segment may be one that api_bad_segment refuses */
    struct str rest;                    /* path behind a subresource, as sent, without the slash; at NULL: not even that */
    struct api_query q;
};
int api_parse_request(struct arena *a, struct str method, struct str path, struct str query, struct api_info *ret,
                      struct api_error *e);
/* Which numbers are none: bits of these, with the last one's message. */
enum { API_BAD_NUMBER = 1, API_BAD_GRACE = 2 };
int api_parse_query(struct arena *a, struct str query, struct api_query *ret, struct api_error *e);
/* Why it can be no name in a path: one that holds '/', '%' or NUL or is '.' or '..' could make a key mean another. NULL: it can. */
const char *api_bad_segment(struct str s);
/* resourceVersion as a number. Lists say KL_BAD_REQUEST, others (api_fail_version) that they do not know. */
int api_fail_version(struct api_rq *rq);
int api_parse_version(struct arena *a, struct str version, uint64_t *ret, struct api_error *e);

/* Who needs an object in another form, and may have to wait for it. */
struct api_asker {
    struct api *api;
    struct arena *arena;                /* of the result */
    uint64_t request;                   /* kl_call.request; 0: it cannot wait */
    struct api_error *err;
};

/* --- negotiate.c --- */
enum api_media { MEDIA_JSON = 1, MEDIA_YAML, MEDIA_PROTOBUF };
enum api_as { AS_OBJECT = 0, AS_TABLE, AS_PARTIAL, AS_PARTIAL_LIST };
struct api_accept {
    enum api_media media;
    enum api_as as;
    struct str as_version;              /* "v1" */
    bool stream_watch;
    bool discovery;                     /* aggregated discovery was asked for first */
    bool pretty;
};
/* What can be had besides the object itself as JSON, YAML or protobuf. */
struct api_can {
    bool transforms;                    /* Table and PartialObjectMetadata */
    bool no_table;                      /* but no Table */
    bool discovery;                     /* APIGroupDiscoveryList */
    bool no_protobuf;                   /* not the object itself; PartialObjectMetadata always has that form */
};
/* False: nothing acceptable (406). */
bool api_negotiate(struct str accept, const struct api_can *can, struct api_accept *ret);
/* Does a clause name one of the types that a route produces ("application/json, application/yaml")? Upstream's router wants it before a handler negotiates. */
bool api_routes(struct str accept, struct str produces);
/* Asked for once it is known that there is something to show: metadata of one object where there are many, or of many where there is one. */
int api_check_partial(struct api_rq *rq);
int api_fail_route(struct api_error *e, struct arena *a, const char *produces);
/* 0: unknown (415). */
enum api_media api_media_of(struct str content_type);

/* --- options.c: what the query says, before anything is done. KL_INVALID, with causes. --- */
struct api_rq;
int api_check_timeout(struct api_rq *rq);                                /* of any request that ends by itself; KL_BAD_REQUEST */
int api_check_list_options(struct api_rq *rq);
int api_check_watch_options(struct api_rq *rq);
int api_check_write_options(struct api_rq *rq, bool applies);           /* create, update, patch (applies: server-side apply) */
int api_check_delete_options(struct api_rq *rq, struct str propagation, bool orphan_too, struct str dry_run);

/* --- wait.c: decisions from elsewhere, by replay --- */
#define API_WAIT_NS (60 * 1000000000LL) /* longest that a request may wait for all of them */
struct api_wait {                       /* what may be put aside has one; zero it first */
    struct list link;
    struct api *api;                    /* NULL: it does not wait */
    uint64_t id;
    struct loop_timer timer;
    loop_fn again;
    void (*give_up)(void *ctx, int code);
    void *ctx;
};
/* again(ctx) when the request is woken, or give_up(ctx, KL_TIMEOUT or KL_UNAVAILABLE); both later, and after either it waits no more. */
void api_wait_start(struct api *api, struct api_wait *w, uint64_t id, int64_t deadline_ns, loop_fn again, void (*give_up)(void *ctx, int code),
                    void *ctx);
void api_wait_stop(struct api_wait *w);                 /* waiting or not */
bool api_waits_for(struct api *api, uint64_t id);       /* does that request wait? */
const char *api_wait_text(int code);                    /* what those who are given up are told */
struct api_waits;
struct api_waits *api_waits_new(struct api *api);
void api_waits_stop(struct api_waits *w);               /* everybody is given up, now and later */
void api_waits_free(struct api_waits *w);
uint64_t api_request_new(struct api *api);              /* the id of a request, never 0 */
void api_request_over(struct api *api, uint64_t id);    /* one that has waited */

/* What a replay must not draw anew. */
struct api_kept {
    int64_t wall_ns;                    /* 0: not yet */
    char uid[37], suffix[6];            /* "": not yet */
    uint64_t revision;                  /* that a list shows; 0: not yet */
};

/* --- rq.c: one HTTP request in work --- */
struct api_rq {
    struct api *api;
    struct http_req *http;              /* NULL: the client has gone */
    struct arena *arena;
    struct api_info info;
    struct api_accept accept;
    struct kl_user user;
    struct api_error err;
    const char **warnings;
    unsigned n_warnings, cap_warnings;
    char audit_id[40];
    bool pretty;
    bool acceptable;                    /* of a document: some clause of Accept can be met, in accept */
    uint64_t id;                        /* kl_call.request of what is asked about it */
    struct api_kept kept;
    struct api_wait wait;
    struct arena *attempt;              /* arena of a replay; NULL: this is the first run, in the request's own */
    int64_t deadline_ns;                /* of waiting, 0: it never waited */
    bool awaited;                       /* its resourceVersion, for as long as one waits */
    const struct kl_user *asker;        /* who asks to count as user; NULL: user itself */
    const char *constraint;             /* the verb of constrained impersonation that allowed it; NULL: none */
    struct audit_request *audit;        /* NULL: nothing is kept of it */
    bool audited;                       /* the policy has been asked */
    struct flow_request *flow;          /* its place in its priority level; NULL: it has none */
    struct metric_slot *slot;           /* where it is counted; NULL: not yet, or not any more */
};
void api_rq_call(struct api_rq *rq, struct kl_call *c, const char *user);      /* a call about this request */
struct api_asker api_rq_asker(struct api_rq *rq);
void api_warn(struct api_rq *rq, const char *text);
struct api_op;
/* What is said about the operation beside its result goes to the request: warnings, audit annotations. */
void api_op_tell(struct api_rq *rq, struct api_op *op);
/* Headers that every answer has, cache-control at a place of its own; content_type NULL: the answer has none. Returns how many. */
#define API_HEADERS       24
#define API_CACHE_CONTROL 1
unsigned api_headers(struct api_rq *rq, struct http_header *h, const char *content_type);
unsigned api_headers_without(struct http_header *h, unsigned n, const char *name);      /* how many are left */
void api_run(struct api_rq *rq);                                                /* from the start: api.c */
void api_send_error(struct api_rq *rq);                                         /* rq->err; one that is pending makes the request wait */
void api_send_tree(struct api_rq *rq, int status, const struct schema_type *t, struct val *v);
void api_send_object(struct api_rq *rq, int status, struct store_object *o);   /* of info.kind */
void api_send_text(struct api_rq *rq, int status, const char *content_type, struct str text);
/* An object of info.kind as JSON bytes that is not in the store (dry run, conversion). */
void api_send_json(struct api_rq *rq, int status, const struct schema_kind *k, struct str json);

/* --- auth.c: each sets rq->err and is < 0 when the answer is no --- */
int api_authenticate(struct api_rq *rq);
int api_authorize(struct api_rq *rq);                                           /* may rq->user do what rq->info.tuple says? */
/* -KL_FORBIDDEN: no; another code: not known. */
int api_authorize_as(struct api_rq *rq, const struct kl_user *user, const struct kl_request *t);
const char *api_forbidden_text(struct arena *a, const struct kl_user *user, const struct kl_request *t, const char *why);     /* of a resource */
int api_forbidden(struct api_rq *rq, const struct kl_user *user, const struct kl_request *t, const char *why);
/* impersonate.c: the request counts as another's, when its headers say so and the asker may. */
int api_impersonate(struct api_rq *rq);

/* --- forms.c: an object in the form that was asked for --- */
/* JSON, YAML, protobuf (enveloped), Table or PartialObjectMetadata of one object. */
int api_form_object(struct api_rq *rq, const struct schema_kind *k, struct str json, struct store_object *o, struct buf *b);
struct val *api_partial(struct arena *a, const struct schema_kind *k, const struct val *object, bool list_item, struct str version);
/* A Table with these rows; columns only when wanted. */
struct val *api_table(struct arena *a, const struct schema_kind *k, bool columns, struct str version);
struct str api_include_object(struct api_rq *rq);                /* ?includeObject= of tables; STR_NONE: not said */
int api_check_include(struct api_rq *rq, struct str include);
int api_table_row(struct arena *a, struct val *table, const struct schema_kind *k, struct val *object, struct str include);
void api_protobuf_wrap(struct buf *b, struct str api_version, struct str kind, struct str raw);
struct str api_protobuf_raw(struct store_object *o, const struct schema_kind *k, struct kl_err *err);   /* cached */
const char *api_group_version(struct arena *a, const struct schema_kind *k);
const char *api_list_kind(struct arena *a, const struct schema_kind *k);
/* Where the object's members begin behind `{"kind":...,"apiVersion":...,`: lists leave those out. */
struct str api_strip_type(struct str json);
/* A JSON list around its items: what stands before them, one of them, and what stands behind. Custom resources are maps to upstream: members by name, items with their type. */
void api_list_head(struct buf *b, struct arena *a, const struct schema_kind *k, const struct val *meta);
void api_list_tail(struct buf *b, struct arena *a, const struct schema_kind *k, const struct val *meta);

/* --- op.c: one operation on stored objects, over HTTP or from a plugin --- */
/* Another object that is made or goes in the same commit. */
struct api_also {
    enum store_op_type type;
    const struct schema_kind *kind;
    struct str ns, name;
    struct val *object;                 /* DELETE: its last state */
};
#define API_ALSO 4
struct api_op {
    struct api *api;
    struct arena *arena;
    const struct kl_user *user;
    const struct schema_kind *kind;     /* as addressed */
    const char *subresource;            /* NULL: the object itself */
    struct str ns, name;
    bool dry_run;
    int64_t grace_s;                    /* delete; -1: the object's own */
    struct str propagation;
    bool accepts;                       /* delete: asked not to orphan by the old name; what is not gone yet is answered with 202 */
    struct str want_uid;                /* precondition */
    struct str want_version;            /* precondition: the resourceVersion */
    int field_validation;               /* enum api_validation */
    uint64_t request;                   /* kl_call.request, 0: it cannot wait */
    struct api_kept *kept;              /* over replays; NULL: there are none */
    const struct api_query *query;      /* of the request; NULL: not over HTTP */
    bool patches;                       /* an update by a patch */
    bool of_many;                       /* one of a collection that is deleted */
    struct object_strict strict;        /* what is odd about the patch itself */
    const char *twice;                  /* apply: keys of the configuration that came again, as api_read_yaml has them */
    struct kl_bytes options;            /* as admission is shown them; empty: not made yet */
    bool as_stored;                     /* what is written is in a stored version already, and stays in it */
    bool ask_only, admitted;            /* delete: nothing but admission; no admission (any more) */
    struct str manager;                 /* who owns what is written; empty: the server itself */
    bool applies;                       /* server-side apply: managedFields are set already */
    bool strangers;                     /* managedFields has entries of a version that the object cannot be brought to: in err */
    bool force;                         /* apply: takes what others own */
    bool scales;                        /* a write of the scale subresource */
    bool scales_to_none;                /* by an update: a Scale leaves that out, so nobody owns the number any more */
    /* Called when the result lasts; NULL: nobody waits. Not called when no commit was needed (see waits). */
    void (*durable)(void *ctx, int rc, const struct kl_err *err);
    void *durable_ctx;
    /* results */
    struct api_error err;
    struct store_object *object;        /* borrowed until the next turn; NULL: see json */
    struct str json;                    /* the resulting object's bytes, always set on success */
    struct str shown;                   /* the same in kind's own version, where a webhook converts; at NULL: json will do */
    const struct schema_kind *result_kind;       /* of json */
    bool waits;                         /* a commit is under way: durable will be called */
    bool created, deleted;              /* deleted: it is gone now */
    void (*warn)(void *ctx, const char *text);
    void *warn_ctx;
    void (*note)(void *ctx, const char *key, const char *value);         /* for the audit trail; NULL: nothing is kept */
    void *note_ctx;
    bool notes_objects;                 /* notes may tell what is in the object */
    unsigned n_also;
    struct api_also also[API_ALSO];
};
struct api_asker api_op_asker(struct api_op *op);
bool api_can_convert(const struct api_op *op);                                  /* is what is stored another form, and may one wait for it? */
/* body.c: what the envelope of a body in protobuf says; both texts may be empty. */
const char *api_envelope(struct arena *a, struct str body, struct str *ret_version, struct str *ret_kind);     /* what is wrong, in upstream's words; NULL: nothing */
const char *api_not_registered(struct arena *a, struct str version, struct str kind);
const char *api_parse_fault(struct arena *a, const struct kl_err *err);         /* of JSON, without the place: upstream names none */
const char *api_json_fault(struct arena *a, const struct val *raw, const struct kl_err *err);  /* of a body that has no members; raw NULL: it could not be parsed, as err says */
enum api_validation { VALIDATE_WARN = 0, VALIDATE_IGNORE, VALIDATE_STRICT };

int api_op_create(struct api_op *op, struct val *body);
int api_op_update(struct api_op *op, struct val *body);
#define API_PATCH_APPLY 100             /* server-side apply: the patch is a configuration; may create */
/* patch_type: KL_PATCH_* or API_PATCH_APPLY. */
int api_op_patch(struct api_op *op, int patch_type, const struct val *patch);
int api_op_delete(struct api_op *op);
/* Body text to the tree of kind's type; strict findings become warnings or an error. */
int api_read_delete_options(struct api_rq *rq, struct api_op *op);              /* delete_options.c */
int api_body_media(struct api_rq *rq, enum api_media *ret);
int api_op_decode(struct api_op *op, const struct schema_type *t, enum api_media media, struct str body, struct val **ret);
/* How strictly the request wants its body read, and where it is told what is odd. */
void api_op_strict(struct api_rq *rq, struct api_op *op);

/* parts of op used by several files */
/* YAML to a tree: *ret_twice is what strict decoding says of keys that come again, NULL: nothing. */
struct val *api_read_yaml(struct api_op *op, struct str text, const char **ret_twice, struct kl_err *err);
void api_warn_twice(struct api_op *op, const char *twice);                      /* where the operation's field validation is to warn */
const char *api_strict_text(struct arena *a, const struct object_strict *s);    /* findings, joined */
struct val *api_tree(struct arena *a, struct store_object *o, struct api_error *e);      /* parsed; typed by construction */
/* The name as messages have it: of a new object that has none yet, the beginning. */
struct str api_shown_name(const struct api_op *op, const struct val *v);
struct str api_asked_name(const struct api_op *op);     /* the name in what admission is asked */
struct kl_bytes api_op_options(struct api_op *op, const char *verb);             /* CreateOptions and so on, as admission is shown them */
int64_t api_op_now(struct api_op *op);                                          /* wall clock, the same in each replay */
/* The same about another object than op->kind's: what is sent to a subresource. shown describes it; old: its former text, or none. */
int api_admit_as(struct api_op *op, bool mutating, const char *verb, const struct schema_kind *shown, struct val **v, struct str old);
int api_admit(struct api_op *op, bool mutating, const char *verb, struct val **v, struct store_object *old);
int api_commit_put(struct api_op *op, struct val *v, struct store_object *old);
/* Sets op->shown, what the client is shown of that stored text: before anything is done, since then nothing may fail or wait any more. */
int api_show(struct api_op *op, struct str json);
/* An update; one that changes nothing keeps the revision and makes no event. */
int api_commit_changed(struct api_op *op, struct val *v, struct store_object *old);
int api_commit_delete(struct api_op *op, struct val *v, struct store_object *old);      /* v: the last state, for watches and for the answer */
/* An update, v, that leaves nothing to wait for: whoever wrote it is shown it, and watches what was stored. */
int api_commit_emptied(struct api_op *op, struct val *v, struct store_object *old);
int api_fit_namespace(struct api_op *op, struct val *v);                        /* create.c */
int api_validate(struct api_op *op, struct val *v, const struct val *old);
/* rules.c: what rules in CEL have against it. */
void api_check_rules(struct api_op *op, const struct val *v, const struct val *old, struct object_causes *causes);
/* update.c: everything behind "the new tree is there". */
int api_update_tree(struct api_op *op, struct store_object *old, struct val *old_tree, struct val *v);
/* Does v say a name, and are that and its namespace those of the request? Is its uid, if it says any, that of old (NULL: of none)? */
int api_check_named(struct api_op *op, struct val *v);
int api_check_uid(struct api_op *op, const struct val *v, struct store_object *old);
/* Is v of the name, uid and resourceVersion that old has, as far as it says any? */
int api_check_identity(struct api_op *op, struct val *v, struct store_object *old);

/* --- strategy.c: what upstream's per-kind strategies do --- */
/* Before anybody looks at it: forms that upstream turns into others when it decodes (stringData into data). */
void api_convert_input(struct api_op *op, struct val *v);
void api_prepare_tracked(struct api_op *op, struct val *v);             /* before fields are owned */
int api_prepare_create(struct api_op *op, struct val *v);
int api_prepare_update(struct api_op *op, struct val *v, struct val *old);
void claim_forget_devices(struct val *v, const struct val *old);               /* claims.c: what drivers said of devices that are given back */
/* Releases what a Service held. */
void api_after_delete(struct api_op *op, const struct val *old);
void api_new_uid(char ret[37]);
bool api_is_kind(const struct schema_kind *k, const char *group, const char *kind);
/* strategy_kinds.c: the parts of it that are of one kind alone; status: the update is of the object's status. */
void api_kind_create(struct api_op *op, struct val *v);
void api_kind_update(struct api_op *op, struct val *v, const struct val *old, bool status);
void api_pod_selectors(struct arena *a, struct val *pod);              /* labels that its matchLabelKeys name become part of its selectors */
void api_claim_sources(struct arena *a, struct val *claim);             /* spec.dataSource and dataSourceRef, each made of the other */

/* --- managed.c: metadata.managedFields --- */
void api_track_create(struct api_op *op, struct val *v);
void api_track_update(struct api_op *op, struct val *v, const struct val *old);
bool api_cannot_be_tracked(const struct api_op *op, const struct val *v);
/* Sets the times of v's entries to those of the stored object. False: the entries differ in more than that, or there are none. */
bool api_times_alone(struct api_op *op, struct val *v, struct store_object *old);
struct managed_write;
void api_managed_write(struct api_op *op, struct managed_write *w);

/* --- apply.c: server-side apply --- */
/* The configuration in the live object (NULL: there is none), conformed, with managedFields. */
int api_apply_merge(struct api_op *op, const struct val *config, const struct val *old_tree, struct val **ret);
int api_apply_create(struct api_op *op, const struct val *config);

/* --- alloc.c: node ports; service_ip.c: cluster IPs, recorded by objects in the same commit --- */
struct api_alloc;
int api_alloc_new(struct api *api, int first_port, int last_port, struct api_alloc **ret, struct kl_err *err);
void api_alloc_free(struct api_alloc *x);
void api_ports_fill(struct api *api);                                           /* from the Services that are there */
int api_service_allocate(struct api_op *op, struct val *v, const struct val *old);
/* Of another type than before: what that type has not, and who writes left as it was, goes. */
void api_service_update(struct api_op *op, struct val *v, const struct val *old, bool status);
void api_service_release(struct api *api, const struct val *old);
int api_service_ip(struct api_op *op, struct val *spec, const struct val *old);
void api_service_ip_release(struct api_op *op, const struct val *service);
int api_service_ips_record(struct api *api, struct kl_err *err);                /* start-up: for Services that have none yet */

/* --- subresource.c --- */
/* True: handled (also when it failed). */
int api_op_subresource(struct api_op *op, const char *verb, int patch_type, struct val *body, bool *ret_handled);
int api_scale_get(struct api_op *op, struct val **ret);

/* --- pages.c: which revision is shown --- */
/* True: again(rq) follows, once the resourceVersion that is asked for is there or 3 s are over. */
bool api_await_version(struct api_rq *rq, void (*again)(struct api_rq *rq));
int api_check_version(struct api_rq *rq);               /* resourceVersion is a number and not of the future */
int api_list_version(struct api_rq *rq, uint64_t *ret); /* resourceVersion as a number */
/* Of a list: the revision, and where the page begins. */
int api_page(struct api_rq *rq, uint64_t *ret_revision, struct store_range *range);
void api_page_expired(struct api_rq *rq, const struct store_range *range);      /* sets rq->err: that revision is forgotten */
const char *api_page_token(struct arena *a, int64_t revision, struct str ns, struct str name);

/* --- verbs over HTTP --- */
void api_read_get(struct api_rq *rq);
void api_read_list(struct api_rq *rq);
void api_watch(struct api_rq *rq);
struct http_relay;
void api_watches_relay(struct api *api, struct http_relay *x);         /* watch_relay.c */
void api_write(struct api_rq *rq);                                              /* create, update, patch, delete, deletecollection */
void api_review(struct api_rq *rq);                                             /* review.c */
void api_access_review(struct api_rq *rq, struct val *v);                       /* review_access.c */
const char *const *api_text_list(struct arena *a, const struct val *list);
const char *const *api_extra_list(struct arena *a, const struct val *extra);  /* {"k": ["a"]} as k, a, ..., NULL; NULL: empty, or out of memory */
bool api_is_review(const struct schema_kind *k);
void api_streams(struct api_rq *rq);                                            /* streams.c: log, exec, attach, portforward, proxy */
bool api_is_stream(const char *subresource);
/* connect.c: admission of exec, attach, portforward and proxy. *ret: their options, as admission left them. */
int api_connect(struct api_rq *rq, struct val **ret);
/* nodes.c: requests sent on to a node in another process. Take the request. */
struct api_nodes;
struct api_nodes *api_nodes_new(void);
void api_nodes_free(struct api_nodes *n);
/* To that node's own port; NULL: err says why not. a: for what is needed meanwhile. */
/* told: what the node refuses becomes a Status. */
void api_node_send(struct api_rq *rq, struct str node, const char *path, bool told);
void api_node_proxy(struct api_rq *rq, struct str name);
bool api_node_here(struct api *api, struct http_req *r, struct str name, struct str path);     /* by the node of that name in this process. False: no memory */
void api_node_gate(struct api *api);                                            /* node_here.c: sets node_gate */
struct proxies;
void api_proxy(struct api_rq *rq);                                              /* proxy.c */
void api_proxies_free(struct proxies *p);
bool api_documents(struct api_rq *rq);                                          /* health.c, discovery.c, openapi.c: true when answered */
/* plugins.c: path: behind /debug/plugins/. */
bool api_plugins(struct api_rq *rq, struct str path);
bool api_discovery(struct api_rq *rq);
const char *api_discovery_produces(const struct api_rq *rq, struct str path);
bool api_openapi(struct api_rq *rq);
struct api_docs;
void api_docs_free(struct api_docs *d);                                         /* openapi.c: documents made so far */
/* Takes head and tail (the text before the first item and behind the last) and, when it returns 0, the objects' array with its references. */
int api_stream_list(struct api_rq *rq, struct buf *head, struct buf *tail, struct store_object **at, size_t n);
int api_compile_selectors(struct api_rq *rq, struct selector **ret_labels, struct selector **ret_fields);

/* --- token.c: tokens of service accounts --- */
struct api_signer;
int api_signer_new(const char *file, const char *domain, struct api_signer **ret, struct kl_err *err);
void api_signer_free(struct api_signer *s);
const char *api_issuer(const struct api *a);            /* who the tokens say made them, and the audience that this server answers to; NULL: none are made */
int api_op_token(struct api_op *op, struct val *body, struct val **ret);        /* TokenRequest */
bool api_issuer_documents(struct api_rq *rq);                                   /* what verifiers elsewhere read: true when answered */

/* --- crd.c: custom resources. Serves what is defined, from now on. --- */
/* policy*.c: ValidatingAdmissionPolicy and MutatingAdmissionPolicy, as a stage of admission for one request; NULL: there are none. shown: the kind of the
 * object; old: its former text. A refusal is in op->err. */
struct policies;
struct api_stage *api_policies(struct api_op *op, bool mutating, const char *verb, const struct schema_kind *shown, struct str old);
int api_policies_new(struct api *api, struct policies **ret, struct kl_err *err);
void api_policies_stop(struct policies *p);             /* while the store is there */
void api_policies_free(struct policies *p);

struct crds;
int api_crds_new(struct api *api, struct crds **ret, struct kl_err *err);
void api_crds_stop(struct crds *x);                     /* no more changes are seen; while the store is there */
void api_crds_free(struct crds *x);
#define CRD_FINALIZER "customresourcecleanup.apiextensions.k8s.io"

/* --- convert.c: kinds stored in another version or group --- */
/* Each returns the object in the other version, or NULL: *q->err says why; with KL_PENDING a webhook is asked, and the request runs again. */
struct val *api_convert(const struct api_asker *q, const struct schema_kind *from, const struct schema_kind *to, struct val *v);
/* What is stored, as k: v is changed. */
struct val *api_from_storage(const struct api_asker *q, const struct schema_kind *k, struct val *v);
struct val *api_stored_tree(const struct api_asker *q, const struct schema_kind *k, struct store_object *o);
bool api_converts(const struct schema_kind *k);                                 /* is what is stored of it not what is served? */
/* names.c: any of the names of one resource to any other. */
struct val *api_under_name(const struct api_asker *q, const struct schema_kind *from, const struct schema_kind *to, struct val *v);
bool api_converts_by_webhook(const struct schema_kind *k);
/* Of a custom kind's definition, served or not: "stable.example.com/v1". NULL: it has no such version. */
const struct schema_kind *api_custom_version(const struct schema_kind *any, struct str api_version);
/* conversion.c: what webhooks are asked for and answer. */
struct conversions;
struct conversions *conversions_new(struct api *api);
void conversions_free(struct conversions *x);
void conversions_over(struct api *api, uint64_t request);       /* a request that waited for them needs nothing any more */

/* --- endpoint.c: an address that answers for a Service's port --- */
struct api_service_port {
    struct str ns, service;
    int64_t port;
    const char *before;                 /* the URL of before: kept while it is among those that are ready; NULL: none */
};
enum api_endpoint { ENDPOINT_FOUND = 0, ENDPOINT_NO_SERVICE, ENDPOINT_NO_PORT, ENDPOINT_NO_SLICES, ENDPOINT_NO_ADDRESS };
/* *ret_url: "https://10.0.0.7:8443", or NULL; *ret_port: the port's name. */
enum api_endpoint api_endpoint_find(struct api *api, struct arena *a, const struct api_service_port *p, const char **ret_url, struct str *ret_port);

/* --- aggregate*.c: groups that other servers answer for --- */
struct aggregates;
int api_aggregates_new(struct api *api, struct kl_err *err);
void api_aggregates_stop(struct aggregates *x);         /* while the store is there */
void api_aggregates_free(struct aggregates *x);
void api_aggregates_kinds_changed(struct api *api);     /* custom resources came or went */
bool api_aggregated(struct api_rq *rq);                 /* true: the request is another server's, and was sent on or answered */
bool api_aggregated_openapi(struct api_rq *rq, struct str group, struct str version);
/* For a plugin: done(ctx, ...) comes later. 1: asked; 0: the group is not remote; < 0: it cannot be asked. k: host.h. */
int api_remote_read(struct api *api, const struct kl_object_key *k, const char *who,
                    void (*done)(void *ctx, int rc, struct str body, const char *message), void *ctx, struct kl_call *c);
/* What remote servers told, added to documents. */
void api_aggregate_groups(struct api *api, struct arena *a, struct val *list);
struct val *api_aggregate_group(struct api *api, struct arena *a, struct str name, struct val *group);
void api_aggregate_discovery(struct api *api, struct arena *a, struct val *items);
void api_aggregate_openapi_index(struct api *api, struct arena *a, struct val *paths);

/* checks.c: what is looked at at that path. */
#define CHECKS_HEALTHZ 1u
#define CHECKS_LIVEZ   2u
#define CHECKS_READYZ  4u
#define CHECKS_ALL     7u
#define CHECKS_MOST    48
struct api_checked {
    const char *name, *why;             /* why NULL: it is well */
    bool spared;                        /* does not count against the whole */
};
unsigned api_checks(struct api *api, unsigned at, struct api_checked ret[CHECKS_MOST]);
bool api_statusz(struct api_rq *rq, struct str path);                   /* statusz.c: true when answered */

struct api_check {
    const char *name;
    const char *(*reason)(void *ctx);
    void *ctx;
};

/* Which revisions were the newest when. Continue tokens are good for five minutes, as upstream's compaction has it, though the store remembers longer: clients are used to that. */
#define API_MARKS 8
#define API_TOKEN_NS (300 * NS_PER_S)
struct api_marks {
    struct {
        int64_t at_ns;
        uint64_t revision;
    } at[API_MARKS];                    /* oldest first */
    unsigned n;
    uint64_t expired;                   /* that one and all before: the newest for longer ago than that */
};
/* Now it is that revision. */
void api_marks_add(struct api_marks *m, int64_t now_ns, uint64_t revision);

struct api {
    struct loop *loop;
    struct store *store;
    struct api_conf conf;
    struct api_hooks hooks;
    struct api_alloc *alloc;
    struct streams *streams;
    struct api_nodes *nodes;
    struct api_usage *usage;
    struct proxies *proxies;            /* NULL: none yet */
    struct api_signer *signer;          /* NULL: no tokens */
    struct api_docs *docs;              /* made at the first request for one */
    struct api_marks marks;
    struct crds *crds;
    struct conversions *conversions;
    struct aggregates *aggregates;
    struct policies *policies;
    struct api_check checks[16], components[4];
    unsigned n_checks, n_components;
    uint64_t hooks_done;                /* checks.c: a bit for each of what a start makes, once it was there */
    const char *(*flag)(void *ctx, unsigned i, const char **value);     /* NULL: none are told */
    void *flag_ctx;
    struct api_waits *waits;
    struct node_gate node_gate;         /* of the port of a node in this process */
    struct list watchers;               /* watch.c */
    bool ready, stopping;
    int64_t started_wall_ns;
    uint64_t ids;
    struct metrics metrics;
    struct audit *audit;                /* NULL: no policy */
    struct flow *flow;                  /* NULL: whoever comes runs at once */
};

/* call.c: a kl_call over an arena */
void api_call_init(struct kl_call *c, struct arena *a, const char *user);

#endif
