/* commit.c - the write path: checked against head at once, gathered for one turn, made durable as one batch on a worker, then shown.
 *
 * queued -> (turn ends, provider idle) -> flying -> published, or rolled back when the batch could not be made durable.
 */
#include "base/arena.h"
#include "base/env.h"
#include "store-internal.h"

#define BATCH_COMMITS 4096

struct batch {
    struct store *store;
    struct arena *arena;
    struct kl_store_commit *commits;
    unsigned n;
    bool checkpoint;                    /* hand over the next part behind them */
    int rc;
    struct kl_err err;
};

/* --- checking and head --- */

static int check_one(struct store *s, const struct store_op *op, struct kl_err *err)
{
    struct store_object *head = store_head(s, op->resource, op->ns, op->name);
    if (op->type == STORE_CREATE)
        return head ? kl_err_set(err, KL_ALREADY_EXISTS, "'" STR_FMT "' exists", STR_ARG(op->name)) : 0;
    if (!head)
        return kl_err_set(err, KL_NOT_FOUND, "'" STR_FMT "' is not there", STR_ARG(op->name));
    if (op->expected && op->expected != head->revision)
        return kl_err_set(err, KL_CONFLICT, "'" STR_FMT "' has revision %llu, not %llu", STR_ARG(op->name),
                          (unsigned long long)head->revision, (unsigned long long)op->expected);
    return 0;
}

static void remove_if_empty(struct resource *r, struct place p, const struct entry *e)
{
    if (!e->cur && !e->head)
        index_remove(&r->index, p);
}

static void set_head(struct entry *e, struct store_object *now)
{
    struct store_object *old = e->head;
    e->head = now;
    if (old && old != e->cur)
        store_object_unref(old);
    if (now && now != e->cur)
        store_object_ref(now);
}

static int head_op(struct store *s, const struct store_op *op, uint64_t revision, struct pending_op *p)
{
    struct resource *r = resource_of(s, op->resource, true);
    struct place at;
    if (!r)
        return -KL_NO_MEMORY;
    bool found = index_find(&r->index, op->ns, op->name, &at);
    struct store_object *now = object_new(op, revision);
    if (!now)
        return -KL_NO_MEMORY;
    struct store_object *old = found ? index_at(&r->index, at)->head : NULL;
    bool del = op->type == STORE_DELETE;
    now->dead = del;
    if (links_replace(s, r, alive(old), alive(now)) < 0) {
        links_replace(s, r, NULL, alive(old));
        store_object_unref(now);
        return -KL_NO_MEMORY;
    }
    if (!found) {
        struct entry *e = index_insert(&r->index, at);
        if (!e) {
            links_replace(s, r, now, NULL);
            store_object_unref(now);
            return -KL_NO_MEMORY;
        }
        e->head = store_object_ref(now);
    } else {
        if (old)
            store_object_ref(old);
        set_head(index_at(&r->index, at), now);
    }
    *p = (struct pending_op){ .resource = r, .old = old, .expected = alive(old) ? old->revision : 0 };
    *(del ? &p->tomb : &p->object) = now;
    return 0;
}

/* Undoes a head operation; operations are undone newest first. */
static void undo_op(struct store *s, struct pending_op *p)
{
    struct store_object *now = p->object ? p->object : p->tomb;
    struct place at;
    if (index_find(&p->resource->index, store_object_ns(now), store_object_name(now), &at)) {
        struct entry *e = index_at(&p->resource->index, at);
        links_replace(s, p->resource, p->object, alive(p->old));
        set_head(e, p->old);
        remove_if_empty(p->resource, at, e);
    }
}

static void free_commit(struct commit *c)
{
    for (unsigned i = 0; i < c->n; i++) {
        store_object_unref(c->ops[i].object);
        store_object_unref(c->ops[i].tomb);
        store_object_unref(c->ops[i].old);
    }
    mem_free(c);
}

static void undo_commit(struct store *s, struct commit *c)
{
    for (unsigned i = c->n; i--;)
        undo_op(s, &c->ops[i]);
}

/* Deletions and signs of life go on while the disk is full: the provider keeps a reserve for them. */
static bool is_vital(const struct store_op *op)
{
    return op->type == STORE_DELETE || str_is(op->resource, "coordination.k8s.io/leases");
}

uint64_t store_next_revision(const struct store *s)
{
    return s->next;
}

