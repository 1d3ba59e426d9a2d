/* store.c - opening (everything comes back from the provider), reading, closing. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "store-internal.h"

#define RANGE_PART 1000

struct resource *resource_of(struct store *s, struct str name, bool make)
{
    struct resource *r = map_get(&s->resources, name);
    if (r || !make)
        return r;
    r = mem_alloc(sizeof *r);
    if (!r || !(r->name = mem_dup(name.at, name.len)) || !map_put(&s->resources, str_of(r->name), r)) {
        if (r)
            mem_free(r->name);
        mem_free(r);
        return NULL;
    }
    list_init(&r->watches);
    r->base = 1;
    r->forgotten = s->oldest;
    return r;
}

/* "group/plural/ns/name" */
static bool split_key(struct str key, struct store_op *op)
{
    long first = str_find(key, '/');
    long second = first < 0 ? -1 : str_find(str_skip(key, (size_t)first + 1), '/');
    if (second < 0)
        return false;
    op->resource = str_n(key.at, (size_t)(first + 1 + second));
    struct str rest = str_skip(key, op->resource.len + 1);
    op->ns = str_cut(&rest, '/');
    op->name = rest;
    return rest.len > 0;
}

/* Without a cipher what is sealed cannot be served, and is never taken for an object. */
static int open_value(struct store *s, struct arena *a, const struct kl_store_record *rec, struct store_op *op, unsigned *ret_how, struct kl_err *err)
{
    struct str key = str_n(rec->key.at, rec->key.len);
    if (s->cipher)
        return s->cipher->open(s->cipher->ctx, a, key, op->resource, op->json, &op->json, ret_how, err);
    if (str_starts(op->json, STR("k8s:enc:")))
        return kl_err_set(err, KL_INVALID, "object '" STR_FMT "' is encrypted (" STR_FMT "...), and no encryption configuration is given", STR_ARG(key),
                          STR_ARG(str_n(op->json.at, op->json.len < 24 ? op->json.len : 24)));
    return 0;
}

int store_put_object(struct store *s, struct str key, struct resource *r, struct store_object *o, struct kl_err *err)
{
    struct place at;
    if (index_find(&r->index, store_object_ns(o), store_object_name(o), &at)) {
        store_object_unref(o);
        return kl_err_set(err, KL_CORRUPT, "the store holds '" STR_FMT "' twice", STR_ARG(key));
    }
    struct entry *e = index_insert(&r->index, at);
    if (!e || links_replace(s, r, NULL, o) < 0)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    e->cur = e->head = o;
    r->index.count++;
    return 0;
}

static int load_record(struct store *s, const struct store_heritage *x, struct arena *a, const struct kl_store_record *rec, struct kl_err *err)
{
    struct store_op op = { .json = str_n(rec->value.at, rec->value.len) };
    unsigned how = 0;
    if (!split_key(str_n(rec->key.at, rec->key.len), &op))
        return kl_err_set(err, KL_CORRUPT, "the store holds a key that is not 'group/plural/ns/name': '%.*s'", (int)rec->key.len,
                          rec->key.at);
    int rc = open_value(s, a, rec, &op, &how, err);
    if (rc < 0)
        return rc;
    struct resource *r = resource_of(s, op.resource, true);
    struct store_object *o = r ? heritage_object(x, str_n(rec->key.at, rec->key.len), rec->revision) : NULL;
    if (r && !o)
        o = object_new(&op, rec->revision);
    if (!o)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    o->sealed = how & 31u;
    return store_put_object(s, str_n(rec->key.at, rec->key.len), r, o, err);
}

/* --- what another process knew: nothing has to be read --- */

/* The provider has what the heritage has; or it keeps nothing (it has no checkpoints), and then the heritage is all there is. How objects are written by a
 * cipher is known only to who has read them. */
static bool inherits(const struct store *s, const struct store_heritage *x)
{
    bool keeps_nothing = !s->revision && !KL_HAS(s->provider, checkpoint);
    return !s->cipher && (heritage_whole(x, s->revision) || (keeps_nothing && heritage_revision(x)));
}

