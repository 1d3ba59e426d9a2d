/* slab.c - see slab.h. */
#include "slab.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

#include "mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define SLAB_MOST 0u
#else
#define SLAB_MOST 32768u
#endif
#define SLAB_SIZE 262144u               /* and alignment: a piece's slab is found from its address */
#define SMALL     256u                  /* up to here sizes rise by 16; above by a sixteenth of the power of two below */
#define N_SIZES   (16 + 7 * 16)
#define SPARE_MOST 8u                   /* empty slabs kept: what requests of a burst took is there, and warm, for the next one */

/* Begins its slab; padded so that pieces keep their alignment. */
struct slab {
    struct slab *next, *prev;           /* of those with room */
    void *free;                         /* pieces that came back; each holds the next */
    uint32_t used, touched, n;          /* pieces in use, ever used, in all */
    uint32_t size;                      /* index */
} __attribute__((aligned(64)));

static struct {
    pthread_mutex_t lock;
    struct slab *with_room[N_SIZES];
    struct slab *spare;
    unsigned n_spare;
    size_t held;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint32_t index_of(size_t n)
{
    if (n <= SMALL)
        return n ? (uint32_t)(n - 1) / 16 : 0;
    uint32_t last = (uint32_t)n - 1, log = 31u - (uint32_t)__builtin_clz(last);
    return 16 + (log - 8) * 16 + ((last >> (log - 4)) & 15u);
}

static uint32_t bytes_of(uint32_t size)
{
    if (size < 16)
        return (size + 1) * 16;
    uint32_t log = 8 + (size - 16) / 16;
    return (1u << log) + (((size - 16) % 16 + 1) << (log - 4));
}

static char *piece(struct slab *s, uint32_t i)
{
    return (char *)s + sizeof *s + (size_t)i * bytes_of(s->size);
}

/* More is mapped than is needed, and what does not fit the alignment given back. */
static void *map_aligned(void)
{
    char *at = mmap(NULL, 2 * SLAB_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)at % SLAB_SIZE;
    if (before)
        munmap(at, before);
    munmap(at + before + SLAB_SIZE, SLAB_SIZE - before);
    return at + before;
}

static void link_in(struct slab *s)
{
    struct slab **head = &all.with_room[s->size];
    s->prev = NULL;
    s->next = *head;
    if (s->next)
        s->next->prev = s;
    *head = s;
}

static void link_out(struct slab *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        all.with_room[s->size] = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->next = s->prev = NULL;
}

static struct slab *new_slab(uint32_t size)
{
    struct slab *s = all.spare;
    if (s) {
        all.spare = s->next;
        all.n_spare--;
    } else if (!(s = map_aligned())) {
        return NULL;
    } else {
        all.held += SLAB_SIZE;
    }
    *s = (struct slab){ .size = size, .n = (SLAB_SIZE - (uint32_t)sizeof *s) / bytes_of(size) };
    link_in(s);
    return s;
}

static void unmap(struct slab *s)
{
    all.held -= SLAB_SIZE;
    munmap(s, SLAB_SIZE);
}

static void *take(uint32_t size)
{
    struct slab *s = all.with_room[size] ? all.with_room[size] : new_slab(size);
    if (!s)
        return NULL;
    void *at = s->free;
    if (at)
        s->free = *(void **)at;
    else
        at = piece(s, s->touched++);
    if (++s->used == s->n)
        link_out(s);
    return at;
}

/* The last one with room stays, empty or not: a size that comes and goes would map and unmap it each time. */
static void give_back(struct slab *s, void *at)
{
    *(void **)at = s->free;
    s->free = at;
    if (s->used-- == s->n)
        link_in(s);
    if (s->used || (!s->next && !s->prev))
        return;
    link_out(s);
    if (all.n_spare == SPARE_MOST) {
        unmap(s);
        return;
    }
    s->next = all.spare;
    all.spare = s;
    all.n_spare++;
}

void *slab_alloc(size_t n)
{
    if (n > SLAB_MOST)
        return mem_resize(NULL, n);
    if (!mem_may())
        return NULL;
    pthread_mutex_lock(&all.lock);
    void *at = take(index_of(n));
    pthread_mutex_unlock(&all.lock);
    return at;
}

void slab_free(void *at, size_t n)
{
    if (n > SLAB_MOST) {
        mem_free(at);
        return;
    }
    if (!at)
        return;
    pthread_mutex_lock(&all.lock);
    give_back((struct slab *)((uintptr_t)at & ~(uintptr_t)(SLAB_SIZE - 1)), at);
    pthread_mutex_unlock(&all.lock);
}

void slab_trim(void)
{
    pthread_mutex_lock(&all.lock);
    for (struct slab *s; (s = all.spare);) {
        all.spare = s->next;
        unmap(s);
    }
    all.n_spare = 0;
    pthread_mutex_unlock(&all.lock);
}

/* A plugin has slabs of its own, which end with its file. What is still in use there stays: it is the plugin's leak, and not to be made worse. */
__attribute__((destructor)) static void unmap_all(void)
{
    slab_trim();
    pthread_mutex_lock(&all.lock);
    for (uint32_t i = 0; i < N_SIZES; i++)
        for (struct slab *s = all.with_room[i], *next; s; s = next) {
            next = s->next;
            if (s->used)
                continue;
            link_out(s);
            unmap(s);
        }
    pthread_mutex_unlock(&all.lock);
}

size_t slab_held(void)
{
    pthread_mutex_lock(&all.lock);
    size_t held = all.held;
    pthread_mutex_unlock(&all.lock);
    return held;
}
