/* handover.c - another process goes on with the store: this one's events go over, so that a watch from before finds its place there; then nothing is
 * committed here any more and the provider is given up. What travels is for processes of one machine and one format number.
 *
 * Form: a head, the newest event of each resource that is no longer known, then events, oldest first. The state before an event is mostly the state
 * after an earlier one, and is told only when it is not.
 */
#include <errno.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "store-internal.h"

#define FORMAT 1u

enum old_state { OLD_NONE = 0, OLD_KNOWN, OLD_TOLD };

struct head {
    uint32_t format, n_resources;
    uint64_t revision, oldest, n_events;
};
struct event_head {
    uint64_t revision, object_revision, old_revision;
    uint32_t resource_len, ns_len, name_len, json_len, old_len;
    uint8_t type, old, dead, zero;
};
struct forgotten_head {
    uint64_t forgotten;
    uint64_t name_len;
};

/* --- out --- */

struct told {                           /* an event, counted */
    const char *resource;
    struct event event;
};
struct store_parcel {
    struct head head;
    struct forgotten_head *forgotten;
    const char **names;
    struct told *at;
    size_t n;
};

static bool gather_resources(struct store *s, struct store_parcel *p)
{
    size_t at = 0;
    void *v;
    p->forgotten = mem_alloc((s->resources.n + 1) * sizeof *p->forgotten);
    p->names = mem_alloc((s->resources.n + 1) * sizeof *p->names);
    while (p->forgotten && p->names && map_next(&s->resources, &at, NULL, &v)) {
        const struct resource *r = v;
        p->names[p->head.n_resources] = r->name;
        p->forgotten[p->head.n_resources++] = (struct forgotten_head){ r->forgotten, strlen(r->name) };
    }
    return p->forgotten && p->names;
}

/* In the order in which they happened: the n-th oldest is the next one of its resource. */
static bool gather_events(struct store *s, uint64_t after, struct store_parcel *p)
{
    struct map next = { 0 };            /* resource's name -> sequence number + 1 */
    p->at = mem_alloc((s->fifo_n + 1) * sizeof *p->at);
    bool good = p->at != NULL;
    for (size_t i = 0; good && i < s->fifo_n; i++) {
        struct resource *r = s->fifo[(s->fifo_at + i) & (s->fifo_cap - 1)];
        uintptr_t seq = (uintptr_t)map_get(&next, str_of(r->name));
        const struct event *e = history_at(r, seq ? seq : r->base);
        good = e && map_put(&next, str_of(r->name), (void *)((seq ? seq : r->base) + 1));
        if (!good || e->revision <= after)
            continue;
        p->at[p->n] = (struct told){ r->name, *e };
        store_object_ref(e->object);
        if (e->old)
            store_object_ref(e->old);
        p->n++;
    }
    map_free(&next);
    return good;
}

struct store_parcel *store_parcel_new(struct store *s, uint64_t after)
{
    struct store_parcel *p = mem_alloc(sizeof *p);
    if (!p)
        return NULL;
    p->head = (struct head){ .format = FORMAT, .revision = s->revision, .oldest = s->oldest };
    if (!gather_resources(s, p) || !gather_events(s, after, p)) {
        store_parcel_free(p);
        return NULL;
    }
    p->head.n_events = p->n;
    return p;
}

uint64_t store_parcel_revision(const struct store_parcel *p)
{
    return p->head.revision;
}

void store_parcel_free(struct store_parcel *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++) {
        store_object_unref(p->at[i].event.object);
        store_object_unref(p->at[i].event.old);
    }
    mem_free(p->at);
    mem_free(p->names);
    mem_free(p->forgotten);
    mem_free(p);
}

struct key {                            /* of a map, and what was told last of it */
    uint64_t revision;
    size_t len;
    char text[];
};