static int load(struct store *s, struct store_heritage *x, struct kl_err *err)
{
    _cleanup_arena_ struct arena *a = arena_new(0), *keys = arena_new(0);
    struct kl_bytes after = { NULL, 0 };
    if (!a || !keys)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    s->revision = s->provider->revision(s->self);
    s->oldest = s->revision;
    if (inherits(s, x)) {
        heritage_give(x, s);
        return 0;
    }
    for (;;) {
        struct kl_call c = { .size = sizeof c, .arena = a, .alloc = (void *(*)(void *, size_t))arena_alloc };
        const struct kl_store_record *rec;
        uint32_t n;
        kl_err_init(&c.err);
        int rc = s->provider->range(s->self, &c, after, RANGE_PART, &rec, &n);
        if (rc < 0) {
            *err = c.err;
            return rc;
        }
        for (uint32_t i = 0; i < n; i++)
            if ((rc = load_record(s, x, a, &rec[i], err)) < 0)
                return rc;
        if (!n)
            return 0;
        arena_reset(keys);
        struct str last = arena_str(keys, str_n(rec[n - 1].key.at, rec[n - 1].key.len));
        after = (struct kl_bytes){ last.at, last.len };
        arena_reset(a);
    }
}

void store_init(struct store *s)
{
    list_init(&s->queued);
    list_init(&s->flying);
    list_init(&s->frames);
    list_init(&s->hook.link);
}

int store_open(struct loop *l, const struct store_conf *c, struct store **ret, struct kl_err *err)
{
    struct store *s = mem_alloc(sizeof *s);
    if (!s)
        return kl_err_set(err, KL_NO_MEMORY, "out of memory");
    s->loop = l;
    s->provider = c->provider;
    s->self = c->self;
    s->cipher = c->cipher;
    s->history_max = c->history ? c->history : 100000;
    s->history_bytes_max = c->history_bytes ? c->history_bytes : (size_t)64 << 20;
    store_init(s);
    int rc = s->provider ? load(s, c->heritage, err) : 0;
    if (rc == 0 && heritage_install(s, c->heritage) < 0)
        rc = kl_err_set(err, KL_NO_MEMORY, "out of memory");
    if (rc < 0) {
        store_close(s);
        return rc;
    }
    s->next = s->revision + 1;
    loop_hook_add(l, &s->hook, commit_hook, s);
    *ret = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    list_remove(&s->hook.link);
    commit_drain(s);
    links_free(s);
    history_free(s);
    size_t at = 0;
    void *v;
    while (map_next(&s->resources, &at, NULL, &v)) {
        struct resource *r = v;
        while (list_pop(&r->watches))
            ;                           /* who owns one still frees it */
        index_free(&r->index);
        mem_free(r->ring);
        mem_free(r->name);
        mem_free(r);
    }
    map_free(&s->resources);
    mem_free(s);
}

uint64_t store_revision(const struct store *s)
{
    return s->revision;
}

uint64_t store_oldest(const struct store *s)
{
    return s->oldest;
}

const struct kl_store *store_provider(const struct store *s, void **self)
{
    *self = s->self;
    return s->provider;
}

const char *store_trouble(const struct store *s)
{
    return s->trouble[0] ? s->trouble : NULL;
}

bool store_stale(struct store *s, struct str resource, const struct store_object *o)
{
    return s->cipher && o->sealed != s->cipher->current(s->cipher->ctx, resource);
}

size_t store_count(struct store *s, struct str resource)
{
    struct resource *r = resource_of(s, resource, false);
    return r ? r->index.count : 0;
}

static struct entry *find(struct store *s, struct str resource, struct str ns, struct str name)
{
    struct resource *r = resource_of(s, resource, false);
    struct place at;
    return r && index_find(&r->index, ns, name, &at) ? index_at(&r->index, at) : NULL;
}

struct store_object *store_get(struct store *s, struct str resource, struct str ns, struct str name)
{
    struct entry *e = find(s, resource, ns, name);
    return e ? e->cur : NULL;
}

struct store_object *store_head(struct store *s, struct str resource, struct str ns, struct str name)
{
    struct entry *e = find(s, resource, ns, name);
    return e ? alive(e->head) : NULL;
}

static void list_from(struct index *x, struct place at, const struct store_range *r,
                      bool (*each)(void *ctx, struct store_object *o), void *ctx)
{
    for (struct entry *e; (e = index_at(x, at)); index_next(x, &at)) {
        struct store_object *o = r->head ? alive(e->head) : e->cur;
        if (r->ns.at && !str_eq(store_object_ns(entry_object(e)), r->ns))
            return;
        if (o && !each(ctx, o))
            return;
    }
}

void store_list(struct store *s, const struct store_range *r, bool (*each)(void *ctx, struct store_object *o), void *ctx)
{
    struct resource *res = resource_of(s, r->resource, false);
    struct place at;
    if (!res)
        return;
    if (r->after_name.at) {
        if (index_find(&res->index, r->after_ns, r->after_name, &at))
            index_next(&res->index, &at);
    } else {
        index_find(&res->index, r->ns.at ? r->ns : STR(""), STR(""), &at);
    }
    list_from(&res->index, at, r, each, ctx);
}
