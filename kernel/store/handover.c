/* handover.c - another process goes on with the store: this one's objects and events go over while it serves, so that the other one need not read what
 * lasts, and a watch from before finds its place there; then nothing is committed here any more and the provider is given up. What travels is for
 * processes of one machine and one format number.
 *
 * Form of a parcel: a head, the newest event of each resource that is no longer known, then events, oldest first, then, in the first parcel, the
 * objects that no event has told. The state before an event is mostly the state after an earlier one, and is told only when it is not.
 */
#include <errno.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "parcel.h"

/* --- out --- */

struct store_parcel {
    struct parcel_head head;
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

static size_t count_objects(const struct store *s)
{
    size_t at = 0, n = 0;
    void *v;
    while (map_next(&s->resources, &at, NULL, &v))
        n += ((const struct resource *)v)->index.count;
    return n;
}

static void gather_resource(struct store_parcel *p, const struct resource *r)
{
    for (unsigned b = 0; b < r->index.n; b++)
        for (unsigned i = 0; i < r->index.blocks[b]->n; i++) {
            struct store_object *o = r->index.blocks[b]->e[i].cur;
            if (o)
                p->at[p->n++] = (struct told){ r->name, { .object = store_object_ref(o), .revision = o->revision, .type = STATE } };
        }
}

static bool gather_objects(struct store *s, struct store_parcel *p)
{
    size_t at = 0;
    void *v;
    struct told *more = mem_resize(p->at, (p->n + count_objects(s) + 1) * sizeof *more);
    if (!more)
        return false;
    p->at = more;
    while (map_next(&s->resources, &at, NULL, &v))
        gather_resource(p, v);
    return true;
}

struct store_parcel *store_parcel_new(struct store *s, uint64_t after)
{
    struct store_parcel *p = mem_alloc(sizeof *p);
    if (!p)
        return NULL;
    p->head = (struct parcel_head){ .format = FORMAT, .after = after, .revision = s->revision, .oldest = s->oldest };
    if (!gather_resources(s, p) || !gather_events(s, after, p) || (!after && !gather_objects(s, p))) {
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

size_t store_parcel_events(const struct store_parcel *p)
{
    return p->n;
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
    if (e->type == STATE && k->revision == e->object->revision)
        return;                         /* an event has told it */
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
        if (rc == 0 && b.len > PART)
            rc = flush(&b, fd);
    }
    map_free(&keys);
    buf_add(&b, &(struct event_head){ .type = END }, sizeof(struct event_head));
    return rc == 0 ? flush(&b, fd) : rc;
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
