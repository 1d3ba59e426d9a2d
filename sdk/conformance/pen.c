/* pen.c - see pen.h. */
#include "pen.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

#define HOLES 512u
#define PENS  8192u

struct pen {
    char *base;
    size_t bytes, used;
    bool strict, sealed, gone, settings;
    struct pen *next;                   /* of those that are to be used again */
    unsigned n_holes;
    uint32_t holes[HOLES];              /* offsets */
};

static struct pen *pens[PENS];          /* strict ones, for faults */
static unsigned n_pens;
static struct pen *idle;                /* plain ones: who reads them too late does no harm */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t page(void)
{
    static size_t bytes;
    if (!bytes)
        bytes = (size_t)sysconf(_SC_PAGESIZE);
    return bytes;
}

static size_t up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static struct pen *take_idle(size_t bytes)
{
    pthread_mutex_lock(&lock);
    struct pen **at = &idle;
    while (*at && (*at)->bytes != bytes)
        at = &(*at)->next;
    struct pen *p = *at;
    if (p)
        *at = p->next;
    pthread_mutex_unlock(&lock);
    if (!p)
        return NULL;
    memset(p->base, 0, p->used);
    p->used = 0;
    p->sealed = false;
    return p;
}

struct pen *pen_new(size_t bytes, bool strict)
{
    struct pen *p = strict ? NULL : take_idle(up(bytes, page()));
    if (p || !(p = mem_alloc(sizeof *p)))
        return p;
    p->bytes = up(bytes, page());
    p->strict = strict && n_pens < PENS;
    p->base = mmap(NULL, p->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->base == MAP_FAILED) {
        mem_free(p);
        return NULL;
    }
    if (p->strict)
        pens[n_pens++] = p;
    return p;
}

void *pen_alloc(struct pen *p, size_t n)
{
    size_t at = up(p->used, 16);
    if (p->sealed || n > p->bytes || at > p->bytes - n)
        return NULL;
    p->used = at + n;
    return p->base + at;
}

char *pen_text(struct pen *p, const void *at, size_t n, bool zero)
{
    size_t whole = n + zero, pages = up(whole ? whole : 1, page());
    char *to;
    if (!p->strict || p->n_holes == HOLES) {
        if (!(to = pen_alloc(p, whole + 1)))
            return NULL;
    } else {
        size_t start = up(p->used, page());
        if (start + pages + page() > p->bytes)
            return NULL;
        to = p->base + start + pages - whole;
        p->holes[p->n_holes++] = (uint32_t)(start + pages);
        mprotect(p->base + start + pages, page(), PROT_NONE);
        p->used = start + pages + page();
    }
    if (n)
        memcpy(to, at, n);
    return to;
}

void pen_seal(struct pen *p)
{
    size_t from = 0;
    p->sealed = true;
    if (!p->strict)
        return;
    for (unsigned i = 0; i <= p->n_holes; i++) {
        size_t end = i < p->n_holes ? p->holes[i] : up(p->used, page());
        if (end > from)
            mprotect(p->base + from, end - from, PROT_READ);
        from = end + page();
    }
}

void pen_close(struct pen *p)
{
    if (!p)
        return;
    if (!p->strict) {
        pthread_mutex_lock(&lock);
        p->next = idle;
        idle = p;
        pthread_mutex_unlock(&lock);
        return;
    }
    p->gone = true;
    mprotect(p->base, p->bytes, PROT_NONE);
    madvise(p->base, p->bytes, MADV_DONTNEED);
}

void pen_is_settings(struct pen *p)
{
    p->settings = true;
}

enum pen_place pen_place_of(const void *at)
{
    for (unsigned i = 0; i < n_pens; i++) {
        const struct pen *p = pens[i];
        const char *c = at;
        if (c < p->base || c >= p->base + p->bytes)
            continue;
        if (p->gone)
            return p->settings ? PEN_OLD_SETTINGS : PEN_GONE;
        for (unsigned k = 0; k < p->n_holes; k++)
            if (c >= p->base + p->holes[k] && c < p->base + p->holes[k] + page())
                return PEN_HOLE;
        return p->sealed ? PEN_SEALED : PEN_LIVE;
    }
    return PEN_ELSEWHERE;
}
