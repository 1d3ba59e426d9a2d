/* mem.c - see mem.h. */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static const struct mem_allocator *allocator;

void *mem_resize(void *at, size_t n)
{
    return allocator ? allocator->resize(allocator->ctx, at, n) : realloc(at, n);
}

void *mem_alloc(size_t n)
{
    if (!allocator)
        return calloc(1, n ? n : 1);
    void *p = mem_resize(NULL, n ? n : 1);
    return p ? memset(p, 0, n ? n : 1) : NULL;
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

void mem_set_allocator(const struct mem_allocator *a)
{
    allocator = a;
}
