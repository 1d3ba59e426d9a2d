/* devices.c - what is known of devices beside the store: slices parsed once, and who has which device, in step with what becomes durable. */
#include "base/cleanup.h"
#include "base/env.h"
#include "reconcile/devices-internal.h"

#define CLAIMS      "resource.k8s.io/resourceclaims"
#define SLICES      "resource.k8s.io/resourceslices"
#define CLASSES     "resource.k8s.io/deviceclasses"
#define ASSUMED_NS  (70 * NS_PER_S)     /* a write that waits for a webhook is over by then */

struct slice {
    struct list link, all;              /* of its node or the shared ones; of all */
    struct arena *arena;
    struct val *v;
    char name[];
};

struct of_node {                        /* slices of one node */
    struct list slices;
    char name[];
};

struct hold {                           /* one device of one claim */
    struct used *used;
    struct share *share;                /* NULL: all of it */
};

struct held {                           /* one claim */
    struct arena *arena;                /* NULL: none of its texts are needed */
    int64_t assumed_ns;                 /* when it was written, and not durable yet; 0: it is */
    unsigned n;
    struct hold at[RESULTS_MOST];
    char key[];
};

struct devices {
    struct store *store;
    void (*again)(void *ctx, struct str key);
    void *ctx;
    struct store_watch *watches[3];
    struct map slices;                  /* name -> struct slice */
    struct map nodes;                   /* name -> struct of_node */
    struct list shared, all;
    struct map claims;                  /* NS/NAME -> struct held */
    struct map used;                    /* device -> struct used */
    struct map waiting;                 /* pods: key -> its own copy */
};

/* --- slices --- */

static void slice_drop(struct devices *d, struct str name)
{
    struct slice *s = map_del(&d->slices, name);
    if (!s)
        return;
    list_remove(&s->link);
    list_remove(&s->all);
    arena_free(s->arena);
    mem_free(s);
}

static struct list *list_of(struct devices *d, struct str node)
{
    struct of_node *n = node.len ? map_get(&d->nodes, node) : NULL;
    if (!node.len)
        return &d->shared;
    if (n)
        return &n->slices;
    if (!(n = mem_alloc(sizeof *n + node.len + 1)))
        return &d->shared;
    memcpy(n->name, node.at, node.len);
    list_init(&n->slices);
    if (map_put(&d->nodes, str_n(n->name, node.len), n))
        return &n->slices;
    mem_free(n);
    return &d->shared;                  /* node_matches looks at the name again */
}

static void slice_add(struct devices *d, struct store_object *o)
{
    struct str name = store_object_name(o), text = store_object_json(o);
    struct kl_err err;
    kl_err_init(&err);
    struct slice *s = mem_alloc(sizeof *s + name.len + 1);
    if (!s || !(s->arena = arena_new(64 << 20))) {
        mem_free(s);
        return;
    }
    memcpy(s->name, name.at, name.len);
    list_init(&s->link);
    list_init(&s->all);
    struct str copy = arena_str(s->arena, text);
    s->v = copy.at ? json_parse_without(s->arena, copy, "metadata.managedFields", &err) : NULL;
    if (!s->v || !map_put(&d->slices, str_n(s->name, name.len), s)) {
        arena_free(s->arena);
        mem_free(s);
        return;
    }
    const struct val *counters = json_path(s->v, "spec.sharedCounters");
    list_push(list_of(d, counters && counters->n ? STR("") : json_str(s->v, "spec.nodeName")), &s->link);
    list_push(&d->all, &s->all);
}

void devices_slices(const struct devices *d, const char *node, bool (*next)(void *ctx, const struct val *slice), void *ctx)
{
    if (!node) {
        list_each(l, &d->all)
            if (!next(ctx, list_item(l, struct slice, all)->v))
                return;
        return;
    }
    const struct of_node *n = map_get(&d->nodes, str_of(node));
    if (n)
        list_each(l, &n->slices)
            if (!next(ctx, list_item(l, struct slice, link)->v))
                return;
    list_each(l, &d->shared)
        if (!next(ctx, list_item(l, struct slice, link)->v))
            return;
}

