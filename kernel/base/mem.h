/* mem.h - the one allocator of the kernel. Replaceable, so that tests can fail the n-th allocation. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

struct mem_allocator {
    void *(*resize)(void *ctx, void *at, size_t n);     /* at NULL: new; n 0: free. NULL: out of memory. */
    void *ctx;
};

/* [any] NULL when out of memory; mem_alloc zeroes. */
void *mem_alloc(size_t n);
void *mem_resize(void *at, size_t n);
void mem_free(void *at);
char *mem_dup(const void *at, size_t n);        /* zero-terminated copy */

/* [any] What is free goes back to the system, but for a little: behind a burst of work. Takes a millisecond or so. */
void mem_trim(void);

/* [any] Whether the replaced allocator would give something now: memory from elsewhere (slab.h) fails when it does. */
bool mem_may(void);

/* Call before any other thread runs; NULL: back to libc. */
void mem_set_allocator(const struct mem_allocator *a);

#endif
