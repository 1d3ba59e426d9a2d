/* checkpoint.c - hands the whole state to the provider in parts, between appends, without stopping anybody. */
#include <stdlib.h>

#include "base/arena.h"
#include "store-internal.h"

#define PART       2000                 /* objects at a time, at most */
#define PART_BYTES (1u << 20)           /* of their text, about: appends wait as long, and the provider copies as much */

struct checkpoint {
    uint64_t revision;
    struct item {
        struct resource *resource;
        struct store_object *object;
        unsigned how;                   /* it is written: as of the checkpoint's start */
    } *items;
    size_t n, at;
    bool failed, done;
};

static int by_name(const void *a, const void *b)
{
    struct resource *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static struct resource **sorted(struct store *s, size_t *ret_n)
{
    struct resource **at = mem_alloc((s->resources.n + 1) * sizeof *at);
    size_t i = 0;
    void *v;
    *ret_n = 0;
    while (at && map_next(&s->resources, &i, NULL, &v))
        at[(*ret_n)++] = v;
    if (at)
        qsort(at, *ret_n, sizeof *at, by_name);
    return at;
}

static void gather(struct store *s, struct checkpoint *c, struct resource *r)
{
    unsigned how = s->cipher ? s->cipher->current(s->cipher->ctx, str_of(r->name)) : 0;
    for (unsigned b = 0; b < r->index.n; b++)
        for (unsigned i = 0; i < r->index.blocks[b]->n; i++) {
            struct store_object *o = r->index.blocks[b]->e[i].cur;
            if (o)
                c->items[c->n++] = (struct item){ r, store_object_ref(o), how };
        }
}

bool checkpoint_start(struct store *s)
{
    if (!KL_HAS(s->provider, checkpoint) || !KL_HAS(s->provider, wants_checkpoint) || s->provider->wants_checkpoint(s->self) <= 0)
        return false;
    size_t n, total = 0;
    struct resource **r = sorted(s, &n);
    for (size_t i = 0; r && i < n; i++)
        total += r[i]->index.count;
    struct checkpoint *c = r ? mem_alloc(sizeof *c) : NULL;
    if (c && !(c->items = mem_alloc((total + 1) * sizeof *c->items))) {
        mem_free(c);
        c = NULL;
    }
    for (size_t i = 0; c && i < n; i++)
        gather(s, c, r[i]);
    mem_free(r);
    if (c)
        c->revision = s->revision;
    s->checkpoint = c;
    return c != NULL;
}

static struct kl_bytes key_of(struct arena *a, const struct item *i)
{
    char *key = arena_printf(a, "%s/" STR_FMT "/" STR_FMT, i->resource->name, STR_ARG(store_object_ns(i->object)),
                             STR_ARG(store_object_name(i->object)));
    return (struct kl_bytes){ key, key ? strlen(key) : 0 };
}

static struct str key_text(struct kl_bytes key)
{
    return str_n(key.at, key.len);
}

static size_t part_of(const struct checkpoint *c)
{
    size_t n = 0, bytes = 0;
    for (; n < PART && c->at + n < c->n && bytes < PART_BYTES; n++)
        bytes += store_object_json(c->items[c->at + n].object).len;
    return n;
}

/* [worker] */
void checkpoint_step(struct store *s)
{
    struct checkpoint *c = s->checkpoint;
    struct arena *a = arena_new(0);
    size_t n = part_of(c);
    struct kl_store_record *part = a ? arena_alloc(a, (n + 1) * sizeof *part) : NULL;
    struct kl_call call = { .size = sizeof call, .arena = a, .alloc = (void *(*)(void *, size_t))arena_alloc };
    kl_err_init(&call.err);
    for (size_t i = 0; part && i < n; i++) {
        struct item *it = &c->items[c->at + i];
        struct str json = store_object_json(it->object);
        if (it->how && s->cipher->seal(s->cipher->ctx, it->how, a, key_text(key_of(a, it)), json, &json, &call.err) < 0)
            c->failed = true;
        part[i] = (struct kl_store_record){ sizeof *part, key_of(a, it), { json.at, json.len }, it->object->revision };
    }
    bool last = c->at + n == c->n;
    if (c->failed || !part || arena_exhausted(a) || s->provider->checkpoint(s->self, &call, c->revision, part, (uint32_t)n, last) < 0)
        c->failed = true;               /* the log goes on growing; the provider asks again */
    c->at += n;
    c->done = last || c->failed;
    arena_free(a);
}

bool checkpoint_done(struct store *s)
{
    return s->checkpoint->done;
}

void checkpoint_free(struct store *s)
{
    struct checkpoint *c = s->checkpoint;
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++)
        store_object_unref(c->items[i].object);
    mem_free(c->items);
    mem_free(c);
    s->checkpoint = NULL;
}