int store_commit(struct store *s, const struct store_op *ops, unsigned n,
                 void (*done)(void *ctx, int rc, const struct kl_err *err), void *ctx, struct store_object **ret,
                 struct kl_err *err)
{
    int rc = 0;
    bool vital = true;
    if (s->frozen)
        return kl_err_set(err, KL_UNAVAILABLE, "another process goes on with the store");
    for (unsigned i = 0; i < n && rc == 0; i++) {
        rc = check_one(s, &ops[i], err);
        vital = vital && is_vital(&ops[i]);
    }
    if (rc < 0)
        return rc;
    if (s->trouble[0] && !vital && loop_now(s->loop) - s->trouble_ns < NS_PER_S)
        return kl_err_set(err, KL_STORAGE_FULL, "%s", s->trouble);
    struct commit *c = mem_alloc(sizeof *c + n * sizeof c->ops[0]);
    if (!c)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    c->revision = s->next;
    c->done = done;
    c->ctx = ctx;
    for (; c->n < n; c->n++)
        if (head_op(s, &ops[c->n], c->revision, &c->ops[c->n]) < 0) {
            undo_commit(s, c);
            free_commit(c);
            return kl_err_set(err, KL_NO_MEMORY, "out of memory");
        }
    for (unsigned i = 0; ret && i < n; i++)
        ret[i] = c->ops[i].object ? c->ops[i].object : c->ops[i].tomb;
    s->next++;
    list_push(&s->queued, &c->link);
    return 0;
}

/* --- durable --- */

static struct kl_bytes key_of(struct arena *a, const struct resource *r, const struct store_object *o)
{
    struct str parts[] = { str_of(r->name), store_object_ns(o), store_object_name(o) };
    size_t n = parts[0].len + parts[1].len + parts[2].len + 2;
    char *key = arena_raw(a, n + 1), *p = key;
    for (int i = 0; i < 3 && p; i++) {
        if (parts[i].len)
            memcpy(p, parts[i].at, parts[i].len);
        p += parts[i].len;
        *p++ = i < 2 ? '/' : '\0';
    }
    return (struct kl_bytes){ key, key ? n : 0 };
}

static int seal_op(struct store *s, struct arena *a, const struct pending_op *p, struct kl_store_op *op)
{
    const struct store_cipher *x = s->cipher;
    struct kl_err err;
    struct str sealed;
    kl_err_init(&err);
    unsigned how = x->current(x->ctx, str_of(p->resource->name));
    p->object->sealed = how & 31u;
    if (!how)
        return 0;
    int rc = x->seal(x->ctx, how, a, str_n(op->key.at, op->key.len), store_object_json(p->object), &sealed, &err);
    if (rc == 0)
        op->value = (struct kl_bytes){ sealed.at, sealed.len };
    return rc;
}

static int fill_commit(struct store *s, struct arena *a, const struct commit *c, struct kl_store_commit *ret)
{
    struct kl_store_op *ops = arena_alloc(a, c->n * sizeof *ops);
    if (!ops)
        return -KL_NO_MEMORY;
    for (unsigned i = 0; i < c->n; i++) {
        const struct pending_op *p = &c->ops[i];
        ops[i] = (struct kl_store_op){ .size = sizeof *ops, .type = p->object ? KL_STORE_PUT : KL_STORE_DELETE,
                                       .key = key_of(a, p->resource, p->object ? p->object : p->tomb), .expected = p->expected };
        if (p->object)
            ops[i].value = (struct kl_bytes){ store_object_json(p->object).at, store_object_json(p->object).len };
        if (!ops[i].key.at || (s->cipher && p->object && seal_op(s, a, p, &ops[i]) < 0))
            return -KL_NO_MEMORY;
    }
    *ret = (struct kl_store_commit){ .size = sizeof *ret, .revision = c->revision, .n = c->n, .ops = ops };
    return 0;
}

static void call_init(struct kl_call *c, struct arena *a)
{
    *c = (struct kl_call){ .size = sizeof *c, .arena = a };
    kl_err_init(&c->err);
    c->alloc = (void *(*)(void *, size_t))arena_alloc;
}

/* [worker] */
static void run_batch(void *ctx)
{
    struct batch *b = ctx;
    struct kl_call c;
    call_init(&c, b->arena);
    if (b->n)
        b->rc = b->store->provider->append(b->store->self, &c, b->commits, b->n);
    b->err = c.err;
    if (b->rc == 0 && b->checkpoint)
        checkpoint_step(b->store);
}

static void show_op(struct store *s, struct pending_op *p, uint64_t revision)
{
    struct resource *r = p->resource;
    struct store_object *now = p->object ? p->object : p->tomb;
    struct place at;
    if (!index_find(&r->index, store_object_ns(now), store_object_name(now), &at))
        return;
    struct entry *e = index_at(&r->index, at);
    struct store_object *old = e->cur;
    struct event ev = { .object = now, .old = old, .revision = revision,
                        .type = !p->object ? STORE_DELETED : old ? STORE_MODIFIED : STORE_ADDED };
    history_add(s, r, &ev);
    /* The reference that head held moves to cur when they are the same now. */
    bool same = e->head == now;
    r->index.count += (p->object != NULL) - (old != NULL);
    e->cur = p->object;
    if (p->object && !same)
        store_object_ref(p->object);
    if (old && old != e->head)
        store_object_unref(old);
    if (!p->object && same) {           /* nothing came after the deletion */
        e->head = NULL;
        store_object_unref(now);
        remove_if_empty(r, at, e);
    }
}