static struct key *key_at(struct map *keys, struct arena *a, const char *resource, const struct store_object *o)
{
    struct str ns = store_object_ns(o), name = store_object_name(o);
    char room[1024], *text = room;
    size_t n = strlen(resource) + ns.len + name.len + 2;
    if (n >= sizeof room && !(text = arena_raw(a, n + 1)))
        return NULL;
    snprintf(text, n + 1, "%s/" STR_FMT "/" STR_FMT, resource, STR_ARG(ns), STR_ARG(name));
    struct key *k = map_get(keys, str_n(text, n));
    if (k || !(k = arena_alloc(a, sizeof *k + n + 1)))
        return k;
    memcpy(k->text, text, n + 1);
    k->len = n;
    return map_put(keys, str_n(k->text, n), k) ? k : NULL;
}

static void put_event(struct buf *b, const struct told *t, struct key *k)
{
    const struct event *e = &t->event;
    struct str json = store_object_json(e->object), old = e->old ? store_object_json(e->old) : STR_NONE;
    enum old_state how = !e->old ? OLD_NONE : k->revision == e->old->revision ? OLD_KNOWN : OLD_TOLD;
    struct event_head h = { .revision = e->revision, .object_revision = e->object->revision, .old_revision = e->old ? e->old->revision : 0,
                            .resource_len = (uint32_t)strlen(t->resource), .ns_len = e->object->ns_len, .name_len = e->object->name_len,
                            .json_len = (uint32_t)json.len, .old_len = how == OLD_TOLD ? (uint32_t)old.len : 0, .type = e->type, .old = (uint8_t)how,
                            .dead = e->object->dead };
    buf_add(b, &h, sizeof h);
    buf_add(b, t->resource, h.resource_len);
    buf_add_str(b, store_object_ns(e->object));
    buf_add_str(b, store_object_name(e->object));
    buf_add_str(b, json);
    if (how == OLD_TOLD)
        buf_add_str(b, old);
    k->revision = e->object->revision;
}

static int flush(struct buf *b, int fd)
{
    if (b->failed)
        return -ENOMEM;
    for (size_t at = 0; at < b->len;) {
        ssize_t n = write(fd, b->at + at, b->len - at);
        if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? (size_t)n : 0;
    }
    buf_clear(b);
    return 0;
}

int store_parcel_write(const struct store_parcel *p, int fd)
{
    _cleanup_arena_ struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT(0);
    struct map keys = { 0 };
    int rc = a ? 0 : -ENOMEM;
    buf_add(&b, &p->head, sizeof p->head);
    for (uint32_t i = 0; i < p->head.n_resources; i++) {
        buf_add(&b, &p->forgotten[i], sizeof p->forgotten[i]);
        buf_add_z(&b, p->names[i]);
    }
    for (size_t i = 0; i < p->n && rc == 0; i++) {
        struct key *k = key_at(&keys, a, p->at[i].resource, p->at[i].event.object);
        rc = k ? 0 : -ENOMEM;
        if (k)
            put_event(&b, &p->at[i], k);
        if (rc == 0 && b.len > 1u << 20)
            rc = flush(&b, fd);
    }
    map_free(&keys);
    return rc == 0 ? flush(&b, fd) : rc;
}

/* --- in --- */

struct store_heritage {
    uint64_t revision, oldest;
    struct map forgotten;               /* resource's name -> revision + 1 */
    struct map last;                    /* "resource/ns/name" -> its newest object, uncounted: an event holds it */
    struct told *at;
    size_t n, cap;
    struct arena *arena;                /* names and keys */
};

static bool take(struct str *from, void *to, size_t n)
{
    if (from->len < n)
        return false;
    memcpy(to, from->at, n);
    *from = str_skip(*from, n);
    return true;
}

static bool cut(struct str *from, size_t n, struct str *ret)
{
    if (from->len < n)
        return false;
    *ret = str_n(from->at, n);
    *from = str_skip(*from, n);
    return true;
}