/* --- who has what --- */

const struct used *devices_used(const struct devices *d, struct str id)
{
    return map_get(&d->used, id);
}

static struct used *used_of(struct devices *d, struct str id)
{
    struct used *u = map_get(&d->used, id);
    if (u || !(u = mem_alloc(sizeof *u + id.len + 1)))
        return u;
    memcpy(u->id, id.at, id.len);
    list_init(&u->shares);
    if (map_put(&d->used, str_n(u->id, id.len), u))
        return u;
    mem_free(u);
    return NULL;
}

static void claim_drop(struct devices *d, struct str key)
{
    struct held *h = map_del(&d->claims, key);
    if (!h)
        return;
    for (unsigned i = 0; i < h->n; i++) {
        struct used *u = h->at[i].used;
        if (h->at[i].share) {
            list_remove(&h->at[i].share->link);
            mem_free(h->at[i].share);
        } else {
            u->whole--;
        }
        if (!u->whole && list_empty(&u->shares))
            mem_free(map_del(&d->used, str_of(u->id)));
    }
    arena_free(h->arena);
    mem_free(h);
}

static void hold_result(struct devices *d, struct held *h, const struct val *result)
{
    struct str id = device_id(h->arena, result);
    struct used *u = !json_bool(result, "adminAccess", false) && h->n < RESULTS_MOST ? used_of(d, id) : NULL;
    if (!u)
        return;
    struct hold *at = &h->at[h->n++];
    *at = (struct hold){ .used = u };
    if (json_str(result, "shareID").len && (at->share = mem_alloc(sizeof *at->share))) {
        at->share->consumed = json_get(result, STR("consumedCapacity"));
        list_push(&u->shares, &at->share->link);
    } else {
        u->whole++;
    }
}

