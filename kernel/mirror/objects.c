/* objects.c - keelson.host.objects/0 in a node's process: answers from what is held, direct calls for the rest, from any thread. */
#include "objects-internal.h"

#include "base/env.h"

static struct mirror_objects *own(struct objects *o)
{
    return (struct mirror_objects *)o;
}

void ask_finish(struct ask *q)
{
    list_remove(&q->link);
    loop_promise_keep(&q->over);
}

/* --- from what is held --- */

static bool covers(const struct reflector *r, const struct kl_list_options *o)
{
    if (!r->selector)
        return true;
    size_t n = strlen(r->selector_text);
    return o->field_selector && strncmp(o->field_selector, r->selector_text, n) == 0 && (o->field_selector[n] == '\0' || o->field_selector[n] == ',');
}

struct str key_ns(const struct ask *q)
{
    return q->kind->flags & K_NAMESPACED && q->key->ns ? str_of(q->key->ns) : STR("");
}

/* True: q->rc is the answer. */
static bool from_mirror(struct ask *q)
{
    struct mirror *m = q->mirror;
    struct reflector *r = q->what == ASK_GET ? mirror_find_for(m, q->kind, key_ns(q), str_of(q->key->name)) : mirror_find(m, q->kind);
    if (!r || !r->synced || (q->key && q->key->subresource))
        return false;
    if (q->what == ASK_GET) {
        q->rc = objects_read(m->store, q->call, q->key, q->ret);
        if (q->rc != -KL_NOT_FOUND || !r->selector)
            return true;
        kl_err_init(&q->call->err);     /* it may be outside of what is held */
        return false;
    }
    if (q->what != ASK_LIST || !covers(r, q->list))
        return false;
    q->rc = objects_list(m->store, q->call, q->list, q->ret_list);
    if (q->rc == 0)
        q->ret_list->revision = r->revision;
    return true;
}

/* --- the ways in --- */

static int find_kind(struct ask *q, const char *resource)
{
    q->kind = schema_resource_by_name(str_of(resource ? resource : ""));
    return q->kind ? 0 : kl_fail(q->call, KL_NOT_FOUND, "'%s' is not a resource; its name is \"group/plural\"", resource ? resource : "");
}

/* On the loop nothing waits. */
static int ask_here(struct ask *q)
{
    struct kl_err ignored;
    kl_err_init(&ignored);
    if (from_mirror(q))
        return q->rc;
    if (q->what != ASK_GET && q->what != ASK_LIST)
        return kl_fail(q->call, KL_UNSUPPORTED, "in a node's process objects are written from threads only (KL_CONTROLLER_BLOCKING)");
    mirror_hold(q->mirror, q->kind->storage->resource, NULL, &ignored);
    return kl_fail(q->call, KL_UNAVAILABLE, "%s is not read yet", q->kind->resource);
}

static void serve(void *ctx)
{
    struct ask *q = ctx;
    list_push(&q->mirror->asking, &q->link);
    if (q->mirror->stopping)
        q->rc = kl_fail(q->call, KL_CANCELLED, "the node's process is stopping");
    else if (!from_mirror(q) && ask_start(q) == 0)
        return;                         /* calls.c finishes it */
    ask_finish(q);
}

static int ask(struct objects *o, const char *who, struct kl_call *c, const char *resource, struct ask *q)
{
    q->mirror = own(o)->mirror;
    q->who = who;
    q->call = c;
    list_init(&q->link);
    if (find_kind(q, resource) < 0)
        return -c->err.code;
    if (loop_here(q->mirror->conf.loop))
        return ask_here(q);
    if (q->mirror->stopping)
        return kl_fail(c, KL_CANCELLED, "the node's process is stopping");
    q->over = (struct loop_promise)LOOP_PROMISE_INIT;
    loop_post(q->mirror->conf.loop, serve, q);
    loop_promise_wait(&q->over);
    return q->rc;
}

static int get(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes *ret)
{
    struct ask q = { .what = ASK_GET, .key = k, .ret = ret };
    return ask(o, who, c, k->resource, &q);
}

static int list(struct objects *o, const char *who, struct kl_call *c, const struct kl_list_options *opt, struct kl_object_list *ret)
{
    struct ask q = { .what = ASK_LIST, .list = opt, .ret_list = ret };
    return ask(o, who, c, opt->resource, &q);
}

static int create(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj,
                  struct kl_bytes *ret)
{
    struct ask q = { .what = ASK_CREATE, .key = k, .body = obj, .ret = ret };
    return ask(o, who, c, k->resource, &q);
}

static int update(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, struct kl_bytes obj,
                  struct kl_bytes *ret)
{
    struct ask q = { .what = ASK_UPDATE, .key = k, .body = obj, .ret = ret };
    return ask(o, who, c, k->resource, &q);
}