static struct store_object *make(const struct event_head *h, struct str resource, struct str ns, struct str name, struct str json, uint64_t revision)
{
    struct store_op op = { .type = (enum store_op_type)h->type, .resource = resource, .ns = ns, .name = name, .json = json };
    return object_new(&op, revision);
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

/* 0, KL_NO_MEMORY, KL_CORRUPT. */
static int read_event(struct store_heritage *x, struct str *from)
{
    struct event_head h;
    struct str resource, ns, name, json, old;
    if (!take(from, &h, sizeof h) || !cut(from, h.resource_len, &resource) || !cut(from, h.ns_len, &ns) || !cut(from, h.name_len, &name) ||
        !cut(from, h.json_len, &json) || !cut(from, h.old_len, &old) || h.type < STORE_ADDED || h.type > STORE_DELETED)
        return KL_CORRUPT;
    struct told *t = room(x);
    const char *key = arena_printf(x->arena, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(resource), STR_ARG(ns), STR_ARG(name));
    if (!t || !key)
        return KL_NO_MEMORY;
    struct store_object *before = map_get(&x->last, str_of(key));
    if (h.old == OLD_KNOWN && (!before || before->revision != h.old_revision))
        return KL_CORRUPT;
    *t = (struct told){ .resource = arena_dup(x->arena, resource), .event = { .revision = h.revision, .type = h.type } };
    t->event.object = make(&h, resource, ns, name, json, h.object_revision);
    t->event.old = h.old == OLD_KNOWN ? store_object_ref(before) : h.old == OLD_TOLD ? make(&h, resource, ns, name, old, h.old_revision) : NULL;
    x->n++;                             /* whatever it holds is freed with the rest */
    if (!t->resource || !t->event.object || (h.old && !t->event.old) || !map_put(&x->last, str_of(key), t->event.object))
        return KL_NO_MEMORY;
    t->event.object->dead = h.dead & 1u;
    return 0;
}

static int read_resources(struct store_heritage *x, struct str *from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct forgotten_head f;
        struct str name;
        if (!take(from, &f, sizeof f) || !cut(from, f.name_len, &name))
            return KL_CORRUPT;
        name = arena_str(x->arena, name);
        if (!name.at || !map_put(&x->forgotten, name, (void *)(uintptr_t)(f.forgotten + 1)))
            return KL_NO_MEMORY;
    }
    return 0;
}

struct store_heritage *store_heritage_new(void)
{
    struct store_heritage *x = mem_alloc(sizeof *x);
    if (x && !(x->arena = arena_new(0))) {
        mem_free(x);
        return NULL;
    }
    return x;
}

int store_heritage_read(struct store_heritage *x, struct str from, struct kl_err *err)
{
    struct head h;
    if (!take(&from, &h, sizeof h) || h.format != FORMAT)
        return kl_err_set(err, KL_INVALID, "the events of before are in a form that this version does not know");
    int rc = read_resources(x, &from, h.n_resources);
    for (uint64_t i = 0; i < h.n_events && rc == 0; i++)
        rc = read_event(x, &from);
    x->revision = h.revision;
    x->oldest = h.oldest;
    return rc == 0 && from.len == 0 ? 0 : kl_err_set(err, rc == KL_NO_MEMORY ? rc : KL_CORRUPT, "the events of before cannot be read");
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
    map_free(&x->last);
    map_free(&x->forgotten);
    arena_free(x->arena);
    mem_free(x);
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
        struct resource *r = resource_of(s, str_of(x->at[i].resource), true);
        if (!r)
            return -KL_NO_MEMORY;
        history_add(s, r, &x->at[i].event);
        r->touched = false;
    }
    return 0;
}

/* --- the end of writing --- */

void store_freeze(struct store *s)
{
    commit_drain(s);
    s->frozen = true;
}

void store_thaw(struct store *s, const struct kl_store *provider, void *self)
{
    s->provider = provider;
    s->self = self;
    s->frozen = s->closing = false;
}

void store_forget_events(struct store *s)
{
    history_free(s);
    s->fifo = NULL;
    s->fifo_cap = s->fifo_at = 0;
}
