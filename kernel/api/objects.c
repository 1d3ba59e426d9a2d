/* objects.c - see objects.h. */
#include "api/objects.h"

#include <pthread.h>

#include "api-internal.h"
#include "reconcile/event.h"
#include "reconcile/call.h"

struct api_objects {
    struct objects pub;                 /* first */
    struct api *api;
    struct event_recorder *events;
    volatile bool stopping;
};

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
    bool waiting, over;
    pthread_mutex_t lock;
    pthread_cond_t cond;
};

static struct api_objects *own(struct objects *o)
{
    return (struct api_objects *)o;
}

/* --- writes, on the loop --- */

static void finish(struct request *q)
{
    if (!q->wait)
        return;
    pthread_mutex_lock(&q->lock);
    q->over = true;
    pthread_cond_signal(&q->cond);
    pthread_mutex_unlock(&q->lock);
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

static int op_prepare(struct request *q, struct arena *a, struct api_op *op, const struct kl_user *user)
{
    const struct schema_kind *k = schema_resource_by_name(str_of(q->key->resource));
    if (!k)
        return kl_fail(q->call, KL_NOT_FOUND, "'%s' is not a resource; its name is \"group/plural\"", q->key->resource);
    if (!body_type(k, q->key->subresource))
        return kl_fail(q->call, KL_NOT_FOUND, "'%s' has no subresource '%s'", q->key->resource, q->key->subresource);
    *op = (struct api_op){ .api = q->o->api, .arena = a, .user = user, .kind = k, .subresource = q->key->subresource,
                           .ns = str_of(q->key->ns ? q->key->ns : ""), .name = str_of(q->key->name ? q->key->name : ""),
                           .field_validation = VALIDATE_IGNORE, .grace_s = -1, .dry_run = q->call->flags & KL_CALL_DRY_RUN };
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
            op->want_revision = q->del->revision;
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

static void serve(void *ctx)
{
    struct request *q = ctx;
    if (q->what == DO_GET)
        q->rc = objects_read(q->o->api->store, q->call, q->key, q->ret);
    else if (q->what == DO_LIST)
        q->rc = objects_list(q->o->api->store, q->call, q->list, q->ret_list);
    else
        q->rc = write_now(q);
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
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->cond, NULL);
    loop_post(q->o->api->loop, serve, q);
    pthread_mutex_lock(&q->lock);
    while (!q->over)
        pthread_cond_wait(&q->cond, &q->lock);
    pthread_mutex_unlock(&q->lock);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->cond);
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
    event_recorder_free(own(o)->events);
    mem_free(o);
}
