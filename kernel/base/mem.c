/* mem.c - see mem.h. */
#include "base/mem.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/slab.h"

/* What glibc keeps at hand for each thread; its calloc does not look there. */
#define CACHED_MOST 1032u

static const struct mem_allocator *allocator;

void *mem_resize(void *at, size_t n)
{
    return allocator ? allocator->resize(allocator->ctx, at, n) : realloc(at, n);
}

void *mem_alloc(size_t n)
{
    n = n ? n : 1;
    if (!allocator && n > CACHED_MOST)
        return calloc(1, n);
    void *p = mem_resize(NULL, n);
    return p ? memset(p, 0, n) : NULL;
}

void mem_free(void *at)
{
    if (!allocator)
        free(at);
    else if (at)
        mem_resize(at, 0);
}

char *mem_dup(const void *at, size_t n)
{
    char *p = mem_alloc(n + 1);
    if (p && n)
        memcpy(p, at, n);
    return p;
}

bool mem_may(void)
{
    if (!allocator)
        return true;
    void *p = allocator->resize(allocator->ctx, NULL, 1);
    if (p)
        allocator->resize(allocator->ctx, p, 0);
    return p != NULL;
}

void mem_set_allocator(const struct mem_allocator *a)
{
    allocator = a;
}

void mem_trim(void)
{
    slab_trim();
    malloc_trim(64 << 10);
}