static int patch(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k, int32_t type, struct kl_bytes p,
                 struct kl_bytes *ret)
{
    struct ask q = { .what = ASK_PATCH, .key = k, .patch_type = type, .body = p, .ret = ret };
    return ask(o, who, c, k->resource, &q);
}

static int remove_object(struct objects *o, const char *who, struct kl_call *c, const struct kl_object_key *k,
                         const struct kl_delete_options *opt)
{
    struct ask q = { .what = ASK_REMOVE, .key = k, .del = opt };
    return ask(o, who, c, k->resource, &q);
}

static int resources(struct objects *o, const char *who, struct kl_call *c, const char *const **ret)
{
    (void)o;
    (void)who;
    return objects_resources(c, ret);
}

/* --- events: written by one worker at a time, so that the recorder may wait for answers --- */

struct note {
    struct list link;
    struct mirror_objects *objects;
    struct arena *arena;                /* it lives in it */
    const char *who, *type, *reason, *message;
    struct str about;
};

static void drop_notes(struct list *l)
{
    for (struct list *n; (n = list_pop(l));)
        arena_free(list_item(n, struct note, link)->arena);
}

/* [worker] */
static void write_notes(void *ctx)
{
    struct mirror_objects *o = ctx;
    list_each(node, &o->writing)
    {
        struct note *n = list_item(node, struct note, link);
        if (!o->mirror->stopping)
            event_write(o->recorder, n->who, n->about, n->type, n->reason, n->message);
    }
}

static void wrote_notes(void *ctx);

static void start_writing(struct mirror_objects *o)
{
    if (o->busy || list_empty(&o->notes) || o->mirror->stopping)
        return;
    for (struct list *n; (n = list_pop(&o->notes));)
        list_push(&o->writing, n);
    o->n_notes = 0;
    o->busy = true;
    loop_work(o->mirror->conf.loop, write_notes, wrote_notes, o);
}

static void tell_gone(struct mirror_objects *o)
{
    loop_fn gone = o->gone;
    if (o->busy || !gone)
        return;
    o->gone = NULL;
    gone(o->gone_ctx);
}

static void wrote_notes(void *ctx)
{
    struct mirror_objects *o = ctx;
    drop_notes(&o->writing);
    o->busy = false;
    start_writing(o);
    tell_gone(o);
}

static void add_note(void *ctx)
{
    struct note *n = ctx;
    struct mirror_objects *o = n->objects;
    if (o->mirror->stopping || o->n_notes >= NOTES_MOST) {
        arena_free(n->arena);
        return;
    }
    list_push(&o->notes, &n->link);
    o->n_notes++;
    start_writing(o);
}

static void event(struct objects *x, const char *who, struct kl_bytes about, const char *type, const char *reason, const char *message)
{
    struct mirror_objects *o = own(x);
    struct arena *a = o->mirror->stopping ? NULL : arena_new(1 << 20);
    struct note *n = a ? arena_alloc(a, sizeof *n) : NULL;
    if (!n) {
        arena_free(a);
        return;
    }
    *n = (struct note){ .objects = o, .arena = a, .who = arena_dup(a, str_of(who)), .type = arena_dup(a, str_of(type)),
                        .reason = arena_dup(a, str_of(reason)), .message = arena_dup(a, str_of(message)),
                        .about = arena_str(a, str_n(about.at, about.len)) };
    list_init(&n->link);
    if (arena_exhausted(a))
        arena_free(a);
    else
        loop_post(o->mirror->conf.loop, add_note, n);
}

/* --- life --- */

static const struct objects_ops ops = { get, list, create, update, patch, remove_object, event, resources };

int mirror_objects_new(struct mirror *m, struct mirror_objects **ret, struct kl_err *err)
{
    struct mirror_objects *o = mem_alloc(sizeof *o);
    if (!o)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    o->pub.ops = &ops;
    o->mirror = m;
    list_init(&o->notes);
    list_init(&o->writing);
    o->recorder = event_recorder_new(m->conf.loop, &o->pub);
    if (!o->recorder) {
        mem_free(o);
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    }
    *ret = o;
    return 0;
}

void mirror_objects_stop(struct mirror *m, loop_fn gone, void *ctx)
{
    struct mirror_objects *o = m->objects;
    while (!list_empty(&m->asking))
        ask_cancel(list_item(m->asking.next, struct ask, link));
    drop_notes(&o->notes);
    o->gone = gone;
    o->gone_ctx = ctx;
    tell_gone(o);
}

void mirror_objects_free(struct mirror_objects *o)
{
    if (!o)
        return;
    drop_notes(&o->notes);
    event_recorder_free(o->recorder);
    mem_free(o);
}

struct objects *mirror_objects_public(struct mirror_objects *o)
{
    return &o->pub;
}
