/* objects.c - see objects.h. */
#include "api/objects.h"

#include "api-internal.h"
#include "base/env.h"
#include "reconcile/event.h"
#include "reconcile/call.h"
#include "usage.h"

struct api_objects {
    struct objects pub;                 /* first */
    struct api *api;
    struct event_recorder *events;
    struct list behind;                 /* struct behind: writes that wait for a decision while their caller has gone on */
    unsigned n_behind;
    volatile bool stopping;
};

#define BEHIND_MOST 10000u
#define BEHIND_KEPT_NS (60 * NS_PER_S)  /* how long a failure waits for its caller to come again */

/* One call, carried to the loop when it came from elsewhere. Lives on the caller's stack. */
struct request {
    struct api_objects *o;
    const char *who;
    struct kl_call *call;
    enum { DO_GET, DO_LIST, DO_CREATE, DO_UPDATE, DO_PATCH, DO_REMOVE } what;
    const struct kl_object_key *key;
    const struct kl_list_options *list;
    const struct kl_delete_options *del;
    int32_t patch_type;
    struct kl_bytes body;
    struct kl_bytes *ret;
    struct kl_object_list *ret_list;
    int rc;
    bool wait;                          /* from another thread: until it lasts */
    bool waiting;
    struct loop_promise over;           /* of who waits on another thread */
    uint64_t id;
    struct api_kept kept;
    struct api_wait decision;
};

static struct api_objects *own(struct objects *o)
{
    return (struct api_objects *)o;
}

/* --- writes, on the loop --- */

static void finish(struct request *q)
{
    if (q->wait)
        loop_promise_keep(&q->over);
}

static void on_durable(void *ctx, int rc, const struct kl_err *err)
{
    struct request *q = ctx;
    if (rc < 0) {
        q->rc = rc;
        kl_err_set(&q->call->err, -rc, "%s", err ? err->msg : "the write did not become durable");
    }
    finish(q);
}

static const struct schema_type *body_type(const struct schema_kind *k, const char *sub)
{
    if (!sub)
        return k->type;
    for (unsigned i = 0; i < k->n_sub; i++) {
        const struct schema_subresource *s = &k->sub[i];
        if (strcmp(s->name, sub) != 0)
            continue;
        const struct schema_kind *bk = schema_kind_find(str_of(s->group), str_of(s->version), str_of(s->kind));
        return bk ? bk->type : schema_type_find(str_of(s->group), str_of(s->version), str_of(s->kind));
    }
    return NULL;
}

static bool ends_with(const char *s, const char *tail)
{
    return str_ends(str_of(s), str_of(tail));
}

/* Owners of fields as users know them: upstream's controllers are one process. */
static struct str manager_of(const char *who)
{
    return ends_with(who, "-controller") ? STR("kube-controller-manager") : ends_with(who, "-scheduler") ? STR("kube-scheduler") : str_of(who);
}

static void give_up(void *ctx, int code)
{
    struct request *q = ctx;
    api_request_over(q->o->api, q->id);
    q->rc = kl_fail(q->call, code, "%s", api_wait_text(code));
    finish(q);
}

static int op_prepare(struct request *q, struct arena *a, struct api_op *op, const struct kl_user *user)
{
    const struct schema_kind *k = schema_resource_by_name(str_of(q->key->resource));
    if (!k)
        return kl_fail(q->call, KL_NOT_FOUND, "'%s' is not a resource; its name is \"group/plural\"", q->key->resource);
    if (!body_type(k, q->key->subresource))
        return kl_fail(q->call, KL_NOT_FOUND, "'%s' has no subresource '%s'", q->key->resource, q->key->subresource);
    *op = (struct api_op){ .api = q->o->api, .arena = a, .user = user, .kind = k, .subresource = q->key->subresource,
                           .ns = str_of(q->key->ns ? q->key->ns : ""), .name = str_of(q->key->name ? q->key->name : ""),
                           .field_validation = VALIDATE_IGNORE, .grace_s = -1, .manager = manager_of(q->who), .dry_run = q->call->flags & KL_CALL_DRY_RUN,
                           .request = q->id, .kept = &q->kept };
    if (q->wait) {
        op->durable = on_durable;
        op->durable_ctx = q;
    }
    return 0;
}

