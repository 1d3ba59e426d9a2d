/* heritage.c - what another process tells of its store (handover.c), made into one while that one still serves: when its last word has come, indexes and
 * links are there, and so is what watches may ask for.
 */
#include <errno.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "parcel.h"

struct store_heritage {
    uint64_t revision, oldest;
    bool whole;                         /* all objects are known: they are in `store`, which has no provider */
    struct store *store;
    struct map names;
    struct map forgotten;               /* resource's name -> revision + 1 */
    struct map last;                    /* "resource/ns/name" -> its newest object, uncounted: an event holds it */
    struct told *at;
    size_t n, cap;
    struct arena *arena;                /* names and keys */
};

/* What comes in, from a pipe or a file. */
struct reader {
    int fd;
    struct buf in;
    size_t at;
};

/* n bytes, until the next call; NULL: they do not come. */
static const char *next(struct reader *r, size_t n)
{
    if (r->in.len - r->at < n) {
        memmove(r->in.at ? r->in.at : "", r->in.at ? r->in.at + r->at : "", r->in.at ? r->in.len - r->at : 0);
        r->in.len -= r->at;
        r->at = 0;
    }
    while (r->in.len < n) {
        size_t want = n - r->in.len > PART ? n - r->in.len : PART;
        char *room = buf_room(&r->in, want);
        ssize_t got = room ? read(r->fd, room, want) : 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return NULL;
        r->in.len += (size_t)got;
    }
    r->at += n;
    return r->in.at ? r->in.at + r->at - n : "";
}

static bool take(struct reader *r, void *to, size_t n)
{
    const char *at = next(r, n);
    if (at)
        memcpy(to, at, n);
    return at != NULL;
}

static struct store_object *make(const struct event_head *h, struct str resource, struct str ns, struct str name, struct str json, uint64_t revision)
{
    (void)h;
    struct store_op op = { .resource = resource, .ns = ns, .name = name, .json = json };
    return object_new(&op, revision);
}

/* The same text each time. */
static const char *resource_name(struct store_heritage *x, struct str name)
{
    const char *known = map_get(&x->names, name);
    if (known || !(known = arena_dup(x->arena, name)))
        return known;
    return map_put(&x->names, str_of(known), (void *)(uintptr_t)known) ? known : NULL;
}

static struct told *room(struct store_heritage *x)
{
    if (x->n == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 256;
        struct told *at = mem_resize(x->at, cap * sizeof *at);
        if (!at)
            return NULL;
        x->at = at;
        x->cap = cap;
    }
    return &x->at[x->n];
}

/* An event behind the first parcel. */
static int apply(struct store_heritage *x, struct str key, const struct told *t)
{
    struct store *s = x->store;
    struct store_object *now = t->event.object;
    struct resource *r = resource_of(s, str_of(t->resource), true);
    struct place at;
    struct kl_err err;
    kl_err_init(&err);
    if (!r)
        return -KL_NO_MEMORY;
    if (!index_find(&r->index, store_object_ns(now), store_object_name(now), &at))
        return t->event.type == STORE_DELETED ? 0 : store_put_object(s, key, r, store_object_ref(now), &err);
    struct entry *e = index_at(&r->index, at);
    struct store_object *before = e->cur;
    bool gone = t->event.type == STORE_DELETED;
    if (links_replace(s, r, before, gone ? NULL : now) < 0)
        return -KL_NO_MEMORY;
    e->cur = e->head = gone ? NULL : store_object_ref(now);
    r->index.count -= gone;
    if (gone)
        index_remove(&r->index, at);
    store_object_unref(before);
    return 0;
}

/* The first parcel is there. */
static int put_all(struct store_heritage *x)
{
    size_t at = 0;
    struct str key;
    void *v;
    struct kl_err err;
    kl_err_init(&err);
    while (map_next(&x->last, &at, &key, &v)) {
        struct store_object *o = v;
        if (o->dead)
            continue;
        /* "group/plural/ns/name": a group and a plural have no more than the first slash */
        long first = str_find(key, '/'), second = str_find(str_skip(key, (size_t)first + 1), '/');
        struct resource *r = resource_of(x->store, str_n(key.at, (size_t)(first + 1 + second)), true);
        if (!r || store_put_object(x->store, key, r, store_object_ref(o), &err) < 0)
            return -KL_NO_MEMORY;
    }
    return 0;
}