static void show_batch(struct store *s)
{
    list_each(node, &s->flying)
    {
        struct commit *c = list_item(node, struct commit, link);
        for (unsigned i = 0; i < c->n; i++)
            show_op(s, &c->ops[i], c->revision);
        s->revision = c->revision;
    }
}

static void answer(struct list *commits, int rc, const struct kl_err *err)
{
    for (struct list *node; (node = list_pop(commits));) {
        struct commit *c = list_item(node, struct commit, link);
        if (c->done)
            c->done(c->ctx, rc, rc < 0 ? err : NULL);
        free_commit(c);
    }
}

static void move_all(struct list *from, struct list *to)
{
    for (struct list *node; (node = list_pop(from));)
        list_push(to, node);
}

/* What was not made durable never happened; neither did what was built on it. */
static void roll_back(struct store *s, const struct batch *b)
{
    struct list failed = LIST_INIT(failed);
    move_all(&s->flying, &failed);
    move_all(&s->queued, &failed);
    for (struct list *node = failed.prev; node != &failed; node = node->prev)
        undo_commit(s, list_item(node, struct commit, link));
    snprintf(s->trouble, sizeof s->trouble, "%s", b->err.msg[0] ? b->err.msg : "the store's log failed");
    s->trouble_ns = loop_now(s->loop);
    answer(&failed, b->rc, &b->err);
}

static void batch_done(void *ctx)
{
    struct batch *b = ctx;
    struct store *s = b->store;
    s->busy = false;
    if (b->rc < 0) {
        roll_back(s, b);
    } else {
        struct list done = LIST_INIT(done);
        if (b->n)
            s->trouble[0] = '\0';
        show_batch(s);
        move_all(&s->flying, &done);
        answer(&done, 0, NULL);
        watches_wake(s);
    }
    arena_reset(b->arena);
    if (s->checkpoint && checkpoint_done(s))
        checkpoint_free(s);
    commit_hook(s);
}

static struct batch *batch_of(struct store *s)
{
    if (!s->batch && (s->batch = mem_alloc(sizeof *s->batch))) {
        s->batch->store = s;
        s->batch->arena = arena_new(0);
        if (!s->batch->arena) {
            mem_free(s->batch);
            s->batch = NULL;
        }
    }
    return s->batch;
}

/* Nothing has to last first. */
static void show_at_once(struct store *s)
{
    struct list done = LIST_INIT(done);
    if (list_empty(&s->queued))
        return;
    move_all(&s->queued, &s->flying);
    show_batch(s);
    move_all(&s->flying, &done);
    answer(&done, 0, NULL);
    watches_wake(s);
}

/* At the end of each turn, and after each batch. */
void commit_hook(void *ctx)
{
    struct store *s = ctx;
    if (!s->provider) {
        show_at_once(s);
        if (!list_empty(&s->queued))    /* committed within an answer or a wake */
            loop_post(s->loop, commit_hook, s);
        return;
    }
    if (s->busy || s->frozen)
        return;
    bool checkpoint = !s->closing && (s->checkpoint || checkpoint_start(s));
    if (list_empty(&s->queued) && !checkpoint)
        return;
    struct batch *b = batch_of(s);
    if (!b)
        return;                         /* out of memory: the next turn tries again */
    unsigned n = 0;
    b->n = 0;
    b->rc = 0;
    b->checkpoint = checkpoint;
    kl_err_init(&b->err);
    list_each(count, &s->queued)
        n += count != NULL;
    if (n > BATCH_COMMITS)
        n = BATCH_COMMITS;
    b->commits = arena_alloc(b->arena, (n + 1) * sizeof *b->commits);
    while (b->commits && b->n < n) {
        struct commit *c = list_item(s->queued.next, struct commit, link);
        if (fill_commit(s, b->arena, c, &b->commits[b->n]) < 0)
            break;
        list_remove(&c->link);
        list_push(&s->flying, &c->link);
        b->n++;
    }
    if (!b->n && !checkpoint)
        return;
    s->busy = true;
    loop_work(s->loop, run_batch, batch_done, b);
}

/* Everything that was accepted is made durable, or refused, before the process ends. */
void commit_drain(struct store *s)
{
    s->closing = true;
    while (s->busy || !list_empty(&s->queued)) {
        if (!s->busy)
            commit_hook(s);
        if (s->busy)
            loop_work_join(s->loop, s->batch);
        else if (s->provider)
            break;                      /* out of memory */
    }
    checkpoint_free(s);
    if (s->batch)
        arena_free(s->batch->arena);
    mem_free(s->batch);
    s->batch = NULL;
}