static int op_run(struct request *q, struct api_op *op)
{
    struct val *body = NULL;
    struct str text = str_n(q->body.at, q->body.len);
    if (q->what == DO_REMOVE) {
        if (q->del) {
            op->grace_s = q->del->grace_seconds;
            op->propagation = str_of(q->del->propagation ? q->del->propagation : "");
            op->want_uid = str_of(q->del->uid ? q->del->uid : "");
            if (q->del->revision)
                op->want_version = str_of(arena_printf(op->arena, "%llu", (unsigned long long)q->del->revision));
        }
        return api_op_delete(op);
    }
    if (q->what == DO_PATCH) {
        body = json_parse(op->arena, text, &q->call->err);
        return body ? api_op_patch(op, q->patch_type, body) : api_fail_err(&op->err, op->arena, &q->call->err);
    }
    int rc = api_op_decode(op, body_type(op->kind, op->subresource), MEDIA_JSON, text, &body);
    if (rc < 0)
        return rc;
    return q->what == DO_CREATE ? api_op_create(op, body) : api_op_update(op, body);
}

static int write_result(struct request *q, const struct api_op *op)
{
    if (!q->ret)
        return 0;
    char *copy = kl_dup(q->call, op->json.at, op->json.len);
    *q->ret = (struct kl_bytes){ copy, copy ? op->json.len : 0 };
    return copy || !op->json.at ? 0 : kl_fail(q->call, KL_NO_MEMORY, "out of memory");
}

static int write_now(struct request *q)
{
    if (!q->id)
        q->id = api_request_new(q->o->api);
    static const char *const groups[] = { "system:masters", NULL };
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    struct api_op op;
    if (!a)
        return kl_fail(q->call, KL_NO_MEMORY, "out of memory");
    struct kl_user user = { .size = sizeof user, .name = arena_printf(a, "system:keelson:%s", q->who), .uid = "", .groups = groups };
    int rc = op_prepare(q, a, &op, &user);
    if (rc < 0)
        return rc;
    rc = op_run(q, &op);
    if (rc < 0)
        return kl_fail(q->call, op.err.code ? op.err.code : -rc, "%s", op.err.message ? op.err.message : "failed");
    q->waiting = op.waits;
    return write_result(q, &op);
}

/* --- writes on the loop that wait for a decision: they go on by themselves --- */

/* The caller is told KL_PENDING, at once and whenever it comes with the same write while that is under way: nothing is done twice. What became
 * of it is seen in the store; a failure is told to the caller when it comes again. */
struct behind {
    struct list link;
    struct request q;
    struct arena *arena;
    struct kl_call call;
    struct kl_object_key key;
    struct kl_delete_options del;
    struct loop_timer timer;
    bool failed;
};

static void behind_free(struct behind *b)
{
    b->q.o->n_behind--;
    list_remove(&b->link);
    api_wait_stop(&b->q.decision);
    loop_timer_stop(&b->timer);
    arena_free(b->arena);
    mem_free(b);
}

static void behind_expired(void *ctx)
{
    behind_free(ctx);
}

static void behind_failed(struct behind *b, int rc)
{
    b->failed = true;
    b->q.rc = rc;
    loop_timer_start(b->q.o->api->loop, &b->timer, BEHIND_KEPT_NS, behind_expired, b);
}

static void behind_given_up(void *ctx, int code)
{
    struct behind *b = ctx;
    api_request_over(b->q.o->api, b->q.id);
    behind_failed(b, kl_fail(&b->call, code, "%s", api_wait_text(code)));
}

