/* arena.c - bump allocation in chunks that double up to 64 KiB; big pieces get a chunk of their own. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/slab.h"

#define FIRST_CHUNK 4096u
#define MOST_CHUNK  65536u

struct chunk {
    struct chunk *next;
    size_t size, used;
    _Alignas(8) char data[];
};

struct cleanup {
    struct cleanup *next;
    void (*run)(void *ctx);
    void *ctx;
};

struct arena {
    struct chunk *chunks;
    struct cleanup *cleanups;
    size_t held, cap, next_size;
    bool exhausted, small;
};

static void run_cleanups(struct arena *a)
{
    while (a->cleanups) {
        struct cleanup *c = a->cleanups;
        a->cleanups = c->next;
        c->run(c->ctx);
    }
}

static void chunk_free(struct chunk *c)
{
    slab_free(c, sizeof *c + c->size);
}

static void destroy(struct arena *a)
{
    run_cleanups(a);
    while (a->chunks) {
        struct chunk *c = a->chunks;
        a->chunks = c->next;
        chunk_free(c);
    }
    mem_free(a);
}

/* Arenas that ended, for the next ones of this thread: most find their first memory warm. Small ones apart: they would lie for long on what others work in. */
#define KEPT_MOST 16u
static _Thread_local struct {
    struct arena *at[2][KEPT_MOST];
    unsigned n[2], most;
} kept;

void arena_keep(unsigned n)
{
#ifdef __SANITIZE_ADDRESS__
    n = 0;                              /* the sanitizer shall see every end */
#endif
    kept.most = n < KEPT_MOST ? n : KEPT_MOST;
    for (int small = 0; small < 2; small++)
        while (kept.n[small] > kept.most)
            destroy(kept.at[small][--kept.n[small]]);
}

static struct arena *make(size_t cap, bool small)
{
    struct arena *a = kept.n[small] && (!cap || cap >= MOST_CHUNK) ? kept.at[small][--kept.n[small]] : NULL;
    if (!a && (a = mem_alloc(sizeof *a)))
        *a = (struct arena){ .next_size = FIRST_CHUNK, .small = small };
    if (a)
        a->cap = cap;
    return a;
}

struct arena *arena_new(size_t cap)
{
    return make(cap, false);
}

struct arena *arena_new_small(size_t cap)
{
    return make(cap, true);
}

struct arena *arena_free(struct arena *a)
{
    if (a)
        run_cleanups(a);                /* which may end arenas too */
    if (a && kept.n[a->small] < kept.most) {
        arena_reset(a);
        a->next_size = FIRST_CHUNK;
        kept.at[a->small][kept.n[a->small]++] = a;
    } else if (a) {
        destroy(a);
    }
    return NULL;
}

void arena_reset(struct arena *a)
{
    run_cleanups(a);
    struct chunk *keep = NULL;
    while (a->chunks) {
        struct chunk *c = a->chunks;
        a->chunks = c->next;
        if (!keep && c->size <= (a->small ? FIRST_CHUNK : MOST_CHUNK))
            keep = c;
        else
            chunk_free(c);
    }
    a->chunks = keep;
    a->held = 0;
    if (keep) {
        keep->next = NULL;
        keep->used = 0;
        a->held = keep->size;
    }
    a->exhausted = false;
}

static struct chunk *add_chunk(struct arena *a, size_t n)
{
    size_t size = n > a->next_size ? n : a->next_size;
    if (a->cap && a->held + size > a->cap)
        size = n;
    if (a->cap && a->held + size > a->cap)
        return NULL;
    struct chunk *c = slab_alloc(sizeof *c + size);
    if (!c)
        return NULL;
    c->size = size;
    c->used = 0;
    a->held += size;
    if (n > a->next_size && a->chunks) {        /* a big piece: keep filling the present chunk */
        c->next = a->chunks->next;
        a->chunks->next = c;
    } else {
        c->next = a->chunks;
        a->chunks = c;
        if (a->next_size < MOST_CHUNK)
            a->next_size *= 2;
    }
    return c;
}

void *arena_raw(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return a->exhausted = true, NULL;
    n = (n + 7) & ~(size_t)7;
    struct chunk *c = a->chunks;
    if (!c || c->size - c->used < n)
        c = add_chunk(a, n);
    if (!c)
        return a->exhausted = true, NULL;
    void *p = c->data + c->used;
    c->used += n;
    return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
    void *p = arena_raw(a, n);
    return p ? memset(p, 0, n) : NULL;
}

char *arena_dup(struct arena *a, struct str s)
{
    char *p = arena_raw(a, s.len + 1);
    if (!p)
        return NULL;
    if (s.len)
        memcpy(p, s.at, s.len);
    p[s.len] = '\0';
    return p;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = arena_dup(a, s);
    return (struct str){ p, p ? s.len : 0 };
}

char *arena_uint(struct arena *a, uint64_t v)
{
    char text[20], *p = text + sizeof text;
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    return arena_dup(a, str_n(p, (size_t)(text + sizeof text - p)));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : arena_raw(a, (size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

bool arena_cleanup(struct arena *a, void (*run)(void *ctx), void *ctx)
{
    struct cleanup *c = arena_alloc(a, sizeof *c);
    if (!c)
        return false;
    c->run = run;
    c->ctx = ctx;
    c->next = a->cleanups;
    a->cleanups = c;
    return true;
}

size_t arena_used(const struct arena *a)
{
    size_t n = 0;
    for (const struct chunk *c = a->chunks; c; c = c->next)
        n += c->used;
    return n;
}

bool arena_exhausted(const struct arena *a)
{
    return a->exhausted;
}