/* 1: there are more, 0: that was the last; -KL_NO_MEMORY, -KL_CORRUPT. */
static int read_event(struct store_heritage *x, struct reader *from)
{
    struct event_head h;
    if (!take(from, &h, sizeof h) || (h.type != END && h.type > STORE_DELETED))
        return -KL_CORRUPT;
    if (h.type == END)
        return 0;
    size_t key_len = (size_t)h.resource_len + h.ns_len + h.name_len;
    const char *at = next(from, key_len + h.json_len + h.old_len);
    if (!at)
        return -KL_CORRUPT;
    struct str resource = str_n(at, h.resource_len), ns = str_n(at + h.resource_len, h.ns_len);
    struct str name = str_n(at + h.resource_len + h.ns_len, h.name_len), json = str_n(at + key_len, h.json_len);
    struct told *t = room(x);
    const char *key = arena_printf(x->arena, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(resource), STR_ARG(ns), STR_ARG(name));
    if (!t || !key)
        return -KL_NO_MEMORY;
    struct store_object *before = map_get(&x->last, str_of(key));
    if (h.old == OLD_KNOWN && (!before || before->revision != h.old_revision))
        return -KL_CORRUPT;
    *t = (struct told){ .resource = resource_name(x, resource), .event = { .revision = h.revision, .type = h.type } };
    t->event.object = make(&h, resource, ns, name, json, h.object_revision);
    t->event.old = h.old == OLD_KNOWN ? store_object_ref(before) :
                   h.old == OLD_TOLD ? make(&h, resource, ns, name, str_n(json.at + json.len, h.old_len), h.old_revision) : NULL;
    x->n++;                             /* whatever it holds is freed with the rest */
    if (!t->resource || !t->event.object || (h.old && !t->event.old) || !map_put(&x->last, str_of(key), t->event.object))
        return -KL_NO_MEMORY;
    t->event.object->dead = h.dead & 1u;
    return !x->whole || apply(x, str_of(key), t) == 0 ? 1 : -KL_NO_MEMORY;
}

static int read_resources(struct store_heritage *x, struct reader *from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct forgotten_head f;
        const char *at = take(from, &f, sizeof f) ? next(from, f.name_len) : NULL;
        if (!at)
            return -KL_CORRUPT;
        const char *name = resource_name(x, str_n(at, f.name_len));
        if (!name || !map_put(&x->forgotten, str_of(name), (void *)(uintptr_t)(f.forgotten + 1)))
            return -KL_NO_MEMORY;
    }
    return 0;
}

struct store_heritage *store_heritage_new(void)
{
    struct store_heritage *x = mem_alloc(sizeof *x);
    if (!x)
        return NULL;
    x->arena = arena_new(0);
    x->store = mem_alloc(sizeof *x->store);
    if (x->arena && x->store) {
        store_init(x->store);
        return x;
    }
    arena_free(x->arena);
    mem_free(x->store);
    mem_free(x);
    return NULL;
}

int store_heritage_read(struct store_heritage *x, int fd, struct kl_err *err)
{
    struct reader r = { .fd = fd, .in = BUF_INIT(0) };
    struct parcel_head h;
    bool known = take(&r, &h, sizeof h) && h.format == FORMAT;
    int rc = known ? read_resources(x, &r, h.n_resources) : -KL_INVALID;
    if (rc == 0)
        while ((rc = read_event(x, &r)) > 0)
            ;
    buf_free(&r.in);
    if (rc == 0 && !h.after)
        rc = put_all(x);
    /* A gap: more has happened meanwhile than is remembered. */
    x->whole = rc == 0 && (!h.after || (x->whole && h.after == x->revision && h.oldest <= h.after));
    if (rc < 0)
        return kl_err_set(err, -rc, known ? "the events of before cannot be read" : "the events of before are in a form that this version does not know");
    x->revision = h.revision;
    x->oldest = h.oldest;
    return 0;
}

void store_heritage_free(struct store_heritage *x)
{
    if (!x)
        return;
    for (size_t i = 0; i < x->n; i++) {
        store_object_unref(x->at[i].event.object);
        store_object_unref(x->at[i].event.old);
    }
    mem_free(x->at);
    store_close(x->store);
    map_free(&x->last);
    map_free(&x->forgotten);
    map_free(&x->names);
    arena_free(x->arena);
    mem_free(x);
}

bool heritage_whole(const struct store_heritage *x, uint64_t revision)
{
    return x && x->whole && x->revision == revision;
}

uint64_t heritage_revision(const struct store_heritage *x)
{
    return x && x->whole ? x->revision : 0;
}

/* Indexes and links move. */
void heritage_give(struct store_heritage *x, struct store *to)
{
    to->resources = x->store->resources;
    to->by_uid = x->store->by_uid;
    to->by_owner = x->store->by_owner;
    to->revision = x->revision;
    x->store->resources = x->store->by_uid = x->store->by_owner = (struct map){ 0 };
}

struct store_object *heritage_object(const struct store_heritage *x, struct str key, uint64_t revision)
{
    struct store_object *o = x ? map_get(&x->last, key) : NULL;
    return o && !o->dead && o->revision == revision ? store_object_ref(o) : NULL;
}

/* The store holds what was at its revision; events up to there take their place. Others do not fit: somebody else has written meanwhile. */
int heritage_install(struct store *s, const struct store_heritage *x)
{
    size_t at = 0;
    struct str name;
    void *v;
    if (!x || x->revision != s->revision)
        return 0;
    s->oldest = x->oldest;
    while (map_next(&x->forgotten, &at, &name, &v)) {
        struct resource *r = resource_of(s, name, true);
        if (!r)
            return -KL_NO_MEMORY;
        r->forgotten = (uint64_t)(uintptr_t)v - 1;
    }
    for (size_t i = 0; i < x->n; i++) {
        if (x->at[i].event.type == STATE)
            continue;
        struct resource *r = resource_of(s, str_of(x->at[i].resource), true);
        if (!r)
            return -KL_NO_MEMORY;
        history_add(s, r, &x->at[i].event);
        r->touched = false;
    }
    return 0;
}