/* allocation: of the claim; NULL: none. Its texts may go. */
static void claim_set(struct devices *d, struct str key, const struct val *allocation, int64_t assumed_ns)
{
    const struct val *results = json_path(allocation, "devices.results");
    claim_drop(d, key);
    struct held *h = val_is(results, VAL_ARR) ? mem_alloc(sizeof *h + key.len + 1) : NULL;
    if (!h || !(h->arena = arena_new(4 << 20))) {
        mem_free(h);
        return;
    }
    memcpy(h->key, key.at, key.len);
    h->assumed_ns = assumed_ns;
    if (!map_put(&d->claims, str_n(h->key, key.len), h)) {
        arena_free(h->arena);
        mem_free(h);
        return;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(4 << 20);
    json_write(&b, results);
    struct val *own = json_parse(h->arena, arena_str(h->arena, buf_str(&b)), NULL);
    if (val_is(own, VAL_ARR))
        val_each(r, own)
            hold_result(d, h, r);
}

void devices_assume(struct devices *d, struct str key, const struct val *allocation)
{
    claim_set(d, key, allocation, env_mono_ns());
}

bool devices_assumed(struct devices *d, struct str key)
{
    const struct held *h = map_get(&d->claims, key);
    if (!h || !h->assumed_ns)
        return false;
    if (env_mono_ns() - h->assumed_ns < ASSUMED_NS)
        return true;
    claim_drop(d, key);
    return false;
}

static void claim_read(struct devices *d, struct store_object *o)
{
    char key[600];
    struct kl_err err;
    kl_err_init(&err);
    struct str text = store_object_json(o);
    int n = snprintf(key, sizeof key, STR_FMT "/" STR_FMT, STR_ARG(store_object_ns(o)), STR_ARG(store_object_name(o)));
    if (n < 0 || (size_t)n >= sizeof key)
        return;
    _cleanup_arena_ struct arena *a = memmem(text.at, text.len, "\"allocation\"", 12) ? arena_new(16 << 20) : NULL;
    struct val *v = a ? json_parse_without(a, text, "metadata.managedFields", &err) : NULL;
    claim_set(d, str_n(key, (size_t)n), json_path(v, "status.allocation"), 0);
}

/* --- news --- */

void devices_wait(struct devices *d, struct str key)
{
    char *copy = map_get(&d->waiting, key) ? NULL : mem_dup(key.at, key.len);
    if (copy && !map_put(&d->waiting, str_n(copy, key.len), copy))
        mem_free(copy);
}

static void wake(struct devices *d)
{
    struct map was = d->waiting;
    size_t at = 0;
    struct str key;
    void *copy;
    d->waiting = (struct map){ 0 };
    while (map_next(&was, &at, &key, &copy)) {
        d->again(d->ctx, key);
        mem_free(copy);
    }
    map_free(&was);
}

static void on_news(void *ctx)
{
    struct devices *d = ctx;
    struct store_event e;
    bool expired = false, news = false;
    while (store_watch_next(d->watches[0], &e, &expired)) {
        char key[600];
        news = true;
        if (e.type != STORE_DELETED) {
            claim_read(d, e.object);
            continue;
        }
        int n = snprintf(key, sizeof key, STR_FMT "/" STR_FMT, STR_ARG(store_object_ns(e.object)), STR_ARG(store_object_name(e.object)));
        if (n > 0 && (size_t)n < sizeof key)
            claim_drop(d, str_n(key, (size_t)n));
    }
    while (store_watch_next(d->watches[1], &e, &expired)) {
        news = true;
        slice_drop(d, store_object_name(e.object));
        if (e.type != STORE_DELETED)
            slice_add(d, e.object);
    }
    while (store_watch_next(d->watches[2], &e, &expired))
        news = true;
    if (news)
        wake(d);
}

/* --- life --- */

static bool first_claim(void *ctx, struct store_object *o)
{
    claim_read(ctx, o);
    return true;
}

static bool first_slice(void *ctx, struct store_object *o)
{
    slice_add(ctx, o);
    return true;
}

int devices_new(struct store *s, void (*again)(void *ctx, struct str key), void *ctx, struct devices **ret, struct kl_err *err)
{
    static const char *const resources[] = { CLAIMS, SLICES, CLASSES };
    struct store_range claims = { .resource = STR(CLAIMS) }, slices = { .resource = STR(SLICES) };
    struct devices *d = mem_alloc(sizeof *d);
    int rc = 0;
    if (!d)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    d->store = s;
    d->again = again;
    d->ctx = ctx;
    list_init(&d->shared);
    list_init(&d->all);
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = store_watch_new(s, str_of(resources[i]), STR_NONE, store_revision(s), on_news, d, &d->watches[i], err);
    if (rc < 0) {
        devices_free(d);
        return rc;
    }
    store_list(s, &claims, first_claim, d);
    store_list(s, &slices, first_slice, d);
    *ret = d;
    return 0;
}

struct store *devices_store(const struct devices *d)
{
    return d->store;
}

void devices_free(struct devices *d)
{
    size_t at = 0;
    struct str key;
    void *value;
    if (!d)
        return;
    for (int i = 0; i < 3; i++)
        if (d->watches[i])
            store_watch_free(d->watches[i]);
    for (; map_next(&d->slices, &at, &key, &value); at = 0)
        slice_drop(d, key);
    for (at = 0; map_next(&d->claims, &at, &key, &value); at = 0)
        claim_drop(d, key);
    for (at = 0; map_next(&d->nodes, &at, &key, &value);)
        mem_free(value);
    for (at = 0; map_next(&d->waiting, &at, &key, &value);)
        mem_free(value);
    map_free(&d->slices);
    map_free(&d->claims);
    map_free(&d->nodes);
    map_free(&d->used);
    map_free(&d->waiting);
    mem_free(d);
}