static int write_now(struct request *q);

static void behind_again(void *ctx)
{
    struct behind *b = ctx;
    struct api *api = b->q.o->api;
    kl_err_init(&b->call.err);
    int rc = write_now(&b->q);
    if (rc == -KL_PENDING) {
        api_wait_start(api, &b->q.decision, b->q.id, b->call.deadline_ns, behind_again, behind_given_up, b);
        return;
    }
    api_request_over(api, b->q.id);
    if (rc < 0)
        behind_failed(b, rc);
    else
        behind_free(b);
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_write(const struct request *a, const struct request *b)
{
    return a->what == b->what && a->patch_type == b->patch_type && strcmp(a->who, b->who) == 0 && same_text(a->key->resource, b->key->resource) &&
           same_text(a->key->ns, b->key->ns) && same_text(a->key->name, b->key->name) && same_text(a->key->subresource, b->key->subresource) &&
           str_eq(str_n(a->body.at, a->body.len), str_n(b->body.at, b->body.len));
}

/* 0: it is not known here. */
static int behind_find(struct request *q)
{
    list_each(l, &q->o->behind) {
        struct behind *b = list_item(l, struct behind, link);
        if (!same_write(&b->q, q))
            continue;
        if (!b->failed)
            return kl_fail(q->call, KL_PENDING, "the same write still waits for its admission");
        int rc = kl_fail(q->call, -b->q.rc, "%s", b->call.err.msg);
        behind_free(b);
        return rc;
    }
    return 0;
}

static const char *keep_text(struct arena *a, const char *s)
{
    return s ? arena_dup(a, str_of(s)) : NULL;
}

static int behind_start(struct request *q)
{
    struct behind *b = q->o->n_behind < BEHIND_MOST ? mem_alloc(sizeof *b) : NULL;
    struct arena *a = b ? b->arena = arena_new(API_ARENA_MAX) : NULL;
    if (!a) {
        mem_free(b);
        api_request_over(q->o->api, q->id);
        return kl_fail(q->call, KL_UNAVAILABLE, "too many writes wait for their admission");
    }
    b->key = (struct kl_object_key){ sizeof b->key, keep_text(a, q->key->resource), keep_text(a, q->key->ns), keep_text(a, q->key->name),
                                     keep_text(a, q->key->subresource) };
    if (q->del)
        b->del = (struct kl_delete_options){ sizeof b->del, keep_text(a, q->del->uid), keep_text(a, q->del->propagation), q->del->grace_seconds,
                                             q->del->revision };
    struct str body = arena_str(a, str_n(q->body.at, q->body.len));
    host_call_init(&b->call, a, NULL);
    b->call.flags = q->call->flags;
    b->call.deadline_ns = loop_now(q->o->api->loop) + API_WAIT_NS;
    b->q = (struct request){ .o = q->o, .who = keep_text(a, q->who), .call = &b->call, .what = q->what, .key = &b->key, .del = q->del ? &b->del : NULL,
                             .patch_type = q->patch_type, .body = { body.at, body.len }, .id = q->id, .kept = q->kept };
    list_push(&q->o->behind, &b->link);
    q->o->n_behind++;
    api_wait_start(q->o->api, &b->q.decision, q->id, b->call.deadline_ns, behind_again, behind_given_up, b);
    return kl_fail(q->call, KL_PENDING, "the write waits for its admission");
}

static int write_on_loop(struct request *q)
{
    int rc = list_empty(&q->o->behind) ? 0 : behind_find(q);
    if (rc < 0)
        return rc;
    rc = write_now(q);
    return rc == -KL_PENDING ? behind_start(q) : rc;
}

/* --- on the loop, for a caller that waits on another thread --- */

static void serve(void *ctx);

static void serve_again(void *ctx)
{
    struct request *q = ctx;
    struct api *api = q->o->api;
    uint64_t id = q->id;
    kl_err_init(&q->call->err);
    serve(q);
    if (!api_waits_for(api, id))
        api_request_over(api, id);
}

static void put_aside(struct request *q)
{
    int64_t deadline = loop_now(q->o->api->loop) + API_WAIT_NS;
    q->waiting = true;
    if (q->call->deadline_ns && q->call->deadline_ns < deadline)
        deadline = q->call->deadline_ns;
    api_wait_start(q->o->api, &q->decision, q->id, deadline, serve_again, give_up, q);
}

static void remote_done(void *ctx, int rc, struct str body, const char *message)
{
    struct request *q = ctx;
    char *copy = rc == 0 ? kl_dup(q->call, body.at ? body.at : "", body.len) : NULL;
    q->rc = rc < 0 ? kl_fail(q->call, -rc, "%s", message) : copy ? 0 : kl_fail(q->call, KL_NO_MEMORY, "out of memory");
    if (copy)
        *q->ret = (struct kl_bytes){ copy, body.len };
    finish(q);
}

/* Of a group that another server answers for. False: it is none of those. */
static bool read_remote(struct request *q)
{
    int rc = q->wait ? api_remote_read(q->o->api, q->key, q->who, remote_done, q, q->call) : 0;
    struct str plural = str_of(q->key->resource), group = str_cut(&plural, '/');
    if (rc == 0 && group.len && !schema_resource_by_name(str_of(q->key->resource)))
        rc = kl_fail(q->call, KL_NOT_FOUND, "the server could not find the requested resource (get " STR_FMT "." STR_FMT ")", STR_ARG(plural),
                     STR_ARG(group));
    if (rc < 0)
        q->rc = rc;
    q->waiting = rc > 0;
    return rc != 0;
}

/* What nodes and pods use; it may have to be asked for first. */
static int read_usage(struct request *q)
{
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct api_error e = { 0 };
    if (!a)
        return kl_fail(q->call, KL_NO_MEMORY, "out of memory");
    if (!q->id)
        q->id = api_request_new(q->o->api);
    int rc = api_usage_text(q->o->api, a, q->key, q->id, &b, &e);
    if (rc < 0)
        return kl_fail(q->call, e.code, "%s", e.message ? e.message : "failed");
    char *copy = kl_dup(q->call, b.at, b.len);
    *q->ret = (struct kl_bytes){ copy, b.len };
    return copy ? 0 : kl_fail(q->call, KL_NO_MEMORY, "out of memory");
}

static bool is_usage(const struct request *q)
{
    const struct schema_kind *k = q->wait && strncmp(q->key->resource, "metrics.k8s.io/", 15) == 0 ? schema_resource_by_name(str_of(q->key->resource)) : NULL;
    return k && k->flags & K_MEASURED;
}

static int read_scale(struct request *q)
{
    _cleanup_arena_ struct arena *a = arena_new(API_ARENA_MAX);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct api_op op = { .api = q->o->api, .arena = a, .kind = schema_resource_by_name(str_of(q->key->resource)),
                         .ns = str_of(q->key->ns ? q->key->ns : ""), .name = str_of(q->key->name ? q->key->name : "") };
    struct val *v;
    if (!a || !op.kind || !body_type(op.kind, "scale"))
        return kl_fail(q->call, a ? KL_NOT_FOUND : KL_NO_MEMORY, a ? "the server could not find the requested resource" : "out of memory");
    if (api_scale_get(&op, &v) < 0)
        return kl_fail(q->call, op.err.code, "%s", op.err.message);
    json_write(&b, v);
    char *copy = kl_dup(q->call, b.at, b.len);
    *q->ret = (struct kl_bytes){ copy, b.len };
    return copy && !b.failed ? 0 : kl_fail(q->call, KL_NO_MEMORY, "out of memory");
}

static void serve(void *ctx)
{
    struct request *q = ctx;
    q->waiting = false;
    if (q->what == DO_GET && read_remote(q))
        ;
    else if (q->what == DO_GET && q->key->subresource && strcmp(q->key->subresource, "scale") == 0)
        q->rc = read_scale(q);
    else if (q->what == DO_GET && is_usage(q)) {
        if ((q->rc = read_usage(q)) == -KL_PENDING)
            put_aside(q);
    } else if (q->what == DO_GET)
        q->rc = objects_read(q->o->api->store, q->call, q->key, q->ret);
    else if (q->what == DO_LIST)
        q->rc = objects_list(q->o->api->store, q->call, q->list, q->ret_list);
    else if (!q->wait)
        q->rc = write_on_loop(q);
    else if ((q->rc = write_now(q)) == -KL_PENDING)
        put_aside(q);
    if (!q->waiting)
        finish(q);
}

/* --- from any thread --- */

static int ask(struct objects *o, const char *who, struct kl_call *c, struct request *q)
{
    q->o = own(o);
    q->who = who;
    q->call = c;
    if (loop_here(q->o->api->loop)) {
        serve(q);
        return q->rc;
    }
    if (q->o->stopping)
        return kl_fail(c, KL_CANCELLED, "the server is stopping");
    q->wait = true;
    q->over = (struct loop_promise)LOOP_PROMISE_INIT;
    loop_post(q->o->api->loop, serve, q);
    loop_promise_wait(&q->over);
    return q->rc;
}

static int get(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes *ret)
{
    struct request q = { .what = DO_GET, .key = k, .ret = ret };
    return ask(o, who, c, &q);
}

static int list(struct objects *o, const char *who, struct kl_call *c, const struct kl_list_options *opt, struct kl_object_list *ret)
{
    struct request q = { .what = DO_LIST, .list = opt, .ret_list = ret };
    return ask(o, who, c, &q);
}

static int create(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj,
                  struct kl_bytes *ret)
{
    struct request q = { .what = DO_CREATE, .key = k, .body = obj, .ret = ret };
    return ask(o, who, c, &q);
}

static int update(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj,
                  struct kl_bytes *ret)
{
    struct request q = { .what = DO_UPDATE, .key = k, .body = obj, .ret = ret };
    return ask(o, who, c, &q);
}

static int patch(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, int32_t type, struct kl_bytes p,
                 struct kl_bytes *ret)
{
    struct request q = { .what = DO_PATCH, .key = k, .patch_type = type, .body = p, .ret = ret };
    return ask(o, who, c, &q);
}

static int remove_object(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k,
                         const struct kl_delete_options *opt)
{
    struct request q = { .what = DO_REMOVE, .key = k, .del = opt };
    return ask(o, who, c, &q);
}

static void event(struct objects *o, const char *who, struct kl_bytes about, const char *type, const char *reason, const char *message)
{
    if (!own(o)->stopping)
        event_record(own(o)->events, who, str_n(about.at, about.len), type, reason, message);
}

static int resources(struct objects *o, const char *who, struct kl_call *c, const char *const **ret)
{
    (void)o;
    (void)who;
    return objects_resources(c, ret);
}

static const struct objects_ops ops = { get, list, create, update, patch, remove_object, event, resources };

int api_objects_new(struct api *api, struct objects **ret, struct kl_err *err)
{
    struct api_objects *o = mem_alloc(sizeof *o);
    if (!o)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    o->pub.ops = &ops;
    o->api = api;
    list_init(&o->behind);
    o->events = event_recorder_new(api->loop, &o->pub);
    if (!o->events) {
        mem_free(o);
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    *ret = &o->pub;
    return 0;
}

void api_objects_stop(struct objects *o)
{
    own(o)->stopping = true;
}

void api_objects_free(struct objects *o)
{
    if (!o)
        return;
    list_each(l, &own(o)->behind)
        behind_free(list_item(l, struct behind, link));
    event_recorder_free(own(o)->events);
    mem_free(o);
}
